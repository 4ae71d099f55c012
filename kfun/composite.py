"""`Composite`: layers made of layers, and how these are planned and run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from kfun import abstract, captures, random
from kfun.errors import ParameterError, UnknownSizeError
from kfun.fitting import explain, refuse_surplus
from kfun.foreign_traces import Withheld, changed, here, is_traced, leaked, withheld
from kfun.layer import Layer, no_state, planned
from kfun.spec import Spec
from kfun.weights import Pending, merged


class Composite(Layer):
    """Base of layers made of others: `plan` tells their weights in one abstract run."""

    is_composite = True

    def weights(self, *inputs: Any, **call_args: Any) -> Any:
        plans: list[Any] = []

        def run(inputs, call_args):
            declared, outputs = self.plan(*inputs, **call_args)
            plans.append(declared)
            return outputs

        abstract.evaluate(run, inputs, call_args)
        if plans[-1] != plans[-2 if len(plans) > 1 else -1]:  # unlike fills of one unknown size
            shapes = [str(s.shape) for s in jax.tree.leaves((inputs, call_args)) if isinstance(s, Spec)]
            raise UnknownSizeError(
                f"{type(self).__name__}: a weight's shape depends on a size that is not known; "
                f"received {', '.join(shapes)}"
            )
        return plans[-1]

    def plan(self, *inputs: Any, **call_args: Any) -> tuple[Any, Any]:
        raise TypeError(f"{type(self).__name__} must define plan(*inputs)")


def planner() -> tuple[Callable, dict]:
    """`(run, declared)` for a composite's plan: `run(name, layer, args, kwargs)` plans a sublayer."""
    declared: dict = {}

    def run(name: str, layer: Layer, args: tuple, kwargs: dict) -> Any:
        tree, outputs = planned(layer, args, kwargs)
        declared[name] = merged(declared[name], tree, repr(layer)) if name in declared else tree
        return outputs

    return run, declared


def runner(params: dict, state: dict, key: Any, training: bool) -> tuple[Callable, dict, Iterator[Any]]:
    """`(run, new state, keys)` for a composite's apply: `run(name, layer, args, kwargs)` applies a sublayer.

    `keys` gives the key of each call, None if there is none; the new state fills as sublayers run.
    A tuple as `key` has the key of each call.
    """
    if type(state) is not dict and not isinstance(state, Mapping):
        raise no_state(state)
    state = dict(state)
    keys, trace = _keys(key), here()

    def run(name: str, layer: Layer, args: tuple, kwargs: dict) -> Any:
        p, s, own = params.get(name, {}), state.get(name, {}), next(keys)
        if type(p) is Pending:
            p, s = p.start(args, kwargs)
        traced = is_traced(args)
        foreign = traced and here() != trace
        if foreign:
            own = withheld(own, layer, name)
        try:
            outputs, new = _call(name, layer, traced, p, s, *args, key=own, training=training, **kwargs)
        except ParameterError as error:
            raise error.within(name) from error.__cause__
        except Exception as error:
            explain(layer, p, args, error, name)
            raise
        if new:
            if foreign and changed(s, new):
                raise leaked(layer, name)
            state[name] = new
        return outputs

    return run, state, keys


def _keys(key: Any) -> Iterator[Any]:
    if key is None or isinstance(key, Withheld):
        return itertools.repeat(key)
    if isinstance(key, tuple):
        return iter(key)
    return (random.fold_in(key, n) for n in itertools.count())


def _call(name: str, layer: Layer, traced: bool, p: Any, s: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Applies a sublayer under its name: in the compiled program, and for those who capture."""
    refuse_surplus(layer, p, args)
    recording = captures.current.get()
    if recording is None and not traced:
        return layer.apply(p, s, *args, **kwargs)
    with jax.named_scope(name):
        if recording is None:
            return layer.apply(p, s, *args, **kwargs)
        return recording.through(name, lambda: layer.apply(p, s, *args, **kwargs))
