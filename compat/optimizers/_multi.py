"""`MultiOptimizer`: several optimizers, each for a part of the variables; `OptimizerMap` says which."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import optax

from compat.optimizers import _overwriting as overwriting
from compat.optimizers._around import Around
from compat.optimizers._optax import Optax
from compat.optimizers._optimizer import Optimizer
from compat.serialization.objects import deserialize_all_as, serialize_keras_object
from compat.serialization.patterns import check_pattern
from compat.variables.variable import Variable
from kfun import ops
from kfun import optim as _kfun
from kfun.optim._multi import fitting


class OptimizerMap(MutableMapping):
    """Optimizers by the paths of variables.

    Args:
        default_optimizer: of the variables that no key fits.
        optimizer_map: `{path or pattern: optimizer}`. A key is a path, or a regular expression for a whole path.

    Raises:
        TypeError: if `default_optimizer` is no optimizer, or `optimizer_map` no dict.
        ValueError: if a key is no string or there already, or a value no optimizer or one around others.
    """

    def __init__(self, default_optimizer: Any, optimizer_map: dict | None = None):
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: expected optimizer_map to be a dict; received {optimizer_map!r:.80}")
        self._default_optimizer = _part(
            "OptimizerMap: expected an optimizer as the default", default_optimizer, TypeError
        )
        self._optimizers: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of the variables that no key fits."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        """The optimizer for a path: of the equal key, else of the only pattern that fits, else the default."""
        return fitting(key, self._optimizers, self._default_optimizer)

    def __setitem__(self, key: str, optimizer: Any) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: expected a string as the key; received {key!r}")
        check_pattern(key)
        if key in self._optimizers:
            raise ValueError(f"the OptimizerMap has {key!r} already; delete it first")
        self._optimizers[key] = _part(f"OptimizerMap: {key!r}: expected an optimizer", optimizer)

    def __delitem__(self, key: str) -> None:
        del self._optimizers[key]

    def __len__(self) -> int:
        return len(self._optimizers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizers)

    def __call__(self, variable: Any) -> Optimizer:
        """The optimizer of a variable, by its path."""
        return self[variable.path]

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "default_optimizer": serialize_keras_object(self._default_optimizer),
            "optimizer_map": {k: serialize_keras_object(v) for k, v in self._optimizers.items()},
        }

    @classmethod
    def from_config(cls, config: dict) -> OptimizerMap:
        """The map of a config."""
        return cls(**{k: deserialize_all_as("optimizer", v) for k, v in config.items()})


def _part(expected: str, optimizer: Any, error: type[Exception] = ValueError) -> Any:
    """The optimizer, one of optax's as one of ours.

    Raises:
        error: if it is none.
        ValueError: if it is around others.
    """
    made = Optax(optimizer) if isinstance(optimizer, optax.GradientTransformation) else optimizer
    if not isinstance(made, Optimizer):
        raise error(f"{expected}; received {optimizer!r:.80}")
    if isinstance(made, Around):
        raise ValueError(
            f"a part of a MultiOptimizer cannot be a {type(made).__name__}: put that around the whole; received "
            f"{made!r:.80}"
        )
    return made


class MultiOptimizer(Around):
    """Several optimizers at once, each for the variables that it is mapped to.

    The learning rates are those of `optimizers`; the whole has none.

    Args:
        optimizer_map: an `OptimizerMap`, or a function of a variable that gives its optimizer.
        loss_scale_factor: takes the place of the optimizers' own factors.
        name: of the whole.

    Raises:
        TypeError: if `optimizer_map` is neither.
        ValueError: when built, if the function gives no optimizer for a variable.
    """

    _parameters = {"optimizer_map": None, "loss_scale_factor": None, "name": None}

    def __init__(self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None):
        if not callable(optimizer_map):
            raise TypeError(
                "MultiOptimizer: expected an OptimizerMap, or a function from a variable to an optimizer; "
                f"received {optimizer_map!r:.80}"
            )
        self.optimizer_map, self.loss_scale_factor = optimizer_map, loss_scale_factor
        self._shares = []
        self._setup(name)

    @property
    def optimizers(self) -> list[Optimizer]:
        """All optimizers: those of the map, then its default; of a function those that it chose when built."""
        if isinstance(self.optimizer_map, OptimizerMap):
            found = [*self.optimizer_map.values(), self.optimizer_map.default_optimizer]
        else:
            found = [optimizer for optimizer, _ in self._shares]
        return list({id(o): o for o in found}.values())

    def _inner(self) -> list[Optimizer]:
        return self.optimizers

    def _first_values(self) -> dict[str, float]:
        return {"count": 0, "learning_rate": 0.0}

    def _share_out(self, variables: dict[str, Variable]) -> None:
        shares: dict[int, Any] = {id(part): (part, {}) for part in self.optimizers}
        for path, variable in variables.items():
            expected = f"MultiOptimizer: expected an optimizer for the variable {variable.path!r}"
            part = _part(expected, self.optimizer_map(variable))
            if variable.overwrite_with_gradient and part._calls_per_step() > 1:
                raise ValueError(
                    "MultiOptimizer: a variable with `overwrite_with_gradient` cannot belong to an optimizer with "
                    "`gradient_accumulation_steps`; map it to one without"
                )
            shares.setdefault(id(part), (part, {}))[1][path] = variable
        self._shares = list(shares.values())
        for part, _ in self._shares:
            if isinstance(part.definition, _kfun.Optimizer):
                part._replace(loss_scale_factor=None)  # the whole's takes its place

    def _update(self, gradients: Any, values: list[Any], params: Any) -> tuple[Any, list[Any]]:
        gradients, direct = overwriting.split(self._trained, gradients)
        if self.loss_scale_factor is not None:
            gradients = {path: None if g is None else g / self.loss_scale_factor for path, g in gradients.items()}
        gradients, moves, new = gradients | direct, {}, [values[0] + 1, values[1]]
        for part, trained in self._shares:
            own = values[len(new) : len(new) + len(part.variables)]
            if trained:  # an optimizer without variables makes no steps
                paths = dict(zip(part._params, trained, strict=True))
                given, mine = ({name: tree[path] for name, path in paths.items()} for tree in (gradients, params))
                moved, own = part._update(given, own, mine)
                moves |= {paths[name]: move for name, move in moved.items()}
            new += own
        return moves, new

    def scale_loss(self, loss: Any) -> Any:
        return loss if self.loss_scale_factor is None else ops.multiply(loss, self.loss_scale_factor)

    def _saved_parts(self) -> list[tuple[str, Any]]:
        return [("optimizers", self.optimizers)]

    @property
    def learning_rate(self) -> Any:
        """None of its own: each optimizer has one."""
        raise AttributeError

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("a MultiOptimizer has no learning rate of its own: set those of its `optimizers`")

    lr = learning_rate

    def __getattr__(self, name: str) -> Any:
        if name in ("learning_rate", "lr"):
            raise AttributeError("a MultiOptimizer has no learning rate of its own: ask its `optimizers`")
        return super().__getattr__(name)
