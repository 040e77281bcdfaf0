from __future__ import annotations

import doctest
import itertools
import math

import pytest
import torch
import torchcrf
from torch import Tensor

from seqapps import schemes
from seqapps.errors import DataError, ShapeError
from seqapps.modules import crf as crf_module
from seqapps.modules.crf import LinearChainCRF

BIO = ["O", "B-X", "I-X", "B-Y", "I-Y"]
BIOES = ["O", "B-X", "I-X", "E-X", "S-X"]
CONSTRAINTS = [(BIO, None), (BIO, "bio"), (BIO, "iob1"), (BIOES, "bioes")]
LENGTHS = torch.tensor([4, 1, 3, 2])


@pytest.fixture(params=["chosen", "divided at every step", "logarithms"])
def form(request, monkeypatch):
    """The recursion as the module chooses it, and each other form of it forced."""
    if request.param != "chosen":
        period = 0 if request.param == "logarithms" else 1
        monkeypatch.setattr(LinearChainCRF, "_period", lambda *_: period)
    return request.param


def made(labels: list[str], scheme: str | None = None, scale: float = 1.0) -> LinearChainCRF:
    generator = torch.Generator().manual_seed(3)
    crf = LinearChainCRF(labels, scheme=scheme).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale)
    return crf


def scores_for(labels: list[str], *shape: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(*shape, len(labels), generator=generator, dtype=torch.float64) * scale


def sequences(crf: LinearChainCRF, length: int) -> list[tuple[int, ...]]:
    """All label sequences that the scheme permits."""
    every = itertools.product(range(len(crf.labels)), repeat=length)
    if crf.scheme is None:
        return list(every)
    return [y for y in every if schemes.check([crf.labels[i] for i in y], crf.scheme) is None]


def score(crf: LinearChainCRF, scores: Tensor, y: tuple[int, ...]) -> Tensor:
    """s(y) by its definition."""
    total = crf.start[y[0]] + crf.end[y[-1]]
    for t, label in enumerate(y):
        total = total + scores[t, label] + (crf.transitions[y[t - 1], label] if t else 0)
    return total


def enumerated_log_partition(crf: LinearChainCRF, scores: Tensor) -> Tensor:
    return torch.logsumexp(torch.stack([score(crf, scores, y) for y in sequences(crf, len(scores))]), 0)


def stepwise_log_partition(crf: LinearChainCRF, scores: Tensor) -> Tensor:
    """log Z of one sequence by logsumexp, what is forbidden being -inf."""
    ok = schemes.allowed if crf.scheme else lambda *_: True
    edged = [*crf.labels, None]
    permitted = torch.tensor([[ok(a, b, crf.scheme) for b in edged] for a in edged])
    closed = torch.full(permitted.shape, -math.inf, dtype=torch.float64)
    transitions = torch.where(permitted, 0.0, closed)
    alpha = crf.start + transitions[-1, :-1] + scores[0]
    for emission in scores[1:]:
        alpha = torch.logsumexp(alpha[:, None] + crf.transitions + transitions[:-1, :-1], 0) + emission
    return torch.logsumexp(alpha + crf.end + transitions[:-1, -1], 0)


def gradients(value: Tensor, *inputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, inputs))


def test_the_example_of_the_docstring_holds():
    assert doctest.testmod(crf_module) == (0, 2)


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS)
def test_log_partition_and_its_gradients_equal_enumeration(labels, scheme, form):
    crf, scores = made(labels, scheme), scores_for(labels, 4, 4).requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    inputs = (scores, *crf.parameters())
    ours = crf.log_partition(scores, LENGTHS)
    expected = torch.stack([enumerated_log_partition(crf, scores[b, :length]) for b, length in enumerate(LENGTHS)])
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        gradients((ours * weights).sum(), *inputs), gradients((expected * weights).sum(), *inputs)
    )


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS)
def test_probabilities_of_all_permitted_sequences_sum_to_one(labels, scheme, form):
    crf, scores = made(labels, scheme), scores_for(labels, 1, 3)
    targets = torch.tensor(sequences(crf, 3))
    lengths = torch.full((len(targets),), 3)
    log_likelihood = crf.log_likelihood(scores.expand(len(targets), -1, -1), targets, lengths)
    assert log_likelihood.exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS)
