"""`KerasFileEditor`: looks into a saved file, compares it with a model, and changes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import h5py
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from compat.saving import stores
from compat.saving.archives import CONFIG, METADATA, Archive
from compat.saving.hdf5 import Group, opened
from kfun.atomic import atomic_file

_LIMIT = 64  # levels of groups


class KerasFileEditor:
    """The weights of a `.keras` or `.weights.h5` file as nested dicts, to be changed and saved as `.weights.h5`.

    Nothing of the file is executed; links and arrays that are elsewhere are refused as `load_model` does.

    Attributes:
        filepath: of the file.
        metadata, config: JSON data of a `.keras` file, else None.
        weights_dict: `{object: {..., weight: array}}`.
        object_metadata: the names of objects by path.

    Args:
        filepath: ends in `.keras` or `.weights.h5`.

    Raises:
        ValueError: if the path has another ending, or the file is damaged or holds what is refused.
    """

    def __init__(self, filepath: Any):
        self.filepath = os.fspath(filepath)
        self.metadata = self.config = self.model = None
        self.console = Console(highlight=False)
        if self.filepath.endswith(".keras"):
            with open(self.filepath, "rb") as file:
                archive = Archive(file, repr(self.filepath))
                self.config = archive.text(CONFIG)
                has_metadata = any(member.name == METADATA for member in archive.zip)
                self.metadata = archive.text(METADATA) if has_metadata else None
                with archive.weights() as weights:
                    self._open(weights)
        elif self.filepath.endswith(".weights.h5"):
            self._open(self.filepath)
        else:
            raise ValueError(f"expected a file that ends in `.keras` or `.weights.h5`; received {self.filepath}")
        self.console.print(f"Keras model file '{escape(self.filepath)}'")
        for name, value in (self.metadata or {}).items() if isinstance(self.metadata, dict) else ():
            self.console.print(f"  {escape(str(name))}: {escape(str(value))}")

    def _open(self, source: Any) -> None:
        self.object_metadata: dict[str, dict] = {}
        with opened(source) as file:
            self.weights_dict = self._read(file, "", {file.address: "/"})

    def _read(self, group: Group, path: str, seen: dict[int, str]) -> dict:
        """The arrays of a group; `vars` is left out of paths.

        An object with many paths, as hard links make them, would be read once for each: two to the power of
        the depth.
        """
        if path.count("/") > _LIMIT:
            raise ValueError(f"{self.filepath!r}: groups are nested more than {_LIMIT} deep, which is refused")
        found: dict[str, Any] = {}
        for name in group.names():
            address = group.address_of(name)
            inner = f"{path}/{name}"
            if address in seen:
                raise ValueError(f"{self.filepath!r}: {seen[address]} and {inner} are one object, which is refused")
            seen[address] = inner
            entry = group.group(name) if group.is_group(name) else None
            if entry is None:
                part = {name: group.array(name, path or "/")}
            elif name == "vars":
                part = self._read(entry, path, seen)
                if part:
                    texts = {key: entry.text(key) for key in entry.attributes()}
                    self.object_metadata[path] = {key: text for key, text in texts.items() if text is not None}
            else:
                part = {name: self._read(entry, inner, seen)}
            twice = found.keys() & part.keys()
            if twice:
                raise ValueError(
                    f"{self.filepath!r}: {path or '/'} has {sorted(twice)} both inside of vars and beside it"
                )
            found |= part
        return found

    def summary(self) -> None:
        """Prints the structure of the weights."""
        tree = Tree("Weights structure")
        _add(tree, self.weights_dict)
        self.console.print(tree)

    def compare(self, reference_model: Any) -> dict:
        """Lists where the file and a model differ.

        Returns:
            `{"status": "success" or "error", "error_count": ..., "match_count": ...}`.
        """
        self.console.print("Running comparison")
        reference = _spec(reference_model)
        errors, matches = self._differences(self.weights_dict, reference, "", ("saved file", "reference model"))
        missing, _ = self._differences(reference, self.weights_dict, "", ("reference model", "saved file"), False)
        errors += missing
        verdict = "success" if errors == 0 else "error"
        self.console.print(f"Comparison: {verdict}, {errors} errors, {matches} matching weights")
        return {"status": verdict, "error_count": errors, "match_count": matches}

    def _differences(
        self, target: dict, reference: dict, path: str, labels: tuple[str, str], shapes: bool = True
    ) -> tuple[int, int]:
        errors = matches = 0
        for key, value in reference.items():
            inner = f"{path}/{key}"
            other = target.get(key)
            if key not in target or isinstance(other, dict) is not isinstance(value, dict):
                errors += 1
                kind = "Object" if isinstance(value, dict) else "Weight"
                self.console.print(f"...{kind} {escape(inner)} present in {labels[1]}, missing from {labels[0]}")
            elif isinstance(value, dict):
                more, fits = self._differences(other, value, inner, labels, shapes)
                errors, matches = errors + more, matches + fits
            elif tuple(other.shape) == tuple(value.shape):
                matches += 1
            elif shapes:
                errors += 1
                self.console.print(
                    f"...Weight shape mismatch for {escape(inner)}: {tuple(value.shape)} in {labels[1]}, "
                    f"{tuple(other.shape)} in {labels[0]}"
                )
        return errors, matches

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Gives an object another name.

        Args:
            object_name: its name, if no other has it, or its path such as `"layers/dense"`.
            new_name: a name, without a path.
        """
        _check_name(new_name)

        def rename(holder: dict, name: str) -> None:
            if new_name in holder and new_name != name:
                raise ValueError(f"'{new_name}' is there already: delete it, or choose another name for '{name}'")
            items = [(new_name if k == name else k, v) for k, v in holder.items()]
            holder.clear()
            holder.update(items)

        self._edit(object_name, rename)

    def delete_object(self, object_name: str) -> None:
        """Takes an object and all under it out."""
        self._edit(object_name, lambda holder, name: holder.pop(name))

    def add_object(self, object_path: str, weights: dict) -> None:
        """Puts in an object.

        Args:
            object_path: such as `"layers/dense_2"`; what it is in must be there.
            weights: `{name: array}`.
        """
        _check_weights(weights)
        *parents, name = _parts(object_path) or [""]
        _check_name(name)
        self._at(parents, object_path)[name] = dict(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Takes a weight out of an object."""

        def delete(holder: dict, name: str) -> None:
            if not isinstance(holder[name], dict) or weight_name not in holder[name]:
                inside = list(holder[name]) if isinstance(holder[name], dict) else "it is a weight itself"
                raise ValueError(f"Weight {weight_name} not found in object {object_name}. Weights found: {inside}")
            holder[name].pop(weight_name)

        self._edit(object_name, delete)

    def add_weights(self, object_name: str, weights: dict) -> None:
        """Puts weights `{name: array}` into an object."""
        _check_weights(weights)

        def add(holder: dict, name: str) -> None:
            if not isinstance(holder[name], dict):
                raise ValueError(f"'{object_name}' is a weight, not an object that has weights")
            holder[name].update(weights)

        self._edit(object_name, add)

    def _edit(self, name: str, edit: Callable[[dict, str], Any]) -> None:
        if "/" in name:
            *parents, last = _parts(name)
            holder = self._at(parents, name)
            if last not in holder:
                raise ValueError(f"Path '{name}' not found in model.")
            edit(holder, last)
            return
        holders = list(_holders(self.weights_dict, name))
        if len(holders) > 1:
            raise ValueError(f"Name '{name}' stands for several layers; pass a whole path, 'layers/{name}'")
        if not holders:
            raise ValueError(f"there is no '{name}' in the file; see `summary()` for its names")
        edit(holders[0], name)

    def _at(self, parts: list[str], path: str) -> dict:
        found = self.weights_dict
        for part in parts:
            if not isinstance(found.get(part), dict):
                raise ValueError(f"Path '{path}' not found in model.")
            found = found[part]
        return found

    def save(self, filepath: Any) -> None:
        """Writes the weights as they are now to a `.weights.h5` file.

        Raises:
            ValueError: if the path has another ending.
        """
        path = os.fspath(filepath)
        if not path.endswith(".weights.h5"):
            raise ValueError(f"expected a file name that ends in `.weights.h5`; received {path}")
        with atomic_file(path) as target, h5py.File(target, "w") as file:
            self._write(file, self.weights_dict, "")

    def _write(self, file: Any, content: dict, path: str) -> None:
        arrays = {k: v for k, v in content.items() if not isinstance(v, dict)}
        group = file.require_group(f"{path}/vars" if path else "vars")
        group.attrs.update(self.object_metadata.get(path, {}))
        for name, value in arrays.items():
            stores.Entry(group)[name] = value
        for name, value in content.items():
            if isinstance(value, dict):
                self._write(file, value, f"{path}/{name}")

    def resave_weights(self, filepath: Any) -> None:
        """The older name of `save`."""
        self.save(filepath)


def _add(tree: Tree, content: dict) -> None:
    for name, value in content.items():
        if isinstance(value, dict):
            _add(tree.add(escape(str(name))), value)
        else:
            tree.add(f"{escape(str(name))}: shape={tuple(value.shape)}, dtype={value.dtype}")


def _spec(model: Any) -> dict:
    """The shapes that a model's file would have, in the form of `weights_dict`."""
    found: dict[str, Any] = {}
    for path, obj in stores.walk(model):
        arrays = {str(i): v for i, v in enumerate(stores.own_variables(obj))}
        parts = _parts(path)
        inner = found
        for part in parts:
            inner = inner.setdefault(part, {})
        inner |= arrays
    return found


def _parts(path: str) -> list[str]:
    return [p for p in path.split("/") if p]


def _check_name(name: Any) -> None:
    """A name of a group or array is one step of a path."""
    if not isinstance(name, str) or name in ("", ".", "..", "vars") or "/" in name or "\0" in name:
        raise ValueError(
            "expected a name, without '/' or a zero character, and none of '', '.', '..' and 'vars'. "
            f"Received: {name!r}"
        )


def _holders(content: dict, name: str) -> Any:
    if name in content:
        yield content
    for value in content.values():
        if isinstance(value, dict):
            yield from _holders(value, name)


def _check_weights(weights: Any) -> None:
    if not isinstance(weights, dict) or not all(hasattr(v, "shape") for v in weights.values()):
        raise ValueError(
            "`weights`: expected a dict from the weights' names ('0', '1', ...) to "
            f"NumPy arrays. Received: type(weights)={type(weights)}"
        )
    for name in weights:
        _check_name(name)
