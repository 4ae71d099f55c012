"""Where the random numbers of a model's layers go on: the states of their generators, which are no weights.

Keras's files lack them, so that a model from a file draws other dropout masks than it would have drawn.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

KEY = "random_streams"  # in the metadata of a file, where Keras does not look


def no_weights(model: Any) -> list[Any]:
    """The variables of layers that are no weights: the states of random generators."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.non_trainable_variables if id(v) not in weights]


def _generators(model: Any) -> list[Any]:
    found = {id(g): g.state for layer in model._all_layers() for g in layer._seed_generators}
    return list(found.values())


def states(model: Any) -> list[list[int]]:
    """The states of the generators as JSON data: a seed and a count for each."""
    return [np.asarray(variable._array()).tolist() for variable in _generators(model)]


def restore(model: Any, metadata: Any) -> None:
    """Lets the generators go on where the metadata of a file say, if they say it.

    Raises:
        ValueError: if the metadata have something else there.
    """
    given = metadata.get(KEY) if isinstance(metadata, dict) else None
    if given is None:
        return
    if not isinstance(given, list) or not all(map(_is_state, given)):
        raise ValueError(f"{KEY}: expected pairs of 32-bit numbers; received {given!r:.80}: the file is damaged")
    generators = _generators(model)
    if len(generators) != len(given):
        warnings.warn(
            f"the model has {len(generators)} random generators and the file {len(given)}: its dropout begins anew",
            stacklevel=6,
        )
        return
    for variable, state in zip(generators, given, strict=True):
        variable.assign(np.array(state, np.uint32))


def _is_state(state: Any) -> bool:
    return isinstance(state, list) and len(state) == 2 and all(type(n) is int and 0 <= n < 1 << 32 for n in state)
