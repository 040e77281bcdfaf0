"""`seqapps trace`."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

import click

from seqapps.cli import options

__all__ = ["trace"]


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    wrong = [part for part in parts if not part.isdecimal()]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is no unit's number; give numbers with commas between them: 0,3,17")
    return [int(part) for part in parts]


@click.command()
@options.run
@click.argument("file", type=click.File("rb"))
@click.option(
    "--format",
    type=click.Choice(["text", "jsonl", "conllu"]),
    default="text",
    show_default=True,
    help="Of what is read: a sentence a line, a JSON object a line, or CoNLL-U.",
)
@click.option("--units", callback=_numbers, metavar="N,N,...", help="Units in the heat maps; the 8 that vary most.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many sentences are traced."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the three files; the run's unless given.",
)
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def trace(
    run: Path,
    file: BinaryIO,
    format: Literal["text", "jsonl", "conllu"],
    units: list[int] | None,
    limit: int,
    output: Path | None,
    device: str,
) -> None:
    """Write down gates and states along the sentences of FILE.

    traces.safetensors has a tensor per sentence, layer, direction and gate or state, its first dimension the token in
    reading order; traces.json says which is what; traces.html shows chosen units as heat maps. FILE is - for standard
    input.
    """
    from seqapps.application import load
    from seqapps.application import trace as trace_examples

    predictor = load(run, device=device)
    name = getattr(file, "name", "<stdin>")
    index = trace_examples(
        predictor, predictor.read(file, format, name), units=units, limit=limit, output=output, name=name
    )
    if index["more"]:
        click.echo(f"warning: only the first {limit} sentences of {name} were traced; --limit sets how many", err=True)
    for written in ("traces.safetensors", "traces.json", "traces.html"):
        click.echo(str((output or run) / written))
