"""What writes files that are no saved models, in one of two versions, and tells which version a file holds."""

from __future__ import annotations

import functools
import itertools
import json
import os
import pathlib
import types
import zipfile
from typing import Any

import numpy as np

from compat.callbacks._projector import Projector
from compat.utils import get_file, load_img, save_img
from compat.utils._archives import unpack
from kfun.export import onnx

NAMES = {"download": "m.json", "archive": "m", "image": "m.png", "table": "m.tsv", "onnx": "m.onnx"}


def save(form: str, path: str, version: int) -> None:
    """Writes a version; where it comes from lies in the folder above that of the path."""
    target = pathlib.Path(path)
    sources = target.parent.parent
    if not (sources / "1.json").exists():
        for each in (1, 2):
            _make_sources(sources, each)
    if form == "download":
        source = (sources / f"{version}.json").as_uri()
        get_file(target.name, source, cache_dir=target.parent, cache_subdir=".", force_download=True)
    elif form == "archive":
        assert unpack(sources / f"{version}.zip", target, "auto")
    elif form == "image":
        save_img(path, np.full((20, 20, 3), version), scale=False)
    elif form == "table":
        tables = Projector(os.fspath(target.parent), types.SimpleNamespace(_all_layers=list))
        tables.layers = [types.SimpleNamespace(name="m", embeddings=np.full((100, 4), version))]
        tables.write()
    else:
        onnx.save(graph(version), path, external_data=True)


def _make_sources(folder: pathlib.Path, version: int) -> None:
    text = json.dumps([version] * 1000)
    (folder / f"{version}.json").write_text(text)
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as archive:
        for i in range(4):
            archive.writestr(f"inner/{i}.json", text)


@functools.cache
def graph(version: int) -> Any:
    """A graph of ONNX whose name and every weight are the version."""
    import onnx_ir as ir

    arrays = {f"x{i}": np.full(1000, version, np.float32) for i in range(4)}
    values = [ir.Value(name=name, const_value=ir.tensor(array, name=name)) for name, array in arrays.items()]
    made = ir.Graph([], [], nodes=[], initializers=values, opset_imports={"": 21}, name=f"v{version}")
    return ir.Model(made, ir_version=10)


def versions(form: str, path: str) -> set[int]:
    """The versions that a file holds: one, if it is whole."""
    if form == "onnx":
        name, weights = _loaded(path)
        assert len(weights) == 4
        return {int(name[1:]), *itertools.chain(*[w.numpy().astype(int) for w in weights])}
    if form == "image":
        return set(np.asarray(load_img(path)).ravel().tolist())
    if form == "table":
        table = np.loadtxt(path)
        assert table.shape == (100, 4)
        return set(table.astype(int).ravel())
    files = [path] if form == "download" else [os.path.join(path, "inner", f"{i}.json") for i in range(4)]
    return {version for file in files for version in json.loads(pathlib.Path(file).read_text())}


def _loaded(path: str) -> tuple[str, list[Any]]:
    import onnx_ir as ir

    found = ir.load(path).graph
    return found.name, [value.const_value for value in found.initializers.values()]


def expected_files(form: str, path: str) -> set[str]:
    """What the folder of a target holds when nothing is left over."""
    more = {"projector_config.pbtxt"} if form == "table" else set()
    if form == "onnx":
        more = {weights.location for weights in _loaded(path)[1]}
    return {os.path.basename(path), *more}
