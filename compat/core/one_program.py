"""`model(x)` as one compiled program, for models of our layers and ops between arrays.

A call op by op pays for each op's way through Python. What such a model computes depends on its variables and
inputs alone, so a model that is called often on inputs of one form is compiled whole: not at once, since that may
take as long as some calls. A layer that is changed after it was built makes all programs void.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from compat.core import calling, live, masks, scope

_FORMS = 64  # forms of inputs that are remembered
_CALLS = 8  # of one form that run op by op
_changes = [0]


def note_change() -> None:
    """A layer that was built is changed: what programs were made of may not hold any more."""
    _changes[0] += 1


def run(model: Any, args: tuple, kwargs: dict) -> Any:
    """The outputs of a call, or None if it must run op by op."""
    if len(args) != 1 or calling.CONTEXT.get() is not None or scope.current() is not None:
        return None
    form = _form(args[0])
    if form is None or (kwargs and (len(kwargs) > 1 or kwargs.get("training", True) is not False)):
        return None
    program = model.__dict__.get("_kf_program")
    if program is None or program.changes != _changes[0]:
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
        self.model, self.changes = model, _changes[0]
        self.allowed = not model._op_by_op and model.built and _pure(model)
        self.variables, self.layers = (model.variables, model._all_layers()) if self.allowed else ([], [])
        self.seen: dict[Any, int] = {}  # how many calls of a form ran op by op
        self.compiled = jax.jit(self._call, static_argnames=("training",))

    def __call__(self, x: Any, kwargs: dict, form: Any) -> Any:
        if not self.allowed or (calling.HOLDING and not calling.HOLDING.isdisjoint(self.layers)):
            return None
        calls = self.seen.get(form, 0)
        if calls < _CALLS:
            if calls or len(self.seen) < _FORMS:
                self.seen[form] = calls + 1
            return None
        values = [v.value if v._live is not None or v._value is None else v._value for v in self.variables]
        return self.compiled(values, x, **kwargs)

    def _call(self, values: list, x: Any, **kwargs: Any) -> Any:
        with live.given([(self.variables, values)]) as inside:
            outputs = self.model(x, **kwargs)
            kept = all(inside.get(v) is value for v, value in zip(self.variables, values, strict=True))
        plain = isinstance(outputs, (jax.Array, list, tuple))
        if kept and plain and not inside.added and masks.of(outputs) is None:
            return outputs
        self.allowed = False  # the call leaves more than its outputs
        return None


def _pure(layer: Any) -> bool:
    """Whether a layer and all in it are ours and told everything by their arguments."""
    from compat.core.functional import Functional
    from compat.core.generated import Part
    from compat.core.input_layer import InputLayer
    from compat.core.own import own_layer
    from compat.core.sequential import Sequential

    if isinstance(layer, (Functional, Sequential)):
        if type(layer).call not in (Functional.call, Sequential.call):
            return False
        steps = [s.node.target for s in getattr(layer, "_kf_steps", ())]
        return all(hasattr(t, "op") or _pure(t) for t in steps) and all(map(_pure, layer._sublayers()))
    if isinstance(layer, (InputLayer, Part)):
        return True
    return own_layer(layer) and all(map(_pure, layer._sublayers()))
