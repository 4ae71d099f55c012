"""The training step: a pure function from a train state and a batch to the next state.

A batch is `(x, y)` or `(x, y, sample_weight)`; x is an array, or a tuple or list of several.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from kfun import dtypes, ops, optim, random, transforms, tree
from kfun import losses as losses_module
from kfun import metrics as metrics_module
from kfun.layer import Layer
from kfun.spec import Spec


class TrainState(NamedTuple):
    """Everything that a step changes."""

    params: Any  # what the optimizer trains
    state: Any  # the net's own state: moving statistics, counters
    optimizer: Any = ()  # the optimizer's state; holds the learning rate
    metrics: Any = ()  # running totals since the epoch began
    key: Any = ()  # uint32[2] or one of jax.random.key, split at every training step; () where nothing is drawn from it


class Forward(NamedTuple):
    """What a forward pass gives beside the number that is differentiated."""

    loss: Any  # a scalar, as it is shown
    outputs: Any
    state: Any  # the net's own, after the pass
    metrics: Any  # the running totals, as the pass left them


class Step:
    """The one place that differentiates, applies gradients, carries the state and moves the metrics.

    What is trained and measured is said by a subclass: `forward`, `track` and `logs`, and `apply` if it trains.
    All are pure. Calling a step runs it compiled, `(train_state, batch) -> (train_state, logs)`, and donates the
    state that it was given: use the returned one from there on. `step.run` is the pure form, which takes the memory
    of nothing: for `jax.jit`, `jax.vmap`, `jax.lax.scan` around it.

    Attributes:
        trains: whether a step differentiates and changes the parameters.
        donate: whether a call takes the memory of the state that it is given.
        frozen: a pattern; parameters whose path matches are not trained.
        takes_value: whether `apply` is given `value`, `grad` and `value_fn` too, as optax calls them.
        own_logs: whether every step makes logs that cannot be had from the state by `logs`.
        jit: what compiles.
    """

    trains = True
    donate = True
    frozen: str | None = None
    takes_value = False
    own_logs = False
    jit = staticmethod(transforms.jit)

    def forward(self, params: Any, train_state: TrainState, batch: Any, key: Any) -> tuple[Any, Forward]:
        """The number to differentiate by the parameters, and what the pass gives beside it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(params, train_state, batch, key)")

    def apply(self, grads: Any, optimizer: Any, trained: Any, **extra: Any) -> tuple[Any, Any]:
        """The trained parameters after a gradient, and the optimizer's state."""
        raise NotImplementedError(f"{type(self).__name__} defines no apply(grads, optimizer, trained)")

    def track(self, passed: Forward, batch: Any) -> tuple[Any, dict | None]:
        """The running totals after a batch, and logs, None for those of `logs`."""
        raise NotImplementedError(f"{type(self).__name__} defines no track(passed, batch)")

    def logs(self, train_state: TrainState) -> dict[str, Any]:
        """The metrics' results."""
        raise NotImplementedError(f"{type(self).__name__} defines no logs(train_state)")

    def advance(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict | None]:
        """One step, without compiling it; pure. The logs are None if `logs` tells them."""
        if self.trains:
            train_state, passed = self._trained(train_state, batch)
        else:
            _, passed = self.forward(train_state.params, train_state, batch, None)
        metrics, logs = self.track(passed, batch)
        return train_state._replace(state=passed.state, metrics=metrics), logs

    def _trained(self, train_state: TrainState, batch: Any) -> tuple[TrainState, Forward]:
        key, sub = train_state.key, None
        if not isinstance(key, (tuple, list)):  # a key of jax.random.key has no length
            key, sub = ops.unstack(random.split(key))
        fixed, trained = None, train_state.params
        if self.frozen is not None:
            fixed, trained = tree.partition(train_state.params, self.frozen)

        def whole(trained: Any) -> Any:
            return trained if fixed is None else tree.combine(trained, fixed)

        def objective(trained: Any) -> tuple[Any, Forward]:
            return self.forward(whole(trained), train_state, batch, sub)

        (value, passed), grads = transforms.value_and_grad(objective, has_aux=True)(trained)
        extra: dict[str, Any] = {}
        if self.takes_value:
            extra = {"value": value, "grad": grads, "value_fn": lambda trained: objective(trained)[0]}
        trained, optimizer = self.apply(grads, train_state.optimizer, trained, **extra)
        return train_state._replace(params=whole(trained), optimizer=optimizer, key=key), passed

    def update(self, train_state: TrainState, batch: Any) -> TrainState:
        """The state after one step, without compiling it; pure."""
        return self.advance(train_state, batch)[0]

    def run(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        """`(train_state, logs)` of one step, without compiling it; pure."""
        train_state, logs = self.advance(train_state, batch)
        return train_state, self.logs(train_state) if logs is None else logs

    @property
    def donated(self) -> tuple[int, ...]:
        """The places of the arguments whose memory a compiled call takes; the state is the first."""
        return (0,) if self.donate else ()

    @functools.cached_property
    def once(self) -> Callable:
        """`run`, compiled; donates the state if `donate`, and gives the new one as a plain tuple (see `epoch.kept`)."""

        def run(train_state: TrainState, batch: Any) -> tuple[tuple, dict[str, Any]]:
            train_state, logs = self.run(train_state, batch)
            return tuple(train_state), logs

        return self.jit(run, donate_argnums=self.donated)

    def __call__(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        values, logs = self.once(train_state, batch)
        return TrainState(*values), logs


class _NetStep(Step):
    """A step of a net: the mean of its loss and its metrics are tracked."""

    def __init__(self, net: Layer, loss: Any, metrics: dict | None):
        self.net = net
        self.loss = _objective(loss)
        self.metrics: dict[str, Any] = {name: metrics_module.get(m) for name, m in _named(metrics).items()}
        self.outputs: Any = None  # specs of the net's outputs, for metrics whose state has a size per class

    def reset(self, train_state: TrainState) -> TrainState:
        """The state with its metrics at their beginning."""
        start = {n: m.init(self.outputs, self.outputs) for n, m in self.metrics.items()}
        wide = any(dtypes.name(x.dtype) == "float64" for x in jax.tree.leaves(train_state.params))
        dtype = "float64" if wide else "float32"
        return train_state._replace(metrics={"loss": (ops.zeros((), dtype), ops.zeros((), dtype)), **start})

    def logs(self, train_state: TrainState) -> dict[str, Any]:
        """The metrics' results, `loss` first; pure."""
        total, count = train_state.metrics["loss"]
        results = {"loss": ops.divide(total, ops.maximum(count, 1))}
        return results | {n: m.result(train_state.metrics[n]) for n, m in self.metrics.items()}

    def track(self, passed: Forward, batch: Any) -> tuple[dict, None]:
        _, y, weight = unpack(batch)
        total, count = passed.metrics["loss"]
        dtype = dtypes.name(total.dtype)
        size = ops.cast(_rows(y if y is not None else passed.outputs), dtype)
        loss = ops.multiply(ops.cast(passed.loss, dtype), size)
        new = {"loss": (ops.add(total, loss), ops.add(count, size))}
        parts = {n: m.update(passed.metrics[n], y, passed.outputs, weight) for n, m in self.metrics.items()}
        return new | parts, None


def _rows(data: Any) -> Any:
    return ops.shape(jax.tree.leaves(data)[0])[0]


def _named(metrics: Any) -> dict:
    if metrics is None:
        return {}
    if isinstance(metrics, dict):
        return metrics
    made: list[Any] = [metrics_module.get(m) for m in metrics]
    return {m.name: m for m in made}


def _objective(loss: Any) -> Callable:
    """`(y, outputs, weight) -> scalar` of a loss, or of a dict, list or tuple of them like the outputs."""
    if isinstance(loss, (dict, list, tuple)):
        parts: dict[Any, Any] = {k: losses_module.get(v) for k, v in _items(loss)}

        def total(y: Any, outputs: Any, weight: Any) -> Any:
            weights = dict(_items(weight)) if isinstance(weight, (dict, list, tuple)) else dict.fromkeys(parts, weight)
            return functools.reduce(ops.add, [f(y[k], outputs[k], weights[k]) for k, f in parts.items()])

        return total
    made: Any = losses_module.get(loss)
    return made


def _items(tree: Any) -> Any:
    return tree.items() if isinstance(tree, dict) else enumerate(tree)


def unpack(batch: Any) -> tuple[tuple, Any, Any]:
    """`(inputs, y, sample_weight)` of a batch; what is missing is None.

    Raises:
        ValueError: if the batch is no tuple of one to three parts.
    """
    if not isinstance(batch, (tuple, list)):
        batch = (batch,)
    if not 1 <= len(batch) <= 3:
        raise ValueError(f"a batch is (x,), (x, y) or (x, y, sample_weight); received {len(batch)} parts")
    x, y, weight = (*batch, None, None)[:3]
    return (tuple(x) if isinstance(x, (tuple, list)) else (x,)), y, weight


def _apart(values: Any) -> Any:
    """The tree with no array in it twice: what one buffer holds cannot be donated for two."""
    seen: set[int] = set()

    def own(x: Any) -> Any:
        if id(x) in seen:
            return _copied(x)
        seen.add(id(x))
        return x

    return jax.tree.map(own, values)


def _copied(x: Any) -> Any:
    """JAX donates its own arrays alone, and those that it makes of NumPy's may share their memory."""
    return x.copy() if isinstance(x, (jax.Array, np.ndarray)) else x


class _TrainStep(_NetStep):
    def __init__(
        self,
        net: Layer,
        loss: Any,
        optimizer: Any,
        metrics: Any,
        regularizer: Any,
        frozen: str | None,
        donate: bool,
    ):
        super().__init__(net, loss, metrics)
        self.optimizer = optim.get(optimizer)
        self.regularizer, self.frozen, self.donate = regularizer, frozen, bool(donate)
        self.transformation = optim.build(self.optimizer)
        self.takes_value = isinstance(self.transformation, optax.GradientTransformationExtraArgs)

    def init(self, key: Any, *specs: Any) -> TrainState:
        """The state to begin with: drawn weights, the optimizer's and the metrics' first state."""
        key, draw = ops.unstack(random.split(key))
        params, state = self.net.init(draw, *specs)
        return self.start(params, state, key, *specs)

    def start(self, params: Any, state: Any, key: Any, *specs: Any) -> TrainState:
        """The state to begin with from given weights, which it holds copies of if the step donates.

        Args:
            params, state: the net's, as `net.init` makes them. They, and `key`, stay the caller's.
            key: what a training step draws from; () if nothing is drawn.
            specs: of the inputs; metrics with a size per class need them.
        """
        if specs and self.metrics:
            self.outputs = self.net.output_spec(*map(Spec.of, specs))
        if self.donate:
            params, state, key = jax.tree.map(_copied, (params, state, key))
        trained = params if self.frozen is None else tree.partition(params, self.frozen)[1]
        made = self.reset(TrainState(params, state, self.transformation.init(trained), None, key))
        return _apart(made) if self.donate else made

    def forward(self, params: Any, train_state: TrainState, batch: Any, key: Any) -> tuple[Any, Forward]:
        inputs, y, weight = unpack(batch)
        outputs, state = self.net.apply(params, train_state.state, *inputs, key=key, training=True)
        loss = self.loss(y, outputs, weight)
        if self.regularizer is not None:
            loss = ops.add(loss, self.regularizer(params))
        scale = getattr(self.optimizer, "scale_loss", None)
        scaled = loss if scale is None else scale(loss, train_state.optimizer)
        return scaled, Forward(loss, outputs, state, train_state.metrics)

    def apply(self, grads: Any, optimizer: Any, trained: Any, **extra: Any) -> tuple[Any, Any]:
        updates, optimizer = self.transformation.update(grads, optimizer, trained, **extra)
        return optim.apply_updates(trained, updates), optimizer


class _EvalStep(_NetStep):
    trains = False
    donate = False  # the weights belong to the training that goes on afterwards

    def forward(self, params: Any, train_state: TrainState, batch: Any, key: Any) -> tuple[Any, Forward]:
        inputs, y, weight = unpack(batch)
        outputs, _ = self.net.apply(params, train_state.state, *inputs, training=False)
        loss = self.loss(y, outputs, weight)
        return loss, Forward(loss, outputs, train_state.state, train_state.metrics)


def make_train_step(
    net: Layer,
    loss: Any,
    optimizer: Any = "adam",
    metrics: Any = None,
    *,
    regularizer: Callable | None = None,
    frozen: str | None = None,
    donate: bool = True,
) -> _TrainStep:
    """A training step: pure, compiled, and donating the state from step to step.

    Donating means that the new state is written into the memory of the old one, which is then gone: `train_state`
    goes from call to call. `step.init` and `step.start` copy, so that arrays of yours, of a checkpoint or of another
    library's module stay; what else you put into a `TrainState` is taken. To look back at old states, copy them or
    say `donate=False`. `step.run` is the same step uncompiled and pure, to be transformed at will.

    Args:
        net: the layer to train.
        loss: a name, a `kfun.losses.Loss`, a function `(y_true, y_pred)` of targets as they are in the batch, or a
            dict, list or tuple of them in the form of the net's outputs; their values are added.
        optimizer: a name, a definition of `kfun.optim`, or any optax transformation (on JAX), those included that
            evaluate the loss themselves (`optax.lbfgs()`).
        metrics: names or metrics in a list, or a dict by the name to log under.
        regularizer: a function of the parameters that is added to the loss.
        frozen: a pattern; parameters whose path matches are not trained.
        donate: whether a call takes the memory of the state that it is given (on JAX).

    Returns:
        A step: `step.init(key, *specs)` gives the first `TrainState`, and
        `step(train_state, batch)` the next with the logs since the metrics were reset.

    Example:
        >>> import kfun, numpy as np
        >>> step = make_train_step(kfun.layers.Dense(1), "mse", "sgd")
        >>> ts = step.init(kfun.random.key(0), kfun.Spec((None, 2)))
        >>> ts, logs = step(ts, (np.ones((8, 2), "float32"), np.ones((8, 1), "float32")))
        >>> sorted(logs)
        ['loss']
    """
    return _TrainStep(net, loss, optimizer, metrics, regularizer, frozen, donate)


def make_eval_step(net: Layer, loss: Any, metrics: Any = None) -> _EvalStep:
    """Like `make_train_step`, but nothing is trained: the step only moves the metrics, and takes no memory."""
    return _EvalStep(net, loss, metrics)
