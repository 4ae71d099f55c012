"""Fourier transforms on OpenVINO."""

from __future__ import annotations

from typing import Any

from openvino import opset16 as o

from kfun.backends.openvino import shaping
from kfun.backends.openvino.value import Value, as_value, cast, integers, promoted


def _halves(z: Any, dtype: str) -> tuple[Value, Value]:
    """The real and the imaginary parts, which OpenVINO keeps in a last axis of two."""
    z = cast(Value(z), dtype)
    return shaping.getitem(z, (..., 0)), shaping.getitem(z, (..., 1))


def _complex(x: Any) -> Any:
    """A pair as OpenVINO has it; its transforms know no float64."""
    return shaping.stack([as_value(part, "float32") for part in x], -1)


def _over_last(make: Any, axes: list[int]) -> Any:
    """Of a transform over the last axes of complex numbers."""
    return lambda x: _halves(make(_complex(x).output, integers(axes)), promoted(*x, floating=True))


def _fitted(x: Value, axis: int, size: Any) -> Value:
    """`x` cut or filled up with zeros to a size."""
    old = x.shape[axis]
    more = max(size - old, 0) if isinstance(old, int) and isinstance(size, int) else size
    before = [slice(None)] * (axis % x.ndim)
    widths = [(0, more if i == axis % x.ndim else 0) for i in range(x.ndim)]
    return shaping.getitem(shaping.pad(x, widths), (*before, slice(0, size)))


def rfft(x, fft_length=None):
    x, dtype = as_value(x, "float32"), promoted(x, floating=True)
    x = x if fft_length is None else _fitted(x, -1, fft_length)
    length = x.shape[-1] if fft_length is None else fft_length
    return _halves(o.rdft(x.output, integers([-1]), integers([length])), dtype)


def irfft(x, fft_length=None):
    z = _complex(x)
    length = 2 * (z.shape[-2] - 1) if fft_length is None else fft_length
    z = z if fft_length is None else _fitted(z, -2, fft_length // 2 + 1)
    return cast(Value(o.irdft(z.output, integers([-1]), integers([length]))), promoted(*x, floating=True))


RULES = {
    "fft": _over_last(o.dft, [-1]),
    "ifft": _over_last(o.idft, [-1]),
    "fft2": _over_last(o.dft, [-2, -1]),
    "ifft2": _over_last(o.idft, [-2, -1]),
    "rfft": rfft,
    "irfft": irfft,
}
