"""The JAX adapter: nearly every op has its native rule."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from kfun import dtypes
from kfun.backends.common.axes import settled
from kfun.backends.common.windows import depthwise, grouped
from kfun.backends.jax import convolution as convolution
from kfun.backends.jax import functional, matrix, numeric, select
from kfun.backends.jax.arrays import convert, named, of_floats
from kfun.backends.jax.compile import host, prepare
from kfun.ops._kinds import Kind


def _reduction(f):
    def rule(x, axis=None, keepdims=False):
        return f(x, axis=settled(axis), keepdims=keepdims)

    return rule


def _index_of(f):
    def rule(x, axis=None, keepdims=False):
        return f(x, axis=axis, keepdims=keepdims).astype("int32")

    return rule


def convert_to_tensor(x, dtype=None):
    if isinstance(x, jax.Array):
        return x if dtype is None else cast(x, dtype)
    return convert(x) if dtype is None else jnp.asarray(x, dtypes.name(dtype))


def cast(x, dtype):
    name = dtypes.name(dtype)
    return x if x.dtype == name else lax.convert_element_type(x, name)


def full(shape, fill_value, dtype=None):
    return jnp.full(shape, fill_value, named(dtype))


def arange(start, stop=None, step=1, dtype=None):
    return jnp.arange(start, stop, step, dtype=named(dtype))


def split(x, indices_or_sections, axis=0):
    if not isinstance(indices_or_sections, int):
        indices_or_sections = tuple(indices_or_sections)
    elif indices_or_sections == 0 or x.shape[axis] % indices_or_sections:
        raise ValueError(
            f"ops.split: axis {axis} of shape {x.shape} does not divide into {indices_or_sections} equal parts"
        )
    return list(jnp.split(x, indices_or_sections, axis))


def take_along_axis(x, indices, axis=None):
    return jnp.take_along_axis(x, indices, axis)


def pad(x, pad_width, mode="constant", constant_values=None):
    if mode != "constant" and constant_values is not None:
        raise ValueError(f"ops.pad: `constant_values` belong to the mode 'constant'; received mode {mode!r}")
    extra = {} if mode != "constant" else {"constant_values": 0 if constant_values is None else constant_values}
    return jnp.pad(x, pad_width, mode, **extra)


def top_k(x, k, sorted=True):
    return tuple(lax.top_k(x, k))


def slice_(inputs, start_indices, shape):
    if any(isinstance(n, int) and n < 0 for n in shape):  # -1: all the rest
        shape = [
            size - start if n == -1 else n for n, size, start in zip(shape, inputs.shape, start_indices, strict=True)
        ]
    return lax.dynamic_slice(inputs, _starts(start_indices), shape)


def slice_update(inputs, start_indices, updates):
    return lax.dynamic_update_slice(inputs, updates, _starts(start_indices))


def _starts(indices):
    """Starts of one type, which JAX asks for."""
    return [jnp.asarray(i, jnp.int32) for i in indices]


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    return jax.ops.segment_sum(data, segment_ids, num_segments, indices_are_sorted=sorted)


def _matmul(x1, x2):
    """Flattens `[..., T, C] @ [C, F]` to two axes: XLA's gradient of the 2-d product is faster."""
    if x1.dtype.itemsize != 2 and (x1.ndim < 3 or x2.ndim != 2):
        return jnp.matmul(x1, x2)
    if x1.dtype in (jnp.bfloat16, jnp.float16):
        return jnp.matmul(x1, x2, preferred_element_type=jnp.float32).astype(jnp.result_type(x1, x2))
    if x1.ndim > 2 and x2.ndim == 2 and x1.shape[-1]:
        flat = jnp.matmul(x1.reshape(-1, x1.shape[-1]), x2)
        return flat.reshape(*x1.shape[:-1], x2.shape[-1])
    return jnp.matmul(x1, x2)


