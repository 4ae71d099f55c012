"""What a layer's user notices beside its numbers: state, names of arguments, masks, types, errors."""

from __future__ import annotations

import dataclasses
import inspect
import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat

APIS = (keras, compat)


def x_of(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def both(run):
    """What Keras and compat give for `run(api)`, as arrays."""
    theirs, ours = (run(api) for api in APIS)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-5)
    return ours


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("ReLU", ()), ("Softmax", ()), ("Dropout", (0.5,)), ("MaxPooling2D", ()), ("GlobalAveragePooling1D", ()),
        ("UnitNormalization", ()), ("Masking", ()), ("Dense", (2,)), ("Flatten", ()), ("Add", ()), ("PReLU", ()),
    ],
)  # fmt: skip
def test_built_as_soon_as_it_is_made(name, args):
    theirs, ours = (getattr(api.layers, name)(*args) for api in APIS)
    assert ours.built == theirs.built

    class WithBuild(getattr(compat.layers, name)):
        def build(self, input_shape):
            """Nothing, but it must run."""

    assert not WithBuild(*args).built


@pytest.mark.parametrize(
    ("name", "kwargs", "shape", "attributes"),
    [
        ("Dense", {"units": 2, "use_bias": False}, (None, 3), "bias lora_enabled"),
        ("Conv2D", {"filters": 2, "kernel_size": 1, "use_bias": False}, (None, 4, 4, 3), "bias lora_enabled lora_rank"),
        ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 2}, (None, 3), "bias supports_masking"),
        ("LayerNormalization", {"center": False, "scale": False}, (None, 3), "beta gamma autocast"),
        ("BatchNormalization", {"center": False}, (None, 3), "beta"),
        ("Embedding", {"input_dim": 3, "output_dim": 2}, None, "autocast lora_enabled"),
        ("RMSNormalization", {}, (None, 3), "supports_masking"),
        ("LSTMCell", {"units": 2}, (None, 3), "supports_masking"),
        ("SpatialDropout1D", {"rate": 0.5}, (None, 3, 2), "noise_shape"),
        ("Attention", {}, [(None, 3, 2), (None, 4, 2)], "scale concat_score_weight"),
    ],
)
def test_attributes_after_build(name, kwargs, shape, attributes):
    theirs, ours = (getattr(api.layers, name)(**kwargs) for api in APIS)
    for layer in (theirs, ours):
        layer.build(shape)
    for attribute in attributes.split():
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute


def test_build_and_mask_take_keras_keywords():
    for api in APIS:
        dense = api.layers.Dense(2)
        dense.build(input_shape=(None, 3))
        assert dense.kernel.shape == (3, 2)
        masks = [np.array([True, False]), None]
        received = api.layers.Attention().compute_mask([x_of(2, 3, 4)] * 2, mask=masks)
        np.testing.assert_array_equal(received, masks[0])


