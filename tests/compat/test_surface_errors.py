"""What typical mistakes are answered with: the layer's path, the shapes, and what to do; never a tracer's dump."""

from __future__ import annotations

import numpy as np
import pytest

import compat as keras
from compat import layers as L

X = np.random.RandomState(0).rand(40, 6).astype("float32")
Y = np.random.RandomState(1).randint(0, 3, 40)
ONE_HOT = np.eye(3)[Y]


def _net(loss="sparse_categorical_crossentropy", **options):
    parts = [
        keras.Input((6,)),
        L.Dense(8, activation="relu", name="hid"),
        L.Dense(3, activation="softmax", name="head"),
    ]
    model = keras.Sequential(parts, name="net")
    model.compile("adam", loss, **options)
    return model


def _two():
    a, b = keras.Input((6,), name="a"), keras.Input((2,), name="b")
    ends = [L.Dense(3, name="cls")(L.Concatenate()([a, b])), L.Dense(1, name="reg")(a)]
    model = keras.Model([a, b], ends, name="two")
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"])
    return model


def _within(layer):
    return keras.Sequential([keras.Input((6,)), layer], name="outer")


class Product(L.Layer):
    def call(self, x):
        return keras.ops.matmul(x, np.ones((5, 2), "float32"))


class Branch(L.Layer):
    def call(self, x):
        return x if keras.ops.sum(x) > 0 else -x


class NumPy(L.Layer):
    def call(self, x):
        return np.tanh(np.asarray(x))


class Silent(L.Layer):
    def __init__(self):
        self.inner = 3


def _twice(layer, first, second):
    layer(first)
    layer(second)


def _compile(model, **options):
    model.compile("adam", **options)
    return model


