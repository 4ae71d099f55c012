"""Whether params are those of a layer, told in its own words with the path of what is missing, surplus or misshapen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kfun.errors import ParameterError, nearest
from kfun.ops._kinds import kind_of_type
from kfun.weights import Weight, spec_tree

_MOST = 4096
_fitting: set[tuple] = set()  # (layer, names of params) that were compared: a call that is repeated pays a look-up


def refuse_surplus(layer: Any, params: Any, inputs: tuple) -> None:
    """Raises `ParameterError` if there are params that a layer of no others does not declare."""
    if layer.is_composite or layer.has_own_init:
        return
    try:
        key = (layer, *params)
        if key in _fitting:
            return
        declared = layer.weights(*spec_tree(inputs))
    except Exception:  # what is wrong with params or inputs, the call itself tells
        return
    own = {name for name, weight in declared.items() if not isinstance(weight, Weight) or weight.trainable}
    if not own.issuperset(params):
        raise ParameterError(_faults(declared, params) | _surplus(params, own), repr(layer))
    if len(_fitting) > _MOST:
        _fitting.clear()
    _fitting.add(key)


def refuse_others(layer: Any, params: Any, names: Iterable[str]) -> None:
    """Raises `ParameterError` if there are params of other names than a layer has weights or sublayers."""
    known = set(names)
    if not known.issuperset(params):
        raise ParameterError(_surplus(params, known), repr(layer))


def _surplus(params: Any, known: set[str]) -> dict[str, str]:
    others = (str(name) for name in params if name not in known)
    return {n: f"is no weight of the layer, {nearest(n, known) if known else 'which has none'}" for n in others}


def explain(layer: Any, params: Any, inputs: tuple, error: Exception, name: str = "") -> None:
    """Raises `ParameterError` if a layer failed because its params are missing or of other shapes than it declares.

    They are compared after a failure alone, so that calls that succeed pay nothing.
    """
    if layer.is_composite or isinstance(error, ParameterError):
        return
    try:
        declared = layer.weights(*spec_tree(inputs))
        faults = _faults(declared, params)
    except Exception:  # what is wrong with the inputs, the first error tells
        return
    missing = any(fault.startswith("is missing") for fault in faults.values())
    said = str(error) if isinstance(error, ValueError) and not missing else ""
    if faults and (name or not said):
        told = ParameterError(faults, repr(layer), said)
        raise (told.within(name) if name else told) from error


def _faults(declared: dict, params: Any, inside: str = "") -> dict[str, str]:
    faults: dict[str, str] = {}
    for name, weight in declared.items():
        found = params.get(name)
        if not isinstance(weight, Weight):
            faults |= _faults(weight, found or {}, f"{inside}{name}/")
        elif weight.trainable and found is None:
            faults[inside + name] = f"is missing, received {sorted(map(str, params)) or 'none'}"
        elif weight.trainable and not _is_structured(found) and tuple(found.shape) != weight.shape:
            faults[inside + name] = f"has shape {tuple(found.shape)}, expected {weight.shape}"
    surplus = {inside + name: told for name, told in _surplus(params, set(declared)).items()}
    return faults | surplus if faults else {}


def _is_structured(array: Any) -> bool:
    """Whether an array stands for another one (LoRA, quantized ones), and need not have its shape."""
    return getattr(kind_of_type(type(array)), "priority", 0) > 0
