"""torch's fused layers on long ragged batches, which they read in segments."""

import pytest
import torch

from seqapps.cells import GRU, LSTM, RNN, Lengths
from seqapps.cells.unroll import kernel_for, kernel_name, unroll_steps
from seqapps.kernels import native
from seqapps.kernels.c_library import works
from seqapps.kernels.native import Native

RAGGED = (3, 64, 20, 41, 1, 64, 17, 30)


def test_segments_cover_all_steps_and_every_real_position():
    lengths = Lengths(torch.tensor(RAGGED), 64)
    segments = lengths.segments
    assert len(segments) == 4
    assert [s.start for s in segments] == [0, *(s.stop for s in segments[:-1])]
    assert segments[-1].stop == 64
    for start, stop, rows in segments:
        assert rows == sum(n > start for n in RAGGED)
        assert stop > start
    assert lengths.values[lengths.order].tolist() == sorted(RAGGED, reverse=True)


@pytest.mark.parametrize("lengths", [(64,) * 4, (30, 3, 1, 20), (64, 64, 63, 60)], ids=["equal", "short", "full"])
def test_time_is_not_cut_where_that_gains_little(lengths):
    assert Lengths(torch.tensor(lengths), max(lengths)).segments == [(0, max(lengths), 4)]


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("make", [LSTM, GRU, RNN])
def test_segments_change_nothing(make, final, results, assert_equal_results, monkeypatch):
    torch.manual_seed(0)
    cell = make(5, 6).double()
    cut = []
    fused = native._fused
    monkeypatch.setattr(native, "_fused", lambda *a: cut.append(a[2].shape[:2]) or fused(*a))

    def run(cell, x, state, lengths, _):
        outputs, last = Native().unroll(cell, x, state, lengths, final)
        return outputs, last if final else ()

    def steps(cell, x, state, lengths, _):
        outputs, last = unroll_steps(cell, x, state, lengths, final)
        return outputs, last if final else ()

    got = results(cell, run, RAGGED)
    assert len(cut) == 4
    assert sum(t * b for t, b in cut) < 0.85 * 64 * len(RAGGED)
    assert_equal_results(got, results(cell, steps, RAGGED), 1e-10)


def test_a_relu_network_that_grows_beyond_all_numbers_on_padding_has_gradients():
    cell = RNN(3, 4, nonlinearity="relu", bias=False)
    with torch.no_grad():
        cell.input_projection.weight.fill_(1.0)
        cell.recurrent.weight.copy_(1000 * torch.eye(4))
    x, lengths = torch.ones(30, 2, 3), Lengths(torch.tensor([30, 4]), 30)  # too short for segments
    x[:, 0] = 0.0
    outputs, _ = Native().unroll(cell, x, cell.initial_state(2), lengths, False)
    outputs[:4].sum().backward()
    assert all(p.grad.isfinite().all() for p in cell.parameters())


@pytest.mark.skipif(not works(), reason="no C compiler")
@pytest.mark.parametrize(
    ("make", "size", "chosen"),
    [(LSTM, 383, "native"), (LSTM, 384, "compiled"), (GRU, 8, "compiled"), (RNN, 8, "native")],
)
def test_in_bf16_training_auto_takes_generated_steps_where_they_are_faster(make, size, chosen):
    cell, x = make(3, size), torch.randn(2, 2, 3)

    def taken(name="auto"):
        return kernel_name(type(kernel_for(name, cell, x)))

    assert taken() == "native"
    with torch.autocast("cpu", torch.bfloat16):
        assert taken() == chosen
        assert taken("native") == "native"
        with torch.no_grad():
            assert taken() == "native"


def test_without_a_compiler_native_layers_stay_first(monkeypatch):
    monkeypatch.setattr(native, "works", lambda: False)
    with torch.autocast("cpu", torch.bfloat16):
        assert isinstance(kernel_for("auto", GRU(3, 4), torch.randn(2, 2, 3)), Native)


@pytest.mark.skipif(not works(), reason="no C compiler")
def test_a_compiler_that_makes_nothing_is_as_good_as_none(monkeypatch, tmp_path, fresh_libraries):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEQAPPS_CACHE", str(tmp_path / "file"))
    assert not works()