MISTAKES = {
    "width_in_fit": (
        lambda: _net().fit(X[:, :5], Y),
        ValueError,
        r"(?s)expected input with 6 features.*received shape \(None, 5\).*'net/hid'",
    ),
    "rank_in_fit": (
        lambda: _net().fit(X[:, None], Y),
        ValueError,
        r"expects shape \(None, 6\); received \(None, 1, 6\)",
    ),
    "lengths": (lambda: _net().fit(X, Y[:30]), ValueError, r"x: 40, y: 30"),
    "one_hot_for_sparse": (lambda: _net().fit(X, ONE_HOT), ValueError, r"looks one-hot: use categorical_crossentropy"),
    "sparse_for_one_hot": (
        lambda: _net("categorical_crossentropy").fit(X, Y),
        ValueError,
        r"use sparse_categorical_cross",
    ),
    "label_too_high": (lambda: _net().fit(X, Y + 5), ValueError, r"label 7, but the predictions have 3 classes"),
    "label_negative": (lambda: _net().fit(X, Y - 1), ValueError, r"label -1.*shift them"),
    "labels_of_strings": (
        lambda: _net().fit(X, np.array(["a", "b"] * 20)),
        ValueError,
        r"y has dtype <U1.*expected numbers",
    ),
    "inputs_of_strings": (lambda: _net().predict(["hello"]), ValueError, r"expected numbers. Encode strings"),
    "ragged": (lambda: _net().fit(np.array([[1], [2, 3]], object), Y[:2]), ValueError, r"pad_sequences"),
    "no_targets": (lambda: _net().fit(X), ValueError, r"no targets `y`"),
    "not_compiled": (lambda: keras.Sequential([L.Dense(2)]).fit(X, Y), ValueError, r"call model.compile"),
    "no_loss": (
        lambda: _compile(keras.Sequential([L.Dense(2)])).fit(X, Y),
        ValueError,
        r"no loss; pass one to compile",
    ),
    "input_missing": (lambda: _two().fit([X], [Y, Y]), ValueError, r"expects 2 inputs \['a', 'b'\]; received 1"),
    "input_misnamed": (lambda: _two().fit({"a": X, "c": X}, [Y, Y]), ValueError, r"missing inputs \['b'\]"),
    "target_missing": (lambda: _two().fit([X, X[:, :2]], Y), ValueError, r"2 outputs \['cls', 'reg'\]"),
    "targets_too_many": (lambda: _two().fit([X, X[:, :2]], [Y] * 3), ValueError, r"y has 3 parts"),
    "loss_misnamed": (
        lambda: _compile(_two(), loss={"clss": "mse"}).fit([X, X[:, :2]], [Y, Y]),
        ValueError,
        r"did you mean 'cls'",
    ),
    "loss_shape": (
        lambda: _net("mse").fit(X, np.ones((40, 5))),
        ValueError,
        r"\(32, 5\) and y_pred of shape \(32, 3\)",
    ),
    "callback_by_name": (lambda: _net().fit(X, Y, callbacks=["EarlyStopping"]), TypeError, r"expected keras.callbacks"),
    "share": (lambda: _net().fit(X, Y, validation_split=1.5), ValueError, r"between 0 and 1"),
    "batch_size": (lambda: _net().fit(X, Y, batch_size=0), ValueError, r"batch_size: expected a positive"),
    "validation_array": (
        lambda: _net().fit(X, Y, validation_data=X),
        ValueError,
        r"validation_data: expected \(x, y\)",
    ),
    "weights_length": (lambda: _net().fit(X, Y, sample_weight=np.ones(3)), ValueError, r"sample_weight: 3"),
    "epochs_text": (lambda: _net().fit(X, Y, epochs="3"), TypeError, r"epochs: expected a whole number; received '3'"),
    "no_rows": (lambda: _net().fit(X[:0], Y[:0]), ValueError, r"no rows"),
    "fit_typo": (
        lambda: _net().fit(X, Y, epoch=3),
        TypeError,
        r"Sequential.fit: unknown argument 'epoch'; did you mean 'epochs'",
    ),
    "compile_typo": (lambda: _net().compile(optimzer="sgd"), TypeError, r"did you mean 'optimizer'"),
    "activation_typo": (lambda: L.Dense(2, activation="rellu"), ValueError, r"did you mean 'relu'"),
    "argument_typo": (lambda: L.Dense(2, actvation="relu"), TypeError, r"did you mean 'activation'"),
    "optimizer_typo": (lambda: _net().compile("adm"), ValueError, r"did you mean 'adam'"),
    "loss_typo": (lambda: _net("mean_square_error"), ValueError, r"did you mean 'mean_squared_error'"),
    "metric_typo": (lambda: _net(metrics=["acuracy"]), ValueError, r"did you mean 'accuracy'"),
    "initializer_typo": (lambda: L.Dense(2, kernel_initializer="glorot_unifrm"), ValueError, r"'glorot_uniform'"),
    "regularizer_typo": (lambda: L.Dense(2, kernel_regularizer="l3"), ValueError, r"did you mean 'l2'"),
    "padding_typo": (lambda: L.Conv2D(2, 3, padding="smae"), ValueError, r"'valid', 'same'; received 'smae'"),
    "policy_typo": (lambda: L.Dense(2, dtype="mixed_bfloat"), ValueError, r"did you mean 'mixed_bfloat16'"),
    "optimizer_argument": (lambda: keras.optimizers.Adam(lr=0.1), TypeError, r"learning_rate"),
    "rate_text": (lambda: keras.optimizers.Adam("0.1"), TypeError, r"learning_rate: expected a number"),
    "layer_name": (lambda: _net().get_layer("hidden"), ValueError, r"did you mean 'hid'"),
    "units_negative": (lambda: L.Dense(-1), ValueError, r"positive integer; received -1"),
    "units_text": (lambda: L.Dense("10"), TypeError, r"must be a positive integer; received '10'"),
    "width_of_layer": (
        lambda: _twice(L.Dense(2, name="den"), X, X[:, :4]),
        ValueError,
        r"6 features.*received shape \(40, 4\)[\s\S]*layer 'den' \(Dense\), called on \(40, 4\) float32",
    ),
    "rank_of_convolution": (
        lambda: L.Conv2D(2, 3, name="cv")(np.zeros((2, 5, 5), "float32")),
        ValueError,
        r"4 axes[\s\S]*layer 'cv' \(Conv2D\)",
    ),
    "rank_of_recurrence": (lambda: L.LSTM(3, name="ls")(X), ValueError, r"3 axes[\s\S]*layer 'ls' \(LSTM\)"),
    "sizes_to_join": (
        lambda: L.Concatenate(name="cc")([np.zeros((2, 3, 1)), np.zeros((2, 4, 1))]),
        ValueError,
        r"agree on all axes[\s\S]*'cc' \(Concatenate\), called on \[\(2, 3, 1\)",
    ),
    "text_for_array": (lambda: L.Dense(2, name="t")("abc"), ValueError, r"layer 't'.*'abc'"),
    "none_for_array": (lambda: L.Dense(2, name="t")(None), ValueError, r"expected arrays as inputs; received None"),
    "no_argument": (L.Dense(2), TypeError, r"Dense.call\(\) missing 1 required positional argument"),
    "own_layer": (
        lambda: _within(Product(name="mine")),
        TypeError,
        r"layer 'outer/mine' \(Product\), called on \(None, 6\)",
    ),
    "own_layer_on_data": (lambda: Product(name="mine")(X), TypeError, r"layer 'mine' \(Product\), called on \(40, 6\)"),
    "python_if": (
        lambda: _within(Branch(name="fork")),
        TypeError,
        r"'outer/fork' \(Branch\): call\(\) needs the value.*ops.cond",
    ),
    "numpy_function": (lambda: _within(NumPy(name="np")), TypeError, r"'outer/np' \(NumPy\).*keras.ops"),
    "no_super": (lambda: Silent()(X), RuntimeError, r"Silent.__init__ must call super\(\).__init__\(\)"),
    "class_for_layer": (lambda: keras.Sequential([L.Dense]), ValueError, r"did you mean Dense\(\)"),
    "name_twice": (lambda: keras.Sequential([L.Dense(1, name="a"), L.Dense(1, name="a")]), ValueError, r"named 'a'"),
    "arrays_for_tensors": (lambda: keras.Model(X, Y), ValueError, r"symbolic tensors.*keras.Input"),
    "disconnected": (
        lambda: keras.Model(keras.Input((3,), name="x"), L.Dense(2)(keras.Input((4,), name="z"))),
        ValueError,
        r"'z' of shape \(None, 4\), which is not among the inputs \['x'\]",
    ),
    "shape_of_input": (lambda: keras.Input(3), ValueError, r"such as \(3,\)"),
    "truth_of_tensor": (lambda: bool(keras.Input((3,)) > 0), TypeError, r"ops.where or ops.cond"),
    "shape_to_reach": (
        lambda: _within(L.Reshape((4,), name="rs")),
        ValueError,
        r"6 elements[\s\S]*'outer/rs' \(Reshape\)",
    ),
    "save_unbuilt": (
        lambda: keras.Sequential([L.Dense(2)], name="n").save_weights("n.weights.h5"),
        ValueError,
        r"'n' is not built",
    ),
    "weights_count": (lambda: _net().set_weights([X]), ValueError, r"'net' has 4 weights; received a list of 1"),
    "weights_shape": (
        lambda: _net().layers[0].set_weights([np.zeros((3, 3)), np.zeros(8)]),
        ValueError,
        r"'net/hid/kernel' has shape \(6, 8\); received a value of shape \(3, 3\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained(mistake):
    call, kind, message = MISTAKES[mistake]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value).__module__.partition(".")[0] not in ("jax", "jaxlib")
    assert "Traced<" not in str(caught.value)


def test_only_the_innermost_layer_explains():
    class Outer(L.Layer):
        def __init__(self):
            super().__init__(name="wrapper")
            self.inner = Product(name="mine")

        def call(self, x):
            return self.inner(x)

    with pytest.raises(TypeError) as caught:
        Outer()(X)
    assert "mine' (Product)" in str(caught.value)
    assert str(caught.value).count("\nIn layer") == 1


def test_errors_of_other_kinds_stay_as_they_are():
    class Own(Exception):
        pass

    class Raises(L.Layer):
        def call(self, x):
            raise Own("mine")

    with pytest.raises(Own, match=r"^mine$"):
        Raises()(X)
