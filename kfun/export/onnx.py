"""Export to ONNX: `trace` runs a layer's `apply` on graph values, `export` writes the model.

model = trace(layer, params, state, Spec((None, 784)))
export(layer, params, state, Spec((None, 784)), path="digits.onnx")
probabilities = compile("digits.onnx")(images)
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import mmap
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from kfun import tree
from kfun.atomic import beside, sweep
from kfun.errors import MissingExtraError
from kfun.export._signature import inputs_of, outputs_of
from kfun.ops._kinds import backend

if TYPE_CHECKING:
    import onnx_ir as ir

_LARGEST = 2**31 - 2**20  # bytes that a file of one piece can have, less what is no weights


def trace(
    layer: Any,
    params: Any,
    state: Any,
    *specs: Any,
    names: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ir.Model:
    """The inference graph of a layer.

    Args:
        layer: has `apply(params, state, *inputs, training=False) -> (outputs, state)`.
        params, state: pytrees of arrays of any framework; they become constants, named by their paths.
        specs: a `Spec`, or a pytree of them, per input; a size of None stays open: that of
            axis 1 of the input `x` is called `x_1`.
        names: of the inputs, one per `Spec`; by default `input_0`, `input_1`, ...
        metadata: stored with the model, such as its author, licence or labels.

    Returns:
        A model of opset 21 whose outputs are named `output`, or after their places in the pytree
        of outputs: `output_0`, `output_mean`, ...

    Raises:
        MissingExtraError: if onnx-ir is not installed.
        UnsupportedOp: if the layer uses an op that ONNX cannot do.
        ValueError: if the number of names is not that of the inputs.
    """
    _module("onnx_ir", "trace")
    from kfun.backends import onnx as adapter

    leaves, names, structure = inputs_of(specs, names)
    params, state = tree.to_numpy((params, state))
    weights = {**tree.flatten(state), **tree.flatten(params)}
    with backend("onnx"), adapter.Constants(weights):
        inputs = [adapter.graph_input(name, s.dtype, s.shape) for name, s in zip(names, leaves, strict=True)]
        outputs, _ = layer.apply(params, state, *jax.tree.unflatten(structure, inputs), training=False)
        found = outputs_of(outputs)
        values = [adapter.as_value(output) for _, output in found]
        return adapter.model_of(inputs, values, [name for name, _ in found], type(layer).__name__, metadata)


def _module(name: str, function: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name.replace("_", "-"), "onnx", f"kfun.export.onnx.{function}") from error


def export(
    layer: Any,
    params: Any,
    state: Any,
    *specs: Any,
    path: str | os.PathLike,
    names: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    external_data: bool | None = None,
) -> pathlib.Path:
    """Writes a layer as `path` (`.onnx`).

    It is written whole elsewhere and then put in place: if anything fails, or the process is killed,
    a model that was there before is as it was.

    Args:
        layer, params, state, specs, names, metadata: as in `trace`.
        path: ends in `.onnx`.
        external_data: whether the weights go to a file of their own beside the model, named as it
            with `.data` added, or eight digits and `.data` if there is such a file; by default where
            they are too large for one file, about 2 GB. The model says which; the former one goes.

    Returns:
        The path of the model.

    Raises:
        ValueError: if `path` does not end in `.onnx`.
    """
    path = pathlib.Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"expected a path that ends in .onnx; received {str(path)!r}")
    return save(trace(layer, params, state, *specs, names=names, metadata=metadata), path, external_data)


def save(model: ir.Model, path: str | os.PathLike, external_data: bool | None = None) -> pathlib.Path:
    """Writes a traced model; see `export`.

    Raises:
        FileNotFoundError: if the folder of `path` does not exist.
    """
    ir, path = _module("onnx_ir", "save"), pathlib.Path(path)
    apart = _size(model) > _LARGEST if external_data is None else external_data
    plain = f"{path.name}.data"
    superseded = apart or _is_named(path, plain)
    with beside(os.fspath(path)) as folder:
        # A name that no other save takes: the model that is there needs its file until it is replaced.
        taken = os.path.lexists(path.parent / plain) or sweep(os.fspath(path)) != [folder]
        data = f"{path.name}.{folder[-8:]}.data" if taken else plain
        written = pathlib.Path(folder) / path.name
        ir.save(model, written, external_data=data if apart else None)
        if (written.parent / data).exists():
            os.replace(written.parent / data, path.parent / data)
        os.replace(written, path)
    _sweep_data(path, superseded)
    return path


def _is_named(path: pathlib.Path, data: str) -> bool:
    """Whether a model's file, if there is one, holds the name of a file of weights."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(data.encode()) >= 0
    except (FileNotFoundError, ValueError):  # there is none, or it is empty
        return False


