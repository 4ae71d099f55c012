"""`Model.export`: the model's pure function, handed to kfun's exporters."""

from __future__ import annotations

from typing import Any

from compat.engine.pure_net import ModelNet
from compat.state.keras_tensor import KerasTensor
from kfun.errors import nearest
from kfun.graph import tensors
from kfun.spec import Spec

_FORMATS = ("openvino",)


def export_model(model: Any, filepath: Any, format: str, verbose: Any, input_signature: Any, **options: Any) -> None:
    """Writes the inference of a model.

    Raises:
        ValueError: if the format is unknown, or the model's inputs are not.
    """
    if format not in _FORMATS:
        raise ValueError(f"export: unknown format {format!r}; {nearest(str(format), _FORMATS)}")
    specs, names = _inputs(model, input_signature)
    net = ModelNet(model)
    params, state = net.values()
    from kfun.export import openvino

    openvino.export(net, params, state, *specs, path=filepath, names=names, **options)
    if verbose or verbose is None:
        print(f"The model was written to {filepath}")


def _inputs(model: Any, signature: Any) -> tuple[list[Spec], list[str] | None]:
    if signature is not None:
        given = [signature] if not isinstance(signature, (list, tuple)) else list(signature)
        return [_spec(s) for s in given], None
    symbolic = getattr(model, "inputs", None)
    if symbolic is None:
        shapes = model._kf.build_shapes
        if not shapes:
            raise ValueError("export: the model's inputs are not known; call it on data once, or pass input_signature")
        return [Spec((None, *tuple(s)[1:])) for s in shapes.values()], None
    return [t.spec for t in tensors(symbolic)], list(getattr(model, "input_names", [])) or None


def _spec(value: Any) -> Spec:
    if isinstance(value, KerasTensor):
        return value.spec
    if hasattr(value, "shape") and value.shape is not None:
        return Spec(tuple(value.shape), value.dtype or "float32")
    raise ValueError(f"export: expected InputSpec, Spec or arrays as input_signature; received {value!r}")
