"""`seqapps predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Literal

import click

from seqapps.cli import options

__all__ = ["predict"]


@click.command()
@options.run
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--format",
    type=click.Choice(["text", "jsonl", "conllu"]),
    default="text",
    show_default=True,
    help="Of what is read and of what is written: a sentence a line, a JSON object a line, or CoNLL-U.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def predict(run: Path, file: BinaryIO, format: Literal["text", "jsonl", "conllu"], device: str) -> None:
    """Predict with a finished run.

    Reads FILE, or standard input, and writes to standard output in the same order, as it goes.
    """
    from seqapps.application import load

    predictor = load(run, device=device)
    name = getattr(file, "name", "<stdin>")
    examples = predictor.read(file, format, name)
    typed = file.isatty()  # then every line is answered at once, instead of being sorted by length among many
    output = sys.stdout.buffer
    watched = typed or output.isatty()
    for prediction in predictor.stream(examples, window=1) if typed else predictor.stream(examples):
        output.write(predictor.write(prediction, format).encode())
        if watched:
            output.flush()
    output.flush()
    for note in predictor.notes:
        click.echo(f"warning: {note}", err=True)
