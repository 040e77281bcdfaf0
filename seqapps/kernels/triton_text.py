"""Pointwise rules as Triton: whole sequences in one launch, or one step of all sequences.

A *sequence* kernel walks all steps by itself: a block of it has a tile of batch rows and all hidden units, and keeps
their state, and the recurrent matrix, on the chip from the first step to the last. Without a recurrent matrix a block
has just some units of some rows. A *step* kernel computes one step, the recurrent product being given. Everything but
the product is computed in float32.
"""

from __future__ import annotations

from dataclasses import replace

from seqapps.kernels.program import ALIKE, COMPARISONS, Builder, Operand, Program
from seqapps.kernels.rule import PointwiseRule

__all__ = ["triton_source"]

_TEXT = {
    **ALIKE,
    "abs": "tl.abs({0})",
    "sqrt": "tl.sqrt_rn({0})",
    "not": "{0} == 0",
    "where": "tl.where({0}, {1}, {2})",
}
_LOGICAL = frozenset({"and", "or", "not"})  # they take truth values

_PREFACE = """\
import triton
import triton.language as tl
from seqapps.kernels.triton_functions import (
    exponential, larger, logarithm, logarithm1p, sigmoid, sign, smaller, tangent
)"""


def triton_source(rule: PointwiseRule) -> str:
    """Source of a module: `sequence_forward`, `sequence_backward`, and where there is a recurrent matrix `step_forward`
    and `step_backward`, for step t.

    Arrays, all contiguous: p (T, B, blocks, H) and r likewise; w (blocks, H, H) and d (blocks, H) the recurrent weight
    and bias; mask (B, H) or None; q (blocks, H); lengths (B,) int64; y (T, B, H); s0.. (T + 1, B, H). r is what the
    rule and the backward pass take of the recurrent product: the product with d; or with an additive rule, where d is
    in p already, its sum with p. A sequence kernel writes it; for a step kernel it is there. Where KEEP is false no
    backward pass follows: sequence kernels write no r, for step kernels it is (B, blocks, H), and states other than
    the output are (1, B, H), overwritten.

    gy (T, B, H); gs0.. (B, H), read and overwritten; gp, gr as p, r, and no gr with an additive rule, where it is gp;
    gq (B, blocks, H), added to.
    """
    if rule.additive:
        rule = replace(rule, forward=_with_sum(rule.forward), backward=_with_sum(rule.backward))
    kernels = [_sequence_forward(rule), _sequence_backward(rule)]
    if rule.recurrent:
        kernels += [_step_forward(rule), _step_backward(rule)]
    return "\n\n\n".join([_PREFACE, *("\n".join(kernel) for kernel in kernels)]) + "\n"


def _with_sum(program: Program) -> Program:
    """The program where p is the sum of p and r."""
    build = Builder()
    known: dict[Operand, Operand] = {name: 0.0 for name in program.inputs if name[0] == "r"}
    for result, operation, operands in program.statements:
        known[result] = build(operation, *(known.get(operand, operand) for operand in operands))
    return build.program(program.inputs, [known.get(output, output) for output in program.outputs])


