"""Ops on an unknown batch whose results are as long as the values say, or where it meets a size that is known."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat

X = np.float32([[1, 0, 3, 2], [0, 5, 6, 3], [1, 0, 3, 2]])
IDS = np.int32([0, 2, 2])
APIS = {"compat": compat, "keras": keras}
BY_VALUES = {
    "nonzero": lambda ops, x, i: list(ops.nonzero(x)),
    "bincount": lambda ops, x, i: ops.bincount(i),
    "unique": lambda ops, x, i: ops.unique(x),
    "unique and all": lambda ops, x, i: list(ops.unique(x, True, True, True, True)),
    "unique rows": lambda ops, x, i: list(ops.unique(x, return_inverse=True, axis=0)),
}
MEETING = {
    "broadcast_to": lambda ops, x, i: ops.broadcast_to(x, (2, 3, 4)),
    "linspace": lambda ops, x, i: ops.linspace(ops.sum(x, 1), np.ones((2, 3), "float32"), num=3),
    "logspace": lambda ops, x, i: ops.logspace(ops.sum(x, 1) / 9, np.ones((2, 3), "float32"), num=3),
    "heaviside": lambda ops, x, i: ops.heaviside(ops.sum(x, 1), np.ones((2, 3), "float32")),
    "power": lambda ops, x, i: ops.power(x, np.full((3, 4), 2, "float32")),
    "nextafter": lambda ops, x, i: ops.nextafter(np.ones((3, 1), "float32"), x),
    "slogdet": lambda ops, x, i: list(ops.slogdet(x[:, 1:])),
    "logdet": lambda ops, x, i: ops.logdet(x[:, 1:] + np.eye(3, dtype="float32")),
}
SEGMENTS = ["segment_sum", "segment_max", "segment_min", "segment_prod"]


def _model(api, made):
    x, i = api.Input((4,), name="x"), api.Input((), dtype="int32", name="i")
    return api.Model([x, i], made(api.ops, x, i))


def _values(outputs):
    return [np.asarray(v) for v in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("writer", APIS)
@pytest.mark.parametrize("name", [*BY_VALUES, *MEETING])
def test_models_are_built_saved_and_read_as_by_keras(name, writer, ending, tmp_path):
    made = (BY_VALUES | MEETING)[name]
    expected = _values(_model(keras, made)([X, IDS]))
    path = tmp_path / f"m{ending}"
    model = _model(APIS[writer], made)
    model.save(path)
    for ours in [compat.models.load_model(path)] + [model] * (writer == "compat"):
        found = _values(ours([X, IDS]))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("writer", APIS)
@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_need_no_count(name, writer, ending, tmp_path):
    """Real Keras writes them, and computes none without a count on JAX."""
    path = tmp_path / f"m{ending}"
    model = _model(APIS[writer], lambda ops, x, i: getattr(ops, name)(x, i))
    assert tuple(model.output.shape) == (None, 4)
    model.save(path)
    loaded = compat.models.load_model(path)
    expected = np.asarray(getattr(keras.ops, name)(X, IDS, num_segments=3))
    np.testing.assert_allclose(np.asarray(loaded([X, IDS])), expected)


@pytest.mark.parametrize("name", [*BY_VALUES, *SEGMENTS])
def test_what_values_decide_stays_open(name):
    x, i = compat.KerasTensor((None, 4)), compat.KerasTensor((None,), "int32")
    made = BY_VALUES.get(name) or (lambda ops, x, i: getattr(ops, name)(x, i))
    ours = made(compat.ops, x, i)
    theirs = made(keras.ops, keras.KerasTensor((None, 4)), keras.KerasTensor((None,), "int32"))
    for one, other in zip(*(v if isinstance(v, list) else [v] for v in (ours, theirs)), strict=True):
        if name == "unique and all" and len(other.shape) != len(one.shape):
            continue  # Keras says that the inverse of a flat search is flat, and gives it in the input's shape
        assert tuple(one.shape) == tuple(other.shape)
        assert one.dtype == other.dtype


def test_a_known_count_is_known():
    x, i = compat.KerasTensor((None, 4)), compat.KerasTensor((None,), "int32")
    for name in SEGMENTS:
        assert getattr(compat.ops, name)(x, i, num_segments=5).shape == (5, 4)


def test_sizes_that_cannot_meet_are_refused():
    with pytest.raises(ValueError, match=r"broadcast|Incompatible"):
        compat.ops.broadcast_to(compat.KerasTensor((None, 3)), (2, 4))
    with pytest.raises(ValueError, match=r"\(None, 3, 4\)|\(None, 4\)|square"):
        compat.ops.det(compat.KerasTensor((None, 3, 4)))
