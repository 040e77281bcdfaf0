"""The pointwise rule of a cell, read off by tracing: the rule and its vector-Jacobian product as programs.

Tracing runs `cell.pointwise` once on small tensors and records torch's operations. Whole-row operations (chunk, cat)
are followed at the level of blocks of `hidden_size` channels; what remains must treat every channel by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, vjp
from torch.fx.experimental.proxy_tensor import make_fx

from seqapps.cells.cell import PointwiseCell
from seqapps.cells.regularizers import Regularizers
from seqapps.kernels.program import Builder, Operand, Program

__all__ = ["Channels", "NotPointwise", "PointwiseRule", "rule_of"]


class NotPointwise(Exception):  # noqa: N818  # a finding, not a failure
    """A rule cannot be written as a program; the message is a clause that says why."""


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


_RULES: WeakKeyDictionary[nn.Module, dict[Any, PointwiseRule | NotPointwise]] = WeakKeyDictionary()


def rule_of(cell: PointwiseCell) -> PointwiseRule:
    """The rule of a cell, traced once. Raises NotPointwise."""
    # The input projection is shared by all shallow copies of a cell. What a class computes may depend on its mode.
    known = _RULES.setdefault(cell.input_projection, {})
    key = (type(cell), cell.training)
    if key not in known:
        try:
            known[key] = _trace(cell)
        except NotPointwise as reason:
            known[key] = reason
    found = known[key]
    if isinstance(found, NotPointwise):
        raise found
    return found


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
    size = cell.hidden_size
    widths = [state.size(-1) for state in cell.initial_state(1)]
    if widths != [size] * cell.states:
        raise NotPointwise(f"its states have {widths} channels, not hidden_size each")
    with torch.no_grad():
        projected = cell.project(cell.input_projection.weight.new_zeros(1, cell.input_size)).size(-1) // size
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
    try:
        expected = call(*inputs)
        if any(y.shape != (rows, size) for y in expected):
            raise NotPointwise(f"its rule gives {[*(tuple(y.shape) for y in expected)]}, not (batch, hidden_size) each")
        pulled = backward(*inputs, *gradients)
        graphs = make_fx(call)(*inputs), make_fx(backward)(*inputs, *gradients)
    except NotPointwise:
        raise
    except Exception as error:
        raise NotPointwise(
            f"its rule cannot be traced ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    programs = (
        _Reader(graphs[0].graph, rows, size).program(names),
        _Reader(graphs[1].graph, rows, size).program([*names, *upstream]),
    )
    for program, values, wanted in zip(programs, ([], gradients), (expected, pulled), strict=True):
        _compare(program, [*inputs, *values], wanted, rows)
    return _summary(programs, counts, channels)


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


def _summary(programs: tuple[Program, Program], counts: list[int], channels: tuple[Channels, ...]) -> PointwiseRule:
    forward, backward = programs
    projected, recurrent, states, _ = counts
    gradients = backward.outputs
    output, *new = forward.outputs
    return PointwiseRule(
        forward,
        backward,
        projected,
        recurrent,
        states,
        channels,
        additive=gradients[:projected] == gradients[projected : projected + recurrent],
        output_is=new.index(output) if output in new else None,
    )


Row = list[Operand]  # a (rows, k H) or (k H,) tensor: one operand per block
Stack = list[Row]  # a parameter (k, H), or the parts of a split tensor


class _Reader:
    """Follows a traced graph and writes its program."""

    def __init__(self, graph: fx.Graph, rows: int, size: int):
        self.graph, self.rows, self.size = graph, rows, size
        self.build = Builder()
        self.values: dict[fx.Node, Any] = {}

    def program(self, inputs: list[str]) -> Program:
        names = iter(inputs)
        outputs: list[Operand] = []
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = [next(names)]
            elif node.op == "call_function":
                self.values[node] = self._read(node)
            elif node.op == "get_attr":
                raise NotPointwise("its rule uses a tensor that is neither a parameter nor a buffer")
            else:
                outputs = [self.values[output][0] for output in node.args[0]]
        return self.build.program(inputs, outputs)

    def _read(self, node: fx.Node) -> Any:
        name = getattr(node.target, "__name__", str(node.target)).split(".")[0]
        if name.endswith("_") and not name.endswith("__"):  # in place: the operand becomes the result
            operand: Any = node.args[0]
            self.values[operand] = self._computed(name[:-1], node)
            return self.values[operand]
        return self._computed(name, node)

    def _computed(self, name: str, node: fx.Node) -> Any:
        arguments = [self._value(argument) for argument in node.args]
        if name in _STRUCTURE:
            return _STRUCTURE[name](self, node, *arguments)
        if name not in _POINTWISE:
            raise NotPointwise(f"its rule uses {name}, which no kernel is generated for")
        keywords = {key: value for key, value in node.kwargs.items() if key in ("alpha", "value", "min", "max")}
        if self.stacked(node):
            return [
                self._pointwise(name, [_row(argument, k) for argument in arguments], self.width(node), keywords)
                for k in range(node.meta["val"].shape[0])
            ]
        return self._pointwise(name, [_row(argument, 0) for argument in arguments], self.width(node), keywords)

    def _pointwise(self, name: str, arguments: list[Any], number: int, keywords: dict[str, Any]) -> Row:
        rows = [self.blocks(argument, number) if isinstance(argument, list) else None for argument in arguments]
        return [
            _POINTWISE[name](
                self.build,
                *(a if row is None else row[i] for a, row in zip(arguments, rows, strict=True)),
                **keywords,
            )
            for i in range(number)
        ]

    def stacked(self, node: fx.Node) -> bool:
        """Is the result a parameter-like (k, H) tensor, and no batch?"""
        shape = node.meta["val"].shape
        return len(shape) == 2 and shape[0] != self.rows

    def width(self, node: fx.Node) -> int:
        """Blocks of a node's result; of each of its rows, where it is stacked."""
        shape = node.meta["val"].shape
        if len(shape) > 2 or (len(shape) > 0 and shape[-1] % self.size):
            raise NotPointwise(f"its rule makes a tensor {tuple(shape)} that is not made of blocks of hidden_size")
        return shape[-1] // self.size if shape else 1

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.values[argument]
        if isinstance(argument, (list, tuple)) and any(isinstance(inner, fx.Node) for inner in argument):
            return [self._value(inner) for inner in argument]
        return float(argument) if isinstance(argument, int) and not isinstance(argument, bool) else argument

    def blocks(self, row: Row, number: int) -> Row:
        """`number` blocks: one is taken for all."""
        if len(row) not in (1, number):
            raise NotPointwise("its rule combines tensors of different widths")
        return row * number if len(row) == 1 else row


