"""The optimizers of Keras 2 by their old path, which Keras 3 refuses too."""

from __future__ import annotations

from typing import Any

_NAMES = ("Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD")


class _Refused:
    """Raises ImportError when it is constructed."""

    def __init__(self, *args: Any, **kwargs: Any):
        name = type(self).__name__
        raise ImportError(
            f"keras.optimizers.legacy.{name} is an optimizer of Keras 2, which Keras 3 does not have: use "
            f"keras.optimizers.{name}. It was asked for with {len(args) + len(kwargs)} arguments"
        )


for _name in _NAMES:
    globals()[_name] = type(_name, (_Refused,), {"__module__": __name__, "__doc__": _Refused.__doc__})
