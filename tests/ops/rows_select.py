"""Rows of statistics, selection and scattering."""

from __future__ import annotations

ROWS: list = []
