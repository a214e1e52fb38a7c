"""Full-batch training: the objective, its gradient, and minima that scikit-learn finds too."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from skfm.data.batches import Samples
from skfm.layers import native
from skfm.losses import Logistic, Softmax, SquaredError
from skfm.models.ffm import FFM
from skfm.models.fm import FM
from skfm.models.linear import Linear
from skfm.optim.solvers import Solver
from skfm.train import lbfgs
from skfm.train.lbfgs import LBFGS, Objective, minimize, with_index
from skfm.train.precondition import coordinates
from skfm.train.state import dense_rows
from tests import reference
from tests.cases import sparse_rows
from tests.train.problems import MODELS, Problem, in_units_of_x, pose


def objective_of(problem, blocks=None):
    return Objective(
        problem.program(None),
        problem.averages,
        blocks or problem.blocks(),
        jnp.asarray(problem.full_charges()),
        problem.hyper(),
    )


def evaluated(problem, blocks=None):
    table = problem.start(Stateless()).table
    return objective_of(problem, blocks).value_and_gradient(table, problem.dense)


class Stateless(Solver):
    """A solver without state: the full-batch path has none."""

    def init(self, parameters, rate):
        return {}


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", MODELS)
def test_value_and_gradient(name, power, in_float64):
    problem = Problem(*MODELS[name], power=power)
    value, data_term, (of_table, of_dense) = evaluated(problem)
    assert float(value) == pytest.approx(problem.objective(), rel=1e-10)
    assert float(data_term) == pytest.approx(problem.data_term(), rel=1e-10)
    if power == 0.5:
        expected_table, expected_dense = problem.gradient()
        np.testing.assert_allclose(of_table, expected_table, atol=1e-7)
        jax.tree.map(
            lambda got, wanted: np.testing.assert_allclose(got, wanted, atol=1e-7), of_dense, expected_dense
        )


def test_the_dummy_row_of_rows_of_ones_gets_no_gradient(in_float64):
    """Without values nothing but its id tells an unused slot."""
    problem = Problem(*MODELS["fm"], ones=True)
    assert problem.packed.blocks[0].values is None
    value, _, (of_table, _) = evaluated(problem)
    assert float(value) == pytest.approx(problem.objective(), rel=1e-10)
    np.testing.assert_allclose(of_table, problem.gradient()[0], atol=1e-7)


@pytest.mark.skipif(not native.available(), reason="no native code on this machine")
@pytest.mark.parametrize("ones", [False, True], ids=["values", "ones"])
@pytest.mark.parametrize("name", [*MODELS, "ffm"])
def test_native_code_makes_the_same_gradient(name, ones, several_widths, in_float64):
    of_pairs = FFM(n_outputs=1, n_fields=3, n_factors=2), Logistic()
    problem = Problem(*MODELS.get(name, of_pairs), power=0.5, ones=ones)
    blocks = [with_index(block, problem.n_rows) for block in problem.blocks()]
    assert len(blocks) > 1
    assert all(block.by_row is not None for block in blocks)
    both = evaluated(problem, blocks), evaluated(problem)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-13), *both)


@pytest.mark.parametrize("name", [name for name, (model, _) in MODELS.items() if model.n_fields == 1])
def test_dense_rows_are_the_same_objective(name, in_float64):
    problem = Problem(*MODELS[name], power=0.5)
    weight = problem.weight / problem.weight.sum()
    rows = dense_rows(sparse.csr_array(problem.X), problem.y, weight, np.float64, problem.n_rows)
    packed = evaluated(problem)
    dense = evaluated(problem, [rows])
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), dense, packed)


def test_several_widths_are_one_objective(several_widths, in_float64):
    problem = Problem(*MODELS["fm"], power=0.5)
    assert len(problem.sizes) > 2
    value, _, (of_table, _) = evaluated(problem)
    assert float(value) == pytest.approx(problem.objective(), rel=1e-10)
    np.testing.assert_allclose(of_table, problem.gradient()[0], atol=1e-7)


@pytest.mark.parametrize("l2", [0.0, 1e3])
def test_minimize_calls_back_and_stops_where_the_gradient_does(l2, in_float64):
    problem = Problem(*MODELS["fm"])
    before = problem.objective()
    first, objective = np.asarray(problem.start(Stateless()).table), objective_of(problem)
    strength, linear = np.full(first.shape, l2), np.arange(first.shape[1]) == 0
    space = coordinates(sparse.csr_array(problem.X), problem.weight, strength, l2, linear)
    seen = []

    def minimized(max_iter, on_iteration):
        return minimize(objective, space, (first, problem.dense), max_iter, 1e-7, on_iteration)

    table, dense, at_end = minimized(2000, seen.append)
    assert not at_end
    assert len(seen) > 3
    problem.tables = {name: np.array(part) for name, part in problem.model.split(table[:12]).items()}
    problem.dense = jax.tree.map(np.array, dense)
    assert seen[-1].data_term == pytest.approx(problem.data_term(), rel=1e-9)
    assert sum(one.gain for one in seen) == pytest.approx(before - problem.objective(), rel=1e-9)
    of_table, of_dense = problem.gradient()
    assert max(np.abs(leaf).max() for leaf in [of_table, *jax.tree.leaves(of_dense)]) < 1e-5

    def stop(iterate):
        raise StopIteration

    assert not minimized(500, stop)[-1]
    assert minimized(2, lambda iterate: None)[-1]


# ---------------------------------------------------------------------------- minima of scikit-learn


def fitted(model, loss, X, y, weight, l2, power=0.0):
    samples = Samples(sparse.csr_array(X), y, weight)
    result = LBFGS().fit(pose(model, loss, samples, l2=l2, power=power, max_iter=2000, tol=1e-8))
    assert result.message is None
    table = in_units_of_x(result.parameters).table
    return table[: X.shape[1]], result.parameters.dense["offsets"]["intercept"]


def data(rng, n=60):
    X, weight = sparse_rows(rng, n=n), 0.2 + rng.random(n)
    return X * (1 + np.arange(12)), weight  # columns of different units


@pytest.mark.parametrize(
    ("model", "power"),
    [(Linear(), 0.0), (Linear(), 0.5), (Linear(), 1.0), (FM(n_factors=0), 0.5)],
    ids=["linear, nu=0", "linear, nu=0.5", "linear, nu=1", "fm without factors"],
)
def test_minimum_of_log_loss_is_that_of_logistic_regression(model, power):
    rng = np.random.default_rng(0)
    X, weight = data(rng)
    y = (X @ rng.standard_normal(12) * 0.3 + rng.standard_normal(60) > 0).astype(float)
    table, intercept = fitted(model, Logistic(), X, y[:, None], weight, 0.1, power)
    # f^nu w^2 is a penalty of 1 in units of f^(-nu/2).
    unit = reference.frequency(X, weight) ** (power / 2)
    oracle = LogisticRegression(C=1 / (0.1 * weight.sum()), tol=1e-12, max_iter=100_000)
    oracle.fit(X / unit, y, weight)
    np.testing.assert_allclose(table[:, 0], oracle.coef_[0] / unit, atol=1e-6)
    np.testing.assert_allclose(intercept, oracle.intercept_, atol=1e-6)


def test_minimum_of_softmax_is_that_of_logistic_regression():
    rng = np.random.default_rng(1)
    X, weight = data(rng)
    y = np.argmax(X @ rng.standard_normal((12, 3)) + 3 * rng.standard_normal((60, 3)), axis=1).astype(float)
    table, intercept = fitted(Linear(n_outputs=3), Softmax(3), X, y, weight, 0.1)
    oracle = LogisticRegression(C=1 / (0.1 * weight.sum()), tol=1e-12, max_iter=100_000).fit(X, y, weight)
    np.testing.assert_allclose(table, oracle.coef_.T, atol=1e-6)
    np.testing.assert_allclose(
        intercept - intercept.mean(), oracle.intercept_ - oracle.intercept_.mean(), atol=1e-6
    )


def test_minimum_of_squared_error_is_that_of_ridge():
    rng = np.random.default_rng(2)
    X, weight = data(rng)
    Y = X @ rng.standard_normal((12, 2)) + rng.standard_normal((60, 2))
    table, intercept = fitted(Linear(n_outputs=2), SquaredError(), X, Y, weight, 0.1)
    oracle = Ridge(alpha=0.1 * weight.sum(), solver="cholesky").fit(X, Y, weight)
    np.testing.assert_allclose(table, oracle.coef_.T, atol=1e-6)
    np.testing.assert_allclose(intercept, oracle.intercept_, atol=1e-6)


def test_columns_that_no_row_touches_get_nothing_and_programs_are_shared():
    rng = np.random.default_rng(3)
    X, weight = data(rng)
    y = rng.integers(2, size=(60, 1)).astype(float)
    wide = np.zeros((60, 40))
    wide[:, 5:17] = X
    before = None
    for l2 in (0.1, 0.2):
        table, _ = fitted(Linear(), Logistic(), wide, y, weight, l2)
        before = lbfgs.n_traces if before is None else before
        assert np.all(table[:5] == 0)
        assert np.all(table[17:] == 0)
        assert np.all(table[5:17, 0] != 0)
    assert lbfgs.n_traces == before
