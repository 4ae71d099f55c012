"""Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685): a weight as `base + scale * a b`.

    params = add_lora(params, "query/kernel|value/kernel", rank=8, key=key)
    adapters, frozen = kfun.tree.partition(params, "/(a|b)$")

Gradients with respect to `adapters` alone leave the base as it is; `merge_lora` gives plain arrays.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax

from kfun import initializers, ops, random, tree
from kfun.backends.common.tree import leaves
from kfun.ops._dispatch import Op
from kfun.ops._kinds import Kind, register


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class LoRA:
    """`base + scale * a b`.

    Args:
        base: `[..., C, F]`, the weight as it was.
        a: `[..., C, R]`.
        b: `[R, F]`.
        scale: alpha / R, a Python float.
    """

    base: Any
    a: Any
    b: Any
    scale: float = dataclasses.field(default=1.0, metadata={"static": True})

    children = ("base", "a", "b")  # what trees of frameworks other than JAX walk through

    @property
    def shape(self) -> tuple:
        """That of the base."""
        return self.base.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.base.shape)

    @property
    def dtype(self) -> Any:
        """That of the base."""
        return self.base.dtype

    def merged(self) -> Any:
        """The plain array that it stands for."""
        return ops.add(self.base, ops.multiply(ops.matmul(self.a, self.b), self.scale))


def merged(value: Any) -> Any:
    """`value` with plain arrays for adapted ones, in nested lists, tuples and dicts."""
    if isinstance(value, LoRA):
        return value.merged()
    if isinstance(value, dict):
        return {k: merged(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [merged(v) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _matmul(x1: Any, x2: Any) -> Any:
    """`x base + (x a) b`: the product of the factors is never made."""
    if isinstance(x1, LoRA):
        return ops.matmul(x1.merged(), merged(x2))
    low = ops.matmul(ops.matmul(x1, x2.a), x2.b)
    return ops.add(ops.matmul(x1, x2.base), ops.multiply(low, x2.scale))


def _take(x: Any, indices: Any, axis: Any = None) -> Any:
    if not isinstance(x, LoRA) or axis != 0 or x.ndim != 2:
        return ops.take(merged(x), merged(indices), axis)
    low = ops.matmul(ops.take(x.a, indices, 0), x.b)
    return ops.add(ops.take(x.base, indices, 0), ops.multiply(low, x.scale))


def _cast(x: LoRA, dtype: Any) -> LoRA:
    return LoRA(ops.cast(x.base, dtype), ops.cast(x.a, dtype), ops.cast(x.b, dtype), x.scale)


def _merging(op: Op) -> Callable:
    return lambda *args: op.public(*map(merged, args))


RULES = {"matmul": _matmul, "take": _take, "cast": _cast, "shape": lambda x: ops.shape(x.base)}
KIND = register(Kind("lora", (LoRA,), RULES, lambda x: x, priority=20, fallback=_merging, inside=leaves))


def add_lora(
    params: Any,
    pattern: str,
    rank: int,
    key: Any,
    alpha: float | None = None,
    a_initializer: Any = "he_uniform",
    b_initializer: Any = "zeros",
) -> Any:
    """Adapts the weights whose path matches.

    Args:
        params: a pytree of arrays.
        pattern: a regular expression, searched for in paths such as `"encoder/dense_1/kernel"`.
        rank: R, at least 1.
        key: draws the factors.
        alpha: the scale times R; by default R.
        a_initializer, b_initializer: of the factors; with zeros for `b` the outputs stay as they are.

    Returns:
        The tree with a `LoRA` for each weight that matches.

    Raises:
        ValueError: if the rank is below 1, no path matches, or a weight that matches has fewer than 2 axes.
    """
    if rank < 1:
        raise ValueError(f"add_lora: expected a rank of at least 1; received {rank}")
    found = tree.select(params, pattern)
    if not found:
        raise ValueError(
            f"add_lora: no path matches {pattern!r}; there are {', '.join(list(tree.flatten(params))[:20])}"
        )
    flat = [path for path, w in found.items() if len(w.shape) < 2]
    if flat:
        raise ValueError(f"add_lora: expected weights with at least 2 axes; received {flat}. Narrow the pattern")
    make_a, make_b = initializers.get(a_initializer), initializers.get(b_initializer)
    keys = dict(zip(found, ops.unstack(random.split(key, 2 * len(found)))[::2], strict=True))

    def adapt(path: str, weight: Any) -> Any:
        if not re.search(pattern, path):
            return weight
        *rows, columns = weight.shape
        first, second = ops.unstack(random.split(keys[path]))
        a, b = make_a(first, (*rows, rank), weight.dtype), make_b(second, (rank, columns), weight.dtype)
        return LoRA(weight, a, b, (rank if alpha is None else alpha) / rank)

    return tree.map_with_path(adapt, params)


def merge_lora(params: Any) -> Any:
    """The tree with plain arrays for adapted weights."""
    return merged(params)
