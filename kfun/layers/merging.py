"""Layers of several inputs: sums, products, extremes, means, joins, dot products.

Inputs come one after the other: `layer.apply(params, state, x, y, ...)`. Elementwise layers
broadcast, and give an input of lower rank axes of size 1 after its batch axis.
"""

from __future__ import annotations

import functools
from typing import Any

from kfun import ops
from kfun.layers.checks import Weightless, label, shown


class _Merge(Weightless):
    """Base of elementwise layers: folds `pair` over the inputs."""

    least, most = 1, None

    def check_inputs(self, inputs):
        self.check_shapes([x.shape for x in inputs])

    def check_shapes(self, shapes: list) -> None:
        """Raises ValueError for a wrong number of shapes, or such as do not broadcast."""
        if len(shapes) < self.least or (self.most is not None and len(shapes) > self.most):
            wanted = f"exactly {self.most}" if self.most == self.least else f"at least {self.least}"
            raise ValueError(
                f"{label(self)}: the layer should be called on {wanted} inputs; received {len(shapes)}: {_list(shapes)}"
            )
        if not all(len(s) for s in shapes):
            raise ValueError(f"{label(self)}: expected inputs with a batch axis; received shapes {_list(shapes)}")
        ndim = max(len(s) for s in shapes)
        for axis in range(ndim):
            # Axes count from the end; the batch axis is the first of every input, whatever its rank.
            sizes = [s[axis - ndim] for s in shapes if axis > ndim - len(s)] if axis else [s[0] for s in shapes]
            if len({size for size in sizes if isinstance(size, int) and size != 1}) > 1:
                raise ValueError(
                    f"{label(self)}: Inputs have incompatible shapes, which do not broadcast: {_list(shapes)}"
                )

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


class Average(_Merge):
    """The mean of the inputs."""

    def merge(self, inputs):
        return ops.divide(functools.reduce(ops.add, inputs), len(inputs))


class _Masked(_Merge):
    """Base of those where an input that is masked at a position gives way to the others."""

    uses_mask = True

    def apply(self, params, state, *inputs, key=None, training=False, mask=None):
        params, inputs = self.to_compute(params, inputs)
        if mask is None or all(m is None for m in mask):
            return self.to_output(self.forward(params, *inputs)), state
        self.check_inputs(inputs)
        inputs = _same_rank(inputs)
        kept = [None if m is None else _wide(m, x) for x, m in zip(inputs, mask, strict=True)]
        return self.to_output(self.merge_kept(inputs, kept)), state

    def merge_kept(self, inputs: list, kept: list) -> Any:
        """The output for inputs of one rank and masks of their shapes, or None."""
        raise TypeError(f"{type(self).__name__} must define merge_kept(inputs, kept)")


def _wide(mask: Any, x: Any) -> Any:
    return ops.logical_and(ops.expand_dims(ops.cast(mask, "bool"), -1), ops.ones_like(x, "bool"))


class Multiply(_Masked):
    """The product of the inputs; the call argument `mask` is one mask or None per input.

    What is masked counts as 1, and where all inputs are masked the product is 0.
    """

    pair = staticmethod(ops.multiply)

    def merge_kept(self, inputs, kept):
        y = self.merge([x if m is None else ops.where(m, x, 1) for x, m in zip(inputs, kept, strict=True)])
        if any(m is None for m in kept):
            return y
        return ops.where(functools.reduce(ops.logical_or, kept), y, 0)


class _Extreme(_Masked):
    """Maximum and minimum."""

    def merge_kept(self, inputs, kept):
        y, seen = inputs[0], kept[0]
        for x, m in zip(inputs[1:], kept[1:], strict=True):
            x = x if m is None else ops.where(m, x, y)
            y = y if seen is None else ops.where(seen, y, x)
            seen = None if m is None or seen is None else ops.logical_or(seen, m)
            y = self.pair(y, x)
        return y


class Maximum(_Extreme):
    """The largest of the inputs; the call argument `mask` is one mask or None per input."""

    pair = staticmethod(ops.maximum)


class Minimum(_Extreme):
    """The smallest of the inputs; the call argument `mask` is one mask or None per input."""

    pair = staticmethod(ops.minimum)


class Concatenate(Weightless):
    """Joins the inputs along `axis`; their other sizes agree.

    Args:
        axis: counted with the batch axis as 0.
    """

    axis: int = -1

    def check_inputs(self, inputs):
        self.check_shapes([x.shape for x in inputs])

    def forward(self, params, *inputs):
        self.check_inputs(inputs)
        return ops.concatenate(list(inputs), self.axis)

    def check_shapes(self, shapes: list) -> None:
        """Raises ValueError for shapes that differ on other axes than that of the layer."""
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


class Dot(Weightless):
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

    def check_inputs(self, inputs):
        self.check_shapes([x.shape for x in inputs])

    def forward(self, params, *inputs):
        first, second = self.check_shapes([x.shape for x in inputs])
        x, y = inputs
        if self.normalize:
            x, y = ops.normalize(x, first), ops.normalize(y, second)
        return self._product(x, y, first, second)

    def check_shapes(self, shapes: list) -> tuple[int, int]:
        """The axes counted from the front; raises ValueError for shapes that do not go together on them."""
        if len(shapes) != 2:
            raise ValueError(f"{label(self)}: expected a list of 2 inputs; received {len(shapes)}")
        if not all(len(s) for s in shapes):
            raise ValueError(f"{label(self)}: expected inputs with a batch axis; received shapes {_list(shapes)}")
        first, second = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        first, second = first % len(shapes[0]), second % len(shapes[1])
        m, n = shapes[0][first], shapes[1][second]
        if not first or not second or (isinstance(m, int) and isinstance(n, int) and m != n):
            raise ValueError(
                f"{label(self)}: Incompatible input shapes: axes {self.axes} must name axes of one size, not the batch "
                f"axis; received inputs of shapes {_list(shapes)}"
            )
        return first, second

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
