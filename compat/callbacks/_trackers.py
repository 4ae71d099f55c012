"""Experiment trackers: MLflow, Weights & Biases."""

from __future__ import annotations

from typing import Any

import numpy as np

from compat.callbacks._checkpoint import BatchCounter
from compat.callbacks._rates import rates
from compat.training.callbacks.callback import Callback, only_if
from kfun.errors import MissingExtraError


class Tracker(Callback):
    """Base of trackers: sends the metrics by epoch or every so many batches.

    Args:
        by_epoch: whether epochs' metrics are sent.
        every: send the metrics of training every so many batches; None for never.
        start: the number of batches before this training.
    """

    kept_in_backups = ("_base", "_in_epoch", "_counter.since", "_counter.last")

    def __init__(self, by_epoch: bool, every: int | None, start: int = 0):
        super().__init__()
        if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
            raise ValueError(f"{type(self).__name__}: expected a number of batches; received {every!r}")
        self._by_epoch, self._every = by_epoch, every
        self._counter = BatchCounter(every or 0)
        self._base, self._in_epoch = start, 0

    def _send(self, values: dict[str, float], step: int, moment: str) -> None:
        raise TypeError(f"{type(self).__name__} must define _send(values, step, moment)")

    def on_epoch_begin(self, epoch, logs=None):
        self._base, self._in_epoch = self._base + self._in_epoch, 0

    @only_if(lambda self: self._every is not None)
    def on_train_batch_end(self, batch, logs=None):
        self._in_epoch = batch + 1
        if self._every is not None and self._counter.due(batch):
            self._send(_numbers(logs), self._base + self._in_epoch, "batch")

    def on_epoch_end(self, epoch, logs=None):
        if self._by_epoch:
            self._send(rates(self.model) | _numbers(logs), epoch, "epoch")


def _numbers(logs: dict | None) -> dict[str, float]:
    return {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}


class MlflowCallback(Tracker):
    """Logs a training to MLflow: the optimizer's settings, the model's summary, and the metrics.

    It uses the active run, or begins one and ends it with the training.

    Args:
        log_every_epoch: whether to log the metrics of epochs.
        log_every_n_steps: log the metrics of training every so many batches instead; give then
            `log_every_epoch=False`.

    Raises:
        ValueError: if neither or both are asked for.
        MissingExtraError: if mlflow is not installed.
    """

    def __init__(self, log_every_epoch: bool = True, log_every_n_steps: int | None = None):
        if bool(log_every_epoch) == (log_every_n_steps is not None):
            raise ValueError("MlflowCallback: expected either log_every_epoch=True or a number log_every_n_steps")
        super().__init__(bool(log_every_epoch), log_every_n_steps)
        self.log_every_epoch, self.log_every_n_steps = log_every_epoch, log_every_n_steps
        self._mlflow = _module("mlflow", "MlflowCallback")
        self._began = False

    def on_train_begin(self, logs=None):
        if self._mlflow.active_run() is None:
            self._mlflow.start_run()
            self._began = True
        optimizer = self.model.optimizer
        settings = {f"optimizer_{k}": v for k, v in optimizer.get_config().items() if not isinstance(v, (dict, list))}
        self._mlflow.log_params(settings)
        lines: list[str] = []
        self.model.summary(print_fn=lines.append)
        self._mlflow.log_text("\n".join(lines), "model_summary.txt")

    def on_train_end(self, logs=None):
        if self._began:
            self._mlflow.end_run()
            self._began = False

    def on_test_end(self, logs=None):
        if self._every is not None:  # epochs' metrics have those of validation
            values = {f"validation_{name}": value for name, value in _numbers(logs).items()}
            self._send(values, self._base + self._in_epoch, "test")

    def _send(self, values: dict[str, float], step: int, moment: str) -> None:
        self._mlflow.log_metrics(values, step=step)


class WandbMetricsLogger(Tracker):
    """Logs the metrics to Weights & Biases, as `epoch/{metric}` by epoch and `batch/{metric}` by batch.

    Call `wandb.init()` first.

    Args:
        log_freq: `"epoch"`, `"batch"`, or every how many batches the metrics of training are logged too.
        initial_global_step: the number of batches before this training.

    Raises:
        ValueError: for another frequency.
        RuntimeError: in `fit`, if there is no run.
        MissingExtraError: if wandb is not installed.
    """

    def __init__(self, log_freq: Any = "epoch", initial_global_step: int = 0):
        every = None if log_freq == "epoch" else 1 if log_freq == "batch" else log_freq
        super().__init__(True, every, initial_global_step)
        self.log_freq, self.initial_global_step = log_freq, initial_global_step
        self._wandb = _module("wandb", "WandbMetricsLogger")

    def on_train_begin(self, logs=None):
        if self._wandb.run is None:
            raise RuntimeError("WandbMetricsLogger: there is no run; call wandb.init() before fit")
        self._wandb.define_metric("epoch/epoch")
        self._wandb.define_metric("epoch/*", step_metric="epoch/epoch")
        if self._every is not None:
            self._wandb.define_metric("batch/batch_step")
            self._wandb.define_metric("batch/*", step_metric="batch/batch_step")

    def _send(self, values: dict[str, float], step: int, moment: str) -> None:
        counter = "epoch" if moment == "epoch" else "batch_step"
        self._wandb.log({f"{moment}/{counter}": step} | {f"{moment}/{name}": v for name, v in values.items()})


def _module(name: str, purpose: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise MissingExtraError(name, name, purpose) from error
