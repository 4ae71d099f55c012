"""Files that objects keep beside their weights, in a folder each: `save_assets(folder)` and `load_assets(folder)`."""

from __future__ import annotations

import os
from typing import Any

from compat.saving.stores import walk


def save_assets(root: Any, folder: str) -> bool:
    """Lets every object under `root` write its files below `folder`; whether there were any."""
    before = False
    for path, obj in walk(root):
        if hasattr(obj, "save_assets"):
            own = os.path.join(folder, *path.split("/"))
            os.makedirs(own, exist_ok=True)
            obj.save_assets(own)
            before = True
    return before


def load_assets(root: Any, folder: str | None, skipped: list[Any] | None = None) -> None:
    """Lets every object under `root` read its files.

    Raises:
        ValueError: if an object has files of which there are none.
    """
    for path, obj in walk(root, skipped):
        if hasattr(obj, "load_assets"):
            own = None if folder is None else os.path.join(folder, *path.split("/"))
            if own is None or not os.path.isdir(own):
                raise ValueError(f"{type(obj).__name__} at {path!r} has assets, but the file has none for it")
            obj.load_assets(own)
