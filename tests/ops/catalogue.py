"""Every public op, once: how it is called and what it should give. The sweeps run over it."""

from __future__ import annotations

import functools

from kfun import ops
from tests.ops import (
    rows_activation,
    rows_arrangement,
    rows_bits,
    rows_creation,
    rows_elementwise,
    rows_functional,
    rows_image,
    rows_linalg,
    rows_matrix,
    rows_nn,
    rows_numeric,
    rows_random,
    rows_reduction,
    rows_select,
    rows_shaping,
    rows_signal,
    rows_statistics,
)
from tests.ops.rows import Case, Row

_FAMILIES = (
    rows_elementwise,
    rows_reduction,
    rows_select,
    rows_statistics,
    rows_shaping,
    rows_signal,
    rows_creation,
    rows_activation,
    rows_linalg,
    rows_nn,
    rows_random,
    rows_numeric,
    rows_arrangement,
    rows_bits,
    rows_matrix,
    rows_functional,
    rows_image,
)
ROWS: dict[str, Row] = {r.name: r for family in _FAMILIES for r in family.ROWS}


@functools.cache
def cases(name: str) -> list[Case]:
    """The cases of a row, drawn once."""
    return ROWS[name].cases()


def public(r: Row):
    """The function under test: the op of the row's name in `kfun.ops`, unless the row says otherwise."""
    return r.options.get("op") or getattr(ops, r.name)


def options(r: Row, c: Case) -> dict:
    """The arguments of `check_op` for one case."""
    merged = {"reference": r.reference, **r.options, **c.options, "kwargs": c.kwargs}
    merged.pop("op", None)
    return merged
