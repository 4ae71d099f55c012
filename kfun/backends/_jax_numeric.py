"""Special functions, statistics, selection on jax."""

from __future__ import annotations

RULES = {}
