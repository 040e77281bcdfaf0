"""The encoder of texts in pieces: against a loop over the pieces of each text alone."""

import pytest
import torch

from seqapps.modules.hierarchical import HierarchicalEncoder
from seqapps.modules.pooling import Pool
from seqapps.recipe import Spec

LENGTHS = torch.tensor([11, 1, 8, 4, 5])


def recurrent(cell, **fields):
    return Spec("encoders", "recurrent", {"cell": Spec("cells", cell), "hidden_size": 4, **fields})


def build(sentence_length=4, **fields):
    torch.manual_seed(0)
    parts = {"word_encoder": recurrent("gru", bidirectional=True), "sentence_encoder": recurrent("lstm")}
    return HierarchicalEncoder(5, sentence_length=sentence_length, **{**parts, **fields}).double().eval()


def texts(steps):
    """(B, steps, 5): the same texts whatever the steps, NaN under padding."""
    torch.manual_seed(1)
    x = torch.randn(len(LENGTHS), 11, 5, dtype=torch.float64)
    x = torch.cat([x, x.new_zeros(len(LENGTHS), steps - 11, 5)], 1)
    for row, n in enumerate(LENGTHS):
        x[row, n:] = torch.nan
    return x


def by_hand(encoder, text):
    """Outputs (n, F) and summary (F,) of one text (n, E), a piece after the other."""
    pieces = list(text.split(encoder.sentence_length))
    vectors = [encoder.word_pool(encoder.word_encoder(p[None], torch.tensor([len(p)])))[0] for p in pieces]
    sentences = encoder.sentence_encoder(torch.stack(vectors)[None], torch.tensor([len(pieces)]))
    outputs = [sentences.outputs[0, s].expand(len(p), -1) for s, p in enumerate(pieces)]
    return torch.cat(outputs), encoder.sentence_pool(sentences)[0]


@pytest.mark.parametrize("steps", [11, 12, 17])
@pytest.mark.parametrize("pooling", ["attention", "mean", "max", "last"])
def test_a_padded_batch_is_what_its_texts_are_piece_by_piece(pooling, steps):
    encoder, x = build(pooling=pooling), texts(steps)
    encoded = encoder(x, LENGTHS)
    for row, n in enumerate(LENGTHS.tolist()):
        outputs, summary = by_hand(encoder, x[row, :n])
        torch.testing.assert_close(encoded.outputs[row, :n], outputs)
        torch.testing.assert_close(encoded.summary[row], summary)
        assert not encoded.outputs[row, n:].any()


def test_tokens_of_one_sentence_have_one_output_and_its_neighbours_another():
    outputs = build()(texts(11), LENGTHS).outputs[0]
    assert all(torch.equal(outputs[t], outputs[t - t % 4]) for t in range(11))
    assert not any(torch.allclose(outputs[t], outputs[t + 4]) for t in range(7))


def test_a_sentence_vector_depends_on_its_own_tokens_only():
    encoder = build(sentence_encoder=Spec("encoders", "feedforward", {"hidden_sizes": []}))
    x = texts(11)[:1].requires_grad_()
    encoder(x, LENGTHS[:1]).outputs[0, 5].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).tolist() == [4 <= t < 8 for t in range(11)]


def test_the_summary_counts_a_sentence_once_however_long_it_is():
    identity = Spec("encoders", "feedforward", {"hidden_sizes": []})
    encoder = build(word_encoder=identity, sentence_encoder=identity, pooling="mean")
    x = texts(11)[:1]
    expected = torch.stack([x[0, :4].mean(0), x[0, 4:8].mean(0), x[0, 8:11].mean(0)]).mean(0)
    torch.testing.assert_close(encoder(x, LENGTHS[:1]).summary[0], expected)


def test_maximum_over_outputs_is_that_over_sentences():
    encoder = build(pooling="max")
    encoded = encoder(texts(11), LENGTHS)
    torch.testing.assert_close(Pool(4, "max")(encoded), encoded.summary)


def test_one_token_is_no_sentence():
    assert HierarchicalEncoder.check_fields({"sentence_length": 1}) == [
        ("sentence_length", "sentence_length is 1, expected 2 or more")
    ]
    assert HierarchicalEncoder.check_fields({"sentence_length": 2}) == []