def _sequence_forward(rule: PointwiseRule) -> list[str]:
    body = [*_position(rule, whole=True), *_channels(rule, whole=True)]
    body += [_load(f"s{k}_", f"s{k}") for k in range(rule.states)]
    first, loop = _early([(f"p{i}_", "p", i, rule.projected) for i in range(rule.projected)], onwards=True)
    body += first
    if rule.recurrent:
        body += _matrix(rule, rows="into", columns="out")
        loop += ["read = s0_", "if mask is not None:", "    read = s0_ * dropped", "read = read.to(w0.dtype)"]
        for i in range(rule.recurrent):
            loop.append(f"r{i}_ = tl.dot(read, w{i}, input_precision=PRECISION)")
            loop.append(f"p{i}_ += r{i}_" if rule.additive else f"r{i}_ += d{i}_")
        sums = "p" if rule.additive else "r"
        loop += ["if KEEP:", *(f"    {_store('r', f'{sums}{i}_', i, rule.recurrent)}" for i in range(rule.recurrent))]
    output, *new = rule.forward.outputs
    loop += _statements(rule.forward)
    if rule.output_is is None:
        loop.append(_store("y", f"tl.where(real, {_operand(output)}, 0.0)"))
    loop += [f"s{k}_ = tl.where(real, {_operand(value)}, s{k}_)" for k, value in enumerate(new)]
    for k in range(rule.states):
        if k == rule.output_is:
            loop.append(_store(f"s{k}", f"s{k}_", at="(now + B)"))
        else:
            loop += ["if KEEP:", f"    {_store(f's{k}', f's{k}_', at='(now + B)')}"]
    body += ["for t in range(T):", *_indented(loop)]
    for k in range(rule.states):
        if k != rule.output_is:
            body += ["if not KEEP:", f"    {_store(f's{k}', f's{k}_', at=None)}"]
    return _kernel("sequence_forward", rule, whole=True, body=body)


def _sequence_backward(rule: PointwiseRule) -> list[str]:
    blocks = _channel_blocks(rule)
    body = [*_position(rule, whole=True), *_channels(rule)]
    body += [_load(f"gs{k}_", f"gs{k}") for k in range(rule.states)]
    body += [_load(f"gq{j}_", "gq", j, blocks) for j in range(blocks)]
    first, loop = _early(_recalled(rule), onwards=False)
    body += first
    loop += [f"g{k + 1}_ = gs{k}_" for k in range(rule.states)]
    loop += [*_statements(rule.backward), *_gradients(rule)]
    if rule.recurrent:
        body += _matrix(rule, rows="out", columns="into")
        letter = "gp" if rule.additive else "gr"
        loop.append("product = tl.zeros([ROWS, COLUMNS], tl.float32)")
        for i in range(rule.recurrent):
            change = f"{letter}{i}_.to(w{i}.dtype)"
            loop.append(f"product = tl.dot({change}, w{i}, product, input_precision=PRECISION)")
        loop += ["if mask is not None:", "    product = product * dropped", "gs0_ += product"]
    body += ["for back in range(T):", *_indented(loop)]
    body += [_store(f"gs{k}", f"gs{k}_", at=None) for k in range(rule.states)]
    body += [_store("gq", f"gq{j}_", j, blocks, at=None) for j in range(blocks)]
    return _kernel("sequence_backward", rule, whole=True, backward=True, body=body)


def _step_forward(rule: PointwiseRule) -> list[str]:
    body = [*_position(rule, whole=False), *_channels(rule), *_now()]
    body += ["own = now if KEEP else now * 0", "new = now + B if KEEP else now * 0"]
    if rule.additive:
        body += [_load(f"p{i}_", "r", i, rule.recurrent, at="own") for i in range(rule.recurrent)]
    else:
        body += [_load(f"p{i}_", "p", i, rule.projected, at="now") for i in range(rule.projected)]
        body += [_load(f"r{i}_", "r", i, rule.recurrent, at="own") for i in range(rule.recurrent)]
    for k in range(rule.states):
        body.append(_load(f"s{k}_", f"s{k}", at="now" if k == rule.output_is else "own"))
    output, *new = rule.forward.outputs
    body += _statements(rule.forward)
    if rule.output_is is None:
        body.append(_store("y", f"tl.where(real, {_operand(output)}, 0.0)"))
    for k, value in enumerate(new):
        at = "(now + B)" if k == rule.output_is else "new"
        body.append(_store(f"s{k}", f"tl.where(real, {_operand(value)}, s{k}_)", at=at))
    return _kernel("step_forward", rule, whole=False, body=body)


