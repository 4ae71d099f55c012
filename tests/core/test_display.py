"""What is shown of definitions and trees: fields that differ, shapes, dtypes, bytes, where arrays are."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import jax
import optax
import pytest
from rich.console import Console

import kfun
from kfun import Spec, layers

NET = kfun.Sequential(
    [layers.Dense(3, "relu"), kfun.Sequential([layers.BatchNormalization(), layers.Dense(256)], name="inner")]
)
SPEC = Spec((None, 8))


def _shown(*args, **kwargs):
    file = io.StringIO()
    kfun.summary(*args, file=file, **kwargs)
    text = file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    return [" ".join(line.split()) for line in text.splitlines()], text


@pytest.mark.parametrize("drawn", [False, True])
def test_a_layer_with_its_weights(drawn):
    params, state = NET.init(kfun.random.key(0), SPEC)
    rows, text = _shown(NET, SPEC, **({"params": params, "state": state} if drawn else {}))
    assert rows[0] == "Sequential (None, 8) -> (None, 256)"
    assert "dense 27 108 B" in rows
    assert "kernel (8, 3) float32 24 96 B yes" in rows
    assert "moving_mean (3,) float32 3 12 B no" in rows
    assert "inner 1,036 4.0 KiB" in rows
    assert text.index("\n inner") < text.index("\n   batch_normalization") < text.index("\n     moving_mean")
    assert "1,063 numbers, 4.2 KiB: 1,057 trained (4.1 KiB), 6 state (24 B)" in text


def test_dtypes_and_policies():
    rows, _ = _shown(layers.Dense(2, policy=kfun.Policy(params="bfloat16")), Spec((None, 3)))
    assert "kernel (3, 2) bfloat16 6 12 B yes" in rows


def test_any_tree():
    params, _ = NET.init(kfun.random.key(0), SPEC)
    tree = {
        "opt": optax.adam(0.1).init(params),
        "key": jax.random.key(0),
        "epoch": 3,
        "free": jax.ShapeDtypeStruct((5,), "float32"),
    }
    rows, text = _shown(tree)
    assert "count () int32 1 4 B" in rows
    assert "key () key<fry> 1 8 B" in rows
    assert "free (5,) float32 5 20 B" in rows
    assert "mu 1,057 4.1 KiB" in rows
    assert "trained" not in text
    assert "2,122 numbers, 8.3 KiB" in text
    assert "0 numbers" in _shown({})[1]
    for backend in ("numpy", "torch"):
        assert "kernel (8, 3) float32 24 96 B" in _shown(kfun.convert(params, backend))[0]


def test_specs_without_a_layer():
    with pytest.raises(TypeError, match="go with a layer; received dict"):
        kfun.summary({}, SPEC)


def test_how_arrays_are_spread():
    code = """
import jax, kfun
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
mesh = Mesh(jax.devices(), ("model",))
put = lambda *axes: jax.device_put(jax.numpy.ones((8, 4)), NamedSharding(mesh, P(*axes)))
kfun.summary({"a": put(None, "model"), "b": put("model"), "c": put(), "d": jax.numpy.ones(1)})
"""
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "COLUMNS": "80"}
    text = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout
    ends = {
        line.split()[0]: line.split("B")[-1].strip() for line in text.splitlines() if " B" in line and "float32" in line
    }
    assert ends == {"a": "-, model on 4", "b": "model on 4", "c": "whole on 4", "d": ""}


def test_definitions_in_rich():
    console = Console(file=io.StringIO(), width=60)
    console.print(NET)
    assert console.file.getvalue().split() == [
        "Sequential(", "layers=(", "Dense(3,", "activation='relu'),", "Sequential(", "name='inner',",
        "layers=(BatchNormalization(),", "Dense(256))", ")", ")", ")",
    ]  # fmt: skip


def test_definitions_in_treescope():
    treescope = pytest.importorskip("treescope")
    text = treescope.render_to_text(NET)
    assert "Dense(units=3, activation=relu)" in text
    assert "name='inner'" in text
    assert "kernel_initializer" not in text
