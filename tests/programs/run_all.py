"""Runs programs in one process, each with `import keras` meaning Keras or compat, and keeps their `results`.

python tests/programs/run_all.py keras|compat out.npz [program ...]
"""

from __future__ import annotations

import os
import runpy
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def main(side: str, out: str, *names: str) -> None:
    """Writes `name/key` arrays, and `name/ERROR` texts, to an archive."""
    os.environ["KERAS_BACKEND"] = "jax"
    if side == "compat":
        sys.path.insert(0, str(HERE.parents[1]))
        import compat

        compat.install()
    import keras

    found: dict[str, Any] = {}
    for name in names or programs():
        start = time.perf_counter()
        keras.backend.clear_session()
        try:
            after = runpy.run_path(str(HERE / f"{name}.py"))
            for key, value in after["results"].items():
                found[f"{name}/{key}"] = as_array(value)
            found[f"{name}/TOLERANCE"] = np.array(after.get("tolerance", 1e-4))
        except Exception:
            found[f"{name}/ERROR"] = np.array(traceback.format_exc())
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
    np.savez(out, **found)


def programs() -> list[str]:
    """The names of all programs."""
    return sorted(p.stem for p in HERE.glob("*.py") if p.stem != "run_all")


def as_array(value: Any) -> np.ndarray:
    """A result as an array of floats, or of text."""
    if isinstance(value, str):
        return np.array(value)
    if isinstance(value, (list, tuple)):
        return np.array([as_array(v) for v in value], dtype="float64")
    return np.asarray(value, dtype="float64")


if __name__ == "__main__":
    main(*sys.argv[1:])