def _step_backward(rule: PointwiseRule) -> list[str]:
    blocks = _channel_blocks(rule)
    body = [*_position(rule, whole=False), *_channels(rule), *_now()]
    body += [_load(f"gs{k}_", f"gs{k}") for k in range(rule.states)]
    body += [_load(f"gq{j}_", "gq", j, blocks) for j in range(blocks)]
    body += [_load(*read, at="now") for read in _recalled(rule)]
    body += [f"g{k + 1}_ = gs{k}_" for k in range(rule.states)]
    body += [*_statements(rule.backward), *_gradients(rule)]
    body += [_store(f"gs{k}", f"gs{k}_", at=None) for k in range(rule.states)]
    body += [_store("gq", f"gq{j}_", j, blocks, at=None) for j in range(blocks)]
    return _kernel("step_backward", rule, whole=False, backward=True, body=body)


def _kernel(name: str, rule: PointwiseRule, *, whole: bool, body: list[str], backward: bool = False) -> list[str]:
    arrays = [*(["w", "mask"] if whole and rule.recurrent else []), "p", "r", "d", "q", "lengths", "y"]
    arrays += [f"s{k}" for k in range(rule.states)]
    if backward:
        arrays += ["gp", "gr", "gq", "gy", *(f"gs{k}" for k in range(rule.states))]
    last = "T" if whole else "t"
    settings = ["H", *([] if backward else ["KEEP"])]
    settings += ["ROWS", "COLUMNS", "PRECISION"] if whole and rule.recurrent else ["BLOCK"]
    return [
        f'@triton.jit(do_not_specialize=["{last}", "B"])',
        f"def {name}({', '.join([*arrays, last, 'B', *(f'{setting}: tl.constexpr' for setting in settings)])}):",
        *_indented(body),
    ]


def _position(rule: PointwiseRule, *, whole: bool) -> list[str]:
    """Which rows and units a block has: `inside` is their mask, `unit` that of values per unit."""
    if whole and rule.recurrent:
        return [
            "row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]",
            "col = tl.arange(0, COLUMNS)[None, :]",
            "unit = col < H",
            "inside = (row < B) & unit",
            "length = tl.load(lengths + row, mask=row < B, other=0)",
        ]
    return [
        "n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
        "row = n // H",
        "col = n % H",
        "inside = row < B",
        "unit = inside",
        "length = tl.load(lengths + row, mask=inside, other=0)",
    ]


def _matrix(rule: PointwiseRule, *, rows: str, columns: str) -> list[str]:
    """The recurrent matrix, block by block, as (rows, columns) with `out` and `into` the units it leads to and from."""
    lines = [
        f"{rows} = tl.arange(0, COLUMNS)[:, None]",
        f"{columns} = tl.arange(0, COLUMNS)[None, :]",
        "square = (out < H) & (into < H)",
    ]
    for i in range(rule.recurrent):
        lines.append(f"w{i} = tl.load(w + ({i} * H + out) * H + into, mask=square, other=0.0)")
    return [*lines, "if mask is not None:", f"    {_load('dropped', 'mask')}"]


def _now() -> list[str]:
    """`now`: rows of a (T x B, ...) matrix before step t; `real`: sequences that have not ended."""
    return ["now = tl.cast(t, tl.int64) * B", "real = inside & (t < length)"]


def _channels(rule: PointwiseRule, *, whole: bool = False) -> list[str]:
    lines = [f"q{j}_ = tl.load(q + {j} * H + col, mask=unit, other=0.0)" for j in range(_channel_blocks(rule))]
    if rule.additive or not whole:
        return lines
    return lines + [f"d{i}_ = tl.load(d + {i} * H + col, mask=unit, other=0.0)" for i in range(rule.recurrent)]


def _channel_blocks(rule: PointwiseRule) -> int:
    return sum(channels.blocks for channels in rule.channels)


