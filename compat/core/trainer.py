"""`Trainer`: compile, fit, evaluate, predict.

One pure step is built from the model and run by `kfun.training`: many steps per dispatch unless
a callback wants to look at every batch. The step's state is four lists of values, as in Keras on
JAX: trainable, non-trainable, optimizer's, metrics'.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import jax
import numpy as np

from compat.core import building, data, live, resume
from compat.core.compile import CompileLoss, CompileMetrics, flat_outputs
from compat.core.limits import limit_steps, limited_epochs
from compat.core.running import Inner, run_epoch, to_numbers
from compat.core.steps import EvalStep, PredictStep, TrainStep
from compat.core.tracebacks import filtered
from kfun import ops


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

    @filtered
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

        if self._needs_look(method):
            x, y, _ = data.unpack(feed.specs())
            if not self.built or not self._variables_made():
                building.build_model(self, (x,))
            compiled = self.__dict__.get("_kf_metrics")
            if compiled is not None and not compiled.built and y is not None:
                self._build_metrics(x, y)
        if self.compiled and self.__dict__["_kf_loss_tracker"] is None:
            self.__dict__["_kf_loss_tracker"] = metrics_face.Mean(name="loss")
        if method == "fit" and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        if method != "predict":
            self._check_targets(feed)

    def _needs_look(self, method: str) -> bool:
        """Whether something must be built from the shapes of the first batch, when Keras looks at it."""
        if not self.built or not self._variables_made():
            return True
        loss, compiled = self.__dict__.get("_kf_loss"), self.__dict__.get("_kf_metrics")
        has_metrics = compiled is not None and any(g is not None for g in compiled.given)
        return method != "predict" and ((loss is not None and not loss._built) or (has_metrics and not compiled.built))

    def _check_targets(self, feed: Any) -> None:
        """Lets the losses look at the numbers of the targets, which compiled steps cannot do."""
        loss = self.__dict__.get("_kf_loss")
        makes_masks = any(
            getattr(layer, "mask_zero", False) or hasattr(layer, "mask_value") for layer in self._all_layers()
        )
        if loss is None or makes_masks:  # what is masked may be labelled with anything
            return
        known = self.__dict__.setdefault("_kf_output_specs", {})

        def look(batch: Any) -> None:
            x, y, weight = data.unpack(batch)
            if y is None:
                return
            specs = data.specs_of(x)
            form = str(jax.tree.map(lambda s: (s.shape, s.dtype), specs))
            if form not in known:
                known[form] = flat_outputs(building.build_model(self, (specs,)), self._names())
            if not loss._built:
                loss.build(list(known[form]))
            loss.check_targets(y, weight, known[form])

        feed.check(look)

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
            limit_steps(held)
        epochs = limited_epochs(epochs)
        limit_steps(feed)
        self._prepare(feed, "fit")
        feed.reset()
        step = self._step("train")
        calls = self._callbacks(callbacks, verbose, epochs, feed, add_history=True)
        self.stop_training = False
        self.__dict__["_kf_feed"] = weakref.ref(feed)
        with live.Live(*self._groups()) as state:
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

    def _finalize(self, state: live.Live) -> None:
        if self.optimizer is not None and getattr(self.optimizer, "use_ema", False):
            self.optimizer.finalize_variable_values(self.trainable_variables)

    def _callbacks(self, callbacks: Any, verbose: Any, epochs: int, feed: Any, add_history: bool = False) -> Any:
        """The callbacks of a method as one; a `CallbackList` that is given is used as it is."""
        from compat.callbacks import CallbackList

        params = {"verbose": _verbosity(verbose), "epochs": epochs, "steps": feed.steps}
        if isinstance(callbacks, CallbackList):
            if add_history:
                callbacks.record(self)
            callbacks.set_params(params)
            return callbacks
        return CallbackList(callbacks, add_history, params["verbose"] != 0, self, **params)

    def _evaluate_in(self, state: live.Live, feed: Any, calls: Any) -> dict[str, float]:
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
        feed = limit_steps(data.make_feed(x, y, sample_weight, batch_size, False, None, steps, "evaluate"))
        self._prepare(feed, "evaluate")
        feed.reset()
        step = self._step("test")
        calls = self._callbacks(callbacks, verbose, 1, feed)
        self.stop_evaluating = False
        groups = self._groups()
        with live.Live(groups[0], groups[1], groups[3]) as state:
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
        feed = limit_steps(data.make_feed(x, None, None, batch_size, False, None, steps, "predict"))
        self._prepare(feed, "predict")
        return step.run(feed, callbacks, verbose)

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
        """One step on one batch; the metrics go on from the last call, `reset_metrics` begins anew."""
        self._need_compile("train_on_batch")
        feed = data.one_batch(x, y, sample_weight, class_weight)
        self._prepare(feed, "fit")
        step = self._step("train")
        with live.Live(*self._groups()) as state:
            state.state, logs = _one(step, state.state, feed.batch(), self.run_eagerly)
        logs = to_numbers(logs)
        return logs if return_dict else self._listed(logs)

    @filtered
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

    @filtered
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


def _one(step: Any, state: Any, batch: Any, eagerly: bool) -> tuple[Any, dict]:
    return step.run(state, batch) if eagerly else step.once(state, batch)
