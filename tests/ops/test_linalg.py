"""Norms of every order, and what decompositions refuse. The catalogue has the rest."""

from __future__ import annotations

import numpy as np
import pytest

from kfun import dtypes, ops
from kfun.ops._kinds import backend
from kfun.testing import check_op
from tests.conftest import BACKENDS, GRAPHS
from tests.ops.rows import Draw

DECOMPOSING = [b for b in BACKENDS if b not in GRAPHS]
DRAW = Draw(np.random.default_rng(0))
CUBE = DRAW.normal(2, 3, 4)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ord", [2, -2, "nuc"])
def test_norms_of_singular_values(ord, keepdims):
    for axis in ((1, 2), (-1, 0)):
        check_op(ops.norm, CUBE, ord, axis, keepdims, reference=np.linalg.norm, backends=DECOMPOSING, jit=("jax",))


def test_the_spectral_norm_of_a_whole_matrix():
    check_op(ops.norm, CUBE[0], 2, reference=np.linalg.norm, backends=DECOMPOSING, jit=("jax",))


@pytest.mark.parametrize("name", DECOMPOSING)
def test_what_is_not_positive_definite_has_no_cholesky_factor(name):
    with backend(name), pytest.raises(ValueError, match="positive definite"):
        ops.cholesky(ops.convert_to_tensor(np.float32([[1, 2], [2, 1]])))


def test_forward_derivatives_with_more_results():
    out, tangent, aux = ops.jvp(lambda x, y: (x * y, x + y), (2.0, 3.0), (1.0, 0.5), has_aux=True)
    assert (float(out), float(tangent), float(aux)) == (6.0, 4.0, 5.0)
    assert len(ops.jvp(ops.sin, (np.float32(0.5),), (np.float32(1.0),))) == 2


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.inv(x[0]), "expected square"),
        (lambda x: ops.solve(x[0, :, :3], x[0, 0]), "right-hand side"),
        (lambda x: ops.solve(x[:, :, :3], x[:, :, 0]), "last axis"),
        (lambda x: ops.norm(x, "fro"), "give axis"),
        (lambda x: ops.norm(x, "fro", 1), "expected a number"),
        (lambda x: ops.norm(x, 3, (0, 1)), "expected ord"),
        (lambda x: ops.norm(x, None, (0, 1, 2)), "one axis or two"),
        (lambda x: ops.norm(x, "fro", (0, 0)), "different axes"),
        (lambda x: ops.cdist(x[0, 0], x), r"\[..., M, D\]"),
        (lambda x: ops.cholesky_inverse(x[0, 0]), "expected matrices"),
    ],
)
def test_errors_say_what_was_expected(name, call, message):
    if name == "openvino":
        from tests.backends.graphs import graph_input

        x = graph_input(CUBE.shape)
    elif name == "onnx":
        from kfun.backends.onnx import graph_input

        x = graph_input("x", "float32", CUBE.shape)
    else:
        with backend(name):
            x = ops.convert_to_tensor(CUBE)
    with pytest.raises(ValueError, match=message):
        call(x)


@pytest.mark.parametrize("name", DECOMPOSING)
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (ops.det, "expected square"),
        (lambda x: ops.svd(x[0, 0]), "expected matrices"),
        (lambda x: ops.lstsq(x[0], x[0, 0]), "expected a"),
        (lambda x: ops.matrix_rank(x[0, 0]), "expected matrices"),
    ],
)
def test_errors_of_decompositions(name, call, message):
    with backend(name), pytest.raises(ValueError, match=message):
        call(ops.convert_to_tensor(CUBE))


@pytest.mark.parametrize("name", DECOMPOSING)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(name, dtype):
    x = DRAW.normal(3, 3) + 3 * np.eye(3, dtype="float32")
    with backend(name):
        half = ops.cast(ops.convert_to_tensor(x), dtype)
        found = ops.inv(half)
        assert dtypes.name(found.dtype) == dtype
        wide = np.linalg.inv(np.asarray(ops.convert_to_numpy(ops.cast(half, "float32"))))
        np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(found, "float32")), wide, 2e-2, 1e-2)
