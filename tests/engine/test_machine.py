"""What a process asks of its machine."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest
import torch

from seqapps.engine import machine

FAULTS = """
import resource, torch
from seqapps.engine.machine import Arithmetic
with Arithmetic(torch.device("cpu"), "fp32", "highest", 1, False).active():
    for i in range(23):
        if i == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        held = [torch.ones(2_000_000) for _ in range(10)]
        del held
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def forget_settings(monkeypatch):
    for name in list(os.environ):
        if name == "GLIBC_TUNABLES" or name.startswith("MALLOC_"):
            monkeypatch.delenv(name)


@pytest.fixture
def calls(monkeypatch):
    made = []

    class Library:
        def mallopt(self, *arguments):
            made.append(arguments)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    forget_settings(monkeypatch)
    machine._keep_freed_memory.cache_clear()
    yield made
    machine._keep_freed_memory.cache_clear()


def active(device):
    with machine.Arithmetic(torch.device(device), "fp32", "highest", 1, False).active():
        pass


def test_the_allocator_is_told_once_and_for_a_cpu_only(calls):
    active("meta")
    assert calls == []
    active("cpu")
    active("cpu")
    assert calls == [(-3, 1 << 25), (-1, 1 << 30)]


@pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX"])
def test_what_the_user_has_set_stays(name, calls, monkeypatch):
    monkeypatch.setenv(name, "glibc.malloc.top_pad=1" if name == "GLIBC_TUNABLES" else "1")
    active("cpu")
    assert calls == []


def test_a_c_library_without_such_a_setting_is_left_alone(calls, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    active("cpu")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_steps_of_the_same_size_need_no_new_memory(monkeypatch):
    forget_settings(monkeypatch)
    made = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(made.stdout) < 20 * 200  # pages; of 4 KB there are 20 * 19,500 in these tensors


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("warn_only", [True, False])
def test_determinism_is_strict_inside_and_outside_what_it_was(wanted, warn_only):
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        with machine.Arithmetic(torch.device("cpu"), "fp32", "highest", 1, wanted).active():
            assert torch.are_deterministic_algorithms_enabled() == wanted
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled() == warn_only
    finally:
        torch.use_deterministic_algorithms(False)
