"""The pieces that optimizers are put together from: an update rule, and wrappers around it.

Each gives an `optax.GradientTransformation` whose state is one flat dict, to which a wrapper adds
its own entries; what is inside passes on those that it does not know:

    count           int32, (): calls of `update` so far
    learning_rate   float32, (): the value that the next update uses, or the last one used if scheduled;
                    absent where the rule holds an array, which is then the only place to change it
    <slot>          trees of the form of the params, named as Keras names them

All arithmetic is on `kfun.ops`: the arrays decide the backend. Updates are to be added to the params.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import optax

from kfun import dtypes, ops
from kfun.optim._hyperparameters import is_array, is_set
from kfun.optim._trees import choose, flatten, join, map_arrays, rebuild, scalars_beside, zeros_like

Gradients = dict[str, Any]  # by path
NO_PARAMS = "kfun optimizers need the params: call update(gradients, state, params)"


class Rule(Protocol):
    """An update rule for one array: what an optimizer says of itself, and nothing of how it is put together."""

    @property
    def learning_rate(self) -> Any: ...  # a number, or a function of the count

    @property
    def calls_per_step(self) -> int: ...

    def slot_names(self) -> tuple[tuple[str, ...], ...]: ...
    def init_slots(self, path: str, x: Any) -> dict[str, Any]: ...
    def shared(self) -> dict[str, float]: ...
    def prepare(self, learning_rate: Any, step: Any, shared: dict[str, Any]) -> tuple[Any, dict[str, Any]]: ...
    def step(self, path: str, scalars: Any, gradient: Any, x: Any, slots: dict[str, Any]) -> tuple[Any, dict]: ...
    def decay(self, path: str, x: Any) -> float | None: ...


def from_rule(rule: Rule) -> optax.GradientTransformation:
    """The transformation of an update rule, with its weight decay.

    Its step is one of `rule.calls_per_step` counts; a schedule sees the counts.

    Args:
        rule: of one array.
    """
    names = [name for group in rule.slot_names() for name in group]

    def init(params):
        arrays = _floating(flatten(params))
        rate, scalars = rule.learning_rate, {"count": 0, **rule.shared()}
        if not is_array(rate):
            scalars["learning_rate"] = 0.0 if callable(rate) else rate
        state = scalars_beside(params, **scalars)
        if callable(rate):
            state["learning_rate"] = rate_at(rule, state)
        slots = {path: rule.init_slots(path, x) for path, x in arrays.items()}
        return state | {n: rebuild(params, {p: own[n] for p, own in slots.items() if n in own}) for n in names}

    def update(updates, state, params=None):
        arrays, gradients = _matched(params, updates)
        dtype = dtypes.promote("float32", *(dtypes.name(x.dtype) for x in arrays.values()))
        step = ops.cast(ops.add(steps_made(state["count"], rule.calls_per_step), 1), dtype)
        rate = rate_at(rule, state)
        wide_rate = ops.cast(rate, dtype)
        scalars, shared = rule.prepare(wide_rate, step, {name: state[name] for name in rule.shared()})
        new = flatten(state) | {"count": ops.add(state["count"], 1), "learning_rate": rate}
        new |= {name: ops.cast(value, "float32") for name, value in shared.items()}
        moves = {path: ops.zeros_like(x) for path, x in arrays.items() if path not in gradients}
        for path, gradient in gradients.items():
            places = {name: join(name, path) for name in names}
            slots = {name: new[place] for name, place in places.items() if place in new}
            moves[path], slots = _step(rule, path, scalars, wide_rate, gradient, arrays[path], slots)
            new |= {places[name]: value for name, value in slots.items()}
        return rebuild(params, moves), rebuild(state, new)

    return optax.GradientTransformation(init, update)


def _step(rule, path, scalars, rate, gradient, x, slots):
    """One array's move and new slots; half precision is computed in float32 and rounded once."""
    dtype = dtypes.name(x.dtype)
    wide = dtypes.promote("float32", dtype)
    gradient, x = ops.cast(gradient, wide), ops.cast(x, wide)
    slots = {name: ops.cast(value, wide) for name, value in slots.items()}
    decay, lost = rule.decay(path, x), None
    if is_set(decay):  # comes first: the rule sees the shrunk weights
        lost = ops.multiply(x, ops.multiply(rate, decay))
        x = ops.subtract(x, lost)
    move, slots = rule.step(path, scalars, gradient, x, slots)
    move = move if lost is None else ops.subtract(move, lost)
    return ops.cast(move, dtype), {name: ops.cast(value, dtype) for name, value in slots.items()}


def steps_made(count: Any, calls_per_step: int) -> Any:
    """How many whole steps so many calls have made."""
    return count if not is_array(calls_per_step) and calls_per_step == 1 else ops.floor_divide(count, calls_per_step)


