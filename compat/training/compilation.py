"""`Compiled`: what `compile` gives a model: optimizer, losses, metrics, and how its steps run."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from typing import Any

import jax

from compat import losses, optimizers
from compat import metrics as metrics_face
from compat.engine.tracebacks import filtered
from compat.engine.tracking import unique
from compat.serialization.objects import arguments_of, serialize_keras_object
from compat.serialization.registry import is_reading, reading
from compat.state.changes import quiet_setter
from compat.training.objectives import CompileLoss, CompileMetrics
from compat.variables import variable_views
from compat.variables.variable import unwrap
from kfun import dtypes, ops

_KINDS = {"optimizer": "optimizer", "loss": "loss", "metrics": "metric", "weighted_metrics": "metric"}


@dataclasses.dataclass
class Compilation:
    """What `compile` made: its arguments, the losses, the metrics, and the loss's mean; None before."""

    arguments: dict[str, Any] | None = None
    loss: CompileLoss | None = None
    metrics: CompileMetrics | None = None
    tracker: Any = None


class Compiled:
    """The half of `Trainer` that says what is trained, on what, and what is measured."""

    _measured_by_outer = False
    # Keras's names, which models of published packages read.
    _loss_tracker = property(lambda self: self._kf_compilation.tracker)
    _compile_loss = property(lambda self: self._kf_compilation.loss)
    _compile_metrics = property(lambda self: self._kf_compilation.metrics)

    # Before `compile`.
    _kf_compilation = Compilation()
    _kf_run_eagerly, _kf_jit_compile = False, "auto"
    steps_per_execution = 1
    loss = loss_weights = train_function = test_function = predict_function = None

    def _init_trainer(self) -> None:
        self.__dict__.update(_kf_compilation=Compilation(), _kf_steps_made={}, _kf_output_specs={}, optimizer=None)
        quiet_setter(type(self))(self, "stop_training", False)

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
            jit_compile: whether steps are compiled; "auto" unless a layer has `supports_jit = False`.
            auto_scale_loss: whether float16 training scales its loss.

        Raises:
            ValueError: if a name is unknown, or both `run_eagerly` and `jit_compile` are asked for.
        """
        if run_eagerly and jit_compile is True:
            raise ValueError("compile: run_eagerly=True and jit_compile=True exclude each other; pass one of them")
        made = optimizers.get(optimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16":
            made = optimizers.with_loss_scale(made)
        for item in jax.tree.leaves(loss) if loss is not None else []:
            losses.get(item)
        metrics_face.check_names(metrics)
        metrics_face.check_names(weighted_metrics)
        object.__setattr__(self, "optimizer", made)
        keep = quiet_setter(type(self))
        keep(self, "jit_compile", jit_compile)
        keep(self, "run_eagerly", run_eagerly)
        arguments = {
            "optimizer": optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution, "jit_compile": self.jit_compile,
        }  # fmt: skip
        self.loss, self.loss_weights = loss, loss_weights
        keep(self, "steps_per_execution", int(steps_per_execution))
        given = metrics is not None or weighted_metrics is not None
        self.__dict__["_kf_compilation"] = Compilation(
            arguments,
            None if loss is None else CompileLoss(loss, loss_weights),
            CompileMetrics(metrics, weighted_metrics) if given else None,
            metrics_face.Mean(name="loss"),
        )
        keep(self, "stop_training", False)

    def _forget_steps(self) -> None:
        self.__dict__["_kf_steps_made"] = {}
        keep = quiet_setter(type(self))
        for name in ("train_function", "test_function", "predict_function"):
            keep(self, name, None)

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._kf_compilation.arguments is not None

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run op by op, to debug; may be set."""
        return self._kf_run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self.__dict__["_kf_run_eagerly"] = bool(value)
        self._forget_steps()

    @property
    def jit_compile(self) -> bool:
        """Whether steps are compiled; may be set, "auto" unless eager or a layer has `supports_jit = False`."""
        if self._kf_jit_compile != "auto":
            return bool(self._kf_jit_compile)
        return not self.run_eagerly and all(getattr(layer, "supports_jit", True) for layer in self._all_layers())

    @jit_compile.setter
    def jit_compile(self, value: Any) -> None:
        self.__dict__["_kf_jit_compile"] = value if value == "auto" else bool(value)
        self._forget_steps()

    @property
    def _op_by_op(self) -> bool:
        return self.run_eagerly or not self.jit_compile

    def _need_compile(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{method}: call model.compile(optimizer=..., loss=...) first")

    def get_compile_config(self) -> dict | None:
        """What `compile` was given, as JSON data; empty before."""
        given = self._kf_compilation.arguments or {}
        return {k: serialize_keras_object(self.optimizer if k == "optimizer" else v) for k, v in given.items()}

    def compile_from_config(self, config: dict) -> None:
        """Compiles as `get_compile_config` said, unless the class has a `compile` of its own."""
        if type(self).compile is not Compiled.compile:
            warnings.warn(
                f"{type(self).__name__} {self.name!r} is not compiled as it was when it was saved: its class has a "
                "compile of its own. Call that after loading, or define get_compile_config and compile_from_config",
                stacklevel=2,
            )
            return

        with reading(None if is_reading() else math.inf):  # what comes from no file is the user's own
            given = arguments_of(config, _KINDS)
        self.compile(**given)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    # ---- metrics ----

    @property
    def metrics(self) -> list[Any]:
        """The loss's mean, the compiled metrics as one, those of the outputs' losses, of the model, of its layers."""
        loss, metrics = self._compile_loss, self._compile_metrics
        found = [m for m in (self._loss_tracker, metrics) if m is not None] + ([] if loss is None else loss.metrics)
        return unique(found + self._own_metrics() + self._metrics_below())

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
        found: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            found |= result if isinstance(result, dict) else {metric.name: result}
        return unwrap(found)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Moves the metrics by a batch and gives all results; a subclass may override it."""
        compiled = self._compile_metrics
        if compiled is not None and y is not None:
            compiled.name_outputs(self._names())
            compiled.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _names(self) -> list[str] | None:
        return getattr(self, "output_names", None)

    def _listed(self, logs: dict) -> Any:
        """Logs as a list, in the order of the metrics; one alone as it is."""
        names = [n for m in self.metrics for n in (m.listed() if isinstance(m, CompileMetrics) else [m.name])]
        ordered = [logs[n] for n in names if n in logs] + [logs[n] for n in sorted(logs) if n not in names]
        return ordered[0] if len(ordered) == 1 else ordered

    # ---- the loss ----

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of a batch, regularizers and `add_loss` included; a subclass may override it.

        Raises:
            ValueError: if there is none to train with.
        """
        compiled = self._compile_loss
        parts = [] if compiled is None else [compiled(y, y_pred, sample_weight, self._names())]
        parts += [_scalar(value) for value in self.losses]
        if not parts:
            if training:
                raise ValueError("fit: the model has no loss; pass one to compile, or use add_loss")
            return ops.zeros(())
        return functools.reduce(ops.add, parts)

    def stateless_compute_loss(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        metrics_variables: Any,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tuple[Any, tuple]:
        """`compute_loss` as a pure function of the variables' values.

        Returns:
            `(loss, (trainable, non-trainable and metrics values))`.
        """
        groups = (self.trainable_variables, self.non_trainable_variables, self.metrics_variables)
        values = (trainable_variables, non_trainable_variables, metrics_variables)
        with variable_views.given(list(zip(groups, values, strict=True))) as inside:
            loss = self.compute_loss(x, y, y_pred, sample_weight=sample_weight, training=training)
            return loss, tuple([inside.get(v) for v in group] for group in groups)


def _scalar(loss: Any) -> Any:
    """What `add_loss` was given, as one number."""
    loss = ops.convert_to_tensor(loss)
    return ops.sum(loss if dtypes.is_float(dtypes.name(loss.dtype)) else ops.cast(loss, "float32"))
