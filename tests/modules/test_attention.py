"""Attention: scores as their papers write them, exact on ragged sources."""

from __future__ import annotations

import pytest
import torch

from seqapps.cells import Lengths
from seqapps.errors import ComponentError
from seqapps.modules import attention
from seqapps.modules.attention import Attention

KINDS = ["additive", "dot", "general", "scaled"]
LENGTHS = torch.tensor([4, 1, 3])
D, A, V = 6, 5, 7  # of queries and memory, of the hidden layer, of values


def made(kind, *, coverage=False):
    torch.manual_seed(0)
    return Attention(kind, D, D, A, coverage=coverage).double()


def drawn(queries=2):
    torch.manual_seed(1)
    shapes = ((3, queries, D), (3, 4, D), (3, 4, V))
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def by_hand(module, q, m, covered):
    """The score of one query with one position, from the equations."""
    if module.kind == "additive":
        hidden = module.query.weight @ q + module.query.bias + module.key.weight @ m
        if covered is not None:
            hidden = hidden + covered * module.covered
        return module.score @ torch.tanh(hidden)
    if module.kind == "dot":
        return q @ m
    if module.kind == "general":
        return q @ (module.key.weight @ m)
    return (module.query.weight @ q) @ (module.key.weight @ m) / A**0.5


@pytest.mark.parametrize("queries", [1, 2])
@pytest.mark.parametrize("kind", [*KINDS, "covering"])
def test_weights_and_contexts_are_those_of_the_equations(kind, queries):
    module = made("additive", coverage=True) if kind == "covering" else made(kind)
    q, m, values = drawn(queries)
    covered = torch.rand(3, queries, 4, dtype=torch.float64) if kind == "covering" else None
    found = module(q, module.remember(m, values, Lengths(LENGTHS, 4)), covered)
    for b, length in enumerate(LENGTHS.tolist()):
        for j in range(queries):
            seen = [None if covered is None else covered[b, j, i] for i in range(length)]
            scores = torch.stack([by_hand(module, q[b, j], m[b, i], seen[i]) for i in range(length)])
            torch.testing.assert_close(found.weights[b, j, :length], scores.softmax(0))
            torch.testing.assert_close(found.context[b, j], scores.softmax(0) @ values[b, :length])
            assert not found.weights[b, j, length:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_any_length_and_content_does_not_matter(kind):
    module = made(kind)
    q, m, values = drawn()
    found = module(q, module.remember(m, values, Lengths(LENGTHS, 4)))
    longer, wider = (torch.cat([x, torch.full_like(x, 9.0)], 1) for x in (m, values))
    padding = torch.arange(8) >= LENGTHS[:, None]
    longer, wider = (torch.where(padding[..., None], 9.0, x) for x in (longer, wider))
    again = module(q, module.remember(longer, wider, Lengths(LENGTHS, 8)))
    torch.testing.assert_close(again.context, found.context)
    torch.testing.assert_close(again.weights[..., :4], found.weights)


@pytest.mark.parametrize("kind", KINDS)
def test_each_query_finds_what_it_would_find_alone(kind):
    module = made(kind)
    q, m, values = drawn(queries=3)
    memory = module.remember(m, values, Lengths(LENGTHS, 4))
    together = module(q, memory).context
    torch.testing.assert_close(torch.cat([module(q[:, j : j + 1], memory).context for j in range(3)], 1), together)


@pytest.mark.parametrize("elements", [1, 100, 10**6])
@pytest.mark.parametrize("kind", [*KINDS, "covering"])
def test_gradients_are_those_of_finite_differences(monkeypatch, kind, elements):
    monkeypatch.setattr(attention, "_ELEMENTS", elements)
    module = made("additive", coverage=True) if kind == "covering" else made(kind)
    q, m, values = drawn()
    covered = torch.rand(3, 2, 4, dtype=torch.float64) if kind == "covering" else None
    parameters = dict(module.named_parameters())

    class Both(torch.nn.Module):
        def __init__(self, of):
            super().__init__()
            self.of = of

        def forward(self, q, m, values):
            return self.of(q, self.of.remember(m, values, Lengths(LENGTHS, 4)), covered)

    both = Both(module)

    def found(q, m, values, *weights):
        named = {f"of.{name}": weight for name, weight in zip(parameters, weights, strict=True)}
        return tuple(torch.func.functional_call(both, named, (q, m, values)))[:2]  # scores are infinite on padding

    assert torch.autograd.gradcheck(found, (q, m, values, *parameters.values()))


def test_a_second_derivative_of_additive_scores_is_refused():
    module = made("additive")
    q, m, values = drawn()
    context, *_ = module(q, module.remember(m, values, Lengths(LENGTHS, 4)))
    with pytest.raises(ComponentError, match="no second derivative"):
        torch.autograd.grad(context.sum(), q, create_graph=True)


def test_under_autocast_weights_are_fp32_and_near_the_exact_ones():
    for kind in KINDS:
        module = made(kind).float()
        q, m, values = (x.float() for x in drawn())
        exact = module(q, module.remember(m, values, Lengths(LENGTHS, 4)))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = module(q, module.remember(m, values, Lengths(LENGTHS, 4)))
        assert found.weights.dtype == torch.float32
        torch.testing.assert_close(found.weights, exact.weights, atol=0.03, rtol=0.05)


def test_dot_refuses_queries_of_another_size_than_the_memory():
    with pytest.raises(ComponentError, match="a query has 4 features, what it is compared with 6; make them equal"):
        Attention("dot", 4, 6, 5)
