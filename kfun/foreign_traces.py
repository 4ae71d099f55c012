"""Sublayers that a raw transformation of JAX runs: what would leak, or be drawn once for all, is refused.

The body of `jax.lax.scan`, or what `jax.vmap` maps, is traced apart from the call of the composite
around it. A sublayer in it that is pure may run there; new state cannot come out of it, and a key
of outside is the same in each step.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.core
from jax.core import Tracer

from kfun.ops._dispatch import Op
from kfun.ops._kinds import Kind, register

_WAY_OUT = "Use f.scan, f.vmap, f.cond or f.remat of a Block, which carry the state and give each step a key of its own"


def here() -> Any:
    """The trace that JAX is in, to be compared with that of another moment."""
    return jax.extend.core.get_opaque_trace_state(convention="nnx")


def is_traced(tree: Any) -> bool:
    """Whether there is a tracer in nested lists, tuples and dicts."""
    if isinstance(tree, (tuple, list)):
        return any(map(is_traced, tree))
    if isinstance(tree, dict):
        return any(map(is_traced, tree.values()))
    return isinstance(tree, Tracer)


def changed(old: Any, new: Any) -> bool:
    """Whether a state has other arrays than before."""
    before, after = jax.tree.leaves(old), jax.tree.leaves(new)
    return len(before) != len(after) or any(a is not b for a, b in zip(before, after, strict=True))


def leaked(layer: Any, name: str) -> ValueError:
    """The error for a layer that changes its state inside a raw transformation."""
    return ValueError(
        f"{name!r}, {layer!r}, changes its state inside a transformation of JAX, and the new state cannot come out of "
        f"it. {_WAY_OUT}"
    )


class Withheld:
    """A key that may not be used: every op that takes it raises ValueError."""

    def __init__(self, layer: Any, name: str):
        self.layer, self.name = layer, name

    def error(self) -> ValueError:
        """What to raise."""
        return ValueError(
            f"{self.name!r}, {self.layer!r}, draws random numbers inside a transformation of JAX with a key of "
            f"outside, so that they would be the same in each step. {_WAY_OUT}"
        )


def withheld(key: Any, layer: Any, name: str) -> Any:
    """The key of a layer inside a raw transformation; None if there is none."""
    return key if key is None or isinstance(key, Withheld) else Withheld(layer, name)


def _refusing(op: Op) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise next(a for a in (*args, *kwargs.values()) if isinstance(a, Withheld)).error()

    return refuse


def _no_conversion(x: Any) -> Any:
    return x


KIND = register(Kind("withheld key", (Withheld,), {}, _no_conversion, priority=90, fallback=_refusing))
