"""`seqapps generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from seqapps.cli import options

__all__ = ["generate"]


@click.command()
@options.run
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="What the text begins with; several times.")
@click.option("--samples", type=int, default=1, show_default=True, help="Texts for each prompt.")
@click.option("--temperature", type=float, help="Sample from p^(1/TEMPERATURE): below 1 bolder words become rarer.")
@click.option("--top-k", type=int, help="Sample among so many most probable words only.")
@click.option("--top-p", type=float, help="Sample among the fewest words that have this probability together.")
@click.option("--beam", type=int, help="Search the most probable text with a beam of so many, instead of sampling.")
@click.option(
    "--max-length", type=int, default=100, show_default=True, help="Words after the prompt, end mark included."
)
@click.option("--unknown", is_flag=True, help="Let the model write <unk>.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the samples.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a text: text, tokens, log_prob, ended.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def generate(
    run: Path,
    prompts: tuple[str, ...],
    samples: int,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    beam: int | None,
    max_length: int,
    unknown: bool,
    seed: int,
    as_json: bool,
    device: str,
) -> None:
    """Write text with a finished language model, a text a line.

    The same seed gives the same texts. Without prompt, a text from its beginning.
    """
    import json

    from seqapps.application import load
    from seqapps.application.writing import search_options
    from seqapps.engine.generating import generate as write

    sampling: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    chosen = search_options(beam, samples, max_length, {name: v for name, v in sampling.items() if v is not None})
    for found in write(load(run, device=device), prompts or [""], chosen, seed=seed, unknown=unknown):
        for written in found:
            click.echo(json.dumps(written._asdict(), ensure_ascii=False) if as_json else written.text)
