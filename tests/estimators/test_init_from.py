"""A model that starts from another one starts as the same function, where that is possible."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score

from skfm import FieldEncoder
from tests.estimators.problems import LABELS, RAW, X, Y, make, predictions

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

STILL = {"solver": "sgd", "learning_rate": 1e-12, "max_iter": 1, "early_stopping": False, "dtype": "float64"}
THREE = np.digitize(RAW, [-1.0, 1.0])
BOTH = np.column_stack([LABELS, np.arange(LABELS.size) % 2])
CLICKS = np.column_stack([LABELS, LABELS * BOTH[:, 1]])
COUNTS = np.round(np.abs(Y))
TABLE = pd.DataFrame({"a": np.array(["x", "y", "z", "x"] * 16), "b": np.arange(64) % 5})
ENCODER = FieldEncoder(min_frequency=1)


@pytest.mark.parametrize(
    ("name", "y", "settings"),
    [
        ("LinearClassifier", THREE, {}),
        ("FMClassifier", LABELS, {}),
        ("FMClassifier", THREE, {}),
        ("FMClassifier", BOTH, {"degree": 3}),
        ("FMClassifier", LABELS, {"fit_intercept": False}),
        ("FMRegressor", Y, {}),
        ("FMRegressor", np.column_stack([Y, -5 * Y]), {"loss": "quantile", "quantile": 0.7}),
        ("FMRegressor", COUNTS, {"loss": "poisson"}),
        ("FFMRegressor", Y, {}),
        ("FwFMClassifier", LABELS, {}),
        ("DeepFMClassifier", LABELS, {}),
        ("NFMRegressor", Y, {}),
        ("MixtureFMClassifier", LABELS, {}),
        ("MixtureFMRegressor", Y, {"mixing": "score"}),
        ("ESMMClassifier", CLICKS, {"tower": "fm"}),
        ("ESMMClassifier", CLICKS, {"tower": "mlp"}),
    ],
)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_model_of_the_same_kind_starts_as_the_same_function(name, y, settings, call):
    source = make(name, max_iter=20, **settings).fit(X, y)
    model = make(name, init_from=source, **STILL, **settings)
    expected = predictions(source)
    if y is Y:
        # Where y is in quite other units, the weights are read in these.
        y, expected = 700 * y + 100, 700 * expected + 100
    getattr(model, call)(X, y)
    np.testing.assert_allclose(predictions(model), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "other", "settings"),
    [
        ("Linear", "FM", {"init_scale": 0.0}),
        ("Linear", "MixtureFM", {"init_scale": 0.0}),
        ("FM", "MixtureFM", {}),
    ],
)
@pytest.mark.parametrize(
    ("ending", "y"),
    [("Classifier", LABELS), ("Classifier", THREE), ("Regressor", Y)],
    ids=["two", "three", "y"],
)
def test_a_model_with_more_terms_starts_as_the_function_of_its_source(kind, other, settings, ending, y):
    source = make(f"{kind}{ending}", max_iter=20).fit(X, y)
    model = make(f"{other}{ending}", init_from=source, **STILL, **settings).fit(X, y)
    np.testing.assert_allclose(predictions(model), predictions(source), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("other", ["DeepFMClassifier", "WideDeepClassifier"])
def test_the_intercept_goes_to_networks(other):
    source = make("FMClassifier", max_iter=20).fit(X + 1, LABELS)
    model = make(other, init_from=source, **STILL).fit(X + 1, LABELS)
    # A network is a function of the columns less `center_`.
    np.testing.assert_allclose(model.center_, np.mean(X + 1, axis=0))
    known = source._learned.parameters
    np.testing.assert_allclose(model.intercept_, known.dense["offsets"]["intercept"], rtol=1e-6)
    linear = source._learned.tables()["linear"][:, 0] / known.units.scale
    np.testing.assert_allclose(model.coef_[0], linear, rtol=1e-6)


def test_a_network_of_another_shape_starts_anew():
    source = make("DeepFMClassifier", solver="adam", learning_rate=0.05).fit(X, LABELS)
    same = make("DeepFMClassifier", init_from=source, **STILL).fit(X, LABELS)
    wider = make("DeepFMClassifier", init_from=source, hidden_layer_sizes=(4, 5), **STILL).fit(X, LABELS)
    np.testing.assert_allclose(wider.intercept_, source.intercept_, rtol=1e-6)
    of_source, of_same, of_wider = (
        one._learned.parameters.dense["weights"]["layer_0"] for one in (source, same, wider)
    )
    np.testing.assert_allclose(of_same, of_source, rtol=1e-6)
    assert not np.allclose(of_wider, of_source)


@pytest.mark.parametrize(
    ("source", "settings", "model", "others"),
    [
        ("FMRegressor", {}, "FMClassifier", {}),
        ("FMClassifier", {}, "FMRegressor", {}),
        ("FMRegressor", {}, "FMRegressor", {"loss": "poisson"}),
        ("FMRegressor", {"loss": "poisson"}, "DeepFMRegressor", {}),
    ],
)
def test_raw_predictions_on_another_scale_are_refused(source, settings, model, others):
    def y(name):
        return LABELS if name.endswith("Classifier") else COUNTS

    machine = make(source, **settings).fit(X, y(source))
    with pytest.raises(ValueError, match="takes raw predictions on another scale"):
        make(model, init_from=machine, **others).fit(X, y(model))


def test_other_numbers_of_factors_are_refused():
    machine = make("FMRegressor", n_factors=2, max_iter=5).fit(X, Y)
    with pytest.raises(ValueError, match=r"'factors' to start from .* expected .*: n_factors, the columns"):
        make("FMRegressor", n_factors=3, init_from=machine).fit(X, Y)


def test_embeddings_alone_serve_any_number_of_classes():
    source = make("DeepCrossingClassifier", max_iter=5).fit(X, LABELS)
    model = make("DeepCrossingClassifier", init_from=source, **STILL).fit(X, THREE)
    np.testing.assert_allclose(model.factors_, source.factors_, rtol=1e-6)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("name", "of_source", "y", "message"),
    [
        (
            "LinearClassifier",
            LABELS,
            np.array(["yes", "no"])[LABELS],
            r"new: \['no', 'yes'\], gone: \[0, 1\]",
        ),
        ("FMClassifier", THREE, THREE + 1, r"new: \[3\], gone: \[0\]"),
        ("FMClassifier", LABELS, THREE, r"classes \[0, 1, 2\], .* those of \[0, 1\] \(new: \[2\]\)"),
        ("DeepFMClassifier", THREE, LABELS, r"those of \[0, 1, 2\] \(gone: \[2\]\)"),
        ("LinearClassifier", BOTH, THREE, "y has one column of classes, .* those of 2 labels"),
        ("FMRegressor", Y, np.column_stack([Y, Y]), "y has 2 outputs, .* those of 1 output"),
        # Its embeddings know no classes, but its network does.
        ("DeepCrossingClassifier", THREE, THREE + 1, r"new: \[3\], gone: \[0\]"),
    ],
)
def test_other_targets_are_refused(name, of_source, y, message, call):
    """Else weights of one class would be those of another."""
    source = make(name, max_iter=5).fit(X, of_source)
    with pytest.raises(ValueError, match=message) as caught:
        getattr(make(name, init_from=source, solver="adam"), call)(X, y)
    assert "Give both estimators the same labels or outputs" in str(caught.value)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_classes_are_the_same_in_any_order_and_type(call):
    source = make("FMClassifier", max_iter=20).fit(X, LABELS)
    model = make("FMClassifier", init_from=source, **STILL)
    order = np.argsort(-LABELS, kind="stable")
    getattr(model, call)(X[order], LABELS[order].astype(bool))
    np.testing.assert_allclose(predictions(model), predictions(source), rtol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1e4])
def test_training_goes_on_in_units_of_its_own(factor):
    """So that penalties and rates mean what they mean without a source."""
    settings = {"solver": "lbfgs", "max_iter": 300, "tol": 1e-9}
    source = make("FMRegressor", **settings).fit(X, Y)
    model = make("FMRegressor", init_from=source, **settings).fit(X, factor * Y + 7)
    np.testing.assert_allclose((model.predict(X) - 7) / factor, source.predict(X), rtol=1e-3)
    assert model.n_iter_ < 300
    source.set_params(warm_start=True).fit(X, factor * Y + 7)
    np.testing.assert_allclose(source.predict(X), model.predict(X), rtol=1e-3)


def test_the_source_may_have_its_own_encoder():
    source = make("FMClassifier", encoder=ENCODER, max_iter=20).fit(TABLE, LABELS)
    model = make("FMClassifier", encoder=ENCODER, init_from=source, **STILL).fit(TABLE, LABELS)
    np.testing.assert_allclose(model.predict_proba(TABLE), source.predict_proba(TABLE), rtol=1e-6)


@pytest.mark.parametrize("name", ["FMClassifier", "FFMClassifier", "DeepFMClassifier"])
def test_encoded_columns_start_from_those_of_the_same_name(name):
    """Whatever values each encoder has seen, and in whatever order it saw them."""
    source = make(name, encoder=ENCODER, max_iter=20).fit(TABLE, LABELS)
    fewer = np.flatnonzero(TABLE["a"] != "x")
    other = np.concatenate([fewer, fewer[:5]])
    model = make(name, encoder=ENCODER, init_from=source, **STILL)
    model.fit(TABLE.iloc[other].assign(a=[*TABLE["a"].iloc[fewer], *"vwvwv"]), LABELS[other])
    assert model.encoder_.get_feature_names_out().size != source.encoder_.get_feature_names_out().size
    expected = source.decision_function(TABLE.iloc[fewer])
    np.testing.assert_allclose(model.decision_function(TABLE.iloc[fewer]), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("encoding", "factor", "shift", "tolerance"),
    [
        # Medians and quartiles that are about right stay.
        ("value", 1.0, 1.0, 1e-9),
        # Each bin starts from the one that it lies in.
        ("bins", 0.2, 20.0, 1e-9),
        # Lines take the place of curves.
        ("value", 1.0, 5.0, 0.1),
        ("value", 0.5, 4.0, 0.1),
        ("both", 0.5, 4.0, 0.2),
    ],
)
def test_numbers_start_as_the_same_function(encoding, factor, shift, tolerance, monkeypatch):
    """Medians, quartiles and bins of the other rows differ."""
    monkeypatch.setattr("skfm.train.rescale._FEW_ROWS", 0.0)
    value = np.random.default_rng(0).normal(1000, 5, 64)
    table = pd.DataFrame({"value": value, "kind": ["x", "y"] * 32})
    settings = {"encoder": FieldEncoder(min_frequency=1, numeric_encoding=encoding, bins=8)}
    source = make("FMRegressor", max_iter=20, **settings).fit(table, np.abs(value - 990))
    other = table.assign(value=1000 + factor * (value - 1000) + shift)
    model = make("FMRegressor", init_from=source, **settings, **STILL).fit(other, np.abs(value - 990))
    expected = source.predict(other)
    difference = model.predict(other) - expected
    assert (difference - difference.mean()).std() < tolerance * expected.std()


def test_names_that_look_alike_are_not_mixed_up():
    table = pd.DataFrame({"a": ["b=c", "d"] * 32, "a=b": ["c", "c", "e", "e"] * 16})
    source = make("FMClassifier", encoder=ENCODER, max_iter=20).fit(table, LABELS)
    some = table[table["a"] == "d"]
    model = make("FMClassifier", encoder=ENCODER, init_from=source, **STILL).fit(some, LABELS[some.index])
    np.testing.assert_allclose(model.predict_proba(table), source.predict_proba(table), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_an_array_starts_from_a_table_by_position():
    source = make("FMClassifier", encoder=ENCODER, max_iter=20).fit(TABLE, LABELS)
    rows = TABLE.to_numpy(dtype=object)
    model = make("FMClassifier", encoder=ENCODER, init_from=source, **STILL).fit(rows, LABELS)
    np.testing.assert_allclose(model.predict_proba(rows), source.predict_proba(TABLE), rtol=1e-6)


def test_a_search_starts_from_a_fitted_model_on_a_table():
    source = make("FMClassifier", max_iter=20).fit(TABLE, LABELS)
    scores = cross_val_score(make("FMClassifier", init_from=source), TABLE, LABELS, cv=7, error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("table", "parameters", "message"),
    [
        (TABLE[["b", "a"]], {}, "other columns than those of X: 'a', where X has 'b'"),
        (TABLE.rename(columns={"b": "c"}), {}, "'b', where X has 'c'"),
        (TABLE[["a"]], {}, "'b', where X has no more."),
        (TABLE, {"encoder": FieldEncoder(hash=8)}, "The encoder has hash=8, .* hash=None"),
        (X, {}, "learns from rows as they are, and .* from tables"),
    ],
)
def test_columns_that_mean_something_else_are_refused(table, parameters, message):
    source = make("FMClassifier").fit(TABLE, LABELS)
    with pytest.raises(ValueError, match=message):
        make("FMClassifier", init_from=source, **parameters).fit(table, LABELS)
