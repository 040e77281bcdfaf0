"""The teeth of `check_encoder`: encoders that each break one rule, and the sentence that says so."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seqapps.cells import LSTM, Lengths, unroll
from seqapps.cells.lengths import without_padding
from seqapps.modules.encoded import Encoded
from seqapps.testing import check_encoder

BROKEN = []


def caught(sentence):
    """Adds an encoder to the table: `sentence` must be in the message."""

    def decorate(encoder_class):
        BROKEN.append(pytest.param(encoder_class, sentence, id=encoder_class.__name__))
        return encoder_class

    return decorate


class Sound(nn.Module):
    """One LSTM layer, forward."""

    causal = True

    def __init__(self, input_size, /, *, hidden_size: int = 4, dropout: float = 0.0):
        super().__init__()
        self.cell, self.output_size, self.dropout = LSTM(input_size, hidden_size), hidden_size, dropout

    def forward(self, x, lengths, state=None, *, final=True):
        lengths = Lengths.of(lengths, x.size(1), x.device)
        x = without_padding(x.transpose(0, 1), lengths)
        outputs, last = self.read(x, lengths, None if state is None else state[0][0])
        outputs = F.dropout(outputs, self.dropout, self.training)
        summary = self.summarize(outputs, lengths)
        return Encoded(outputs.transpose(0, 1), summary, ((last,),) if final else None, lengths)

    def read(self, x, lengths, state):
        """Outputs (T, B, F) and the final state."""
        return unroll(self.cell, x, state, lengths, kernels="reference")

    def summarize(self, outputs, lengths):
        return outputs.flatten(0, 1)[lengths.last]


class SoundBothWays(Sound):
    """One LSTM layer, backward, added to the forward one."""

    causal = False

    def __init__(self, input_size, /, *, hidden_size: int = 4):
        super().__init__(input_size, hidden_size=hidden_size)
        self.backward_cell = LSTM(input_size, hidden_size)

    def read(self, x, lengths, state):
        forward, last = super().read(x, lengths, None)
        order, back = self.orders(x, lengths)
        backward, _ = unroll(self.backward_cell, order(x), None, lengths, kernels="reference")
        return forward + without_padding(back(backward), lengths), last

    def orders(self, x, lengths):
        """Functions that turn the sequences round, and turn them back."""

        def turn(x):
            return torch.stack([torch.cat([x[:n, b].flip(0), x[n:, b]]) for b, n in enumerate(lengths.values)], 1)

        return turn, turn


@pytest.mark.parametrize("encoder_class", [Sound, SoundBothWays])
def test_sound_encoders_pass(encoder_class):
    check_encoder(encoder_class)


# Reading backward


@caught("outputs of a padded batch is not that of its sequences alone")
class FlipsPaddingToo(SoundBothWays):
    def orders(self, x, lengths):
        return lambda x: x.flip(0), lambda x: x.flip(0)


@caught("not causal, but no output changes with a later position")
class ReversesNothing(SoundBothWays):
    def orders(self, x, lengths):
        return lambda x: x, lambda x: x


@caught("causal, but outputs change with later positions")
class SaysThatItIsCausal(SoundBothWays):
    causal = True


@caught("not causal, but no output changes with a later position")
class SaysThatItIsNotCausal(Sound):
    causal = False


# Padding


@caught("outputs on padding are not zero")
class LeavesPadding(Sound):
    def read(self, x, lengths, state):
        outputs, last = super().read(x, lengths, state)
        return outputs + 1.0, last


@caught("summary of a padded batch is not that of its sequences alone")
class SummarizesPadding(Sound):
    def summarize(self, outputs, lengths):
        return outputs.mean(0)


@caught("summary of a padded batch is not that of its sequences alone")
class TakesTheLastPosition(Sound):
    def summarize(self, outputs, lengths):
        return outputs[-1]


@caught("final state 2 of layer 1, direction 1, of a padded batch is not that of its sequences alone")
class ReturnsTheStateAtThePaddedEnd(Sound):
    def read(self, x, lengths, state):
        outputs, _ = super().read(x, lengths, state)
        _, (_, c) = super().read(x, Lengths.of(torch.full((x.size(1),), len(x)), len(x), "cpu"), state)
        return outputs, (self.summarize(outputs, lengths), c)


@caught("(padding inf)")
class MultipliesPaddingByZero(Sound):
    """0 * inf is NaN."""

    def forward(self, x, lengths, state=None, *, final=True):
        lengths = Lengths.of(lengths, x.size(1), x.device)
        gate = self.cell.input_projection.weight.sum() * 0 + 1
        x = x * lengths.mask.t()[..., None] * gate
        outputs, last = self.read(x.transpose(0, 1), lengths, None if state is None else state[0][0])
        return Encoded(
            outputs.transpose(0, 1), self.summarize(outputs, lengths), ((last,),) if final else None, lengths
        )


@caught("outputs of a padded batch is not that of its sequences alone")
class MixesRows(Sound):
    def read(self, x, lengths, state):
        return super().read(without_padding(x - x.mean(1, keepdim=True), lengths), lengths, state)


@caught("summary of a single token is another with padding behind it")
class TakesASingleSequenceForUnpadded(Sound):
    def forward(self, x, lengths, state=None, *, final=True):
        full = torch.full_like(lengths, x.size(1))
        return super().forward(x, full if len(x) == 1 else lengths, state, final=final)


# States


@caught("of a sequence cut in two, its final states fed back, is not that of the whole")
class IgnoresTheStateGiven(Sound):
    def read(self, x, lengths, state):
        return super().read(x, lengths, None)


@caught("is another after the encoder has read something else")
class CarriesItsStateByItself(Sound):
    carried = 0.0

    def read(self, x, lengths, state):
        outputs, last = super().read(x + self.carried, lengths, state)
        self.carried = float(last[0].detach().mean())
        return outputs, last


@caught("reading a batch changes batches of the encoder")
class CountsItsBatches(Sound):
    batches = 0

    def read(self, x, lengths, state):
        self.batches += 1
        return super().read(x, lengths, state)


@caught("final is given with final=False")
class AlwaysGivesFinalStates(Sound):
    def forward(self, x, lengths, state=None, *, final=True):
        return super().forward(x, lengths, state)


# Shapes


@caught("summary has shape (6, 8), expected (6, 4)")
class SummarizesWithAnotherSize(Sound):
    def summarize(self, outputs, lengths):
        return torch.cat([outputs[-1], outputs[0]], -1)


@caught("its output_size is None")
class SaysNotHowWideItIs(Sound):
    def __init__(self, input_size, /, *, hidden_size: int = 4):
        super().__init__(input_size, hidden_size=hidden_size)
        self.output_size = None


@caught("summary in torch.float64 is torch.float32")
class SummarizesInFloat32(Sound):
    def summarize(self, outputs, lengths):
        return super().summarize(outputs, lengths).float()


@caught("it returns a tuple")
class ReturnsAPair(Sound):
    def forward(self, x, lengths, state=None, *, final=True):
        encoded = super().forward(x, lengths, state, final=final)
        return encoded.outputs, encoded.summary


@caught("TypeError while checking that final states are left out on request")
class TakesNoFinal(Sound):
    def forward(self, x, lengths, state=None):
        return super().forward(x, lengths, state)


# Randomness, parameters, gradients


@caught("it draws random numbers in evaluation")
class DropsInEvaluation(Sound):
    def read(self, x, lengths, state):
        return super().read(F.dropout(x, 0.5), lengths, state)


@caught("DropsNothing(dropout=0.5): dropout does nothing in training")
class DropsNothing(Sound):
    def __init__(self, input_size, /, *, hidden_size: int = 4, dropout: float = 0.0):
        super().__init__(input_size, hidden_size=hidden_size)


@caught("outputs in evaluation is not that without dropout")
class ScalesInEvaluation(Sound):
    def read(self, x, lengths, state):
        return super().read(x if self.training else x * (1 - self.dropout), lengths, state)


@caught("outputs in training, where nothing is drawn, is another")
class ScalesInTraining(Sound):
    def read(self, x, lengths, state):
        return super().read(2 * x if self.training else x, lengths, state)


@caught("nothing depends on its parameter unused")
class HasAnUnusedParameter(Sound):
    def __init__(self, input_size, /, *, hidden_size: int = 4):
        super().__init__(input_size, hidden_size=hidden_size)
        self.unused = nn.Parameter(torch.ones(3))


@caught("no gradient flows through it")
class ComputesWithoutGradients(Sound):
    @torch.no_grad()
    def forward(self, x, lengths, state=None, *, final=True):
        return super().forward(x, lengths, state, final=final)


@caught("the gradient of x is not the derivative of the outputs")
class DetachesItsInput(Sound):
    def read(self, x, lengths, state):
        return super().read(0.5 * x + 0.5 * x.detach(), lengths, state)


@caught("is another after the encoder was saved and loaded")
class DrawsAConstant(Sound):
    def __init__(self, input_size, /, *, hidden_size: int = 4):
        super().__init__(input_size, hidden_size=hidden_size)
        self.scale = torch.rand(()).item()

    def read(self, x, lengths, state):
        return super().read(x * self.scale, lengths, state)


@caught("its constructor asks for hidden_size")
class AsksForAnotherSize(Sound):
    def __init__(self, hidden_size, /):
        super().__init__(5, hidden_size=hidden_size)


@pytest.mark.parametrize(("encoder_class", "sentence"), BROKEN)
def test_a_broken_encoder_is_caught(encoder_class, sentence):
    with pytest.raises(AssertionError) as caught:
        check_encoder(encoder_class)
    message = str(caught.value)
    assert sentence in message
    assert message.startswith(encoder_class.__name__)
    assert "\n" not in message
    assert "; " in message  # the way out
