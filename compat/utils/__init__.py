"""Utilities: seeds, labels, the session."""

from __future__ import annotations

import random as _python_random
from typing import Any

import numpy as np

from compat._unknown import unknown_names_of
from compat.saving.serialization import CustomObjectScope as CustomObjectScope
from compat.saving.serialization import custom_object_scope as custom_object_scope
from compat.saving.serialization import deserialize_keras_object as deserialize_keras_object
from compat.saving.serialization import get_custom_objects as get_custom_objects
from compat.saving.serialization import get_registered_name as get_registered_name
from compat.saving.serialization import get_registered_object as get_registered_object
from compat.saving.serialization import register_keras_serializable as register_keras_serializable
from compat.saving.serialization import serialize_keras_object as serialize_keras_object


def set_random_seed(seed: int) -> None:
    """Seeds Python's and NumPy's random numbers, from which weights, dropout and shuffles follow.

    Raises:
        ValueError: if `seed` is no integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"set_random_seed: expected an integer; received {seed!r}")
    from compat.core import seeds

    _python_random.seed(int(seed))
    np.random.seed(int(seed))
    seeds.reset_global()


def clear_session(free_memory: bool = True) -> None:
    """Starts automatic names and the global random seed anew.

    Args:
        free_memory: whether to collect what is no longer referred to.
    """
    from compat.core import naming, policy, seeds

    naming.reset()
    seeds.reset_global()
    policy.set_global(None)
    if free_memory:
        import gc

        gc.collect()


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class numbers as rows that are 1 at the class and 0 elsewhere.

    Args:
        x: integers `[...]` or `[..., 1]`.
        num_classes: by default the largest class and 1.

    Raises:
        ValueError: if a class is out of range.
    """
    labels = np.asarray(x, dtype="int64")
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.reshape(-1)
    classes = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(f"to_categorical: classes {labels.min()} to {labels.max()} are not all in [0, {classes})")
    rows = np.zeros((labels.size, classes), "float32")
    rows[np.arange(labels.size), labels] = 1
    return rows.reshape(*shape, classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """NumPy data divided by their norm along an axis."""
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)


__getattr__ = unknown_names_of(globals())
