"""Every public layer, once: how it is made and called. The sweeps run over it."""

from __future__ import annotations

from tests.layers import rows_attention, rows_merging, rows_recurrent, rows_simple, rows_spatial
from tests.layers.rows import Row

_FAMILIES = (rows_simple, rows_spatial, rows_merging, rows_recurrent, rows_attention)
ROWS: dict[str, Row] = {r.name: r for family in _FAMILIES for r in family.ROWS}
