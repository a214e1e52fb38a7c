"""Columns far from 0: a year, a pressure or a temperature in Kelvin beside other columns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

import skfm
from tests.estimators.problems import make

RNG = np.random.default_rng(0)
N = 600
STANDARD = RNG.normal(size=(N, 4))
Y = 2 * STANDARD[:, 0] + STANDARD[:, 1] + 0.5 * STANDARD[:, 0] * STANDARD[:, 2] + 0.1 * RNG.normal(size=N)
MULTIPLE = np.stack([Y, 3 - 2 * Y], axis=1)
X = STANDARD.copy()
X[:, 0] = 2000 + 5 * X[:, 0]
X[:, 3] = np.where(RNG.random(N) < 0.2, 0, 300 + X[:, 3])
# Exact: the formula on x has terms a million times as large as their sum.
EXACT = {"dtype": "float64", "max_iter": 30, "init_scale": 0.3, "solver": "adagrad", "batch_size": 100}


def exact(name, **parameters):
    known = getattr(skfm, name)().get_params()
    settings = {key: value for key, value in (EXACT | parameters).items() if key in known}
    return make(name, **settings)


def pairs(X, weight):
    """Sum over pairs of columns of their product times ``weight(i, j)``."""
    return sum(X[:, i] * X[:, j] * weight(i, j) for i in range(X.shape[1]) for j in range(i))


def second_order(name, model):
    """The documented sum over pairs of columns, from public attributes."""
    factors, fields = model.factors_, model.fields_
    weights = {
        "FM": lambda i, j: factors[i] @ factors[j],
        "FFM": lambda i, j: factors[i, fields[j]] @ factors[j, fields[i]],
        "FwFM": lambda i, j: model.pair_weights_[fields[i], fields[j]] * (factors[i] @ factors[j]),
    }
    return pairs(X, weights[name])


# L-BFGS is stopped early in some of these.


@pytest.mark.parametrize("solver", ["adagrad", "lbfgs"])
@pytest.mark.parametrize("name", ["Linear", "FM", "FFM", "FwFM"])
def test_attributes_are_those_of_the_same_function_of_x(name, solver):
    model = exact(f"{name}Regressor", solver=solver).fit(X, Y)
    assert not model.center_.any()
    raw = model.intercept_ + X @ model.coef_
    if name != "Linear":
        raw = raw + model.target_scale_ * second_order(name, model)
    assert_allclose(model.predict(X), raw, atol=1e-8)


@pytest.mark.parametrize("name", ["FFM", "FwFM"])
def test_columns_of_one_field_take_their_shift_to_pairs_within_it(name):
    model = exact(f"{name}Regressor", fields=["a", "b", "b", "a"]).fit(X, Y)
    assert (model._learned.parameters.units.center[[0, 3]] != 0).all()
    raw = model.intercept_ + X @ model.coef_ + model.target_scale_ * second_order(name, model)
    assert_allclose(model.predict(X), raw, atol=1e-8)


def test_the_terms_of_transform_are_those_of_the_factors():
    for y in (Y, MULTIPLE):
        model = exact("FMRegressor").fit(X, y)
        factors = model.factors_ if y.ndim > 1 else model.factors_[None]
        expected = np.stack([pairs(X, lambda i, j, v=v: v[i] @ v[j]) for v in factors], axis=1)
        terms = model.transform(X).reshape(N, len(factors), -1).sum(axis=2)
        assert_allclose(terms, expected, rtol=1e-8)
        linear = np.atleast_2d(model.coef_) @ X.T
        scale = np.reshape(model.target_scale_, (-1, 1))
        raw = np.reshape(model.intercept_, (-1, 1)) + linear + scale * expected.T
        assert_allclose(np.reshape(model.predict(X), (N, -1)), raw.T, atol=1e-7)


def test_attributes_of_a_mixture_are_those_of_the_same_function_of_x():
    model = exact("MixtureFMRegressor", gate="linear+fm", mixing="score").fit(X, Y)

    def score(intercept, coef, factors):
        return intercept + X @ coef + pairs(X, lambda i, j: factors[i] @ factors[j])

    gates = np.stack([*map(score, model.gate_intercept_, model.gate_coef_, model.gate_factors_)])
    experts = np.stack(
        [
            model.intercept_[m]
            + X @ model.expert_coef_[m]
            + model.target_scale_ * pairs(X, lambda i, j, v=v: v[i] @ v[j])
            for m, v in enumerate(model.expert_factors_)
        ]
    )
    gate = np.exp(gates - gates.max(axis=0))
    assert_allclose(model.predict(X), (gate / gate.sum(axis=0) * experts).sum(axis=0), rtol=1e-6)


def test_a_model_whose_weights_cannot_take_the_shift_says_what_it_takes_off():
    model = exact("FMRegressor", degree=3).fit(X, Y)
    assert_allclose(model.center_, [X[:, 0].mean(), 0, 0, X[:, 3].mean()], rtol=1e-12)
    near, (higher,) = X - model.center_, model.higher_factors_
    triples = sum(
        near[:, i] * near[:, j] * near[:, k] * (higher[i] * higher[j] * higher[k]).sum()
        for i in range(4)
        for j in range(i)
        for k in range(j)
    )
    second = pairs(near, lambda i, j: model.factors_[i] @ model.factors_[j])
    raw = model.intercept_ + near @ model.coef_ + model.target_scale_ * (second + triples)
    assert_allclose(model.predict(X), raw, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("LinearRegressor", {"fit_intercept": False}),
        ("FMRegressor", {"fit_linear": False}),
        ("MixtureFMRegressor", {"expert": "fm"}),
    ],
)
def test_models_that_need_the_offset_keep_it(name, parameters):
    model = exact(name, max_iter=1, **parameters).fit(X, Y)
    assert model._learned.parameters.units.center is None
    assert not model.center_.any()


@pytest.mark.parametrize("solver", ["adagrad", "adam", "lbfgs"])
@pytest.mark.parametrize("name", ["Linear", "FM", "FFM", "DeepFM"])
def test_offsets_are_no_hindrance(name, solver):
    """Where least squares finds nearly everything, so do we."""
    target = X @ [0.4, 1, -1, 0.01]
    best = LinearRegression().fit(X, target).score(X, target)
    rate = 0.03 if solver == "adam" else "auto"
    model = getattr(skfm, f"{name}Regressor")(solver=solver, learning_rate=rate, random_state=0)
    assert model.fit(X, target).score(X, target) > best - 0.02


@pytest.mark.parametrize("solver", ["adagrad", "lbfgs"])
@pytest.mark.parametrize("name", ["FFM", "FwFM", "DeepFM", "AFM"])
def test_columns_of_one_field_may_all_have_an_offset(name, solver):
    far, target = STANDARD[:, :3] * [8, 10, 1] + [2000, 290, 0], Y
    model = getattr(skfm, f"{name}Regressor")(solver=solver, fields=[0, 0, 1], random_state=0)
    assert model.fit(far, target).score(far, target) > 0.9


@pytest.mark.parametrize("solver", ["adagrad", "lbfgs"])
@pytest.mark.parametrize("name", ["LinearRegressor", "FMRegressor"])
@pytest.mark.parametrize("deviation", [5, 1e-5, 2e-6])
def test_offsets_a_billion_times_the_deviation_and_more(name, solver, deviation):
    """Down to some times the distance between two numbers."""
    far = 1.6e9 + deviation * STANDARD[:, :3]
    target = STANDARD[:, 0] - STANDARD[:, 1]
    model = getattr(skfm, name)(solver=solver, random_state=0, max_iter=100, l2_linear=0.0)
    assert model.fit(far, target).score(far, target) > 0.99


@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
def test_standardised_columns_train_as_if_there_were_no_centring(monkeypatch):
    near = STANDARD + 0.3
    known = make("FMRegressor").fit(near, Y).predict(near)
    monkeypatch.setattr("skfm.data.statistics.ColumnStatistics.offsets", lambda self: np.zeros(4))
    assert np.array_equal(known, make("FMRegressor").fit(near, Y).predict(near))


@pytest.mark.parametrize("name", ["FMRegressor", "DeepFMRegressor", "MixtureFMRegressor", "FNNRegressor"])
def test_weights_that_are_taken_over_are_the_same_function(name):
    """Of rows in other units too: those of the columns are learned from other rows."""
    model = exact(name, warm_start=True, max_iter=1, solver="adagrad").fit(X, Y)
    before = model.predict(X)
    model.set_params(learning_rate=1e-12).fit(X[:50] * [1.001, 1, 1, 1], Y[:50])
    assert_allclose(model.predict(X), before, rtol=1e-6, atol=1e-6 * np.abs(before).max())


def test_columns_are_less_the_means_of_their_own_rows():
    source = exact("FMRegressor").fit(X, Y)
    rows = X[:300], Y[:300]
    model = exact("FMRegressor", init_from=source, learning_rate=1e-12, max_iter=1).fit(*rows)
    fresh = exact("FMRegressor").fit(*rows)
    assert np.array_equal(model._learned.parameters.units.center, fresh._learned.parameters.units.center)
    assert_allclose(model.predict(X), source.predict(X), rtol=1e-6)


def test_a_row_far_from_all_rows_of_training_is_named():
    model = exact("FMRegressor", dtype="float32").fit(X, Y)
    far = X[:5].copy()
    far[3, 1] = 1e300
    with pytest.raises(ValueError, match="row 3, column 1 "):
        model.predict(far)


SPLITS = {
    "even": [60] * 10,
    "one row first": [1, 59] + [60] * 9,
    "single rows first": [1] * 5 + [55] + [60] * 9,
}


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_units_are_those_of_all_rows_so_far(split):
    """However they are cut."""
    model, first = make("LinearRegressor"), 0
    for size in split:
        model.partial_fit(X[first : first + size], Y[first : first + size])
        first += size
    whole = make("LinearRegressor", solver="adagrad").fit(X[:first], Y[:first])
    found, expected = (one._learned.parameters.units for one in (model, whole))
    assert_allclose(found.center, expected.center, rtol=1e-12)
    assert_allclose(found.scale, expected.scale, rtol=1e-9)


def test_a_chunk_hardly_changes_the_units_of_a_fit():
    model = exact("FMRegressor").fit(X, Y)
    before, units = model.predict(X), model._learned.parameters.units
    for _ in range(2):
        model.set_params(learning_rate=1e-12).partial_fit(X[:1] * 1.01, Y[:1])
    found = model._learned.parameters.units
    assert_allclose((found.center - units.center) / units.scale, 0, atol=0.02)
    assert_allclose(found.scale, units.scale, rtol=0.05)
    # The intercept has moved with the mean of y.
    moved = model.predict(X) - before
    assert_allclose(moved, moved[0], rtol=1e-6)


def test_columns_of_other_units_in_the_first_chunk():
    scales = np.array([1.0, 1e3, 1e-3, 1.0])
    rows, target = STANDARD * scales, STANDARD @ [1.0, 1.0, 1.0, 0.0]
    model = skfm.LinearRegressor(random_state=0, l2_linear=0.0)
    model.partial_fit(rows[:20] * [1, 1e-3, 1e-3, 1], target[:20])
    for _ in range(10):
        for first in range(20, N, 58):
            model.partial_fit(rows[first : first + 58], target[first : first + 58])
    assert model.score(rows, target) > 0.95
