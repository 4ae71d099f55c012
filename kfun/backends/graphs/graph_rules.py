"""What the adapters of graph backends share: readings of arguments that need no graph, and Python's operators."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kfun import ops
from kfun.backends.common.tree import leaves, tree_map


def axes_of(axis: Any, rank: int) -> list[int]:
    """An axis, several, or None for all, as non-negative ints; raises ValueError out of range."""
    axes = range(rank) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    for a in axes:
        if not -rank <= a < rank:
            raise ValueError(f"axis {a} is out of range for an array with {rank} axes")
    return [int(a) % rank for a in axes]


def known(sizes: Sequence[Any]) -> bool:
    """Whether all sizes are numbers."""
    return all(isinstance(s, (int, np.integer)) for s in sizes)


def check_reshape(shape: Sequence[Any], sizes: Sequence[Any]) -> None:
    """Raises ValueError if known sizes hold another number of elements."""
    if not (known(shape) and known(sizes)):
        return
    total, wanted = int(np.prod(shape, dtype=np.int64)), int(np.prod([s for s in sizes if s != -1], dtype=np.int64))
    if (wanted != total) if -1 not in sizes else (wanted == 0 or total % wanted):
        raise ValueError(f"ops.reshape: cannot make shape {tuple(sizes)} of shape {shape}, which has {total} elements")


def pad_pairs(pad_width: Any, rank: int) -> list[tuple]:
    """One pair of widths per axis from what `ops.pad` accepts."""
    if not isinstance(pad_width, (list, tuple, np.ndarray)):
        return [(pad_width, pad_width)] * rank
    pairs = list(pad_width)
    if len(pairs) == 2 and not isinstance(pairs[0], (list, tuple, np.ndarray)):
        return [tuple(pairs)] * rank
    if len(pairs) == 1:
        pairs *= rank
    if len(pairs) != rank:
        raise ValueError(f"ops.pad: expected one pair or {rank} pairs of widths; received {pad_width!r}")
    return [tuple(p) for p in pairs]


def explicit(subscripts: str) -> str:
    """Einsum subscripts with the output that NumPy implies: indices that occur once, in alphabetical order."""
    subscripts = subscripts.replace(" ", "")
    if "->" in subscripts:
        return subscripts
    letters = [c for c in subscripts if c in string.ascii_letters]
    once = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return f"{subscripts}->{'...' if '...' in subscripts else ''}{once}"


def grouped(as_value: Callable, known_size: Callable, kernel: Any) -> Any:
    """The kernel `[K..., C, M]` of a depthwise convolution as `[K..., 1, C M]`: that of one in C groups."""
    kernel = as_value(kernel)
    *window, channels, multiplier = (known_size(k, "the size of a kernel") for k in kernel.shape)
    return ops.reshape(kernel, (*window, 1, channels * multiplier))


def accumulator(dtype: str) -> str:
    """The type that JAX sums a type in: small integers are int32, unsigned ones uint32."""
    small = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}
    return small.get(dtype, dtype)


def scan_length(sequences: Sequence[Any], length: Any) -> Any:
    """The number of steps of `ops.scan`: an int where it is known."""
    sizes = [x.shape[0] for x in sequences] if length is None else [length, *(x.shape[0] for x in sequences)]
    numbers = {n for n in sizes if isinstance(n, (int, np.integer))}
    if not sizes or len(numbers) > 1:
        raise ValueError(f"ops.scan: expected one length; received leading sizes {sizes} (give xs, or length)")
    return numbers.pop() if numbers else sizes[0]


def alike(what: str, tree: Any, before: Sequence[Any], after: Any, as_value: Callable) -> list:
    """The leaves of `after` in the order of `tree`; raises TypeError if structure, dtype or shape changed."""
    try:
        aligned = leaves(tree_map(lambda _, v: v, tree, after))
    except (TypeError, KeyError, ValueError, IndexError):
        raise TypeError(f"{what} changes structure: from {tree!r} to {after!r}") from None
    out = []
    for old, new in zip(before, aligned, strict=True):
        value = as_value(new, old.dtype if isinstance(new, (bool, int, float)) else None)
        fits = value.ndim == old.ndim and all(
            m == n for m, n in zip(old.shape, value.shape, strict=True) if isinstance(m, int) and isinstance(n, int)
        )
        if value.dtype != old.dtype or not fits:
            raise TypeError(f"{what} changes from {old!r} to {value!r}: keep shape and dtype (ops.cast, ops.reshape)")
        out.append(value)
    return out


def pairs_of_branches(first: Any, second: Any) -> list[tuple]:
    """The leaves of the results of two branches, side by side; raises TypeError if the structures differ."""
    try:
        return list(zip(leaves(first), leaves(tree_map(lambda _, v: v, first, second)), strict=True))
    except (TypeError, KeyError, ValueError, IndexError):
        raise TypeError(f"ops.cond: the branches differ in structure: {first!r} and {second!r}") from None


_ARITHMETIC = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide"}
_ARITHMETIC |= {"mod": "mod", "pow": "power", "matmul": "matmul"}
_COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
_COMPARISONS |= {"eq": "equal", "ne": "not_equal"}


def install_operators(value: type, dim: type, sizes: dict[str, Callable]) -> None:
    """Gives graph values Python's operators, and sizes those of integers.

    Args:
        value: the class of graph values.
        dim: the class of sizes.
        sizes: `{symbol: compute}` for "add", "sub", "mul", "floordiv", "mod"; `compute` takes ints
            and sizes and gives a size.
    """
    for symbol, name in _ARITHMETIC.items():
        setattr(value, f"__{symbol}__", getattr(ops, name))
        setattr(value, f"__r{symbol}__", _reflected(getattr(ops, name)))
    for symbol, name in _COMPARISONS.items():
        setattr(value, f"__{symbol}__", getattr(ops, name))
    value.__neg__, value.__abs__, value.__invert__ = ops.negative, ops.abs, ops.logical_not  # type: ignore[attr-defined]
    for symbol, compute in sizes.items():
        op = getattr(ops, _ARITHMETIC[symbol])
        setattr(dim, f"__{symbol}__", _size_arithmetic(compute, op, dim))
        setattr(dim, f"__r{symbol}__", _size_arithmetic(lambda x, y, f=compute: f(y, x), _reflected(op), dim))
    for symbol in ("truediv", "pow"):  # no longer a size
        setattr(dim, f"__{symbol}__", getattr(ops, _ARITHMETIC[symbol]))
        setattr(dim, f"__r{symbol}__", _reflected(getattr(ops, _ARITHMETIC[symbol])))


def _size_arithmetic(compute: Callable, op: Callable, dim: type) -> Callable:
    """A method of sizes: gives a size for an int or a size, an array for a float."""

    def method(self, other):
        if isinstance(other, float):
            return op(self, other)
        if not isinstance(other, (int, np.integer, dim)):
            return NotImplemented
        return compute(self, other)

    return method


def _reflected(op: Callable) -> Callable:
    return lambda self, other: op(other, self)
