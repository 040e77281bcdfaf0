"""What generated Triton kernels call. Only they import this module: it needs Triton.

`tl.exp` is the hardware's, 2^(x log2 e), whose relative error grows with |x|: harmless in sigmoid and tanh, where it is
large only if the result is near 0 or ±1. The `exp` of a rule itself takes a more exact way.
"""

import triton
import triton.language as tl


@triton.jit
def exponential(x):
    """2^n e^r with |r| <= ln(2) / 2; 2^n in two factors, as it may pass 2^127 where the product does not."""
    n = tl.floor(x * 1.4426950408889634 + 0.5)
    n = tl.where(n > 129.0, 129.0, tl.where(n < -152.0, -152.0, n))
    r = (x - n * 0.693359375) + n * 2.12194440e-4
    half = tl.floor(n * 0.5)
    y = tl.exp2(r * 1.4426950408889634) * tl.exp2(half) * tl.exp2(n - half)
    y = tl.where(x > 89.0, float("inf"), tl.where(x < -104.0, 0.0, y))
    return tl.where(x != x, x, y)


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tangent(x):
    """Near 0 a polynomial with relative error 4e-9, elsewhere by e^(2 |x|), which may overflow to infinity."""
    size = tl.abs(x)
    z = x * x
    p = -0.0057170423 * z + 0.0206505849
    p = p * z - 0.0537434974
    p = p * z + 0.1333149128
    p = p * z - 0.3333328392
    far = 1.0 - 2.0 / (tl.exp(2.0 * size) + 1.0)
    return tl.where(size < 0.625, x + x * z * p, tl.where(x < 0.0, -far, far))


@triton.jit
def series(s):
    """2 atanh(s) for |s| <= 1/5: the logarithm of (1 + s) / (1 - s)."""
    z = s * s
    return 2.0 * s * (1.0 + z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11))))))


@triton.jit
def logarithm(x):
    """`tl.log` loses its relative accuracy near 1."""
    return tl.where(tl.abs(x - 1.0) < 0.33, series((x - 1.0) / (x + 1.0)), tl.log(x))


@triton.jit
def logarithm1p(x):
    return tl.where(tl.abs(x) < 0.33, series(x / (2.0 + x)), tl.log(1.0 + x))


@triton.jit
def sign(x):
    return tl.where(x > 0.0, 1.0, tl.where(x < 0.0, -1.0, 0.0))


@triton.jit
def larger(a, b):
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def smaller(a, b):
    return tl.where((a < b) | (a != a), a, b)
