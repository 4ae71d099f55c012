"""What saves one of two versions in each format, and tells which version a file holds. Versions differ everywhere."""

from __future__ import annotations

import functools
import itertools
import json
import os
from typing import Any

import h5py
import jax
import numpy as np

import compat
from compat.saving import shards
from kfun import checkpoints
from kfun.atomic import atomic_file, atomic_folder
from tests.hostile import outputs

NAMES = {"keras": "m.keras", "folder": "m", "weights": "m.weights.h5", "shards": "m.weights.json", "h5": "m.h5"}
PLAIN = {"file": "m.bin", "plain folder": "m", "plain shards": "m.weights.json", "checkpoint": "m"}  # need no JAX


@functools.cache
def model(version: int) -> Any:
    """A model of half a megabyte, whose name and every weight are the version."""
    inner = [compat.layers.Dense(200, name=f"d{i}") for i in range(3)]
    made = compat.Sequential([compat.Input((200,)), *inner], name=f"v{version}")
    made.set_weights([np.full(w.shape, version, "float32") for w in made.get_weights()])
    return made


class Root:
    """What `shards.write` takes, without a model."""

    def __init__(self, version: int):
        self.version = version

    def save_own_variables(self, store: Any) -> None:
        """Writes four arrays, each of which fills a file."""
        for i in range(4):
            store[str(i)] = np.full(1000, self.version, np.int32)


def save(form: str, path: str, version: int) -> None:
    """Saves a version."""
    if form == "folder":
        model(version).save(path, zipped=False)
    elif form in ("keras", "h5"):
        model(version).save(path, overwrite=True)
    elif form == "weights":
        model(version).save_weights(path, overwrite=True)
    elif form == "shards":
        model(version).save_weights(path, overwrite=True, max_shard_size=2e-4)
    elif form == "plain shards":
        shards.write(Root(version), path, 5000 / (1 << 30))
    elif form == "checkpoint":
        values = {f"{i} {version}": np.full(1000, version, np.int32) for i in range(4)}
        checkpoints.save(path, values, max_shard_size=5000)
    elif form in outputs.NAMES:
        outputs.save(form, path, version)
    elif form == "plain folder":
        with atomic_folder(path) as folder:
            for i in range(4):
                _write(os.path.join(folder, f"{i}.json"), version)
    else:
        with atomic_file(path) as file:
            file.write(json.dumps([version] * 1000).encode())


def _write(path: str, version: int) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump([version] * 1000, file)


def versions(form: str, path: str) -> set[int]:
    """The versions that a file holds: one, if it is whole."""
    if form in ("keras", "folder", "h5"):
        loaded = compat.saving.load_model(path)
        return {int(loaded.name[1:])} | _values(loaded.get_weights(), 6)
    if form in ("weights", "shards"):
        target = model(0)
        target.set_weights([np.zeros_like(w) for w in target.get_weights()])
        target.load_weights(path)
        return _values(target.get_weights(), 6)
    if form == "plain shards":
        with shards.opened(path) as groups:
            return _values([group.array(name, "the root") for group in groups("vars") for name in group], 4)
    if form == "checkpoint":
        arrays = checkpoints.load(path, convert=lambda name, array: np.array(array))
        return {int(name.split()[1]) for name in arrays} | _values(list(arrays.values()), 4)
    if form in outputs.NAMES:
        return outputs.versions(form, path)
    files = [path] if form == "file" else [os.path.join(path, f"{i}.json") for i in range(4)]
    return {version for file in files for version in _read(file)}


def _read(path: str) -> list[int]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _values(arrays: list[np.ndarray], count: int) -> set[int]:
    assert len(arrays) == count, f"{len(arrays)} of {count} arrays"
    return {int(value) for array in arrays for value in np.unique(array)}


def expected_files(form: str, path: str) -> set[str]:
    """What the folder of a target holds when nothing is left over."""
    if form in outputs.NAMES:
        return outputs.expected_files(form, path)
    if "shards" not in form:
        return {os.path.basename(path)}
    with open(path, encoding="utf-8") as file:
        named = set(itertools.chain(*json.load(file)["weight_map"].values()))
    return {os.path.basename(path), "m_00000.weights.h5", *named}


def train(begun: Any, cache: str, folder: str | None, options: dict, epochs: int) -> tuple[list[bytes], list[float]]:
    """Trains with everything that a trajectory hangs on; gives the weights and the losses of the epochs run."""

    class Begun(compat.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if not sent:
                sent.append(begun.send("begun"))

    sent: list[None] = []
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    layers = compat.layers
    compat.utils.set_random_seed(3)
    inner = [layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.4), layers.Dense(1)]
    trained = compat.Sequential([compat.Input((3,)), *inner])
    trained.compile("adam", "mse", metrics=["mae"])
    x = np.linspace(0, 1, 60, dtype="float32").reshape(20, 3)
    backups = [] if folder is None else [compat.callbacks.BackupAndRestore(folder, **options)]
    history = trained.fit(x, x[:, :1], batch_size=6, epochs=epochs, verbose=0, callbacks=[Begun(), *backups])
    values = [*trained.get_weights(), *trained.optimizer.variables]
    return [np.asarray(value).tobytes() for value in values], history.history.get("loss", [])


class Backed:
    """What `BackupAndRestore` asks of a model, whose state is a version."""

    weights: tuple = ()
    non_trainable_variables: tuple = ()
    stop_training = False

    def __init__(self, version: int):
        self.version = version

    @property
    def optimizer(self) -> Any:
        """Something with a number of steps."""
        return type("Steps", (), {"iterations": self.version})

    @property
    def metrics_variables(self) -> list[Any]:
        """Something with a value."""
        return [type("Metric", (), {"value": np.float32(self.version)})]

    def save_weights(self, path: str, overwrite: bool = False) -> None:
        """Writes the version."""
        with atomic_file(path) as target, h5py.File(target, "w") as file:
            file["version"] = self.version

    def load_weights(self, path: str) -> None:
        """Reads the version."""
        with h5py.File(path, "r") as file:
            self.version = int(file["version"][()])
