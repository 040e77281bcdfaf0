"""A dumped recipe is complete and reads as the same recipe."""

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqapps.recipe import dump_recipe, load_recipe
from seqapps.recipe.dumping import dump_value
from seqapps.recipe.nodes import Faults, MappingNode, Scalar, parse

RECIPE = """\
data:
  source: {type: words, files: [a.txt], title: "null"}
  columns: {tokens: form, "yes": "a: b"}
model:
  embedder: {type: tokens, size: 100, stack: [{type: tokens, size: 1}]}
  encoder: {type: recurrent, hidden_size: 200, cell: gru}
  head: {type: tagging, column: upos}
training: {optimizer: {type: adam, lr: 1e-5}, stop: {patience: 4}}
"""

COMPLETE = """\
data:
  source:
    type: words
    files: [a.txt]
    lang: en
    scale: 1.0
    title: "null"
  columns:
    tokens: form
    "yes": "a: b"
  derive: {}
  batching:
    tokens: 4096
    sentences: null
    streams: null
    window: 35
    random_windows: false
    pool: 50
  limit: null
  max_length: null
  kept: first
  tokenizer: whitespace
  tokenizers: {}
model:
  embedder:
    type: tokens
    size: 100
    characters: null
    stack:
    - {type: tokens, size: 1, characters: null, stack: []}
  encoder:
    type: recurrent
    hidden_size: 200
    cell:
      type: gru
      reset: after
    num_layers: 1
    dropout: 0.0
  head:
    type: tagging
    column: upos
    scheme: null
"""


def test_every_default_is_written(read):
    text = dump_recipe(read(RECIPE))
    assert text.startswith(COMPLETE)
    assert "    lr: 1e-05\n" in text
    assert "  stop:\n    patience: 4\n    metric: null\n" in text


def test_a_dumped_recipe_reads_as_the_same_recipe(read, write):
    recipe = read(RECIPE)
    again = load_recipe(write(dump_recipe(recipe), "again.yaml"))
    assert again == recipe
    assert dump_recipe(again) == dump_recipe(recipe)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lr=st.floats(allow_nan=False),
    lang=TEXT,
    title=st.none()
    | TEXT
    | st.sampled_from(["null", "~", "", "no", "1e3", ".inf", "- a", "#", "a #b", "'", "\x85", "\ufeff"]),
    files=st.lists(TEXT, max_size=3),
    size=st.integers(),
    columns=st.dictionaries(TEXT, TEXT, max_size=3),
)
def test_scalars_survive_exactly(read, write, lr, lang, title, files, size, columns):
    recipe = read(RECIPE)
    given = {"files": files, "lang": lang, "scale": lr, "title": title}
    recipe.data.source.fields.update(given)
    recipe.model.embedder.fields["size"] = size
    recipe.data.columns.clear()
    recipe.data.columns.update(columns)
    again = load_recipe(write(dump_recipe(recipe), "again.yaml"))
    assert again == recipe
    assert list(again.data.source.fields.items()) == list(given.items())
    assert repr(again.data.source.fields["scale"]) == repr(lr)


@given(TEXT)
def test_text_reads_the_same_for_any_yaml_reader(text):
    """Where a value is copied out of a recipe, another reader must see the text too, not a number or a truth value."""
    assert yaml.safe_load(f"- {dump_value(text)}") == [text]
    assert yaml.safe_load(f"[{dump_value(text)}]") == [text]
    root = parse(f"{{{dump_value(text)}: 1}}", "x", faults := Faults())
    assert not faults
    assert isinstance(root, MappingNode)
    assert [(key, entry.value) for key, entry in root.entries.items()] == [
        (text, Scalar("1", True, entry.value.mark)) for entry in root.entries.values()
    ]
