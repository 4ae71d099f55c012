"""Equinox modules as layers: with the weights that they have, or drawn by what makes them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from kfun.bridges import _leaves
from kfun.bridges._leaves import Together, check_paths, flat, given, nested, plain
from kfun.layer import Layer
from kfun.spec import Spec


class _Form:
    """A module and its state taken apart: the arrays by path, and all else, which stays as it is.

    Attributes:
        params: `{path: place among the leaves}` of the module's floating arrays.
        state: the same of its other arrays, and of the arrays in its `eqx.nn.State`.
        like: the arrays, or their shapes and dtypes, by path.
        stateful: whether there is an `eqx.nn.State`.
        takes: the parameters of the module's `__call__`.
    """

    def __init__(self, module: Any, state: Any):
        self.leaves, self.treedef = jax.tree.flatten((module, state))
        self.stateful, self.takes = state is not None, inspect.signature(module.__call__).parameters
        self.params: dict[tuple, int] = {}
        self.state: dict[tuple, int] = {}
        paths = [*((path, False) for path in _paths(module)), *((path, True) for path in _state_paths(module, state))]
        for place, ((path, kept), leaf) in enumerate(zip(paths, self.leaves, strict=True)):
            if eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct):
                trained = not kept and jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact)
                (self.params if trained else self.state)[path] = place
        self.like = {path: self.leaves[place] for path, place in (self.params | self.state).items()}

    def filled(self, layer: Layer, params: Any, state: Any) -> tuple[Any, Any]:
        """`(module, state)` with the arrays of nested dicts."""
        found = flat(params) if params else {}
        kept = flat(state) if state else {}
        if found.keys() != self.params.keys() or kept.keys() != self.state.keys():
            check_paths(layer, params, state, (self.params.keys(), self.state.keys()))
        leaves = list(self.leaves)
        for path, place in self.params.items():
            leaves[place] = found[path]
        for path, place in self.state.items():
            leaves[place] = _leaves.as_before(self.leaves[place], kept[path])
        return jax.tree.unflatten(self.treedef, leaves)

    def arrays(self, module: Any, state: Any) -> tuple[dict, dict]:
        """`(params, state)`, flat, of a module and a state of this form."""
        leaves = jax.tree.leaves((module, state))
        params, state = ({p: plain(leaves[i]) for p, i in places.items()} for places in (self.params, self.state))
        return params, state


def _paths(tree: Any) -> list[tuple]:
    return [_names(keys) for keys, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]


def _names(keys: tuple) -> tuple[str, ...]:
    return tuple(str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in keys)


def _is_index(x: Any) -> bool:
    return isinstance(x, eqx.nn.StateIndex)


def _indices(module: Any) -> dict[Any, tuple]:
    """The path of each `eqx.nn.StateIndex` in a module, by its marker."""
    found = jax.tree_util.tree_flatten_with_path(module, is_leaf=_is_index)[0]
    return {index.marker: _names(keys) for keys, index in found if _is_index(index)}


def _state_paths(module: Any, state: Any) -> list[tuple]:
    """The path of each array in a state: where its index is in the module, and on from there."""
    if state is None:
        return []
    at = _indices(module)
    values, markers = state.tree_flatten()
    return [(*at.get(m, (str(m),)), *path) for m, value in zip(markers, values, strict=True) for path in _paths(value)]


class _ByValue:
    """Stands for a module in a definition's key: hashed by its form, equal by its numbers."""

    def __init__(self, tree: Any):
        self.tree = tree
        self.leaves, self.treedef = jax.tree.flatten(tree)

    def __hash__(self) -> int:
        try:
            return hash((self.treedef, *(_look(x) if eqx.is_array(x) else x for x in self.leaves)))
        except TypeError:  # a static field that has no hash
            return id(self.tree)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _ByValue):
            return NotImplemented
        if self.tree is other.tree:
            return True
        return self.treedef == other.treedef and all(map(_same, self.leaves, other.leaves))


def _look(x: Any) -> tuple:
    return tuple(x.shape), str(x.dtype)


