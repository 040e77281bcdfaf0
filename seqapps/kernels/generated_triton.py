"""Pointwise cells on a GPU, by Triton kernels generated from their rule.

The rule and its vector-Jacobian product are read off by tracing (`seqapps.kernels.rule`) and written as Triton
(`seqapps.kernels.triton_text`), which compiles them; no other compiler is needed. Where the recurrent matrix fits on
the chip, one launch runs all steps forward and one all steps backward, a block for every 16 sequences; so it is for
cells without a recurrent matrix. For larger ones every step is a matrix product by torch and one launch of the rule.
The gradient of the recurrent matrix is one product at the end.

Numbers are float32. Where the matrix is on the chip, its products follow `torch.set_float32_matmul_precision`: IEEE
float32 at `highest`, else TF32. Under autocast, float16 or bfloat16, only what enters recurrent products is rounded;
they are summed in float32, and states and outputs stay float32, other than in the steps of the reference.

Values and gradients are tested in Triton's interpreter; shared memory and registers by compiling for compute
capability 8.0 and 9.0. Not measured on a GPU. Not built: replaying the step loop as a CUDA graph.
"""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqapps.cells.cell import Cell, PointwiseCell, State
from seqapps.cells.lengths import Lengths, last_repeated
from seqapps.cells.regularizers import DrawnLinear
from seqapps.kernels.rule import NotPointwise, PointwiseRule, check_first_derivative, operands_of, rule_of
from seqapps.kernels.triton_text import triton_source

__all__ = ["BLOCK", "ROWS", "Layout", "Triton", "generated", "layout_of"]

BLOCK = 128  # elements of a block without a product
ROWS = 16  # sequences of a block with one: the fewest that tensor cores multiply


class Layout(NamedTuple):
    """How a sequence kernel with a recurrent matrix is compiled.

    Attributes:
        columns: hidden units, up to a power of two.
        precision: of a product of float32: ieee or tf32.
        warps: of 32 threads, in a block.
    """

    columns: int
    precision: str
    warps: int


def layout_of(rule: PointwiseRule, hidden_size: int, dtype: torch.dtype, room: int) -> Layout | None:
    """Layout for a recurrent matrix of `dtype` where a block may have `room` bytes of shared memory; None = no room.

    IEEE products of more than 64 units do not fit into the registers.
    """
    columns = max(16, 1 << (hidden_size - 1).bit_length())
    # Beside the matrix the forward pass exchanges the state, rounded and in float32, and the backward pass what every
    # block of the matrix multiplies, and a result.
    exchanged = ROWS * max(4 + dtype.itemsize, (rule.recurrent + 1) * dtype.itemsize)
    need = (rule.recurrent * columns * dtype.itemsize + exchanged) * columns
    exact = dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"
    if need > room or (exact and columns > 64):
        return None
    return Layout(columns, "ieee" if exact else "tf32", warps=4 if columns <= 32 else 8)


class Triton:
    """Runs every pointwise cell in float32 on an NVIDIA GPU; in Triton's interpreter, for tests, on any device.

    Attributes:
        room: bytes of shared memory that a block may take; None = what the device has.
    """

    rank = 3
    room: int | None = None

    def refuses(self, cell: Cell, x: Tensor) -> str | None:
        """Only cells whose rule treats every sequence and hidden unit by itself, where Triton can run it."""
        return _no_device(x) or _no_cell(cell) or _no_rule(cell)

    def unroll(self, cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State | None]:
        assert isinstance(cell, PointwiseCell)
        rule = rule_of(cell)
        tensors = [cell.project(last_repeated(x, lengths)), *operands_of(cell, rule), *state]
        keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
        dtype = _product_type(x.device.type)
        room = _room(x) if self.room is None else self.room
        setting = _Setting(rule, lengths.on_device, keep, dtype, layout_of(rule, cell.hidden_size, dtype, room))
        outputs, *last = _Sequence.apply(setting, *tensors)
        return outputs, tuple(last) if final else None


