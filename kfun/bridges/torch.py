"""Torch modules as layers: natively on torch tensors, through the host on JAX arrays."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from kfun.bridges._callback import through_jax
from kfun.bridges._leaves import given, require
from kfun.layer import Layer
from kfun.ops._kinds import kind_of
from kfun.spec import Spec

_LOCK = threading.Lock()  # a module's mode is its own attribute, which a call sets


class FromTorch(Layer):
    """A `torch.nn.Module` as a layer, made by `from_torch`.

    Args:
        module: its parameters are the params, under torch's names (`"0.weight"`); parameters without
            gradient and buffers are the state.
    """

    loadable = "a torch module is code"

    module: Any

    def weights(self, *inputs: Spec) -> dict:
        trained, other = self._named()
        found = {name: given(_numpy(x)) for name, x in trained.items()}
        return found | {name: given(_numpy(x), trainable=False) for name, x in other.items()}

    def _named(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Torch's own tensors by name: those that are trained, and the others that it would save."""
        every = dict(self.module.named_parameters())
        trained = {name: x for name, x in every.items() if x.requires_grad}
        kept = {name: x for name, x in every.items() if name not in trained}
        saved = self.module.state_dict()
        return trained, kept | {name: x for name, x in self.module.named_buffers() if name in saved}

    def apply(self, params, state, *inputs, key=None, training=False):
        """Runs the module in its training or evaluation mode.

        On JAX the host computes, and so it does the gradient, by torch's autograd. What the module draws
        while training follows from `key`, the same numbers each time without one.
        """
        kind = kind_of((params, state, inputs))
        name = "numpy" if kind is None else kind.name
        if name == "torch":
            seed = None if key is None else _numpy(key)
            return self._run(params, state, inputs, seed, training)
        if name == "jax":
            return through_jax(self, params, state, inputs, key, training)
        if name == "numpy":
            return self.forward(params, state, inputs, None if key is None else np.asarray(key), training)
        raise TypeError(f"{self}: a torch module runs on torch tensors, JAX arrays and NumPy arrays, not on {name}")

    def filled(self, values: dict[str, np.ndarray]) -> Any:
        """The module itself, with NumPy values by name put into its tensors."""
        torch = require("torch", "torch", "from_torch")
        tensors = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        with torch.no_grad():
            for name, value in _tensors(values).items():
                tensors[name].copy_(value)
        return self.module

    def _run(self, params: dict, state: dict, inputs: tuple, seed: Any, training: bool) -> tuple[Any, dict]:
        torch = require("torch", "torch", "from_torch")
        own = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        device = next(iter(params.values())).device if params else None
        # Buffers are changed in place by a call: it gets copies, and what they become is the new state.
        buffers = {name: x.detach().to(own[name].dtype, copy=True) for name, x in state.items()}
        given = {name: x.to(own[name].dtype) for name, x in params.items()} | buffers
        with _LOCK, _mode(self.module, training), _seeded(torch, seed):
            outputs = torch.func.functional_call(self.module, given, inputs)
        new = {name: x.to(state[name].dtype) for name, x in buffers.items()}
        return outputs, new if device is None else {name: x.to(device) for name, x in new.items()}

    # ---- as `through_jax` wants it ----

    def outputs_like(self, params: dict, state: dict, inputs: tuple, training: bool) -> Any:
        """Shapes and dtypes, found on torch's meta device in evaluation mode, which draws nothing."""
        torch = require("torch", "torch", "from_torch")
        own = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        with torch.no_grad(), _LOCK, _mode(self.module, False):
            given = {name: x.to("meta") for name, x in own.items()}
            placed = tuple(torch.empty(x.shape, dtype=_torch_dtype(torch, x), device="meta") for x in inputs)
            outputs = torch.func.functional_call(self.module, given, placed)
        return jax.tree.map(_struct, outputs)

    def forward(self, params: dict, state: dict, inputs: tuple, seed: Any, training: bool) -> tuple[Any, dict]:
        """`(outputs, new state)` in NumPy."""
        torch = require("torch", "torch", "from_torch")
        with torch.no_grad():
            outputs, new = self._run(_tensors(params), _tensors(state), _tensors(inputs), seed, training)
        return jax.tree.map(_numpy, (outputs, new))

    def backward(self, params, state, inputs, seed, training, cotangents):
        """The gradients by params and inputs in NumPy."""
        torch = require("torch", "torch", "from_torch")
        params, inputs = _tensors(params), _tensors(inputs)
        wanted = [x.requires_grad_() for x in (*params.values(), *inputs) if x.is_floating_point()]
        with torch.enable_grad():
            outputs, _ = self._run(params, _tensors(state), inputs, seed, training)
        pairs = zip(jax.tree.leaves(outputs), jax.tree.leaves(_tensors(cotangents)), strict=True)
        used = [(y, upstream.to(y.dtype)) for y, upstream in pairs if y.requires_grad]
        ys, upstreams = [y for y, _ in used], [u for _, u in used]
        grads = torch.autograd.grad(ys, wanted, upstreams, allow_unused=True) if used else [None] * len(wanted)
        found = {id(x): g for x, g in zip(wanted, grads, strict=True)}

        def gradient(x: Any) -> np.ndarray:
            g = found.get(id(x))
            return _numpy(torch.zeros_like(x) if g is None else g)

        return {name: gradient(x) for name, x in params.items()}, tuple(gradient(x) for x in inputs)


