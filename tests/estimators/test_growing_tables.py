"""Tables whose vocabularies grow, and rows that do not touch every column: what is known is kept."""

import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfm import FieldEncoder
from tests.estimators.problems import make, predictions
from tests.estimators.tables import SOLVERS, STEPS, TABLE, encoded, target

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

# -- vocabularies that grow --------------------------------------------------------------------------

FIRST = TABLE[:30]
# More new values than the table of weights has spare rows.
SECOND = TABLE[30:].assign(colour=[f"new{i % 20}" for i in range(30)])
EVERY = {"encoder": FieldEncoder(min_frequency=1)}


def both(name, *parts, **settings):
    """The estimator after a call of partial_fit on each part of the table."""
    model = make(name, **STEPS | EVERY | settings)
    for part in parts:
        model.partial_fit(part, pd.Series(target(name))[part.index].to_numpy())
    return model


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        *(("FMRegressor", solver) for solver in [*SOLVERS, optax.adam(1e-3)]),
        ("DeepFMRegressor", "adagrad"),
        ("MixtureFMClassifier", "adam"),
    ],
)
def test_growing_gives_the_bits_of_columns_known_from_the_start(name, solver):
    labels = np.array([0, 1, 0, 1])
    model = both(name, FIRST, SECOND, FIRST, solver=solver, fields=labels)
    encoder = FieldEncoder(min_frequency=1).partial_fit(FIRST).partial_fit(SECOND)
    assert encoder.fields_.size > FieldEncoder(min_frequency=1).fit(FIRST).fields_.size + 19
    fields = labels[encoder.field_columns_[encoder.fields_]]
    alone = make(name, fields=fields, **STEPS | {"solver": solver})
    for part in (FIRST, SECOND, FIRST):
        alone.partial_fit(encoder.transform(part), pd.Series(target(name))[part.index].to_numpy())
    assert_array_equal(model.encoder_.get_feature_names_out(), encoder.get_feature_names_out())
    assert_array_equal(model.fields_, fields)
    assert_array_equal(predictions(model, TABLE), predictions(alone, encoder.transform(TABLE)))


@pytest.mark.parametrize("solver", SOLVERS)
def test_columns_that_a_chunk_does_not_touch_stay(solver):
    before, after = (
        both("FMRegressor", FIRST, solver=solver),
        both("FMRegressor", FIRST, SECOND, solver=solver),
    )
    n = before.fields_.size
    names = after.encoder_.get_feature_names_out()
    assert_array_equal(names[:n], before.encoder_.get_feature_names_out())
    touched = after.encoder_.transform(SECOND).sum(axis=0) != 0
    kept, new = np.flatnonzero(~touched[:n]), n + np.flatnonzero(touched[n:])
    assert {"colour=red", "colour=green", "colour=blue"} <= set(names[kept])
    assert_array_equal(after.factors_[kept], before.factors_[kept])
    assert_array_equal(after.coef_[kept], before.coef_[kept])
    assert np.any(after.factors_[:n] != before.factors_[:n])
    was, now = before._learned.session.state.table_state, after._learned.session.state.table_state
    assert was.keys() == now.keys()
    for leaf in was:
        assert_array_equal(now[leaf][kept], was[leaf][kept])
    assert new.size == 20
    assert (after.factors_[new] != 0).all()
    assert (after.coef_[new] != 0).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_new_values_start_at_random_factors(solver):
    model = both("FMRegressor", FIRST, SECOND, solver=solver, learning_rate=1e-9)
    new = [
        i for i, name in enumerate(model.encoder_.get_feature_names_out()) if name.startswith("colour=new")
    ]
    scale = 0.1
    old = np.std(model.factors_[model.encoder_.get_feature_names_out() == "colour=red"])
    assert 0.3 * scale < old < 3 * scale
    assert 0.5 * scale < np.std(model.factors_[new]) < 2 * scale


@pytest.mark.parametrize("name", ["FMRegressor", "DeepFMClassifier"])
def test_a_value_gets_a_column_when_it_has_become_frequent(name):
    rare = TABLE[:20].assign(colour=["rare", "rare", *["red"] * 18])
    model = make(name, **STEPS, encoder=FieldEncoder(min_frequency=3)).partial_fit(rare, target(name)[:20])
    assert "colour=rare" not in model.encoder_.get_feature_names_out()
    model.partial_fit(rare, target(name)[:20])
    assert "colour=rare" in model.encoder_.get_feature_names_out()
    assert predictions(model, rare[:1]) != pytest.approx(
        predictions(model, rare[:1].assign(colour="x")), abs=0
    )


# -- going on from other rows ------------------------------------------------------------------------


HOW = {"partial_fit": {}, "warm_start": STEPS, "warm_start in full batch": {"solver": "lbfgs"}}


@pytest.mark.parametrize("kind", ["table", "matrix"])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(("FMClassifier", how) for how in HOW),
        ("LinearRegressor", "partial_fit"),
        ("LinearRegressor", "warm_start"),
        ("LinearRegressor", "warm_start in full batch"),
    ],
)
def test_columns_without_rows_keep_their_weights(name, how, kind):
    model = make(name, warm_start=how != "partial_fit", **HOW[how])
    matrix, encoder = encoded()
    X, y = matrix if kind == "matrix" else TABLE, target(name)
    model.fit(X, y)
    kept = encoder.get_feature_names_out() == "colour=red"
    # A row for each column.
    before = [np.atleast_2d(model.coef_).T, getattr(model, "factors_", np.ones((kept.size, 1)))]
    some = (TABLE["colour"] != "red").to_numpy()
    (model.partial_fit if how == "partial_fit" else model.fit)(X[some], y[some])
    after = [np.atleast_2d(model.coef_).T, getattr(model, "factors_", np.ones((kept.size, 1)))]
    assert not np.allclose(after[0][~kept], before[0][~kept], rtol=1e-4)
    for new, old in zip(after, before, strict=True):
        assert np.all(old[kept] != 0)
        assert_allclose(new[kept], old[kept], rtol=1e-6)


@pytest.mark.parametrize("settings", [STEPS, {"solver": "lbfgs"}], ids=["batches", "full-batch"])
def test_a_warm_start_takes_up_new_values(settings):
    y = target("FMClassifier")
    model = make("FMClassifier", warm_start=True, **EVERY, **settings).fit(FIRST, y[:30])
    n, red = model.fields_.size, model.encoder_.get_feature_names_out() == "colour=red"
    coef = model.coef_[:, red]
    model.fit(SECOND, y[30:])
    assert model.fields_.size == model.encoder_.fields_.size == n + 20
    assert_allclose(model.coef_[:, :n][:, red], coef, rtol=1e-6)
    assert np.all(model.factors_[n:] != 0)
    cold = make("FMClassifier", **EVERY, **settings).fit(FIRST, y[:30]).fit(SECOND, y[30:])
    assert "colour=red" not in cold.encoder_.get_feature_names_out()
    assert cold.coef_.shape[1] < model.coef_.shape[1]
