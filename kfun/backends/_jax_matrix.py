"""Decompositions, Fourier transforms, images on jax."""

from __future__ import annotations

RULES = {}