def einsum(subscripts, *operands):
    out = jnp.result_type(*operands)
    if out == jnp.bfloat16 or out == jnp.float16:
        return jnp.einsum(subscripts, *operands, preferred_element_type=jnp.float32).astype(out)
    return jnp.einsum(subscripts, *operands)


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    state = (loop_vars,) if single else tuple(loop_vars)

    def step(s):
        out = body(*s[1])
        return s[0] + 1, (out,) if single else tuple(out)

    def going(s):
        more = cond(*s[1])
        return more if maximum_iterations is None else jnp.logical_and(more, s[0] < maximum_iterations)

    out = lax.while_loop(going, step, (0, state))[1]
    return out[0] if single else (list(out) if isinstance(loop_vars, list) else out)


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    return lax.scan(f, init, xs, length, reverse, unroll)


def _fold_in(key, data):
    return jax.random.fold_in(key, data)


def randint(key, shape, minval, maxval, dtype="int32"):
    return jax.random.randint(key, shape, minval, maxval, dtypes.name(dtype))


def _round(x, decimals=0):
    if decimals >= 0 or not jnp.issubdtype(x.dtype, jnp.integer):
        return jnp.round(x, decimals)
    unit = 10**-decimals  # which jax.numpy does not do for integers
    whole = x // unit
    rest = 2 * (x - whole * unit)
    return (whole + ((rest > unit) | ((rest == unit) & (whole % 2 == 1)))) * unit


_UNARY = """negative sign exp expm1 log log1p sqrt sin cos tanh floor ceil isnan isinf isfinite logical_not square
    reciprocal abs fabs trunc signbit isposinf isneginf"""
_BINARY = """add subtract multiply divide floor_divide mod fmod power maximum minimum fmax fmin arctan2 equal not_equal
    less less_equal greater greater_equal logical_and logical_or logical_xor logaddexp where"""


_ACTIVATIONS = "relu relu6 sigmoid softplus silu mish log_sigmoid selu hard_sigmoid hard_silu hard_tanh"

