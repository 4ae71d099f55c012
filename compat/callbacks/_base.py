"""`Callback`, and the list of them that a training loop speaks to."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


class Callback:
    """Base of callbacks: every method is called at its moment of training, and does nothing here.

    Attributes:
        model: the model that is trained.
        params: `{"verbose": ..., "epochs": ..., "steps": ...}`.
    """

    def __init__(self):
        self.params: dict | None = None
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model

    def set_params(self, params: dict) -> None:
        """Called with `{"verbose": ..., "epochs": ..., "steps": ...}`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called with the model."""
        self._model = model

    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """At the start of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """At the end of an epoch, with its metrics, those of validation under `val_...`."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a training batch, with the metrics since the epoch began."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before an evaluation batch."""

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After an evaluation batch."""

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a prediction batch."""

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a prediction batch, with its `outputs`."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """At the start of training."""

    def on_train_end(self, logs: dict | None = None) -> None:
        """At the end of training, with the last epoch's metrics."""

    def on_test_begin(self, logs: dict | None = None) -> None:
        """At the start of an evaluation."""

    def on_test_end(self, logs: dict | None = None) -> None:
        """At the end of an evaluation, with its metrics."""

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """At the start of a prediction."""

    def on_predict_end(self, logs: dict | None = None) -> None:
        """At the end of a prediction."""


class History(Callback):
    """Records the metrics of every epoch in `history`, `{name: [values]}`, and the epochs in `epoch`."""

    def __init__(self):
        super().__init__()
        self.history: dict[str, list] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LazyLogs(dict):
    """Logs that are read from the device when somebody looks at them."""

    def __init__(self, logs: dict):
        super().__init__()
        self._waiting: dict | None = {n: logs[n] for n in sorted(logs)}

    def _read(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            fetched = jax.device_get(waiting)
            for name in waiting:
                value = fetched[name]
                super().__setitem__(name, float(value) if np.ndim(value) == 0 else np.asarray(value))


def _reading(method: str) -> Any:
    def call(self: LazyLogs, *args: Any, **kwargs: Any) -> Any:
        self._read()
        return getattr(dict, method)(self, *args, **kwargs)

    return call


for _name in ("__getitem__", "__iter__", "__len__", "__contains__", "__eq__", "__repr__", "__or__", "__setitem__",
              "__delitem__", "get", "keys", "values", "items", "copy", "pop", "update", "setdefault"):  # fmt: skip
    setattr(LazyLogs, _name, _reading(_name))
LazyLogs.__hash__ = None  # type: ignore[assignment]

_BATCH_HOOKS = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}


class CallbackList(Callback):
    """Callbacks that are called together, in order.

    Args:
        callbacks: a callback or a list of them, or another `CallbackList`.
        add_history: whether to record a `History` on the model.
        add_progbar: whether to show a progress bar.
        model: what is trained.
        params: `verbose`, `epochs`, `steps`.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        from compat.callbacks._progress import ProgbarLogger

        given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [] if callbacks is None else [callbacks]
        for callback in given:
            if not hasattr(callback, "on_epoch_end"):
                raise TypeError(f"callbacks: expected keras.callbacks.Callback objects; received {callback!r}")
        self.callbacks: list[Any] = given
        self._progress = next((c for c in given if isinstance(c, ProgbarLogger)), None)
        if self._progress is None and add_progbar:
            self._progress = ProgbarLogger()
            given.append(self._progress)
        history = next((c for c in given if isinstance(c, History)), None)
        if history is None and add_history:
            history = History()
            given.append(history)
        if history is not None and model is not None and add_history:
            object.__setattr__(model, "history", history)
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback: Any) -> None:
        """Adds a callback at the end."""
        self.callbacks.append(callback)

    def set_params(self, params: dict) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self._model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def wants_batches(self, mode: str) -> bool:
        """Whether a callback has a method for every batch of a mode, and none for groups of them."""
        return any(
            getattr(type(c), hook, None) not in (getattr(Callback, hook, None), None)
            for c in self.callbacks
            if not hasattr(c, "on_group")
            for hook in _BATCH_HOOKS[mode]
        ) or any(c.__dict__.get(hook) is not None for c in self.callbacks for hook in _BATCH_HOOKS[mode])

    def on_group(self, mode: str, done: int, logs: dict) -> None:
        """After a dispatch of several steps: for callbacks that need not see every batch."""
        shown = LazyLogs(logs)
        for callback in self.callbacks:
            if hasattr(callback, "on_group"):
                callback.on_group(mode, done, shown)

    def lazy(self, logs: dict) -> dict:
        """Logs for callbacks, read from the device when somebody looks."""
        return LazyLogs(logs)


def _forward(hook: str) -> Any:
    def call(self: CallbackList, *args: Any, **kwargs: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args, **kwargs)

    call.__doc__ = f"Calls `{hook}` of every callback."
    return call


for _name in [n for n in vars(Callback) if n.startswith("on_")]:
    setattr(CallbackList, _name, _forward(_name))
