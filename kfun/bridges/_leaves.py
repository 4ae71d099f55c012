"""What bridges share: weights that another library made or draws, paths of its trees, imports with a hint."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kfun import ops
from kfun.errors import MissingExtraError, ParameterError, UnknownSizeError
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


# ---- weights that there are already ----


class _Given(Initializer):
    """An initializer that gives a value as it is.

    Two are equal if they give values of one shape and dtype: weights are compared to tell whether
    two runs of one layer declare the same.
    """

    value: Any
    same_draws: str | None = None  # why several draws may not be stacked, None if they may

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and self._form() == other._form()

    def __hash__(self) -> int:
        return hash(self._form())

    def _form(self) -> tuple:
        return tuple(self.value.shape), str(self.value.dtype)

    def __call__(self, key: Any, shape: Any, dtype: Any) -> Any:
        value = ops.cast(ops.convert_to_tensor(plain(self.value)), dtype)
        if self.same_draws and isinstance(key, Tracer):
            return _one_draw(self.same_draws, key, value)
        # A copy: the other library's own array must outlast a step that donates the params.
        return value.copy() if isinstance(value, (jax.Array, np.ndarray)) else value


def _one_draw(refusal: str, key: Any, value: Any) -> Any:
    """`value`; raises ValueError with the refusal where a map over keys, now or later, makes copies of it."""

    @jax.custom_batching.custom_vmap
    def draw(key: Any, value: Any) -> Any:
        return value

    @draw.def_vmap
    def mapped(axis_size: int, in_batched: list, key: Any, value: Any) -> Any:
        if in_batched[0]:
            raise ValueError(refusal)
        return value, in_batched[1]

    return draw(key, value)


def given(value: Any, trainable: bool = True, same_draws: str | None = None) -> Weight:
    """The weight that begins with a value, stored in JAX's dtype, which without 64-bit types is half as wide.

    Args:
        value: the first value.
        trainable: whether it is one of the params.
        same_draws: what to say where several draws are asked for (an ensemble), which would all be this value.
    """
    like = plain(jax.ShapeDtypeStruct(value.shape, value.dtype))
    dtype = str(jax.dtypes.canonicalize_dtype(np.dtype(like.dtype)))
    return Weight(tuple(like.shape), _Given(value, same_draws if trainable else None), dtype, trainable)


def same_draws(what: str, how: str) -> str:
    """The message about copies of a layer that holds fixed weights.

    Args:
        what: the layer.
        how: the form that draws.
    """
    return (
        f"{what} holds fixed weights: copies of it (Ensemble, Stack, jax.vmap over init) would all begin with the "
        f"same ones. To draw each its own, {how}. To begin all with these, stack them yourself: "
        "jax.tree.map(lambda w: jnp.stack([w] * n), params)"
    )


# ---- weights that are drawn together ----


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


def made_by(make: Callable, name: str, value: Any) -> Any:
    """What a factory makes of a key, or of another value: by its argument of a name, else its only one."""
    inner = make
    while isinstance(inner, functools.partial):
        inner = inner.func
    if inspect.isclass(inner):  # whose metaclass may hide what its constructor takes
        inner = inner.__init__
    try:
        takes = name in inspect.signature(inner).parameters
    except (TypeError, ValueError):  # some built-in functions do not tell
        takes = False
    return make(**{name: value}) if takes else make(value)


# ---- trees and paths ----


def is_key(x: Any) -> bool:
    """Whether an array holds typed random keys."""
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def plain(x: Any) -> Any:
    """An array as a weight is stored: typed random keys as their numbers, and of its own dtype for good."""
    if isinstance(x, jax.ShapeDtypeStruct):
        found = jax.eval_shape(jax.random.key_data, x) if is_key(x) else x
        return jax.ShapeDtypeStruct(found.shape, found.dtype)
    if not isinstance(x, jax.Array):
        return x
    return jax.random.key_data(x) if is_key(x) else jax.lax.convert_element_type(x, jnp.dtype(x.dtype))


def as_before(like: Any, value: Any) -> Any:
    """The inverse of `plain`, for an array like the one that it was given."""
    if not is_key(like):
        return value
    found: list[Any] = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), like)  # which takes mere shapes too
    return jax.random.wrap_key_data(value, impl=found[0])


def typed_key(key: Any) -> Any:
    """A random key of kfun, or any other, as a typed key of JAX."""
    if is_key(key):
        return key
    key = jnp.asarray(key)
    return jax.random.wrap_key_data(key, impl="threefry2x32" if key.shape[-1] == 2 else None)


def raw_key(key: Any) -> Any:
    """The numbers of a random key."""
    return jax.random.key_data(key) if is_key(key) else key


def nested(flat: dict[tuple, Any]) -> dict:
    """Nested dicts of values by path."""
    made: dict = {}
    for path, value in flat.items():
        inner = made
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return made


def flat(tree: Any) -> dict[tuple, Any]:
    """The leaves of nested dicts by path."""
    if not isinstance(tree, dict):
        return {(): tree}
    return {(name, *path): leaf for name, inner in tree.items() for path, leaf in flat(inner).items()}


def check_paths(layer: Any, params: Any, state: Any, names: tuple[Any, Any]) -> None:
    """Compares given params and state with the paths of a layer's own.

    Raises:
        ParameterError: if one is missing, or is none of the layer's; the message names it.
    """
    for trees, expected, what in ((params, names[0], "param"), (state, names[1], "state")):
        found = flat(trees) if trees else {}
        if found.keys() == expected:
            continue
        faults = {
            _path(p): f"is missing, received the {what}s {_shown(found)}" for p in sorted(expected - found.keys())
        }
        faults |= {_path(p): f"is no {what} of the layer" for p in found if p not in expected}
        raise ParameterError(faults, repr(layer))


def _path(path: tuple) -> str:
    return "/".join(map(str, path))


def _shown(found: Any) -> str:
    return str([_path(p) for p in found][:20]) if found else "none"


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
