"""Decompositions, Fourier transforms, images on openvino."""

from __future__ import annotations

RULES = {}
REASONS: dict[str, str] = {}
