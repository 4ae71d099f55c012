"""Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685): a weight as `base + scale * a b`.

    params = add_lora(params, "query/kernel|value/kernel", rank=8, key=key)
    adapters, frozen = kfun.tree.partition(params, "/(a|b)$")

Gradients with respect to `adapters` alone leave the base as it is; `merge_lora` gives plain arrays.

L the axes along which weights are stacked (of `Stack`, of `Ensemble`, of a mapped `init`), C those that a
weight sums over, F those that it makes, R the rank.
"""

from __future__ import annotations

import dataclasses
import math
import re
import string
from collections.abc import Callable
from typing import Any

import jax

from kfun import initializers, ops, random, tree
from kfun.backends.common.tree import leaves, tree_map
from kfun.ops._dispatch import Op
from kfun.ops._kinds import Kind, default_kind, kind_of, register


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class LoRA:
    """`base + scale * a b`.

    Args:
        base: `[*L, *C, *F]`, the weight as it was.
        a: `[*L, *C, R]`.
        b: `[*L, R, *F]`.
        scale: alpha / R, a Python float.
        made: how many axes F are. That of L is not kept: it changes as a scan or a map takes slices.
    """

    base: Any
    a: Any
    b: Any
    scale: float = dataclasses.field(default=1.0, metadata={"static": True})
    made: int = dataclasses.field(default=1, metadata={"static": True})

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

    @property
    def stacked(self) -> int:
        """How many axes L are."""
        return len(self.b.shape) - 1 - self.made

    def merged(self) -> Any:
        """The plain array that it stands for."""
        letters = string.ascii_letters[: len(self.a.shape) - 1]  # of L and C
        made = string.ascii_letters[len(letters) : len(letters) + self.made]
        product = ops.einsum(f"{letters}Z,{letters[: self.stacked]}Z{made}->{letters}{made}", self.a, self.b)
        return ops.add(self.base, ops.multiply(product, self.scale))


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
    if isinstance(x1, LoRA) or x2.made > 1 or x2.stacked + 2 < x2.ndim:
        return ops.matmul(merged(x1), merged(x2))
    low = ops.matmul(ops.matmul(x1, x2.a), x2.b)
    return ops.add(ops.matmul(x1, x2.base), ops.multiply(low, x2.scale))


def _einsum(subscripts: str, *operands: Any) -> Any:
    """As `_matmul`: the first operand meets `a`, and what comes of it `b`."""
    equation = re.fullmatch(r"([a-zA-Y.]+),([a-zA-Y]+)->([a-zA-Y.]*)", subscripts.replace(" ", ""))
    if equation is None or len(operands) != 2 or isinstance(operands[0], LoRA):
        return ops.einsum(subscripts, *map(merged, operands))
    x, weight = operands
    letters, kernel, output = equation.groups()
    cut = len(kernel) - weight.made
    rows, columns = kernel[:cut], kernel[cut:]
    second = f"{kernel[: weight.stacked]}Z{columns}"
    kept = "".join(dict.fromkeys(c for c in letters.replace("...", "") + rows if c in output or c in second))
    middle = f"{'...' if '...' in letters else ''}{kept}Z"
    low = ops.einsum(f"{letters},{rows}Z->{middle}", x, weight.a)
    low = ops.einsum(f"{middle},{second}->{output}", low, weight.b)
    return ops.add(ops.einsum(subscripts, x, weight.base), ops.multiply(low, weight.scale))


def _take(x: Any, indices: Any, axis: Any = None) -> Any:
    if not isinstance(x, LoRA) or axis != 0 or x.ndim != 2:
        return ops.take(merged(x), merged(indices), axis)
    low = ops.matmul(ops.take(x.a, indices, 0), x.b)
    return ops.add(ops.take(x.base, indices, 0), ops.multiply(low, x.scale))


def _cast(x: LoRA, dtype: Any) -> LoRA:
    return tree_map(lambda part: ops.cast(part, dtype), x)


def _fallback(op: Op) -> Callable:
    """What runs an op without a rule: arrays are merged, trees (of a scan, say) go through it as they are."""
    if "Tree" not in map(op.role, range(len(op.signature.parameters))):
        return lambda *args: op.public(*map(merged, args))

    def with_trees(*args: Any) -> Any:
        args = tuple(a if op.role(i) == "Tree" else merged(a) for i, a in enumerate(args))
        kind = kind_of(leaves(args), op.name) or default_kind()
        return op._rule(kind, args)(*args)

    return with_trees


RULES = {"matmul": _matmul, "einsum": _einsum, "take": _take, "cast": _cast, "shape": lambda x: ops.shape(x.base)}
KIND = register(Kind("lora", (LoRA,), RULES, lambda x: x, priority=20, fallback=_fallback, inside=leaves))