def _sweep_data(path: pathlib.Path, with_plain: bool) -> None:
    """Removes files of weights that the model does not name.

    Those that are seen first, and when no save is under way any more, are named by the model in place or by none.

    Args:
        path: of the model.
        with_plain: whether the file without digits in its name may be one.
    """
    with_digits = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]{{8}}\.data")
    seen = [name for name in os.listdir(path.parent) if with_digits.fullmatch(name)]
    seen += [f"{path.name}.data"] if with_plain else []
    if sweep(os.fspath(path)):
        return
    for name in seen:
        if not _is_named(path, name):
            with contextlib.suppress(OSError):  # it is not there, or someone has it open
                os.remove(path.parent / name)


def _size(model: ir.Model) -> int:
    """The bytes of the weights."""
    return sum(v.const_value.nbytes for v in model.graph.initializers.values() if v.const_value is not None)


class Compiled:
    """A model that onnxruntime runs: called with NumPy arrays (or what `np.asarray` takes), gives NumPy arrays.

    Args:
        model: from `trace`, or the path of an `.onnx` file.
        providers: where to run, as onnxruntime names them, the first that can run a node does.
        threads: that one operation may use; by default all of the machine.

    Raises:
        MissingExtraError: if onnxruntime is not installed.
        ValueError: if a traced model is too large to be compiled from memory.
    """

    def __init__(self, model: Any, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int | None = None):
        ort, ir = _module("onnxruntime", "Compiled"), _module("onnx_ir", "Compiled")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        if isinstance(model, ir.Model):
            if _size(model) > _LARGEST:
                raise ValueError("weights of more than 2 GB: write the model with kfun.export.onnx.save, run the file")
            model = ir.to_proto(model).SerializeToString()
        else:
            model = os.fspath(model)
        self.session = ort.InferenceSession(model, options, providers=list(providers))
        self._ports = [(port.name, _type(port.type)) for port in self.session.get_inputs()]
        self._narrow = any(not _known_to_numpy(t) for t in [t for _, t in self._ports] + self._output_types())

    def _output_types(self) -> list[np.dtype]:
        return [_type(port.type) for port in self.session.get_outputs()]

    def __call__(self, *inputs: Any) -> Any:
        """The only output, or a tuple of them in the order of the model.

        Raises:
            TypeError: if the number of inputs, or the category of a dtype, is not the model's.
        """
        if len(inputs) != len(self._ports):
            raise TypeError(f"expected {len(self._ports)} inputs; received {len(inputs)}")
        feeds = {name: _as(x, dtype) for x, (name, dtype) in zip(inputs, self._ports, strict=True)}
        outputs = self._run_narrow(feeds) if self._narrow else self.session.run(None, feeds)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _run_narrow(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """With bfloat16 and float8, which onnxruntime's Python interface takes and gives as memory only."""
        ort, ir = _module("onnxruntime", "Compiled"), _module("onnx_ir", "Compiled")
        values = {}
        for name, x in feeds.items():
            if _known_to_numpy(x.dtype):
                values[name] = ort.OrtValue.ortvalue_from_numpy(x)
            else:
                bits = x.view(np.uint8 if x.itemsize == 1 else np.uint16)
                number = ir.DataType.from_numpy(x.dtype).value
                values[name] = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, number)
        return [_host(value) for value in self.session.run_with_ort_values(None, values)]


def _host(value: Any) -> np.ndarray:
    dtype = _type(value.data_type())
    if _known_to_numpy(dtype):
        return value.numpy()
    held = (ctypes.c_uint8 * value.tensor_size_in_bytes()).from_address(value.data_ptr())
    return np.frombuffer(held, np.uint8).view(dtype).reshape(value.shape()).copy()


def _known_to_numpy(dtype: np.dtype) -> bool:
    return dtype.type.__module__ == "numpy"


def _type(name: str) -> np.dtype:
    """The NumPy type for onnxruntime's `tensor(float)`."""
    element = name.removeprefix("tensor(").removesuffix(")")
    return _module("onnx_ir", "Compiled").DataType[element.upper()].numpy()


def _as(x: Any, dtype: np.dtype) -> np.ndarray:
    """`x` in the type of an input; floats of any width become its float, but no float becomes an integer."""
    x = np.asarray(x)
    if not _known_to_numpy(dtype) and np.issubdtype(x.dtype, np.floating):
        return np.ascontiguousarray(x.astype(dtype))
    return np.ascontiguousarray(x.astype(dtype, casting="same_kind", copy=False))


def compile(model: Any, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int | None = None) -> Compiled:
    """Compiles a traced model, or a saved one, for a device."""
    return Compiled(model, providers, threads)


def run(model: Any, *inputs: Any) -> Any:
    """Compiles a model and runs it once."""
    return compile(model)(*inputs)
