"""`Optimizer`: the base of user-written optimizers."""

from __future__ import annotations

import inspect
import re
from typing import Any

import jax
import numpy as np
import optax

from compat.initializers import definition_of as _initializer
from compat.optimizers._base import Base
from compat.serialization import faces
from compat.serialization.objects import serialize_keras_object
from compat.state import naming, scope
from compat.state.paths import by_path
from compat.variables.variable import Variable
from kfun import ops
from kfun import optim as _kfun
from kfun.errors import refuse_unknown
from kfun.optim import _transform
from kfun.optim._optimizer import LearningRate

# Slots under the names that published code reads them by.
_SLOTS = {"_accumulated_gradients": "gradient_accumulator", "_model_variables_moving_average": "average"}


class _Written(_kfun.Optimizer):
    """What a user-written optimizer has in common with all: its learning rate and how gradients are treated."""

    learning_rate: LearningRate = 0.001


class Optimizer(Base):
    """Base of user-written optimizers.

    A subclass gives `update_step(gradient, variable, learning_rate)`, which moves one variable with
    `self.assign...`, and makes variables of its own in `build(variables)` after `super().build(variables)`:

        class Momentum(Optimizer):
            def build(self, variables):
                super().build(variables)
                self.velocities = self.add_optimizer_variables(variables, "velocity")

            def update_step(self, gradient, variable, learning_rate):
                velocity = self.velocities[self._get_variable_index(variable)]
                self.assign(velocity, 0.9 * velocity + gradient)
                self.assign_sub(variable, learning_rate * velocity)

    Args:
        learning_rate: a number, a schedule or a function of the step.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            loss_scale_factor, gradient_accumulation_steps: as in `kfun.optim.Optimizer`.
        name: by default the class in snake case, numbered.
    """

    _parameters = faces.parameters_of(_Written) | {"name": None}
    _parameters.pop("exclude_from_weight_decay")

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        given = {n: v for n, v in locals().items() if n in self._parameters}
        refuse_unknown(type(self).__name__, kwargs, self._parameters)
        self._arguments = {n: given[n] for n in self._parameters}
        self._begin(_Written)

    def _begin(self, definition_class: type) -> None:
        """Makes the definition of the arguments, and what can be made of it before the variables are known."""
        arguments = self._arguments
        arguments["name"] = arguments["name"] or naming.auto_name(type(self).__name__)
        rate = arguments.get("learning_rate")
        rate = float(rate) if isinstance(rate, Variable) else _of_step(getattr(rate, "definition", rate))
        self.definition = definition_class(**arguments | {"learning_rate": rate})
        self._setup(arguments["name"], self._made())

    def _made(self) -> Any:
        """The transformation of the present definition."""
        return self.definition.around(optax.GradientTransformation(self._init, self._update))

    def _replace(self, **changes: Any) -> None:
        self.definition = self.definition.replace(**changes)
        self.transformation = self._made()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_arguments", ()) and name not in ("learning_rate", "name"):
            self._set_argument(name, value)
        else:
            super().__setattr__(name, value)

    def _set_argument(self, name: str, value: Any) -> None:
        """Changes an argument after the constructor; compiled steps follow from the next `fit` on."""
        before = self.definition
        if before.replace(**{name: value}) == before:
            return
        if self._inside:
            raise ValueError(
                f"{type(self).__name__}.{name}: this optimizer is a part of another one, which is built; set it before"
            )
        self._replace(**{name: value})
        if self.built and self._form() != self._structure:
            self._replace(**{name: getattr(before, name)})
            raise ValueError(
                f"{type(self).__name__}.{name} = {value!r} asks for other variables than the optimizer, already "
                "built, has; give it to the constructor, or set it before the first step"
            )
        self._arguments[name] = value
        self.revision += 1

    def _form(self) -> Any:
        """The structure of the state that the present definition has for the trained variables."""
        params = {path: v.spec for path, v in zip(self._params, self._trained, strict=True)}
        return jax.tree.structure(jax.eval_shape(self.transformation.init, params))

    def _define(self, variables: list[Variable]) -> None:
        first = self._first.get("learning_rate")
        if first is not None and float(first) != float(np.float32(self.definition.learning_rate)):
            self._replace(learning_rate=float(first))  # it was assigned before the build

    def build(self, variables: list[Variable]) -> None:
        """Makes the optimizer's variables for the variables that it will train."""
        if not self.built:
            super().build(variables)
            self._common = len(self._variables)  # what follows is a subclass's own

    # ---- a step ----

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Moves one variable by its gradient; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate)")

    def _init(self, params: Any) -> dict[str, Any]:
        state = _transform.from_rule(self.definition).init(params)
        return state | {"own": []}

    def _update(self, updates: Any, state: Any, params: Any) -> tuple[Any, Any]:
        """Runs `update_step` for every variable in a scope, where variables show the values of state and params."""
        variables, own = by_path(self._trained), self._own()
        rate = _transform.rate_at(self.definition, state)
        shrunk = {p: self._decayed(p, x, rate) for p, x in params.items()}
        given = {v: shrunk[p] for p, v in variables.items()} | dict(zip(own, state["own"], strict=True))
        count = self._by_state_path["count"]
        with scope.Scope(given | {count: state["count"]}) as inside:
            for path, gradient in updates.items():
                self.update_step(gradient, variables[path], rate)
            moves = {p: ops.subtract(inside.get(variables[p]), x) for p, x in params.items()}
            new = [inside.get(v) for v in own]
        return moves, {**state, "count": ops.add(state["count"], 1), "learning_rate": rate, "own": new}

    def _decayed(self, path: str, x: Any, rate: Any) -> Any:
        decay = self.definition.decay(path, x)
        return x if not decay else ops.cast(ops.subtract(x, ops.multiply(x, ops.multiply(rate, decay))), x.dtype)

    def _own(self) -> list[Variable]:
        """The variables that the subclass made."""
        return self._variables[self._common :]

    def state_of(self, values: Any) -> Any:
        state = super().state_of(values)
        return {**state, "own": list(values[self._common :])} if len(values) > self._common else state

    def values_of(self, state: Any, old: Any) -> list[Any]:
        if len(old) == self._common:
            return super().values_of(state, old)
        return super().values_of({**state, "own": []}, old[: self._common]) + list(state["own"])

    # ---- variables of a subclass ----

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Makes a variable of the optimizer.

        Args:
            shape: sizes.
            initializer: a name, an initializer or a function `(shape, dtype)`.
            dtype: float32 by default.
            aggregation: how copies on several devices combine; kept for files.
            layout: must be None: an optimizer's variables follow the layout of what they belong to.
            name: the last part of its path.
        """
        if layout is not None:
            raise ValueError("add_variable: layout: the variables of an optimizer follow those that it trains")
        with naming.at(self.name):
            variable = Variable(_initializer(initializer), shape, dtype, False, False, aggregation, name=name)
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Makes a variable of the shape and dtype of another one, named after it."""
        name = f"{reference_variable.path.replace('/', '_')}_{name or 'variable'}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=name)

    def add_optimizer_variables(self, trainable_variables: Any, name: Any, initializer: Any = "zeros") -> Any:
        """Makes a variable for each trained one; for several names a tuple of lists."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        each = initializer if isinstance(initializer, (list, tuple)) else [initializer] * len(name)
        return tuple(self.add_optimizer_variables(trainable_variables, n, i) for n, i in zip(name, each, strict=True))

    def _get_variable_index(self, variable: Variable) -> int:
        return next(i for i, v in enumerate(self._trained) if v is variable)

    def assign(self, variable: Variable, value: Any) -> None:
        """Puts a value into a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable."""
        variable.assign_sub(value)

    # ---- arguments ----

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Names variables that do not decay: by object, or by patterns that are searched for in their paths."""
        if self.built:
            raise ValueError("exclude_from_weight_decay must be called before the optimizer is built")
        patterns = [f"^{re.escape(v.path)}$" for v in var_list or []] + list(var_names or [])
        self._replace(exclude_from_weight_decay=(*self.definition.exclude_from_weight_decay, *patterns))

    def _schedule(self) -> Any:
        rate = getattr(self.definition, "learning_rate", None)
        return rate if callable(rate) else None

    def _set_schedule(self, value: Any) -> None:
        if not callable(value):
            super()._set_schedule(value)
        self._arguments["learning_rate"] = value
        self._replace(learning_rate=_of_step(getattr(value, "definition", value)))
        if not self.built:
            self._first.pop("learning_rate", None)
            self._variables = list(self._first.values())

    def _first_rate(self) -> Any:
        rate = getattr(self.definition, "learning_rate", None)
        return super()._first_rate() if rate is None else rate

    def _set_first_rate(self, value: float) -> None:
        self._arguments["learning_rate"] = value
        self._replace(learning_rate=value)

    @property
    def use_ema(self) -> bool:
        """Whether a moving average of the variables is kept."""
        return self.definition.use_ema

    def finalize_variable_values(self, var_list: Any) -> None:
        if self.use_ema:
            for path, variable in zip(self._params, self._trained, strict=True):
                variable.assign(self._by_state_path[f"average/{path}"].value)

    def scale_loss(self, loss: Any) -> Any:
        return self.definition.scale_loss(loss, None)

    def _clip_gradients(self, grads: Any) -> list[Any]:
        """Gradients within the limits of the arguments, under the name that training loops call."""
        given = {str(i): ops.convert_to_tensor(g) for i, g in enumerate(grads)}
        d = self.definition
        if d.clipnorm:
            given = _transform.clip_by_norm(d.clipnorm)(given)
        elif d.global_clipnorm:
            given = _transform.clip_by_global_norm(d.global_clipnorm)(given)
        elif d.clipvalue:
            given = _transform.clip_by_value(d.clipvalue)(given)
        return list(given.values())

    def __getattr__(self, name: str) -> Any:
        if name == "_iterations":
            return self._entry("count")
        if name in _SLOTS and "_by_state_path" in self.__dict__:
            return [self._by_state_path[f"{_SLOTS[name]}/{path}"] for path in self._params]
        if not name.startswith("_") and name in self.__dict__.get("_arguments", {}):
            return getattr(self.definition, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def get_config(self) -> dict:
        """The constructor's arguments, the learning rate as it is now."""
        rate = self._arguments.get("learning_rate")
        if "<locals>" in getattr(rate, "__qualname__", ""):
            raise ValueError(
                f"{type(self).__name__}: the learning rate follows a function made inside another, which a file cannot "
                "name. Use one of keras.optimizers.schedules, or a named function, to save the optimizer"
            )
        config = {k: serialize_keras_object(v) for k, v in self._arguments.items()}
        if self._schedule() is None:
            config["learning_rate"] = float(np.float32(self.learning_rate))
        return config


class _Constant:
    """A function of nothing as one of the step."""

    def __init__(self, function: Any):
        self.function = function

    def __call__(self, step: Any) -> Any:
        return self.function()


def _of_step(rate: Any) -> Any:
    """A learning rate that may be a function: one without arguments, as Keras takes it, ignores the step."""
    if not inspect.isfunction(rate) or inspect.signature(rate).parameters:
        return rate
    return _Constant(rate)
