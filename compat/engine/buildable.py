"""`Buildable`: the half of a layer that makes its variables, for the shapes of its arguments."""

from __future__ import annotations

import inspect
from typing import Any

import jax

from compat.engine.call_context import call_plan
from compat.engine.persistence import Persistent
from compat.state.shapes import is_data, shapes_of, tuples


class Buildable(Persistent):
    """Builds itself at the first call."""

    def build(self, input_shape: Any) -> None:
        """Makes the variables; a subclass with `add_weight` in it overrides this."""
        self.built = True

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        if self.built:
            return
        shapes = self._shapes_of(args, kwargs)
        with self._opening(shapes), jax.ensure_compile_time_eval():
            if shapes is not None:
                self._run_build(shapes)

    def _run_build(self, shapes: dict) -> None:
        names = list(inspect.signature(self.build).parameters)
        if len(names) == 1 or not any(n in shapes for n in names):
            self.build(next(iter(shapes.values())))
        else:
            self._check_build(names)
            self.build(**{n: shapes[n] for n in names if n in shapes})

    def _named_shapes(self, shapes: tuple) -> dict:
        """`{"<argument>_shape": shape}` of shapes in the order of `call`'s arguments."""
        given = [s for s in shapes if s is not None]
        return {f"{n}_shape": tuples(s) for n, s in zip(call_plan(type(self)).names, given, strict=False)}

    def _check_build(self, names: list[str]) -> None:
        """Raises ValueError unless each argument of `build` is named after one of `call`."""
        known = call_plan(type(self)).names
        for name in names:
            if not name.endswith("_shape"):
                raise ValueError(
                    f"{type(self).__name__}: build() takes `{name}`, a name without `_shape` at its end; with "
                    f"several arguments each is named after one of call(), as `{known[0]}_shape`"
                )
            stem = name.removesuffix("_shape")
            if stem not in known:
                raise ValueError(
                    f"{type(self).__name__}: build() takes `{name}`, but call() takes no `{stem}`; it takes "
                    f"{', '.join(known)}"
                )

    def _build_at_init(self) -> None:
        """Marks a layer without state as built; Keras's name for it, which published layers call."""
        if type(self).build is Buildable.build:
            self.built = True

    def _shapes_of(self, args: tuple, kwargs: dict) -> dict | None:
        """`{"<argument>_shape": shape}` of the arguments that are arrays."""
        plan = call_plan(type(self))
        named = dict(zip(plan.names, args, strict=False)) | kwargs
        if len(args) > len(plan.names):
            named["inputs"] = args[0]
        shapes = {f"{n}_shape": shapes_of(v) for n, v in named.items() if is_data(v)}
        return shapes or None
