"""What the merging layers check of the lists that they are called on."""

from __future__ import annotations

from typing import Any

from compat.engine.generated import Generated


class MergingLayer(Generated):
    """Base of the layers of a list of inputs."""

    _takes_list = True

    def build(self, input_shape: Any) -> None:
        """Checks the list of shapes; there are no variables.

        Raises:
            ValueError: if it is no list, is empty, or the batch sizes differ.
        """
        name = type(self).__name__
        if not isinstance(input_shape, (list, tuple)) or not input_shape or not _is_shape(input_shape[0]):
            raise ValueError(
                f"{name}: expected a list of one input or more; received an input of "
                f"shape {input_shape}. Pass [x, y, ...]"
            )
        sizes = {shape[0] for shape in input_shape if shape and shape[0] is not None}
        if len(sizes) > 1:
            raise ValueError(
                f"{name}: the inputs differ in their number of rows; received inputs of shapes {input_shape}"
            )
        self.definition.check_shapes([tuple(shape) for shape in input_shape if shape is not None])
        self._make_variables(input_shape)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the outputs, as the definition has it for a list of inputs and a list of their masks.

        Raises:
            ValueError: if one of them is no list, or they are not of one length.
        """
        if mask is None:
            return None
        for name, value in (("mask", mask), ("inputs", inputs)):
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{type(self).__name__}: `{name}` should be a list. Received: {value!r:.200}")
        if len(mask) != len(inputs):
            raise ValueError(
                f"{type(self).__name__}: as many masks as inputs are needed; received "
                f"{len(inputs)} inputs and {len(mask)} masks"
            )
        return super().compute_mask(inputs, mask)


def _is_shape(value: Any) -> bool:
    return value is None or isinstance(value, (list, tuple))
