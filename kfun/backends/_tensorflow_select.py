"""Statistics, selection and scattering on tensorflow."""

from __future__ import annotations

RULES = {}
