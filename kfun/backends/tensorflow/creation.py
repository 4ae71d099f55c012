"""Creation, conversion and casts on TensorFlow."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kfun.backends.tensorflow import control
from kfun.backends.tensorflow.arrays import SCALARS, cast_to, common, native, sizes, to_shape

_NARROW = {"float64": "float32", "int64": "int32", "complex128": "complex64"}


def convert(x):
    """A tensor of a NumPy array, a Python number or a sequence of them; numbers are 32 bits wide."""
    if isinstance(x, (list, tuple)):
        if _holds(x, (tf.Tensor, tf.Variable)):
            return tf.stack(common([convert(e) for e in x]))
        array = np.asarray(x)
        narrow = _NARROW.get(array.dtype.name)
        if (
            narrow
            and not _holds(x, (np.ndarray, np.generic))
            and np.all(array == array.astype(narrow)) | (array.dtype.kind != "i")
        ):
            array = array.astype(narrow)
        return tf.convert_to_tensor(array)
    return control.as_tensor(x)


def _holds(x, types):
    return any(_holds(e, types) if isinstance(e, (list, tuple)) else isinstance(e, types) for e in x)


def convert_to_tensor(x, dtype=None):
    x = convert(x)
    return x if dtype is None else cast(x, dtype)


def convert_to_numpy(x):
    if isinstance(x, tf.Tensor) and not hasattr(x, "numpy"):
        raise TypeError(f"ops.convert_to_numpy: {x!r} has no value while a tf.function is traced: return it instead")
    return np.asarray(x.numpy())  # bfloat16 without axes comes as a scalar


def cast(x, dtype):
    return cast_to(x, native(dtype))


def _filled(shape, value, dtype):
    """The value once, repeated: works for every type, float8 too, for which `tf.zeros` has no kernel."""
    return tf.broadcast_to(cast_to(value, dtype) if dtype is not None else convert(value), to_shape(shape))


def _like(x, value, dtype):
    return _filled(sizes(x), value, native(dtype) or x.dtype)


def arange(start, stop=None, step=1, dtype=None):
    if stop is None:
        start, stop = 0, start
    dtype = native(dtype)
    bounds = (start, stop, step)
    if all(type(b) in SCALARS for b in bounds) and not all(isinstance(b, int) for b in bounds):
        # In float64, as the number of elements of a float32 range may be off by one.
        return tf.constant(np.arange(*bounds), dtype or tf.float32)
    counts = tf.range(*common(bounds))
    return counts if dtype is None else tf.cast(counts, dtype)


def eye(N, M=None, k=0, dtype="float32"):
    diagonal = tf.equal(tf.range(N)[:, None] + k, tf.range(N if M is None else M))
    return tf.cast(diagonal, native(dtype))


RULES = {
    "copy": tf.identity,
    "convert_to_tensor": convert_to_tensor,
    "convert_to_numpy": convert_to_numpy,
    "cast": cast,
    "shape": sizes,
    "zeros": lambda shape, dtype="float32": _filled(shape, 0, native(dtype)),
    "ones": lambda shape, dtype="float32": _filled(shape, 1, native(dtype)),
    "full": lambda shape, fill_value, dtype=None: _filled(shape, fill_value, native(dtype)),
    "arange": arange,
    "eye": eye,
    "zeros_like": lambda x, dtype=None: _like(x, 0, dtype),
    "ones_like": lambda x, dtype=None: _like(x, 1, dtype),
    "full_like": lambda x, fill_value, dtype=None: _like(x, fill_value, dtype),
}
