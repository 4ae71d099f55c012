"""Pictures of models: `model_to_dot` and `plot_model`, drawn by Graphviz."""

from __future__ import annotations

import html
import os
import sys
from typing import Any

from compat.models._elements import Element, elements, graph_of, input_shapes, output_shapes
from kfun.atomic import atomic_file
from kfun.errors import MissingExtraError, nearest
from kfun.graph import tensors

_OPTIONS = (
    "show_shapes", "show_dtype", "show_layer_names", "rankdir", "expand_nested", "dpi", "subgraph",
    "show_layer_activations", "show_trainable", "splines",
)  # fmt: skip
_DARK = "black"


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """The graph of a model in Graphviz's language.

    Args:
        model: a built model. One without a graph (a subclass) is one box.
        show_shapes, show_dtype, show_layer_names: what a box says beside the type of the layer.
        rankdir: the direction: `"TB"` down, `"LR"` to the right, `"BT"`, `"RL"`.
        expand_nested: whether inner models are drawn as groups of their layers.
        dpi: dots per inch of a picture.
        subgraph: whether to give a `pydot.Cluster` to put into another graph.
        show_layer_activations, show_trainable: further things that a box says.
        splines: the form of the edges, as Graphviz has them: `"ortho"`, `"curved"`, `"polyline"`, ...
        kwargs: nothing; unknown names are refused.

    Returns:
        A `pydot.Dot`, or a `pydot.Cluster` if `subgraph`.

    Raises:
        MissingExtraError: if pydot is not installed.
        ValueError: if the model is not built, or an argument is unknown.
    """
    for name in kwargs:
        raise ValueError(f"model_to_dot: unknown argument {name!r}; {nearest(name, _OPTIONS)}")
    if not model.built:
        raise ValueError(f"model_to_dot: model {model.name!r} is not built yet: call it on data once, or build it")
    shown = {
        "shapes": show_shapes, "dtype": show_dtype, "names": show_layer_names,
        "activations": show_layer_activations, "trainable": show_trainable,
    }  # fmt: skip
    drawing = _Drawing(_pydot("model_to_dot"), shown, expand_nested)
    if subgraph:
        return drawing.cluster(model)
    dot = drawing.pydot.Dot()
    for name, value in (("rankdir", rankdir), ("concentrate", "true"), ("dpi", dpi), ("splines", splines)):
        dot.set(name, value)
    dot.set_node_defaults(shape="record")
    drawing.draw(model, dot)
    return dot


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Writes a picture of a model.

    Args:
        model: a built model.
        to_file: the path; its ending says the format (`png`, `svg`, `pdf`, `dot`, ...), `png` if it has none.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi: as in `model_to_dot`.
        show_layer_activations, show_trainable, splines: likewise.
        kwargs: nothing; unknown names are refused.

    Returns:
        An `IPython.display.Image` in a notebook, else None.

    Raises:
        MissingExtraError: if pydot is not installed.
        ImportError: if the program `dot` of Graphviz is not.
        ValueError: if the model is not built, an argument is unknown, or Graphviz cannot write the format.
    """
    for name in kwargs:
        raise ValueError(f"plot_model: unknown argument {name!r}; {nearest(name, _OPTIONS)}")
    dot = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
        show_layer_activations=show_layer_activations, show_trainable=show_trainable, splines=splines,
    )  # fmt: skip
    path = os.fspath(to_file)
    form = os.path.splitext(path)[1].lstrip(".").lower() or "png"
    _write(path, _rendered(dot, form))
    if "IPython" in sys.modules and form in ("png", "jpg", "jpeg"):
        from IPython import display  # type: ignore[import-not-found]

        return display.Image(filename=path)
    return None


def _pydot(who: str) -> Any:
    try:
        import pydot
    except ImportError as error:
        raise MissingExtraError("pydot", "plot", who) from error
    return pydot


def _rendered(dot: Any, form: str) -> bytes:
    if form == "dot":
        return dot.to_string().encode()
    try:
        return dot.create(format=form)
    except FileNotFoundError as error:
        raise ImportError(
            "plot_model needs Graphviz's program `dot`, which is not on the PATH: install it from "
            "https://graphviz.org/download, or with `apt install graphviz`, `brew install graphviz`, "
            "`conda install graphviz`; or write the text of the graph to a file that ends in .dot"
        ) from error
    except AssertionError as error:  # how pydot says that the program failed
        raise ValueError(f"plot_model: Graphviz did not write the format {form!r}: {str(error)[:300]}") from error


def _write(path: str, content: bytes) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"plot_model: there is no folder {folder!r} to write {os.path.basename(path)!r} in")
    with atomic_file(path) as file:
        file.write(content)


class _Drawing:
    """Boxes and edges; a layer has one box however often it is called."""

    def __init__(self, pydot: Any, shown: dict[str, bool], expand: bool):
        self.pydot, self.shown, self.expand = pydot, shown, expand

    def draw(self, model: Any, into: Any) -> None:
        """Draws a model into a graph or a cluster."""
        graph = graph_of(model)
        if graph is None:
            into.add_node(self._box(Element(model, model.name, type(model).__name__, [])))
            return
        found = elements(model)
        for element in found:
            if self._expanded(element):
                into.add_subgraph(self.cluster(element.inner))
            else:
                into.add_node(self._box(element))
        made = {id(node): element for element in found for node in element.nodes}
        edges = {}
        for element in found:
            for node in element.nodes:
                for place, tensor in enumerate(node.inputs):
                    source = made.get(id(tensor.node))
                    if source is not None and source is not element:
                        edges[self._tail(source, tensor.index), self._head(element, place)] = None
        for tail, head in edges:
            into.add_edge(self.pydot.Edge(tail, head, penwidth=2))

    def cluster(self, model: Any) -> Any:
        """A model as a group of boxes."""
        made = self.pydot.Cluster(graph_name=model.name, style="dashed", label=model.name, labeljust="l")
        self.draw(model, made)
        return made

    def _expanded(self, element: Element) -> bool:
        return self.expand and element.inner is not None and graph_of(element.inner) is not None

    def _tail(self, element: Element, index: int) -> str:
        """The box that gives an output of an element."""
        if not self._expanded(element):
            return _identity(element)
        tensor = list(tensors(graph_of(element.inner)._kf_outputs))[index]
        return self._tail(_owner(element.inner, tensor), tensor.index)

    def _head(self, element: Element, place: int) -> str:
        """The box that takes an input of an element."""
        if not self._expanded(element):
            return _identity(element)
        graph = graph_of(element.inner)
        tensor = graph.inputs[min(place, len(graph.inputs) - 1)]
        own = [e for e in elements(element.inner) if any(n is tensor.node for n in e.nodes)]
        if own:  # a Functional draws its inputs
            return _identity(own[0])
        for inner in elements(element.inner):
            for node in inner.nodes:
                for at, taken in enumerate(node.inputs):
                    if taken is tensor:
                        return self._head(inner, at)
        return _identity(element)

    def _box(self, element: Element) -> Any:
        return self.pydot.Node(
            _identity(element), label=f"<{_label(element, self.shown)}>", fontname="Helvetica", border=0, margin=0
        )


def _identity(element: Element) -> str:
    return str(id(element.target) if element.layer is not None else id(element.nodes[0]))


def _owner(model: Any, tensor: Any) -> Element:
    found = elements(model, inputs=True)
    return next(e for e in found if any(n is tensor.node for n in e.nodes))


def _label(element: Element, shown: dict[str, bool]) -> str:
    """A box: a dark head, then what is to be shown, as a table in Graphviz's HTML."""
    kind, name = html.escape(element.kind), html.escape(element.name)
    facts = _facts(element, shown)
    wide = max(1, len(facts))
    title = f"<b>{name}</b> ({kind})" if shown["names"] else f"<b>{kind}</b>"
    rows = [f'<td colspan="{wide}" bgcolor="{_DARK}"><font point-size="16" color="white">{title}</font></td>']
    activation = getattr(element.target, "activation", None) if element.layer is not None else None
    if shown["activations"] and activation is not None:
        text = f"Activation: <b>{html.escape(_name_of(activation))}</b>"
        rows.append(f'<td bgcolor="white" colspan="{wide}"><font point-size="14">{text}</font></td>')
    if facts:
        rows.append("".join(facts))
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table border="0" cellborder="1" bgcolor="{_DARK}" cellpadding="10">{table}</table>'


