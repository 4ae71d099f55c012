"""Rows of products, norms and decompositions."""

from __future__ import annotations

import numpy as np

from tests.ops.rows import case, keras_op, row


def _products(draw):
    half = draw.normal(2, 600).astype("float16")
    return [
        case(draw.normal(2, 3), draw.normal(3, 4)),
        case(draw.normal(5, 2, 3), draw.normal(3, 4)),
        case(draw.normal(5, 2, 3), draw.normal(5, 3, 4)),
        case(draw.normal(2, 1, 2, 3), draw.normal(5, 3, 4)),
        case(draw.normal(3), draw.normal(3)),
        case(draw.normal(3), draw.normal(3, 2)),
        case(draw.normal(2, 3), draw.normal(3)),
        case(draw.normal(4, 2, 3), draw.normal(3)),
        case(draw.integers(-9, 9, 2, 3), draw.integers(-9, 9, 3, 2)),
        case(draw.normal(0, 3), draw.normal(3, 2)),
        case(draw.normal(2, 0), draw.normal(0, 3)),
        case(draw.integers(-9, 9, 2, 3), draw.normal(3, 2)),
        case(half, half.T.copy()).but(
            reference=lambda a, b: np.float16(a.astype("float32") @ b.astype("float32")),
            grad=False,
            rtol=1e-3,
            atol=1e-2,
        ),
    ]


def _einsums(draw):
    return [
        case("ij,jk->ik", draw.normal(2, 3), draw.normal(3, 4)),
        case("btc,cnh->btnh", draw.normal(2, 3, 4), draw.normal(4, 2, 3)),
        case("...i,...i->...", draw.normal(2, 3, 4), draw.normal(2, 3, 4)),
        case("ij->ji", draw.normal(2, 3)),
        case("ij->", draw.normal(2, 3)),
        case("ij,jk", draw.normal(2, 3), draw.normal(3, 4)),
        case("ij,jk,kl->il", draw.normal(2, 3), draw.normal(3, 2), draw.normal(2, 4)),
        case("i,j->ij", draw.integers(0, 9, 2), draw.integers(0, 9, 3)),
    ]


def _factors(draw):
    return [
        case(draw.normal(4, 3)),
        case(draw.normal(2, 3, 3)),
        case(draw.normal(3, 4), "reduced"),
        case(draw.normal(3, 3), mode="complete"),
    ]


def _tensordots(draw):
    x, y = draw.normal(2, 3, 4), draw.normal(3, 4, 5)
    return [
        case(x, y),
        case(x, y, ([1, 2], [0, 1])),
        case(x, draw.normal(4, 2), 1),
        case(x, draw.normal(2), axes=0),
        case(x, draw.normal(2, 3), axes=([-3, 1], [0, -1])),
        case(x, draw.normal(3), axes=(1, 0)),
    ]


def _dots(draw):
    return [
        case(draw.normal(2, 3), draw.normal(3, 4)),
        case(draw.normal(3), draw.normal(3)),
        case(draw.normal(2, 4, 3), draw.normal(5, 3, 2)),
        case(draw.normal(2, 3), draw.normal(3)),
        case(draw.normal(), draw.normal(2, 3)),
        case(draw.normal(2, 3), 2.0),
    ]


def _norms(draw):
    x = draw.normal(3, 4)
    return [
        case(x, axis=1),
        case(x.ravel()),
        case(x, 2, -1, True),
        case(x, 1, 0),
        case(x, float("inf"), axis=1),
        case(draw.integers(-5, 6, 3), 2),
        case(draw.integers(-5, 6, 3), 1).but(dtype="float32"),
        case(np.zeros((2, 3), "float32"), axis=1).but(grad=False),
        case(draw.normal(2, 3, 2)),
        *[case(x, ord, 1) for ord in (3, 0.5, -1, -2, 0, -np.inf)],
        *[case(x, ord, (0, 1), True) for ord in (None, "fro", 1, -1, np.inf, -np.inf)],
        *[case(draw.normal(2, 3, 4), ord, (2, 0)) for ord in (None, "fro", 1, -np.inf)],
        case(x, np.inf),
    ]


def _normalizations(draw):
    x = draw.normal(3, 4)
    return [
        case(x),
        case(x, 0),
        case(x, axis=-1, order=1),
        case(draw.normal(2, 3, 4), 1),
        case(x, epsilon=10.0),
        case(np.zeros((2, 3), "float32")).but(grad=False),
    ]


def _outers(draw):
    return [
        case(draw.normal(2), draw.normal(3)),
        case(draw.normal(2, 2), draw.normal(3)),
        case(draw.integers(0, 9, 2), draw.integers(0, 9, 2)),
        case(draw.normal(), draw.normal(2)),
    ]


def _normalize_reference(x, axis=-1, order=2, epsilon=1e-12):
    size = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.maximum(size, epsilon)


ROWS = [
    row("matmul", _products, np.matmul),
    row("einsum", _einsums, np.einsum),
    row("qr", _factors, np.linalg.qr, dict.fromkeys(("openvino", "onnx"), "it has no such operation"), atol=1e-5),
    row("tensordot", _tensordots, np.tensordot),
    row("dot", _dots, np.dot),
    row("norm", _norms, np.linalg.norm),
    row("normalize", _normalizations, _normalize_reference),
    row("outer", _outers, keras_op("outer")),
]
