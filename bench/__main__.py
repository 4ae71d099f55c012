"""`python -m bench [case ...]`: all of `CASES`, or by name; `saving` and `convolution` by name alone."""

from __future__ import annotations

import importlib
import os
import sys

# Spinning OpenMP threads of other libraries would slow whoever runs beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CASES = ("dispatch", "imports", "fit", "calls", "batches", "layers", "research")


def main() -> None:
    """Runs the cases."""
    for case in sys.argv[1:] or CASES:
        importlib.import_module(f"bench.{case}").main()


if __name__ == "__main__":
    main()
