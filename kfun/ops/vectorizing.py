"""`vectorize`: functions of small arrays over all the axes before them, as NumPy's of that name."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection
from typing import Any

from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import shaping as s

_ONE = r"\(\s*(?:\w+(?:\s*,\s*\w+)*\s*)?\)"
_SIDE = rf"{_ONE}(?:\s*,\s*{_ONE})*"


def vectorize(pyfunc: Callable, *, excluded: Collection[int] | None = None, signature: str | None = None) -> Callable:
    """`pyfunc` over every place of the leading axes of its arguments, which are broadcast.

    Args:
        pyfunc: takes and gives arrays of the sizes of `signature`, or scalars.
        excluded: positions of arguments that are handed on as they are. Keyword arguments are too.
        signature: the axes that `pyfunc` itself works on, such as `"(m,n),(n)->(m)"`; one name
            stands for one size.

    Returns:
        A function of arrays with any further axes before those.

    Raises:
        ValueError: if `pyfunc` is no function, or the signature is malformed; in a call, if
            arguments do not fit it.

    Example:
        >>> import numpy as np
        >>> from kfun import ops
        >>> product = ops.vectorize(ops.matmul, signature="(m,n),(n)->(m)")
        >>> product(np.ones((5, 2, 3), "float32"), np.ones((3,), "float32")).shape
        (5, 2)
    """
    if not callable(pyfunc):
        raise ValueError(f"ops.vectorize: expected a function; received {pyfunc!r}")
    inner, outer = (None, None) if signature is None else _parsed(signature)
    apart = frozenset(excluded or ())

    @functools.wraps(pyfunc)
    def call(*args: Any, **kwargs: Any) -> Any:
        places = [i for i in range(len(args)) if i not in apart]
        arrays = [c.convert_to_tensor(args[i]) for i in places]
        cores = [()] * len(arrays) if inner is None else inner
        if len(cores) != len(arrays):
            raise ValueError(f"ops.vectorize: expected {len(cores)} arrays for {signature!r}; received {len(arrays)}")
        sizes: dict[str, Any] = {}
        shapes = [_leading(x, core, sizes, signature) for x, core in zip(arrays, cores, strict=True)]

        def one(*values: Any) -> Any:
            full = list(args)
            for i, value in zip(places, values, strict=True):
                full[i] = value
            out = pyfunc(*full, **kwargs)
            if outer is not None:
                _check(out, outer, sizes, signature)
            return out

        return _over(one, arrays, shapes)

    return call


def _parsed(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The names of the axes of each argument and of each result."""
    if not re.fullmatch(rf"\s*{_SIDE}\s*->\s*{_SIDE}\s*", signature):
        raise ValueError(f'ops.vectorize: expected a signature like "(m,n),(n)->(m)"; received {signature!r}')
    sides = (re.findall(_ONE, side) for side in signature.split("->"))
    first, second = ([tuple(re.findall(r"\w+", one)) for one in side] for side in sides)
    return first, second


def _leading(x: Any, core: tuple[str, ...], sizes: dict[str, Any], signature: str | None) -> tuple:
    """The shape of `x` before its own axes, whose sizes are noted."""
    shape = tuple(c.shape(x))
    if len(shape) < len(core):
        raise ValueError(f"ops.vectorize: {core} of {signature!r} has {len(core)} axes; received shape {shape}")
    cut = len(shape) - len(core)
    _note(shape[cut:], core, sizes, signature)
    return shape[:cut]


def _note(shape: tuple, core: tuple[str, ...], sizes: dict[str, Any], signature: str | None) -> None:
    for name, size in zip(core, shape, strict=True):
        known = sizes.setdefault(name, size)
        if isinstance(known, int) and isinstance(size, int) and known != size:
            raise ValueError(f"ops.vectorize: {name} of {signature!r} is {known}; received an axis of size {size}")


def _check(out: Any, outer: list[tuple[str, ...]], sizes: dict[str, Any], signature: str | None) -> None:
    results = list(out) if isinstance(out, (list, tuple)) else [out]
    if len(results) != len(outer):
        raise ValueError(f"ops.vectorize: expected {len(outer)} results for {signature!r}; received {len(results)}")
    for result, core in zip(results, outer, strict=True):
        shape = tuple(c.shape(result))
        if len(shape) != len(core):
            raise ValueError(f"ops.vectorize: a result of {signature!r} has axes {core}; received shape {shape}")
        _note(shape, core, dict(sizes), signature)


def _over(one: Callable, arrays: list, shapes: list[tuple]) -> Any:
    """`one` at every place of the leading axes, which are taken as a single axis."""
    leading = _broadcast(shapes)
    if not leading:
        return one(*arrays)
    mapped = [i for i, shape in enumerate(shapes) if shape]
    flat = []
    for i in mapped:
        core = tuple(c.shape(arrays[i]))[len(shapes[i]) :]
        wide = s.broadcast_to(arrays[i], (*leading, *core)) if shapes[i] != leading else arrays[i]
        flat.append(s.reshape(wide, (-1, *core)))

    def of_row(rows: list) -> Any:
        values = list(arrays)
        for i, row in zip(mapped, rows, strict=True):
            values[i] = row
        return one(*values)

    def unflat(y: Any) -> Any:
        return s.reshape(y, (*leading, *tuple(c.shape(y))[1:]))

    out = control.vectorized_map(of_row, flat)
    return type(out)(unflat(y) for y in out) if isinstance(out, (list, tuple)) else unflat(out)


def _broadcast(shapes: list[tuple]) -> tuple:
    """The common shape: a size that is only known at run time is taken to be that of the others."""
    rank = max(map(len, shapes), default=0)
    out = []
    for column in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        known = {n for n in column if isinstance(n, int)} - {1}
        if len(known) > 1:
            raise ValueError(f"ops.vectorize: the leading shapes {shapes} do not broadcast")
        out.append(known.pop() if known else next((n for n in column if not isinstance(n, int)), 1))
    return tuple(out)
