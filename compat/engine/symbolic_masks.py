"""The masks of symbolic tensors, computed when they are asked for: `tensor._keras_mask`."""

from __future__ import annotations

from typing import Any

import jax

from compat.engine.call_context import call_plan
from compat.engine.layer import Layer
from kfun.graph import SymbolicTensor, tensors


def _mask(tensor: Any) -> Any:
    """What the layer that makes the tensor says of its mask, None for a tensor of an op or of a whole model.

    A model that runs does not need it: there the masks travel with the arrays.
    """
    known = tensor.__dict__
    if "_kf_mask" not in known:
        known["_kf_mask"] = _made(tensor)
    return known["_kf_mask"]


def _made(tensor: Any) -> Any:
    node = tensor.node
    layer = None if node is None else node.target
    if not isinstance(layer, Layer) or layer._masks_inside or not layer.supports_masking:
        return None
    if not node.args and not node.kwargs:  # an input
        return None
    plan = call_plan(type(layer))
    first = node.args[0] if node.args else node.kwargs.get(plan.names[0] if plan.names else "")
    mask = layer.compute_mask(first, layer._fill_masks(plan, node.args, dict(node.kwargs)))
    masks = jax.tree.leaves(mask, is_leaf=lambda m: m is None)
    found = [m for t, m in zip(tensors(node.outputs), masks, strict=False) if t is tensor]
    return found[0] if found else None


def _put(tensor: Any, mask: Any) -> None:
    tensor.__dict__["_kf_mask"] = mask


SymbolicTensor._keras_mask = property(_mask, _put)  # pyright: ignore[reportAttributeAccessIssue]