def test_decoding_finds_the_best_sequence_of_the_enumeration(labels, scheme):
    crf, scores = made(labels, scheme), scores_for(labels, 4, 4)
    best = [
        max(sequences(crf, length), key=lambda y, b=b: score(crf, scores[b], y).item())
        for b, length in enumerate(LENGTHS.tolist())
    ]
    assert crf.decode(scores, LENGTHS) == [list(y) for y in best]


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS)
def test_marginals_equal_enumeration(labels, scheme, form):
    crf, scores = made(labels, scheme), scores_for(labels, 4, 4)
    marginals = crf.marginals(scores, LENGTHS)
    expected = torch.zeros_like(marginals)
    for b, length in enumerate(LENGTHS):
        z = enumerated_log_partition(crf, scores[b, :length])
        for y in sequences(crf, length):
            for t, label in enumerate(y):
                expected[b, t, label] += (score(crf, scores[b], y) - z).exp().item()
    torch.testing.assert_close(marginals, expected)


def test_marginals_are_the_gradient_of_log_partition_and_sum_to_one(form):
    crf, scores = made(BIO, "bio"), scores_for(BIO, 4, 9, scale=3.0).requires_grad_()
    lengths = torch.tensor([9, 1, 5, 8])
    marginals = crf.marginals(scores, lengths)
    torch.testing.assert_close(marginals, gradients(crf.log_partition(scores, lengths).sum(), scores)[0])
    torch.testing.assert_close(marginals.sum((1, 2)), lengths.double())


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS)
def test_gradients_pass_gradcheck(labels, scheme, form):
    crf, scores = made(labels, scheme), scores_for(labels, 3, 3).requires_grad_()
    lengths, targets = torch.tensor([3, 1, 2]), torch.zeros(3, 3, dtype=torch.int64)
    inputs = (scores, *crf.parameters())
    assert torch.autograd.gradcheck(lambda s, *_: crf.log_likelihood(s, targets, lengths), inputs)