def _row(argument: Any, k: int) -> Any:
    """Row k of a stack, the only one of a stack of one; anything else as it is."""
    if isinstance(argument, list) and isinstance(argument[0], list):
        return argument[k if len(argument) > 1 else 0]
    return argument


def _filled_with(reader: _Reader, node: fx.Node, value: float) -> Any:
    row: Row = [float(value)] * reader.width(node)
    return [row] * node.meta["val"].shape[0] if reader.stacked(node) else row


def _constant(value: float) -> Callable[..., Any]:
    return lambda reader, node, *_: _filled_with(reader, node, value)


def _filled(reader: _Reader, node: fx.Node, _: Any, value: float, *__: Any) -> Any:
    return _filled_with(reader, node, value)


def _same(reader: _Reader, node: fx.Node, value: Any, *_: Any) -> Any:
    """Views and copies: the blocks stay, a stack may become a row and a row a stack."""
    flat: Row = [block for row in value for block in row] if isinstance(value[0], list) else value
    width = reader.width(node)
    if reader.stacked(node):
        number = node.meta["val"].shape[0]
        if len(flat) != number * width:
            raise NotPointwise(f"its rule reshapes a parameter by {node.target}")
        return [flat[k * width : (k + 1) * width] for k in range(number)]
    return reader.blocks(flat, width)


def _summed(reader: _Reader, node: fx.Node, row: Row, dimensions: Any, *_: Any) -> Any:
    """A channel's gradient is summed over sequences, by the kernel: the program gives each one's share."""
    source: Any = node.args[0]
    if [int(d) for d in dimensions] != [0] or reader.stacked(source) or source.meta["val"].dim() != 2:
        raise NotPointwise("its rule sums over hidden units")
    return [row] if reader.stacked(node) else row


def _parts(reader: _Reader, row: Row, widths: list[int]) -> Stack:
    parts, start = [], 0
    for width in widths:
        parts.append(row[start : start + width])
        start += width
    return parts


def _in_blocks(reader: _Reader, channels: float) -> int:
    if int(channels) % reader.size:
        raise NotPointwise(f"its rule cuts a tensor at channel {int(channels)}, not between blocks of hidden_size")
    return int(channels) // reader.size


def _last_dimension(node: fx.Node, dimension: float) -> None:
    if int(dimension) not in (-1, node.args[0].meta["val"].dim() - 1):  # type: ignore[union-attr]
        raise NotPointwise(f"its rule uses {node.target} across sequences")