def _recalled(rule: PointwiseRule) -> list[tuple[str, str, int, int]]:
    """What the backward pass reads at a step: inputs as the forward pass left them, and the gradient of the output."""
    if rule.additive:
        reads = [(f"p{i}_", "r", i, rule.recurrent) for i in range(rule.recurrent)]
    else:
        reads = [(f"{x}{i}_", x, i, n) for x, n in (("p", rule.projected), ("r", rule.recurrent)) for i in range(n)]
    return [*reads, *((f"s{k}_", f"s{k}", 0, 1) for k in range(rule.states)), ("g0_", "gy", 0, 1)]


def _early(reads: list[tuple[str, str, int, int]], *, onwards: bool) -> tuple[list[str], list[str]]:
    """Loads before a loop, and the head of the loop: each step issues the loads of the next, whose latency it hides."""
    first = "tl.cast(0, tl.int64)" if onwards else "tl.cast(T - 1, tl.int64) * B"
    before = [f"then = {first}"]
    before += [_load(f"{name}next", array, i, n, at="then") for name, array, i, n in reads]
    head = [*([] if onwards else ["t = T - 1 - back"]), *_now()]
    head += (
        ["then = now + B", "more = inside & (t + 1 < T)"] if onwards else ["then = now - B", "more = inside & (t > 0)"]
    )
    for name, array, i, n in reads:
        head += [f"{name} = {name}next", _load(f"{name}next", array, i, n, at="then", mask="more")]
    return before, head


def _gradients(rule: PointwiseRule) -> list[str]:
    """Gradients from the backward program: those of p and r stored, those of states and channels in variables."""
    lines, outputs = [], iter(rule.backward.outputs)
    for letter, number in (("p", rule.projected), ("r", rule.recurrent)):
        for i in range(number):
            value = _operand(next(outputs))
            if letter == "p" or not rule.additive:
                lines.append(f"g{letter}{i}_ = tl.where(real, {value}, 0.0)")
                lines.append(_store(f"g{letter}", f"g{letter}{i}_", i, number))
    lines += [f"gs{k}_ = tl.where(real, {_operand(next(outputs))}, gs{k}_)" for k in range(rule.states)]
    return lines + [f"gq{j}_ += tl.where(real, {_operand(value)}, 0.0)" for j, value in enumerate(outputs)]


def _place(array: str, block: int, blocks: int, at: str | None) -> str:
    place = "row * H + col" if blocks == 1 else f"(row * {blocks} + {block}) * H + col"
    stride = "H" if blocks == 1 else f"({blocks} * H)"
    return f"{array} + {place}" if at is None else f"{array} + {at} * {stride} + {place}"


def _load(name: str, array: str, block: int = 0, blocks: int = 1, at: str | None = None, mask: str = "inside") -> str:
    return f"{name} = tl.load({_place(array, block, blocks, at)}, mask={mask}, other=0.0).to(tl.float32)"


def _store(array: str, value: str, block: int = 0, blocks: int = 1, at: str | None = "now") -> str:
    return f"tl.store({_place(array, block, blocks, at)}, {value}, mask=inside)"


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _statements(program: Program) -> list[str]:
    """A truth value that is used as a number becomes one; a number that is used as a truth value is compared with 0."""
    truths = {result for result, operation, _ in program.statements if operation in COMPARISONS}

    def text(operand: Operand, truth: bool) -> str:
        if truth == (operand in truths):
            return _operand(operand)
        return f"({_operand(operand)} != 0)" if truth else f"{_operand(operand)}.to(tl.float32)"

    lines = []
    for result, operation, operands in program.statements:
        truth = [operation in _LOGICAL or (operation == "where" and i == 0) for i in range(len(operands))]
        lines.append(f"{result} = {_TEXT[operation].format(*map(text, operands, truth))}")
    return lines


def _operand(operand: Operand) -> str:
    if isinstance(operand, str):
        return operand if operand[0] == "v" else f"{operand}_"
    return repr(operand) if abs(operand) < float("inf") else f'float("{operand}")'