def test_everything_equals_pytorch_crf(form):
    labels = [str(k) for k in range(11)]
    ours, theirs = made(labels), torchcrf.CRF(len(labels), batch_first=True).double()
    with torch.no_grad():
        theirs.transitions.copy_(ours.transitions)
        theirs.start_transitions.copy_(ours.start)
        theirs.end_transitions.copy_(ours.end)
    scores, lengths = scores_for(labels, 6, 12, scale=2.0).requires_grad_(), torch.tensor([3, 12, 1, 7, 12, 2])
    targets = torch.randint(len(labels), (6, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(12) < lengths[:, None]
    log_likelihood = ours.log_likelihood(scores, targets, lengths)
    expected = theirs(scores, targets, mask, reduction="none")
    torch.testing.assert_close(log_likelihood, expected)
    torch.testing.assert_close(
        gradients(log_likelihood.sum(), scores, ours.transitions, ours.start, ours.end),
        gradients(expected.sum(), scores, theirs.transitions, theirs.start_transitions, theirs.end_transitions),
    )
    assert ours.decode(scores, lengths) == theirs.decode(scores, mask)


@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("scheme", [None, "bio"])
def test_padding_does_not_change_values_or_gradients(junk, scheme, form):
    crf, scores = made(BIO, scheme), scores_for(BIO, 4, 4)
    targets = torch.zeros(4, 4, dtype=torch.int64)
    behind = torch.arange(4) >= LENGTHS[:, None]
    found = []
    for fill, target in ((0.0, 0), (junk, -100)):
        filled = scores.masked_fill(behind[..., None], fill).requires_grad_()
        padded = targets.masked_fill(behind, target)
        value = crf.log_likelihood(filled, padded, LENGTHS)
        found.append([value, *gradients(value.sum(), filled, *crf.parameters()), crf.marginals(filled, LENGTHS)])
        found[-1].append(torch.tensor(list(itertools.chain(*crf.decode(filled, LENGTHS)))))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    assert (found[1][1][behind] == 0).all()


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS)
@pytest.mark.parametrize("scale", [1.0, 30.0, 100.0, 1e4])
@pytest.mark.parametrize("transition_scale", [1.0, 100.0, 1e4])
def test_extreme_scores_give_the_result_of_logsumexp(labels, scheme, scale, transition_scale):
    crf = made(labels, scheme, scale=transition_scale)
    scores = scores_for(labels, 4, 12, scale=scale).requires_grad_()
    lengths = torch.tensor([12, 1, 7, 2])
    ours = crf.log_partition(scores, lengths)
    expected = torch.stack([stepwise_log_partition(crf, scores[b, :length]) for b, length in enumerate(lengths)])
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    inputs = (scores, crf.transitions, crf.start, crf.end)
    torch.testing.assert_close(gradients(ours.sum(), *inputs), gradients(expected.sum(), *inputs), rtol=1e-7, atol=1e-9)
    assert crf.marginals(scores, lengths).isfinite().all()


def test_a_label_that_underflows_can_still_win():
    # I-X at position 2 can only follow B-X, which lags 5000 behind at position 1.
    crf = LinearChainCRF(BIO, scheme="bio")
    scores = torch.tensor([[[5000.0, 0, 0, 0, 0], [0, 0, 9000.0, 0, 0]]])
    assert crf.log_partition(scores, torch.tensor([2])).item() == pytest.approx(9000.0)
    assert crf.log_likelihood(scores, torch.tensor([[1, 2]]), torch.tensor([2])).item() == pytest.approx(0)
    assert crf.decode(scores, torch.tensor([2])) == [[1, 2]]


@pytest.mark.parametrize("gap", [150.0, 250.0, 400.0, 650.0])
def test_a_label_that_lags_over_several_tokens_can_still_win(gap):
    # Five tokens favour I-Y, five I-X. The way from one to the other, E-Y B-X, is cheaper before the border than behind
    # it, so that at the border the best sequence lags 2 * gap behind the one that stays in Y.
    labels = ["O", *(f"{prefix}-{type_}" for type_ in "XY" for prefix in "BIES")]
    crf = LinearChainCRF(labels, scheme="bioes").double()
    scores = torch.zeros(1, 10, len(labels), dtype=torch.float64)
    scores[0, :5, labels.index("I-Y")] = gap
    scores[0, 5:, labels.index("I-X")] = gap
    scores[0, 5:, [labels.index("E-Y"), labels.index("B-X")]] = -3
    ours, expected = crf.log_partition(scores, torch.tensor([10])), stepwise_log_partition(crf, scores[0])
    torch.testing.assert_close(ours[0], expected, rtol=0, atol=1e-6)


def test_large_negative_transitions_are_as_good_as_forbidden_ones():
    soft, hard = LinearChainCRF(BIO), LinearChainCRF(BIO, scheme="bio")
    with torch.no_grad():
        soft.transitions.masked_fill_(~hard.permitted[:-1, :-1], -1e4)
        soft.start.masked_fill_(~hard.permitted[-1, :-1], -1e4)
    scores, lengths = scores_for(BIO, 3, 6, scale=4.0), torch.tensor([6, 1, 4])
    torch.testing.assert_close(soft.log_partition(scores, lengths), hard.log_partition(scores, lengths))
    torch.testing.assert_close(soft.marginals(scores, lengths), hard.marginals(scores, lengths))


@pytest.mark.parametrize("scheme", [None, "bio"])
def test_a_long_float32_sequence_keeps_its_precision(scheme):
    labels = ["O", *(f"{prefix}-{k}" for k in range(11) for prefix in "BI")]
    crf = made(labels, scheme)
    scores = scores_for(labels, 1, 2000, scale=5.0)
    expected = stepwise_log_partition(crf, scores[0]).item()
    assert crf.float().log_partition(scores.float(), torch.tensor([2000])).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_half_precision_compute_in_full(dtype):
    crf, scores = made(BIO, "bio").float(), scores_for(BIO, 4, 4).to(dtype).requires_grad_()
    targets = torch.zeros(4, 4, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        value = crf.log_likelihood(scores, targets, LENGTHS)
    exact = crf.log_likelihood(scores.float(), targets, LENGTHS)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, exact, rtol=0, atol=0)
    assert gradients(value.sum(), scores)[0].dtype == dtype


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS[1:])
def test_decoded_sequences_follow_the_scheme(labels, scheme):
    crf, scores = made(labels, scheme), scores_for(labels, 50, 8, scale=10.0)
    for indices in crf.decode(scores, torch.arange(50) % 8 + 1):
        assert schemes.check([labels[i] for i in indices], scheme) is None


