"""One table of calls for every op, and the random draws that all adapters share."""

from __future__ import annotations

import collections

import jax.numpy as jnp
import numpy as np
import pytest

from kfun.ops._dispatch import OPS
from tests.backends.comparison import DTYPES as DTYPES
from tests.backends.comparison import Case as Case
from tests.backends.comparison import X as X
from tests.backends.comparison import arguments as arguments
from tests.backends.comparison import check_same as check_same
from tests.backends.comparison import expected as expected
from tests.backends.comparison import expected_gradients as expected_gradients
from tests.backends.comparison import integers as integers
from tests.backends.comparison import weights as weights

FLOATS = ("float16", "bfloat16", "float32")
F32 = ("float32",)
NUMBERS = ("int32", "uint8", "float16", "bfloat16", "float32")


def _elementwise():
    for op in ["add", "subtract", "multiply", "maximum", "minimum"]:
        yield Case(op, (X(), X((4,))))
        yield Case(op, (X(), 2))
        yield Case(op, (0.5, X()))
        yield Case(op, (X(), X((3, 1), dtype="int32")))
        yield Case(op, (X((), dtype="float32"), X()))
        yield Case(op, (X(dtype="uint32"), X((4,), dtype="uint32")), dtypes=F32, gradient=False)
        yield Case(op, (X(dtype="uint16"), 3), dtypes=F32, gradient=False)
    for op in ["divide", "floor_divide", "mod"]:
        yield Case(op, (X(), X((4,), 1, 3)), dtypes=NUMBERS, gradient=op == "divide")
        yield Case(op, (X(), 3), dtypes=NUMBERS, gradient=op == "divide")
        yield Case(op, (X(), -0.7), dtypes=NUMBERS, gradient=op == "divide")
    yield Case("power", (X((3, 4), 0.2, 2), X((4,), 0, 3)), dtypes=NUMBERS)
    yield Case("power", (X(), 2))
    yield Case("power", (2.0, X()), dtypes=NUMBERS)
    yield Case("arctan2", (X(), X((4,), 0.5, 3)))
    for op in ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]:
        yield Case(op, (X(), X((4,))))
        yield Case(op, (X(), 1))
        yield Case(op, (X(dtype="uint32"), X((4,), dtype="uint32")), dtypes=F32, gradient=False)
    for op in ["logical_and", "logical_or"]:
        yield Case(op, (X(), X((4,), dtype="int32")))
    yield Case("logical_not", (X(),))
    for op in [
        "negative",
        "abs",
        "sign",
        "floor",
        "ceil",
        "isnan",
        "isinf",
        "isfinite",
        "sin",
        "cos",
        "tanh",
        "exp",
        "expm1",
        "erf",
        "square",
    ]:
        yield Case(op, (X(),), dtypes=NUMBERS if op == "square" else DTYPES)
        yield Case(op, (X(()),), dtypes=F32)
    for op in ["log", "sqrt", "rsqrt", "log1p", "reciprocal"]:
        yield Case(op, (X((3, 4), 0.3, 4),))
    yield Case("erfinv", (X((3, 4), -0.9, 0.9),), dtypes=FLOATS)
    yield Case("round", (X((3, 4), -5, 5),), gradient=False)
    yield Case("round", (X((3, 4), -5, 5), 1), dtypes=F32, gradient=False)
    yield Case("where", (X(dtype="bool"), X(), X((4,))))
    yield Case("where", (X(dtype="bool"), X(), 0))
    yield Case("where", (X(dtype="bool"), 1.0, X()))
    yield Case("where", (X(dtype="bool"), 1, 2))
    yield Case("clip", (X(), 0, 1))
    yield Case("clip", (X(), X((4,), -1, 0), X((4,), 0.5, 1)), dtypes=FLOATS)
    yield Case("logaddexp", (X(), X((4,))))
    yield Case("squared_difference", (X(), X((4,))), dtypes=NUMBERS)
    for name in ("sign", "exp", "log", "isnan", "isfinite", "isinf", "maximum", "sqrt", "logaddexp", "max", "argmax"):
        special = [[np.nan, np.inf, -np.inf, -0.0, 1.0]] * (2 if name in ("maximum", "logaddexp") else 1)
        yield Case(name, tuple(np.float32(s) for s in special), dtypes=F32, gradient=False)


