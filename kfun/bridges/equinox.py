"""Equinox modules as layers."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

from kfun.bridges._leaves import given
from kfun.layer import Composite, Layer
from kfun.spec import Spec


class FromEquinox(Composite):
    """An equinox module as a layer, made by `from_equinox`.

    Args:
        module: its floating arrays are the parameters, under their paths; the rest is static.
        batched: whether the module takes single examples, and is mapped over the batch axis.
        takes_key: whether it is called with `key=`.
    """

    loadable = "an equinox module is code"

    module: Any
    batched: bool = True
    takes_key: bool = False

    def weights(self, *inputs: Spec) -> dict:
        arrays, _ = eqx.partition(self.module, eqx.is_inexact_array)
        leaves = jax.tree.leaves(arrays)
        return {f"leaf_{i}": given(leaf) for i, leaf in enumerate(leaves)}

    def plan(self, *inputs, **call_args):
        return Layer.plan(self, *inputs, **call_args)

    def apply(self, params, state, *inputs, key=None, training=False):
        arrays, static = eqx.partition(self.module, eqx.is_inexact_array)
        treedef = jax.tree.structure(arrays)
        leaves = [params[f"leaf_{i}"] for i in range(treedef.num_leaves)]
        module = eqx.combine(jax.tree.unflatten(treedef, leaves), static)
        call = (lambda k, *xs: module(*xs, key=k)) if self.takes_key else (lambda k, *xs: module(*xs))
        if not self.batched:
            return call(key, *inputs), state
        keys = None if key is None else jax.random.split(key, inputs[0].shape[0])
        axes = (None if keys is None else 0, *(0 for _ in inputs))
        return jax.vmap(call, in_axes=axes)(keys, *inputs), state


def from_equinox(module: Any, batched: bool = True, takes_key: bool = False) -> FromEquinox:
    """A kfun layer of any equinox module.

    Args:
        module: an `eqx.Module` that is called on arrays.
        batched: whether it takes single examples (equinox's habit) and is to be mapped over the
            leading axis of every input.
        takes_key: whether it is called with a `key=` (dropout does).
    """
    if not isinstance(module, eqx.Module):
        raise TypeError(f"expected an equinox module; received {type(module).__name__}")
    return FromEquinox(module, batched, takes_key)
