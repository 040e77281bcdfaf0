"""A traced graph of torch operations, read as a program.

Whole-row operations (chunk, cat, views) move blocks of `hidden_size` channels about and compute nothing; what remains
must treat every channel by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from seqapps.kernels.program import Builder, Operand, Program

__all__ = ["NotPointwise", "Reader"]


class NotPointwise(Exception):  # noqa: N818  # a finding, not a failure
    """A rule cannot be written as a program; the message is a clause that says why."""


Row = list[Operand]  # a (rows, k H) or (k H,) tensor: one operand per block
Stack = list[Row]  # a parameter (k, H), or the parts of a split tensor


class Reader:
    """Follows a traced graph and writes its program."""

    def __init__(self, graph: fx.Graph, rows: int, size: int):
        self.graph, self.rows, self.size = graph, rows, size
        self.build = Builder()
        self.values: dict[fx.Node, Any] = {}

    def program(self, inputs: list[str]) -> Program:
        """The whole graph. Raises NotPointwise at the first operation that is none."""
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


def _filled_with(reader: Reader, node: fx.Node, value: float) -> Any:
    row: Row = [float(value)] * reader.width(node)
    return [row] * node.meta["val"].shape[0] if reader.stacked(node) else row


def _constant(value: float) -> Callable[..., Any]:
    return lambda reader, node, *_: _filled_with(reader, node, value)


def _filled(reader: Reader, node: fx.Node, _: Any, value: float, *__: Any) -> Any:
    return _filled_with(reader, node, value)


def _same(reader: Reader, node: fx.Node, value: Any, *_: Any) -> Any:
    """Views and copies: the blocks stay, a stack may become a row and a row a stack."""
    flat: Row = [block for row in value for block in row] if isinstance(value[0], list) else value
    width = reader.width(node)
    if reader.stacked(node):
        number = node.meta["val"].shape[0]
        if len(flat) != number * width:
            raise NotPointwise(f"its rule reshapes a parameter by {node.target}")
        return [flat[k * width : (k + 1) * width] for k in range(number)]
    return reader.blocks(flat, width)


def _summed(reader: Reader, node: fx.Node, row: Row, dimensions: Any, *_: Any) -> Any:
    """A channel's gradient is summed over sequences, by the kernel: the program gives each one's share."""
    source: Any = node.args[0]
    if [int(d) for d in dimensions] != [0] or reader.stacked(source) or source.meta["val"].dim() != 2:
        raise NotPointwise("its rule sums over hidden units")
    return [row] if reader.stacked(node) else row


def _parts(reader: Reader, row: Row, widths: list[int]) -> Stack:
    parts, start = [], 0
    for width in widths:
        parts.append(row[start : start + width])
        start += width
    return parts


def _in_blocks(reader: Reader, channels: float) -> int:
    if int(channels) % reader.size:
        raise NotPointwise(f"its rule cuts a tensor at channel {int(channels)}, not between blocks of hidden_size")
    return int(channels) // reader.size


def _last_dimension(node: fx.Node, dimension: float) -> None:
    if int(dimension) not in (-1, node.args[0].meta["val"].dim() - 1):  # type: ignore[union-attr]
        raise NotPointwise(f"its rule uses {node.target} across sequences")


def _split(reader: Reader, node: fx.Node, row: Row, width: Any, dimension: float = 0.0) -> Stack:
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
    reader: Reader,
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


def _cat(reader: Reader, node: fx.Node, rows: Stack, dimension: float = 0.0) -> Any:
    if reader.stacked(node):
        return [inner for row in rows for inner in row]
    if int(dimension) not in (-1, node.meta["val"].dim() - 1):
        raise NotPointwise("its rule concatenates across sequences")
    return [block for row in rows for block in row]


def _stack(reader: Reader, node: fx.Node, rows: Stack, dimension: float = 0.0) -> Stack:
    if int(dimension) != 0:
        raise NotPointwise("its rule stacks other than along a new first dimension")
    return rows


def _select(reader: Reader, node: fx.Node, stack: Stack, dimension: float, index: float) -> Row:
    if int(dimension) != 0 or not isinstance(stack[0], list):
        raise NotPointwise("its rule selects single sequences or channels")
    return stack[int(index)]


def _slice_backward(
    reader: Reader, node: fx.Node, gradient: Row, sizes: Any, dimension: float, start: float, end: float, step: float
) -> Row:
    total = int(sizes[-1])
    if int(dimension) != len(sizes) - 1:
        return gradient
    low, high, _ = slice(int(start), int(end)).indices(total)
    before, after = _in_blocks(reader, low), _in_blocks(reader, total - high)
    return [*[0.0] * before, *gradient, *[0.0] * after]


def _select_backward(reader: Reader, node: fx.Node, gradient: Row, sizes: Any, dimension: float, index: float) -> Stack:
    zeros: Row = [0.0] * len(gradient)
    return [gradient if i == int(index) else zeros for i in range(int(sizes[0]))]


def _getitem(reader: Reader, node: fx.Node, parts: Any, index: float) -> Any:
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
    "relu": lambda build, x: build("maximum", x, 0.0),
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
    "threshold_backward": lambda build, g, x, low: build("where", build("le", x, low), 0.0, g),
    "softplus_backward": _softplus_backward,
    "silu_backward": _silu_backward,
    "leaky_relu_backward": _leaky_relu_backward,
}
