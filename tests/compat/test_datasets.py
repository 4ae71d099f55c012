"""The small datasets, from local files in the form of the true ones: nothing is downloaded."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import gzip
import hashlib
import importlib
import inspect
import io
import json
import pickle
import sys
import tarfile

import keras
import numpy as np
import pytest

import compat
from compat.datasets import _sources

RNG = np.random.RandomState(0)
WORDS = {"x": [RNG.randint(1, 50, RNG.randint(3, 9)).tolist() for _ in range(12)], "y": RNG.randint(0, 2, 12)}


def _objects(rows):
    out = np.empty(len(rows), object)
    out[:] = rows
    return out


def _npz(path, **arrays):
    np.savez(path, **arrays)


def _cifar(path, folder, names, keys):
    with tarfile.open(path, "w:gz") as archive:
        for i, name in enumerate(names):
            data = {b"data": np.full((4, 3072), i, "uint8"), **{k: [i, 1, 2, 3] for k in keys}}
            content = pickle.dumps(data, protocol=2)
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Local sources in place of the true ones, and an empty cache."""
    root = tmp_path / "store"
    (root / "fashion_mnist").mkdir(parents=True)
    x, y = _objects(WORDS["x"]), WORDS["y"]
    _npz(root / "imdb.npz", x_train=x[:8], y_train=y[:8], x_test=x[8:], y_test=y[8:])
    _npz(root / "reuters.npz", x=x, y=y)
    images = RNG.randint(0, 256, (5, 28, 28)).astype("uint8")
    _npz(
        root / "mnist.npz", x_train=images, y_train=np.arange(5, dtype="uint8"), x_test=images[:2], y_test=np.arange(2)
    )
    for name, rows in (("boston_housing", 10), ("california_housing", 700)):
        _npz(root / f"{name}.npz", x=RNG.rand(rows, 8), y=RNG.rand(rows))
    (root / "imdb_word_index.json").write_text(json.dumps({"the": 1, "é": 2}))
    (root / "reuters_word_index.json").write_text(json.dumps({"oil": 1}))
    _cifar(root / "cifar10.tgz", "cifar-10-batches-py",
           [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], [b"labels"])  # fmt: skip
    _cifar(root / "cifar100.tgz", "cifar-100-python", ["train", "test"], [b"fine_labels", b"coarse_labels"])
    for part, rows in (("train", 5), ("t10k", 2)):
        for kind, header, content in (("images-idx3", 16, images[:rows]), ("labels-idx1", 8, np.arange(rows))):
            with gzip.open(root / "fashion_mnist" / f"{part}-{kind}", "wb") as file:
                file.write(bytes(header) + content.astype("uint8").tobytes())
    for name, (_, digest) in list(_sources.SOURCES.items()):
        path = root / name if (root / name).is_file() else next(root.glob(f"{name}.*"))
        found = hashlib.md5 if digest is not None and len(digest) == 32 else hashlib.sha256
        local = None if digest is None else found(path.read_bytes()).hexdigest()
        monkeypatch.setitem(_sources.SOURCES, name, (path.as_uri(), local))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    return root


@pytest.fixture
def theirs(store, monkeypatch):
    """Gives Keras's module of a dataset, reading the local file."""

    def module(name):
        found = importlib.import_module(f"keras.src.datasets.{name}")
        monkeypatch.setattr(found, "get_file", lambda *a, **k: str(store / f"{name}.npz"))
        return found

    return module


def _assert_same(ours, expected):
    for (x, y), (a, b) in zip(ours, expected, strict=True):
        assert [list(map(int, r)) if x.dtype == object else r.tolist() for r in x] == [
            list(map(int, r)) if x.dtype == object else r.tolist() for r in a
        ]
        np.testing.assert_array_equal(y, b)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"num_words": 30}, {"skip_top": 5, "num_words": 30}, {"maxlen": 6}, {"oov_char": None, "num_words": 30},
        {"start_char": None, "index_from": 0}, {"seed": 1},
    ],
)  # fmt: skip
def test_texts_are_those_of_keras(name, options, theirs):
    ours = getattr(compat.datasets, name).load_data(**options)
    _assert_same(ours, theirs(name).load_data(**options))
    assert ours[0][0].dtype == object
    assert isinstance(ours[0][0][0], list)


@pytest.mark.parametrize("name", ["boston_housing", "california_housing"])
@pytest.mark.parametrize("options", [{}, {"test_split": 0.5, "seed": 3}])
def test_tables_are_those_of_keras(name, options, theirs):
    _assert_same(getattr(compat.datasets, name).load_data(**options), theirs(name).load_data(**options))


