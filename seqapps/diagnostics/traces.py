"""Gates and states of a recurrent encoder along given sequences, in the order in which people read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqapps.data.batch import Batch
from seqapps.diagnostics.recording import recording
from seqapps.engine.evaluation import evaluating
from seqapps.engine.model import Model

__all__ = ["Trace", "trace_batch", "varying_units"]


class Trace(NamedTuple):
    """One tensor along one sequence.

    Attributes:
        kind: state, gate, or output (where a cell's output is none of its states).
        name: h, c, ...; of a gate its name.
        values: (T, ...), values[t] belongs to token t in both directions.
    """

    layer: int
    direction: str
    kind: str
    name: str
    values: Tensor

    @property
    def key(self) -> str:
        """`layer0/forward/h`."""
        return f"layer{self.layer}/{self.direction}/{self.name}"


def trace_batch(model: Model, batch: Batch) -> list[list[Trace]]:
    """For each sequence of a batch the traces of every cell of the encoder, by layer and direction.

    The model runs as in prediction, but for the reference loop.
    """
    traces: list[list[Trace]] = [[] for _ in range(len(batch))]
    with evaluating(model), recording(model) as noted:
        lengths = model.encode(batch, final=model.head.reads_final).lengths
        for place, unrolled in sorted(noted.items()):
            named: list[tuple[str, str, Tensor]] = [
                ("state", name, unrolled.states(number)) for number, name in enumerate(unrolled.state_names)
            ]
            named += [("gate", name, values) for name, values in unrolled.gates().items()]
            if unrolled.steps[0].output is not unrolled.steps[0].after[0]:
                named.append(("output", "cell_output", torch.stack([step.output for step in unrolled.steps])))
            for kind, name, steps in named:
                values = unrolled.in_reading_order(steps, lengths)
                for row, length in enumerate(lengths.values.tolist()):
                    traces[row].append(
                        Trace(place.layer, place.reading, kind, name, values[:length, row].clone().cpu())
                    )
    return traces


def varying_units(values: list[Tensor], count: int) -> list[int]:
    """The `count` units that vary most over all tokens of all sequences, each (T, H), in their own order."""
    variance = torch.cat([one.flatten(1) for one in values]).double().var(0, correction=0)
    return sorted(np.argsort(-variance.numpy(), kind="stable")[:count].tolist())


def index_entry(sequence: int, trace: Trace) -> dict[str, Any]:
    """What `traces.json` says of one tensor."""
    return {
        "sequence": sequence,
        "layer": trace.layer,
        "direction": trace.direction,
        "kind": trace.kind,
        "name": trace.name,
        "shape": list(trace.values.shape),
    }
