"""Rows of losses, control flow, sparse and random ops."""

from __future__ import annotations

ROWS: list = []
