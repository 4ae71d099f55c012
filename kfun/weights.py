"""What layers declare before anything is drawn: `Weight`, nested dicts of them, and layers that draw their own."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax

from kfun import ops, random
from kfun.errors import UnknownSizeError
from kfun.initializers import Initializer
from kfun.ops._kinds import backend, default_kind, kind_of
from kfun.precision import Policy
from kfun.spec import Spec


@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight that a layer declares.

    Args:
        shape: sizes, all known.
        initializer: called as `initializer(key, shape, dtype)`.
        dtype: None means the policy's parameter type.
        trainable: whether it belongs to `params`; else to `state`.
        autocast: whether a precision policy may cast it for computation.
    """

    shape: tuple[int, ...]
    initializer: Callable
    dtype: str | None = None
    trainable: bool = True
    autocast: bool = True


_HINTS = {
    True: "It was given specs: if weights depend on data, give the init of the whole arrays in their place.",
    False: "It is traced first, for the shapes that it gives: it may use kfun.ops and jax.numpy, not values in Python.",
}


@dataclasses.dataclass(frozen=True)
class Own:
    """Stands for all weights of a layer that draws them itself, by an `init` of its own.

    Args:
        layer: whose they are.
        init: `init(key, *inputs, **call_args) -> (params, state)`.
        inputs: pytrees with a `Spec` for each array.
        call_args: keyword arguments of the call, alike.
        made: the specs of what `init` gives.
    """

    layer: Any
    init: Callable = dataclasses.field(compare=False)
    inputs: tuple = dataclasses.field(compare=False)
    call_args: dict = dataclasses.field(compare=False)
    made: tuple[Any, Any]

    def zeros(self) -> tuple[Any, Any]:
        """Zeros in the place of what `init` gives."""
        return jax.tree.map(lambda s: ops.zeros(s.shape, s.dtype), self.made)

    def draw(self, key: Any, inputs: tuple, call_args: dict) -> tuple[Any, Any]:
        """What `init` gives for these inputs."""
        taken = inspect.signature(self.init).parameters.values()
        if not any(p.kind is p.VAR_KEYWORD for p in taken):
            names = {p.name for p in taken}
            call_args = {name: value for name, value in call_args.items() if name in names}
        try:
            return self.init(key, *inputs, **call_args)
        except Exception as error:
            error.add_note(
                f"This was raised by the init of {self.layer!r}. {_HINTS[is_spec_tree((inputs, call_args))]}"
            )
            raise

    def weights(self) -> dict:
        """The same as nested dicts of `Weight`, for those who draw weights one by one.

        Each weight's draw runs `init` with the key of that weight, and takes its part of the result.
        """

        def weight(part: int) -> Callable:
            def of(keys: tuple, spec: Spec) -> Weight:
                def initializer(key: Any, shape: tuple, dtype: str) -> Any:
                    value = self.draw(key, self.inputs, self.call_args)[part]
                    for k in keys:
                        value = value[k.key]
                    return ops.cast(value, dtype)

                sizes = tuple(n for n in spec.shape if n is not None)
                return Weight(sizes, initializer, spec.dtype, trainable=part == 0)

            return of

        params, state = (jax.tree_util.tree_map_with_path(weight(i), tree) for i, tree in enumerate(self.made))
        return merged(params, state, repr(self.layer))


class Pending:
    """The weights of a layer that draws its own, until the layer is called on the arrays to draw them for.

    Args:
        own: the layer and its `init`.
        key: what to draw with.
    """

    def __init__(self, own: Own, key: Any):
        self.own, self.key, self.made = own, key, None

    def start(self, inputs: tuple, call_args: dict) -> tuple[Any, Any]:
        """`(params, state)`, drawn at the first call."""
        if self.made is None:
            self.made = self.own.draw(self.key, inputs, call_args)
        return self.made

    def done(self) -> tuple[Any, Any]:
        """`(params, state)`; from the specs if nothing called the layer."""
        return self.start(self.own.inputs, self.own.call_args)


def spec_tree(tree: Any) -> Any:
    """The pytree with the `Spec` of each array; what is no array stays."""
    return jax.tree.map(lambda x: Spec.of(x) if hasattr(x, "shape") and hasattr(x, "dtype") else x, tree)


def is_spec_tree(tree: Any) -> bool:
    """Whether there is a `Spec` in a pytree."""
    return any(isinstance(leaf, Spec) for leaf in jax.tree.leaves(tree))


def owned(layer: Any, init: Callable, inputs: tuple, call_args: dict) -> Own:
    """`Own` of a layer, within an abstract run: `init` is traced for the shapes that it gives."""
    key = jax.ShapeDtypeStruct((2,), "uint32")
    stub = Own(layer, init, inputs, call_args, ({}, {}))
    made = spec_tree(jax.eval_shape(lambda k: stub.draw(k, inputs, call_args), key))
    for made_of in jax.tree.leaves(made):
        if None in made_of.shape:
            raise UnknownSizeError(f"{layer!r}: its init gives an array of shape {made_of.shape}: sizes must be known")
    return dataclasses.replace(stub, inputs=spec_tree(inputs), call_args=spec_tree(call_args), made=made)


