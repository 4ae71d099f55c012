"""`JaxLayer` and `FlaxLayer`: functions of JAX, and modules of Flax, as layers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compat.engine.layer import Layer
from compat.serialization.objects import deserialize_keras_object, serialize_keras_object
from compat.serialization.registry import lend
from compat.state import naming
from compat.variables.seeds import SeedGenerator, key_of
from compat.variables.variable import Variable
from kfun.bridges._leaves import require
from kfun.bridges.flax import mode_argument

_CALL = ("params", "state", "rng", "inputs", "training")
_INIT = ("rng", "inputs", "training")


class JaxLayer(Layer):
    """A function on JAX arrays as a layer.

    `call_fn` takes some of these arguments, under these names, and gives the outputs, or
    `(outputs, new state)` if it takes a state:

        params      a pytree of the trainable variables
        state       a pytree of the others
        rng         a random key while training, else None
        inputs      one array, or a pytree of them
        training    whether the layer trains

    `init_fn` takes `inputs` (arrays of the inputs' shapes, sizes of None taken as 1), and maybe `rng` and
    `training` (always True); it gives params, or `(params, state)` if `call_fn` takes a state. Leaves that are no
    numbers stay what they are.

    Args:
        call_fn: computes the layer.
        init_fn: makes the first params and state, when the layer is built; not called if one of them is given.
        params: first params.
        state: first state.
        seed: of `rng`.
        native_serialization_platforms: kept for Keras's configuration; it is about Keras on TensorFlow.

    Raises:
        ValueError: if a function takes other arguments, or there is nothing to make the variables from.
    """

    def __init__(
        self,
        call_fn: Callable,
        init_fn: Callable | None = None,
        params: Any = None,
        state: Any = None,
        seed: int | None = None,
        native_serialization_platforms: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.__dict__.update(call_fn=call_fn, init_fn=init_fn)
        self.seed, self.native_serialization_platforms = seed, native_serialization_platforms
        self.__dict__["_kf_call"] = _arguments(self.name, "call_fn", call_fn, _CALL)
        self.__dict__["_kf_init"] = _arguments(self.name, "init_fn", init_fn, _INIT) if init_fn is not None else []
        takes = {n for n in ("params", "state") if n in self._kf_call}
        if takes and init_fn is None and params is None and state is None:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: call_fn takes {' and '.join(sorted(takes))}: give init_fn, or "
                "first values of them"
            )
        self.__dict__["_kf_trees"] = None
        if params is not None or state is not None:
            with naming.under(self.name):
                self._kf.built_in = naming.path_of("").rstrip("/")
            self._make(params, state)
        if "rng" in self._kf_call:
            self.seed_generator = SeedGenerator(seed)

    def _make(self, params: Any, state: Any) -> None:
        trees = {}
        for name, tree, trainable in (("params", params, self.trainable), ("state", state, False)):
            leaves, treedef = jax.tree.flatten(tree)
            with naming.at(self._kf.built_in):
                made = [Variable(jnp.asarray(x), trainable=trainable) if _is_number(x) else x for x in leaves]
            for variable in made:
                if isinstance(variable, Variable):
                    self._track(variable)
            trees[name] = made, treedef
        self.__dict__["_kf_trees"] = trees

    @property
    def params(self) -> Any:
        """The pytree of the trainable variables; None before they are made."""
        return self._made("params")

    @property
    def state(self) -> Any:
        """The pytree of the other variables; None before they are made, or if `call_fn` takes none."""
        return self._made("state")

    def _made(self, name: str) -> Any:
        if self._kf_trees is None:
            return None
        leaves, treedef = self._kf_trees[name]
        return jax.tree.unflatten(treedef, leaves)

    def _variables_of(self, name: str) -> Any:
        return jax.tree.map(lambda v: v.value if isinstance(v, Variable) else v, self._made(name))

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        first = args[0] if args else next(iter(kwargs.values()))
        self.__dict__.setdefault("_kf_dtypes", [str(x.dtype) for x in jax.tree.leaves(first, is_leaf=_is_tensor)])
        super()._build_for(args, kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes the variables by `init_fn`, unless first values were given."""
        if self._kf_trees is None:
            self._make(*(self._first(input_shape) if self.init_fn is not None else (None, None)))
        self.built = True

    def _first(self, input_shape: Any) -> tuple[Any, Any]:
        shapes, treedef = jax.tree.flatten(input_shape, is_leaf=_is_shape)
        known = self.__dict__.get("_kf_dtypes") or []
        types = known if len(known) == len(shapes) else [self.compute_dtype] * len(shapes)
        sizes = [math.prod(1 if s is None else s for s in shape) for shape in shapes]
        lend(4 * sum(sizes), f"{type(self).__name__} {self.name!r} for inputs of shape {input_shape}")
        blanks = [jnp.ones([1 if s is None else s for s in shape], t) for shape, t in zip(shapes, types, strict=True)]
        given = {"rng": self._first_rng(), "inputs": jax.tree.unflatten(treedef, blanks), "training": True}
        made = self.init_fn(*(given[n] for n in self._kf_init))
        if "state" not in self._kf_call:
            return made, None
        if not isinstance(made, (tuple, list)) or len(made) != 2:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: call_fn takes a state, so init_fn must give (params, state); "
                f"received {type(made).__name__}"
            )
        return made[0], made[1]

    def _first_rng(self) -> Any:
        """The random key for `init_fn`, from the global generator."""
        return jnp.asarray(key_of(None))

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Calls `call_fn`."""
        given = {"inputs": inputs, "training": bool(training), "rng": None}
        given |= {n: self._variables_of(n) for n in ("params", "state") if n in self._kf_call}
        if training and "rng" in self._kf_call:
            given["rng"] = self.seed_generator.next()
        outputs = self.call_fn(*(given[n] for n in self._kf_call))
        if "state" not in self._kf_call:
            return outputs
        if not isinstance(outputs, (tuple, list)) or len(outputs) != 2:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: call_fn takes a state, so it must give (outputs, state); "
                f"received {type(outputs).__name__}"
            )
        outputs, state = outputs
        variables, treedef = self._kf_trees["state"]
        if jax.tree.structure(state) != treedef:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: the new state has the form {jax.tree.structure(state)}; "
                f"expected that of the old one, {treedef}"
            )
        for variable, value in zip(variables, jax.tree.leaves(state), strict=True):
            if isinstance(variable, Variable):
                variable.assign(value)
        return outputs

    def get_config(self) -> dict:
        """The constructor's arguments; params and state are weights, which a file has apart."""
        config = super().get_config() | {
            "call_fn": serialize_keras_object(self.call_fn),
            "init_fn": serialize_keras_object(self.init_fn),
            "native_serialization_platforms": self.native_serialization_platforms,
        }
        return config if self.seed is None else config | {"seed": self.seed}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The layer of a config; its functions must be registered."""
        return cls(**{k: deserialize_keras_object(v) if isinstance(v, dict) else v for k, v in config.items()})


def _arguments(layer: str, what: str, function: Callable, known: tuple[str, ...]) -> list[str]:
    """The names of a function's arguments, in order."""
    if not callable(function):
        raise TypeError(f"JaxLayer {layer!r}: expected {what} to be a function; received {function!r:.80}")
    names = list(inspect.signature(function).parameters)
    for name in names:
        if name not in known:
            raise ValueError(f"JaxLayer {layer!r}: {what} takes {name!r}; the arguments it may take are {known}")
    if "inputs" not in names:
        raise ValueError(f"JaxLayer {layer!r}: {what} must take inputs; it takes {names}")
    return names


