"""Decompositions, Fourier transforms, images on tensorflow."""

from __future__ import annotations

RULES = {}
