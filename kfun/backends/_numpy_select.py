"""Statistics, selection and scattering on numpy."""

from __future__ import annotations

RULES = {}
