"""`model_to_dot` draws Keras's graph: the same boxes, groups and edges."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import re
import shutil
import sys

import keras
import pytest

import compat
from kfun.errors import MissingExtraError
from tests.compat.drawn_models import MODELS, nested, stack, unbuilt

pytest.importorskip("pydot", reason="the extra `plot`")
DRAWS = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program dot is not installed")
OPTIONS = {
    "plain": {},
    "facts": dict.fromkeys(("show_shapes", "show_dtype", "show_layer_activations", "show_trainable"), True),
    "types": {"show_layer_names": False, "rankdir": "LR", "dpi": 96, "splines": "curved"},
    "expanded": {"expand_nested": True, "show_shapes": True},
    "group": {"subgraph": True, "expand_nested": True},
}


def _text(api, name, options):
    """The graph's text with boxes numbered in order; Keras's heads span columns that are not there."""
    api.utils.clear_session()
    text = api.utils.model_to_dot(MODELS[name](api), **OPTIONS[options]).to_string()
    numbers = {}
    text = re.sub(r"\b\d{9,}\b", lambda m: numbers.setdefault(m.group(0), f"box{len(numbers)}"), text)
    return re.sub(r'colspan="\d"', "", text)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("unbuilt", "subclassed")])
def test_the_graph_is_the_one_of_keras(name, options):
    assert _text(compat, name, options) == _text(keras, name, options)


def test_a_subclass_is_one_box_with_its_shapes():
    text = _text(compat, "subclassed", "facts")
    assert text.count("box0") == 1
    assert "Input shape: <b>(2, 3, 4)</b>" in text
    assert "Output shape: <b>((2, 3), (2, 3), (2, 3))</b>" in text


@DRAWS
@pytest.mark.parametrize(
    ("ending", "begin"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), ("", b"\x89PNG")]
)
def test_plot_model_writes_a_picture(tmp_path, ending, begin):
    path = tmp_path / f"model{ending}"
    compat.utils.plot_model(nested(compat), path, expand_nested=True, show_shapes=True, dpi=50)
    assert path.read_bytes().startswith(begin)
    assert os.listdir(tmp_path) == [path.name]


def test_plot_model_writes_the_text_without_graphviz(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    compat.utils.plot_model(stack(compat), str(tmp_path / "m.dot"))
    assert (tmp_path / "m.dot").read_text().startswith("digraph")
    with pytest.raises(ImportError, match=r"apt install graphviz"):
        compat.utils.plot_model(stack(compat), str(tmp_path / "m.png"))
    assert os.listdir(tmp_path) == ["m.dot"]


@DRAWS
def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="did not write the format 'pngg'"):
        compat.utils.plot_model(stack(compat), tmp_path / "m.pngg")
    assert os.listdir(tmp_path) == []


def test_errors_say_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="'unbuilt' is not built yet: call it on data"):
        compat.utils.model_to_dot(unbuilt(compat))
    with pytest.raises(ValueError, match="unknown argument 'show_shape'; did you mean 'show_shapes'"):
        compat.utils.plot_model(stack(compat), show_shape=True)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        compat.utils.plot_model(stack(compat), tmp_path / "none" / "m.dot")
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(MissingExtraError, match=r"kfun\[plot\]"):
        compat.utils.plot_model(stack(compat))
