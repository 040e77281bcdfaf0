"""The output layer and its cross-entropy in one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from seqapps.errors import ComponentError, ShapeError
from seqapps.modules import output
from seqapps.modules.output import linear_cross_entropy


def leaves(rows, features, symbols, *, bias=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(rows + features)
    shapes = [(rows, features), (symbols, features)] + ([(symbols,)] if bias else [])
    made = [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]
    targets = torch.randint(symbols, (rows,), generator=generator)
    return (*made, *([] if bias else [None]), targets)


@pytest.mark.parametrize(("chunk", "piece"), [(1, 1), (21, 7), (21, 14), (1000, 21), (1000, 1000)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_values_and_gradients_are_those_of_torch(monkeypatch, smoothing, bias, chunk, piece):
    monkeypatch.setattr(output, "_ELEMENTS", chunk)
    monkeypatch.setattr(output, "_IN_CACHE", piece)
    x, weight, b, targets = leaves(11, 5, 7, bias=bias)
    expected = F.cross_entropy(F.linear(x, weight, b), targets, label_smoothing=smoothing, reduction="sum")
    found = linear_cross_entropy(x, weight, b, targets, smoothing)
    torch.testing.assert_close(found.total, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.nll, F.cross_entropy(F.linear(x, weight, b), targets, reduction="sum"))
    assert not found.nll.requires_grad
    inputs = [tensor for tensor in (x, weight, b) if tensor is not None]
    wanted = torch.autograd.grad(expected / 3, inputs)
    for gradient, reference in zip(torch.autograd.grad(found.total / 3, inputs), wanted, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_only_the_gradients_that_are_asked_for_are_given(number):
    tensors = leaves(6, 4, 5)
    targets, inputs = tensors[3], [tensor.detach() for tensor in tensors[:3]]
    inputs[number].requires_grad_()
    linear_cross_entropy(*inputs, targets).total.backward()
    expected = torch.autograd.grad(F.cross_entropy(F.linear(*inputs), targets, reduction="sum"), inputs[number])
    torch.testing.assert_close(inputs[number].grad, expected[0])
    assert [tensor.grad is not None for tensor in inputs] == [i == number for i in range(3)]


def test_a_weight_that_is_also_an_embedding_gets_both_gradients():
    _, weight, b, targets = leaves(9, 5, 7)
    tokens = torch.tensor([0, 1, 1, 6, 2, 3, 0, 5, 4])
    linear_cross_entropy(F.embedding(tokens, weight), weight, b, targets).total.backward()
    expected = F.cross_entropy(F.linear(F.embedding(tokens, weight), weight, b), targets, reduction="sum")
    torch.testing.assert_close(weight.grad, torch.autograd.grad(expected, weight)[0])


def test_logits_of_any_size_do_not_overflow():
    x, weight, b, targets = leaves(6, 4, 5)
    found = linear_cross_entropy(x * 1e4, weight, b, targets)
    expected = F.cross_entropy(F.linear(x * 1e4, weight, b), targets, reduction="sum")
    torch.testing.assert_close(found.total, expected)
    assert torch.autograd.grad(found.total, x)[0].isfinite().all()


def test_a_matrix_by_itself_gets_both_gradients():
    weight = torch.randn(7, 5, requires_grad=True)
    linear_cross_entropy(weight, weight, None, torch.arange(7)).total.backward()
    expected = F.cross_entropy(F.linear(weight, weight), torch.arange(7), reduction="sum")
    torch.testing.assert_close(weight.grad, torch.autograd.grad(expected, weight)[0])


@pytest.mark.parametrize("piece", [50, 4000, 1_000_000])
def test_under_autocast_products_are_bf16_and_sums_fp32(monkeypatch, piece):
    monkeypatch.setattr(output, "_IN_CACHE", piece)
    x, weight, b, targets = leaves(300, 32, 50, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = linear_cross_entropy(x, weight, b, targets, 0.1)
    assert found.total.dtype == found.nll.dtype == torch.float32
    exact = F.cross_entropy(F.linear(x, weight, b), targets, label_smoothing=0.1, reduction="sum")
    rounded = F.linear(x.bfloat16(), weight.bfloat16()).float() + b
    expected = F.cross_entropy(rounded, targets, label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(found.total, expected)
    assert found.total != exact  # it was rounded indeed
    inputs = (x, weight, b)
    references = torch.autograd.grad(exact, inputs)
    for gradient, reference in zip(torch.autograd.grad(found.total, inputs), references, strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - reference).norm() < 0.02 * reference.norm()


def test_without_gradients_the_values_are_the_same():
    x, weight, b, targets = leaves(6, 4, 5)
    with torch.no_grad():
        quiet = linear_cross_entropy(x, weight, b, targets, 0.2)
    assert quiet == linear_cross_entropy(x, weight, b, targets, 0.2)


def test_no_rows_cost_nothing():
    x, weight, b, targets = leaves(0, 4, 5)
    found = linear_cross_entropy(x, weight, b, targets)
    found.total.backward()
    assert found.total == 0
    assert not weight.grad.any()


def test_a_second_derivative_is_refused():
    x, weight, b, targets = leaves(6, 4, 5)
    total = linear_cross_entropy(x, weight, b, targets).total
    with pytest.raises(ComponentError, match="no second derivative"):
        torch.autograd.grad(total, x, create_graph=True)


def test_shapes_that_do_not_fit_are_named():
    x, weight, b, targets = leaves(6, 4, 5)
    with pytest.raises(ShapeError, match=r"x \(6, 4\), weight \(5, 4\), targets \(5,\)"):
        linear_cross_entropy(x, weight, b, targets[:5])
    with pytest.raises(ShapeError, match=r"x \(6, 3\)"):
        linear_cross_entropy(x[:, :3], weight, b, targets)
