"""Special functions, statistics, selection on torch."""

from __future__ import annotations

RULES = {}
