"""What an op costs eagerly above the native call (goal: 0.2 us above jnp)."""

from __future__ import annotations

import statistics

import jax.numpy as jnp

from bench._timing import interleaved
from kfun import ops


def main() -> dict[str, float]:
    """Prints the overhead of some ops in microseconds."""
    x = jnp.ones((4, 4))
    cases = {
        "add": (lambda: ops.add(x, x), lambda: jnp.add(x, x)),
        "matmul": (lambda: ops.matmul(x, x), lambda: jnp.matmul(x, x)),
        "exp": (lambda: ops.exp(x), lambda: jnp.exp(x)),
        "mean": (lambda: ops.mean(x, axis=0), lambda: jnp.mean(x, axis=0)),
        "reshape": (lambda: ops.reshape(x, (2, 8)), lambda: jnp.reshape(x, (2, 8))),
    }
    print("\nop dispatch, 4x4 arrays, us above jnp (goal: at most 0.2)")
    found = {}
    for name, (ours, native) in cases.items():
        times = interleaved({"kfun": ours, "jnp": native}, rounds=41, repeats=500)
        overhead = statistics.median(a - b for a, b in zip(times["kfun"], times["jnp"], strict=True)) * 1e6
        best = (min(times["kfun"]) - min(times["jnp"])) * 1e6
        found[name] = overhead
        native_us = statistics.median(times["jnp"]) * 1e6
        print(f"  {name:<10} jnp {native_us:6.2f}   above it {overhead:+.2f} (of the minima {best:+.2f})")
    return found


if __name__ == "__main__":
    main()
