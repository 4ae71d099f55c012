"""Layers that change how other layers run: repeated, replicated, rematerialized, combined."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated, Any

import jax

from kfun import ops, random, transforms
from kfun.captures import collecting, emit
from kfun.composite import Composite, planner, runner
from kfun.definition import Convert
from kfun.fitting import refuse_others
from kfun.initializers import Stacked
from kfun.layer import Layer, by_name, planned
from kfun.spec import Spec
from kfun.weights import Own, has_own, is_pending, is_spec_tree, map_weights, owned, spec_tree


def _checkpoint_policy(value: Any) -> Any:
    if value is None or isinstance(value, str) or callable(value):
        return value
    raise TypeError(
        f'must be one of jax.checkpoint_policies or its name, as "dots_saveable", or None; received {value!r}'
    )


class _Around(Composite):
    """What layers around one layer share: its params are theirs."""

    layer: Layer

    @property
    def sublayers(self) -> dict[str, Layer]:
        return self.layer.sublayers

    def plan(self, *inputs, **call_args):
        return planned(self.layer, inputs, call_args)


class _Copies(_Around):
    """What layers of `n` copies share: weights along a new leading axis."""

    n: int

    def check(self):
        if self.n < 1:
            raise ValueError(f"{type(self).__name__}: n: expected at least 1; received {self.n}")

    def _stacked(self, declared: Any, inputs: tuple, call_args: dict) -> Any:
        """The weights of `n` copies of a layer that declares these for one."""
        if has_own(declared):
            one = owned(self.layer, self.layer.init, *self._of_one(inputs, call_args)).made
            made = jax.tree.map(lambda s: Spec((self.n, *s.shape), s.dtype), one)
            return Own(self, self._init_each, spec_tree(inputs), spec_tree(call_args), made)
        return map_weights(
            lambda w: dataclasses.replace(w, shape=(self.n, *w.shape), initializer=Stacked(w.initializer, self.n)),
            declared,
        )

    def _init_each(self, key: Any, *inputs: Any, **call_args: Any) -> tuple[Any, Any]:
        """The weights of copies that draw their own, one after the other."""
        made = []
        for i, own in enumerate(ops.unstack(random.split(key, self.n))):
            args, kwargs = self._of_one(inputs, call_args, i)
            made.append(self.layer.init(own, *args, **kwargs))
            inputs = self._next(made[-1], inputs, args, kwargs)
        return jax.tree.map(lambda *leaves: ops.stack(leaves), *made)

    def _of_one(self, inputs: tuple, call_args: dict, i: int = 0) -> tuple[tuple, dict]:
        """What copy `i` is called on."""
        return inputs, call_args

    def _next(self, weights: tuple, inputs: tuple, args: tuple, kwargs: dict) -> tuple:
        """The inputs of the whole for the copy after one with these weights."""
        return inputs


class Stack(_Copies):
    """`n` layers of one form in a row, run as a loop over stacked weights.

    The time to compile does not grow with depth. What goes from layer to layer, `x`, is any pytree of
    arrays that keeps its structure, shapes and dtypes.

    Args:
        layer: the form; its weights get a leading axis of size `n`.
        n: how many.
        unroll: layers per step of the compiled loop.
        remat: whether the intermediate values of each layer are computed again in the backward pass; or
            which of them are kept all the same, one of `jax.checkpoint_policies` or its name (JAX).

    `apply` takes `xs`, a pytree of arrays with a leading axis of size `n`: layer `i` is called as
    `layer(x, xs[i])`. A layer that gives a pair `(x, y)` has its `y` collected: the outputs are
    `(x, ys)` then, with a leading axis of size `n` (caches, say).
    """

    unroll: int = 1
    remat: Annotated[Any, Convert(lambda v: v if isinstance(v, bool) else _checkpoint_policy(v))] = False

    def plan(self, x, *, xs=None, **call_args):
        args, kwargs = self._of_one((x,), {"xs": xs, **call_args})
        declared, outputs = planned(self.layer, args, kwargs)
        carry, y = self._parted(x, outputs)
        if spec_tree(carry) != spec_tree(x):
            raise ValueError(
                f"Stack: the layer must keep its input's shape and dtype; it turns {_shown(x)} into {_shown(carry)}"
            )
        declared = self._stacked(declared, (x,), {"xs": xs, **call_args})
        ys = jax.tree.map(lambda a: ops.broadcast_to(a, (self.n, *a.shape)), y)
        return declared, carry if y is None else (carry, ys)

    def apply(self, params, state, x, *, xs=None, key=None, training=False, **call_args):
        params, (x, xs) = self.to_compute(params, (x, xs))
        keys = None if key is None else random.split(key, self.n)

        def one(carry, inputs, params, state, key):
            args = (carry,) if xs is None else (carry, inputs)
            run = functools.partial(self.layer.apply, params, state, *args, key=key, training=training, **call_args)
            (outputs, state), found = collecting(run)
            return *self._parted(carry, outputs), state, found

        policy = None if isinstance(self.remat, bool) else self.remat
        again = one if self.remat in (False, None) else transforms.checkpoint(one, policy)

        def step(carry, item):
            carry, *rest = again(carry, *item)
            return carry, tuple(rest)

        carry, (y, state, found) = ops.scan(step, x, (xs, params, state, keys), length=self.n, unroll=self.unroll)
        emit(found)
        return self.to_output(carry if y is None else (carry, y)), state

    def _parted(self, x: Any, outputs: Any) -> tuple[Any, Any]:
        """`(x, y)` of what a layer gives, y None if it gives x alone."""
        if jax.tree.structure(outputs) == jax.tree.structure(x):
            return outputs, None
        paired = isinstance(outputs, tuple) and len(outputs) == 2
        if paired and jax.tree.structure(outputs[0]) == jax.tree.structure(x):
            return outputs
        raise ValueError(
            f"Stack: the layer must give what it takes, {_shown(x)}, or a pair of that and an output of its own; "
            f"it gives {_shown(outputs)}"
        )

    def _of_one(self, inputs, call_args, i=0):
        call_args = dict(call_args)
        xs = call_args.pop("xs", None)
        if xs is None:
            return inputs, call_args
        return (*inputs, jax.tree.map(lambda a: _at(a, i), xs)), call_args

    def _next(self, weights, inputs, args, kwargs):
        if is_spec_tree(inputs):
            return inputs
        return self._parted(inputs[0], self.layer.apply(*weights, *args, **kwargs)[0])[:1]


def _at(array: Any, i: int) -> Any:
    return Spec(array.shape[1:], array.dtype) if isinstance(array, Spec) else array[i]


def _shown(tree: Any) -> Any:
    return jax.tree.map(lambda s: f"{s.dtype}{list(s.shape)}" if isinstance(s, Spec) else s, spec_tree(tree))


class Ensemble(_Copies):
    """`n` independent copies of a layer on the same inputs, computed at once.

    Every output has a new leading axis of size `n`.

    Args:
        layer: what is copied; its weights get a leading axis of size `n`.
        n: how many.
    """

    def plan(self, *inputs, **call_args):
        declared, outputs = planned(self.layer, inputs, call_args)
        outputs = jax.tree.map(lambda a: ops.broadcast_to(a, (self.n, *a.shape)), self.to_output(outputs))
        return self._stacked(declared, inputs, call_args), outputs

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        params, inputs = self.to_compute(params, inputs)
        keys = None if key is None else random.split(key, self.n)

        def one(p, s, k):
            return collecting(lambda: self.layer.apply(p, s, *inputs, key=k, training=training, **call_args))

        axes = (0, 0, None if keys is None else 0)
        (outputs, state), found = transforms.vmap(one, in_axes=axes)(params, state, keys)
        emit(found)
        return self.to_output(outputs), state


class Remat(_Around):
    """A layer whose intermediate values are computed again in the backward pass, not kept in memory.

    Args:
        layer: the layer; its params are these.
        checkpoint_policy: which values are kept all the same: one of `jax.checkpoint_policies`, or
            its name, as `"dots_saveable"` (JAX). A name can be written to a file.
    """

    checkpoint_policy: Annotated[Any, Convert(_checkpoint_policy)] = None

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        params, inputs = self.to_compute(params, inputs)

        def run(params, state, key, *inputs):
            call = functools.partial(self.layer.apply, params, state, *inputs, key=key, training=training, **call_args)
            return collecting(call)

        waiting = is_pending(params)  # for arrays to be drawn for: nothing to differentiate
        again = run if waiting else transforms.checkpoint(run, self.checkpoint_policy)
        (outputs, state), found = again(params, state, key, *inputs)
        emit(found)
        return self.to_output(outputs), state


class Residual(_Around):
    """`x + layer(x)`."""

    def plan(self, x, **call_args):
        declared, outputs = planned(self.layer, (x,), call_args)
        return declared, ops.add(x, outputs)

    def apply(self, params, state, x, *, key=None, training=False, **call_args):
        params, (x,) = self.to_compute(params, (x,))
        outputs, state = self.layer.apply(params, state, x, key=key, training=training, **call_args)
        return self.to_output(ops.add(x, outputs)), state


class Parallel(Composite):
    """Layers side by side on the same inputs; the output is the tuple of theirs."""

    layers: tuple

    @functools.cached_property
    def sublayers(self) -> dict[str, Layer]:
        return by_name(self.layers)

    def plan(self, *inputs, **call_args):
        run, declared = planner()
        return declared, self._each(inputs, call_args, run)

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        refuse_others(self, params, self.sublayers)
        params, inputs = self.to_compute(params, inputs)
        run, state, _ = runner(params, state, key, training)
        return self.to_output(self._each(inputs, call_args, run)), state

    def _each(self, inputs: tuple, call_args: dict, run: Callable) -> tuple:
        return tuple(run(name, layer, inputs, call_args) for name, layer in self.sublayers.items())
