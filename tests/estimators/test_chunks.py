"""A stream ends near the same model, however it is cut into chunks and whatever the first of them says."""

import pickle
from functools import cache

import numpy as np
import optax
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from skfm import ESMMClassifier, FMClassifier, FMRegressor, LinearClassifier, MixtureFMClassifier

N = 1200
RNG = np.random.default_rng(0)
# Signs: their scale is the same in any chunk.
X = RNG.choice([-1.0, 1.0], size=(N, 4))
RAW = X[:, 0] - 0.7 * X[:, 1] + X[:, 2] * X[:, 3]
NOISE = RNG.normal(size=N)
RARE = (RNG.random(N) < 1 / (1 + np.exp(3.0 - 1.5 * RAW))).astype(int)
CLICK = (RNG.random(N) < 1 / (1 + np.exp(1 - RAW))).astype(int)
NUMBERS = 1e3 * (RAW + 0.3 * NOISE) + 5e3
SETTINGS = {
    "n_factors": 2,
    "init_scale": 0.3,
    "l2_linear": 1e-3,
    "l2_factors": 1e-3,
    "batch_size": 100,
    # Else the first chunk decides, and programs differ.
    "dtype": "float32",
}
TARGETS = {
    "binary": (FMClassifier, {}, RARE),
    "softmax": (FMClassifier, {}, np.digitize(RAW + NOISE, [-1.5, 1.0])),
    "multilabel": (FMClassifier, {}, np.column_stack([RARE, RAW + NOISE > 0]).astype(int)),
    "esmm": (ESMMClassifier, {"tower": "fm"}, np.column_stack([CLICK, CLICK * (NOISE > 0.5)])),
    "squared_error": (FMRegressor, {}, NUMBERS),
    "absolute_error": (FMRegressor, {"loss": "absolute_error"}, NUMBERS),
    "huber": (FMRegressor, {"loss": "huber"}, NUMBERS),
    "quantile": (FMRegressor, {"loss": "quantile", "quantile": 0.9}, NUMBERS),
    "poisson": (FMRegressor, {"loss": "poisson"}, RNG.poisson(np.exp(0.5 * RAW)).astype(float)),
}


HUNDREDS = range(100, N, 100)


def parts_of(y):
    """Several cuts of the rows, by name."""
    rows = np.arange(N)
    kind = y.reshape(N, -1).sum(axis=1)
    alike = np.flatnonzero(kind == kind.min())[:30]
    return {
        "five rows": np.split(rows, [5, *HUNDREDS]),
        "one kind": np.split(np.append(alike, np.setdiff1d(rows, alike)), [alike.size, *HUNDREDS]),
        "one row": [rows[:1], rows[1:]],
        "small": np.split(rows, range(20, N, 20)),
    }


def trained(kind, parts, solver, n_epochs=6, **more):
    estimator, settings, y = TARGETS[kind]
    rate = {"adam": 0.02, "sgd": 0.02}.get(solver, "auto") if isinstance(solver, str) else "auto"
    model = estimator(**SETTINGS, **settings, **more, solver=solver, learning_rate=rate, random_state=0)
    classes = {"classes": np.unique(y)} if kind in ("binary", "softmax") else {}
    for _ in range(n_epochs):
        for part in parts:
            model.partial_fit(X[part], y[part], **classes)
        model = pickle.loads(pickle.dumps(model)) if isinstance(solver, str) else model
    return model


def says(kind, model):
    """Mean predictions, and how well they rank or fit."""
    y = TARGETS[kind][2]
    if hasattr(model, "predict_proba"):
        found = model.predict_proba(X)
        of_one = found[:, -1] if y.ndim == 1 else found[:, 0]
        label = y == y.max() if y.ndim == 1 else y[:, 0]
        return found.mean(axis=0), roc_auc_score(label, of_one)
    found = model.predict(X)
    unit = NUMBERS.std() if y is NUMBERS else 1.0
    return found.mean(keepdims=True) / unit, r2_score(y, found)


@cache
def says_of_hundreds(kind, solver="adagrad"):
    """What a model says that was trained in chunks of a hundred rows, to compare others with."""
    return says(kind, trained(kind, np.split(np.arange(N), HUNDREDS), solver))


