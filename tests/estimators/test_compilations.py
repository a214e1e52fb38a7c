"""What is traced: hyper-parameters, clones and folds share compiled programs."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skfm.train import lbfgs, step
from tests.conftest import REPOSITORY
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
    steps, before = step.n_traces, lbfgs.n_traces
    search = fit(GridSearchCV(model, grid, cv=5, error_score="raise"))
    assert len(search.cv_results_["params"]) == 20
    assert 1 <= lbfgs.n_traces - before <= 2

    before = lbfgs.n_traces
    fit(clone(model))
    fit(search.best_estimator_)
    fit(clone(model).set_params(l2_linear=0.5, random_state=3, max_iter=2, l2_frequency_power=0.5))
    assert lbfgs.n_traces == before
    assert step.n_traces == steps


def test_another_model_is_traced():
    before = step.n_traces
    settings = {"solver": "adagrad", "batch_size": 32, "max_iter": 1}
    fit(make("FMRegressor", n_factors=14, **settings))
    assert step.n_traces == before + 1
    fit(make("FMRegressor", n_factors=14, **settings))
    assert step.n_traces == before + 1


# Counted in a process of its own, without compiled programs of others on disk.
FIRST_FIT = """
import numpy as np
from jax import monitoring
from tests.estimators.problems import make

compiled = []
monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: compiled.append(name) if name.endswith("backend_compile_duration") else None
)
X = np.random.default_rng(0).integers(1, 4, size=(300, 4)).astype(float)
y = X[:, 0] * X[:, 1] > 4
for early_stopping in (False, True):
    model = make("{name}", early_stopping=early_stopping, solver="adagrad", batch_size=32, max_iter=3)
    model.fit(X, y)
    fitted = len(compiled)
    model.predict_proba(X[:20])
    print(fitted, len(compiled))
    compiled.clear()
"""


@pytest.mark.parametrize("name", ["FMClassifier", "DeepFMClassifier"])
def test_a_first_fit_compiles_few_programs(name):
    environment = {key: value for key, value in os.environ.items() if "CACHE" not in key}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_FIT.format(name=name)],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
    )
    plain, stopped = ([int(number) for number in line.split()] for line in done.stdout.splitlines())
    # The loop over batches, the solver's state and predictions; then prediction has nothing to compile.
    assert plain[0] == plain[1] <= 3
    # Fewer rows are trained on, and the best weights are copied; predictions are compiled already.
    assert stopped[0] == stopped[1] <= 2