@contextlib.contextmanager
def _mode(module: Any, training: bool) -> Iterator[None]:
    """The module in its training or evaluation mode; afterwards each part is in the mode that it was in."""
    before = [(part, part.training) for part in module.modules()]
    module.train(bool(training))
    try:
        yield
    finally:
        for part, was in before:
            part.training = was


@contextlib.contextmanager
def _seeded(torch: Any, seed: Any) -> Iterator[None]:
    """Torch's random numbers from a seed of two words inside; with none they go on."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        high, low = (int(word) for word in np.asarray(seed).reshape(-1)[-2:])
        torch.manual_seed(high << 32 | low)
        yield


def _torch_dtype(torch: Any, x: Any) -> Any:
    return getattr(torch, str(np.dtype(x.dtype)))


def _struct(x: Any) -> jax.ShapeDtypeStruct:
    dtype = np.dtype(str(x.dtype).removeprefix("torch.")) if "bfloat16" not in str(x.dtype) else jax.numpy.bfloat16
    return jax.ShapeDtypeStruct(tuple(x.shape), jax.dtypes.canonicalize_dtype(dtype))


def _numpy(x: Any) -> np.ndarray:
    x = x.detach().cpu()
    return np.asarray(x.float().numpy()).astype(jax.numpy.bfloat16) if "bfloat16" in str(x.dtype) else x.numpy()


def _tensors(tree: Any) -> Any:
    """NumPy arrays as tensors of their own memory."""
    torch = require("torch", "torch", "from_torch")

    def tensor(x: np.ndarray) -> Any:
        if x.dtype == jax.numpy.bfloat16:
            return torch.from_numpy(np.array(x, "float32")).to(torch.bfloat16)
        return torch.from_numpy(np.array(x))

    return jax.tree.map(tensor, tree)


def from_torch(module: Any) -> FromTorch:
    """A kfun layer of a torch module.

    On torch tensors the module runs as it is (`torch.func.functional_call`), under torch's autograd and
    `torch.func`. On JAX arrays it runs on the host inside the compiled program, gradients included; each
    step goes to the host and back, so this is for models that have no JAX form.

    Args:
        module: a `torch.nn.Module` that takes and gives tensors. It is not changed; parameters begin with
            its present values.

    Raises:
        TypeError: if it is none.
        ValueError: if it is lazy and its parameters have no shapes yet.
        MissingExtraError: if torch is not installed.
    """
    torch = require("torch", "torch", "from_torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch: expected a torch module; received {type(module).__name__}")
    if any(isinstance(p, torch.nn.parameter.UninitializedParameter) for p in module.parameters()):
        raise ValueError("from_torch: the module is lazy and has no parameters yet: call it on data once first")
    return FromTorch(module)