def map_weights(function: Callable, declared: Any) -> Any:
    """`function` of each `Weight` and each `Own` in nested dicts of them."""
    if isinstance(declared, dict):
        return {name: map_weights(function, value) for name, value in declared.items()}
    return function(declared)


def flat_weights(declared: Any) -> dict:
    """Nested dicts of `Weight` alone."""
    if isinstance(declared, Own):
        return declared.weights()
    return {k: v if isinstance(v, Weight) else flat_weights(v) for k, v in declared.items()}


def has_own(declared: Any) -> bool:
    """Whether a layer in it draws its own weights."""
    if isinstance(declared, dict):
        return any(map(has_own, declared.values()))
    return isinstance(declared, Own)


def stored_as(declared: Any, policy: Policy | None) -> Any:
    """The declared weights with the type that a policy stores those in that name none."""
    if policy is None or policy.params is None:
        return declared

    def typed(weight: Any) -> Any:
        if isinstance(weight, Own) or weight.dtype:
            return weight
        return dataclasses.replace(weight, dtype=policy.params)

    return map_weights(typed, declared)


def merged(first: Any, second: Any, layer: str) -> Any:
    """The weights of two calls of one layer.

    Raises:
        ValueError: if the calls need a weight in two shapes.
    """
    if not isinstance(first, dict) or not isinstance(second, dict):
        return first
    both = dict(first)
    for name, value in second.items():
        known = both.setdefault(name, value)
        if isinstance(known, dict):
            both[name] = merged(known, value, layer)
        elif isinstance(known, Weight) and isinstance(value, Weight) and known.shape != value.shape:
            raise ValueError(
                f"{layer} is called twice, and its weight {name!r} would have the shape {known.shape} for one call and "
                f"{value.shape} for the other. Use a layer of its own for each"
            )
    return both


def dtype_of_weight(weight: Weight, policy: Policy | None) -> str:
    """The type that a weight is stored in."""
    return weight.dtype or (policy.params if policy and policy.params else "float32")


def blank(declared: Any, policy: Policy | None = None) -> tuple[Any, Any]:
    """`(params, state)` of zeros: stand-ins in an abstract run."""

    def zeros(weight: Any) -> Any:
        return weight.zeros() if isinstance(weight, Own) else ops.zeros(weight.shape, dtype_of_weight(weight, policy))

    return split(map_weights(zeros, declared), declared)


def draw(key: Any, declared: Any, policy: Policy | None = None) -> Any:
    """Every declared weight drawn from its own key, split off in the order of declaration.

    Returns:
        the nested dicts with an array for each `Weight`, a `Pending` for each `Own`.
    """
    kind = kind_of((key,)) or default_kind()
    count = _count(declared)
    known = kind.host(key) if kind.host and count else None
    if known is None:
        keys = iter(ops.unstack(random.split(key, count)) if count else ())
    else:
        with backend("numpy"):
            keys = iter(random.split(known, count))

    def drawn(weight: Any) -> Any:
        own = next(keys)
        if known is not None:
            if _reads_keys_on_host(weight, policy):
                return weight.initializer.draw_known(kind, own, weight.shape, dtype_of_weight(weight, policy))
            own = kind.convert(own)
        if isinstance(weight, Own):
            return Pending(weight, own)
        return weight.initializer(own, weight.shape, dtype_of_weight(weight, policy))

    return map_weights(drawn, declared)


def _reads_keys_on_host(weight: Any, policy: Policy | None) -> bool:
    """Whether the numbers of a key serve to draw a weight, so that the key need not become an array of its kind."""
    if isinstance(weight, Own) or dtype_of_weight(weight, policy) == "float64":
        return False
    initializer = weight.initializer  # one with a call of its own takes the key as it is
    return isinstance(initializer, Initializer) and type(initializer).__call__ is Initializer.__call__


def _count(declared: Any) -> int:
    return sum(map(_count, declared.values())) if isinstance(declared, dict) else 1


def split(values: Any, declared: Any, waiting: bool = False) -> tuple[Any, Any]:
    """Parts what belongs to the declared weights into params and state; empty subtrees vanish.

    Args:
        values: nested dicts like `declared`: an array for each `Weight`, `(params, state)` or a
            `Pending` for each `Own`.
        declared: nested dicts of `Weight` and `Own`.
        waiting: whether a `Pending` stays one, in the params.
    """
    if isinstance(declared, Own):
        if isinstance(values, Pending):
            return (values, {}) if waiting else values.done()
        return values
    params: dict = {}
    state: dict = {}
    for name, weight in declared.items():
        value = values[name]
        if isinstance(weight, Weight):
            (params if weight.trainable else state)[name] = value
            continue
        for into, part in zip((params, state), split(value, weight, waiting), strict=True):
            if part or not isinstance(part, dict):
                into[name] = part
    return params, state


def is_pending(params: Any) -> bool:
    """Whether weights wait in it for the arrays to draw them for."""
    return any(map(is_pending, params.values())) if isinstance(params, dict) else isinstance(params, Pending)
