"""The loops of `fit` and `evaluate`: what is made ready, the epochs, and the callbacks around them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from compat.training import padding, resume
from compat.training.callbacks.callback_list import CallbackList
from compat.training.epoch import run_epoch
from compat.training.limits import limit_steps
from compat.training.preparation import prepare
from compat.variables import variable_views


def callbacks_of(model: Any, callbacks: Any, verbose: Any, epochs: int, feed: Any, add_history: bool = False) -> Any:
    """The callbacks of a method as one; a `CallbackList` that is given is used as it is."""
    params = {"verbose": 1 if verbose == "auto" else int(verbose), "epochs": epochs, "steps": feed.steps}
    if isinstance(callbacks, CallbackList):
        if add_history:
            callbacks.record(model)
        callbacks.set_params(params)
        return callbacks
    return CallbackList(callbacks, add_history, params["verbose"] != 0, model, **params)


def make_ready(model: Any, feed: Any, method: str) -> None:
    """Makes a feed and a model ready for each other."""
    limit_steps(feed, model.steps_per_execution)
    prepare(model, feed, method)
    padding.pad(model, feed, predicts=method == "predict")


def run_epochs(model: Any, feed: Any, calls: Any, initial_epoch: int, epochs: int, validate: Any) -> None:
    """Trains for epochs, of which an interrupted one may be left.

    Args:
        model: what is trained.
        feed: the batches of an epoch.
        calls: a `CallbackList`.
        initial_epoch, epochs: the epochs to begin with and to stop before.
        validate: `(number, state)` gives logs to add; None if nothing is to be validated.
    """
    step = model._step("train")
    # To copy the variables' values for a single step costs as much as the step.
    single = feed.steps == 1 and epochs - initial_epoch == 1 and validate is None and not model._op_by_op
    with variable_views.Live(step.groups(), owned=not single) as state:
        calls.on_train_begin()
        logs: dict[str, float] = {}
        left = resume.take(model)
        for number in range(initial_epoch, epochs) if left is None else left.epochs(epochs):
            calls.on_epoch_begin(number)
            state.state = step.reset(state.state)
            run, left = run_epoch if left is None else left.run, None
            logs = run(model, step, state, feed, calls)
            _warn_of_nan(logs, number)
            logs |= validate(number, state) if validate is not None else {}
            calls.on_epoch_end(number, logs)
            if model.stop_training:
                break
        if getattr(model.optimizer, "use_ema", False):
            model.optimizer.finalize_variable_values(model.trainable_variables)
        calls.on_train_end(logs)


def run_evaluation(model: Any, state: Any, feed: Any, calls: Any) -> dict[str, float]:
    """Runs the evaluation step over a feed; gives its logs."""
    step = model._step("test")
    feed.reset()
    calls.on_test_begin()
    model.stop_evaluating = False
    state.state = step.reset(state.state)
    logs = run_epoch(model, step, state, feed, calls, "test")
    calls.on_test_end(logs)
    return logs


def due(number: int, frequency: Any) -> bool:
    """Whether to validate after an epoch: every so many, or those of a list, counted from 1."""
    if isinstance(frequency, (list, tuple, set)):
        return number + 1 in frequency
    return (number + 1) % int(frequency) == 0


def _warn_of_nan(logs: dict, number: int) -> None:
    loss = logs.get("loss")
    if loss is not None and np.ndim(loss) == 0 and not np.isfinite(loss):
        warnings.warn(
            f"epoch {number + 1}: the loss is {loss}. Lower the learning rate, clip gradients, check the data "
            "for NaN, or stop early with callbacks.TerminateOnNaN()",
            stacklevel=4,
        )
