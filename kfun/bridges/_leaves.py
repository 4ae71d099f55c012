"""What bridges share: initializers that give values which another library made, imports with a hint."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kfun import ops
from kfun.errors import MissingExtraError, UnknownSizeError
from kfun.initializers import Initializer
from kfun.spec import Spec
from kfun.weights import Weight


def require(module: str, extra: str, purpose: str) -> Any:
    """Imports an optional package.

    Raises:
        MissingExtraError: if it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(module, extra, purpose) from None


class _Given(Initializer):
    """An initializer that gives a value as it is.

    Two are equal if they give values of one shape and dtype: weights are compared to tell whether
    two runs of one layer declare the same.
    """

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and self._form() == other._form()

    def __hash__(self) -> int:
        return hash(self._form())

    def _form(self) -> tuple:
        return tuple(self.value.shape), str(self.value.dtype)

    def __call__(self, key: Any, shape: Any, dtype: Any) -> Any:
        return ops.cast(ops.convert_to_tensor(self.value), dtype)


def given(value: Any, trainable: bool = True) -> Weight:
    """The weight that begins with a value, stored in JAX's dtype, which without 64-bit types is half as wide."""
    dtype = str(jax.dtypes.canonicalize_dtype(np.dtype(value.dtype)))
    return Weight(tuple(value.shape), _Given(value), dtype, trainable)


class Together:
    """Initializers of weights that one function draws all at once.

    The first weight's draw runs the function; the others take their parts of what it gave.

    Args:
        draw: `draw(key) -> {path: array}`.
    """

    def __init__(self, draw: Callable[[Any], dict[tuple, Any]]):
        self.draw, self.drawn, self.first = draw, {}, None

    def weight(self, path: tuple, like: Any, trainable: bool) -> Weight:
        """The weight at a path, of a shape and dtype like those given."""
        self.first = self.first or path
        return Weight(tuple(like.shape), _Part(self, path), str(like.dtype), trainable)

    def take(self, path: tuple, key: Any) -> Any:
        """The part at a path of a draw, which a new draw of the first weight makes anew."""
        if path == self.first or path not in self.drawn:
            self.drawn = self.draw(key)
        return self.drawn.pop(path)


class _Part(Initializer):
    """The initializer of one of the weights that are drawn together; equal to another by its path."""

    whole: Any
    path: tuple

    def __call__(self, key: Any, shape: Any, dtype: Any) -> Any:
        return self.whole.take(self.path, key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)


def structs(specs: tuple, owner: str, shapes_of: Callable[..., Any]) -> Any:
    """`shapes_of(*specs)` for specs as `jax.ShapeDtypeStruct`s, sizes of None filled in.

    Raises:
        UnknownSizeError: if the result depends on such a size.
    """

    def filled(size: int) -> Any:
        made = [jax.ShapeDtypeStruct([size if s is None else s for s in spec.shape], spec.dtype) for spec in specs]
        return shapes_of(*made)

    found = filled(1)
    if any(None in spec.shape for spec in specs):
        other = filled(2)
        if jax.tree.map(lambda x: x.shape, found) != jax.tree.map(lambda x: x.shape, other):
            shown = ", ".join(str(Spec.of(s).shape) for s in specs)
            raise UnknownSizeError(f"{owner}: a weight's shape depends on a size that is not known; received {shown}")
    return found
