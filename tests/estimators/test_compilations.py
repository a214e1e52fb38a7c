"""What is traced: hyper-parameters, clones and folds share compiled programs."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skfm.train import full_batch, step
from tests.estimators.problems import make

# Factors that no other test uses, so that nothing is traced already.
N_FACTORS = {"adagrad": 11, "adam": 12, "lbfgs": 13}
RNG = np.random.default_rng(0)
X = RNG.integers(1, 4, size=(103, 4)).astype(float)
Y = X[:, 0] * X[:, 1] + RNG.normal(size=103)


def fit(search):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(X, Y)


@pytest.mark.parametrize("solver", ["adagrad", "adam"])
def test_a_grid_of_rates_and_penalties_traces_at_most_twice(solver):
    grid = {"learning_rate": [0.01, 0.02, 0.05, 0.1, 0.2], "l2_factors": [0.0, 1e-4, 1e-3, 1e-2]}
    model = make("FMRegressor", solver=solver, n_factors=N_FACTORS[solver], batch_size=32, max_iter=1)
    before = step.n_traces
    search = fit(GridSearchCV(model, grid, cv=5, error_score="raise"))
    assert len(search.cv_results_["params"]) == 20
    assert len(set(search.cv_results_["mean_test_score"])) == 20
    assert 1 <= step.n_traces - before <= 2

    before = step.n_traces
    fit(clone(model))
    fit(search.best_estimator_)
    fit(clone(model).set_params(l2_linear=0.5, random_state=3, max_iter=2, learning_rate_schedule="cosine"))
    clone(model).partial_fit(X, Y)
    assert step.n_traces == before


def test_a_grid_of_penalties_in_full_batch_traces_at_most_twice():
    grid = {"l2_linear": [0.0, 1e-4, 1e-3, 1e-2], "l2_factors": [0.0, 1e-4, 1e-3, 1e-2, 1e-1]}
    model = make("FMRegressor", solver="lbfgs", n_factors=N_FACTORS["lbfgs"])
    steps, before = step.n_traces, full_batch.n_traces
    search = fit(GridSearchCV(model, grid, cv=5, error_score="raise"))
    assert len(search.cv_results_["params"]) == 20
    assert 1 <= full_batch.n_traces - before <= 2

    before = full_batch.n_traces
    fit(clone(model))
    fit(search.best_estimator_)
    fit(clone(model).set_params(l2_linear=0.5, random_state=3, max_iter=2, l2_frequency_power=0.5))
    assert full_batch.n_traces == before
    assert step.n_traces == steps


def test_another_model_is_traced():
    before = step.n_traces
    settings = {"solver": "adagrad", "batch_size": 32, "max_iter": 1}
    fit(make("FMRegressor", n_factors=14, **settings))
    assert step.n_traces == before + 1
    fit(make("FMRegressor", n_factors=14, **settings))
    assert step.n_traces == before + 1
