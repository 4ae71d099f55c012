"""Numbers between two ends: evenly spaced, or spaced by a constant factor.

The ends may be arrays, which broadcast; the numbers then lie along a new axis. Between Python
numbers they are computed on the host in float64.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, DType, Scalar, derived
from kfun.ops._operands import arrays, floating


@derived
def linspace(
    start: Scalar, stop: Scalar, num=50, endpoint: bool = True, retstep: bool = False, dtype: DType = None, axis=0
):
    """`num` evenly spaced numbers from `start` to `stop`.

    Args:
        start: the first number, an array or a Python number.
        stop: the last one.
        num: how many, an int.
        endpoint: whether `stop` is the last; else it would be the next after the last.
        retstep: whether to give the distance between neighbours too.
        dtype: of the numbers, integers rounded down; by default the floating type of the ends.
        axis: where the new axis lies in the result.

    Returns:
        The numbers, or a pair of them and the distance.
    """
    num = _count("linspace", num)
    gaps = num - 1 if endpoint else num
    name = None if dtype is None else dtypes.name(dtype)
    if _plain(start, stop):
        numbers = c.convert_to_tensor(_rounded_down(np.linspace(start, stop, num, endpoint), name), name or "float32")
        return (numbers, c.convert_to_tensor(float(stop - start) / gaps if gaps else np.nan)) if retstep else numbers
    start, stop = (floating(x) for x in _both(start, stop))
    numbers = _between(start, stop, num, gaps, whole=name is not None and dtypes.is_integer(name))
    numbers = s.moveaxis(numbers, 0, axis) if name is None else s.moveaxis(c.cast(numbers, name), 0, axis)
    if not retstep:
        return numbers
    return numbers, e.divide(e.subtract(stop, start), float(gaps) if gaps else np.nan)


def _between(start, stop, num: int, gaps: int, whole: bool):
    """Weighted means of the ends, along a new first axis; the ends themselves are exact."""
    rank = len(c.shape(e.add(start, stop)))
    steps = np.arange(num).reshape(num, *[1] * rank)
    last = max(gaps, 1)
    if whole:  # one division at the end, which is exact where the number is an integer
        total = e.add(e.multiply(start, _like(last - steps, start)), e.multiply(stop, _like(steps, start)))
        return e.floor(e.divide(total, float(last)))
    weights = steps / last
    return e.add(e.multiply(start, _like(1 - weights, start)), e.multiply(stop, _like(weights, start)))


@derived
def logspace(
    start: Scalar, stop: Scalar, num=50, endpoint: bool = True, base: Scalar = 10, dtype: DType = None, axis=0
) -> Array:
    """`base ** linspace(start, stop, ...)`: from `base ** start` to `base ** stop` by a constant factor."""
    if _plain(start, stop, base):
        name = None if dtype is None else dtypes.name(dtype)
        powers = np.logspace(start, stop, _count("logspace", num), endpoint, base)
        return c.convert_to_tensor(_rounded_down(powers, name), name or "float32")
    powers = e.power(base, linspace(start, stop, num, endpoint, False, None, axis))
    return powers if dtype is None else c.cast(powers, dtype)


@derived
def geomspace(start: Scalar, stop: Scalar, num=50, endpoint: bool = True, dtype: DType = None, axis=0) -> Array:
    """`num` numbers from `start` to `stop` by a constant factor.

    Args:
        start: the first number, an array or a Python number, not 0.
        stop: the last one, of the same sign.
        num: how many, an int.
        endpoint: whether `stop` is the last.
        dtype: of the numbers; by default the floating type of the ends.
        axis: where the new axis lies in the result.

    Raises:
        ValueError: if `start` and `stop` are Python numbers that are 0 or of different signs.
    """
    if _plain(start, stop):
        if start * stop <= 0:
            raise ValueError(f"ops.geomspace: expected two numbers of one sign; received {start} and {stop}")
        name = None if dtype is None else dtypes.name(dtype)
        numbers = np.geomspace(start, stop, _count("geomspace", num), endpoint)
        return c.convert_to_tensor(_rounded_down(numbers, name), name or "float32")
    start, stop = (floating(x) for x in _both(start, stop))
    sign = e.sign(start)
    grown = e.exp(linspace(e.log(e.abs(start)), e.log(e.abs(stop)), num, endpoint, False, None, 0))
    numbers = s.moveaxis(e.multiply(sign, grown), 0, axis)
    return numbers if dtype is None else c.cast(numbers, dtype)


def _count(op: str, num: Any) -> int:
    try:
        count = operator.index(num)
    except TypeError as error:
        raise TypeError(f"ops.{op}: expected num as an int; received {num!r}") from error
    if count < 0:
        raise ValueError(f"ops.{op}: expected num of at least 0; received {count}")
    return count


def _plain(*ends: Any) -> bool:
    return all(isinstance(end, (int, float)) for end in ends)


def _both(start: Any, stop: Any) -> tuple[Any, Any]:
    """The ends as arrays; NumPy arrays and lists follow the default backend unless the other end decides."""
    if isinstance(start, (list, tuple, np.ndarray, np.generic)):
        start = np.asarray(start)
    if isinstance(stop, (list, tuple, np.ndarray, np.generic)):
        stop = np.asarray(stop)
    return arrays(start, stop)


def _like(weights: np.ndarray, x: Any) -> np.ndarray:
    return weights.astype(np.dtype(dtypes.name(x.dtype)))


def _rounded_down(numbers: np.ndarray, dtype: str | None) -> np.ndarray:
    return np.floor(numbers) if dtype is not None and dtypes.is_integer(dtype) else numbers
