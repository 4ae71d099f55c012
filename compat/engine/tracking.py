"""`Tracking`: an object that owns variables, and finds those of the objects that it holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from compat import constraints, regularizers
from compat import initializers as face
from compat.engine.operation import Operation
from compat.metrics import Metric
from compat.serialization.objects import PLAIN
from compat.state import naming
from compat.state.changes import note_assignment, note_change
from compat.state.tree_reading import Scan, Tree
from compat.variables.seeds import SeedGenerator
from compat.variables.variable import Variable
from kfun import dtypes


class Tracking(Operation):
    """Base of `Layer`: variables, its own and those of layers, metrics and seeds among its attributes."""

    _measured_by_outer = True  # whether a model around counts its metrics

    # What an attribute of a name is made into when it is set: `f(self, value)` gives what is kept.
    _kf_setters: dict[str, Callable[[Any, Any], Any]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        made = self._kf_setters.get(name)
        if made is not None:
            value = made(self, value)
        if isinstance(value, Variable):
            self._track(value)
        old = self.__dict__.get(name)
        if (type(value) not in PLAIN and isinstance(value, _HOLDING)) or (
            type(old) not in PLAIN and isinstance(old, _HOLDING)
        ):
            note_assignment()
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        note_assignment()
        object.__delattr__(self, name)

    def _track(self, variable: Variable) -> None:
        own = self._kf.trainable if variable.trainable else self._kf.other
        if id(variable) not in map(id, (*self._kf.trainable, *self._kf.other)):
            note_assignment()
            own.append(variable)
            if self.__dict__.get("built"):
                note_change()

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Makes a variable of this layer.

        Args:
            shape: sizes; () by default.
            initializer: a name, an initializer, or a function `(shape, dtype)`; by default
                Glorot uniform for floats, zeros for others.
            dtype: by default the policy's variable type.
            trainable: whether optimizers move it.
            autocast: whether it shows itself in the compute type.
            regularizer: a function of the value, added to the losses.
            constraint: a function of the value, applied after each optimizer step.
            aggregation: how copies on several devices combine.
            overwrite_with_gradient: whether the gradient is the new value.
            name: the last part of its path.
        """
        if isinstance(shape, str):
            raise ValueError(
                f"add_weight: the first argument is the shape; received the string {shape!r}. Pass the name as a "
                f"keyword argument: add_weight(name={shape!r}, shape=...)"
            )
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        dtype = dtypes.name(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        within = self._kf.built_in or naming.path_of(self.name)
        variable = Variable(
            face.definition_of(initializer), shape, dtype, trainable, autocast, aggregation, name=name, _within=within
        )
        if regularizer is not None:
            variable.regularizer = regularizer_of(regularizer)
        if constraint is not None:
            variable.constraint = constraint_of(constraint)
        if overwrite_with_gradient is not False:
            variable.overwrite_with_gradient = overwrite_with_gradient
        self._track(variable)
        return variable

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """`add_weight` with the initializer second."""
        return self.add_weight(shape, initializer, dtype, trainable, autocast, regularizer, constraint, name=name)

    def _untrack_variable(self, variable: Variable) -> None:
        """Makes a variable no longer one of this object's; Keras's name for it, which published packages call."""
        note_assignment()
        for own in (self._kf.trainable, self._kf.other):
            own[:] = [v for v in own if v is not variable]
        for name, value in list(self.__dict__.items()):
            if value is variable:
                object.__setattr__(self, name, None)

    def _kf_scanned(self) -> Scan:
        """What there is among the attributes of layers, metrics, seed generators and variables, in order."""
        scan = self._kf.scan
        if scan is None or not scan.holds():
            scan = self._kf.scan = Scan(self.__dict__, _PARTS)
        return scan

    def _sublayers(self) -> list[Tracking]:
        return [p for p in self._kf_scanned().parts if isinstance(p, Tracking)]

    def _kf_tree_below(self) -> Tree:
        tree = self._kf.tree
        if tree is None or not tree.holds():
            tree = self._kf.tree = Tree(self)
        return tree

    def _all_layers(self) -> list[Any]:
        return list(self._kf_tree_below().layers)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Tracking]:
        """This layer and its sublayers, each once; Keras's name for it, which published packages call."""
        found = [self] if include_self else []
        for layer in self._sublayers():
            found += layer._flatten_layers() if recursive else [layer]
        return list(unique(found))

    @property
    def _seed_generators(self) -> list[Any]:
        return [p for p in self._kf_scanned().parts if isinstance(p, SeedGenerator)]

    def _own(self) -> tuple[list[Variable], list[Variable]]:
        scan = self._kf_scanned()
        if not scan.tracked:
            scan.tracked = True
            known = set(map(id, (*self._kf.trainable, *self._kf.other)))
            for part in scan.parts:
                if isinstance(part, Variable) and id(part) not in known:
                    self._track(part)
        return self._kf.trainable, self._kf.other

    @property
    def _trainable_variables(self) -> list[Variable]:
        """Own variables made trainable, frozen ones included; Keras's name for them, as the next."""
        return self._own()[0]

    @property
    def _non_trainable_variables(self) -> list[Variable]:
        return self._own()[1]

    @property
    def variables(self) -> list[Variable]:
        """All variables: own, those of random seeds, and those of sublayers."""
        return self._kf_tree_below().result("variables", self._find_variables)

    def _find_variables(self, said: str = "variables") -> list[Variable]:
        """Each layer's own in the order of the tree; where the class of one below says otherwise, what it says."""
        layers = self._kf_tree_below().layers
        usual = getattr(Tracking, said)
        asked = self._sublayers() if [x for x in layers[1:] if getattr(type(x), said) is not usual] else []
        found: list[Variable] = []
        for layer in layers[:1] if asked else layers:
            trainable, other = layer._own()
            found += trainable
            found += other
            if said == "variables":
                found += [p.state for p in layer._kf.scan.parts if isinstance(p, SeedGenerator)]
        for layer in asked:
            found += getattr(layer, said)
        return unique(found)

    @property
    def weights(self) -> list[Variable]:
        """All variables but those of random seeds and metrics."""
        return self._kf_tree_below().result("weights", lambda: self._find_variables("weights"))

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that optimizers move."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other variables."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that optimizers move."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def trainable(self) -> bool:
        """Whether the layer's variables are trained; setting it sets them and all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._own()[0]:
            variable.trainable = bool(value)
        for layer in self._sublayers():
            layer.trainable = value

    def get_weights(self) -> list[Any]:
        """The weights as NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Sets the weights, in the order of `weights`.

        Raises:
            ValueError: if number or shapes differ.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(
                f"{type(self).__name__} {self.name!r} has {len(own)} weights; received a list of {len(weights)}"
            )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of elements of all weights."""
        return sum(math.prod(v.shape) for v in self.weights)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of this layer and its sublayers."""
        return unique(self._own_metrics() + self._metrics_below())

    def _metrics_below(self) -> list[Any]:
        """The metrics of the sublayers; what is measured in a model inside is said by the outermost one."""
        tree = self._kf_tree_below()
        if all(type(layer).metrics is Tracking.metrics for layer in tree.layers[1:]):
            return tree.result("metrics below", self._find_metrics_below)
        return self._find_metrics_below()  # a class of the user's may give others each time

    def _find_metrics_below(self) -> list[Any]:
        found = []
        for layer in self._sublayers():
            if layer._measured_by_outer:
                found += layer.metrics
        return unique(found)

    def _own_metrics(self) -> list[Any]:
        """The metrics among the attributes."""
        return [p for p in self._kf_scanned().parts if isinstance(p, Metric)]

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of the metrics."""
        return [v for m in self.metrics for v in m.variables]


_PARTS = (Variable, Tracking, Metric, SeedGenerator)
_HOLDING = (*_PARTS, list, tuple, dict)  # a part, or what may have some in it


def unique(items: list[Any]) -> list[Any]:
    """The items without those that are there already."""
    return list(dict(zip(map(id, items), items, strict=True)).values())


def regularizer_of(identifier: Any) -> Any:
    """The regularizer of a name, a config or a function; None for None."""
    if identifier is None:
        return None
    return regularizers.get(identifier)


def constraint_of(identifier: Any) -> Any:
    """The constraint of a name, a config or a function; None for None."""
    if identifier is None:
        return None
    return constraints.get(identifier)
