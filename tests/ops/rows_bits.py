"""Rows of integers, bits and complex numbers."""

from __future__ import annotations

import numpy as np

from tests.ops.rows import case, keras_op, row, several


def _whole(draw):
    return [
        case(draw.integers(-90, 90, 3, 4), draw.integers(-90, 90, 3, 4)),
        case(draw.integers(0, 99, 2, 1), draw.integers(0, 99, 3)),
        case(draw.integers(0, 99, 4), 12),
        case(np.int32([0, 0, 5, 2**31 - 1]), np.int32([0, 7, 0, 1])),
        case(np.uint8([200, 12, 7]), np.uint8([100, 18, 1])),
        case(np.int16([-300, 18]), np.int16([200, -12])),
    ]


def _bits(draw):
    return [*_whole(draw)[:5], case(draw.bools(4), draw.bools(4))]


def _inverted(draw):
    return [
        case(draw.integers(-9, 9, 2, 3)),
        case(np.uint8([0, 7, 255])),
        case(draw.bools(4)),
        case(np.int16([-300, 0])),
    ]


def _shifts(draw):
    return [
        case(draw.integers(-90, 90, 3, 4), draw.integers(0, 8, 3, 4)),
        case(draw.integers(0, 99, 2, 1), draw.integers(0, 8, 3)),
        case(draw.integers(0, 99, 4), 3),
        case(np.int32([1, -1, 2**31 - 1]), np.int32([31, 31, 1])),
        case(np.uint8([200, 128, 7]), np.uint8([7, 1, 3])),
    ]


def _neighbours(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(np.float32([0, 1, -1, 3e38]), np.inf),
        case(draw.normal(3), draw.normal(2, 1)),
    ]


def _views(draw):
    return [
        case(draw.normal(2, 3), "int32"),
        case(draw.integers(-9, 9, 2, 3), "float32"),
        case(draw.normal(2, 3), "uint8"),
        case(draw.integers(0, 99, 2, 4).astype("uint8"), "int32"),
        case(draw.normal(4).astype("float16"), "uint16"),
        case(draw.normal(3)),
    ]


def _complexes(draw):
    z = (draw.normal(2, 3) + 1j * draw.normal(2, 3)).astype("complex64")
    return [case(z), case(draw.normal(4)), case(draw.integers(-2, 3, 4)), case(np.complex64([1 + 0j, -1j, 0]))]


def _parts(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 1), draw.normal(3)),
        case(draw.normal(3), 1.0),
        case(np.float32([np.inf, 1]), np.float32([0, np.nan])),
    ]


_GRAPHS = ("openvino", "onnx")
_NO_COMPLEX = dict.fromkeys(_GRAPHS, "it has no complex type")
# No framework gives the neighbour of a float, or bits read as floats, a derivative.
_DISCRETE = {"grad": False}
# One side of each is complex, where gradients of frameworks differ by a conjugate.
_COMPLEX = {"gaps": _NO_COMPLEX, "grad": False}

ROWS = [
    *several(_bits, "bitwise_and bitwise_or bitwise_xor", np),
    row("bitwise_not", _inverted, np.bitwise_not),
    row("bitwise_left_shift", _shifts, np.left_shift),
    row("bitwise_right_shift", _shifts, np.right_shift),
    *several(_whole, "gcd lcm", np),
    row("nextafter", _neighbours, np.nextafter, dict.fromkeys(_GRAPHS, "it has no neighbours of floats"), **_DISCRETE),
    row(
        "view",
        _views,
        lambda x, dtype=None: x.view(dtype or x.dtype),
        dict.fromkeys(_GRAPHS, "it reads no bits"),
        **_DISCRETE,
        vmap=("jax",),  # PyTorch cannot vectorize a view of bits
    ),
    *several(_complexes, "real imag conj isreal angle", np, **_COMPLEX),
    row("complex", _parts, lambda x, y: (x + 1j * np.asarray(y, "float32")).astype("complex64"), **_COMPLEX),
    row("polar", lambda draw: _parts(draw)[:3], lambda x, t: (x * np.exp(1j * t)).astype("complex64"), **_COMPLEX),
    row(
        "view_as_complex",
        lambda draw: [case(draw.normal(3, 2)), case(draw.normal(2))],
        keras_op("view_as_complex"),
        **_COMPLEX,
    ),
    row("view_as_real", lambda draw: _complexes(draw)[:1] + _complexes(draw)[3:], keras_op("view_as_real"), **_COMPLEX),
]
