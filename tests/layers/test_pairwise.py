"""Pairwise products and pooling against loops over slots."""

import jax
import numpy as np
import pytest

from skfm.layers.pairwise import pairwise_products, pool_fields
from skfm.runtime import precision


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5, 2, 3), (4, 1, 3), (4, 0, 3), (4, 5, 0)])
def test_pairwise_products(shape):
    embeddings = np.random.default_rng(0).standard_normal(shape)
    expected = np.zeros((shape[0], *shape[2:]))
    for s in range(shape[1]):
        for t in range(s + 1, shape[1]):
            expected += embeddings[:, s] * embeddings[:, t]
    with precision(np.float64):
        np.testing.assert_allclose(pairwise_products(jax.numpy.asarray(embeddings)), expected, atol=1e-12)


@pytest.mark.parametrize("by_slot", [True, False])
@pytest.mark.parametrize("n_fields", [1, 5])
def test_pool_fields(by_slot, n_fields):
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((4, 5, 3))
    slot_fields = rng.integers(n_fields, size=(4, 5)) if by_slot else None
    expected = np.zeros((4, n_fields, 3))
    for i in range(4):
        for s in range(5):
            field = slot_fields[i, s] if by_slot else (s if n_fields > 1 else 0)
            expected[i, field] += embeddings[i, s]
    with precision(np.float64):
        pooled = pool_fields(jax.numpy.asarray(embeddings), slot_fields, n_fields)
    np.testing.assert_allclose(pooled, expected, atol=1e-12)