def _split(reader: _Reader, node: fx.Node, row: Row, width: Any, dimension: float = 0.0) -> Stack:
    if isinstance(row[0], list):  # a stack of channels, cut into single ones
        if int(dimension) != 0 or width != 1.0:
            raise NotPointwise(f"its rule uses {node.target} across sequences")
        return [[inner] for inner in row]
    _last_dimension(node, dimension)
    if isinstance(width, (list, tuple)):
        return _parts(reader, row, [_in_blocks(reader, w) for w in width])
    step = _in_blocks(reader, width)
    return [row[i : i + step] for i in range(0, len(row), step)]


def _slice(
    reader: _Reader,
    node: fx.Node,
    row: Row,
    dimension: float = 0.0,
    start: Any = None,
    end: Any = None,
    step: float = 1.0,
) -> Row:
    source: Any = node.args[0]
    total = source.meta["val"].shape[int(dimension)]
    low, high, _ = slice(None if start is None else int(start), None if end is None else int(end)).indices(total)
    if int(dimension) == 0 and source.meta["val"].dim() == 2:
        if not reader.stacked(source) and (low, high) != (0, total):
            raise NotPointwise("its rule cuts the batch")
        return row[low:high] if reader.stacked(source) else row
    return row[_in_blocks(reader, low) : _in_blocks(reader, high)]


def _cat(reader: _Reader, node: fx.Node, rows: Stack, dimension: float = 0.0) -> Any:
    if reader.stacked(node):
        return [inner for row in rows for inner in row]
    if int(dimension) not in (-1, node.meta["val"].dim() - 1):
        raise NotPointwise("its rule concatenates across sequences")
    return [block for row in rows for block in row]


def _stack(reader: _Reader, node: fx.Node, rows: Stack, dimension: float = 0.0) -> Stack:
    if int(dimension) != 0:
        raise NotPointwise("its rule stacks other than along a new first dimension")
    return rows


def _select(reader: _Reader, node: fx.Node, stack: Stack, dimension: float, index: float) -> Row:
    if int(dimension) != 0 or not isinstance(stack[0], list):
        raise NotPointwise("its rule selects single sequences or channels")
    return stack[int(index)]


def _slice_backward(
    reader: _Reader, node: fx.Node, gradient: Row, sizes: Any, dimension: float, start: float, end: float, step: float
) -> Row:
    total = int(sizes[-1])
    if int(dimension) != len(sizes) - 1:
        return gradient
    low, high, _ = slice(int(start), int(end)).indices(total)
    before, after = _in_blocks(reader, low), _in_blocks(reader, total - high)
    return [*[0.0] * before, *gradient, *[0.0] * after]


def _select_backward(
    reader: _Reader, node: fx.Node, gradient: Row, sizes: Any, dimension: float, index: float
) -> Stack:
    zeros: Row = [0.0] * len(gradient)
    return [gradient if i == int(index) else zeros for i in range(int(sizes[0]))]


def _getitem(reader: _Reader, node: fx.Node, parts: Any, index: float) -> Any:
    return parts[int(index)]


# Operations on whole rows: they move blocks about and compute nothing.
_STRUCTURE: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("clone", "detach", "alias", "view", "reshape", "expand", "contiguous", "lift_fresh_copy"), _same),
    **dict.fromkeys(("_unsafe_view", "_to_copy"), _same),
    **dict.fromkeys(("zeros_like", "new_zeros", "zeros", "empty_like"), _constant(0.0)),
    **dict.fromkeys(("ones_like", "new_ones", "ones"), _constant(1.0)),
    **dict.fromkeys(("full_like", "new_full", "full", "fill"), _filled),
    "scalar_tensor": lambda reader, node, value: [float(value)],
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "unbind": lambda reader, node, stack, dimension=0.0: stack,
    "getitem": _getitem,
    "sum": _summed,
    "slice": _slice,
    "cat": _cat,
    "stack": _stack,
    "select": _select,
    "slice_backward": _slice_backward,
    "select_backward": _select_backward,
}


def _plain(operation: str) -> Callable[..., Operand]:
    return lambda build, *operands: build(operation, *operands)


def _add(build: Builder, a: Operand, b: Operand, alpha: float = 1.0) -> Operand:
    return build("add", a, build("mul", float(alpha), b))


def _sub(build: Builder, a: Operand, b: Operand, alpha: float = 1.0) -> Operand:
    return build("sub", a, build("mul", float(alpha), b))


def _power(build: Builder, x: Operand, exponent: float) -> Operand:
    if exponent == 0.5:
        return build("sqrt", x)
    if exponent not in (-2.0, -1.0, 1.0, 2.0, 3.0, 4.0):
        raise NotPointwise(f"its rule uses a power of {exponent}, which no kernel is generated for")
    result = x
    for _ in range(int(abs(exponent)) - 1):
        result = build("mul", result, x)
    return build("div", 1.0, result) if exponent < 0 else result


