"""Control flow, losses, random numbers beyond the basis on openvino."""

from __future__ import annotations

RULES = {}
REASONS: dict[str, str] = {}
