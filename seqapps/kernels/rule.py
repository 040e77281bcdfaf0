"""The pointwise rule of a cell, read off by tracing: the rule and its vector-Jacobian product as programs.

Tracing runs `cell.pointwise` once on small tensors and records torch's operations; `seqapps.kernels.graph` reads them.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp
from torch.fx.experimental.proxy_tensor import make_fx

from seqapps.cells.cell import PointwiseCell
from seqapps.cells.regularizers import Regularizers, is_plain_linear
from seqapps.errors import ComponentError
from seqapps.kernels.graph import NotPointwise, Reader
from seqapps.kernels.program import Program

__all__ = ["Channels", "NotPointwise", "Operands", "PointwiseRule", "check_first_derivative", "operands_of", "rule_of"]


class Channels(NamedTuple):
    """A parameter or buffer of a cell that holds one value per hidden unit, or several.

    Attributes:
        name: as in `named_parameters`.
        blocks: how many values there are per hidden unit.
    """

    name: str
    blocks: int


@dataclass(frozen=True, eq=False)
class PointwiseRule:
    """What `pointwise` computes for one sequence and one hidden unit.

    Inputs of `forward`: p0.. (projected), r0.. (recurrent), s0.. (old state), q0.. (channels). Its outputs: the output,
    then the new states. `backward` takes besides g0.. (gradients of these outputs) and returns the gradients of the
    inputs, in order.

    Attributes:
        projected, recurrent, states: numbers of blocks.
        channels: per-channel parameters, in the order of q.
        additive: only the sum of projected and recurrent matters, so their gradients are the same.
        output_is: which new state the output is, or None.
    """

    forward: Program
    backward: Program
    projected: int
    recurrent: int
    states: int
    channels: tuple[Channels, ...]
    additive: bool
    output_is: int | None


class Operands(NamedTuple):
    """What a pointwise cell computes with beside its input and state.

    Attributes:
        weight, bias: of the recurrent product, with dropped elements; None where there is none.
        mask: (B, features of the first state), what the first state is multiplied with before the product; or None.
        channels: (blocks, H), all per-channel parameters in the order of q; None where there are none.
    """

    weight: Tensor | None
    bias: Tensor | None
    mask: Tensor | None
    channels: Tensor | None


def check_first_derivative() -> None:
    """Called in a backward pass. ComponentError where it is itself to be differentiated."""
    if torch.is_grad_enabled():
        raise ComponentError("generated kernels have no second derivative; use 'kernels: reference'")


def operands_of(cell: PointwiseCell, rule: PointwiseRule) -> Operands:
    """What `cell`, begun or not, computes with."""
    values, dtype = _values(cell), cell.input_projection.weight.dtype
    blocks = [values[name].reshape(-1, cell.hidden_size).to(dtype) for name, _ in rule.channels]
    channels = torch.cat(blocks) if blocks else None
    if not cell.has_recurrent:
        return Operands(None, None, None, channels)
    recurrent = cell.recurrent
    return Operands(recurrent.weight, recurrent.bias, getattr(recurrent, "mask", None), channels)


_RULES: WeakKeyDictionary[nn.Module, dict[Any, PointwiseRule | NotPointwise]] = WeakKeyDictionary()


_MISSING = threading.Lock()  # one rule is traced at a time
_MOST = 16  # rules of one cell that are kept: an attribute may be another number at every step


def rule_of(cell: PointwiseCell) -> PointwiseRule:
    """The rule of a cell, traced once for each mode and setting of its attributes. Raises NotPointwise."""
    # The input projection is shared by all shallow copies of a cell.
    known = _RULES.setdefault(cell.input_projection, {})
    products = ("input_projection", "recurrent")
    key = (type(cell), *(_setting(m) for name, m in cell.named_modules() if not name.startswith(products)))
    found = known.get(key)
    if found is None:
        # A thread of its own knows nothing of the caller's autocast, inference mode or hooks on saved tensors.
        with _MISSING, ThreadPoolExecutor(1) as apart:
            found = apart.submit(_traced, cell).result()
            if len(known) >= _MOST:
                known.clear()
            known[key] = found
    if isinstance(found, NotPointwise):
        raise found
    return found


def _setting(module: nn.Module) -> tuple[Any, ...]:
    """All of a module that a rule may read beside tensors: numbers, words, its mode."""
    read = {name: value for name, value in vars(module).items() if not name.startswith("_") and name != "regularizers"}
    return tuple((name, _plain(value)) for name, value in read.items())


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return None if isinstance(value, Tensor) else id(value)


def _apart(module: nn.Module) -> Any:
    """A copy that shares tensors and nothing else: whatever tracing does to it, others may be using the module."""
    new = copy.copy(module)
    new._parameters, new._buffers = dict(module._parameters), dict(module._buffers)
    new._modules = {name: None if child is None else _apart(child) for name, child in module._modules.items()}
    return new


def _traced(cell: PointwiseCell) -> PointwiseRule | NotPointwise:
    """The rule, or why there is none."""
    weight, own = cell.input_projection.weight, _apart(cell)
    before = dict(vars(own))
    try:
        # Zoneout draws while projecting, a rule may draw as well: a draw more would put a resumed run off its course.
        with torch.random.fork_rng(devices=[weight.device] if weight.is_cuda else []):
            rule = _trace(own)
    except NotPointwise as reason:
        return reason
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        return NotPointwise(f"its rule cannot be traced ({type(error).__name__}: {line})")
    after = vars(own)
    if before.keys() != after.keys() or any(after[name] is not value for name, value in before.items()):
        return NotPointwise("its rule changes the cell")
    return rule


class _Rule(nn.Module):
    """`pointwise` as a forward pass, so that parameters can be replaced."""

    def __init__(self, cell: PointwiseCell):
        super().__init__()
        self.cell = cell

    def forward(self, *arguments: Any) -> tuple[Tensor, ...]:
        output, new = self.cell.pointwise(*arguments)
        return (output, *new)


def _trace(cell: PointwiseCell) -> PointwiseRule:
    owner = next(c for c in type(cell).__mro__ if "step" in vars(c))
    if owner.__module__ not in (PointwiseCell.__module__, Regularizers.__module__):
        raise NotPointwise("it writes its own step; write pointwise alone")
    if cell.has_recurrent and not is_plain_linear(cell.recurrent):
        raise NotPointwise(f"its recurrent product is a {type(cell.recurrent).__name__}, not a plain linear module")
    size = cell.hidden_size
    widths = [state.size(-1) for state in cell.initial_state(1)]
    if widths != [size] * cell.states:
        raise NotPointwise(f"its states have {widths} channels, not hidden_size each")
    weight = cell.input_projection.weight
    with torch.no_grad():
        projected = cell.project(weight.new_zeros(1, cell.input_size)).size(-1) // size
    recurrent = cell.recurrent.weight.size(0) // size if cell.has_recurrent else 0
    channels = tuple(_channels(cell))
    counts = [projected, recurrent, cell.states, sum(c.blocks for c in channels)]
    # A number of sequences by which a batch is told from a parameter (k, H).
    rows = next(n for n in range(2, 99) if all(n != value.size(0) for value in _values(cell).values() if value.dim()))
    call = _flat(cell, counts, channels)

    def backward(*arguments: Tensor) -> tuple[Tensor, ...]:
        outputs, pull = vjp(call, *arguments[: sum(counts)])  # type: ignore[misc]
        return pull(tuple(arguments[sum(counts) :][: len(outputs)]))

    def blocks(number: int, *shape: int) -> list[Tensor]:
        return [torch.rand(*shape, dtype=torch.float64, generator=generator) * 2 - 1 for _ in range(number)]

    generator = torch.Generator().manual_seed(0)
    inputs = [*blocks(sum(counts[:3]), rows, size), *blocks(counts[3], size)]
    gradients = blocks(cell.states + 1, rows, size)
    names = [f"{letter}{i}" for letter, n in zip("prsq", counts, strict=True) for i in range(n)]
    upstream = [f"g{i}" for i in range(cell.states + 1)]
    expected = call(*inputs)
    if any(y.shape != (rows, size) for y in expected):
        raise NotPointwise(f"its rule gives {[*(tuple(y.shape) for y in expected)]}, not (batch, hidden_size) each")
    pulled = backward(*inputs, *gradients)
    graphs = make_fx(call)(*inputs), make_fx(backward)(*inputs, *gradients)
    programs = (
        Reader(graphs[0].graph, rows, size).program(names),
        Reader(graphs[1].graph, rows, size).program([*names, *upstream]),
    )
    for program, values, wanted in zip(programs, ([], gradients), (expected, pulled), strict=True):
        _compare(program, [*inputs, *values], wanted, rows)
    return _summary(programs, counts, channels, inputs)


def _values(cell: PointwiseCell) -> dict[str, Tensor]:
    """Parameters and buffers that the rule may read, by name."""
    named = {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
    return {n: value for n, value in named.items() if not n.startswith(("input_projection.", "recurrent."))}


def _channels(cell: PointwiseCell) -> Iterator[Channels]:
    for name, value in _values(cell).items():
        fits = value.dim() == 1 and value.size(0) % cell.hidden_size == 0
        if not fits and not (value.dim() == 2 and value.size(1) == cell.hidden_size):
            raise NotPointwise(f"parameter {name!r} {tuple(value.shape)} is not one value per hidden unit")
        yield Channels(name, value.numel() // cell.hidden_size)


def _flat(cell: PointwiseCell, counts: list[int], channels: tuple[Channels, ...]) -> Callable[..., tuple[Tensor, ...]]:
    """The rule on blocks: projected, recurrent, states (rows, H) each, channels (H,) each."""
    rule = _Rule(cell)
    shapes = {name: value.shape for name, value in _values(cell).items()}

    def call(*blocks: Tensor) -> tuple[Tensor, ...]:
        rest = list(blocks)
        p, r, s, q = ([rest.pop(0) for _ in range(n)] for n in counts)
        values = {}
        for name, number in channels:
            own = [q.pop(0) for _ in range(number)]
            values[f"cell.{name}"] = torch.cat(own) if len(shapes[name]) == 1 else torch.stack(own)
        arguments = (torch.cat(p, -1), torch.cat(r, -1) if r else None, tuple(s))
        return functional_call(rule, values, arguments)

    return call


def _compare(program: Program, inputs: list[Tensor], expected: tuple[Tensor, ...], rows: int) -> None:
    """The program must compute what the rule does: whatever was misread shows here, not in a trained model.

    A program gives a channel's gradient per sequence, the rule's is summed over the batch.
    """
    for got, wanted in zip(program.run(inputs), expected, strict=True):
        got = got.expand(rows, wanted.size(-1))
        if not torch.allclose(got.sum(0) if wanted.dim() == 1 else got, wanted, atol=1e-9, rtol=1e-9, equal_nan=True):
            raise NotPointwise("its rule computes something else when it is run unit by unit")


def _summary(
    programs: tuple[Program, Program], counts: list[int], channels: tuple[Channels, ...], inputs: list[Tensor]
) -> PointwiseRule:
    forward, backward = programs
    projected, recurrent, states, _ = counts
    output, *new = forward.outputs
    return PointwiseRule(
        forward,
        backward,
        projected,
        recurrent,
        states,
        channels,
        additive=projected == recurrent and _is_additive(programs, projected, inputs),
        output_is=new.index(output) if output in new else None,
    )


def _is_additive(programs: tuple[Program, Program], number: int, inputs: list[Tensor]) -> bool:
    """Does the sum of projected and recurrent say all? Equal gradients are not enough: all may be zero."""
    forward, backward = programs
    if backward.outputs[:number] != backward.outputs[number : 2 * number]:
        return False
    p, r, rest = inputs[:number], inputs[number : 2 * number], inputs[2 * number :]
    summed = [*map(torch.add, p, r), *map(torch.zeros_like, r), *rest]
    return all(map(torch.allclose, forward.run(inputs), forward.run(summed)))
