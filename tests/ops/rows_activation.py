"""Rows of the activation functions, against Keras."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.ops.rows import case, keras_op, row

# Off the kinks, where one-sided derivatives differ.
_WIDE = np.float32([-120, -30, -7.3, -2.9, -0.4, 0.3, 0.9, 2.9, 5.7, 6.4, 30, 120])
_PLAIN = [
    "relu",
    "relu6",
    "softplus",
    "softsign",
    "silu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "tanh_shrink",
    "selu",
]


def _plain(draw):
    return [case(draw.normal(3, 4, scale=2)), case(_WIDE), case(draw.normal()), case(draw.normal(0, 2))]


def _parametrized(*values):
    def make(draw):
        return [*_plain(draw), *(case(draw.normal(3, 4, scale=2), value) for value in values)]

    return make


def _axes(draw):
    x = draw.normal(2, 3, 4)
    return [
        case(x),
        case(x, 1),
        case(x, axis=(1, 2)),
        case(x, 0),
        case(np.float32([[1e4, 1e4 - 1, 0], [-1e4, 0, 50]])),
        case(np.float32([[0, -np.inf, 1]])).but(grad=False),
        case(draw.normal(2, 3).astype("float16")).but(grad=False, rtol=2e-3),
    ]


def _halves(draw):
    return [case(draw.normal(2, 4)), case(draw.normal(6, 3), 0), case(draw.normal(2, 2, 3), axis=1)]


def _softmax(x, axis=-1):
    return scipy.special.softmax(x.astype("float64"), axis).astype(x.dtype)


def _log_softmax(x, axis=-1):
    return scipy.special.log_softmax(x.astype("float64"), axis).astype(x.dtype)


def _mish(x):
    x = x.astype("float64")
    return (x * np.tanh(np.logaddexp(0, x))).astype("float32")


def _squareplus(x, b=4):
    x = x.astype("float64")
    return (np.where(x < 0, b / (np.sqrt(x * x + b) - x), x + np.sqrt(x * x + b)) / 2).astype("float32")


def _thresholds(draw):
    return [
        case(_WIDE, 1.0, -2.0),
        case(draw.normal(3, 4), -0.5, 0.0),
        case(draw.normal(2), threshold=0, default_value=9),
    ]


def _sparsities(draw):
    x = draw.normal(2, 3, 4)
    return [
        case(x),
        case(x, 1),
        case(x, axis=0),
        case(np.float32([[3.0, 1.0, 0.5], [0.9, 0.8, -2.0]])).but(grad=False),  # on a kink
        case(draw.normal(4, scale=100)),
        case(draw.normal(2, 3).astype("float16")).but(grad=False, rtol=2e-3, atol=1e-3),
    ]


ROWS = [
    *(row(name, _plain, keras_op(name)) for name in ("sparse_plus", "sparse_sigmoid")),
    *(row(name, _parametrized(0.3, 2), keras_op(name)) for name in ("hard_shrink", "soft_shrink")),
    row("threshold", _thresholds, keras_op("threshold")),
    row("squareplus", _parametrized(0.5, 9), _squareplus),
    row("sparsemax", _sparsities, keras_op("sparsemax"), atol=1e-5),
    *(row(name, _plain, keras_op(name)) for name in _PLAIN),
    # atol far below the smallest values: the tails are accurate too.
    row("sigmoid", _plain, scipy.special.expit, atol=1e-30),
    row("log_sigmoid", _plain, scipy.special.log_expit, atol=1e-30),
    row("mish", _plain, _mish),
    row("leaky_relu", _parametrized(0.1), keras_op("leaky_relu")),
    row("elu", _parametrized(0.5), keras_op("elu")),
    row("celu", _parametrized(0.5), keras_op("celu")),
    row("gelu", _parametrized(True, False), keras_op("gelu")),
    row("glu", _halves, keras_op("glu")),
    row("softmax", _axes, _softmax),
    row("log_softmax", _axes, _log_softmax),
]
