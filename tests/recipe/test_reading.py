"""What a recipe means: scalars by declared type, components, defaults, positions."""

import pytest

from seqapps.recipe import Mark, Spec, load_recipe
from seqapps.recipe.recipe import Batching
from seqapps.registry import KINDS, Registry

WHOLE = """\
data:
  source: {type: words, files: [a.txt, "b c.txt"], lang: no, scale: 3}
  batching: {sentences: 32}
model:
  embedder:
    type: tokens
    size: 100
    characters: {type: tokens, size: 50}
    stack: [{type: tokens, size: 1}, {type: tokens, size: 2}]
  encoder: {type: recurrent, hidden_size: 200, cell: gru, dropout: 0.33}
  head: {type: tagging, column: 1.10, scheme: bio}
training: {optimizer: {type: adam, lr: 2e-3}, stop: {patience: 4}}
"""


def test_every_value_is_read_as_its_declared_type(read):
    recipe = read(WHOLE)
    assert recipe.data.source == Spec(
        "sources", "words", {"files": ["a.txt", "b c.txt"], "lang": "no", "scale": 3.0, "title": None}
    )
    assert recipe.data.batching == Batching(sentences=32)
    assert recipe.model.encoder.fields["cell"] == Spec("cells", "gru", {"reset": "after"})
    assert recipe.model.embedder.fields["characters"].fields["size"] == 50
    assert [spec.fields["size"] for spec in recipe.model.embedder.fields["stack"]] == [1, 2]
    assert recipe.model.head.fields == {"column": "1.10", "scheme": "bio"}
    assert recipe.training.optimizer.fields["lr"] == 0.002
    assert recipe.training.stop.patience == 4
    assert recipe.name == "r"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("2e-3", 0.002),
        ("1e3", 1000.0),
        ("-1", -1.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000.5", 1000.5),
        ("-.inf", -float("inf")),
    ],
)
def test_a_number_is_read_in_every_usual_spelling(read, setting, value):
    scale = read(WHOLE, f"data.source.scale={setting}").data.source.fields["scale"]
    assert scale == value
    assert type(scale) is float


@pytest.mark.parametrize(
    ("setting", "value"),
    [("null", None), ("~", None), ("", None), ('"null"', "null"), ("'~'", "~"), ('""', ""), ("no", "no"), ("12", "12")],
)
def test_only_an_unquoted_null_means_nothing(read, setting, value):
    assert read(WHOLE, f"data.source.title={setting}").data.source.fields["title"] == value


@pytest.mark.parametrize("text", ["no", "null", "true", "0x1F", "1.10", "2020-01-01", "~", "010", "1:30"])
def test_text_is_taken_literally(read, text):
    assert read(WHOLE, f"data.source.lang={text}").data.source.fields["lang"] == text


def test_a_default_component_is_completed_with_its_own_defaults(read):
    recipe = read()
    assert recipe.model.encoder.fields["cell"] == Spec("cells", "lstm", {"peephole": False, "forget_bias": 1.0})
    assert recipe.training.optimizer == Spec("optimizers", "adam", {"lr": 0.001, "betas": [0.9, 0.999]})
    assert recipe.training.schedule == Spec("schedules", "constant", {})
    assert recipe.data.batching == Batching(tokens=4096)


def test_fields_without_a_type_belong_to_the_default_component(read):
    recipe = read(WHOLE.replace("type: adam, ", "").replace("cell: gru", "cell: {peephole: true}"))
    assert recipe.training.optimizer.name == "adam"
    assert recipe.training.optimizer.fields["lr"] == 0.002
    assert recipe.model.encoder.fields["cell"].fields == {"peephole": True, "forget_bias": 1.0}


def test_a_named_component_starts_from_the_defaults_of_its_signature(read):
    recipe = read(WHOLE, "model.encoder.cell=lstm")
    assert recipe.model.encoder.fields["cell"].fields["forget_bias"] == 0.0


def test_origins_say_where_each_value_stands(read, tmp_path):
    recipe = read(WHOLE, "training.epochs=3", "model.encoder.cell=lstm")
    file = str(tmp_path / "r.yaml")
    assert recipe.origins["model.encoder.hidden_size"] == Mark(file, 10, 43)
    assert recipe.origins["model.embedder.stack.1.size"] == Mark(file, 9, 59)
    assert str(recipe.origins["training.epochs"]) == "--set training.epochs"
    assert recipe.origins["model.encoder.cell"] == recipe.model.encoder.fields["cell"].mark
    assert str(recipe.origins["model.encoder.cell.peephole"]) == "default"
    assert str(recipe.origins["evaluation.samples"]) == "default"


def test_a_byte_order_mark_is_no_part_of_the_recipe(read):
    assert read(b"\xef\xbb\xbf" + WHOLE.encode()).name == "r"


def test_reading_imports_only_the_components_that_are_named(read, monkeypatch):
    loaded = []
    load = Registry.load
    monkeypatch.setattr(Registry, "load", lambda self, name: loaded.append(name) or load(self, name))
    read(WHOLE)
    assert set(loaded) == {"words", "whitespace", "tokens", "recurrent", "gru", "tagging", "adam", "constant"}
    assert "lstm" in KINDS["cells"]


def test_a_path_may_be_given_as_text(write):
    assert load_recipe(str(write())).name == "r"
