"""Ops: those of `kfun.ops`, which work on arrays of every backend, symbolic tensors and variables."""

from compat.ops._ops import *  # noqa: F403 - all ops, some of them with what Keras has from its settings
from compat.ops._spaces import image as image
from compat.ops._spaces import linalg as linalg
from compat.ops._spaces import nn as nn
from compat.ops._spaces import numpy as numpy
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
