"""Special functions, statistics, selection on tensorflow."""

from __future__ import annotations

RULES = {}
