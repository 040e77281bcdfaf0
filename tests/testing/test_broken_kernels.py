"""The teeth of `check_kernel`: kernels that each break one rule, and the sentence that says so."""

import pytest
import torch

from seqapps.cells import GRU, LSTM, RNN
from seqapps.cells.unroll import kernels_named, unroll_steps
from seqapps.registry import registry
from seqapps.testing import check_cell, check_kernel

CELLS = [RNN, LSTM, GRU]


class Steps:
    """The steps themselves."""

    rank = 99

    def refuses(self, cell, x):
        return None

    def unroll(self, cell, x, state, lengths, final):
        return unroll_steps(cell, x, state, lengths, final)


class Nothing(Steps):
    def refuses(self, cell, x):
        return "it runs nothing"


def test_the_steps_themselves_pass_on_every_cell():
    taken = check_kernel(Steps, CELLS)
    assert taken[:3] == ["RNN", "LSTM", "GRU"]
    assert len(taken) == 9  # three of ours and the kit's own six


def test_a_kernel_that_refuses_everything_is_told_apart():
    assert check_kernel(Nothing(), CELLS) == []


def test_fields_of_a_cell_are_given_with_it():
    assert "RNN(nonlinearity='relu')" in check_kernel(Steps, [(RNN, {"nonlinearity": "relu"})])


def test_every_registered_cell_is_tried_by_default():
    names = [registry("cells").load(name).__name__ for name in registry("cells")]
    assert check_kernel(Steps)[: len(names)] == names


class HasNoRank:
    def refuses(self, cell, x):
        return None

    def unroll(self, cell, x, state, lengths, final):
        return unroll_steps(cell, x, state, lengths, final)


class AnswersYesOrNo(Steps):
    def refuses(self, cell, x):
        return False


class Raises(Steps):
    def unroll(self, cell, x, state, lengths, final):
        raise ValueError("no such layout")


