"""Layers against Keras on JAX and against PyTorch: forward, and gradients of weights and inputs.

    python -m bench.layers [name ...]

The three run in turn, compiled (PyTorch eagerly, as it is used), with the same shapes. The ratio is
the median of the rounds' ratios; a ratio to Keras above 1.05 is missed.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's threads would spin beside the next contestant

import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch

import kfun
from bench._timing import interleaved
from kfun import layers

GOAL = 1.05
_HEADS = {"num_heads": 8, "key_dim": 32}
# name: (class, arguments, shape of the input, training, the PyTorch function of the input)
CASES: dict[str, tuple[str, dict, tuple, bool, Callable]] = {
    "LSTM, 100 steps": ("LSTM", {"units": 128, "return_sequences": True}, (32, 100, 64), False, lambda: _first(
        torch.nn.LSTM(64, 128, batch_first=True))),
    "GRU, 100 steps": ("GRU", {"units": 128, "return_sequences": True}, (32, 100, 64), False, lambda: _first(
        torch.nn.GRU(64, 128, batch_first=True))),
    "LSTM, 1 sample": ("LSTM", {"units": 64}, (1, 50, 32), False, lambda: _first(
        torch.nn.LSTM(32, 64, batch_first=True))),
    "attention, 128 positions": ("MultiHeadAttention", _HEADS, (8, 128, 256), False, lambda: _attending(256)),
    "attention, 2048 positions": ("MultiHeadAttention", _HEADS, (1, 2048, 256), False, lambda: _attending(256)),
    "grouped attention, 512": ("GroupQueryAttention", {"head_dim": 32, "num_query_heads": 8, "num_key_value_heads": 2},
        (2, 512, 256), False, lambda: None),
    "Dense of a sequence": ("Dense", {"units": 512, "activation": "relu"}, (16, 512, 256), False, lambda:
        torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU())),
    "EinsumDense": ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 8, 32)}, (16, 256, 256), False,
        lambda: torch.nn.Linear(256, 256)),
    "BatchNormalization": ("BatchNormalization", {}, (32, 32, 32, 64), True, lambda: _first_axis(
        torch.nn.BatchNorm2d(64))),
    "LayerNormalization": ("LayerNormalization", {}, (32, 256, 256), False, lambda: torch.nn.LayerNorm(256)),
    "GroupNormalization": ("GroupNormalization", {"groups": 8}, (16, 32, 32, 64), False, lambda: _first_axis(
        torch.nn.GroupNorm(8, 64))),
    "DepthwiseConv2D": ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}, (16, 56, 56, 64), False,
        lambda: _first_axis(torch.nn.Conv2d(64, 64, 3, padding=1, groups=64))),
    "SeparableConv2D": ("SeparableConv2D", {"filters": 64, "kernel_size": 3, "padding": "same"}, (16, 28, 28, 64),
        False, lambda: _first_axis(torch.nn.Sequential(
            torch.nn.Conv2d(64, 64, 3, padding=1, groups=64), torch.nn.Conv2d(64, 64, 1)))),
    "Conv2D": ("Conv2D", {"filters": 64, "kernel_size": 3, "padding": "same"}, (16, 28, 28, 64), False,
        lambda: _first_axis(torch.nn.Conv2d(64, 64, 3, padding=1))),
    "Conv1D": ("Conv1D", {"filters": 64, "kernel_size": 5, "padding": "causal"}, (16, 256, 64), False, lambda: None),
    "Conv2DTranspose": ("Conv2DTranspose", {"filters": 32, "kernel_size": 3, "strides": 2, "padding": "same"},
        (16, 28, 28, 64), False, lambda: _first_axis(torch.nn.ConvTranspose2d(64, 32, 3, 2, 1, 1))),
    "MaxPooling2D": ("MaxPooling2D", {"pool_size": 2}, (32, 56, 56, 32), False, lambda: _first_axis(
        torch.nn.MaxPool2d(2))),
    "Embedding": ("Embedding", {"input_dim": 20000, "output_dim": 128}, (32, 200), False, lambda: torch.nn.Embedding(
        20000, 128)),
}  # fmt: skip


def _first(module: Any) -> Callable:
    """A recurrent module without its states."""
    return _Of(module, lambda x: module(x)[0])


def _first_axis(module: Any) -> Callable:
    """Channels come last, as they do elsewhere; PyTorch reads them so without a copy."""
    return _Of(module, lambda x: module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


def _attending(width: int) -> Callable:
    module = torch.nn.MultiheadAttention(width, 8, batch_first=True)
    return _Of(module, lambda x: module(x, x, x, need_weights=False)[0])


class _Of:
    def __init__(self, module: Any, function: Callable):
        self.parameters, self.function = module.parameters, function

    def __call__(self, x: Any) -> Any:
        return self.function(x)


def _input(name: str, shape: tuple) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.integers(0, 20000, shape).astype("int32") if name == "Embedding" else _normal(draw, shape)


def _normal(draw: np.random.Generator, shape: tuple) -> np.ndarray:
    return draw.normal(size=shape).astype("float32")


def _compiled(call: Callable, params: Any, x: Any) -> tuple[Callable, Callable]:
    """`forward()` and `gradient()` of `call(params, x)`, compiled; each waits for its result."""
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    chosen = (0, 1) if floating else 0
    forward = jax.jit(call)
    gradient = jax.jit(jax.grad(lambda params, x: jnp.square(call(params, x)).sum(), chosen))
    return lambda: jax.block_until_ready(forward(params, x)), lambda: jax.block_until_ready(gradient(params, x))


def ours(name: str, config: dict, x: np.ndarray, training: bool) -> tuple[Callable, Callable]:
    """kfun's layer, as a pure function."""
    layer, count = getattr(layers, name)(**config), 2 if "Attention" in name else 1
    params, state = layer.init(kfun.random.key(0), *[kfun.Spec.of(x)] * count)
    return _compiled(lambda p, x: layer.apply(p, state, *[x] * count, training=training)[0], params, jnp.asarray(x))


