"""Custom cells on a CPU: one autograd function per sequence around a generated step.

A loop over `step` builds a graph per step, and torch visits it step by step. Here the pointwise rule and its
vector-Jacobian product are read off by tracing (`seqapps.kernels.rule`), written as C and compiled by the machine's
compiler; the recurrent product stays torch's. Over a sequence, forward and backward are then one product and one call
per step, and the gradient of the recurrent matrix is a single product at the end. Where there is no compiler the same
program runs on tensors.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from seqapps.cells.cell import Cell, LinearCell, PointwiseCell, State
from seqapps.cells.lengths import Lengths, last_repeated
from seqapps.kernels.c_library import compiler, load
from seqapps.kernels.c_text import backward_arrays, c_source, forward_arrays
from seqapps.kernels.rule import NotPointwise, PointwiseRule, check_first_derivative, operands_of, rule_of

__all__ = ["Compiled"]

_REAL = {torch.float32: "float", torch.float64: "double"}


class Compiled:
    """Runs every pointwise cell on a CPU, in float32 and float64."""

    rank = 5

    def refuses(self, cell: Cell, x: Tensor) -> str | None:
        """Only cells whose rule treats every sequence and hidden unit by itself."""
        if x.device.type != "cpu":
            return f"it runs on a CPU, not on {x.device.type}"
        if not isinstance(cell, PointwiseCell):
            return "it writes its own step; derive it from PointwiseCell and write pointwise"
        if not cell.elementwise:
            return "its rule mixes hidden units (elementwise is False)"
        if isinstance(cell, LinearCell) and compiler() is None:
            return "there is no C compiler, and a scan is faster than the program on tensors"
        if cell.input_projection.weight.dtype not in _REAL:
            return f"it computes in float32 or float64, not in {cell.input_projection.weight.dtype}"
        try:
            rule_of(cell)
        except NotPointwise as reason:
            return str(reason)
        return None

    def unroll(self, cell: Cell, x: Tensor, state: State, lengths: Lengths, final: bool) -> tuple[Tensor, State | None]:
        assert isinstance(cell, PointwiseCell)
        rule = rule_of(cell)
        single = cell.input_projection.weight.dtype == torch.float32  # autocast leaves float64 alone
        rounded = torch.get_autocast_dtype("cpu") if single and torch.is_autocast_enabled("cpu") else None
        setting = _Setting(rule, None if lengths.equal else lengths.values, rounded)
        outputs, *last = _Sequence.apply(
            setting, cell.project(last_repeated(x, lengths)), *operands_of(cell, rule), *state
        )
        return outputs, tuple(last) if final else None


@dataclass(frozen=True)
class _Setting:
    """What a sequence is run with besides tensors that have gradients.

    Attributes:
        lengths: None where nothing is padded.
        rounded: type of what recurrent products multiply, None = the states' own.
    """

    rule: PointwiseRule
    lengths: Tensor | None
    rounded: torch.dtype | None


class _Sequence(torch.autograd.Function):
    """Projected input (T, B, P), `Operands`, initial states -> outputs and final states."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
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
        rule = setting.rule
        dtype = initial[0].dtype
        projected = projected.to(dtype).contiguous()
        steps, batch, _ = projected.shape
        hidden = initial[0].size(-1)
        history = [torch.empty(steps + 1, batch, hidden, dtype=dtype) for _ in initial]
        for states, first in zip(history, initial, strict=True):
            states[0] = first
        outputs = history[0][1:] if rule.output_is is None else history[rule.output_is][1:]
        if rule.output_is is None:
            outputs = projected.new_empty(steps, batch, hidden)
        recurrent = projected.new_empty(steps, batch, rule.recurrent * hidden)
        arrays = {"p": projected, "r": recurrent, "lengths": setting.lengths, "q": channels, "y": outputs}
        arrays.update((f"s{k}", states) for k, states in enumerate(history))
        if rule.additive:
            arrays["d"] = projected.new_zeros(recurrent.size(-1)) if bias is None else bias
        run = _Steps(rule, arrays, steps, batch, hidden)
        read = history[0] if mask is None else torch.empty_like(history[0])
        if weight is None:
            run.all_forward()
        else:
            step, transposed = run.forward, weight.t().to(setting.rounded or dtype).contiguous()  # read faster by rows
            for t, (read_t, h, product) in enumerate(zip(read[:-1], history[0][:-1], recurrent, strict=True)):
                if mask is not None:
                    torch.mul(h, mask, out=read_t)
                if setting.rounded is not None:
                    product.copy_(read_t.to(setting.rounded) @ transposed)
                    if bias is not None and not rule.additive:
                        product += bias
                elif bias is None or rule.additive:
                    torch.mm(read_t, transposed, out=product)
                else:
                    torch.addmm(bias, read_t, transposed, out=product)
                step(t)
        if rule.additive:
            arrays["p"] = None  # r holds the sum: nothing reads p again
        ctx.setting, ctx.sizes, ctx.names = setting, (steps, batch, hidden), list(arrays)
        ctx.save_for_backward(read, weight, bias, mask, *arrays.values())
        return outputs, *(states[-1].clone() for states in history)  # a state carried on keeps no history alive

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gy: Tensor, *final: Tensor) -> tuple[Any, ...]:
        check_first_derivative()
        rule, rounded, (steps, batch, hidden) = ctx.setting.rule, ctx.setting.rounded, ctx.sizes
        read, weight, bias, mask, *rest = ctx.saved_tensors
        arrays = dict(zip(ctx.names, rest, strict=True))
        arrays["gy"] = gy.contiguous()
        states = [g.clone(memory_format=torch.contiguous_format) for g in final]
        arrays.update((f"gs{k}", g) for k, g in enumerate(states))
        gp = gy.new_empty(steps, batch, rule.projected * hidden)
        gr = gp if rule.additive else gy.new_empty(steps, batch, rule.recurrent * hidden)
        gq = None if arrays["q"] is None else torch.zeros_like(arrays["q"])
        arrays.update(gp=gp, gr=gr, gq=gq)
        run = _Steps(rule, arrays, steps, batch, hidden)
        if weight is None:
            run.all_backward()
        else:
            step, products, factor = run.backward, gr.unbind(0), weight.to(rounded or weight.dtype)
            for t in range(steps - 1, -1, -1):
                step(t)
                if mask is not None:
                    states[0].addcmul_(products[t].to(factor.dtype) @ factor, mask)
                elif rounded is None:
                    states[0].addmm_(products[t], factor)
                else:
                    states[0] += products[t].to(rounded) @ factor
        weight_gradient = bias_gradient = None
        if weight is not None:
            of_products, of_read = (tensor.flatten(0, 1).to(factor.dtype) for tensor in (gr, read[:-1]))
            weight_gradient = (of_products.t() @ of_read).to(weight.dtype)
            bias_gradient = None if bias is None else gr.sum((0, 1))
        return None, gp, weight_gradient, bias_gradient, None, gq, *states


