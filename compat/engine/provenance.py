"""What is ours: classes and functions of which we know that their arguments say all that they do."""

from __future__ import annotations

from typing import Any


def ours(thing: Any) -> bool:
    """Whether a class or a function comes with kfun."""
    return getattr(thing, "__module__", "").partition(".")[0] in ("compat", "kfun")
