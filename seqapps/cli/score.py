"""`seqapps score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Literal

import click

from seqapps.cli import options

__all__ = ["score"]


@click.command()
@options.run
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--format",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="Of what is read and of what is written: a sentence a line, or a JSON object a line.",
)
@click.option("--pairs", is_flag=True, help="Lines are GOOD TAB BAD [TAB GROUP]; print how often GOOD is likelier.")
@options.as_json
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def score(run: Path, file: BinaryIO, format: Literal["text", "jsonl"], pairs: bool, as_json: bool, device: str) -> None:
    """Log-probabilities of sentences under a finished language model.

    Reads FILE, or standard input, and writes one natural-log probability a sentence, end mark included, in the order
    of the input. A sentence is scored alone, whatever stands before it. JSON lines give one for every token as well.
    """
    from seqapps.application import load
    from seqapps.application.writing import score_pairs, scores
    from seqapps.cli.scores import score_table

    predictor = load(run, device=device)
    name = getattr(file, "name", "<stdin>")
    if pairs:
        page = score_pairs(predictor, file, name)
        if as_json:
            options.echo_json(page)
        else:
            click.echo(score_table(page), nl=False)
        return
    output = sys.stdout.buffer
    for scored in scores(predictor, file, format, name):
        output.write(predictor.write(scored, format).encode())
    output.flush()
