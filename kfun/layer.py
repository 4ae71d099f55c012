"""`Layer`: an immutable definition with two pure functions, `init` and `apply`.

    params, state = layer.init(key, *specs)
    outputs, state = layer.apply(params, state, *inputs, key=None, training=False)

`params` holds what is trained, `state` everything else (moving statistics, counters): nested
dicts of arrays, keyed by Keras's names. Structure and dtypes never change between steps.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from kfun import abstract, dtypes, ops, random
from kfun.definition import Convert, Definition
from kfun.errors import ParameterError, UnknownSizeError
from kfun.graph import is_symbolic, record, specs_of
from kfun.ops._kinds import backend, default_kind, kind_of, kind_of_type
from kfun.precision import Policy, cast
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


def _policy(value: Any) -> Any:
    if value is None or isinstance(value, Policy):
        return value
    hint = "; what jax.checkpoint keeps is no matter of types: use it around `apply`" if callable(value) else ""
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
    pools_rows = False  # whether training draws on all rows of a batch; those that do not count must be masked

    def weights(self, *inputs: Spec) -> dict:
        """The declared weights for inputs of these specs: a nested dict of `Weight`."""
        return {}

    def forward(self, params: dict, *inputs: Any) -> Any:
        """The outputs of a layer without state; the short form of `apply`."""
        raise TypeError(f"{type(self).__name__} must define forward(params, *inputs) or apply(...)")

    def init(self, key: Any, *specs: Any) -> tuple[dict, dict]:
        """Draws the weights.

        Args:
            key: a random key; the weights are made in its framework.
            specs: one `Spec`, or an array in its place, per input.

        Returns:
            `(params, state)`.
        """
        return draw(key, self.weights(*map(Spec.of, specs)), self.policy)

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
            raise _no_state(state)
        params, inputs = self.to_compute(params, inputs)
        try:
            return self.to_output(self.forward(params, *inputs)), state
        except Exception as error:
            _explain(self, params, inputs, error)
            raise

    def to_compute(self, params: dict, inputs: tuple) -> tuple[dict, tuple]:
        """Parameters and inputs in the type that the policy computes in."""
        if self.policy is None:
            return params, inputs
        return cast(params, self.policy.compute), cast(inputs, self.policy.compute)

    def to_output(self, outputs: Any) -> Any:
        """Outputs in the type that the policy answers in."""
        return outputs if self.policy is None else cast(outputs, self.policy.output)

    def plan(self, *inputs: Any, **call_args: Any) -> tuple[dict, Any]:
        """Within an abstract run: the declared weights and the outputs."""
        declared = self.weights(*map(Spec.of, inputs))
        params, state = split(blank(declared, self.policy))
        return declared, self.apply(params, state, *inputs, **call_args)[0]

    def output_spec(self, *specs: Any) -> Any:
        """The specs of the outputs for inputs of these specs, weights of any values."""
        return abstract.evaluate(lambda *xs: self.plan(*xs)[1], *map(Spec.of, specs))

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
        return self.plan(*inputs, **call_args)[1]


class Composite(Layer):
    """Base of layers made of others: `plan` tells their weights in one abstract run."""

    def weights(self, *inputs: Spec) -> dict:
        plans: list[dict] = []

        def run(*arrays):
            declared, outputs = self.plan(*arrays)
            plans.append(declared)
            return outputs

        abstract.evaluate(run, *inputs)
        if plans[-1] != plans[-2 if len(plans) > 1 else -1]:  # unlike fills of one unknown size
            raise UnknownSizeError(
                f"{type(self).__name__}: a weight's shape depends on a size that is not known; "
                f"received {', '.join(str(s.shape) for s in inputs)}"
            )
        return plans[-1]

    def plan(self, *inputs: Any, **call_args: Any) -> tuple[dict, Any]:
        raise TypeError(f"{type(self).__name__} must define plan(*inputs)")


def planner() -> tuple[Callable, dict]:
    """`(run, declared)` for a composite's plan: `run(name, layer, args, kwargs)` plans a sublayer."""
    declared: dict = {}

    def run(name: str, layer: Layer, args: tuple, kwargs: dict) -> Any:
        tree, outputs = layer.plan(*args, **kwargs)
        declared.setdefault(name, tree)
        return outputs

    return run, declared


def runner(params: dict, state: dict, key: Any, training: bool) -> tuple[Callable, dict, Iterator[Any]]:
    """`(run, new state, keys)` for a composite's apply: `run(name, layer, args, kwargs)` applies a sublayer.

    `keys` gives the key of each call, None if there is none; the new state fills as sublayers run.
    A tuple as `key` has the key of each call.
    """
    if type(state) is not dict and not isinstance(state, Mapping):
        raise _no_state(state)
    state = dict(state)
    if isinstance(key, tuple):
        keys = iter(key)
    else:
        keys = (None if key is None else random.fold_in(key, n) for n in itertools.count())

    def run(name: str, layer: Layer, args: tuple, kwargs: dict) -> Any:
        p, s = params.get(name, {}), state.get(name, {})
        try:
            outputs, s = layer.apply(p, s, *args, key=next(keys), training=training, **kwargs)
        except ParameterError as error:
            raise error.within(name) from error.__cause__
        except Exception as error:
            _explain(layer, p, args, error, name)
            raise
        if s:
            state[name] = s
        return outputs

    return run, state, keys


