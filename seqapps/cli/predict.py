"""`seqapps predict`."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

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
def predict(run: Path, file: BinaryIO, format: str, device: str) -> None:
    """Predict with a finished run.

    Reads FILE, or standard input, and writes to standard output in the same order, as it goes.
    """
    from seqapps import application

    predictor = application.load(run, device=device)
    name = "<standard input>" if file.name in ("-", "<stdin>") else file.name
    output = click.get_binary_stream("stdout")
    watched = output.isatty()
    for prediction in predictor.stream(predictor.read(file, format, name)):
        output.write(predictor.write(prediction, format).encode())
        if watched:
            output.flush()
    output.flush()