@cache
def _library(rule: PointwiseRule, dtype: torch.dtype) -> ctypes.CDLL | None:
    return load(c_source(rule, _REAL[dtype]))


class _Steps:
    """The generated step, forward and backward, on given arrays: in C where it could be compiled."""

    def __init__(self, rule: PointwiseRule, arrays: dict[str, Any], steps: int, batch: int, hidden: int):
        self.rule, self.arrays = rule, arrays
        self.sizes = steps, batch, hidden
        self.library = _library(rule, arrays["s0"].dtype)

    @property
    def forward(self) -> Callable[[int], None]:
        """Writes outputs and states after step t."""
        if self.library is None:
            return self._forward_on_tensors
        return self._called(self.library.forward, forward_arrays(self.rule))

    @property
    def backward(self) -> Callable[[int], None]:
        """From the gradients after step t to those before it."""
        if self.library is None:
            return self._backward_on_tensors
        return self._called(self.library.backward, backward_arrays(self.rule))

    def all_forward(self) -> None:
        """Every step, the first one first."""
        if self.library is not None:
            return self._called(self.library.forward_all, forward_arrays(self.rule))(self.sizes[0])
        for t in range(self.sizes[0]):
            self._forward_on_tensors(t)

    def all_backward(self) -> None:
        """Every step, the last one first."""
        if self.library is not None:
            return self._called(self.library.backward_all, backward_arrays(self.rule))(self.sizes[0])
        for t in range(self.sizes[0] - 1, -1, -1):
            self._backward_on_tensors(t)

    def _called(self, function: Any, names: list[str]) -> Callable[[int], None]:
        """A C function with its arrays; the integer that is left is t, or T."""
        _, batch, hidden = self.sizes
        values = [self.arrays[name] for name in names]
        pointers = (ctypes.c_void_p * len(names))(*(None if v is None else v.data_ptr() for v in values))
        function.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64]
        function.restype = None
        return lambda t: function(pointers, t, batch, hidden)

    def _inputs(self, t: int) -> list[Tensor]:
        """Every input of the program at step t, (B, H) or (H,)."""
        rule, (_, _, hidden) = self.rule, self.sizes
        p = self.arrays["r" if rule.additive else "p"][t]
        values = list(p.split(hidden, -1))
        if rule.recurrent:
            r = torch.zeros_like(p) if rule.additive else self.arrays["r"][t]
            values += r.split(hidden, -1)
        values += [self.arrays[f"s{k}"][t] for k in range(rule.states)]
        if rule.channels:
            values += self.arrays["q"]
        return values

    def _ended(self, t: int) -> Tensor | None:
        """(B, 1): has the sequence ended before step t?"""
        lengths = self.arrays["lengths"]
        return None if lengths is None else (lengths <= t)[:, None]

    def _forward_on_tensors(self, t: int) -> None:
        if self.rule.additive:
            self.arrays["r"][t] += self.arrays["p"][t] + self.arrays["d"]
        output, *new = self.rule.forward.run(self._inputs(t))
        ended = self._ended(t)
        if self.rule.output_is is None:
            self.arrays["y"][t] = output
        for k, after in enumerate(new):
            states = self.arrays[f"s{k}"]
            states[t + 1] = after if ended is None else torch.where(ended, states[t], after)

    def _backward_on_tensors(self, t: int) -> None:
        rule, arrays, (_, _, hidden) = self.rule, self.arrays, self.sizes
        states = [arrays[f"gs{k}"] for k in range(rule.states)]
        results = rule.backward.run([*self._inputs(t), arrays["gy"][t], *states])
        ended = self._ended(t)
        like = states[0]

        def kept(result: Tensor, otherwise: Tensor | float) -> Tensor:
            result = result.expand_as(like)
            return result if ended is None else torch.where(ended, otherwise, result)

        letters = [("gp", rule.projected), ("gr", rule.recurrent)]
        for name, number in letters:
            own, results = results[:number], results[number:]
            if own and (name == "gp" or not rule.additive):
                for block, result in zip(arrays[name][t].split(hidden, -1), own, strict=True):
                    block.copy_(kept(result, 0.0))
        own, results = results[: rule.states], results[rule.states :]
        for state, result in zip(states, own, strict=True):
            state.copy_(kept(result, state))
        for block, result in zip(arrays["gq"] if results else (), results, strict=True):
            block += kept(result, 0.0).sum(0)
