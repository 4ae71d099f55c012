"""What an error inside a layer's call says besides: which layer, on what shapes, and what a tracer's dump means."""

from __future__ import annotations

from typing import Any

import jax

from compat.state.shapes import is_data

_TRACED = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError,
           jax.errors.TracerIntegerConversionError, jax.errors.UnexpectedTracerError)  # fmt: skip


def explained(layer: Any, error: Exception, args: tuple, kwargs: dict) -> Exception:
    """The error to raise for one that came out of a layer's call; the innermost layer explains.

    Args:
        layer: whose call failed.
        error: what it raised.
        args, kwargs: what it was called with.
    """
    if getattr(error, "_kf_explained", False) or "dtype_policy" not in layer.__dict__:
        return error
    where = f"layer {layer.path!r} ({type(layer).__name__})"
    given = ", ".join(map(_text, [*args, *kwargs.values()])) or "nothing"
    if isinstance(error, _TRACED):
        made: Exception = TypeError(
            f"{where}: call() needs the value of an array that has none yet, because the model is compiled, or its "
            "shapes are being found. Python's if, while, float(), int(), bool() and NumPy's functions need values: "
            f"use ops.where, ops.cond, ops.while_loop and keras.ops. Called on {given}. To look at values, compile "
            f"with run_eagerly=True and build the layer on data.\n{str(error).partition(chr(10))[0]}"
        )
    elif args and not is_data([*args, *kwargs.values()]) and isinstance(error, (KeyError, AttributeError, TypeError)):
        made = ValueError(f"{where}: expected arrays as inputs; received {', '.join(f'{a!r:.60}' for a in args)}")
    elif type(error) in (TypeError, ValueError) and repr(layer.name) not in str(error):
        made = type(error)(f"{error}\nIn {where}, called on {given}.")
    else:
        made = error
    made._kf_explained = True  # type: ignore[attr-defined]
    return made


def _text(value: Any) -> str:
    """Shapes and dtypes of what was given."""
    if isinstance(value, (list, tuple)) and is_data(value):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict) and is_data(value):
        return "{" + ", ".join(f"{k}: {_text(v)}" for k, v in value.items()) + "}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{tuple(value.shape)} {getattr(value.dtype, 'name', value.dtype)}"
    return f"{value!r:.40}"