@pytest.mark.parametrize(
    ("kind", "solver", "n_cuts"),
    [
        ("binary", "adagrad", 4),
        ("squared_error", "adagrad", 4),
        *((kind, "adagrad", 2) for kind in TARGETS if kind not in ("binary", "squared_error")),
        *(("binary", solver, 1) for solver in ("adam", "sgd", "ftrl", optax.adam(0.02))),
        *(("quantile", solver, 1) for solver in ("adam", "ftrl")),
    ],
)
def test_a_stream_ends_near_the_same_model_however_it_is_cut(kind, solver, n_cuts):
    whole, score = says_of_hundreds(kind, solver)
    tolerance = 0.1 if kind in ("quantile", "poisson") else 0.05
    for name, parts in list(parts_of(TARGETS[kind][2]).items())[:n_cuts]:
        mean, found = says(kind, trained(kind, parts, solver))
        np.testing.assert_allclose(mean, whole, atol=tolerance, err_msg=name)
        assert found > score - 0.03, name


@pytest.mark.parametrize(
    ("factor", "shift"), [(1e-6, 0.0), (1e-3, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 3e4)], ids=str
)
@pytest.mark.parametrize("kind", ["squared_error", "quantile"])
def test_a_first_chunk_in_other_units_is_forgotten(kind, factor, shift):
    parts = np.split(np.arange(N), HUNDREDS)
    whole, score = says_of_hundreds(kind)
    estimator, settings, y = TARGETS[kind]
    model = estimator(**SETTINGS, **settings, solver="adagrad", random_state=0)
    model.partial_fit(X[:5], factor * y[:5] + shift)
    for _ in range(6):
        for part in parts:
            model.partial_fit(X[part], y[part])
    mean, found = says(kind, model)
    np.testing.assert_allclose(mean, whole, atol=0.1)
    assert found > score - 0.03


@pytest.mark.parametrize(
    ("kind", "place", "factor", "shift", "weight"),
    [
        *(
            (kind, 0, 1e3, 0.0, weight)
            for kind in ("squared_error", "huber", "quantile")
            for weight in (1, 1e3)
        ),
        *(("squared_error", place, *units, 1) for place in (0, 5) for units in [(1e6, 0.0), (1.0, 1e9)]),
        ("squared_error", 5, 1e3, 0.0, 1),
    ],
)
def test_a_chunk_of_y_in_other_units_is_outvoted(kind, place, factor, shift, weight):
    parts = np.split(np.arange(N), HUNDREDS)
    whole, score = says_of_hundreds(kind)
    estimator, settings, y = TARGETS[kind]
    model = estimator(**SETTINGS, **settings, solver="adagrad", random_state=0)
    for number, part in enumerate(parts * 6):
        bad = number == place
        own = np.full(part.size, weight if bad else 1.0)
        model.partial_fit(X[part], y[part] * (factor if bad else 1) + shift * bad, sample_weight=own)
    mean, found = says(kind, model)
    np.testing.assert_allclose(mean, whole, atol=0.15)
    assert found > score - 0.05


def test_a_first_chunk_of_extreme_counts_does_not_decide():
    whole, score = says_of_hundreds("poisson")
    estimator, settings, y = TARGETS["poisson"]
    model = estimator(**SETTINGS, **settings, solver="adagrad", random_state=0)
    model.partial_fit(X[:100], y[:100] * 1e12)
    for part in np.split(np.arange(N), HUNDREDS) * 6:
        model.partial_fit(X[part], y[part])
    mean, found = says("poisson", model)
    np.testing.assert_allclose(mean, whole, atol=0.1)
    assert found > score - 0.05


def test_two_kinds_of_y_one_after_the_other_have_the_units_of_all_rows():
    """They do not outvote each other in turn."""
    y = np.append(NUMBERS[:600], NUMBERS[600:] * 100)
    model, scales = FMRegressor(2, random_state=0), []
    for part in [*np.split(np.arange(N), [600])] * 6:
        model.partial_fit(X[part], y[part])
        scales.append(model._learned.targets.scale[0])
    assert 0.5 * y.std() < min(scales[3:]) <= max(scales[3:]) < 2 * y.std()


