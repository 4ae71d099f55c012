"""`BackupAndRestore`: goes on with a training that was interrupted, from the batch where it was."""

from __future__ import annotations

import contextlib
import json
import os
import random
import tempfile
import warnings
import zipfile
from typing import Any

import numpy as np

from compat.callbacks._base import Callback, only_if
from compat.callbacks._checkpoint import BatchCounter, checked_frequency
from compat.core import resume, seeds

_DAMAGE = (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile)


class BackupAndRestore(Callback):
    """Keeps a backup of the training, and goes on from it when `fit` is called again after an interruption.

    The backup holds the weights, the optimizer, the place in the epoch, the metrics so far, and the
    random numbers' state, so that the training takes the way that it would have taken without the
    interruption: the batches of the epoch that were done are not done again. (Keras repeats them.)
    The data must be the same; a generator must begin anew.

    Args:
        backup_dir: a folder for this training alone.
        save_freq: `"epoch"`, or a number of batches.
        double_checkpoint: whether to keep the backup before the last one too, in case that one is damaged.
        delete_checkpoint: whether to remove the backup when the training is done.

    Raises:
        ValueError: if the folder's name is empty, or there is no such frequency; in `fit` if the backup
            is damaged and there is no other.
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        self.backup_dir = os.fspath(backup_dir) if backup_dir is not None else ""
        if not self.backup_dir:
            raise ValueError(
                f"BackupAndRestore: empty backup_dir: expected the name of a folder; received {backup_dir!r}"
            )
        self.save_freq = checked_frequency("BackupAndRestore", save_freq)
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._counter = BatchCounter(0 if save_freq == "epoch" else save_freq)
        self._epoch, self._before = 0, 0
        self._restored: dict[str, np.ndarray] | None = None  # random state for the first epoch
        self._random: dict[str, np.ndarray] = {}  # random state when the pass over the data began

    def _path(self, name: str, old: bool = False) -> str:
        return os.path.join(self.backup_dir, name + (".bkp" if old else ""))

    # ---- moments ----

    def on_train_begin(self, logs=None):
        for old in (False, True):
            if not os.path.exists(self._path(_METADATA, old)):
                continue
            try:
                return self._restore(old)
            except _DAMAGE as error:
                if old or not os.path.exists(self._path(_METADATA, True)):
                    raise ValueError(
                        f"BackupAndRestore: the backup in {self.backup_dir!r} cannot be used ({error}). Delete the "
                        "folder to train from the beginning"
                    ) from error
                warnings.warn(f"BackupAndRestore: the last backup is damaged ({error}); using the one before",
                              stacklevel=2)  # fmt: skip
        return None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        if self._restored is not None:
            _set_random_state(self._restored)
            self._random, self._restored = self._restored, None
            return
        self._before = resume.position(self.model)
        if self._before == 0:
            self._random = _random_state()

    @only_if(lambda self: self.save_freq != "epoch")
    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq != "epoch" and self._counter.due(batch):
            steps = (self.params or {}).get("steps")
            done = batch + 1 if steps is None else min(batch + 1, steps)
            self._save(self._epoch, batch, done, self._before, dict(logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            before = resume.position(self.model)
            if before == 0:
                self._random = _random_state()
            self._save(epoch + 1, 0, 0, before, {})

    def on_train_end(self, logs=None):
        if self.delete_checkpoint:
            for name in (_WEIGHTS, _STATE, _METADATA):
                for old in (False, True):
                    with contextlib.suppress(FileNotFoundError):
                        os.remove(self._path(name, old))
            with contextlib.suppress(OSError):  # something else is in it
                os.rmdir(self.backup_dir)

    # ---- files ----

    def _save(self, epoch: int, batch: int, done: int, before: int, logs: dict) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint:
            for name in (_METADATA, _STATE, _WEIGHTS):
                if os.path.exists(self._path(name)):
                    os.replace(self._path(name), self._path(name, True))
        arrays = {f"metric_{i}": np.asarray(v.value) for i, v in enumerate(self.model.metrics_variables)}
        arrays |= {f"variable_{i}": np.asarray(v.value) for i, v in enumerate(_no_weights(self.model))}
        values = {n: float(v) for n, v in logs.items() if np.ndim(v) == 0}
        metadata = {"epoch": epoch, "batch": batch, "done": done, "before": before, "logs": values,
                    "iterations": _iterations(self.model)}  # fmt: skip
        self._weights(self.model.save_weights)
        _write(self._path(_STATE), lambda file: np.savez(file, **self._random, **arrays))
        _write(self._path(_METADATA), lambda file: file.write(json.dumps(metadata).encode()))

    def _weights(self, save: Any) -> None:
        """Writes the weights beside the old ones first: whoever stops in the middle leaves those whole."""
        temporary = self._path("new.weights.h5")
        save(temporary, overwrite=True)
        os.replace(temporary, self._path(_WEIGHTS))

    def _restore(self, old: bool) -> None:
        with open(self._path(_METADATA, old), encoding="utf-8") as file:
            metadata = json.load(file)
        epoch, batch = _count(metadata, "epoch"), _count(metadata, "batch")
        state = _read_state(self._path(_STATE, old))
        with _named(self._path(_WEIGHTS, old)) as weights:
            self.model.load_weights(weights)
        if metadata.get("iterations", _iterations(self.model)) != _iterations(self.model):
            raise ValueError("its weights and its metadata are of different moments")
        done = _count(metadata, "done") if "done" in metadata else batch + 1 if batch else 0
        metrics, others = _numbered(state, "metric_"), _numbered(state, "variable_")
        if others:
            for variable, value in zip(_no_weights(self.model), others, strict=True):
                variable.assign(value)
        self._epoch, self._before = epoch, _count(metadata, "before") if "before" in metadata else 0
        self._restored = {n: v for n, v in state.items() if not n.startswith(("metric_", "variable_"))}
        self._counter.last = done - 1
        logs = {str(n): float(v) for n, v in metadata.get("logs", {}).items()}
        resume.leave(self.model, resume.Resume(epoch, done, metrics if done else None, logs, self._before))


_WEIGHTS, _STATE, _METADATA = "latest.weights.h5", "training_state.npz", "training_metadata.json"


def _count(metadata: Any, name: str) -> int:
    value = metadata[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"its metadata have no whole number {name!r}")
    return value


def _no_weights(model: Any) -> list[Any]:
    """The variables of layers that are no weights: the counters of random generators."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.non_trainable_variables if id(v) not in weights]


