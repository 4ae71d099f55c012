"""Fourier transforms. Complex numbers are pairs `(real, imaginary)` of arrays of one shape.

T is the length of a signal, N of a transform, L of a frame (`sequence_length`), F of frames in a
signal, and `N // 2 + 1` the number of frequencies of a real transform. Half precision is computed
in float32.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, Arrays, derived, primitive
from kfun.ops._precision import dtype_of


@primitive
def fft(x: Arrays):
    """The discrete Fourier transform along the last axis of a pair `[..., N]`: a pair."""


@primitive
def rfft(x: Array, fft_length: int | None = None):
    """The transform of real `[..., T]`: the pair of its frequencies from 0 up, `[..., N // 2 + 1]`.

    `fft_length` is N: `x` is cut or filled up with zeros to it; T by default.
    """


@primitive
def irfft(x: Arrays, fft_length: int | None = None) -> Array:
    """The inverse of `rfft`: real `[..., N]` of a pair `[..., K]`.

    `fft_length` is N, by default `2 * (K - 1)`; the frequencies are cut or filled up with zeros to
    `N // 2 + 1`.
    """


@derived
def ifft(x: Arrays):
    """The inverse of `fft`: the transform with real and imaginary parts exchanged, divided by N."""
    real, imag = x
    size = c.shape(real)[-1]
    turned_imag, turned_real = fft((imag, real))
    return e.divide(turned_real, size), e.divide(turned_imag, size)


@derived
def fft2(x: Arrays):
    """The discrete Fourier transform over the last two axes of a pair `[..., M, N]`: a pair."""
    return _over_rows(fft, _over_rows(fft, x))


@derived
def ifft2(x: Arrays):
    """The inverse of `fft2`."""
    return _over_rows(ifft, _over_rows(ifft, x))


def _over_rows(transform, pair):
    """The transform of the rows, with rows and columns exchanged."""
    return tuple(s.swapaxes(part, -1, -2) for part in transform(tuple(pair)))


@derived
def stft(x: Array, sequence_length: int, sequence_stride: int, fft_length: int, window="hann", center: bool = True):
    """The short-time Fourier transform: `rfft` of windowed frames.

    Args:
        x: `[..., T]`, float32 or float64.
        sequence_length: L, of the window.
        sequence_stride: from the start of one frame to that of the next.
        fft_length: N, at least L; the window is put into the middle of N zeros.
        window: `"hann"` or `"hamming"` (both periodic), an array `[L]`, or None for ones.
        center: whether frame t is centred at `t * sequence_stride`: `x` is reflected at its ends by `N // 2`.

    Returns:
        A pair `[..., F, N // 2 + 1]`.

    Raises:
        TypeError: if `x` is not float32 or float64.
        ValueError: if N is below L, or the window has another name or length.
    """
    if dtype_of(x) not in ("float32", "float64"):
        raise TypeError(f"ops.stft: expected float32 or float64; received {dtype_of(x)}: cast it with ops.cast")
    _positive("stft", sequence_stride)
    weights = _window("stft", window, sequence_length, fft_length, dtype_of(x))
    if center:
        ends = (fft_length // 2, fft_length // 2)
        x = s.pad(x, [*[(0, 0)] * (len(c.shape(x)) - 1), ends], "reflect")
    frames = (c.shape(x)[-1] - fft_length) // sequence_stride + 1
    starts = np.arange(frames, dtype="int32") if isinstance(frames, int) else c.arange(frames)
    places = starts[:, None] * sequence_stride + np.arange(fft_length, dtype="int32")
    return rfft(e.multiply(s.take(x, places, -1), weights))


@derived
def istft(
    x: Arrays,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window="hann",
    center: bool = True,
) -> Array:
    """The inverse of `stft`, by least squares: windowed frames are added up and divided by the sum of
    the squared windows (Griffin and Lim 1984, doi:10.1109/TASSP.1984.1164317).

    Args:
        x: a pair `[..., F, N // 2 + 1]`.
        length: of the result; by default all that the frames cover, without the padding of `center`.
        sequence_length, sequence_stride, fft_length, window, center: those of `stft`. With `window`
            None the result is N / stride times the signal, as Keras has it on JAX.

    Returns:
        `[..., T]`.
    """
    shape = c.shape(x[0])
    if len(shape) < 2:
        raise ValueError(f"ops.istft: expected a pair [..., F, K]; received shape {shape}")
    _positive("istft", sequence_stride)
    frames = irfft(x, fft_length)
    weights = _window("istft", window, sequence_length, fft_length, dtype_of(frames))
    first = s.getitem(frames, (builtins.slice(0, 1),) * (len(shape) - 2))
    total = _overlap_add(e.multiply(c.ones_like(first), weights * weights), sequence_stride)
    signal = _overlap_add(e.multiply(frames, weights), sequence_stride)
    covered = e.greater(total, 1e-10)
    signal = e.where(covered, e.divide(signal, e.where(covered, total, 1)), signal)
    if window is None:
        signal = e.multiply(signal, fft_length / sequence_stride)
    start = fft_length // 2 if center else 0
    end = fft_length + sequence_stride * (shape[-2] - 1) - start if length is None else start + length
    return s.getitem(signal, (..., builtins.slice(start, end)))


def _positive(op: str, sequence_stride: Any) -> None:
    if not isinstance(sequence_stride, int) or sequence_stride < 1:
        raise ValueError(f"ops.{op}: expected a positive integer as sequence_stride; received {sequence_stride!r}")


def _window(op: str, window: Any, length: int, total: int, dtype: str) -> Any:
    """The weights of a frame: the window in the middle of zeros."""
    if total < length:
        raise ValueError(f"ops.{op}: expected fft_length of at least sequence_length {length}; received {total}")
    before = (total - length) // 2
    ends = (before, total - length - before)
    if window is None:
        return np.ones(total, dtype)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f"ops.{op}: expected window 'hann', 'hamming', an array or None; received {window!r}")
        mean = 0.5 if window == "hann" else 0.54
        window = mean - (1 - mean) * np.cos(2 * math.pi * np.arange(length) / length)
    elif isinstance(window, (tuple, list)):
        window = np.asarray(window)
    shape = window.shape if isinstance(window, np.ndarray) else c.shape(window)
    if len(shape) != 1 or (isinstance(shape[0], int) and shape[0] != length):
        raise ValueError(f"ops.{op}: expected a window of shape ({length},); received {shape}")
    if isinstance(window, np.ndarray):
        return np.concatenate([np.zeros(ends[0]), window, np.zeros(ends[1])]).astype(dtype)
    return s.pad(c.cast(window, dtype), [ends])


def _overlap_add(frames, stride: int):
    """`[..., F, N]` added up where they overlap, frame t from `t * stride` on.

    Cut into blocks of one stride, block j of frame t is part of block t + j of the result.
    """
    *lead, count, size = c.shape(frames)
    blocks = -(-size // stride)
    none = [(0, 0)] * len(lead)
    frames = s.pad(frames, [*none, (0, 0), (0, blocks * stride - size)])
    total = None
    for j in range(blocks):
        part = s.getitem(frames, (..., builtins.slice(j * stride, (j + 1) * stride)))
        part = s.pad(part, [*none, (j, blocks - 1 - j), (0, 0)])
        total = part if total is None else e.add(total, part)
    return s.reshape(total, (*lead, (count + blocks - 1) * stride))
