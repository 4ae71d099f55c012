"""Dense, EinsumDense, Activation, and the like.

B batch, C features in, F features out, T positions.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Any

import numpy as np

from kfun import dtypes, ops
from kfun.activations import Activation as ActivationField
from kfun.definition import Convert
from kfun.initializers import InitializerField
from kfun.layer import Layer, known_size
from kfun.layers.checks import Count, Shape, Weightless, check_axes, label, shown
from kfun.weights import Weight


def check_width(layer: Layer, x: Any, expected: int, kernel: tuple) -> None:
    """Raises ValueError unless the last axis of `x` has the width that the kernel was made for."""
    size = x.shape[-1]
    if isinstance(size, int) and size != expected:
        label = f'{type(layer).__name__} "{layer.name}"' if layer.name else type(layer).__name__
        raise ValueError(
            f"{label}: expected input with {expected} features (kernel "
            f"{kernel}); received shape {tuple(x.shape)}. Rebuild the layer or check the input pipeline."
        )


class Dense(Layer):
    """`activation(x kernel + bias)`.

    Args:
        units: F.
        activation: a name or a function of one array.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: names or initializers.

    Shapes:
        x `[..., C]`, kernel `[C, F]`, bias `[F]`; result `[..., F]`.

    Raises:
        ValueError: if the last size of `x` is unknown, or not the kernel's.
    """

    units: Count
    activation: ActivationField = None
    use_bias: bool = True
    kernel_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"

    def weights(self, x):
        check_axes(self, x.shape, 1, "[..., C]")
        weights = {"kernel": Weight((known_size(self, x, -1), self.units), self.kernel_initializer)}
        if self.use_bias:
            weights["bias"] = Weight((self.units,), self.bias_initializer)
        return weights

    def forward(self, params, x):
        kernel = params["kernel"]
        check_axes(self, x.shape, 1, "[..., C]")
        check_width(self, x, kernel.shape[0], tuple(kernel.shape))
        y = ops.matmul(x, kernel)
        if self.use_bias:
            y = ops.add(y, params["bias"])
        return self.activation(y)


class EinsumDense(Layer):
    """`activation(einsum(equation, x, kernel) + bias)`: a dense layer over any axes.

    Args:
        equation: such as `"abc,cde->abde"` or `"...x,xy->...y"`.
        output_shape: sizes of the output without the batch axis (an int for one); None where the
            size is the input's. Needed for axes that only the kernel has.
        activation: a name or a function of one array.
        bias_axes: the output axes, by letter, that the bias has; None for no bias.
        kernel_initializer, bias_initializer: names or initializers.

    Example:
        >>> from kfun import Spec
        >>> EinsumDense("abc,cd->abd", (None, 64), bias_axes="d").output_spec(Spec((None, 32, 128)))
        Spec(shape=(None, 32, 64), dtype='float32')
    """

    equation: str
    output_shape: Shape
    activation: ActivationField = None
    bias_axes: str | None = None
    kernel_initializer: InitializerField = "glorot_uniform"
    bias_initializer: InitializerField = "zeros"

    def check(self):
        if not re.fullmatch(r"[a-zA-Z.]+,[a-zA-Z.]+->[a-zA-Z.]+", self.equation.replace(" ", "")):
            raise ValueError(
                f'EinsumDense: expected an equation of the form "inputs,kernel->output", as in "ab,bc->ac"; '
                f"received {self.equation!r}"
            )

    def _terms(self) -> tuple[str, str, str]:
        inputs, right = self.equation.replace(" ", "").split(",")
        kernel, output = right.split("->")
        return inputs, kernel, output

    def weights(self, x):
        inputs, kernel, output = self._terms()
        self._check_rank(x)
        sizes: dict[str, Any] = self._sizes(x, inputs, output)
        missing = sorted({c for c in kernel if sizes.get(c) is None})
        if missing:
            raise ValueError(
                f"EinsumDense: the sizes of axes {missing} in {self.equation!r} are not known from the input "
                f"{x.shape} or output_shape {self.output_shape}"
            )
        weights = {"kernel": Weight(tuple(sizes[c] for c in kernel), self._kernel_initializer(kernel, output))}
        if self.bias_axes is not None:
            ndim = len(x.shape) - len(inputs.replace("...", "")) + len(output.replace("...", ""))
            weights["bias"] = Weight(self._bias_shape(sizes, output, ndim), self.bias_initializer)
        return weights

    def _check_rank(self, x: Any) -> None:
        letters = self._terms()[0]
        if "..." not in letters and len(letters) != len(x.shape):
            raise ValueError(
                f"{label(self)}: {letters!r} in {self.equation!r} has {len(letters)} axes; received an input of shape "
                f"{shown(x.shape)}"
            )

    def _kernel_initializer(self, kernel: str, output: str) -> Any:
        """An initializer that scales by fans takes them from the kernel's input and output axes, as in Keras."""
        made = self.kernel_initializer
        if not hasattr(made, "input_axes") or (made.input_axes is not None and made.output_axes is not None):
            return made
        axes = {"input_axes": [], "output_axes": []}
        for axis, letter in enumerate(kernel):
            axes["output_axes" if letter in output else "input_axes"].append(axis)
        return made.replace(**{name: tuple(found) for name, found in axes.items()})

    def _sizes(self, x, inputs: str, output: str) -> dict[str, int | None]:
        sizes: dict[str, int | None] = {}
        for letters, shape in ((inputs, x.shape), (output, (None, *self.output_shape))):
            head, _, tail = letters.partition("...")
            pairs = zip((*head, *reversed(tail)), (*shape[: len(head)], *reversed(shape)), strict=False)
            for letter, size in pairs:
                sizes[letter] = sizes.get(letter) or size
        return sizes

    def _bias_shape(self, sizes: dict, output: str, ndim: int) -> tuple[int, ...]:
        axes = self.bias_axes or ""
        wrong = set(axes) - set(output)
        if wrong:
            raise ValueError(f"EinsumDense: bias axes {sorted(wrong)} are not in the output {output!r}")
        head, dots, tail = output.partition("...")
        first = min(output.index(c) for c in axes)
        if dots and first < len(head):  # the bias reaches over the axes that "..." stands for
            between = ndim - len(head) - len(tail)
            letters = [*head, *"." * between, *tail][first:]
        else:
            letters = list(output.replace("...", "")[first - (3 if dots else 0) :])
        return tuple(sizes[c] if c in axes else 1 for c in letters)

    def compute_mask(self, *inputs, mask=None):
        return None  # axes may go: there is no telling what the mask would stand for

    def forward(self, params, x):
        self._check_rank(x)
        y = ops.einsum(self.equation.replace(" ", ""), x, params["kernel"])
        if self.bias_axes is not None:
            y = ops.add(y, params["bias"])
        return self.activation(y)


