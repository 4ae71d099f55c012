"""Models as scikit-learn's estimators; needs scikit-learn, the extra `sklearn`."""

from __future__ import annotations

from typing import Any as _Any

from kfun.errors import MissingExtraError as _MissingExtraError
from kfun.errors import unknown_names_of as _unknown_names_of

_NAMES = ("SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer")


def __getattr__(name: str) -> _Any:
    if name not in _NAMES:
        return _unknown_names_of({**globals(), **dict.fromkeys(_NAMES)})(name)
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise _MissingExtraError("scikit-learn", "sklearn", f"wrappers.{name}") from error
    from compat.wrappers import _sklearn

    value = globals()[name] = getattr(_sklearn, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
