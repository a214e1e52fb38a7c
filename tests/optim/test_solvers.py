"""Solvers: the implicit penalty, and each step against its paper's formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from skfm.optim.solvers import FTRL, NAMED, SGD, AdaGrad, Adam, Optax, Split, Step, proximal
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
        ours, state = update(ours, jnp.asarray(gradient), state, Step(rate, jnp.asarray(count)), l1, l2)
        expected = theirs.step(gradient, l1, l2)
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("solver", NAMED.values(), ids=NAMED)
def test_no_charge_makes_a_step_diverge(solver):
    parameters = jnp.asarray([3.0, -2.0])
    state = solver.init(parameters, 1e3)
    for count in range(1, 20):
        parameters, state = solver.update(
            parameters, jnp.zeros(2), state, Step(1e3, jnp.asarray(count)), 0.0, jnp.asarray([1e6, 1e-3])
        )
    assert np.all(np.abs(parameters) <= [3, 2])
    assert abs(parameters[0]) < 1e-3


def test_rates_may_change_without_rescaling_ftrl():
    parameters = jnp.asarray([0.4, -0.7])
    solver = FTRL()
    state = solver.init(parameters, 0.1)
    after, _ = solver.update(parameters, jnp.zeros(2), state, Step(5.0, jnp.asarray(1)), 0.0, 0.0)
    np.testing.assert_allclose(after, parameters, rtol=1e-12)


@pytest.mark.parametrize("solvers", [(FTRL(), Adam()), (Adam(), AdaGrad()), (FTRL(), AdaGrad())])
def test_two_solvers_update_their_numbers_each(solvers):
    """Gradients and charges come as means where the second averages over a batch (of 10), else as sums."""
    rng = np.random.default_rng(0)
    whole = jnp.asarray(rng.standard_normal((4, 5)))
    parts = np.s_[:, :2], np.s_[:, 2:]
    split = Split(*solvers, 2)
    state, rates = split.init(whole, 0.1), (0.3, 0.1)
    alone = [whole[part] for part in parts]
    states = [solver.init(own, rate) for solver, own, rate in zip(solvers, alone, rates, strict=True)]
    for count in range(1, 4):
        mean, l2 = rng.standard_normal((4, 5)), 0.1 * rng.random((4, 5))
        given = 10 if split.per_sample else 1
        both, step = split.for_step(3.0, 10.0), Step(0.1, jnp.asarray(count))
        whole, state = both.update(whole, mean * given, state, step, np.zeros((4, 5)), l2 * given)
        for which, (solver, part) in enumerate(zip(solvers, parts, strict=True)):
            own = 10 if solver.per_sample else 1
            step = step._replace(rate=rates[which])
            alone[which], states[which] = solver.update(
                alone[which], mean[part] * own, states[which], step, 0.0, l2[part] * own
            )
    np.testing.assert_allclose(whole, np.concatenate(alone, axis=1), rtol=1e-12)
    assert split.dense is solvers[1]
    assert split.per_sample == solvers[1].per_sample


def test_settings_of_solvers_are_part_of_the_key():
    import optax

    transformation = optax.adam(0.1)
    assert len({SGD(), SGD(), SGD(0.5), Adam()}) == 3
    assert len({Optax(transformation), Optax(transformation), Optax(optax.adam(0.2))}) == 2
    assert Optax(transformation) != SGD()


@pytest.mark.parametrize("name", ["adagrad", "adam", "ftrl"])
def test_parameters_that_rows_hold_move_no_further_than_by_newtons_step(name):
    solver, rate, batch_rows = NAMED[name], 0.3, 5.0
    parameters, gradient = jnp.asarray([0.5, -1.0, 0.0, 2.0]), jnp.asarray([3.0, -40.0, 0.1, 1.0])
    curvature, step = jnp.asarray([500.0, 1e6, 70.0, 1e300]), Step(rate, jnp.asarray(1))
    state = solver.held(solver.init(parameters, rate), parameters, curvature, step, batch_rows)
    received = gradient if solver.per_sample else gradient / batch_rows
    moved, after = solver.update(parameters, received, state, step, 0.0, 0.0)
    assert np.all(np.abs(moved - parameters) <= np.abs(gradient / curvature) * 1.001 + 1e-12)
    assert np.all(np.sign(parameters - moved)[:3] == np.sign(gradient)[:3])
    assert all(np.isfinite(leaf).all() for leaf in after.values())
    still, _ = solver.update(parameters, jnp.zeros(4), state, step, 0.0, 0.0)
    np.testing.assert_allclose(still, parameters, atol=1e-12)
    free = solver.init(parameters, rate)
    unheld = solver.held(free, parameters, jnp.zeros(4), step, batch_rows)
    jax.tree.map(np.testing.assert_array_equal, free, unheld)
