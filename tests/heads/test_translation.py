"""The translation head: losses, what it writes, and what is handed over of it."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, merge_requests
from seqapps.data.resources import Resources
from seqapps.data.tokenizers.columns import ColumnTokenizers
from seqapps.data.vocabulary import BOS, EOS
from seqapps.errors import UseError
from seqapps.heads.generation import Written
from seqapps.heads.translation import Translation
from seqapps.modules.encoded import Encoded
from seqapps.modules.search import SearchOptions, search
from seqapps.recipe.schema import fields_of
from seqapps.recipe.spec import Spec

TRAIN = {
    "tokens": [["ein", "Hund"], ["Katze"], ["eine", "rote", "Katze"], ["Hund"]],
    "target": [["a", "dog"], ["cat"], ["a", "red", "cat", "here"], ["dog"]],
}
WIDTH = 6


class Encoder(torch.nn.Module):
    output_size = WIDTH


def ready(rows=TRAIN, *, written=True, characters=False, decoder=None, **fields):
    """A head, a batch of `rows`, what an encoder might have made of it, and the split."""
    columns = [read_forms(Dataset.from_dict(d), ["tokens", "target"], "train", (), {"target"}) for d in (TRAIN, rows)]
    if not written:
        del columns[1]["target"]
    defaults = {field.name: field.default for field in fields_of(Translation)}
    asked = Translation.requests({**defaults, **fields})
    resources = Resources.build(merge_requests([Request("tokens", "tokens"), *asked]), columns[0])
    split = IndexedSplit(columns[1], resources, "train")
    tokenizers = ColumnTokenizers({"target": Spec("tokenizers", "characters" if characters else "whitespace")})
    torch.manual_seed(0)
    spec = Spec("decoders", "recurrent", {"hidden_size": 7, "embedding_size": 5, **(decoder or {})})
    head = Translation(Encoder(), Encoder(), resources.vocabularies, tokenizers, decoder=spec, **fields)
    torch.nn.init.normal_(head.decoder.output.weight, std=2.0)  # else all texts are as long as they may be
    lengths = Lengths(torch.as_tensor(split.lengths), int(split.lengths.max()))
    outputs = torch.randn(len(split), lengths.steps, WIDTH, generator=torch.Generator().manual_seed(1))
    encoded = Encoded(outputs, outputs.mean(1), None, lengths)
    return head.eval(), split.batch(np.arange(len(split))), encoded, split


def log_probabilities(head, encoded, batch):
    """Of each target token, end marks included: one tensor a row."""
    field = batch.fields["target"]
    outputs = head.decoder(encoded, field.values, field.lengths).outputs
    found = head.decoder.logits(outputs).log_softmax(-1)
    return [found[b, torch.arange(n), field.following[b, :n]] for b, n in enumerate(field.lengths)], found


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_cross_entropy_of_tokens_and_end_marks(smoothing):
    head, batch, encoded, _ = ready(label_smoothing=smoothing)
    right, every = log_probabilities(head, encoded, batch)
    nll = -sum(row.sum() for row in right)
    spread = -sum(every[b, : len(row)].mean(-1).sum() for b, row in enumerate(right))
    loss = head.loss(encoded, batch)
    torch.testing.assert_close(loss.nll, nll)
    torch.testing.assert_close(loss.total, (1 - smoothing) * nll + smoothing * spread)
    assert (loss.count, loss.unit) == (3 + 2 + 5 + 2, "token")


def test_the_penalty_of_a_decoder_is_in_the_objective_only():
    head, batch, encoded, _ = ready(decoder={"coverage": True, "coverage_loss": 2.0})
    loss = head.loss(encoded, batch)
    field = batch.fields["target"]
    penalty = head.decoder(encoded, field.values, field.lengths).penalty
    assert penalty > 0.1
    torch.testing.assert_close(loss.total - loss.nll, penalty)


def test_a_prediction_is_the_best_of_a_search_with_what_was_to_be_written_beside_it():
    options = SearchOptions(beam=3, n_best=2, max_length=6)
    head, batch, encoded, _ = ready(search=options)
    vocabulary = head.vocabulary
    state, memory = head.decoder.start(encoded)
    closed = [(0,), (vocabulary[BOS],)]
    first = torch.full((4,), vocabulary[BOS])
    expected = search(head.decoder, state, memory, first, options, eos=vocabulary[EOS], banned=closed)
    right, _ = log_probabilities(head, encoded, batch)
    for found, (best, other), row in zip(head.predict(encoded, batch), expected, right, strict=True):
        assert found.tokens == [vocabulary.symbols[n] for n in best.tokens]
        assert (found.log_prob, found.ended) == (best.log_prob, best.ended)
        assert found.others == [([vocabulary.symbols[n] for n in other.tokens], other.log_prob)]
        assert found.nll == pytest.approx(float(-row.detach().sum()), rel=1e-5)
        assert found.count == len(row)


def test_attention_is_that_of_the_steps_that_wrote_the_text():
    head, batch, encoded, _ = ready(search=SearchOptions(max_length=5))
    for b, found in enumerate(head.predict(encoded, batch)):
        read = [head.vocabulary[token] for token in [BOS, *found.tokens]][: len(found.tokens) + found.ended]
        n = int(encoded.lengths.values[b])
        one = Encoded(encoded.outputs[b : b + 1, :n], encoded.summary[b : b + 1], None, Lengths(torch.tensor([n]), n))
        state, memory = head.decoder.start(one)
        assert found.attention.shape == (len(read), n)
        for row, token in zip(found.attention, read, strict=True):
            _, state, weights, _ = head.decoder.step(torch.tensor([token]), state, memory)
            torch.testing.assert_close(torch.tensor(row), weights[0].detach())


def test_quick_predictions_are_greedy_and_bring_no_attention():
    head, batch, encoded, _ = ready(search=SearchOptions(beam=4, max_length=5))
    greedy, *_ = ready(search=SearchOptions(method="greedy", max_length=5))
    thorough = head.predict(encoded, batch)
    with head.quickly():
        quick = head.predict(encoded, batch)
    expected = greedy.predict(encoded, batch)
    assert [found.tokens for found in quick] == [found.tokens for found in expected]
    assert [found.tokens for found in quick] != [found.tokens for found in thorough]
    assert all(found.attention is None and found.nll is not None for found in quick)
    assert [found.tokens for found in head.predict(encoded, batch)] == [found.tokens for found in thorough]


def test_without_targets_there_is_a_prediction_and_nothing_to_compare_it_with():
    head, batch, encoded, _ = ready(written=False)
    assert [(found.nll, found.count) for found in head.predict(encoded, batch)] == [(None, None)] * 4


def test_texts_are_cut_at_a_length_relative_to_the_source():
    head, batch, encoded, _ = ready(max_length_ratio=2.0, search=SearchOptions(max_length=15, min_length=15))
    lengths = [len(found.tokens) for found in head.predict(encoded, batch)]
    assert lengths == [14, 12, 15, 12]  # 2 n + 10, at most 15


def test_marks_are_never_written_and_unknown_words_can_be_avoided():
    for unknown in ("write", "avoid"):
        head, batch, encoded, _ = ready(unknown=unknown, search=SearchOptions(beam=2, max_length=5))
        with torch.no_grad():
            head.decoder.output.bias[:3] = 100.0  # <pad>, <unk>, <bos>
        written = {token for found in head.predict(encoded, batch) for token in found.tokens}
        assert written.isdisjoint({"<pad>", "<bos>"})
        assert ("<unk>" in written) == (unknown == "write")


def test_unknown_words_become_the_source_word_with_the_greatest_attention():
    head, *_, split = ready(unknown="copy")
    found = Written(["a", "<unk>"], -1.0, attention=np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32))
    answer = head.answer(["ein", "Pudel"], found, "ein Pudel")
    assert (answer.text, answer.written) == ("a Pudel", ["a", "Pudel"])
    assert ready()[0].answer(["ein", "Pudel"], found, "ein Pudel").text == "a <unk>"
    assert head.record(split, 0, found)["written"] == "a Hund"


def test_an_answer_has_text_alternatives_and_attention():
    head, batch, encoded, _ = ready(characters=True, search=SearchOptions(beam=3, n_best=2, max_length=6))
    found = head.predict(encoded, batch)[2]
    answer = head.answer(["eine", "rote", "Katze"], found, "eine rote Katze")
    assert answer.line() == "".join(found.tokens)
    fields = answer.fields()
    assert fields["target_tokens"] == found.tokens
    assert fields["alternatives"][0]["target"] == "".join(found.others[0][0])
    assert len(fields["attention"]) == len(found.tokens) + found.ended


def test_perfect_translations_get_perfect_scores():
    head, *_, split = ready()
    perfect = [Written(tokens, -0.5, nll=0.0, count=len(tokens) + 1) for tokens in TRAIN["target"]]
    scores = head.evaluate(split, perfect, None).metrics()
    assert set(scores) == set(head.scores)
    assert head.headline == head.scores[0] == "bleu"
    values = {name: score["value"] for name, score in scores.items()}
    assert values["exact_match"] == values["length_ratio"] == values["perplexity"] == 1.0
    assert values["character_error_rate"] == values["ter"] == 0.0
    assert values["chrf"] == pytest.approx(100.0)


def test_baselines_are_evaluated_without_a_model():
    head, *_, split = ready()
    found = dict(head.baselines(split, split))
    assert [one.tokens for one in found["copy_source"]] == TRAIN["tokens"]
    assert [one.tokens for one in found["nearest_source"]] == TRAIN["target"]
    assert "perplexity" not in head.evaluate(split, found["copy_source"], None).metrics()


def test_a_record_holds_what_was_read_and_written():
    head, *_, split = ready()
    record = head.record(split, 2, Written(["a", "cat"], -1.23456))
    assert record == {
        "row": 2,
        "source": ["eine", "rote", "Katze"],
        "references": ["a red cat here"],
        "written": "a cat",
        "tokens": ["a", "cat"],
        "log_prob": -1.2346,
    }


def test_samples_are_the_same_again_and_differ_between_examples():
    options = SearchOptions(method="sampling", n_best=3, max_length=8)
    head, batch, encoded, _ = ready(search=options)
    once = [(found.tokens, found.others) for found in head.predict(encoded, batch)]
    assert once == [(found.tokens, found.others) for found in head.predict(encoded, batch)]
    assert len({str(one) for one in once}) == 4


def test_rules_that_leave_nothing_to_write_are_told():
    head, batch, encoded, _ = ready(search=SearchOptions(method="greedy", min_length=30, max_length=40, no_repeat=1))
    with pytest.raises(UseError, match="min_length and no_repeat leave nothing to be written; lower one"):
        head.predict(encoded, batch)


def test_a_vocabulary_can_be_cut():
    head, batch, *_ = ready(min_frequency=2)
    assert head.vocabulary.symbols == ["<pad>", "<unk>", "<bos>", "<eos>", "a", "cat", "dog"]
    assert batch.fields["target"].following[2].tolist() == [4, 1, 5, 1, 3]
    assert head.symbol_dimensions["decoder.embedding.weight"] == ("target",)
    assert F.embedding(torch.tensor(0), head.decoder.embedding.weight).abs().sum() == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0, expected 0 <= label_smoothing < 1"),
        ({"max_length_ratio": 0.0}, "max_length_ratio is 0.0, expected more than 0"),
        ({"min_frequency": 0}, "min_frequency is 0, expected 1 or more"),
        ({"bleu_tokenize": "13b"}, "bleu_tokenize is '13b'; did you mean '13a'?"),
        (
            {"unknown": "copy", "decoder": Spec("decoders", "recurrent", {"attention": "none"})},
            "'copy' goes by attention, and the decoder has none",
        ),
    ],
)
def test_fields_that_do_not_fit_are_faults(fields, message):
    defaults = {field.name: field.default for field in fields_of(Translation)}
    assert Translation.check_fields(defaults) == []
    assert message in "".join(text for _, text in Translation.check_fields({**defaults, **fields}))