def _is_number(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") or isinstance(leaf, (bool, int, float, complex))


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(s is None or isinstance(s, int) for s in value)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dtype")


class FlaxLayer(JaxLayer):
    """A `flax.linen.Module` as a layer.

    The collection `"params"` are the trainable variables, all other collections the others. The module is
    told whether it trains by its argument `training`, `train` or `is_training`, or their opposites
    `deterministic` and `use_running_average`, if it has one. For an nnx module use
    `KfunLayer(kfun.from_flax(module))`.

    Args:
        module: the module; its method takes `inputs`, one array or a pytree.
        method: what is called, `__call__` by default: a method, its name, or a function that takes the
            module first.
        variables: first variables, as `module.init` gives them, which is called otherwise.
        kwargs: `seed` and those of all layers.

    Raises:
        TypeError: if it is no linen module.
    """

    def __init__(self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any):
        require("flax", "flax", "FlaxLayer")
        from flax import linen

        if not isinstance(module, linen.Module):
            raise TypeError(
                f"FlaxLayer: expected a flax linen module; received {type(module).__name__}. For an nnx module use "
                "KfunLayer(kfun.from_flax(module))"
            )
        if isinstance(method, str) and method.startswith("_") and method != "__call__":
            raise ValueError(f"FlaxLayer: expected the name of a public method; received {method!r}")
        function = getattr(module, method) if isinstance(method, str) else module.__call__ if method is None else method

        def call(params: Any, state: Any, rng: Any, inputs: Any, training: bool) -> Any:
            told = mode_argument(function, training)
            outputs, new = module.apply(
                {**params, **state},
                inputs,
                rngs={} if rng is None else {"dropout": rng},
                method=method,
                mutable=linen.DenyList(["params"]),
                **told,
            )
            return outputs, {name: new.get(name, old) for name, old in state.items()}

        def init(rng: Any, inputs: Any, training: bool) -> Any:
            return _parted(module.init(rng, inputs, method=method, **mode_argument(function, training)))

        params, state = (None, None) if variables is None else _parted(variables)
        super().__init__(call, init, params, state, **kwargs)
        self.__dict__.update(module=module, method=method)

    def _first_rng(self) -> Any:
        return {"params": super()._first_rng(), "dropout": super()._first_rng()}

    def get_config(self) -> dict:
        """The constructor's arguments.

        Raises:
            ValueError: if the module's class has no `get_config`.
        """
        if not hasattr(self.module, "get_config"):
            raise ValueError(
                f"FlaxLayer {self.name!r}: {type(self.module).__name__} has no get_config, so that it cannot be "
                "written as JSON: give it get_config and from_config and register it, or save the weights alone"
            )
        config = Layer.get_config(self) | {"module": serialize_keras_object(self.module)}
        bound = getattr(self.method, "__self__", None) == self.module
        config["method"] = serialize_keras_object(self.method.__name__ if bound else self.method)
        return config if self.seed is None else config | {"seed": self.seed}


def _parted(variables: Any) -> tuple[dict, dict]:
    """The collection "params", and all others, of a linen module's variables."""
    params = {name: v for name, v in variables.items() if name == "params"}
    return params, {name: v for name, v in variables.items() if name != "params"}
