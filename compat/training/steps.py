"""The pure steps of a model: `kfun.training`'s step over its pure form, with what is Keras's own around it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compat.engine.provenance import ours
from compat.state import padded_rows
from compat.training import data
from compat.training.compilation import Compiled
from compat.training.run_ahead import Ahead
from compat.variables import variable_views
from kfun import ops
from kfun.training import Forward, Step, TrainState
from kfun.training.epoch import STEPS_PER_DISPATCH

_EMPTY = TrainState([], [], [], [], [])


class ModelStep(Step):
    """A step of a model, its class's own if that has one.

    The parts of the train state are lists of the values of the model's variables; nothing is drawn from a key,
    since seeds are variables.

    Attributes:
        method: the model's method that a subclass may override.
        parts: which parts of the train state that method is given and gives, in order.
    """

    method = ""
    parts: tuple[str, ...] = ()
    jit = staticmethod(jax.jit)  # nothing to look up at each call: the values are JAX's

    def __init__(self, model: Any):
        self.model = model
        self.revision = revision(model)
        self.custom = model._overrides(self.method)
        self.own_logs = self.custom or type(model).compute_metrics is not Compiled.compute_metrics
        self.steps_per_dispatch = STEPS_PER_DISPATCH
        self._fresh: tuple[list[int], Any] = ([], None)  # ids of metrics' variables, and what makes their first values

    # ---- the state ----

    def groups(self) -> TrainState:
        """The variables whose values are the state."""
        model = self.model
        trained = "optimizer" in self.parts and model.optimizer is not None
        return _EMPTY._replace(
            params=model.trainable_variables,
            state=model.non_trainable_variables,
            optimizer=list(model.optimizer.variables) if trained else [],
            metrics=model.metrics_variables if "metrics" in self.parts else [],
        )

    def state_of(self, values: Any) -> TrainState:
        """The state of a tuple or list of its parts, as Keras passes them around."""
        return _EMPTY._replace(**dict(zip(self.parts, map(list, values), strict=True)))

    def values_of(self, state: TrainState) -> tuple:
        """The parts of a state as Keras passes them around."""
        return tuple(getattr(state, part) for part in self.parts)

    def reset(self, state: TrainState) -> TrainState:
        """The state with the metrics at their beginning."""
        variables = self.model.metrics_variables
        key = list(map(id, variables))
        if self._fresh[0] != key:
            self._fresh = key, self._compiled_reset(variables)
        compiled = self._fresh[1]
        return state._replace(metrics=self._first(variables, state.metrics) if compiled is None else compiled())

    def _first(self, variables: list[Any], values: list[Any]) -> list[Any]:
        with variable_views.given([(variables, values)]) as inside:
            self.model.reset_metrics()
            return [ops.convert_to_tensor(inside.get(v)) for v in variables]

    def _compiled_reset(self, variables: list[Any]) -> Any:
        """Makes the first values in one call; None where a class of the user's says what they are."""
        metrics = [part for m in self.model.metrics for part in (m, *getattr(m, "metrics", ()))]
        known = type(self.model).reset_metrics is Compiled.reset_metrics and all(ours(type(m)) for m in metrics)
        if not known or self.model._op_by_op:
            return None
        first = variable_views.values_of(variables)
        return jax.jit(lambda: self._first(variables, [jax.numpy.zeros_like(x) for x in first]))

    # ---- the step ----

    def forward(self, params: Any, train_state: TrainState, batch: Any, key: Any) -> tuple[Any, Forward]:
        x, y, weight = data.unpack(batch)
        more = {"optimizer_variables": train_state.optimizer} if self.trains else {}
        given = (params, train_state.state, train_state.metrics, x, y, weight)
        loss, passed = self.model.compute_loss_and_updates(*given, training=self.trains, **more)
        return loss, Forward(*passed)

    def apply(self, grads: Any, optimizer: Any, trained: Any) -> tuple[Any, Any]:
        return self.model.optimizer.stateless_apply(optimizer, grads, trained)

    def track(self, passed: Forward, batch: Any) -> tuple[Any, dict]:
        x, y, weight = data.unpack(batch)
        variables = self.model.metrics_variables
        with variable_views.given([(variables, passed.metrics)]) as inside:
            tracker = self.model._loss_tracker
            if tracker is not None:
                tracker.update_state(passed.loss, sample_weight=padded_rows.count(jax.tree.leaves(x)[0]))
            logs = self.model.compute_metrics(x, y, passed.outputs, weight)
            return [inside.get(v) for v in variables], _tensors(logs)

    def logs(self, train_state: TrainState) -> dict:
        with variable_views.given([(self.model.metrics_variables, train_state.metrics)]):
            return self.model.get_metrics_result()

    def advance(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict | None]:
        if not self.custom:
            return self.ordinary(train_state, batch)
        logs, train_state = self.by_method(train_state, batch)  # whose batches are not padded
        return train_state, _tensors(logs)

    def ordinary(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict | None]:
        """The step of a model whose class has none of its own."""
        with padded_rows.real(batch) as batch:
            return super().advance(train_state, batch)

    def by_method(self, train_state: TrainState, batch: Any) -> tuple[Any, TrainState]:
        """What the model's own method gives, and the state after it.

        `method(state, data)` is Keras's form on JAX; `method(data)` reads and assigns variables.
        """
        method = getattr(self.model, self.method)
        if takes_state(method):
            result, values = method(self.values_of(train_state), batch)
            return result, self._after(train_state, values)
        groups = self.values_of(self.groups())
        with variable_views.given(list(zip(groups, self.values_of(train_state), strict=True))) as inside:
            result = method(batch)
            return result, self.state_of([inside.get(v) for v in group] for group in groups)

    def _after(self, train_state: TrainState, values: Any) -> TrainState:
        return self.state_of(values)

    def as_method(self, values: Any, batch: Any) -> tuple[dict | None, tuple]:
        """The ordinary step in the form of Keras's methods."""
        state, logs = self.ordinary(self.state_of(values), batch)
        return logs, self.values_of(state)

    # ---- compiled ----

    @functools.cached_property
    def alone(self) -> Any:
        """One compiled step on a batch alone, the metrics at their beginning: `(state, batch) -> (state, logs)`.

        It takes the memory of nothing that it is given, so that the variables' values need not be copied for it.
        """
        return jax.jit(lambda state, batch: self.run(self.reset(state), batch))

    @functools.cached_property
    def once_beside(self) -> Any:
        """`run`, compiled; it takes the memory of nothing that it is given."""
        return jax.jit(self.run)

    @functools.cached_property
    def ahead(self) -> Ahead:
        """What runs several steps before their callbacks are called."""
        return Ahead(self)

    def function(self) -> Callable:
        """Keras's form of the step: `(state, iterator) -> (logs or outputs, state)`, on the iterator's next batch."""

        def run(state: Any, iterator: Any) -> tuple[Any, tuple]:
            once = self.run if self.model._op_by_op else self.once
            new, logs = once(self.state_of(state), next(iterator))
            return logs, self.values_of(TrainState(*new))

        return run


