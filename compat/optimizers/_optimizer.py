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
from compat.variables.variable import Variable
from kfun import ops
from kfun import optim as _kfun
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

    definition_class: type = _Written
    _parameters = faces.parameters_of(_Written) | {"learning_rate": inspect.Parameter.empty, "name": None}
    _parameters.pop("exclude_from_weight_decay")

    def __init__(self, *args: Any, **kwargs: Any):
        given, _ = faces.bind(type(self).__name__, self._parameters, args, kwargs)
        given["name"] = given["name"] or naming.auto_name(type(self).__name__)
        self._arguments = given
        rate = given["learning_rate"]
        rate = float(rate) if isinstance(rate, Variable) else _of_step(rate)
        self.definition = self.definition_class(**given | {"learning_rate": rate})
        self._setup(given["name"])

    def _made(self) -> Any:
        if type(self.definition) is _Written:
            inner = _transform.from_rule(self.definition)
            return self.definition.around(optax.GradientTransformation(inner.init, self._written_step))
        return self.definition.build()

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
        form = self._form if self.built else None
        self._replace(**{name: value})
        if self.built and jax.tree.structure(self._present_form(changed=True)) != jax.tree.structure(form):
            self._replace(**{name: getattr(before, name)})
            raise ValueError(
                f"{type(self).__name__}.{name} = {value!r} asks for other variables than the optimizer, already "
                "built, has; give it to the constructor, or set it before the first step"
            )
        self._arguments[name] = value
        self.revision += 1

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Moves one variable by its gradient; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate)")

    def _written_step(self, updates: Any, state: Any, params: Any) -> tuple[Any, dict[str, Any]]:
        """Runs `update_step` for every variable in a scope, where variables show the values of state and params."""
        variables = dict(zip(self._params, self._trained, strict=True))
        rate = _transform.rate_at(self.definition, state)
        shown = {variables[path]: self._decayed(path, x, rate) for path, x in params.items()}
        shown |= dict(zip(self._own, state.get("own", ()), strict=True)) | {self._entries["count"]: state["count"]}
        with scope.Scope(shown) as inside:
            for path, gradient in updates.items():
                self.update_step(gradient, variables[path], rate)
        moves = {path: inside.get(variables[path]) - x for path, x in params.items()}
        new = {**state, "count": state["count"] + 1, "learning_rate": rate}
        return moves, new | {"own": [inside.get(v) for v in self._own]} if self._own else new

    def _decayed(self, path: str, x: Any, rate: Any) -> Any:
        decay = self.definition.decay(path, x)
        return (x - x * (rate * decay)).astype(x.dtype) if decay else x

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
        if self.built:
            self._form.setdefault("own", []).append(len(self._variables))
        self._own.append(variable)
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

    def _follow(self, schedule: Any) -> None:
        """Makes the learning rate that of a schedule."""
        self._arguments["learning_rate"] = schedule
        self._replace(learning_rate=_of_step(schedule))
        if not self.built:
            self._entries.pop("learning_rate", None)
            self._variables = list(self._entries.values())

    def _clip_gradients(self, grads: Any) -> list[Any]:
        """Gradients within the limits of the arguments, under the name that training loops call."""
        given = {str(i): ops.convert_to_tensor(g) for i, g in enumerate(grads)}
        return list(self.definition.clip(given).values())

    def __getattr__(self, name: str) -> Any:
        if name == "_iterations":
            return self._entry("count")
        if name in _SLOTS and "_params" in self.__dict__:
            return [self._entries[f"{_SLOTS[name]}/{path}"] for path in self._params]
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
        if "exclude_layers" in config:  # Muon's: Keras has an empty list for None
            config["exclude_layers"] = config["exclude_layers"] or []
        return config


faces.sign(Optimizer, Optimizer._parameters)


class _Constant:
    """A function of nothing as one of the step."""

    def __init__(self, function: Any):
        self.function = function

    def __call__(self, step: Any) -> Any:
        return self.function()


def _of_step(rate: Any) -> Any:
    """What kfun takes of a learning rate; a function without arguments, as Keras takes it, ignores the step."""
    rate = getattr(rate, "definition", rate)
    if not inspect.isfunction(rate) or inspect.signature(rate).parameters:
        return rate
    return _Constant(rate)
