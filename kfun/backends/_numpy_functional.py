"""Control flow, losses, random numbers beyond the basis on numpy."""

from __future__ import annotations

RULES = {}
