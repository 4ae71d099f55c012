"""`python -m compat script.py ...`: runs an unmodified Keras script on kfun."""

from __future__ import annotations

import runpy
import sys

from compat._install import install


def main() -> None:
    """Runs the script that the command line names, with `import keras` meaning compat."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m compat script.py [arguments]\n       python -m compat -m module [arguments]")
        raise SystemExit(0 if len(sys.argv) > 1 else 2)
    install()
    if sys.argv[1] == "-m":
        if len(sys.argv) < 3:
            raise SystemExit("python -m compat -m: expected the name of a module")
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    import os

    sys.argv = sys.argv[1:]
    if not os.path.exists(sys.argv[0]):
        raise SystemExit(f"python -m compat: there is no file {sys.argv[0]!r}")
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