def _same(x: Any, y: Any) -> bool:
    if x is y or not (eqx.is_array(x) and eqx.is_array(y)):
        return x is y or bool(type(x) is type(y) and x == y)
    if _look(x) != _look(y) or isinstance(x, Tracer) or isinstance(y, Tracer):
        return False
    return np.asarray(plain(x)).tobytes() == np.asarray(plain(y)).tobytes()


class _Equinox(Layer):
    """What a layer of an equinox module does, wherever its weights are from."""

    loadable = "an equinox module is code"

    @property
    def _whole(self) -> tuple[Any, Any]:
        """`(module, state)`, with arrays or with their shapes and dtypes."""
        raise TypeError(f"{type(self).__name__} must define _whole")

    @functools.cached_property
    def _forms(self) -> tuple[_Form, _Form]:
        """The forms of evaluation and of training."""
        module, state = self._whole
        return _Form(eqx.nn.inference_mode(module), state), _Form(module, state)

    @functools.cached_property
    def _axis(self) -> str | None:
        """The name that the batch axis has for what looks across it."""
        if self.axis_name is not None or not self.batched:
            return self.axis_name
        parts = jax.tree.leaves(self._whole[0], is_leaf=lambda x: isinstance(x, eqx.nn.BatchNorm))
        names: set[Any] = {part.axis_name for part in parts if isinstance(part, eqx.nn.BatchNorm)}
        if len(names) > 1:
            raise ValueError(
                "from_equinox: the batch axis has one name; BatchNorm layers of the module use "
                f"{sorted(map(str, names))}"
            )
        return next(iter(names), None)

    def apply(self, params, state, *inputs, key=None, training=False):
        """Runs the module; in evaluation all its `inference` flags are set, in training they are its own."""
        form = self._forms[bool(training)]
        module, own = form.filled(self, params, state)
        extra = _told(form.takes, bool(training))
        takes_key = "key" in form.takes if self.takes_key is None else self.takes_key

        def call(key: Any, own: Any, *inputs: Any) -> tuple[Any, Any]:
            named = extra | ({"key": key} if takes_key else {})
            if not form.stateful:
                return module(*inputs, **named), None
            return module(*inputs, state=own, **named) if "state" in form.takes else module(*inputs, own, **named)

        if self.batched:
            keys = None if key is None else jax.random.split(key, inputs[0].shape[0])
            axes = (None if keys is None else 0, None, *(0 for _ in inputs))
            call = jax.vmap(call, in_axes=axes, out_axes=(0, None), axis_name=self._axis)
            outputs, new = call(keys, own, *inputs)
        else:
            outputs, new = call(key, own, *inputs)
        return outputs, nested(form.arrays(module, new)[1]) if form.stateful else state


def _told(takes: Mapping[str, Any], training: bool) -> dict[str, bool]:
    """The argument by which a call is told whether it trains; one that is None by default means the module's flag."""
    for name in ("training", "train", "is_training"):
        if name in takes:
            return {name: training}
    for name in ("inference", "deterministic"):
        if name in takes:
            return {} if training and takes[name].default is None else {name: not training}
    return {}


class FromEquinox(_Equinox):
    """An equinox module with its weights as a layer, made by `from_equinox`.

    Two are equal if their modules have the same form and numbers.

    Args:
        module: its floating arrays are the params, under the paths of their fields (`layers/0/weight`), its other
            arrays are state; the rest is static.
        batched: whether the module takes single examples, and is mapped over the batch axis.
        takes_key: whether it is called with `key=`; None if it has such an argument.
        state: its `eqx.nn.State`, whose arrays are state under the paths of their indices.
        axis_name: what the batch axis is called; by default as its BatchNorm layers call it.
    """

    module: Any
    batched: bool = True
    takes_key: bool | None = None
    state: Any = None
    axis_name: str | None = None

    @property
    def _whole(self) -> tuple[Any, Any]:
        return self.module, self.state

    @property
    def _key(self) -> tuple:
        key = self.__dict__.get("_cached_key")
        if key is None:
            rest = [getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("module", "state")]
            key = (type(self), _ByValue(self._whole), *rest)
            object.__setattr__(self, "_cached_key", key)
            object.__setattr__(self, "_cached_hash", hash(key))
        return key

    def weights(self, *inputs: Spec) -> dict:
        form, name = self._forms[1], type(self.module).__name__
        refusal = _leaves.same_draws(
            f"from_equinox({name})", f"give what makes the module: from_equinox(lambda key: {name}(..., key=key))"
        )
        return nested({path: given(x, path in form.params, refusal) for path, x in form.like.items()})


