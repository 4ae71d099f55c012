"""Flax modules as layers: linen's, which hold no weights, and nnx's, which do or are made anew."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax

from kfun import random
from kfun.bridges._leaves import (
    Together,
    as_before,
    check_paths,
    flat,
    given,
    made_by,
    nested,
    plain,
    require,
    same_draws,
    structs,
    typed_key,
)
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
        together = Together(lambda key: flat(self._draw(key, *(jax.numpy.zeros(z.shape, z.dtype) for z in zeros))))
        made: dict[tuple, Any] = {}
        for path, x in flat(like).items():
            trained = path[0] == "params"
            made[path[1:] if trained else path] = together.weight(path, x, trained)
        return nested(made)

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


class _Nnx(Layer):
    """What a layer of an nnx module does, wherever its weights are from."""

    loadable = "a Flax module is code"

    @property
    def _graph(self) -> tuple[Any, Any, Any]:
        """`(graph, params, rest)` of the module, with arrays or with their shapes and dtypes."""
        raise TypeError(f"{type(self).__name__} must define _graph")

    def apply(self, params, state, *inputs, key=None, training=False):
        """Runs the module in its training or evaluation mode.

        With a key, all that the module draws follows from it, and its random streams, which are part of the state,
        stay as they are. Without one they go on from call to call.
        """
        from flax import nnx

        graph, first, rest = self._graph
        check_paths(self, params, state, (_by_path(nnx, first).keys(), _by_path(nnx, rest).keys()))
        module = nnx.merge(graph, _filled(nnx, first, params), _filled(nnx, rest, state))
        module.train() if training else module.eval()
        function = getattr(module, self.method)
        extra: dict[str, Any] = dict(mode_argument(function, training))
        if key is not None:
            _reseed(nnx, module, key)
            if "rngs" in inspect.signature(function).parameters:
                extra["rngs"] = nnx.Rngs(typed_key(key))
        outputs = function(*inputs, **extra)
        new = _named(_pure(nnx, _split(nnx, module)[2]))
        return outputs, new if key is None else _with_streams_of(nnx, rest, new, state)


class FromNnx(_Nnx):
    """A `flax.nnx.Module` with its weights as a layer, made by `from_flax`.

    Args:
        module: its `nnx.Param` variables are the params, all others (batch statistics, random streams)
            the state.
        method: the name of the method that is called.
    """

    module: Any
    method: str = "__call__"

    @property
    def _graph(self) -> tuple[Any, Any, Any]:
        from flax import nnx

        return _split(nnx, self.module)

    def weights(self, *inputs: Spec) -> dict:
        from flax import nnx

        params, rest = (_by_path(nnx, part) for part in self._graph[1:])
        name = type(self.module).__name__
        refusal = same_draws(
            f"from_flax({name})", f"give what makes the module: from_flax(lambda rngs: {name}(..., rngs=rngs))"
        )
        return nested(
            {path: given(x, True, refusal) for path, x in params.items()}
            | {path: given(x, False) for path, x in rest.items()}
        )


class DrawnByNnx(_Nnx):
    """A `flax.nnx.Module` whose weights `init` draws, made by `from_flax` of a function.

    Args:
        make: `make(rngs)` gives the module, of one form whatever the `nnx.Rngs`.
        method: as of `FromNnx`.
    """

    make: Callable
    method: str = "__call__"

    def _made(self, key: Any) -> tuple[Any, Any, Any]:
        from flax import nnx

        module = made_by(self.make, "rngs", nnx.Rngs(typed_key(key)))
        if not isinstance(module, nnx.Module):
            what = type(module).__name__
            raise TypeError(
                f"from_flax: a function of nnx.Rngs that gives an nnx module was expected; it gave {what}. "
                "A linen module draws its weights anyway: give it as it is"
            )
        return _split(nnx, module)

    @functools.cached_property
    def _graph(self) -> tuple[Any, Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        graphs: list[Any] = []

        def run() -> tuple[Any, Any]:
            graph, params, rest = self._made(jax.random.key(0))
            graphs.append(graph)
            return params, rest

        params, rest = jax.eval_shape(run)
        return graphs[-1], params, rest

    def weights(self, *inputs: Spec) -> dict:
        from flax import nnx

        params, rest = (_by_path(nnx, part) for part in self._graph[1:])

        def drawn(key: Any) -> dict[tuple, Any]:
            params, state = self.init(key)
            return flat(params) | flat(state)

        together = Together(drawn)
        return nested({p: together.weight(p, plain(x), p in params) for p, x in (params | rest).items()})

    def init(self, key, *specs):
        """Draws the module's weights; what inputs it will have does not matter."""
        from flax import nnx

        _, params, rest = self._made(key)
        return _named(_pure(nnx, params)), _named(_pure(nnx, rest))


