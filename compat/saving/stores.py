"""Weights in HDF5, in the layout of Keras 3: a group per object, `vars/0`, `vars/1`, ... inside.

Reading trusts nothing (`hdf5`), and an array's shape is compared with the variable's before it is read.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import h5py
import jax
import numpy as np

from compat.saving.hdf5 import opened
from kfun.layer import snake_case

_SAVEABLE = "_saved_parts"  # what the class has of an object with a place of its own in a file
_CONTAINERS = (list, tuple, dict)  # in which such objects may be
_MOST_PATHS = 100_000  # that are looked at for an object that is not where it was saved


def walk(root: Any, skipped: Iterable[Any] | None = None) -> Iterator[tuple[str, Any]]:
    """`(path, object)` of every object under `root` but those `skipped`, in Keras's order, each once."""
    yield from _visit(root, "", {id(s) for s in skipped or ()})


def _all_paths(root: Any) -> dict[int, list[str]]:
    """Every path of every object under `root`, by its id: an attribute or a property may be another's object."""
    found: dict[int, list[str]] = {}
    for path, obj in itertools.islice(_visit(root, "", set(), once=False), _MOST_PATHS):
        found.setdefault(id(obj), []).append(path)
    return found


def _visit(obj: Any, path: str, seen: set[int], once: bool = True) -> Iterator[tuple[str, Any]]:
    if id(obj) in seen:
        return
    seen.add(id(obj))
    yield path, obj
    for name, child in obj._saved_parts() if hasattr(type(obj), _SAVEABLE) else ():
        inner = f"{path}/{name}" if path else name
        if hasattr(type(child), _SAVEABLE):
            yield from _visit(child, inner, seen, once)
        elif isinstance(child, _CONTAINERS):
            yield from _container(child, inner, seen, once)
    if not once:
        seen.remove(id(obj))


def _container(items: Any, path: str, seen: set[int], once: bool = True) -> Iterator[tuple[str, Any]]:
    if id(items) in seen:  # it holds itself
        return
    seen.add(id(items))
    used: dict[str, int] = {}
    for item in items.values() if isinstance(items, dict) else items:
        saveable = hasattr(type(item), _SAVEABLE)
        if not saveable and not isinstance(item, _CONTAINERS):
            continue
        base = snake_case(type(item).__name__) if saveable else "container"
        n = used[base] = used.get(base, -1) + 1
        inner = f"{path}/{base if n == 0 else f'{base}_{n}'}"
        yield from (_visit if saveable else _container)(item, inner, seen, once)
    seen.remove(id(items))  # one that is made for the occasion may give its id to another


