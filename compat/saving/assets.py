"""Files that objects keep beside their weights, in a folder each: `save_assets(folder)` and `load_assets(folder)`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

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


def as_arrays(folder: str) -> dict[str, Any]:
    """The files of a folder as arrays of bytes, in dicts as the folders hold them."""
    tree: dict[str, Any] = {}
    for entry in os.scandir(folder):
        if entry.is_dir():
            inner = as_arrays(entry.path)
            if inner:
                tree[entry.name] = inner
        else:
            tree[entry.name] = np.fromfile(entry.path, np.uint8)
    return tree


def write_arrays(tree: Any, folder: str) -> None:
    """Writes arrays of bytes as files, dicts of them as folders.

    Raises:
        ValueError: if a name could lead out of the folder.
    """
    for name, value in tree.items():
        if name in ("", ".", "..") or any(c in name for c in "/\\:\0"):
            raise ValueError(f"the name {name!r} of an asset leads out of its folder, which is refused")
        target = os.path.join(folder, name)
        if isinstance(value, dict):
            os.mkdir(target)
            write_arrays(value, target)
        else:
            np.asarray(value, np.uint8).tofile(target)
