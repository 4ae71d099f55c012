"""Optimizers: stateful objects around kfun's definitions, or around any optax transformation."""

from compat.optimizers import schedules as schedules
from compat.optimizers._generated import (
    CLASSES as CLASSES,
)
from compat.optimizers._generated import (
    SGD as SGD,
)
from compat.optimizers._generated import (
    Adadelta as Adadelta,
)
from compat.optimizers._generated import (
    Adafactor as Adafactor,
)
from compat.optimizers._generated import (
    Adagrad as Adagrad,
)
from compat.optimizers._generated import (
    Adam as Adam,
)
from compat.optimizers._generated import (
    Adamax as Adamax,
)
from compat.optimizers._generated import (
    AdamW as AdamW,
)
from compat.optimizers._generated import (
    Ftrl as Ftrl,
)
from compat.optimizers._generated import (
    Lamb as Lamb,
)
from compat.optimizers._generated import (
    Lion as Lion,
)
from compat.optimizers._generated import (
    Muon as Muon,
)
from compat.optimizers._generated import (
    Nadam as Nadam,
)
from compat.optimizers._generated import (
    RMSprop as RMSprop,
)
from compat.optimizers._generated import (
    ScheduleFreeAdamW as ScheduleFreeAdamW,
)
from compat.optimizers._get import (
    deserialize as deserialize,
)
from compat.optimizers._get import (
    get as get,
)
from compat.optimizers._get import (
    serialize as serialize,
)
from compat.optimizers._loss_scale import LossScaleOptimizer as LossScaleOptimizer
from compat.optimizers._loss_scale import with_loss_scale as with_loss_scale
from compat.optimizers._multi import (
    MultiOptimizer as MultiOptimizer,
)
from compat.optimizers._multi import (
    OptimizerMap as OptimizerMap,
)
from compat.optimizers._optimizer import Optimizer as Optimizer
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
