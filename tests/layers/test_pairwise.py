"""Pairwise products and pooling against loops over slots."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skfm.layers import pairwise
from skfm.layers.pairwise import circle_pairs, circle_products, pairwise_products, pool_fields, upper_pairs
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


@pytest.mark.parametrize("many_rows", [1, 100])
@pytest.mark.parametrize("ones", [True, False])
@pytest.mark.parametrize("n_slots", [1, 5])
def test_sum_slots_and_its_gradient(many_rows, ones, n_slots, monkeypatch):
    monkeypatch.setattr(pairwise, "_MANY_ROWS", many_rows)
    rng = np.random.default_rng(0)
    rows, place = rng.standard_normal((6, 3)), rng.integers(6, size=(4, n_slots))
    values = np.ones(place.shape) if ones else rng.standard_normal(place.shape)
    expected, gradient, slope = np.zeros((4, 3)), np.zeros((6, 3)), rng.standard_normal((4, 3))
    for b, s in np.ndindex(place.shape):
        expected[b] += values[b, s] * rows[place[b, s]]
        gradient[place[b, s]] += values[b, s] * slope[b]
    with precision(np.float64):
        arguments = jnp.asarray(rows), jnp.asarray(place), None if ones else jnp.asarray(values)
        total, backward = jax.vjp(lambda rows: pairwise.sum_slots(rows, *arguments[1:]), arguments[0])
        np.testing.assert_allclose(total, expected, atol=1e-12)
        np.testing.assert_allclose(backward(jnp.asarray(slope))[0], gradient, atol=1e-12)


@pytest.mark.parametrize("n_fields", [1, 2, 4])
def test_upper_pairs(n_fields):
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 3, n_fields, 2))
    places = [(f, g) for f in range(n_fields) for g in range(f + 1, n_fields)]
    expected = np.array([first[:, f] * second[:, g] for f, g in places]).reshape(len(places), 3, 2)
    with precision(np.float64):
        pairs = upper_pairs(jnp.multiply, jnp.asarray(first), jnp.asarray(second))
    np.testing.assert_allclose(pairs, expected.transpose(1, 0, 2), atol=1e-12)


@pytest.mark.parametrize("n_fields", [1, 2, 3, 4, 5, 6])
def test_circle_products_and_their_gradient_are_those_of_all_pairs(n_fields):
    embeddings = np.random.default_rng(0).standard_normal((3, n_fields, 2))
    first, second = circle_pairs(n_fields)
    assert {(min(pair), max(pair)) for pair in zip(first, second, strict=True)} == {
        (f, g) for f in range(n_fields) for g in range(f + 1, n_fields)
    }
    assert len(first) == n_fields * (n_fields - 1) // 2
    slope = np.random.default_rng(1).standard_normal((3, len(first), 2))
    expected = np.zeros_like(embeddings)
    for pair, (f, g) in enumerate(zip(first, second, strict=True)):
        expected[:, f] += slope[:, pair] * embeddings[:, g]
        expected[:, g] += slope[:, pair] * embeddings[:, f]
    with precision(np.float64):
        products, backward = jax.vjp(circle_products, jnp.asarray(embeddings))
        (gradient,) = backward(jnp.asarray(slope))
    np.testing.assert_allclose(products, embeddings[:, first] * embeddings[:, second], atol=1e-12)
    np.testing.assert_allclose(gradient, expected, atol=1e-12)


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
