"""What an op costs eagerly above the native call (goals: 0.2 us above jnp, 0.5 us above torch)."""

from __future__ import annotations

import os
import statistics

import jax
import jax.numpy as jnp
import numpy as np

from bench._timing import interleaved
from kfun import ops

GOALS = {"jnp": 0.2, "torch": 0.5}


def _jax_cases() -> dict:
    x, i = jnp.ones((4, 4)), jnp.arange(4)
    nn = jax.nn
    return {
        "add": (lambda: ops.add(x, x), lambda: jnp.add(x, x)),
        "multiply by 2.0": (lambda: ops.multiply(x, 2.0), lambda: jnp.multiply(x, 2.0)),
        "exp": (lambda: ops.exp(x), lambda: jnp.exp(x)),
        "relu": (lambda: ops.relu(x), lambda: nn.relu(x)),
        "gelu": (lambda: ops.gelu(x), lambda: nn.gelu(x)),
        "softmax": (lambda: ops.softmax(x), lambda: nn.softmax(x)),
        "matmul": (lambda: ops.matmul(x, x), lambda: jnp.matmul(x, x)),
        "einsum": (lambda: ops.einsum("ij,jk->ik", x, x), lambda: jnp.einsum("ij,jk->ik", x, x)),
        "mean": (lambda: ops.mean(x, axis=0), lambda: jnp.mean(x, axis=0)),
        "sum": (lambda: ops.sum(x, (0, 1), keepdims=True), lambda: jnp.sum(x, (0, 1), keepdims=True)),
        "argmax": (lambda: ops.argmax(x, -1), lambda: jnp.argmax(x, -1)),
        "reshape": (lambda: ops.reshape(x, (2, 8)), lambda: jnp.reshape(x, (2, 8))),
        "transpose": (lambda: ops.transpose(x), lambda: jnp.transpose(x)),
        "expand_dims": (lambda: ops.expand_dims(x, 1), lambda: jnp.expand_dims(x, 1)),
        "concatenate": (lambda: ops.concatenate([x, x], 1), lambda: jnp.concatenate([x, x], 1)),
        "stack": (lambda: ops.stack([x, x]), lambda: jnp.stack([x, x])),
        "take": (lambda: ops.take(x, i, 0), lambda: jnp.take(x, i, 0)),
        "where": (lambda: ops.where(x, x, 0.0), lambda: jnp.where(x, x, 0.0)),
        "clip": (lambda: ops.clip(x, 0.0, 1.0), lambda: jnp.clip(x, 0.0, 1.0)),
        "cast": (lambda: ops.cast(x, "int32"), lambda: x.astype("int32")),
        "zeros": (lambda: ops.zeros((4, 4)), lambda: jnp.zeros((4, 4))),
        "zeros_like": (lambda: ops.zeros_like(x), lambda: jnp.zeros_like(x)),
        "pad": (lambda: ops.pad(x, 1), lambda: jnp.pad(x, 1)),
    }


def _torch_cases() -> dict:
    import torch

    torch.set_num_threads(1)
    x = torch.ones(4, 4)
    return {
        "add": (lambda: ops.add(x, x), lambda: torch.add(x, x)),
        "exp": (lambda: ops.exp(x), lambda: torch.exp(x)),
        "relu": (lambda: ops.relu(x), lambda: torch.relu(x)),
        "softmax": (lambda: ops.softmax(x), lambda: torch.softmax(x, -1)),
        "matmul": (lambda: ops.matmul(x, x), lambda: torch.matmul(x, x)),
        "mean": (lambda: ops.mean(x, axis=0), lambda: torch.mean(x, 0)),
        "reshape": (lambda: ops.reshape(x, (2, 8)), lambda: torch.reshape(x, (2, 8))),
        "concatenate": (lambda: ops.concatenate([x, x], 1), lambda: torch.concatenate([x, x], 1)),
        "where": (lambda: ops.where(x > 0, x, x), lambda: torch.where(x > 0, x, x)),
    }


def main() -> dict[str, float]:
    """Prints the overhead of the ops in microseconds."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    found: dict[str, float] = {}
    for native, cases_of in (("jnp", _jax_cases), ("torch", _torch_cases)):
        print(f"\nop dispatch, 4x4 arrays, us above {native} (goal: at most {GOALS[native]})")
        for name, (ours, theirs) in cases_of().items():
            times = interleaved({"kfun": ours, native: theirs}, rounds=61, repeats=300)
            found[f"{native} {name}"] = above = _above(times, native)
            least = (min(times["kfun"]) - min(times[native])) * 1e6
            verdict = "ok" if above <= GOALS[native] else "MISSED"
            native_us = statistics.median(times[native]) * 1e6
            print(f"  {name:<16} {native} {native_us:6.2f}   above it {above:+.2f} (minima {least:+.2f})  {verdict}")
    return found


def _above(times: dict[str, list[float]], native: str) -> float:
    """The median difference of two neighbours in time, over the quieter half of the rounds, in microseconds."""
    both = np.array([times["kfun"], times[native]])
    quiet = both.sum(0) <= np.median(both.sum(0))
    return float(np.median((both[0] - both[1])[quiet]) * 1e6)


if __name__ == "__main__":
    main()
