"""Types and constant data of ONNX graphs."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from kfun import dtypes

NAMES = ("bool", *dtypes.INTEGERS, *dtypes.FLOATS, *dtypes.FLOAT8)
_constants: contextvars.ContextVar[Constants | None] = contextvars.ContextVar("onnx_constants", default=None)


def native(dtype: Any) -> ir.DataType:
    """ONNX's type for a dtype; raises TypeError if it has none."""
    name = dtypes.name(dtype)
    if name not in NAMES:
        raise TypeError(f"ONNX has no {name} arrays here; expected one of {', '.join(NAMES)}")
    return ir.DataType.from_numpy(np.dtype(name))


def described(output: ir.Value, dtype: str, shape: Sequence) -> ir.Value:
    """The value of a graph with its type: sizes are ints, or open with the name that they have, if any."""
    output.type = ir.TensorType(native(dtype))
    output.shape = ir.Shape([s if isinstance(s, int) else getattr(s, "name", None) for s in shape])
    return output


class Constants:
    """The constants of one graph: within `with Constants():` one NumPy array makes one, however often it is used.

    Args:
        names: `{path: array}`, by which the model shows arrays such as weights.
    """

    def __init__(self, names: Mapping[str, Any] | None = None):
        self.names = {id(array): (path, array) for path, array in (names or {}).items()}
        self.values: dict[tuple, tuple[Any, Any]] = {}  # by identity of the data; holding them keeps ids unique
        self.initializers: dict[Any, tuple[ir.Value, Any]] = {}

    def __enter__(self) -> Constants:
        self._token = _constants.set(self)
        return self

    def __exit__(self, *_):
        _constants.reset(self._token)


def initializer(array: np.ndarray) -> ir.Value:
    """The value of the graph that holds constant data: the same one for the same array, or for few equal elements."""
    known = _constants.get()
    named = known is not None and id(array) in known.names
    key = id(array) if named or array.size > 16 else (array.dtype, array.shape, array.tobytes())
    if known is not None and key in known.initializers:
        return known.initializers[key][0]
    # A copy of what others may change: the graph keeps the numbers of the time when it was built.
    data = array.copy() if array.flags.writeable or not array.flags.c_contiguous else array
    made = ir.Value(name=known.names[id(array)][0] if named else None, const_value=ir.tensor(data))
    described(made, array.dtype.name, array.shape)
    if known is not None:
        known.initializers[key] = made, array
    return made


def shared_constants() -> Constants | None:
    """The constants of the graph that is being built; None outside of one."""
    return _constants.get()
