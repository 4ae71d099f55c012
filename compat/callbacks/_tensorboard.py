"""`TensorBoard`: logs for the tool of that name."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import jax
import numpy as np

from compat.callbacks._event_files import EventFile, weight_images
from compat.callbacks._projector import Projector
from compat.callbacks._rates import rates
from compat.training.callbacks.callback import Callback, only_if


def _each_batch(callback: TensorBoard) -> bool:
    return callback.update_freq != "epoch" or callback._profiled is not None


class TensorBoard(Callback):
    """Writes logs that TensorBoard shows; it needs no TensorFlow.

    Training's go to `log_dir/train`, validation's to `log_dir/validation`: `epoch_{metric}` by epoch,
    `batch_{metric}` by batch, `evaluation_{metric}_vs_iterations` by training step.

    Args:
        log_dir: the folder.
        histogram_freq: write histograms of the weights every so many epochs; 0 for never.
        write_graph: whether to write the model's graph.
        write_images: whether to show the weights as pictures too, with the histograms.
        write_steps_per_second: whether to write the speed.
        update_freq: `"epoch"`, `"batch"`, or every how many batches to write the metrics; with
            `"epoch"` many steps run as one.
        profile_batch: a batch, or the first and the last of a range (`(2, 5)` or `"2,5"`), of the whole
            training, to profile with JAX's profiler; 0 for none.
        embeddings_freq: write the tables of `Embedding` layers for the projector every so many epochs; 0
            for never.
        embeddings_metadata: a file of labels for all tables, or `{layer name: file}`.

    Raises:
        ValueError: for a frequency or range that is none, or a layer's name that is unknown.
        MissingExtraError: if tensorboard is not installed.
    """

    kept_in_backups = ("_step", "_base", "_written")

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Any = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.write_graph, self.write_images = histogram_freq, write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and (not isinstance(self.update_freq, int) or self.update_freq < 1):
            raise ValueError(
                f"TensorBoard: update_freq: expected 'epoch', 'batch' or a number of batches; received {update_freq!r}"
            )
        self.embeddings_freq, self.embeddings_metadata = embeddings_freq, embeddings_metadata
        self._profiled = _batch_range(profile_batch)
        self._profiling = self._training = False
        self._files: dict[str, EventFile] = {}
        self._projector: Projector | None = None
        self._step = self._base = self._written = self._iterations = 0
        self._seconds, self._started, self._epoch_started = 0.0, 0.0, 0.0

    # ---- files ----

    def _file(self, name: str) -> EventFile:
        if name not in self._files:
            self._files[name] = EventFile(os.path.join(self.log_dir, name))
        return self._files[name]

    @property
    def summary(self) -> EventFile:
        """The file of the training: `scalar`, `histogram`, `image`, `text` write values of your own to it."""
        return self._file("train")

    def _close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._step = self._base = self._written = 0
        if self.embeddings_freq:
            self._projector = Projector(self.log_dir, model, self.embeddings_metadata)

    def _write_graph(self) -> None:
        try:
            text = self.model.to_json()
        except (TypeError, ValueError, NotImplementedError, AttributeError) as error:
            warnings.warn(f"TensorBoard: the model's graph cannot be written ({error})", stacklevel=3)
            return
        self.summary.graph(text)

    # ---- training ----

    def on_train_begin(self, logs=None):
        self._training, self._iterations = True, self._now()
        if self.write_graph:
            self._write_graph()

    def on_train_end(self, logs=None):
        self._stop_profile()
        self._training = False
        self._close()

    def on_epoch_begin(self, epoch, logs=None):
        self._base, self._seconds = self._step, 0.0
        self._epoch_started = time.perf_counter()

    @only_if(_each_batch)
    def on_train_batch_begin(self, batch, logs=None):
        if self._profiled is not None and not self._profiling:
            first, last = self._profiled
            if first <= self._base + batch + 1 <= last:
                self._start_profile()
        self._started = time.perf_counter()

    @only_if(_each_batch)
    def on_train_batch_end(self, batch, logs=None):
        before, spent = self._step, time.perf_counter() - self._started
        self._step = self._base + batch + 1
        if self._profiling and self._profiled is not None and self._step >= self._profiled[1]:
            self._stop_profile()
        if self.update_freq == "epoch" or self._step // self.update_freq == self._written // self.update_freq:
            return
        self._written = self._step
        if self.write_steps_per_second:
            self.summary.scalar("batch_steps_per_second", (self._step - before) / max(spent, 1e-9), self._step)
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0:
                self.summary.scalar(f"batch_{name}", value, self._step)

    def on_epoch_end(self, epoch, logs=None):
        logs = {n: v for n, v in (logs or {}).items() if np.ndim(v) == 0}
        for name, value in logs.items():
            if not name.startswith("val_"):
                self.summary.scalar(f"epoch_{name}", value, epoch)
            else:
                self._file("validation").scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        for name, rate in rates(self.model).items():
            self.summary.scalar(f"epoch_{name}", rate, epoch)
        if self.write_steps_per_second:
            iterations = self._now()
            spent = max(time.perf_counter() - self._epoch_started, 1e-9)
            self.summary.scalar("epoch_steps_per_second", (iterations - self._iterations) / spent, epoch)
            self._iterations = iterations
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self._projector is not None and epoch % self.embeddings_freq == 0:
            self._projector.write()
        for file in self._files.values():
            file.flush()

    def _now(self) -> int:
        optimizer = getattr(self.model, "optimizer", None)
        return int(np.asarray(optimizer.iterations)) if optimizer is not None and optimizer.built else 0

    def _write_weights(self, epoch: int) -> None:
        for weight in self.model.weights:
            value = weight._array()
            self.summary.histogram(f"{weight.path}/histogram", value, epoch)
            images = weight_images(value) if self.write_images else None
            if images is not None:
                self.summary.image(f"{weight.path}/image", images, epoch)

    # ---- evaluation ----

    def on_test_end(self, logs=None):
        iterations = self._now()
        file = self._file("validation")
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0:
                file.scalar(f"evaluation_{name}_vs_iterations", value, iterations)
        file.flush()
        if not self._training:
            self._close()

    # ---- profile ----

    def _start_profile(self) -> None:
        jax.profiler.start_trace(self.log_dir)
        self._profiling = True

    def _stop_profile(self) -> None:
        if not self._profiling:
            return
        jax.block_until_ready([v.value for v in self.model.trainable_variables])  # what was dispatched belongs to it
        jax.profiler.stop_trace()
        self._profiling, self._profiled = False, None


def _batch_range(profile_batch: Any) -> tuple[int, int] | None:
    """The first and the last batch to profile, None for none."""
    given = profile_batch
    if isinstance(given, str):
        given = [part.strip() for part in given.split(",")]
    try:
        numbers = [int(n) for n in given] if isinstance(given, (list, tuple)) else [int(given)] * 2
    except (TypeError, ValueError):
        numbers = []
    numbers = numbers * 2 if len(numbers) == 1 else numbers
    if len(numbers) != 2 or min(numbers) < 0 or numbers[0] > numbers[1]:
        raise ValueError(
            "TensorBoard: profile_batch: expected a batch, or the first and last of a range as in (2, 5) or '2,5'; "
            f"received {profile_batch!r}"
        )
    return None if numbers[1] == 0 else (max(1, numbers[0]), numbers[1])
