"""Components given as text on a command line are read as in a recipe."""

import pytest

from seqapps.errors import RecipeError
from seqapps.recipe.components import describe_spec, read_components


def test_names_and_mappings_are_read_with_all_fields():
    gru, lstm = read_components("cells", "gru, {type: lstm, peephole: true}", "--cells")
    assert (gru.kind, gru.name) == ("cells", "gru")
    assert (lstm.kind, lstm.name, lstm.fields) == ("cells", "lstm", {"peephole": True, "forget_bias": 0.0})
    assert read_components("cells", "", "--cells") == []


@pytest.mark.parametrize("text", ["lstm", "{type: lstm, peephole: true, forget_bias: 0.5}"])
def test_a_component_is_described_by_what_is_not_default_and_reads_back(text):
    (spec,) = read_components("cells", text, "--cells")
    assert describe_spec(spec) == text
    (defaults_written_out,) = read_components("cells", "{type: lstm, peephole: false}", "--cells")
    assert describe_spec(defaults_written_out) == "lstm"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lstm, lsmt", "--cells: unknown cell 'lsmt'; did you mean 'lstm'?"),
        (
            "{type: lstm, hidden_size: 3}",
            "--cells: 'hidden_size' of cell 'lstm' is supplied by the library, not set in a recipe; remove it",
        ),
        ("lstm]", "--cells: not YAML: expected '<document start>', but found ']'"),
    ],
)
def test_faults_name_the_option(text, message):
    with pytest.raises(RecipeError) as caught:
        read_components("cells", text, "--cells")
    assert str(caught.value) == message
