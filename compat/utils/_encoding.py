"""The labels of files in the form that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def encoded(files: Any, label_mode: Any) -> Any:
    """An array of labels, or None without any.

    Args:
        files: with `labels`, numbers of classes, and `class_names`.
        label_mode: `"int"`, `"binary"`, `"categorical"` or None.
    """
    if label_mode is None or files.labels is None:
        return None
    names: Sequence[str] = files.class_names or ()
    if label_mode == "int":
        return np.asarray(files.labels, "int32")
    if label_mode == "binary":
        return np.asarray(files.labels, "float32")[:, None]
    return np.eye(len(names), dtype="float32")[np.asarray(files.labels)]