def keras_jax(name: str, config: dict, x: np.ndarray, training: bool) -> tuple[Callable, Callable]:
    """Keras's layer through `stateless_call`."""
    layer, count = getattr(keras.layers, name)(**config), 2 if "Attention" in name else 1
    layer(*[x] * count)
    trainable, others = ([v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables))
    extra = {"training": training} if layer._call_has_training_arg else {}
    call = lambda p, x: layer.stateless_call(p, others, *[x] * count, **extra)[0]  # noqa: E731
    return _compiled(call, trainable, jnp.asarray(x))


def pytorch(make: Callable, x: np.ndarray) -> tuple[Callable, Callable] | None:
    """PyTorch's module; None where there is none of the kind."""
    module, x = make(), torch.tensor(x)
    if module is None:
        return None
    weights = [p for p in module.parameters() if p.requires_grad]

    def forward():
        with torch.no_grad():
            return module(x)

    def gradient():
        given = x.clone().requires_grad_() if x.is_floating_point() else x
        wanted = [*weights, given] if x.is_floating_point() else weights
        return torch.autograd.grad(module(given).square().sum(), wanted)

    return forward, gradient


def _repeats(call: Callable) -> int:
    """So many that a turn lasts some 20 ms, beside which what the one before left in the caches is little."""
    call()
    start = time.perf_counter()
    call()
    return max(1, int(0.02 / (time.perf_counter() - start)))


def _measured(title: str) -> list[str]:
    name, config, shape, training, make = CASES[title]
    x = _input(name, shape)
    runs = {"kfun": ours(name, config, x, training), "keras": keras_jax(name, config, x, training)}
    theirs = pytorch(make, x)
    rows = []
    for i, what in enumerate(("forward", "gradient")):
        contestants = {k: run[i] for k, run in runs.items()} | ({"torch": theirs[i]} if theirs else {})
        times = interleaved(contestants, rounds=18, repeats=_repeats(contestants["kfun"]))
        middle = {k: statistics.median(v) * 1e3 for k, v in times.items()}
        ratio = {k: statistics.median(a / b for a, b in zip(times["kfun"], times[k], strict=True)) for k in times}
        verdict = "ok" if ratio["keras"] <= GOAL else "MISSED"
        torch_part = f"{middle['torch']:9.2f} {ratio['torch']:7.2f}" if theirs else f"{'-':>9} {'-':>7}"
        rows.append(
            f"{title:<26} {what:<9} {middle['kfun']:9.2f} {middle['keras']:9.2f} {ratio['keras']:7.2f} "
            f"{torch_part}   {verdict}"
        )
    return rows


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(os.cpu_count() or 1)
    chosen = [a for a in sys.argv[1:] if a in CASES] or list(CASES)
    print(f"\nlayers: milliseconds, medians; ratios of kfun's time to theirs (goal against Keras: at most {GOAL})")
    print(f"{'layer':<26} {'':<9} {'kfun':>9} {'keras':>9} {'ratio':>7} {'torch':>9} {'ratio':>7}")
    for title in chosen:
        for row in _measured(title):
            print(row, flush=True)


if __name__ == "__main__":
    main()
