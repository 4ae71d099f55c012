"""What the settings of an op in a file may make it compute while the graph around it is read.

An op on symbolic tensors computes nothing; but constants that follow from its settings alone (windows, positions,
weights of a resize) are made when its output's shape is found, and an op that splits makes as many outputs as it is
told. A file says such a number in a few bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from compat.serialization.registry import lend, lend_for, numbers_in
from kfun.graph import SymbolicTensor, tensors

_SIZES = {
    "M", "N", "n", "k", "bins", "beam_width", "block_size", "bottom_padding", "left_padding", "right_padding",
    "top_padding", "target_height", "target_width", "dilation", "fft_length", "length", "minlength", "num",
    "num_classes", "num_segments", "output_size", "output_padding", "pool_size", "repeats", "sequence_length", "shape",
    "size", "top_paths", "pad_width", "x",
}  # fmt: skip
_OUTPUT = 1 << 16  # bytes of the symbolic tensors and nodes that one more output, or one more pass, needs
_NUMBER = 64  # bytes that a constant of an op needs in all
_MOST_AXES = 32


def _outputs(argument: str, by_axis: bool = False) -> Callable:
    def price(settings: dict, shape: tuple) -> float:
        given = settings.get(argument)
        if given is None and by_axis:
            axis = settings.get("axis") or 0
            return _OUTPUT * (shape[axis] if -len(shape) <= axis < len(shape) else 1)
        return _OUTPUT * (given if type(given) is int else 1)

    return price


def _padding(settings: dict, shape: tuple) -> float:
    """Other modes than constants go around as often as the axis is shorter than the padding."""
    if settings.get("mode", "constant") == "constant":
        return 0
    most = max(map(abs, numbers_in(settings.get("pad_width"))), default=0)
    return _OUTPUT * most / max(min(shape, default=1), 1)


def _dense(argument: str) -> Callable:
    """A matrix from the old to the new size of an axis."""
    return lambda settings, shape: 4 * max(shape, default=1) * max(numbers_in(settings.get(argument)), default=0)


def _product(argument: str, unit: int = _NUMBER, power: int = 1) -> Callable:
    def price(settings: dict, shape: tuple) -> float:
        return unit * math.prod(abs(n) for n in numbers_in(settings.get(argument), (int, float))) ** power

    return price


_PRICES: dict[str, Callable] = {
    "array_split": _outputs("indices_or_sections"), "split": _outputs("indices_or_sections"),
    "unstack": _outputs("num", by_axis=True), "diff": _outputs("n"), "pad": _padding, "resize": _dense("size"),
    "scale_and_translate": _dense("output_shape"), "gaussian_blur": _product("kernel_size", 1 << 10),
    "ssim": _product("filter_size", _NUMBER, 2), "elastic_transform": _product("sigma", 1 << 9),
    "istft": _product("fft_length", 1 << 12),
}  # fmt: skip


def check_sizes(op: str, settings: dict[str, Any], args: tuple) -> None:
    """Raises ValueError if an op's settings ask for more memory than a file may take for one.

    Args:
        op: the op's name.
        settings: its arguments that are no arrays, by name.
        args: its arrays.
    """
    for name in _SIZES & settings.keys():
        lend_for(settings[name], f"the op {op!r} with {name}={settings[name]!r:.40}")
    if op in _PRICES:
        shape = next((tuple(n or 1 for n in t.shape) for t in tensors(args)), ())
        lend(_PRICES[op](settings, shape), f"the op {op!r} on shape {shape} with {str(settings)[:80]}")


def check_input(tensor: SymbolicTensor) -> None:
    """Raises ValueError if an input has more axes than arrays have, or longer ones than constants may be."""
    if len(tensor.shape) > _MOST_AXES:
        raise ValueError(f"an input of {len(tensor.shape)} axes; at most {_MOST_AXES} are read")
    lend_for(tensor.shape, f"an input of shape {tensor.shape}")
