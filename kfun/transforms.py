"""Function transformations, dispatched as ops are: by the arrays that the function is given.

On JAX these are `jax.grad` and so on; on Torch `torch.func` and `torch.compile`; on TensorFlow
`tf.GradientTape`, `tf.vectorized_map` and `tf.function`. Signatures are JAX's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from kfun.errors import UnsupportedOp
from kfun.ops._kinds import Kind, default_kind, kind_of


def _native(name: str, values: Any) -> Callable:
    kind = kind_of(values, name) or default_kind()
    return _lookup(kind, name)


def _lookup(kind: Kind, name: str) -> Callable:
    function = kind.transforms.get(name)
    if function is None:
        raise UnsupportedOp(name, kind.name, kind.reasons.get(name, "the backend has no such transformation"))
    return function


def _transformed(name: str, fun: Callable, **options: Any) -> Callable:
    made: dict[str, Callable] = {}

    @functools.wraps(fun)
    def call(*args, **kwargs):
        kind = kind_of((*args, *kwargs.values()), name) or default_kind()
        native = made.get(kind.name)
        if native is None:
            native = made[kind.name] = _lookup(kind, name)(fun, **options)
        return native(*args, **kwargs)

    return call


def grad(fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """The gradient of a scalar function with respect to the arguments at `argnums`, pytrees.

    With `has_aux`, `fun` gives `(value, aux)` and the result is `(gradient, aux)`.
    """
    return _transformed("grad", fun, argnums=argnums, has_aux=has_aux)


def value_and_grad(fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """Like `grad`, but gives `(value, gradient)`; the value is `(value, aux)` with `has_aux`."""
    return _transformed("value_and_grad", fun, argnums=argnums, has_aux=has_aux)


def vjp(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """`(fun(*primals), pullback)`: the pullback takes a cotangent of the result to those of the primals."""
    return _native("vjp", primals)(fun, *primals, has_aux=has_aux)


def jvp(fun: Callable, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple:
    """`(fun(*primals), tangent)`: the derivative of `fun` along `tangents`."""
    return _native("jvp", (primals, tangents))(fun, primals, tangents)


def jacfwd(fun: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The Jacobian, column by column (forward mode: few inputs, many outputs)."""
    return _transformed("jacfwd", fun, argnums=argnums)


def jacrev(fun: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The Jacobian, row by row (reverse mode: many inputs, few outputs)."""
    return _transformed("jacrev", fun, argnums=argnums)


jacobian = jacrev


def hessian(fun: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The matrix of second derivatives of a scalar function."""
    return _transformed("hessian", fun, argnums=argnums)


def vmap(fun: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """`fun` over a new batch axis, computed at once.

    Args:
        fun: takes and gives pytrees of arrays.
        in_axes: which axis of each argument is mapped, None for not at all; an int, or a tuple
            of ints, None and pytrees of them.
        out_axes: where the mapped axis goes in the results.
    """
    return _transformed("vmap", fun, in_axes=in_axes, out_axes=out_axes)


def jit(fun: Callable, static_argnums: Any = (), static_argnames: Any = (), donate_argnums: Any = ()) -> Callable:
    """`fun` compiled by the framework of its arrays.

    Args:
        fun: a pure function of pytrees.
        static_argnums, static_argnames: arguments that are configuration: hashable, and compiled
            for each value anew.
        donate_argnums: arguments whose memory the results may take (JAX; others do not need it).
    """
    options = {"static_argnums": static_argnums, "static_argnames": static_argnames, "donate_argnums": donate_argnums}
    return _transformed("jit", fun, **options)


def checkpoint(fun: Callable) -> Callable:
    """`fun` with its intermediate values computed again in the backward pass, not kept."""
    return _transformed("checkpoint", fun)
