"""`Metric`: variables, `update_state`, `result` and `reset_state`, also as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from compat.initializers import definition_of as _initializer
from compat.state import naming, scope
from compat.state import policy as policies
from compat.state.changes import note_assignment, quiet_setter
from compat.state.tree_reading import Scan
from compat.variables.variable import Variable, unwrap
from kfun import abstract, dtypes, ops
from kfun.spec import Spec


class Metric:
    """Base of metrics: a subclass makes variables with `add_weight` and gives `update_state` and `result`.

    Args:
        dtype: of the variables, by default `config.floatx()`, whatever the dtype policy.
        name: what logs call it; by default the class in snake case.
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        keep = quiet_setter(type(self))
        keep(self, "name", name or naming.auto_name(type(self).__name__))
        keep(self, "_dtype", policies.floatx() if dtype is None else dtypes.name(policies.get(dtype).compute_dtype))
        keep(self, "_own", [])
        keep(self, "_starts", {})
        note_assignment()

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable) and id(value) not in map(id, self.__dict__.get("_own", [])):
            self._own.append(value)
        if isinstance(value, (Variable, Metric, list, tuple, dict)):
            note_assignment()
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_kf_scan"}  # it counts on this process's assignments

    def _saved_parts(self) -> list[tuple[str, Any]]:
        return []

    @property
    def dtype(self) -> str:
        """The type of the variables."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The variables, with those in attributes that are metrics, lists, tuples or dicts."""
        scan = self.__dict__.get("_kf_scan")
        if scan is None or not scan.holds():
            self.__dict__.setdefault("_kf_scan", None)  # so that the number of attributes stays
            scan = self.__dict__["_kf_scan"] = Scan(self.__dict__, (Variable, Metric))
        found = {id(v): v for v in self._own}
        for part in scan.parts:
            found |= {id(v): v for v in ([part] if isinstance(part, Variable) else part.variables)}
        return list(found.values())

    def add_variable(
        self, shape: Any, initializer: Any, dtype: Any = None, aggregation: str = "sum", name: str | None = None
    ):
        """Makes a variable of the metric."""
        variable = Variable(
            _initializer(initializer), tuple(shape), dtype or self._dtype, False, False, aggregation, name=name,
            _within=naming.path_of(self.name),
        )  # fmt: skip
        if id(variable) not in map(id, self._own):
            self._own.append(variable)
            note_assignment()
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Makes a variable of the metric, zeros by default."""
        return self.add_variable(() if shape is None else shape, initializer or "zeros", dtype, name=name)

    def prepare(self, y_true: Any, y_pred: Any, abstractly: bool = True) -> None:
        """Makes the variables that wait for the first batch, before steps are compiled.

        Args:
            y_true, y_pred: arrays or specs of a batch.
            abstractly: whether to run `update_state` of a user-written metric on their specs.
        """
        if abstractly:
            leaves, structure = jax.tree.flatten((y_true, y_pred), is_leaf=lambda x: isinstance(x, Spec))

            def run(*arrays: Any) -> Any:
                with scope.Scope(abstract=True):
                    self.update_state(*jax.tree.unflatten(structure, arrays))
                return arrays[0]

            abstract.evaluate(run, *map(Spec.of, leaves))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Moves the metric by a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state(...)")

    def result(self) -> Any:
        """The value over all batches so far."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def reset_state(self) -> None:
        """Sets all variables to 0."""
        for v in self.variables:
            v.assign(ops.zeros(v.shape, v.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """`update_state` as a pure function of the variables' values; gives the new values."""
        return self._pure(metric_variables, lambda: self.update_state(*args, **kwargs))[1]

    def stateless_result(self, metric_variables: Any) -> Any:
        """`result` as a pure function of the variables' values."""
        return self._pure(metric_variables, self.result)[0]

    def stateless_reset_state(self) -> list[Any]:
        """The values that `reset_state` sets."""
        return self._pure([v.value for v in self.variables], self.reset_state)[1]

    def _pure(self, values: Any, function: Callable) -> tuple[Any, list[Any]]:
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(f"metric {self.name!r} has {len(variables)} variables; received {len(values)} values")
        values = [v.value if isinstance(v, Variable) else v for v in values]
        with scope.Scope(dict(zip(variables, values, strict=True))) as inside:
            result = unwrap(function())
            return result, [inside.get(v) for v in variables]

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self._dtype}

    @classmethod
    def from_config(cls, config: dict) -> Metric:
        """The metric of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
