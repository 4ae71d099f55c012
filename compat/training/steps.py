"""The pure steps of a model, in the form that `kfun.training` runs."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import jax
import numpy as np

from compat.engine.provenance import ours
from compat.state import padded_rows
from compat.training import data
from compat.training.batch_callbacks import BatchCalls
from compat.training.compilation import Compiled
from compat.training.run_ahead import Ahead
from compat.variables import variable_views
from kfun import ops
from kfun.training.epoch import STEPS_PER_DISPATCH


class _Step:
    """Base: `update(state, batch)` and `logs(state)` are pure; `once` is one compiled step."""

    method = ""  # the model's method that a subclass may override
    update_with_logs: Any = None

    def __init__(self, model: Any):
        self.model = model
        self.revision = getattr(getattr(model, "optimizer", None), "revision", 0)  # of the optimizer's arguments
        if _overridden(model, self.method):
            self.update_with_logs = self._custom
        elif type(model).compute_metrics is not Compiled.compute_metrics:
            self.update_with_logs = self._measured
        self.steps_per_dispatch = STEPS_PER_DISPATCH
        self._fresh: tuple[list[int], Any] = ([], None)  # ids of metrics' variables, and what makes their first values

    def reset(self, state: list) -> list:
        """The state with the metrics at their beginning."""
        variables = self.model.metrics_variables
        key = list(map(id, variables))
        if self._fresh[0] != key:
            self._fresh = key, self._compiled_reset(variables)
        compiled = self._fresh[1]
        return [*state[: len(state) - 1], self._reset_values(variables, state[-1]) if compiled is None else compiled()]

    def _reset_values(self, variables: list[Any], values: list[Any]) -> list[Any]:
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
        return jax.jit(lambda: self._reset_values(variables, [jax.numpy.zeros_like(x) for x in first]))

    def logs(self, state: list) -> dict:
        """The metrics' results."""
        with variable_views.given([(self.model.metrics_variables, state[-1])]):
            return self.model.get_metrics_result()

    @functools.cached_property
    def once(self) -> Any:
        """One compiled step: `(state, batch) -> (state, logs)`."""

        return jax.jit(self.run, donate_argnums=(0,))

    @functools.cached_property
    def alone(self) -> Any:
        """One compiled step on a batch alone, the metrics at their beginning: `(state, batch) -> (state, logs)`.

        It takes the memory of nothing that it is given, so that the variables' values need not be copied for it.
        """
        return jax.jit(lambda state, batch: self.run(self.reset(state), batch))

    @functools.cached_property
    def ahead(self) -> Ahead:
        """What runs several steps before their callbacks are called."""
        return Ahead(self)

    def run(self, state: list, batch: Any) -> tuple[list, dict]:
        """One step, the model's own if it has one: `(state, logs)`; pure."""
        if self.update_with_logs is not None:
            return self.update_with_logs(state, batch)  # whose batches are not padded
        state = self.update(state, batch)
        return state, self.logs(state)

    def update(self, state: list, batch: Any) -> list:
        """One step; pure."""
        with padded_rows.real(batch) as batch:
            return self._measured(state, batch)[0]

    def _measured(self, state: list, batch: Any) -> tuple[list, dict]:
        """One step and what `compute_metrics` gave, which a subclass may add to."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def _custom(self, state: list, batch: Any) -> tuple[list, dict]:
        """A step that the model defines itself, with logs of its own.

        `method(state, data)` is Keras's form on JAX; `method(data)` reads and assigns variables.
        """
        method = getattr(self.model, self.method)
        if takes_state(method):
            logs, state = method(tuple(state), batch)
        else:
            groups = self.model._groups()
            groups = groups if len(state) == len(groups) else [groups[0], groups[1], groups[3]]
            with variable_views.given(list(zip(groups, state, strict=True))) as inside:
                logs = method(batch)
                state = [[inside.get(v) for v in group] for group in groups]
        logs = {k: ops.convert_to_tensor(v) for k, v in logs.items()}
        return [list(s) for s in state], logs


class TrainStep(_Step):
    """A training step: the state is `[trainable, non_trainable, optimizer, metrics]`."""

    method = "train_step"

    def _measured(self, state: list, batch: Any) -> tuple[list, dict]:
        model = self.model
        t, n, o, m = state
        x, y, weight = data.unpack(batch)
        gradient = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
        (_, (loss, y_pred, n, m)), grads = gradient(t, n, m, x, y, weight, training=True, optimizer_variables=o)
        t, o = model.optimizer.stateless_apply(o, grads, t)
        m, logs = _moved(model, m, x, y, y_pred, weight, loss)
        return [t, n, o, m], logs


class EvalStep(_Step):
    """An evaluation step: the state is `[trainable, non_trainable, metrics]`."""

    method = "test_step"

    def _measured(self, state: list, batch: Any) -> tuple[list, dict]:
        model = self.model
        t, n, m = state
        x, y, weight = data.unpack(batch)
        _, (loss, y_pred, n, m) = model.compute_loss_and_updates(t, n, m, x, y, weight, training=False)
        m, logs = _moved(model, m, x, y, y_pred, weight, loss)
        return [t, n, m], logs


def _moved(model: Any, values: list, x: Any, y: Any, y_pred: Any, weight: Any, loss: Any) -> tuple[list, dict]:
    """The metrics' values after a batch, and what `compute_metrics` gave."""
    variables = model.metrics_variables
    with variable_views.given([(variables, values)]) as inside:
        tracker = model.__dict__.get("_kf_loss_tracker")
        if tracker is not None:
            tracker.update_state(loss, sample_weight=padded_rows.count(jax.tree.leaves(x)[0]))
        logs = model.compute_metrics(x, y, y_pred, weight)
        logs = {k: ops.convert_to_tensor(v) for k, v in logs.items()}
        return [inside.get(v) for v in variables], logs


