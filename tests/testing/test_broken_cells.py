"""The teeth of `check_cell`: cells that each break one rule, and the sentence that says so."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seqapps.cells import GRU, LSTM, RNN, Cell, LinearCell, PointwiseCell
from seqapps.testing import check_cell

BROKEN = []


def caught(sentence):
    """Adds a cell to the table: `sentence` must be in the message."""

    def decorate(cell_class):
        BROKEN.append(pytest.param(cell_class, sentence, id=cell_class.__name__))
        return cell_class

    return decorate


class Sound(PointwiseCell):
    """A plain recurrent network."""

    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent)
        return h, (h,)


class SoundStep(Cell):
    """The same by `step`, with a matrix that the regularisers find."""

    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.inner = nn.Linear(hidden_size, hidden_size, bias=False)

    def step(self, projected, state):
        h = torch.tanh(projected + self.inner(state[0]))
        return h, (h,)


class SoundLinear(LinearCell):
    """An exponential average with a gate."""

    gates = 2

    def coefficients(self, projected):
        z, n = projected.chunk(2, -1)
        z = torch.sigmoid(z)
        return 1 - z, z * n


@pytest.mark.parametrize("cell_class", [Sound, SoundStep, SoundLinear, LSTM, GRU, RNN])
def test_sound_cells_pass(cell_class):
    check_cell(cell_class)


# Rows of a batch


@caught("the output of a sequence depends on the rest of its batch")
class MixesRows(Sound):
    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent + state[0].mean(0))
        return h, (h,)


@caught("depends on the rest of its batch")
class NormalizesTheBatchInTraining(SoundStep):
    def step(self, projected, state):
        z = projected + self.inner(state[0])
        h = torch.tanh(F.batch_norm(z, None, None, training=True) if self.training and len(z) > 1 else z)
        return h, (h,)


@caught("a sequence's gradient reaches the other rows of its batch")
class MixesGradientsOfRows(Sound):
    def pointwise(self, projected, recurrent, state):
        mean = state[0].mean(0)
        h = torch.tanh(projected + recurrent + mean - mean.detach())
        return h, (h,)


# Positions, padding, time


@caught("what project returns for a position depends on the others")
class ReadsTheNextInput(Sound):
    def project(self, x):
        projected = self.input_projection(x)
        return projected + 0.3 * projected.roll(-1, 0) if x.dim() == 3 else projected


@caught("what project returns for a position depends on the others")
class LeaksPadding(Sound):
    def project(self, x):
        return self.input_projection(x - x.mean(0) if x.dim() == 3 else x)


@caught("what project returns for a sequence depends on the others")
class ProjectsByTheBatch(Sound):
    def project(self, x):
        return self.input_projection(x) + (0.1 * x.size(1) if x.dim() == 3 else 0.1 * 4)


class _Weakened(Sound):
    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + 0.9 * recurrent)
        return h, (h,)


@caught("outputs of a padded batch run step by step is not that of its sequences alone")
class BeginsBatchesWithAnotherRule(Sound):
    def begin(self, batch_size):
        begun = copy.copy(self)
        begun.__class__ = _Weakened if batch_size > 1 else Sound
        return begun


# What is remembered


@caught("the same input gives other outputs after the cell has read something else")
class KeepsItsState(Sound):
    kept = 0.0

    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent + self.kept)
        self.kept = float(h.detach().mean())
        return h, (h,)


@caught("reading a sequence changes steps of the cell")
class CountsItsSteps(Sound):
    steps = 0

    def pointwise(self, projected, recurrent, state):
        self.steps += 1
        return super().pointwise(projected, recurrent, state)


@caught("reading a sequence changes seen of the cell")
class CollectsItsStates(Sound):
    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.register_buffer("seen", torch.zeros(hidden_size))

    def pointwise(self, projected, recurrent, state):
        self.seen += state[0].detach().sum(0)
        return super().pointwise(projected, recurrent, state)


@caught("step changes state 1 in place")
class ChangesItsStateInPlace(SoundStep):
    def step(self, projected, state):
        (h,) = state
        new = torch.tanh(projected + self.inner(h))
        with torch.no_grad():
            h.copy_(new)
        return new, (new,)


@caught("step changes the projected input in place")
class ChangesItsInputInPlace(SoundStep):
    def step(self, projected, state):
        with torch.no_grad():
            projected += 1.0
        return super().step(projected, state)


@caught("draws random numbers in evaluation")
class DropsInEvaluation(Sound):
    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + F.dropout(recurrent, 0.5))
        return h, (h,)


# Sizes and types


@caught("gates = 2 says (4, 8)")
class CountsItsGatesWrongly(Cell):
    gates = 2

    def project(self, x):
        return self.input_projection(x).chunk(2, -1)[0]

    def step(self, projected, state):
        h = torch.tanh(projected + state[0])
        return h, (h,)


@caught("step returns state 1 with shape (4, 8), initial_state with (4, 4)")
class ReturnsAnotherShape(SoundStep):
    def step(self, projected, state):
        h = torch.tanh(projected + state[0][:, :4])
        return h, (torch.cat([h, h], -1),)


@caught("step returns 2 states, but states = 1")
class ReturnsAnotherNumberOfStates(SoundStep):
    def step(self, projected, state):
        h, new = super().step(projected, state)
        return h, (*new, h)


@caught("initial_state returns a tuple of 2 (Tensor, Tensor), but states = 1")
class BeginsWithTooManyStates(Sound):
    def initial_state(self, batch_size):
        return super().initial_state(batch_size) * 2


@caught("initial state 1 has shape (1, 4) for a batch of 4")
class BeginsWithOneRow(Sound):
    def initial_state(self, batch_size):
        return super().initial_state(1)


@caught("initial state 1 is torch.float32 in a cell of torch.float64")
class BeginsInFloat32(Sound):
    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, self.hidden_size),)


@caught("a step in torch.bfloat16 returns torch.float32")
class ComputesInFloat32(Sound):
    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent) * torch.full((self.hidden_size,), 0.9)
        return h, (h,)


@caught("it cannot run in torch.float64")
class MultipliesInFloat32(SoundStep):
    def step(self, projected, state):
        h = torch.tanh(projected + state[0] @ torch.eye(self.hidden_size))
        return h, (h,)


@caught("returns an output of shape (4, 8), but output_size = 4")
class ReturnsAWiderOutput(SoundStep):
    def step(self, projected, state):
        h, new = super().step(projected, state)
        return torch.cat([h, h], -1), new


@caught("step returns a Tensor; return the output and the tuple of new states")
class ReturnsItsStateOnly(SoundStep):
    def step(self, projected, state):
        return super().step(projected, state)[0]


@caught("RuntimeError while checking that unusual sizes work")
class FailsForASingleSequence(Sound):
    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent.squeeze(0) if self.hidden_size > 1 else projected + recurrent.view(5, 1))
        return h, (h,)


# What a cell says about itself


@caught("elementwise, but the output of other hidden units changes with unit 0")
class MixesHiddenUnits(Sound):
    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(F.layer_norm(projected + recurrent, (self.hidden_size,)))
        return h, (h,)


@caught("the output of step is not what pointwise makes of the recurrent product")
class StepsByAnotherRule(Sound):
    def step(self, projected, state):
        output, (h,) = super().step(projected, state)
        return 0.5 * output, (h,)


@caught("the new state of step is not what coefficients and readout say")
class IsNotLinear(SoundLinear):
    def pointwise(self, projected, recurrent, state):
        a, b = self.coefficients(projected)
        h = torch.tanh(a * state[0] + b)
        return h, (h,)


@caught("the output of step is not what coefficients and readout say")
class ReadsOutOtherwise(SoundLinear):
    def pointwise(self, projected, recurrent, state):
        output, new = super().pointwise(projected, recurrent, state)
        return 2 * output, new


@caught("keep_gates names block 1, but raising it does not keep more of the old state")
class TakesItsGatesInAnotherOrder(LSTM):
    """Declares i f g o and computes f i g o."""

    def pointwise(self, projected, recurrent, state):
        _, c = state
        f, i, g, o = (projected + recurrent).chunk(4, -1)
        i, f, o = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o)
        c = f * c + i * torch.tanh(g)
        h = o * torch.tanh(c)
        return h, (h, c)


@caught("keep_gates names block 1, but raising it does not keep more of the old state")
class TurnsItsUpdateGateRound(GRU):
    def pointwise(self, projected, recurrent, state):
        (h,) = state
        x_r, x_z, x_n = projected.chunk(3, -1)
        h_r, h_z, h_n = recurrent.chunk(3, -1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        h = z * torch.tanh(x_n + r * h_n) + (1 - z) * h
        return h, (h,)


@caught("write_gates names block 1, but raising it does not overwrite more of the old state")
class SaysThatItsCandidateWrites(SoundLinear):
    write_gates = (0, 1)


@caught("keep_gates names block 5 of 2")
class NamesAGateThatIsNotThere(SoundLinear):
    keep_gates = (5,)


@caught("set_memory_bias does not make it keep more of the old state")
class ForgetsItsMemoryBias(SoundLinear):
    write_gates = (0,)

    def set_memory_bias(self, value):
        with torch.no_grad():
            self.input_projection.bias[: self.hidden_size] = value


@caught("gate_names name the sigmoids update, reset, but a step computes 1 of them")
class NamesTooManyGates(SoundLinear):
    gate_names = ("update", "reset")


# Gradients and parameters


@caught("the gradient of initial state 1 is not the derivative")
class DetachesItsState(SoundStep):
    def step(self, projected, state):
        h = torch.tanh(projected + self.inner(state[0].detach()))
        return h, (h,)


class _TripledGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 3 * gradient


@caught("the gradient of x is not the derivative")
class HasAWrongBackward(Sound):
    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(_TripledGradient.apply(projected) + recurrent)
        return h, (h,)


@caught("nothing depends on its parameter forgotten")
class HasAnUnusedParameter(Sound):
    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.forgotten = nn.Parameter(torch.ones(hidden_size))


# Saving


@caught("it cannot be saved")
class SharesAParameter(SoundStep):
    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.outer = nn.Linear(hidden_size, hidden_size, bias=False)
        self.outer.weight = self.inner.weight

    def step(self, projected, state):
        h = torch.tanh(projected + self.outer(self.inner(state[0])))
        return h, (h,)


@caught("two of them with the same parameters give different outputs")
class DrawsAConstant(Sound):
    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.scale = float(torch.rand(()))

    def pointwise(self, projected, recurrent, state):
        h = torch.tanh(projected + self.scale * recurrent)
        return h, (h,)


# Constructors


@caught("its constructor asks for input_size")
class AsksForOneSize(Sound):
    def __init__(self, input_size, /):
        super().__init__(input_size, 4)


@caught("parameter 'hidden_size' is neither positional-only (a resource) nor keyword-only (a field)")
class HasAPlainConstructor(Sound):
    def __init__(self, input_size, /, hidden_size):
        super().__init__(input_size, hidden_size)


@caught("field 'scale' has no annotation")
class HasAFieldWithoutAType(Sound):
    def __init__(self, input_size, hidden_size, /, *, scale=1.0):
        super().__init__(input_size, hidden_size)


# Regularisers


@caught("recurrent_dropout does nothing in training")
class GoesPastItsLinearModule(SoundStep):
    def step(self, projected, state):
        h = torch.tanh(projected + F.linear(state[0], self.inner.weight))
        return h, (h,)


@caught("recurrent_dropout does nothing in training")
class BeginsWithoutDrawing(Sound):
    def begin(self, batch_size):
        return self


@caught("with recurrent_dropout it draws random numbers in evaluation")
class RegularizesInEvaluation(Sound):
    def begin(self, batch_size):
        training = self.training
        begun = super().begin(batch_size) if training else self.train().begin(batch_size)
        self.train(training)
        return begun


@caught("recurrent_dropout is drawn anew at every step")
class DrawsAtEveryStep(SoundStep):
    def begin(self, batch_size):
        return self

    def step(self, projected, state):
        p = max(self.regularizers) if self.training else 0.0
        h = torch.tanh(projected + self.inner(F.dropout(state[0], p)))
        return h, (h,)


@caught("with zoneout state 1 in evaluation is not the expected value")
class ZonesOutInTrainingOnly(Sound):
    def begin(self, batch_size):
        return super().begin(batch_size) if self.training else self


@caught("with zoneout the units of state 1 in training are not each the old or the new one")
class ScalesWhatZoneoutKeeps(Sound):
    def begin(self, batch_size):
        begun = super().begin(batch_size)
        if not self.training or begun is self or not self.regularizers.zoneout:
            return begun
        rule = begun.pointwise
        begun.__dict__["pointwise"] = lambda *given: (rule(*given)[0], tuple(2 * s for s in rule(*given)[1]))
        return begun


@pytest.mark.parametrize(("cell_class", "sentence"), BROKEN)
def test_a_broken_cell_is_caught(cell_class, sentence):
    with pytest.raises(AssertionError) as caught:
        check_cell(cell_class)
    message = str(caught.value)
    assert sentence in message
    assert message.startswith(cell_class.__name__)
    assert "\n" not in message
    assert "; " in message  # the way out


class KeepsItsBias(Sound):
    def __init__(self, input_size, hidden_size, /, *, bias: bool = True):
        super().__init__(input_size, hidden_size)


def test_a_bias_that_stays_is_caught():
    with pytest.raises(AssertionError, match=r"with bias=False it still has input_projection.bias, recurrent.bias"):
        check_cell(KeepsItsBias, bias=False)


def test_an_unknown_field_is_caught():
    with pytest.raises(AssertionError, match="it has no field 'peephle'"):
        check_cell(Sound, peephle=True)


def test_a_check_leaves_random_numbers_and_gradient_mode_as_they_were():
    state = torch.get_rng_state()
    with torch.no_grad():
        check_cell(Sound)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
