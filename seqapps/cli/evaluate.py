"""`seqapps evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from seqapps.cli import options

__all__ = ["evaluate"]


@click.command()
@options.run
@click.option("--split", metavar="NAME", help="Split of the run's data; the first one of its recipe unless given.")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Evaluate on this file instead, read as the run's source reads its files, or by its ending. Of a model that "
    "writes a text for a text two may be given: what is read, and what should be written, line by line.",
)
@options.others
@options.data_root
@options.as_json
def evaluate(
    run: Path,
    split: str | None,
    files: tuple[Path, ...],
    others: tuple[Path, ...],
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Evaluate a finished run on a split or on a file."""
    if split is not None and files:
        raise click.UsageError("--split and --file exclude each other; give one of them")
    from seqapps.application import evaluate as evaluate_run
    from seqapps.cli.scores import score_table

    report = evaluate_run(run, split=split, file=files or None, data_root=data_root, others=others)
    if as_json:
        options.echo_json(report)
    else:
        click.echo(score_table(report))
