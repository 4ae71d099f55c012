"""`capture`: what the layers inside a layer gave, by their paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from kfun.layer import Layer


class _Capture:
    def __init__(self, pattern: str, path: tuple[str, ...] = ()):
        self.pattern, self.path, self.found = pattern, path, {}

    def through(self, name: str, call: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
        outer = self.path
        self.path = (*outer, name)
        try:
            outputs, state = call()
            self._keep("/".join(self.path), outputs)
        finally:
            self.path = outer
        return outputs, state

    def _keep(self, path: str, outputs: Any) -> None:
        if re.search(self.pattern, path):
            again = sum(known == path or known.startswith(f"{path}#") for known in self.found)
            self.found[f"{path}#{again}" if again else path] = outputs


# What is recorded during a call of `capture`; None else.
current: ContextVar[_Capture | None] = ContextVar("kfun_capture", default=None)


def capture(
    layer: Layer,
    params: Any,
    state: Any,
    *inputs: Any,
    pattern: str = "",
    key: Any = None,
    training: bool = False,
    **call_args: Any,
) -> tuple[Any, Any, dict[str, Any]]:
    """Applies a layer and keeps the outputs of the layers inside.

    Args:
        layer: a composite.
        params, state, inputs, key, training, call_args: as in its `apply`.
        pattern: a regular expression; the outputs whose path it is found in are kept.

    Returns:
        `(outputs, state, captured)`: `captured` maps the path of a layer, as its params have it, to its
        outputs. Of the second call of a layer the key is `"path#1"`. Of a layer that `Stack` or
        `Ensemble` repeats, or `f.scan` or `f.vmap` runs, the outputs have their new axis first. What
        runs inside the branches of a `cond` is not kept.

    It is a pure function: `jax.jit(functools.partial(capture, layer))` works, and so do gradients of it.

    Example:
        >>> import kfun
        >>> net = kfun.Sequential([kfun.layers.Dense(3, "relu"), kfun.layers.Dense(2)])
        >>> params, state = net.init(kfun.random.key(0), kfun.Spec((None, 4)))
        >>> _, _, seen = kfun.capture(net, params, state, kfun.ops.ones((5, 4)), pattern="dense$")
        >>> {path: tuple(x.shape) for path, x in seen.items()}
        {'dense': (5, 3)}
    """
    recording = _Capture(pattern)
    token = current.set(recording)
    try:
        outputs, state = layer.apply(params, state, *inputs, key=key, training=training, **call_args)
    finally:
        current.reset(token)
    return outputs, state, recording.found


def collecting(call: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """`(result, captured)` of a call that a transformation traces, which has to give out what is captured inside."""
    outer = current.get()
    if outer is None:
        return call(), {}
    inner = _Capture(outer.pattern, outer.path)
    token = current.set(inner)
    try:
        return call(), inner.found
    finally:
        current.reset(token)


def emit(captured: dict[str, Any]) -> None:
    """Hands on what `collecting` gave, outside of the transformation."""
    outer = current.get()
    if outer is not None:
        outer.found.update(captured)


def without(call: Callable[[], Any]) -> Any:
    """The result of a call of which nothing is captured."""
    token = current.set(None)
    try:
        return call()
    finally:
        current.reset(token)