class Entry:
    """The variables of one object in a file: a mapping from "0", "1", ... to arrays.

    Args:
        groups: one of the file, or several in files that belong together; none if the file has none. They are
            h5py's for writing, `hdf5.Group`s for reading.
        shapes: that variables must have.
        label: how errors call the object.
    """

    def __init__(self, *groups: Any, shapes: dict[str, tuple] | None = None, label: str = ""):
        self.groups = [g for g in groups if g is not None]
        self.shapes, self.label = shapes or {}, label

    def __setitem__(self, key: str, value: Any) -> None:
        value = np.asarray(value)
        dataset = self.groups[0].create_dataset(key, data=value)
        if value.dtype.name == "bfloat16":
            dataset.attrs["dtype"] = "bfloat16"

    def __getitem__(self, key: str) -> np.ndarray:
        group = next((g for g in self.groups if key in g), None)
        if group is None:
            raise KeyError(f"the file has no variable {key} of {self.label}")
        return group.array(key, self.label, self.shapes.get(key))

    def fill(self, variables: list[Any]) -> None:
        """Gives variables the arrays in their order; JAX takes over the memory that is read."""
        alone = self.groups[0] if len(self.groups) == 1 else None
        for i, variable in enumerate(variables):
            key = str(i)
            value = self[key] if alone is None else alone.array(key, self.label, self.shapes.get(key))
            if value.dtype.itemsize <= 4:  # JAX would cut off what is wider, whatever the variable's type
                value = jax.device_put(value, may_alias=True)
            variable.assign(value)

    def __contains__(self, key: object) -> bool:
        return any(key in g for g in self.groups)

    def __len__(self) -> int:
        return len(self.groups[0] if len(self.groups) == 1 else self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The numbers of the variables."""
        return list(dict.fromkeys(itertools.chain.from_iterable(self.groups)))


def write(root: Any, target: Any, skipped: Iterable[Any] | None = None) -> None:
    """Writes all variables under `root` but those of `skipped` to an HDF5 file (a path or a binary file object)."""
    with h5py.File(target, "w") as file:
        for path, obj in walk(root, skipped):
            if hasattr(obj, "save_own_variables"):
                group = file.create_group(f"{path}/vars" if path else "vars")
                group.attrs["name"] = str(getattr(obj, "name", ""))
                obj.save_own_variables(Entry(group))


def read(
    root: Any, source: Any, skip_mismatch: bool = False, skipped: Iterable[Any] | None = None
) -> list[tuple[str, Any]]:
    """Reads all variables under `root` from an HDF5 file.

    Args:
        root: a model or layer, built.
        source: a path or a binary file object.
        skip_mismatch: whether objects whose variables do not fit are left as they are.
        skipped: objects to leave as they are, with what is under them.

    Returns:
        What `walk` gave on the way.

    Raises:
        ValueError: if the file is no HDF5, objects do not fit, or it holds what is refused. Objects that come
            before the one that does not fit have the file's variables then.
    """
    with opened(source) as file:
        return fill(root, lambda path: [file.group(path)], skip_mismatch, skipped)


def fill(
    root: Any, groups: Callable, skip_mismatch: bool = False, skipped: Iterable[Any] | None = None
) -> list[tuple[str, Any]]:
    """Reads all variables under `root`.

    Args:
        root: a model or layer, built.
        groups: gives the groups of a path such as `"layers/dense/vars"`.
        skip_mismatch: whether objects whose variables do not fit are left as they are.
        skipped: objects to leave as they are, with what is under them.

    Returns:
        What `walk` gave on the way.
    """
    failed, walked = [], []
    others: dict[int, list[str]] = {}

    def found(obj: Any, path: str) -> list[Any]:
        """The groups of an object, under another of its names if the file has it by that one."""
        given = groups(f"{path}/vars" if path else "vars")
        if given.count(None) < len(given) or not own_variables(obj):
            return given
        others.update(others or _all_paths(root))
        named = (groups(f"{other}/vars") for other in others.get(id(obj), ()) if other not in ("", path))
        return next((g for g in named if any(part is not None for part in g)), given)

    for path, obj in walk(root, skipped):
        walked.append((path, obj))
        if not hasattr(obj, "load_own_variables"):
            continue
        label = f"{type(obj).__name__} {getattr(obj, 'name', '')!r}"
        try:
            _load(obj, found(obj, path), label)
        except (ValueError, KeyError, OSError, RuntimeError) as error:
            if not skip_mismatch:
                raise ValueError(f"{label} at {path or '/'!r}: {error}") from error
            failed.append(label)
    if failed:
        warnings.warn(f"not loaded, because they do not fit the file: {', '.join(failed)}", stacklevel=4)
    return walked


def _load(obj: Any, groups: list[Any], label: str) -> None:
    own = own_variables(obj)
    obj.load_own_variables(Entry(*groups, shapes={str(i): v.shape for i, v in enumerate(own)}, label=label))


def own_variables(obj: Any) -> list:
    """The variables of an object that are not of one inside it."""
    own = getattr(obj, "_own", None)  # of a layer
    return list(itertools.chain(*own()) if callable(own) else getattr(obj, "variables", ()))
