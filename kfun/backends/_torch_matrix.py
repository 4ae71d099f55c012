"""Decompositions, Fourier transforms, images on torch."""

from __future__ import annotations

RULES = {}
