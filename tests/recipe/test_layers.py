"""`extends` and `--set`: what is put on top of what, and where the faults of each layer are placed."""

import pytest

from seqapps.recipe import Spec, load_recipe
from seqapps.recipe.layers import bases

BASE = """\
data: {source: {type: words, lang: de}, batching: {tokens: 100}}
model:
  embedder: {type: tokens, size: 100}
  encoder: {type: recurrent, hidden_size: 200, cell: {type: lstm, peephole: true}}
  head: {type: tagging, column: upos}
training: {stop: null}
"""


def cell(recipe):
    return recipe.model.encoder.fields["cell"]


@pytest.fixture
def extend(write):
    """Read a recipe that extends BASE."""

    def extend(text, *settings):
        write(BASE, "base.yaml")
        return load_recipe(write(f"extends: base.yaml\n{text}"), settings)

    return extend


def test_mappings_are_merged_and_the_rest_is_replaced(extend):
    recipe = extend("data: {source: {lang: nl}}\ntraining: {epochs: 3}\n")
    assert recipe.data.source.fields["lang"] == "nl"
    assert recipe.data.batching.tokens == 100
    assert recipe.training.epochs == 3
    assert recipe.name == "r"


def test_a_component_with_the_same_type_is_merged(extend):
    text = "model: {encoder: {cell: {type: lstm, forget_bias: 2}}}\n"
    assert cell(extend(text)).fields == {"peephole": True, "forget_bias": 2.0}


@pytest.mark.parametrize("new", ["gru", "{type: gru}"])
def test_a_component_with_another_type_replaces_all_fields(extend, new):
    assert cell(extend(f"model: {{encoder: {{cell: {new}}}}}\n")) == Spec("cells", "gru", {"reset": "after"})


def test_a_section_can_be_put_where_there_was_null(extend):
    assert extend("training: {stop: {patience: 2}}\n").training.stop.patience == 2


def test_extending_goes_through_folders_and_chains(write, tmp_path):
    (tmp_path / "sub").mkdir()
    write(BASE, "base.yaml")
    middle = write("extends: ../base.yaml\ntraining: {epochs: 5, seed: 5}\n", "sub/middle.yaml")
    top = write("extends: sub/middle.yaml\ntraining: {epochs: 7}\n")
    training = load_recipe(top).training
    assert (training.epochs, training.seed) == (7, 5)
    assert bases(top) == [middle, tmp_path / "sub" / ".." / "base.yaml"]


def test_a_fault_points_into_the_file_that_has_it_and_files_come_in_order(write, faults):
    write(BASE.replace("size: 100", "size: big"), "base.yaml")
    assert faults("extends: base.yaml\ntraining: {epochs: x}\n", "training.seed=y", "a=1") == [
        "r.yaml:2:20: expected an integer for 'epochs' of section 'training', got 'x'",
        "base.yaml:3:34: expected an integer for 'size' of embedder 'tokens', got 'big'",
        "--set training.seed: expected an integer for 'seed' of section 'training', got 'y'",
        "--set a: unknown section 'a' of the recipe; known: data, evaluation, model, training",
    ]


def test_a_cycle_is_a_fault(write, faults):
    write("extends: r.yaml\n", "base.yaml")
    assert faults("extends: base.yaml\n") == [
        "base.yaml:1:10: r.yaml extends itself: r.yaml -> base.yaml -> r.yaml; remove one 'extends'"
    ]


def test_a_base_that_is_not_there_is_a_fault_where_it_is_named(faults):
    assert faults("extends: none.yaml\n") == ["r.yaml:1:10: none.yaml: no such file"]
    assert faults("extends: [a]\n") == [
        "r.yaml:1:10: 'extends' holds something else than a file name; expected extends: FILE"
    ]


def test_setting_a_component_replaces_it(read):
    assert cell(read(BASE, "model.encoder.cell=gru")) == Spec("cells", "gru", {"reset": "after"})
    assert cell(read(BASE, "model.encoder.cell.type=gru")) == Spec("cells", "gru", {"reset": "after"})


def test_setting_a_field_of_a_bare_component_keeps_its_name(read):
    recipe = read(BASE, "model.encoder.cell=lstm", "model.encoder.cell.forget_bias=1")
    assert cell(recipe) == Spec("cells", "lstm", {"peephole": False, "forget_bias": 1.0})


def test_settings_are_applied_in_order(read):
    assert read(BASE, "training.epochs=1", "training.epochs=2").training.epochs == 2


def test_a_setting_reaches_into_what_the_file_leaves_out(read):
    recipe = read(BASE, "training.optimizer.lr=0.5", "training.stop.patience=3", "evaluation.samples=7")
    assert recipe.training.optimizer == Spec("optimizers", "adam", {"lr": 0.5, "betas": [0.9, 0.999]})
    assert recipe.training.stop.patience == 3
    assert recipe.evaluation.samples == 7


def test_the_value_of_a_setting_is_yaml(read):
    recipe = read(BASE, "data.source={type: words, files: [a, b]}", "training.max_steps=null", "data.source.title=a=b")
    assert recipe.data.source.fields["files"] == ["a", "b"]
    assert recipe.data.source.fields["title"] == "a=b"


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("training.epochs", "--set training.epochs: expected KEY=VALUE"),
        ("training..epochs=1", "--set training..epochs: expected KEY=VALUE"),
        (
            "model.encodr.cell=gru",
            "--set model.encodr.cell: unknown field 'encodr' of section 'model'; did you mean 'enc",
        ),
        (
            "model.encoder.cel=gru",
            "--set model.encoder.cel: unknown field 'cel' of encoder 'recurrent'; did you mean 'cell'",
        ),
        ("trainig.epochs=1", "--set trainig.epochs: unknown section 'trainig' of the recipe; did you mean 'training'?"),
        ("model.encoder.cell=lsmt", "--set model.encoder.cell: unknown cell 'lsmt'; did you mean 'lstm'?"),
        ("model.encoder.cell={type: gru, x: 1}", "--set model.encoder.cell: unknown field 'x' of cell 'gru'"),
        (
            "model.encoder.dropout=2",
            "--set model.encoder.dropout: 'dropout' of encoder 'recurrent': 2.0 is out of range",
        ),
        ("training.epochs=[1", "--set training.epochs: not YAML while parsing a flow sequence: expected ',' or ']'"),
        (
            "model.freeze.0=x",
            "--set model.freeze.0: expected a list of str for 'freeze' of section 'model', got a mapping",
        ),
        ("training.epochs=*a", "--set training.epochs: alias '*a' is not read; write the value out"),
        ("extends=x.yaml", "--set extends: unknown section 'extends'"),
    ],
)
def test_a_fault_of_a_setting_names_the_setting(faults, setting, line):
    lines = faults(BASE, setting)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_a_list_is_set_as_a_whole(faults):
    text = BASE + "evaluation: {splits: [test]}\n"
    assert faults(text, "evaluation.splits.0=x") == [
        "--set evaluation.splits.0: '0' cannot be set inside a list; set the whole list"
    ]
