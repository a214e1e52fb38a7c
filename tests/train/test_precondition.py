"""Coordinates of L-BFGS: a linear map, in which columns and penalties bend the objective alike."""

import numpy as np
import pytest
from scipy import sparse

from skfm.train import precondition
from skfm.train.precondition import coordinates

RNG = np.random.default_rng(0)
LINEAR = np.array([False, True, True, False])


def posed(n_columns=6, density=0.5, l2=0.1):
    """Rows, weights, strengths of the penalty, and coordinates."""
    shape = 80, n_columns
    X = sparse.csr_array(np.where(RNG.random(shape) < density, RNG.random(shape), 0))
    weight = RNG.random(80)
    strength = np.full((n_columns + 2, 4), l2) * (1 + np.arange(n_columns + 2))[:, None]
    weight /= weight.sum()
    return X, weight, strength, coordinates(X, weight, strength, 4.0, LINEAR)


def weights_of(space, rng=RNG):
    dense = {"weights": {"kernel": rng.normal(size=(3, 2))}, "offsets": {"intercept": rng.normal(size=2)}}
    return rng.normal(size=space.scale.shape), dense


@pytest.mark.parametrize("n_columns", [6, 300])
@pytest.mark.parametrize("density", [0.02, 0.5])
def test_weights_come_back_and_gradients_are_those_of_the_map(density, n_columns):
    *_, space = posed(n_columns, density)
    table, dense = weights_of(space)
    back, dense_back = space.weights(*space.start(table, dense))
    np.testing.assert_allclose(back, table, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dense_back["weights"]["kernel"], dense["weights"]["kernel"])
    np.testing.assert_array_equal(dense_back["offsets"]["intercept"], dense["offsets"]["intercept"])
    # <gradient in coordinates, u> = <gradient, weights at u> for any u.
    (of_table, of_dense), (u, dense_u) = weights_of(space), weights_of(space)
    w, dense_w = space.weights(u, dense_u)
    turned, dense_turned = space.gradient(of_table, of_dense)
    assert np.vdot(turned, u) == pytest.approx(np.vdot(of_table, w), rel=1e-9)
    kernels = (leaves["weights"]["kernel"] for leaves in (dense_turned, dense_u, of_dense, dense_w))
    a, b, c, d = kernels
    assert np.vdot(a, b) == pytest.approx(np.vdot(c, d), rel=1e-12)


@pytest.mark.parametrize("density", [0.1, 0.5])
def test_ridge_regression_has_one_curvature(density, monkeypatch):
    monkeypatch.setattr(precondition, "_LEAST", 0.0)
    monkeypatch.setattr(precondition, "_CURVATURE", 1.0)
    monkeypatch.setattr(precondition, "_ROWS_AT_ONCE", 7)
    X, weight, strength, space = posed(density=density)
    # The Hessian of 1/2 sum_i s_i (x_i w)^2 + 1/2 sum_j l2_j w_j^2, taken to the coordinates on both sides.
    rows = X.toarray()
    hessian = (rows * weight[:, None]).T @ rows + np.diag(strength[:6, 1])
    inverse = np.zeros((6, 6))
    for column in range(6):
        u = np.zeros(space.scale.shape)
        u[column, 1] = 1
        inverse[:, column] = space.weights(u, {"weights": {}})[0][:6, 1]
    np.testing.assert_allclose(inverse.T @ hessian @ inverse, np.eye(6), atol=1e-10)


def test_a_penalty_without_bounds_draws_first_weights_near():
    X, weight, *_ = posed()
    strength = np.full((8, 4), 1e270)
    space = coordinates(X, weight, strength, 1e270, LINEAR)
    table, dense = weights_of(space)
    first, dense_first = space.weights(*space.start(table, dense))
    assert 0 < np.abs(first).max() < 1e-130
    assert 0 < np.abs(dense_first["weights"]["kernel"]).max() < 1e-130
