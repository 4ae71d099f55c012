"""Decompositions, Fourier transforms, images on numpy."""

from __future__ import annotations

RULES = {}
