"""What goes through the builders of `datasets`, which keep what they read as Arrow files in a cache."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["without_progress_bars"]


@contextlib.contextmanager
def without_progress_bars() -> Iterator[None]:
    """No bars of `datasets` on the terminal inside; how it was is restored."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