def test_targets_that_violate_the_scheme_are_refused_with_their_place():
    crf, scores = made(BIO, "bio"), scores_for(BIO, 3, 4)
    targets = torch.tensor([[1, 2, 2, 0], [0, 1, 0, 2], [0, 3, 2, 0]])
    with pytest.raises(DataError, match="row 3 of the batch, token 3: 'I-X' after 'B-Y'"):
        crf.log_likelihood(scores, targets, torch.tensor([4, 3, 4]))
    with pytest.raises(DataError, match="row 2 of the batch, token 4: 'I-X' after 'O'"):
        crf.log_likelihood(scores, targets, torch.tensor([4, 4, 4]))


@pytest.mark.parametrize("scheme", [None, "bio"])
@pytest.mark.parametrize("number", [-1, 5])
def test_targets_that_are_no_labels_are_refused_with_their_place(number, scheme):
    targets = torch.tensor([[0, 0, 0, 0], [0, 0, number, number]])
    with pytest.raises(DataError, match=f"row 2 of the batch, token 3: label number {number}, expected 0 to 4"):
        made(BIO, scheme).log_likelihood(scores_for(BIO, 2, 4), targets, torch.tensor([4, 3]))


def test_labels_outside_the_scheme_are_refused():
    with pytest.raises(DataError, match="label 'NN'"):
        LinearChainCRF(["O", "B-X", "NN"], scheme="bio")


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4), (3, 4, 5)])
def test_scores_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match="expected"):
        made(BIO).log_partition(torch.zeros(shape), LENGTHS)


@pytest.mark.parametrize("length", [0, 5])
def test_lengths_that_do_not_fit_are_refused(length):
    with pytest.raises(ShapeError, match=f"{length}.*expected 1 to 4"):
        made(BIO).decode(scores_for(BIO, 2, 4), torch.tensor([4, length]))


@pytest.mark.parametrize(("labels", "scheme"), CONSTRAINTS)
def test_values_without_gradients_are_those_with(labels, scheme, form):
    crf, scores, targets = made(labels, scheme), scores_for(labels, 4, 4), torch.zeros(4, 4, dtype=torch.int64)
    with torch.inference_mode():
        values = crf.log_likelihood(scores, targets, LENGTHS), crf.log_partition(scores, LENGTHS)
    expected = crf.log_likelihood(scores, targets, LENGTHS), crf.log_partition(scores, LENGTHS)
    torch.testing.assert_close(values, expected)


def test_sequences_of_one_token_have_no_transitions():
    crf, scores = made(BIO, "bio"), scores_for(BIO, 3, 1).requires_grad_()
    value = crf.log_likelihood(scores, torch.tensor([[0], [1], [3]]), torch.ones(3, dtype=torch.int64))
    assert not gradients(value.sum(), crf.transitions)[0].any()
    assert value[1].item() == pytest.approx(
        (score(crf, scores[1], (1,)) - enumerated_log_partition(crf, scores[1])).item()
    )


def test_a_new_crf_is_a_softmax_per_position():
    scores = scores_for(BIO, 4, 4)
    marginals = LinearChainCRF(BIO).marginals(scores, LENGTHS)
    real = torch.arange(4) < LENGTHS[:, None]
    torch.testing.assert_close(marginals[real], scores.softmax(2)[real])
