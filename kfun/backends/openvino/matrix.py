"""Inverses, linear systems and Fourier transforms on OpenVINO, and what it has no decompositions for."""

from __future__ import annotations

from typing import Any

from openvino import opset16 as o

from kfun.backends.common.matrices import checked
from kfun.backends.openvino import elementwise as e
from kfun.backends.openvino import indexing as indexing
from kfun.backends.openvino import reduction as reduction
from kfun.backends.openvino import shaping as s
from kfun.backends.openvino.value import Value, as_value, cast, integers, promoted


def _single(*operands: Any) -> str:
    """The type to compute in: at least float32, which the CPU has kernels for."""
    dtype = promoted(*operands, floating=True)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def inv(x):
    return cast(Value(o.inverse(as_value(x, _single(x)).output, False)), promoted(x, floating=True))


def solve(a, b):
    """By the inverse; one step of refinement takes back what that loses in accuracy."""
    dtype = _single(a, b)
    a, columns = as_value(a, dtype), as_value(b, dtype)
    vector = columns.ndim == 1
    columns = s.expand_dims(columns, -1) if vector else columns
    inverse = inv(a)
    x = reduction.matmul(inverse, columns)
    rest = e.RULES["subtract"](columns, reduction.matmul(a, x))
    x = cast(e.RULES["add"](x, reduction.matmul(inverse, rest)), promoted(a, b, floating=True))
    return s.squeeze(x, -1) if vector else x


def solve_triangular(a, b, lower=False):
    return solve(s.RULES["tril" if lower else "triu"](a), b)


def _halves(z: Any, dtype: str) -> tuple[Value, Value]:
    """The real and the imaginary parts, which OpenVINO keeps in a last axis of two."""
    z = cast(Value(z), dtype)
    return indexing.getitem(z, (..., 0)), indexing.getitem(z, (..., 1))


def _complex(x: Any) -> Any:
    """A pair as OpenVINO has it; its transforms know no float64."""
    return s.stack([as_value(part, "float32") for part in x], -1)


def _over_last(make: Any, axes: list[int]) -> Any:
    """Of a transform over the last axes of complex numbers."""
    return lambda x: _halves(make(_complex(x).output, integers(axes)), promoted(*x, floating=True))


def _fitted(x: Value, axis: int, size: Any) -> Value:
    """`x` cut or filled up with zeros to a size."""
    old = x.shape[axis]
    more = max(size - old, 0) if isinstance(old, int) and isinstance(size, int) else size
    before = [slice(None)] * (axis % x.ndim)
    widths = [(0, more if i == axis % x.ndim else 0) for i in range(x.ndim)]
    return indexing.getitem(s.pad(x, widths), (*before, slice(0, size)))


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
    **checked({"inv": inv, "solve": solve, "solve_triangular": solve_triangular}),
    "fft": _over_last(o.dft, [-1]),
    "ifft": _over_last(o.idft, [-1]),
    "fft2": _over_last(o.dft, [-2, -1]),
    "ifft2": _over_last(o.idft, [-2, -1]),
    "rfft": rfft,
    "irfft": irfft,
}
