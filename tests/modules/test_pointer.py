"""The pointer: one distribution over the vocabulary and the words of the source, in training as in a search."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.data.vocabulary import Vocabulary
from seqapps.errors import ShapeError
from seqapps.modules.decoder import RecurrentDecoder
from seqapps.modules.encoded import Encoded
from seqapps.modules.output import Mixed, linear_cross_entropy
from seqapps.modules.pointer import Pointing, mixture, target_parts
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.modules.scheduled_sampling import ScheduledSampling
from seqapps.modules.search import Ensemble, SearchOptions, search
from seqapps.recipe.spec import Spec

SYMBOLS = ["<pad>", "<unk>", "<bos>", "<eos>", *"ab"]
UNK, BOS, EOS, V = 1, 2, 3, len(SYMBOLS)
LENGTHS = torch.tensor([5, 1, 3, 4])
# Words V, V + 1 are unknown to the vocabulary; some stand twice, and the literal <unk> once.
SOURCE = torch.tensor([[6, 4, 7, 6, 8], [4, 0, 0, 0, 0], [5, 5, 1, 0, 0], [6, 7, 7, 4, 0]])
TARGETS = torch.tensor([[6, 4, 3, 0], [4, 3, 0, 0], [1, 5, 5, 3], [7, 1, 6, 3]])
WRITTEN = torch.tensor([3, 2, 4, 4])
H = 8
VARIANTS = [
    {},
    {"tied": True, "cell": "lstm", "num_layers": 2},
    {"input_feeding": True, "attention": "general"},
    {"coverage": True, "coverage_loss": 0.5},
]


def decoder(seed=0, *, cell="gru", **fields):
    torch.manual_seed(seed)
    encoder = RecurrentEncoder(3, cell=Spec("cells", "gru"), hidden_size=H // 2, bidirectional=True)
    vocabulary = Vocabulary(SYMBOLS, [0] * V, specials=4)
    fields = {"hidden_size": H, "embedding_size": 5, "pointer": True, **fields}
    made = RecurrentDecoder(encoder, torch.nn.Module(), vocabulary, cell=Spec("cells", cell), **fields)
    torch.nn.init.normal_(made.output.weight, std=1.5)
    return made.double().eval()


def encoded(rows=slice(None), steps=5):
    generator = torch.Generator().manual_seed(1)
    outputs = torch.randn(4, 5, H, dtype=torch.float64, generator=generator)[:, :steps]
    summary = torch.randn(4, H, dtype=torch.float64, generator=generator)
    return Encoded(outputs[rows], summary[rows], None, Lengths(LENGTHS[rows], steps))


def inputs():
    """What is read before each of TARGETS."""
    known = TARGETS.where(TARGETS < V, UNK)
    return F.pad(known[:, :-1], (1, 0), value=BOS)


def stepped(made, source=None, numbers=SOURCE):
    """Log-probabilities (B, T, V + J) step by step, each word read as it is numbered."""
    state, memory = made.start(encoded() if source is None else source, numbers)
    read = F.pad(TARGETS[:, :-1], (1, 0), value=BOS)[: len(numbers)]
    found = []
    for tokens in read.t():
        log_probs, state, *_ = made.step(tokens, state, memory)
        found.append(log_probs)
    return torch.stack(found, 1)


def real(tensor):
    return tensor[torch.arange(tensor.size(1)) < WRITTEN[:, None]]


def test_the_mixture_is_equation_9_word_by_word():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4, V, generator=generator, dtype=torch.float64)
    gate = torch.randn(4, generator=generator, dtype=torch.float64)
    scores = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    scores[torch.arange(5) >= LENGTHS[:, None]] = -math.inf
    found = mixture(logits.log_softmax(-1), Pointing(logits, gate, scores, SOURCE), 3).exp()
    for n in range(4):
        p_gen = 1 / (1 + math.exp(-float(gate[n])))
        for word in range(V + 3):
            generated = float(logits[n].softmax(-1)[word]) if word < V else 0.0
            copied = sum(float(scores[n].softmax(-1)[i]) for i in range(int(LENGTHS[n])) if SOURCE[n, i] == word)
            assert float(found[n, word]) == pytest.approx(p_gen * generated + (1 - p_gen) * copied, abs=1e-12)


@pytest.mark.parametrize("fields", VARIANTS)
def test_probabilities_sum_to_one_and_words_of_other_sources_are_impossible(fields):
    found = stepped(decoder(**fields))
    assert found.shape == (4, 4, V + 3)
    torch.testing.assert_close(found.logsumexp(-1), torch.zeros(4, 4, dtype=torch.float64))
    assert (found[1, :, V:] == -math.inf).all()
    assert (found[3, :, V + 2 :] == -math.inf).all()
    assert (found[0, :, V:] > -math.inf).all()


def test_padding_of_the_source_gets_nothing():
    made = decoder()
    with torch.no_grad():
        made.output.bias[0] = -100.0  # what is left of <pad> would come from padding
    assert (stepped(made)[1:, :, 0] < -50).all()


@pytest.mark.parametrize("fields", VARIANTS)
def test_the_loss_is_that_of_single_steps(fields):
    made = decoder(**fields)
    expected = -stepped(made).gather(-1, TARGETS[..., None])[..., 0]
    decoded = made(encoded(), inputs(), WRITTEN, SOURCE)
    outputs = Pointing(*map(real, decoded.outputs))
    found = made.cross_entropy(outputs, real(TARGETS))
    torch.testing.assert_close(found.nll, real(expected).sum())
    torch.testing.assert_close(found.total, found.nll)
    torch.testing.assert_close(made.nll(outputs, real(TARGETS)), real(expected), rtol=1e-5, atol=1e-5)  # fp32


def test_label_smoothing_acts_on_the_softmax():
    made = decoder()
    outputs = Pointing(*map(real, made(encoded(), inputs(), WRITTEN, SOURCE).outputs))
    plain, smooth = (made.cross_entropy(outputs, real(TARGETS), s) for s in (0.0, 0.2))
    spread = -made.logits(outputs.hidden).log_softmax(-1).mean(-1).sum()
    torch.testing.assert_close(smooth.nll, plain.nll)
    torch.testing.assert_close(smooth.total, 0.8 * plain.nll + 0.2 * spread)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("fields", [{}, {"input_feeding": True, "tied": True}])
def test_gradients_are_those_of_the_mixture_written_out(fields, smoothing):
    made = decoder(**fields)
    source = encoded()
    source = source._replace(outputs=source.outputs.requires_grad_())
    leaves = [source.outputs, *made.parameters()]
    outputs = Pointing(*map(real, made(source, inputs(), WRITTEN, SOURCE).outputs))
    vocabulary = made.logits(outputs.hidden).log_softmax(-1)
    p_gen, weights = outputs.gate.sigmoid(), outputs.scores.softmax(-1)
    words = F.pad(p_gen[:, None] * vocabulary.exp(), (0, 3))
    words = words.scatter_add(1, outputs.source, (1 - p_gen)[:, None] * weights)
    nll = -words.gather(1, real(TARGETS)[:, None]).log().sum()
    expected = torch.autograd.grad((1 - smoothing) * nll - smoothing * vocabulary.mean(-1).sum(), leaves)
    again = Pointing(*map(real, made(source, inputs(), WRITTEN, SOURCE).outputs))
    found = torch.autograd.grad(made.cross_entropy(again, real(TARGETS), smoothing).total, leaves)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_gradients_are_numbers_where_weights_and_gates_are_extreme():
    source, targets = torch.tensor([[6, 4], [6, 4], [6, 4]]), torch.tensor([6, 5, 4])
    scores = torch.tensor([[-300.0, 0.0], [-math.inf, 0.0], [0.0, -400.0]], requires_grad=True)
    gate = torch.tensor([200.0, -300.0, -500.0], requires_grad=True)
    hidden = torch.full((3, 2), 100.0, requires_grad=True)
    known, mixed = target_parts(Pointing(hidden, gate, scores, source), targets, V, UNK)
    assert known.tolist() == [UNK, 5, 4]
    found = linear_cross_entropy(hidden, torch.ones(V, 2), None, known, 0.1, mixed)
    expected = (300 + 200) + (300 + math.log(V)) + 400  # 400 by pointing beats 500 by generating
    assert float(found.nll) == pytest.approx(expected)
    for gradient in torch.autograd.grad(found.total, (scores, gate, hidden)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize(("chunk", "piece"), [(1, 1), (20, 7), (1000, 14), (1000, 1000)])
def test_a_softmax_mixed_with_something_else_has_the_gradients_of_the_mixture(monkeypatch, chunk, piece):
    monkeypatch.setattr("seqapps.modules.output._ELEMENTS", chunk)
    monkeypatch.setattr("seqapps.modules.output._IN_CACHE", piece)
    generator = torch.Generator().manual_seed(0)
    shapes = [(9, 4), (7, 4), (7,), (9,), (9,)]
    leaves = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    x, weight, bias, share, other = leaves
    targets = torch.randint(7, (9,), generator=generator)
    own = F.linear(x, weight, bias).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    expected = torch.autograd.grad(-torch.logaddexp(share + own, other).sum() / 3, leaves)
    found = linear_cross_entropy(x, weight, bias, targets, mixed=Mixed(share, other)).total / 3
    for one, reference in zip(torch.autograd.grad(found, leaves), expected, strict=True):
        torch.testing.assert_close(one, reference, rtol=1e-10, atol=1e-12)


def test_under_autocast_the_mixture_is_computed_in_fp32():
    made = decoder().float()
    source = Encoded(encoded().outputs.float(), encoded().summary.float(), None, encoded().lengths)
    exact = made.cross_entropy(Pointing(*map(real, made(source, inputs(), WRITTEN, SOURCE).outputs)), real(TARGETS))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = Pointing(*map(real, made(source, inputs(), WRITTEN, SOURCE).outputs))
        found = made.cross_entropy(outputs, real(TARGETS), 0.1)
        state, memory = made.start(source, SOURCE)
        log_probs = made.step(torch.full((4,), BOS), state, memory).log_probs
    assert outputs.gate.dtype == outputs.scores.dtype == found.nll.dtype == log_probs.dtype == torch.float32
    assert float(log_probs.detach().logsumexp(-1).abs().max()) < 1e-5
    assert float(found.nll) == pytest.approx(float(exact.nll), rel=0.03)
    found.total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in made.parameters())


def searched(made, options, rows=slice(None), steps=5):
    source = encoded(rows, steps)
    first = torch.full((len(source.summary),), BOS)
    seeds = list(range(4))[rows] if options.method == "sampling" else None
    state, memory = made.start(source, SOURCE[rows, :steps])
    return search(made, state, memory, first, options, eos=EOS, banned=[(0,), (BOS,)], seeds=seeds)


METHODS = [
    SearchOptions(method="greedy", max_length=4),
    SearchOptions(beam=4, n_best=2, max_length=4, length_penalty="average"),
    SearchOptions(method="sampling", n_best=3, max_length=5, top_p=0.9),
]


@pytest.mark.parametrize("options", METHODS, ids=lambda options: options.method)
def test_what_is_found_for_a_source_does_not_depend_on_the_batch(options):
    made = decoder(input_feeding=True)
    together = searched(made, options)
    for b in range(4):
        (alone,) = searched(made, options, slice(b, b + 1), int(LENGTHS[b]))
        assert [found.tokens for found in together[b]] == [found.tokens for found in alone]
        assert [found.log_prob for found in together[b]] == pytest.approx([found.log_prob for found in alone], rel=1e-6)
    written = {token for found in together for one in found for token in one.tokens}
    assert any(token >= V for token in written)


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_a_beam_that_is_wide_enough_finds_the_best_of_all_texts(seed):
    made = decoder(seed)
    for b in (0, 2):
        words = [UNK, 4, 5, *sorted({int(word) for word in SOURCE[b] if word >= V})]
        best = []
        for n in range(4):
            for tokens in itertools.product(words, repeat=n):
                follow = [*tokens, EOS] if n < 3 else list(tokens)
                state, memory = made.start(encoded(slice(b, b + 1)), SOURCE[b : b + 1])
                total, read = 0.0, BOS
                for token in follow:
                    log_probs, state, *_ = made.step(torch.tensor([read]), state, memory)
                    total, read = total + float(log_probs[0, token]), token
                best.append((total, tokens))
        options = SearchOptions(beam=200, n_best=5, max_length=3)
        (found,) = searched(made, options, slice(b, b + 1))
        expected = sorted(best, reverse=True)[:5]
        assert [one.tokens for one in found] == [tokens for _, tokens in expected]
        assert [one.log_prob for one in found] == pytest.approx([total for total, _ in expected], rel=1e-5)


def test_decoders_that_point_at_one_source_can_be_averaged():
    both = [decoder(0), decoder(1)]
    states, memories = zip(*(made.start(encoded(), SOURCE) for made in both), strict=True)
    first = torch.full((4,), BOS)
    found = Ensemble(both).step(first, states, memories).log_probs.exp()
    parts = [made.step(first, *made.start(encoded(), SOURCE)).log_probs.exp() for made in both]
    torch.testing.assert_close(found, (parts[0] + parts[1]) / 2)


def test_a_word_that_the_vocabulary_lacks_is_read_as_unknown():
    made = decoder()
    state, memory = made.start(encoded(), SOURCE)
    one, other = (made.step(torch.full((4,), token), state, memory).log_probs for token in (V + 1, UNK))
    torch.testing.assert_close(one, other)


def test_own_words_in_training_are_drawn_from_the_mixture():
    made = decoder(scheduled_sampling=ScheduledSampling(schedule="linear", steps=1))
    rows = 20_000
    hidden = torch.zeros(rows, H, dtype=torch.float64)
    with torch.no_grad():
        made.output.bias.copy_(torch.tensor([-50.0, -50.0, -50.0, -50.0, 0.0, -50.0]))
    scores = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64).expand(rows, -1)
    source = torch.tensor([[5, 7]]).expand(rows, -1)
    gate = torch.full((rows,), math.log(1 / 3), dtype=torch.float64)  # p_gen = 1/4
    torch.manual_seed(0)
    x = torch.zeros(rows, 5, dtype=torch.float64)
    read = made._with_own_words(x, Pointing(hidden, gate, scores, source), 1.0)
    share = {k: float((read == made.embedding.weight[k]).all(-1).double().mean()) for k in (UNK, 4, 5)}
    assert share == pytest.approx({UNK: 9 / 16, 4: 1 / 4, 5: 3 / 16}, abs=0.015)
    for fields in ({}, {"input_feeding": True}):
        made = decoder(scheduled_sampling=ScheduledSampling(schedule="linear", steps=1), **fields).train()
        for _ in range(2):
            assert made(encoded(), inputs(), WRITTEN, SOURCE).outputs.hidden.isfinite().all()


def test_a_source_that_is_not_there_or_does_not_fit_is_told():
    with pytest.raises(ShapeError, match=r"source is none, expected \(4, 5\)"):
        decoder().start(encoded())
    with pytest.raises(ShapeError, match=r"source is \(4, 3\), expected \(4, 5\), a token for each encoded"):
        decoder().start(encoded(), SOURCE[:, :3])


def test_a_pointer_needs_attention():
    from seqapps.recipe.schema import fields_of

    defaults = {field.name: field.default for field in fields_of(RecurrentDecoder)}
    faults = RecurrentDecoder.check_fields({**defaults, "pointer": True, "attention": "none"})
    assert faults == [("pointer", "a pointer goes by attention, and attention is none; set another")]
