"""Training: pure steps, and the driver that runs many of them per dispatch."""

from typing import TYPE_CHECKING

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.training.epoch import StopEpoch as StopEpoch
from kfun.training.epoch import epoch as epoch
from kfun.training.feed import ArrayFeed as ArrayFeed
from kfun.training.feed import StreamFeed as StreamFeed
from kfun.training.feed import feed_of as feed_of
from kfun.training.step import Forward as Forward
from kfun.training.step import Step as Step
from kfun.training.step import TrainState as TrainState
from kfun.training.step import make_eval_step as make_eval_step
from kfun.training.step import make_train_step as make_train_step

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
