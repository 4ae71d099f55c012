"""Ops: those of `kfun.ops`, which work on arrays of every backend, symbolic tensors and variables."""

from compat._unknown import unknown_names_of
from kfun import ops as _kfun
from kfun.ops._dispatch import OPS as _OPS

globals().update({name: getattr(_kfun, name) for name in _OPS if hasattr(_kfun, name)})

__getattr__ = unknown_names_of(globals())
