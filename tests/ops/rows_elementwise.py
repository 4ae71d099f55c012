"""Rows of the elementwise ops."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.ops.rows import case, keras_op, row, several

_SPECIAL = np.float32([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5])


def _arithmetic(draw):
    whole, real = draw.integers(-5, 6, 3, 4), draw.normal(3, 4)
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1, 3), draw.normal(4, 1)),
        case(draw.normal(), draw.normal(2, 2)),
        case(draw.normal(0, 3), draw.normal(1, 3)),
        case(real, 2),
        case(2.5, real),
        case(whole, draw.integers(-5, 6, 4)),
        case(whole, 2.5),
        case(whole, real),
        case(draw.normal(3).astype("float16"), 2.0).but(rtol=1e-3),
    ]


def _division(draw):
    away = draw.uniform(0.5, 3, 2, 3) * np.float32([1, -1, 1])
    return [
        case(draw.normal(2, 3), away),
        case(draw.normal(4, 2, 1), away),
        case(np.float32([-7, 7, -7, 7, 6, -6]), np.float32([2, -2, -2, 2, 3, 3])),
        case(np.int32([-7, 7, -7, 7, 6, -6]), np.int32([2, -2, -2, 2, 3, 3])),
        case(np.int32([-7, 7]), 2),
        case(draw.normal(0, 3), away[:1]),
        case(7.0, away),
        case(np.int32([-7, 7]), np.float32([2, -2])),
    ]


def _powers(draw):
    return [
        case(draw.uniform(0.5, 2, 2, 3), draw.normal(2, 3)),
        case(draw.uniform(0.5, 2, 4, 1), draw.normal(3)),
        case(draw.normal(2, 3), 2),
        case(draw.normal(2, 3), 3.0),
        case(2.0, draw.normal(3)),
        case(draw.integers(-3, 4, 3), draw.integers(0, 4, 3)),
        case(np.float32([0.0, 2.0, 0.0]), np.float32([0.0, -1.0, 2.0])).but(grad=False),
    ]


def _extremes(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1, 3), draw.normal(4, 1)),
        case(draw.normal(2, 3), 0.25),
        case(draw.integers(-5, 6, 4), 1),
        case(_SPECIAL, _SPECIAL[::-1]).but(grad=False),
        case(draw.normal(0), draw.normal(1)),
    ]


def _angles(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1), draw.normal(3)),
        case(np.float32([0, -0.0, 0, 1, -1, 0]), np.float32([-1, -1, 1, 0, 0, 0])).but(grad=False),
    ]


def _real(draw):
    return [case(draw.normal(2, 3)), case(draw.normal()), case(draw.normal(0, 2)), case(draw.integers(-3, 4, 5))]


def _rounding(draw):
    return [case(draw.normal(2, 3, scale=3)), case(np.float32([-1.5, -0.5, 0.5, 1.5, 2.5])), case(draw.normal(0, 2))]


def _decimals(draw):
    return [
        *_rounding(draw),
        case(draw.normal(5, scale=3), 1),
        case(draw.normal(5, scale=300), decimals=-1),
        case(draw.integers(-9, 9, 4)),
    ]


def _positive(draw):
    return [case(draw.uniform(0.1, 4, 2, 3)), case(draw.uniform(1, 2)), case(draw.integers(1, 9, 5))]


def _near_zero(draw):
    return [
        case(draw.uniform(-0.5, 2, 2, 3)),
        case(np.float32([1e-7, -1e-7, 1e-20, 0])),
        case(draw.integers(0, 9, 5)),
        case(draw.normal(0)),
    ]


def _inside(draw):
    return [case(draw.uniform(-0.95, 0.95, 2, 3)), case(np.float32([0.0, 1e-6, -1e-6])), case(draw.uniform(-0.5, 0.5))]


def _classes(draw):
    return [case(_SPECIAL), case(draw.normal(2, 3)), case(draw.integers(0, 3, 4)), case(_SPECIAL.astype("float16"))]


def _comparison(draw):
    return [
        case(draw.integers(0, 3, 4, 5), draw.integers(0, 3, 4, 5)),
        case(draw.normal(2, 1, 3), draw.normal(4, 1)),
        case(draw.integers(0, 3, 6), 1),
        case(draw.integers(0, 3, 6), 1.5),
        case(_SPECIAL, _SPECIAL[::-1]),
        case(draw.integers(0, 3, 6), draw.normal(6)),
    ]


def _logic(draw):
    return [
        case(draw.bools(3, 4), draw.bools(3, 4)),
        case(draw.bools(2, 1), draw.bools(3)),
        case(draw.integers(-1, 2, 9), draw.integers(0, 2, 9)),
        case(np.float32([0, 0.5, np.nan]), True),
    ]


def _choice(draw):
    return [
        case(draw.bools(2, 3), draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.bools(2, 1), draw.normal(3), draw.normal(1, 1)),
        case(draw.bools(4), draw.normal(4), 0.0),
        case(draw.bools(4), 1, draw.integers(3, 6, 4)),
        case(draw.bools(4), draw.integers(3, 6, 4), draw.normal(4)),
        case(np.bool_([True, False]), np.float32([1, 2]), np.float32([np.nan, np.inf])).but(grad=False),
    ]


def _limits(draw):
    return [
        case(draw.normal(3, 4), -0.5, 0.75),
        case(draw.normal(3, 4), draw.uniform(-1, 0, 4), draw.uniform(0, 1, 3, 1)),
        case(draw.integers(-9, 9, 6), -2, 3),
        case(draw.normal(3), x_min=0.0, x_max=1.0),
    ]


def _log_sums(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1, 3), draw.normal(4, 1)),
        case(np.float32([500, -500, 3]), np.float32([499, 400, 3])).but(grad=False),
        case(np.float32([-np.inf, -np.inf, np.inf, np.inf]), np.float32([-np.inf, 1, 1, np.inf])).but(grad=False),
    ]


def _quiet(f):
    """NumPy's `f` without its warnings about values that the cases contain on purpose."""

    def reference(*args, **kwargs):
        with np.errstate(all="ignore"):
            return f(*args, **kwargs)

    return reference


