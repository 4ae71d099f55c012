"""Rows of decompositions, Fourier transforms and images."""

from __future__ import annotations

ROWS: list = []
