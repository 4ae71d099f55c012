"""How adapters apply the promotion lattice of `kfun.dtypes` to native arrays.

A framework whose own rules differ from the lattice builds two tables once, from its dtypes by
canonical name, and wraps each of its binary functions:

    PAIRS = table({"bool": torch.bool, "int32": torch.int32, "float32": torch.float32, ...})
    FLOATING = table(..., floating=True)      # for results that are never integers
    rules["add"] = promoting(torch.add, PAIRS, cast)
    rules["divide"] = promoting(torch.divide, FLOATING, cast)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from kfun import dtypes

_WEAK = {bool: "bool", int: "int", float: "float", complex: "complex"}
_NARROWED = {"int64": "int32", "uint64": "int32", "float64": "float32", "complex128": "complex64"}


def result_dtype(*values: Any, dtype_of: Callable[[Any], str], floating: bool = False) -> str:
    """The canonical dtype that arrays and weakly typed Python scalars promote to together.

    Args:
        values: native arrays and Python scalars.
        dtype_of: the canonical dtype name of a native array.
        floating: whether the result is never an integer (`divide`, `mean`).
    """
    names = [dtypes.weak(v) or dtype_of(v) for v in values]
    return dtypes.inexact(*names) if floating else dtypes.settle(dtypes.promote(*names))


def table(natives: Mapping[str, Hashable], floating: bool = False) -> dict[tuple, Any]:
    """Every promotion of two types, `{(type, type): native dtype}`.

    Args:
        natives: the framework's dtype for each canonical name that it has. Python's scalar
            types are added as the weak ones. Pairs without a promotion are absent.
        floating: whether results are never integers.
    """
    names = {native: name for name, native in natives.items()} | _WEAK
    pairs = {}
    for first, second in itertools.product(names, repeat=2):
        try:
            result = dtypes.promote(names[first], names[second])
            result = dtypes.inexact(result) if floating else dtypes.settle(result)
        except TypeError:
            continue
        if result in natives:
            pairs[first, second] = natives[result]
    return pairs


def type_of(value: Any) -> Any:
    """The dtype of a native array, the class of a Python scalar: the keys of `table`."""
    dtype = getattr(value, "dtype", None)
    return type(value) if dtype is None else dtype


def from_python(x: Any) -> np.ndarray:
    """A NumPy array of a scalar, a nested list or NumPy data.

    Python floats become float32, integers int32 and complex numbers complex64; NumPy data keep
    their type.

    Raises:
        OverflowError: if a Python integer does not fit int32.
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    array = np.asarray(x)
    narrow = _NARROWED.get(array.dtype.name)
    if narrow is None or _holds_numpy(x):
        return array
    if narrow == "int32" and array.size and (array.max() > 2**31 - 1 or array.min() < -(2**31)):
        raise OverflowError(f"expected integers of 32 bits; received {x!r}. Give NumPy data of a wider type.")
    return array.astype(narrow)


def _holds_numpy(x):
    if isinstance(x, (list, tuple)):
        return any(_holds_numpy(e) for e in x)
    return isinstance(x, (np.ndarray, np.generic))


def promoting(fn: Callable, pairs: Mapping[tuple, Any], cast: Callable, type_of: Callable = type_of) -> Callable:
    """A rule of two operands that calls `fn` with both in their promoted dtype.

    Args:
        fn: takes two operands of one dtype.
        pairs: a `table`.
        cast: `cast(value, native dtype) -> array`, of arrays and of Python scalars; called only
            where the type differs.
        type_of: the key of an operand in `pairs`.

    Raises:
        TypeError: by the rule, if the two types take no part in implicit promotion (float8).
    """

    def rule(x1, x2):
        first, second = type_of(x1), type_of(x2)
        dtype = pairs.get((first, second))
        if dtype is None:
            raise TypeError(f"no implicit promotion between {first} and {second}: cast one with ops.cast")
        return fn(x1 if first == dtype else cast(x1, dtype), x2 if second == dtype else cast(x2, dtype))

    return rule
