"""What `compat.ops` takes from settings and the global random numbers, and the operations' own configs."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import pytest

import compat

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 1, (2, 3, 8, 8)).astype("float32")
FIRST = {
    "resize": lambda ops: ops.image.resize(IMAGES, (4, 6)),
    "rgb_to_grayscale": lambda ops: ops.image.rgb_to_grayscale(IMAGES),
    "rgb_to_hsv": lambda ops: ops.image.rgb_to_hsv(IMAGES),
    "extract_patches": lambda ops: ops.image.extract_patches(IMAGES, (2, 2)),
    "crop_images": lambda ops: ops.image.crop_images(IMAGES, 1, 2, target_height=4, target_width=3),
    "pad_images": lambda ops: ops.image.pad_images(IMAGES, 1, 2, 3, 4),
    "affine_transform": lambda ops: ops.image.affine_transform(
        IMAGES, np.array([[1, 0.2, -1, 0.1, 1, 1, 0, 0]] * 2, "float32")
    ),
    "gaussian_blur": lambda ops: ops.image.gaussian_blur(IMAGES),
    "elastic_transform": lambda ops: ops.image.elastic_transform(IMAGES, seed=3),
    "said": lambda ops: ops.image.resize(IMAGES, (4, 6), data_format="channels_last"),
    "max_pool": lambda ops: ops.nn.max_pool(IMAGES, 2, 2),
    "conv": lambda ops: ops.nn.conv(IMAGES, np.ones((3, 3, 3, 2), "float32")),
    "depth_to_space": lambda ops: ops.depth_to_space(IMAGES, 2),
}


@pytest.fixture
def channels_first():
    for api in (keras, compat):
        api.config.set_image_data_format("channels_first")
    yield
    for api in (keras, compat):
        api.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("op", FIRST)
def test_ops_follow_the_data_format_of_the_settings(op, channels_first):
    ours, theirs = FIRST[op](compat.ops), FIRST[op](keras.ops)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", ["image", "linalg", "nn", "numpy"])
def test_spaces_hold_the_same_ops(space):
    ours = getattr(compat.ops, space)
    public = [n for n in vars(ours) if not n.startswith("_")]
    assert set(public) >= {n for n in dir(getattr(keras.ops, space)) if not n.startswith("_")} - {"sparse_categorical"}
    for name in public:
        assert getattr(ours, name) is getattr(compat.ops, name)
    with pytest.raises(AttributeError, match=f"compat.ops.{space}.*no attribute 'reshap'"):
        _ = ours.reshap


def test_a_field_without_seed_is_drawn_from_the_global_generator():
    compat.utils.set_random_seed(1)
    first, second = (np.asarray(compat.ops.image.elastic_transform(IMAGES)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    compat.utils.set_random_seed(1)
    np.testing.assert_array_equal(compat.ops.image.elastic_transform(IMAGES), first)
    generator = compat.random.SeedGenerator(5)
    one, two = (np.asarray(compat.ops.image.elastic_transform(IMAGES, seed=generator)) for _ in range(2))
    assert np.abs(one - two).max() > 1e-3


@pytest.mark.filterwarnings("ignore:jax.scipy.linalg.solve_triangular:FutureWarning")  # of real Keras
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(
    "shapes", [((3, 3), (3,)), ((3, 3), (3, 2)), ((4, 3, 3), (4, 3)), ((3, 3, 3), (3, 3)), ((2, 3, 3), (2, 3, 2))]
)
def test_solve_triangular_takes_vectors_of_a_batch(shapes, lower):
    a = RNG.uniform(1, 2, shapes[0]).astype("float32")
    b = RNG.uniform(-1, 1, shapes[1]).astype("float32")
    ours = compat.ops.solve_triangular(a, b, lower=lower)
    np.testing.assert_allclose(ours, keras.ops.solve_triangular(a, b, lower=lower), rtol=2e-5, atol=1e-6)
    symbolic = compat.ops.solve_triangular(compat.KerasTensor(shapes[0]), compat.KerasTensor(shapes[1]), lower=lower)
    assert symbolic.shape == shapes[1]


def _classes(api):
    class Bare(api.layers.Layer):
        def __init__(self, units, activation="relu", rates=(1, 2)):
            super().__init__()
            self.dense = api.layers.Dense(units, activation)

        def call(self, x):
            return self.dense(x)

    class Scale(api.Operation):
        def __init__(self, alpha, beta=1.0, name=None):
            super().__init__(name=name)
            self.alpha = alpha

        def call(self, x):
            return self.alpha * x

    return Bare, Scale


def test_recorded_configs_have_the_defaults_as_in_keras():
    for ours, theirs in zip(_classes(compat), _classes(keras), strict=True):
        mine, real = ours(3).get_config(), theirs(3).get_config()
        assert {k: v for k, v in mine.items() if k != "name"} == {k: v for k, v in real.items() if k != "name"}


def test_a_layer_without_keyword_arguments_is_read_again(tmp_path):
    bare, scale = _classes(compat)
    layer = bare(2)
    layer.trainable = False
    model = compat.Sequential([compat.Input((8,)), layer])
    model.save(tmp_path / "m.keras")
    again = compat.models.load_model(tmp_path / "m.keras", custom_objects={"Bare": bare})
    np.testing.assert_array_equal(again(IMAGES[0, 0]), model(IMAGES[0, 0]))
    assert (again.layers[0].name, again.layers[0].trainable) == (layer.name, False)
    assert scale.from_config(scale(2.0, name="s").get_config()).name == "s"
    with pytest.raises(TypeError, match="unexpected keyword argument 'unit'"):
        bare.from_config({"unit": 3})


def test_input_and_output_are_those_of_the_first_call():
    for api in (compat, keras):
        layer = api.layers.Dense(2)
        with pytest.raises(AttributeError):
            _ = layer.output
        first, second = api.Input((3,)), api.Input((3,))
        outputs = layer(first), layer(second)
        assert layer.input is first
        assert layer.output is outputs[0]
    with pytest.raises(AttributeError, match="not called on symbolic tensors yet"):
        _ = compat.layers.Dense(2).input


def test_a_tensor_of_no_layer_is_its_own_source():
    tensor = compat.KerasTensor((2, 3))
    assert compat.utils.get_source_inputs(tensor) == [tensor]


def _dense(api):
    model = api.Sequential([api.Input((2,)), api.layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2), "float32"), np.ones((4, 2), "float32"), verbose=0)
    return model


OWN = {
    "convert_to_numpy": lambda api: api.ops.convert_to_numpy(api.ops.ones((3,))),
    "of a variable": lambda api: api.ops.convert_to_numpy(api.Variable(np.ones(3))),
    "numpy": lambda api: api.Variable(np.ones(3)).numpy(),
    "get_weights": lambda api: _dense(api).get_weights()[0],
    "of a layer": lambda api: _dense(api).layers[0].get_weights()[1],
    "predict": lambda api: _dense(api).predict(np.ones((3, 2)), verbose=0),
    "predict in batches": lambda api: _dense(api).predict(np.ones((9, 2)), batch_size=4, verbose=0),
    "predict on batch": lambda api: _dense(api).predict_on_batch(np.ones((3, 2))),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("api", [compat, keras], ids=["compat", "keras"])
def test_arrays_that_are_given_out_may_be_written_to(api, name):
    array = OWN[name](api)
    array[...] = 7
    assert (array == 7).all()


def test_what_is_written_to_an_array_changes_nothing_else():
    variable, array = compat.Variable(np.ones(3, "float32")), np.ones(3, "float32")
    variable.numpy()[0] = 5
    compat.ops.convert_to_numpy(variable)[0] = 5
    compat.ops.convert_to_numpy(array)[0] = 5
    np.testing.assert_array_equal(variable, [1, 1, 1])
    np.testing.assert_array_equal(array, [1, 1, 1])
    model = _dense(compat)
    before = model.predict(array[None, :2], verbose=0)
    model.get_weights()[0][...] = 9
    np.testing.assert_array_equal(model.predict(array[None, :2], verbose=0), before)


X = np.arange(24, dtype="float32").reshape(2, 3, 4)


@pytest.mark.parametrize("shape", [(-1, 2, -1), (-1, -1, 3), (1, 1, 1)])
def test_a_slice_takes_what_is_left(shape):
    starts = (0, 1, 1)
    np.testing.assert_array_equal(compat.ops.slice(X, starts, shape), keras.ops.slice(X, starts, shape))
    for known in ((2, 3, 4), (None, 3, 4)):
        spec = compat.ops.slice(compat.KerasTensor(known), starts, shape).shape
        assert spec == keras.ops.slice(keras.KerasTensor(known), starts, shape).shape
    given = compat.Input((3, 4))
    model = compat.Model(given, compat.ops.slice(given, starts, shape))
    np.testing.assert_array_equal(model.predict(X, verbose=0), keras.ops.slice(X, starts, shape))
    with pytest.raises(
        ValueError, match="expected 3 start_indices and 3 sizes for an array of 3 axes; received 2 and 3"
    ):
        compat.ops.slice(X, (0, 1), (-1, 2, 2))


def test_unstacking_an_unknown_size_needs_the_number():
    unknown = compat.KerasTensor((2, None, 4))
    assert [part.shape for part in compat.ops.unstack(unknown, num=3, axis=1)] == [(2, 4)] * 3
    np.testing.assert_array_equal(np.stack(compat.ops.unstack(X, num=2, axis=1), 1), X[:, :2])
    with pytest.raises(ValueError, match="the size of axis 1 is not known: pass num"):
        compat.ops.unstack(unknown, axis=1)
    with pytest.raises(ValueError, match="axis 3 is out of range"):
        compat.ops.unstack(X, axis=3)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning")  # of JAX: that is the point
@pytest.mark.parametrize("target", ["uint8", "int16", "uint32", "int32", "uint64", "int64"])
def test_wide_integers_are_saturated_without_x64(target):
    values = np.array([-3e10, -5, 0, 7.6, 300, 7e4, 5e9, 1e30], "float32")
    np.testing.assert_array_equal(compat.ops.saturate_cast(values, target), keras.ops.saturate_cast(values, target))


def test_a_custom_gradient_takes_variables():
    @compat.ops.custom_gradient
    def square(x):
        return x * x, lambda *args, upstream=None: (args[0] if upstream is None else upstream) * 3.0

    variable = compat.Variable(2.0)
    assert float(square(variable)) == 4
    assert float(jax.grad(square)(5.0)) == 3


TYPES = ("bool", "uint8", "int8", "int32", "float16", "bfloat16", "float32")


@pytest.mark.parametrize("dtype", TYPES)
def test_types_of_results_are_those_of_keras(dtype):
    found = []
    for api in (compat, keras):
        x = api.ops.cast(np.array([[1, 0], [3, 1]]), dtype)
        spec = api.KerasTensor((2, 2), dtype)
        each = {"full": api.ops.full((2,), 3).dtype}
        for name in ("floor", "ceil"):
            each[name] = getattr(api.ops, name)(x).dtype, getattr(api.ops, name)(spec).dtype
        for name in ("matmul", "dot", "multiply", "add"):
            each[name] = getattr(api.ops, name)(x, x).dtype, getattr(api.ops, name)(spec, spec).dtype
        each["einsum"] = api.ops.einsum("ij,jk->ik", x, x).dtype
        found.append({k: tuple(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in each.items()})
    assert found[0] == found[1]


def test_products_of_small_integers_do_not_overflow():
    x = np.full((2, 2), 100, "int8")
    np.testing.assert_array_equal(compat.ops.matmul(x, x), 20000)
    np.testing.assert_array_equal(compat.ops.einsum("ij,jk->ik", x, x), 20000)


def test_the_number_of_elements_of_an_unknown_batch():
    given = compat.Input((3,))
    model = compat.Model(given, given / compat.ops.cast(compat.ops.size(given), "float32"))
    np.testing.assert_allclose(model(np.ones((4, 3), "float32")), 1 / 12)
    assert compat.ops.size(np.ones((2, 3))) == 6
