"""The language model's objective, its regimes and its refusals."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F

from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, framed
from seqapps.data.resources import Resources
from seqapps.data.streams import Stream, StreamSampler
from seqapps.engine.model import Model
from seqapps.errors import ComponentError, RecipeError
from seqapps.heads.language_model import LanguageModel
from seqapps.modules.embedders import TokenEmbedder
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.modules.window import WindowEncoder
from seqapps.recipe import load_recipe
from seqapps.recipe.spec import Spec

TEXT = [line.split() for line in ("the cat sees the dog", "a dog sleeps", "the dog sees a cat here", "sleeps", "a cat")]


def split(regime):
    requests = {r.key: r for r in framed([Request("tokens", "tokens", min_frequency=2)], regime)}
    forms = read_forms(Dataset.from_dict({"tokens": TEXT}), ["tokens"], "train")
    return IndexedSplit(forms, Resources.build(requests, forms), "train")


def model(found, regime, encoder="lstm", **fields):
    torch.manual_seed(0)
    vocabularies = found.resources.vocabularies
    embedder = TokenEmbedder(vocabularies, size=6)
    if encoder == "window":
        made = WindowEncoder(6, before=2, after=0, hidden_sizes=[6])
    else:
        made = RecurrentEncoder(6, cell=Spec("cells", encoder), hidden_size=6, num_layers=2)
    return Model(embedder, made, LanguageModel(made, embedder, vocabularies, regime=regime, **fields)).eval()


def test_the_loss_is_the_cross_entropy_of_what_follows_without_padding():
    found = split("sentence")
    made = model(found, "sentence")
    batch = found.batch(np.array([0, 1]))
    loss, state = made.loss(batch)
    assert state is None
    encoded, field = made.encode(batch), batch.fields["tokens"]
    expected = sum(
        F.cross_entropy(made.head.output(encoded.outputs[b, :n]), field.following[b, :n], reduction="sum")
        for b, n in ((0, 6), (1, 4))
    )
    assert loss.unit == "token"
    assert loss.count == 10
    assert loss.nll.item() == pytest.approx(loss.total.item())
    # <pad> and <bos> have no probability, so what is left is shared by the others
    logits = made.head.output(encoded.outputs)
    closed = [found.resources.vocabularies["tokens"][s] for s in ("<pad>", "<bos>")]
    logits[..., closed] = -torch.inf
    exact = sum(F.cross_entropy(logits[b, :n], field.following[b, :n], reduction="sum") for b, n in ((0, 6), (1, 4)))
    assert loss.total.item() == pytest.approx(exact.item(), rel=1e-5)
    assert loss.total.item() < expected.item()


@pytest.mark.parametrize("encoder", ["lstm", "gru", "mingru", "window"])
def test_windows_of_a_stream_that_go_on_are_one_long_window(encoder):
    found = split("stream")
    made = model(found, "stream", encoder)
    stream = Stream(found, 2)
    (whole,) = StreamSampler(stream.columns, stream.columns).epoch(0)
    expected, _ = made.loss(stream.batch(whole))
    total, state = 0.0, None
    for window in StreamSampler(stream.columns, 3).epoch(0):
        loss, state = made.loss(stream.batch(window), state)
        total += loss.total.item()
    assert total == pytest.approx(expected.total.item(), rel=1e-5)
    again, _ = made.loss(stream.batch(whole), state)  # an epoch begins anew, whatever was carried
    assert again.total.item() == pytest.approx(expected.total.item())


def test_probabilities_of_all_symbols_are_one_and_those_predicted_make_the_likelihood():
    found = split("sentence")
    made = model(found, "sentence")
    batch = found.batch(np.array([0, 3, 1]))
    scores = made.head.log_probs(made.head.features(made.encode(batch).outputs.flatten(0, 1)))
    assert torch.allclose(scores.exp().sum(-1), torch.ones(len(scores)))
    predicted = made.predict(batch)
    assert [len(row) for row in predicted] == [6, 2, 4]
    assert sum(row.sum() for row in predicted) == pytest.approx(-made.loss(batch)[0].nll.item(), rel=1e-5)


def test_a_sentence_has_its_probability_in_any_batch():
    found = split("sentence")
    made = model(found, "sentence")
    together = made.predict(found.batch(np.arange(5)))
    for row in range(5):
        (alone,) = made.predict(found.batch(np.array([row])))
        assert np.allclose(alone, together[row], atol=1e-6)


def test_tied_weights_are_the_embedders_and_learn_from_both_sides():
    found = split("sentence")
    made = model(found, "sentence", tied=True)
    assert made.head.output.weight is made.embedder.table.weight
    made.loss(found.batch(np.array([3])))[0].total.backward()  # one word is read, all are scored
    assert (made.embedder.table.weight.grad.abs().sum(1) > 0).sum() > 3


def test_sizes_that_cannot_be_tied_are_refused_with_what_to_do():
    found = split("sentence")
    with pytest.raises(ComponentError, match=r"rows have 6 features and the output layer reads 4; set 'projection: 6'"):
        model(found, "sentence", tied=True, projection=4)
    assert model(found, "sentence", tied=True, projection=6).head.projection is not None


def test_an_encoder_that_sees_the_words_to_come_is_refused():
    found = split("sentence")
    embedder = TokenEmbedder(found.resources.vocabularies, size=6)
    both = RecurrentEncoder(6, cell=Spec("cells", "gru"), hidden_size=6, bidirectional=True)
    with pytest.raises(ComponentError, match=r"would see the words to be predicted; set 'bidirectional: false'"):
        LanguageModel(both, embedder, found.resources.vocabularies)


def test_penalties_are_added_to_the_objective_only():
    found = split("sentence")
    plain, made = model(found, "sentence"), model(found, "sentence", activation_penalty=2.0, difference_penalty=3.0)
    batch = found.batch(np.array([0, 1]))
    h = plain.encode(batch).outputs
    activation = h.square().mean(-1).sum()  # padding is zero
    difference = sum((h[b, 1:n] - h[b, : n - 1]).square().mean(-1).sum() for b, n in ((0, 6), (1, 4)))
    (before, _), (after, _) = plain.loss(batch), made.loss(batch)
    assert after.nll.item() == pytest.approx(before.nll.item())
    assert (after.total - before.total).item() == pytest.approx((2 * activation + 3 * difference).item(), rel=1e-4)


def test_an_adaptive_softmax_is_a_distribution_with_smaller_outputs_for_rare_words():
    found = split("sentence")
    made = model(found, "sentence", cutoffs=[5])
    batch = found.batch(np.array([0, 1]))
    scores = made.head.log_probs(made.encode(batch).outputs.flatten(0, 1))
    assert torch.allclose(scores.exp().sum(-1), torch.ones(len(scores)), atol=1e-5)
    loss, _ = made.loss(batch)
    assert sum(row.sum() for row in made.predict(batch)) == pytest.approx(-loss.nll.item(), rel=1e-5)
    with pytest.raises(ComponentError, match=r"cutoffs are \[4, 100\], the vocabulary has \d+ symbols"):
        model(found, "sentence", cutoffs=[4, 100])
    with pytest.raises(ComponentError, match=r"the output layer reads 6 features, .* give fewer cutoffs, or 16"):
        model(found, "sentence", cutoffs=[4, 7])


def test_the_loss_at_a_position_is_that_of_its_next_word():
    found = split("sentence")
    made = model(found, "sentence")
    batch = found.batch(np.array([0, 1]))
    at = made.head.loss_at(made.encode(batch), batch, torch.tensor([5, 1]))
    first, second = made.predict(batch)
    assert at.item() == pytest.approx(-(first[5] + second[1]), rel=1e-5)


RECIPE = """\
data: {{source: {{type: text, train: a.txt}}, batching: {batching}}}
model:
  embedder: tokens
  encoder: {{type: recurrent, cell: lstm}}
  head: {{type: language_model, {head}}}
