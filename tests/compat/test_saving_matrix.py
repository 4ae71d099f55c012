"""Files of each library are loaded by the other: same predictions, same losses of the next steps, same layout."""

from __future__ import annotations

import json
import warnings
import zipfile

import h5py
import numpy as np
import pytest

import compat
from tests.compat import saving_custom, saving_graphs
from tests.compat.saving_models import MODELS, as_arrays, build

keras = pytest.importorskip("keras")
assert_close = np.testing.assert_allclose
FIRST = ("dense", "nested", "nested_graph", "ops_of_tensors", "custom_block", "custom_assets", "subclassed")
CASES = [n if n in FIRST else pytest.param(n, marks=pytest.mark.slow) for n in MODELS]
# A model that Keras itself loads otherwise than it was saved: it forgets the policy of a Sequential.
FORGOTTEN = ("mixed_float16",)


def test_the_matrix_is_large():
    assert len(MODELS) >= 60
    assert {m.__module__ for m in MODELS.values()} >= {saving_custom.__name__, saving_graphs.__name__}


@pytest.mark.parametrize("theirs", [True, False], ids=["keras to compat", "compat to keras"])
@pytest.mark.parametrize("name", CASES)
def test_both_ways(name, theirs, tmp_path):
    source, target = (keras, compat) if theirs else (compat, keras)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Keras warns of is its own affair
        fresh, *_ = build(name, target)
        model, x, y = build(name, source)
        model.run_eagerly = fresh.run_eagerly = True
        fresh.train_on_batch(x, y)
        model.train_on_batch(x, y)
        model.save(tmp_path / "m.keras")
        model.save_weights(tmp_path / "m.weights.h5")
        fresh.save_weights(tmp_path / "fresh.weights.h5")
        assert _arrays(tmp_path / "m.weights.h5") == _arrays(tmp_path / "fresh.weights.h5")
        expected = as_arrays(model(x, training=False))
        fresh.load_weights(tmp_path / "m.weights.h5")
        _close(as_arrays(fresh(x, training=False)), expected)
        loaded = _loaded(target, tmp_path / "m.keras")
        _close(as_arrays(loaded(x, training=False)), expected)
        again = model if name in FORGOTTEN else _loaded(source, _as_of_keras(tmp_path / "m.keras"))
        _close(as_arrays(again(x, training=False)), expected)  # a call moves seeds on, also in inference
        assert int(loaded.optimizer.variables[0]) == int(again.optimizer.variables[0])
        assert_close(_losses(loaded, x, y), _losses(again, x, y), rtol=1e-4, atol=1e-5)


def _as_of_keras(path):
    """The file without the place where random numbers go on, which Keras neither writes nor reads."""
    plain = path.with_name("plain.keras")
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(plain, "w") as made:
        for name in file.namelist():
            content = file.read(name)
            if name == "metadata.json":
                content = json.dumps({k: v for k, v in json.loads(content).items() if k != "random_streams"})
            made.writestr(name, content)
    return plain


def _loaded(api, path):
    api.utils.set_random_seed(3)  # for the seeds that were not given
    model = api.saving.load_model(path)
    model.run_eagerly = True
    return model


def _losses(model, x, y):
    found = []
    for _ in range(2):
        model.reset_metrics()
        found.append(float(np.ravel(model.train_on_batch(x, y))[0]))
    return found


def _close(found, expected):
    if isinstance(expected, np.ndarray):
        assert_close(found, expected, rtol=2e-5, atol=2e-5)
        return
    for key in expected if isinstance(expected, dict) else range(len(expected)):
        assert_close(found[key], expected[key], rtol=2e-5, atol=2e-5)


def _arrays(path):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape, item.dtype.name

    with h5py.File(path) as file:
        file.visititems(visit)
    return found
