"""Tables of embeddings for TensorBoard's projector."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from compat.layers import Embedding
from kfun.atomic import atomic_file


class Projector:
    """Writes the tables of a model's `Embedding` layers, and the projector's settings that name them.

    Args:
        folder: where to.
        model: whose layers.
        metadata: a file of labels for all tables, or `{layer name: file}`.

    Raises:
        ValueError: if a name in `metadata` is no embedding of the model.
    """

    def __init__(self, folder: str, model: Any, metadata: Any = None):
        self.folder = folder
        self.layers = [layer for layer in model._all_layers() if isinstance(layer, Embedding)]
        names = [layer.name for layer in self.layers]
        labels = dict(metadata) if isinstance(metadata, dict) else {n: metadata for n in names if metadata is not None}
        unknown = [n for n in labels if n not in names]
        if unknown:
            raise ValueError(f"TensorBoard: embeddings_metadata names {unknown}; the model's embeddings are {names}")
        self._configure({n: os.fspath(f) for n, f in labels.items()})

    def _configure(self, labels: dict[str, str]) -> None:
        parts = []
        for layer in self.layers:
            lines = [f"  tensor_name: {_quoted(layer.name)}", f"  tensor_path: {_quoted(_file_name(layer))}"]
            if layer.name in labels:
                lines.append(f"  metadata_path: {_quoted(labels[layer.name])}")
            parts.append("embeddings {\n" + "\n".join(lines) + "\n}\n")
        os.makedirs(self.folder, exist_ok=True)
        with atomic_file(os.path.join(self.folder, "projector_config.pbtxt")) as file:
            file.write("".join(parts).encode())

    def write(self) -> None:
        """Writes the tables as they are now."""
        for layer in self.layers:
            table = np.asarray(layer.embeddings, np.float32)
            with atomic_file(os.path.join(self.folder, _file_name(layer))) as file:
                np.savetxt(file, table, fmt="%.6g", delimiter="\t")


def _file_name(layer: Any) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in layer.name) + ".tsv"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
