"""What is ours: layers and functions of which we know that arguments and variables say all that they do."""

from __future__ import annotations

from typing import Any


def ours(thing: Any) -> bool:
    """Whether a class or a function comes with kfun."""
    return getattr(thing, "__module__", "").partition(".")[0] in ("compat", "kfun")


def own_layer(layer: Any) -> bool:
    """Whether a layer is one of ours, with no function or model of the user's in it, and leaves nothing behind."""
    return hasattr(layer, "_is_own") and layer._is_own()
