"""Estimators on tables of which columns share their weights."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skfm import FieldEncoder
from tests import reference
from tests.estimators.problems import CLASSIFIERS, NAMES, make, predictions

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(8)
N = 80
ITEM, STEP = RNG.integers(0, 6, N), RNG.integers(1, 6, N)
# The last item is never the same as the item, so that the sum of their columns is a one-hot matrix.
VISITS = pd.DataFrame(
    {
        "item": np.char.add("i", ITEM.astype(str)),
        "shop": RNG.choice(["x", "y", None], N),
        "last": np.char.add("i", ((ITEM + STEP) % 6).astype(str)),
    }
)
AGAIN = pd.DataFrame({"item": ["i1", "i1", "i2"], "shop": ["x", "y", "x"], "last": ["i1", "i2", "i1"]})
RAW = np.where(ITEM > 2, 1.0, -1.0) * np.where(STEP > 2, 1.0, -1.0) + 0.1 * RNG.normal(size=N)
SHARING = FieldEncoder(shared={"item": ["item", "last"]}, min_frequency=1)
STEPS = {"solver": "adagrad", "batch_size": 16, "early_stopping": False}


def target(name):
    return (RAW > 0).astype(int) if name in CLASSIFIERS else 3 * RAW + 10


def fitted(name, **params):
    return make(name, encoder=SHARING, **params).fit(VISITS, target(name))


def owners(model):
    return model.encoder_.table_rows_


def summed(model, table):
    """The encoded table with the values of columns that share weights in one of them."""
    X = model.encoder_.transform(table)
    own = sparse.csr_array((np.ones(X.shape[1]), (np.arange(X.shape[1]), owners(model))))
    return sparse.csr_array(X @ own)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", [{}, STEPS])
def test_columns_share_their_weights(name, settings):
    model = fitted(name, **settings)
    shared = np.flatnonzero(owners(model) != np.arange(owners(model).size))
    assert shared.size == 8
    for table in model._learned.tables().values():
        assert_array_equal(table[shared], table[owners(model)[shared]])
        assert np.any(table[shared])


@pytest.mark.parametrize("name", ["LinearClassifier", "FMRegressor", "FMClassifier", "MixtureFMRegressor"])
@pytest.mark.parametrize("settings", [{}, STEPS, {"solver": "lbfgs"}, {"early_stopping": True}])
def test_models_without_fields_learn_what_they_do_from_summed_columns(name, settings):
    model = fitted(name, dtype=np.float64, max_iter=10, **settings)
    X = summed(model, VISITS)
    alone = make(name, dtype=np.float64, max_iter=10, **settings).fit(X, target(name))
    assert model.n_iter_ == alone.n_iter_
    assert_allclose(predictions(model, VISITS), predictions(alone, X), rtol=1e-6, atol=1e-8)


def test_an_item_after_itself_is_a_pair_of_equal_factors():
    model = fitted("FMRegressor")
    tables = {name: np.asarray(table, np.float64) for name, table in model._learned.tables().items()}
    X = model.encoder_.transform(AGAIN).toarray()
    raw = reference.fm(X, tables, model._learned.parameters.dense)
    expected = model._learned.targets.in_units(raw)
    assert_allclose(model.predict(AGAIN), np.ravel(expected), rtol=1e-5)


def test_deep_models_tell_the_columns_apart():
    settings = STEPS | {"solver": "adam", "max_iter": 30, "learning_rate": 0.05}
    free = {"l2_linear": 0.0, "l2_factors": 0.0, "l2_dense": 0.0, "activation": "tanh"}
    model = fitted("DeepFMClassifier", **settings, **free)
    swapped = VISITS.rename(columns={"item": "last", "last": "item"})[VISITS.columns]
    assert np.abs(model.predict_proba(VISITS) - model.predict_proba(swapped)).max() > 0.5


def test_batches_and_full_batch_have_one_optimum():
    params = {"l2_linear": 1.0, "dtype": np.float64, "tol": 1e-9, "max_iter": 2000, "early_stopping": False}
    full = fitted("LinearRegressor", solver="lbfgs", **params)
    steps = fitted("LinearRegressor", solver="adam", batch_size=N, **params | {"max_iter": 1500})
    assert_allclose(steps.coef_, full.coef_, atol=2e-3)


def test_a_weight_is_the_row_as_often():
    weight = RNG.integers(0, 3, N)
    twice = np.repeat(np.arange(N), weight)
    y = target("FMRegressor")
    weighted = make("FMRegressor", encoder=SHARING).fit(VISITS, y, sample_weight=weight)
    repeated = make("FMRegressor", encoder=SHARING).fit(VISITS.iloc[twice], y[twice])
    assert_array_equal(weighted.predict(VISITS), repeated.predict(VISITS))


@pytest.mark.parametrize("name", ["FMRegressor", "DeepFMClassifier"])
def test_growing_gives_the_bits_of_columns_known_from_the_start(name):
    first, second = VISITS[:40], VISITS[40:].replace({"item": {"i5": "new"}})
    y = target(name)
    growing, known = (make(name, encoder=SHARING, **STEPS) for _ in range(2))
    everything = copy.copy(SHARING).fit(pd.concat([first, second]))
    classes = {"classes": [0, 1]} if name in CLASSIFIERS else {}
    for part, own in ((first, y[:40]), (second, y[40:]), (first, y[:40])):
        growing.partial_fit(part, own, **classes)
        known.partial_fit(part, own, **classes)
        known = pickle.loads(pickle.dumps(known))
    names = growing.encoder_.get_feature_names_out()
    assert set(names) == set(everything.get_feature_names_out())
    new = np.flatnonzero(np.isin(names, ["item=new", "last=new"]))
    assert owners(growing)[new[1]] == owners(growing)[new[0]] == new[0]
    assert_array_equal(predictions(growing, VISITS), predictions(known, VISITS))
    assert_array_equal(
        growing._learned.tables()["factors"][new[0]], growing._learned.tables()["factors"][new[1]]
    )
    assert np.any(growing._learned.tables()["factors"][new[0]])


def test_a_start_from_another_model_takes_shared_weights():
    first = fitted("FMClassifier")
    slowly = STEPS | {"init_from": first, "learning_rate": 1e-9}
    model = fitted("DeepFMClassifier", **slowly)
    assert_allclose(model.factors_, first.factors_, atol=1e-5)


def test_a_warm_start_goes_on():
    model = fitted("FMClassifier", warm_start=True, max_iter=3, **STEPS)
    before = model.factors_
    model.set_params(learning_rate=1e-9).fit(VISITS, target("FMClassifier"))
    assert_allclose(model.factors_, before, atol=1e-5)


def test_streams_share_too(monkeypatch):
    chunks = [(VISITS[:30], RAW[:30]), (VISITS[30:], RAW[30:])]
    params = {"encoder": SHARING, "dtype": np.float64, "early_stopping": False, "solver": "adagrad"}
    whole = make("FMRegressor", **params).fit(VISITS, RAW)
    assert_array_equal(make("FMRegressor", **params).fit(chunks).factors_, whole.factors_)
    monkeypatch.setattr("skfm.fitting.streams._IN_MEMORY", 0)
    from_disk = make("FMRegressor", **params).fit(chunks)
    assert_allclose(from_disk.predict(VISITS), whole.predict(VISITS), atol=1e-6)
