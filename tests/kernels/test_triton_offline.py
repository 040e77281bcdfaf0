"""What the generated Triton kernels need of a GPU, found by compiling for one as a launch would: no GPU takes part."""

import contextlib
import importlib.util
import os
import re
from types import SimpleNamespace

import pytest
import torch

from seqapps.cells import GRU, LSTM, RNN, IndRNN, Lengths
from seqapps.cells.regularizers import Regularizers
from seqapps.kernels.generated_triton import Triton, layout_of
from seqapps.kernels.rule import rule_of

from .conftest import Peephole

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed"),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="Triton interprets, so it compiles nothing"),
]
ROOM = {80: 163 * 1024, 90: 227 * 1024}  # bytes of shared memory that a block may take, by compute capability
slow = pytest.mark.slow
both = pytest.mark.parametrize("capability", [80, 90])


@pytest.fixture
def compiled(monkeypatch, tmp_path, capsys):
    """Runs a cell forward and backward where every launch ends after compiling; what was compiled, in order."""
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(knobs.nvidia, "dump_ptxas_log", True)
    launch, build, found = JITFunction.run, JITFunction._do_compile, []

    def building(self, *arguments):
        capsys.readouterr()
        kernel = build(self, *arguments)
        spilt = re.findall(r"(\d+) bytes spill (?:stores|loads)", capsys.readouterr().out)
        assert len(spilt) == 2
        needs = SimpleNamespace(name=kernel.metadata.name, shared=kernel.metadata.shared, spilt=sum(map(int, spilt)))
        found.append(needs)
        return kernel

    monkeypatch.setattr(JITFunction, "_do_compile", building)
    monkeypatch.setattr(JITFunction, "run", lambda self, *a, warmup, **k: launch(self, *a, warmup=True, **k))

    def run(make, hidden, capability, precision="highest", half=None):
        target = SimpleNamespace(
            get_current_target=lambda: GPUTarget("cuda", capability, 32),
            get_current_device=lambda: capability,
            get_current_stream=lambda device: 0,
        )
        monkeypatch.setattr(driver, "_active", target)
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
        kernel, cell = Triton(), make(4, hidden)
        kernel.room = ROOM[capability]
        if cell.has_recurrent:
            cell.regularizers = Regularizers(recurrent_dropout=0.5)
        with torch.autocast("cpu", half) if half else contextlib.nullcontext():
            state, lengths = cell.initial_state(2), Lengths(torch.tensor([3, 1]), 3)
            outputs, _ = kernel.unroll(cell.begin(2), torch.randn(3, 2, 4), state, lengths, True)
        outputs.sum().backward()
        return found

    return run


def largest_spill(kernels, make, hidden, capability, half):
    """Bytes, of a pair of sequence kernels that need the shared memory that was foreseen and no more."""
    assert [kernel.name for kernel in kernels] == ["sequence_forward", "sequence_backward"]
    for kernel in kernels:
        assert kernel.shared <= ROOM[capability]
        assert layout_of(rule_of(make(4, hidden)), hidden, half or torch.float32, kernel.shared - 1) is None
    return max(kernel.spilt for kernel in kernels)


QUICK = [(LSTM, 64, "highest", None), (LSTM, 128, "highest", torch.bfloat16)]
THOROUGH = [
    (LSTM, 16, "highest", None),
    (LSTM, 64, "high", None),
    (GRU, 64, "highest", None),
    (GRU, 128, "highest", torch.float16),
    (RNN, 64, "highest", None),
    (RNN, 128, "high", None),
    (RNN, 256, "highest", torch.bfloat16),
]


@both
@pytest.mark.parametrize(
    ("make", "hidden", "precision", "half"), [*QUICK, *(pytest.param(*case, marks=slow) for case in THOROUGH)]
)
def test_sequence_kernels_fit_on_the_chip_without_spills(make, hidden, precision, half, capability, compiled):
    kernels = compiled(make, hidden, capability, precision, half)
    assert largest_spill(kernels, make, hidden, capability, half) == 0


@slow
@both
@pytest.mark.parametrize(
    ("make", "hidden", "half"),
    [
        (LSTM, 32, None),
        (LSTM, 50, None),
        (LSTM, 100, torch.bfloat16),
        (Peephole, 64, None),
        (Peephole, 128, torch.float16),
    ],
)
def test_odd_sizes_and_channels_spill_a_few_registers_at_most(make, hidden, half, capability, compiled):
    kernels = compiled(make, hidden, capability, half=half)
    assert largest_spill(kernels, make, hidden, capability, half) <= 128  # stored and loaded again, per thread and step


@both
@pytest.mark.parametrize(
    ("make", "hidden", "form"), [(LSTM, 200, "step"), (GRU, 200, "step"), (IndRNN, 200, "sequence")]
)
def test_kernels_without_a_product_are_compiled_once_and_need_no_shared_memory(
    make, hidden, form, capability, compiled
):
    needs = [(kernel.name, kernel.shared, kernel.spilt) for kernel in compiled(make, hidden, capability)]
    assert needs == [(f"{form}_forward", 0, 0), (f"{form}_backward", 0, 0)]


@pytest.mark.parametrize(
    ("make", "hidden", "half", "capability", "fits"),
    [
        (LSTM, 64, None, 80, True),
        (LSTM, 65, None, 90, False),
        (LSTM, 128, torch.bfloat16, 80, True),
        (LSTM, 129, torch.bfloat16, 90, False),
        (GRU, 128, None, 90, False),  # in IEEE float32 registers are what is short
        (RNN, 256, torch.float16, 80, True),
        (RNN, 300, torch.float16, 90, False),
    ],
)
def test_which_recurrent_matrices_stay_on_the_chip(make, hidden, half, capability, fits):
    rule = rule_of(make(4, hidden))
    assert (layout_of(rule, hidden, half or torch.float32, ROOM[capability]) is not None) == fits