def _softplus(build: Builder, x: Operand, beta: float = 1.0, threshold: float = 20.0) -> Operand:
    scaled = build("mul", x, beta)
    return build("where", build("gt", scaled, threshold), x, build("div", build("log1p", build("exp", scaled)), beta))


def _softplus_backward(build: Builder, g: Operand, x: Operand, beta: float, threshold: float) -> Operand:
    scaled = build("mul", x, beta)
    return build("where", build("gt", scaled, threshold), g, build("mul", g, build("sigmoid", scaled)))


def _sigmoid_backward(build: Builder, g: Operand, y: Operand) -> Operand:
    return build("mul", build("mul", g, y), build("sub", 1.0, y))


def _tanh_backward(build: Builder, g: Operand, y: Operand) -> Operand:
    return build("mul", g, build("sub", 1.0, build("mul", y, y)))


def _clamp(build: Builder, x: Operand, min: Any = None, max: Any = None) -> Operand:
    if min is not None:
        x = build("maximum", x, float(min))
    return x if max is None else build("minimum", x, float(max))


def _silu_backward(build: Builder, g: Operand, x: Operand) -> Operand:
    y = build("sigmoid", x)
    slope = build("add", 1.0, build("mul", x, build("sub", 1.0, y)))
    return build("mul", g, build("mul", y, slope))


def _elu(build: Builder, x: Operand, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Operand:
    low = build("mul", alpha * scale, build("sub", build("exp", build("mul", x, input_scale)), 1.0))
    return build("where", build("gt", x, 0.0), build("mul", x, scale), low)


def _elu_backward(
    build: Builder, g: Operand, alpha: float, scale: float, input_scale: float, is_result: bool, x: Operand
) -> Operand:
    slope = build("mul", alpha * scale * input_scale, build("exp", build("mul", x, input_scale)))
    if is_result:
        slope = build("mul", input_scale, build("add", x, alpha * scale))
    return build("mul", g, build("where", build("gt", x, 0.0), scale, slope))


def _hardtanh_backward(build: Builder, g: Operand, x: Operand, low: float, high: float) -> Operand:
    return build("where", build("and", build("gt", x, low), build("lt", x, high)), g, 0.0)


def _leaky_relu_backward(build: Builder, g: Operand, x: Operand, slope: float, _: Any) -> Operand:
    return build("where", build("gt", x, 0.0), g, build("mul", g, slope))


# Operations on single values.
_POINTWISE: dict[str, Callable[..., Operand]] = {
    **{name: _plain(name) for name in ("mul", "div", "neg", "abs", "sqrt", "exp", "log", "log1p", "sigmoid", "tanh")},
    **{name: _plain(name) for name in ("maximum", "minimum", "gt", "ge", "lt", "le", "eq", "ne", "where")},
    **{f"logical_{name}": _plain(name) for name in ("and", "or", "not")},
    **{f"bitwise_{name}": _plain(name) for name in ("and", "or", "not")},
    "add": _add,
    "sub": _sub,
    "rsub": lambda build, a, b, alpha=1.0: _sub(build, b, a, alpha),
    "sgn": _plain("sign"),
    "sign": _plain("sign"),
    "square": lambda build, x: build("mul", x, x),
    "reciprocal": lambda build, x: build("div", 1.0, x),
    "rsqrt": lambda build, x: build("div", 1.0, build("sqrt", x)),
    "pow": _power,
    "relu": lambda build, x: build("where", build("gt", x, 0.0), x, build("mul", x, 0.0)),
    "silu": lambda build, x: build("mul", x, build("sigmoid", x)),
    "leaky_relu": lambda build, x, slope=0.01: build("where", build("gt", x, 0.0), x, build("mul", x, slope)),
    "softplus": _softplus,
    "elu": _elu,
    "elu_backward": _elu_backward,
    "clamp": _clamp,
    "hardtanh": _clamp,
    "hardtanh_backward": _hardtanh_backward,
    "clamp_min": lambda build, x, low: build("maximum", x, low),
    "clamp_max": lambda build, x, high: build("minimum", x, high),
    "masked_fill": lambda build, x, mask, value: build("where", mask, value, x),
    "sigmoid_backward": _sigmoid_backward,
    "tanh_backward": _tanh_backward,
    "threshold_backward": lambda build, g, x, low: build("where", build("gt", x, low), g, 0.0),
    "softplus_backward": _softplus_backward,
    "silu_backward": _silu_backward,
    "leaky_relu_backward": _leaky_relu_backward,
}
