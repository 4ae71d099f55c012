"""What a block's `f` does while its weights are found out, and while it is applied."""

from __future__ import annotations

from typing import Any

import jax

from kfun import ops, random, transforms
from kfun.calls import Calls
from kfun.captures import collecting, emit, without
from kfun.composite import runner
from kfun.foreign_traces import changed
from kfun.spec import Spec
from kfun.weights import is_pending, merged


class Planning(Calls):
    """`f` while a block's weights are found out, in an abstract run: transformations run with `f` itself."""

    def __init__(self, block: Any, run: Any, declared: dict):
        super().__init__(block, run, False)
        self._declared, self._slots = declared, {}

    def key(self):
        return random.key(0)

    def _weight(self, name, weight):
        self._declared |= merged({name: self._declared.get(name, weight)}, {name: weight}, repr(self._block))
        return self._slots.setdefault(name, ops.zeros(weight.shape, weight.dtype or "float32"))

    def scan(self, body, init, xs=None, length=None, reverse=False, unroll=1):
        return ops.scan(lambda carry, x: body(self, carry, x), init, xs, length=length, reverse=reverse, unroll=unroll)

    def vmap(self, fun, in_axes=0, out_axes=0, state=None):
        return transforms.vmap(lambda *args: fun(self, *args), in_axes, out_axes)

    def cond(self, pred, true_fun, false_fun, *operands):
        return ops.cond(pred, lambda: true_fun(self, *operands), lambda: false_fun(self, *operands))

    def remat(self, fun, policy=None):
        return lambda *args: fun(self, *args)


class Applying(Calls):
    """`f` while a block is applied.

    Args:
        block: the block.
        params, state, key, training: as of `apply`; the new state is in `new_state`, the names of the block's own
            params that it used in `asked`.
    """

    def __init__(self, block: Any, params: Any, state: Any, key: Any, training: bool):
        run, self.new_state, self._keys = runner(params, state, key, training)
        super().__init__(block, run, training)
        self._slots = self.new_state
        self._params, self._has_key, self.asked = params, key is not None, set()

    def key(self):
        if not self._has_key:
            raise ValueError(
                f"{self._block!r} asks for a random key by f.key(), and was applied without one: "
                "apply(params, state, x, key=key); what draws in training alone asks for it if f.training"
            )
        return next(self._keys)

    def _weight(self, name, weight):
        tree = self._params if weight.trainable else self.new_state
        self.asked.add(name)
        if name not in tree:
            kind = "param" if weight.trainable else "state"
            raise ValueError(
                f"{self._block!r}: its {kind} {name!r} is missing; received {sorted(map(str, tree)) or 'none'}. "
                "They are what init(key, *specs) makes"
            )
        found = tree[name]
        shape = tuple(getattr(found, "shape", ()))
        if shape != weight.shape:
            raise ValueError(f"{self._block!r}: {name!r} has shape {shape}; the block asks for {weight.shape}")
        return found

    def _inside(self, state: Any, key: Any, params: Any = None) -> Applying:
        inner = Applying(self._block, self._params if params is None else params, state, key, self.training)
        inner.asked = self.asked
        return inner

    def scan(self, body, init, xs=None, length=None, reverse=False, unroll=1):
        steps = int(jax.tree.leaves(xs)[0].shape[0]) if length is None else length
        keys = random.split(self.key(), steps) if self._has_key else None
        if is_pending(self._params) and steps:  # the first step draws what waits for arrays
            body(self, init, jax.tree.map(lambda x: x[-1 if reverse else 0], xs))

        def step(carry, item):
            (carry, state), (x, key) = carry, item
            inner = self._inside(state, key)
            (carry, y), found = collecting(lambda: body(inner, carry, x))
            return (carry, inner.new_state), (y, found)

        first = (init, dict(self.new_state))
        (carry, state), (ys, found) = ops.scan(step, first, (xs, keys), length=steps, reverse=reverse, unroll=unroll)
        self.new_state.update(state)
        emit(found)
        return carry, ys

    def vmap(self, fun, in_axes=0, out_axes=0, state=None):
        if state not in (None, "mean"):
            raise ValueError(f'f.vmap: state: expected "mean" or None; received {state!r}')

        def call(*args):
            axes = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
            keys = random.split(self.key(), _mapped_size(args, axes)) if self._has_key else None
            if is_pending(self._params):
                fun(self, *(_first(x, axis) for x, axis in zip(args, axes, strict=True)))
            before = dict(self.new_state)

            def one(key, *args):
                inner = self._inside(before, key)
                out, found = collecting(lambda: fun(inner, *args))
                new = {name: s for name, s in inner.new_state.items() if changed(before.get(name), s)}
                return out, new, found

            mapped = transforms.vmap(one, (None if keys is None else 0, *axes), (out_axes, 0, 0))
            out, new, found = mapped(keys, *args)
            if new and state is None:
                raise ValueError(
                    f"{self._block!r}: {sorted(new)} change their state inside f.vmap, differently along the axis. "
                    'state="mean" takes the mean of moving statistics; kfun.Ensemble has a state for each'
                )
            self.new_state.update(jax.tree.map(_mean, new))
            emit(found)
            return out

        return call

    def cond(self, pred, true_fun, false_fun, *operands):
        key = next(self._keys)
        if is_pending(self._params):
            for fun in (true_fun, false_fun):
                fun(self, *operands)

        def branch(fun):
            def call():
                inner = self._inside(self.new_state, key)
                return fun(inner, *operands), inner.new_state

            return lambda: without(call)

        out, state = ops.cond(pred, branch(true_fun), branch(false_fun))
        self.new_state.update(state)
        return out

    def remat(self, fun, policy=None):
        def call(*args):
            if is_pending(self._params):
                return fun(self, *args)

            def run(params, state, key, *args):
                inner = self._inside(state, key, params)
                out, found = collecting(lambda: fun(inner, *args))
                return out, inner.new_state, found

            again = transforms.checkpoint(run, policy)
            out, state, found = again(self._params, dict(self.new_state), next(self._keys), *args)
            self.new_state.update(state)
            emit(found)
            return out

        return call


def _mapped_size(args: tuple, axes: tuple) -> int:
    for arg, axis in zip(args, axes, strict=True):
        for leaf in jax.tree.leaves(arg):
            if axis is not None and not isinstance(axis, (dict, list, tuple)):
                return int(leaf.shape[axis])
    raise ValueError("f.vmap: expected an argument with an integer axis in in_axes, that tells how many there are")


def _first(tree: Any, axis: Any) -> Any:
    return tree if axis is None else jax.tree.map(lambda x: ops.take(x, 0, axis), tree)


def _mean(x: Any) -> Any:
    return ops.mean(x, 0) if "float" in Spec.of(x).dtype else x[0]