class Activation(Layer):
    """An activation function as a layer."""

    activation: ActivationField

    def forward(self, params, x):
        return self.activation(x)


class Identity(Layer):
    """Gives its input back."""

    def forward(self, params, x):
        return x


def _number_or_several(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_number_or_several, value))
    if not hasattr(value, "dtype") or isinstance(value, np.ndarray):
        return value
    host = np.asarray(ops.convert_to_numpy(value))
    return host if host.ndim else host.item()


class Rescaling(Layer):
    """`x * scale + offset`, in the type the layer computes in.

    Args:
        scale, offset: numbers, or sequences that broadcast to the last axis.
    """

    scale: Annotated[Any, Convert(_number_or_several)]
    offset: Annotated[Any, Convert(_number_or_several)] = 0.0

    def forward(self, params, x):
        x = x if dtypes.is_float(dtypes.name(x.dtype)) else ops.cast(x, "float32")
        return ops.add(ops.multiply(x, self._constant(self.scale, x)), self._constant(self.offset, x))

    def _constant(self, value, x):
        return ops.cast(ops.add(ops.zeros_like(x), value), x.dtype) if isinstance(value, tuple) else value


class Masking(Weightless):
    """Masks the positions all of whose features equal `mask_value`, and sets them to 0.

    Shapes:
        x `[B, T, C]`; result the same; mask `[B, T]`.
    """

    mask_value: float = 0.0

    def check_inputs(self, inputs):
        check_axes(self, inputs[0].shape, 1, "[..., C]")

    def forward(self, params, x):
        self.check_inputs((x,))
        kept = ops.any(ops.not_equal(x, self.mask_value), -1, True)
        return ops.multiply(x, ops.cast(kept, x.dtype))

    def compute_mask(self, *inputs, mask=None):
        return ops.any(ops.not_equal(inputs[0], self.mask_value), -1)


def _function(value: Any) -> Any:
    if not callable(value):
        raise TypeError(f"expected a function; received {value!r}")
    return value


class Lambda(Layer):
    """A pure function as a layer.

    Args:
        function: a module-level function of the inputs, over `kfun.ops` to run on every backend.
    """

    function: Any = dataclasses.field()

    def check(self):
        _function(self.function)

    def forward(self, params, *inputs):
        return self.function(*inputs)
