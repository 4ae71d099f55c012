"""kfun: deep learning as pure functions over explicit pytrees.

    net = kfun.Sequential([kfun.layers.Dense(64, "relu"), kfun.layers.Dense(10)])
    params, state = net.init(kfun.random.key(0), kfun.Spec((None, 784)))
    outputs, state = net.apply(params, state, x)

The same `apply` runs on JAX, Torch, TensorFlow and NumPy arrays, and on graph values to export.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kfun import initializers as initializers
from kfun import layers as layers
from kfun import ops as ops
from kfun import random as random
from kfun import tree as tree
from kfun.block import Block as Block
from kfun.block import Sequential as Sequential
from kfun.captures import capture as capture
from kfun.combinators import Ensemble as Ensemble
from kfun.combinators import Parallel as Parallel
from kfun.combinators import Remat as Remat
from kfun.combinators import Residual as Residual
from kfun.combinators import Stack as Stack
from kfun.definition import from_config as from_config
from kfun.definition import register_function as register_function
from kfun.errors import MixedBackendsError as MixedBackendsError
from kfun.errors import UnsupportedOp as UnsupportedOp
from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.graph import Input as Input
from kfun.graph_layer import Graph as Graph
from kfun.layer import Layer as Layer
from kfun.ops._kinds import backend as backend
from kfun.ops._kinds import current_backend as current_backend
from kfun.precision import Policy as Policy
from kfun.spec import Spec as Spec
from kfun.surgery import map_layers as map_layers
from kfun.transforms import checkpoint as checkpoint
from kfun.transforms import grad as grad
from kfun.transforms import hessian as hessian
from kfun.transforms import jacfwd as jacfwd
from kfun.transforms import jacobian as jacobian
from kfun.transforms import jacrev as jacrev
from kfun.transforms import jit as jit
from kfun.transforms import jvp as jvp
from kfun.transforms import value_and_grad as value_and_grad
from kfun.transforms import vjp as vjp
from kfun.transforms import vmap as vmap
from kfun.tree import convert as convert
from kfun.tree import to_numpy as to_numpy
from kfun.weights import Weight as Weight

__version__ = "0.1.0"

# What needs optax, equinox or rich is imported when it is first used: they cost as much as JAX.
_LAZY = {
    "bind": "kfun.bridges.bound",
    "learner": "kfun.bridges.learner",
    "from_equinox": "kfun.bridges.equinox",
    "from_flax": "kfun.bridges.flax",
    "from_saved_model": "kfun.bridges.saved_model",
    "from_torch": "kfun.bridges.torch",
    "summary": "kfun._summary",
}
_MODULES = (
    "activations",
    "arrays",
    "losses",
    "metrics",
    "optim",
    "training",
    "export",
    "testing",
    "transforms",
    "precision",
)

if TYPE_CHECKING:
    from kfun import losses as losses
    from kfun import metrics as metrics
    from kfun import optim as optim
    from kfun import training as training
    from kfun._summary import summary as summary
    from kfun.bridges.bound import bind as bind
    from kfun.bridges.equinox import from_equinox as from_equinox
    from kfun.bridges.flax import from_flax as from_flax
    from kfun.bridges.learner import learner as learner
    from kfun.bridges.saved_model import from_saved_model as from_saved_model
    from kfun.bridges.torch import from_torch as from_torch


_other = _unknown_names_of(globals(), _LAZY | dict.fromkeys(_MODULES, ""))


def __getattr__(name: str) -> Any:
    return importlib.import_module(f"kfun.{name}") if name in _MODULES else _other(name)
