"""What is ours: layers and functions of which we know that arguments and variables say all that they do."""

from __future__ import annotations

import inspect
from typing import Any

from compat.core.generated import Generated


def ours(thing: Any) -> bool:
    """Whether a class or a function comes with kfun."""
    return getattr(thing, "__module__", "").partition(".")[0] in ("compat", "kfun")


def own_layer(layer: Any) -> bool:
    """Whether a layer is one of ours, with no function or model of the user's in it, and leaves nothing behind."""
    if not isinstance(layer, Generated) or not ours(type(layer)) or type(layer).__module__.endswith("_ecosystem"):
        return False
    if layer.activity_regularizer is not None or getattr(layer, "stateful", False):
        return False
    given = (v for name, v in vars(layer).items() if not name.startswith("_"))
    return all(ours(v) for v in given if inspect.isroutine(v))
