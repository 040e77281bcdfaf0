"""The command line is tested against a stand-in of `seqapps.application`, which records how it is called."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click.testing
import pytest

from seqapps.cli.main import main

REPORT = {
    "headline": "accuracy",
    "metrics": {
        "accuracy": {"value": 0.92814, "interval": [0.924, 0.932], "confidence": 0.95, "unit": "fraction"},
        "accuracy_out_of_vocabulary": {"value": None, "interval": None, "confidence": None, "unit": "fraction"},
        "perplexity": {"value": 31.5, "interval": None, "confidence": None, "unit": "per token"},
    },
}


class UpperCase:
    """A predictor that reads lines and shouts them."""

    def read(self, stream: BinaryIO, format: str, name: str) -> Iterator[str]:
        for line in stream:
            yield line.decode().rstrip("\n")

    def stream(self, examples: Iterator[str], *, window: int = 2048) -> Iterator[str]:
        return (example.upper() for example in examples)

    def write(self, prediction: str, format: str) -> str:
        return f"{prediction} {format}\n"


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`application.calls` lists (function, arguments); tests may replace its functions."""
    fake: Any = types.ModuleType("seqapps.application")
    fake.calls = []

    def recorded(name: str, result: Any) -> Callable[..., Any]:
        def function(*args: Any, **options: Any) -> Any:
            fake.calls.append((name, args, options))
            return result

        return function

    fake.run = recorded("run", types.SimpleNamespace(path=Path("runs/r"), read_json={"report.json": REPORT}.get))
    fake.evaluate = recorded("evaluate", REPORT)
    fake.report = recorded("report", Path("runs/r/report.html"))
    fake.load = recorded("load", UpperCase())
    fake.plan = recorded("plan", {"parameters": 12})
    fake.format_plan = lambda plan: f"{plan['parameters']} parameters"
    fake.missing_data = recorded("missing_data", [])
    monkeypatch.setitem(sys.modules, "seqapps.application", fake)
    return fake


@pytest.fixture
def seqapps() -> Callable[..., click.testing.Result]:
    """Call the command line in this process."""

    def call(*arguments: str, input: str | bytes | None = None) -> click.testing.Result:
        return click.testing.CliRunner().invoke(main, arguments, input=input, prog_name="seqapps")

    return call
