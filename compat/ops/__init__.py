"""Ops: those of `kfun.ops`, which work on arrays of every backend, symbolic tensors and variables."""

import functools
import sys

from compat._unknown import unknown_names_of
from compat.core.settings import values as _settings
from kfun import ops as _kfun
from kfun.ops import image, linalg, nn, numpy

globals().update({name: value for name, value in vars(_kfun).items() if callable(value) and name[0] != "_"})
for _space in (image, linalg, nn, numpy):
    sys.modules[f"{__name__}.{_space.__name__.rpartition('.')[2]}"] = _space


def dot_product_attention(*args, **kwargs):
    if _settings["flash_attention"] is False and len(args) < 8 and kwargs.get("flash_attention") is None:
        kwargs["flash_attention"] = False
    return _kfun.dot_product_attention(*args, **kwargs)


functools.update_wrapper(dot_product_attention, _kfun.dot_product_attention)
__getattr__ = unknown_names_of(globals())
