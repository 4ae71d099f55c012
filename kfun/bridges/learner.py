"""`learner`: a net with its weights and its optimizer's state in one pytree, for steps that are written by hand."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx

from kfun import optim
from kfun.bridges.bound import Bound, bind
from kfun.layer import Layer


class Learner(eqx.Module):
    """A net that is being trained, made by `learner`; immutable, a pytree to every transformation.

    Attributes:
        net: the layer with its weights, which is called and differentiated by.
        slots: the optimizer's state, of the net's params alone.
        optimizer: the transformation.
    """

    net: Bound
    slots: Any
    optimizer: Any = eqx.field(static=True)

    def apply_gradients(self, grads: Any, state: Any = None, **extra: Any) -> Learner:
        """The learner after one step of its optimizer.

        Args:
            grads: of the net, as `jax.grad` and `eqx.filter_grad` give them, or of its params.
            state: the net's new state (`model.state` after `with_state`); None keeps the old one.
            extra: what the optimizer's `update` takes beside gradients, `value` say.
        """
        grads, params = grads.params if isinstance(grads, Bound) else grads, self.net.params
        updates, slots = self.optimizer.update(grads, self.slots, params, **extra)
        state = self.net.state if state is None else state
        return Learner(Bound(optim.apply_updates(params, updates), state, self.net.layer), slots, self.optimizer)


def learner(layer: Layer, optimizer: Any, key: Any, *specs: Any, **call_args: Any) -> Learner:
    """Draws the weights of a layer and the first state of its optimizer.

    For losses that are not of one net's outputs alone (adversaries, actors and critics, gradients that are clipped
    or noised one by one); for those that are, there is `kfun.training.make_train_step`.

    Args:
        layer: the net's definition.
        optimizer: a name, a definition of `kfun.optim`, or any optax transformation.
        key: to draw the weights from.
        specs, call_args: what `layer.init` takes.

    Example:
        >>> import jax, kfun, optax
        >>> line = learner(kfun.layers.Dense(1), optax.sgd(0.1), kfun.random.key(0), kfun.Spec((None, 2)))
        >>> x = kfun.ops.ones((5, 2))
        >>> grads = jax.grad(lambda net: ((net(x) - 3.0) ** 2).mean())(line.net)
        >>> line.apply_gradients(grads).net(x).shape
        (5, 1)
    """
    net = bind(layer, *layer.init(key, *specs, **call_args))
    transformation = _transformation(optim.get(optimizer))
    return Learner(net, transformation.init(net.params), transformation)


# Learners of one definition are of one tree, so that what is compiled serves all of them.
_transformation = functools.lru_cache(64)(optim.build)
