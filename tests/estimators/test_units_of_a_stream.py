"""Units of the columns of a stream go on being learned: the first chunk does not decide."""

import pickle

import numpy as np
import optax
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import r2_score, roc_auc_score

import skfm
from skfm.data.statistics import StreamStatistics, column_statistics
from skfm.optim.solvers import FTRL, AdaGrad, Split, Step
from skfm.train import step
from skfm.train.state import to_numpy
from tests.estimators.problems import make

RNG = np.random.default_rng(0)
N, N_TEST, CHUNK = 800, 400, 100
STANDARD = RNG.normal(size=(N + N_TEST, 4))
# A year, a pressure, and one of small numbers.
CENTER, SCALE = np.array([0.0, 2000.0, 30.0, 0.0]), np.array([1.0, 12.0, 5.0, 1e-2])
RAW = STANDARD @ [1, 0.7, -0.5, 0.5] + STANDARD[:, 0] * (STANDARD[:, 2] - STANDARD[:, 1])
NUMBERS = 10 * RAW + 100 + RNG.normal(size=RAW.size)
LABELS = (RAW + 0.5 * RNG.normal(size=RAW.size) > 0).astype(int)
X = CENTER + SCALE * STANDARD
SETTINGS = {
    "n_factors": 4,
    "init_scale": 0.3,
    "l2_factors": 1e-4,
    "batch_size": 20,
    "dtype": "float32",
    "n_components": 2,
    "hidden_layer_sizes": (16,),
}
RATES = {"adam": 0.02, "sgd": 0.02}


def firsts():
    """Bad first chunks, by name."""
    rows = X[:CHUNK]
    return {
        "x 1e3": rows * 1e3,
        "x 1e-3": rows * 1e-3,
        "x 1e6": rows * 1e6,
        "x 1e-6": rows * 1e-6,
        "constant": np.tile(rows[:1], (CHUNK, 1)),
        "zero": np.zeros_like(rows),
        "one row": rows[:1],
        "one row x 1e3": 1e3 * rows[:1],
        "a constant year": np.where(np.arange(4) == 1, 2020.0, rows),
    }


def trained(name, first=None, size=CHUNK, n_epochs=4, container=np.asarray, **parameters):
    """A model of a stream whose first chunk is another one."""
    y, classes = target(name)
    given = {"solver": "adagrad"} | parameters
    rate = RATES.get(given["solver"], "auto") if isinstance(given["solver"], str) else "auto"
    settings = SETTINGS | {"learning_rate": rate} | given
    model = getattr(skfm, name)(random_state=0)
    model.set_params(**{key: settings[key] for key in settings.keys() & model.get_params().keys()})
    if first is not None:
        model.partial_fit(container(first), y[: len(first)], **classes)
    for _ in range(n_epochs):
        for begin in range(0, N, size):
            rows = slice(begin, min(begin + size, N))
            model.partial_fit(container(X[rows]), y[rows], **classes)
    return model


def target(name):
    return (LABELS, {"classes": [0, 1]}) if name.endswith("Classifier") else (NUMBERS, {})


def score(model, name, container=np.asarray):
    y, held_out = target(name)[0][N:], container(X[N:])
    if name.endswith("Classifier"):
        return roc_auc_score(y, model.predict_proba(held_out)[:, 1])
    return r2_score(y, model.predict(held_out))


@pytest.mark.parametrize(
    ("name", "solver", "tolerance"),
    [
        ("FMRegressor", "adagrad", 0.03),
        ("FMRegressor", "adam", 0.03),
        ("FMRegressor", "sgd", 0.03),
        ("FMRegressor", "ftrl", 0.03),
        ("FMRegressor", optax.adam(0.02), 0.03),
        ("FMClassifier", "adagrad", 0.03),
        ("LinearRegressor", "adagrad", 0.03),
        ("FFMRegressor", "adagrad", 0.03),
        ("FwFMRegressor", "adagrad", 0.03),
        ("DeepFMRegressor", "adagrad", 0.06),
        ("MixtureFMRegressor", "adagrad", 0.06),
    ],
)
def test_a_first_chunk_in_other_units_is_forgotten(name, solver, tolerance):
    best = score(trained(name, solver=solver), name)
    kinds = firsts()
    if (name, solver) != ("FMRegressor", "adagrad"):
        kinds = {kind: kinds[kind] for kind in ("x 1e3", "x 1e-6", "constant", "one row x 1e3")}
    found = {kind: score(trained(name, rows, solver=solver), name) for kind, rows in kinds.items()}
    assert min(found.values()) > best - tolerance, found


