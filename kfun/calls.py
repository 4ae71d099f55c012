"""The `f` of a block's `forward`: its sublayers ready to call, weights of its own, and transformations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax

from kfun import initializers, ops, random, transforms
from kfun.captures import collecting, emit, without
from kfun.composite import runner
from kfun.foreign_traces import changed
from kfun.layer import Layer
from kfun.spec import Spec
from kfun.weights import Weight, is_pending, merged


class Calls:
    """What a block's methods are given as `f`; it lives only inside the call.

    Every field of the block is an attribute. A layer is a function of its inputs and call arguments
    there, with its parameters, state and key; a tuple or dict of layers is one of such functions. A
    method of a block inside is an attribute of its function: `f.decoder.first_tokens(x)`.

    Attributes:
        training: whether the block is applied as in training.
    """

    training: bool

    def __init__(self, block: Any, run: Callable, training: bool):
        self._block, self._run, self.training = block, run, training

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._block, name)
        return _mapped(name, value, self._bound) if any(_layers(name, value)) else value

    def _bound(self, name: str, layer: Layer) -> Any:
        return _Bound(name, layer, self._run)

    def key(self) -> Any:
        """A fresh random key.

        Raises:
            ValueError: if the block was applied without a key.
        """
        raise NotImplementedError

    def param(
        self, name: str, shape: tuple[int, ...], initializer: Any = "glorot_uniform", dtype: str | None = None
    ) -> Any:
        """A trained weight of the block's own.

        Args:
            name: its key in the block's params.
            shape: its sizes.
            initializer: a name, or a function of `(key, shape, dtype)`.
            dtype: None is the policy's type of parameters, else float32.
        """
        return self._weight(name, self._own(name, shape, initializer, dtype, True))

    def state(self, name: str, shape: tuple[int, ...], initializer: Any = "zeros", dtype: str | None = None) -> Slot:
        """An array of the block's own in its state: read and set `.value`.

        Args:
            name: its key in the block's state.
            shape, initializer, dtype: as of `param`.
        """
        self._weight(name, self._own(name, shape, initializer, dtype, False))
        return Slot(self._slots, name)

    def _own(self, name: str, shape: Any, initializer: Any, dtype: str | None, trainable: bool) -> Weight:
        if name in self._block.sublayers:
            raise ValueError(f"{self._block!r}: {name!r} is the name of a layer inside; give the weight another")
        draw = initializers.get(initializer) if isinstance(initializer, str) else initializer
        return Weight(tuple(map(int, shape)), draw, dtype, trainable)

    # What a subclass gives.
    _slots: dict

    def _weight(self, name: str, weight: Weight) -> Any:
        raise NotImplementedError

    def scan(
        self,
        body: Callable,
        init: Any,
        xs: Any = None,
        length: int | None = None,
        reverse: bool = False,
        unroll: int = 1,
    ) -> tuple[Any, Any]:
        """`ops.scan` of a body with layers in it: `body(f, carry, x) -> (carry, y)`.

        The weights are the same in each step, the state goes from step to step, and each step has
        keys of its own.

        Args:
            body, init, xs, length, reverse, unroll: as of `kfun.ops.scan`; `body` is given `f` first.

        Returns:
            `(last carry, ys)`.
        """
        raise NotImplementedError

    def vmap(self, fun: Callable, in_axes: Any = 0, out_axes: Any = 0, state: str | None = None) -> Callable:
        """`kfun.vmap` of a function with layers in it: `fun(f, *args)`.

        The weights are the same along the axis; each place on it has keys of its own.

        Args:
            fun, in_axes, out_axes: as of `kfun.vmap`; `fun` is given `f` first.
            state: what becomes of state that layers change: `"mean"` takes the mean along the axis (moving
                statistics), and the first of what is not floating (counters). None refuses.

        Returns:
            the function of `args`.

        Raises:
            ValueError: by the function, if a layer changes its state and `state` is None.
        """
        raise NotImplementedError

    def cond(self, pred: Any, true_fun: Callable, false_fun: Callable, *operands: Any) -> Any:
        """`true_fun(f, *operands)` or `false_fun(f, *operands)`, with the state that it leaves."""
        raise NotImplementedError

    def remat(self, fun: Callable, policy: Any = None) -> Callable:
        """`kfun.checkpoint` of a function with layers in it: `fun(f, *args)`.

        Args:
            fun: its intermediate values are computed again in the backward pass.
            policy: which of them are kept all the same: one of `jax.checkpoint_policies`, or its name (JAX).
        """
        raise NotImplementedError


class Slot:
    """An array in a block's state."""

    def __init__(self, slots: dict, name: str):
        self._slots, self._name = slots, name

    @property
    def value(self) -> Any:
        """The array."""
        return self._slots[self._name]

    @value.setter
    def value(self, new: Any) -> None:
        old = Spec.of(self.value)
        new = ops.convert_to_tensor(new) if not hasattr(new, "shape") else new
        if Spec.of(new) != old:
            raise ValueError(f"state {self._name!r} keeps shape and dtype: it has {old}; received {Spec.of(new)}")
        self._slots[self._name] = new


class _Bound:
    """A sublayer that is ready to call."""

    def __init__(self, name: str, layer: Layer, run: Callable):
        self._name, self._layer, self._run = name, layer, run

    def __call__(self, *inputs: Any, **call_args: Any) -> Any:
        return self._run(self._name, self._layer, inputs, call_args)

    def __getattr__(self, method: str) -> Any:
        value = getattr(self._layer, method)
        if not callable(value) or not getattr(self._layer, "has_methods", False):
            return value
        return lambda *inputs, **call_args: self(*inputs, method=method, **call_args)


def _layers(name: str, value: Any) -> Iterator[tuple[str, Layer]]:
    """The layers in nested tuples and dicts, with their names: the keys that lead to them, joined by "_"."""
    if isinstance(value, Layer):
        yield name, value
    elif isinstance(value, (tuple, list, dict)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _layers(f"{name}_{key}", part)


def _mapped(name: str, value: Any, function: Callable) -> Any:
    if isinstance(value, Layer):
        return function(name, value)
    if isinstance(value, dict):
        return {key: _mapped(f"{name}_{key}", part, function) for key, part in value.items()}
    if isinstance(value, tuple):
        parts = (_mapped(f"{name}_{i}", part, function) for i, part in enumerate(value))
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def named_layers(fields: dict[str, Any]) -> dict[str, Layer]:
    """The layers in the fields of a block, by the names that their params have.

    Raises:
        ValueError: if two have one name.
    """
    found: dict[str, Layer] = {}
    for field, value in fields.items():
        for name, layer in _layers(field, value):
            if name in found:
                raise ValueError(f"two layers would be named {name!r}: rename the field {field!r}")
            found[name] = layer
    return found


class Planning(Calls):
    """`f` while a block's weights are found out, in an abstract run: transformations run with `f` itself."""

    def __init__(self, block: Any, run: Callable, declared: dict):
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
