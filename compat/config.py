"""Settings of the process."""

from __future__ import annotations

import warnings as _warnings
from typing import Any as _Any

from compat.state.messages import disable_interactive_logging as disable_interactive_logging
from compat.state.messages import enable_interactive_logging as enable_interactive_logging
from compat.state.messages import is_interactive_logging_enabled as is_interactive_logging_enabled
from compat.state.policy import floatx as floatx
from compat.state.policy import get as _policy
from compat.state.policy import set_floatx as set_floatx
from compat.state.policy import set_global as _set_policy
from compat.state.settings import values as _settings
from kfun.errors import nearest as _nearest
from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.ops._kinds import ADAPTERS as _ADAPTERS
from kfun.ops._kinds import current_backend as _current

_EPSILON = [1e-7]


def backend() -> str:
    """The name of the backend."""
    return _current()


def set_backend(backend: str) -> None:
    """Accepts `"jax"`, on which models run; ops follow the arrays that they are given on every backend.

    Raises:
        ValueError: for another name.
    """
    if backend == "jax":
        return
    if backend in ("torch", "tensorflow", "numpy", "openvino"):
        raise ValueError(
            f"set_backend: models run on JAX here. Ops and layers' definitions work on arrays of {backend} as they "
            f"are: give them such arrays, or make them inside `with kfun.backend({backend!r}):`"
        )
    raise ValueError(f"set_backend: there is no backend {backend!r}; {_nearest(backend, ['jax', *_ADAPTERS])}")


def is_nnx_enabled() -> bool:
    """Whether layers are Flax NNX modules: they are not."""
    return False


def epsilon() -> float:
    """The small number that keeps divisions finite."""
    return _EPSILON[0]


def set_epsilon(value: float) -> None:
    """Sets the small number that user code reads with `epsilon()`."""
    _EPSILON[0] = float(value)


def image_data_format() -> str:
    """The order of axes of layers that name none."""
    return _settings["image_data_format"]


def set_image_data_format(data_format: str) -> None:
    """Sets the order of axes of layers and ops that name none: `"channels_last"` or `"channels_first"`.

    Raises:
        ValueError: for another value.
    """
    name = str(data_format).lower()
    if name not in ("channels_last", "channels_first"):
        raise ValueError(
            f"set_image_data_format: expected 'channels_last' or 'channels_first'; received {data_format!r}"
        )
    _settings["image_data_format"] = name


def dtype_policy() -> _Any:
    """The policy of layers that name none."""
    return _policy(None)


def set_dtype_policy(policy: _Any) -> None:
    """Sets the policy of layers that name none.

    Raises:
        ValueError: if it is neither a policy nor a name.
    """
    if policy is None:
        raise ValueError("set_dtype_policy: expected the name of a policy or a DTypePolicy. Received: policy=None")
    _set_policy(policy)


def enable_flash_attention() -> None:
    """Lets attention use the backend's fused kernel where it can, as it does by default."""
    _settings["flash_attention"] = None


def disable_flash_attention() -> None:
    """Lets attention layers made from now on, and `ops.dot_product_attention`, do without the fused kernel."""
    _settings["flash_attention"] = False


def is_flash_attention_enabled() -> bool | None:
    """None if attention uses the fused kernel where it can, False if it does without."""
    return _settings["flash_attention"]


def enable_traceback_filtering() -> None:
    """Leaves the frames inside the library out of tracebacks of layers' calls and of training, as by default."""
    _settings["filter_tracebacks"] = True


def disable_traceback_filtering() -> None:
    """Shows whole tracebacks."""
    _settings["filter_tracebacks"] = False


def is_traceback_filtering_enabled() -> bool:
    """Whether frames inside the library are left out of tracebacks."""
    return _settings["filter_tracebacks"]


def enable_unsafe_deserialization() -> None:
    """Does nothing but warn: no setting makes loading run code from a file."""
    _warnings.warn(
        "enable_unsafe_deserialization has no effect: loading never runs code from a file. Pass the functions and "
        "classes that a file names as custom_objects",
        stacklevel=2,
    )


def max_epochs() -> int | None:
    """The greatest number of epochs that `fit` trains for, None for no limit."""
    return _settings["max_epochs"]


def set_max_epochs(max_epochs: int | None) -> None:
    """Limits the epochs of every `fit`, to try a script quickly; `KERAS_MAX_EPOCHS` in the environment does so too.

    Raises:
        ValueError: if the limit is no whole number, or negative.
    """
    _settings["max_epochs"] = _checked("set_max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """The greatest number of steps of an epoch, an evaluation or a prediction, None for no limit."""
    return _settings["max_steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limits the steps of every epoch, evaluation and prediction; also `KERAS_MAX_STEPS_PER_EPOCH`.

    Raises:
        ValueError: if the limit is no whole number, or less than 1.
    """
    _settings["max_steps_per_epoch"] = _checked("set_max_steps_per_epoch", max_steps_per_epoch, 1)


def _checked(name: str, value: _Any, lowest: int = 0) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < lowest):
        raise ValueError(f"{name}: expected a whole number of at least {lowest}, or None; received {value!r}")
    return value


__getattr__ = _unknown_names_of(globals())
