"""Rows of special functions, statistics, selection and layout."""

from __future__ import annotations

ROWS: list = []
