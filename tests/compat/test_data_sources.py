"""Every kind of source trains the same model as plain arrays do, without a copy or a compile too many."""

from __future__ import annotations

import collections
import itertools
import threading

import jax
import numpy as np
import pytest

import compat
from compat.training import data
from compat.training.data.sources import source_of, tensorflow
from kfun import training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype("float32")
Y = (X.sum(1) > 0).astype("float32")
BATCHES = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 20, 8)]


class Dataset(compat.utils.PyDataset):
    """The batches by number."""

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, i):
        return BATCHES[i]


def _tf():
    tf = pytest.importorskip("tensorflow", reason="needs the extra tensorflow")
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def _torch():
    utils = pytest.importorskip("torch.utils.data", reason="needs the extra torch")
    torch = pytest.importorskip("torch")
    return utils.DataLoader(utils.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), batch_size=8)


def _grain_map():
    grain = pytest.importorskip("grain", reason="needs grain")
    return grain.MapDataset.source(range(20)).map(lambda i: (X[i], Y[i])).batch(8)


def _grain_iter():
    return _grain_map().to_iter_dataset()


def _grain_loader():
    grain = pytest.importorskip("grain", reason="needs grain")

    class Take(grain.transforms.Map):
        def map(self, i):
            return X[i], Y[i]

    sampler = grain.samplers.IndexSampler(20, num_epochs=1, shard_options=grain.sharding.NoSharding(), shuffle=False)
    operations = [Take(), grain.transforms.Batch(8)]
    return grain.DataLoader(data_source=range(20), sampler=sampler, operations=operations)


def _hugging_face():
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    return datasets.Dataset.from_dict({"values": list(X), "label": Y}).with_format("numpy")


def _hugging_face_stream():
    return _hugging_face().to_iterable_dataset()


def _keras():
    keras = pytest.importorskip("keras", reason="needs Keras")

    class Theirs(keras.utils.PyDataset):
        def __len__(self):
            return len(BATCHES)

        def __getitem__(self, i):
            return BATCHES[i]

    return Theirs(workers=2)


SOURCES = {
    "a list's iterator": lambda: itertools.cycle(BATCHES),
    "an iterable": type("Again", (), {"__iter__": lambda self: iter(BATCHES)}),
    "an indexed object": lambda: collections.UserList(BATCHES),
    "PyDataset": Dataset,
    "PyDataset, threads": lambda: Dataset(workers=3, max_queue_size=2),
    "Keras's PyDataset": _keras,
    "tf.data": _tf,
    "torch DataLoader": _torch,
    "Grain map": _grain_map,
    "Grain iterator": _grain_iter,
    "Grain loader": _grain_loader,
    "Hugging Face": _hugging_face,
    "Hugging Face stream": _hugging_face_stream,
}


