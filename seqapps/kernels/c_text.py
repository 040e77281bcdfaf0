"""Pointwise rules as C: one step of all sequences, forward and backward.

The text is plain C11 without torch's headers, so that a compiler needs a fraction of a second for it. Exponentials are
polynomials that vectorise; in double precision they are the C library's.
"""

from __future__ import annotations

from seqapps.kernels.program import ALIKE, COMPARISONS, Operand, Program
from seqapps.kernels.rule import PointwiseRule

__all__ = ["backward_arrays", "c_source", "forward_arrays"]

_TEXT = {
    **ALIKE,
    "abs": "absolute({0})",
    "sqrt": "root({0})",
    "not": "!{0}",
    "where": "{0} ? {1} : {2}",
}

_PREFACE = """\
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef {real} real;
#define SINGLE {single}

#if SINGLE
/* e^x = 2^n e^r with |r| <= ln(2) / 2, e^r by a polynomial with relative error 3e-9 */
static inline float exponential(float x) {{
    float bounded = x > 88.3f ? 88.3f : x < -87.3f ? -87.3f : x;
    float shifted = bounded * 1.44269504f + 12582912.0f; /* rounds to an integer in the low bits */
    float n = shifted - 12582912.0f;
    float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 0.0013814613f;
    p = p * r + 0.0083687100f;
    p = p * r + 0.0416683874f;
    p = p * r + 0.1666652069f;
    p = p * r + 0.4999999345f;
    p = p * r * r + r + 1.0f;
    union {{ float f; int32_t i; }} bits = {{shifted}};
    bits.i = (int32_t)((uint32_t)(bits.i + 127) << 23);
    float y = p * bits.f;
    y = x > 88.3f ? INFINITY : x < -87.3f ? 0.0f : y;
    return x != x ? x : y;
}}
/* near 0 a polynomial with relative error 4e-9, elsewhere by e^(2 |x|) */
static inline float tangent(float x) {{
    float size = fabsf(x), z = x * x;
    float p = -0.0057170423f;
    p = p * z + 0.0206505849f;
    p = p * z - 0.0537434974f;
    p = p * z + 0.1333149128f;
    p = p * z - 0.3333328392f;
    float near = x + x * z * p;
    float far = copysignf(1.0f - 2.0f / (exponential(2.0f * size) + 1.0f), x);
    return size < 0.625f ? near : x != x ? x : far;
}}
static inline float root(float x) {{ return sqrtf(x); }}
static inline float absolute(float x) {{ return fabsf(x); }}
/* x = 2^e (1 + f) with 1 + f between sqrt(1/2) and sqrt(2); log(1 + f) by a polynomial with relative error 6e-9 */
static inline float logarithm(float x) {{
    float normal = x < 1.17549435e-38f ? x * 16777216.0f : x;
    union {{ float f; int32_t i; }} bits = {{normal}};
    int32_t e = (bits.i - 0x3f3504f3) >> 23;
    bits.i -= (int32_t)((uint32_t)e << 23);
    float f = bits.f - 1.0f, n = (float)e - (x < 1.17549435e-38f ? 24.0f : 0.0f);
    float p = -0.0763449731f;
    p = p * f + 0.1276158234f;
    p = p * f - 0.1316018464f;
    p = p * f + 0.1420175745f;
    p = p * f - 0.1662335707f;
    p = p * f + 0.2000122689f;
    p = p * f - 0.2500082104f;
    p = p * f + 0.3333333171f;
    float y = f * f * (f * p - 0.5f) + n * -2.12194440e-4f + f + n * 0.693359375f;
    y = x == INFINITY ? x : x == 0.0f ? -INFINITY : x < 0.0f ? NAN : y;
    return x != x ? x : y;
}}
/* log(1 + x), with what 1 + x has lost of x put back */
static inline float logarithm1p(float x) {{
    float u = 1.0f + x, y = logarithm(u) * (x / (u - 1.0f));
    y = u == 1.0f ? x : x == INFINITY || u == 0.0f ? logarithm(u) : y;
    return y;
}}
#else
static inline double exponential(double x) {{ return exp(x); }}
static inline double tangent(double x) {{ return tanh(x); }}
static inline double root(double x) {{ return sqrt(x); }}
static inline double logarithm(double x) {{ return log(x); }}
static inline double logarithm1p(double x) {{ return log1p(x); }}
static inline double absolute(double x) {{ return fabs(x); }}
#endif
static inline real sigmoid(real x) {{ return (real)1 / ((real)1 + exponential(-x)); }}
static inline real sign(real x) {{ return (real)((x > 0) - (x < 0)); }}
static inline real larger(real a, real b) {{ return a > b || a != a ? a : b; }}
static inline real smaller(real a, real b) {{ return a < b || a != a ? a : b; }}
"""