def rate_at(rule: Rule, state: dict[str, Any]) -> Any:
    """The learning rate of the next step: the rule's array, the state's, or what the rule's schedule gives."""
    if is_array(rule.learning_rate):
        if "learning_rate" in state:
            raise ValueError(
                "the learning rate was given as an array, so that the state has none; received a state with a "
                "`learning_rate`. Give a number to change it in the state, or another array"
            )
        return rule.learning_rate
    if not callable(rule.learning_rate):
        return state["learning_rate"]
    rate = rule.learning_rate(state["count"])
    if isinstance(rate, (int, float)):
        return ops.full_like(state["learning_rate"], rate)
    return ops.cast(rate, "float32")


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
        raise ValueError(NO_PARAMS)
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
    return map_arrays(lambda x, move: ops.cast(ops.add(x, move), dtypes.name(x.dtype)), params, updates)


def on_gradients(
    function: Callable[..., Gradients], inner: optax.GradientTransformation, *arguments: Any
) -> optax.GradientTransformation:
    """`inner`, given `function(gradients by path, *arguments)` in place of the gradients."""

    def update(updates, state, params=None):
        return inner.update(rebuild(updates, function(flatten(updates), *arguments)), state, params)

    return optax.GradientTransformation(inner.init, update)


def _with(state: Any, **entries: Any) -> dict[str, Any]:
    return {**state, **entries}


def accumulate(inner: optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """Lets `inner` act on every `steps`-th call, with the mean of the gradients since; other calls move nothing.

    Adds to the state `gradient_accumulator`: the sums, of the params' form and dtypes.
    """

    def init(params):
        return _with(inner.init(params), gradient_accumulator=zeros_like(params))

    def update(updates, state, params=None):
        _matched(params, updates)
        count = ops.add(state["count"], 1)

        def added(total, gradient):
            return total if gradient is None else ops.cast(ops.add(total, gradient), dtypes.name(total.dtype))

        def mean(_, gradient, total):
            return None if gradient is None else ops.divide(total, steps)

        sums = map_arrays(added, state["gradient_accumulator"], updates)

        def act():
            moves, new = inner.update(map_arrays(mean, params, updates, sums), state, params)
            return moves, _with(new, gradient_accumulator=zeros_like(params))

        def wait():
            return zeros_like(params), _with(state, count=count, gradient_accumulator=sums)

        return choose(ops.equal(ops.mod(count, steps), 0), act, wait, (params, state))

    return optax.GradientTransformation(init, update)


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
        return _with(inner.init(params), average=zeros_like(params))

    def update(updates, state, params=None):
        done = steps_made(state["count"], every)
        old = ops.multiply(ops.cast(ops.not_equal(done, 0), "float32"), momentum)
        moves, new = inner.update(updates, state, params)

        def blended(mean, x, move):
            mean = ops.add(ops.multiply(mean, old), ops.multiply(ops.add(x, move), ops.subtract(1.0, old)))
            return ops.cast(mean, dtypes.name(x.dtype))

        averages = map_arrays(blended, state["average"], params, moves)
        if overwrite_frequency is not None:
            now = ops.equal(ops.mod(ops.add(done, 1), overwrite_frequency), 0)
            moves = map_arrays(lambda m, mean, x: ops.where(now, ops.subtract(mean, x), m), moves, averages, params)
        return moves, _with(new, average=averages)

    return optax.GradientTransformation(init, update)


def clip_by_norm(gradients: Gradients, limit: float) -> Gradients:
    """Scales each array down to the Euclidean norm `limit` where its norm is larger."""
    return {path: _scaled(g, _shrinking(_sum_of_squares(g), limit)) for path, g in gradients.items()}


def clip_by_global_norm(gradients: Gradients, limit: float) -> Gradients:
    """Scales all arrays down together where their common norm is over `limit`; all NaN if it is not finite."""
    if not gradients:
        return gradients
    total = ops.sum(ops.stack([_sum_of_squares(g) for g in gradients.values()]))
    scale = ops.add(_shrinking(total, limit), ops.subtract(total, total))
    return {path: _scaled(g, scale) for path, g in gradients.items()}


def _sum_of_squares(x: Any) -> Any:
    return ops.sum(ops.square(ops.cast(x, dtypes.promote("float32", dtypes.name(x.dtype)))))


def _shrinking(square: Any, limit: float) -> Any:
    """`limit / max(norm, limit)` from the norm's square: its gradient is finite at 0 as well."""
    return ops.divide(limit, ops.sqrt(ops.maximum(square, limit * limit)))


def _scaled(x: Any, factor: Any) -> Any:
    return ops.cast(ops.multiply(x, factor), dtypes.name(x.dtype))


def clip_by_value(gradients: Gradients, limit: float) -> Gradients:
    """Limits each element to `[-limit, limit]`."""
    return {path: ops.clip(g, -limit, limit) for path, g in gradients.items()}


# By the argument that asks for them.
CLIPS = {"clipnorm": clip_by_norm, "clipvalue": clip_by_value, "global_clipnorm": clip_by_global_norm}


def divide_by(gradients: Gradients, factor: Any) -> Gradients:
    """Divides by the factor that the loss was multiplied with."""
    return {path: ops.divide(g, factor) for path, g in gradients.items()}