ROWS = [
    *several(_arithmetic, "add subtract multiply", np),
    row("divide", _division, np.divide),
    row("floor_divide", _division, np.floor_divide, grad=False),
    row("mod", _division, np.mod, grad=False),
    row("power", _powers, np.power),
    *several(_extremes, "maximum minimum", np),
    row("arctan2", _angles, np.arctan2),
    *several(_real, "negative abs sin cos tanh square", np),
    *several(_real, "exp expm1", np),
    row("sign", lambda draw: [*_real(draw), case(_SPECIAL)], np.sign, grad=False),
    *several(_rounding, "floor ceil", np, grad=False),
    row("round", _decimals, np.round, grad=False),
    *several(_positive, "log sqrt", np),
    row("rsqrt", _positive, lambda x: 1 / np.sqrt(x)),
    row("reciprocal", _positive, lambda x: 1 / x),
    row("log1p", _near_zero, np.log1p, atol=0),
    row("erf", _real, scipy.special.erf),
    row("erfinv", _inside, scipy.special.erfinv),
    *several(_classes, "isnan isinf isfinite", np, grad=False),
    *several(_comparison, "equal not_equal less less_equal greater greater_equal", np, grad=False),
    *several(_logic, "logical_and logical_or", np, grad=False),
    row("logical_not", lambda draw: [case(draw.bools(4)), case(draw.integers(-1, 2, 4))], np.logical_not, grad=False),
    row("where", _choice, keras_op("where")),
    row("clip", _limits, keras_op("clip")),
    row("logaddexp", _log_sums, _quiet(np.logaddexp)),
    row("squared_difference", _arithmetic, lambda x1, x2: np.square(np.subtract(x1, x2))),
]
