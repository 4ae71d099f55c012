"""Fourier transforms on ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kfun.backends.onnx import elementwise, shaping
from kfun.backends.onnx.value import Value, as_value, cast, emit, promoted

_PRECISE = "float64"  # onnxruntime's transforms of float32 lose two digits


def _transformed(x: tuple, axes: list[int], inverse: bool) -> tuple[Value, Value]:
    """A Fourier transform of the real and the imaginary part over some axes."""
    dtype = promoted(*x, floating=True)
    z = shaping.stack([as_value(part, _PRECISE) for part in x], -1)  # ONNX keeps the two in a last axis
    for axis in axes:
        z = emit("DFT", z, None, as_value(axis - 1, "int64"), inverse=int(inverse), shape=z.shape)
    return _halves(z, dtype)


def _halves(z: Value, dtype: str) -> tuple[Value, Value]:
    z = cast(z, dtype)
    return shaping.getitem(z, (..., 0)), shaping.getitem(z, (..., 1))


def _over(axes: list[int], inverse: bool) -> Callable:
    return lambda x: _transformed(x, axes, inverse)


def _fitted(x: Value, size: Any) -> Value:
    """`x` with its last axis cut or filled up with zeros to a size."""
    old = x.shape[-1]
    more = max(size - old, 0) if isinstance(old, int) and isinstance(size, int) else size
    padded = shaping.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, more)])
    return shaping.slice_(padded, [0] * x.ndim, [*x.shape[:-1], size])


def rfft(x, fft_length=None):
    dtype = promoted(x, floating=True)
    x = as_value(x, _PRECISE)
    x = x if fft_length is None else _fitted(x, fft_length)
    z = emit("DFT", shaping.expand_dims(x, -1), None, as_value(-2, "int64"), onesided=1)
    return _halves(z, dtype)


def irfft(x, fft_length=None):
    """The half that a real signal's transform repeats is mirrored on: ONNX inverts whole spectra."""
    dtype = promoted(*x, floating=True)
    real, imaginary = (as_value(part, _PRECISE) for part in x)
    length = 2 * (real.shape[-1] - 1) if fft_length is None else fft_length
    half = length // 2 + 1
    if fft_length is not None:
        real, imaginary = _fitted(real, half), _fitted(imaginary, half)
    rest = (..., slice(length - half, 0, -1))
    mirrored = elementwise.RULES["negative"](shaping.getitem(imaginary, rest))
    whole = shaping.concatenate([real, shaping.getitem(real, rest)], -1), shaping.concatenate([imaginary, mirrored], -1)
    return cast(_transformed(whole, [-1], True)[0], dtype)


RULES = {
    "fft": _over([-1], False),
    "ifft": _over([-1], True),
    "fft2": _over([-2, -1], False),
    "ifft2": _over([-2, -1], True),
    "rfft": rfft,
    "irfft": irfft,
}
