"""`Trainer`: compile, fit, evaluate, predict.

One pure step is built from the model and run by `kfun.training`: many steps per dispatch unless
a callback wants to look at every batch. The step's state is four lists of values, as in Keras on
JAX: trainable, non-trainable, optimizer's, metrics'.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compat.core import building, data, live
from compat.core.compile import CompileLoss, CompileMetrics, flat_outputs
from compat.core.steps import EvalStep, PredictStep, TrainStep
from kfun import ops
from kfun.training import StopEpoch, epoch


class Trainer:
    """The training half of `Model`."""

    def _init_trainer(self) -> None:
        self.__dict__["_kf_compiled"] = None
        self.__dict__["_kf_steps_made"] = {}
        self.__dict__["_kf_output_specs"] = {}
        self.__dict__["_kf_loss_tracker"] = None
        self.__dict__["optimizer"] = None
        self.stop_training = False

    # ---- compile ----

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how the model is trained.

        Args:
            optimizer: a name, an optimizer, or an optax transformation.
            loss: a name, a loss or a function; a list or dict of them for several outputs.
            loss_weights: numbers, in a list or dict like the outputs.
            metrics: names or metrics, in a list; lists or dicts of them for several outputs.
            weighted_metrics: likewise, of metrics that see the sample weights.
            run_eagerly: whether steps run uncompiled, to debug.
            steps_per_execution: how often batch callbacks are called; steps are fused anyway.
            jit_compile: compiled unless False, which means `run_eagerly`.
            auto_scale_loss: whether float16 training scales its loss.
        """
        from compat import losses, optimizers
        from compat import metrics as metrics_face

        made = optimizers.get(optimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16":
            made = optimizers.with_loss_scale(made)
        for item in jax.tree.leaves(loss) if loss is not None else []:
            losses.get(item)
        metrics_face.check_names(metrics)
        metrics_face.check_names(weighted_metrics)
        object.__setattr__(self, "optimizer", made)
        self.__dict__["_kf_compiled"] = {
            "optimizer": optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution, "jit_compile": jit_compile,
        }  # fmt: skip
        self.loss, self.loss_weights = loss, loss_weights
        self.run_eagerly = bool(run_eagerly) or jit_compile is False
        self.steps_per_execution = int(steps_per_execution)
        self.__dict__["_kf_loss"] = None if loss is None else CompileLoss(loss, loss_weights)
        self.__dict__["_kf_metrics"] = CompileMetrics(metrics, weighted_metrics)
        self.__dict__["_kf_loss_tracker"] = None
        self.__dict__["_kf_steps_made"] = {}
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self.__dict__.get("_kf_compiled") is not None

    def _need_compile(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{method}: call model.compile(optimizer=..., loss=...) first")

    def get_compile_config(self) -> dict | None:
        """What `compile` was given, as JSON data."""
        from compat.saving import serialize_keras_object

        given = self.__dict__.get("_kf_compiled")
        if given is None:
            return None
        return {k: serialize_keras_object(self.optimizer if k == "optimizer" else v) for k, v in given.items()}

    def compile_from_config(self, config: dict) -> None:
        """Compiles as `get_compile_config` said."""
        from compat.saving import deserialize_keras_object

        given = {k: deserialize_keras_object(v) for k, v in config.items()}
        self.compile(**given)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    # ---- losses and metrics ----

    @property
    def metrics(self) -> list[Any]:
        """The loss's mean, the metrics of `compile`, and those of layers."""
        tracker = self.__dict__.get("_kf_loss_tracker")
        found = [] if tracker is None else [tracker]
        own = super().metrics  # type: ignore[misc]
        compiled = self.__dict__.get("_kf_metrics")
        loss = self.__dict__.get("_kf_loss")
        trackers = list(loss.trackers.values()) if loss is not None else []
        return found + own + trackers + (compiled.metrics if compiled is not None else [])

    @property
    def metrics_names(self) -> list[str]:
        """The names of the metrics."""
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        """All metrics at their beginning."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The present results by name."""
        compiled = self.__dict__.get("_kf_metrics")
        inner = {id(m) for m in (compiled.metrics if compiled is not None else [])}
        found: dict[str, Any] = {}
        for metric in self.metrics:
            if id(metric) in inner:
                continue
            result = metric.result()
            found |= result if isinstance(result, dict) else {metric.name: result}
        for name, result in (compiled.result() if compiled is not None else {}).items():
            found |= result if isinstance(result, dict) else {name: result}
        return found

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of a batch, regularizers and `add_loss` included; a subclass may override it."""
        losses = []
        compiled = self.__dict__.get("_kf_loss")
        if compiled is not None:
            losses.append(compiled(y, y_pred, sample_weight, self._names()))
        losses += [ops.cast(value, "float32") for value in self.losses]
        if not losses:
            raise ValueError("fit: the model has no loss; pass one to compile, or use add_loss")
        total = losses[0]
        for value in losses[1:]:
            total = ops.add(total, value)
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Moves the metrics by a batch and gives all results; a subclass may override it."""
        self._move_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _move_metrics(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        compiled = self.__dict__.get("_kf_metrics")
        if compiled is not None and y is not None:
            compiled.update_state(y, y_pred, sample_weight, self._names())

    def _names(self) -> list[str] | None:
        return getattr(self, "output_names", None)

    def _listed(self, logs: dict) -> Any:
        """Logs as a list, the loss first, then in the order of the metrics; one alone as it is."""
        compiled, loss = self.__dict__.get("_kf_metrics"), self.__dict__.get("_kf_loss")
        names = ["loss"] + [m.name for m in (compiled.metrics if compiled is not None else [])]
        names += [m.name for m in (loss.trackers.values() if loss is not None else [])]
        ordered = [n for n in names if n in logs]
        values = [logs[n] for n in [*ordered, *(n for n in logs if n not in ordered)]]
        return values[0] if len(values) == 1 else values

    # ---- building ----

    def _prepare(self, feed: Any, method: str) -> None:
        """Builds the model, its metrics and its optimizer for the batches of a feed."""
        from compat import metrics as metrics_face

        batch = feed.specs()
        x, y, _ = data.unpack(batch)
        if not self.built or not self._variables_made():
            building.build_model(self, (x,))
        if self.compiled and self.__dict__["_kf_loss_tracker"] is None:
            self.__dict__["_kf_loss_tracker"] = metrics_face.Mean(name="loss")
        compiled = self.__dict__.get("_kf_metrics")
        if compiled is not None and not compiled.built and y is not None:
            self._build_metrics(x, y)
        if method == "fit" and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        if method != "predict" and y is not None:
            self._check_targets(feed, x)

    def _check_targets(self, feed: Any, x: Any) -> None:
        """Lets the losses look at the numbers of the targets, which compiled steps cannot do."""
        loss = self.__dict__.get("_kf_loss")
        makes_masks = any(
            getattr(layer, "mask_zero", False) or hasattr(layer, "mask_value") for layer in self._all_layers()
        )
        if loss is None or makes_masks:  # what is masked may be labelled with anything
            return
        outputs = self.__dict__.setdefault("_kf_output_specs", {})
        form = str(jax.tree.map(lambda s: (s.shape, s.dtype), x))
        if form not in outputs:
            outputs[form] = flat_outputs(building.build_model(self, (x,)), self._names())
        if not loss._built:
            loss.build(list(outputs[form]))
        feed.check(lambda batch: loss.check_targets(*data.unpack(batch)[1:], outputs[form]))

    def _variables_made(self) -> bool:
        return all(layer.built for layer in self._all_layers())

    def _build_metrics(self, x: Any, y: Any) -> None:
        outputs = building.build_model(self, (x,))
        loss = self.__dict__["_kf_loss"]
        if loss is not None and not loss._built:
            loss.build(list(flat_outputs(outputs, self._names())))
        self.__dict__["_kf_metrics"].build(y, outputs, self._names())

    def _step(self, kind: str) -> Any:
        made = self.__dict__["_kf_steps_made"]
        if kind not in made:
            made[kind] = {"train": TrainStep, "test": EvalStep, "predict": PredictStep}[kind](self)
        return made[kind]

    def _groups(self) -> list[list[Any]]:
        return [
            self.trainable_variables,
            self.non_trainable_variables,
            list(self.optimizer.variables) if self.optimizer is not None else [],
            self.metrics_variables,
        ]

    # ---- fit ----

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
        from compat.callbacks import CallbackList

        self._need_compile("fit")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = data.split(x, y, sample_weight, validation_split)
        feed = data.make_feed(x, y, sample_weight, batch_size, shuffle, class_weight, steps_per_epoch, "fit")
        held = None
        if validation_data is not None:
            held = data.validation_feed(validation_data, validation_batch_size or batch_size, validation_steps)
        self._prepare(feed, "fit")
        step = self._step("train")
        calls = CallbackList(
            callbacks, add_history=True, add_progbar=verbose not in (0, False), verbose=_verbosity(verbose),
            epochs=epochs, steps=feed.steps, model=self,
        )  # fmt: skip
        self.stop_training = False
        with live.Live(*self._groups()) as state:
            calls.on_train_begin()
            logs: dict[str, float] = {}
            for number in range(initial_epoch, epochs):
                calls.on_epoch_begin(number)
                state.state = step.reset(state.state)
                logs = self._run(step, state, feed, calls, "train")
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

    def _finalize(self, state: live.Live) -> None:
        if self.optimizer is not None and getattr(self.optimizer, "use_ema", False):
            self.optimizer.finalize_variable_values(self.trainable_variables)

    def _run(self, step: Any, state: live.Live, feed: Any, calls: Any, mode: str) -> dict[str, float]:
        """Runs an epoch over a feed; gives its logs as numbers."""
        begin, end = getattr(calls, f"on_{mode}_batch_begin"), getattr(calls, f"on_{mode}_batch_end")
        each = calls.wants_batches(mode)
        size = self.steps_per_execution if each else step.steps_per_dispatch
        done = 0

        def on_group(count: int, rows: int, logs: dict, new: Any) -> Any:
            nonlocal done
            state.state, done = new, count
            if each:
                end(count - 1, calls.lazy(logs))
            else:
                calls.on_group(mode, count, logs)
            if self.stop_training and mode == "train":
                raise StopEpoch
            if each:
                begin(count)
            return state.take()

        if each:
            begin(0)
        if self.run_eagerly:
            state.state, logs = _eager(step, state.state, feed, on_group)
        else:
            state.state, logs = epoch(step, state.state, feed, steps_per_dispatch=size, on_group=on_group)
        return to_numbers(logs)

    def _evaluate_in(self, state: live.Live, feed: Any, calls: Any) -> dict[str, float]:
        """Evaluates with the values of a running fit."""
        step = self._step("test")
        calls.on_test_begin()
        t, n, o, m = state.state
        inner = _Inner(step.reset([t, n, m]), state, o)
        logs = self._run(step, inner, feed, calls, "test")
        calls.on_test_end(logs)
        return logs

    # ---- evaluate and predict ----

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
        from compat.callbacks import CallbackList

        if kwargs:
            raise TypeError(f"evaluate: unknown arguments {sorted(kwargs)}")
        self._need_compile("evaluate")
        feed = data.make_feed(x, y, sample_weight, batch_size, False, None, steps, "evaluate")
        self._prepare(feed, "evaluate")
        step = self._step("test")
        calls = CallbackList(
            callbacks, add_progbar=verbose not in (0, False), verbose=_verbosity(verbose), epochs=1,
            steps=feed.steps, model=self,
        )  # fmt: skip
        groups = self._groups()
        with live.Live(groups[0], groups[1], groups[3]) as state:
            calls.on_test_begin()
            state.state = step.reset(state.state)
            logs = self._run(step, state, feed, calls, "test")
            calls.on_test_end(logs)
        return logs if return_dict else self._listed(logs)

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
        self._prepare(feed, "predict")
        return step.run(feed, callbacks, verbose)

    # ---- one batch ----

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch; the metrics go on from the last call, `reset_metrics` begins anew."""
        self._need_compile("train_on_batch")
        feed = data.one_batch(x, y, sample_weight, class_weight)
        self._prepare(feed, "fit")
        step = self._step("train")
        with live.Live(*self._groups()) as state:
            state.state, logs = _one(step, state.state, feed.batch(), self.run_eagerly)
        logs = to_numbers(logs)
        return logs if return_dict else self._listed(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch; the metrics go on from the last call."""
        self._need_compile("test_on_batch")
        feed = data.one_batch(x, y, sample_weight, None)
        self._prepare(feed, "evaluate")
        step = self._step("test")
        groups = self._groups()
        with live.Live(groups[0], groups[1], groups[3]) as state:
            state.state, logs = _one(step, state.state, feed.batch(), self.run_eagerly)
        logs = to_numbers(logs)
        return logs if return_dict else self._listed(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        feed = data.one_batch(x, None, None, None)
        self._prepare(feed, "predict")
        return self._step("predict").batch(data.unpack(feed.batch())[0])

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
        with live.given([(self.trainable_variables, state[0]), (self.non_trainable_variables, state[1])]) as inside:
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
        with live.given(given) as inside:
            y_pred = self(x, training=True) if training else self(x, training=False)
            loss = unscaled = self.compute_loss(x, y, y_pred, sample_weight, training=training)
            if training and self.optimizer is not None and optimizer_variables is not None:
                loss = self.optimizer.stateless_scale_loss(optimizer_variables, loss)
            new = [inside.get(v) for v in others], [inside.get(v) for v in metrics]
        return loss, (unscaled, y_pred, *new)


class _Inner:
    """The evaluation inside a fit: its state is part of the fit's."""

    def __init__(self, state: Any, outer: live.Live, optimizer: Any):
        self.outer, self.optimizer = outer, optimizer
        self.state = state

    @property
    def state(self) -> Any:
        return self._state

    @state.setter
    def state(self, new: Any) -> None:
        self._state = new
        t, n, m = new
        self.outer.state = [t, n, self.optimizer, m]

    def take(self) -> Any:
        return None


def _verbosity(verbose: Any) -> int:
    return 1 if verbose == "auto" else int(verbose)


def _due(number: int, frequency: Any) -> bool:
    if isinstance(frequency, (list, tuple, set)):
        return number + 1 in frequency
    return (number + 1) % int(frequency) == 0


def to_numbers(logs: dict) -> dict[str, Any]:
    """Logs read from the device, by name as in Keras: floats, arrays where a metric has several values."""
    fetched = jax.device_get(logs)
    return {k: float(fetched[k]) if np.ndim(fetched[k]) == 0 else np.asarray(fetched[k]) for k in sorted(logs)}


def _warn_of_nan(logs: dict, number: int) -> None:
    loss = logs.get("loss")
    if loss is not None and np.ndim(loss) == 0 and not np.isfinite(loss):
        warnings.warn(
            f"epoch {number + 1}: the loss is {loss}. Lower the learning rate, clip gradients, check the data "
            "for NaN, or stop early with callbacks.TerminateOnNaN()",
            stacklevel=3,
        )


def _one(step: Any, state: Any, batch: Any, eagerly: bool) -> tuple[Any, dict]:
    return step.run(state, batch) if eagerly else step.once(state, batch)


def _eager(step: Any, state: Any, feed: Any, on_group: Callable) -> tuple[Any, dict]:
    """An epoch without compiling: every step runs op by op."""
    logs = None
    for done, group in enumerate(feed.groups(1), 1):
        batch = jax.tree.map(lambda x: ops.convert_to_tensor(x[0]), group.batches)
        state, logs = step.run(state, batch)
        try:
            changed = on_group(done, group.rows, logs, state)
        except StopEpoch:
            break
        state = state if changed is None else changed
    if logs is None:
        raise ValueError("the data gave no batch: an epoch needs at least one example")
    return state, logs
