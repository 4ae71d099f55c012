"""`Block` and `Sequential`: layers made of layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from kfun.layer import Composite, Layer, planner, runner, unique_names


class Block(Composite):
    """A composite that names its sublayers as fields and writes one `forward(f, *inputs)`.

    `f` holds the sublayers ready to call, with their parameters, state and keys, and lives only
    inside the call; `init` and `apply` both come from `forward`. A field that is a tuple of
    layers is a tuple of callables on `f`. Parameters sit under the fields' names, those of tuples
    under `name_0`, `name_1`, ... Also on `f`: `f.training`, and `f.key()`, a fresh random key.

    Example:
        >>> import kfun
        >>> from kfun.layers import Dense, LayerNormalization
        >>> class Feedforward(Block):
        ...     norm: LayerNormalization
        ...     inner: Dense
        ...     outer: Dense
        ...
        ...     def forward(self, f, x):
        ...         return x + f.outer(f.inner(f.norm(x)))
        >>> block = Feedforward(LayerNormalization(), Dense(16, "gelu"), Dense(4))
        >>> block.output_spec(kfun.Spec((None, 4)))
        Spec(shape=(None, 4), dtype='float32')
    """

    def forward(self, f: Any, *inputs: Any, **call_args: Any) -> Any:  # type: ignore[override]
        raise TypeError(f"{type(self).__name__} must define forward(f, *inputs)")

    def plan(self, *inputs, **call_args):
        run, declared = planner()
        return declared, self.forward(_Calls(self, run), *inputs, **call_args)

    def apply(self, params, state, *inputs, key=None, training=False, **call_args):
        params, inputs = self.to_compute(params, inputs)
        run, state, keys = runner(params, state, key, training)
        outputs = self.forward(_Calls(self, run, keys, training), *inputs, **call_args)
        return self.to_output(outputs), state


class _Calls:
    """The `f` of a block's forward."""

    def __init__(self, block: Block, run: Any, keys: Iterator[Any] | None = None, training: bool = False):
        self._block, self._run, self._keys, self.training = block, run, keys, training

    def key(self) -> Any:
        """A fresh random key, None if the block was applied without one."""
        return None if self._keys is None else next(self._keys)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._block, name)
        if isinstance(value, Layer):
            return self._bound(name, value)
        if isinstance(value, tuple) and any(isinstance(v, Layer) for v in value):
            return tuple(self._bound(f"{name}_{i}", v) for i, v in enumerate(value))
        return value

    def _bound(self, name: str, layer: Layer) -> Any:
        return lambda *inputs, **call_args: self._run(name, layer, inputs, call_args)


class Sequential(Composite):
    """Layers one after the other; parameters sit under the layers' names.

    A mask (of a masking embedding, say) travels along until a layer uses it up.

    Args:
        layers: the layers, in order.

    Example:
        >>> import kfun
        >>> net = Sequential([kfun.layers.Dense(32, "relu"), kfun.layers.Dense(10)])
        >>> params, state = net.init(kfun.random.key(0), kfun.Spec((None, 8)))
        >>> params["dense"]["kernel"].shape
        (8, 32)
    """

    layers: tuple = dataclasses.field(default=())

    def check(self):
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: expected layers; received {layer!r}")

    def plan(self, *inputs, mask=None):
        run, declared = planner()
        return declared, self._chain(inputs, mask, run)

    def apply(self, params, state, *inputs, key=None, training=False, mask=None):
        params, inputs = self.to_compute(params, inputs)
        run, state, _ = runner(params, state, key, training)
        return self.to_output(self._chain(inputs, mask, run)), state

    def _chain(self, inputs, mask, run):
        outputs: Any = inputs
        for name, layer in zip(unique_names(self.layers), self.layers, strict=True):
            args = outputs if isinstance(outputs, tuple) else (outputs,)
            kwargs = {"mask": mask} if mask is not None and layer.uses_mask else {}
            outputs = run(name, layer, args, kwargs)
            mask = layer.compute_mask(*args, mask=mask)
        return outputs[0] if isinstance(outputs, tuple) and len(outputs) == 1 else outputs
