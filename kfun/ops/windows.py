"""Window functions of signal processing: float32 weights that taper off to both ends."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from kfun.ops._dispatch import Array, derived
from kfun.ops.creation import convert_to_tensor


@derived
def bartlett(x) -> Array:
    """The triangle of `x` points, 0 at both ends."""
    return _window("bartlett", np.bartlett, x)


@derived
def blackman(x) -> Array:
    """The Blackman window of `x` points: `0.42 - 0.5 cos(t) + 0.08 cos(2 t)`, t from 0 to 2 pi."""
    return _window("blackman", np.blackman, x)


@derived
def hamming(x) -> Array:
    """The Hamming window of `x` points: `0.54 - 0.46 cos(t)`, t from 0 to 2 pi."""
    return _window("hamming", np.hamming, x)


@derived
def hanning(x) -> Array:
    """The Hann window of `x` points: `0.5 - 0.5 cos(t)`, t from 0 to 2 pi."""
    return _window("hanning", np.hanning, x)


@derived
def kaiser(x, beta: float) -> Array:
    """The Kaiser window of `x` points: `i0(beta sqrt(1 - s ** 2)) / i0(beta)`, s from -1 to 1.

    Args:
        x: the number of points.
        beta: 0 is a rectangle; the larger, the narrower.
    """
    return _window("kaiser", lambda n: np.kaiser(n, float(beta)), x)


def _window(op: str, make: Callable, points) -> Array:
    """The weights, computed on the host in float64."""
    try:
        n = operator.index(points)
    except TypeError as error:
        raise TypeError(f"ops.{op}: expected the number of points as an int; received {points!r}") from error
    if n < 0:
        raise ValueError(f"ops.{op}: expected at least 0 points; received {n}")
    return convert_to_tensor(np.asarray(make(n), "float32"))
