"""Statistics, selection and scattering on openvino."""

from __future__ import annotations

RULES = {}
REASONS: dict[str, str] = {}
