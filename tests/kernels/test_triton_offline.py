"""What the generated Triton kernels need of a GPU, found by compiling for one: no GPU takes part."""

import importlib.util
import os
import re

import pytest
import torch

from seqapps.cells import GRU, LSTM, RNN, IndRNN
from seqapps.kernels.generated_triton import BLOCK, ROWS, generated, layout_of
from seqapps.kernels.rule import rule_of

from .conftest import Peephole

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed"),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="Triton interprets, so it compiles nothing"),
]
ROOM = {80: 163 * 1024, 90: 227 * 1024}  # bytes of shared memory that a block may take, by compute capability
TYPES = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}
slow = pytest.mark.slow


@pytest.fixture
def compiled(monkeypatch, tmp_path, capsys):
    """Compiles a kernel for a compute capability; its shared memory, and the bytes that ptxas spilt."""
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(knobs.nvidia, "dump_ptxas_log", True)

    def run(kernel, rule, constants, capability, *, half=None, warps=4):
        unused = {"q", "gq"} if not rule.channels else set()
        unused |= {"d", "gr"} if rule.additive else set()
        unused |= {"y"} if rule.output_is is not None else set()
        signature, fixed, aligned = {}, {}, {}
        for i, name in enumerate(kernel.arg_names):
            if name in constants or name in unused:
                signature[name], fixed[(i,)] = "constexpr", constants.get(name)
            elif name in ("T", "t", "B"):
                signature[name] = "i32"
            else:
                narrow = half if name in ("w", "p") else None
                signature[name] = "*i64" if name == "lengths" else TYPES[narrow or torch.float32]
                aligned[(i,)] = [["tt.divisibility", 16]]
        source = ASTSource(fn=kernel, signature=signature, constexprs=fixed, attrs=aligned)
        capsys.readouterr()
        options = {"num_warps": warps, "num_stages": 1}
        shared = compile(source, target=GPUTarget("cuda", capability, 32), options=options).metadata.shared
        spilt = re.findall(r"(\d+) bytes spill (?:stores|loads)", capsys.readouterr().out)
        assert len(spilt) == 2
        return shared, sum(map(int, spilt))

    return run


SEQUENCES = [
    (LSTM, 64, "highest", None),
    (LSTM, 128, "highest", torch.bfloat16),
    *(
        pytest.param(*case, marks=slow)
        for case in [
            (LSTM, 16, "highest", None),
            (LSTM, 20, "highest", None),
            (LSTM, 64, "high", None),
            (LSTM, 100, "highest", torch.float16),
            (GRU, 64, "highest", None),
            (GRU, 128, "highest", torch.bfloat16),
            (RNN, 64, "highest", None),
            (RNN, 128, "high", None),
            (RNN, 256, "highest", torch.bfloat16),
            (Peephole, 64, "highest", None),
        ]
    ),
]


@pytest.fixture
def sequence_kernels(compiled, monkeypatch):
    """Bytes spilt by both sequence kernels of a cell, whose shared memory is what was foreseen."""

    def run(make, hidden, precision, half, capability):
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
        rule = rule_of(make(4, hidden))
        layout = layout_of(rule, hidden, half or torch.float32, ROOM[capability])
        constants = {"H": hidden, "KEEP": True, "ROWS": ROWS, "COLUMNS": layout.columns, "PRECISION": layout.precision}
        kernels, total = generated(rule), 0
        for kernel in (kernels.sequence_forward, kernels.sequence_backward):
            shared, spilt = compiled(kernel, rule, constants, capability, half=half, warps=layout.warps)
            assert shared <= ROOM[capability]
            assert layout_of(rule, hidden, half or torch.float32, shared - 1) is None
            total += spilt
        return total

    return run


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(("make", "hidden", "precision", "half"), SEQUENCES)
def test_a_sequence_kernel_fits_on_the_chip_without_spills(make, hidden, precision, half, capability, sequence_kernels):
    assert sequence_kernels(make, hidden, precision, half, capability) == 0


@slow
@pytest.mark.parametrize("capability", [80, 90])
def test_parameters_per_channel_spill_a_few_registers_at_the_largest_size(capability, sequence_kernels):
    assert sequence_kernels(Peephole, 128, "highest", torch.bfloat16, capability) <= 128


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    ("make", "hidden", "names"), [(LSTM, 650, "step"), (GRU, 650, "step"), (IndRNN, 650, "sequence")]
)
def test_kernels_without_a_product_need_no_shared_memory(make, hidden, names, capability, compiled):
    rule = rule_of(make(4, hidden))
    kernels = vars(generated(rule))
    for way in ("forward", "backward"):
        constants = {"H": hidden, "KEEP": True, "BLOCK": BLOCK}
        assert compiled(kernels[f"{names}_{way}"], rule, constants, capability) == (0, 0)


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
