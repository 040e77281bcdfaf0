"""Signatures as schemas."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest

from seqapps.recipe import Spec, describe_fields
from seqapps.recipe.reading import load_recipe
from seqapps.recipe.recipe import Batching
from seqapps.recipe.schema import FieldTypeError
from seqapps.registry import KINDS


@dataclass(frozen=True, kw_only=True)
class Noise:
    rate: float
    kinds: list[str] = field(default_factory=lambda: ["swap"])


class Everything:
    def __init__(
        self,
        *,
        number: int,
        rate: float = 0.1,
        either: int | str = "auto",
        mode: Literal["a b", "b"] | None = None,
        share: float | Literal["all"] = "all",
        cell: Annotated[Spec, "cells"] = Spec("cells", "lstm"),  # noqa: B008
        layers: list[Annotated[Spec, "cells"]] = (),
        names: dict[str, list[int]] = {},  # noqa: B006
        pair: tuple[float, ...] = (1, 2),
        noise: Noise | None = None,
        level: Literal[1, 2] = 1,
    ): ...


def test_fields_are_described_with_type_and_default():
    assert [tuple(line) for line in describe_fields(Everything)] == [
        ("number", "int", "required"),
        ("rate", "float", "0.1"),
        ("either", "int | str", "auto"),
        ("mode", "a b | b | null", "null"),
        ("share", "float | all", "all"),
        ("cell", "cell", "lstm"),
        ("layers", "list[cell]", "[]"),
        ("names", "dict[str, list[int]]", "{}"),
        ("pair", "list[float]", "[1, 2]"),
        ("noise", "Noise | null", "null"),
        ("level", "1 | 2", "1"),
    ]


def test_sections_are_described_too():
    assert describe_fields(Batching)[-1] == ("pool", "int", "50")
    assert describe_fields(Noise)[1] == ("kinds", "list[str]", "[swap]")


MODEL = """\
model:
  embedder: {type: tokens, size: 1}
  encoder: {type: recurrent, hidden_size: 1}
  head: {type: tagging, column: x}
"""


@pytest.fixture
def read_everything(write, monkeypatch):
    """Read fields of `Everything` from text; returns them."""
    monkeypatch.setitem(KINDS["sources"]._local, "everything", Everything)

    def read(fields):
        source = f"data: {{source: {{type: everything, number: 1, {fields}}}}}\n"
        return load_recipe(write(source + MODEL)).data.source.fields

    return read


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("either: 3", "either", 3),
        ('either: "3"', "either", "3"),
        ("either: three", "either", "three"),
        ("mode: a b", "mode", "a b"),
        ("mode: ~", "mode", None),
        ("share: all", "share", "all"),
        ("share: 1", "share", 1.0),
        ("level: 2", "level", 2),
        ("names: {a: [1, 2], 1.0: []}", "names", {"a": [1, 2], "1.0": []}),
        ("pair: [3]", "pair", (3.0,)),
        (
            "layers: [gru, {type: gru, reset: before}]",
            "layers",
            [Spec("cells", "gru", {"reset": "after"}), Spec("cells", "gru", {"reset": "before"})],
        ),
        ("noise: {rate: 1}", "noise", Noise(rate=1.0, kinds=["swap"])),
    ],
)
def test_values_are_read_by_their_annotation(read_everything, text, name, value):
    found = read_everything(text)[name]
    assert found == value
    assert type(found) is type(value)


def test_defaults_are_what_reading_them_would_give(read_everything):
    fields = read_everything("rate: 0.5")
    assert fields["layers"] == []
    assert fields["pair"] == (1.0, 2.0)
    assert type(fields["pair"][0]) is float


@pytest.mark.parametrize(
    "annotation", [complex, set[str], dict[int, str], list, Annotated[int, "cells"] | object, "Missing"]
)
def test_an_annotation_outside_of_what_a_recipe_can_hold_is_an_error(annotation):
    class Wrong:
        def __init__(self, *, field=1): ...

    Wrong.__init__.__annotations__["field"] = annotation
    with pytest.raises(FieldTypeError, match="field 'field' is annotated"):
        describe_fields(Wrong)


def test_a_field_without_annotation_is_an_error():
    class Wrong:
        def __init__(self, *, field=1): ...

    with pytest.raises(FieldTypeError, match="field 'field' has no annotation"):
        describe_fields(Wrong)
