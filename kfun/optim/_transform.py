"""The pieces that optimizers are put together from: an update rule, and wrappers around it.

Each gives an `optax.GradientTransformation` whose state is one flat dict, to which a wrapper adds
its own entries:

    count           int32, (): calls of `update` so far
    learning_rate   float32, (): the value that the next update uses, or the last one used if scheduled
    <slot>          trees of the form of the params, named as Keras names them

All arithmetic is on `kfun.ops`: the arrays decide the backend. Updates are to be added to the params.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import optax

from kfun import dtypes, ops
from kfun.ops._kinds import backend
from kfun.optim._trees import backend_of, choose, flatten, rebuild

Gradients = dict[str, Any]  # by path


class Rule(Protocol):
    """An update rule for one array: what an optimizer says of itself, and nothing of how it is put together."""

    @property
    def learning_rate(self) -> Any: ...  # a number, or a function of the count

    def slot_names(self) -> tuple[tuple[str, ...], ...]: ...
    def init_slots(self, path: str, x: Any) -> dict[str, Any]: ...
    def shared(self) -> dict[str, float]: ...
    def prepare(self, learning_rate: Any, step: Any, shared: dict[str, Any]) -> tuple[Any, dict[str, Any]]: ...
    def step(self, path: str, scalars: Any, gradient: Any, x: Any, slots: dict[str, Any]) -> tuple[Any, dict]: ...
    def decay(self, path: str, x: Any) -> float | None: ...


def from_rule(rule: Rule, every: int = 1) -> optax.GradientTransformation:
    """The transformation of an update rule, with its weight decay.

    Args:
        rule: of one array.
        every: the number of counts that make one step of the rule; a schedule sees the counts.
    """
    names = [name for group in rule.slot_names() for name in group]
    schedule = rule.learning_rate if callable(rule.learning_rate) else None

    def init(params):
        arrays = _floating(flatten(params))
        with backend(backend_of(arrays.values())):
            count = ops.zeros((), "int32")
            rate = ops.full((), 0.0 if schedule else rule.learning_rate, "float32")
            state = {"count": count, "learning_rate": _scheduled(schedule, count, rate) if schedule else rate}
            state |= {name: ops.full((), value, "float32") for name, value in rule.shared().items()}
        slots = {path: rule.init_slots(path, x) for path, x in arrays.items()}
        return state | {n: rebuild(params, {p: s[n] for p, s in slots.items() if n in s}) for n in names}

    def update(updates, state, params=None):
        arrays, gradients = _matched(params, updates)
        dtype = dtypes.promote("float32", *(dtypes.name(x.dtype) for x in arrays.values()))
        rate = rate_at(rule, state)
        step = ops.cast(ops.add(ops.floor_divide(state["count"], every) if every > 1 else state["count"], 1), dtype)
        wide_rate = ops.cast(rate, dtype)
        scalars, shared = rule.prepare(wide_rate, step, {name: state[name] for name in rule.shared()})
        decay = {path: rule.decay(path, x) for path, x in arrays.items()}
        shrink = {value: ops.multiply(wide_rate, value) for value in set(decay.values()) if value}
        slots = {name: flatten(state[name]) for name in names}
        moves = {path: ops.zeros_like(x) for path, x in arrays.items() if path not in gradients}
        for path, gradient in gradients.items():
            own = {name: tree[path] for name, tree in slots.items() if path in tree}
            moves[path], own = _step(rule, path, scalars, shrink.get(decay[path] or 0.0), gradient, arrays[path], own)
            for name, value in own.items():
                slots[name][path] = value
        new = {"count": ops.add(state["count"], 1), "learning_rate": rate}
        new |= {name: ops.cast(value, "float32") for name, value in shared.items()}
        new |= {name: rebuild(params, slots[name]) for name in names}
        return rebuild(params, moves), new

    return optax.GradientTransformation(init, update)


def _step(rule, path, scalars, shrink, gradient, x, slots):
    """One array's move and new slots; half precision is computed in float32 and rounded once."""
    dtype = dtypes.name(x.dtype)
    work = dtypes.promote("float32", dtype)
    gradient, x = ops.cast(gradient, work), ops.cast(x, work)
    slots = {name: ops.cast(value, work) for name, value in slots.items()}
    lost = None if shrink is None else ops.multiply(x, shrink)
    if lost is not None:  # decay comes first: the rule sees the shrunk weights
        x = ops.subtract(x, lost)
    move, slots = rule.step(path, scalars, gradient, x, slots)
    if lost is not None:
        move = ops.subtract(move, lost)
    return ops.cast(move, dtype), {name: ops.cast(value, dtype) for name, value in slots.items()}


