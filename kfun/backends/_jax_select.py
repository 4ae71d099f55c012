"""Statistics, selection and scattering on jax."""

from __future__ import annotations

RULES = {}
