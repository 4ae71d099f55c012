"""Rows of layers of several inputs."""

from __future__ import annotations

from tests.layers.rows import row

_X = (2, 3, 4)


def _merge(name, *more):
    return row(name, {}, _X, _X, more=more, oracle="list")


_BROADCAST = {"case": {"inputs": ((2, 1, 4), (2, 3, 1), (2, 3, 4))}}
_RANKS = {"case": {"inputs": ((2, 4), (2, 3, 4))}}

ROWS = [
    _merge("Add", _BROADCAST, _RANKS),
    _merge("Subtract", {"case": {"inputs": ((2, 3, 1), (2, 1, 4))}}, _RANKS),
    _merge("Multiply", _BROADCAST, _RANKS),
    _merge("Average", _BROADCAST, _RANKS),
    _merge("Maximum", _BROADCAST, _RANKS),
    _merge("Minimum", _BROADCAST, _RANKS),
    row(
        "Concatenate",
        {},
        (2, 3, 4),
        (2, 3, 5),
        more=[{"axis": 1, "case": {"inputs": ((2, 1, 4), (2, 3, 4), (2, 2, 4))}}],
        oracle="list",
    ),
    row(
        "Dot",
        {"axes": 1},
        (2, 3, 4),
        (2, 3, 5),
        more=[
            {"axes": (2, 1), "case": {"inputs": ((2, 3, 4), (2, 4, 5))}},
            {"axes": -1, "normalize": True, "case": {"inputs": ((2, 3, 4), (2, 5, 4))}},
            {"case": {"inputs": ((2, 3), (2, 3))}},
            {"axes": (2, 1), "case": {"inputs": ((2, 3, 4, 5), (2, 4))}},
        ],
        oracle="list",
    ),
]
