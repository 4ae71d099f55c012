"""Optimizers in optax's form, `init(params) -> state`, `update(gradients, state, params) -> (updates, state)`.

    optimizer = kfun.optim.adam(1e-3, global_clipnorm=1.0)
    state = optimizer.init(params)
    updates, state = optimizer.update(gradients, state, params)
    params = kfun.optim.apply_updates(params, updates)

They run on the arrays of every backend, and their trajectories are Keras's. On JAX they go into
optax's combinators (`optax.chain`, `optax.masked`, ...) as any other transformation. Each also has
a definition, `kfun.optim.Adam(1e-3)`, which is compared by value, is written as JSON, and builds it.
The learning rate is an entry of the state: set `state["learning_rate"]` to change it.

The functions take arrays of JAX in place of numbers, so that `optax.inject_hyperparams(kfun.optim.adam)` works, and
gradients and `vmap` go through hyperparameters. A learning rate that is an array has no entry in the state.
"""

from typing import TYPE_CHECKING

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.optim import schedules as schedules
from kfun.optim._adafactor import Adafactor as Adafactor
from kfun.optim._adagrad import Adadelta as Adadelta
from kfun.optim._adagrad import Adagrad as Adagrad
from kfun.optim._adagrad import RMSprop as RMSprop
from kfun.optim._adam import Adam as Adam
from kfun.optim._adam import Adamax as Adamax
from kfun.optim._adam import AdamW as AdamW
from kfun.optim._adam import Lamb as Lamb
from kfun.optim._adam import Nadam as Nadam
from kfun.optim._adam import ScheduleFreeAdamW as ScheduleFreeAdamW
from kfun.optim._ftrl import Ftrl as Ftrl
from kfun.optim._loss_scale import LossScaleOptimizer as LossScaleOptimizer
from kfun.optim._multi import MultiOptimizer as MultiOptimizer
from kfun.optim._multi import OptimizerMap as OptimizerMap
from kfun.optim._muon import Muon as Muon
from kfun.optim._optimizer import Optimizer as Optimizer
from kfun.optim._optimizer import OptimizerVariable as OptimizerVariable
from kfun.optim._optimizer import build as build
from kfun.optim._optimizer import function_of as function_of
from kfun.optim._optimizer import get as get
from kfun.optim._sgd import SGD as SGD
from kfun.optim._sgd import Lion as Lion
from kfun.optim._transform import apply_updates as apply_updates

adadelta = function_of(Adadelta)
adafactor = function_of(Adafactor)
adagrad = function_of(Adagrad)
adam = function_of(Adam)
adamax = function_of(Adamax)
adamw = function_of(AdamW)
ftrl = function_of(Ftrl)
lamb = function_of(Lamb)
lion = function_of(Lion)
loss_scale_optimizer = function_of(LossScaleOptimizer)
multi_optimizer = function_of(MultiOptimizer)
muon = function_of(Muon)
nadam = function_of(Nadam)
rmsprop = function_of(RMSprop)
schedule_free_adamw = function_of(ScheduleFreeAdamW)
sgd = function_of(SGD)

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