def _activations():
    names = """relu relu6 sigmoid softplus silu mish log_sigmoid selu softsign hard_sigmoid hard_silu hard_tanh
        tanh_shrink leaky_relu elu celu gelu softmax log_softmax glu"""
    for op in names.split():
        yield Case(op, (X((3, 4), -7, 7),), dtypes=FLOATS)
    yield Case("softplus", (X((3, 4), -200, 200),), dtypes=F32)
    yield Case("gelu", (X(), False), dtypes=FLOATS)
    yield Case("elu", (X(), 0.5), dtypes=F32)
    yield Case("celu", (X(), 0.5), dtypes=F32)
    yield Case("leaky_relu", (X(), 0.01), dtypes=F32)
    for op in ("softmax", "log_softmax"):
        yield Case(op, (X((2, 3, 4)), 1), dtypes=F32)
        yield Case(op, (X((2, 3, 4)), (0, 2)), dtypes=F32)


def _reductions():
    axes = ((), (0,), (-1,), ((0, 2),), (1, True), (None, True))
    for op in ["sum", "mean", "prod", "max", "min", "any", "all"]:
        for extra in axes:
            yield Case(op, (X((2, 3, 4), 0.5, 1.5), *extra))
        yield Case(op, (X(()),), dtypes=F32)
    for op in ["var", "std", "logsumexp"]:
        for extra in axes:
            yield Case(op, (X((2, 3, 4)), *extra), dtypes=("int32", *FLOATS))
    for op in ("argmax", "argmin"):
        for extra in ((), (0,), (-1, True), (None, True)):
            yield Case(op, (X((2, 3, 4), -50, 50), *extra))
    for dtype in ("int8", "uint8", "int16", "uint16", "uint32"):
        yield Case("sum", (X((3, 4), 0, 9, dtype),), dtypes=F32)
        yield Case("prod", (X((3, 4), 1, 3, dtype),), dtypes=F32)
        yield Case("cumsum", (X((3, 4), 0, 9, dtype), 1), dtypes=F32)
    yield Case("sum", (X((4, 3000), 0.9, 1),), dtypes=FLOATS, gradient=False)
    yield Case("mean", (X((100000,), 0.9, 1),), dtypes=FLOATS, gradient=False)
    yield Case("sum", (X((0, 3)), 0), dtypes=F32, gradient=False)
    yield Case("cumsum", (X(), 1))
    yield Case("cumsum", (X(),))
    yield Case("cumsum", (X(), 0, "float32"), dtypes=("int32",))
    yield Case("count_nonzero", (X((3, 4), -1, 1), 0), dtypes=("int32", "bool"))


