"""Data sources for seqapps that read the open data which Python packages ship."""
