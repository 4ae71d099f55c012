"""What attention knows of positions: rotary embeddings, and the keys and values of those before (a KV cache).

B batch, T new positions, S positions of the cache, K key heads, H key and V value size per head.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from kfun import dtypes, initializers, ops
from kfun.definition import Convert
from kfun.errors import UnknownSizeError
from kfun.layer import Layer
from kfun.layers.checks import label, shown
from kfun.ops._kinds import kind_of
from kfun.weights import Weight


def _wavelength(value: Any) -> float | None:
    if value is None or isinstance(value, (bool, np.bool_)):
        return 10_000.0 if value else None
    if not isinstance(value, (int, float, np.number)) or not 0 < value < math.inf:
        raise ValueError(f"must be a positive number, True for 10000.0, or None; received {value!r}")
    return float(value)


Wavelength = Annotated[Any, Convert(_wavelength)]


def positions(x: Any) -> Any:
    """`[1, T]`, 0 to T - 1, of the framework of `x` `[B, T, ...]` also where T is known only at run time."""
    column = ops.getitem(x, (slice(0, 1), slice(None), *(0,) * (len(x.shape) - 2)))
    return ops.subtract(ops.cumsum(ops.ones_like(column, "int32"), 1), 1)


def rotated(x: Any, places: Any, wavelength: float) -> Any:
    """Rotary embedding (Su et al. 2021, arXiv:2104.09864): a turn of each pair by an angle that grows with the place.

    Pair i is `(x[i], x[i + H/2])`, as in GPT-NeoX and Llama, where the paper has neighbours; its angle is
    `place * wavelength ** (-2 i / H)`. Angles are taken in at least float32.

    Args:
        x: `[B, T, K, H]`, H even.
        places: int `[1, T]`.
        wavelength: the base.
    """
    wide = dtypes.settle(dtypes.promote(dtypes.name(x.dtype), "float32"))
    half = x.shape[-1] // 2
    slower = np.power(float(wavelength), -np.arange(half) / half).astype(wide)
    angles = ops.multiply(ops.expand_dims(ops.cast(places, wide), (-2, -1)), slower)  # [1, T, 1, H/2]
    cosine, sine = ops.cos(angles), ops.sin(angles)
    first, second = (ops.cast(ops.getitem(x, (..., part)), wide) for part in (slice(None, half), slice(half, None)))
    turned = (
        ops.subtract(ops.multiply(first, cosine), ops.multiply(second, sine)),
        ops.add(ops.multiply(second, cosine), ops.multiply(first, sine)),
    )
    return ops.cast(ops.concatenate(turned, -1), x.dtype)


def cache_weights(layer: Layer, size: int, x: Any, heads: int, key_size: int, value_size: int) -> dict[str, Weight]:
    """The state that holds the keys and values of up to `size` positions, for values like `x` `[B, T, C]`."""
    batch = x.shape[0]
    if not isinstance(batch, int):
        raise UnknownSizeError(
            f"{label(layer)}: the batch size must be known with cache_size={size}, since the state holds keys of shape "
            f"[B, {size}, {heads}, {key_size}]; received an input of shape {shown(x.shape)}. Pass init a Spec with it"
        )
    computed = layer.policy and layer.policy.compute
    dtype = computed or dtypes.settle(dtypes.promote(dtypes.name(x.dtype), "float32"))
    zeros = initializers.Zeros()

    def kept(shape: tuple, dtype: str) -> Weight:
        return Weight(shape, zeros, dtype, trainable=False, autocast=False)

    return {
        "key": kept((batch, size, heads, key_size), dtype),
        "value": kept((batch, size, heads, value_size), dtype),
        "seen": kept((batch, size), "bool"),
        "position": kept((), "int32"),
    }


def check_room(layer: Layer, cache: Any, query: tuple, value: tuple, mask: Any) -> None:
    """Raises ValueError unless the state has a cache that takes inputs of these shapes, as far as is known now."""
    size = layer.cache_size
    if cache is None:
        raise ValueError(
            f"{label(layer)}: the state has no cache, which cache_size={size} needs: use the state that init gives for "
            "this definition; params are the same without a cache"
        )
    if _unlike(query[:2], value[:2]):
        raise ValueError(
            f"{label(layer)}: with a cache, query and value are the same new positions; received shapes {shown(query)} "
            f"and {shown(value)}"
        )
    held = tuple(cache["key"].shape)
    if _unlike(held[:1], query[:1]):
        raise ValueError(
            f"{label(layer)}: the cache was made for batches of {held[0]}; received {query[0]}. Init again for it"
        )
    if mask is not None and _unlike((size,), tuple(mask.shape)[-1:]):
        raise ValueError(
            f"{label(layer)}: with a cache, attention_mask is of all its positions, [B, T, {size}]; received shape "
            f"{shown(mask.shape)}"
        )
    before = _number(cache["position"]) or 0
    if isinstance(query[1], int) and before + query[1] > size:
        raise ValueError(
            f"{label(layer)}: the cache has room for {size} positions; received {query[1]} more after {before}. Set a "
            "larger cache_size, or begin with a new state"
        )


def _unlike(first: tuple, second: tuple) -> bool:
    """Whether sizes that are known differ."""
    pairs = zip(first, second, strict=True)
    return any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)


def _number(position: Any) -> int | None:
    """The position where it is known, None while it is traced."""
    kind = kind_of((position,))
    known = position if kind is None else kind.host(position) if kind.host else None
    return None if known is None or np.ndim(known) else int(known)


def appended(cache: dict, k: Any, v: Any, seen: Any) -> dict:
    """The cache with new positions.

    Where they do not fit they are written over the last ones, and `position` is beyond the size from then on.

    Args:
        cache: as declared by `cache_weights`.
        k: `[B, T, K, H]`.
        v: `[B, T, K, V]`.
        seen: bool `[B, T]`, which of them later queries may see.
    """
    position = cache["position"]
    keys, values = (ops.cast(x, held.dtype) for x, held in ((k, cache["key"]), (v, cache["value"])))
    return {
        "key": ops.slice_update(cache["key"], (0, position, 0, 0), keys),
        "value": ops.slice_update(cache["value"], (0, position, 0, 0), values),
        "seen": ops.slice_update(cache["seen"], (0, position), seen),
        "position": ops.cast(ops.add(position, ops.shape(k)[1]), "int32"),
    }
