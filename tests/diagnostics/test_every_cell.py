"""Every registered cell, whoever registered it, can be looked into."""

import numpy as np
import pytest
import torch

from seqapps.diagnostics.diagnosis import diagnose_model
from seqapps.diagnostics.traces import trace_batch
from seqapps.recipe.spec import Spec
from seqapps.registry import registry

OPTIONS = [
    ("lstm", {"peephole": "full"}),
    ("lstm", {"projection": 2}),
    ("lstm", {"coupled": True, "layer_norm": True}),
    ("gru", {"reset": "before"}),
]
CELLS = [*((name, {}) for name in registry("cells")), *OPTIONS]


@pytest.mark.parametrize(("name", "fields"), CELLS)
def test_a_cell_can_be_diagnosed_and_its_gates_have_names(model_of, split_of, name, fields):
    cell = Spec("cells", name, fields).build(input_size=1, hidden_size=4)
    model, split = model_of(cell), split_of([6, 4, 1], 1)
    (place,) = diagnose_model(model, split)["places"]
    names = cell.gate_names or tuple(f"gate{n}" for n, _ in enumerate(place["gates"], 1))
    assert tuple(place["gates"]) == names
    assert place["gradient"]["counts"] == [3, 2, 2, 2, 1, 1]
    size = sum(state[0].numel() for state in cell.initial_state(1))
    assert place["jacobian"]["size"] == size
    assert np.isfinite(place["jacobian"]["largest_singular_value"]).all()
    for traces, length in zip(trace_batch(model, split.batch(np.arange(3))), [6, 4, 1], strict=True):
        assert [one.name for one in traces if one.kind == "gate"] == [*names]
        assert {len(one.values) for one in traces} == {length}
        assert all(torch.isfinite(one.values).all() for one in traces)
