"""Callbacks: objects that are called at every moment of training."""

from compat.callbacks._backup import BackupAndRestore as BackupAndRestore
from compat.callbacks._checkpoint import ModelCheckpoint as ModelCheckpoint
from compat.callbacks._ema import SwapEMAWeights as SwapEMAWeights
from compat.callbacks._monitor import EarlyStopping as EarlyStopping
from compat.callbacks._monitor import ReduceLROnPlateau as ReduceLROnPlateau
from compat.callbacks._monitor import TerminateOnNaN as TerminateOnNaN
from compat.callbacks._orbax import OrbaxCheckpoint as OrbaxCheckpoint
from compat.callbacks._plain import CSVLogger as CSVLogger
from compat.callbacks._plain import LambdaCallback as LambdaCallback
from compat.callbacks._plain import LearningRateScheduler as LearningRateScheduler
from compat.callbacks._remote import RemoteMonitor as RemoteMonitor
from compat.callbacks._tensorboard import TensorBoard as TensorBoard
from compat.callbacks._trackers import MlflowCallback as MlflowCallback
from compat.callbacks._trackers import WandbMetricsLogger as WandbMetricsLogger
from compat.training.callbacks.callback import Callback as Callback
from compat.training.callbacks.callback_list import CallbackList as CallbackList
from compat.training.callbacks.history import History as History
from compat.training.callbacks.progress import ProgbarLogger as ProgbarLogger
from kfun.errors import unknown_names_of

__getattr__ = unknown_names_of(globals())
