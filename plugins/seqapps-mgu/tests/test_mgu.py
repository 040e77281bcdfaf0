"""The cell keeps the contract of cells, and computes what its docstring says."""

import importlib.util
from pathlib import Path

import pytest
import torch
from seqapps_mgu import MGU

import seqapps
from seqapps.cells import unroll
from seqapps.recipe import load_recipe
from seqapps.registry import registry
from seqapps.testing import check_cell, options

RECIPE = Path(__file__).parents[1] / "recipes" / "pos_mgu.yaml"


@pytest.mark.parametrize("fields", options(MGU))
def test_it_keeps_the_contract_of_cells(fields):
    check_cell(MGU, **fields)


def test_one_step_by_hand():
    """W_f = W_n = 0.5, U_f = 1, U_n = 2, no biases, h = 0.2, x = 0.6.

    f = sigmoid(0.3 + 0.2) = 0.622459, n = tanh(0.3 + 0.622459 * 0.4) = tanh(0.548984) = 0.499758,
    h = 0.377541 * 0.2 + 0.622459 * 0.499758 = 0.386587.
    """
    cell = MGU(1, 1, bias=False)
    with torch.no_grad():
        cell.input_projection.weight[:, 0] = torch.tensor([0.5, 0.5])
        cell.recurrent.weight[:, 0] = torch.tensor([1.0, 2.0])
    output, (h,) = cell.step(cell.project(torch.tensor([[0.6]])), (torch.tensor([[0.2]]),))
    assert output is h
    assert h.item() == pytest.approx(0.386587, abs=1e-6)


def test_it_is_the_gru_whose_update_gate_is_one_minus_its_reset_gate():
    torch.manual_seed(0)
    cell, gru = MGU(5, 6).double(), torch.nn.GRU(5, 6).double()
    with torch.no_grad():
        for theirs, ours in (
            (gru.weight_ih_l0, cell.input_projection.weight),
            (gru.weight_hh_l0, cell.recurrent.weight),
            (gru.bias_ih_l0, cell.input_projection.bias),
            (gru.bias_hh_l0, cell.recurrent.bias),
        ):
            f, n = ours.chunk(2)
            theirs.copy_(torch.cat([f, -f, n]))  # 1 - sigmoid(a) = sigmoid(-a)
    x = torch.randn(9, 3, 5).double()
    outputs, (last,) = unroll(cell, x, None, torch.full((3,), 9))
    expected, final = gru(x)
    assert torch.allclose(outputs, expected, atol=1e-12)
    assert torch.allclose(last, final[0], atol=1e-12)


def test_it_is_found_by_the_name_that_recipes_use():
    assert registry("cells").load("mgu") is MGU
    assert registry("cells").entry("mgu").distribution == "seqapps-mgu"


@pytest.mark.parametrize("layer", ["num_layers=1", "num_layers=2"])
def test_the_recipe_trains(layer, tmp_path):
    if importlib.util.find_spec("pycantonese") is None or "hkcancor" not in registry("sources"):
        pytest.skip("seqapps-corpora[hkcancor] is not installed")
    settings = ["data.limit=100", "training.epochs=1", "evaluation.samples=20", "model.encoder.hidden_size=20"]
    run = seqapps.run(RECIPE, output=tmp_path / "run", settings=[*settings, f"model.encoder.{layer}"])
    assert 0 < run.read_json("report.json")["metrics"]["accuracy"]["value"] < 1
    owners = {(one["name"], one["distribution"]) for one in run.read_json("environment.json")["components"]}
    assert ("mgu", "seqapps-mgu") in owners


def test_the_recipe_differs_from_the_lstm_tagger_in_its_cell_only():
    """So that their scores can be compared; `pos_bilstm` is a recipe that seqapps ships."""
    from seqapps.cli.shipped import shipped_recipes

    if "hkcancor" not in registry("sources"):
        pytest.skip("seqapps-corpora is not installed")
    ours, theirs = load_recipe(RECIPE), load_recipe(shipped_recipes()["pos_bilstm"], ["model.encoder.cell=mgu"])
    assert ours == theirs
