"""What an output layer says of the words that follow: alone, or mixed with what a pointer points at."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqapps.modules.output import CrossEntropy, linear_cross_entropy
from seqapps.modules.pointer import Pointing, mixture, target_parts
from seqapps.modules.search.trees import select

__all__ = ["cross_entropy", "log_probs", "nll"]

_ROWS = 2048  # positions whose scores over the vocabulary are held at a time


def log_probs(layer: nn.Linear, outputs: Tensor | Pointing, unknown: int = 0) -> Tensor:
    """Log-probabilities (N, V), or (N, V + unknown) where the N outputs point; fp32 at least."""
    logits = layer(outputs if isinstance(outputs, Tensor) else outputs.hidden)
    found = logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
    return found if isinstance(outputs, Tensor) else mixture(found, outputs, unknown)


def cross_entropy(
    layer: nn.Linear, outputs: Tensor | Pointing, targets: Tensor, label_smoothing: float, *, unk: int
) -> CrossEntropy:
    """Of N outputs with targets (N,) int64, summed; see `linear_cross_entropy`."""
    if isinstance(outputs, Tensor):
        return linear_cross_entropy(outputs, layer.weight, layer.bias, targets, label_smoothing)
    targets, mixed = target_parts(outputs, targets, layer.out_features, unk)
    return linear_cross_entropy(outputs.hidden, layer.weight, layer.bias, targets, label_smoothing, mixed)


@torch.no_grad()
def nll(layer: nn.Linear, outputs: Tensor | Pointing, targets: Tensor, *, unk: int) -> Tensor:
    """Negative log-likelihood of each of N targets, (N,) float64."""
    found = []
    for rows in torch.arange(len(targets), device=targets.device).split(_ROWS):
        part, wanted = select(outputs, rows), targets[rows]
        if isinstance(part, Tensor):
            found.append(F.cross_entropy(layer(part).float(), wanted, reduction="none"))
            continue
        wanted, mixed = target_parts(part, wanted, layer.out_features, unk)
        own = mixed.share - F.cross_entropy(layer(part.hidden).float(), wanted, reduction="none")
        found.append(-torch.logaddexp(own, mixed.other))
    return torch.cat(found).double()
