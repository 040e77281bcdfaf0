"""How fast cells run: forward and backward, as multiples of the time that torch's own layer needs beside them.

Absolute times mean little on a machine that does other work, so everything is measured in one process, in turns of a
fixed time, round after round with another contestant first. A ratio is taken within a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqapps.cells import Cell, unroll
from seqapps.cells.unroll import choose, kernel_name, kernels_named
from seqapps.engine.machine import Arithmetic, resolve_arithmetic, resolve_device
from seqapps.errors import UseError
from seqapps.recipe.components import describe_spec
from seqapps.recipe.recipe import Training
from seqapps.recipe.spec import Spec

__all__ = ["SIZES", "Bench", "Clock", "Contestant", "Group", "Size", "bench_cells"]

DTYPES = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.bfloat16, "fp16": torch.float16}
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
WARM_SECONDS = 1.0  # at most

Clock = Literal["wall", "cpu"]


class Size(NamedTuple):
    """T steps, B sequences, H features of a state; the input has as many."""

    steps: int
    batch: int
    hidden: int

    def __str__(self) -> str:
        return f"T={self.steps} B={self.batch} H={self.hidden}"


SIZES = (Size(35, 20, 200), Size(35, 20, 650), Size(30, 32, 256))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is measured.

    Attributes:
        cells: complete specs.
        kernels: auto, reference, or names of kernels.
        sizes: one table each.
        devices: as in `training.device`; one table each and size.
        against: the layer of torch.nn that ratios are taken to, lstm or gru.
        ragged: lengths drawn uniformly from T/4 to T (one is T) instead of all T; torch's layer then runs on packed
            and on padded sequences.
        dtype: of weights and inputs: fp32, fp64, bf16 or fp16.
        matmul_precision: as in `training`.
        threads: CPU threads of one operation.
        rounds, seconds: how many turns each contestant has, and how long one is.
        seed: of weights, inputs and lengths.
    """

    cells: Sequence[Spec]
    kernels: Sequence[str] = ("auto", "reference")
    sizes: Sequence[Size] = SIZES
    devices: Sequence[str] = ("auto",)
    against: Literal["lstm", "gru"] = "lstm"
    ragged: bool = False
    dtype: str = "fp32"
    matmul_precision: Literal["auto", "highest", "high", "medium"] = "auto"
    threads: int = 1
    rounds: int = 7
    seconds: float = 0.5
    seed: int = 1


@dataclass
class Contestant:
    """A cell and a kernel, or torch's own layer, and its times.

    Attributes:
        cell: as in a recipe, or torch's layer.
        kernel: as asked for; `runs` is the one that `auto` chose. Empty for torch's layers.
        refused: why it was not measured.
        by_steps: why `auto` found no kernel for it.
        first_call_seconds: of the first forward and backward pass, which may compile.
        seconds_per_token: of forward and backward pass, round by round; tokens are real ones, never padding.
        cpu_seconds_per_token: the same of the process's CPU time, which other load disturbs less.
    """

    cell: str
    kernel: str = ""
    runs: str = ""
    refused: str | None = None
    by_steps: str | None = None
    first_call_seconds: float | None = None
    seconds_per_token: list[float] = field(default_factory=list)
    cpu_seconds_per_token: list[float] = field(default_factory=list)

    def times(self, clock: Clock) -> list[float]:
        """Round by round."""
        return self.seconds_per_token if clock == "wall" else self.cpu_seconds_per_token


class Group(NamedTuple):
    """Who was measured in turns: the first `baselines` of the contestants are torch's own layers."""

    device: str
    size: Size
    lengths: list[int]
    matmul_precision: str
    contestants: list[Contestant]
    baselines: int


def bench_cells(bench: Bench) -> Iterator[Group]:
    """Measure, one device and size after the other.

    Raises:
        UseError: a device or kernel is not there, or torch's own layer cannot run in this dtype.
    """
    for kernel in bench.kernels:
        kernels_named(kernel)
    devices = [resolve_device(name, "--device") for name in dict.fromkeys(bench.devices)]
    for device in devices:
        training = Training(precision="fp32", matmul_precision=bench.matmul_precision, threads=bench.threads)
        arithmetic = resolve_arithmetic(training, device)
        with arithmetic.active():
            for size in bench.sizes:
                yield _measured(bench, size, arithmetic)


def _measured(bench: Bench, size: Size, arithmetic: Arithmetic) -> Group:
    work = _Work(bench, size, arithmetic.device)
    passes = [*work.torch_layers(), *(work.cell(spec, kernel) for spec in bench.cells for kernel in bench.kernels)]
    baselines = len(passes) - len(bench.cells) * len(bench.kernels)
    running = [one for number, one in enumerate(passes) if work.begin(*one, must=number < baselines)]
    for first in range(bench.rounds):
        for place in range(len(running)):
            contestant, run = running[(first + place) % len(running)]
            turn = work.turn(run, bench.seconds)
            contestant.seconds_per_token.append(turn.seconds)
            contestant.cpu_seconds_per_token.append(turn.cpu_seconds)
    contestants = [contestant for contestant, _ in passes]
    matmul = arithmetic.matmul_precision
    return Group(str(arithmetic.device), size, work.lengths.tolist(), matmul, contestants, baselines)