def test_masks_of_keyword_arguments():
    """Attention with query and value by keyword sees their masks."""
    tokens = np.array([[1, 2, 0], [3, 0, 0]])

    def run(api):
        query, value = (api.layers.Embedding(5, 4, mask_zero=True, weights=[x_of(5, 4, seed=s)]) for s in (1, 2))
        layer = api.layers.MultiHeadAttention(2, 3)
        layer.build((2, 3, 4), (2, 3, 4))
        layer.set_weights([x_of(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
        return layer(query=query(tokens), value=value(tokens[::-1]))

    received = both(run)
    np.testing.assert_array_equal(compat.state.masks.get(received), tokens != 0)


def test_a_frozen_batch_normalization_uses_its_moving_moments():
    def run(api):
        layer = api.layers.BatchNormalization()
        layer.build((None, 3))
        layer.trainable = False
        y = layer(5 + x_of(8, 3), training=True)
        return np.concatenate([np.asarray(y).ravel(), *map(np.ravel, layer.get_weights())])

    both(run)


def test_softmax_gives_0_where_masked():
    mask = np.array([[True, False, True], [False, False, False]])
    both(lambda api: api.layers.Softmax()(x_of(2, 3), mask))
    both(lambda api: api.layers.Softmax()(x_of(2, 3), mask=mask.astype("float32") * 0.4))
    with pytest.raises(ValueError, match="must be broadcastable"):
        compat.layers.Softmax()(x_of(2, 3), mask=np.ones((2, 2), bool))


def test_a_mask_given_by_position():
    mask = np.array([[True, False, True], [True, True, False]])
    both(lambda api: api.layers.GlobalAveragePooling1D()(x_of(2, 3, 4), mask))


def test_multiply_passes_over_what_is_masked():
    def run(api):
        first, second = np.array([[[0.0, 0], [1, 2], [0, 0]]]), np.array([[[0.0, 0], [3, 4], [5, 6]]])
        mask = api.layers.Masking()
        one = api.layers.Multiply()([mask(first), second])
        return np.concatenate([one, api.layers.Multiply()([mask(first), mask(second)])])

    both(run)


@pytest.mark.parametrize(
    ("equation", "axes"),
    [("bc...,cde->bde...", "d"), ("bc...,cde->bde...", "e"), ("bc...,cde->bde...", "de"), ("...x,xy->...y", "y")],
)
def test_a_bias_beside_an_ellipsis(equation, axes):
    def run(api):
        sizes = (3, 4) if "d" in equation else 3
        layer = api.layers.EinsumDense(equation, sizes, bias_axes=axes)
        x = x_of(2, 5, 2)
        layer(x)
        layer.set_weights([x_of(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
        return layer(x)

    both(run)


def test_large_inputs_in_mixed_precision():
    """They are normalized before they are narrowed to float16."""
    for name in ("LayerNormalization", "GroupNormalization"):

        def run(api, name=name):
            kwargs = {"groups": 2} if name == "GroupNormalization" else {}
            return getattr(api.layers, name)(dtype="mixed_float16", **kwargs)(1e6 * x_of(2, 4)).astype("float32")

        np.testing.assert_allclose(run(compat), run(keras), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv3D"])
def test_convolutions_can_be_adapted(name):
    rank = int(name[4])

    def run(api):
        layer = getattr(api.layers, name)(3, 2)
        x = x_of(2, *(4,) * rank, 2)
        layer(x)
        layer.enable_lora(2, lora_alpha=3)
        layer.set_weights([x_of(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
        assert len(layer.trainable_weights) == 3
        return layer(x)

    both(run)


def test_projections_of_attention_are_layers():
    def run(api):
        layer = api.layers.MultiHeadAttention(2, 3, kernel_constraint="non_neg")
        x = x_of(2, 4, 5)
        layer(x, x)
        assert type(layer._query_dense).__name__ == "EinsumDense"
        assert layer._output_dense is layer.output_dense
        assert layer.query_dense.kernel.constraint is not None
        layer = api.layers.MultiHeadAttention(2, 3)
        layer(x, x)
        layer.query_dense.enable_lora(2)
        layer.set_weights([x_of(*w.shape, seed=w.size) for w in layer.get_weights()])
        assert layer.query_dense.lora_enabled
        return layer(x, x)

    both(run)


def test_the_cell_is_there_before_it_is_built():
    for api in APIS:
        layer = api.layers.LSTM(3, implementation=1, use_cudnn=True)
        assert layer.cell.units == 3


def test_the_default_order_of_axes_can_be_set():
    def run(api):
        api.config.set_image_data_format("channels_first")
        try:
            x = x_of(2, 3, 4, 6)
            y = api.layers.MaxPooling2D(2)(x)
            return np.concatenate([np.ravel(y), np.ravel(api.ops.conv(x, x_of(2, 2, 3, 1)))])
        finally:
            api.config.set_image_data_format("channels_last")

    both(run)
    with pytest.raises(ValueError, match="channels_first"):
        compat.config.set_image_data_format("NCHW")


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos3"])
def test_upsampling_by_other_kernels(interpolation):
    both(lambda api: api.layers.UpSampling2D(2, interpolation=interpolation)(x_of(1, 4, 5, 2)))


class Misnamed(compat.layers.Layer):
    """A layer whose `build` has an argument that is not named after a shape."""

    def build(self, x_shape, other):
        self.built = True

    def call(self, x, other):
        return x


L = compat.layers
x = x_of(2, 3)
ERRORS = {
    "one input": (lambda: L.Add()(x), "a list of one input"),
    "batch sizes": (lambda: L.Add()([x, x_of(1, 3)]), "number of rows"),
    "shapes": (lambda: L.Add()([x, x_of(2, 4)]), "incompatible shapes"),
    "subtract": (lambda: L.Subtract()([x, x, x]), "exactly 2 inputs"),
    "concatenate": (lambda: L.Concatenate()([x_of(2, 3, 1), x_of(2, 4, 1)]), "agree on all axes"),
    "masks": (lambda: L.Add().compute_mask([x, x], [None]), "as many masks"),
    "mask list": (lambda: L.Add().compute_mask([x, x], x), "`mask` should be a list"),
    "attention": (lambda: L.Attention()(x), "the inputs are a list"),
    "attention masks": (lambda: L.Attention()([x_of(2, 3, 1)] * 2, mask=x), "the mask is a list"),
    "trainable": (lambda: L.Dense(2, trainable="yes"), "to be a boolean"),
    "position": (lambda: L.Dense(2)(x, True), "by position must be tensors"),
    "weight": (lambda: L.Layer().add_weight("w", initializer="zeros"), "name as a keyword argument"),
    "build": (lambda: Misnamed()(x, x), "`other`, a name without `_shape` at its end"),
    "window": (lambda: L.DepthwiseConv1D(4)(x_of(2, 3, 1)), "nothing would be left"),
    "window ahead": (lambda: L.Conv2D(1, 5)(L.Input((4, 4, 1))), "nothing would be left"),
    "units": (lambda: L.Dense(2.5), "`units` must be a positive integer"),
    "heads": (lambda: L.MultiHeadAttention(0, 2), "argument `num_heads`"),
    "lora": (lambda: L.Dense(2).enable_lora(2), "needs a layer that is built"),
    "time": (lambda: L.TimeDistributed(L.Dense(2))(x_of(2, 3, 4), mask=np.ones((2, 4), bool)), "does not fit"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    run, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        run()


def test_an_axis_that_is_no_number():
    with pytest.raises(TypeError, match="expected an integer or several"):
        L.LayerNormalization(axis={"axis": -1})


def test_no_call():
    with pytest.raises(NotImplementedError, match="has no `call` method"):
        L.Layer()(x)


def test_a_policy_by_its_name():
    layer = L.Dense(2)
    layer.dtype_policy = "mixed_float16"
    assert layer.compute_dtype == "float16"


def test_a_variable_that_is_given_up():
    class Owner(L.Layer):
        def __init__(self):
            super().__init__()
            self.w = self.add_weight()

    layer = Owner()
    layer.w = layer._untrack_variable(layer.w)
    assert layer.w is None
    assert layer.weights == []


def test_an_empty_batch_regularizes_nothing():
    layer = L.Identity(activity_regularizer="l2")
    layer(np.zeros((0, 3), "float32"))
    assert float(layer.losses[0]) == 0.0


def test_arguments_that_only_kfun_has_are_no_arguments_here():
    generated = [c for c in vars(compat.layers).values() if hasattr(c, "definition_class")]
    assert len(generated) > 80
    for cls in generated:
        own = {f.name for f in dataclasses.fields(cls.definition_class) if f.kw_only} - {"name"}
        assert not own & set(inspect.signature(cls).parameters), cls
        assert "Keyword Args" not in (cls.__doc__ or ""), cls
    assert {"cache_size", "rope"} <= {
        f.name for f in dataclasses.fields(compat.layers.MultiHeadAttention.definition_class)
    }
    assert not {"cache_size", "rope"} & set(compat.layers.MultiHeadAttention(2, 4).get_config())
    with pytest.raises(TypeError, match="rope"):
        compat.layers.MultiHeadAttention(2, 4, rope=True)
