"""Functions of one float32 that vectorise: polynomials, selects and integer arithmetic on the bits, no branch and no call.

Coefficients are minimax fits in the relative error of the result, rounded to float32 one by one with the rest fitted again. Errors are in
ulp of the exact value rounded to float32: the largest of all 2**32 floats, with fused multiply-adds or without, whichever is more.
A NaN gives a NaN: comparisons are written so that it falls through. The logistic function in the catalogue's form, by `exp`, has 2.41 ulp.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from netspec.kernels.native import INLINE

F = np.float32


@intrinsic
def _bits(_context: Any, x: Any) -> Any:
    return types.int32(types.float32), lambda context, b, signature, a: b.bitcast(a[0], ir.IntType(32))


@intrinsic
def _from_bits(_context: Any, x: Any) -> Any:
    return types.float32(types.int32), lambda context, b, signature, a: b.bitcast(a[0], ir.FloatType())


_ZERO, _HALF, _ONE, _TWO = F(0), F(0.5), F(1), F(2)
_INFINITY, _NAN = F(np.inf), F(np.nan)
_LOG2E, _LN2_HIGH, _LN2_LOW = F(1.44269504), F(0.693145751953125), F(1.42860677e-06)  # LN2_HIGH has 16 bits: n times it is exact
_MAGIC = F(12582912.0)  # 1.5 * 2**23: adding it rounds to a whole number, which then stands in the low bits
_MANTISSA = np.int32(23)
_BIAS = np.int32(127)
_SIGN = np.int32(-(2**31))


@njit(**INLINE)
def _split(x, magic):
    """(s, high, low): x = n ln2 + r with r = high - low, |r| <= ln2/2, and the low bits of s hold n plus what magic has above _MAGIC."""
    s = x * _LOG2E + magic
    n = s - magic
    return s, x - n * _LN2_HIGH, n * _LN2_LOW


@njit(**INLINE)
def _power(s):
    """2**n for the low 8 bits of s holding n + 127."""
    return _from_bits(np.int32(_bits(s) << _MANTISSA))


@njit(**INLINE)
def _signed(y, x):
    """y, which is not negative, with the sign of x: -0 for -0."""
    return _from_bits(np.int32(_bits(y) | np.int32(_bits(x) & _SIGN)))


_E0, _E1, _E2, _E3, _E4 = (
    F(0.4999999403953552), F(0.1666652113199234), F(0.04166826605796814), F(0.008368677459657192), F(0.001382073387503624),
)  # fmt: skip


@njit(**INLINE)
def _exp_reduced(high, low):
    """e**r for r = high - low, |r| <= ln2/2: 1 + r + r*r*p(r), p of degree 4."""
    r = high - low
    p = (((_E4 * r + _E3) * r + _E2) * r + _E1) * r + _E0
    return (((p * r) * r - low) + high) + _ONE  # r itself has lost some of its last bits


_EXP_LOWEST, _EXP_HIGHEST, _EXP_MAGIC = F(-104), F(89), F(12582912.0 + 254)


@njit(**INLINE)
def exp(x):
    """e**x. Infinite above 88.72, where the exact value is no float32; denormal below -87.33, 0 below -103.97. 0.91 ulp."""
    inside = _EXP_HIGHEST if x > _EXP_HIGHEST else x
    inside = _EXP_LOWEST if inside < _EXP_LOWEST else inside
    s, high, low = _split(inside, _EXP_MAGIC)
    # 2**n in two factors, each a normal number: only the last product rounds
    both = _bits(s)
    first = np.int32(both >> np.int32(1))
    second = np.int32(both - first)
    return (_exp_reduced(high, low) * _from_bits(np.int32(first << _MANTISSA))) * _from_bits(np.int32(second << _MANTISSA))


_M0, _M1, _M2, _M3, _M4, _M5 = (
    F(0.5), F(0.1666666567325592), F(0.04166649281978607), F(0.008333545178174973), F(0.0013932330766692758), F(0.00019762571901082993),
)  # fmt: skip
_EXPM1_LOWEST, _EXPM1_MAGIC, _EXPM1_TINY = F(-20), F(12582912.0 + 126), F(2.0**-26)


@njit(**INLINE)
def expm1(x):
    """e**x - 1. Infinite above 88.72, -1 far below; -0 stays -0. 1.57 ulp."""
    inside = _EXP_HIGHEST if x > _EXP_HIGHEST else x
    inside = _EXPM1_LOWEST if inside < _EXPM1_LOWEST else inside
    s, high, low = _split(inside, _EXPM1_MAGIC)
    r = high - low
    p = ((((_M5 * r + _M4) * r + _M3) * r + _M2) * r + _M1) * r + _M0
    less_one = ((p * r) * r - low) + high
    half = _power(s)  # 2**n / 2, which is a float32 for every n
    y = (less_one * half + (half - _HALF)) * _TWO
    return y if np.abs(x) > _EXPM1_TINY else x


_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = (
    F(0.3333333134651184), F(-0.2500081956386566), F(0.2000124156475067), F(-0.166234090924263),
    F(0.14201581478118896), F(-0.1315961331129074), F(0.12762199342250824), F(-0.07636399567127228),
)  # fmt: skip
_ROOT_HALF = np.int32(0x3F3504F3)  # bits of sqrt(1/2)
_FRACTION = np.int32(0x7FFFFF)
_SMALLEST, _LIFT, _LIFTED = F(2.0**-126), F(2.0**23), F(23)


@njit(**INLINE)
def _log_reduced(f, k):
    """log(1 + f) + k ln2 for sqrt(1/2) - 1 <= f < sqrt(2) - 1: f - f*f/2 + f*f*f*p(f), p of degree 7."""
    p = ((((((_L7 * f + _L6) * f + _L5) * f + _L4) * f + _L3) * f + _L2) * f + _L1) * f + _L0
    square = f * f
    return k * _LN2_HIGH + ((square * (f * p - _HALF) + k * _LN2_LOW) + f)


@njit(**INLINE)
def log(x):
    """The natural logarithm: -infinity at 0, NaN below; denormals too. 0.93 ulp."""
    small = x < _SMALLEST
    above = np.int32(_bits(x * _LIFT if small else x) - _ROOT_HALF)
    k = F(np.int32(above >> _MANTISSA)) - (_LIFTED if small else _ZERO)
    f = _from_bits(np.int32(np.int32(above & _FRACTION) + _ROOT_HALF)) - _ONE
    y = _log_reduced(f, k)
    y = y if x < _INFINITY else x
    return y if x > _ZERO else (-_INFINITY if x == _ZERO else _NAN)


_WHOLE, _LOG1P_TINY = F(2.0**24), F(2.0**-25)


@njit(**INLINE)
def log1p(x):
    """log(1 + x): -infinity at -1, NaN below; -0 stays -0. 1.53 ulp."""
    above = np.int32(_bits(_ONE + x) - _ROOT_HALF)
    exponent = np.int32(above >> _MANTISSA)
    # 1 + x is 2**k (1 + f); up to 2**24 f comes from x itself, without what 1 + x rounded off
    scale = _from_bits(np.int32(np.int32(_BIAS - exponent) << _MANTISSA))
    far = _from_bits(np.int32(np.int32(above & _FRACTION) + _ROOT_HALF)) - _ONE
    f = x * scale + (scale - _ONE) if x < _WHOLE else far
    y = _log_reduced(f, F(exponent))
    y = y if x < _INFINITY else x
    y = y if x > -_ONE else (-_INFINITY if x == -_ONE else _NAN)
    return y if np.abs(x) > _LOG1P_TINY else x


_T0, _T1, _T2, _T3, _T4 = (
    F(-0.3333328068256378), F(0.13331405818462372), F(-0.05373651534318924), F(0.02062816731631756), F(-0.0056922961957752705),
)  # fmt: skip
_TANH_BORDER, _TANH_HIGHEST, _BIAS_MAGIC = F(0.625), F(10), F(12582912.0 + 127)


@njit(**INLINE)
def tanh(x):
    """The hyperbolic tangent: below 0.625 x + x**3 p(x*x), p of degree 4, else 1 - 2 / (e**2x + 1); -0 stays -0. 1.32 ulp."""
    size = np.abs(x)
    inside = _TANH_HIGHEST if size > _TANH_HIGHEST else size
    s, high, low = _split(inside + inside, _BIAS_MAGIC)
    far = _ONE - _TWO / (_exp_reduced(high, low) * _power(s) + _ONE)
    square = size * size
    p = (((_T4 * square + _T3) * square + _T2) * square + _T1) * square + _T0
    near = (square * p) * size + size
    return _signed(near if size < _TANH_BORDER else far, x)


_R0, _R1, _R2, _R3, _R4, _R5 = (
    F(0.12837915122509003), F(-0.3761250674724579), F(0.11281978338956833), F(-0.026773398742079735), F(0.005004345905035734),
    F(-0.0006053445977158844),
)  # fmt: skip
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6 = (
    F(0.00016644480638206005), F(1.127797245979309), F(0.6369761228561401), F(0.10411357134580612), F(-0.02231510914862156),
    F(0.0030654468573629856), F(-0.00019821306341327727),
)  # fmt: skip
_ERF_BORDER, _ERF_HIGHEST = F(0.9), F(4)


@njit(**INLINE)
def erf(x):
    """The error function: below 0.9 x + x p(x*x), p of degree 5, else 1 - e**-q(x), q of degree 6; -0 stays -0. 1.30 ulp."""
    size = np.abs(x)
    inside = _ERF_HIGHEST if size > _ERF_HIGHEST else size
    q = (((((_Q6 * inside + _Q5) * inside + _Q4) * inside + _Q3) * inside + _Q2) * inside + _Q1) * inside + _Q0
    s, high, low = _split(-q, _BIAS_MAGIC)
    far = _ONE - _exp_reduced(high, low) * _power(s)
    square = size * size
    p = ((((_R5 * square + _R4) * square + _R3) * square + _R2) * square + _R1) * square + _R0
    near = p * size + size
    return _signed(near if size < _ERF_BORDER else far, x)