class _Turn(NamedTuple):
    """Per real token."""

    seconds: float
    cpu_seconds: float


Run = Callable[[], None]  # one forward and backward pass


class _Work:
    """The work that all contestants of a group are given."""

    def __init__(self, bench: Bench, size: Size, device: torch.device):
        self.bench, self.size, self.device, self.dtype = bench, size, device, DTYPES[bench.dtype]
        generator = torch.Generator().manual_seed(bench.seed)
        self.lengths = torch.full((size.batch,), size.steps)
        if bench.ragged:
            low = max(1, size.steps // 4)
            drawn = torch.randint(low, size.steps + 1, (size.batch,), generator=generator)
            self.lengths = drawn.sort(descending=True).values  # so that packing has no sorting to do
            self.lengths[0] = size.steps
        x = torch.randn(size.steps, size.batch, size.hidden, generator=generator)
        self.x = x.to(device, self.dtype).requires_grad_()
        self.tokens = int(self.lengths.sum())

    def torch_layers(self) -> list[tuple[Contestant, Run]]:
        """torch's own layer: on packed sequences if they are ragged, and on padded ones."""
        kind = LAYERS[self.bench.against]
        torch.manual_seed(self.bench.seed)
        layer = kind(self.size.hidden, self.size.hidden).to(self.device, self.dtype)
        gradient = self._gradient(self.size.hidden)

        def packed() -> None:
            self._reset(layer)
            outputs, _ = layer(pack_padded_sequence(self.x, self.lengths))
            pad_packed_sequence(outputs)[0].backward(gradient)

        def padded() -> None:
            self._reset(layer)
            layer(self.x)[0].backward(gradient)

        name = f"torch.nn.{kind.__name__}"
        if self.bench.ragged:
            return [(Contestant(f"{name}, packed"), packed), (Contestant(f"{name}, padded"), padded)]
        return [(Contestant(name), padded)]

    def cell(self, spec: Spec, kernel: str) -> tuple[Contestant, Run]:
        """A cell by a kernel; `refused` is set if the kernel cannot run it."""
        torch.manual_seed(self.bench.seed)
        cell = spec.build(input_size=self.size.hidden, hidden_size=self.size.hidden).to(self.device, self.dtype)
        contestant = Contestant(describe_spec(spec), kernel)
        _choose(contestant, cell.begin(self.size.batch), self.x)
        gradient = self._gradient(cell.output_size)

        def run() -> None:
            self._reset(cell)
            outputs, _ = unroll(cell, self.x, None, self.lengths, kernels=kernel, final=False)
            outputs.backward(gradient)

        return contestant, run

    def begin(self, contestant: Contestant, run: Run, must: bool) -> bool:
        """Warm up; False, and the reason in `refused`, if it cannot be run. UseError instead if it `must`."""
        if contestant.refused is not None:
            return False
        start = time.perf_counter()
        try:
            run()
            self._wait()
        except (RuntimeError, NotImplementedError, UseError) as error:
            contestant.refused = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            if must:
                where = f"{contestant.cell} cannot run {self.bench.dtype} on {self.device}"
                raise UseError(f"{where}: {contestant.refused}; use fp32") from error
            return False
        contestant.first_call_seconds = time.perf_counter() - start
        self.turn(run, min(WARM_SECONDS, self.bench.seconds))
        return True

    def turn(self, run: Run, seconds: float) -> _Turn:
        """Pass after pass, for so many seconds."""
        passes, spent, start, start_cpu = 0, 0.0, time.perf_counter(), time.process_time()
        together = 1 if self.device.type == "cpu" else 10  # on a GPU, passes are queued
        while spent < seconds:
            for _ in range(together):
                run()
            self._wait()
            passes += together
            spent = time.perf_counter() - start
        tokens = passes * self.tokens
        return _Turn(spent / tokens, (time.process_time() - start_cpu) / tokens)

    def _gradient(self, features: int) -> Tensor:
        """(T, B, features): gradient of a loss with respect to the outputs, zero on padding."""
        generator = torch.Generator().manual_seed(self.bench.seed)
        gradient = torch.randn(self.size.steps, self.size.batch, features, generator=generator)
        real = torch.arange(self.size.steps)[:, None] < self.lengths
        return (gradient * real[..., None]).to(self.device, self.dtype)

    def _reset(self, module: nn.Module) -> None:
        self.x.grad = None
        module.zero_grad(set_to_none=True)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def _choose(contestant: Contestant, cell: Cell, x: Tensor) -> None:
    """Fill in which kernel runs the contestant, or why none does."""
    kernel, refused = choose(contestant.kernel, cell, x)
    if kernel is not None:
        contestant.runs = kernel_name(type(kernel))
    elif contestant.kernel in ("auto", "reference"):
        contestant.runs = "reference"
        contestant.by_steps = "; ".join(f"{name}: {reason}" for name, reason in refused.items()) or None
    else:
        contestant.runs, contestant.refused = contestant.kernel, refused[contestant.kernel]
