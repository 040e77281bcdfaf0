"""`seqapps report`."""

from __future__ import annotations

from pathlib import Path

import click

from seqapps.cli import options

__all__ = ["report"]


@click.command()
@options.run
def report(run: Path) -> None:
    """Write a run's report.html anew from its numbers."""
    from seqapps.application import report as write_report

    click.echo(str(write_report(run)))
