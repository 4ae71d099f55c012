"""MultiOptimizer: several optimizers, each for a part of the params."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import optax

from kfun import ops
from kfun.definition import Definition, FrozenDict
from kfun.optim._optimizer import Optimizer, OptimizerVariable, build, get, unscaled, variables_of
from kfun.optim._transform import NO_PARAMS
from kfun.optim._trees import flatten, rebuild, scalars_beside

_PARTS = "optimizers"  # the entry of the state that holds the parts' states


class OptimizerMap(Definition):
    """Optimizers by the paths of arrays.

    Args:
        default_optimizer: of the arrays that no key fits; whatever `kfun.optim.get` takes.
        optimizer_map: `{path or pattern: optimizer}`. A key is a path, or a regular expression for a whole path.

    Raises:
        TypeError: if `optimizer_map` is no dict of strings, or a value is no optimizer.
    """

    default_optimizer: Any
    optimizer_map: Any = None

    def check(self):
        given = {} if self.optimizer_map is None else self.optimizer_map
        if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
            raise TypeError(f"OptimizerMap: expected optimizer_map to be a dict of strings; received {given!r:.120}")
        object.__setattr__(self, "default_optimizer", get(self.default_optimizer))
        object.__setattr__(self, "optimizer_map", FrozenDict((key, get(value)) for key, value in given.items()))

    def __call__(self, path: str) -> Any:
        """The optimizer for a path: of the equal key, else of the only pattern that fits, else the default.

        Raises:
            TypeError: if it is called with something else.
            ValueError: if several patterns fit.
        """
        if not isinstance(path, str):
            raise TypeError(
                f"OptimizerMap: expected the path of an array; received {path!r:.80}. It is no schedule: "
                'in optax.inject_hyperparams name it, static_args=("optimizer_map",)'
            )
        return fitting(path, self.optimizer_map, self.default_optimizer)

    def all(self) -> list[Any]:
        """Every optimizer once: those of the map, then the default one."""
        return list(dict.fromkeys([*self.optimizer_map.values(), self.default_optimizer]))


def fitting(path: str, by_pattern: Mapping[str, Any], default: Any) -> Any:
    """The value of the equal key, else of the only pattern that fits the whole path, else the default.

    Raises:
        ValueError: if several patterns fit.
    """
    if path in by_pattern:
        return by_pattern[path]
    found = [pattern for pattern in by_pattern if re.fullmatch(pattern, path)]
    if len(found) > 1:
        raise ValueError(f"several keys of the OptimizerMap fit the path {path!r}: {found}; let one fit")
    return by_pattern[found[0]] if found else default


class MultiOptimizer(Optimizer, common=False):
    """Several optimizers at once, each for the arrays whose paths it is mapped to (`optax.partition`).

    Equal definitions share one state, so that a `global_clipnorm` is over all of their arrays; give
    them different names to keep them apart. The state is `count` (int32) and `optimizers`, the
    parts' states by label; a part's label is its name, numbered where taken.

    Args:
        optimizer_map: an `OptimizerMap`, or a function of an array's path that gives its optimizer.
        loss_scale_factor: gradients are divided by it; takes the place of the parts' own factors.
        name: the prefix of its own variables' names.

    Raises:
        TypeError: if `optimizer_map` is neither.
    """

    optimizer_map: Any  # pyright: ignore[reportGeneralTypeIssues] - the bases' fields are keyword-only
    loss_scale_factor: float | None = None
    name: str | None = dataclasses.field(default=None, kw_only=True)

    def check(self):
        if not callable(self.optimizer_map):
            raise TypeError(
                "MultiOptimizer: expected an OptimizerMap, or a function from a path to an optimizer; "
                f"received {self.optimizer_map!r:.120}"
            )

    @property
    def learning_rate(self) -> Any:  # type: ignore[override]
        """Each part has its own."""
        raise AttributeError("a MultiOptimizer has no learning rate of its own: ask the optimizers in its map")

    def parts(self, params: Any) -> dict[str, tuple[Any, list[str]]]:
        """`{label: (optimizer, paths of its arrays)}`."""
        known = self.optimizer_map.all() if isinstance(self.optimizer_map, OptimizerMap) else []
        paths: dict[Any, list[str]] = {unscaled(optimizer): [] for optimizer in known}
        for path in flatten(params):
            paths.setdefault(unscaled(get(self.optimizer_map(path))), []).append(path)
        labelled: dict[str, tuple[Any, list[str]]] = {}
        for optimizer, own in paths.items():
            base = label = optimizer.prefix() if isinstance(optimizer, Optimizer) else "optax"
            for n in range(1, len(labelled) + 1):
                label = label if label not in labelled else f"{base}_{n}"
            labelled[label] = optimizer, own
        return labelled

    def assemble(self):
        return self.around(optax.GradientTransformation(self._init, self._update))

    def _partition(self, params: Any) -> tuple[optax.GradientTransformation, list[str]]:
        """The parts together, and the labels of those that have no arrays."""
        parts = self.parts(params)
        labels = rebuild(params, {path: label for label, (_, own) in parts.items() for path in own})
        whole = optax.partition({label: build(optimizer) for label, (optimizer, _) in parts.items()}, labels)
        return whole, [label for label, (_, own) in parts.items() if not own]

    def _init(self, params: Any) -> dict[str, Any]:
        state: Any = self._partition(params)[0].init(params)
        return scalars_beside(params, count=0) | {_PARTS: _bare(state)}

    def _update(self, updates: Any, state: Any, params: Any = None) -> tuple[Any, dict[str, Any]]:
        if params is None:
            raise ValueError(NO_PARAMS)
        whole, idle = self._partition(params)
        old: Any = optax.transforms.PartitionState(
            {label: optax.MaskedState(part) for label, part in state[_PARTS].items()}
        )
        moves, new = whole.update(updates, old, params)
        kept = {label: state[_PARTS][label] for label in idle}  # an optimizer without arrays makes no steps
        return moves, {"count": ops.add(state["count"], 1), _PARTS: _bare(new) | kept}

    def variables(self, params, paths=None):
        prefix, arrays = self.prefix(), flatten(params)
        found = [
            OptimizerVariable(f"{prefix}/iteration", "count", dtype="int32"),
            OptimizerVariable(f"{prefix}/learning_rate", None),
        ]
        for label, (optimizer, own) in self.parts(params).items():
            entries = variables_of(optimizer, {path: arrays[path] for path in own}, paths)
            found += [entry.inside(f"{_PARTS}/{label}") for entry in entries]
        return found


def _bare(state: Any) -> dict[str, Any]:
    """The parts' states by label."""
    return {label: part.inner_state for label, part in state.inner_states.items()}
