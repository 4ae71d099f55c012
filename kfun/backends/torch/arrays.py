"""Dtypes, promotion and conversion of PyTorch tensors."""

from __future__ import annotations

import numpy as np
import torch

from kfun import dtypes
from kfun.backends.common.promotion import from_python, promoting, result_dtype, table

NATIVE = {name: getattr(torch, name) for name in dtypes.ALL if hasattr(torch, name)}
NAMES = {native: name for name, native in NATIVE.items()}
PAIRS, FLOATING = table(NATIVE), table(NATIVE, floating=True)
# A table of every spelling, because a compiler traces through a dictionary but not through a cache.
_SPELLINGS = {**NATIVE, **{d: d for d in NAMES}, bool: torch.bool, int: torch.int32, float: torch.float32}
VIEWED = {torch.bfloat16: torch.int16, torch.float8_e4m3fn: torch.int8, torch.float8_e5m2: torch.int8}
HALF = (torch.float16, torch.bfloat16)
_NARROW = {torch.uint16, torch.uint32}
ACCELERATED = torch.accelerator.is_available()  # else there is no device to see to
PLAIN = {torch.float32, torch.float64, torch.float16, torch.bfloat16}  # two of one need no promotion in any op


def native(dtype) -> torch.dtype:
    """The torch dtype of any spelling of a dtype.

    Raises:
        ValueError: if the dtype is unknown.
        TypeError: if PyTorch has no such type.
    """
    found = _SPELLINGS.get(dtype)
    if found is None:
        name = dtypes.name(dtype)
        found = NATIVE.get(name)
        if found is None:
            raise TypeError(f"PyTorch has no {name} arrays; expected one of {', '.join(NATIVE)}")
    return found


def native_of(value) -> torch.dtype:
    """The dtype of a tensor, or the one that a Python scalar takes alone."""
    return value.dtype if isinstance(value, torch.Tensor) else native(type(value))


def cast(x, dtype):
    """`x`, a tensor or a Python scalar, in another type."""
    target = native(dtype)
    if not isinstance(x, torch.Tensor):
        return torch.tensor(x, dtype=target)
    return x if x.dtype is target else x.to(target)


def floating(x):
    """`x` if it is inexact already, else in float32."""
    return x if x.dtype.is_floating_point or x.dtype.is_complex else x.to(torch.float32)


def several(value):
    """An int, or several, as a tuple: of sizes, of axes."""
    return (value,) if isinstance(value, int) else tuple(value)


def of_floats(f):
    """A function of floats, integers as float32."""
    return lambda x: f(floating(x))


def widen(x):
    """PyTorch has few functions of uint16 and uint32: those compute in int64."""
    return x.to(torch.int64) if isinstance(x, torch.Tensor) and x.dtype in _NARROW else x


def of_integers(f):
    """A function of two integers; uint16 and uint32, for which PyTorch has few, as int64."""

    def wide(x1, x2):
        return f(widen(x1), widen(x2)).to(x1.dtype)

    return promoting(wide, PAIRS, cast)


def same_type(*arrays):
    """The arrays in their promoted type."""
    target = arrays[0].dtype
    for x in arrays[1:]:
        if x.dtype is target:
            continue
        target = PAIRS.get((target, x.dtype))
        if target is None:
            result_dtype(*arrays, dtype_of=lambda a: NAMES[a.dtype])  # says which types do not promote
    return [x if x.dtype is target else x.to(target) for x in arrays]


def convert(x):
    """A tensor of NumPy data (sharing its memory where writeable), a Python scalar or a list."""
    if isinstance(x, torch.Tensor):
        return x
    if torch.compiler.is_compiling() and isinstance(x, np.ndarray):
        return _here(torch.from_numpy(x))  # a compiler knows neither flags nor strides of NumPy's
    if isinstance(x, (list, tuple)) and holds_tensors(x):
        return torch.stack(same_type(*[convert(e) for e in x]))
    if type(x) in (bool, int, float, complex):
        return torch.tensor(x, dtype=native(dtypes.settle(dtypes.weak(x))))
    return _from_numpy(from_python(x))


def holds_tensors(x):
    return any(isinstance(e, torch.Tensor) or (isinstance(e, (list, tuple)) and holds_tensors(e)) for e in x)


def _from_numpy(x):
    if not x.flags.writeable or any(s < 0 for s in x.strides) or not x.dtype.isnative:
        x = np.array(x, x.dtype.newbyteorder("="))
    target = native(x.dtype)
    if target in VIEWED:
        return _here(torch.from_numpy(x.view(f"int{8 * x.itemsize}")).view(target))
    return _here(torch.from_numpy(x))


def _here(x):
    """A tensor on PyTorch's default device, which is that of the op's other tensors while it runs."""
    return x.to(torch.get_default_device()) if ACCELERATED else x
