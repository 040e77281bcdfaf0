"""What the gates of a cell do, counted over the real tokens of many batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seqapps.cells import Lengths
from seqapps.diagnostics.recording import Unrolled

__all__ = ["BINS", "OPEN", "SHUT", "STUCK", "Activity"]

SHUT, OPEN = 0.05, 0.95  # a gate below, above counts as saturated
STUCK = 0.95  # a unit whose gate is on one side for more than this share of tokens is stuck
BINS = 20


@dataclass
class _Gate:
    histogram: Tensor
    shut: Tensor  # per unit
    open: Tensor


@dataclass
class Activity:
    """Counts of one cell's gates and silent units; `add` a batch at a time."""

    tokens: int = 0
    gates: dict[str, _Gate] = field(default_factory=dict)
    spoke: Tensor | None = None  # per unit of the first state: was it ever other than 0?

    def add(self, unrolled: Unrolled, lengths: Lengths) -> None:
        """Count a batch; padding is left out."""
        self.tokens += int(lengths.values.sum())
        spoke = (unrolled.states(0).flatten(0, 1)[lengths.real] != 0).any(0).flatten()
        self.spoke = spoke if self.spoke is None else self.spoke | spoke
        for name, values in unrolled.gates().items():
            real = values.detach().flatten(0, 1)[lengths.real].flatten(1)  # (tokens, units)
            gate = self.gates.get(name)
            if gate is None:
                zeros = torch.zeros(real.size(1), dtype=torch.int64, device=real.device)
                gate = self.gates[name] = _Gate(torch.zeros(BINS, dtype=torch.int64), zeros, zeros)
            gate.histogram = gate.histogram + torch.histc(real.cpu(), BINS, 0.0, 1.0).long()
            gate.shut = gate.shut + (real < SHUT).sum(0)
            gate.open = gate.open + (real > OPEN).sum(0)

    def to_json(self) -> dict[str, Any]:
        """gates: name -> histogram (counts in `BINS` equal bins from 0 to 1), shares of values that are shut and open,
        numbers of units that are stuck there; silent_units: whose first state was 0 at every token."""
        assert self.spoke is not None
        gates = {}
        for name, gate in self.gates.items():
            units = len(gate.shut)
            gates[name] = {
                "histogram": gate.histogram.tolist(),
                "units": units,
                "shut": int(gate.shut.sum()) / (units * self.tokens),
                "open": int(gate.open.sum()) / (units * self.tokens),
                "units_shut": int((gate.shut > STUCK * self.tokens).sum()),
                "units_open": int((gate.open > STUCK * self.tokens).sum()),
            }
        return {"gates": gates, "units": len(self.spoke), "silent_units": int((~self.spoke).sum())}
