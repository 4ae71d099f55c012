"""The closed-form shape rules against abstract runs, over the catalogue of ops with known and open sizes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kfun import abstract
from kfun._shape_rules import RULES
from kfun.graph import replace
from kfun.ops._dispatch import OPS
from kfun.spec import Spec
from tests.ops.catalogue import cases

_NARROW = {"float64": "float32", "int64": "int32", "uint64": "uint32"}


def _bound(name, case):
    """All parameters by position, as a rule gets them; None for calls with more than an op takes."""
    try:
        bound = OPS[name].signature.bind(*case.args, **case.kwargs)
    except TypeError:  # an argument of the public spelling alone, as `initial` of max
        return None
    bound.apply_defaults()
    return bound.args


def _spec(x, open_axes):
    return Spec(tuple(None if i in open_axes else n for i, n in enumerate(x.shape)), _NARROW.get(str(x.dtype), x.dtype))


def _abstract(name, args):
    specs = []

    def place(spec):
        specs.append(spec)
        return _Place(len(specs) - 1)

    placed = replace(args, place, Spec)
    return abstract.evaluate(lambda *xs: OPS[name].public(*replace(placed, lambda p: xs[p.index], _Place)), *specs)


class _Place:
    def __init__(self, index):
        self.index = index


@pytest.mark.parametrize("name", RULES)
def test_rules_say_what_an_abstract_run_says(name):
    told = 0
    for case, open_axes in itertools.product(cases(name), [(), (0,), (1,), (0, 1, 2)]):
        bound = _bound(name, case)
        args = bound and replace(bound, lambda x, a=open_axes: _spec(x, a), np.ndarray)
        answer = args and RULES[name](*args)
        if answer is None:
            continue
        try:
            expected = _abstract(name, args)
        except (TypeError, ValueError):
            # It takes open sizes of one axis for equal, which operands of unlike rank contradict.
            assert open_axes
            continue
        told += 1
        assert answer == expected, f"{name}{args}: the rule says {answer}, the abstract run {expected}"
    assert told, "the rule knows none of its op's cases"


def test_unlike_sizes_are_left_to_the_abstract_run():
    assert RULES["add"](Spec((2, 3)), Spec((2, 4))) is None
    assert RULES["reshape"](Spec((None, 5)), (-1, 3)) is None
    assert RULES["concatenate"]([Spec((2, 3)), Spec((3, 4))], 1) is None
