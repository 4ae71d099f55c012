"""Data types: canonical names, and the one promotion lattice that every backend follows."""

from __future__ import annotations

import functools

import numpy as np

FLOATS = ("bfloat16", "float16", "float32", "float64")
INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
COMPLEX = ("complex64", "complex128")
FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
ALL = ("bool", *INTEGERS, *FLOATS, *COMPLEX, *FLOAT8, "string")
_CANONICAL = dict.fromkeys(ALL)

# JAX's lattice: an edge leads to the types that a type may widen to. "int", "float" and
# "complex" are the weak types of Python scalars.
_EDGES = {
    "bool": ("int",),
    "int": ("uint8", "int8"),
    "uint8": ("uint16", "int16"),
    "uint16": ("uint32", "int32"),
    "uint32": ("uint64", "int64"),
    "uint64": ("float",),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("float",),
    "float": ("bfloat16", "float16", "complex"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64", "complex64"),
    "float64": ("complex128",),
    "complex": ("complex64",),
    "complex64": ("complex128",),
    "complex128": (),
}
_WEAK = {bool: "bool", int: "int", float: "float", complex: "complex"}
_WEAK_DEFAULT = {"int": "int32", "float": "float32", "complex": "complex64"}


@functools.cache
def _above(dtype: str) -> frozenset[str]:
    return frozenset({dtype}).union(*(_above(wider) for wider in _EDGES[dtype]))


def _memo(function):
    """Remembers results in a plain dict, which `torch.compile` traces where it stops at `functools.cache`."""
    known: dict = {}

    def call(*args):
        result = known.get(args)
        if result is None:
            result = known[args] = function(*args)
        return result

    return functools.wraps(function)(call)


@_memo
def promote(*dtypes: str) -> str:
    """The least type that all of `dtypes` widen to.

    Args:
        dtypes: canonical names, or `"int"`, `"float"`, `"complex"` for the weakly typed
            Python scalars, which never widen an array of their own category.

    Returns:
        A canonical name, or a weak one if all are weak.

    Raises:
        TypeError: if a type takes no part in implicit promotion (float8, string).
    """
    if len(set(dtypes)) == 1:
        return dtypes[0]
    if any(d not in _EDGES for d in dtypes):
        raise TypeError(f"no implicit promotion between {', '.join(dtypes)}: cast one with ops.cast")
    common = frozenset.intersection(*(_above(d) for d in dtypes))
    found = next(d for d in common if common <= _above(d))
    # uint64 with a signed type: no integer holds both, and no operand says which float.
    return "float64" if found == "float" and "float" not in dtypes and "uint64" in dtypes else found


def weak(value: object) -> str | None:
    """The weak type of a Python scalar (`3` -> `"int"`), or None for anything else."""
    return _WEAK.get(type(value))


def weak_type(dtype: object) -> str | None:
    """The weak type that a Python class stands for (`int` -> `"int"`), or None for any other dtype."""
    return _WEAK.get(dtype) if isinstance(dtype, type) else None


def settle(dtype: str) -> str:
    """A weak type made definite: `"int"` is int32, `"float"` float32, `"complex"` complex64."""
    return _WEAK_DEFAULT.get(dtype, dtype)


@_memo
def _name(dtype) -> str:
    if isinstance(dtype, str):
        name = {"int": "int32", "float": "float32", "half": "float16"}.get(dtype, dtype)
    elif dtype in _WEAK:
        name = settle(_WEAK[dtype])
    elif type(dtype).__module__.partition(".")[0] == "torch":
        name = str(dtype).removeprefix("torch.")
    else:
        name = np.dtype(dtype).name
    if name not in ALL:
        raise ValueError(f"unknown dtype {dtype!r}; expected one of {', '.join(ALL)}")
    return name


def name(dtype) -> str:
    """The canonical name of a dtype given as a name or as an object of any framework.

    Raises:
        ValueError: if the dtype is not one of `kfun.dtypes.ALL`.
    """
    if hasattr(dtype, "as_numpy_dtype"):  # TensorFlow's, as keys of a memo, stop torch.compile
        dtype = dtype.name
    if type(dtype) is str and dtype in _CANONICAL:
        return dtype
    try:
        return _name(dtype)
    except TypeError as error:
        raise ValueError(f"unknown dtype {dtype!r}; expected one of {', '.join(ALL)}") from error


def is_float(dtype: str) -> bool:
    """Whether `dtype` is a floating type (float8 and bfloat16 included)."""
    return dtype in FLOATS or dtype in FLOAT8


def is_integer(dtype: str) -> bool:
    """Whether `dtype` is a signed or unsigned integer type (bool is not)."""
    return dtype in INTEGERS


def inexact(*dtypes: str) -> str:
    """The type of a result that is never an integer (`exp`, `mean`, `divide`): promotes with a weak float."""
    return settle(promote("float", *dtypes))