def _name_of(activation: Any) -> str:
    return getattr(activation, "__name__", None) or getattr(activation, "name", None) or type(activation).__name__


def _facts(element: Element, shown: dict[str, bool]) -> list[str]:
    facts = []
    if shown["shapes"] and element.kind != "InputLayer":
        facts.append(_fact("Input shape", _shape(input_shapes(element))))
    if shown["shapes"]:
        facts.append(_fact("Output shape", _shape(output_shapes(element))))
    if shown["dtype"]:
        facts.append(_fact("Output dtype", _dtype(element)))
    layer = element.layer
    if shown["trainable"] and layer is not None and layer.weights:
        text, colour = ("Trainable", "forestgreen") if layer.trainable else ("Non-trainable", "firebrick")
        facts.append(f'<td bgcolor="{colour}"><font point-size="14" color="white"><b>{text}</b></font></td>')
    return facts


def _fact(what: str, value: str) -> str:
    return f'<td bgcolor="white"><font point-size="14">{what}: <b>{html.escape(value, quote=False)}</b></font></td>'


def _shape(shape: Any) -> str:
    return "?" if shape is None else str(shape)


def _dtype(element: Element) -> str:
    found = [t.dtype for t in tensors(element.calls[-1].outputs)] if element.calls else []
    return str(found) if len(found) > 1 else found[0] if found else element.layer.compute_dtype
