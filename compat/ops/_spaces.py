"""`ops.image`, `ops.linalg`, `ops.nn` and `ops.numpy`: the names under which Keras lists some of the ops once more."""

import sys
import types

from compat.ops import _ops
from kfun import ops as _kfun
from kfun.errors import unknown_names_of
from kfun.ops import image as _image
from kfun.ops import linalg as _linalg
from kfun.ops import nn as _nn
from kfun.ops import numpy as _numpy


def _space(of):
    space = types.ModuleType(f"compat.ops.{of.__name__.rpartition('.')[2]}", of.__doc__)
    shared = (n for n, v in vars(of).items() if n[0] != "_" and callable(v) and v is getattr(_kfun, n, None))
    space.__dict__.update({n: getattr(_ops, n) for n in shared})
    space.__getattr__ = unknown_names_of(space.__dict__)
    sys.modules[space.__name__] = space
    return space


image, linalg, nn, numpy = _space(_image), _space(_linalg), _space(_nn), _space(_numpy)