training: {{accumulate: {accumulate}}}
"""


@pytest.mark.parametrize(
    ("batching", "head", "accumulate", "message"),
    [
        ("{tokens: 64}", "regime: stream", 1, "r.yaml:1:54: data.batching: the language model's regime is 'stream'"),
        ("{streams: 2}", "regime: sentence", 1, "data.batching: the language model's regime is 'sentence'; give"),
        ("{streams: 2}", "regime: stream", 2, "r.yaml:6:24: training.accumulate: windows of a stream follow each"),
        ("{streams: 2}", "'regime': stream, cutoffs: [3, 2]", 1, "cutoffs are [3, 2], expected rising numbers"),
        ("{streams: 2}", "'regime': stream, cutoffs: [3], tied: true", 1, "has no matrix that could be tied"),
        ("{streams: 2, tokens: 3}", "regime: stream", 1, "'tokens' is given as well"),
        ("{tokens: 3, random_windows: true}", "regime: sentence", 1, "there are no windows without 'streams'"),
    ],
)
def test_faults_of_the_regime_are_told_before_data_are_read(tmp_path, monkeypatch, batching, head, accumulate, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE.format(batching=batching, head=head, accumulate=accumulate))
    with pytest.raises(RecipeError) as fault:
        load_recipe("r.yaml")
    assert message in str(fault.value)
    assert len(str(fault.value).splitlines()) == 1
