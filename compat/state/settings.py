"""The values behind `config`'s switches; here, so that everything can read them."""

from __future__ import annotations

import os
from typing import Any


def _limit(variable: str) -> int | None:
    text = os.environ.get(variable)
    return int(text) if text else None


KERAS_VERSION = "3.15.1"  # whose API this is, and what files say that they were written by

values: dict[str, Any] = {
    "flash_attention": None,
    "shuffle_seed": None,  # mixed into the seeds of shuffles that are made later
    "image_data_format": "channels_last",
    "filter_tracebacks": True,
    "max_epochs": _limit("KERAS_MAX_EPOCHS"),
    "max_steps_per_epoch": _limit("KERAS_MAX_STEPS_PER_EPOCH"),
}
