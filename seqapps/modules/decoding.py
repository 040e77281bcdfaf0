"""What a decoder is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from seqapps.cells import Lengths
from seqapps.modules.encoded import Encoded
from seqapps.modules.output import CrossEntropy
from seqapps.modules.pointer import Pointing
from seqapps.modules.search import Generator

__all__ = ["Decoded", "Decoder"]


class Decoded(NamedTuple):
    """What a decoder makes of texts that are given.

    Attributes:
        outputs: (B, T, ...), what `log_probs` reads: vectors, or `Pointing` of a decoder that points; whatever on
            padding.
        weights: (B, T, S) of attention, without gradient; whatever on padding of the text. None without attention.
        penalty: what the decoder adds to the objective, summed over the batch; None = nothing.
    """

    outputs: Tensor | Pointing
    weights: Tensor | None
    penalty: Tensor | None


class Decoder(Generator, Protocol):
    """A module that writes a text, token by token, for what was encoded; see `seqapps.modules.decoder`.

    It is searched by its steps and trained on given texts at once; both must give the same probabilities. It may ask
    for the resources `encoder`, `embedder` and `vocabulary`, that of the text to be written.

    Attributes:
        attends: do steps and `forward` give weights over the source?
        reads_final: does it read `Encoded.final`?
        points: can it write words of the source that its vocabulary lacks? It is then given the source (B, S) int64 in
            the numbers of `seqapps.data.pointers.Pointers`, and words beyond the vocabulary have these numbers in what
            its steps give and read, and in targets.
        symbolic: names of parameters whose first dimension is the vocabulary.
    """

    attends: bool
    points: bool
    reads_final: bool
    symbolic: tuple[str, ...]

    def start(self, encoded: Encoded, source: Tensor | None = None) -> tuple[Any, Any]:
        """State and memory of a search, B rows each."""

    def __call__(
        self, encoded: Encoded, inputs: Tensor, lengths: Tensor | Lengths, source: Tensor | None = None
    ) -> Decoded:
        """Read given texts, inputs (B, T) int64, `<bos>` first, as a search would read what it writes itself."""

    def cross_entropy(self, outputs: Any, targets: Tensor, label_smoothing: float) -> CrossEntropy:
        """That of N outputs with targets (N,) int64, summed."""

    def nll(self, outputs: Any, targets: Tensor) -> Tensor:
        """Negative log-likelihood of each of N targets, (N,), without gradient."""
