"""`Layer`: an immutable definition with two pure functions, `init` and `apply`.

    params, state = layer.init(key, *specs)
    outputs, state = layer.apply(params, state, *inputs, key=None, training=False)

`params` holds what is trained, `state` everything else (moving statistics, counters): nested
dicts of arrays, keyed by Keras's names. Structure and dtypes never change between steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from kfun import abstract, dtypes, random
from kfun.definition import Convert, Definition
from kfun.errors import UnknownSizeError
from kfun.fitting import explain, refuse_surplus
from kfun.graph import is_symbolic, record, specs_of
from kfun.precision import Policy, cast
from kfun.spec import Spec
from kfun.weights import Pending, blank, draw, flat_weights, has_own, is_spec_tree, owned, spec_tree, split, stored_as


def _policy(value: Any) -> Any:
    if value is None or isinstance(value, Policy):
        return value
    hint = "; what a rematerialized layer keeps is its `checkpoint_policy`" if callable(value) else ""
    raise TypeError(f'must be a kfun.Policy, as kfun.Policy(compute="bfloat16"), or None; received {value!r}{hint}')


class Layer(Definition):
    """Base of all layers.

    A simple layer declares its weights and gives a `forward`:

        class Scale(Layer):
            size: int

            def weights(self, x):
                return {"scale": Weight((self.size,), initializers.get("ones"))}

            def forward(self, params, x):
                return ops.multiply(x, params["scale"])

    A layer with state or randomness gives `apply` instead of `forward`. A layer whose `apply`
    takes a `mask` says so by `uses_mask`.

    Args:
        name: names the layer in a model, and its subtree of the parameters.
        policy: the types it computes in; None computes in the types of its arrays.
    """

    name: str | None = dataclasses.field(default=None, kw_only=True)
    policy: Annotated[Policy | None, Convert(_policy)] = dataclasses.field(default=None, kw_only=True)

    # Not fields: no annotation.
    uses_mask = False
    is_composite = False
    pools_rows = False  # whether training draws on all rows of a batch; those that do not count must be masked

    def weights(self, *inputs: Spec) -> dict:
        """The declared weights for inputs of these specs: a nested dict of `Weight`."""
        return {}

    def forward(self, params: dict, *inputs: Any) -> Any:
        """The outputs of a layer without state; the short form of `apply`."""
        raise TypeError(f"{type(self).__name__} must define forward(params, *inputs) or apply(...)")

    def init(self, key: Any, *inputs: Any, **call_args: Any) -> tuple[Any, Any]:
        """Draws the weights.

        A layer with an `init` of its own is initialized by it inside other layers too. It is given what the layer is
        called on: arrays where `init` of the whole is given arrays, so that weights can depend on data; else specs.

        Args:
            key: a random key; the weights are made in its framework.
            inputs: what `apply` takes, pytrees with a `Spec` or an array for each array.
            call_args: keyword arguments of `apply`, alike.

        Returns:
            `(params, state)`.
        """
        specs, named = spec_tree((inputs, call_args))
        declared = self.weights(*specs, **named) if self.is_composite else self.weights(*specs)
        drawn = draw(key, declared, self.policy)
        if has_own(declared) and not is_spec_tree((inputs, call_args)):
            if isinstance(drawn, Pending):
                return drawn.start(inputs, call_args)
            self.apply(*split(drawn, declared, waiting=True), *inputs, key=key, **call_args)
        return split(drawn, declared)

    @property
    def has_own_init(self) -> bool:
        """Whether the class draws its weights by an `init` of its own."""
        return type(self).init is not Layer.init

    @property
    def sublayers(self) -> dict[str, Layer]:
        """The layers inside, by the names that their params have."""
        return {}

    def apply(
        self, params: dict, state: dict, *inputs: Any, key: Any = None, training: bool = False
    ) -> tuple[Any, dict]:
        """Computes the layer: `(outputs, new state)`.

        Args:
            params, state: as `init` made them.
            inputs: arrays of one framework.
            key: a random key, for layers that draw numbers while training.
            training: whether to behave as in training (dropout, batch statistics).
        """
        if not inputs and not isinstance(state, Mapping):
            raise no_state(state)
        refuse_surplus(self, params, inputs)
        params, inputs = self.to_compute(params, inputs)
        try:
            return self.to_output(self.forward(params, *inputs)), state
        except Exception as error:
            explain(self, params, inputs, error)
            raise

    def to_compute(self, params: dict, inputs: tuple) -> tuple[dict, tuple]:
        """Parameters and inputs in the type that the policy computes in."""
        if self.policy is None:
            return params, inputs
        return cast(params, self.policy.compute), cast(inputs, self.policy.compute)

    def to_output(self, outputs: Any) -> Any:
        """Outputs in the type that the policy answers in."""
        return outputs if self.policy is None else cast(outputs, self.policy.output)

    def plan(self, *inputs: Any, **call_args: Any) -> tuple[Any, Any]:
        """Within an abstract run: the declared weights and the outputs."""
        declared = self.weights(*spec_tree(inputs))
        params, state = blank(declared, self.policy)
        return declared, self.apply(params, state, *inputs, key=random.key(0), **call_args)[0]

    def output_spec(self, *inputs: Any, **call_args: Any) -> Any:
        """The specs of the outputs for inputs of these specs or like these arrays, weights of any values."""
        inputs, call_args = spec_tree((inputs, call_args))
        return abstract.evaluate(lambda args, kwargs: planned(self, args, kwargs)[1], inputs, call_args)

    def compute_mask(self, *inputs: Any, mask: Any = None) -> Any:
        """The mask that goes with the outputs; by default the one that came with the inputs."""
        return mask

    def __call__(self, *inputs: Any, **call_args: Any) -> Any:
        """Records the layer in a graph: takes symbolic tensors, gives symbolic tensors."""
        if not is_symbolic((inputs, call_args)):
            raise TypeError(
                f"{self!r} is a definition and holds no weights: call layer.apply(params, state, x), "
                "or kfun.bind(layer, params, state)(x)"
            )
        return record(self, inputs, call_args, specs_of(self._planned_outputs, inputs, call_args))

    def _planned_outputs(self, *inputs: Any, **call_args: Any) -> Any:
        return planned(self, inputs, call_args)[1]


def planned(layer: Layer, inputs: tuple, call_args: dict) -> tuple[Any, Any]:
    """Within an abstract run: what a layer inside another declares, and its outputs.

    A layer whose class has an `init` of its own is declared by it alone.
    """
    return abstract.once(_planned, layer, inputs, call_args)


def _planned(layer: Layer, inputs: tuple, call_args: dict) -> tuple[Any, Any]:
    if layer.has_own_init:
        own = owned(layer, layer.init, inputs, call_args)
        return own, layer.apply(*own.zeros(), *inputs, key=random.key(0), **call_args)[0]
    declared, outputs = layer.plan(*inputs, **call_args)
    return stored_as(declared, layer.policy), outputs


def declared_by(layer: Layer, *inputs: Any) -> dict:
    """Nested dicts of `Weight`: what the layer declares, or what its own `init` makes, for inputs of these specs."""
    if not layer.has_own_init:
        return flat_weights(layer.weights(*inputs))
    found: list[Any] = []
    abstract.evaluate(lambda args: found.append(owned(layer, layer.init, args, {})), inputs)
    return found[-1].weights()


def no_state(received: Any) -> TypeError:
    """The error for a call of `apply` in which the state was forgotten."""
    return TypeError(
        f"apply(params, state, *inputs): `state` is missing; received {type(received).__name__} in its place. "
        "Pass the state that init gave, {} if the layer has none: layer.apply(params, state, x)"
    )


def by_name(layers: Iterable[Layer]) -> dict[str, Layer]:
    """The layers by name: each its own, or its class in snake case, numbered where taken."""
    named: dict[str, Layer] = {}
    for layer in layers:
        base = layer.name or snake_case(type(layer).__name__)
        name, n = base, 0
        while name in named:
            if layer.name:
                raise ValueError(f"two layers are named {base!r}: names within a model are unique")
            n += 1
            name = f"{base}_{n}"
        named[name] = layer
    return named


def snake_case(name: str) -> str:
    """`"Conv2DTranspose"` to `"conv2d_transpose"`, as Keras names layers."""
    out = ""
    for i, c in enumerate(name):
        before = name[i - 1] if i else ""
        after = name[i + 1] if i + 1 < len(name) else ""
        if (
            c.isupper()
            and i
            and (
                before.islower() or (after.islower() and not before.isdigit()) or (before.isdigit() and after.islower())
            )
        ):
            out += "_"
        out += c.lower()
    return out


def check_rank(layer: Layer, x: Any, ndim: int, axes: str) -> None:
    """Raises ValueError unless `x` has `ndim` axes, named by `axes` in the message."""
    shape = tuple(x.shape)
    if len(shape) != ndim:
        label = f'{type(layer).__name__} "{layer.name}"' if layer.name else type(layer).__name__
        fix = "Add an axis with ops.expand_dims or a Reshape layer" if len(shape) < ndim else "Flatten or Reshape it"
        raise ValueError(f"{label}: expected an input with {ndim} axes {axes}; received shape {_shown(shape)}. {fix}.")


def _shown(shape: tuple) -> str:
    return str(tuple(s if isinstance(s, int) else None for s in shape))


def known_size(layer: Layer, x: Spec, axis: int) -> int:
    """The size of an axis that a weight's shape depends on.

    Raises:
        UnknownSizeError: if it is not known.
    """
    size = x.shape[axis]
    if size is None:
        raise UnknownSizeError(
            f"{type(layer).__name__}: axis {axis} of the input must have a known size; received shape {x.shape}"
        )
    return size


def is_float(x: Any) -> bool:
    """Whether an array is floating."""
    return dtypes.is_float(dtypes.name(x.dtype))
