"""`bind`: a layer with its weights as an `eqx.Module`, whose state no optimizer takes for weights."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from kfun.block import Block
from kfun.errors import nearest
from kfun.layer import Layer


@functools.partial(jax.tree_util.register_dataclass, data_fields=("bits",), meta_fields=("dtype",))
@dataclasses.dataclass(frozen=True)
class Bits:
    """An array as the unsigned integers that its bits make.

    Arithmetic on them makes floats, or integers of other values: the former are refused by `value`.
    """

    bits: Any  # [...], and [..., 2] of the real and imaginary parts of complex numbers
    dtype: str

    def value(self) -> Any:
        """The array; what stands in its place in a gradient or a mask, as it is."""
        if self.bits is None or isinstance(self.bits, bool):
            return self.bits
        part, whole = _parts(self.dtype)
        if getattr(self.bits, "dtype", None) != whole:
            raise TypeError(
                f"the state of a bound module is kept as the bits of its arrays, {whole} for {self.dtype}; "
                f"received {getattr(self.bits, 'dtype', type(self.bits).__name__)} in their place. To average or "
                "change state, take model.state and make kfun.bind(model.layer, model.params, state) of the new one"
            )
        x = _reinterpreted(self.bits, part)
        return x[..., 0] + 1j * x[..., 1] if "complex" in self.dtype else x


def _bits(x: Any) -> Any:
    """An array as `Bits` if an optimizer would take it for weights."""
    if not eqx.is_inexact_array(x):
        return x
    dtype = jax.dtypes.canonicalize_dtype(x.dtype)
    x = x.astype(dtype)
    if "complex" in dtype.name:
        x = jnp.stack([x.real, x.imag], -1)
    return Bits(_reinterpreted(x, _parts(dtype.name)[1]), dtype.name)


def _reinterpreted(x: Any, dtype: Any) -> Any:
    return _bitcast(x, dtype) if isinstance(x, jax.Array) else np.asarray(x).view(dtype)


# Compiled, it costs an eager call a tenth.
_bitcast = jax.jit(jax.lax.bitcast_convert_type, static_argnums=1, inline=True)


@functools.cache
def _parts(name: str) -> tuple[Any, Any]:
    """The floating dtype that makes up a dtype (half of a complex one), and the unsigned integers of its size."""
    info = jnp.finfo(name)
    return jnp.dtype(name) if "complex" not in name else info.dtype, jnp.dtype(f"uint{info.bits}")


class Bound(eqx.Module):
    """A layer with its weights, made by `bind`: called like a function, a pytree to every transformation.

    The methods of a `kfun.Block` are called on it too: `model.decode(z, key=key)`.

    Works with `eqx.filter_*`, `eqx.tree_at` (on `params`), `eqx.tree_serialise_leaves`, and optax by equinox's
    usual recipe. The state (moving statistics, counters) is in the tree, so that it is traced, mapped, placed and
    saved with the rest, yet it is nothing to train: its floating arrays stand there as the integers of their bits.
    A filter for floating arrays, which is what `eqx.filter_grad` and
    `optimizer.init(eqx.filter(model, eqx.is_inexact_array))` go by, leaves it out, so that it has neither gradient
    nor weight decay. (`eqx.is_array` lets integers through, and most of optax refuses those of any module.) Floating
    arrays behind a `stop_gradient` would have gradients of 0, and decay; a state outside of the tree would be a
    constant of what is compiled.

    A call leaves the state as it was. `with_state` gives the module that holds the new one:

        def loss(model, x, y, key):
            outputs, model = model.with_state(x, key=key)
            return jnp.mean((outputs - y) ** 2), model

        @eqx.filter_jit
        def step(model, slots, x, y, key):
            (value, model), grads = eqx.filter_value_and_grad(loss, has_aux=True)(model, x, y, key)
            updates, slots = optimizer.update(grads, slots, eqx.filter(model, eqx.is_inexact_array))
            return eqx.apply_updates(model, updates), slots, value

    No gradient flows through a new state; where one must, call `layer.apply` itself.

    Args:
        params: what is trained.
        state: the rest; read it as `model.state`, change it by `bind(model.layer, model.params, new_state)`.
        layer: the definition.
    """

    params: Any
    kept: Any  # the state, with `Bits` for its floating arrays
    layer: Layer = eqx.field(static=True)

    def __init__(self, params: Any, state: Any, layer: Layer):
        self.params, self.kept, self.layer = params, jax.tree.map(_bits, state), layer

    @property
    def state(self) -> Any:
        """The state as the layer takes it."""
        return jax.tree.map(lambda x: x.value() if isinstance(x, Bits) else x, self.kept, is_leaf=_is_bits)

    def __call__(self, *inputs: Any, key: Any = None, training: bool = False, **call_args: Any) -> Any:
        """The outputs; a new state is dropped."""
        if len(inputs) == 1 and isinstance(inputs[0], Bound) and _is_mask(self):
            return self  # optax calls a mask that can be called on what is to be masked
        return self.layer.apply(self.params, self.state, *inputs, key=key, training=training, **call_args)[0]

    def with_state(self, *inputs: Any, key: Any = None, training: bool = True, **call_args: Any) -> tuple[Any, Bound]:
        """`(outputs, module with the new state)`."""
        outputs, state = self.layer.apply(self.params, self.state, *inputs, key=key, training=training, **call_args)
        return outputs, Bound(self.params, state, self.layer)

    def __getattr__(self, name: str) -> Any:
        """A method of the layer, called as the module is: `model.decode(z)` is `model(z, method="decode")`."""
        layer = self.__dict__.get("layer")
        known = layer.methods() if isinstance(layer, Block) else []
        if name not in known:
            offered = [n for n in (*dir(type(self)), *known) if n[0] != "_"]
            raise AttributeError(f"a bound {type(layer).__name__} has no {name!r}; {nearest(name, offered)}")
        return functools.partial(self, method=name)

    def trainable(self) -> Bound:
        """The module with True for the floating arrays of its params, False for all else, the state above all.

        A filter, `eqx.partition(model, model.trainable())`, and a mask of optax,
        `optax.adamw(1e-3, mask=model.trainable())`; with some of it set to False, what is frozen:
        `eqx.tree_at(lambda m: m.params["encoder"], model.trainable(), replace=False)`.
        """
        return jax.tree.map(eqx.is_inexact_array, self)


def _is_bits(x: Any) -> bool:
    return isinstance(x, Bits)


def _is_mask(module: Bound) -> bool:
    return all(isinstance(leaf, bool) for leaf in jax.tree.leaves(module))


def bind(layer: Layer, params: Any, state: Any = None) -> Bound:
    """The layer with its weights as an equinox module.

    Example:
        >>> import kfun
        >>> dense = kfun.layers.Dense(3)
        >>> f = bind(dense, *dense.init(kfun.random.key(0), kfun.Spec((None, 2))))
        >>> f(kfun.ops.ones((5, 2))).shape
        (5, 3)
    """
    return Bound(params, {} if state is None else state, layer)
