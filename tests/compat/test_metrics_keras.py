"""The types of metrics' variables against Keras's, and what weights do in them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import compat
from tests.metrics.rows import ROWS

FIRST = {row.name: row for row in reversed(ROWS)}
COUNTS = sorted(n for n in FIRST if n.endswith(("IoU", "Positives", "Negatives", "Score")) or "Precision" in n or
                "Recall" in n or "Sensitivity" in n or n == "AUC")  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")


def _run(library, name, dtype):
    metric = getattr(library.metrics, name)(**FIRST[name].kwargs | {"dtype": dtype})
    metric.update_state(*next(iter(FIRST[name].batches())))
    return metric


@pytest.mark.parametrize("dtype", [None, "float16", "int32"])
@pytest.mark.parametrize("name", COUNTS)
def test_types_of_variables(name, dtype):
    ours, theirs = _run(compat, name, dtype), _run(keras, name, dtype)
    assert ours.dtype == theirs.dtype
    assert {v.dtype for v in ours.variables} == {v.dtype for v in theirs.variables}
    if dtype is None or name.endswith(("IoU", "Positives", "Negatives")):
        np.testing.assert_allclose(ours.result(), theirs.result(), 1e-5)


@pytest.mark.parametrize("name", [n for n in COUNTS if not n.endswith("IoU")])
def test_integer_types_cut_no_scores(name):
    """Keras casts the scores of F1Score, FBetaScore and R2Score to the type, so that all below 1 are 0."""
    np.testing.assert_allclose(_run(compat, name, "int32").result(), _run(keras, name, None).result(), 1e-5)


def test_regions_with_a_floating_type_keep_fractions_of_weights():
    data = [0, 0, 1, 1], [0, 1, 0, 1], np.float32([0.3, 0.3, 0.3, 0.1])
    ours, theirs = (library.metrics.MeanIoU(2, dtype="float32") for library in (compat, keras))
    for metric in (ours, theirs):
        metric.update_state(*data)
        np.testing.assert_allclose(metric.result(), (3 / 9 + 1 / 7) / 2, 1e-5)
    with pytest.warns(UserWarning, match='give dtype="float32"'):
        compat.metrics.MeanIoU(2).update_state(*data)
