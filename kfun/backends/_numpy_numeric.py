"""Special functions, statistics, selection on numpy."""

from __future__ import annotations

RULES = {}