def test_the_small_table_is_that_of_keras(theirs):
    ours = compat.datasets.california_housing.load_data(version="small")
    assert len(ours[0][0]) + len(ours[1][0]) == 600
    _assert_same(ours, theirs("california_housing").load_data(version="small"))


def test_images_and_their_places_in_the_cache(store, tmp_path):
    (x, y), (x_test, _) = compat.datasets.mnist.load_data()
    assert (x.shape, y.tolist(), x_test.shape) == ((5, 28, 28), [0, 1, 2, 3, 4], (2, 28, 28))
    (fx, fy), (fx_test, _) = compat.datasets.fashion_mnist.load_data()
    np.testing.assert_array_equal(fx, x)
    assert (fy.tolist(), len(fx_test)) == ([0, 1, 2, 3, 4], 2)
    (x, y), (x_test, y_test) = compat.datasets.cifar10.load_data()
    assert (x.shape, y.shape, x_test.shape, x.dtype, y.dtype) == (
        (20, 32, 32, 3),
        (20, 1),
        (4, 32, 32, 3),
        "uint8",
        "uint8",
    )
    assert (x[:, 0, 0, 0].tolist()[::4], y[::4, 0].tolist(), y_test[0, 0]) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 5)
    for mode in ("fine", "coarse"):
        (x, y), _ = compat.datasets.cifar100.load_data(mode)
        assert (x.shape, y[:, 0].tolist()) == ((4, 32, 32, 3), [0, 1, 2, 3])
    cached = {p.relative_to(tmp_path / "cache" / "datasets").as_posix() for p in (tmp_path / "cache").rglob("*")}
    assert {
        "mnist.npz", "fashion-mnist/train-images-idx3-ubyte.gz", "cifar-10-batches-py-target_archive",
        "cifar-10-batches-py-target/cifar-10-batches-py/data_batch_1", "cifar-100-python-target/cifar-100-python/train",
    } <= cached  # fmt: skip


def test_words_and_topics(store):
    assert compat.datasets.imdb.get_word_index() == {"the": 1, "é": 2}
    assert compat.datasets.reuters.get_word_index() == {"oil": 1}
    assert compat.datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()


FUNCTIONS = [
    (getattr(keras.datasets, m), getattr(compat.datasets, m), f)
    for m in (
        "boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters",
    )
    for f in ("load_data", "get_word_index", "get_label_names")
    if hasattr(getattr(keras.datasets, m), f)
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours", "name"), FUNCTIONS)
def test_signatures_are_those_of_keras(theirs, ours, name):
    def shown(module):
        return [(p.name, p.default, p.kind) for p in inspect.signature(getattr(module, name)).parameters.values()]

    assert shown(ours) == shown(theirs)


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch evil",)


def test_nothing_of_a_file_is_run(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = _objects([Evil(), [1]])
    _npz(store / "bad.npz", x=rows, y=np.arange(2))
    digest = hashlib.sha256((store / "bad.npz").read_bytes()).hexdigest()
    monkeypatch.setitem(_sources.SOURCES, "reuters", ((store / "bad.npz").as_uri(), digest))
    with pytest.raises(pickle.UnpicklingError, match=r"asks for (posix|nt)\.system"):
        compat.datasets.reuters.load_data()
    _npz(store / "mnist.npz", x_train=rows, y_train=rows, x_test=rows, y_test=rows)
    digest = hashlib.sha256((store / "mnist.npz").read_bytes()).hexdigest()
    monkeypatch.setitem(_sources.SOURCES, "mnist", ((store / "mnist.npz").as_uri(), digest))
    with pytest.raises(ValueError, match="allow_pickle"):
        compat.datasets.mnist.load_data()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.cifar100.load_data("x"), "label_mode"), (lambda d: d.california_housing.load_data("x"), "version"),
        (lambda d: d.boston_housing.load_data(test_split=1.5), "test_split"),
        (lambda d: d.imdb.load_data(maxlen=1), "none is left"),
    ],
)  # fmt: skip
def test_wrong_arguments(call, message, store):
    with pytest.raises(ValueError, match=message):
        call(compat.datasets)


def test_old_and_unknown_names(store):
    with pytest.warns(UserWarning, match="num_words"):
        (x, _), _ = compat.datasets.imdb.load_data(nb_words=30)
    assert max(max(r) for r in x) < 30
    with pytest.raises(TypeError, match="words"):
        compat.datasets.imdb.load_data(words=30)
    with pytest.raises(AttributeError, match="did you mean 'mnist'"):
        compat.datasets.mnst  # noqa: B018
    assert "compat.datasets.mnist" in sys.modules
