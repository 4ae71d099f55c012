"""What the rules of decompositions ask of their arguments, on every backend."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_SQUARE = ("cholesky", "det", "eig", "eigh", "inv", "slogdet", "solve", "solve_triangular")


def checked(rules: dict[str, Callable]) -> dict[str, Callable]:
    """The rules of matrices, which refuse what is no (square) matrix with one message on every backend."""
    return {name: _checking(name, rule) for name, rule in rules.items()}


def _checking(name: str, rule: Callable) -> Callable:
    @functools.wraps(rule)
    def check(x, *rest):
        shape = tuple(x.shape)
        _matrix(name, shape)
        if name in _SQUARE and _differ(*shape[-2:]):
            raise ValueError(f"ops.{name}: expected square matrices [..., N, N]; received shape {shape}")
        if name.startswith("solve"):
            right = tuple(rest[0].shape)
            if not right or _differ(shape[-1], right[0 if len(right) == 1 else -2]):
                raise ValueError(
                    f"ops.{name}: expected a right-hand side [N] or [..., N, K] for a of shape {shape}; "
                    f"received shape {right}. Vectors in a batch need a last axis: b[..., None]"
                )
        return rule(x, *rest)

    return check


def _matrix(name: str, shape: tuple) -> None:
    if len(shape) < 2:
        raise ValueError(f"ops.{name}: expected matrices [..., M, N]; received shape {shape}")


def _differ(m: Any, n: Any) -> bool:
    return isinstance(m, int) and isinstance(n, int) and m != n
