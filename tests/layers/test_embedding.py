"""What the catalogue cannot tell of embeddings: half precision, masks by direction, widths that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from kfun import Spec, layers, random

TOKENS = np.array([[1, 0, 3], [0, 5, 6]], "int32")


def test_scores_have_the_type_that_is_asked_for():
    layer = layers.ReversibleEmbedding(7, 3, reverse_dtype="float16")
    params, state = layer.init(random.key(0), TOKENS)
    x, _ = layer.apply(params, state, TOKENS)
    scores, _ = layer.apply(params, state, x, reverse=True)
    assert (x.dtype, scores.dtype) == ("float32", "float16")
    np.testing.assert_allclose(scores, np.asarray(x) @ np.asarray(params["embeddings"]).T, atol=2e-5)


def test_capped_scores_stay_within():
    layer = layers.ReversibleEmbedding(7, 3, logit_soft_cap=0.5, embeddings_initializer="ones")
    params, state = layer.init(random.key(0), TOKENS)
    scores, _ = layer.apply(params, state, np.ones((2, 3), "float32"), reverse=True)
    np.testing.assert_allclose(scores, 0.5 * np.tanh(np.full((2, 7), 6.0)), rtol=1e-6)


def test_the_mask_goes_with_the_vectors_alone():
    layer = layers.ReversibleEmbedding(7, 3, mask_zero=True)
    np.testing.assert_array_equal(layer.compute_mask(TOKENS), TOKENS != 0)
    assert layer.compute_mask(np.ones((2, 3), "float32")) is None
    assert layers.ReversibleEmbedding(7, 3).compute_mask(TOKENS) is None


def test_another_width_is_refused_in_reverse():
    layer = layers.ReversibleEmbedding(7, 3)
    params, state = layer.init(random.key(0), Spec((None, 4), "int32"))
    with pytest.raises(ValueError, match="ReversibleEmbedding: expected input with 3 features"):
        layer.apply(params, state, np.ones((2, 4), "float32"), reverse=True)


def test_spectral_normalization_of_an_embedding_and_of_zeros():
    layer = layers.SpectralNormalization(layers.Embedding(7, 3), 20)
    params, state = layer.init(random.key(0), TOKENS)
    normal, _ = layer.normalized(params, state)
    table = np.asarray(normal["layer"]["embeddings"])
    np.testing.assert_allclose(np.linalg.norm(table, 2), 1.0, rtol=1e-3)
    y, _ = layer.apply(params, state, TOKENS, training=True)
    np.testing.assert_allclose(y, table[TOKENS], rtol=1e-5)
    zeros = {"layer": {"embeddings": np.zeros((7, 3), "float32")}}
    y, after = layer.apply(zeros, state, TOKENS, training=True)
    assert not np.any(y)
    np.testing.assert_array_equal(after["vector_u"], state["vector_u"])


def test_the_penalty_is_a_mean_over_examples():
    x = np.array([[1.0, -2.0], [3.0, 0.0]], "float32")
    assert float(layers.ActivityRegularization(0.1, 0.2).penalty(x)) == pytest.approx((0.1 * 6 + 0.2 * 14) / 2)
