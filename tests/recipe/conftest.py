"""Recipes are read here with toy components only, so that no test depends on what happens to be installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from seqapps.recipe import Recipe, Spec, load_recipe
from seqapps.registry import KINDS


class Words:
    def __init__(self, *, files: list[str] = (), lang: str = "en", scale: float = 1, title: str | None = None): ...


class Whitespace: ...


class Tokens:
    def __init__(
        self,
        vocabularies: Mapping[str, NotImported],  # noqa: F821 - as with an import under TYPE_CHECKING
        /,
        *,
        size: int,
        characters: Annotated[Spec, "embedders"] | None = None,
        stack: list[Annotated[Spec, "embedders"]] = (),
    ): ...


class LSTM:
    def __init__(self, input_size: int, hidden_size: int, /, *, peephole: bool = False, forget_bias: float = 0.0): ...


class GRU:
    def __init__(self, input_size: int, hidden_size: int, /, *, reset: Literal["after", "before"] = "after"): ...


FORGETFUL = Spec("cells", "lstm", {"forget_bias": 1})


class Recurrent:
    def __init__(
        self,
        input_size: int,
        /,
        *,
        hidden_size: int,
        cell: Annotated[Spec, "cells"] = FORGETFUL,
        num_layers: int = 1,
        dropout: float = 0.0,
    ): ...

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        return (
            [] if 0 <= fields["dropout"] < 1 else [("dropout", f"{fields['dropout']} is out of range; expected 0 to 1")]
        )


class Tagging:
    def __init__(self, encoder: Any, /, *, column: str, scheme: Literal["bio", "bioes", "bilou"] | None = None): ...


class Adam:
    def __init__(self, parameters: Any, /, *, lr: float = 1e-3, betas: list[float] = (0.9, 0.999)): ...


class Constant: ...


class Unusual:
    def __init__(self, *, when: complex): ...


TOYS = {
    "sources": {"words": Words, "unusual": Unusual},
    "tokenizers": {"whitespace": Whitespace},
    "embedders": {"tokens": Tokens},
    "cells": {"lstm": LSTM, "gru": GRU},
    "encoders": {"recurrent": Recurrent},
    "heads": {"tagging": Tagging},
    "optimizers": {"adam": Adam},
    "schedules": {"constant": Constant},
}

SMALLEST = """\
data:
  source: words
model:
  embedder: {type: tokens, size: 100}
  encoder: {type: recurrent, hidden_size: 200}
  head: {type: tagging, column: upos}
"""


@pytest.fixture(autouse=True)
def toy_components(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, registry in KINDS.items():
        monkeypatch.setattr(registry, "_local", dict(TOYS.get(kind, {})))
        monkeypatch.setattr(registry, "_installed", {})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a recipe file; by default one with nothing but what is required."""

    def write(text: str | bytes = SMALLEST, name: str = "r.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[..., Recipe]:
    """Read a recipe text with settings."""

    def read(text: str | bytes = SMALLEST, *settings: str) -> Recipe:
        return load_recipe(write(text), settings)

    return read


@pytest.fixture
def faults(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """The lines that reading a recipe ends with, the file called r.yaml."""
    from seqapps.errors import RecipeError

    monkeypatch.chdir(tmp_path)

    def faults(text: str | bytes = SMALLEST, *settings: str) -> list[str]:
        write(text)
        with pytest.raises(RecipeError) as error:
            load_recipe("r.yaml", settings)
        return str(error.value).splitlines()

    return faults
