"""`seqapps diagnose`."""

from __future__ import annotations

from pathlib import Path

import click

from seqapps.cli import options

__all__ = ["diagnose"]


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--split", metavar="NAME", help="Split of the runs' data; validation, where there is one, unless given.")
@click.option("--sequences", type=click.IntRange(min=1), default=100, show_default=True, help="How many are looked at.")
@click.option(
    "--token",
    type=int,
    default=-1,
    show_default=True,
    help="Whose loss is followed back, as each direction reads: -1 the last token, 0 the first.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Page with all runs in the same pictures; diagnostics.html for several runs unless given.",
)
@options.data_root
@options.as_json
def diagnose(
    runs: tuple[Path, ...],
    split: str | None,
    sequences: int,
    token: int,
    output: Path | None,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Look into the memory of recurrent models: gradients through time, Jacobians, gates.

    Writes diagnostics.json to each run's folder and a section to its report; of several runs also one page that
    compares them. The table gives the gradient's norm so many steps before the token, relative to that at the token;
    by what it is multiplied a step on average, where it falls below a thousandth, and medians of the largest singular
    value and the spectral radius of a step's Jacobian.
    """
    from seqapps.application import diagnose as diagnose_runs
    from seqapps.cli.table import table
    from seqapps.report.diagnostic_table import format_diagnostics

    if output is None and len(runs) > 1:
        output = Path("diagnostics.html")
    found = diagnose_runs(runs, split=split, sequences=sequences, token=token, data_root=data_root, output=output)
    if as_json:
        options.echo_json(found)
        return
    click.echo(table(format_diagnostics(found)))
    for diagnosis in found:
        name = f"{diagnosis['name']}: " if len(found) > 1 else ""
        clipping = diagnosis["clipping"]
        if clipping:
            click.echo(f"{name}clipped to {clipping['limit']:g} in {100 * clipping['share']:.1f} % of training steps")
        for alarm in diagnosis["alarms"] or ["nothing to report"]:
            click.echo(f"{name}{alarm}")
    for run in runs:
        click.echo(str(run / ("report.html" if (run / "report.html").is_file() else "diagnostics.json")))
    if output is not None:
        click.echo(str(output))
