"""Models of other libraries as kfun layers, and kfun layers as equinox modules.

Each ecosystem has a file; its package is imported when a bridge to it is used.
"""

from kfun.bridges.equinox import bind as bind
from kfun.bridges.equinox import from_equinox as from_equinox
from kfun.bridges.flax import from_flax as from_flax
from kfun.bridges.saved_model import from_saved_model as from_saved_model
from kfun.bridges.torch import from_torch as from_torch
