"""`BackupAndRestore`: goes on with a training that was interrupted, from the batch where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

from compat.callbacks import _states
from compat.callbacks._checkpoint import BatchCounter, checked_frequency
from compat.saving.archives import parse
from compat.saving.hdf5 import opened
from compat.saving.npz import read_npz
from compat.saving.random_streams import no_weights
from compat.saving.stores import Entry
from compat.training import resume
from compat.training.callbacks.callback import Callback, only_if
from compat.variables import seeds
from kfun.atomic import beside, sweep

# Keras's names. One file, which is replaced in one step, has all: the weights where Keras looks for them, and the rest
# in a group of its own. The metadata beside it are for Keras; here they count only if the file has no such group.
_WEIGHTS, _METADATA = "latest.weights.h5", "training_metadata.json"
_STATE = "training_state.npz"  # of backups in three files, which are still read
_LONGEST = 1 << 20  # bytes of metadata
_GROUP, _MEMBER = "__training__", "metadata"  # a name that no attribute with weights has
_RANDOM = {  # the shapes of what `_random_state` gives
    "numpy": [(624,)], "numpy_rest": [(3,)], "python": [(625,)], "python_rest": [(0,), (1,)], "generator": [(2,)],
}  # fmt: skip
_KINDS = ("metric_", "variable_", _states.PREFIX)  # of arrays, by the beginning of their names
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, OSError, EOFError)


class _Moment(NamedTuple):
    """When a backup was made, and what the callbacks knew before they were called for it."""

    left: resume.Resume
    batch: int
    logs: dict[str, float]
    states: list[_states.State]


class BackupAndRestore(Callback):
    """Keeps a backup of the training, and goes on from it when `fit` is called again after an interruption.

    The backup holds the weights, the optimizer, the place in the epoch, the metrics so far, the random
    numbers' state, and what the other callbacks know, so that the training takes the way that it would have
    taken without the interruption: the batches of the epoch that were done are not done again, and the best
    model so far is not forgotten. (Keras repeats and forgets them.) The data must be the same; a generator
    must begin anew. Callbacks say by `kept_in_backups` what they know; those that come after this one in
    the list, which had not been called yet when the backup was made, are called for its moment again.

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
        self._callbacks: list[Any] = []  # all of the list that this one is in
        self._resumed: _Moment | None = None  # of the backup, until all callbacks know about it

    def _path(self, name: str, old: bool = False) -> str:
        return os.path.join(self.backup_dir, name + (".bkp" if old else ""))

    # ---- moments ----

    def on_train_begin(self, logs=None):
        kept = [old for old in (False, True) if self._is_kept(old)]
        for old in kept:
            try:
                return self._restore(old)
            except _DAMAGE as error:
                if old is kept[-1]:
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

    def after_others(self, moment: str, callbacks: list[Any]) -> None:
        """Gives the other callbacks what the backup has of them, when all are ready for the moment that it is of."""
        self._callbacks = callbacks
        resumed = self._resumed
        if resumed is None or moment != ("on_epoch_begin" if resumed.left.batch else "on_train_begin"):
            return
        self._resumed = None
        known = _states.put_back(resumed.states, callbacks)
        places = {id(callback): place for place, callback in enumerate(callbacks)}
        for callback in known:
            if places[id(callback)] < places[id(self)]:
                continue
            if resumed.left.batch:
                callback.on_train_batch_end(resumed.batch, dict(resumed.logs))
            else:
                callback.on_epoch_end(resumed.left.epoch - 1, dict(resumed.logs))
        if moment == "on_train_begin" and self.model.stop_training:
            resume.leave(self.model, dataclasses.replace(resumed.left, stopped=True))

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
            self._save(epoch + 1, 0, 0, before, dict(logs or {}))

    def on_train_end(self, logs=None):
        if self.delete_checkpoint:
            for name in (_METADATA, _STATE, _WEIGHTS):
                for old in (True, False):
                    _remove(self._path(name, old))
            with contextlib.suppress(OSError):  # something else is in it
                sweep(self._path(_WEIGHTS))
                os.rmdir(self.backup_dir)

    # ---- files ----

    def _save(self, epoch: int, batch: int, done: int, before: int, logs: dict) -> None:
        arrays = {f"metric_{i}": np.asarray(v.value) for i, v in enumerate(self.model.metrics_variables)}
        arrays |= {f"variable_{i}": np.asarray(v.value) for i, v in enumerate(no_weights(self.model))}
        entries, kept = _states.written(self._callbacks)
        arrays |= kept
        values = {n: float(v) for n, v in logs.items() if np.ndim(v) == 0}
        metadata = {"epoch": epoch, "batch": batch, "done": done, "before": before, "logs": values,
                    "iterations": _iterations(self.model), "callbacks": entries,
                    "stopped": bool(self.model.stop_training)}  # fmt: skip
        os.makedirs(self.backup_dir, exist_ok=True)
        with beside(self._path(_WEIGHTS)) as unfinished:
            weights = os.path.join(unfinished, _WEIGHTS)
            self.model.save_weights(weights, overwrite=True)
            _write_training(weights, metadata, self._random | arrays)
            for_keras = os.path.join(unfinished, _METADATA)
            with open(for_keras, "x", encoding="utf-8") as file:
                json.dump({"epoch": epoch, "batch": batch}, file)
            if self.double_checkpoint:
                for name in (_WEIGHTS, _STATE, _METADATA):
                    _keep(self._path(name), self._path(name, True), unfinished)
            os.replace(weights, self._path(_WEIGHTS))
            os.replace(for_keras, self._path(_METADATA))
        _remove(self._path(_STATE))

    def _is_kept(self, old: bool) -> bool:
        if os.path.exists(self._path(_METADATA, old)):
            return True
        try:
            return _read_training(self._path(_WEIGHTS, old)) is not None
        except FileNotFoundError:
            return False
        except _DAMAGE:  # which is told when it is used
            return True

    def _read_beside(self, old: bool) -> tuple[Any, dict[str, np.ndarray]]:
        """What stands beside the weights: in backups that Keras made, and in those of three files."""
        path = self._path(_METADATA, old)
        if os.path.getsize(path) > _LONGEST:
            raise ValueError(f"{_METADATA} has more than {_LONGEST:,} bytes")
        with open(path, "rb") as file:
            metadata = parse(_METADATA, file.read(_LONGEST))
        state = self._path(_STATE, old)
        return metadata, read_npz(state) if os.path.exists(state) else {}

    def _restore(self, old: bool) -> None:
        path = self._path(_WEIGHTS, old)
        if not os.path.exists(path):
            raise ValueError(f"it has no {os.path.basename(path)}")
        metadata, state = _read_training(path) or self._read_beside(old)
        epoch, batch = _count(metadata, "epoch"), _count(metadata, "batch")
        with _with_ending(path) as weights:
            self.model.load_weights(weights)
        if metadata.get("iterations", _iterations(self.model)) != _iterations(self.model):
            raise ValueError("its weights and its metadata are of different moments")
        done = _count(metadata, "done") if "done" in metadata else batch + 1 if batch else 0
        metrics, others = _numbered(state, "metric_"), _numbered(state, "variable_")
        if others:
            for variable, value in zip(no_weights(self.model), others, strict=True):
                variable.assign(value)
        self._epoch, self._before = epoch, _count(metadata, "before") if "before" in metadata else 0
        self._restored = _checked_random({n: v for n, v in state.items() if not n.startswith(_KINDS)})
        self._counter.last = done - 1
        logs = {str(n): float(v) for n, v in metadata.get("logs", {}).items()}
        left = resume.Resume(epoch, done, metrics if done else None, logs if done else {}, self._before,
                             metadata.get("stopped") is True)  # fmt: skip
        resume.leave(self.model, left)
        self._resumed = _Moment(left, batch, logs, _states.read(metadata.get("callbacks", []), state))


