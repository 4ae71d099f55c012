"""The process's seeds and names."""

from __future__ import annotations

import gc
import random

import numpy as np

from compat.state import naming, policy, settings
from compat.variables import seeds


def set_random_seed(seed: int) -> None:
    """Seeds Python's and NumPy's random numbers, from which weights, dropout and shuffles follow.

    Raises:
        ValueError: if `seed` is no integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"set_random_seed: expected an integer; received {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))
    seeds.reset_global()
    settings.values["shuffle_seed"] = int(seed)


def clear_session(free_memory: bool = True) -> None:
    """Starts automatic names and the global random seed anew.

    Args:
        free_memory: whether to collect what is no longer referred to.
    """
    naming.reset()
    seeds.reset_global()
    policy.set_global(None)
    if free_memory:
        gc.collect()
