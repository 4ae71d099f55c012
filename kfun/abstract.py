"""Shapes and dtypes of a function's results, without computing them.

Sizes of None become symbolic dimensions of `jax.export`, so that one abstract run serves every
size. Where an op refuses a symbolic size (a reshape that must divide, say), two runs with unlike
large sizes tell which result sizes depend on them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import jax
from jax.export import symbolic_shape

from kfun.errors import UnknownSizeError
from kfun.spec import Spec

# Highly divisible, so that splits and reshapes work, and apart by unlike factors.
_FILLS = ((5040, 10080, 15120, 20160, 25200, 30240), (55440, 65520, 85680, 95760, 115920, 126000))

_FILLED = re.compile(rf"\b({'|'.join(str(n) for fill in _FILLS for n in fill)})\b")


@functools.cache
def _symbol(axis: int) -> Any:
    return symbolic_shape(f"d{axis}", scope=_scope())[0]


@functools.cache
def _scope():
    from jax.export import SymbolicScope

    return SymbolicScope()


_MOST_SYMBOLS = 8  # of one array: JAX compares products of theirs in all combinations of their bounds


def _too_many(axis: int) -> Any:
    raise NotImplementedError("too many unknown sizes for symbolic ones")


def _is_spec(x: Any) -> bool:
    return isinstance(x, Spec)


def _struct(spec: Spec, size: Callable[[int], Any]) -> jax.ShapeDtypeStruct:
    shape = tuple(size(i) if s is None else s for i, s in enumerate(spec.shape))
    return jax.ShapeDtypeStruct(shape, spec.dtype)


def evaluate(function: Callable, *specs: Any) -> Any:
    """The specs of `function(*specs)`'s results.

    Args:
        function: takes arrays where `specs` has a `Spec`, pytrees of them alike. It is traced
            with JAX: side effects happen, perhaps twice.
        specs: pytrees with `Spec` leaves. A size of None on one axis is taken to be the same
            number on that axis of every input.

    Returns:
        A pytree of `Spec`, None where a size depends on an unknown one.
    """
    unknown = max((s.shape.count(None) for s in jax.tree.leaves(specs, is_leaf=_is_spec) if _is_spec(s)), default=0)
    if unknown == 0:
        return _run(function, specs, int)
    try:
        return _run(function, specs, _symbol if unknown <= _MOST_SYMBOLS else _too_many)
    except UnknownSizeError:
        raise
    except Exception as refused:
        try:
            first, second = (_run(function, specs, lambda i, f=fill: f[i % len(f)]) for fill in _FILLS)
        except Exception as error:
            met = _meeting_known(function, specs)
            if met is not None:
                return met
            # The concrete run says the plainer thing; the symbolic refusal may be the cause.
            error.args = tuple(_FILLED.sub("None", a) if isinstance(a, str) else a for a in error.args)
            raise error from refused
        return jax.tree.map(_merge, first, second, is_leaf=_is_spec)


def _meeting_known(function: Callable, specs: Any) -> Any:
    """The results where unknown sizes meet known ones, as in `(None, 3)` with `(2, None)`; None if that is no answer.

    An unknown size is that of the same axis elsewhere, else 1. Which may be large as well is tried axis by axis.
    """
    shapes = [s.shape for s in jax.tree.leaves(specs, is_leaf=_is_spec) if _is_spec(s)]
    known = {i: n for shape in shapes for i, n in enumerate(shape) if n not in (None, 1)}
    try:
        found = _run(function, specs, lambda i: known.get(i, 1))
    except Exception:
        return None
    for axis in sorted({i for shape in shapes for i, n in enumerate(shape) if n is None}):
        try:
            large = _run(function, specs, lambda i, axis=axis: _FILLS[0][0] if i == axis else known.get(i, 1))
        except Exception:
            if axis not in known:
                return None
            continue  # it meets a known size, which the result has
        found = jax.tree.map(_merge, found, large, is_leaf=_is_spec)
    return found


def _run(function: Callable, specs: Any, size: Callable[[int], Any]) -> Any:
    leaves, treedef = jax.tree.flatten(specs, is_leaf=_is_spec)
    static = [None if _is_spec(leaf) else leaf for leaf in leaves]
    structs = [_struct(leaf, size) for leaf in leaves if _is_spec(leaf)]

    def call(arrays):
        arrays = iter(arrays)
        filled = [next(arrays) if _is_spec(leaf) else s for leaf, s in zip(leaves, static, strict=True)]
        return function(*jax.tree.unflatten(treedef, filled))

    return jax.tree.map(Spec.of, jax.eval_shape(call, structs))


def _merge(a: Spec, b: Spec) -> Spec:
    return Spec(tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)), a.dtype)
