"""Compiled code is let go while the sweeps run: each piece maps memory, of which a process has a limited number."""

from __future__ import annotations

import itertools

import jax
import pytest

_TESTS = itertools.count(1)


@pytest.fixture(autouse=True)
def few_compiled():
    yield
    if next(_TESTS) % 150 == 0:
        jax.clear_caches()
