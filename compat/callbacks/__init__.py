"""Callbacks: objects that are called at every moment of training."""

from compat._unknown import unknown_names_of
from compat.callbacks._base import Callback as Callback
from compat.callbacks._base import CallbackList as CallbackList
from compat.callbacks._base import History as History
from compat.callbacks._monitor import EarlyStopping as EarlyStopping
from compat.callbacks._monitor import ModelCheckpoint as ModelCheckpoint
from compat.callbacks._monitor import ReduceLROnPlateau as ReduceLROnPlateau
from compat.callbacks._monitor import TerminateOnNaN as TerminateOnNaN
from compat.callbacks._plain import CSVLogger as CSVLogger
from compat.callbacks._plain import LambdaCallback as LambdaCallback
from compat.callbacks._plain import LearningRateScheduler as LearningRateScheduler
from compat.callbacks._progress import ProgbarLogger as ProgbarLogger

__getattr__ = unknown_names_of(globals())
