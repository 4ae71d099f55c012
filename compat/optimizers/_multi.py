"""`MultiOptimizer`: several optimizers, each for a part of the variables; `OptimizerMap` says which."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

import optax

from compat.optimizers._loss_scale import LossScaleOptimizer
from compat.optimizers._optax import Optax
from compat.optimizers._optimizer import Optimizer
from compat.serialization.objects import deserialize_all_as, serialize_keras_object
from compat.serialization.patterns import check_pattern
from compat.state import naming
from compat.state.paths import by_path
from compat.variables.variable import Variable
from kfun import optim as _kfun


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
        default_optimizer = _of_optax(default_optimizer)
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: expected an optimizer as the default; received {default_optimizer!r:.80}")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: expected optimizer_map to be a dict; received {optimizer_map!r:.80}")
        self._default_optimizer = _plain(default_optimizer)
        self._optimizers: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of the variables that no key fits."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        """The optimizer for a path: of the equal key, else of the only pattern that fits, else the default."""
        if key in self._optimizers:
            return self._optimizers[key]
        fitting = [pattern for pattern in self._optimizers if re.fullmatch(pattern, key)]
        if len(fitting) > 1:
            raise ValueError(f"several keys of the OptimizerMap fit the variable {key!r}: {fitting}; let one fit")
        return self._optimizers[fitting[0]] if fitting else self._default_optimizer

    def __setitem__(self, key: str, optimizer: Any) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: expected a string as the key; received {key!r}")
        check_pattern(key)
        if key in self._optimizers:
            raise ValueError(f"the OptimizerMap has {key!r} already; delete it first")
        optimizer = _of_optax(optimizer)
        if not isinstance(optimizer, Optimizer):
            raise ValueError(f"OptimizerMap: {key!r}: expected an optimizer; received {optimizer!r:.80}")
        self._optimizers[key] = _plain(optimizer)

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


def _of_optax(optimizer: Any) -> Any:
    return Optax(optimizer) if isinstance(optimizer, optax.GradientTransformation) else optimizer


def _plain(optimizer: Any) -> Any:
    """The optimizer, if it is not around others."""
    if isinstance(optimizer, (MultiOptimizer, LossScaleOptimizer)):
        raise ValueError(
            f"a part of a MultiOptimizer cannot be a {type(optimizer).__name__}: put that around the whole; received "
            f"{optimizer!r:.80}"
        )
    return optimizer


class MultiOptimizer(Optimizer):
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
        self._chosen: list[tuple[Optimizer, list[Variable]]] = []
        self._setup(name or naming.auto_name("MultiOptimizer"), None)

    @property
    def optimizers(self) -> list[Optimizer]:
        """All optimizers: those of the map, then its default; of a function those that it chose when built."""
        if isinstance(self.optimizer_map, OptimizerMap):
            found = [*self.optimizer_map.values(), self.optimizer_map.default_optimizer]
        else:
            found = [optimizer for optimizer, _ in self._chosen]
        return list({id(o): o for o in found}.values())

    @property
    def iterations(self) -> Any:
        """How many steps were made: a variable; before the build one that says 0."""
        return super().iterations if self.built else Variable(0, dtype="int32", trainable=False, name="iteration")

    def _define(self, variables: list[Variable]) -> None:
        chosen = {id(o): (o, []) for o in self.optimizers} if not self._chosen else {}
        for variable in variables:
            optimizer = _of_optax(self.optimizer_map(variable))
            if not isinstance(optimizer, Optimizer):
                raise ValueError(
                    f"MultiOptimizer: expected an optimizer for the variable {variable.path!r}; received "
                    f"{optimizer!r:.80}"
                )
            chosen.setdefault(id(_plain(optimizer)), (optimizer, []))[1].append(variable)
        self._chosen = list(chosen.values())
        self.definition = _kfun.MultiOptimizer(self._map(variables), self.loss_scale_factor, name=self.name)
        self.transformation = self.definition.build()

    def _map(self, variables: list[Variable]) -> Any:
        """The kfun map from each variable's path. Optimizers that are equal but not one are told apart by name."""
        definitions: list[Any] = []
        for optimizer, _ in self._chosen:
            if isinstance(optimizer.definition, _kfun.Optimizer):
                optimizer._define(variables)
                optimizer._replace(loss_scale_factor=self.loss_scale_factor)
            n = 0
            while optimizer.definition in definitions:
                n += 1
                if isinstance(optimizer.definition, _kfun.Optimizer):
                    optimizer._replace(name=f"{optimizer.name}_{n}")
                else:
                    optimizer.definition = optax.chain(optimizer.definition)
            definitions.append(optimizer.definition)
        paths = {id(v): path for path, v in by_path(variables).items()}
        numbered = zip(self._chosen, definitions, strict=True)
        made_by_path = {paths[id(v)]: made for (_, own), made in numbered for v in own}
        return _Ordered(definitions[-1], made_by_path, tuple(definitions))

    def _steps(self) -> int:
        taken = [optimizer for optimizer, own in self._chosen if any(v.overwrite_with_gradient for v in own)]
        if any(optimizer._steps() > 1 for optimizer in taken):
            raise ValueError(
                "MultiOptimizer: a variable with `overwrite_with_gradient` cannot belong to an optimizer with "
                "`gradient_accumulation_steps`; map it to one without"
            )
        return 1

    def _made(self) -> Any:
        return self.definition.build() if self.built else None

    def _show_parts(self, state: Any) -> None:
        labels = state["optimizers"]  # a dict in the order of the definition's parts, which is that of the optimizers
        params = {path: v.spec for path, v in by_path(self._trained).items()}
        for (optimizer, own), label in zip(self._chosen, self.definition.parts(params), strict=True):
            optimizer._show(self, labels[label], own, f"optimizers/{label}/")

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

    @property
    def use_ema(self) -> bool:
        """Whether one of the optimizers keeps a moving average."""
        return any(o.use_ema for o in self.optimizers)

    def finalize_variable_values(self, var_list: Any) -> None:
        """Sets the variables to their moving average, each as its optimizer has it."""
        for optimizer in self.optimizers:
            optimizer.finalize_variable_values(var_list)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Names variables that no optimizer decays."""
        for optimizer in self.optimizers:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "optimizer_map": serialize_keras_object(self.optimizer_map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }


class _Ordered(_kfun.OptimizerMap):
    """A map that names all optimizers in order, those without variables included."""

    every: tuple = ()

    def all(self) -> list[Any]:
        return list(dict.fromkeys(self.every))
