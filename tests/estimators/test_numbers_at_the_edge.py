"""Finite numbers of any size: a fit, or an error that names the cause; never NaN, no constant in silence."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

import skfm
from skfm.train.loop import DivergenceError

RNG = np.random.default_rng(0)
N = 200
X = RNG.normal(size=(N, 4))
Y = X[:, 0] + 0.5 * X[:, 2]
SOLVERS = ("adagrad", "lbfgs")
NAMES = ("LinearRegressor", "FMRegressor", "DeepFMRegressor")


def make(name, solver="adagrad", **parameters):
    return getattr(skfm, name)(solver=solver, random_state=0, **parameters)


def share_explained(model, X, y):
    """R2 of targets whose squares may overflow."""
    unit = np.abs(y).max()
    residual = model.predict(X) / unit - y / unit
    return 1 - np.mean(residual**2) / np.var(y / unit)


COLUMNS = {
    "denormal": lambda column: 1e-310 * column,
    "beyond float32": lambda column: 1e60 * column,
    "near the end": lambda column: 1e300 * column,
    "both ends at once": lambda column: 1.7e308 * np.sign(column),
    "far from 0 and large": lambda column: 1e300 * (5 + column),
    "far from 0 and small": lambda column: 1e-300 * (5 + column),
    "two sizes": lambda column: np.where(column > 0, 1e300, 1e-300),
    "an outlier": lambda column: np.append(column[1:], 1e300),
    "the smallest number": lambda column: np.full(N, 5e-324),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", [*NAMES, "FFMRegressor"])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_any_size_leaves_the_others_to_learn(column, name, solver):
    rows = X.copy()
    rows[:, 1] = COLUMNS[column](rows[:, 1])
    assert make(name, solver).fit(rows, Y).score(rows, Y) > 0.9


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324 * 2**20])
def test_rows_of_any_size_become_rows_of_length_1(size):
    rows = np.round(1024 * X).astype(np.float64) / 1024
    model = skfm.FFMRegressor(normalize_rows=True, max_iter=5, random_state=0).fit(rows, Y)
    # Powers of two, so that every value is the same number of times another.
    scaled = rows * 2.0 ** np.round(np.log2(size))
    other = skfm.FFMRegressor(normalize_rows=True, max_iter=5, random_state=0).fit(scaled, Y)
    np.testing.assert_allclose(other.predict(scaled), model.predict(rows), rtol=1e-6, atol=1e-7)


def test_values_that_vanish_beside_others_of_their_row_are_no_values():
    rows = np.column_stack([X[:, :2], 1e-320 * X[:, 2], 1e300 * X[:, 3]])
    model = skfm.FFMRegressor(normalize_rows=True, max_iter=2, random_state=0)
    for piece in np.array_split(np.arange(N), 3):
        model.partial_fit(rows[piece], Y[piece])
    assert np.isfinite(model.predict(rows)).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_targets_whose_sum_overflows_are_fitted_without_a_word():
    y = 1e307 * Y / np.abs(Y).max() * 17
    assert np.corrcoef(make("FMRegressor").fit(X, y).predict(X) / 1e307, Y)[0, 1] > 0.95


WEIGHTS = {
    "large": np.full(N, 1e308),
    "small": np.full(N, 1e-320),
    "differing": np.where(np.arange(N) % 2, 1e300, 3e300),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weight", WEIGHTS)
def test_weights_of_any_size(weight, name, solver):
    assert make(name, solver).fit(X, Y, WEIGHTS[weight]).score(X, Y) > 0.9


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
def test_class_weights_of_any_size(solver):
    labels = (Y > 0).astype(int)
    model = make("FMClassifier", solver, class_weight={0: 1e308, 1: 1e308})
    assert model.fit(X, labels, np.full(N, 1e308)).score(X, labels) > 0.9
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1e200, 1e307])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_targets_of_any_size(loss, unit, solver):
    model = make("LinearRegressor", solver, loss=loss).fit(X, unit * Y)
    assert share_explained(model, X, unit * Y) > 0.9


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("unit", [1e-200, 1e12, 1e200])
def test_counts_of_any_size(unit, solver):
    counts = unit * np.round(3 * np.exp(Y))
    model = make("FMRegressor", solver, loss="poisson").fit(X, counts)
    assert share_explained(model, X, counts) > 0.5


@pytest.mark.parametrize(
    ("solver", "parameters", "message"),
    [
        ("lbfgs", {"init_scale": 1e300}, "smaller init_scale"),
        ("lbfgs", {"init_scale": 1e30}, "smaller init_scale"),
        ("adagrad", {"init_scale": 1e300}, r"init_scale=1e\+300 is more than float64|smaller .*init_scale"),
        (
            "adagrad",
            {"learning_rate": 1e300, "dtype": "float32"},
            r"learning_rate=1e\+300 is more than float32",
        ),
        ("adagrad", {"l2_factors": 1e300, "dtype": "float32"}, r"l2_factors=1e\+300 is more than float32"),
        ("adagrad", {"l1_linear": 1e300, "dtype": "float32"}, r"l1_linear=1e\+300 is more than float32"),
        ("adagrad", {"learning_rate": 1e30}, "smaller learning_rate"),
    ],
)
def test_a_parameter_that_is_too_large_is_named(solver, parameters, message):
    with pytest.raises(ValueError, match=message):
        make("FMRegressor", solver, **parameters).fit(X, Y)


@pytest.mark.parametrize("l2", [1e30, 1e300, 1e308])
def test_a_penalty_without_bounds_leaves_the_linear_weights_to_learn(l2):
    assert make("FMRegressor", "lbfgs", l2_factors=l2).fit(X, Y).score(X, Y) > 0.9


@pytest.mark.parametrize("name", ["FMRegressor", "FMClassifier", "DeepFMClassifier"])
@pytest.mark.parametrize("value", [1e300, -1e300, 1.7e308])
def test_a_row_to_predict_that_is_out_of_range_is_named(value, name):
    target = (Y > 0) if name.endswith("Classifier") else Y
    model, rows = make(name, max_iter=3, dtype="float32").fit(X, target), X[:9].copy()
    rows[4, 2] = value
    with pytest.raises(ValueError, match=r"row 4, column 2 .*Clip the column"):
        model.predict(rows)


# -- learning nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_model_that_learned_nothing_says_so(solver):
    with pytest.warns(ConvergenceWarning, match="nothing was learned.*smaller penalties"):
        make("FMRegressor", solver, l2_linear=1e9, l2_factors=1e9, init_scale=1e-9).fit(X, Y)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_model_that_learned_something_does_not(solver):
    noise = RNG.normal(size=N)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("FMRegressor", solver).fit(X, noise)
        make("FMRegressor", solver).fit(X, np.full(N, 3.0))


# -- L-BFGS with held-out rows -----------------------------------------------------------------------


def grid(n=45):
    """Users and items, whose products are worth as much as they themselves."""
    rng = np.random.default_rng(0)
    user, item = (index.ravel() for index in np.meshgrid(np.arange(n), np.arange(n)))
    rows = np.concatenate([np.eye(n)[user], np.eye(n)[item]], axis=1)
    factors = rng.normal(0, 0.4, (2 * n, 2))
    y = rows @ rng.normal(0, 0.5, 2 * n) + 3 * (factors[user] * factors[n + item]).sum(axis=1)
    order = rng.permutation(n * n)
    return rows[order], y[order] + 0.2 * rng.normal(size=n * n)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["FMRegressor", "FFMRegressor", "FwFMRegressor"])
def test_lbfgs_does_not_stop_before_factors_have_grown(name, seed):
    rows, y = grid()
    train, test = slice(1500), slice(1500, None)
    linear = make("LinearRegressor", "lbfgs").fit(rows[train], y[train]).score(rows[test], y[test])
    model = getattr(skfm, name)(solver="lbfgs", random_state=seed, l2_factors=1e-3, early_stopping=True)
    assert model.fit(rows[train], y[train]).score(rows[test], y[test]) > linear + 0.15
    given = (rows[1300:1500], y[1300:1500])
    model.fit(rows[:1300], y[:1300], X_val=given[0], y_val=given[1])
    assert model.score(rows[test], y[test]) > linear + 0.15
    assert model.n_iter_ < 200


@pytest.mark.parametrize("max_iter", [2, 200])
def test_a_diverged_fit_is_no_model(max_iter):
    with pytest.raises(DivergenceError, match="the loss of the last weights is"):
        make("FMRegressor", "lbfgs", init_scale=1e30, max_iter=max_iter).fit(X, Y)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [5e-324, 1e-310, 0.0, 1e40, -1e200, 1e300])
def test_a_constant_target_of_any_size(value, solver):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = make("FMRegressor", solver).fit(X, np.full(N, value))
        np.testing.assert_allclose(model.predict(X), value, atol=0.2)
        several = make("FMRegressor", solver).fit(X, np.column_stack([Y, np.full(N, value)])).predict(X)
    np.testing.assert_allclose(several[:, 1], value, atol=0.2)
    assert np.corrcoef(several[:, 0], Y)[0, 1] > 0.9


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [0.0, 1.0, 1e200])
def test_one_row_leaves_nothing_for_small_columns_to_tell(value, solver):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make("FMRegressor", solver).fit([[0.1, -0.1, 0.6, 2.0]], [value])
    np.testing.assert_allclose(model.predict(X[:3]), value, atol=0.2)


@pytest.mark.parametrize("solver", ["lbfgs", "adagrad"])
def test_targets_near_the_least_floats_underflow_in_silence(solver):
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = X[:, 0] * 2e-300
    with np.errstate(all="raise"):
        found = make("LinearRegressor", solver=solver).fit(X, y).predict(X)
    assert np.corrcoef(found * 1e300, X[:, 0])[0, 1] > 0.99


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["FMRegressor", "MixtureFMRegressor"])
def test_slopes_beyond_float64_are_its_ends(name, solver):
    tiny = X / 2.0**40
    model = make(name, solver, l2_linear=0, l2_factors=0).fit(tiny, 1e307 * np.sign(X[:, 1]))
    slopes = model.coef_ if name == "FMRegressor" else model.expert_coef_
    assert np.abs(slopes).max() == np.finfo(np.float64).max
    assert np.isfinite(model.predict(tiny)).all()


@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["FMClassifier", "FNNRegressor", "MixtureFMClassifier", "DeepFMRegressor"])
def test_weights_of_denormal_columns_are_finite_or_the_ends_of_float64(name, solver):
    tiny, y = X * 1e-310, Y if name.endswith("Regressor") else np.median(Y) < Y
    model = make(name, solver, l2_linear=0, l2_factors=0).fit(tiny, y)
    attributes = [name for name in ("coef_", "weights_", "expert_coef_") if hasattr(model, name)]
    attributes += [name for name in ("factors_", "expert_factors_", "gate_coef_") if hasattr(model, name)]
    assert len(attributes) >= 2
    found = [np.abs(getattr(model, attribute)) for attribute in attributes]
    assert max(values.max() for values in found) == np.finfo(np.float64).max
    assert all(np.isfinite(values).all() for values in found)


@pytest.mark.parametrize("name", ["FMRegressor", "FFMRegressor"])
def test_penalties_beyond_the_precision_of_weights(name):
    tiny = X * [1e-100, 1, 1, 1]
    with pytest.warns(ConvergenceWarning, match="column 0 counted for nothing"):
        model = make(name, "lbfgs", dtype="float32", l2_linear=1e6).fit(tiny, Y)
    assert np.isfinite(model.predict(tiny)).all()


@pytest.mark.parametrize("size", [1e-200, 1e160, 1e300])
def test_scores_are_those_of_any_unit(size):
    for y in (Y, np.column_stack([Y, Y[::-1]])):
        model, same = (make("FMRegressor", "lbfgs").fit(X, y * unit) for unit in (size, 1.0))
        for weight in (None, np.full(len(Y), 1e308)):
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                found = model.score(X, y * size, weight)
            assert found == pytest.approx(r2_score(y, same.predict(X)), abs=1e-3)
        assert model.score([(X, y * size)]) == pytest.approx(model.score(X, y * size))


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e-90, 1e90])
@pytest.mark.parametrize("weight", [None, np.full(len(Y), 1e99)])
def test_scores_on_targets_of_another_unit_than_those_of_fit(size, weight):
    model = make("FMRegressor", "lbfgs").fit(X, Y)
    targets = np.where(np.arange(len(Y)) % 2, size, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = model.score(X, targets, weight)
    if size > 1e-100:
        assert found == pytest.approx(r2_score(targets, model.predict(X)))
    else:
        # scikit-learn's squares of such targets are 0, and its score that of a constant.
        assert np.isfinite(found)
        assert found < -1e190


def test_scores_of_predictions_that_are_far_off():
    """Squares of the targets are 0 in the unit of such predictions."""
    model = make("FMRegressor", "lbfgs", dtype="float64").fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert -np.inf < model.score(X * 1e90, Y) < -1e190


def test_whole_numbers_under_weights_whose_sum_is_no_float():
    """They are looked at for identifiers, with a warning if any."""
    numbers = np.random.default_rng(0).integers(0, 4, size=(24, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = make("FMRegressor", "adagrad").fit(numbers, numbers[:, 0], sample_weight=np.full(24, 1e308))
    assert np.isfinite(model.predict(numbers)).all()
