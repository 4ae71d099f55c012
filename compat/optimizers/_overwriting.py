"""Variables whose gradient is their new value (`overwrite_with_gradient`), as the scales of float8 products are."""

from __future__ import annotations

from typing import Any

from compat.variables.variable import Variable
from kfun import ops

Values = dict[str, Any]


def split(trained: list[Variable], gradients: Values) -> tuple[Values, Values]:
    """The gradients for the rule, zeros in place of those that are new values, and the latter.

    Zeros keep the new values out of the norms that clipping takes and out of what a loss scale divides.
    """
    direct = {
        path: ops.cast(gradient, variable.dtype)
        for variable, (path, gradient) in zip(trained, gradients.items(), strict=True)
        if variable.overwrite_with_gradient and gradient is not None
    }
    return gradients | {path: ops.zeros_like(value) for path, value in direct.items()}, direct


def new_values(direct: Values, params: Values, before: Any, after: Any, steps: int) -> tuple[Values, Any]:
    """The variables after the step, and the rule's state with their share of the accumulated gradients.

    Of gradients that accumulate the largest is the new value.

    Args:
        direct: the new values by path.
        params: the present values.
        before, after: the rule's state before and after its step.
        steps: over how many calls gradients accumulate.
    """
    if steps == 1 or not direct:
        return direct, after
    last = ops.equal(ops.mod(after["count"], steps), 0)
    sums, new = dict(after["gradient_accumulator"]), {}
    for path, value in direct.items():
        value = ops.maximum(value, ops.cast(before["gradient_accumulator"][path], value.dtype))
        new[path] = ops.where(last, value, params[path])
        sums[path] = ops.where(last, ops.zeros_like(value), value)
    return new, {**after, "gradient_accumulator": sums}
