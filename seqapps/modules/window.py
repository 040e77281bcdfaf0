"""The encoder that sees a fixed window of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqapps.cells import Lengths
from seqapps.cells.lengths import without_padding
from seqapps.errors import ShapeError
from seqapps.modules.encoded import Encoded, FinalStates
from seqapps.modules.feedforward import FeedforwardLayers, Nonlinearity, check_layers
from seqapps.modules.stateless import StatelessEncoder, pool

__all__ = ["WindowEncoder"]


class WindowEncoder(StatelessEncoder):
    """Hidden layers on the vectors of a token and its neighbours, side by side.

        h_0,t = [x_(t - before) ; ... ; x_t ; ... ; x_(t + after)],    h_l,t = g(W_l h_(l-1),t + b_l)

    Words on both sides, for tagging: the window approach of Collobert et al. 2011, "Natural language processing
    (almost) from scratch". Words on the left only (`after: 0`) and the word after t to be predicted: the n-gram
    language model of Bengio et al. 2003, which sees n - 1 = before + 1 words; their direct connections from the window
    to the scores (the matrix W of equation 1, which they leave out in some experiments) are not here.

    Where batches continue each other, a causal window reaches back into the batch before: its state is the last
    `before` vectors that were read.

    Positions before the first token and after the last hold one learnt vector (Collobert's `PADDING` word), the same on
    both sides and zero to begin with. In a padded batch that is so from each sequence's own end.

    The summary is the mean of the outputs over a sequence's tokens.

    Fields:
        before: how many tokens before t are seen.
        after: how many tokens after t are seen; with 0 the encoder is causal.
        hidden_sizes: features of each layer, the first first; [] = the window's vectors themselves.
        nonlinearity: g, one of relu, tanh, gelu, sigmoid (Bengio's is tanh, Collobert's a tanh cut to straight lines).
        dropout: probability of dropping what enters every layer and what leaves the last.
    """

    def __init__(
        self,
        input_size: int,
        /,
        *,
        before: int = 2,
        after: int = 2,
        hidden_sizes: list[int] = [200],  # noqa: B006
        nonlinearity: Nonlinearity = "tanh",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.before, self.after = before, after
        self.causal = after == 0
        self.outside = nn.Parameter(torch.zeros(input_size)) if before + after else None
        self.hidden = FeedforwardLayers((before + 1 + after) * input_size, hidden_sizes, nonlinearity, dropout)
        self.output_size = self.hidden.output_size

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Counts are not negative, sizes at least 1, dropout is a probability."""
        counts = [(n, f"{n} is {fields[n]}, expected 0 or more") for n in ("before", "after") if fields[n] < 0]
        return counts + check_layers(fields)

    def forward(
        self, x: Tensor, lengths: Tensor | Lengths, state: FinalStates | None = None, *, final: bool = True
    ) -> Encoded:
        """Encode x (B, T, E).

        Args:
            lengths: (B,) int64.
            state: final states of a batch that this one continues; None = nothing before. With `after` there are none.
            final: False if nobody reads the final states; `Encoded.final` is then None.
        """
        if self.after or not self.before:
            return super().forward(x, lengths, state, final=final)
        x = x.transpose(0, 1)
        lengths = Lengths.of(lengths, x.size(0), x.device)
        past = self._past(x, state)
        outputs = self.hidden(self._windows(x, lengths, past))
        summary = pool(without_padding(outputs, lengths), ~lengths.padding, "mean")
        outputs = without_padding(outputs, lengths)
        states = (((self._last(torch.cat([past, x]), lengths),),),) if final else None  # [layer][direction][state]
        return Encoded(outputs.transpose(0, 1), summary, states, lengths)

    def _past(self, x: Tensor, state: FinalStates | None) -> Tensor:
        """(before, B, E): the vectors that were read before x (T, B, E)."""
        if state is None:
            assert self.outside is not None
            return self.outside.to(x.dtype).expand(self.before, x.size(1), -1)
        expected = (x.size(1), self.before, x.size(2))
        shapes = [tuple(s.shape) for layer in state for direction in layer for s in direction]
        if shapes != [expected]:
            raise ShapeError(f"window encoder: state has shapes {shapes}, expected one of {expected}; give its `final`")
        return state[0][0][0].transpose(0, 1)

    def _last(self, read: Tensor, lengths: Lengths) -> Tensor:
        """(B, before, E): the last vectors of each sequence in read (before + T, B, E), without its padding."""
        places = lengths.on_device[:, None] + torch.arange(self.before, device=read.device)
        return read.transpose(0, 1).gather(1, places[..., None].expand(-1, -1, read.size(-1)))

    def encode(self, x: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
        outputs = self.hidden(self._windows(x, lengths))
        return outputs, pool(outputs, ~lengths.padding, "mean")

    def _windows(self, x: Tensor, lengths: Lengths, past: Tensor | None = None) -> Tensor:
        """(T, B, (before + 1 + after) E): beside each vector its neighbours, from the earliest to the latest."""
        if self.outside is None:
            return x
        steps, batch, _ = x.shape
        if not lengths.equal:
            x = torch.where(lengths.padding, self.outside, x)
        left, right = (self.outside.expand(n, batch, -1) for n in (self.before, self.after))
        left = left if past is None else past
        x = torch.cat([left, x, right])  # (before + T + after, B, E)
        return torch.cat([x[k : k + steps] for k in range(self.before + 1 + self.after)], -1)
