"""What the guide shows is so."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from seqapps.cells import LSTM, PointwiseCell
from seqapps.recipe import describe_fields
from seqapps.registry import registry
from seqapps.testing import check_cell

GUIDE = Path(__file__).parents[1] / "docs" / "guide.md"


@pytest.fixture(scope="module")
def guide():
    return GUIDE.read_text(encoding="utf8")


def test_the_peephole_lstm_of_the_guide_keeps_the_contract_and_is_the_built_in_one(guide):
    code = re.search(r"```python\n(class PeepholeLSTM.*?)```", guide, re.S)[1]
    assert len(code.strip().splitlines()) <= 15
    names = {"torch": torch, "nn": nn, "PointwiseCell": PointwiseCell, "__name__": "guide"}
    exec(code, names)
    check_cell(names["PeepholeLSTM"])
    torch.manual_seed(0)
    ours, built_in = names["PeepholeLSTM"](3, 4), LSTM(3, 4, peephole="diagonal")
    with torch.no_grad():
        ours.peephole.normal_()
        for name, values in zip("ifo", ours.peephole, strict=True):
            getattr(built_in, f"peephole_{name}").copy_(values)
        for child in ("input_projection", "recurrent"):
            getattr(built_in, child).load_state_dict(getattr(ours, child).state_dict())
    x, state = torch.randn(2, 3), (torch.randn(2, 4), torch.randn(2, 4))
    for a, b in zip(ours.step(ours.project(x), state)[1], built_in.step(built_in.project(x), state)[1], strict=True):
        assert torch.allclose(a, b)


def test_every_field_in_the_guides_recurrent_layer_is_one(guide):
    text = re.search(r"```yaml\nencoder:\n(.*?)```", guide, re.S)[1]
    shown = set(re.findall(r"(?m)^  (\w+):", text))
    fields = {field.name for field in describe_fields(registry("encoders").load("recurrent"))}
    assert shown - {"type"} <= fields
    mentioned = {name for name in fields if re.search(rf"\b{name}\b", guide)}
    assert mentioned == fields


def test_the_guide_names_every_built_in_cell_kernel_and_encoder(guide):
    for kind in ("cells", "kernels", "encoders"):
        ours = {name for name in registry(kind) if registry(kind).entry(name).distribution == "seqapps"}
        assert {name for name in ours if f"`{name}`" not in guide} <= {"recurrent"}
