"""The global dtype policy, by its older names."""

from compat.optimizers._loss_scale import LossScaleOptimizer as LossScaleOptimizer
from compat.state.policy import DTypePolicy as DTypePolicy
from compat.state.policy import get as _get
from compat.state.policy import set_global as set_dtype_policy
from kfun.errors import unknown_names_of as _unknown_names_of

Policy = DTypePolicy
set_global_policy = set_dtype_policy


def dtype_policy() -> DTypePolicy:
    """The policy of layers that name none."""
    return _get(None)


global_policy = dtype_policy


__getattr__ = _unknown_names_of(globals())
