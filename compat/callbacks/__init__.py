"""Callbacks: objects that are called at every moment of training."""

from compat.callbacks._base import Callback as Callback
from compat.callbacks._base import CallbackList as CallbackList
from compat.callbacks._base import History as History
from compat.callbacks._progress import ProgbarLogger as ProgbarLogger
