"""Columns that hardly counted are named, with remedies that work; others are left in peace."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

import skfm

RNG = np.random.default_rng(0)
N = 600
Z = RNG.normal(size=(N, 3))
LINEAR = Z @ [2.0, 1.0, -1.0] + 0.1 * RNG.normal(size=N)
PRODUCT = 2 * Z[:, 0] * Z[:, 1]
PRESENT = RNG.random(N) < 0.3
SOLVERS = ["adagrad", "lbfgs"]
OFFSETS = {"year": (2000, 8), "kelvin": (290, 10), "time": (1.6e9, 5)}


def fitted(name, X, y, **parameters):
    """The model, and what it warned of."""
    known = getattr(skfm, name)().get_params()
    settings = {key: value for key, value in ({"random_state": 0} | parameters).items() if key in known}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = getattr(skfm, name)(**settings).fit(X, y)
    assert all(one.category is ConvergenceWarning for one in caught)
    return model, " ".join(str(one.message) for one in caught)


def far(kind):
    mean, deviation = OFFSETS[kind]
    return np.column_stack([mean + deviation * Z[:, :2], Z[:, 2]])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", OFFSETS)
@pytest.mark.parametrize(
    ("name", "lacking", "remedy"),
    [
        ("LinearRegressor", {"fit_intercept": False}, {"fit_intercept": True}),
        ("FMRegressor", {"fit_intercept": False}, {"fit_intercept": True}),
        ("FMRegressor", {"fit_linear": False}, {"fit_linear": True}),
        ("MixtureFMRegressor", {"expert": "fm"}, {"expert": "linear+fm"}),
    ],
)
def test_models_that_cannot_take_an_offset_say_what_they_need(name, lacking, remedy, kind, solver):
    target = LINEAR if name == "LinearRegressor" else LINEAR + PRODUCT
    worse, said = fitted(name, far(kind), target, solver=solver, **lacking)
    assert "columns 0, 1 said less than possible" in said
    assert f"values of about {far(kind)[:, 0].mean():.4g}" in said
    (parameter, value), *_ = remedy.items()
    assert f"Give {parameter}={value!r}:".replace("'", '"') in said
    assert "learning_rate" not in said
    better, said = fitted(name, far(kind), target, solver=solver, **remedy)
    assert said == "" or "Increase max_iter" in said
    assert better.score(far(kind), target) > 0.9 > worse.score(far(kind), target)


@pytest.mark.parametrize("solver", SOLVERS)
def test_products_that_are_not_heard_count_too(solver):
    _, said = fitted("FMRegressor", far("year"), PRODUCT, solver=solver, fit_linear=False)
    assert "columns 0, 1 said less than possible" in said
    better, said = fitted("FMRegressor", far("year"), PRODUCT, solver=solver)
    assert said == ""
    assert better.score(far("year"), PRODUCT) > 0.9


def test_columns_of_a_frame_are_named():
    X, y = pd.DataFrame(far("year"), columns=["year", "other", "z"]), LINEAR > 0
    _, said = fitted("FMClassifier", X, y, solver="adagrad", fit_intercept=False)
    assert "columns 'year', 'other' said less" in said


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["LinearRegressor", "FMRegressor"])
def test_entries_that_are_alike_in_a_column_that_some_rows_lack(name, solver):
    X = np.column_stack([PRESENT * (2000 + 8 * Z[:, 0]), Z[:, 1:]])
    y = PRESENT * 2 * Z[:, 0] + Z[:, 1]
    worse, said = fitted(name, sparse.csr_array(X), y, solver=solver)
    assert "column 0 said less" in said
    found = re.search(r"take (\d+) off", said)
    assert found is not None
    remedied = np.column_stack([X[:, 0] - int(found[1]) * PRESENT, PRESENT, X[:, 1:]])
    better, said = fitted(name, sparse.csr_array(remedied), y, solver=solver)
    assert said == ""
    assert better.score(sparse.csr_array(remedied), y) > 0.95 > worse.score(sparse.csr_array(X), y)


@pytest.mark.parametrize("solver", SOLVERS)
def test_columns_that_have_no_more_to_say_are_left_in_peace(solver):
    X = far("kelvin")
    for given in (
        {"y": Z[:, 2]},
        {"y": 3 * X[:, 0], "fit_intercept": False, "X": X[:, :1]},
        {"y": Z[:, 2], "X": Z * [1e-310, 1e-100, 1]},
        {"y": LINEAR},
    ):
        _, said = fitted("LinearRegressor", given.pop("X", X), given.pop("y"), solver=solver, **given)
        assert said == ""


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("size", [1e-310, 1e-100, 1e-30, 1e-5])
@pytest.mark.parametrize("name", ["LinearRegressor", "FMRegressor", "FNNRegressor"])
def test_columns_that_penalties_leave_nothing_of(name, size, solver):
    X = Z * [size, 1, size]
    worse, said = fitted(name, X, LINEAR, solver=solver)
    assert "columns 0, 2 counted for nothing" in said
    none = {key: 0.0 for key in ("l2_linear", "l2_factors") if f"{key}=" in said}
    by_largest = "by its largest absolute value" in said
    assert by_largest == (size < 1e-150)
    unit = np.abs(X).max(axis=0) if by_largest else X.std(axis=0)
    for rows, remedy in ((X, none), (X / unit, {})):
        better, said = fitted(name, rows, LINEAR, solver=solver, **remedy)
        assert said == "" or "Increase max_iter" in said
        assert better.score(rows, LINEAR) > 0.9 > worse.score(X, LINEAR)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("size", [1e-4, 1e-3, 1e-2, 0.05])
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("LinearRegressor", LINEAR),
        ("LinearClassifier", LINEAR > 0),
        ("FMRegressor", Z[:, 1] + PRODUCT),
        ("FMClassifier", Z[:, 1] + PRODUCT > 0),
    ],
)
def test_columns_that_penalties_take_much_of(name, target, size, solver):
    """As Ridge and LogisticRegression of the same penalty they lose what small columns say, but say so."""
    X = Z * [size, 1, 1]
    given = {"l2_linear": 1 / len(Z)} | ({} if name.startswith("Linear") else {"l2_factors": 20 / len(Z)})
    worse, said = fitted(name, X, target, solver=solver, **given)
    assert re.match(rf"{name}: column 0 (counted for nothing|said less)", said)
    assert f"values of about {np.sqrt(np.mean(X[:, 0] ** 2)):.2g} tell" in said
    for rows, remedy in (
        (X, {key: 0.0 for key in ("l2_linear", "l2_factors") if f"{key}=" in said}),
        (X / X.std(axis=0), {}),
    ):
        better, said = fitted(name, rows, target, solver=solver, **given | remedy)
        assert said == "" or "Increase max_iter" in said
        assert better.score(rows, target) > worse.score(X, target) + 0.02


@pytest.mark.parametrize("solver", SOLVERS)
def test_small_columns_are_named_by_size(solver):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 40))
    X = rows * np.append(np.full(39, 0.15), 1e-3)
    target = rows @ np.append(np.full(39, 0.1), 2.0)
    _, said = fitted("LinearRegressor", X, target, solver=solver)
    assert "column 39 said less than possible" in said
    _, said = fitted("LinearRegressor", rows * 0.3, target, solver=solver)
    assert said == ""


def test_a_model_without_an_intercept_that_is_worse_than_a_constant_says_so():
    worse, said = fitted("LinearRegressor", Z, LINEAR + 500, fit_intercept=False)
    assert "Give fit_intercept=True" in said
    assert "learning_rate" not in said
    better, said = fitted("LinearRegressor", Z, LINEAR + 500)
    assert said == ""
    assert better.score(Z, LINEAR + 500) > 0.9 > worse.score(Z, LINEAR + 500)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_rows", [2, 3, 300])
def test_a_label_that_all_rows_have_leaves_nothing_to_say(solver, n_rows):
    X = 0.03 * Z[:n_rows]
    labels = np.column_stack([np.arange(n_rows) % 2, np.ones(n_rows, dtype=int)])
    model, said = fitted("FMClassifier", X, labels, solver=solver)
    assert said == ""
    assert (model.predict_proba(X)[:, 1] > 0.999).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_outliers", [1, 3])
@pytest.mark.parametrize("outlier", [-1e6, 1e12, 1e300])
@pytest.mark.parametrize("offset", [0, 50])
def test_a_column_whose_unit_a_few_rows_make_is_named(solver, n_outliers, outlier, offset):
    X = Z + np.array([0, offset, 0])
    X[:n_outliers, 1] = outlier
    target = Z[:, 0] + 2 * Z[:, 1]
    worse, said = fitted("FMRegressor", X, target, solver=solver)
    assert "column 1 said less than possible" in said
    assert f"as large as {outlier:.4g}" in said
    clipped = X.clip(-60, 60)
    better, said = fitted("FMRegressor", clipped, target, solver=solver)
    assert said == ""
    rest = slice(n_outliers, None)
    assert better.score(clipped[rest], target[rest]) > worse.score(X[rest], target[rest])


@pytest.mark.parametrize("solver", SOLVERS)
def test_outliers_of_a_column_that_has_nothing_to_say_are_left_alone(solver):
    X = Z.copy()
    X[0, 2] = 1e12
    assert fitted("FMRegressor", X, Z[:, 0], solver=solver)[1] == ""


def test_each_column_with_gaps_has_its_own_mean():
    X = np.column_stack([2007 + 0.5 * Z[:, 0], 293 + 0.5 * Z[:, 1], 101325 + 0.5 * Z[:, 2]])
    has_entry = np.random.default_rng(1).random(X.shape) < 0.8
    _, said = fitted("FMRegressor", X * has_entry, LINEAR, solver="adagrad")
    means = [f"{X[has_entry[:, column], column].mean():.4g}" for column in range(3)]
    named = [int(column) for column in re.findall(r"\d", said.partition(" said")[0])]
    assert len(named) > 1
    assert f"take {', '.join(means[column] for column in named)} off" in said
