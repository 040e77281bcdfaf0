"""The generated Triton kernels, interpreted in a process of their own: Triton decides once whether it interprets."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seqapps.cells import LSTM
from seqapps.kernels import generated_triton
from seqapps.kernels.generated_triton import Triton

INTERPRETED = Path(__file__).with_name("interpreted_triton.py")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_interpreted_kernels_equal_the_steps_in_values_and_all_gradients():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(INTERPRETED)]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_looking_for_a_kernel_imports_no_triton():
    program = (
        "import sys, torch; from seqapps.cells import LSTM; from seqapps.cells.unroll import unroll\n"
        "from seqapps.kernels.generated_triton import Triton\n"
        "reason = Triton().refuses(LSTM(2, 3), torch.zeros(1, 1, 2))\n"
        "assert 'triton' not in sys.modules; print(reason)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "it runs on an NVIDIA GPU, not on cpu\n"


def test_without_triton_the_reason_says_what_to_install(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(generated_triton, "_installed", lambda: False)
    assert Triton().refuses(LSTM(2, 3), torch.zeros(1, 1, 2)) == "Triton is not installed; pip install triton"
