"""What makes no definition is told where it is written, with what to write instead."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import initializers, layers
from kfun.definition import Definition

ARRAYS = {"jax": jnp.ones((3, 2)), "key": jax.random.key(0), "large": np.ones((600, 600))}


def test_a_constructor_of_ones_own():
    with pytest.raises(TypeError, match=r"Scale defines __init__.*`units: int`.*`weights\(self, \*inputs\)`"):

        class Scale(kfun.Layer):
            def __init__(self, units):
                self.units = units

    with pytest.raises(TypeError, match=r"Half defines __post_init__.*`check\(self\)`"):

        class Half(Definition):
            units: int

            def __post_init__(self):
                object.__setattr__(self, "half", self.units // 2)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_as_a_field(name):
    class Scale(kfun.Layer):
        factor: Any

    array = ARRAYS[name]
    for value in (array, (1, array), {"a": [array]}):
        with pytest.raises(
            TypeError, match=r'Scale: the field `factor` holds a.* array.*\{"factor": kfun.Weight\(shape'
        ):
            Scale(value)
    with pytest.raises(TypeError, match=r"the field `factor` holds an array of jax"):
        jax.jit(lambda x: Scale(x).apply({}, {}, x))(jnp.ones(2))


def test_arrays_of_other_frameworks():
    torch = pytest.importorskip("torch")

    class Scale(kfun.Layer):
        factor: Any

    for array in (torch.ones(2), torch.nn.Parameter(torch.ones(2))):
        with pytest.raises(TypeError, match="holds an array of torch"):
            Scale(array)
    assert Scale(torch.float32).factor == torch.float32


def test_small_constants_stay():
    class Scale(kfun.Layer):
        factor: Any = (1.0, 2.0)

        def forward(self, params, x):
            return x * np.asarray(self.factor, "float32")

    ours = Scale(np.ones(3, "float32"))
    assert hash(ours) == hash(Scale(np.ones(3, "float32")))
    jax.jit(ours.apply)({}, {}, jnp.ones(3))
    assert Scale(jax.ShapeDtypeStruct((2,), "float32")).factor.shape == (2,)
    assert layers.Rescaling(jnp.float32(0.5)) == layers.Rescaling(0.5)
    np.testing.assert_array_equal(layers.Rescaling(jnp.array([0.5, 2.0])).scale, [0.5, 2.0])


def test_what_holds_constants_for_others_may():
    table = jnp.arange(6.0).reshape(3, 2)
    embedding = layers.Embedding(3, 2, embeddings_initializer=initializers.Constant(table))
    np.testing.assert_array_equal(
        embedding.init(kfun.random.key(0), kfun.Spec((None,), "int32"))[0]["embeddings"], table
    )
    x = kfun.Input((2,))
    net = kfun.Graph.of(x, kfun.ops.multiply(x, table[0]))
    np.testing.assert_array_equal(net.apply({}, {}, jnp.ones((1, 2)))[0], table[:1])


@pytest.mark.parametrize(("default", "write"), [
    ([], r"Write \(\) for \[\]"), ({}, r"default_factory=dict"), (set(), "default_factory=set"),
    (jnp.ones(2), "holds an array of jax"), (dataclasses.field(default=[]), r"Write \(\) for \[\]"),
], ids=["list", "dict", "set", "array", "field"])  # fmt: skip
def test_a_default_that_can_be_changed(default, write):
    with pytest.raises(TypeError, match=rf"Wide: the default of the field `sizes` .*{write}"):
        type("Wide", (kfun.Layer,), {"__annotations__": {"sizes": Any}, "sizes": default})


def test_a_field_that_hides_a_method():
    for name in ("weights", "init", "apply", "forward", "output_spec", "replace"):
        with pytest.raises(TypeError, match=f"Odd: the field `{name}` hides the method of that name"):
            type("Odd", (kfun.Layer,), {"__annotations__": {name: "int"}})


class Forgetful(kfun.Layer):
    width: int = 2
    units = 3
    uses_mask = True


def test_an_annotation_that_was_forgotten():
    for make in (lambda: Forgetful(units=5), lambda: Forgetful(1).replace(units=5)):
        with pytest.raises(TypeError, match=r"`units` is an argument of Forgetful only if.*`units: int = 3`"):
            make()
    with pytest.raises(TypeError, match=r"Forgetful takes 1 arguments by position; received 2\..*`units: int = 3`"):
        Forgetful(2, 5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'uses_mask'"):
        Forgetful(uses_mask=True)  # which Layer has, and no field is

    class Heir(Forgetful):
        depth: int = 1

    with pytest.raises(TypeError, match="`units: int = 3`"):
        Heir(units=1)
    assert Heir(4, depth=2).width == 4


def test_constants_of_a_class_are_no_mistake():
    class Blur(kfun.Layer):
        width: int = 3
        margin: ClassVar[tuple] = (1, 1)
        steps = 2

        def forward(self, params, x):
            return x * self.steps

    class Sharper(Blur):
        steps = 5
        width: int = 4

    assert Blur(5).apply({}, {}, jnp.ones(1))[0] == 2
    assert Sharper().apply({}, {}, jnp.ones(1))[0] == 5
    assert repr(Sharper(3)) == "Sharper(width=3)"

    class Fixed(Forgetful):
        units: int = 3

    assert Fixed(units=5).units == 5
