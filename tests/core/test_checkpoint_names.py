"""Layers that were inserted rename those after them: loading tells which is which."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import checkpoints, layers

SPEC = kfun.Spec((None, 8))


def _net(*widths, **names):
    return kfun.Sequential([layers.Dense(w, name=names.get(f"n{i}")) for i, w in enumerate(widths)])


def _saved(path, net, definition=None):
    params, _ = net.init(kfun.random.key(0), SPEC)
    checkpoints.save(
        path, {"params": params, "optimizer": optax.adam(0.1).init(params)[0]._asdict()}, definition=definition
    )
    return params


def _like(net):
    params, _ = net.init(kfun.random.key(1), SPEC)
    return {"params": params, "optimizer": optax.adam(0.1).init(params)[0]._asdict()}


@pytest.mark.parametrize(("old", "new", "names"), [
    ((16, 4), (32, 16, 4), {"dense_1": "dense_2"}),
    ((8, 8, 4), (8, 8, 8, 4), {"dense_2": "dense_3"}),
    ((5, 8, 4), (8, 4), {"dense_2": "dense_1"}),
])  # fmt: skip
def test_what_moved_is_named_and_can_be_renamed(tmp_path, old, new, names):
    params = _saved(tmp_path / "c", _net(*old))
    with pytest.raises(ValueError, match="Layers without a name are counted") as caught:
        checkpoints.load(tmp_path / "c", like=_like(_net(*new)))
    for before, now in names.items():
        assert f"'{before}' of the file has the shapes of '{now}'" in str(caught.value)
    assert "kfun.tree.rename(kfun.checkpoints.load(path)" in str(caught.value)
    if len(old) < len(new):
        renamed = kfun.tree.rename(checkpoints.load(tmp_path / "c"), names)
        for before, now in names.items():
            np.testing.assert_array_equal(renamed["params"][now]["kernel"], params[before]["kernel"])
            assert now in renamed["optimizer"]["mu"]


def test_more_than_ten_layers_keep_their_order(tmp_path):
    _saved(tmp_path / "c", _net(*range(3, 15)))
    with pytest.raises(
        ValueError, match=r"'dense_1' of the file has the shapes of 'dense_2', 'dense_2'.*'dense_3'.*\.\.\."
    ):
        checkpoints.load(tmp_path / "c", like=_like(_net(3, *range(3, 15))))


def test_names_that_stay(tmp_path):
    _saved(tmp_path / "c", _net(16, 4, n0="body", n1="head"))
    wide = _net(16, 16, 4, n0="body", n2="head")
    with pytest.raises(ValueError, match=r"no array for .*'params/dense/bias'") as caught:
        checkpoints.load(tmp_path / "c", like={"params": wide.init(kfun.random.key(1), SPEC)[0]} | {
            "optimizer": checkpoints.load(tmp_path / "c")["optimizer"]})  # fmt: skip
    assert "counted" not in str(caught.value)


def test_other_differences_have_no_such_hint(tmp_path):
    _saved(tmp_path / "c", _net(16, 4))
    with pytest.raises(ValueError, match=r"'.*' is float32\[.*\] in `like`") as caught:
        checkpoints.load(tmp_path / "c", like=_like(_net(15, 3)))
    assert "counted" not in str(caught.value)


def test_layers_of_one_size_that_changed_places_are_told_by_the_definition(tmp_path):
    old = kfun.Sequential([layers.Dense(8, "relu"), layers.Dense(8), layers.Dropout(0.1)])
    new = kfun.Sequential([layers.Dense(8, "tanh"), layers.Dense(8), layers.Dropout(0.1)])
    _saved(tmp_path / "c", old, old)
    checkpoints.load(tmp_path / "c", like=_like(new), definition=old)
    with pytest.warns(UserWarning, match=r"another net: 'dense' was Dense\(8\), is Dense\(8\).*name=") as caught:
        checkpoints.load(tmp_path / "c", like=_like(new), definition=new)
    assert caught[0].filename == __file__
    _saved(tmp_path / "d", old)
    checkpoints.load(tmp_path / "d", like=_like(new), definition=new)  # nothing to compare with


def test_rename():
    tree = {"a": {"dense": jnp.zeros(1)}, "b": [{"dense": 1, "other": (2,)}], "dense": 3}
    assert kfun.tree.rename(tree, {"a/dense": "a/head"}) == {"a": {"head": jnp.zeros(1)}} | {
        k: tree[k] for k in ("b", "dense")
    }
    everywhere = kfun.tree.rename(tree, {"dense": "head"})
    assert [jax.tree_util.keystr(k) for k, _ in jax.tree_util.tree_flatten_with_path(everywhere)[0]] == [
        "['a']['head']", "['b'][0]['head']", "['b'][0]['other'][0]", "['head']"
    ]  # fmt: skip
    assert kfun.tree.rename({"x": 1, "y": 2}, {"x": "y", "y": "x"}) == {"y": 1, "x": 2}
    for names, said in ({"none": "new"}, "nothing is called ['none']"), ({"dense": "a"}, "would be called 'a'"), (
        {"a/dense": "b/dense"}, "only the last key",
    ):  # fmt: skip
        with pytest.raises(ValueError, match=re.escape(said)):
            kfun.tree.rename(tree, names)
