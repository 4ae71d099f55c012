"""`Trainer`: fit, evaluate, predict.

One pure step is built from the model and run by `kfun.training`: many steps per dispatch unless
a callback wants to look at every batch. The step's state is four lists of values, as in Keras on
JAX: trainable, non-trainable, optimizer's, metrics'.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import numpy as np

from compat.engine.tracebacks import filtered
from compat.training import data, padding, resume
from compat.training.callbacks.callback_list import CallbackList
from compat.training.epoch import Inner, run_epoch
from compat.training.limits import limit_steps, limited_epochs
from compat.training.on_batch import Steps
from compat.variables import variable_views


class Trainer(Steps):
    """The training half of `Model`."""

    @filtered
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: dict | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Trains the model.

        Args:
            x: arrays (one, or a list or dict of them), or an iterable of batches.
            y: targets, in the form of the outputs; in the batches if `x` is an iterable.
            batch_size: rows of a batch, 32 by default.
            epochs: the epoch to stop before.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line per epoch.
            callbacks: a list of callbacks.
            validation_split: the share of rows, taken from the end, to validate on.
            validation_data: `(x, y)`, `(x, y, sample_weight)` or an iterable of batches.
            shuffle: whether to take the rows in another order each epoch.
            class_weight: `{class: weight}` of the loss.
            sample_weight: a weight per row of the loss.
            initial_epoch: the epoch to begin with.
            steps_per_epoch: batches of an epoch; all by default.
            validation_steps: batches of a validation; all by default.
            validation_batch_size: `batch_size` by default.
            validation_freq: validate every so many epochs, or in the epochs of a list.

        Returns:
            A `History`, whose `history` is `{name: [value of each epoch]}`.

        Raises:
            ValueError: if the model is not compiled, or the data do not fit together.
        """
        self._need_compile("fit")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = data.split(x, y, sample_weight, validation_split)
        feed = data.make_feed(x, y, sample_weight, batch_size, shuffle, class_weight, steps_per_epoch, "fit")
        held = None
        if validation_data is not None:
            held = data.validation_feed(validation_data, validation_batch_size or batch_size, validation_steps)
            limit_steps(held, self.steps_per_execution)
        epochs = limited_epochs(epochs)
        limit_steps(feed, self.steps_per_execution)
        self._prepare(feed, "fit")
        self._pad(feed)
        if held is not None:
            self._pad(held)
        feed.reset()
        step = self._step("train")
        calls = self._callbacks(callbacks, verbose, epochs, feed, add_history=True)
        self.stop_training = False
        self.__dict__["_kf_feed"] = weakref.ref(feed)
        with variable_views.Live(*self._groups()) as state:
            calls.on_train_begin()
            logs: dict[str, float] = {}
            left = resume.take(self)
            for number in range(initial_epoch if left is None else left.epoch, epochs):
                calls.on_epoch_begin(number)
                state.state = step.reset(state.state)
                if left is None:
                    logs = run_epoch(self, step, state, feed, calls, "train")
                else:
                    logs = left.run(self, step, state, feed, calls)
                    left = None
                _warn_of_nan(logs, number)
                if held is not None and _due(number, validation_freq):
                    val = self._evaluate_in(state, held, calls)
                    logs |= {f"val_{k}": v for k, v in val.items()}
                calls.on_epoch_end(number, logs)
                if self.stop_training:
                    break
            self._finalize(state)
            calls.on_train_end(logs)
        return self.history

    def _pad(self, feed: Any, predicts: bool = False) -> None:
        """Lets a feed fill up its smaller batches, if the model allows it, so that one program runs all."""
        padding.pad(self, feed, predicts)

    def _finalize(self, state: variable_views.Live) -> None:
        if self.optimizer is not None and getattr(self.optimizer, "use_ema", False):
            self.optimizer.finalize_variable_values(self.trainable_variables)

    def _callbacks(self, callbacks: Any, verbose: Any, epochs: int, feed: Any, add_history: bool = False) -> Any:
        """The callbacks of a method as one; a `CallbackList` that is given is used as it is."""
        params = {"verbose": _verbosity(verbose), "epochs": epochs, "steps": feed.steps}
        if isinstance(callbacks, CallbackList):
            if add_history:
                callbacks.record(self)
            callbacks.set_params(params)
            return callbacks
        return CallbackList(callbacks, add_history, params["verbose"] != 0, self, **params)

    def _evaluate_in(self, state: variable_views.Live, feed: Any, calls: Any) -> dict[str, float]:
        """Evaluates with the values of a running fit."""
        step = self._step("test")
        feed.reset()
        calls.on_test_begin()
        self.stop_evaluating = False
        t, n, _, m = state.state
        inner = Inner(state, step.reset([t, n, m])[-1])
        logs = run_epoch(self, step, inner, feed, calls, "test")
        calls.on_test_end(logs)
        return logs

    # ---- evaluate and predict ----

    @filtered
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and the metrics over data; arguments as in `fit`.

        Returns:
            A dict by name if `return_dict`, else a list, or the loss alone if there are no metrics.
        """
        if kwargs:
            raise TypeError(f"evaluate: unknown arguments {sorted(kwargs)}")
        self._need_compile("evaluate")
        feed = data.make_feed(x, y, sample_weight, batch_size, False, None, steps, "evaluate")
        limit_steps(feed, self.steps_per_execution)
        self._prepare(feed, "evaluate")
        self._pad(feed)
        feed.reset()
        step = self._step("test")
        calls = self._callbacks(callbacks, verbose, 1, feed)
        self.stop_evaluating = False
        groups = self._groups()
        with variable_views.Live(groups[0], groups[1], groups[3]) as state:
            calls.on_test_begin()
            state.state = step.reset(state.state)
            logs = run_epoch(self, step, state, feed, calls, "test")
            calls.on_test_end(logs)
        return logs if return_dict else self._listed(logs)

    @filtered
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for data, as NumPy arrays in the form of the outputs; arguments as in `fit`."""
        step = self._step("predict")
        if isinstance(x, np.ndarray) and callbacks is None and steps is None and verbose == 0:
            outputs = step.direct(x, batch_size or 32)
            if outputs is not None:
                return outputs
        feed = data.make_feed(x, None, None, batch_size, False, None, steps, "predict")
        limit_steps(feed, self.steps_per_execution)
        self._prepare(feed, "predict")
        self._pad(feed, predicts=True)
        return step.run(feed, callbacks, verbose)


def _verbosity(verbose: Any) -> int:
    return 1 if verbose == "auto" else int(verbose)


def _due(number: int, frequency: Any) -> bool:
    if isinstance(frequency, (list, tuple, set)):
        return number + 1 in frequency
    return (number + 1) % int(frequency) == 0


def _warn_of_nan(logs: dict, number: int) -> None:
    loss = logs.get("loss")
    if loss is not None and np.ndim(loss) == 0 and not np.isfinite(loss):
        warnings.warn(
            f"epoch {number + 1}: the loss is {loss}. Lower the learning rate, clip gradients, check the data "
            "for NaN, or stop early with callbacks.TerminateOnNaN()",
            stacklevel=3,
        )
