"""Exported models against JAX: open batch and time, saved, read back, run."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kfun import Spec, layers, random
from kfun.errors import MissingExtraError, UnsupportedOp

ov = pytest.importorskip("openvino")

from kfun.export.openvino import Compiled, compile, export, run, save, trace
from tests.export.models import MODELS, Pair, dense, embedding, floats, initialized


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
    hint = "INFERENCE_PRECISION_HINT"
    asked = ov.Core().compile_model(model, "CPU", {hint: "bf16"})  # f32 where the processor has no bfloat16
    assert Compiled(model, precision="bf16").model.get_property(hint) == asked.get_property(hint)