def rate_at(rule: Rule, state: dict[str, Any]) -> Any:
    """The learning rate of the next step: the state's, or what the rule's schedule gives."""
    if callable(rule.learning_rate):
        return _scheduled(rule.learning_rate, state["count"], state["learning_rate"])
    return state["learning_rate"]


def _scheduled(schedule, count, like):
    rate = schedule(count)
    return ops.full_like(like, rate) if isinstance(rate, (int, float)) else ops.cast(rate, "float32")


def _floating(arrays: Gradients) -> Gradients:
    for path, x in arrays.items():
        if not dtypes.is_float(dtypes.name(x.dtype)):
            raise TypeError(
                f"optimizers move floating arrays; {path!r} is {dtypes.name(x.dtype)}. "
                "Leave it out with kfun.tree.partition, or keep it in the state."
            )
    return arrays


def _matched(params: Any, gradients: Any) -> tuple[Gradients, Gradients]:
    if params is None:
        raise ValueError("kfun optimizers need the params: call update(gradients, state, params)")
    arrays, found = flatten(params), flatten(gradients)
    for path, gradient in found.items():
        if path not in arrays:
            raise ValueError(f"there is a gradient at {path!r}, where the params have nothing: {', '.join(arrays)}")
        expected, received = tuple(arrays[path].shape), tuple(gradient.shape)
        if received != expected:
            raise ValueError(f"the gradient of {path!r} has shape {received}; expected the param's, {expected}")
    return arrays, found


def apply_updates(params: Any, updates: Any) -> Any:
    """`params + updates`, each array in its own dtype, on any backend."""
    moves = flatten(updates)
    new = {path: ops.cast(ops.add(x, moves[path]), dtypes.name(x.dtype)) for path, x in flatten(params).items()}
    return rebuild(params, new)


def on_gradients(
    function: Callable[[Gradients], Gradients], inner: optax.GradientTransformation
) -> optax.GradientTransformation:
    """`inner`, given the gradients that `function` makes of the gradients by path."""

    def update(updates, state, params=None):
        return inner.update(rebuild(updates, function(flatten(updates))), state, params)

    return optax.GradientTransformation(inner.init, update)


def _with(state: Any, **entries: Any) -> dict[str, Any]:
    """A state with further entries."""
    return {**state, **entries}


