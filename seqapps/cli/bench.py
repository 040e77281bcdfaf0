"""`seqapps bench`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from seqapps.cli.table import table
from seqapps.errors import UseError
from seqapps.registry import registry

if TYPE_CHECKING:
    from seqapps.application.benching import Bench, Clock, Contestant, Group
    from seqapps.recipe.spec import Spec

__all__ = ["bench"]

DEFAULT_SIZES = "35,20,200 35,20,650 30,32,256"


@click.group()
def bench() -> None:
    """Measure how fast things run on this machine."""


def _names(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UseError(f"{parameter.opts[0]}: no name is given; leave the option out, or name one")
    return names


def _sizes(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[tuple[int, int, int]]:
    sizes = []
    for text in " ".join(texts).split():
        numbers = [int(part) for part in text.split(",") if part.isascii() and part.isdigit()]
        if len(numbers) != 3 or text.count(",") != 2 or min(numbers) < 1:
            raise UseError(f"--sizes: {text!r} is no size; expected T,B,H as in 35,20,200")
        sizes.append((numbers[0], numbers[1], numbers[2]))
    return sizes


@bench.command("cells")
@click.option("--cells", metavar="CELLS", help="As in a recipe: lstm,gru,{type: lstm, peephole: diagonal}.  [all]")
@click.option("--kernels", default="auto,reference", show_default=True, callback=_names, metavar="NAMES")
@click.option(
    "--sizes",
    multiple=True,
    default=(DEFAULT_SIZES,),
    show_default=True,
    callback=_sizes,
    metavar="T,B,H",
    help="Steps, sequences, hidden size; several with blanks between, or several times.",
)
@click.option("--device", default="auto", show_default=True, callback=_names, metavar="NAMES", help="cpu, cuda, auto.")
@click.option(
    "--against", type=click.Choice(["lstm", "gru"]), default="lstm", show_default=True, help="Layer of torch.nn."
)
@click.option("--ragged", is_flag=True, help="Lengths from T/4 to T, against packed and padded sequences.")
@click.option("--dtype", type=click.Choice(["fp32", "fp64", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option(
    "--matmul-precision",
    type=click.Choice(["auto", "highest", "high", "medium"]),
    default="auto",
    show_default=True,
    help="Of fp32 products, as in training.",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of one operation on a CPU.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=0.5, show_default=True, help="Of a turn."
)
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="cpu = time of this process on a CPU, which other load disturbs less.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Also write JSON here.")
def bench_cells(
    cells: str | None,
    kernels: list[str],
    sizes: list[tuple[int, int, int]],
    device: list[str],
    against: Literal["lstm", "gru"],
    ragged: bool,
    dtype: str,
    matmul_precision: Literal["auto", "highest", "high", "medium"],
    threads: int,
    rounds: int,
    seconds: float,
    clock: Literal["wall", "cpu"],
    seed: int,
    output: Path | None,
) -> None:
    """Time cells beside torch.nn.LSTM.

    Seconds of a forward and backward pass per real token, as a multiple of those of torch's own layer, which takes
    turns with the cells: the median over rounds, and the quartiles in brackets. Smaller is faster.
    """
    from seqapps.application import bench_results, benching

    if clock == "cpu" and any(name != "cpu" for name in device):
        raise UseError(f"--clock: cpu times a CPU only, --device is {','.join(device)}; add --device cpu")
    if output is not None and not output.parent.is_dir():
        raise UseError(f"--output: folder {str(output.parent)!r} is not there; make it first")
    wanted = benching.Bench(
        cells=_all_cells() if cells is None else _given_cells(cells),
        kernels=kernels,
        sizes=[benching.Size(*size) for size in sizes],
        devices=device,
        against=against,
        ragged=ragged,
        dtype=dtype,
        matmul_precision=matmul_precision,
        threads=threads,
        rounds=rounds,
        seconds=seconds,
        seed=seed,
    )
    groups = []
    for group in benching.bench_cells(wanted):
        groups.append(group)
        click.echo(f"{_heading(wanted, group)}\n\n{_table(group, clock)}\n")
    click.echo("\n".join(_notes(groups)))
    if output is not None:
        report = bench_results.as_report(wanted, groups)
        output.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf8")


def _given_cells(text: str) -> list[Spec]:
    from seqapps.recipe.components import read_components

    specs = read_components("cells", text, "--cells")
    if not specs:
        raise UseError(f"--cells: no cell is named; known: {', '.join(registry('cells'))}")
    return specs


def _all_cells() -> list[Spec]:
    """Every registered cell with its defaults; a plugin that is broken hides no other."""
    from seqapps.recipe.components import read_components

    specs = []
    for name in registry("cells"):
        try:
            specs += read_components("cells", name, "--cells")
        except UseError as error:
            click.echo(f"warning: {error}", err=True)
    return specs


def _heading(bench: Bench, group: Group) -> str:
    from seqapps.application.bench_results import processor

    lengths = f"lengths {min(group.lengths)} to {max(group.lengths)}" if bench.ragged else "equal lengths"
    threads = f"{bench.threads} thread" + ("s" if bench.threads > 1 else "")
    return (
        f"{group.size}, {lengths}, {group.device} ({processor(group.device)}), {threads}, {bench.dtype}, "
        f"matmul precision {group.matmul_precision}, {bench.rounds} rounds of {bench.seconds:g} s"
    )


def _table(group: Group, clock: Clock) -> str:
    """A line per contestant."""
    bases = group.contestants[: group.baselines]
    rows = [("cell", "kernel", *(f"x {base.cell}" for base in bases), "us/token", "first call, s")]
    for contestant in group.contestants:
        chosen = f" ({contestant.runs})" if contestant.kernel == "auto" else ""
        rows.append((contestant.cell, contestant.kernel + chosen, *_numbers(contestant, bases, clock)))
    return table(rows)


def _numbers(contestant: Contestant, bases: Sequence[Contestant], clock: Clock) -> list[str]:
    from seqapps.application.bench_results import quartiles, ratios

    if contestant.first_call_seconds is None:
        return ["-"] * (len(bases) + 2)
    cells = []
    for base in bases:
        low, middle, high = map(_three_digits, quartiles(ratios(contestant, base, clock)))
        cells.append("1" if base is contestant else f"{middle} ({low}-{high})")
    median = quartiles(contestant.times(clock))[1]
    return [*cells, _three_digits(1e6 * median), f"{contestant.first_call_seconds:.2f}"]


def _three_digits(value: float) -> str:
    """1.62, 0.0971, 12.3, 1480."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _notes(groups: Sequence[Group]) -> list[str]:
    """Why some were not measured or run step by step, and what was not measured at all."""
    contestants = [contestant for group in groups for contestant in group.contestants]
    lines = [f"- {c.cell} by {c.kernel} was not measured: {c.refused}" for c in contestants if c.refused]
    lines += [f"- {c.cell} runs step by step: {c.by_steps}" for c in contestants if c.by_steps]
    lines = list(dict.fromkeys(lines))
    if not any(group.device.startswith("cuda") for group in groups):
        lines.append("not measured on a GPU")
    return lines
