"""Exported models against JAX: open batch and time, saved, read back, run."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, layers, ops, random
from kfun.errors import MissingExtraError, UnsupportedOp

pytest.importorskip("openvino")

from kfun.export.openvino import Compiled, compile, export, run, save, trace


class Convolutional(kfun.Block):
    """Two residual stages with batch normalization and pooling."""

    stem: layers.Conv2D = layers.Conv2D(8, 3, padding="same", use_bias=False)
    norms: tuple = tuple(layers.BatchNormalization() for _ in range(3))
    convolutions: tuple = tuple(layers.Conv2D(8, 3, padding="same") for _ in range(2))
    pool: layers.MaxPooling2D = layers.MaxPooling2D(2)
    shrink: layers.AveragePooling2D = layers.AveragePooling2D(3, strides=2, padding="same")
    head: layers.Dense = layers.Dense(10, "softmax")

    def forward(self, f, x):
        x = f.pool(ops.relu(f.norms[0](f.stem(x))))
        for convolution, norm in zip(f.convolutions, f.norms[1:], strict=True):
            x = ops.relu(x + norm(convolution(x)))
        return f.head(ops.mean(f.shrink(x), (1, 2)))


class Encoder(kfun.Block):
    """A transformer layer over tokens with a table of positions that is sliced to the length."""

    tokens: layers.Embedding = layers.Embedding(50, 16)
    positions: layers.Embedding = layers.Embedding(64, 16)
    attention: layers.MultiHeadAttention = layers.MultiHeadAttention(4, 4)
    norms: tuple = (layers.LayerNormalization(), layers.LayerNormalization())
    inner: layers.Dense = layers.Dense(32, "gelu")
    outer: layers.Dense = layers.Dense(16)
    head: layers.Dense = layers.Dense(50)

    def forward(self, f, x):
        h = f.tokens(x) + f.positions(ops.arange(ops.shape(x)[1]))
        n = f.norms[0](h)
        h = h + f.attention(n, n, use_causal_mask=True)
        return f.head(h + f.outer(f.inner(f.norms[1](h))))


class Sliced:
    """The same idea written by hand: the size is the only graph argument of the slice."""

    def init(self):
        draw = np.random.default_rng(5).normal
        shapes = {"embed": (50, 16), "table": (64, 16), "qkv": (16, 3, 4, 4), "out": (4, 4, 16), "head": (16, 50)}
        return {k: np.asarray(draw(size=s) / 4, "float32") for k, s in shapes.items()}, {}

    def apply(self, params, state, x, *, training=False):
        h = ops.take(params["embed"], x, 0)
        _, t, c = ops.shape(h)
        h = h + ops.slice(params["table"], (0, 0), (t, c))
        q, k, v = ops.unstack(ops.einsum("btc,cknh->btknh", ops.layer_normalization(h), params["qkv"]), 3, 2)
        h = h + ops.einsum("btnh,nhc->btc", ops.dot_product_attention(q, k, v, is_causal=True), params["out"])
        return {"logits": ops.matmul(h, params["head"]), "last": ops.getitem(h, (slice(None), t - 1))}, state


def initialized(layer, *specs):
    if isinstance(layer, Sliced):
        return layer.init()
    params, state = layer.init(random.key(0), *specs)
    # Statistics as after training, so that batch normalization does something.
    draw = np.random.default_rng(1)
    return params, jax.tree.map(lambda x: jnp.asarray(draw.uniform(0.5, 1.5, x.shape), x.dtype), state)


def floats(*shape):
    return np.random.default_rng(2).normal(size=shape).astype("float32")


def tokens(*shape):
    return np.random.default_rng(3).integers(0, 50, shape).astype("int32")


IMAGE, SEQUENCE, TOKENS = Spec((None, 16, 16, 3)), Spec((None, None, 6)), Spec((None, None), "int32")
MODELS = {
    "mlp": (
        kfun.Sequential([layers.Dense(32, "relu"), layers.Dropout(0.5), layers.Dense(10, "softmax")]),
        Spec((None, 20)),
        [floats(1, 20), floats(7, 20)],
    ),
    "cnn": (Convolutional(), IMAGE, [floats(1, 16, 16, 3), floats(5, 16, 16, 3)]),
    "lstm": (
        kfun.Sequential([layers.LSTM(8, return_sequences=True), layers.LSTM(5, go_backwards=True), layers.Dense(3)]),
        SEQUENCE,
        [floats(1, 9, 6), floats(4, 3, 6)],
    ),
    "lstm by scan": (
        kfun.Sequential([layers.LSTM(8, activation="softsign", return_sequences=True), layers.Dense(3)]),
        SEQUENCE,
        [floats(1, 9, 6), floats(4, 3, 6)],
    ),
    "gru": (
        kfun.Sequential([layers.GRU(8, return_sequences=True), layers.GRU(5, reset_after=False)]),
        SEQUENCE,
        [floats(1, 9, 6), floats(4, 3, 6)],
    ),
    "bidirectional": (
        kfun.Sequential([layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.SimpleRNN(3)]),
        SEQUENCE,
        [floats(2, 5, 6)],
    ),
    "transformer": (Encoder(), TOKENS, [tokens(1, 7), tokens(3, 12)]),
    "sliced positions": (Sliced(), TOKENS, [tokens(1, 7), tokens(3, 12)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_saved_model_gives_the_answers_of_jax(name, tmp_path):
    layer, spec, batches = MODELS[name]
    params, state = initialized(layer, spec)
    path = export(layer, params, state, spec, path=tmp_path / "model.xml")
    model = compile(path)
    apply = jax.jit(lambda x: layer.apply(*jax.tree.map(jnp.asarray, (params, state)), x)[0])
    for x in batches:
        expected = jax.tree.leaves(apply(jnp.asarray(x)))
        received = model(x)
        received = received if isinstance(received, tuple) else (received,)
        for r, e in zip(received, expected, strict=True):
            assert r.dtype == e.dtype
            assert np.max(np.abs(r - np.asarray(e))) <= 1e-5


def dense():
    layer = layers.Dense(3)
    return layer, *layer.init(random.key(0), Spec((None, 4)))


class Pair:
    """Takes a tree of inputs and gives a tree of outputs, one of them an input, one a constant."""

    def apply(self, params, state, x, more, *, training=False):
        assert training is False
        total = x + more["a"] * params
        return {"sum": total, "parts": [total, more["b"], np.float32([1, 2]), ops.shape(x)[0]]}, state


def test_trees_of_inputs_and_outputs_have_names(tmp_path):
    specs = Spec((None, 2)), {"a": Spec((2,)), "b": Spec((None,), "int32")}
    model = trace(Pair(), np.float32(2), {}, *specs, names=["x", "a", "b"])
    model = compile(save(model, tmp_path / "model.xml"))
    assert [p.get_names() for p in model.model.inputs] == [{"x"}, {"a"}, {"b"}]
    parts = [{f"output_parts_{i}"} for i in range(4)]
    assert [p.get_names() for p in model.model.outputs] == [*parts, {"output_sum"}]
    x, a, b = floats(3, 2), floats(2), np.int32([4, 5])
    results = model(x, a, b)
    for received, expected in zip(results, [x + 2 * a, b, [1, 2], 3, x + 2 * a], strict=True):
        np.testing.assert_array_equal(received, expected)


def test_default_names():
    model = trace(*dense(), Spec((None, 4)))
    assert model.inputs[0].get_names() == {"input_0"}
    assert model.outputs[0].get_names() == {"output"}


@pytest.mark.parametrize("names", [["a", "b"], [], ["a", "a"]])
def test_names_that_do_not_fit(names):
    with pytest.raises(ValueError, match="different names"):
        trace(*dense(), *[Spec((None, 4))] * (2 if names == ["a", "a"] else 1), names=names)


def test_half_the_size(tmp_path):
    layer = layers.Dense(64)
    params, state = layer.init(random.key(0), Spec((None, 256)))
    whole = export(layer, params, state, Spec((None, 256)), path=tmp_path / "whole.xml")
    half = export(layer, params, state, Spec((None, 256)), path=tmp_path / "half.xml", compress_to_fp16=True)
    sizes = [p.with_suffix(".bin").stat().st_size for p in (whole, half)]
    assert 0.45 < sizes[1] / sizes[0] < 0.55
    x = floats(2, 256)
    np.testing.assert_allclose(compile(half)(x), compile(whole)(x), atol=2e-3)


def test_a_failed_export_leaves_the_old_files(tmp_path, monkeypatch):
    import openvino

    path = export(*dense(), Spec((None, 4)), path=tmp_path / "model.xml")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert sorted(before) == ["model.bin", "model.xml"]

    def fail(model, written, **_):
        written.write_text("half of it")
        raise OSError("disk full")

    monkeypatch.setattr(openvino, "save_model", fail)
    with pytest.raises(OSError, match="disk full"):
        export(*dense(), Spec((None, 4)), path=path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_paths_end_in_xml(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.xml"):
        export(*dense(), Spec((None, 4)), path=tmp_path / "model.onnx")
    with pytest.raises(FileNotFoundError):
        save(trace(*dense(), Spec((None, 4))), tmp_path / "missing" / "model.xml")


def test_without_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    for call in (lambda: trace(*dense(), Spec((None, 4))), lambda: Compiled("model.xml")):
        with pytest.raises(MissingExtraError, match=r"kfun\[openvino\]"):
            call()


def test_randomness_is_refused():
    class Noisy:
        def apply(self, params, state, x, *, training=False):
            return x + random.normal(random.key(0), (4,)), state

    with pytest.raises(UnsupportedOp, match="drawn before export"):
        trace(Noisy(), {}, {}, Spec((None, 4)))


def test_running_checks_inputs():
    model = compile(trace(*dense(), Spec((None, 4))))
    assert model(floats(2, 4).astype("float64")).dtype == "float32"
    with pytest.raises(TypeError, match="expected 1 inputs; received 2"):
        model(floats(2, 4), floats(2, 4))
    indices = compile(trace(*embedding(), Spec((None,), "int32")))
    with pytest.raises(TypeError, match="same_kind"):
        indices(floats(3))


def embedding():
    layer = layers.Embedding(5, 2)
    return layer, *layer.init(random.key(0), Spec((None,), "int32"))


def test_results_outlive_the_next_run():
    model = compile(trace(*dense(), Spec((None, 4))))
    first = model(floats(2, 4))
    copy = first.copy()
    model(10 * floats(2, 4))
    np.testing.assert_array_equal(first, copy)


def test_weights_changed_after_the_trace_do_not_matter():
    layer, params, state = dense()
    params = {k: np.array(v) for k, v in params.items()}
    model, x = trace(layer, params, state, Spec((None, 4))), floats(2, 4)
    before = run(model, x)
    params["kernel"][...] = 0
    np.testing.assert_array_equal(run(model, x), before)


def test_precision_is_float32_unless_asked():
    layer = layers.Dense(64)
    params, state = layer.init(random.key(0), Spec((None, 512)))
    model, x = trace(layer, params, state, Spec((None, 512))), floats(4, 512)
    exact = np.asarray(layer.apply(params, state, jnp.asarray(x))[0])
    assert np.max(np.abs(run(model, x) - exact)) < 1e-5
    assert Compiled(model, precision="bf16").model.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "bf16"
