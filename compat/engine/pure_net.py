"""A model as a kfun layer: a pure function over its variables' values."""

from __future__ import annotations

from typing import Any

from compat.state import scope
from compat.state.paths import by_path
from kfun.layer import Layer


class ModelNet(Layer):
    """Any compat model as a kfun layer; params and state are dicts by variable path."""

    model: Any

    def check(self):
        if not self.model.built:
            raise ValueError(f"model {self.model.name!r} must be built first: call it on data once")

    def values(self) -> tuple[dict, dict]:
        """`(params, state)`: the present values of the variables."""
        trained, others = self._variables()
        return {p: v.value for p, v in trained.items()}, {p: v.value for p, v in others.items()}

    def _variables(self) -> tuple[dict, dict]:
        trained = by_path(self.model.trainable_variables)
        others = by_path(self.model.non_trainable_variables, trained)
        return trained, others

    def init(self, key, *specs):
        """The model's present values; `key` and specs are not needed, the model is drawn already."""
        return self.values()

    def apply(self, params, state, *inputs, key=None, training=False):
        trained, others = self._variables()
        given = {v: params[p] for p, v in trained.items()} | {v: state[p] for p, v in others.items()}
        with scope.Scope(given) as inside:
            outputs = self.model(*inputs, training=training)
        return outputs, {p: inside.get(v) for p, v in others.items()}
