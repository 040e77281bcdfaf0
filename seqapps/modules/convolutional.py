"""The encoder made of convolutions over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.cells import Lengths
from seqapps.modules.dropout import Dropout, check_probabilities
from seqapps.modules.feedforward import NONLINEARITIES
from seqapps.modules.stateless import StatelessEncoder, pool

__all__ = ["ConvolutionalEncoder"]


class ConvolutionalEncoder(StatelessEncoder):
    """A stack of convolutions over time.

        h_l,t = g(b_l + sum_k W_l,k h_(l-1),(t + d_l k))  [+ h_(l-1),t if residual and l > 1],    h_0 = x

    with k = -(width - 1)/2 .. (width - 1)/2, or with `causal` k = -(width - 1) .. 0; positions outside the sequence
    hold zeros, in every layer and from each sequence's own end in a padded batch. d_l = 1, or 2^(l-1) if `dilated`. So
    output t sees 1 + (width - 1) sum_l d_l positions: with width 3, 1 + 2 L, or 2^(L+1) - 1 dilated.

    One layer: the sentence approach of Collobert et al. 2011, "Natural language processing (almost) from scratch", and
    for filters of one width Kim 2014 (arXiv 1408.5882). Dilated: a block of Strubell et al. 2017 (arXiv 1702.02098),
    which they apply repeatedly with the same weights and we once. `nonlinearity: glu` with `residual`: Gehring et al.
    2017 (arXiv 1705.03122), and with `causal` Dauphin et al. 2017 (arXiv 1612.08083), without weight normalisation and
    without Gehring's factor sqrt(1/2) on sums.

    The summary is each component's maximum of the outputs over a sequence's tokens, as in Collobert and Kim.

    Fields:
        hidden_size: filters of each layer.
        num_layers: L.
        width: positions that a filter covers; odd unless `causal`.
        dilated: double the distance between these positions from layer to layer.
        causal: see no later position.
        nonlinearity: g, one of relu, tanh, gelu, sigmoid, glu; for glu twice as many filters compute a and b, and g is
            a * sigmoid(b).
        residual: add a layer's input to its output; the first layer, whose input has another size, never does.
        dropout: probability of dropping what enters every layer and what leaves the last; the sums keep their input.
    """

    def __init__(
        self,
        input_size: int,
        /,
        *,
        hidden_size: int = 200,
        num_layers: int = 2,
        width: int = 3,
        dilated: bool = False,
        causal: bool = False,
        nonlinearity: Literal["relu", "tanh", "gelu", "sigmoid", "glu"] = "relu",
        residual: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.causal, self.residual = causal or width == 1, residual
        self.nonlinearity: Callable[[Tensor], Tensor] = _glu if nonlinearity == "glu" else NONLINEARITIES[nonlinearity]
        filters = hidden_size * (2 if nonlinearity == "glu" else 1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden_size if layer else input_size, filters, width, dilation=2**layer if dilated else 1)
            for layer in range(num_layers)
        )
        self.dropout = Dropout(dropout)
        self.output_size = hidden_size

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Sizes are at least 1, a width that looks both ways is odd, dropout is a probability."""
        sizes = ("hidden_size", "num_layers", "width")
        faults = [(name, f"{name} is {fields[name]}, expected 1 or more") for name in sizes if fields[name] < 1]
        if fields["width"] % 2 == 0 and fields["width"] > 0 and not fields["causal"]:
            faults.append(
                (
                    "width",
                    f"width is {fields['width']}, expected an odd number: as many before as after; or 'causal: true'",
                )
            )
        return faults + check_probabilities(fields, "dropout")

    def encode(self, x: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
        padding = lengths.padding.permute(1, 2, 0)  # (B, 1, T)
        x = x.permute(1, 2, 0)  # (B, E, T)
        for number, convolution in enumerate(self.convolutions):
            y = self.nonlinearity(convolution(self._surrounded(self.dropout(x), convolution)))  # type: ignore[arg-type]
            y = x + y if self.residual and number else y
            x = y if lengths.equal else y.masked_fill(padding, 0.0)
        x = self.dropout(x).permute(2, 0, 1)  # (T, B, F)
        return x, pool(x, ~lengths.padding, "max")

    def _surrounded(self, x: Tensor, convolution: nn.Conv1d) -> Tensor:
        """x (B, C, T) with as many zeros around it as `convolution` needs to return T positions."""
        seen = (convolution.kernel_size[0] - 1) * convolution.dilation[0]
        return F.pad(x, (seen, 0) if self.causal else (seen // 2, seen // 2))


def _glu(x: Tensor) -> Tensor:
    """(B, 2 F, T) -> (B, F, T)."""
    return F.glu(x, 1)
