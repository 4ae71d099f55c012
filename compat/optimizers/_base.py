"""`Base`: the variables of a gradient transformation, and its stateful and stateless use."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import jax
import numpy as np

from compat.optimizers import _overwriting as overwriting
from compat.serialization.objects import arguments_of
from compat.serialization.patterns import check_pattern
from compat.state import naming, scope
from compat.state.changes import quiet_setter
from compat.state.paths import by_path
from compat.variables.variable import Variable, fill
from kfun import ops, tree
from kfun import optim as _kfun
from kfun.initializers import Zeros
from kfun.optim import _transform

Values = dict[str, Any]  # of trained variables, by path


class Base:
    """Base of optimizers. Its variables are the transformation's state, in Keras's order and by Keras's names."""

    _parameters: dict[str, Any] = {}
    definition: Any = None  # what kfun makes the transformation of
    revision = 0  # how often an argument was changed, which voids compiled steps

    def _setup(self, name: str | None) -> None:
        keep = quiet_setter(type(self))
        keep(self, "name", name or naming.auto_name(type(self).__name__))
        keep(self, "transformation", self._made())
        keep(self, "built", False)
        keep(self, "_inside", False)  # whether this one is part of another, whose variables are its own too
        entries = {path: self._first_variable(path, value) for path, value in self._first_values().items()}
        keep(self, "_entries", entries)
        keep(self, "_variables", list(entries.values()))
        keep(self, "_trained", [])
        keep(self, "_own", [])  # variables that a subclass adds

    def _first_values(self) -> dict[str, float]:
        """First values, by path in the state, of the variables that there are before `build`."""
        rate = self.definition.learning_rate
        return {"count": 0} if callable(rate) else {"count": 0, "learning_rate": rate}

    def _first_variable(self, path: str, value: float) -> Variable:
        name = "iteration" if path == "count" else path
        value = jax.numpy.array(value, "int32" if isinstance(value, int) else "float32")
        return _variable(f"{self.name}/{name}", Variable, value)

    def build(self, variables: list[Variable]) -> None:
        """Makes the optimizer's variables for the variables that it will train."""
        if self.built:
            return
        keep = quiet_setter(type(self))
        keep(self, "_trained", list(variables))
        keep(self, "_params", list(by_path(self._trained)))
        keep(self, "_variables", [*self._all_variables(), *self._own])
        keep(self, "built", True)

    def _listing(self) -> list[_kfun.OptimizerVariable]:
        """What variables there are, in order."""
        return self.definition.variables(self._specs())

    def _specs(self) -> Values:
        return {path: v.spec for path, v in zip(self._params, self._trained, strict=True)}

    def _all_variables(self) -> list[Variable]:
        """The variables of the entries of the state, and of zeros for what is not in there."""
        found = []
        for entry in self._listing():
            if entry.state_path is None:
                found.append(_variable(entry.path, Variable, _ZEROS, entry.shape, entry.dtype))
                continue
            if entry.state_path not in self._entries:
                made = _variable(entry.path, _Slot, _ZEROS, entry.shape, entry.dtype)
                self._entries[entry.state_path], made.optimizer, made.state_path = made, self, entry.state_path
            found.append(self._entries[entry.state_path])
        return found

    @functools.cached_property
    def _form(self) -> Any:
        """The form of the state that the optimizer was built for; steps need it, and loading does not."""
        return self._present_form()

    def _present_form(self, changed: bool = False) -> Any:
        """The state of the present definition with the number of its variable in place of each entry.

        A rate that a schedule tells has no variable, as in Keras; a changed definition may ask for others that there
        are not.
        """
        numbers = {id(v): i for i, v in enumerate(self._variables)}
        state = jax.eval_shape(self.transformation.init, self._specs())
        leaves, structure = jax.tree_util.tree_flatten_with_path(state)
        found = []
        for keys, _ in leaves:
            path = tree.path_of(keys)
            if changed or path == "learning_rate":
                found.append(numbers.get(id(self._entries.get(path)), _NOWHERE))
            else:
                found.append(numbers[id(self._entries[path])])
        form = jax.tree.unflatten(structure, found)
        return form | {"own": [numbers[id(v)] for v in self._own]} if self._own else form

    def state_of(self, values: Any) -> Any:
        """The transformation's state from the variables' values."""
        rate = ops.zeros((), "float32")  # a scheduled rate is told by the count
        return jax.tree.map(lambda i: rate if i == _NOWHERE else values[i], self._form)

    def values_of(self, state: Any, old: Any) -> list[Any]:
        """The variables' values from the transformation's state."""
        new = dict(zip(jax.tree.leaves(self._form), jax.tree.leaves(state), strict=True))
        return [new.get(i, value) for i, value in enumerate(old)]

    def _draw(self) -> None:
        """Gives the variables that have none yet their first values."""
        params = {path: v.stored for path, v in zip(self._params, self._trained, strict=True)}
        with jax.ensure_compile_time_eval():
            flat = tree.flatten(self.transformation.init(params))
        for slot in self._variables:
            if isinstance(slot, _Slot) and not slot.drawn:
                slot._value = jax.numpy.copy(flat[slot.state_path])

    def set_weights(self, weights: Any) -> None:
        """Sets the variables, in the order of `variables`."""
        if not self.built:
            raise ValueError(
                f"You are calling set_weights() of the {type(self).__name__} before it has its variables: call "
                "build(variables) first"
            )
        if len(weights) != len(self._variables):
            raise ValueError(f"the optimizer has {len(self._variables)} variables; received {len(weights)} values")
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    @property
    def variables(self) -> list[Variable]:
        """Iterations, learning rate, slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many steps were made: a variable; the number of whole ones where gradients accumulate."""
        return _transform.steps_made(self._entry("count"), self._calls_per_step())

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable, or what the schedule gives at the present step."""
        schedule = self._schedule()
        return self._entry("learning_rate") if schedule is None else schedule(self._entry("count").value)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value):
            self._follow(value)
        elif self._schedule() is None:
            self._entry("learning_rate").assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__}: the learning rate follows a schedule and cannot be set; compile with a number"
            )

    lr = learning_rate

    def _schedule(self) -> Any:
        """What the learning rate follows, if it does."""
        rate = getattr(self.definition, "learning_rate", None)
        return rate if callable(rate) else None

    def _entry(self, path: str) -> Variable:
        """The variable of an entry of the state."""
        if path not in self._entries:
            raise AttributeError(f"{type(self).__name__} has no {path.replace('_', ' ')} of its own")
        return self._entries[path]

    def _calls_per_step(self) -> int:
        """Over how many calls gradients accumulate."""
        return getattr(self.definition, "calls_per_step", 1)

    def stateless_apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> tuple[list, list]:
        """One step as a pure function of values.

        Returns:
            `(new trainable values, new optimizer values)`.
        """
        if not self.built:
            raise ValueError(f"{type(self).__name__}: call build(variables) first")
        if len(grads) != len(self._trained):
            raise ValueError(f"the optimizer trains {len(self._trained)} variables; received {len(grads)} gradients")
        _check_gradients(grads, self._trained)
        params = dict(zip(self._params, _bare(trainable_variables), strict=True))
        gradients = dict(zip(self._params, grads, strict=True))
        moves, after = self._update(gradients, _bare(optimizer_variables), params)
        new = _kfun.apply_updates(params, moves)
        new |= {path: moves[path] for path in overwriting.split(self._trained, gradients)[1]}
        pairs = zip(self._trained, (new[path] for path in self._params), strict=True)
        return [value if v.constraint is None else v.constraint(value) for v, value in pairs], after

    def _update(self, gradients: Values, values: list[Any], params: Values) -> tuple[Values, list[Any]]:
        """What to add to the params, or the new value of what is overwritten, and the optimizer's new values."""
        gradients, direct = overwriting.split(self._trained, gradients)
        before = self.state_of(values)
        moves, after = self.transformation.update(gradients, before, params)
        direct, after = overwriting.new_values(direct, params, before, after, self._calls_per_step())
        return moves | direct, self.values_of(after, values)

    def apply_gradients(self, grads_and_vars: Any) -> None:
        """One step: `[(gradient, variable), ...]`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step on the given variables, by default those it was built for."""
        if trainable_variables is not None:
            self.build(list(trainable_variables))
            self.check_trains(trainable_variables)
        values, own = self.stateless_apply(self._variables, list(grads), self._trained)
        for variable, value in zip((*self._trained, *self._variables), (*values, *own), strict=True):
            variable.assign(value)

    def check_trains(self, variables: Any) -> None:
        """Raises ValueError if the optimizer was built for other variables."""
        if [id(v) for v in variables] != [id(v) for v in self._trained]:
            raise ValueError("the optimizer was built for other variables; make one optimizer per set of variables")

    def scale_loss(self, loss: Any) -> Any:
        """The loss whose gradient the optimizer expects."""
        return self.definition.scale_loss(loss, None)

    def stateless_scale_loss(self, optimizer_variables: Any, loss: Any) -> Any:
        """`scale_loss` as a pure function of the optimizer's values."""
        with scope.Scope(dict(zip(self._variables, optimizer_variables, strict=True))):
            return self.scale_loss(loss)

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k != "transformation"}  # functions made inside others

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.transformation = self._made()

    def _made(self) -> Any:
        """The transformation of the present definition."""

    @property
    def use_ema(self) -> bool:
        """Whether a moving average of the variables is kept."""
        return getattr(self.definition, "use_ema", False)

    def finalize_variable_values(self, var_list: Any) -> None:
        """Sets the trained variables to their moving average, if `use_ema`."""
        for path, variable in zip(self._params, self._trained, strict=True) if self.use_ema else ():
            variable.assign(self._entries[f"average/{path}"].value)

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Base:
        """The optimizer of a config."""
        config = arguments_of(config, _KINDS)
        for patterns in (config.get("exclude_layers") or (), config.get("exclude_from_weight_decay") or ()):
            for pattern in patterns if isinstance(patterns, (list, tuple)) else [patterns]:
                check_pattern(pattern)
        return cls(**config)

    def _saved_parts(self) -> list[tuple[str, Any]]:
        """Optimizers inside this one, by the names that files have for them."""
        return []

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables into a mapping, numbered."""
        for i, v in enumerate(self._variables):
            store[str(i)] = v._array()

    def load_own_variables(self, store: Any) -> None:
        """Reads the variables from a mapping, numbered."""
        if len(store) == len(self._variables):
            fill(self._variables, store)
        elif store.keys() and ("0" not in store or np.any(store["0"])):  # without steps there is no state to lose
            warnings.warn(
                f"{type(self).__name__} {self.name!r} keeps its state: it has {len(self._variables)} variables, "
                f"the file has {len(store)} for it",
                stacklevel=2,
            )


_ZEROS = Zeros()
_NOWHERE = -1  # in place of a variable's number


def _bare(values: Any) -> list[Any]:
    return [v.value if isinstance(v, Variable) else v for v in values]


def _check_gradients(grads: Any, trained: list[Variable]) -> None:
    """Warns of variables without a gradient, which stay as they are.

    Raises:
        ValueError: if there is none at all.
    """
    missing = [v.path for g, v in zip(grads, trained, strict=True) if g is None]
    if missing and len(missing) == len(trained):
        raise ValueError(f"there is not one gradient, for none of {missing}")
    if missing:
        warnings.warn(
            f"there are no gradients for {missing}, which stay as they are: does the loss depend on them?",
            stacklevel=4,
        )


def _variable(path: str, kind: type[Variable], *value: Any) -> Any:
    """A variable of an optimizer, from an array, or from an initializer, a shape and a dtype."""
    head, _, name = path.rpartition("/")
    return kind(*value, trainable=False, autocast=False, name=name, _within=head or "optimizer")


_KINDS = {"learning_rate": "schedule", "inner_optimizer": "optimizer", "optimizer_map": "optimizer map"}


class _Slot(Variable):
    """A variable of an optimizer's state, which gets its first value with all others when one is looked at.

    A model that is read from a file has its optimizer built before its weights are there: nothing is drawn for
    values that the file brings.
    """

    optimizer: Base
    state_path: str

    def materialize(self) -> None:
        """Computes the optimizer's first state."""
        if not self.drawn:
            self.optimizer._draw()
