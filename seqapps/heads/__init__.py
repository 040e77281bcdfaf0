"""Tasks on top of an encoder."""

from seqapps.heads.head import Head, Loss

__all__ = ["Head", "Loss"]
