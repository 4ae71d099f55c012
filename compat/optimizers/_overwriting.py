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


def new_values(
    optimizer: Any, direct: Values, params: Values, before: list[Any], after: list[Any]
) -> tuple[Values, list[Any]]:
    """The variables after the step, and the optimizer's values with their share of the accumulated gradients.

    Of gradients that accumulate the largest is the new value; a step that a loss scale skips changes nothing.

    Args:
        optimizer: of which class `Base`.
        direct: the new values by path.
        params: the present values.
        before, after: the optimizer's values before and after its step.
    """
    rule, after = optimizer.innermost, list(after)
    numbers = {id(v): i for i, v in enumerate(optimizer.variables)}
    count = numbers.get(id(rule._entries.get("count")))
    if count is None:  # the transformation does not tell whether it made a step
        return direct, after
    steps = rule._calls_per_step()
    made = ops.not_equal(after[count], before[count])
    last, new = ops.logical_and(made, ops.equal(ops.mod(after[count], steps), 0)), {}
    for path, value in direct.items():
        if steps > 1:
            i = numbers[id(rule._entries[f"gradient_accumulator/{path}"])]
            value = ops.maximum(value, ops.cast(before[i], value.dtype))
            after[i] = ops.where(made, ops.where(last, ops.zeros_like(value), value), before[i])
        new[path] = ops.where(last, value, params[path])
    return new, after
