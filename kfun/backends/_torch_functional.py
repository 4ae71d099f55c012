"""Control flow, losses, random numbers beyond the basis on torch."""

from __future__ import annotations

RULES = {}
