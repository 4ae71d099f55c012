"""What layers of several families check or normalize in their fields: sizes, padding, data formats, rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from kfun.definition import Convert
from kfun.layer import Layer, check_rank


def label(layer: Layer) -> str:
    """How a message names a layer: its class, and its name if it has one."""
    return f'{type(layer).__name__} "{layer.name}"' if layer.name else type(layer).__name__


def shown(shape: Sequence) -> str:
    """A shape in a message: sizes that are not known as None."""
    return str(tuple(s if isinstance(s, int) else None for s in shape))


def _ints(value: Any, n: int) -> tuple[int, ...]:
    values = (value,) * n if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(values, (list, tuple)) or len(values) != n:
        raise ValueError(f"expected an integer or {n} of them; received {value!r}")
    for v in values:
        if isinstance(v, bool) or not isinstance(v, int):
            raise TypeError(f"expected an integer or {n} of them; received {value!r}")
    return tuple(values)


def _positive(value: Any) -> int | None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if value is not None and not (whole and value > 0):
        kind = ValueError if whole else TypeError
        raise kind(f"must be a positive integer; received {value!r}")
    return None if value is None else int(value)


def _count(value: Any) -> int:
    if value is None:
        raise TypeError("must be a positive integer; received None")
    return _positive(value)  # pyright: ignore[reportReturnType]


def positive(value: int, name: str) -> None:
    """Raises ValueError unless `value` is positive."""
    if value <= 0:
        raise ValueError(f"{name} should be a positive integer; received {value}")


def positives(n: int) -> Convert:
    """Converts an int, or one per axis, to `n` positive ints; None passes."""

    def convert(value):
        if value is None:
            return None
        values = _ints(value, n)
        if min(values) <= 0:
            raise ValueError(f"expected positive integers; received {value!r}")
        return values

    return Convert(convert)


def naturals(n: int) -> Convert:
    """Converts an int, or one per axis, to `n` ints of at least 0; None passes."""

    def convert(value):
        if value is None:
            return None
        values = _ints(value, n)
        if min(values) < 0:
            raise ValueError(f"expected integers of at least 0; received {value!r}")
        return values

    return Convert(convert)


def margins(n: int) -> Convert:
    """Converts an int, one per axis, or a pair `(before, after)` per axis, to `n` pairs of ints of at least 0."""

    def convert(value):
        each = (value,) * n if isinstance(value, int) else value
        if not isinstance(each, (list, tuple)) or len(each) != n:
            raise ValueError(f"expected an integer, {n} integers or {n} pairs of them; received {value!r}")
        pairs = tuple(_ints(pair, 2) for pair in each)
        if min(min(pair) for pair in pairs) < 0:
            raise ValueError(f"expected integers of at least 0; received {value!r}")
        return pairs

    return Convert(convert)


def _one_of(*names: str) -> Convert:
    def convert(value):
        name = value.lower() if isinstance(value, str) else value
        if name not in names:
            raise ValueError(f"expected one of {', '.join(map(repr, names))}; received {value!r}")
        return name

    return Convert(convert)


def _data_format(value: Any) -> str:
    if value is None:
        return "channels_last"
    if value not in ("channels_last", "channels_first"):
        raise ValueError(f"expected 'channels_last' (None) or 'channels_first'; received {value!r}")
    return value


def _several(value: Any, or_none: bool = False) -> tuple | None:
    if value is None:
        return None
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    known = [v for v in values if v is not None or not or_none]
    if any(isinstance(v, bool) or not isinstance(v, (int, np.integer)) for v in known):
        raise TypeError(f"expected an integer or several; received {value!r}")
    return tuple(v if v is None else int(v) for v in values)


def _shape(value: Any) -> tuple | None:
    return _several(value, or_none=True)


Count = Annotated[int, Convert(_count)]  # a positive int
CountOrNone = Annotated[Any, Convert(_positive)]
Several = Annotated[Any, Convert(_several)]  # one for an int alone
Shape = Annotated[Any, Convert(_shape)]  # the same with None for what is not known
Sizes1 = Annotated[Any, positives(1)]
Sizes2 = Annotated[Any, positives(2)]
Sizes3 = Annotated[Any, positives(3)]
Padding = Annotated[str, _one_of("valid", "same")]
CausalPadding = Annotated[str, _one_of("valid", "same", "causal")]
DataFormat = Annotated[Any, Convert(_data_format)]


class Weightless(Layer):
    """Base of layers without weights that take certain shapes alone: `init` refuses others, as `apply` does."""

    def check_inputs(self, inputs: tuple) -> None:
        """Raises ValueError for inputs, arrays or specs, of shapes that the layer does not take."""

    def weights(self, *inputs):
        self.check_inputs(inputs)
        return {}


class SpatialLayer(Weightless):
    """Base of layers without weights over `rank` spatial axes, between a batch axis and one of channels."""

    rank = 0

    def check_inputs(self, inputs):
        (x,) = inputs
        check_rank(self, x, self.rank + 2, axes_shown(self.rank, getattr(self, "data_format", "channels_last")))


def check_axes(layer: Layer, shape: Sequence, least: int, axes: str) -> None:
    """Raises ValueError unless a shape has at least so many axes, named by `axes` in the message."""
    if len(shape) < least:
        counted = "axis" if least == 1 else "axes"
        raise ValueError(
            f"{label(layer)}: expected an input with at least {least} {counted} {axes}; received shape {shown(shape)}"
        )


def axes_shown(n: int, data_format: str) -> str:
    """The axes of an input with `n` spatial axes, for messages."""
    spatial = ", ".join(("D1", "D2", "D3")[:n])
    return f"[B, C, {spatial}]" if data_format == "channels_first" else f"[B, {spatial}, C]"


def channel_axis(data_format: str) -> int:
    """Where the channels are."""
    return 1 if data_format == "channels_first" else -1


def spatial_axes(n: int, data_format: str) -> tuple[int, ...]:
    """Where the `n` spatial axes are."""
    return tuple(range(2, n + 2)) if data_format == "channels_first" else tuple(range(1, n + 1))


def check_rate(layer: Layer, name: str, rate: float, *, below_one: bool = False) -> None:
    """Raises ValueError unless `rate`, a probability of dropping, is in [0, 1] (or [0, 1))."""
    if not (0 <= rate < 1 or (rate == 1 and not below_one)):
        interval = "[0, 1)" if below_one else "[0, 1]"
        raise ValueError(f"{label(layer)}: {name}: expected a probability of dropping in {interval}; received {rate}")


def need_key(layer: Layer, key: Any) -> Any:
    """`key`, or a ValueError that tells to pass one."""
    if key is None:
        raise ValueError(
            f"{label(layer)}: draws random numbers in training and was given no key: "
            "pass key= to apply, e.g. key=kfun.random.key(0)"
        )
    return key
