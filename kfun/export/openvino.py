"""Export to OpenVINO: `trace` runs a layer's `apply` on graph values, `export` writes the model.

model = trace(layer, params, state, Spec((None, 784)))
export(layer, params, state, Spec((None, 784)), path="digits.xml")
probabilities = compile("digits.xml")(images)
"""

from __future__ import annotations

import importlib
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from kfun import tree
from kfun.atomic import beside
from kfun.errors import MissingExtraError
from kfun.export._signature import inputs_of, outputs_of
from kfun.ops._kinds import backend

if TYPE_CHECKING:
    import openvino as ov


def trace(layer: Any, params: Any, state: Any, *specs: Any, names: Sequence[str] | None = None) -> ov.Model:
    """The inference graph of a layer.

    Args:
        layer: has `apply(params, state, *inputs, training=False) -> (outputs, state)`.
        params, state: pytrees of arrays of any framework; they become constants.
        specs: a `Spec`, or a pytree of them, per input; a size of None stays open.
        names: of the inputs, one per `Spec`; by default `input_0`, `input_1`, ...

    Returns:
        A model whose outputs are named `output`, or after their places in the pytree of outputs:
        `output_0`, `output_mean`, ...

    Raises:
        MissingExtraError: if openvino is not installed.
        UnsupportedOp: if the layer uses an op that OpenVINO cannot do.
        ValueError: if the number of names is not that of the inputs.
    """
    ov = _openvino("trace")
    from openvino import opset16 as o

    from kfun.backends import openvino as adapter

    leaves, names, structure = inputs_of(specs, names)
    params, state = tree.to_numpy((params, state))
    parameters = []
    for spec, name in zip(leaves, names, strict=True):
        shape = ov.PartialShape([-1 if size is None else size for size in spec.shape])
        parameters.append(_named(o.parameter(shape, adapter.native(spec.dtype), name), name))
    with backend("openvino"), adapter.sharing():
        inputs = jax.tree.unflatten(structure, [adapter.Value(p) for p in parameters])
        outputs, _ = layer.apply(params, state, *inputs, training=False)
        results, seen = [], set(parameters)
        for name, output in outputs_of(outputs):
            produced = adapter.as_value(output).output
            if produced.get_node() in seen:  # a name belongs to a tensor: one that has a name gets a copy
                produced = o.identity(produced).output(0)
            seen.add(produced.get_node())
            results.append(_named(o.result(produced), name))
    return ov.Model(results, parameters, type(layer).__name__)


def _openvino(function: str) -> Any:
    try:
        from kfun.backends.openvino import loading  # noqa: F401 - without its telemetry

        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingExtraError("openvino", "openvino", f"kfun.export.openvino.{function}") from error


def _named(node: Any, name: str) -> Any:
    node.set_friendly_name(name)
    node.output(0).get_tensor().set_names({name})
    return node


def export(
    layer: Any,
    params: Any,
    state: Any,
    *specs: Any,
    path: str | os.PathLike,
    names: Sequence[str] | None = None,
    compress_to_fp16: bool = False,
) -> pathlib.Path:
    """Writes a layer as OpenVINO's `path` (`.xml`) and the weights beside it (`.bin`).

    Both files are written whole elsewhere and then put in place: if the writing fails, files that were
    there before are as they were. OpenVINO finds the weights by their name alone, so that the two
    cannot be replaced in one step: a process that is killed between the two leaves the new weights
    beside the old graph. Where that matters, export to a new name.

    Args:
        layer, params, state, specs, names: as in `trace`.
        path: ends in `.xml`.
        compress_to_fp16: whether to store float32 weights as float16, half the size.

    Returns:
        The path of the `.xml` file.

    Raises:
        ValueError: if `path` does not end in `.xml`.
    """
    path = pathlib.Path(path)
    if path.suffix != ".xml":
        raise ValueError(f"expected a path that ends in .xml; received {str(path)!r}")
    return save(trace(layer, params, state, *specs, names=names), path, compress_to_fp16=compress_to_fp16)


def save(model: ov.Model, path: str | os.PathLike, compress_to_fp16: bool = False) -> pathlib.Path:
    """Writes a traced model; see `export`.

    Raises:
        FileNotFoundError: if the folder of `path` does not exist.
    """
    ov, path = _openvino("save"), pathlib.Path(path)
    with beside(os.fspath(path)) as folder:
        written = pathlib.Path(folder) / path.name
        ov.save_model(model, written, compress_to_fp16=compress_to_fp16)
        os.replace(written.with_suffix(".bin"), path.with_suffix(".bin"))
        os.replace(written, path)
    return path


class Compiled:
    """A model that runs: called with NumPy arrays (or what `np.asarray` takes), gives NumPy arrays.

    Args:
        model: an `ov.Model`, or the path of an `.xml` file.
        precision: the type to compute in, `"f32"`, `"bf16"` or `"f16"`; OpenVINO's own choice is
            bf16 on CPUs that have it, which costs two to three digits.
        device: as OpenVINO names it.
    """

    def __init__(self, model: Any, precision: str = "f32", device: str = "CPU"):
        ov = _openvino("Compiled")
        if not isinstance(model, ov.Model):
            model = ov.Core().read_model(os.fspath(model))
        self.model = ov.Core().compile_model(model, device, {"INFERENCE_PRECISION_HINT": precision})
        self._request = self.model.create_infer_request()

    def __call__(self, *inputs: Any) -> Any:
        """The only output, or a tuple of them in the order of the model.

        Raises:
            TypeError: if the number of inputs, or the category of a dtype, is not the model's.
        """
        ports = self.model.inputs
        if len(inputs) != len(ports):
            raise TypeError(f"expected {len(ports)} inputs; received {len(inputs)}")
        arrays = [_as(x, port) for x, port in zip(inputs, ports, strict=True)]
        results = self._request.infer(arrays, share_inputs=True)
        outputs = tuple(np.array(results[i]) for i in range(len(self.model.outputs)))
        return outputs[0] if len(outputs) == 1 else outputs


def _as(x: Any, port: Any) -> np.ndarray:
    """`x` in the type of an input; floats of any width become its float, but no float becomes an integer."""
    return np.ascontiguousarray(
        np.asarray(x).astype(port.get_element_type().to_dtype(), casting="same_kind", copy=False)
    )


def compile(model: Any, precision: str = "f32", device: str = "CPU") -> Compiled:
    """Compiles a traced model, or a saved one, for a device."""
    return Compiled(model, precision, device)


def run(model: Any, *inputs: Any, precision: str = "f32") -> Any:
    """Compiles a model and runs it once."""
    return compile(model, precision)(*inputs)
