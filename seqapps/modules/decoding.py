"""What a decoder is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from seqapps.cells import Lengths
from seqapps.modules.encoded import Encoded
from seqapps.modules.output import CrossEntropy
from seqapps.modules.search import Generator

__all__ = ["Decoded", "Decoder"]


class Decoded(NamedTuple):
    """What a decoder makes of texts that are given.

    Attributes:
        outputs: (B, T, F), what `logits` reads; whatever on padding.
        weights: (B, T, S) of attention, without gradient; whatever on padding of the text. None without attention.
        penalty: what the decoder adds to the objective, summed over the batch; None = nothing.
    """

    outputs: Tensor
    weights: Tensor | None
    penalty: Tensor | None


class Decoder(Generator, Protocol):
    """A module that writes a text, token by token, for what was encoded; see `seqapps.modules.decoder`.

    It is searched by its steps and trained on given texts at once; both must give the same probabilities. It may ask
    for the resources `encoder`, `embedder` and `vocabulary`, that of the text to be written.

    Attributes:
        attends: do steps and `forward` give weights over the source?
        reads_final: does it read `Encoded.final`?
        symbolic: names of parameters whose first dimension is the vocabulary.
    """

    attends: bool
    reads_final: bool
    symbolic: tuple[str, ...]

    def start(self, encoded: Encoded) -> tuple[Any, Any]:
        """State and memory of a search, B rows each."""

    def __call__(self, encoded: Encoded, inputs: Tensor, lengths: Tensor | Lengths) -> Decoded:
        """Read given texts, inputs (B, T) int64, `<bos>` first, as a search would read what it writes itself."""

    def logits(self, outputs: Tensor) -> Tensor:
        """Outputs (..., F) as scores (..., V), whose softmax is the probability of the token that follows."""

    def cross_entropy(self, outputs: Tensor, targets: Tensor, label_smoothing: float) -> CrossEntropy:
        """That of outputs (N, F) with targets (N,) int64, summed."""
