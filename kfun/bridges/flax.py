"""Flax modules as layers: linen's, which hold no weights, and nnx's, which do."""

from __future__ import annotations

import inspect
from typing import Any

import jax

from kfun import random
from kfun.bridges._leaves import Together, given, require, structs
from kfun.layer import Layer
from kfun.spec import Spec

_TRAINING = ("training", "train", "is_training")
_EVALUATION = ("deterministic", "use_running_average", "eval", "inference")


def mode_argument(function: Any, training: bool) -> dict[str, bool]:
    """The keyword argument by which a Flax function is told whether it trains, by the names in use; {} if none."""
    names = inspect.signature(function).parameters
    told = {name: bool(training) for name in _TRAINING if name in names}
    return told or {name: not training for name in _EVALUATION if name in names}


class FromLinen(Layer):
    """A `flax.linen.Module` as a layer, made by `from_flax`.

    Args:
        module: its collection `"params"` are the params, all other collections the state.
        method: the name of the method that is called, or a function that takes the module first.
        rngs: the names of the random streams besides `"params"`, drawn from the key.
    """

    loadable = "a Flax module is code"

    module: Any
    method: Any = None
    rngs: tuple[str, ...] = ("dropout",)

    def weights(self, *inputs: Spec) -> dict:
        like = structs(inputs, f"{type(self.module).__name__}", lambda *xs: jax.eval_shape(self._draw, _key(), *xs))
        zeros = [jax.ShapeDtypeStruct([s or 1 for s in x.shape], x.dtype) for x in inputs]
        together = Together(lambda key: _paths(self._draw(key, *(jax.numpy.zeros(z.shape, z.dtype) for z in zeros))))
        made: dict = {}
        for path, x in _paths(like).items():
            inner = made
            for name in path[1:-1] if path[0] == "params" else path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = together.weight(path, x, path[0] == "params")
        return made

    def _function(self) -> Any:
        if isinstance(self.method, str):
            return getattr(self.module, self.method)
        return self.module.__call__ if self.method is None else self.method

    def _draw(self, key: Any, *inputs: Any) -> dict:
        streams = {name: random.fold_in(key, i) for i, name in enumerate(("params", *self.rngs))}
        told = mode_argument(self._function(), False)
        return self.module.init(streams, *inputs, method=self.method, **told)

    def init(self, key, *specs):
        variables = self._draw(key, *(jax.numpy.zeros([s or 1 for s in x.shape], x.dtype) for x in map(Spec.of, specs)))
        return variables.get("params", {}), {name: v for name, v in variables.items() if name != "params"}

    def apply(self, params, state, *inputs, key=None, training=False):
        """Runs the module; collections of the state are mutable."""
        streams = {} if key is None else {name: random.fold_in(key, i) for i, name in enumerate(self.rngs)}
        told = mode_argument(self._function(), training)
        outputs, new = self.module.apply(
            {"params": params, **state}, *inputs, rngs=streams, method=self.method, mutable=list(state), **told
        )
        return outputs, {name: new.get(name, old) for name, old in state.items()}


class FromNnx(Layer):
    """A `flax.nnx.Module` as a layer, made by `from_flax`.

    Args:
        module: its `nnx.Param` variables are the params, all others (batch statistics, random streams)
            the state.
        method: the name of the method that is called.
    """

    loadable = "a Flax module is code"

    module: Any
    method: str = "__call__"

    def _split(self, module: Any) -> tuple[Any, dict, dict]:
        from flax import nnx

        graph, params, rest = nnx.split(module, nnx.Param, ...)
        return graph, _pure(nnx, params), _pure(nnx, rest)

    def weights(self, *inputs: Spec) -> dict:
        _, params, rest = self._split(self.module)
        made: dict = {}
        for tree, trainable in ((params, True), (rest, False)):
            for path, x in _paths(tree).items():
                inner = made
                for name in path[:-1]:
                    inner = inner.setdefault(str(name), {})
                inner[str(path[-1])] = given(x, trainable)
        return made

    def apply(self, params, state, *inputs, key=None, training=False):
        """Runs the module in its training or evaluation mode; its random streams are part of the state."""
        from flax import nnx

        graph, first, rest = nnx.split(self.module, nnx.Param, ...)
        module = nnx.merge(graph, _filled(nnx, first, params), _filled(nnx, rest, state))
        module.train() if training else module.eval()
        function = getattr(module, self.method)
        outputs = function(*inputs, **mode_argument(function, training))
        return outputs, _named(self._split(module)[2])


def _key() -> Any:
    return jax.ShapeDtypeStruct((2,), "uint32")


def _paths(tree: Any) -> dict[tuple, Any]:
    """The leaves of nested dicts by path."""
    if not isinstance(tree, dict):
        return {(): tree}
    return {(name, *path): leaf for name, inner in tree.items() for path, leaf in _paths(inner).items()}


def _pure(nnx: Any, state: Any) -> dict:
    """A state as nested dicts of arrays, typed random keys as their numbers."""

    def plain(x: Any) -> Any:
        return jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    return jax.tree.map(plain, nnx.to_pure_dict(state))


def _named(tree: Any) -> dict:
    return {str(k): _named(v) if isinstance(v, dict) else v for k, v in tree.items()}


def _filled(nnx: Any, state: Any, values: dict) -> Any:
    """The state with the arrays of nested dicts in it."""

    def put(like: Any, given: Any) -> Any:
        if isinstance(like, dict):
            return {k: put(v, given[str(k)]) for k, v in like.items()}
        typed = jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key)
        return jax.random.wrap_key_data(given, impl=jax.random.key_impl(like)) if typed else given

    made = put(nnx.to_pure_dict(state), values)
    nnx.replace_by_pure_dict(state, made)
    return state


def from_flax(module: Any, method: Any = None, rngs: tuple[str, ...] = ("dropout",)) -> FromLinen | FromNnx:
    """A kfun layer of a Flax module, linen or nnx, on JAX.

    The module is told whether it trains by its argument `training`, `train` or `is_training`, or their
    opposites `deterministic` and `use_running_average`, if it has one; an nnx module by its `train()`
    and `eval()` too. A linen module draws its weights in `init`; an nnx module has its own already.

    Args:
        module: a `flax.linen.Module` or a `flax.nnx.Module`.
        method: what is called, `__call__` by default: a method's name, or for linen a function that takes
            the module first.
        rngs: linen's random streams that are drawn from the key, besides the one for the weights.

    Raises:
        TypeError: if it is neither.
        MissingExtraError: if flax is not installed.
    """
    require("flax", "flax", "from_flax")
    from flax import linen, nnx

    if isinstance(module, linen.Module):
        return FromLinen(module, method, tuple(rngs))
    if isinstance(module, nnx.Module):
        return FromNnx(module, method or "__call__")
    raise TypeError(f"from_flax: expected a flax linen or nnx module; received {type(module).__name__}")
