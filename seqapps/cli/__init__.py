"""The command line. Commands are components of the kind `commands`; only click is imported before one of them runs."""
