"""`Steps`: one batch at a time, and the steps as pure functions that a subclass may override."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from compat.engine.call_context import call_plan
from compat.engine.tracebacks import filtered
from compat.training import data
from compat.training.epoch import batch_alone
from compat.training.step_building import Prepared
from compat.variables import variable_views


class Steps(Prepared):
    """Single steps."""

    def _overrides(self, *methods: str) -> bool:
        """Whether the model's class has one of the methods of this one for itself."""
        return any(getattr(type(self), name) is not getattr(Steps, name) for name in methods)

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
        feed = data.one_batch(x, y, sample_weight, class_weight)
        self._prepare(feed, "fit")
        logs = batch_alone(self._step("train"), self._groups(), feed, self._op_by_op)
        return logs if return_dict else self._listed(logs)

    @filtered
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch alone."""
        self._need_compile("test_on_batch")
        feed = data.one_batch(x, y, sample_weight, None)
        self._prepare(feed, "evaluate")
        trainable, others, _, metrics = self._groups()
        logs = batch_alone(self._step("test"), [trainable, others, metrics], feed, self._op_by_op)
        return logs if return_dict else self._listed(logs)

    @filtered
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        step = self._step("predict")
        if type(x) is np.ndarray and x.ndim:
            outputs = step.direct(x, len(x))
            if outputs is not None:
                return outputs
        feed = data.one_batch(x, None, None, None)
        self._prepare(feed, "predict")
        return step.batch(data.unpack(feed.batch())[0])

    # ---- steps; a subclass may override them ----

    def train_step(self, state: Any, batch: Any) -> tuple[dict, Any]:
        """One training step as a pure function.

        Args:
            state: `(trainable, non_trainable, optimizer, metrics)`: lists of variables' values.
            batch: `(x, y, sample_weight)`.

        Returns:
            `(logs, state)`.
        """
        state = self._step("train").update(state, batch)
        return self._step("train").logs(state), state

    def test_step(self, state: Any, batch: Any) -> tuple[dict, Any]:
        """One evaluation step as a pure function: `state` is `(trainable, non_trainable, metrics)`."""
        state = self._step("test").update(state, batch)
        return self._step("test").logs(state), state

    def predict_step(self, state: Any, batch: Any) -> tuple[Any, Any]:
        """The outputs as a pure function: `state` is `(trainable, non_trainable)`."""
        x, _, _ = data.unpack(batch)
        with variable_views.given(
            [(self.trainable_variables, state[0]), (self.non_trainable_variables, state[1])]
        ) as inside:
            outputs = self(x, training=False)
            others = [inside.get(v) for v in self.non_trainable_variables]
        return outputs, others

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
            said = {"training": training} if takes_training(type(self), "compute_loss") else {}
            loss = unscaled = self.compute_loss(x, y, y_pred, sample_weight, **said)
            if training and self.optimizer is not None and optimizer_variables is not None:
                loss = self.optimizer.stateless_scale_loss(optimizer_variables, loss)
            new = [inside.get(v) for v in others], [inside.get(v) for v in metrics]
        return loss, (unscaled, y_pred, *new)


@functools.cache
def takes_training(cls: type, method: str) -> bool:
    """Whether a method has an argument `training`, or takes any."""
    parameters = inspect.signature(getattr(cls, method)).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
