"""`seqapps`: finds sub-commands through the registry and turns errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use, recipe or data, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import traceback
from typing import IO, Any

import click

from seqapps.errors import ComponentError, RecipeError, SeqappsError
from seqapps.registry import registry

__all__ = ["main"]

POSITIONED = re.compile(r"\S[^\s:]*:\d+(:\d+)?: ")


class _ShownError(click.ClickException):
    """A SeqappsError on its way to the user: its message, without a traceback, and its exit code."""

    def __init__(self, error: SeqappsError):
        super().__init__(str(error))
        self.error = error
        self.prefix = "" if isinstance(error, RecipeError) or POSITIONED.match(self.message) else "error: "

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return self.error.exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.prefix + self.message, file=file, err=file is None)


def _spin_less() -> None:
    """Threads that wait spin for some tenths of a millisecond, not for several, unless the user says for how long.

    On a machine that does other work the one waited for may not be running: of two threads on two busy cores, steps of
    a small model took seventy times as long. On an idle one it makes no difference. GNU's OpenMP, which torch has on
    Linux, reads it when torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


class _Commands(click.Group):
    """Sub-commands by entry point. Help imports those of seqapps itself, others only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return registry("commands").names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name.startswith("-"):
            return None  # an option that is not known; click says so
        command = registry("commands").load(cmd_name)
        if not isinstance(command, click.Command):
            owner = registry("commands").entry(cmd_name).owner
            raise ComponentError(
                f"command {cmd_name!r} of {owner} is no click command; decorate it with @click.command()"
            )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self._help_line(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _help_line(self, ctx: click.Context, name: str) -> str:
        try:
            owner = registry("commands").entry(name)
        except ComponentError as error:
            return str(error)
        if owner.distribution != "seqapps":
            return f"from {owner.owner}"
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=100) if command else ""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SeqappsError as error:
            if not ctx.params["traceback"]:
                raise _ShownError(error) from error
            traceback.print_exception(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            if ctx.params["traceback"]:
                traceback.print_exc()
            click.echo("interrupted", err=True)
            ctx.exit(130)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="Show where an error was raised.")
@click.version_option(package_name="seqapps", message="%(prog)s %(version)s")
def main(traceback: bool) -> None:
    """Recurrent sequence models from recipes: train, evaluate, predict.

    \b
    seqapps cp pos_bilstm            copy a recipe to start from
    seqapps run pos_bilstm.yaml      train, evaluate, report
    seqapps predict runs/pos_bilstm  tag what comes on standard input
    """
    _spin_less()
