"""Every registered kernel, whoever registered it, computes what the steps of a cell compute, or refuses."""

import pytest
import torch

from seqapps.registry import KINDS
from seqapps.testing import check_kernel

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", list(KINDS["kernels"]))
def test_a_kernel_computes_what_the_steps_compute(name, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    if not check_kernel(KINDS["kernels"].load(name), device=device):
        pytest.skip(f"{name} refuses every cell on {device}")


def test_on_a_cpu_some_kernel_takes_each_kind_of_rule():
    """Else the test above could skip them all and pass."""
    taken = [cell for name in KINDS["kernels"] for cell in check_kernel(KINDS["kernels"].load(name), ())]
    assert {"PeepholeSample", "ReadoutSample"} <= set(taken)
