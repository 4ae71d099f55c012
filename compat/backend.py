"""The backend's name and settings, and `clear_session`."""

import jax as _jax

from compat.config import backend as backend
from compat.config import epsilon as epsilon
from compat.config import floatx as floatx
from compat.config import image_data_format as image_data_format
from compat.config import set_epsilon as set_epsilon
from compat.config import set_floatx as set_floatx
from compat.config import set_image_data_format as set_image_data_format
from compat.state import naming as _naming
from compat.state.keras_tensor import KerasTensor as _KerasTensor
from compat.variables.session import clear_session as clear_session
from compat.variables.variable import Variable as Variable
from kfun import dtypes as _dtypes
from kfun.errors import unknown_names_of as _unknown_names_of


def is_keras_tensor(x) -> bool:
    """Whether `x` is a symbolic tensor."""
    return isinstance(x, _KerasTensor)


def standardize_dtype(dtype) -> str:
    """The canonical name of a dtype, floatx for None."""
    return floatx() if dtype is None else _dtypes.name(dtype)


def get_uid(prefix: str = "") -> int:
    """A number that goes up with each call for a prefix."""
    return _naming.next_number(prefix)


def result_type(*dtypes) -> str:
    """The type that a computation on these types gives: floatx of nothing.

    Python's `int`, `float` and `bool` are weak and never widen an array of their own category; None is floatx.
    64-bit types count as 32-bit ones unless JAX computes with them.
    """
    found = _dtypes.settle(_dtypes.promote(*(_dtypes.weak_type(d) or standardize_dtype(d) for d in dtypes or (None,))))
    return (
        found
        if found == "string" or _jax.config.jax_enable_x64
        else _dtypes.name(_jax.dtypes.canonicalize_dtype(found))
    )


def is_float_dtype(dtype) -> bool:
    """Whether a dtype (floatx for None) is floating."""
    return _dtypes.is_float(standardize_dtype(dtype))


def is_int_dtype(dtype) -> bool:
    """Whether a dtype (floatx for None) is an integer, signed or not; bool is none."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


__getattr__ = _unknown_names_of(globals())
