"""Exported ONNX models against JAX: open batch and time, saved, read back, run by onnxruntime."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kfun import Spec, layers, ops, random
from kfun.errors import MissingExtraError, UnsupportedOp

for needed in ("onnx_ir", "onnx", "onnxruntime"):
    pytest.importorskip(needed)

import onnx
import onnx_ir as ir

from kfun.export.onnx import Compiled, compile, export, run, save, trace
from tests.export.models import MODELS, Pair, dense, embedding, floats, initialized


@pytest.mark.parametrize("name", MODELS)
def test_saved_model_gives_the_answers_of_jax(name, tmp_path):
    layer, spec, batches = MODELS[name]
    params, state = initialized(layer, spec)
    path = export(layer, params, state, spec, path=tmp_path / "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    model = compile(path, threads=1)
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
    model = compile(save(model, tmp_path / "model.onnx"))
    assert [(p.name, p.shape) for p in model.session.get_inputs()] == [("x", ["x_0", 2]), ("a", [2]), ("b", ["b_0"])]
    parts = [f"output_parts_{i}" for i in range(4)]
    assert [p.name for p in model.session.get_outputs()] == [*parts, "output_sum"]
    x, a, b = floats(3, 2), floats(2), np.int32([4, 5])
    results = model(x, a, b)
    for received, expected in zip(results, [x + 2 * a, b, [1, 2], 3, x + 2 * a], strict=True):
        np.testing.assert_array_equal(received, expected)


def test_default_names():
    model = trace(*dense(), Spec((None, 4)))
    assert [v.name for v in (*model.graph.inputs, *model.graph.outputs)] == ["input_0", "output"]
    assert model.graph.name == "Dense"


def test_weights_are_named_by_their_paths():
    layer, spec, _ = MODELS["mlp"]
    params, state = initialized(layer, spec)
    names = set(trace(layer, params, state, spec).graph.initializers)
    assert names == {path for path in names if path.endswith(("/kernel", "/bias"))}
    assert len(names) == 4


@pytest.mark.parametrize("names", [["a", "b"], [], ["a", "a"]])
def test_names_that_do_not_fit(names):
    with pytest.raises(ValueError, match="different names"):
        trace(*dense(), *[Spec((None, 4))] * (2 if names == ["a", "a"] else 1), names=names)


def test_metadata(tmp_path):
    path = export(*dense(), Spec((None, 4)), path=tmp_path / "model.onnx", metadata={"labels": "cat,dog,cow"})
    assert compile(path).session.get_modelmeta().custom_metadata_map == {"labels": "cat,dog,cow"}
    model = ir.load(path)
    assert (model.producer_name, model.ir_version, model.opset_imports) == ("kfun", 10, {"": 21})


def test_weights_in_a_file_of_their_own(tmp_path):
    layer = layers.Dense(64)
    params, state = layer.init(random.key(0), Spec((None, 256)))
    whole = export(layer, params, state, Spec((None, 256)), path=tmp_path / "whole.onnx")
    apart = export(layer, params, state, Spec((None, 256)), path=tmp_path / "apart.onnx", external_data=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["apart.onnx", "apart.onnx.data", "whole.onnx"]
    assert apart.stat().st_size < whole.stat().st_size / 10
    np.testing.assert_array_equal(compile(apart)(floats(2, 256)), compile(whole)(floats(2, 256)))


def _wide(seed=0):
    layer, spec = layers.Dense(3), Spec((None, 256))
    return trace(layer, *layer.init(random.key(seed), spec), spec)


def _listed(folder):
    return sorted(p.name for p in folder.iterdir())


def test_weights_apart_have_a_name_that_the_former_model_does_not_need(tmp_path):
    path, model = tmp_path / "m.onnx", _wide()
    others = ["m.onnx.0123ABCD.data", "m.onnx.0123abcde.data", "m.onnx.data.data", "xm.onnx.0123abcd.data"]
    for name in others:
        (tmp_path / name).write_text(name)
    (tmp_path / "m.onnx.0123abcd.data").write_text("of a save that was killed")
    expected = run(model, floats(2, 256))
    for i in range(4):
        save(model, path, external_data=True)
        (data,) = set(_listed(tmp_path)) - {"m.onnx", *others}
        assert re.fullmatch(r"m\.onnx\.[0-9a-f]{8}\.data" if i % 2 else r"m\.onnx\.data", data)
        np.testing.assert_array_equal(run(path, floats(2, 256)), expected)
    save(model, path, external_data=False)
    assert _listed(tmp_path) == sorted(["m.onnx", *others])
    np.testing.assert_array_equal(run(path, floats(2, 256)), expected)


def test_a_file_that_no_model_names_stays_beside_one_of_one_piece(tmp_path):
    (tmp_path / "m.onnx.data").write_text("mine")
    for _ in range(2):
        save(trace(*dense(), Spec((None, 4))), tmp_path / "m.onnx")
    assert _listed(tmp_path) == ["m.onnx", "m.onnx.data"]
    assert (tmp_path / "m.onnx.data").read_text() == "mine"


def test_concurrent_exports_with_weights_apart(tmp_path):
    path = tmp_path / "m.onnx"
    models = [_wide(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(lambda i: save(models[i % 4], path, external_data=True), range(40)):
            pass
    received = run(path, floats(2, 256))
    assert any(np.array_equal(received, run(model, floats(2, 256))) for model in models)
    save(models[0], path, external_data=True)
    assert len(_listed(tmp_path)) == 2


def test_a_failed_export_leaves_the_old_files(tmp_path, monkeypatch):
    path = export(*dense(), Spec((None, 4)), path=tmp_path / "model.onnx")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert sorted(before) == ["model.onnx"]

    def fail(model, written, **_):
        written.write_text("half of it")
        raise OSError("disk full")

    monkeypatch.setattr(ir, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export(*dense(), Spec((None, 4)), path=path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_paths_end_in_onnx(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.onnx"):
        export(*dense(), Spec((None, 4)), path=tmp_path / "model.xml")
    with pytest.raises(FileNotFoundError):
        save(trace(*dense(), Spec((None, 4))), tmp_path / "missing" / "model.onnx")


def test_without_onnx(monkeypatch):
    for module in ("onnx_ir", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    for call in (lambda: trace(*dense(), Spec((None, 4))), lambda: Compiled("model.onnx")):
        with pytest.raises(MissingExtraError, match=r"kfun\[onnx\]"):
            call()


def test_randomness_is_refused():
    class Noisy:
        def apply(self, params, state, x, *, training=False):
            return x + random.normal(random.key(0), (ops.shape(x)[0], 4)), state

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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_inputs_and_outputs(dtype):
    class Twice:
        def apply(self, params, state, x, n, *, training=False):
            return (x * 2 + params, n), state

    weight = np.asarray(0.5, np.dtype(jnp.dtype(dtype)))
    model = compile(trace(Twice(), weight, {}, Spec((None, 3), dtype), Spec((None,), "int32")))
    x, n = model(np.float32([[1, 2, 3]]), np.int32([7]))
    assert x.dtype == jnp.dtype(dtype)
    np.testing.assert_array_equal(x.astype("float32"), [[2.5, 4.5, 6.5]])
    np.testing.assert_array_equal(n, [7])


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
