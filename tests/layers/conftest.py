"""Compiled code is let go while the sweeps run: each piece maps memory, of which a process has a limited number."""

from __future__ import annotations

import jax
import pytest

_EVERY = 150
_count = 0


@pytest.fixture(autouse=True)
def few_compiled():
    yield
    global _count
    _count += 1
    if _count % _EVERY == 0:
        jax.clear_caches()
