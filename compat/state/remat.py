"""Rematerialization: layers and functions whose intermediate values are computed again in the backward pass."""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax

from compat.state import scope
from kfun import transforms as _transforms

_MODES = ("full", "activations", "larger_than", "list_of_layers", None)
_current: contextvars.ContextVar[Any] = contextvars.ContextVar("compat_remat", default=None)


class RematScope:
    """Layers that are made inside compute their intermediate values again in the backward pass, and keep none.

    Trades time for memory. A scope inside another takes its place; `mode=None` switches it off.

    Args:
        mode: `"full"` for all layers, `"activations"` for the activation functions of layers that have
            one, `"larger_than"` for layers whose outputs have more elements than `output_size_threshold`,
            `"list_of_layers"` for those named in `layer_names`, None for none.
        output_size_threshold: see above.
        layer_names: see above.

    Raises:
        ValueError: if the mode is unknown.
    """

    def __init__(self, mode: str | None = "full", output_size_threshold: int = 1024, layer_names: Any = None):
        if mode not in _MODES:
            raise ValueError(f"RematScope: unknown mode {mode!r}; expected one of {_MODES}")
        self.mode, self.output_size_threshold = mode, output_size_threshold
        self.layer_names = list(layer_names or [])

    def __enter__(self) -> RematScope:
        self._token = _current.set(self)
        return self

    def __exit__(self, *args: Any, **kwargs: Any) -> None:
        _current.reset(self._token)


def current() -> RematScope | None:
    """The innermost scope that asks for something."""
    found = _current.get()
    return None if found is None or found.mode is None else found


def remat(f: Callable) -> Callable:
    """`f` with its intermediate values computed again in the backward pass.

    Args:
        f: a function or a layer. What it assigns to variables, and its `add_loss`, stay.
    """

    @functools.wraps(f, updated=())
    def rematerialized(*args: Any, **kwargs: Any) -> Any:
        outer = scope.current()
        if outer is None:
            return _transforms.checkpoint(f)(*args, **kwargs)
        changed: list[Any] = []
        owners: list[Any] = []

        def run() -> tuple:
            with outer.child() as inside:
                outputs = f(*args, **kwargs)
            changed[:] = [v for v in inside.held if inside.get(v) is not outer.get(v)]
            losses = inside.added[len(outer.added) :]
            owners[:] = [owner for owner, _ in losses]
            return outputs, [inside.get(v) for v in changed], [loss for _, loss in losses]

        outputs, values, losses = _transforms.checkpoint(run)()
        for variable, value in zip(changed, values, strict=True):
            outer.set(variable, value)
        outer.added += zip(owners, losses, strict=True)
        return outputs

    return rematerialized


def call_of(layer: Any) -> Callable:
    """A layer's `call` under the scope that the layer was made in."""
    asked = layer._kf.remat
    if asked.mode == "full" or (asked.mode == "list_of_layers" and layer.name in asked.layer_names):
        return remat(layer.call)
    if asked.mode == "larger_than":
        return functools.partial(_if_larger, layer, asked.output_size_threshold)
    return layer.call


def _if_larger(layer: Any, threshold: int, *args: Any, **kwargs: Any) -> Any:
    outer = scope.current()

    def shapes() -> Any:
        with outer.child() if outer is not None else scope.Scope():
            return layer.call(*args, **kwargs)

    sizes = [math.prod(x.shape) for x in jax.tree.leaves(jax.eval_shape(shapes))]
    call = remat(layer.call) if max(sizes, default=0) > threshold else layer.call
    return call(*args, **kwargs)


def definition_of(layer: Any) -> Any:
    """A generated layer's definition, its activation functions under the scope that the layer was made in."""
    definition, asked = layer.definition, layer._kf.remat
    if asked is None or asked.mode != "activations":
        return definition
    fields = [f.name for f in dataclasses.fields(definition) if f.name.endswith("activation")]
    given = {name: getattr(definition, name) for name in fields}
    return definition.replace(**{name: _activation(f) for name, f in given.items() if callable(f)})


@functools.cache
def _activation(function: Callable) -> Callable:
    """One wrapper per function, so that equal layers have equal definitions."""
    return functools.wraps(function)(_transforms.checkpoint(function))
