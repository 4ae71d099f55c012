"""Settings of the process."""

from compat.core.policy import floatx as floatx
from compat.core.policy import get as _policy
from compat.core.policy import set_floatx as set_floatx
from compat.core.policy import set_global as _set_policy
from kfun.ops._kinds import current_backend as _current

_EPSILON = [1e-7]


def backend() -> str:
    """The name of the backend."""
    return _current()


def epsilon() -> float:
    """The small number that keeps divisions finite."""
    return _EPSILON[0]


def set_epsilon(value: float) -> None:
    """Sets the small number that user code reads with `epsilon()`."""
    _EPSILON[0] = float(value)


def image_data_format() -> str:
    """The order of axes of layers that name none."""
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Accepts the only default there is; pass `data_format` to layers for the other order."""
    if data_format != "channels_last":
        raise ValueError(
            "image_data_format: layers default to channels_last; pass data_format='channels_first' to the layers"
        )


def dtype_policy():
    """The policy of layers that name none."""
    return _policy(None)


def set_dtype_policy(policy) -> None:
    """Sets the policy of layers that name none."""
    _set_policy(policy)
