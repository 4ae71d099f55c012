"""`Base`: the variables of a gradient transformation, and its stateful and stateless use."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np

from compat.optimizers import _overwriting as overwriting
from compat.serialization.objects import arguments_of
from compat.serialization.patterns import check_pattern
from compat.state import naming, scope
from compat.state.paths import by_path
from compat.variables.variable import Variable
from kfun import ops, tree
from kfun import optim as _kfun


class Base:
    """Base of optimizers. Its variables are the transformation's state, in Keras's order and by Keras's names."""

    _parameters: dict[str, Any] = {}
    definition: Any = None  # what kfun makes the transformation of
    use_ema = False
    revision = 0  # how often an argument was changed, which voids compiled steps

    def _setup(self, name: str | None, transformation: Any) -> None:
        self.name = name or naming.auto_name(type(self).__name__)
        self.transformation = transformation
        self.built = False
        self._inside = False  # whether this one is part of another, whose variables it shows
        self._first = self._first_variables()
        self._variables: list[Variable] = list(self._first.values())
        self._trained: list[Variable] = []

    def _first_variables(self) -> dict[str, Variable]:
        """The variables that there are before `build`, by path in the state: the step, the rate unless scheduled."""
        if not isinstance(self.definition, _kfun.Optimizer):
            return {}
        first = {"count": _variable(f"{self.name}/iteration", np.zeros((), "int32"))}
        if not callable(self.definition.learning_rate):
            rate = np.asarray(self.definition.learning_rate, "float32")
            first["learning_rate"] = _variable(f"{self.name}/learning_rate", rate)
        return first

    def build(self, variables: list[Variable]) -> None:
        """Makes the optimizer's variables for the variables that it will train."""
        if self.built:
            return
        self._define(list(variables))
        self._trained = list(variables)
        params = {path: v.spec for path, v in by_path(self._trained).items()}
        self._params = list(params)
        state = jax.eval_shape(self.transformation.init, params)
        flat = tree.flatten(state)
        self._structure = jax.tree.structure(state)
        self._paths = list(flat)  # in the order of the structure
        listed = self._listing(params, flat)
        known = {state_path for _, state_path, _ in listed}
        others = [p for p in flat if p not in known and not _is_scheduled_rate(p, self.definition)]
        listed += [(f"{self.name}/{path}", path, flat[path]) for path in others]
        self._variables, places = [], {}
        for path, state_path, like in listed:
            if state_path is not None:
                places[state_path] = len(self._variables)
            first = self._first.get(state_path)
            self._variables.append(_slot(self, path, state_path, like) if first is None else first)
        self._places = [places.get(p) for p in self._paths]
        self._by_state_path = {p: self._variables[i] for p, i in places.items()}
        self.built = True
        self._show_parts(state)

    def _show_parts(self, state: Any) -> None:
        """Lets the optimizers inside this one show their share of its variables."""

    def _show(self, whole: Base, state: Any, trained: list[Variable], prefix: str = "") -> None:
        """Makes this optimizer, which is inside another, show that one's variables as its own.

        Args:
            whole: the optimizer around, built.
            state: this one's part of the whole's state.
            trained: the variables that it trains.
            prefix: of its entries' paths in the whole's state, such as `"optimizers/adam/"`.
        """
        self._trained, self._params = trained, list(by_path(trained))
        self._structure, self._paths = jax.tree.structure(state), list(tree.flatten(state))
        known = whole._by_state_path
        self._by_state_path = {p: known[prefix + p] for p in self._paths if prefix + p in known}
        shown = {id(v) for v in self._by_state_path.values()}
        name = getattr(self.definition, "name", None) or self.name  # what nothing reads has a name alone
        self._variables = [v for v in whole._variables if id(v) in shown or v.path.startswith(f"{name}/")]
        numbers = {id(v): i for i, v in enumerate(self._variables)}
        self._places = [numbers.get(id(self._by_state_path.get(p))) for p in self._paths]
        self._first = {}
        self.built = self._inside = True
        self._show_parts(state)

    def _saved_parts(self) -> list[tuple[str, Any]]:
        """Optimizers inside this one, by the names that files have for them."""
        return []

    def _define(self, variables: list[Variable]) -> None:
        """Settles the transformation where it depends on the variables."""

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

    def _listing(self, params: dict, flat: dict) -> list[tuple[str, str | None, Any]]:
        """`(path, path in the state, shape and dtype)` of each variable, in order."""
        if not isinstance(self.definition, _kfun.Optimizer):
            return [(f"{self.name}/{path}", path, like) for path, like in flat.items()]
        return [(entry.path, entry.state_path, entry) for entry in self.definition.variables(params)]

    def _draw(self) -> None:
        """Gives the variables that have none yet their first values."""
        params = {path: v.stored for path, v in by_path(self._trained).items()}
        with jax.ensure_compile_time_eval():
            flat = tree.flatten(self.transformation.init(params))
        for slot in self._variables:
            if isinstance(slot, _Slot) and not slot.drawn:
                slot._value = jax.numpy.copy(flat[slot.state_path])

    @property
    def variables(self) -> list[Variable]:
        """Iterations, learning rate, slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many steps were made: a variable; the number of whole ones where gradients accumulate."""
        count, every = self._entry("count"), self._steps()
        return ops.floor_divide(count.value, every) if every > 1 else count

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable, or what the schedule gives at the present step."""
        schedule = self._schedule()
        if schedule is not None:
            return schedule(self._entry("count").value)
        return self._entry("learning_rate") if self.built or self._first else self._first_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if self._schedule() is not None or callable(value):
            self._set_schedule(value)
        elif self.built:
            self._entry("learning_rate").assign(value)
        else:
            self._set_first_rate(float(value))
            self._entry("learning_rate").assign(float(value))

    lr = learning_rate

    def _schedule(self) -> Any:
        return None

    def _set_schedule(self, value: Any) -> None:
        raise TypeError(
            f"{type(self).__name__}: the learning rate follows a schedule and cannot be set; compile with a number"
        )

    def _first_rate(self) -> Any:
        raise AttributeError(f"{type(self).__name__} has no learning rate of its own")

    def _set_first_rate(self, value: float) -> None:
        raise AttributeError(f"{type(self).__name__} has no learning rate of its own")

    def _entry(self, path: str) -> Variable:
        if path in self._first:
            return self._first[path]
        if not self.built:
            raise ValueError(f"{type(self).__name__}: call build(variables) first")
        if path not in self._by_state_path:
            raise AttributeError(f"{type(self).__name__} has no {path!r}")
        return self._by_state_path[path]

    def state_of(self, values: Any) -> Any:
        """The transformation's state from the variables' values."""
        rate = ops.zeros((), "float32")  # a scheduled rate is told by the count
        return jax.tree.unflatten(self._structure, [rate if i is None else values[i] for i in self._places])

    def values_of(self, state: Any, old: Any) -> list[Any]:
        """The variables' values from the transformation's state."""
        new = list(old)
        for place, leaf in zip(self._places, jax.tree.leaves(state), strict=True):
            if place is not None:
                new[place] = leaf
        return new

    def stateless_apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> tuple[list, list]:
        """One step as a pure function of values.

        Returns:
            `(new trainable values, new optimizer values)`.
        """
        if not self.built:
            raise ValueError(f"{type(self).__name__}: call build(variables) first")
        if len(grads) != len(self._params):
            raise ValueError(f"the optimizer trains {len(self._params)} variables; received {len(grads)} gradients")
        trainable_variables = [v.value if isinstance(v, Variable) else v for v in trainable_variables]
        optimizer_variables = [v.value if isinstance(v, Variable) else v for v in optimizer_variables]
        params = dict(zip(self._params, trainable_variables, strict=True))
        _check_gradients(grads, self._trained)
        gradients = dict(zip(self._params, grads, strict=True))
        before = self.state_of(optimizer_variables)
        gradients, direct = overwriting.split(self._trained, gradients)
        updates, state = self.transformation.update(gradients, before, params)
        if direct:
            direct, state = overwriting.new_values(direct, params, before, state, self._steps())
        params = _kfun.apply_updates(params, updates)
        new = []
        for path, variable in zip(self._params, self._trained, strict=True):
            value = direct.get(path, params[path])
            new.append(value if variable.constraint is None else variable.constraint(value))
        return new, self.values_of(state, optimizer_variables)

    def _steps(self) -> int:
        """Over how many calls gradients accumulate."""
        return getattr(self.definition, "gradient_accumulation_steps", None) or 1

    def apply_gradients(self, grads_and_vars: Any) -> None:
        """One step: `[(gradient, variable), ...]`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step on the given variables, by default those it was built for."""
        if trainable_variables is not None:
            self.build(list(trainable_variables))
            if [id(v) for v in trainable_variables] != [id(v) for v in self._trained]:
                raise ValueError("the optimizer was built for other variables; make one optimizer per set of variables")
        values = [v.value for v in self._trained]
        values, own = self.stateless_apply([v.value for v in self._variables], list(grads), values)
        for variable, value in zip((*self._trained, *self._variables), (*values, *own), strict=True):
            variable.assign(value)

    def scale_loss(self, loss: Any) -> Any:
        """The loss whose gradient the optimizer expects."""
        return loss

    def stateless_scale_loss(self, optimizer_variables: Any, loss: Any) -> Any:
        """`scale_loss` as a pure function of the optimizer's values."""
        with scope.Scope(dict(zip(self._variables, optimizer_variables, strict=True))):
            return self.scale_loss(loss)

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k != "transformation"}  # functions made inside others

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.transformation = self._made()

    def finalize_variable_values(self, var_list: Any) -> None:
        """Sets the trained variables to their moving average, if `use_ema`."""

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Base:
        """The optimizer of a config."""
        config = arguments_of(config, _KINDS)
        for pattern in (config.get("exclude_layers") or (), config.get("exclude_from_weight_decay") or ()):
            for part in pattern if isinstance(pattern, (list, tuple)) else [pattern]:
                check_pattern(part)
        return cls(**config)

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables into a mapping, numbered."""
        for i, v in enumerate(self._variables):
            store[str(i)] = v._array()

    def load_own_variables(self, store: Any) -> None:
        """Reads the variables from a mapping, numbered."""
        if self._inside and not len(store):  # the file has them with the optimizer around alone
            return
        if len(store) != len(self._variables):
            if len(store) and ("0" not in store or np.any(store["0"])):  # no steps: there is no state to lose
                warnings.warn(
                    f"{type(self).__name__} {self.name!r} keeps its state: it has {len(self._variables)} variables, "
                    f"the file has {len(store)} for it",
                    stacklevel=2,
                )
            return
        read = getattr(store, "tensor", store.__getitem__)
        for i, v in enumerate(self._variables):
            v.assign(read(str(i)))


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


def _is_scheduled_rate(path: str, definition: Any) -> bool:
    """Whether an entry of the state is the rate that a schedule gave: Keras has no variable for it."""
    return path.rpartition("/")[2] == "learning_rate" and isinstance(definition, _kfun.Optimizer)


def _variable(path: str, value: Any) -> Variable:
    head, _, name = path.rpartition("/")
    with naming.at(head or "optimizer"):
        return Variable(jax.numpy.copy(value), trainable=False, autocast=False, name=name)


def _slot(optimizer: Base, path: str, state_path: str | None, like: Any) -> Variable:
    """A variable of the state, or of zeros if it is not in there."""
    head, _, name = path.rpartition("/")
    with naming.at(head or "optimizer"):
        made = (Variable if state_path is None else _Slot)(
            "zeros", like.shape, like.dtype, trainable=False, autocast=False, name=name
        )
    if state_path is not None:
        made.optimizer, made.state_path = optimizer, state_path
    return made


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
