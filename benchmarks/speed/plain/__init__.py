"""Plain PyTorch: what is commonly written, and the tightest loops that we know how to write. No seqapps in it."""
