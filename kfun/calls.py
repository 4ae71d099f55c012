"""The `f` of a block's `forward`: its sublayers ready to call, weights of its own, and transformations."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

from kfun import initializers, ops
from kfun.layer import Layer
from kfun.spec import Spec
from kfun.surgery import map_nested
from kfun.weights import Weight


class Calls(abc.ABC):
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
        return map_nested(self._bound, getattr(self._block, name), name)

    def _bound(self, name: str, layer: Layer) -> Any:
        return _Bound(name, layer, self._run)

    @abc.abstractmethod
    def key(self) -> Any:
        """A fresh random key.

        Raises:
            ValueError: if the block was applied without a key.
        """

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

    @abc.abstractmethod
    def _weight(self, name: str, weight: Weight) -> Any:
        """The array of a weight of the block's own, declared or found."""

    @abc.abstractmethod
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

    @abc.abstractmethod
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

    @abc.abstractmethod
    def cond(self, pred: Any, true_fun: Callable, false_fun: Callable, *operands: Any) -> Any:
        """`true_fun(f, *operands)` or `false_fun(f, *operands)`, with the state that it leaves."""

    @abc.abstractmethod
    def remat(self, fun: Callable, policy: Any = None) -> Callable:
        """`kfun.checkpoint` of a function with layers in it: `fun(f, *args)`.

        Args:
            fun: its intermediate values are computed again in the backward pass.
            policy: which of them are kept all the same: one of `jax.checkpoint_policies`, or its name (JAX).
        """


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


def named_layers(fields: dict[str, Any]) -> dict[str, Layer]:
    """The layers in the fields of a block, by the names that their params have.

    Raises:
        ValueError: if two have one name.
    """
    found: dict[str, Layer] = {}
    for field, value in fields.items():

        def add(name: str, layer: Layer, field: str = field) -> Layer:
            if name in found:
                raise ValueError(f"two layers would be named {name!r}: rename the field {field!r}")
            found[name] = layer
            return layer

        map_nested(add, value, field)
    return found
