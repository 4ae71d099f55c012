"""`CallbackList`: the callbacks that a training loop speaks to."""

from __future__ import annotations

from typing import Any

from compat.training.callbacks.callback import Callback, LazyLogs
from compat.training.callbacks.history import History
from compat.training.callbacks.progress import ProgbarLogger

# The moments after which a callback that has `after_others(moment, callbacks)` is told that all were called.
_TOLD = ("on_train_begin", "on_epoch_begin")
_BATCH_HOOKS = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}


class CallbackList(Callback):
    """Callbacks that are called together, in order.

    Args:
        callbacks: a callback or a list of them.
        add_history: whether to record a `History` on the model.
        add_progbar: whether to show a progress bar.
        model: what is trained.
        params: `verbose`, `epochs`, `steps`.

    Raises:
        TypeError: if something in the list is no callback.
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
        given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [] if callbacks is None else [callbacks]
        for callback in given:
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise TypeError(f"callbacks: expected keras.callbacks.Callback objects; received {callback!r}")
        self.callbacks: list[Any] = given
        if add_history:
            self.record(model)
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in given):
            given.append(ProgbarLogger())
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def record(self, model: Any) -> None:
        """Sees to a `History` among the callbacks, which is the model's."""
        history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if history is None:
            history = History()
            self.callbacks.append(history)
        if model is not None:
            object.__setattr__(model, "history", history)

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
        """Whether a callback must be called at every batch of a mode, so that steps cannot be run in groups."""
        return any(_wants(callback, hook) for callback in self.callbacks for hook in _BATCH_HOOKS[mode])

    def on_group(self, mode: str, done: int, logs: dict) -> None:
        """After a dispatch of several steps: for callbacks that need not see every batch."""
        shown = LazyLogs(logs)
        for callback in self.callbacks:
            if hasattr(callback, "on_group"):
                callback.on_group(mode, done, shown)

    def _tell(self, moment: str) -> None:
        for callback in self.callbacks if moment in _TOLD else ():
            if hasattr(callback, "after_others"):
                callback.after_others(moment, self.callbacks)

    def lazy(self, logs: dict) -> dict:
        """Logs for callbacks, read from the device when somebody looks."""
        return LazyLogs(logs)


def _wants(callback: Any, hook: str) -> bool:
    """Whether a callback does something in a hook of batches that no call for a group can stand for."""
    if callback.__dict__.get(hook) is not None:
        return True
    method = getattr(type(callback), hook, None)
    if method is None or method is getattr(Callback, hook, None):
        return False
    needed = getattr(method, "_needed", None)
    return True if needed is None else needed(callback)


def _forward(hook: str) -> Any:
    if "batch" in hook:

        def call(self: CallbackList, batch: int, logs: dict | None = None) -> None:
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, hook)(batch, logs=logs)

    elif "epoch" in hook:

        def call(self: CallbackList, epoch: int, logs: dict | None = None) -> None:
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, hook)(epoch, logs)
            self._tell(hook)

    else:

        def call(self: CallbackList, logs: dict | None = None) -> None:
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, hook)(logs)
            self._tell(hook)

    call.__doc__ = f"Calls `{hook}` of every callback."
    return call


for _name in [n for n in vars(Callback) if n.startswith("on_")]:
    setattr(CallbackList, _name, _forward(_name))
