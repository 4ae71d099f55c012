"""Function transformations, dispatched as ops are: by the arrays that the function is given.

On JAX these are `jax.grad` and so on; on Torch `torch.func` and `torch.compile`; on TensorFlow
`tf.GradientTape`, `tf.vectorized_map` and `tf.function`. Signatures are JAX's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.ops._transforms import native, transformed
from kfun.ops.control import checkpoint as checkpoint
from kfun.ops.control import custom_gradient as custom_gradient


def grad(fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """The gradient of a scalar function with respect to the arguments at `argnums`, pytrees.

    With `has_aux`, `fun` gives `(value, aux)` and the result is `(gradient, aux)`.
    """
    return transformed("grad", fun, argnums=argnums, has_aux=has_aux)


def value_and_grad(fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """Like `grad`, but gives `(value, gradient)`; the value is `(value, aux)` with `has_aux`."""
    return transformed("value_and_grad", fun, argnums=argnums, has_aux=has_aux)


def vjp(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """`(fun(*primals), pullback)`: the pullback takes a cotangent of the result to those of the primals."""
    return native("vjp", primals)(fun, *primals, has_aux=has_aux)


def jvp(fun: Callable, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple:
    """`(fun(*primals), tangent)`: the derivative of `fun` along `tangents`."""
    return native("jvp", (primals, tangents))(fun, primals, tangents)


def jacfwd(fun: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The Jacobian, column by column (forward mode: few inputs, many outputs)."""
    return transformed("jacfwd", fun, argnums=argnums)


def jacrev(fun: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The Jacobian, row by row (reverse mode: many inputs, few outputs)."""
    return transformed("jacrev", fun, argnums=argnums)


jacobian = jacrev


def hessian(fun: Callable, argnums: int | Sequence[int] = 0) -> Callable:
    """The matrix of second derivatives of a scalar function."""
    return transformed("hessian", fun, argnums=argnums)


def vmap(fun: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """`fun` over a new batch axis, computed at once.

    Args:
        fun: takes and gives pytrees of arrays.
        in_axes: which axis of each argument is mapped, None for not at all; an int, or a tuple
            of ints, None and pytrees of them.
        out_axes: where the mapped axis goes in the results.
    """
    return transformed("vmap", fun, in_axes=in_axes, out_axes=out_axes)


def jit(fun: Callable, static_argnums: Any = (), static_argnames: Any = (), donate_argnums: Any = ()) -> Callable:
    """`fun` compiled by the framework of its arrays.

    Args:
        fun: a pure function of pytrees.
        static_argnums, static_argnames: arguments that are configuration: hashable, and compiled
            for each value anew.
        donate_argnums: arguments whose memory the results may take (JAX; others do not need it).
    """
    options = {"static_argnums": static_argnums, "static_argnames": static_argnames, "donate_argnums": donate_argnums}
    return transformed("jit", fun, **options)


def pmean(x: Any, axis_name: str | tuple[str, ...]) -> Any:
    """The mean of a pytree over an axis that is being mapped, or several, by their names.

    On JAX alone: the axes are those of `jax.vmap(axis_name=...)`, `jax.shard_map` and `jax.pmap`.

    Raises:
        ValueError: if no axis of that name is being mapped.
    """
    try:
        return native("pmean", (x,))(x, axis_name)
    except NameError as error:
        raise ValueError(
            f"pmean: expected the name of an axis of a vmap, shard_map or pmap around the call; received {axis_name!r}"
        ) from error


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
