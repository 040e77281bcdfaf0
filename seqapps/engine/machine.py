"""The machine a run is on: device, arithmetic, seeds, and the record of all of it."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from seqapps.errors import UseError
from seqapps.recipe.recipe import Training
from seqapps.recipe.spec import Spec
from seqapps.registry import registry

__all__ = ["Arithmetic", "components", "resolve_arithmetic", "resolve_device", "versions"]


def resolve_device(name: str, where: str = "training.device") -> torch.device:
    """The device of a recipe. UseError naming what is there if it is not."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UseError(f"{where}: {name!r} is no device; use auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            there = f"{count} CUDA devices" if count else "no CUDA device"
            raise UseError(f"{where}: {name!r} is not there, this machine has {there}; use auto or cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UseError(f"{where}: 'mps' is not there on this machine; use auto or cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UseError(f"{where}: {name!r} is not supported; use auto, cpu, cuda, cuda:N or mps")
    return device


@dataclass(frozen=True)
class Arithmetic:
    """How numbers are computed: device, precision of the passes, precision of fp32 products, threads, determinism."""

    device: torch.device
    precision: str  # fp32, bf16 or fp16
    matmul_precision: str  # highest, high or medium
    threads: int
    deterministic: bool

    @property
    def autocast(self) -> Callable[[], AbstractContextManager[Any]]:
        """Makes the context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return lambda: torch.autocast(self.device.type, dtype=dtype)

    @contextmanager
    def active(self) -> Iterator[None]:
        """torch's process-wide settings as this says, and back to what they were.

        On a CPU the process keeps the memory of freed tensors from then on (`_keep_freed_memory`).
        """
        if self.device.type == "cpu":
            _keep_freed_memory()
        before = (
            torch.get_float32_matmul_precision(),
            torch.get_num_threads(),
            _determinism(),
        )
        torch.set_float32_matmul_precision(self.matmul_precision)
        torch.set_num_threads(self.threads)
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        _set_deterministic(self.deterministic, warn_only=False)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.set_num_threads(before[1])
            _set_deterministic(*before[2])


def _determinism() -> tuple[bool, bool]:
    """Whether torch must be deterministic, and whether it only warns where it is not."""
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(wanted: bool, warn_only: bool) -> None:
    if _determinism() != (wanted, warn_only):  # torch imports its compiler to be told: seconds
        torch.use_deterministic_algorithms(wanted, warn_only=warn_only)


@cache
def _keep_freed_memory() -> None:
    """Has glibc keep what tensors free for those of the next step.

    It would return large pieces to the system and ask for them again at once, and the system clears them page by page:
    8,000 pages and a sixth of the time of a step, where a language model has 10,000 words. What the user has set for
    glibc's allocator stays. Other C libraries are left alone.
    """
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, mmap_threshold = -1, -3  # their numbers in malloc.h
    mallopt(mmap_threshold, 1 << 25)  # the most it takes
    mallopt(trim_threshold, 1 << 30)


def resolve_arithmetic(training: Training, device: torch.device) -> Arithmetic:
    """What `auto` means here. UseError for fp16 on a CPU."""
    precision = training.precision
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if precision == "fp16" and device.type != "cuda":
        raise UseError(f"training.precision: fp16 needs a CUDA device, this run is on {device}; use bf16 or fp32")
    matmul = training.matmul_precision
    if matmul == "auto":
        matmul = "medium" if device.type == "cpu" and _medium_is_exact() else "highest"
    return Arithmetic(device, precision, matmul, training.threads or torch.get_num_threads(), training.deterministic)


def _medium_is_exact() -> bool:
    """Does `medium` keep fp32-grade error here? It moves CPU products to oneDNN, which rounds to bf16 on some."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        error = ((a @ b).double() - exact).abs().max() / exact.abs().max()
    finally:
        torch.set_float32_matmul_precision(before)
    return bool(error < 1e-5)


def components(specs: Iterable[Spec]) -> list[dict[str, str]]:
    """Kind, name, owning distribution and version of every component of a recipe."""
    listed = []
    for spec in specs:
        entry = registry(spec.kind).entry(spec.name)
        listed.append(
            {"kind": spec.kind, "name": spec.name, "distribution": entry.distribution, "version": entry.version}
        )
    return listed


def versions(specs: Iterable[Spec]) -> dict[str, str]:
    """Versions of what computes: Python, seqapps, torch, and the owners of the recipe's components."""
    named = {"seqapps", "torch", "datasets", "numpy", "seqeval", *(c["distribution"] for c in components(specs))}
    found = {"python": platform.python_version()}
    for name in sorted(named - {"this process"}):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
