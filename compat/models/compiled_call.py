"""`model(x)` as one compiled program, for models of our layers and ops between arrays.

A call op by op pays for each op's way through Python. What such a model computes depends on its variables and
inputs alone, so a model that is called often on inputs of one form is compiled whole: not at once, since that may
take as long as some calls. A layer that is changed after it was built makes all programs void.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from compat.engine import call_context
from compat.state import changes, masks, scope
from compat.variables import variable_views

_FORMS = 64  # forms of inputs that are remembered
_CALLS = 8  # of one form that run op by op


def run(model: Any, args: tuple, kwargs: dict) -> Any:
    """The outputs of a call, or None if it must run op by op."""
    if len(args) != 1 or call_context.CONTEXT.get() is not None or scope.current() is not None:
        return None
    form = _form(args[0])
    if form is None or (kwargs and (len(kwargs) > 1 or kwargs.get("training", True) is not False)):
        return None
    program = model.__dict__.get("_kf_program")
    if program is None or program.changes != changes.to_built_layers():
        program = model.__dict__["_kf_program"] = Program(model)
    return program(args[0], kwargs, (form, bool(kwargs)))


def _form(x: Any) -> Any:
    """Shape and type of an array, or those of each in a list or tuple; None if that is not what `x` is."""
    if type(x) is np.ndarray or (isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)):
        return None if masks.get(x) is not None else (x.shape, x.dtype)
    if isinstance(x, (list, tuple)):
        forms = tuple(_form(part) for part in x)
        return None if None in forms else forms
    return None


class Program:
    """The compiled calls of a model as it is now.

    Args:
        model: a `Functional` or `Sequential`.
    """

    def __init__(self, model: Any):
        self.model, self.changes = model, changes.to_built_layers()
        self.allowed = not model._op_by_op and model.built and model._is_pure()
        self.variables, self.layers = (model.variables, model._all_layers()) if self.allowed else ([], [])
        self.seen: dict[Any, int] = {}  # how many calls of a form ran op by op
        self.compiled = jax.jit(self._call, static_argnames=("training",))

    def __call__(self, x: Any, kwargs: dict, form: Any) -> Any:
        if not self.allowed or (call_context.HOLDING and not call_context.HOLDING.isdisjoint(self.layers)):
            return None
        calls = self.seen.get(form, 0)
        if calls < _CALLS:
            if calls or len(self.seen) < _FORMS:
                self.seen[form] = calls + 1
            return None
        values = [v.value if v._live is not None or v._value is None else v._value for v in self.variables]
        return self.compiled(values, x, **kwargs)

    def _call(self, values: list, x: Any, **kwargs: Any) -> Any:
        with variable_views.given([(self.variables, values)]) as inside:
            outputs = self.model(x, **kwargs)
            kept = all(inside.get(v) is value for v, value in zip(self.variables, values, strict=True))
        plain = isinstance(outputs, (jax.Array, list, tuple))
        if kept and plain and not inside.added and masks.of(outputs) is None:
            return outputs
        self.allowed = False  # the call leaves more than its outputs
        return None
