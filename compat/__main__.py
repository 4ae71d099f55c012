"""`python -m compat script.py ...`: runs an unmodified Keras program on kfun."""

from __future__ import annotations

import os
import runpy
import sys

from compat._install import install

_USAGE = """usage: python -m compat script.py [arguments]
       python -m compat -m module [arguments]
       python -m compat -c code [arguments]"""


def main() -> None:
    """Runs what the command line names, as Python itself would, with `import keras` meaning compat."""
    given = sys.argv[1:]
    if not given or given[0] in ("-h", "--help"):
        print(_USAGE)
        raise SystemExit(0 if given else 2)
    option = given[0] if given[0] in ("-m", "-c") else None
    if option and len(given) < 2:
        raise SystemExit(f"python -m compat {option}: expected {'a module' if option == '-m' else 'code'} after it")
    if option is None and given[0].startswith("-"):
        raise SystemExit(f"python -m compat: unknown option {given[0]!r}\n{_USAGE}")
    install()
    if option == "-c":
        sys.argv = ["-c", *given[2:]]
        sys.path.insert(0, "")
        exec(compile(given[1], "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    elif option == "-m":
        sys.argv = given[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(given[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = given
        if not os.path.exists(given[0]):
            raise SystemExit(f"python -m compat: there is no file {given[0]!r}")
        sys.path.insert(0, os.path.dirname(os.path.abspath(given[0])))
        runpy.run_path(given[0], run_name="__main__")


if __name__ == "__main__":
    main()
