"""Every estimator learns in native code what its compiled program would have learned."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

import skfm
from skfm.data import batches
from skfm.layers import native
from skfm.names import ELEMENT_WISE_SOLVERS
from tests.estimators import problems

pytestmark = pytest.mark.skipif(not native.available(), reason="native code is not built here")

MODELS = sorted(
    {name.removesuffix("Classifier") for name in skfm.__all__ if name.endswith("Classifier")} - {"ESMM"}
)
RNG = np.random.default_rng(0)
WEIGHT = RNG.random(problems.N)
WEIGHT[5] = 0
STEPS = {"batch_size": 16, "max_iter": 2, "early_stopping": False, "dtype": "float64"}


@pytest.fixture
def both(monkeypatch):
    """Calls a function with native code and without; gives both results, and whether it was used."""

    def call(function):
        n_calls = 0

        def counted(*arguments):
            nonlocal n_calls
            n_calls += 1
            return touching(*arguments)

        touching = batches.touching
        with monkeypatch.context() as patch:
            patch.setattr(batches, "touching", counted)
            found = function()
            used, n_calls = n_calls > 0, 0
            patch.setattr(native, "available", lambda: False)
            expected = function()
            assert not n_calls
        return found, expected, used

    return call


@pytest.mark.parametrize(("number", "model"), [*enumerate(MODELS)], ids=MODELS)
def test_every_model(number, model, both):
    name = f"{model}{'Classifier' if number % 2 else 'Regressor'}"
    solver = ELEMENT_WISE_SOLVERS[number % len(ELEMENT_WISE_SOLVERS)]

    def learn():
        estimator = problems.make(name, solver=solver, **STEPS)
        fitted = estimator.fit(problems.X, problems.target(name), sample_weight=WEIGHT)
        return problems.predictions(fitted)

    found, expected, used = both(learn)
    assert_allclose(found, expected, rtol=1e-10)
    assert used


def test_several_tasks(both):
    clicks = np.column_stack([problems.LABELS, problems.LABELS * (problems.X[:, 0] > 0)])

    def learn():
        return problems.make("ESMMClassifier", solver="adam", **STEPS).fit(problems.X, clicks)

    found, expected, used = both(lambda: learn().predict_proba(problems.X))
    assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-10)
    assert used


ONES = (problems.X > 0).astype(float)
# Rows of different lengths, the last one empty; then with each number as two.
UNEVEN = sparse.csr_matrix(
    RNG.random((problems.N, 90)) * (RNG.random((problems.N, 90)) < np.linspace(0.25, 0, problems.N)[:, None])
)
TWICE = sparse.csr_matrix(
    (np.tile(UNEVEN.data, 2), (np.tile(UNEVEN.tocoo().row, 2), np.tile(UNEVEN.indices, 2))), UNEVEN.shape
)
CLASSES = np.digitize(problems.RAW, np.quantile(problems.RAW, [0.3, 0.7]))


@pytest.mark.parametrize("solver", ELEMENT_WISE_SOLVERS)
@pytest.mark.parametrize(
    ("X", "y", "settings"),
    [
        (ONES, problems.LABELS, {"n_factors": 16, "l1_linear": 1e-2}),
        (UNEVEN, problems.LABELS, {"n_factors": 7, "l2_frequency_power": 0.5, "n_jobs": 1}),
        (TWICE, CLASSES, {"n_factors": 1, "dtype": "float32"}),
        (problems.X, CLASSES, {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 20}),
    ],
    ids=["ones", "uneven", "twice", "held_out"],
)
@pytest.mark.filterwarnings(
    "ignore:.*(nothing was learned|Increase max_iter):sklearn.exceptions.ConvergenceWarning"
)
def test_every_kind_of_rows(X, y, settings, solver, both):
    settings = STEPS | {"solver": solver, "l2_factors": 1e-3} | settings

    def learn():
        model = problems.make("FMClassifier", **settings).fit(X, y, sample_weight=WEIGHT)
        return [model.predict_proba(X), model.coef_, model.factors_, model.history_["loss"]]

    found, expected, used = both(learn)
    assert used
    for one, other in zip(found, expected, strict=True):
        assert_allclose(
            one,
            other,
            **(
                {"rtol": 1e-4, "atol": 1e-6}
                if settings["dtype"] == "float32"
                else {"rtol": 1e-9, "atol": 1e-14}
            ),
        )


def test_parts_with_new_columns(both):
    def learn():
        model = problems.make("FMClassifier", solver="adagrad", encoder=skfm.FieldEncoder(), **STEPS)
        for part in range(3):
            X = (problems.X * 2 + 10 * part).astype(int).astype(str)
            model.partial_fit(X, problems.LABELS, classes=[0, 1])
        return model.predict_proba(X)

    found, expected, used = both(learn)
    assert used
    assert_allclose(found, expected, rtol=1e-10)