@pytest.mark.parametrize(
    ("size", "n_epochs", "container"), [(20, 2, np.asarray), (400, 4, np.asarray), (400, 4, sparse.csr_array)]
)
def test_chunks_of_other_sizes(size, n_epochs, container):
    settings = {"size": size, "n_epochs": n_epochs, "container": container, "dtype": "float64"}
    best = score(trained("FMRegressor", **settings), "FMRegressor")
    for kind in ("x 1e3", "x 1e-3", "constant"):
        assert score(trained("FMRegressor", firsts()[kind], **settings), "FMRegressor") > best - 0.05, kind


def test_a_first_chunk_of_a_table_is_forgotten():
    def of_table(rows):
        return pd.DataFrame(rows, columns=list("abcd")).assign(kind="k")

    best = score(trained("FMRegressor", container=of_table), "FMRegressor", of_table)
    kinds = ("x 1e3", "x 1e-6", "constant")
    found = {kind: trained("FMRegressor", firsts()[kind], container=of_table) for kind in kinds}
    scores = {kind: score(model, "FMRegressor", of_table) for kind, model in found.items()}
    # Constants count as rows of the table.
    assert min(scores.values()) > best - 0.05, scores


@pytest.mark.parametrize("size", [100, 300, 600])
def test_numbers_of_two_kinds_one_after_the_other(size):
    """Bins are those of all rows, however the table is cut."""
    rng = np.random.default_rng(0)
    place = rng.normal(size=600)
    table = pd.DataFrame({"v": np.append(1 + 0.2 * place, 1000 + 200 * place), "kind": "k"})
    y = np.tile(place, 2) + 0.1 * rng.normal(size=1200)
    model = skfm.FMRegressor(4, batch_size=64, dtype="float32", random_state=0)
    for _ in range(10):
        for part in np.split(np.arange(1200), range(size, 1200, size)):
            model.partial_fit(table.iloc[part], y[part])
    assert r2_score(y, model.predict(table)) > 0.8


@pytest.mark.parametrize("column", [0, 1])
def test_a_sorted_stream_ends_in_the_units_of_all_rows(column):
    model, order = make("FMRegressor", solver="adagrad"), np.argsort(X[:N, column])
    for rows in np.split(order, N // CHUNK):
        model.partial_fit(X[rows], NUMBERS[rows])
    whole = make("FMRegressor", solver="adagrad").fit(X[:N], NUMBERS[:N])._learned.parameters.units
    units = model._learned.parameters.units
    assert_allclose(units.scale, whole.scale, rtol=1e-9)
    assert_allclose(units.center, whole.center, rtol=1e-9)


# -- the function of x ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *(("FMRegressor", {"solver": solver}) for solver in ("adagrad", "adam", "sgd", "ftrl")),
        ("FMRegressor", {"solver": optax.adam(0.02), "learning_rate": 1.0}),
        ("FMRegressor", {"solver": "ftrl", "l1_linear": 0.01, "l2_linear": 0.1}),
        ("FMClassifier", {}),
        ("LinearRegressor", {}),
        ("FFMRegressor", {}),
        ("FwFMRegressor", {}),
        ("MixtureFMClassifier", {"gate": "linear+fm"}),
        ("WideDeepRegressor", {"parts": "wide"}),
    ],
)
def test_other_units_are_no_other_function(name, settings, monkeypatch):
    """But for what few rows have said, and factors that would not learn."""
    monkeypatch.setattr("skfm.train.rescale._FEW_ROWS", 0.0)
    monkeypatch.setattr("skfm.train.rescale._SMALL", 0.0)
    model = trained(name, size=200, n_epochs=4, dtype="float64", **settings)
    units, before = model._learned.parameters.units, raw(model)
    y, classes = target(name)
    # So large that columns are quite different, with a mean of y that is known.
    moved = X[:N] * [4, 1, 1, 3] + [0, 100, 0, 0]
    model.set_params(learning_rate=1e-12).partial_fit(moved, y[:N], **classes)
    now = model._learned.parameters.units
    assert (np.abs(now.scale / units.scale - 1) > 0.2).sum() >= 3
    assert abs(now.center[1] - units.center[1]) > 10
    difference = raw(model) - before
    assert_allclose(
        difference, np.broadcast_to(difference.mean(), difference.shape), atol=1e-6 * before.std()
    )