_ALL = """\
void forward_all(void *const *a, int64_t T, int64_t B, int64_t H) {
    for (int64_t t = 0; t < T; t++) forward(a, t, B, H);
}
void backward_all(void *const *a, int64_t T, int64_t B, int64_t H) {
    for (int64_t t = T - 1; t >= 0; t--) backward(a, t, B, H);
}
"""


def forward_arrays(rule: PointwiseRule) -> list[str]:
    """Names of the arrays that `forward` takes, in order.

    p (T, B, blocks, H) and r likewise, lengths (B,) int64 or null, q (blocks, H), y (T, B, H), s0.. (T + 1, B, H): slot
    t + 1 is written from slot t. With an additive rule r comes without its bias d (blocks, H), and is overwritten with
    the sum p + r + d, which is all that the backward pass reads.
    """
    names = ["p", "r", "d"] if rule.additive else ["p", "r"] if rule.recurrent else ["p"]
    return [*names, "lengths", "q", "y", *(f"s{k}" for k in range(rule.states))]


def backward_arrays(rule: PointwiseRule) -> list[str]:
    """As `forward_arrays`, and gp, gr like p, r; gy (T, B, H); gs0.. (B, H), read and overwritten; gq, added to."""
    gradients = ["gp", "gr"] if rule.recurrent and not rule.additive else ["gp"]
    return [*forward_arrays(rule), *gradients, "gq", "gy", *(f"gs{k}" for k in range(rule.states))]


def c_source(rule: PointwiseRule, real: str) -> str:
    """Source with `forward(arrays, t, B, H)` and `backward(arrays, t, B, H)`; `real` is float or double.

    `forward_all(arrays, T, B, H)` and `backward_all` take all steps, for a rule without recurrent product.
    """
    preface = _PREFACE.format(real=real, single=int(real == "float"))
    return "\n".join([preface, *_forward(rule), "", *_backward(rule), "", _ALL])


def _forward(rule: PointwiseRule) -> list[str]:
    states = range(rule.states)
    stores = [f"n{k}[k] = {_operand(value)};" for k, value in enumerate(rule.forward.outputs[1:])]
    if rule.output_is is None:
        stores.append(f"y[k] = {_operand(rule.forward.outputs[0])};")
    rows = _pointers(rule)
    rows += [f"real *restrict n{k} = (real *)a[{_at(rule, f's{k}')}] + ((t + 1) * B + b) * H;" for k in states]
    if rule.output_is is None:
        rows.append(f"real *restrict y = (real *)a[{_at(rule, 'y')}] + (t * B + b) * H;")
    past = [f"memcpy(n{k}, s{k}, H * sizeof(real));" for k in states]
    if rule.output_is is None:
        past.append("memset(y, 0, H * sizeof(real));")
    sums = []
    if rule.additive:
        for i in range(rule.projected):
            sums.append(f"const real p{i}_ = p[{i} * H + k] + r[{i} * H + k] + d[{i} * H + k];")
            sums.append(f"r[{i} * H + k] = p{i}_;")
    body = [*sums, *_loads(rule, rule.forward, given=bool(sums)), *_statements(rule.forward), *stores]
    return _function("forward", rule, rows, past, body)


