"""What is traced: hyper-parameters, clones and folds share compiled programs."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from skfm.train import lbfgs, programs, step
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


@pytest.mark.parametrize(("solver", "n_factors"), [("lbfgs", 15), ("adagrad", 16)])
def test_folds_of_texts_share_programs(solver, n_factors):
    """Vocabularies and longest rows differ from fold to fold."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(5, 3005)
    lengths = 1 + np.exp(rng.normal(3.5, 0.7, 1500)).astype(int)
    words = rng.choice(3000, p=shares / shares.sum(), size=lengths.sum())
    texts = [" ".join(f"word{word}" for word in one) for one in np.split(words, np.cumsum(lengths)[:-1])]
    y = rng.integers(2, size=len(texts))
    model = make("FMClassifier", solver=solver, n_factors=n_factors, batch_size=128, max_iter=1)
    compiled = [programs._program.cache_info().misses]
    for train, test in KFold(5, shuffle=True, random_state=0).split(texts):
        pipeline = make_pipeline(TfidfVectorizer(), clone(model))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            pipeline.fit([texts[row] for row in train], y[train]).predict([texts[row] for row in test])
        compiled.append(programs._program.cache_info().misses)
    first, *others = np.diff(compiled)
    assert sum(others) <= 1.5 * first


def in_new_process(script: str) -> str:
    """What a script prints, without compiled programs of others, on disk either."""
    environment = {key: value for key, value in os.environ.items() if "CACHE" not in key}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPATH": str(REPOSITORY), "SKFM_CACHE": "0"},
    )
    return done.stdout


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


# Rows of other lengths than any seen in training, with fields in order and not; one by one, and together.
MANY_LENGTHS = """
import numpy as np
from jax import monitoring
from scipy import sparse
from tests.estimators.problems import make

compiled = []
monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: compiled.append(name) if name.endswith("backend_compile_duration") else None
)
X = sparse.random(300, 1000, {density}, format="csr", random_state=0)
y = np.arange(300) % 2
options = {options}
model = make("{name}", max_iter=2, n_factors=2, **options).fit(X, y)
compiled.clear()

def row(length):
    values = np.full(length, 1.0 + length % 2)
    return sparse.csr_array((values, (np.zeros(length, int), np.arange(length))), shape=(1, 1000))

def count(lengths):
    for length in lengths:
        model.predict_proba(row(length))
        model.decision_function(row(length))
    return len(compiled)

one_by_one = count(range(100)), count(range(0, 1001, 11))
model.predict_proba(sparse.vstack([row(length) for length in range(100)], format="csr"))
print(*one_by_one, len(compiled))
"""


@pytest.mark.parametrize("density", [0.01, 0.3])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FMClassifier", "{}"),
        ("FFMClassifier", "dict(fields=np.arange(1000) % 7)"),
        ("FFMClassifier", "dict(fields=np.minimum(np.arange(1000), 10))"),
        ("DeepFMClassifier", "dict(fields=np.arange(1000) % 7, hidden_layer_sizes=(4,))"),
    ],
)
def test_rows_of_all_lengths_are_predicted_by_few_programs(name, options, density):
    few, all_lengths, together = map(
        int, in_new_process(MANY_LENGTHS.format(name=name, options=options, density=density)).split()
    )
    assert few <= 5
    assert all_lengths <= 6
    assert together <= 8


@pytest.mark.parametrize("name", ["FMClassifier", "DeepFMClassifier"])
def test_a_first_fit_compiles_few_programs(name):
    out = in_new_process(FIRST_FIT.format(name=name))
    plain, stopped = ([int(number) for number in line.split()] for line in out.splitlines())
    # The loop over batches, the solver's state and predictions; then prediction has nothing to compile.
    assert plain[0] == plain[1] <= 3
    # Fewer rows are trained on, and the best weights are copied; predictions are compiled already.
    assert stopped[0] == stopped[1] <= 2
