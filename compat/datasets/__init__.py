"""Small datasets, downloaded to Keras's cache and checked by hash; one module each."""

import importlib
from typing import Any

from kfun.errors import nearest

_MODULES = (
    "boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'compat.datasets' has no attribute {name!r}; {nearest(name, _MODULES)}")
    return importlib.import_module(f"compat.datasets.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
