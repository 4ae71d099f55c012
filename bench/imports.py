"""The time of `import compat` and `import kfun` in a fresh process, against `import jax`."""

from __future__ import annotations

import os
import subprocess
import sys

from bench._timing import interleaved, report


def _import(statement: str):
    def run() -> None:
        subprocess.run([sys.executable, "-c", statement], check=True, env=os.environ | {"KERAS_BACKEND": "jax"})

    return run


def main() -> dict[str, float]:
    """Prints the times; gives the ratios."""
    runs = {"python": _import("pass"), "jax": _import("import jax"), "kfun": _import("import kfun")}
    use = "import compat as keras; keras.Sequential; keras.layers.Dense"
    runs |= {"compat": _import("import compat"), "compat, used": _import(use), "keras-jax": _import("import keras")}
    times = interleaved(runs, rounds=5)
    ratio = report("import, fresh process", times, "compat", "jax", 1.3, 1, "s")
    return {
        "import compat": ratio,
        "import compat, used": report(
            "the same, with a layer class looked up", times, "compat, used", "jax", 1.3, 1, "s"
        ),
        "import kfun": report("import kfun", times, "kfun", "jax", 1.15, 1, "s"),
    }


if __name__ == "__main__":
    main()
