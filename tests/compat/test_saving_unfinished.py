"""Files of models that are not built, or have a `compile` of their own; folders that are not there yet."""

import pickle

import keras as real
import numpy as np
import pytest

import compat as keras

X = np.linspace(-1, 1, 8, dtype="float32").reshape(4, 2)
Y = X.sum(1, keepdims=True)


def _class(library, **members):
    def init(self, **kwargs):
        library.Model.__init__(self, **kwargs)
        self.dense = library.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    return type("Net", (library.Model,), {"__init__": init, "call": call, "__module__": __name__, **members})


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", ["sequential", "subclassed"])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras itself
@pytest.mark.parametrize(("writer", "reader"), [("compat", "compat"), ("compat", "keras"), ("keras", "compat")])
def test_a_model_that_is_not_built_is_written_with_a_warning(writer, reader, kind, compiled, tmp_path):
    libraries = {"compat": keras, "keras": real}
    one, two = libraries[writer], libraries[reader]
    model = one.Sequential([one.layers.Dense(2)]) if kind == "sequential" else _class(one)()
    if compiled:
        model.compile("adam", "mse")
    with pytest.warns(UserWarning, match="built"):
        model.save(tmp_path / "m.keras")
    loaded = two.models.load_model(tmp_path / "m.keras", custom_objects={"Net": _class(two)})
    assert (loaded.built, loaded.compiled) == (False, compiled)


def test_an_unbuilt_model_can_be_written_in_the_older_format(tmp_path):
    with pytest.warns(UserWarning, match="'early' is not built"):
        keras.Sequential([keras.layers.Dense(2)], name="early").save(tmp_path / "m.h5")
    with pytest.warns(UserWarning, match="its weights wait"):
        assert not keras.models.load_model(tmp_path / "m.h5").built


def _own_compile(library):
    def compile(self, optimizer, loss, factor=1.0):
        library.Model.compile(self, optimizer, loss)
        self.factor = factor

    return _class(library, compile=compile)


def test_a_compile_of_its_own_is_left_to_its_user(tmp_path):
    cls = _own_compile(keras)
    model = cls()
    model.compile("sgd", "mse", factor=3.0)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="is not compiled as it was"):
        loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Net": cls})
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded(X), model(X))
    loaded.compile("sgd", "mse", factor=2.0)
    loaded.fit(X, Y, verbose=0)


def test_a_compile_of_its_own_with_its_config_is_called(tmp_path):
    def config(self):
        return {"factor": self.factor}

    def from_config(self, config):
        self.compile("sgd", "mse", **config)

    cls = _own_compile(keras)
    cls.get_compile_config, cls.compile_from_config = config, from_config
    model = cls()
    model.compile("sgd", "mse", factor=3.0)
    model(X)
    model.save(tmp_path / "m.keras")
    assert keras.models.load_model(tmp_path / "m.keras", custom_objects={"Net": cls}).factor == 3.0


def test_folders_are_made_where_keras_makes_them(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "a" / "b" / "m.h5")
    model.save(tmp_path / "c" / "d" / "folder", zipped=False)
    for path in (tmp_path / "a" / "b" / "m.h5", tmp_path / "c" / "d" / "folder"):
        np.testing.assert_array_equal(keras.models.load_model(path)(X), model(X))
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.save(tmp_path / "e" / "m.keras")
    assert not (tmp_path / "e").exists()


def test_a_layer_without_weights_is_asked_to_read_its_own(tmp_path):
    class Told(keras.layers.Layer):
        asked = 0

        def call(self, x):
            return x

        def load_own_variables(self, store):
            type(self).asked += 1

    keras.Sequential([keras.Input((2,)), Told()]).save(tmp_path / "m.keras")
    keras.models.load_model(tmp_path / "m.keras", custom_objects={"Told": Told})
    assert Told.asked == 1


@pytest.mark.parametrize("copied", [False, True])
def test_a_model_of_a_known_batch_size_takes_others(copied):
    given = keras.Input((2,), batch_size=4)
    model = keras.Model(given, keras.layers.Dense(1)(given))
    model.compile("sgd", "mse")
    model = pickle.loads(pickle.dumps(model)) if copied else model
    ten, target = np.ones((10, 2), "float32"), np.ones((10, 1), "float32")
    assert model.output_shape == (4, 1)
    assert model(ten[:3]).shape == (3, 1)
    assert model(keras.Input((2,), batch_size=6)).shape == (6, 1)
    assert model.predict(ten, verbose=0).shape == (10, 1)
    model.fit(ten, target, batch_size=3, verbose=0)
    model.train_on_batch(ten, target)
    with pytest.raises(ValueError, match=r"expects shape \(4, 2\); received \(3, 5\)"):
        model(np.ones((3, 5), "float32"))


def test_an_array_initializes_variables_of_its_own_shape():
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(keras.layers.Dense(3, kernel_initializer=values)(np.eye(2)), values)
    with pytest.raises(ValueError, match=r"array of shape \(2, 3\); asked for \(3, 2\)"):
        keras.initializers.get(values)((3, 2))
