"""Weights and masks of different ranks."""

from __future__ import annotations

import numpy as np
import pytest

from kfun import losses


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
def test_a_mask_of_rows_beside_weights_of_places(reduction):
    """The rows that are masked count for nothing, as if they were not there."""
    rng = np.random.default_rng(0)
    y, outputs, weight = (rng.uniform(size=size).astype("float32") for size in ((3, 4, 2), (3, 4, 2), (3, 4)))
    values = np.mean((y - outputs) ** 2, -1) * weight
    loss = losses.MeanSquaredError(reduction=reduction)
    found = loss(y, outputs, weight, np.array([True, True, False]))
    real = values[:2]
    expected = {
        "sum_over_batch_size": real.mean(), "sum": real.sum(), "mean_with_sample_weight": real.sum() / weight[:2].sum(),
        "none": np.concatenate([real, np.zeros((1, 4))]),
    }[reduction]  # fmt: skip
    np.testing.assert_allclose(found, expected, 1e-5, 1e-7)


def test_a_mask_of_places_beside_weights_of_rows():
    y, outputs = np.zeros((2, 3, 1), "float32"), np.ones((2, 3, 1), "float32")
    mask = np.array([[True, False, True], [True, True, False]])
    found = losses.MeanSquaredError()(y, outputs, np.array([2.0, 4.0], "float32"), mask)
    np.testing.assert_allclose(found, (2 + 2 + 4 + 4) / 4)
