"""Solvers: the implicit penalty, and each step against its paper's formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from skfm.optim.solvers import FTRL, NAMED, SGD, Adam, Optax, proximal
from skfm.runtime import precision
from tests.optim.naive import NAIVE


@pytest.fixture(autouse=True)
def in_float64():
    with precision(np.float64):
        yield


@pytest.mark.parametrize("start", [-1.3, 0.0, 0.2, 2.0])
@pytest.mark.parametrize(
    ("step", "l1", "l2"), [(0.3, 0.0, 0.0), (0.3, 0.5, 0.0), (0.5, 0.0, 2.0), (2.0, 0.4, 3.0)]
)
def test_proximal_is_the_minimiser(start, step, l1, l2):
    def objective(w):
        return (w - start) ** 2 / (2 * step) + l1 * abs(w) + l2 / 2 * w**2

    best = optimize.minimize_scalar(objective, bounds=(-3, 3), method="bounded", options={"xatol": 1e-12}).x
    assert float(proximal(jnp.asarray(start), step, l1, l2)) == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("charged", [False, True])
def test_steps_follow_the_papers(name, charged):
    solver, naive = NAMED[name], NAIVE[name]
    rng = np.random.default_rng(0)
    parameters = rng.standard_normal((4, 3))
    l1 = 0.1 * rng.random((4, 3)) if charged else np.zeros((4, 3))
    l2 = rng.random((4, 3)) if charged else np.zeros((4, 3))
    rate = 0.3
    ours, state = jnp.asarray(parameters), solver.init(jnp.asarray(parameters), rate)
    theirs = naive(parameters, rate)
    update = jax.jit(solver.update)
    for count in range(1, 6):
        gradient = rng.standard_normal((4, 3))
        ours, state = update(ours, jnp.asarray(gradient), state, rate, jnp.asarray(count), l1, l2)
        expected = theirs.step(gradient, l1, l2)
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("solver", NAMED.values(), ids=NAMED)
def test_no_charge_makes_a_step_diverge(solver):
    parameters = jnp.asarray([3.0, -2.0])
    state = solver.init(parameters, 1e3)
    for count in range(1, 20):
        parameters, state = solver.update(
            parameters, jnp.zeros(2), state, 1e3, jnp.asarray(count), 0.0, jnp.asarray([1e6, 1e-3])
        )
    assert np.all(np.abs(parameters) <= [3, 2])
    assert abs(parameters[0]) < 1e-3


def test_rates_may_change_without_rescaling_ftrl():
    parameters = jnp.asarray([0.4, -0.7])
    solver = FTRL()
    state = solver.init(parameters, 0.1)
    after, _ = solver.update(parameters, jnp.zeros(2), state, 5.0, jnp.asarray(1), 0.0, 0.0)
    np.testing.assert_allclose(after, parameters, rtol=1e-12)


def test_settings_of_solvers_are_part_of_the_key():
    import optax

    transformation = optax.adam(0.1)
    assert len({SGD(), SGD(), SGD(0.5), Adam()}) == 3
    assert len({Optax(transformation), Optax(transformation), Optax(optax.adam(0.2))}) == 2
    assert Optax(transformation) != SGD()