class PredictStep(_Step):
    """The forward pass over a feed."""

    method = "predict_step"

    @functools.cached_property
    def compiled(self) -> Any:
        """`(trainable, non_trainable, x) -> (outputs, {place: new non-trainable value})`, compiled."""

        def run(t: list, n: list, x: Any) -> Any:
            method = self.model.predict_step
            if takes_state(method):
                outputs, new = method((t, n), (x,))
            else:
                groups = self.model._groups()[:2]
                with variable_views.given(list(zip(groups, (t, n), strict=True))) as inside:
                    outputs, new = method((x,)), [inside.get(v) for v in groups[1]]
            return outputs, {i: v for i, (v, old) in enumerate(zip(new, n, strict=True)) if v is not old}

        return run if self.model._op_by_op else jax.jit(run)

    def batch(self, x: Any) -> Any:
        """The outputs of one batch, as NumPy arrays."""
        t, n = self._values()
        outputs, changed = self.compiled(t, n, x)
        self._put(changed)
        return jax.tree.map(np.array, outputs)  # of its own: it may be written to

    def _values(self) -> tuple[list, list]:
        self._variables = self.model.trainable_variables, self.model.non_trainable_variables
        return variable_views.values_of(self._variables[0]), variable_views.values_of(self._variables[1])

    def _put(self, changed: dict[int, Any]) -> None:
        """Keeps what the forward pass changed: states of stateful layers, seeds."""
        for place, value in changed.items():
            self._variables[1][place].assign(value)

    def direct(self, x: np.ndarray, batch_size: int) -> Any:
        """The outputs of an array that is one batch; None where the general way must be taken."""
        if not self.model.built or not 0 < x.shape[0] <= batch_size or x.dtype.kind not in "fiub":
            return None
        return self.batch(x)

    def run(self, feed: Any, callbacks: Any, verbose: Any) -> Any:
        """The outputs over a feed, joined along the batch axis."""
        calls = self.model._callbacks(callbacks, verbose, 1, feed)
        each = calls.wants_batches("predict")
        batches = BatchCalls(calls, "predict", getattr(self.model, "steps_per_execution", 1), feed.steps)
        self.model.stop_predicting = False
        calls.on_predict_begin()
        t, n = self._values()
        parts: list[Any] = []
        latest: dict[int, Any] = {}
        if each:
            batches.begin()
        for done, group in enumerate(feed.groups(1), 1):
            with padded_rows.real(jax.tree.map(lambda a: a[0], group.batches)) as batch:
                outputs, changed = self.compiled(t, n, data.unpack(batch)[0])
            outputs = padded_rows.only_real(outputs, group.batches)
            for place, value in changed.items():
                n[place] = value
            latest |= changed
            parts.append(outputs)
            ended = batches.after(done)
            if not each:
                calls.on_group("predict", done, {})
            elif ended:
                batches.end({"outputs": _joined(parts[batches.first :])})
            if self.model.stop_predicting:
                break
            if each and ended:
                batches.begin()
        if each and batches.open and not self.model.stop_predicting:
            batches.end({"outputs": _joined(parts[batches.first :])})
        self._put(latest)
        calls.on_predict_end()
        if not parts:
            raise ValueError("predict: the data gave no batch")
        return _joined(parts)


def _joined(parts: list[Any]) -> Any:
    """Outputs of several batches as one, as NumPy arrays of their own."""
    parts = [jax.tree.map(np.asarray, p) for p in parts]
    return jax.tree.map(lambda *xs: np.concatenate(xs), *parts)


def _overridden(model: Any, method: str) -> bool:
    return bool(method) and model._overrides(method)


def takes_state(method: Any) -> bool:
    """Whether a step is `method(state, data)`, rather than `method(data)`."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(method).parameters.values())
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return True
    parameters = [p for p in parameters if p.kind in kinds]
    return sum(p.default is inspect.Parameter.empty for p in parameters) > 1
