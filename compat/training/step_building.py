"""`Prepared`: what must be made before steps run: the model's variables, metrics, optimizer, and the steps."""

from __future__ import annotations

import contextlib
from typing import Any

import jax

from compat.engine import abstract_build
from compat.state import scope
from compat.training import data
from compat.training.compilation import Compiled
from compat.training.objectives import flat_outputs
from compat.training.steps import EvalStep, PredictStep, TrainStep
from kfun import abstract
from kfun.spec import Spec


class Prepared(Compiled):
    """Builds what a feed's batches need, and the pure steps of a model."""

    def _prepare(self, feed: Any, method: str) -> None:
        """Builds the model, its metrics and its optimizer for the batches of a feed."""
        if self._needs_look(method):
            x, y, _ = data.unpack(feed.specs())
            if not self.built or not self._variables_made():
                abstract_build.build_model(self, (x,))
            if method != "predict" and self.compiled:
                self._build_compiled(x, y)
        if method == "fit" and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        if method != "predict":
            self._check_targets(feed)

    def _needs_look(self, method: str) -> bool:
        """Whether something must be built from the shapes of the first batch, when Keras looks at it."""
        if not self.built or not self._variables_made():
            return True
        loss, compiled = self.__dict__.get("_kf_loss"), self.__dict__.get("_kf_metrics")
        return method != "predict" and (
            (loss is not None and not loss.built) or (compiled is not None and not compiled.built)
        )

    def _check_targets(self, feed: Any) -> None:
        """Lets the losses look at the numbers of the targets, which compiled steps cannot do."""
        loss = self.__dict__.get("_kf_loss")
        makes_masks = any(
            getattr(layer, "mask_zero", False) or hasattr(layer, "mask_value") for layer in self._all_layers()
        )
        if loss is None or makes_masks:  # what is masked may be labelled with anything
            return
        if type(self).compute_loss is not Compiled.compute_loss:  # which may give the losses other targets
            return
        known = self.__dict__.setdefault("_kf_output_specs", {})

        def look(batch: Any) -> None:
            x, y, weight = data.unpack(batch)
            if y is None:
                return
            specs = data.specs_of(x)
            form = str(jax.tree.map(lambda s: (s.shape, s.dtype), specs))
            if form not in known:
                known[form] = abstract_build.build_model(self, (specs,))
            if not loss.built:
                loss.build(known[form], self._names())
            loss.check_targets(y, weight, flat_outputs(known[form], self._names()))

        feed.check(look)

    def _variables_made(self) -> bool:
        return all(layer.built for layer in self._all_layers())

    def _build_compiled(self, x: Any, y: Any) -> None:
        """Builds losses and metrics for specs of a batch."""
        loss, compiled = self.__dict__["_kf_loss"], self.__dict__["_kf_metrics"]
        if y is None or (loss is None and compiled is None):
            return
        outputs = abstract_build.build_model(self, (x,))
        if loss is not None and not loss.built and type(self).compute_loss is not Compiled.compute_loss:
            with contextlib.suppress(Exception):  # what is wrong with it is told when it trains
                self._compute_loss_abstractly(x, y, outputs)
        if loss is not None and not loss.built:
            loss.build(outputs, self._names())
        if compiled is not None and not compiled.built:
            compiled.name_outputs(self._names())
            compiled.build(y, outputs, abstractly=not self._op_by_op)

    def _compute_loss_abstractly(self, *specs: Any) -> None:
        """Runs a `compute_loss` of the model's own on specs: it may give the losses other outputs than the model's."""
        flat, structure = jax.tree.flatten(specs, is_leaf=lambda s: isinstance(s, Spec))

        def run(*arrays: Any) -> Any:
            with scope.Scope(abstract=True):
                return self.compute_loss(*jax.tree.unflatten(structure, arrays), None)

        abstract.evaluate(run, *flat)

    def _step(self, kind: str) -> Any:
        made = self.__dict__["_kf_steps_made"]
        if kind not in made or made[kind].revision != getattr(getattr(self, "optimizer", None), "revision", 0):
            made[kind] = {"train": TrainStep, "test": EvalStep, "predict": PredictStep}[kind](self)
        return made[kind]

    def _groups(self) -> list[list[Any]]:
        return [
            self.trainable_variables,
            self.non_trainable_variables,
            list(self.optimizer.variables) if self.optimizer is not None else [],
            self.metrics_variables,
        ]

    # ---- Keras's names for the compiled steps ----

    def make_train_function(self, force: bool = False) -> Any:
        """Makes `train_function(state, iterator) -> (logs, state)`: one step on the iterator's next batch."""
        if self.train_function is None or force:
            self.train_function = self._function("train")
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Makes `test_function(state, iterator) -> (logs, state)`."""
        if self.test_function is None or force:
            self.test_function = self._function("test")
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        """Makes `predict_function((trainable, non_trainable), iterator) -> (outputs, state)`."""
        if self.predict_function is None or force:
            step = self._step("predict")

            def run(state: Any, iterator: Any) -> tuple[Any, Any]:
                x, _, _ = data.unpack(next(iterator))
                return step.compiled(*state, x), state

            self.predict_function = run
        return self.predict_function

    def _function(self, kind: str) -> Any:
        step = self._step(kind)

        def run(state: Any, iterator: Any) -> tuple[dict, tuple]:
            once = step.run if self._op_by_op else step.once
            new, logs = once(list(state), next(iterator))
            return logs, tuple(new)

        return run

    def jax_state_sync(self) -> None:
        """Nothing: variables show the running step's values at any time."""

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, dict]:
        """The variables' values in nested dicts by path.

        Args:
            value_format: `"backend_tensor"` or `"numpy_array"`.

        Returns:
            Dicts under `trainable_variables`, `non_trainable_variables`, `optimizer_variables`, `metrics_variables`.

        Raises:
            ValueError: if two variables of a kind have one path.

        Raises:
            ValueError: if the format is unknown.
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            raise ValueError(f"get_state_tree: expected 'backend_tensor' or 'numpy_array'; received {value_format!r}")
        found = {}
        for kind, variables in self._by_kind().items():
            paths = [v.path for v in variables]
            twice = sorted({p for p in paths if paths.count(p) > 1})
            if twice:
                raise ValueError(f"get_state_tree: several {kind} have the path {twice[0]!r}; give layers other names")
            values = [v.value if value_format == "backend_tensor" else v.numpy() for v in variables]
            found[kind] = _nested(dict(zip(paths, values, strict=True)))
        return found

    def set_state_tree(self, state_tree: dict[str, dict]) -> None:
        """Sets variables from nested dicts by path, in the form of `get_state_tree`.

        Raises:
            ValueError: if a kind or a path is unknown.
        """
        known = self._by_kind()
        for kind, values in state_tree.items():
            if kind not in known:
                raise ValueError(f"set_state_tree: unknown kind {kind!r}; expected one of {sorted(known)}")
            variables = {v.path: v for v in known[kind]}
            for path, value in _flat(values).items():
                if path not in variables:
                    raise ValueError(f"set_state_tree: {kind} has no {path!r}")
                variables[path].assign(value)

    def _by_kind(self) -> dict[str, list]:
        names = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")
        return dict(zip(names, self._groups(), strict=True))


def _nested(flat: dict[str, Any]) -> dict:
    found: dict[str, Any] = {}
    for path, value in flat.items():
        *heads, last = path.split("/")
        inner = found
        for head in heads:
            inner = inner.setdefault(head, {})
        inner[last] = value
    return found


def _flat(tree: dict, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _flat(value, f"{prefix}{key}/") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
