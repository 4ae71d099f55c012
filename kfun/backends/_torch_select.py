"""Statistics, selection and scattering on torch."""

from __future__ import annotations

RULES = {}