def _numbered(state: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    return [state[f"{prefix}{i}"] for i in range(sum(name.startswith(prefix) for name in state))]


def _iterations(model: Any) -> int:
    return int(np.asarray(model.optimizer.iterations))


def _write(path: str, write: Any) -> None:
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".backup-")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _read_state(path: str) -> dict[str, np.ndarray]:
    """The arrays of a file, none for a backup that Keras made."""
    if not os.path.exists(path):
        return {}
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@contextlib.contextmanager
def _named(path: str) -> Any:
    """A name for a weights file that ends as weights files must."""
    if not os.path.exists(path):
        raise ValueError(f"it has no {os.path.basename(path)}")
    if path.endswith(".weights.h5"):
        yield path
        return
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        link = os.path.join(folder, "old.weights.h5")
        os.link(path, link)
        yield link


def _random_state() -> dict[str, np.ndarray]:
    """The state of NumPy's and Python's random numbers, and of compat's own global generator."""
    _, keys, place, has_gauss, gauss = np.random.get_state()
    _, numbers, spare = random.getstate()
    state = {
        "numpy": np.asarray(keys), "numpy_rest": np.asarray([place, has_gauss, gauss], np.float64),
        "python": np.asarray(numbers, np.uint32), "python_rest": np.asarray([] if spare is None else [spare]),
    }  # fmt: skip
    if seeds._GLOBAL:
        state["generator"] = np.asarray(seeds._GLOBAL[0].state.value)
    return state


def _set_random_state(state: dict[str, np.ndarray]) -> None:
    if "numpy" in state:
        place, has_gauss, gauss = state["numpy_rest"].tolist()
        np.random.set_state(("MT19937", state["numpy"], int(place), int(has_gauss), gauss))
    if "python" in state:
        spare = state["python_rest"].tolist()
        random.setstate((3, tuple(state["python"].tolist()), spare[0] if spare else None))
    if "generator" in state:
        if not seeds._GLOBAL:
            seeds._GLOBAL.append(seeds.SeedGenerator(0))
        seeds._GLOBAL[0].state.assign(state["generator"])