def _split(nnx: Any, module: Any) -> tuple[Any, Any, Any]:
    """`(graph, params, rest)` of a module."""
    return nnx.split(module, nnx.Param, ...)


def _reseed(nnx: Any, module: Any, key: Any) -> None:
    """Lets each random stream in a module begin with a key of its own that follows from a key."""
    key = typed_key(key)
    streams = [node for _, node in nnx.iter_graph(module) if isinstance(node, nnx.RngStream)]
    for i, stream in enumerate(streams):
        fresh = jax.random.fold_in(key, i)
        shape = stream.key[...].shape
        stream.key[...] = jax.random.split(fresh, shape) if shape else fresh
        stream.count[...] = jax.numpy.zeros(shape, "uint32")


def _with_streams_of(nnx: Any, rest: Any, new: dict, old: dict) -> dict:
    """A state whose random streams are those of another."""
    streams = {tuple(map(str, path)) for path, x in nnx.to_flat_state(rest) if isinstance(x, nnx.RngState)}
    before = flat(old)
    return nested({path: before[path] if path in streams else x for path, x in flat(new).items()})


def _key() -> Any:
    return jax.ShapeDtypeStruct((2,), "uint32")


def _pure(nnx: Any, state: Any) -> dict:
    """A state as nested dicts of arrays, typed random keys as their numbers."""
    return jax.tree.map(plain, nnx.to_pure_dict(state))


def _by_path(nnx: Any, state: Any) -> dict[tuple, Any]:
    return flat(_named(nnx.to_pure_dict(state)))


def _named(tree: Any) -> dict:
    return {str(k): _named(v) if isinstance(v, dict) else v for k, v in tree.items()}


def _filled(nnx: Any, like: Any, values: dict) -> Any:
    """The state with the arrays of nested dicts in it."""

    def put(like: Any, given: Any) -> Any:
        if isinstance(like, dict):
            return {k: put(v, given[str(k)]) for k, v in like.items()}
        return as_before(like, given)

    like = jax.tree.map(lambda x: x, like)  # a copy, because it is written into
    made = put(nnx.to_pure_dict(like), values)
    nnx.replace_by_pure_dict(like, made)
    return like


def from_flax(
    module: Any, method: Any = None, rngs: tuple[str, ...] = ("dropout",)
) -> FromLinen | FromNnx | DrawnByNnx:
    """A kfun layer of a Flax module, linen or nnx, on JAX.

    The module is told whether it trains by its argument `training`, `train` or `is_training`, or their
    opposites `deterministic` and `use_running_average`, if it has one; an nnx module by its `train()`
    and `eval()` too. What it draws follows from the key.

    A linen module draws its weights in `init`. An nnx module has its own already, so that all members of an
    `Ensemble` or a `Stack` would be copies, which is refused: give what makes it,
    `from_flax(lambda rngs: MLP(4, 8, rngs=rngs))`, and `init` draws by that.

    Args:
        module: a `flax.linen.Module`, a `flax.nnx.Module`, or a function of `nnx.Rngs` that makes one of nnx.
        method: what is called, `__call__` by default: a method's name, or for linen a function that takes
            the module first.
        rngs: linen's random streams that are drawn from the key, besides the one for the weights.

    Raises:
        TypeError: if it is none of these.
        MissingExtraError: if flax is not installed.
    """
    require("flax", "flax", "from_flax")
    from flax import linen, nnx

    if isinstance(module, linen.Module):
        return FromLinen(module, method, tuple(rngs))
    if isinstance(module, nnx.Module):
        return FromNnx(module, method or "__call__")
    if callable(module):
        return DrawnByNnx(module, method or "__call__")
    raise TypeError(
        "from_flax: expected a flax linen or nnx module, or a function of nnx.Rngs that makes one of nnx; "
        f"received {type(module).__name__}"
    )
