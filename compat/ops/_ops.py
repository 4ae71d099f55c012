"""The ops: those of `kfun.ops`, which work on arrays of every backend, symbolic tensors and variables.

What Keras has from its settings or its global random numbers is added here: the data format, flash attention, seeds.
"""

import builtins
import functools
import inspect

import numpy as _np

from compat.state.policy import floatx as _floatx
from compat.state.settings import values as _settings
from compat.variables.seeds import key_of as _key_of
from compat.variables.variable import unwrap as _unwrap
from kfun import dtypes as _dtypes
from kfun import ops as _kfun

_INT8 = {"int8", _np.dtype("int8")}


def _of_setting(function):
    place = list(inspect.signature(function).parameters).index("data_format")

    @functools.wraps(function)
    def call(*args, **kwargs):
        if _settings["image_data_format"] == "channels_first" and len(args) <= place:
            kwargs["data_format"] = kwargs.get("data_format") or "channels_first"
        return function(*args, **kwargs)

    return call


def _takes_setting(function):
    found = inspect.signature(function).parameters.get("data_format") if inspect.isfunction(function) else None
    return found is not None and found.default is None


globals().update({
    _name: _of_setting(_value) if _takes_setting(_value) else _value
    for _name, _value in vars(_kfun).items()
    if callable(_value) and _name[0] != "_"
})  # fmt: skip


@functools.wraps(_kfun.dot_product_attention)
def dot_product_attention(*args, **kwargs):
    if _settings["flash_attention"] is False and len(args) < 8 and kwargs.get("flash_attention") is None:
        kwargs["flash_attention"] = False
    return _kfun.dot_product_attention(*args, **kwargs)


def elastic_transform(
    images, alpha=20.0, sigma=5.0, interpolation="bilinear", fill_mode="reflect", fill_value=0.0, seed=None,
    data_format=None,
):  # fmt: skip
    """Moves pixels by a smooth random field, drawn from the global generator if there is no `seed`."""
    field = (alpha, sigma, interpolation, fill_mode, fill_value, _key_of(seed))
    return _kfun.elastic_transform(images, *field, data_format or _settings["image_data_format"])


def solve_triangular(a, b, lower=False):
    """Solves `a x = b` for triangular `a` `[..., N, N]` and `b` `[..., N, K]`, or vectors `[..., N]` of its batch."""
    if hasattr(a, "shape") and hasattr(b, "shape") and 1 < len(b.shape) == len(a.shape) - 1:
        return _kfun.squeeze(_kfun.solve_triangular(a, _kfun.expand_dims(b, -1), lower), -1)
    return _kfun.solve_triangular(a, b, lower)


def full(shape, fill_value, dtype=None):
    """`fill_value` in a shape; of the type `floatx` if there is no `dtype`."""
    return _kfun.full(shape, fill_value, dtype or _floatx())


def floor(x):
    """The largest whole number that is not greater, floating; integers become `floatx`."""
    return _kfun.floor(_floating(x))


def ceil(x):
    """The smallest whole number that is not less, floating; integers become `floatx`."""
    return _kfun.ceil(_floating(x))


def _floating(x):
    x = x if hasattr(x, "dtype") else _kfun.convert_to_tensor(x)
    return x if _dtypes.is_float(_dtypes.name(x.dtype)) else _kfun.cast(x, _floatx())


def matmul(x1, x2):
    """The matrix product; of two int8 arrays int32, which holds their sums."""
    return _kfun.matmul(*_wide(x1, x2))


def einsum(subscripts, *operands):
    """A sum of products over named axes; of int8 arrays int32, which holds their sums."""
    return _kfun.einsum(subscripts, *_wide(*operands))


def _wide(*operands):
    for x in operands:
        if getattr(x, "dtype", None) not in _INT8:
            return operands
    return [_kfun.cast(x, "int32") for x in operands]


def size(x):
    """The number of elements, an int; symbolic where a size is known only at run time."""
    if None in getattr(x, "shape", ()):
        return _kfun.sum(_kfun.ones_like(x, "int32"))
    return _kfun.size(x)


def slice(inputs, start_indices, shape):
    """The block of the given `shape` that begins at `start_indices`; a size of -1 is what is left of its axis."""
    axes = len(_kfun.shape(inputs))
    if not len(start_indices) == len(shape) == axes:
        raise ValueError(
            f"ops.slice: expected {axes} start_indices and {axes} sizes for an array of {axes} axes; received "
            f"{len(start_indices)} and {len(shape)}"
        )
    if -1 not in list(shape):
        return _kfun.slice(inputs, start_indices, shape)
    starts = [int(start) for start in start_indices]
    ends = [None if size == -1 else start + size for start, size in zip(starts, shape, strict=True)]
    return _kfun.getitem(inputs, tuple(builtins.slice(*block) for block in zip(starts, ends, strict=True)))


def convert_to_numpy(x):
    """A NumPy array of its own, which may be written to."""
    found = _kfun.convert_to_numpy(_unwrap(x))
    return found if found is not x and found.flags.writeable and found.flags.owndata else _np.array(found)


@functools.wraps(_kfun.custom_gradient)
def custom_gradient(f):
    run = _kfun.custom_gradient(f)
    return functools.wraps(f)(lambda *args, **kwargs: run(*_unwrap(args), **_unwrap(kwargs)))


__all__ = [name for name, value in list(globals().items()) if name[0] != "_" and callable(value)]
