"""A fit that starts from other weights is in the units of its own rows, and the weights are read in them."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from skfm import FieldEncoder
from tests.estimators.problems import make

pytestmark = pytest.mark.filterwarnings("ignore:.*max_iter:sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N = 500
STANDARD = RNG.normal(size=(N, 2))
X = STANDARD * [5, 1] + [2000, 0]
Y = STANDARD[:, 0] * STANDARD[:, 1]
LABELS = (RNG.normal(scale=0.1, size=N) < Y).astype(int)
# The first fit of two, by name.
FIRSTS = {
    "x0 - 1000": (X - [1000, 0], Y),
    "x0 / 10": (X * [0.1, 1], Y),
    "1e-3 x": (X * 1e-3, Y),
    "1e3 x": (X * 1e3, Y),
    "a constant": (np.where([True, False], 2020.0, X), Y),
    "zeros": (X * [0, 1], Y),
    "1e6 y": (X, 1e6 * Y),
    "1e-6 y": (X, 1e-6 * Y),
    "y + 1e6": (X, Y + 1e6),
}
SETTINGS = {
    "lbfgs": {"max_iter": 200},
    "adam": {"max_iter": 60, "learning_rate": 0.05, "batch_size": 50},
    "adagrad": {"max_iter": 60, "batch_size": 50},
    "ftrl": {"max_iter": 60, "batch_size": 50},
}


def second(name, first, then, how, **settings):
    """The second of two fits."""
    if how == "warm_start":
        return make(name, warm_start=True, **settings).fit(*first).fit(*then)
    return make(name, init_from=make(name, **settings).fit(*first), **settings).fit(*then)


def raw(model, rows):
    return model.decision_function(rows) if hasattr(model, "decision_function") else model.predict(rows)


@pytest.mark.parametrize("how", ["warm_start", "init_from"])
@pytest.mark.parametrize(
    ("name", "solver", "kinds"),
    [
        ("FMRegressor", "lbfgs", FIRSTS),
        ("FMRegressor", "adagrad", ["x0 / 10", "1e3 x", "a constant", "zeros", "1e-6 y"]),
        ("FMRegressor", "adam", ["x0 - 1000", "x0 / 10", "1e6 y"]),
        ("FMRegressor", "ftrl", ["x0 - 1000", "1e-3 x", "y + 1e6"]),
        ("FFMRegressor", "lbfgs", ["x0 - 1000", "x0 / 10", "1e6 y"]),
        ("DeepFMRegressor", "lbfgs", ["x0 - 1000", "1e3 x", "1e6 y", "y + 1e6"]),
        ("DeepFMRegressor", "adam", ["x0 - 1000", "x0 / 10", "y + 1e6"]),
        ("NFMRegressor", "adam", ["1e6 y", "y + 1e6"]),
    ],
)
def test_a_second_fit_ends_where_a_first_one_does(name, solver, kinds, how):
    settings = {"solver": solver, "early_stopping": False} | SETTINGS[solver]
    if name.startswith("Deep"):
        settings |= {"hidden_layer_sizes": (16,)}
    if name.startswith("NFM"):
        settings |= {"hidden_layer_sizes": (32,), "learning_rate": 0.01, "n_factors": 8}
    with warnings.catch_warnings():
        # A constant column has nothing to say.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = {kind: second(name, FIRSTS[kind], (X, Y), how, **settings) for kind in kinds}
    scores = {kind: r2_score(Y, model.predict(X)) for kind, model in found.items()}
    assert min(scores.values()) > 0.95, scores


@pytest.mark.parametrize("how", ["warm_start", "init_from"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_units_are_those_of_the_rows(how, container):
    settings = {"solver": "adagrad"}
    first, then = (container(X - [1000, 0]), Y), (container(X * [1, 3]), Y)
    found = second("FMRegressor", first, then, how, **settings)._learned.parameters.units
    expected = make("FMRegressor", **settings).fit(*then)._learned.parameters.units
    assert_allclose(found.center, expected.center, rtol=1e-9)
    assert_allclose(found.scale, expected.scale, rtol=1e-9)


@pytest.mark.parametrize("solver", ["lbfgs", "adagrad"])
def test_the_same_rows_leave_units_as_they_are(solver):
    model = make("FMRegressor", solver=solver, warm_start=True).fit(X, Y)
    before = model._learned
    model.fit(X[::-1], Y[::-1])
    now = model._learned
    assert_array_equal(now.parameters.units.center, before.parameters.units.center)
    assert_array_equal(now.parameters.units.scale, before.parameters.units.scale)
    assert_array_equal(now.targets.scale, before.targets.scale)


NETWORK = {"hidden_layer_sizes": (6, 4), "activation": "tanh"}
TAKES_SHIFT = [
    ("LinearRegressor", {}),
    ("FMRegressor", {}),
    ("FMClassifier", {}),
    ("FFMRegressor", {}),
    ("FwFMRegressor", {}),
    ("MixtureFMClassifier", {}),
    ("DeepFMRegressor", NETWORK),
    ("DeepFMClassifier", NETWORK),
    ("DeepFMRegressor", {"hidden_layer_sizes": ()}),
    ("FNNRegressor", NETWORK),
    ("WideDeepRegressor", NETWORK),
    ("WideDeepRegressor", NETWORK | {"parts": "deep"}),
    ("DeepCrossingRegressor", NETWORK),
    ("DeepCrossingRegressor", {"hidden_layer_sizes": ()}),
    ("FinalMLPRegressor", {}),
    ("FinalMLPRegressor", {"gate": None}),
]
OTHERS = ["NFMRegressor", "AFMRegressor", "PNNRegressor", "DCNRegressor", "XDeepFMRegressor"]


@pytest.mark.parametrize("call", ["fit", "partial_fit", "partial_fit thrice"])
@pytest.mark.parametrize(
    ("name", "settings", "size"),
    [
        *((name, settings, 6) for name, settings in TAKES_SHIFT),
        *((name, {}, 0.7) for name in OTHERS),
        ("FMRegressor", {"degree": 3}, 0.7),
        ("FinalMLPRegressor", {"gate": "row"}, 0.7),
    ],
)
def test_other_units_are_no_other_function(name, settings, size, call, monkeypatch):
    """Whether or not the model takes the shift of a center."""
    monkeypatch.setattr("skfm.train.rescale._FEW_ROWS", 0.0)
    monkeypatch.setattr("skfm.train.rescale._SMALL", 0.0)
    y = LABELS if name.endswith("Classifier") else Y
    known = {"solver": "adam", "learning_rate": 0.02, "dtype": "float64", "max_iter": 5, "batch_size": 50}
    model = make(name, warm_start=True, early_stopping=False, **known, **settings)
    train = model.partial_fit if call.startswith("partial_fit") else model.fit
    for _ in range(3 if call == "partial_fit thrice" else 1):
        model.fit(X, y) if call == "partial_fit" else train(X, y)
    units, before = model._learned.parameters.units, raw(model, X)
    model.set_params(learning_rate=1e-15, max_iter=1)
    others = X * [1, 2.5] + [size * 5, 0]
    train(others, y)
    now = model._learned.parameters.units
    assert abs(now.scale[1] / units.scale[1] - 1) > 0.3
    assert (abs(now.center[0] - units.center[0]) > 1) == (size > 1)
    difference = raw(model, X) - before
    assert_allclose(difference - difference.mean(), 0, atol=1e-7 * before.std())


def test_columns_that_are_new_or_silent():
    """Of a column that says nothing in the second fit the weights wait for the third."""
    settings = {"solver": "lbfgs", "max_iter": 200}
    more = np.column_stack([X, RNG.normal(50, 3, N), np.zeros(N)])
    late = np.column_stack([X, np.zeros(N), RNG.normal(50, 3, N)])
    y = Y + (late[:, 3] - 50) / 3
    model = make("FMRegressor", warm_start=True, **settings).fit(more, Y)
    for rows in (late, more + late * [0, 0, 0, 1], late):
        model.fit(rows, y)
        assert r2_score(y, model.predict(rows)) > 0.99
    fresh = make("FMRegressor", **settings).fit(late, y)._learned.parameters.units
    assert_allclose(model._learned.parameters.units.center, fresh.center, rtol=1e-9)


def test_columns_of_zeros_keep_their_weights():
    rows = np.column_stack([STANDARD, RNG.exponential(3, N) * (RNG.random(N) < 0.3)])
    y = rows[:, 0] + rows[:, 2]
    model = make("LinearRegressor", warm_start=True, solver="lbfgs").fit(rows, y)
    before = model.coef_.copy()
    model.fit(rows * [1, 1, 0], 2 * rows[:, 0])
    assert_allclose(model.coef_[..., 2], before[..., 2], rtol=1e-9)


def with_shared_tables(rows):
    """A table in which two columns share a table."""
    a, b = np.random.default_rng(1).choice(list("xyz"), (2, N))
    return pd.DataFrame({"value": rows[:, 0], "a": a, "b": b, "c": rows[:, 1]})


SHARED = FieldEncoder(numeric_encoding="value", shared={"a": ["a", "b"]})


@pytest.mark.parametrize("name", ["FMRegressor", "FFMRegressor", "DeepFMRegressor"])
def test_a_second_fit_of_columns_that_share_tables(name):
    first, table = with_shared_tables(X - [6.5, 0]), with_shared_tables(X)
    settings = {"solver": "lbfgs", "max_iter": 200, "encoder": SHARED, "l2_factors": 1e-6}
    model = make(name, warm_start=True, **settings).fit(first, Y).fit(table, Y)
    assert model._learned.parameters.units.center is not None
    assert r2_score(Y, model.predict(table)) > 0.9


@pytest.mark.parametrize("name", ["FMRegressor", "DeepFMRegressor"])
def test_columns_that_share_tables_are_no_other_function(name, monkeypatch):
    monkeypatch.setattr("skfm.train.rescale._FEW_ROWS", 0.0)
    settings = {"solver": "adam", "encoder": SHARED, "dtype": "float64", "early_stopping": False}
    table = with_shared_tables(X)
    model = make(name, warm_start=True, learning_rate=0.02, **settings).fit(table, Y)
    before = model.predict(table)
    model.set_params(learning_rate=1e-15).fit(with_shared_tables(np.add(X, [6.5, 1])), Y)
    assert model._learned.parameters.units.center is not None
    difference = model.predict(table) - before
    assert_allclose(difference - difference.mean(), 0, atol=1e-7 * before.std())


@pytest.mark.parametrize("how", ["warm_start", "init_from"])
@pytest.mark.parametrize("factor", [1e6, 0.01, 1e120])
def test_counts_in_other_units(factor, how):
    counts = np.random.default_rng(2).poisson(np.exp(1 + Y / 2))
    settings = {"loss": "poisson", "solver": "adagrad"} | SETTINGS["adagrad"]
    model = second("FMRegressor", (X, factor * counts), (X, counts), how, **settings)
    fresh = make("FMRegressor", **settings).fit(X, counts)
    assert abs(r2_score(counts, model.predict(X)) - r2_score(counts, fresh.predict(X))) < 0.05


def test_early_stopping_in_the_second_fit():
    settings = {"solver": "adagrad", "max_iter": 60, "batch_size": 50, "early_stopping": True}
    model = make("FMRegressor", warm_start=True, **settings).fit(X - [1000, 0], 1e6 * Y).fit(X, Y)
    assert r2_score(Y, model.predict(X)) > 0.95


@pytest.mark.parametrize("solver", ["lbfgs", "adagrad"])
@pytest.mark.parametrize("kind", ["x0 - 1000", "1e-3 x"])
def test_units_go_on_being_learned_after_a_fit(solver, kind):
    """The rows of the fit are the first of the stream."""
    first, y = FIRSTS[kind]
    model = make("FMRegressor", solver=solver, batch_size=50, max_iter=60, l2_linear=1 / N)
    with warnings.catch_warnings():
        # Penalties leave little of columns of small values.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(first[:200], y[:200])
    model.set_params(solver="adagrad")
    for _ in range(60):
        for rows in np.split(np.arange(N), 5):
            model.partial_fit(X[rows], Y[rows])
    assert r2_score(Y, model.predict(X)) > 0.9


def test_units_after_a_fit_are_those_of_all_rows():
    model = make("FMRegressor", solver="adagrad").fit(X[:300], Y[:300]).partial_fit(X[300:] + 1, Y[300:])
    rows = np.concatenate([X[:300], X[300:] + 1])
    whole = make("FMRegressor", solver="adagrad").fit(rows, np.append(Y[:300], Y[300:]))
    units, expected = (one._learned.parameters.units for one in (model, whole))
    assert_allclose(units.scale, expected.scale, rtol=1e-3)
    assert_allclose(units.center, expected.center, rtol=1e-6)


def test_a_second_fit_that_learns_nothing_says_so():
    settings = {"solver": "lbfgs", "max_iter": 50, "l2_factors": 1e4, "l2_linear": 1e9}
    model = make("FMRegressor", warm_start=True, solver="lbfgs").fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="neither warm_start nor init_from"):
        model.set_params(**settings).fit(X, Y)


@pytest.mark.parametrize(("name", "y"), [("FMRegressor", Y), ("FMClassifier", LABELS)])
def test_one_row_after_init_from_is_one_row_after_its_fit(name, y):
    source = make(name, solver="lbfgs").fit(STANDARD, y)
    begun = make(name, solver="adagrad", init_from=source)
    gone_on = make(name, solver="lbfgs").fit(STANDARD, y).set_params(solver="adagrad")
    for model in (begun, gone_on):
        model.partial_fit(STANDARD[:1], y[:1], **({} if "Regressor" in name else {"classes": [0, 1]}))
        moved = np.abs(raw(model, STANDARD) - raw(source, STANDARD)).max()
        assert moved < 0.05 * np.ptp(raw(source, STANDARD))
    assert_allclose(raw(begun, STANDARD), raw(gone_on, STANDARD), rtol=0.05, atol=0.05)


# -- tables ------------------------------------------------------------------------------------------

DAY = np.datetime64("2020-01-01")
# What a column of numbers holds, by name.
NUMBERS = {
    "value": lambda numbers: numbers,
    "bins": lambda numbers: numbers,
    "both": lambda numbers: numbers,
    "whole numbers": lambda numbers: np.round(10 * numbers).astype(int),
    "dates": lambda numbers: DAY + np.round(numbers).astype("timedelta64[D]"),
    "times": lambda numbers: DAY + np.round(86400 * numbers).astype("timedelta64[s]"),
}


def rows_of_table(kind, center, scale=5.0):
    """A table whose first column says the same of y, wherever it lies."""
    number = NUMBERS[kind](center + scale * STANDARD[:, 0])
    # A product with signs, so that bins alone can tell it.
    sign = np.where(STANDARD[:, 1] > 0, 1.0, -1.0)
    table = {"x0": number, "x1": np.where(sign > 0, "up", "down")}
    return pd.DataFrame(table), sign * STANDARD[:, 0]


def encoder_of(kind):
    return FieldEncoder(numeric_encoding=kind if kind in ("value", "bins") else "both")


@pytest.mark.parametrize("how", ["warm_start", "init_from"])
@pytest.mark.parametrize("name", ["FMRegressor", "FMRegressor adagrad", "DeepFMRegressor"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_second_fit_of_a_table_ends_where_a_first_one_does(kind, name, how):
    name, *solver = name.split()
    solver = solver[0] if solver else "lbfgs"
    settings = {"solver": solver, "early_stopping": False, "encoder": encoder_of(kind)} | SETTINGS[solver]
    if name.startswith("Deep"):
        settings |= {"hidden_layer_sizes": (8,)}
    firsts = [rows_of_table(kind, *first) for first in [(1000,), (4000, 60.0), (2008, 20.0)]]
    then = table, y = rows_of_table(kind, 2000)
    scores = [r2_score(y, second(name, first, then, how, **settings).predict(table)) for first in firsts]
    fresh = r2_score(y, make(name, **settings).fit(*then).predict(table))
    assert min(scores) > fresh - 0.03 > 0.8


@pytest.mark.parametrize("kind", ["value", "both", "whole numbers"])
def test_fits_of_tables_again_and_again(kind):
    model = make("FMRegressor", warm_start=True, solver="lbfgs", encoder=encoder_of(kind), max_iter=200)
    for center in (1000, 2000, 2000, 1500, 1000):
        table, y = rows_of_table(kind, center)
        assert r2_score(y, model.fit(table, y).predict(table)) > 0.9


@pytest.mark.parametrize("kind", ["value", "both", "whole numbers"])
def test_a_fit_of_a_stream_of_tables(kind):
    settings = {"solver": "lbfgs", "encoder": encoder_of(kind), "max_iter": 200, "dtype": "float64"}
    first, (table, y) = rows_of_table(kind, 1000), rows_of_table(kind, 2000)
    chunks = [(table[rows], y[rows]) for rows in (slice(200), slice(200, None))]
    model = make("FMRegressor", warm_start=True, **settings).fit(*first).fit(chunks)
    whole = make("FMRegressor", warm_start=True, **settings).fit(*first).fit(table, y)
    assert_array_equal(model.predict(table), whole.predict(table))
    assert r2_score(y, model.predict(table)) > 0.9


@pytest.mark.parametrize("solver", ["lbfgs", "adagrad"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_the_same_rows_leave_the_encoder_as_it_is(kind, solver):
    """The rare value has two rows, in both calls."""
    table, y = rows_of_table(kind, 1000)
    table.loc[:1, "x1"] = "rare"
    settings = {"solver": solver, "encoder": encoder_of(kind), "early_stopping": False}
    model = make("FMRegressor", warm_start=True, **settings).fit(table, y)
    before, encoded = model._learned, model.encoder_.transform(table)
    model.fit(table[::-1], y[::-1])
    assert_array_equal(model.encoder_.transform(table).toarray(), encoded.toarray())
    n = model.encoder_.fields_.size
    assert_array_equal(model._learned.parameters.units.arrays(n), before.parameters.units.arrays(n))


@pytest.mark.parametrize("how", ["warm_start", "init_from"])
def test_numbers_are_in_units_of_the_rows_and_categories_keep_their_columns(how):
    first, y = rows_of_table("both", 1000)
    table = first.assign(x0=2000 + 3 * STANDARD[:, 0], x1=["new", "up"] * (N // 2))
    model = second("FMRegressor", (first, y), (table, y), how, solver="lbfgs", encoder=FieldEncoder())
    alone = FieldEncoder().fit(table)
    value = alone.get_feature_names_out().tolist().index("x0")
    names = model.encoder_.get_feature_names_out().tolist()
    assert {"x1=up", "x1=down", "x1=new"} <= set(names)
    found = model.encoder_.transform(table)[:, [names.index("x0")]]
    assert_allclose(found.toarray(), alone.transform(table)[:, [value]].toarray())
    bins = [names.index(name) for name in names if name.startswith("x0:(")]
    rows_a_bin = model.encoder_.transform(table)[:, bins].sum(axis=0)
    assert len(bins) == 32
    assert rows_a_bin.max() < 2 * N / 32


@pytest.mark.parametrize("begun_by", ["fit", "fit with warm_start", "init_from"])
@pytest.mark.parametrize("kind", ["value", "whole numbers", "dates"])
def test_numbers_go_on_being_learned_after_a_fit(kind, begun_by):
    """From as many rows as it had."""
    settings = {"encoder": encoder_of(kind), "batch_size": 50, "solver": "adagrad"}
    first, (table, y) = rows_of_table(kind, 1000), rows_of_table(kind, 2000)
    model = make("FMRegressor", warm_start=begun_by == "fit with warm_start", **settings).fit(*first)
    if begun_by == "init_from":
        model = make("FMRegressor", init_from=model, **settings)
    for _ in range(40):
        for rows in (slice(250), slice(250, None)):
            model.partial_fit(table[rows], y[rows])
    assert r2_score(y, model.predict(table)) > 0.8


def test_numbers_that_are_missing_or_all_the_same_say_nothing():
    settings = {"solver": "lbfgs", "encoder": FieldEncoder(), "warm_start": True, "max_iter": 200}
    table, y = rows_of_table("both", 1000)
    model = make("FMRegressor", **settings).fit(table, y)
    for nothing in (table.assign(x0=np.nan), table.assign(x0=1003.0)):
        model.fit(nothing, y)
        assert r2_score(y, model.fit(table, y).predict(table)) > 0.9


def test_empty_bins_stand_for_numbers_in_them():
    """Some edges of before stay where few rows need fewer bins."""
    settings = {"encoder": FieldEncoder(numeric_encoding="bins", min_frequency=3), "warm_start": True}
    first, y = rows_of_table("bins", 1000)
    model = make("FMRegressor", **settings).fit(first, y).fit(first[:40].assign(x0=np.arange(40.0)), y[:40])
    # The lowest share a bin with numbers of the second fit.
    table = first[first["x0"] > first["x0"].quantile(0.1)]
    decoded = model.encoder_.inverse_transform(model.encoder_.transform(table))[:, 0].astype(float)
    assert np.all(np.abs(decoded - table["x0"]) < 30)


def test_few_rows_in_about_the_same_units_leave_the_function_as_it_is():
    rows = STANDARD[:3]
    first = make("FMRegressor", solver="lbfgs").fit(rows, Y[:3])
    settings = {"solver": "adagrad", "learning_rate": 1e-12, "max_iter": 1, "early_stopping": False}
    then = make("FMRegressor", init_from=first, **settings).fit(rows * 1.4, Y[:3])
    assert_allclose(raw(then, STANDARD), raw(first, STANDARD), rtol=1e-5, atol=1e-6)
