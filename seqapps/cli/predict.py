"""`seqapps predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import click

from seqapps.cli import options

if TYPE_CHECKING:
    from seqapps.engine.predictor import Predictor

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
@options.others
@click.option("--prefix", default="", metavar="TEXT", help="What every text that is written begins with.")
@click.option("--require", multiple=True, metavar="PHRASE", help="What every text that is written has; several times.")
@click.option("--ban", multiple=True, metavar="PHRASE", help="What no text that is written has; several times.")
@click.option("--beam", type=int, help="Search with a beam of so many, for models that write.")
@click.option("--n-best", type=int, help="So many texts for each line; the further ones are in jsonl.")
@click.option("--length-penalty", type=click.Choice(["none", "gnmt", "average"]), help="For longer or shorter texts.")
@click.option("--min-length", type=int, help="Tokens that are written at least, end mark included.")
@click.option("--max-length", type=int, help="Tokens that are written at most, end mark included.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def predict(
    run: Path,
    file: BinaryIO,
    format: Literal["text", "jsonl", "conllu"],
    others: tuple[Path, ...],
    prefix: str,
    require: tuple[str, ...],
    ban: tuple[str, ...],
    beam: int | None,
    n_best: int | None,
    length_penalty: str | None,
    min_length: int | None,
    max_length: int | None,
    device: str,
) -> None:
    """Predict with a finished run.

    Reads FILE, or standard input, and writes to standard output in the same order, as it goes. Where texts are
    written, options go before what the run's recipe says of the search; a JSON line may ask of its own text with
    "prefix", "require" and "ban". A model of images reads the name of one a line, or FILE is an image itself.
    """
    from seqapps.application import load

    predictor = load(run, device=device, others=others)
    search = {
        "beam": beam,
        "n_best": n_best,
        "length_penalty": length_penalty,
        "min_length": min_length,
        "max_length": max_length,
    }
    if given := {name: value for name, value in search.items() if value is not None}:
        predictor.search(given)
    if prefix or require or ban:
        predictor.ask(prefix=prefix, require=require, ban=ban)
    _write(predictor, file, format)


def _write(predictor: Predictor, file: BinaryIO, format: Literal["text", "jsonl", "conllu"]) -> None:
    """Predictions for what stands in the file, as it comes, and what there is to be noted."""
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
