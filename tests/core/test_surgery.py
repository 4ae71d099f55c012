"""Definitions made of others by changing the layers inside."""

from __future__ import annotations

import pytest

import kfun
from kfun import layers
from kfun.surgery import map_layers


class Branches(kfun.Block):
    named: dict
    several: tuple
    size: int = 3


def wider(layer):
    return layer.replace(units=layer.units + 1) if isinstance(layer, layers.Dense) else layer


def test_layers_are_found_in_fields_tuples_and_dicts_at_any_depth():
    inner = kfun.Stack(kfun.Residual(layers.Dense(4)), 2)
    net = Branches({"a": layers.Dense(1), "b": {"c": (inner,)}}, (layers.Dense(2), layers.Flatten()), name="net")
    wanted = Branches(
        {"a": layers.Dense(2), "b": {"c": (kfun.Stack(kfun.Residual(layers.Dense(5)), 2),)}},
        (layers.Dense(3), layers.Flatten()),
        name="net",
    )
    assert map_layers(net, wider) == wanted
    assert hash(map_layers(net, wider)) == hash(wanted)


def test_a_graph_keeps_its_steps_and_a_shared_layer_stays_one():
    x = kfun.Input((4,))
    shared = layers.Dense(4)
    net = kfun.Graph.of(x, layers.Dense(2)(shared(shared(x))))
    changed = map_layers(net, lambda l: l.replace(use_bias=False) if isinstance(l, layers.Dense) else l)
    assert changed.steps == net.steps
    assert changed.layers == (layers.Dense(4, use_bias=False), layers.Dense(2, use_bias=False))
    params, _ = changed.init(kfun.random.key(0), kfun.Spec((2, 4)))
    assert sorted(kfun.tree.flatten(params)) == ["dense/kernel", "dense_1/kernel"]


def test_inner_layers_come_first_and_the_definition_itself_last():
    seen = []
    net = kfun.Sequential([kfun.Residual(layers.Dense(4)), layers.Flatten()])
    assert map_layers(net, lambda l: seen.append(type(l).__name__) or l) is net
    assert seen == ["Dense", "Residual", "Flatten", "Sequential"]


def test_what_the_function_gives_must_be_a_layer():
    with pytest.raises(TypeError, match=r"give a layer in place of Dense\(2\); received None"):
        map_layers(kfun.Sequential([layers.Dense(2)]), lambda l: None)
