"""Files that objects keep beside their weights, in a folder each: `save_assets(folder)` and `load_assets(folder)`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from compat.saving.stores import walk

_LONGEST, _DEEPEST = 255, 100  # bytes of a name, as file systems take them, and folders below each other
_MISREAD = (TypeError, LookupError, AttributeError, ArithmeticError, EOFError, RecursionError, MemoryError)


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


def load_assets(walked: Iterable[tuple[str, Any]], folder: str | None) -> None:
    """Lets objects read their files.

    Args:
        walked: the objects and their paths, as `stores.walk` gives them.
        folder: with the files; None if there are none.

    Raises:
        ValueError: if an object has files of which there are none, or cannot read them.
    """
    for path, obj in walked:
        if hasattr(obj, "load_assets"):
            own = None if folder is None else os.path.join(folder, *path.split("/"))
            if own is None or not os.path.isdir(own):
                raise ValueError(f"{type(obj).__name__} at {path!r} has assets, but the file has none for it")
            try:
                obj.load_assets(own)
            except _MISREAD as error:
                raise ValueError(
                    f"{type(obj).__name__} at {path!r} cannot read its assets in the file "
                    f"({type(error).__name__}: {error!s:.200}): they are damaged"
                ) from error


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


def write_arrays(tree: Any, folder: str, depth: int = 0) -> None:
    """Writes arrays of bytes as files, dicts of them as folders.

    Raises:
        ValueError: if a name could lead out of the folder, or is too long, or something is no array of bytes.
    """
    if not isinstance(tree, dict) or depth > _DEEPEST:
        raise ValueError(f"expected assets in at most {_DEEPEST} folders, each a dict; received {type(tree).__name__}")
    for name, value in tree.items():
        if not isinstance(name, str) or name in ("", ".", "..") or any(c in name for c in "/\\:\0"):
            raise ValueError(f"the name {name!r:.80} of an asset leads out of its folder, which is refused")
        if len(os.fsencode(name)) > _LONGEST:
            raise ValueError(f"the name {name!r:.80} of an asset is longer than {_LONGEST} bytes, which is refused")
        target = os.path.join(folder, name)
        if isinstance(value, dict):
            os.mkdir(target)
            write_arrays(value, target, depth + 1)
        elif getattr(value, "dtype", None) == np.uint8:
            np.asarray(value).tofile(target)
        else:
            raise ValueError(f"expected the asset {name!r:.80} as an array of bytes; received {type(value).__name__}")