def _no_device(x: Tensor) -> str | None:
    """Why nothing can run where x is."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if not interpreted and (not x.is_cuda or torch.version.hip is not None):
        return f"it runs on an NVIDIA GPU, not on {'an AMD one' if x.is_cuda else x.device.type}"
    if not _installed():
        return "Triton is not installed; pip install triton"
    if interpreted:
        wrong = _product_type(x.device.type) == torch.bfloat16
        return "Triton's interpreter multiplies bfloat16 wrongly" if wrong else None
    capability = torch.cuda.get_device_capability(x.device)
    if capability < (8, 0):
        return f"it needs compute capability 8.0 or more, and this GPU has {capability[0]}.{capability[1]}"
    return None


@cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None


def _no_cell(cell: Cell) -> str | None:
    """Why a cell's class or types are not for this kernel."""
    if not isinstance(cell, PointwiseCell):
        return "it writes its own step; derive it from PointwiseCell and write pointwise"
    if not cell.elementwise:
        return "its rule mixes hidden units (elementwise is False)"
    weights = [cell.input_projection.weight]
    if cell.has_recurrent:
        if type(cell.recurrent).forward not in (nn.Linear.forward, DrawnLinear.forward):
            return f"its recurrent is a {type(cell.recurrent).__name__}, not a linear module"
        weights.append(cell.recurrent.weight)
    for weight in weights:
        if weight.dtype != torch.float32:
            return f"it computes in float32, not in {str(weight.dtype).removeprefix('torch.')}"
    return None


def _no_rule(cell: Cell) -> str | None:
    assert isinstance(cell, PointwiseCell)
    try:
        rule_of(cell)
    except NotPointwise as reason:
        return str(reason)
    return None


def _product_type(device: str) -> torch.dtype:
    """What recurrent products multiply: autocast's type, or float32."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32


def _room(x: Tensor) -> int:
    """Bytes of shared memory that a block may take on x's device; the interpreter takes that of an A100."""
    if not x.is_cuda:
        return 163 * 1024
    return torch.cuda.get_device_properties(x.device).shared_memory_per_block_optin  # type: ignore[attr-defined]


@cache
def generated(rule: PointwiseRule) -> SimpleNamespace:
    """The kernels of a rule, by name."""
    source = triton_source(rule)
    name = f"seqapps_generated_{hashlib.sha256(source.encode()).hexdigest()[:32]}"
    # Triton reads the text of a function back from its file; there is none, but Python's cache of lines will do.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "seqapps_generated"}
    exec(compile(source, name, "exec"), namespace)
    return SimpleNamespace(**namespace)


@dataclass(frozen=True)
class _Setting:
    """What a sequence is run with besides tensors that have gradients.

    Attributes:
        lengths: (B,) int64, on the device.
        keep: whether a backward pass may follow.
        dtype: of what recurrent products multiply.
        layout: None = step by step.
    """

    rule: PointwiseRule
    lengths: Tensor
    keep: bool
    dtype: torch.dtype
    layout: Layout | None