def _count(metadata: Any, name: str) -> int:
    value = metadata[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"its metadata have no whole number {name!r}")
    return value


def _numbered(state: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    return [state[f"{prefix}{i}"] for i in range(sum(name.startswith(prefix) for name in state))]


def _iterations(model: Any) -> int:
    return int(np.asarray(model.optimizer.iterations))


def _write_training(path: str, metadata: dict, arrays: dict[str, np.ndarray]) -> None:
    """Adds what is no weight to a file of weights, and waits for the disk."""
    with h5py.File(path, "r+") as file:
        group = file.create_group(_GROUP)
        entry = Entry(group)
        entry[_MEMBER] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
        for name, value in arrays.items():
            entry[name] = value
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _read_training(path: str) -> tuple[Any, dict[str, np.ndarray]] | None:
    """The metadata and the arrays that are no weights; None for a file of weights alone."""
    with opened(path) as file:
        group = file.group(_GROUP)
        if group is None:
            return None
        arrays = {name: group.array(name, "the training") for name in group}
    return parse(_MEMBER, arrays.pop(_MEMBER).tobytes()), arrays


def _keep(path: str, before: str, unfinished: str) -> None:
    """Makes the last backup the one before, too: it stays where it is until the next one takes its place."""
    if not os.path.exists(path):
        _remove(before)
        return
    link = os.path.join(unfinished, os.path.basename(before))
    _link(path, link)
    os.replace(link, before)


def _link(path: str, link: str) -> None:
    try:
        os.link(path, link)
    except OSError:  # a file system without such links
        shutil.copyfile(path, link)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)


@contextlib.contextmanager
def _with_ending(path: str) -> Iterator[str]:
    """A name for a weights file that ends as weights files must."""
    if path.endswith(".weights.h5"):
        yield path
        return
    with beside(os.path.join(os.path.dirname(path), _WEIGHTS)) as folder:
        link = os.path.join(folder, _WEIGHTS)
        _link(path, link)
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


def _checked_random(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state of random numbers, or a ValueError while the backup before can still be taken."""
    if state and not _RANDOM.keys() - {"generator"} <= state.keys():
        raise ValueError(f"it has only a part of the random numbers' state: {sorted(state)}")
    for name, value in state.items():
        if value.shape not in _RANDOM.get(name, ()) or value.dtype.kind not in "iuf":
            raise ValueError(f"it has {value.dtype}{list(value.shape)} as the random numbers' state {name!r:.80}")
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