def _no_state(received: Any) -> TypeError:
    return TypeError(
        f"apply(params, state, *inputs): `state` is missing; received {type(received).__name__} in its place. "
        "Pass the state that init gave, {} if the layer has none: layer.apply(params, state, x)"
    )


def _explain(layer: Layer, params: Any, inputs: tuple, error: Exception, name: str = "") -> None:
    """Raises `ParameterError` if a layer failed because its params are missing or of other shapes than it declares.

    They are compared after a failure alone, so that calls that succeed pay nothing.
    """
    if isinstance(layer, Composite) or isinstance(error, ParameterError):
        return
    try:
        declared = layer.weights(*map(Spec.of, inputs))
        faults = _faults(declared, params)
    except Exception:  # what is wrong with the inputs, the first error tells
        return
    missing = any(fault.startswith("is missing") for fault in faults.values())
    said = str(error) if isinstance(error, ValueError) and not missing else ""
    if faults and (name or not said):
        told = ParameterError(faults, repr(layer), said)
        raise (told.within(name) if name else told) from error


def _faults(declared: dict, params: Any, inside: str = "") -> dict[str, str]:
    faults: dict[str, str] = {}
    for name, weight in declared.items():
        found = params.get(name)
        if not isinstance(weight, Weight):
            faults |= _faults(weight, found or {}, f"{inside}{name}/")
        elif weight.trainable and found is None:
            faults[inside + name] = f"is missing, received {sorted(map(str, params)) or 'none'}"
        elif weight.trainable and not _is_structured(found) and tuple(found.shape) != weight.shape:
            faults[inside + name] = f"has shape {tuple(found.shape)}, expected {weight.shape}"
    surplus = {inside + str(name): "is no weight of the layer" for name in params if name not in declared}
    return faults | surplus if faults else {}


def _is_structured(array: Any) -> bool:
    """Whether an array stands for another one (LoRA, quantized ones), and need not have its shape."""
    return getattr(kind_of_type(type(array)), "priority", 0) > 0


def map_weights(function: Callable, declared: dict) -> dict:
    """`function` of each `Weight` in a nested dict of them."""
    return {k: function(v) if isinstance(v, Weight) else map_weights(function, v) for k, v in declared.items()}


def dtype_of_weight(weight: Weight, policy: Policy | None) -> str:
    """The type that a weight is stored in."""
    return weight.dtype or (policy.params if policy and policy.params else "float32")


def blank(declared: dict, policy: Policy | None = None) -> dict:
    """Zeros for each declared weight, tagged for `split`: stand-ins in an abstract run."""
    return map_weights(lambda w: (w, ops.zeros(w.shape, dtype_of_weight(w, policy))), declared)


def draw(key: Any, declared: dict, policy: Policy | None = None) -> tuple[dict, dict]:
    """Draws every declared weight from its own key, split off in the order of declaration."""
    keys = iter(_split(key, _count(declared)))
    return split(map_weights(lambda w: (w, w.initializer(next(keys), w.shape, dtype_of_weight(w, policy))), declared))


def _split(key: Any, count: int) -> list:
    """`count` keys, split on the host where the key is known: nothing is compiled for this count."""
    kind = kind_of((key,)) or default_kind()
    known = kind.host(key) if kind.host else None
    if known is None or not count:
        return ops.unstack(random.split(key, count)) if count else []
    with backend("numpy"):
        return [kind.convert(k) for k in random.split(known, count)]


def _count(declared: dict) -> int:
    return sum(1 if isinstance(v, Weight) else _count(v) for v in declared.values())


def split(tagged: dict) -> tuple[dict, dict]:
    """Parts a nested dict of `(Weight, array)` into params and state; empty subtrees vanish."""
    params: dict = {}
    state: dict = {}
    for name, value in tagged.items():
        if isinstance(value, dict):
            for into, sub in zip((params, state), split(value), strict=True):
                if sub:
                    into[name] = sub
        else:
            (params if value[0].trainable else state)[name] = value[1]
    return params, state


def unique_names(layers: Any) -> list[str]:
    """A name for each layer: its own, or its class in snake case, numbered where taken."""
    names: list[str] = []
    for layer in layers:
        base = layer.name or snake_case(type(layer).__name__)
        name, n = base, 0
        while name in names:
            if layer.name:
                raise ValueError(f"two layers are named {base!r}: names within a model are unique")
            n += 1
            name = f"{base}_{n}"
        names.append(name)
    return names


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
