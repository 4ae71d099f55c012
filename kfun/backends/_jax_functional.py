"""Control flow, losses, random numbers beyond the basis on jax."""

from __future__ import annotations

RULES = {}
