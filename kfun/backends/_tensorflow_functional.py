"""Control flow, losses, random numbers beyond the basis on tensorflow."""

from __future__ import annotations

RULES = {}
