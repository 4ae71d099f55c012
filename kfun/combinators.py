"""Layers that change how other layers run: repeated, replicated, rematerialized, combined."""

from __future__ import annotations

import dataclasses
from typing import Any

from kfun import ops, random, transforms
from kfun.initializers import Stacked
from kfun.layer import Composite, Layer, blank, map_weights, planner, runner, split, unique_names


def _stacked(declared: dict, n: int) -> dict:
    """The weights of `n` copies of a layer, along a new leading axis."""
    return map_weights(
        lambda w: dataclasses.replace(w, shape=(n, *w.shape), initializer=Stacked(w.initializer, n)), declared
    )


class Stack(Composite):
    """`n` layers of one form in a row, run as a loop over stacked weights.

    The time to compile does not grow with depth. The layer's output has its input's shape.

    Args:
        layer: the form; its weights get a leading axis of size `n`.
        n: how many.
    """

    layer: Layer
    n: int

    def plan(self, x, **call_args):
        declared, outputs = self.layer.plan(x, **call_args)
        if tuple(outputs.shape) != tuple(x.shape):
            raise ValueError(f"Stack: the layer must keep its input's shape; it turns {x.shape} into {outputs.shape}")
        return _stacked(declared, self.n), outputs

    def apply(self, params, state, x, *, key=None, training=False, **call_args):
        params, (x,) = self.to_compute(params, (x,))
        keys = None if key is None else random.split(key, self.n)

        def step(x, weights):
            p, s, k = weights
            return self.layer.apply(p, s, x, key=k, training=training, **call_args)

        outputs, state = ops.scan(step, x, (params, state, keys), length=self.n)
        return self.to_output(outputs), state


class Ensemble(Composite):
    """`n` independent copies of a layer on the same inputs, computed at once.

    Every output has a new leading axis of size `n`.

    Args:
        layer: what is copied; its weights get a leading axis of size `n`.
        n: how many.
    """

    layer: Layer
    n: int

    def plan(self, *inputs, **call_args):
        declared, _ = self.layer.plan(*inputs, **call_args)
        declared = _stacked(declared, self.n)
        params, state = split(blank(declared, self.policy))
        return declared, self.apply(params, state, *inputs, **call_args)[0]

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        params, inputs = self.to_compute(params, inputs)
        keys = None if key is None else random.split(key, self.n)

        def one(p, s, k):
            return self.layer.apply(p, s, *inputs, key=k, training=training, **call_args)

        axes = (0, 0, None if keys is None else 0)
        outputs, state = transforms.vmap(one, in_axes=axes)(params, state, keys)
        return self.to_output(outputs), state


class Remat(Composite):
    """A layer whose intermediate values are computed again in the backward pass, not kept in memory."""

    layer: Layer

    def plan(self, *inputs, **call_args):
        return self.layer.plan(*inputs, **call_args)

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        params, inputs = self.to_compute(params, inputs)

        def run(params, state, key, *inputs):
            return self.layer.apply(params, state, *inputs, key=key, training=training, **call_args)

        outputs, state = transforms.checkpoint(run)(params, state, key, *inputs)
        return self.to_output(outputs), state


class Residual(Composite):
    """`x + layer(x)`."""

    layer: Layer

    def plan(self, x, **call_args):
        declared, outputs = self.layer.plan(x, **call_args)
        return declared, ops.add(x, outputs)

    def apply(self, params, state, x, *, key=None, training=False, **call_args):
        params, (x,) = self.to_compute(params, (x,))
        outputs, state = self.layer.apply(params, state, x, key=key, training=training, **call_args)
        return self.to_output(ops.add(x, outputs)), state


class Parallel(Composite):
    """Layers side by side on the same inputs; the output is the tuple of theirs."""

    layers: tuple

    def plan(self, *inputs, **call_args):
        run, declared = planner()
        return declared, self._each(inputs, call_args, run)

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        params, inputs = self.to_compute(params, inputs)
        run, state, _ = runner(params, state, key, training)
        return self.to_output(self._each(inputs, call_args, run)), state

    def _each(self, inputs: tuple, call_args: dict, run: Any) -> tuple:
        names = unique_names(self.layers)
        return tuple(run(n, layer, inputs, call_args) for n, layer in zip(names, self.layers, strict=True))