def add_lora(
    params: Any,
    pattern: str,
    rank: int,
    key: Any,
    alpha: float | None = None,
    a_initializer: Any = "he_uniform",
    b_initializer: Any = "zeros",
    axes: tuple[int, int] | None = None,
) -> Any:
    """Adapts the weights whose path matches.

    Args:
        params: a pytree of arrays.
        pattern: a regular expression, searched for in paths such as `"encoder/dense_1/kernel"`.
        rank: R, at least 1.
        key: draws the factors.
        alpha: the scale times R; by default R.
        a_initializer, b_initializer: of the factors; with zeros for `b` the outputs stay as they are.
        axes: how many of a weight's last axes it sums over and how many it makes, `(1, 2)` for a kernel
            `[C, N, H]`; axes before them are of stacked weights, each with factors of its own. By default
            as the kernels of attention layers need it, else as the shape of the bias beside a kernel says,
            else `(1, 1)`, which serves whatever a weight is.

    Returns:
        The tree with a `LoRA` for each weight that matches.

    Raises:
        ValueError: if the rank is below 1, no path matches, or a weight that matches has too few axes.
    """
    if rank < 1:
        raise ValueError(f"add_lora: expected a rank of at least 1; received {rank}")
    known = tree.flatten(params)
    found = {path: w for path, w in known.items() if re.search(pattern, path)}
    if not found:
        raise ValueError(f"add_lora: no path matches {pattern!r}; there are {', '.join(list(known)[:20])}")
    _check_axes(found, axes)
    make_a, make_b = initializers.get(a_initializer), initializers.get(b_initializer)
    keys = dict(zip(found, ops.unstack(random.split(key, 2 * len(found)))[::2], strict=True))

    def adapt(path: str, weight: Any) -> Any:
        if path not in found:
            return weight
        shape, (summed, made) = tuple(weight.shape), axes or _axes_of(path, known)
        stacked, rows, columns = shape[: -summed - made], shape[-summed - made : -made], shape[-made:]
        first, second = ops.unstack(random.split(keys[path]))
        a = _draw(make_a, first, stacked, (math.prod(rows), rank), weight.dtype)
        b = _draw(make_b, second, stacked, (rank, math.prod(columns)), weight.dtype)
        factors = ops.reshape(a, (*stacked, *rows, rank)), ops.reshape(b, (*stacked, rank, *columns))
        return LoRA(weight, *factors, (rank if alpha is None else alpha) / rank, made)

    return tree.map_with_path(adapt, params)


def _check_axes(found: dict[str, Any], axes: tuple[int, int] | None) -> None:
    if axes is not None and (len(axes) != 2 or min(axes) < 1):
        raise ValueError(f"add_lora: expected axes=(summed, made), each at least 1; received {axes!r}")
    least = sum(axes or (1, 1))
    flat = [path for path, w in found.items() if len(w.shape) < least]
    if flat:
        raise ValueError(f"add_lora: expected weights with at least {least} axes; received {flat}. Narrow the pattern")


def _draw(initializer: Callable, key: Any, stacked: tuple, shape: tuple, dtype: Any) -> Any:
    """Factors as matrices, a draw of its own for each of the stacked ones: their number changes no fan."""
    if not stacked:
        return initializer(key, shape, dtype)
    n = math.prod(stacked)
    return initializers.Stacked(initializer, n)(key, (n, *shape), dtype)


def _axes_of(path: str, known: dict[str, Any]) -> tuple[int, int]:
    """How many of the last axes of a weight are summed over, and how many are made.

    Shapes alone do not tell a stack of matrices from the kernel of a projection to heads. What is taken for
    stacked but is not is still a weight of that rank or more, only in more numbers; the other way round a scan
    would cut the factors wrongly. So axes count as summed or made only where something says so.
    """
    layer, _, name = path.rpartition("/")
    shape = tuple(known[path].shape)
    found = _axes_of_projection(layer, shape, known) if name == "kernel" else None
    if found is None and f"{layer}/bias".lstrip("/") in known:
        found = _axes_by_bias(shape, tuple(known[f"{layer}/bias".lstrip("/")].shape))
    return found or (1, 1)


_PROJECTIONS = ("query", "key", "value", "attention_output")


def _axes_of_projection(layer: str, shape: tuple, known: dict[str, Any]) -> tuple[int, int] | None:
    """The axes of a projection of an attention layer, known by the names and shapes of all of them."""
    attention, _, projection = layer.rpartition("/")
    kernels = [known.get(f"{attention}/{name}/kernel".lstrip("/")) for name in _PROJECTIONS]
    if projection not in (*_PROJECTIONS, "gate") or any(kernel is None for kernel in kernels):
        return None
    query, _, value, output = (tuple(kernel.shape) for kernel in kernels if kernel is not None)
    stacked = len(query) - 3
    if stacked < 0 or len(output) < stacked + 3 or output[stacked : stacked + 2] != (query[-2], value[-1]):
        return None
    return (2, len(shape) - stacked - 2) if projection == "attention_output" else (1, 2)


def _axes_by_bias(shape: tuple, bias: tuple) -> tuple[int, int] | None:
    """The axes of a kernel by the bias beside it, which has the stacked axes and those that are made."""
    most = min(len(bias) - 1, len(shape) - 2)
    for stacked in range(most, -1, -1):
        made = len(bias) - stacked
        summed = len(shape) - stacked - made
        if summed > 0 and bias == shape[:stacked] + shape[stacked + summed :]:
            return summed, made
    return None


def merge_lora(params: Any) -> Any:
    """The tree with plain arrays for adapted weights."""
    return merged(params)
