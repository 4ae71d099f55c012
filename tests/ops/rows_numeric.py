"""Rows of special functions and further elementwise ops."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.ops.rows import case, row, several

_SPECIAL = np.float32([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5])
_HUGE = np.float32([88.9, -88.9, 60.0, -12.0, 0.01, -1e-6, 1.0, -1.0])


def _quiet(f):
    """NumPy's `f` in float64 without its warnings about values that the cases contain on purpose."""

    def reference(*args, **kwargs):
        with np.errstate(all="ignore"):
            return f(*args, **kwargs)

    return reference


def _real(draw):
    return [
        case(draw.normal(2, 3)),
        case(draw.normal()),
        case(draw.integers(-3, 4, 5)),
        case(np.float32([0.0, 1e-6, -1e-6, 3.0, -20.0])),
        case(draw.normal(0, 2)),
        case(draw.normal(4).astype("float16")).but(rtol=2e-3, atol=1e-3),
    ]


def _hyperbolic(draw):
    return [*_real(draw)[:5], case(_HUGE).but(rtol=2e-5), case(np.float32([np.inf, -np.inf, np.nan])).but(grad=False)]


def _inverse_hyperbolic(draw):
    large = np.float32([1e5, -1e12, 3e38, -3e38, np.inf, -np.inf, np.nan])
    return [case(draw.normal(2, 3)), *_real(draw)[1:5], case(large)]


def _inside(draw):
    return [
        case(draw.uniform(-0.95, 0.95, 2, 3)),
        case(np.float32([0.0, 1e-6, -1e-6, 0.999999, -0.999999])).but(rtol=2e-5, grad=False),
        case(np.float32([1, -1])).but(grad=False),  # infinite
        case(np.float32([1.5, -np.inf, np.nan])).but(grad=False),
        case(draw.integers(0, 1, 3)),
    ]


def _above_one(draw):
    return [
        case(draw.uniform(1.1, 4, 2, 3)),
        case(np.float32([1.0, 1.000001, 1e5, 3e38, np.inf, 0.5, np.nan])).but(grad=False),  # infinite at 1
        case(draw.integers(2, 9, 4)),
    ]


def _positive(draw):
    return [
        case(draw.uniform(0.1, 4, 2, 3)),
        case(np.float32([1e-30, 1, 8, 1000, 3e38])).but(grad=False),
        case(draw.integers(1, 9, 5)),
        case(np.float32([0, -1, np.inf, np.nan])).but(grad=False),
    ]


def _roots(draw):
    away = draw.normal(2, 3) + np.float32([3, -3, 3])
    return [case(away), case(np.float32([0.0, 27, -8, 1e30, -1e-30, np.inf])).but(grad=False)]


def _two_sides(draw):
    edges = np.float32([0, 3, -0.0, 1e30, 1e-30, np.inf, np.nan, np.nan])
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1, 3), draw.normal(4, 1)),
        case(edges, np.float32([0, 4, 2, 1e30, 1e-30, -np.inf, -np.inf, 1])).but(grad=False, atol=0),
        case(draw.normal(3), 2.0),
        case(draw.integers(-4, 5, 4), draw.integers(-4, 5, 4)),
        case(np.float32([0, 1, 1]), np.float32([0, 1, -1])).but(grad=False),
    ]


def _log_sums(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1, 3), 0.5),
        case(np.float32([500, -500, 3]), np.float32([499, 400, 3])).but(grad=False),
        case(np.float32([-np.inf, -np.inf, np.inf]), np.float32([-np.inf, 1, np.inf])).but(grad=False),
    ]


def _exponents(draw):
    return [
        case(draw.normal(2, 3), draw.integers(-5, 6, 2, 3)),
        case(draw.normal(3), 4),
        case(np.float32([1e-30, 1e30, 0.0, np.inf]), np.int32([150, -150, 3, 3])).but(grad=False),
        case(draw.integers(-4, 5, 3), draw.integers(0, 4, 2, 3)),
        case(draw.normal(3).astype("float16"), np.int32([1, -2, 0])),
    ]


def _ramps(draw):
    return [
        case(draw.normal(2, 3, scale=3)),
        case(np.float32([0, 1e-4, -0.1, 0.15, 0.16, 0.5, 1, -7.5])),
        case(draw.normal()),
    ]


def _tails(draw):
    return [
        case(draw.normal(2, 3)),
        case(np.float32([0, 0.499, 0.5, -0.5, 1, 3, 6, 9, -3, 1e-6])).but(atol=0, rtol=2e-5),
        case(np.float32([np.inf, -np.inf, np.nan])),
        case(draw.integers(-2, 3, 4)),
    ]


def _gamma(draw):
    return [
        case(draw.uniform(0.2, 6, 2, 3)),
        case(np.float32([1e-6, 0.5, 1, 1.5, 2, 2.999, 3, 10, 300])).but(grad=False),
        case(np.float32([-0.5, -1.5, -2.3, -7.7])).but(rtol=5e-5, atol=5e-6),
        case(draw.integers(1, 9, 4)),
    ]


def _log_gamma(draw):
    return [
        *_gamma(draw),
        case(np.float32([0, -1, -2, np.inf, np.nan])).but(grad=False),
        case(np.float32([1e10, 1e30])).but(grad=False),
    ]


def _bessel(draw):
    return [
        case(draw.normal(2, 3, scale=3)),
        case(np.float32([0, 1e-6, 7.9, 8.1, -20, 80])),
        case(draw.integers(-3, 4, 4)),
        case(np.float32([np.nan])).but(grad=False),
    ]