class DrawnByEquinox(_Equinox):
    """An equinox module whose weights `init` draws, made by `from_equinox` of a function.

    Args:
        make: `make(key)` gives the module, or `(module, eqx.nn.State)`, of one form whatever the key.
        batched, takes_key, axis_name: as of `FromEquinox`.
    """

    make: Callable
    batched: bool = True
    takes_key: bool | None = None
    axis_name: str | None = None

    def _made(self, key: Any) -> tuple[Any, Any]:
        return _apart(_leaves.made_by(self.make, "key", key))

    @functools.cached_property
    def _whole(self) -> tuple[Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return eqx.filter_eval_shape(self._made, jax.random.PRNGKey(0))

    def weights(self, *inputs: Spec) -> dict:
        form = self._forms[1]

        def drawn(key: Any) -> dict[tuple, Any]:
            params, state = form.arrays(*self._made(key))
            return params | state

        together = Together(drawn)
        return nested({path: together.weight(path, plain(x), path in form.params) for path, x in form.like.items()})

    def init(self, key, *specs):
        """Draws the module's weights; what inputs it will have does not matter."""
        params, state = self._forms[1].arrays(*self._made(key))
        return nested(params), nested(state)


def _apart(made: Any) -> tuple[Any, Any]:
    """`(module, state)` of a module, with its state still inside or beside it.

    Raises:
        TypeError: if it is none.
        ValueError: if its state was taken out and is not given.
    """
    module, state = made, None
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], eqx.nn.State):
        module, state = made
    if not isinstance(module, eqx.Module):
        raise TypeError(
            "from_equinox: expected an equinox module, (module, state) as eqx.nn.make_with_state gives them, or a "
            f"function that makes one of a key; received {type(module).__name__}"
        )
    if state is not None or not _indices(module):
        return module, state
    try:
        return eqx.nn.make_with_state(lambda: module)()
    except ValueError:
        raise ValueError(
            f"from_equinox: the state of {type(module).__name__} was taken out by eqx.nn.make_with_state; give both: "
            "from_equinox((module, state))"
        ) from None


def from_equinox(
    module: Any = None,
    batched: bool = True,
    takes_key: bool | None = None,
    *,
    make: Callable | None = None,
    axis_name: str | None = None,
) -> FromEquinox | DrawnByEquinox:
    """A kfun layer of any equinox module.

    With `training=False` all `inference` flags of the module are set (`eqx.nn.inference_mode`); with
    `training=True` they are what they are in the module, so that a part that was frozen stays so. A module whose
    call has an argument `training` or `inference` is told by that too. Each example draws from a key of its own.

    Args:
        module: an `eqx.Module` that is called on arrays; a stateful one as it is, or `(module, state)` as
            `eqx.nn.make_with_state` gives them. Or a function of a key that makes one, `make`.
        batched: whether it takes single examples (equinox's habit) and is to be mapped over the
            leading axis of every input. A state must be the same for all examples, as BatchNorm's is.
        takes_key: whether it is called with a `key=` (dropout does); by default if it has such an argument.
        make: what makes the module, in its place: `init` draws new weights by it, so that the members of an
            `Ensemble` or a `Stack` differ; of a module, all are copies of its weights, which is refused.
        axis_name: what the batch axis is called, for collectives in the module; by default what its
            BatchNorm layers call it.

    Example:
        >>> import equinox as eqx, jax, kfun
        >>> net = from_equinox(lambda key: eqx.nn.MLP(4, 2, 8, 1, key=key))
        >>> params, state = net.init(kfun.random.key(0), kfun.Spec((None, 4)))
        >>> params["layers"]["0"]["weight"].shape
        (8, 4)
    """
    if make is None and callable(module) and not isinstance(module, eqx.Module):
        module, make = None, module
    if make is not None:
        if module is not None:
            raise TypeError("from_equinox: give a module, or `make`, which makes one; received both")
        return DrawnByEquinox(make, batched, takes_key, axis_name)
    whole, state = _apart(module)
    return FromEquinox(whole, batched, takes_key, state, axis_name)