RULES = {
    **numeric.RULES,
    **select.RULES,
    **matrix.RULES,
    **functional.RULES,
    **{name: getattr(jnp, name) for name in f"{_UNARY} {_BINARY}".split()},
    "rsqrt": of_floats(lax.rsqrt),
    "erf": of_floats(lax.erf),
    "erfinv": of_floats(lax.erf_inv),
    "round": _round,
    "clip": lambda x, x_min, x_max: jnp.clip(x, x_min, x_max),
    **{name: getattr(jax.nn, name) for name in _ACTIVATIONS.split()},
    "softsign": jax.nn.soft_sign,
    "leaky_relu": lambda x, negative_slope=0.2: jax.nn.leaky_relu(x, negative_slope),
    "elu": lambda x, alpha=1.0: jax.nn.elu(x, alpha),
    "celu": lambda x, alpha=1.0: jax.nn.celu(x, alpha),
    "glu": lambda x, axis=-1: jax.nn.glu(x, axis),
    "gelu": lambda x, approximate=True: jax.nn.gelu(x, approximate),
    "softmax": lambda x, axis=-1: jax.nn.softmax(x, axis),
    "log_softmax": lambda x, axis=-1: jax.nn.log_softmax(x, axis),
    **{
        name: _reduction(getattr(jnp, name))
        for name in ("sum", "mean", "prod", "max", "min", "any", "all", "var", "std")
    },
    "argmax": _index_of(jnp.argmax),
    "argmin": _index_of(jnp.argmin),
    "cumsum": lambda x, axis=None, dtype=None: jnp.cumsum(x, axis, named(dtype)),
    "logsumexp": lambda x, axis=None, keepdims=False: jax.nn.logsumexp(x, settled(axis), keepdims=keepdims),
    "convert_to_tensor": convert_to_tensor,
    "convert_to_numpy": np.asarray,
    "cast": cast,
    "shape": lambda x: x.shape,
    "zeros": lambda shape, dtype="float32": jnp.zeros(shape, dtypes.name(dtype)),
    "ones": lambda shape, dtype="float32": jnp.ones(shape, dtypes.name(dtype)),
    "full": full,
    "arange": arange,
    "eye": lambda N, M=None, k=0, dtype="float32": jnp.eye(N, M, k, dtypes.name(dtype)),
    "zeros_like": lambda x, dtype=None: jnp.zeros_like(x, named(dtype)),
    "ones_like": lambda x, dtype=None: jnp.ones_like(x, named(dtype)),
    "full_like": lambda x, fill_value, dtype=None: jnp.full_like(x, fill_value, named(dtype)),
    "reshape": lambda x, newshape: jnp.reshape(x, newshape),
    "transpose": lambda x, axes=None: jnp.transpose(x, axes),
    "expand_dims": lambda x, axis: jnp.expand_dims(x, settled(axis)),
    "squeeze": lambda x, axis=None: jnp.squeeze(x, settled(axis)),
    "broadcast_to": lambda x, shape: jnp.broadcast_to(x, shape),
    "concatenate": lambda xs, axis=0: jnp.concatenate(xs, axis),
    "stack": lambda x, axis=0: jnp.stack(x, axis),
    "split": split,
    "getitem": operator.getitem,
    "take": lambda x, indices, axis=None: jnp.take(x, indices, axis),
    "take_along_axis": take_along_axis,
    "pad": pad,
    "tile": lambda x, repeats: jnp.tile(x, repeats),
    "repeat": lambda x, repeats, axis=None: jnp.repeat(
        x, np.asarray(repeats) if isinstance(repeats, (list, tuple)) else repeats, axis
    ),
    "flip": lambda x, axis=None: jnp.flip(x, settled(axis)),
    "roll": lambda x, shift, axis=None: jnp.roll(x, shift, settled(axis)),
    "sort": lambda x, axis=-1: jnp.sort(x, axis),
    "argsort": lambda x, axis=-1: jnp.argsort(x, axis).astype("int32"),
    "top_k": top_k,
    "searchsorted": lambda sorted_sequence, values, side="left": jnp.searchsorted(sorted_sequence, values, side).astype(
        "int32"
    ),
    "slice": slice_,
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "tril": lambda x, k=0: jnp.tril(x, k),
    "triu": lambda x, k=0: jnp.triu(x, k),
    "matmul": _matmul,
    "einsum": einsum,
    "conv": convolution.conv,
    "depthwise_conv": depthwise(convolution.conv, grouped),
    "conv_transpose": convolution.conv_transpose,
    "max_pool": convolution.max_pool,
    "average_pool": convolution.average_pool,
    "scan": scan,
    "while_loop": while_loop,
    "cond": lambda pred, true_fn, false_fn: lax.cond(pred, true_fn, false_fn),
    "stop_gradient": lambda variable: jax.tree.map(lax.stop_gradient, variable),
    "fori_loop": lambda lower, upper, body_fun, init_val: lax.fori_loop(lower, upper, body_fun, init_val),
    "vectorized_map": lambda function, elements: jax.vmap(function)(elements),
    "random_split": lambda key, num=2: jax.random.split(key, num),
    "random_fold_in": _fold_in,
    "random_bits": lambda key, shape=(): jax.random.bits(key, shape, jnp.uint32),
    "random_uniform": lambda key, shape=(), dtype="float32", minval=0.0, maxval=1.0: jax.random.uniform(
        key, shape, dtypes.name(dtype), minval, maxval
    ),
    "random_normal": lambda key, shape=(), dtype="float32": jax.random.normal(key, shape, dtypes.name(dtype)),
    "random_truncated_normal": lambda key, shape=(), dtype="float32", lower=-2.0, upper=2.0: (
        jax.random.truncated_normal(key, lower, upper, shape, dtypes.name(dtype))
    ),
    "random_randint": randint,
    "random_permutation": lambda key, n: jax.random.permutation(key, n).astype("int32"),
    "random_bernoulli": lambda key, p=0.5, shape=(): jax.random.bernoulli(key, p, shape),
}

TRANSFORMS = {
    "grad": jax.grad,
    "value_and_grad": jax.value_and_grad,
    "vjp": jax.vjp,
    "jvp": jax.jvp,
    "jacfwd": jax.jacfwd,
    "jacrev": jax.jacrev,
    "hessian": jax.hessian,
    "vmap": jax.vmap,
    "jit": jax.jit,
    "checkpoint": jax.checkpoint,
    **functional.TRANSFORMS,
}

KIND = Kind("jax", (jax.Array, Tracer), RULES, convert, transforms=TRANSFORMS, prepare=prepare, host=host)
