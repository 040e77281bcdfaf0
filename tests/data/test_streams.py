import numpy as np
import pytest
import torch
from datasets import Dataset

from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, framed
from seqapps.data.resources import Resources
from seqapps.data.streams import Stream, StreamSampler, Window, batches_of
from seqapps.data.vocabulary import BOS, EOS
from seqapps.errors import DataError
from seqapps.recipe.recipe import Batching

ROWS = [["a", "b", "c"], ["b"], ["c", "a"]]  # with the end marks a b c . b . c a .: 9 tokens


def split(frame, rows=ROWS, character=False):
    requests = [Request("tokens", "tokens")]
    if character:
        requests.append(Request("spelt", "tokens", "character"))
    requests = {request.key: request for request in framed(requests, frame)}
    forms = read_forms(Dataset.from_dict({"tokens": rows}), ["tokens"], "train")
    return IndexedSplit(forms, Resources.build(requests, forms), "train")


def symbols(found, values):
    return [[found.resources.vocabularies["tokens"].symbols[n] for n in row] for row in values.tolist()]


def test_a_sentence_to_be_written_stands_between_its_marks():
    found = split("sentence")
    field = found.batch(np.array([0, 1])).fields["tokens"]
    assert symbols(found, field.values) == [[BOS, "a", "b", "c"], [BOS, "b", "<pad>", "<pad>"]]
    assert symbols(found, field.following) == [["a", "b", "c", EOS], ["b", EOS, "<pad>", "<pad>"]]
    assert field.lengths.tolist() == [4, 2]


def test_in_a_stream_the_mark_of_the_sentence_before_is_what_comes_first():
    found = split("stream")
    assert BOS not in found.resources.vocabularies["tokens"]
    field = found.batch(np.array([1])).fields["tokens"]
    assert symbols(found, field.values) == [[EOS, "b"]]
    assert symbols(found, field.following) == [["b", EOS]]


def test_a_text_to_be_written_has_a_length_of_its_own():
    data = Dataset.from_dict({"tokens": ROWS, "target": [["x"], ["x", "y", "z"], []]})
    requests = {r.key: r for r in (Request("tokens", "tokens"), Request("out", "target", "target", frame="sentence"))}
    forms = read_forms(data, ["tokens", "target"], "train", written={"target"})
    found = IndexedSplit(forms, Resources.build(requests, forms), "train")
    batch = found.batch(np.array([0, 1, 2]))
    assert batch.fields["tokens"].following is None
    assert batch.fields["tokens"].lengths.tolist() == [3, 1, 2]
    assert batch.fields["out"].lengths.tolist() == [2, 4, 1]
    with pytest.raises(DataError, match=r"row 1: 3 tokens, 1 target"):
        read_forms(data, ["tokens", "target"], "train")


def test_windows_of_a_stream_put_together_are_the_text():
    found = split("stream")
    stream = Stream(found, 2)
    batches = [stream.batch(window) for window in StreamSampler(stream.columns, 3).epoch(0)]
    assert [batch.continues for batch in batches] == [False, True]
    read = symbols(found, torch.cat([batch.fields["tokens"].values for batch in batches], 1))
    follow = symbols(found, torch.cat([batch.fields["tokens"].following for batch in batches], 1))
    assert read == [[EOS, "a", "b", "c"], [EOS, "b", EOS, "c"]]  # the ninth token is left over
    assert follow == [["a", "b", "c", EOS], ["b", EOS, "c", "a"]]
    assert batches[0].examples.tolist() == [0, 1]
    assert batches[1].examples.tolist() == [0, 2]  # the fourth position after an `a b c` is still its end mark's


def test_characters_stand_beside_the_words_of_a_stream():
    found = split("stream", character=True)
    field = Stream(found, 1).batch(Window(0, 6)).fields["spelt"]
    symbols_ = found.resources.vocabularies["spelt"].symbols
    spelt = [symbols_[field.forms.values[form, 0]] for form in field.values[0].tolist()]
    assert spelt[1:4] + spelt[5:] == ["a", "b", "c", "b"]
    assert spelt[0] == spelt[4]  # the marks are spelt alike
    assert len(field.forms.values) == 4


def test_an_epoch_of_windows_is_a_function_of_its_number_alone():
    sampler = StreamSampler(1000, 35, random=True, seed=3)
    first, again, other = sampler.epoch(0), sampler.epoch(0), sampler.epoch(1)
    assert first == again != other
    assert [w.start for w in first[1:]] == [w.stop for w in first[:-1]]
    assert first[0].start == 0
    assert first[-1].stop == 1000
    lengths = np.array([w.stop - w.start for w in first[:-1]])
    assert lengths.min() >= 5
    assert 25 < lengths.mean() < 40
    assert lengths.std() > 2
    assert first[0].lr_scale == pytest.approx((first[0].stop - first[0].start) / 35)
    assert {w.lr_scale for w in StreamSampler(100, 35).epoch(0)} == {1.0}


def test_fewer_tokens_than_streams_are_refused_in_one_line():
    with pytest.raises(DataError, match=r"split 'train': 9 tokens for 10 streams; set data.batching.streams lower"):
        Stream(split("stream"), 10)


def test_batching_says_which_view_of_a_split_is_trained_on():
    found = split("stream")
    view, sampler = batches_of(found, Batching(streams=2, window=2), 1)
    assert isinstance(view, Stream)
    assert len(sampler.epoch(0)) == 2
    view, _ = batches_of(found, Batching(sentences=2), 1)
    assert view is found