def raw(model):
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


def test_what_a_few_rows_say_of_small_values_is_no_guide():
    """Weights of a thousand a unit, learned from values of a thousandth, would be off by a thousand."""
    rows = X[:CHUNK] * 1e-3
    model = make("FMRegressor", solver="adagrad", dtype="float64").partial_fit(rows, NUMBERS[:CHUNK])
    model.set_params(learning_rate=1e-12).partial_fit(X[:CHUNK], NUMBERS[:CHUNK])
    assert np.abs(model.predict(X) - NUMBERS.mean()).max() < 10 * NUMBERS.std()


def test_an_outlier_does_not_undo_what_many_rows_have_said():
    model = trained("LinearRegressor", dtype="float64")
    before = model.predict(X)
    model.set_params(learning_rate=1e-12).partial_fit(X[:1] * [30, 1, 1, 1], NUMBERS[:1])
    assert r2_score(before, model.predict(X)) > 0.99


def test_the_same_rows_leave_units_as_they_are():
    model = make("FMRegressor", solver="adagrad").partial_fit(X, NUMBERS)
    units = model._learned.parameters.units
    for _ in range(3):
        model.partial_fit(X, NUMBERS)
    assert_array_equal(model._learned.parameters.units.scale, units.scale)
    assert_array_equal(model._learned.parameters.units.center, units.center)


def test_shared_rows_and_new_columns_of_tables():
    table = pd.DataFrame({"a": ["x", "y", "z", "x"] * 100, "b": np.arange(400.0) ** 2})
    model = make("FMRegressor", solver="adagrad", encoder=skfm.FieldEncoder(numeric_encoding="value"))
    for begin in (0, 50, 200):
        rows = table[begin : begin + 150]
        model.partial_fit(rows.assign(b=rows["b"] + begin), NUMBERS[begin : begin + 150][: len(rows)])
    assert np.isfinite(model.predict(table)).all()


# -- sessions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "ftrl"])
def test_pickled_sessions_go_on_the_same(solver):
    first = make("FMRegressor", solver=solver).partial_fit(X[:CHUNK] * 1e-3, NUMBERS[:CHUNK])
    copied = pickle.loads(pickle.dumps(first))
    rows = slice(CHUNK, 2 * CHUNK)
    found = [model.partial_fit(X[rows], NUMBERS[rows]).predict(X) for model in (first, copied)]
    assert_array_equal(*found)


def test_a_call_that_fails_changes_no_units():
    model = make("FMRegressor", solver="adagrad").partial_fit(X[:CHUNK], NUMBERS[:CHUNK])
    before = model.predict(X)
    units = model._learned.parameters.units
    with pytest.raises(ValueError, match="diverged"):
        model.set_params(solver="sgd").set_params(solver="adagrad", learning_rate=1e250).partial_fit(
            X[:CHUNK] * 1e3, NUMBERS[:CHUNK]
        )
    assert_array_equal(model.predict(X), before)
    assert model._learned.parameters.units is units


def test_other_units_take_no_program():
    model = make("FMRegressor", solver="adagrad").partial_fit(X[:CHUNK], NUMBERS[:CHUNK])
    before = step.n_traces
    for factor in (1e3, 1e-3, 1.0):
        model.partial_fit(X[:CHUNK] * factor, NUMBERS[:CHUNK])
    assert step.n_traces == before


