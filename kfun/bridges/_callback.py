"""Functions of another framework inside JAX: computed on the host, with gradients of their own."""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Trees = dict[str, Any]


class Foreign(Protocol):
    """A model of another framework, spoken to in NumPy.

    `params` and `state` are dicts of arrays, `inputs` a tuple of them, `seed` is uint32[2].
    """

    def outputs_like(self, params: Trees, state: Trees, inputs: tuple, training: bool) -> Any:
        """The outputs' shapes and dtypes: a pytree of `jax.ShapeDtypeStruct`."""
        ...

    def forward(self, params: Trees, state: Trees, inputs: tuple, seed: Any, training: bool) -> tuple[Any, Trees]:
        """`(outputs, new state)`."""
        ...

    def backward(
        self, params: Trees, state: Trees, inputs: tuple, seed: Any, training: bool, cotangents: Any
    ) -> tuple[Trees, tuple]:
        """The gradients by params and by floating inputs, zeros for other inputs."""
        ...


def through_jax(
    foreign: Foreign, params: Trees, state: Trees, inputs: tuple, key: Any, training: bool
) -> tuple[Any, Trees]:
    """`(outputs, new state)` of a foreign model on JAX arrays or tracers.

    Each call, and each gradient, leaves the compiled program for the host and comes back. The gradient
    runs the model forward once more, with the same seed. There are no second derivatives; under
    `jax.vmap` examples are computed one after another.
    """
    like = foreign.outputs_like(params, state, inputs, training)
    state_like = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in state.items()}
    inputs = tuple(jnp.asarray(x) for x in inputs)

    def run(params: Trees, inputs: tuple, state: Trees, seed: Any) -> tuple[Any, Trees]:
        def call(*args: Any) -> Any:
            params, state, inputs, seed = _numpy(args)
            return _as((like, state_like), foreign.forward(params, state, inputs, seed, training))

        return jax.pure_callback(call, (like, state_like), params, state, inputs, seed, vmap_method="sequential")

    def forward(*args: Any) -> tuple[Any, Any]:
        return run(*args), args

    def backward(kept: Any, cotangents: Any) -> tuple:
        params, inputs, state, seed = kept
        wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (params, inputs))

        def call(*args: Any) -> Any:
            params, state, inputs, seed, upstream = _numpy(args)
            return _as(wanted, foreign.backward(params, state, inputs, seed, training, upstream))

        by_params, by_inputs = jax.pure_callback(
            call, wanted, params, state, inputs, seed, _floats(cotangents[0], like), vmap_method="sequential"
        )
        smooth = tuple(g if jnp.issubdtype(g.dtype, jnp.inexact) else None for g in by_inputs)
        return by_params, smooth, None, None

    call = jax.custom_vjp(run)
    call.defvjp(forward, backward)
    seed = jnp.zeros(2, "uint32") if key is None else key
    return call(params, inputs, state, seed)


def _numpy(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _as(like: Any, tree: Any) -> Any:
    """The tree with the dtypes that were announced, which without 64-bit types are half as wide."""
    return jax.tree.map(lambda s, x: np.asarray(x).astype(s.dtype), like, tree)


def _floats(cotangents: Any, like: Any) -> Any:
    """Cotangents of integer outputs, which have the type float0, as zeros."""
    return jax.tree.map(
        lambda s, x: x if jnp.issubdtype(s.dtype, jnp.inexact) else jnp.zeros(s.shape, "float32"), like, cotangents
    )
