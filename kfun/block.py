"""`Block` and `Sequential`: layers made of layers."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any

from kfun.calls import named_layers
from kfun.calls_run import Applying, Planning
from kfun.composite import Composite, planner, runner
from kfun.errors import nearest
from kfun.fitting import refuse_others
from kfun.layer import Layer, by_name


class Block(Composite):
    """A composite that names its sublayers as fields and writes one `forward(f, *inputs)`.

    `f` holds the sublayers ready to call, with their parameters, state and keys, and lives only
    inside the call; `init` and `apply` both come from `forward`. A field may be any nesting of
    tuples and dicts of layers, which is one of functions on `f`. Parameters sit under the fields'
    names, those of nested layers under `name_0`, `name_key`, ... Also on `f`: `f.training`;
    `f.key()`, a fresh random key; `f.param(name, shape, initializer)` and `f.state(name, shape)`,
    weights and state of the block's own; `f.scan`, `f.vmap`, `f.cond` and `f.remat`, which take
    functions with layers in them (see `kfun.calls.Calls`).

    A block may have other methods of that form; `method` chooses one in `init`, `apply` and
    `output_spec`, in a block around `f.part.encode(x)` calls it, and a method calls another as
    `self.encode(f, x)`. `init` makes the weights that its method needs: give it one that runs all.

    Example:
        >>> import kfun
        >>> from kfun.layers import Dense, LayerNormalization
        >>> class Feedforward(Block):
        ...     norm: LayerNormalization
        ...     inner: Dense
        ...     outer: Dense
        ...
        ...     def forward(self, f, x):
        ...         return x + f.param("scale", (), "ones") * f.outer(f.inner(f.norm(x)))
        >>> block = Feedforward(LayerNormalization(), Dense(16, "gelu"), Dense(4))
        >>> block.output_spec(kfun.Spec((None, 4)))
        Spec(shape=(None, 4), dtype='float32')
    """

    has_methods = True

    def forward(self, f: Any, *inputs: Any, **call_args: Any) -> Any:  # type: ignore[override]
        raise TypeError(f"{type(self).__name__} must define forward(f, *inputs)")

    @functools.cached_property
    def sublayers(self) -> dict[str, Layer]:
        return named_layers({f.name: getattr(self, f.name) for f in dataclasses.fields(self)})

    def plan(self, *inputs, method="forward", **call_args):
        run, declared = planner()
        self.sublayers  # noqa: B018 -- refuses two layers of one name
        return declared, self._method(method)(Planning(self, run, declared), *inputs, **call_args)

    def apply(self, params, state, *inputs, key=None, training=False, method="forward", **call_args):
        params, inputs = self.to_compute(params, inputs)
        f = Applying(self, params, state, key, training)
        outputs = self._method(method)(f, *inputs, **call_args)
        if not _asks_for_params(type(self)):
            refuse_others(self, params, self.sublayers.keys() | f.asked)
        return self.to_output(outputs), f.new_state

    def _method(self, method: str | Callable) -> Callable:
        name = method if isinstance(method, str) else method.__name__
        found = getattr(type(self), name, None)
        if not isinstance(found, types.FunctionType):
            raise ValueError(f"{type(self).__name__} has no method {name!r}; {nearest(name, self.methods())}")
        return found.__get__(self)

    @classmethod
    def methods(cls) -> list[str]:
        """The names that `method` may have."""
        own = (vars(c).items() for c in cls.__mro__[: -len(Block.__mro__)])
        return [n for items in own for n, v in items if isinstance(v, types.FunctionType) and not n.startswith("_")]


@functools.cache
def _asks_for_params(block: type) -> bool:
    """Whether a method of a class of blocks may ask for weights of the block's own, whose names no field tells."""
    functions = (v for c in block.__mro__ if issubclass(c, Block) for v in vars(c).values())
    return any(isinstance(v, types.FunctionType) and "param" in _names_in(v.__code__) for v in functions)


def _names_in(code: types.CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


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

    @functools.cached_property
    def sublayers(self) -> dict[str, Layer]:
        return by_name(self.layers)

    def plan(self, *inputs, mask=None):
        run, declared = planner()
        return declared, self._chain(inputs, mask, run)

    def apply(self, params, state, *inputs, key=None, training=False, mask=None):
        refuse_others(self, params, self.sublayers)
        params, inputs = self.to_compute(params, inputs)
        run, state, _ = runner(params, state, key, training)
        return self.to_output(self._chain(inputs, mask, run)), state

    def _chain(self, inputs, mask, run):
        outputs: Any = inputs
        for name, layer in self.sublayers.items():
            args = outputs if isinstance(outputs, tuple) else (outputs,)
            kwargs = {"mask": mask} if mask is not None and layer.uses_mask else {}
            outputs = run(name, layer, args, kwargs)
            mask = layer.compute_mask(*args, mask=mask)
        return outputs[0] if isinstance(outputs, tuple) and len(outputs) == 1 else outputs
