"""`OrbaxCheckpoint`: checkpoints in Orbax's format, written while training goes on."""

from __future__ import annotations

import os
from typing import Any

import jax

from compat.callbacks._checkpoint import BestKeeper
from compat.saving import orbax as files
from compat.training.callbacks.callback import only_if


class OrbaxCheckpoint(BestKeeper):
    """Saves the model with Orbax: a folder for each step in `directory`, as Keras lays it out.

    `load_model(directory)` gives the model of the last step, `model.load_weights(directory)` its weights.

    Args:
        directory: where to.
        monitor, mode: what is watched with `save_best_only`.
        verbose: 1 to say so.
        save_best_only: whether only a better model is saved.
        save_freq: `"epoch"`, or a number of batches; a step is an epoch or a batch accordingly.
        initial_value_threshold: the value to be better than at first.
        max_to_keep: how many steps are kept, the last ones; all if None.
        save_on_background: whether training goes on while a step is written.
        save_weights_only: whether only the weights are saved, not the model's config, the optimizer and
            the metrics.

    Raises:
        MissingExtraError: if orbax-checkpoint is not installed.
    """

    kept_in_backups = (*BestKeeper.kept_in_backups, "_base", "_in_epoch")

    def __init__(
        self,
        directory: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ):
        super().__init__(monitor, mode, verbose, save_best_only, save_freq, initial_value_threshold)
        self.directory = os.fspath(directory)
        self.max_to_keep, self.save_on_background = max_to_keep, save_on_background
        self.save_weights_only = save_weights_only
        self._orbax = files.orbax("OrbaxCheckpoint")
        self._checkpointer: Any = None
        self._writing: Any = None
        self._base = 0  # batches of the epochs before, in an earlier training too
        self._in_epoch = 0

    @property
    def checkpointer(self) -> Any:
        """Orbax's checkpointer of the directory."""
        if self._checkpointer is None:
            policy = self._orbax.training.preservation_policies.LatestN(self.max_to_keep)
            self._checkpointer = self._orbax.training.Checkpointer(
                os.path.abspath(self.directory), preservation_policy=policy
            )
        return self._checkpointer

    def is_multihost_enabled(self) -> bool:
        """Whether several processes train together."""
        return jax.process_count() > 1

    def is_primary_host(self) -> bool:
        """Whether this is the first of the processes that train together."""
        return jax.process_index() == 0

    def wait_until_finished(self) -> None:
        """Returns when everything is written."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        os.makedirs(self.directory, exist_ok=True)
        self._base, self._in_epoch = int(self.model.optimizer.iterations), 0

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._base, self._in_epoch = self._base + self._in_epoch, 0

    @only_if(lambda self: self.save_freq != "epoch")
    def on_train_batch_end(self, batch, logs=None):
        self._in_epoch = batch + 1
        super().on_train_batch_end(batch, logs)

    def on_train_end(self, logs=None):
        self.wait_until_finished()
        if self._checkpointer is not None:
            self._checkpointer.close()
            self._checkpointer = None

    def _save(self, epoch: int, batch: int | None, logs: dict | None) -> None:
        if not self._better(epoch, dict(logs or {}), f"checkpoint to {self.directory}"):
            return
        step = epoch if batch is None else self._base + batch + 1
        parts = files.checkpointables(self.model, self.save_weights_only)
        self.wait_until_finished()
        if self.save_on_background:
            self._writing = self.checkpointer.save_checkpointables_async(step, parts, force=True, overwrite=True)
        else:
            self.checkpointer.save_checkpointables(step, parts, force=True, overwrite=True)