def _products():
    for shapes in (((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((4,), (4, 5)), ((2, 3, 4), (4,))):
        yield Case("matmul", (X(shapes[0]), X(shapes[1])))
    yield Case("matmul", (X((2, 3)), X((3, 4), dtype="float32")))
    yield Case("matmul", (X((2, 3000), 0.9, 1), X((3000, 2), 0.9, 1)), dtypes=FLOATS, gradient=False)
    yield Case("einsum", ("btc,cnh->btnh", X((2, 3, 4)), X((4, 2, 5))), dtypes=NUMBERS)
    yield Case("einsum", ("...ij,...jk->...ik", X((2, 3, 4)), X((4, 5))), dtypes=NUMBERS)
    yield Case("einsum", ("ii->i", X((3, 3))), dtypes=F32)
    yield Case("einsum", ("i,j", X((3,)), X((2,), dtype="int32")), dtypes=F32)
    yield Case("tensordot", (X((2, 3, 4)), X((3, 4, 5))), dtypes=F32)
    yield Case("dot", (X((2, 3)), X((3,))), dtypes=F32)
    yield Case("outer", (X((3,)), X((2, 2))), dtypes=NUMBERS)
    yield Case("norm", (X(), None, 1), dtypes=FLOATS)
    yield Case("norm", (X(), 1, 1), dtypes=F32)
    yield Case("normalize", (X(),), dtypes=FLOATS)
    for mode in ("reduced", "complete"):
        yield Case("qr", (X((4, 4)), mode), dtypes=F32)


def _creation():
    for dtype in (None, "float16", "bool", "uint8"):
        yield Case("convert_to_tensor", (X((3, 4), 0, 2), dtype))
        yield Case("zeros_like", (X(), dtype), gradient=False)
        yield Case("ones_like", (X(), dtype), gradient=False)
        yield Case("full_like", (X(), 3, dtype), gradient=False)
    yield Case("array", (X(),))
    for dtype in DTYPES:
        yield Case("cast", (X((3, 4), 0, 2), dtype))


def _shaping():
    x, y = X((2, 3, 4)), X((2, 1, 4))
    yield Case("reshape", (x, (4, -1)))
    yield Case("reshape", (x, -1))
    yield Case("ravel", (x,))
    yield Case("transpose", (x,))
    yield Case("transpose", (x, (1, 2, 0)))
    yield Case("swapaxes", (x, 0, -1))
    yield Case("moveaxis", (x, 0, -1))
    yield Case("moveaxis", (x, (0, 1), (-1, 0)))
    yield Case("expand_dims", (x, -2))
    yield Case("expand_dims", (x, (0, 3)))
    yield Case("squeeze", (y,))
    yield Case("squeeze", (y, 1))
    yield Case("broadcast_to", (y, (5, 2, 3, 4)))
    yield Case("concatenate", ([x, y], 1))
    yield Case("concatenate", ([x, X((2, 3, 1), dtype="int32")], -1))
    yield Case("stack", ([x, x], 1))
    yield Case("stack", ([x, X((2, 3, 4), dtype="float32")],))
    yield Case("split", (x, 2, -1))
    yield Case("split", (x, [1, 2], 1))
    yield Case("unstack", (x,), {"axis": 1})
    s = np.s_
    for index in (s[0], s[1, ..., 2], s[:, 1:], s[:, ::-1], s[None, :, -1], s[..., ::-2], s[:, 2:0:-1, None]):
        yield Case("getitem", (x, index))
    yield Case("take", (x, integers((2, 2), 3, -3), 1))
    yield Case("take", (x, integers((5,), 24)))
    yield Case("take", (x, 1, -1))
    yield Case("take_along_axis", (x, integers((2, 3, 2), 4, -4), -1))
    yield Case("take_along_axis", (X((4,)), integers((2,), 4), None))
    for mode in ("reflect", "symmetric", "edge", "constant"):
        yield Case("pad", (x, ((0, 0), (2, 1), (1, 2)), mode))
    yield Case("pad", (x, 1), {"constant_values": 2})
    yield Case("pad", (x, (1, 2)))
    yield Case("tile", (x, (2, 1, 2)))
    yield Case("tile", (x, (2, 1, 1, 2)))
    yield Case("repeat", (x, 2, 1))
    yield Case("repeat", (x, 2))
    yield Case("flip", (x,))
    yield Case("flip", (x, (0, -1)))
    yield Case("roll", (x, 2, 1))
    yield Case("roll", (x, (1, -1), (0, 2)))
    yield Case("roll", (x, 5))
    yield Case("roll", (x, 1, (0, 2)))
    for op in ("sort", "argsort"):
        yield Case(op, (X((3, 20), -90, 90),))
        yield Case(op, (X((3, 4), -2, 2), 0))
    yield Case("top_k", (X((3, 20), -50, 50), 5))
    yield Case("top_k", (X((3, 20), -2, 2), 20), dtypes=("int32", "uint8"))
    ordered = np.arange(6, dtype=np.float32)
    for side in ("left", "right"):
        yield Case("searchsorted", (ordered, X((2, 3), 0, 6)), {"side": side}, dtypes=NUMBERS)
    yield Case("slice", (x, (0, 1, -2), (1, 2, 2)))
    yield Case("slice", (x, (5, integers((), 3, 2), 1), (1, 2, 2)))
    yield Case("slice_update", (x, (0, 2, 1), X((1, 2, 2))))
    yield Case("slice_update", (x, (0, integers((), 3, 2), 1), X((1, 2, 2))))
    yield Case("segment_sum", (X((6, 2)), integers((6,), 4)), {"num_segments": 4}, dtypes=NUMBERS)
    yield Case("segment_sum", (X((6, 2)), integers((6,), 6)), {"num_segments": 4}, dtypes=NUMBERS)
    yield Case("segment_sum", (X((6, 2)), integers((6,), 4)), dtypes=F32, gradient=False)
    for op in ("tril", "triu"):
        yield Case(op, (x,))
        yield Case(op, (x, -1))


def _convolutions():
    kernels = {1: (3,), 2: (3, 2), 3: (2, 3, 1)}
    for n, window in kernels.items():
        x = X((2, *(8, 7, 6)[:n], 4))
        yield Case("conv", (x, X((*window, 4, 5))), dtypes=FLOATS if n == 2 else F32)
        for options in ({"strides": 2}, {"dilation_rate": 2}, {"strides": (3, 2, 1)[:n]}):
            yield Case("conv", (x, X((*window, 2, 6))), {"padding": "same", **options}, dtypes=F32)
            yield Case("depthwise_conv", (x, X((*window, 4, 2))), {"padding": "same", **options}, dtypes=F32)
        first = X((2, 4, *(8, 7, 6)[:n]))
        options = {"data_format": "channels_first", "padding": "same"}
        yield Case("conv", (first, X((*window, 4, 5))), options, dtypes=F32)
        for op in ("max_pool", "average_pool"):
            yield Case(op, (x, 2), dtypes=("int32", *FLOATS) if op == "max_pool" else FLOATS)
            yield Case(op, (x, 3), {"strides": 2, "padding": "same"}, dtypes=FLOATS if n == 2 else F32)
            yield Case(op, (x, window), {"strides": 1, "padding": "same"}, dtypes=F32)
            yield Case(op, (first, 3), options, dtypes=F32)
        for padding in ("valid", "same"):
            for extra in ({}, {"strides": 2}, {"strides": 3, "output_padding": 1}, {"dilation_rate": 2}):
                yield Case("conv_transpose", (x, X((*window, 5, 4))), {"padding": padding, **extra}, dtypes=F32)
        yield Case("conv_transpose", (first, X((*window, 5, 4))), {**options, "strides": 2}, dtypes=F32)
    yield Case("conv", (X((2, 5, 5, 3)), X((3, 3, 3, 2), dtype="float32")), dtypes=FLOATS)
    for interpolation, types in (("nearest", ("uint8", "float32")), ("bilinear", F32)):
        for size in ((5, 9), (10, 3), (4, 6)):
            yield Case("resize", (X((2, 5, 6, 3)), size, interpolation), dtypes=types)
        options = {"data_format": "channels_first"}
        yield Case("resize", (X((2, 3, 5, 6)), (7, 4), interpolation), options, dtypes=F32)


def _layers():
    yield Case("one_hot", (integers((2, 3), 6, -2), 4), dtypes=F32)
    yield Case("one_hot", (integers((2, 3), 4), 4), {"axis": 1, "dtype": "int32"}, dtypes=F32)
    x, c = X((2, 3, 4)), X((4,))
    yield Case("moments", (x, (0, 1)), dtypes=FLOATS)
    yield Case("batch_normalization", (x, c, X((4,), 0.5, 2), -1, c, c), dtypes=FLOATS)
    yield Case("layer_normalization", (x,), dtypes=FLOATS)
    yield Case("layer_normalization", (x, c, c), dtypes=FLOATS)
    yield Case("layer_normalization", (x, X((4,), dtype="float32"), None), dtypes=FLOATS)
    yield Case("layer_normalization", (x, X((2, 4)), X((2, 4))), {"axis": (0, 2), "epsilon": 1e-5}, dtypes=F32)
    yield Case("rms_normalization", (x, c), dtypes=FLOATS)
    q, k, wide = X((2, 5, 4, 8)), X((2, 6, 4, 8)), X((2, 6, 2, 8))
    yield Case("dot_product_attention", (q, k, k), dtypes=FLOATS)
    yield Case("dot_product_attention", (q, wide, wide), {"is_causal": True, "scale": 0.5}, dtypes=FLOATS)
    mask = X((2, 1, 5, 6), dtype="bool")
    yield Case("dot_product_attention", (q, k, k, X((4, 5, 6)), mask), dtypes=FLOATS)
    yield Case("dot_product_attention", (q, k, k, None, mask), {"is_causal": True}, dtypes=FLOATS)
    hidden = np.zeros((2, 1, 5, 6), bool)
    yield Case("dot_product_attention", (q, k, k, None, hidden), dtypes=FLOATS)
    for bias, extra in ((8,), ()), (None, ()), ((8,), ({"reverse": True},)):
        b = None if bias is None else X(bias)
        options = extra[0] if extra else {}
        state = X((2, 2))
        yield Case("lstm", (X((2, 5, 3)), state, state, X((3, 8)), X((2, 8)), b), options, dtypes=F32)
    seen = X((2, 5), dtype="bool")
    yield Case("lstm", (X((2, 5, 3)), X((2, 2)), X((2, 2)), X((3, 8)), X((2, 8)), None, seen), dtypes=F32)
    yield Case("gru", (X((2, 5, 3)), X((2, 2)), X((3, 6)), X((2, 6)), X((2, 6))), dtypes=F32)
    yield Case("gru", (X((2, 5, 3)), X((2, 2)), X((3, 6)), X((2, 6)), X((6,))), {"reset_after": False}, dtypes=F32)
    yield Case("simple_rnn", (X((2, 5, 3)), X((2, 2)), X((3, 2)), X((2, 2)), X((2,)), seen), dtypes=F32)


CASES = [
    *_elementwise(),
    *_activations(),
    *_reductions(),
    *_products(),
    *_creation(),
    *_shaping(),
    *_convolutions(),
    *_layers(),
]
# Made from nothing: only the default backend decides.
MADE = [
    ("zeros", ((2, 3),), {}),
    ("zeros", (3, "int32"), {}),
    ("ones", ((2, 3), "bfloat16"), {}),
    ("full", ((2,), 7), {}),
    ("full", ((2,), 1.5), {}),
    ("full", ((2,), True), {}),
    ("full", ((2,), 1, "float16"), {}),
    ("arange", (5,), {}),
    ("arange", (1, 6, 2), {}),
    ("arange", (0, 1, 0.25), {}),
    ("arange", (3,), {"dtype": "float16"}),
    ("eye", (3,), {}),
    ("eye", (3, 4, 1, "int32"), {}),
    ("eye", (4, 3, -2), {}),
    ("convert_to_tensor", (3,), {}),
    ("convert_to_tensor", (2.5,), {}),
    ("convert_to_tensor", ([[1, 2], [3, 4]],), {}),
    ("convert_to_tensor", ([1.5, 2],), {}),
    ("convert_to_tensor", ([True, False],), {}),
    ("convert_to_tensor", ([1, 2], "float16"), {}),
]
KEY = np.array([3, 141592], np.uint32)
# Equal to the last bit on every backend.
EXACT = [
    ("random_bits", (), {}),
    ("random_bits", ((3, 5),), {}),
    ("random_split", (), {}),
    ("random_split", (7,), {}),
    ("random_fold_in", (12345,), {}),
    ("random_fold_in", (2**32 - 1,), {}),
    ("random_permutation", (1,), {}),
    ("random_permutation", (1000,), {}),
    ("random_permutation", (3000,), {}),
    ("random_bernoulli", (0.3, (1000,)), {}),
    *[("random_uniform", ((7, 300), d), {}) for d in FLOATS],
    *[("random_uniform", ((7, 300), d, -2.5, 3.7), {}) for d in FLOATS],
    *[
        ("random_randint", ((1000,), 3, 77), {"dtype": d})
        for d in ["int8", "uint8", "int16", "uint16", "int32", "uint32"]
    ],
    ("random_randint", ((1000,), 0, 256), {"dtype": "uint8"}),
    ("random_randint", ((1000,), -(2**31), 2**31 - 1), {}),
    ("random_randint", ((10,), 5, 5), {}),
]
CLOSE = [
    *[("random_normal", ((5, 400), d), {}) for d in FLOATS],
    *[("random_truncated_normal", ((2000,), d), {}) for d in FLOATS],
    ("random_truncated_normal", ((2000,), "float32", -0.5, 3.0), {}),
]


def drawn(op: str, args: tuple, kwargs: dict) -> np.ndarray:
    """What JAX draws."""
    return np.asarray(OPS[op].public(jnp.asarray(KEY), *args, **kwargs))


def _first_of_each_op(dtype):
    seen = set()
    return [seen.add(c.op) or id(c) for c in CASES if c.op not in seen and dtype in c.dtypes]


def _sweep():
    """Every case in its widest type and the first of each op in two others; the rest is slow."""
    first = {dtype: set(_first_of_each_op(dtype)) for dtype in ("int32", "bfloat16")}
    for case in CASES:
        for dtype in case.dtypes:
            quick = dtype == case.dtypes[-1] or id(case) in first.get(dtype, ())
            yield pytest.param(case, dtype, marks=() if quick else pytest.mark.slow)


SWEEP = list(_sweep())


def _differentiable():
    """The first case of each op; the rest is slow."""
    seen = collections.Counter()
    for case in CASES:
        if case.gradient and "float32" in case.dtypes:
            seen[case.op] += 1
            yield pytest.param(case, id=str(case), marks=() if seen[case.op] == 1 else pytest.mark.slow)


DIFFERENTIABLE = list(_differentiable())


def labels(sweep) -> list[str]:
    return [f"{p.values[0]}-{p.values[1]}" for p in sweep]
