"""`Trainer`: fit, evaluate, predict, one batch at a time, and the steps that a subclass may override.

A pure step is built from the model (`steps`) and run by `kfun.training`: many times per dispatch unless a callback
wants to look at every batch. What a user sees of its state are four lists of values, as in Keras on JAX: trainable,
non-trainable, optimizer's, metrics'.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import Any

import numpy as np

from compat.engine.call_context import call_plan
from compat.engine.tracebacks import filtered
from compat.training import data, padding
from compat.training.compilation import Compiled
from compat.training.epoch import Inner, batch_alone, run_prediction
from compat.training.limits import limit_steps, limited_epochs
from compat.training.loops import callbacks_of, due, make_ready, run_epochs, run_evaluation
from compat.training.preparation import prepare
from compat.training.state_tree import by_path, set_by_path
from compat.training.steps import STEPS, revision
from compat.variables import variable_views


class Trainer(Compiled):
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
            class_weight: `{class: weight}` of the loss. A target is a class number or has a last axis with a number
                for each class; with the loss `sparse_categorical_crossentropy` it is a number, whatever its shape.
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
        weights = self._class_weight(class_weight)
        feed = data.make_feed(x, y, sample_weight, batch_size, shuffle, weights, steps_per_epoch, "fit")
        held = None
        if validation_data is not None:
            held = data.validation_feed(validation_data, validation_batch_size or batch_size, validation_steps)
            limit_steps(held, self.steps_per_execution)
        epochs = limited_epochs(epochs)
        make_ready(self, feed, "fit")
        if held is not None:
            padding.pad(self, held)
        feed.reset()
        calls = callbacks_of(self, callbacks, verbose, epochs, feed, add_history=True)
        self.stop_training = False
        self.__dict__["_kf_feed"] = weakref.ref(feed)

        def validate(number: int, state: Any) -> dict[str, float]:
            if not due(number, validation_freq):
                return {}
            return {f"val_{name}": value for name, value in run_evaluation(self, Inner(state), held, calls).items()}

        run_epochs(self, feed, calls, initial_epoch, epochs, None if held is None else validate)
        return self.history

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
        make_ready(self, feed, "evaluate")
        calls = callbacks_of(self, callbacks, verbose, 1, feed)
        with variable_views.Live(self._step("test").groups()) as state:
            logs = run_evaluation(self, state, feed, calls)
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
        make_ready(self, feed, "predict")
        calls = callbacks_of(self, callbacks, verbose, 1, feed)
        self.stop_predicting = False
        calls.on_predict_begin()
        outputs = run_prediction(self, step, feed, calls)
        calls.on_predict_end()
        return outputs

    def _class_weight(self, given: Any) -> Any:
        if given is None:
            return None
        loss, outputs = self._compile_loss, getattr(self, "outputs", None) or []
        rank = len(outputs[0].shape) if len(outputs) == 1 else None
        return data.ClassWeight(given, loss is not None and loss.of_numbers, rank)

    # ---- one batch ----

    @filtered
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch; the metrics are of this batch alone, as in Keras on JAX."""
        self._need_compile("train_on_batch")
        feed = data.one_batch(x, y, sample_weight, self._class_weight(class_weight))
        prepare(self, feed, "fit")
        logs = batch_alone(self._step("train"), feed)
        return logs if return_dict else self._listed(logs)

    @filtered
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch alone."""
        self._need_compile("test_on_batch")
        feed = data.one_batch(x, y, sample_weight, None)
        prepare(self, feed, "evaluate")
        logs = batch_alone(self._step("test"), feed)
        return logs if return_dict else self._listed(logs)

    @filtered
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        step = self._step("predict")
        if type(x) is np.ndarray and x.ndim:
            outputs = step.direct(x, len(x), alone=False)
            if outputs is not None:
                return outputs
        feed = data.one_batch(x, None, None, None)
        prepare(self, feed, "predict")
        return step.batch(data.unpack(feed.batch())[:1])

    # ---- steps ----

    def _step(self, kind: str) -> Any:
        """What runs for a batch to `"train"`, `"test"` or `"predict"`; made anew when the optimizer changes."""
        made = self.__dict__["_kf_steps_made"]
        if kind not in made or made[kind].revision != revision(self):
            made[kind] = STEPS[kind](self)
        return made[kind]

    def _overrides(self, *methods: str) -> bool:
        """Whether the model's class has one of the methods of this one for itself."""
        return any(getattr(type(self), name) is not getattr(Trainer, name) for name in methods)

    def train_step(self, state: Any, batch: Any) -> tuple[dict, Any]:
        """One training step as a pure function; a subclass may override it.

        Args:
            state: `(trainable, non_trainable, optimizer, metrics)`: lists of variables' values.
            batch: `x`, `(x, y)` or `(x, y, sample_weight)`; `(x,)` if x is a list, or came in a tuple.

        Returns:
            `(logs, state)`.
        """
        return self._step("train").as_method(state, batch)

    def test_step(self, state: Any, batch: Any) -> tuple[dict, Any]:
        """One evaluation step as a pure function: `state` is `(trainable, non_trainable, metrics)`."""
        return self._step("test").as_method(state, batch)

    def predict_step(self, state: Any, batch: Any) -> tuple[Any, Any]:
        """The outputs as a pure function: `state` is `(trainable, non_trainable)`."""
        x, _, _ = data.unpack(batch)
        others = self.non_trainable_variables
        with variable_views.given([(self.trainable_variables, state[0]), (others, state[1])]) as inside:
            return self(x, training=False), [inside.get(v) for v in others]

    def compute_loss_and_updates(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        metrics_variables: Any,
        x: Any,
        y: Any,
        sample_weight: Any,
        training: bool = False,
        optimizer_variables: Any = None,
    ) -> tuple[Any, tuple]:
        """The loss as a pure function of the trainable values, for `jax.value_and_grad(..., has_aux=True)`.

        Returns:
            `(loss, (unscaled loss, y_pred, new non-trainable values, new metrics values))`.
        """
        own, others, metrics = self.trainable_variables, self.non_trainable_variables, self.metrics_variables
        given = [(own, trainable_variables), (others, non_trainable_variables), (metrics, metrics_variables)]
        with variable_views.given(given) as inside:
            y_pred = self(x, training=training) if call_plan(type(self)).training else self(x)  # as in Keras
            said = {"training": training} if _takes_training(type(self), "compute_loss") else {}
            loss = unscaled = self.compute_loss(x, y, y_pred, sample_weight, **said)
            if training and self.optimizer is not None and optimizer_variables is not None:
                loss = self.optimizer.stateless_scale_loss(optimizer_variables, loss)
            new = [inside.get(v) for v in others], [inside.get(v) for v in metrics]
        return loss, (unscaled, y_pred, *new)

    # ---- Keras's names ----

    def make_train_function(self, force: bool = False) -> Any:
        """Makes `train_function(state, iterator) -> (logs, state)`: one step on the iterator's next batch."""
        if self.train_function is None or force:
            self.train_function = self._step("train").function()
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Makes `test_function(state, iterator) -> (logs, state)`."""
        if self.test_function is None or force:
            self.test_function = self._step("test").function()
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        """Makes `predict_function((trainable, non_trainable), iterator) -> (outputs, state)`."""
        if self.predict_function is None or force:
            self.predict_function = self._step("predict").function()
        return self.predict_function

    def jax_state_sync(self) -> None:
        """Nothing: variables show the running step's values at any time."""

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, dict]:
        """The variables' values in nested dicts by path.

        Args:
            value_format: `"backend_tensor"` or `"numpy_array"`.

        Returns:
            Dicts under `trainable_variables`, `non_trainable_variables`, `optimizer_variables`, `metrics_variables`.

        Raises:
            ValueError: if the format is unknown, or two variables of a kind have one path.
        """
        return by_path(self._by_kind(), value_format)

    def set_state_tree(self, state_tree: dict[str, dict]) -> None:
        """Sets variables from nested dicts by path, in the form of `get_state_tree`.

        Raises:
            ValueError: if a kind or a path is unknown.
        """
        set_by_path(self._by_kind(), state_tree)

    def _by_kind(self) -> dict[str, list]:
        names = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")
        return dict(zip(names, self._step("train").groups(), strict=False))


@functools.cache
def _takes_training(cls: type, method: str) -> bool:
    """Whether a method has an argument `training`, or takes any."""
    parameters = inspect.signature(getattr(cls, method)).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