@pytest.mark.parametrize(
    "model",
    [
        LinearClassifier(random_state=0),
        FMClassifier(2, random_state=0),
        FMClassifier(2, solver="adam", random_state=0),
        FMClassifier(2, solver="ftrl", random_state=0),
        MixtureFMClassifier(2, 2, random_state=0),
    ],
)
def test_a_first_chunk_of_one_class_does_not_decide(model):
    order = np.argsort(RARE, kind="stable")
    rows = np.append(order[:5], RNG.permutation(order[5:]))
    for _ in range(3):
        for part in np.split(rows, [5, *HUNDREDS]):
            model.partial_fit(X[part], RARE[part], classes=[0, 1])
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(RARE.mean(), abs=0.03)


def test_the_first_prediction_is_smoothed():
    """A class that was not in the first chunk counts as half a row."""
    settings = {"solver": "sgd", "learning_rate": 1e-12, "random_state": 0}
    model = LinearClassifier(**settings).partial_fit(X[:3], [0, 0, 0], classes=[0, 1])
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 4)))[0, 1], 0.5 / 4)
    # From then on it has its share, of all rows.
    model.partial_fit(X[:5], [0, 0, 1, 0, 0])
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 4)))[0, 1], 1 / 8)
    three = LinearClassifier(**settings).partial_fit(X[:3], [0, 0, 1], classes=[0, 1, 2])
    share = three.predict_proba(np.zeros((1, 4)))[0]
    np.testing.assert_allclose(share / share[0], [1, 0.5, 0.125 / (2 / 3)])


@pytest.mark.parametrize(("estimator", "y"), [(FMRegressor, NUMBERS), (FMClassifier, RAW > 0)])
def test_penalties_go_by_the_rows_of_all_calls(estimator, y):
    """Under those of 10 rows the factors would never leave 0."""
    found, classes = [], {} if estimator is FMRegressor else {"classes": [0, 1]}
    for n_chunks in (1, 4, 12, 120):
        model = estimator(n_factors=2, batch_size=10, dtype="float32", random_state=0)
        for _ in range(5):
            for part in np.array_split(np.arange(N), n_chunks):
                model.partial_fit(X[part], y[part], **classes)
        found.append(model)
    for model in found[1:]:
        assert model.plan_["l2_factors"] == pytest.approx(found[0].plan_["l2_factors"], rel=1e-12)
        assert np.abs(model.factors_).max() > 0.5 * np.abs(found[0].factors_).max()
        assert np.corrcoef(says_raw(model), says_raw(found[0]))[0, 1] > 0.99


def test_rows_that_happen_to_be_the_same_are_not_one():
    """There are 16 different rows, and each is a chunk."""
    model = FMRegressor(n_factors=2, dtype="float32", random_state=0)
    for row in range(400):
        model.partial_fit(X[row : row + 1], RAW[row : row + 1])
    assert model.plan_["l2_linear"] == pytest.approx(1 / 400, rel=0.05)


def says_raw(model):
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


def test_counts_of_zero_are_a_chunk():
    y = TARGETS["poisson"][2]
    model = FMRegressor(2, loss="poisson", random_state=0).partial_fit(X[:4], np.zeros(4))
    assert 0 < model.predict(X[:4]).mean() < 0.5
    for _ in range(5):
        model.partial_fit(X, y).partial_fit(X[:4], np.zeros(4))
    assert model.predict(X).mean() == pytest.approx(y.mean(), rel=0.1)


def test_after_fit_the_first_call_knows_the_rows_of_the_fit():
    model = FMRegressor(2, solver="adagrad", max_iter=20, random_state=0).fit(X, NUMBERS)
    before = model.predict(X)
    # One row has no deviation, and a mean of its own.
    model.set_params(learning_rate=1e-12).partial_fit(X[:1], NUMBERS[:1])
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-3)


def test_weights_of_columns_without_rows_stay_while_units_do():
    model = FMRegressor(2, solver="adagrad", random_state=0).partial_fit(X, NUMBERS)
    some = X.copy()
    some[:, 3] = 0
    expected = np.array(model.coef_[3])
    for part in np.split(np.arange(N), 6):
        model.partial_fit(some[part], 1.1 * NUMBERS[part])
    np.testing.assert_array_equal(model.coef_[3], expected)
