"""Ops: those of `kfun.ops`, which work on arrays of every backend, symbolic tensors and variables."""

import sys

from compat._unknown import unknown_names_of
from kfun import ops as _kfun
from kfun.ops import image, linalg, nn, numpy

globals().update({name: value for name, value in vars(_kfun).items() if callable(value) and name[0] != "_"})
for _space in (image, linalg, nn, numpy):
    sys.modules[f"{__name__}.{_space.__name__.rpartition('.')[2]}"] = _space

__getattr__ = unknown_names_of(globals())