def _remainders(draw):
    away = draw.uniform(0.5, 3, 2, 3) * np.float32([1, -1, 1])
    return [
        case(draw.normal(2, 3, scale=4), away),
        case(np.float32([-7, 7, -7, 7, -1e-8]), np.float32([2, -2, -2, 2, 1])),
        case(np.int32([-7, 7, -7, 7, -(2**31)]), np.int32([2, -2, -2, 2, 3])),
        case(draw.normal(3, scale=4), 2.0),
        case(np.uint8([200, 7]), np.uint8([7, 200])),
    ]


def _extremes(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1, 3), 0.25),
        case(_SPECIAL, _SPECIAL[::-1].copy()).but(grad=False),
        case(draw.integers(-5, 6, 4), draw.integers(-5, 6, 4)),
    ]


def _quotients(draw):
    return [
        case(draw.normal(2, 3), draw.uniform(0.5, 3, 2, 3)),
        case(draw.normal(2, 3), np.float32([0, 1, -0.0])).but(grad=False),
        case(draw.normal(3), 0.0),
        case(draw.integers(-9, 9, 4), np.int32([0, 2, 3, 0])),
        case(1.0, np.float32([0, 2, np.inf])).but(grad=False),
    ]


def _quotient_reference(x1, x2):
    with np.errstate(all="ignore"):
        return np.where(np.equal(x2, 0), np.float32(0), np.true_divide(x1, x2))


def _steps(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(_SPECIAL, 0.5).but(grad=False),
        case(draw.integers(-1, 2, 6), draw.integers(2, 5, 6)).but(dtype="float32"),
        case(draw.integers(-1, 2, 6).astype("float32"), draw.normal(6)).but(grad=False),
    ]


def _classes(draw):
    return [case(_SPECIAL), case(draw.normal(2, 3)), case(draw.integers(-3, 3, 4)), case(_SPECIAL.astype("float16"))]


def _logic(draw):
    return [
        case(draw.bools(3, 4), draw.bools(3, 4)),
        case(draw.bools(2, 1), draw.bools(3)),
        case(draw.integers(-1, 2, 9), draw.integers(0, 2, 9)),
        case(np.float32([0, 0.5, np.nan]), True),
    ]


def _replaced(draw):
    return [
        case(draw.normal(2, 3)),
        case(_SPECIAL).but(grad=False),
        case(_SPECIAL, nan=1.0, posinf=2.0, neginf=-3.0).but(grad=False),
        case(_SPECIAL, 0.5, 7).but(grad=False),
        case(_SPECIAL.astype("float16")).but(grad=False),
        case(draw.integers(-3, 3, 4)),
    ]


def _rounding(draw):
    return [
        case(draw.normal(2, 3, scale=3)),
        case(np.float32([-1.5, -0.5, -0.0, 0.5, 1e9, np.inf, -np.inf, np.nan])),
        case(draw.integers(-3, 3, 4)),
    ]


def _saturated(draw):
    wide = np.float32([-1e20, -300, -1.5, 0, 1.5, 300, 3e9, 1e20, np.inf, -np.inf])
    return [
        case(np.float32([-300, -1.5, 0.0, 1.5, 300]), "int8"),
        case(wide, "int32"),
        case(wide, "uint8"),
        case(wide, "float16"),
        case(draw.integers(-300, 300, 6), "uint8"),
        case(np.uint8([0, 200]), "int8"),
        case(np.int8([-5, 100]), "uint16"),
        case(draw.normal(3), "float32"),
        case(draw.bools(3), "float32"),
        case(np.float32([np.nan, 1]), "int16"),
    ]


def _saturated_reference(x, dtype):
    if x.dtype == bool or dtype == str(x.dtype):
        return x.astype(dtype)
    info = np.finfo(dtype) if "float" in dtype else np.iinfo(dtype)
    exact = np.clip(x.astype("float64"), float(info.min), float(info.max))
    return (exact if "float" in dtype else np.nan_to_num(exact)).astype(dtype)


ROWS = [
    *several(_real, "tan arctan", np),
    *several(_inside, "arcsin arccos arctanh", [_quiet(np.arcsin), _quiet(np.arccos), _quiet(np.arctanh)]),
    *several(_hyperbolic, "sinh cosh", [_quiet(np.sinh), _quiet(np.cosh)]),
    row("arcsinh", _inverse_hyperbolic, np.arcsinh),
    row("arccosh", _above_one, _quiet(np.arccosh)),
    *several(_real, "deg2rad rad2deg exp2", np),
    *several(_positive, "log2 log10", [_quiet(np.log2), _quiet(np.log10)]),
    row("cbrt", _roots, np.cbrt),
    row("hypot", _two_sides, _quiet(np.hypot), dtype="float32"),
    row("logaddexp2", _log_sums, _quiet(np.logaddexp2)),
    row("ldexp", _exponents, np.ldexp),
    row("sinc", _ramps, np.sinc),
    row("erfc", _tails, scipy.special.erfc),
    row("lgamma", _log_gamma, scipy.special.gammaln),
    row("digamma", _gamma, scipy.special.digamma),
    row("i0", _bessel, scipy.special.i0),
    row("fmod", _remainders, np.fmod),
    *several(_extremes, "fmax fmin", [_quiet(np.fmax), _quiet(np.fmin)]),
    row("divide_no_nan", _quotients, _quotient_reference),
    row("heaviside", _steps, np.heaviside),
    *several(_classes, "isposinf isneginf signbit", np),
    row("logical_xor", _logic, np.logical_xor),
    row(
        "nan_to_num",
        _replaced,
        lambda x, nan=0.0, posinf=None, neginf=None: np.nan_to_num(x, True, nan, posinf, neginf),
    ),
    row("trunc", _rounding, np.trunc, grad=False),
    row("fabs", lambda draw: [*_real(draw)[:3], case(_SPECIAL).but(grad=False)], np.fabs),
    row("saturate_cast", _saturated, _saturated_reference, grad=False),
]
