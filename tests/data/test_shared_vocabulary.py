"""One vocabulary of two columns."""

from datasets import Dataset

from seqapps.data.indexed import read_forms
from seqapps.data.requests import Request, merge_requests, sharing
from seqapps.data.resources import Resources

ROWS = {
    "tokens": [["a", "b", "c"], ["b", "d"]],
    "target": [["b", "x"], ["a", "x", "x"]],
    "tags": [["a"] * 3, ["b"] * 2],
}
WRITTEN = Request("target", "target", "target", frame="sentence", shared=True)


def built(*further, written=WRITTEN, words=None):
    read = [Request("tokens", "tokens"), Request("pieces", "tokens", "character"), Request("tags", "tags"), *further]
    columns = read_forms(Dataset.from_dict(ROWS), list(ROWS), "train", (), {"target"})
    return Resources.build(merge_requests([*read, written]), columns, words)


def test_symbols_are_counted_over_both_columns_behind_the_marks_of_the_text_that_is_written():
    resources = built()
    vocabulary = resources.vocabularies["target"]
    assert vocabulary.symbols == ["<pad>", "<unk>", "<bos>", "<eos>", "b", "x", "a", "c", "d"]
    assert vocabulary.counts == [0, 0, 0, 0, 3, 3, 2, 1, 1]
    assert resources.vocabularies["tokens"] is vocabulary
    assert sharing(resources.requests) == ["target", "tokens"]


def test_what_is_no_token_of_the_text_that_is_read_keeps_its_own():
    vocabularies = built().vocabularies
    assert "<bos>" not in vocabularies["pieces"]
    assert vocabularies["tags"].symbols == ["<pad>", "<unk>", "a", "b"]
    assert "x" not in built(written=WRITTEN._replace(shared=False)).vocabularies["tokens"]


def test_rare_symbols_are_left_out_by_their_frequency_in_both():
    assert built(written=WRITTEN._replace(min_frequency=2)).vocabularies["tokens"].symbols[4:] == ["b", "x", "a"]
    assert built(written=WRITTEN._replace(max_size=1)).vocabularies["tokens"].symbols[4:] == ["b"]


def test_words_of_a_file_of_vectors_join_both_sides():
    vocabularies = built(words={"tokens": ["new", "b"]}).vocabularies
    assert vocabularies["target"].symbols[-1] == "new"
    assert vocabularies["tokens"] is vocabularies["target"]


def test_a_shared_vocabulary_is_saved_for_both():
    saved = Resources.from_json(built().to_json())
    assert saved.vocabularies["tokens"].symbols == saved.vocabularies["target"].symbols
    assert saved.requests["target"].shared
