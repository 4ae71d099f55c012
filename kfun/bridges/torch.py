"""Torch modules as layers: natively on torch tensors, through the host on JAX arrays."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from kfun.bridges._callback import through_jax
from kfun.bridges._leaves import Together, check_paths, given, raw_key, require, same_draws
from kfun.layer import Layer
from kfun.ops._kinds import kind_of
from kfun.spec import Spec

_LOCK = threading.Lock()  # a module's mode is its own attribute, which a call sets


class _Torch(Layer):
    """What a layer of a torch module does, wherever its weights are from: the module is its `module`."""

    loadable = "a torch module is code"

    def apply(self, params, state, *inputs, key=None, training=False):
        """Runs the module in its training or evaluation mode.

        On JAX the host computes, and so it does the gradient, by torch's autograd. What the module draws
        while training follows from `key`, the same numbers each time without one.
        """
        trained, other = _named(self.module)
        if trained.keys() != params.keys() or other.keys() != state.keys():
            check_paths(self, params, state, ({(n,) for n in trained}, {(n,) for n in other}))
        kind = kind_of((params, state, inputs))
        name = "numpy" if kind is None else kind.name
        if name == "jax" and key is not None:
            key = raw_key(key)
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


class FromTorch(_Torch):
    """A `torch.nn.Module` with its weights as a layer, made by `from_torch`.

    Args:
        module: its parameters are the params, under torch's names (`"0.weight"`); parameters without
            gradient and buffers are the state.
    """

    module: Any

    def weights(self, *inputs: Spec) -> dict:
        trained, other = _named(self.module)
        name = type(self.module).__name__
        refusal = same_draws(f"from_torch({name})", f"give what makes the module: from_torch(lambda: {name}(...))")
        found = {name: given(_numpy(x), True, refusal) for name, x in trained.items()}
        return found | {name: given(_numpy(x), False) for name, x in other.items()}


class DrawnByTorch(_Torch):
    """A `torch.nn.Module` whose weights `init` draws, made by `from_torch` of a function.

    Args:
        make: `make()` gives the module, of one form; torch's random numbers follow from the key while it runs.
    """

    make: Callable

    @functools.cached_property
    def module(self) -> Any:
        """A module of the form."""
        return self._made(np.zeros(2, "uint32"))

    def _made(self, seed: Any) -> Any:
        torch = require("torch", "torch", "from_torch")
        with _LOCK, _seeded(torch, seed):
            return _checked(torch, self.make())

    def _drawn(self, seed: Any) -> dict[str, np.ndarray]:
        """Every number of a new module by name, in the dtypes that JAX has for them."""
        trained, other = _named(self._made(np.asarray(seed)))
        numbers = {name: _numpy(x) for name, x in (trained | other).items()}
        return {name: x.astype(jax.dtypes.canonicalize_dtype(x.dtype)) for name, x in numbers.items()}

    def _like(self) -> dict[str, jax.ShapeDtypeStruct]:
        trained, other = _named(self.module)
        return {name: _struct(x) for name, x in (trained | other).items()}

    def weights(self, *inputs: Spec) -> dict:
        def drawn(key: Any) -> dict[tuple, Any]:
            params, state = self.init(key)
            return {(name,): x for name, x in (params | state).items()}

        trained, together = _named(self.module)[0], Together(drawn)
        return {name: together.weight((name,), x, name in trained) for name, x in self._like().items()}

    def init(self, key, *specs):
        """Draws the module's weights on the host; what inputs it will have does not matter."""
        trained = _named(self.module)[0]
        values = jax.pure_callback(self._drawn, self._like(), raw_key(key), vmap_method="sequential")
        return (
            {name: x for name, x in values.items() if name in trained},
            {name: x for name, x in values.items() if name not in trained},
        )


def _named(module: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Torch's own tensors by name: those that are trained, and the others that it would save."""
    every = dict(module.named_parameters())
    trained = {name: x for name, x in every.items() if x.requires_grad}
    kept = {name: x for name, x in every.items() if name not in trained}
    saved = module.state_dict()
    return trained, kept | {name: x for name, x in module.named_buffers() if name in saved}


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


def _checked(torch: Any, module: Any) -> Any:
    """The module.

    Raises:
        TypeError: if it is none.
        ValueError: if it is lazy and its parameters have no shapes yet.
    """
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            "from_torch: expected a torch module, or a function of no arguments that makes one; received "
            f"{type(module).__name__}"
        )
    if any(isinstance(p, torch.nn.parameter.UninitializedParameter) for p in module.parameters()):
        raise ValueError("from_torch: the module is lazy and has no parameters yet: call it on data once first")
    return module


def from_torch(module: Any) -> FromTorch | DrawnByTorch:
    """A kfun layer of a torch module.

    On torch tensors the module runs as it is (`torch.func.functional_call`), under torch's autograd and
    `torch.func`. On JAX arrays it runs on the host inside the compiled program, gradients included; each
    step goes to the host and back, so this is for models that have no JAX form.

    A module has its weights already, so that all members of an `Ensemble` or a `Stack` would be copies, which is
    refused: give what makes it, `from_torch(lambda: torch.nn.Linear(3, 2))`, and `init` draws by that.

    Args:
        module: a `torch.nn.Module` that takes and gives tensors. It is not changed; parameters begin with
            its present values. Or a function of no arguments that makes one.

    Raises:
        TypeError: if it is neither.
        ValueError: if it is lazy and its parameters have no shapes yet.
        MissingExtraError: if torch is not installed.
    """
    torch = require("torch", "torch", "from_torch")
    if callable(module) and not isinstance(module, torch.nn.Module):
        return DrawnByTorch(module)
    return FromTorch(_checked(torch, module))