@pytest.mark.parametrize("solver", [FTRL(), Split(FTRL(), AdaGrad(), 3)], ids=["ftrl", "split"])
def test_states_of_weights_that_were_changed(solver):
    """The next step starts from these weights, under the penalty of the new units."""
    lanes = (slice(None),) if isinstance(solver, FTRL) else (slice(None), slice(3))
    weights = RNG.normal(size=(5, 4)).astype(np.float32)
    solver = solver.for_step(np.float32(1), np.float32(1))
    state, charge = solver.init(weights, 0.1), np.full((5, 4), 0.01, np.float32)
    for number in range(1, 4):
        gradient = RNG.normal(size=(5, 4)).astype(np.float32)
        moment = Step(np.float32(0.1), np.int32(number))
        weights, state = to_numpy(solver.update(weights, gradient, state, moment, charge, charge))
    changed = weights * np.float32(0.3)
    changed[0] = weights[0]
    ratio = np.array([1, 0.5, 0.5, 2, 2], np.float32)[:, None]
    state = solver.moved(state, weights, changed, ratio)
    found, _ = to_numpy(solver.update(changed, 0 * changed, state, Step(0.0, np.int32(4)), charge, charge))
    assert_allclose(found[lanes], changed[lanes], rtol=1e-5)
    of_table = state if isinstance(solver, FTRL) else state["first"]
    assert_allclose(of_table["l2"], 0.003 / ratio**2 * np.ones_like(of_table["l2"]), rtol=1e-5)


# -- statistics ----------------------------------------------------------------------------------------


def stream(*chunks):
    found = [column_statistics(sparse.csr_array(chunk), np.ones(len(chunk))) for chunk in chunks]
    known = StreamStatistics.of(found[0])
    for chunk in found[1:]:
        known = known.then(chunk)
    return known.total


def test_statistics_of_a_stream_are_those_of_all_rows():
    whole = column_statistics(sparse.csr_array(X), np.ones(len(X)))
    for n_chunks in (3, 12, 171):
        found = stream(*np.array_split(X, n_chunks))
        for ours, theirs in zip(found, whole, strict=True):
            assert_allclose(ours, theirs, rtol=1e-9)


def test_statistics_count_rows():
    ones = sparse.csr_array(np.eye(4))
    first, later = column_statistics(ones, np.full(4, 2.0)), column_statistics(ones, np.full(4, 1e3))
    assert_array_equal(StreamStatistics.of(first).then(later).total.n_rows, 8)
    assert_array_equal(StreamStatistics.of(first).n_touching, 1)
    assert later.mean_weight == 1e3


@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e3])
def test_weights_of_a_later_chunk_do_not_say_how_many_rows_came_before(weight):
    model = trained("FMRegressor", dtype="float64")
    best = score(model, "FMRegressor")
    model.set_params(learning_rate=1e-12)
    model.partial_fit(X[:CHUNK] * [3, 1, 1, 3], NUMBERS[:CHUNK], sample_weight=np.full(CHUNK, weight))
    assert score(model, "FMRegressor") > best - 0.02


@pytest.mark.parametrize("factor", [1e-6, 1e-2, 30.0, 1e6, 1e200])
@pytest.mark.parametrize("size", [20, 100, 400])
def test_first_rows_in_other_units_are_outvoted(factor, size):
    units = stream(factor * X[:100], *np.split(X[:N], N // size)).units()
    assert_allclose(units.scale, stream(X[:N]).units().scale, rtol=0.1)


@pytest.mark.parametrize("weight", [1e-3, 1e3])
def test_rows_outvote_rows_whatever_they_weigh(weight):
    first, later = sparse.csr_array(1e3 * X[:100]), sparse.csr_array(X[100:300])
    known = StreamStatistics.of(column_statistics(first, np.full(100, weight)))
    found = known.then(column_statistics(later, np.ones(200))).total
    alone = column_statistics(later, np.ones(200))
    assert_allclose(found.units().scale, alone.units().scale, rtol=1e-9)
    assert_allclose(found.units().center, alone.units().center, rtol=1e-9)
    assert_allclose(found.squares / found.touched, alone.squares / alone.touched, rtol=1e-9)
    assert_allclose(found.weight, 100 * weight + 200)


@pytest.mark.parametrize(("n_touching", "outvotes"), [(4, False), (8, True)])
def test_few_rows_that_touch_a_column_outvote_nothing(n_touching, outvotes):
    rows = np.zeros((60, 2))
    rows[:, 0] = 1 + np.arange(60)
    first, later = rows.copy(), rows.copy()
    first[:6, 1], later[:n_touching, 1] = 1e3 + np.arange(6), 1 + np.arange(n_touching)
    scale = stream(first, later).scale()[1]
    assert (scale < 10) == outvotes


def test_a_few_large_values_later_do_count():
    """As in a fit of all rows."""
    rows = X.copy()
    rows[N, 0] = 1e4
    assert_allclose(stream(*np.split(rows, 12)).scale(), stream(rows).scale(), rtol=1e-9)
