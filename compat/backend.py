"""The backend's name and settings, and `clear_session`."""

from compat._unknown import unknown_names_of as _unknown_names_of
from compat.config import backend as backend
from compat.config import epsilon as epsilon
from compat.config import floatx as floatx
from compat.config import image_data_format as image_data_format
from compat.config import set_epsilon as set_epsilon
from compat.config import set_floatx as set_floatx
from compat.config import set_image_data_format as set_image_data_format
from compat.core.keras_tensor import KerasTensor as _KerasTensor
from compat.core.variable import Variable as Variable


def is_keras_tensor(x) -> bool:
    """Whether `x` is a symbolic tensor."""
    return isinstance(x, _KerasTensor)


def standardize_dtype(dtype) -> str:
    """The canonical name of a dtype, floatx for None."""
    from kfun import dtypes

    return floatx() if dtype is None else dtypes.name(dtype)


def clear_session(free_memory: bool = True) -> None:
    """Starts automatic names and the global random seed anew."""
    from compat.utils import clear_session as clear

    clear(free_memory)


def get_uid(prefix: str = "") -> int:
    """A number that goes up with each call for a prefix."""
    from compat.core import naming

    return naming.next_number(prefix)


def result_type(*dtypes) -> str:
    """The type that a computation on these types gives: floatx of nothing.

    Python's `int`, `float` and `bool` are weak and never widen an array of their own category; None is floatx.
    64-bit types count as 32-bit ones unless JAX computes with them.
    """
    import jax

    from kfun.dtypes import name, promote, settle, weak_type

    found = settle(promote(*(weak_type(d) or standardize_dtype(d) for d in dtypes or (None,))))
    return found if found == "string" or jax.config.jax_enable_x64 else name(jax.dtypes.canonicalize_dtype(found))


def is_float_dtype(dtype) -> bool:
    """Whether a dtype (floatx for None) is floating."""
    from kfun import dtypes

    return dtypes.is_float(standardize_dtype(dtype))


def is_int_dtype(dtype) -> bool:
    """Whether a dtype (floatx for None) is an integer, signed or not; bool is none."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


__getattr__ = _unknown_names_of(globals())
