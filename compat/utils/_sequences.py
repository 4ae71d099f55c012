"""`pad_sequences`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as rows of one array.

    Args:
        sequences: lists or arrays `[T, ...]`, T different for each.
        maxlen: T of the result; by default the longest one.
        dtype: of the result; `object` for strings.
        padding: whether the value is put before (`"pre"`) or after (`"post"`) a sequence.
        truncating: whether what is too much is taken from the beginning or the end.
        value: what is put there.

    Returns:
        `[len(sequences), maxlen, ...]`.

    Raises:
        ValueError: if the sequences are none, differ in the axes after the first, or an argument is
            not among those known.
    """
    _check(sequences, dtype, value, padding=padding, truncating=truncating)
    longest = max((len(s) for s in sequences), default=0)
    length = longest if maxlen is None else maxlen
    shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    rows = np.full((len(sequences), length, *shape), value, dtype)
    for i, sequence in enumerate(sequences):
        kept = sequence[-length:] if truncating == "pre" else sequence[:length]
        if not len(sequence) or not length:
            continue
        part = np.asarray(kept, dtype=dtype)
        if part.shape[1:] != shape:
            raise ValueError(f"pad_sequences: sequence {i} has elements of shape {part.shape[1:]}; expected {shape}")
        if padding == "post":
            rows[i, : len(part)] = part
        else:
            rows[i, length - len(part) :] = part
    return rows


def _check(sequences: Any, dtype: Any, value: Any, **sides: str) -> None:
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: expected a list of sequences; received {type(sequences).__name__}")
    for name, where in sides.items():
        if where not in ("pre", "post"):
            raise ValueError(f"pad_sequences: expected {name} 'pre' or 'post'; received {where!r}")
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"pad_sequences: sequence {i} is no sequence but {sequence!r}")
    if isinstance(value, str) and dtype not in (object, "object") and np.dtype(dtype).kind not in "SU":
        raise ValueError(f"pad_sequences: a value of type str needs dtype=object; received dtype={dtype!r}")