def _model():
    model = compat.Sequential([compat.Input((3,)), compat.layers.Dense(4, activation="relu"), compat.layers.Dense(1)])
    model.compile(compat.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("name", SOURCES)
def test_training_is_that_of_arrays(name):
    plain, other = _model(), _model()
    other.set_weights(plain.get_weights())
    expected = plain.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    options = {"steps_per_epoch": 3} if "iterator" in name and "list" in name else {}
    source = SOURCES[name]()
    received = other.fit(source, batch_size=8, epochs=3, shuffle=False, verbose=0, **options).history
    for key, values in expected.items():
        np.testing.assert_allclose(received[key], values, rtol=1e-5, err_msg=key)
    if not options:
        np.testing.assert_allclose(
            other.evaluate(source, batch_size=8, verbose=0), plain.evaluate(X, Y, batch_size=8, verbose=0), rtol=1e-5
        )
        np.testing.assert_allclose(other.predict(source, batch_size=8, verbose=0), plain.predict(X, verbose=0), 1e-5)
        history = other.fit(X, Y, verbose=0, validation_data=source, validation_batch_size=8).history
        np.testing.assert_allclose(history["val_loss"][0], other.evaluate(X, Y, batch_size=8, verbose=0)[0], rtol=1e-5)


class Numbers(compat.utils.PyDataset):
    """Batches that tell which process made them."""

    def __len__(self):
        return 5

    def __getitem__(self, i):
        import os

        return np.full((2, 1), i, "float32"), np.full((2, 1), os.getpid(), "int64")


def test_processes_make_batches_in_order():
    import os

    batches = list(source_of(Numbers(workers=2, use_multiprocessing=True)).batches())
    assert [int(x[0, 0]) for x, _ in batches] == list(range(5))
    assert os.getpid() not in {int(pid[0, 0]) for _, pid in batches}


def test_threads_make_batches_at_the_same_time():
    together = threading.Barrier(2, timeout=20)

    class Both(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            together.wait()
            return BATCHES[i]

    assert len(list(source_of(Both(workers=2)).batches())) == 2


def test_a_dataset_without_super_init_warns():
    class Forgetful(Dataset):
        def __init__(self):
            self.other = 1

    with pytest.warns(UserWarning, match="super"):
        assert Forgetful().workers == 1


def test_generators_are_not_read_beyond_the_steps():
    taken = []

    def generate():
        for i in itertools.count():
            taken.append(i)
            yield X[:4], Y[:4]

    _model().fit(generate(), steps_per_epoch=5, epochs=2, verbose=0)
    assert taken == list(range(10))


@pytest.mark.parametrize("name", ["tf", "grain", "dataset"])
def test_endless_data_need_steps(name):
    class Endless(Dataset):
        num_batches = None

    source = {"tf": lambda: _tf().repeat(), "grain": lambda: _grain_map().repeat(), "dataset": Endless}[name]()
    model = _model()
    with pytest.raises(ValueError, match=r"never ends.*steps_per_epoch"):
        model.fit(source, verbose=0)
    with pytest.raises(ValueError, match=r"never ends.*validation_steps"):
        model.fit(X, Y, validation_data=source, verbose=0)


def test_an_uneven_stream_is_compiled_once_per_shape():
    model = _model()
    calls = 0
    own = model.compute_loss

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        return own(*args, **kwargs)

    model.compute_loss = counted
    many = BATCHES[:2] * 20  # more than a dispatch takes
    model.fit(compat.utils.PyDataset.__new__(type("D", (Dataset,), {
        "__init__": lambda self: None, "__len__": lambda self: len(many), "__getitem__": lambda self, i: many[i],
        "_workers": 1, "workers": 1, "max_queue_size": 4, "use_multiprocessing": False,
    })), epochs=3, verbose=0)  # fmt: skip
    assert calls == 1  # a group of 32 and one of 8 share a program, and so do all epochs


def test_batches_are_copied_once():
    feed = training.ArrayFeed((X,), 5)
    assert next(feed.groups(2)).batches[0].base is not None  # a view where rows are in order
    (only,) = training.StreamFeed(lambda: iter([(X,)])).groups(1)
    assert np.shares_memory(only.batches[0], X)
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    tensor = torch.from_numpy(X)
    assert np.shares_memory(data.as_arrays(tensor, "x"), X)


def test_feeds_go_on_where_they_stopped():
    feed = training.ArrayFeed((np.arange(10),), 3, steps=3)
    taken = [[g.batches[0].reshape(-1)[: g.count * g.rows].tolist() for g in feed.groups(9)] for _ in range(3)]
    assert taken == [[list(range(9))], [[9]], [list(range(9))]]
    stream = training.StreamFeed(lambda: iter([(np.full(2, i),) for i in range(5)]), steps=3)
    read = [[int(i) for g in stream.groups(1) for i in g.batches[0][: g.count, 0]] for _ in range(3)]
    assert read == [[0, 1, 2], [3, 4], [0, 1, 2]]
    assert [feed.short, stream.short] == [False, False]


def test_an_error_of_the_source_comes_through():
    def broken():
        yield BATCHES[0]
        yield BATCHES[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        _model().fit(broken(), steps_per_epoch=4, verbose=0)
    assert jax.device_count() >= 1


@pytest.mark.parametrize("api", [compat, "keras"], ids=["ours", "theirs"])
def test_a_py_dataset_is_iterated_over(api):
    api = pytest.importorskip("keras") if api == "keras" else api

    class Squares(api.utils.PyDataset):
        def __getitem__(self, index):
            return index**2

    class Three(Squares):
        def __len__(self):
            return 3

    class Endless(Squares):
        @property
        def num_batches(self):
            return None

    assert list(Three()) == [0, 1, 4]
    for made in (Endless(), Squares()):
        assert list(itertools.islice(made, 5)) == [0, 1, 4, 9, 16]


def test_a_dataset_of_several_devices():
    """Its `cardinality` is a number, where that of others is a method."""

    class Distributed:
        element_spec, cardinality = None, np.int64(2)

        def __iter__(self):
            return iter([(X[:4], Y[:4]), (X[4:8], Y[4:8])])

    source = tensorflow.source_of(Distributed(), 4, False)
    assert (source.steps, source.endless, len(list(source.batches()))) == (2, False, 2)