def _backward(rule: PointwiseRule) -> list[str]:
    letters = ["p", "r"] if rule.recurrent and not rule.additive else ["p"]
    counts = {"p": rule.projected, "r": rule.recurrent}
    arrays = backward_arrays(rule)
    rows = _pointers(rule)
    past, stores = [], []
    outputs = list(rule.backward.outputs)
    groups = {}
    for letter, number in zip("prs", (rule.projected, rule.recurrent, rule.states), strict=True):
        groups[letter] = [outputs.pop(0) for _ in range(number)]
    for letter in letters:
        n = counts[letter]
        rows.append(f"real *restrict g{letter} = (real *)a[{arrays.index('g' + letter)}] + (t * B + b) * {n} * H;")
        past.append(f"memset(g{letter}, 0, {n} * H * sizeof(real));")
        stores += [f"g{letter}[{i} * H + k] = {_operand(value)};" for i, value in enumerate(groups[letter])]
    loads = []
    rows.append(f"const real *gy = (const real *)a[{arrays.index('gy')}] + (t * B + b) * H;")
    loads.append("const real g0 = gy[k];")
    for k, value in enumerate(groups["s"]):
        rows.append(f"real *restrict gs{k} = (real *)a[{arrays.index(f'gs{k}')}] + b * H;")
        loads.append(f"const real g{k + 1} = gs{k}[k];")
        stores.append(f"gs{k}[k] = {_operand(value)};")
    if outputs:
        rows.append(f"real *restrict gq = (real *)a[{arrays.index('gq')}];")
        stores += [f"gq[{j} * H + k] += {_operand(value)};" for j, value in enumerate(outputs)]
    body = [*_loads(rule, rule.backward), *loads, *_statements(rule.backward), *stores]
    return _function("backward", rule, rows, past, body)


def _function(name: str, rule: PointwiseRule, rows: list[str], past: list[str], body: list[str]) -> list[str]:
    """All sequences at step t; those that have ended take the way `past`."""
    at = _at(rule, "lengths")
    return [
        f"void {name}(void *const *a, int64_t t, int64_t B, int64_t H) {{",
        f"    const int64_t *lengths = (const int64_t *)a[{at}];",
        "    for (int64_t b = 0; b < B; b++) {",
        *(f"        {line}" for line in rows),
        "        if (lengths && t >= lengths[b]) {",
        *(f"            {line}" for line in past),
        "            continue;",
        "        }",
        "#pragma GCC ivdep",
        "        for (int64_t k = 0; k < H; k++) {",
        *(f"            {line}" for line in body),
        "        }",
        "    }",
        "}",
    ]


def _at(rule: PointwiseRule, name: str) -> int:
    return forward_arrays(rule).index(name)


def _pointers(rule: PointwiseRule) -> list[str]:
    """Where the values of a row stand."""
    places = {"p": f"(t * B + b) * {rule.projected} * H"}
    if rule.recurrent:
        places["r"] = f"(t * B + b) * {rule.recurrent} * H"
    if rule.additive:
        places["d"] = "0"
    if rule.channels:
        places["q"] = "0"
    places.update((f"s{k}", "(t * B + b) * H") for k in range(rule.states))
    return [
        f"{'' if name == 'r' else 'const '}real *{name} = (real *)a[{_at(rule, name)}] + {place};"
        for name, place in places.items()
    ]


def _loads(rule: PointwiseRule, program: Program, given: bool = False) -> list[str]:
    """Every input that is used, as a number. Of an additive rule the sum counts as p: it is given, or stands in r."""
    used = {operand for _, _, operands in program.statements for operand in operands} | set(program.outputs)
    lines = []
    for name in program.inputs:
        letter, number = name[0], name[1:]
        if name not in used or letter == "g" or (given and letter == "p"):
            continue
        source = f"s{number}[k]" if letter == "s" else f"{letter}[{number} * H + k]"
        if rule.additive and letter in "pr":
            source = f"r[{number} * H + k]" if letter == "p" else "0"
        lines.append(f"const real {name}_ = {source};")
    return lines


def _statements(program: Program) -> list[str]:
    lines = []
    for result, operation, operands in program.statements:
        kind = "int" if operation in COMPARISONS else "real"
        lines.append(f"const {kind} {result} = {_TEXT[operation].format(*map(_operand, operands))};")
    return lines


def _operand(operand: Operand) -> str:
    if isinstance(operand, str):
        return operand if operand[0] in "vg" else f"{operand}_"
    if operand != operand:
        return "(real)NAN"
    if operand in (float("inf"), float("-inf")):
        return "(real)INFINITY" if operand > 0 else "(real)-INFINITY"
    return f"(real){operand!r}"
