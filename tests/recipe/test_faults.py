"""What a recipe with faults gets: all of them at once, each with its position and what to do."""

import pytest

from seqapps.errors import RecipeError
from seqapps.recipe import load_recipe
from seqapps.registry import KINDS

EIGHT = """\
data:
  source: {type: wrods, lang: no}
  batching: {tokens: 4096, tokens: 2048}
model:
  embedder: {type: tokens, size: big}
  encoder: {type: recurrent, hiden_size: 200, dropout: 1.5}
  head: {type: tagging, scheme: bioe, column: upos}
training: {epochs: 0, seed: 1}
evalution: {samples: 10}
"""

WHOLE = """\
data:
  source: {type: words, files: [a.txt], lang: en}
  derive: {validation: 0.1}
  batching: {tokens: 2048}
model:
  embedder: {type: tokens, size: 100}
  encoder: {type: recurrent, hidden_size: 200, cell: gru}
  head: {type: tagging, column: upos}
training: {epochs: 3, stop: {patience: 4}}
"""


def test_a_recipe_with_eight_faults_prints_eight_lines(faults):
    assert faults(EIGHT) == [
        "r.yaml:2:18: unknown source 'wrods'; did you mean 'words'?",
        "r.yaml:3:28: key 'tokens' is given twice; first given in line 3, column 14; keep one",
        "r.yaml:5:34: expected an integer for 'size' of embedder 'tokens', got 'big'",
        "r.yaml:6:30: unknown field 'hiden_size' of encoder 'recurrent'; did you mean 'hidden_size'?",
        "r.yaml:6:56: 'dropout' of encoder 'recurrent': 1.5 is out of range; expected 0 to 1",
        "r.yaml:7:33: expected one of bio | bioes | bilou or null for 'scheme' of head 'tagging', got 'bioe';"
        " did you mean 'bioes'?",
        "r.yaml:8:20: 'epochs' of section 'training': 0 is out of range; expected a finite number above 0",
        "r.yaml:9:1: unknown section 'evalution' of the recipe; did you mean 'evaluation'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        # components
        ("cell: gru", "cell: lsmt", "7:54: unknown cell 'lsmt'; did you mean 'lstm'?"),
        ("cell: gru", "cell: {typ: gru}", "7:55: unknown field 'typ' of cell 'lstm'"),
        (
            "cell: gru",
            "cell: [gru]",
            "7:54: expected the name of a cell, or a mapping with 'type' for 'cell' of encoder",
        ),
        ("cell: gru", "cell: null", "7:54: expected the name of a cell, or a mapping with 'type'"),
        (
            "{type: tagging, column: upos}",
            "{column: upos}",
            "8:9: 'head' of section 'model' has no 'type', which names",
        ),
        (", column: upos", "", "8:9: head 'tagging' has no 'column', which is required"),
        (", column: upos", ", colum: upos", "8:25: unknown field 'colum' of head 'tagging'; did you mean 'column'?"),
        (
            "size: 100",
            "size: 1, vocabularies: 2",
            "6:37: 'vocabularies' of embedder 'tokens' is supplied by the library",
        ),
        (
            "cell: gru",
            "cell: {type: gru, hidden_size: 3}",
            "7:66: 'hidden_size' of cell 'gru' is supplied by the library",
        ),
        # scalars
        ("size: 100", "size: 1e2", "6:34: expected an integer for 'size' of embedder 'tokens', got 1e2; write 100"),
        ("size: 100", "size: 010", "got 010; write 10"),
        ("size: 100", 'size: "100"', "got the text '100'; remove the quotes"),
        ("size: 100", "size:", "got nothing"),
        ("size: 100", "size: null", "got null"),
        ("size: 100", "size: [100]", "got a list"),
        ("size: 100", "size: {a: 1}", "got a mapping"),
        (
            "lang: en",
            "lang:",
            "2:46: expected text for 'lang' of source 'words', got nothing; write \"\" for an empty text",
        ),
        ("lang: en", "lang: {}", "expected text for 'lang' of source 'words', got a mapping"),
        ("lang: en", "scale: 1e999", "expected a number for 'scale' of source 'words', got 1e999; it is larger than"),
        ("lang: en", "scale: .nan", "expected a number for 'scale' of source 'words', got '.nan'"),
        ("lang: en", "scale: 1.2.3", "got '1.2.3'"),
        (
            "files: [a.txt]",
            "files: a.txt",
            "expected a list of str for 'files' of source 'words', got 'a.txt'; write [a.txt]",
        ),
        (
            "cell: gru",
            "cell: {type: lstm, peephole: yes}",
            "expected true or false for 'peephole' of cell 'lstm', got 'yes'; write true",
        ),
        (
            "validation: 0.1",
            "validation: x",
            "3:24: expected a number for 'validation' in 'derive' of section 'data', got 'x'",
        ),
        # sections
        (
            "  batching: {tokens: 2048}",
            "  baching: {tokens: 1}",
            "4:3: unknown field 'baching' of section 'data'; did you",
        ),
        ("{tokens: 2048}", "{tokens: 1, sentences: 2}", "'tokens' is given as well; leave out all but one"),
        ("{tokens: 2048}", "{pool: 1}", "4:13: 'tokens' of section 'data.batching': none of 'tokens', 'sentences'"),
        ("{tokens: 2048}", "{tokens: -1}", "-1 is out of range"),
        ("validation: 0.1", "validation: 1.5", "validation: 1.5 is out of range; a share lies between 0 and 1"),
        ("validation: 0.1", "validation: 0.5, test: 0.5", "the shares sum to 1; nothing would be left"),
        ("validation: 0.1", "train: 0.5", "'train' is what splits are cut out of"),
        ("epochs: 3", "device: gpu", "'gpu' is no device; expected auto, cpu, cuda, cuda:N or mps"),
        ("epochs: 3", "seed: -1", "-1 is out of range; expected 0 to 4294967295"),
        ("epochs: 3", "clip_norm: .inf", "inf is out of range; expected a finite number above 0"),
        ("epochs: 3", "precision: fp8", "expected one of auto | fp32 | bf16 | fp16 for 'precision'"),
        ("{patience: 4}", "{patience: 0}", "9:40: 'patience' of section 'training.stop': 0 is out of range"),
        ("{patience: 4}", "4", "9:29: expected a mapping or null for 'stop' of section 'training', got 4"),
        # what a recipe has no use for
        ("upos}", "&a upos}", "8:33: anchor '&a' is not read; write the value out"),
        ("upos}", "*a}", "8:33: alias '*a' is not read; write the value out"),
        ("column:", "<<: {a: 1}, column:", "8:25: merge key '<<' is not read; write the fields out, or use extends"),
        ("upos}", "!!python/name:os.system x}", "8:33: tag '!!python/name:os.system' is not read; types are declared"),
        ("upos}", "!mine x}", "8:33: tag '!mine' is not read"),
        ("column:", "? [a] : b, column:", "a key is a mapping or a list; a key is a word"),
    ],
)
def test_a_fault_has_one_line_with_position_and_remedy(faults, old, new, fault):
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    lines = faults(text)
    assert len(lines) == 1, lines
    assert fault in lines[0]
    assert lines[0].startswith("r.yaml:")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "r.yaml:1:1: the recipe is empty; expected a mapping with the sections data, model, training, evaluation"),
        ("# nothing\n", "r.yaml:1:1: the recipe is empty"),
        ("{}", "r.yaml:1:1: the recipe is empty"),
        ("- a\n", "r.yaml:1:1: the recipe is a list"),
        ("hello", "r.yaml:1:1: the recipe is 'hello'"),
        ("a: [1, 2\nb: 3\n", "r.yaml:2:2: not YAML while parsing a flow sequence that begins in line 1: expected"),
        ("a:\n\tb: 3\n", "r.yaml:2:1: not YAML while scanning for the next token: found character '\\t'"),
        ("a: b: c\n", "r.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2:1: a second document begins here; a recipe is one document"),
        (b"a: 1\nb: caf\xe9\n", "r.yaml:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"a: 1\nb: \x00\n", "r.yaml:2:4: character U+0000 is not allowed in YAML; remove it"),
        ("[" * 400 + "]" * 400, "r.yaml:1:51: not YAML: nested more than 50 levels deep"),
        ("training: {}", "r.yaml:1:1: the recipe has no 'data', which is required"),
    ],
)
def test_what_is_no_recipe_at_all_is_said_in_one_line(faults, text, line):
    assert any(found.startswith(line) for found in faults(text))


