"""The programs of other libraries behind one face: weights go in and out as pairs (kernel, bias)."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx

from tests.research import equinox_programs, nnx_programs


class Equinox:
    """A program of Equinox: its nets and optimizer states, which a step takes and gives."""

    programs = equinox_programs

    def __init__(self, name: str, *args: Any):
        *self.parts, self.run = getattr(self.programs, name)(*args)

    def load(self, pairs: list, part: int = 0) -> None:
        """Sets the linear layers of a net, in the order of its fields."""
        values = [value for kernel, bias in pairs for value in (jnp.swapaxes(kernel, -1, -2), bias)]
        self.parts[part] = eqx.tree_at(_leaves, self.parts[part], values)

    def pairs(self, part: int = 0) -> list:
        """Kernels and biases of the linear layers of a net."""
        values = _leaves(self.parts[part])
        return [(jnp.swapaxes(w, -1, -2), b) for w, b in zip(values[::2], values[1::2], strict=True)]

    def step(self, *batch: Any) -> Any:
        """Runs a step; gives what it gives beside the new parts."""
        new = self.run(*self.parts, *batch)
        self.parts = list(new[: len(self.parts)])
        return new[-1]


def _leaves(net: Any) -> list:
    found = jax.tree.leaves(net, is_leaf=lambda x: isinstance(x, eqx.nn.Linear))
    return [value for x in found if isinstance(x, eqx.nn.Linear) for value in (x.weight, x.bias)]


class Nnx:
    """A program of Flax NNX: its nets and optimizers, which a step changes."""

    programs = nnx_programs

    def __init__(self, name: str, *args: Any):
        *self.parts, self.run = getattr(self.programs, name)(*args)
        self.layers = [linears(part) for part in self.parts]  # NNX sorts a module's attributes when it updates it

    def load(self, pairs: list, part: int = 0) -> None:
        """Sets the linear layers of a net, in the order in which they were made."""
        for layer, (kernel, bias) in zip(self.layers[part], pairs, strict=True):
            layer.kernel[...], layer.bias[...] = kernel, bias

    def pairs(self, part: int = 0) -> list:
        """Kernels and biases of the linear layers of a net."""
        return [(layer.kernel[...], layer.bias[...]) for layer in self.layers[part]]

    def step(self, *batch: Any) -> Any:
        """Runs a step; gives what it gives."""
        return self.run(*self.parts, *batch)


def linears(net: Any) -> list:
    """The linear layers of an NNX module, in the order in which they were made."""
    if isinstance(net, nnx.Linear):
        return [net]
    inner = net.layers if isinstance(net, nnx.Sequential) else vars(net).values()
    return [layer for part in inner if isinstance(part, nnx.Module) for layer in linears(part)]