class TrainStep(ModelStep):
    """A training step."""

    method, parts = "train_step", ("params", "state", "optimizer", "metrics")


class EvalStep(ModelStep):
    """An evaluation step."""

    method, parts = "test_step", ("params", "state", "metrics")
    trains = False


class PredictStep(ModelStep):
    """The forward pass: its logs are the outputs."""

    method, parts = "predict_step", ("params", "state")
    trains = False

    @functools.cached_property
    def compiled(self) -> Any:
        """`(trainable, non_trainable, batch) -> (outputs, {place: new non-trainable value})`, compiled.

        It takes no memory, and what it leaves as it was does not pass through it: most models change nothing.
        """

        def run(t: list, n: list, batch: Any) -> Any:
            outputs, new = self.by_method(TrainState(t, n), batch)
            return outputs, {i: v for i, (v, old) in enumerate(zip(new.state, n, strict=True)) if v is not old}

        return run if self.model._op_by_op else jax.jit(run)

    def _after(self, train_state: TrainState, values: Any) -> TrainState:
        return train_state._replace(state=values)

    def run(self, train_state: TrainState, batch: Any) -> tuple[TrainState, Any]:
        with padded_rows.real(batch) as real:
            outputs, changed = self.compiled(train_state.params, train_state.state, self._needed(real))
        state = [changed.get(i, value) for i, value in enumerate(train_state.state)] if changed else train_state.state
        return train_state._replace(state=state), padded_rows.only_real(outputs, batch)

    def _needed(self, batch: Any) -> Any:
        """What the method is given of a batch: the ordinary one the inputs alone, in one form for one program."""
        return batch if self.custom else (data.unpack(batch)[0],)

    @property
    def once(self) -> Any:
        """`run`, whose forward pass is compiled."""
        return self.run

    def keep(self, before: TrainState, after: TrainState) -> None:
        """Gives variables what the forward pass changed: states of stateful layers, seeds."""
        for variable, old, new in zip(self.model.non_trainable_variables, before.state, after.state, strict=True):
            if new is not old:
                variable.assign(new)

    def values(self) -> TrainState:
        """The present values."""
        return TrainState(*map(variable_views.values_of, self.groups()))

    def batch(self, batch: Any) -> Any:
        """The outputs of one batch, as NumPy arrays."""
        variables = self.model.non_trainable_variables
        values = variable_views.values_of(self.model.trainable_variables), variable_views.values_of(variables)
        outputs, changed = self.compiled(*values, self._needed(batch))
        for place, value in changed.items():
            variables[place].assign(value)
        return jax.tree.map(np.array, outputs)  # of its own: it may be written to

    def direct(self, x: np.ndarray, batch_size: int, alone: bool = True) -> Any:
        """The outputs of an array that is one batch; None where the general way must be taken.

        Args:
            x: the array.
            batch_size: the most rows of a batch.
            alone: whether a method of the user's own is given the array itself, not `(x,)`.
        """
        if not self.model.built or not 0 < x.shape[0] <= batch_size or x.dtype.kind not in "fiub":
            return None
        return self.batch(x if alone else (x,))


STEPS = {"train": TrainStep, "test": EvalStep, "predict": PredictStep}


def _tensors(logs: dict) -> dict:
    return {name: ops.convert_to_tensor(value) for name, value in logs.items()}


def revision(model: Any) -> int:
    """Of the arguments of the model's optimizer, which steps are compiled with."""
    return getattr(getattr(model, "optimizer", None), "revision", 0)


def takes_state(method: Any) -> bool:
    """Whether a step is `method(state, data)`, rather than `method(data)`."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(method).parameters.values())
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return True
    parameters = [p for p in parameters if p.kind in kinds]
    return sum(p.default is inspect.Parameter.empty for p in parameters) > 1
