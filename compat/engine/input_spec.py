"""`InputSpec`: what a layer expects of its input."""

from __future__ import annotations

from typing import Any

from kfun import dtypes


class InputSpec:
    """Rank, sizes and dtype that an input must have.

    Args:
        dtype: of the input.
        shape: sizes, None for any.
        ndim, max_ndim, min_ndim: of the rank.
        axes: `{axis: size}`.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or too many.
        name: of the input.
        optional: whether None may be passed.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else dtypes.name(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze, self.name, self.optional = allow_last_axis_squeeze, name, optional

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "dtype": self.dtype, "shape": self.shape, "ndim": self.ndim, "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim, "axes": self.axes,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict) -> InputSpec:
        """The spec of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in self.get_config().items() if v)})"


def check(spec: Any, inputs: Any, layer: Any) -> None:
    """Raises ValueError unless the inputs meet a layer's spec, or its list of specs."""
    specs = list(spec) if isinstance(spec, (list, tuple)) else [spec]
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if len(specs) != len(given):
        raise ValueError(f"layer {layer.name!r} expects {len(specs)} inputs; received {len(given)}")
    for one, x in zip(specs, given, strict=True):
        if one is None or (x is None and one.optional):
            continue
        problem = _problem(one, tuple(x.shape), dtypes.name(x.dtype))
        if problem:
            raise ValueError(f"layer {layer.name!r} expects {problem}; received an input of shape {tuple(x.shape)}")


def _problem(spec: InputSpec, shape: tuple, dtype: str) -> str | None:
    ndim = len(shape)
    if spec.shape is not None and spec.allow_last_axis_squeeze and abs(ndim - len(spec.shape)) == 1:
        return None
    if spec.ndim is not None and ndim != spec.ndim:
        return f"{spec.ndim} axes"
    if spec.max_ndim is not None and ndim > spec.max_ndim:
        return f"at most {spec.max_ndim} axes"
    if spec.min_ndim is not None and ndim < spec.min_ndim:
        return f"at least {spec.min_ndim} axes"
    if spec.dtype is not None and dtype != spec.dtype:
        return f"dtype {spec.dtype}"
    for axis, size in spec.axes.items():
        if size is not None and isinstance(shape[axis], int) and shape[axis] != size:
            return f"size {size} on axis {axis}"
    for wanted, size in zip(spec.shape or (), shape, strict=False):
        if wanted is not None and isinstance(size, int) and wanted != size:
            return f"shape {spec.shape}"
    return None