class _Spoilt(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 1.01 * gradient


class HasAWrongGradientOfX(Steps):
    def unroll(self, cell, x, state, lengths, final):
        return unroll_steps(cell, _Spoilt.apply(x), state, lengths, final)


class HasAWrongGradientOfTheState(Steps):
    def unroll(self, cell, x, state, lengths, final):
        return unroll_steps(cell, x, tuple(map(_Spoilt.apply, state)), lengths, final)


class _Frozen(torch.nn.Linear):
    def forward(self, h):
        return torch.nn.functional.linear(h, self.weight, None if self.bias is None else self.bias.detach())


class LosesTheGradientOfABias(Steps):
    def unroll(self, cell, x, state, lengths, final):
        linear = cell.recurrent
        frozen = _Frozen(1, 1)
        frozen.weight, frozen.bias = linear.weight, linear.bias
        cell._modules["recurrent"] = frozen
        try:
            return unroll_steps(cell, x, state, lengths, final)
        finally:
            cell._modules["recurrent"] = linear


class IgnoresTheGivenState(Steps):
    def unroll(self, cell, x, state, lengths, final):
        return unroll_steps(cell, x, tuple(0 * s for s in state), lengths, final)


class RunsOnOverPadding(Steps):
    """Right outputs, and the final state is the one at the padded end."""

    def unroll(self, cell, x, state, lengths, final):
        outputs = []
        for projected in cell.project(x):
            output, state = cell.step(projected, state)
            outputs.append(output)
        return torch.stack(outputs), state


class FillsPaddingWithNaN(Steps):
    def unroll(self, cell, x, state, lengths, final):
        outputs, last = unroll_steps(cell, x, state, lengths, final)
        return outputs.masked_fill(lengths.padding, float("nan")), last


class IsWrongWithoutFinalStates(Steps):
    def unroll(self, cell, x, state, lengths, final):
        outputs, last = unroll_steps(cell, x, state, lengths, final)
        return outputs if final else 2 * outputs, last


class ComputesInFloat32(Steps):
    def unroll(self, cell, x, state, lengths, final):
        outputs, last = unroll_steps(cell, x, state, lengths, final)
        return outputs.float().to(x.dtype), last


class GoesByIsinstance(Steps):
    """Right for RNN, and takes every subclass for one."""

    def refuses(self, cell, x):
        return None if isinstance(cell, RNN) else "another cell"

    def unroll(self, cell, x, state, lengths, final):
        outputs, (h,) = [], state
        for t, x_t in enumerate(x):
            h = torch.where(lengths.mask[t, :, None], torch.tanh(cell.input_projection(x_t) + cell.recurrent(h)), h)
            outputs.append(h)
        return torch.stack(outputs), (h,)


class GoesByTheRule(GoesByIsinstance):
    """Looks at `pointwise` only; a subclass may write `step` or `project`."""

    def refuses(self, cell, x):
        return None if getattr(type(cell), "pointwise", None) is RNN.pointwise else "another rule"


class ForgetsRecurrentDropout(GoesByIsinstance):
    def refuses(self, cell, x):
        return None if type(cell) is RNN else "another cell"

    def unroll(self, cell, x, state, lengths, final):
        outputs, (h,) = [], state
        weight, bias = cell.recurrent.weight, cell.recurrent.bias
        for t, x_t in enumerate(x):
            new = torch.tanh(cell.input_projection(x_t) + torch.nn.functional.linear(h, weight, bias))
            h = torch.where(lengths.mask[t, :, None], new, h)
            outputs.append(h)
        return torch.stack(outputs), (h,)


class TakesZonedOutCells(GoesByIsinstance):
    def refuses(self, cell, x):
        plain = type(cell) is RNN or type(cell).__name__ == "ZonedOutRNN"
        return None if plain else "another cell"


class IgnoresTheStateOfShortBatches(Steps):
    rank = -1  # `auto` takes it first

    def unroll(self, cell, x, state, lengths, final):
        return unroll_steps(cell, x, state if len(x) > 2 else tuple(0 * s for s in state), lengths, final)


BROKEN = {
    HasNoRank: "HasNoRank: it has no rank",
    AnswersYesOrNo: "refuses returns False",
    Raises: "ValueError while checking that outputs states and gradients are those of the steps (no such layout)",
    HasAWrongGradientOfX: "HasAWrongGradientOfX on RNN: the gradient of x is not that of the steps",
    HasAWrongGradientOfTheState: "the gradient of initial state 1 is not that of the steps",
    LosesTheGradientOfABias: "the gradient of parameter 'recurrent.bias' is not that of the steps",
    IgnoresTheGivenState: "outputs is not that of the steps",
    RunsOnOverPadding: "final state 1 of 1 is not that of the steps (lengths 5, 1, 3, 4",
    FillsPaddingWithNaN: "outputs on padding are not finite",
    IsWrongWithoutFinalStates: "outputs with final=False are not those of the steps",
    ComputesInFloat32: "outputs is not that of the steps (lengths 5, 1, 3, 4, torch.float64)",
    GoesByIsinstance: "on RNNWithAnotherProject: outputs is not that of the steps, a subclass with a rule of its own",
    GoesByTheRule: "on RNNWithAnotherProject: outputs is not that of the steps, a subclass with a rule of its own",
    ForgetsRecurrentDropout: "outputs is not that of the steps with recurrent_dropout",
    TakesZonedOutCells: "on RNN: outputs is not that of the steps with zoneout",
}


@pytest.mark.parametrize(("kernel", "sentence"), BROKEN.items(), ids=[kernel.__name__ for kernel in BROKEN])
def test_a_broken_kernel_is_caught(kernel, sentence):
    with pytest.raises(AssertionError) as caught:
        check_kernel(kernel, CELLS)
    message = str(caught.value)
    assert sentence in message
    assert message.startswith(kernel.__name__)
    assert "\n" not in message
    assert "; " in message  # the way out


REGISTERED = {
    RunsOnOverPadding: "final state 1 of 1 of a padded batch run by kernel 'broken'",
    HasAWrongGradientOfTheState: "the gradient of initial state 1 of a padded batch run by kernel 'broken'",
    IgnoresTheStateOfShortBatches: "outputs of a sequence cut in two, its state carried over, is not that of the whole",
    ForgetsRecurrentDropout: "outputs with recurrent_dropout by kernel 'broken' is not that of the steps",
}


@pytest.fixture
def register(monkeypatch):
    """Registers a kernel as `broken` for one test."""
    yield lambda kernel: (
        monkeypatch.setitem(registry("kernels")._local, "broken", kernel),
        kernels_named.cache_clear(),
    )
    kernels_named.cache_clear()


@pytest.mark.parametrize(("kernel", "sentence"), REGISTERED.items(), ids=[kernel.__name__ for kernel in REGISTERED])
def test_a_broken_kernel_that_is_registered_is_caught_with_any_cell(kernel, sentence, register):
    register(kernel)
    with pytest.raises(AssertionError) as caught:
        check_cell(RNN)
    assert sentence in str(caught.value)


def test_a_registered_kernel_that_takes_a_cell_for_its_parent_is_caught(register):
    class Shrinks(RNN):
        def pointwise(self, projected, recurrent, state):
            h = 0.9 * torch.tanh(projected + recurrent)
            return h, (h,)

    register(GoesByIsinstance)
    with pytest.raises(AssertionError, match="outputs of a padded batch run by kernel 'broken' is not that of its"):
        check_cell(Shrinks)
