"""Layers of several inputs: sums, products, extremes, means, joins, dot products.

Inputs come one after the other: `layer.apply(params, state, x, y, ...)`. Elementwise layers
broadcast, and give an input of lower rank axes of size 1 after its batch axis.
"""

from __future__ import annotations

import functools
from typing import Any

from kfun import ops
from kfun.layer import Layer
from kfun.layers.checks import label, shown


class _Merge(Layer):
    """Base of elementwise layers: folds `pair` over the inputs."""

    least, most = 1, None

    def check_inputs(self, inputs: tuple) -> None:
        """Raises ValueError for a wrong number of inputs, or shapes that do not broadcast."""
        shapes = [x.shape for x in inputs]
        if len(inputs) < self.least or (self.most is not None and len(inputs) > self.most):
            wanted = f"exactly {self.most}" if self.most == self.least else f"at least {self.least}"
            raise ValueError(f"{label(self)}: expected {wanted} inputs; received {len(inputs)}: {_list(shapes)}")
        if not all(len(s) for s in shapes):
            raise ValueError(f"{label(self)}: expected inputs with a batch axis; received shapes {_list(shapes)}")
        ndim = max(len(s) for s in shapes)
        for axis in range(ndim):
            # Axes count from the end; the batch axis is the first of every input, whatever its rank.
            sizes = [s[axis - ndim] for s in shapes if axis > ndim - len(s)] if axis else [s[0] for s in shapes]
            if len({size for size in sizes if isinstance(size, int) and size != 1}) > 1:
                raise ValueError(f"{label(self)}: the inputs' shapes do not broadcast: {_list(shapes)}")

    def forward(self, params, *inputs):
        self.check_inputs(inputs)
        return self.merge(_same_rank(inputs))

    def merge(self, inputs: list) -> Any:
        """The output for inputs of one rank."""
        return functools.reduce(self.pair, inputs)

    def compute_mask(self, *inputs, mask=None):
        if mask is None or any(m is None for m in mask):
            return None
        return functools.reduce(ops.logical_or, mask)


def _list(shapes: list) -> str:
    return ", ".join(map(shown, shapes))


def _same_rank(inputs: tuple) -> list:
    ndim = max(len(x.shape) for x in inputs)
    return [x if len(x.shape) == ndim else ops.expand_dims(x, tuple(range(1, 1 + ndim - len(x.shape)))) for x in inputs]


class Add(_Merge):
    """The sum of the inputs."""

    pair = staticmethod(ops.add)


class Subtract(_Merge):
    """The first input minus the second."""

    least = most = 2
    pair = staticmethod(ops.subtract)


class Multiply(_Merge):
    """The product of the inputs."""

    pair = staticmethod(ops.multiply)


class Average(_Merge):
    """The mean of the inputs."""

    def merge(self, inputs):
        return ops.divide(functools.reduce(ops.add, inputs), len(inputs))


class _Extreme(_Merge):
    """Maximum and minimum, where an input that is masked at a position gives way to the others."""

    uses_mask = True

    def apply(self, params, state, *inputs, key=None, training=False, mask=None):
        params, inputs = self.to_compute(params, inputs)
        if mask is None or all(m is None for m in mask):
            return self.to_output(self.forward(params, *inputs)), state
        self.check_inputs(inputs)
        y, kept = None, None
        for x, m in zip(_same_rank(inputs), mask, strict=True):
            if m is not None:
                m = ops.logical_and(ops.expand_dims(ops.cast(m, "bool"), -1), ops.ones_like(x, "bool"))
            if y is None:
                y, kept = x, m
                continue
            x = x if m is None else ops.where(m, x, y)
            y = y if kept is None else ops.where(kept, y, x)
            kept = None if m is None or kept is None else ops.logical_or(kept, m)
            y = self.pair(y, x)
        return self.to_output(y), state


class Maximum(_Extreme):
    """The largest of the inputs; the call argument `mask` is one mask or None per input."""

    pair = staticmethod(ops.maximum)


class Minimum(_Extreme):
    """The smallest of the inputs; the call argument `mask` is one mask or None per input."""

    pair = staticmethod(ops.minimum)


class Concatenate(Layer):
    """Joins the inputs along `axis`; their other sizes agree.

    Args:
        axis: counted with the batch axis as 0.
    """

    axis: int = -1

    def forward(self, params, *inputs):
        shapes = [x.shape for x in inputs]
        ndim = len(shapes[0]) if shapes else 0
        if not shapes or not -ndim <= self.axis < ndim or any(len(s) != ndim for s in shapes):
            raise ValueError(
                f"{label(self)}: expected inputs of one rank with axis {self.axis}; received {_list(shapes)}"
            )
        for axis in range(ndim):
            if axis != self.axis % ndim and len({s[axis] for s in shapes if isinstance(s[axis], int)}) > 1:
                raise ValueError(
                    f"{label(self)}: the inputs' sizes must agree on all axes but {self.axis}; received {_list(shapes)}"
                )
        return ops.concatenate(list(inputs), self.axis)

    def compute_mask(self, *inputs, mask=None):
        if mask is None or all(m is None for m in mask):
            return None
        masks = []
        for x, m in zip(inputs, mask, strict=True):
            whole = ops.ones_like(x, "bool")
            if m is None:
                m = whole
            elif len(m.shape) < len(x.shape):
                m = ops.logical_and(ops.expand_dims(m, -1), whole)
            masks.append(m)
        return ops.any(ops.concatenate(masks, self.axis), -1)


class Dot(Layer):
    """Sums products of two inputs over an axis of each, example by example.

    Args:
        axes: the axis, or the pair of axes, that are summed over; counted with the batch axis as 0.
        normalize: whether to bring both to unit length first, so that the result is the cosine.

    Shapes:
        x `[B, X..., S]`, y `[B, S, Y...]` (the summed axes anywhere); result `[B, X..., Y...]`,
        `[B, 1]` if both have two axes.
    """

    axes: Any
    normalize: bool = False

    def check(self):
        pair = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        if len(pair) != 2 or any(isinstance(a, bool) or not isinstance(a, int) for a in pair):
            raise ValueError(f"{label(self)}: axes: expected an integer or two; received {self.axes!r}")

    def forward(self, params, *inputs):
        if len(inputs) != 2:
            raise ValueError(f"{label(self)}: expected exactly 2 inputs; received {len(inputs)}")
        x, y = inputs
        first, second = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        first, second = first % len(x.shape), second % len(y.shape)
        m, n = x.shape[first], y.shape[second]
        if not first or not second or (isinstance(m, int) and isinstance(n, int) and m != n):
            raise ValueError(
                f"{label(self)}: axes {self.axes} must name axes of one size, not the batch axis; received inputs of "
                f"shapes {_list([x.shape, y.shape])}"
            )
        if self.normalize:
            x, y = ops.normalize(x, first), ops.normalize(y, second)
        return self._product(x, y, first, second)

    def _product(self, x, y, first, second):
        letters = iter("abcdefghijklmnopqrstuvwxy")
        left = [next(letters) for _ in x.shape]
        right = [next(letters) for _ in y.shape]
        left[0] = right[0] = "z"
        left[first] = right[second] = "Z"
        out = [c for c in (*left, *right[1:]) if c != "Z"]
        product = ops.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", x, y)
        return ops.expand_dims(product, -1) if len(out) == 1 else product

    def compute_mask(self, *inputs, mask=None):
        return None
