"""What the settings of an op in a file may make it compute while the graph around it is read.

An op on symbolic tensors computes nothing; but constants that follow from its settings alone (windows, positions,
weights of a resize) are made when its output's shape is found, and an op that splits makes as many outputs as it is
told. A file says such a number in a few bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compat.serialization.registry import lend
from kfun.graph import SymbolicTensor, tensors

_UNIT = 32  # bytes of constants for each unit of a size
_OUTPUT = 1 << 16  # bytes of the symbolic tensors and nodes that one more output, or one more pass, needs
_COSTS = {  # those with another price
    ("array_split", "indices_or_sections"): _OUTPUT, ("split", "indices_or_sections"): _OUTPUT,
    ("unstack", "num"): _OUTPUT, ("diff", "n"): _OUTPUT, ("ssim", "filter_size"): _OUTPUT,
    ("gaussian_blur", "kernel_size"): 1 << 10, ("istft", "fft_length"): 1 << 12, ("reshape", "newshape"): 0,
}  # fmt: skip
_DENSE = {"resize": "size", "scale_and_translate": "output_shape"}  # a matrix from the old to the new size of an axis


def check_sizes(op: str, settings: dict[str, Any], args: tuple) -> None:
    """Raises ValueError if an op's settings ask for more memory than a file may take for one.

    Args:
        op: the op's name.
        settings: its arguments that are no arrays, by name.
        args: its arrays.
    """
    for name, value in settings.items():
        for number in _numbers(value):
            lend(_COSTS.get((op, name), _UNIT) * abs(number), f"the op {op!r} with {name}={value!r:.40}")
    if op in _DENSE:
        longest = max((n for t in tensors(args) for n in t.shape if n is not None), default=1)
        new = sum(map(abs, _numbers(settings.get(_DENSE[op]))))
        lend(8 * new * longest, f"the op {op!r} from a size of {longest:,} to {new:,}")


def check_input(tensor: SymbolicTensor) -> None:
    """Raises ValueError if an input is longer than the constants of ops along its axes may be."""
    known = [n for n in tensor.shape if n is not None]
    lend(_UNIT * max(known, default=0), f"an input of shape {tensor.shape}")


def _numbers(value: Any) -> Iterator[int]:
    if type(value) is int:
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item)