def test_a_file_that_is_not_there_is_a_fault(tmp_path):
    with pytest.raises(RecipeError) as error:
        load_recipe(tmp_path / "none.yaml")
    assert str(error.value) == f"{tmp_path / 'none.yaml'}: no such file"
    with pytest.raises(RecipeError, match="is a folder, expected a recipe file"):
        load_recipe(tmp_path)


def test_a_near_miss_is_not_reported_as_missing_as_well(faults):
    assert faults(WHOLE.replace("hidden_size", "hiden_size")) == [
        "r.yaml:7:30: unknown field 'hiden_size' of encoder 'recurrent'; did you mean 'hidden_size'?"
    ]
    assert faults(WHOLE.replace("model:", "modl:")) == [
        "r.yaml:5:1: unknown section 'modl' of the recipe; did you mean 'model'?"
    ]


def test_a_fault_elsewhere_does_not_hide_what_a_component_checks(faults):
    lines = faults(WHOLE.replace("cell: gru", "cell: gro, dropout: 2"))
    assert [line.split(": ")[0] for line in lines] == ["r.yaml:7:54", "r.yaml:7:68"]


def test_a_component_that_cannot_be_imported_is_a_fault_at_its_name(faults, monkeypatch):
    class Point:
        name, value, group = "broken", "nowhere.at:All", "seqapps.cells"

        def load(self):
            raise ImportError("no module named 'nowhere'")

    from seqapps.registry import Entry

    entry = Entry("cells", "broken", "nowhere.at:All", "snapped", "1.0")
    monkeypatch.setattr(KINDS["cells"], "_installed", {"broken": [(entry, Point())]})
    assert faults(WHOLE.replace("cell: gru", "cell: {type: broken, x: 1}").replace("epochs: 3", "epochs: -3")) == [
        "r.yaml:7:61: cell 'broken' of snapped 1.0 cannot be imported (nowhere.at:All):"
        " ImportError: no module named 'nowhere'",
        "r.yaml:9:20: 'epochs' of section 'training': -3 is out of range; expected a finite number above 0",
    ]


def test_an_annotation_that_no_recipe_can_hold_is_its_authors_fault(faults):
    (line,) = faults(WHOLE.replace("{type: words, files: [a.txt], lang: en}", "unusual"))
    assert line.startswith("r.yaml:2:11: source 'unusual' of this process: field 'when' is annotated complex, which no")


def test_a_default_component_that_is_not_there_is_a_fault_where_it_is_needed(faults, monkeypatch):
    monkeypatch.setattr(KINDS["cells"], "_local", {})
    assert faults(WHOLE.replace(", cell: gru", "")) == ["r.yaml:7:12: unknown cell 'lstm'; none is known"]