def accumulate(inner: optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """Lets `inner` act on every `steps`-th call, with the mean of the gradients since; other calls move nothing.

    Adds to the state `gradient_accumulator`: the sums, of the params' form and dtypes.
    """

    def init(params):
        return _with(inner.init(params), gradient_accumulator=_zeros(params))

    def update(updates, state, params=None):
        gradients = _matched(params, updates)[1]
        state = dict(state)
        sums = flatten(state.pop("gradient_accumulator"))
        sums |= {p: ops.cast(ops.add(sums[p], g), dtypes.name(sums[p].dtype)) for p, g in gradients.items()}

        def act():
            means = rebuild(params, {path: ops.divide(sums[path], steps) for path in gradients})
            moves, new = inner.update(means, state, params)
            return moves, _with(new, gradient_accumulator=_zeros(params))

        def wait():
            new = state | {"count": ops.add(state["count"], 1), "gradient_accumulator": rebuild(params, sums)}
            return _zeros(params), new

        return choose(ops.equal(ops.mod(ops.add(state["count"], 1), steps), 0), act, wait)

    return optax.GradientTransformation(init, update)


def _zeros(params: Any) -> Any:
    return rebuild(params, {path: ops.zeros_like(x) for path, x in flatten(params).items()})


def average(
    inner: optax.GradientTransformation, momentum: float, overwrite_frequency: int | None = None, every: int = 1
) -> optax.GradientTransformation:
    """`inner` with an exponential moving average of the params that it makes.

    Adds to the state `average`: equal to the params after the first step, then
    `momentum * average + (1 - momentum) * params`.

    Args:
        inner: the optimizer.
        momentum: weight of the old average, in [0, 1].
        overwrite_frequency: after every so many steps the params become their average; None for never.
        every: the number of counts that make one step.
    """

    def init(params):
        return _with(inner.init(params), average=_zeros(params))

    def update(updates, state, params=None):
        state = dict(state)
        averages = flatten(state.pop("average"))
        done = ops.floor_divide(state["count"], every) if every > 1 else state["count"]
        old = ops.multiply(ops.cast(ops.not_equal(done, 0), "float32"), momentum)
        moves, state = inner.update(updates, state, params)
        moves, arrays = flatten(moves), flatten(params)
        for path, x in arrays.items():
            new = ops.add(x, moves[path])
            mean = ops.add(ops.multiply(averages[path], old), ops.multiply(new, ops.subtract(1.0, old)))
            averages[path] = ops.cast(mean, dtypes.name(x.dtype))
        if overwrite_frequency is not None:
            now = ops.equal(ops.mod(ops.add(done, 1), overwrite_frequency), 0)
            moves = {p: ops.where(now, ops.subtract(averages[p], x), moves[p]) for p, x in arrays.items()}
        return rebuild(params, moves), _with(state, average=rebuild(params, averages))

    return optax.GradientTransformation(init, update)


def clip_by_norm(limit: float) -> Callable[[Gradients], Gradients]:
    """Scales each array down to the Euclidean norm `limit` where its norm is larger."""
    return lambda gradients: {p: _scaled(g, _shrinking(_sum_of_squares(g), limit)) for p, g in gradients.items()}


def clip_by_global_norm(limit: float) -> Callable[[Gradients], Gradients]:
    """Scales all arrays down together where their common norm is over `limit`; all NaN if it is not finite."""

    def clip(gradients):
        if not gradients:
            return gradients
        total = ops.sum(ops.stack([_sum_of_squares(g) for g in gradients.values()]))
        scale = ops.add(_shrinking(total, limit), ops.subtract(total, total))
        return {path: _scaled(g, scale) for path, g in gradients.items()}

    return clip


def _sum_of_squares(x: Any) -> Any:
    return ops.sum(ops.square(ops.cast(x, dtypes.promote("float32", dtypes.name(x.dtype)))))


def _shrinking(square: Any, limit: float) -> Any:
    """`limit / max(norm, limit)` from the norm's square: its gradient is finite at 0 as well."""
    return ops.divide(limit, ops.sqrt(ops.maximum(square, limit * limit)))


def _scaled(x: Any, factor: Any) -> Any:
    return ops.cast(ops.multiply(x, factor), dtypes.name(x.dtype))


def clip_by_value(limit: float) -> Callable[[Gradients], Gradients]:
    """Limits each element to `[-limit, limit]`."""
    return lambda gradients: {path: ops.clip(g, -limit, limit) for path, g in gradients.items()}


def divide_by(factor: float) -> Callable[[Gradients], Gradients]:
    """Divides by the factor that the loss was multiplied with."""
    return lambda gradients: {path: ops.divide(g, factor) for path, g in gradients.items()}
