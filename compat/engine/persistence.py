"""`Persistent`: how a layer is written down, its configuration, shapes and variables, and made again."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from compat.engine.tracking import Tracking
from compat.serialization.objects import PLAIN, serialize_keras_object
from compat.state import naming
from compat.state.shapes import tuples
from compat.variables.variable import fill


def opened(build: Callable) -> Callable:
    """A `build` that may be called by hand as well: names and shapes are kept as when a call builds the layer."""
    signature = inspect.signature(build)
    several = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values())

    @functools.wraps(build)
    def named(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._kf.building:  # `super().build(...)`
            return build(self, *args, **kwargs)
        given = list(signature.bind(self, *args, **kwargs).arguments.items())[1:]
        shapes = {name: tuples(shape) for name, shape in given if shape is not None}
        if several:  # as the arguments of `call` are named, which a call has told already
            shapes = self._kf.build_shapes or self._named_shapes(args)
        self._kf.building = True
        try:
            with self._opening(shapes or None):
                return build(self, *args, **kwargs)
        finally:
            self._kf.building = False

    return named


class Persistent(Tracking):
    """Base of `Layer`: configs, and the variables in a file."""

    def get_config(self) -> dict:
        """The constructor's arguments, from which `from_config` makes the layer again."""
        config = {"name": self.name, "trainable": self.trainable}
        config["dtype"] = serialize_keras_object(self.dtype_policy)
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        if type(self).get_config is Persistent.get_config:
            recorded = {k: v for k, v in self._recorded_config().items() if k not in config}
            config |= {k: serialize_keras_object(v) for k, v in recorded.items()}
        return config

    def get_build_config(self) -> dict | None:
        """The shapes that the layer was built for."""
        shapes = self._kf.build_shapes
        if shapes is None:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: dict) -> None:
        """Builds the layer for the shapes of `get_build_config`."""
        if not config or self.built:
            return
        shapes = config.get("shapes_dict") or {"inputs_shape": config.get("input_shape")}
        shapes = {k: tuples(v) for k, v in shapes.items()}
        with self._opening(shapes):
            self._run_build(shapes)

    @contextlib.contextmanager
    def _opening(self, shapes: dict | None) -> Iterator[None]:
        """Inside, the layer's name is in the paths of what is made; afterwards the layer is built for the shapes."""
        if shapes is not None:
            self._kf.build_shapes = shapes
        if self._kf.opened:
            yield
            return
        self._kf.built_in, self._kf.opened = naming.path_of(self.name), True
        try:
            with naming.at(self._kf.built_in):
                yield
        finally:
            self._kf.opened = False
        self.built = True

    def _saved_parts(self) -> list[tuple[str, Any]]:
        """What may have a place of its own in a file of weights: attributes, and properties of the user's classes."""
        found = {}
        for name, value in vars(self).items():
            if type(value) not in PLAIN and not name.startswith(("_kf", "__")):
                found[name] = value
        if type(self).__module__.partition(".")[0] != "compat":
            found |= _properties(self)
        return in_saved_order(found)

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own variables into a mapping, numbered."""
        trainable, other = self._own()
        for i, v in enumerate(trainable + other):
            store[str(i)] = v._array()

    def load_own_variables(self, store: Any) -> None:
        """Reads the layer's own variables from a mapping, numbered.

        Raises:
            ValueError: if the numbers do not fit.
        """
        trainable, other = self._own()
        own = trainable + other
        if len(own) != len(store):
            hint = "" if self.built else " The layer is not built yet: call it on data, or build it, first."
            raise ValueError(
                f"layer {self.name!r} expected {len(own)} variables; the file has {len(store)} for it.{hint}"
            )
        fill(own, store)


def in_saved_order(parts: dict[str, Any]) -> list[tuple[str, Any]]:
    """Parts in Keras's order, that of their names: private ones last."""
    order = sorted([(f"~{name}" if name.startswith("_") else name, name) for name in parts])
    return [(name, parts[name]) for _, name in order]


def _properties(obj: Any) -> dict[str, Any]:
    """What the properties of a user's classes give: Keras finds layers there too."""
    found = {}
    for cls in type(obj).__mro__:
        if cls.__module__.partition(".")[0] == "compat":
            break
        for name, value in vars(cls).items():
            if isinstance(value, property) and not name.startswith("__"):
                with contextlib.suppress(Exception):  # a property may not be ready; then there is nothing in it to save
                    found[name] = getattr(obj, name)
    return found
