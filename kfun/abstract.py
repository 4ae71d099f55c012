"""Shapes and dtypes of a function's results, without computing them.

Sizes of None become symbolic dimensions of `jax.export`, so that one abstract run serves every
size. Where an op refuses a symbolic size (a reshape that must divide, say), two runs with unlike
large sizes tell which result sizes depend on them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.core import Tracer
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


def _symbolic(axis: int, rank: int) -> Any:
    return _symbol(axis)


_MOST_SYMBOLS = 8  # of one array: JAX compares products of theirs in all combinations of their bounds


def _is_spec(x: Any) -> bool:
    return isinstance(x, Spec)


Sizes: TypeAlias = Callable[[int, int], Any]  # of an axis that is not known, by its number and the array's rank


def _struct(spec: Spec, size: Sizes) -> jax.ShapeDtypeStruct:
    shape = tuple(size(i, spec.ndim) if s is None else s for i, s in enumerate(spec.shape))
    return jax.ShapeDtypeStruct(shape, spec.dtype)


def evaluate(function: Callable, *specs: Any, constants: Sequence[tuple] = ()) -> Any:
    """The specs of `function(*specs)`'s results.

    Args:
        function: takes arrays where `specs` has a `Spec`, pytrees of them alike. It is traced
            with JAX: side effects happen, perhaps twice.
        specs: pytrees with `Spec` leaves. A size of None on one axis is taken to be the same
            number on that axis of every input.
        constants: the shapes of arrays that the function holds, whose sizes unknown ones may have to meet.

    Returns:
        A pytree of `Spec`, None where a size depends on an unknown one.
    """
    unknown = max((s.shape.count(None) for s in jax.tree.leaves(specs, is_leaf=_is_spec) if _is_spec(s)), default=0)
    if unknown == 0:
        return _run(function, specs, _symbolic)
    if unknown > _MOST_SYMBOLS:
        return _of_known_sizes(function, specs, constants, None)
    try:
        return _run(function, specs, _symbolic)
    except (UnknownSizeError, MemoryError):
        raise
    except Exception as refused:
        return _of_known_sizes(function, specs, constants, refused)


def _of_known_sizes(function: Callable, specs: Any, constants: Sequence[tuple], refused: Exception | None) -> Any:
    """The results of two runs with unlike sizes for those that are not known.

    Args:
        function: of `evaluate`.
        specs: of `evaluate`.
        constants: of `evaluate`.
        refused: why a run with symbolic sizes failed, if there was one.
    """
    try:
        first, second = (_run(function, specs, lambda i, rank, f=fill: f[i % len(f)]) for fill in _FILLS)
    except MemoryError:
        raise
    except Exception as error:
        for place in _PLACES:
            met = _meeting_known(function, specs, constants, place)
            if met is not None:
                return met
        # The concrete run says the plainer thing; the symbolic refusal may be the cause.
        error.args = tuple(_FILLED.sub("None", a) if isinstance(a, str) else a for a in error.args)
        raise error from refused
    return jax.tree.map(_merge, first, second, is_leaf=_is_spec)


# Which axes may be meant to have one size: the same from the front, from the back as operands of unlike rank
# broadcast, or all, as those of a square matrix.
_PLACES = (lambda i, rank: i, lambda i, rank: i - rank, lambda i, rank: 0)


def _meeting_known(function: Callable, specs: Any, constants: Sequence[tuple], place: Callable[[int, int], int]) -> Any:
    """The results where unknown sizes meet known ones, as in `(None, 3)` with `(2, None)`; None if that is no answer.

    An unknown size is that of an axis of the same place elsewhere, else 1. Which may be large as well is tried place
    by place.
    """
    shapes = [s.shape for s in jax.tree.leaves(specs, is_leaf=_is_spec) if _is_spec(s)]
    sizes = [(place(i, len(shape)), n) for shape in [*shapes, *constants] for i, n in enumerate(shape)]
    known = {at: n for at, n in sizes if n not in (None, 1)}
    try:
        found = _run(function, specs, lambda i, rank: known.get(place(i, rank), 1))
    except Exception:
        return None
    for free in sorted({at for at, n in sizes if n is None}):

        def size(i: int, rank: int, free: int = free) -> int:
            at = place(i, rank)
            return _FILLS[0][0] if at == free else known.get(at, 1)

        try:
            large = _run(function, specs, size)
        except Exception:
            if free not in known:
                return None
            continue  # it meets a known size, which the result has
        found = jax.tree.map(_merge, found, large, is_leaf=_is_spec)
    return found


def _run(function: Callable, specs: Any, size: Sizes) -> Any:
    leaves, treedef = jax.tree.flatten(specs, is_leaf=_is_spec)
    static = [None if _is_spec(leaf) else leaf for leaf in leaves]
    structs = [_struct(leaf, size) for leaf in leaves if _is_spec(leaf)]

    def call(arrays):
        arrays = iter(arrays)
        filled = [next(arrays) if _is_spec(leaf) else s for leaf, s in zip(leaves, static, strict=True)]
        return function(*jax.tree.unflatten(treedef, filled))

    token = _known.set({})
    try:
        return jax.tree.map(Spec.of, jax.eval_shape(call, structs))
    finally:
        _known.reset(token)


# What layers gave in the abstract run that is under way. Nothing of a trace is kept, and a run has its own, so that
# what else results depend on (the types that JAX promotes to, say) is the same throughout.
_known: ContextVar[dict | None] = ContextVar("kfun_known_results", default=None)


def once(function: Callable, layer: Any, inputs: tuple, call_args: dict) -> tuple[Any, Any]:
    """`function(layer, inputs, call_args) -> (information, outputs)`, run once for layers and inputs that are alike.

    In an abstract run, where a deep net calls layers of one definition on arrays of one form over and over: the
    outputs of the later calls are arrays of the form of the first one's: inputs where one has it, which costs nothing,
    else zeros.
    """
    known, key = _known.get(), _form(layer, inputs, call_args)
    if known is None or key is None:
        return function(layer, inputs, call_args)
    if key in known:
        information, treedef, forms = known[key]
        of_form = {jax.typeof(x): x for x in jax.tree.leaves((inputs, call_args)) if isinstance(x, Tracer)}
        outputs = [of_form[form] if form in of_form else jnp.zeros(form.shape, form.dtype) for form in forms]
        if tuple(map(jax.typeof, outputs)) == forms:
            return information, jax.tree.unflatten(treedef, outputs)
    information, outputs = function(layer, inputs, call_args)
    leaves, treedef = jax.tree.flatten(outputs)
    if all(isinstance(leaf, Tracer) for leaf in leaves):  # what is known in numbers may be meant to be read
        known[key] = information, treedef, tuple(map(jax.typeof, leaves))
    return information, outputs


def _form(layer: Any, inputs: tuple, call_args: dict) -> tuple | None:
    """What tells calls of layers apart but the numbers in traced arrays; None if something else may."""
    leaves, treedef = jax.tree.flatten((inputs, call_args))
    if not all(isinstance(leaf, (Tracer, bool, int, float, str)) for leaf in leaves):
        return None
    key = layer, treedef, *(jax.typeof(x) if isinstance(x, Tracer) else (type(x), x) for x in leaves)
    try:
        hash(key)
    except TypeError:  # a definition that holds arrays, say
        return None
    return key


def _merge(a: Spec, b: Spec) -> Spec:
    return Spec(tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)), a.dtype)
