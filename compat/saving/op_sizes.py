"""What the settings of an op in a file may make it compute while the graph around it is read.

An op on symbolic tensors computes nothing; but constants that follow from its settings alone (windows, positions,
weights of a resize) are made when its output's shape is found, and an op that splits makes as many outputs as it is
told. A file says such a number in a few bytes.
"""

from __future__ import annotations

from typing import Any

from compat.serialization.registry import lend_for
from kfun.graph import SymbolicTensor, tensors

_OUTPUT = (1 << 16,)  # bytes of the symbolic tensors and nodes that one more output, or one more pass, needs
_COSTS = {  # those with another price
    ("array_split", "indices_or_sections"): _OUTPUT, ("split", "indices_or_sections"): _OUTPUT,
    ("unstack", "num"): _OUTPUT, ("diff", "n"): _OUTPUT, ("ssim", "filter_size"): _OUTPUT,
    ("gaussian_blur", "kernel_size"): (1 << 10,), ("istft", "fft_length"): (1 << 12,),
    ("reshape", "newshape"): (0,),
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
        lend_for(value, f"the op {op!r} with {name}={value!r:.40}", *_COSTS.get((op, name), ()))
    if op in _DENSE:
        longest = max((n for t in tensors(args) for n in t.shape if n is not None), default=1)
        lend_for(settings.get(_DENSE[op]), f"the op {op!r} on an axis of {longest:,}", 8 * longest)


def check_input(tensor: SymbolicTensor) -> None:
    """Raises ValueError if an input is longer than the constants of ops along its axes may be."""
    lend_for(tensor.shape, f"an input of shape {tensor.shape}")
