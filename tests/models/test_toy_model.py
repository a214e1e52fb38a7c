"""The toy model: it costs what CONTRIBUTING says, and works."""

import importlib
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from skfm.runtime import precision
from tests import reference
from tests.cases import raw_predictions, sparse_rows
from tests.models.problems import problem
from tests.models.toy.model import Quadratic
from tests.models.toy.oracle import quadratic
from tools import signatures

TOY = Path(__file__).parent / "toy"


def test_a_new_model_costs_less_than_60_lines():
    lines = [line for path in TOY.glob("*.py") for line in path.read_text().splitlines()]
    assert len([line for line in lines if line and not line.startswith(("from ", "import ", '"""'))]) < 60


@pytest.fixture(scope="module")
def estimators(tmp_path_factory):
    """The estimators, with constructors written."""
    pytest.importorskip("ruff")
    package = tmp_path_factory.mktemp("toy") / "quadratic"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(TOY / "estimators.py", package)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(package.parent)
        patch.setattr(signatures, "PACKAGE", "quadratic")
        assert signatures.main([]) == 0
        yield importlib.reload(sys.modules["quadratic.estimators"])
    signatures._declared.cache_clear()
    for name in ("quadratic", "quadratic.estimators"):
        del sys.modules[name]


def test_raw_predictions():
    model = Quadratic(n_outputs=2, n_factors=3)
    X, tables, dense, averages = problem(model)
    with precision(np.float64):
        raw = raw_predictions(model, tables, dense, averages, X, None)
    np.testing.assert_allclose(raw, quadratic(None, X, tables, dense), rtol=1e-9)


def test_fit_ends_at_a_minimum_of_the_oracles_objective(estimators):
    X, weight = sparse_rows(np.random.default_rng(0), n=60), np.random.default_rng(1).uniform(size=60)
    y = X[:, 0] * X[:, 1] > 0
    strengths = {"l2_linear": 0.01, "l2_factors": 0.01, "l2_dense": 0.02}
    model = estimators.QuadraticClassifier(
        2, init_scale=0.5, tol=1e-7, max_iter=2000, random_state=0, **strengths
    )
    model.fit(X, y, sample_weight=weight)
    dense = {"weights": {"squares": model.squares_}, "offsets": {"intercept": model.intercept_}}
    tables = {"linear": model.coef_.T.copy(), "factors": model.factors_.copy()}
    raw = quadratic(None, X, tables, dense)
    np.testing.assert_allclose(model.decision_function(X), raw[:, 0], rtol=1e-9)

    def objective():
        raw, l2 = quadratic(None, X, tables, dense), {"linear": 0.01, "factors": 0.01}
        penalty = reference.penalty(X, weight, tables, l2, model.l2_frequency_power, dense, 0.02)
        return reference.data_term(reference.logistic, y[:, None], raw, weight) + penalty

    for leaf in (*tables.values(), dense["weights"]["squares"], dense["offsets"]["intercept"]):
        np.testing.assert_allclose(reference.finite_differences(objective, leaf), 0, atol=1e-5)
    assert reference.data_term(reference.logistic, y[:, None], raw, weight) < 0.3


def test_estimators_are_scikit_learns(estimators):
    X = sparse_rows(np.random.default_rng(0), n=30)
    model = estimators.QuadraticRegressor(3, solver="adagrad", max_iter=3, random_state=0)
    fitted = clone(model).fit(X, X[:, 0] ** 2)
    assert clone(fitted).get_params() == model.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    assert fitted.factors_.shape == (X.shape[1], 3)
