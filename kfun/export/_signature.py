"""The inputs and outputs of an exported model: their order and names, for every exporter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from kfun.spec import Spec


def inputs_of(specs: tuple, names: Sequence[str] | None) -> tuple[list[Spec], list[str], Any]:
    """The inputs that a pytree of specs asks for.

    Args:
        specs: pytrees of `Spec`.
        names: one per `Spec`; by default `input_0`, `input_1`, ...

    Returns:
        The specs and names in order, and the structure, for `jax.tree.unflatten`.

    Raises:
        ValueError: if the number of names is not that of the inputs.
    """
    leaves, structure = jax.tree.flatten(specs, is_leaf=lambda s: isinstance(s, Spec))
    found = list(names) if names is not None else [f"input_{i}" for i in range(len(leaves))]
    if len(found) != len(leaves) or len(set(found)) != len(found):
        raise ValueError(f"expected {len(leaves)} different names for the inputs; received {found}")
    return leaves, found, structure


def outputs_of(tree: Any) -> list[tuple[str, Any]]:
    """The outputs in order with their names: `output`, or after their places: `output_0`, `output_mean`, ..."""
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [("_".join(["output", *map(_key, path)]), output) for path, output in found]


def _key(part: Any) -> str:
    return str(getattr(part, "key", getattr(part, "idx", getattr(part, "name", part))))