class _Sequence(torch.autograd.Function):
    """Projected input (T, B, P), recurrent weight and bias, mask, channels, initial states -> outputs, final states."""

    @staticmethod
    def forward(
        ctx: Any,
        setting: _Setting,
        projected: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mask: Tensor | None,
        channels: Tensor | None,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        run = _Run(setting, projected.size(0), *initial[0].shape)
        with torch.autocast(projected.device.type, enabled=False), torch.cuda.device_of(projected):
            arrays = run.arrays(projected, weight, bias, mask, channels, initial)
            run.forward(arrays)
        ctx.run, ctx.type = run, projected.dtype
        if setting.keep:
            ctx.names = list(arrays)
            ctx.save_for_backward(*arrays.values())
        return run.outputs(arrays), *(arrays[f"s{k}"][-1].clone() for k in range(setting.rule.states))

    @staticmethod
    def backward(ctx: Any, gy: Tensor, *final: Tensor) -> tuple[Any, ...]:
        check_first_derivative()
        run, rule = ctx.run, ctx.run.setting.rule
        arrays = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        with torch.autocast(gy.device.type, enabled=False), torch.cuda.device_of(gy):
            run.backward(arrays, gy, final)
            weight = bias = None
            if ctx.needs_input_grad[2]:
                weight = run.weight_gradient(arrays)
            if ctx.needs_input_grad[3]:
                bias = run.product_gradient(arrays).sum((0, 1))
            channels = arrays["gq"].sum(0) if rule.channels else None
        states = [arrays[f"gs{k}"] for k in range(rule.states)]
        return None, arrays["gp"].to(ctx.type), weight, bias, None, channels, *states


class _Run:
    """The launches for one batch of sequences, on arrays named as in `triton_source`."""

    def __init__(self, setting: _Setting, steps: int, batch: int, hidden: int):
        self.setting, self.rule, self.sizes = setting, setting.rule, (steps, batch, hidden)
        self.kernels = generated(setting.rule)
        self.stepwise = bool(setting.rule.recurrent) and setting.layout is None

    def arrays(
        self,
        projected: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mask: Tensor | None,
        channels: Tensor | None,
        initial: tuple[Tensor, ...],
    ) -> dict[str, Any]:
        """What the forward pass reads and writes."""
        rule, keep, (steps, batch, hidden) = self.rule, self.setting.keep, self.sizes
        new = initial[0].new_empty
        arrays: dict[str, Any] = {"p": projected.contiguous(), "mask": mask, "q": channels}
        arrays.update(lengths=self.setting.lengths, w=None, d=None, r=None, y=None)
        if weight is not None:
            width = rule.recurrent * hidden
            arrays["w"] = weight.to(self.setting.dtype).contiguous()
            if rule.additive:
                arrays["p"] = projected if bias is None else projected + bias
            else:
                arrays["d"] = weight.new_zeros(width) if bias is None else bias
            if keep or self.stepwise:
                arrays["r"] = new(steps if keep else 1, batch, width)
        if rule.output_is is None:
            arrays["y"] = new(steps, batch, hidden)
        for k, first in enumerate(initial):
            states = new(steps + 1 if keep or k == rule.output_is else 1, batch, hidden)
            states[0] = first
            arrays[f"s{k}"] = states
        return arrays

    def outputs(self, arrays: dict[str, Any]) -> Tensor:
        """(T, B, H)."""
        return arrays["y"] if self.rule.output_is is None else arrays[f"s{self.rule.output_is}"][1:]

    def forward(self, arrays: dict[str, Any]) -> None:
        """Fills outputs and states."""
        if not self.stepwise:
            self._launch("sequence_forward", arrays)(self.sizes[0])
            return
        keep, weight = self.setting.keep, arrays["w"].t()
        states = arrays["s0"]
        launch = self._launch("step_forward", arrays)
        for t in range(self.sizes[0]):
            read = states[t if len(states) > 1 else 0]
            if arrays["mask"] is not None:
                read = read * arrays["mask"]
            added = arrays["p"][t] if self.rule.additive else arrays["d"]
            product = arrays["r"][t if keep else 0]
            if weight.dtype == torch.float32:
                torch.addmm(added, read, weight, out=product)
            else:
                torch.add(added, torch.mm(read.to(weight.dtype), weight).float(), out=product)
            launch(t)

    def backward(self, arrays: dict[str, Any], gy: Tensor, final: tuple[Tensor, ...]) -> None:
        """Adds the gradients to the arrays."""
        rule, (steps, batch, hidden) = self.rule, self.sizes
        arrays.update(gy=gy.contiguous(), gp=gy.new_empty(steps, batch, rule.projected * hidden), gr=None, gq=None)
        if rule.recurrent and not rule.additive:
            arrays["gr"] = gy.new_empty(steps, batch, rule.recurrent * hidden)
        if rule.channels:
            arrays["gq"] = gy.new_zeros(batch, *arrays["q"].shape)
        arrays.update((f"gs{k}", g.clone(memory_format=torch.contiguous_format)) for k, g in enumerate(final))
        if not self.stepwise:
            self._launch("sequence_backward", arrays)(steps)
            return
        weight, states, gradients = arrays["w"], arrays["gs0"], self.product_gradient(arrays)
        launch = self._launch("step_backward", arrays)
        for t in range(steps - 1, -1, -1):
            launch(t)
            product = torch.mm(gradients[t].to(weight.dtype), weight).float()
            states.add_(product) if arrays["mask"] is None else states.addcmul_(product, arrays["mask"])

    def product_gradient(self, arrays: dict[str, Any]) -> Tensor:
        """(T, B, blocks x H), of the recurrent product."""
        return arrays["gp" if self.rule.additive else "gr"]

    def weight_gradient(self, arrays: dict[str, Any]) -> Tensor:
        read = arrays["s0"][:-1]
        if arrays["mask"] is not None:
            read = read * arrays["mask"]
        return self.product_gradient(arrays).flatten(0, 1).t() @ read.flatten(0, 1)

    def _launch(self, name: str, arrays: dict[str, Any]) -> Callable[[int], None]:
        """Launches a kernel for T steps, or for step t."""
        _, batch, hidden = self.sizes
        layout = None if self.stepwise else self.setting.layout
        values = {**arrays, "B": batch, "H": hidden, "KEEP": self.setting.keep, "BLOCK": BLOCK, "ROWS": ROWS}
        blocks, options = -(-batch * hidden // BLOCK), {"num_warps": 4}
        if layout is not None:
            values.update(COLUMNS=layout.columns, PRECISION=layout.precision)
            blocks, options = -(-batch // ROWS), {"num_warps": layout.warps, "num_stages": 1}
        kernel = getattr(self.kernels, name)
        arguments = [values.get(argument) for argument in kernel.arg_names]
        at = next(i for i, argument in enumerate(kernel.arg_names) if argument in ("t", "T"))

        def launch(steps: int) -> None:
            arguments[at] = steps
            kernel[(blocks,)](*arguments, **options)

        return launch
