"""Ops: those of `kfun.ops`, which work on arrays of every backend, symbolic tensors and variables."""

import functools
import inspect
import sys

from compat._unknown import unknown_names_of
from compat.core.settings import values as _settings
from kfun import ops as _kfun
from kfun.ops import image, linalg, nn, numpy

globals().update({name: value for name, value in vars(_kfun).items() if callable(value) and name[0] != "_"})
for _space in (image, linalg, nn, numpy):
    sys.modules[f"{__name__}.{_space.__name__.rpartition('.')[2]}"] = _space


def dot_product_attention(*args, **kwargs):
    if _settings["flash_attention"] is False and len(args) < 8 and kwargs.get("flash_attention") is None:
        kwargs["flash_attention"] = False
    return _kfun.dot_product_attention(*args, **kwargs)


def _of_setting(function, place):
    @functools.wraps(function)
    def call(*args, **kwargs):
        if _settings["image_data_format"] == "channels_first" and len(args) <= place:
            kwargs["data_format"] = kwargs.get("data_format") or "channels_first"
        return function(*args, **kwargs)

    return call


for _name in _kfun.__all__ if hasattr(_kfun, "__all__") else dir(_kfun):
    _value = getattr(_kfun, _name)
    if inspect.isfunction(_value) and "data_format" in inspect.signature(_value).parameters:
        globals()[_name] = _of_setting(_value, list(inspect.signature(_value).parameters).index("data_format"))

functools.update_wrapper(dot_product_attention, _kfun.dot_product_attention)
__getattr__ = unknown_names_of(globals())
