"""Tables straight into the estimators: encoded as in a pipeline."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline

from skfm import FieldEncoder
from tests.estimators.problems import CLASSIFIERS, NAMES, make, predictions
from tests.estimators.tables import (
    COLUMNS,
    LABELS,
    LIBRARIES,
    RAW,
    STEPS,
    TABLE,
    N,
    encoded,
    target,
)

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

# -- the same as a pipeline --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in NAMES), ("LinearClassifier", STEPS), ("FMRegressor", STEPS)],
)
def test_a_table_gives_the_bits_of_a_pipeline(name, settings):
    model = make(name, **settings).fit(TABLE, target(name))
    alone = make(name, fields=model.encoder_.fields_, **settings)
    pipeline = Pipeline([("encoder", FieldEncoder()), ("model", alone)]).fit(TABLE, target(name))
    assert_array_equal(predictions(model, TABLE), predictions(pipeline, TABLE))
    assert_array_equal(model.predict(TABLE[::-3]), pipeline.predict(TABLE[::-3]))
    assert_array_equal(model.fields_, model.encoder_.fields_)
    assert model.n_features_in_ == 4
    assert model.feature_names_in_.tolist() == list(COLUMNS)


@pytest.mark.parametrize("name", ["DeepFMClassifier", "FMRegressor"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_gives_the_same_bits(name, library):
    model = make(name).fit(TABLE, target(name))
    table = LIBRARIES[library](COLUMNS)
    own = make(name).fit(table, target(name))
    assert own.encoder_.get_feature_names_out().tolist() == model.encoder_.get_feature_names_out().tolist()
    assert_array_equal(predictions(own, table), predictions(model, TABLE))
    assert_array_equal(predictions(model, table), predictions(model, TABLE))
    assert_array_equal(predictions(own, TABLE), predictions(model, TABLE))


@pytest.mark.parametrize(
    ("name", "method"), [("FMClassifier", "transform"), ("MixtureFMClassifier", "gate_proba")]
)
def test_other_methods_take_tables(name, method):
    model = make(name).fit(TABLE, LABELS)
    X, encoder = encoded()
    alone = make(name, fields=encoder.fields_).fit(X, LABELS)
    assert_array_equal(getattr(model, method)(TABLE), getattr(alone, method)(X))


@pytest.mark.parametrize("name", ["DeepFMClassifier", "MixtureFMRegressor"])
@pytest.mark.parametrize("n_outputs", [2, 3])
def test_several_targets(name, n_outputs):
    y = np.column_stack([RAW * sign for sign in (1, -1, 2)[:n_outputs]])
    y = (y > 0).astype(int) if name in CLASSIFIERS else y
    model = make(name).fit(TABLE, y)
    X, encoder = encoded()
    alone = make(name, fields=encoder.fields_).fit(X, y)
    assert model.predict(TABLE).shape == y.shape
    assert_array_equal(predictions(model, TABLE), predictions(alone, X))


def test_three_classes():
    y = np.array(["low", "mid", "top"])[np.digitize(RAW, [-0.5, 0.5])]
    model = make("FMClassifier").fit(TABLE, y)
    assert_array_equal(
        predictions(model, TABLE), predictions(make("FMClassifier").fit(encoded()[0], y), encoded()[0])
    )
    assert model.coef_.shape == (3, model.encoder_.fields_.size)


@pytest.mark.parametrize("name", ["LinearClassifier", "FMClassifier", "FMRegressor"])
def test_weights_have_the_columns_of_the_encoder(name):
    model = make(name).fit(TABLE, target(name))
    n = model.encoder_.get_feature_names_out().size
    assert n == model.fields_.size > model.n_features_in_
    assert model.coef_.shape[-1] == n
    if name.startswith("FM"):
        assert model.factors_.shape == (n, 3)


# -- what is encoded ---------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_floats_and_booleans_are_numbers(library):
    columns = {"a": RAW, "b": (RAW > 0.3).astype(np.float32), "c": RAW < 0}
    model = make("FMRegressor").fit(LIBRARIES[library](columns), target("FMRegressor"))
    assert model.encoder_ is None
    X = np.column_stack(list(columns.values())).astype(float)
    assert_array_equal(
        model.predict(LIBRARIES[library](columns)), make("FMRegressor").fit(X, 3 * RAW + 10).predict(X)
    )
    bad = columns | {"a": np.where(np.arange(N) == 7, np.nan, RAW)}
    with pytest.raises(ValueError, match=r"NaN at row 7, column 0 \('a'\)"):
        make("FMRegressor").fit(LIBRARIES[library](bad), 3 * RAW + 10)


@pytest.mark.parametrize("held", ["floats", "objects", "frame"])
def test_an_encoder_encodes_whatever_it_is_given(held):
    X = np.round(TABLE[["size", "count"]].to_numpy(dtype=float), 1)
    X = {
        "floats": X,
        "objects": TABLE.iloc[:, :2].to_numpy(object),
        "frame": pd.DataFrame(X, columns=["a", "b"]),
    }[held]
    model = make("FMRegressor", encoder=FieldEncoder(bins=4)).fit(X, RAW)
    matrix, encoder = encoded(X, X, bins=4)
    alone = make("FMRegressor", fields=encoder.fields_).fit(matrix, RAW)
    assert_array_equal(model.predict(X), alone.predict(matrix))


def test_a_frame_of_whole_numbers_is_what_its_array_is():
    frame = TABLE[["count"]]
    model = make("LinearRegressor").fit(frame, RAW)
    assert model.encoder_ is None
    array = make("LinearRegressor").fit(frame.to_numpy(), RAW)
    assert_array_equal(model.predict(frame), array.predict(frame.to_numpy()))


def test_whole_numbers_are_encoded_by_an_encoder():
    model = make("LinearRegressor", encoder=FieldEncoder()).fit(TABLE[["count"]], RAW)
    assert model.encoder_.get_feature_names_out().tolist()[3:] == [f"count={i}" for i in range(4)]


def test_sparse_rows_are_never_encoded():
    X = encoded()[0]
    model = make("FMRegressor", encoder=FieldEncoder()).fit(X, RAW)
    assert model.encoder_ is None
    assert_array_equal(model.predict(X), make("FMRegressor").fit(X, RAW).predict(X))


def test_a_batch_of_pyarrow_is_a_table():
    pa = pytest.importorskip("pyarrow")
    columns = {"digits": [str(row % 4) for row in range(N)], "size": RAW}
    table, batch = pa.table(columns), pa.RecordBatch.from_pydict(columns)
    model = make("FMRegressor").fit(batch, RAW)
    np.testing.assert_array_equal(model.predict(batch), make("FMRegressor").fit(table, RAW).predict(table))


@pytest.mark.parametrize("library", LIBRARIES)
def test_no_encoder_refuses_text(library):
    table = LIBRARIES[library]({"size": RAW, "colour": ["red"] * N})
    with pytest.raises(ValueError, match="Column 'colour' of X holds text, not numbers"):
        make("FMRegressor", encoder=None).fit(table, RAW)


def test_labels_of_fields_are_of_the_columns_of_the_table():
    X, encoder = encoded()
    model = make("DeepFMClassifier", fields=["u", "i", "u", "i"]).fit(TABLE, LABELS)
    expected = np.array([0, 1, 0, 1])[encoder.field_columns_[encoder.fields_]]
    assert_array_equal(model.fields_, expected)
    alone = make("DeepFMClassifier", fields=expected).fit(X, LABELS)
    assert_array_equal(predictions(model, TABLE), predictions(alone, X))
    with pytest.raises(ValueError, match="one label for each of the 4 columns"):
        make("DeepFMClassifier", fields=[0, 1]).fit(TABLE, LABELS)


def test_no_fields():
    model = make("DeepFMClassifier", fields=None).fit(TABLE, LABELS)
    assert not model.fields_.any()
    alone = make("DeepFMClassifier", fields=None).fit(encoded()[0], LABELS)
    assert_array_equal(predictions(model, TABLE), predictions(alone, encoded()[0]))


def test_held_out_rows_are_encoded():
    X_val = TABLE[::-2].assign(colour="unseen")
    weight = np.arange(len(X_val)) % 3.0
    held = {"y_val": LABELS[::-2], "sample_weight_val": weight}
    settings = STEPS | {"early_stopping": "auto", "scoring": "roc_auc"}
    model = make("FMClassifier", **settings).fit(TABLE, LABELS, X_val=X_val, **held)
    X, encoder = encoded()
    alone = make("FMClassifier", **settings).fit(X, LABELS, X_val=encoder.transform(X_val), **held)
    assert model.history_["validation_score"] == alone.history_["validation_score"]
    assert_array_equal(predictions(model, TABLE), predictions(alone, X))


# -- inside scikit-learn -----------------------------------------------------------------------------


def test_a_grid_reaches_into_the_encoder():
    grid = {"encoder__min_frequency": [1, N]}
    search = GridSearchCV(make("LinearRegressor", encoder=FieldEncoder()), grid, cv=2, error_score="raise")
    search.fit(TABLE, RAW)
    assert search.best_params_ == {"encoder__min_frequency": 1}
    assert search.best_estimator_.encoder_.min_frequency == 1
    grid = {"encoder": ["auto", FieldEncoder(hash=1, bins=1, numeric=["count"], numeric_encoding="bins")]}
    search = GridSearchCV(make("LinearRegressor"), grid, cv=2, error_score="raise").fit(TABLE, RAW)
    assert search.best_params_ == {"encoder": "auto"}


@pytest.mark.parametrize("encoder", ["auto", None])
def test_parameters_of_no_encoder_are_refused(encoder):
    model = make("LinearRegressor", encoder=encoder)
    with pytest.raises(ValueError, match=r"encoder__min_frequency .* Give encoder=FieldEncoder\(\)"):
        GridSearchCV(model, {"encoder__min_frequency": [1, 2]}, error_score="raise").fit(TABLE, RAW)
    assert model.get_params()["encoder"] == encoder
    model.set_params(encoder__min_frequency=7, encoder=FieldEncoder())
    assert model.encoder.min_frequency == 7


@pytest.mark.parametrize(
    "parameters", [{"hash": 0}, {"bins": -1}, {"min_frequency": 0}, {"numeric_encoding": "both "}]
)
def test_parameters_of_the_encoder_are_checked(parameters):
    model = make("FMClassifier", encoder=FieldEncoder(**parameters))
    (name,) = parameters
    rows, match = (TABLE, LABELS), f"'{name}' parameter of FieldEncoder"
    with pytest.raises(ValueError, match=match):
        model.fit(*rows)
    with pytest.raises(ValueError, match=match):
        model.fit([rows])
    with pytest.raises(ValueError, match=match):
        model.partial_fit(*rows, classes=np.unique(LABELS))


def test_a_clone_has_an_encoder_that_is_not_fitted():
    model = make("FMRegressor", encoder=FieldEncoder(min_frequency=2)).fit(TABLE, RAW)
    assert not hasattr(model.encoder, "fields_")
    copied = clone(model)
    assert copied.encoder is not model.encoder
    assert copied.encoder.min_frequency == model.encoder_.min_frequency == 2
    assert not hasattr(copied, "encoder_")
    assert_array_equal(copied.fit(TABLE, RAW).predict(TABLE), model.predict(TABLE))


def test_copies_go_on_like_the_original():
    model = make("FMRegressor", **STEPS).partial_fit(TABLE[:30], RAW[:30])
    expected = model.predict(TABLE)
    more = TABLE[30:].assign(colour="new")
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert_array_equal(copied.predict(TABLE), expected)
        copied.partial_fit(more, RAW[30:])
        assert "colour=new" in copied.encoder_.get_feature_names_out()
        assert_array_equal(model.predict(TABLE), expected)
    assert_array_equal(model.partial_fit(more, RAW[30:]).predict(TABLE), copied.predict(TABLE))


def test_each_fold_has_its_own_encoding():
    rare = TABLE.assign(colour=np.where(np.arange(N) < 20, "first", "later"))
    folds = KFold(3)
    found = cross_validate(
        make("FMRegressor"), rare, RAW, cv=folds, return_estimator=True, error_score="raise"
    )
    assert np.isfinite(found["test_score"]).all()
    for model, (train, _) in zip(found["estimator"], folds.split(rare), strict=True):
        expected = FieldEncoder().fit(rare.iloc[train]).get_feature_names_out()
        assert_array_equal(model.encoder_.get_feature_names_out(), expected)
    assert "colour=first" not in found["estimator"][0].encoder_.get_feature_names_out()


# -- weights -----------------------------------------------------------------------------------------


def test_a_weight_counts_rows():
    weight = np.arange(N) % 3
    weighted = make("FMRegressor", max_iter=20).fit(TABLE, RAW, sample_weight=weight)
    rows = np.repeat(np.arange(N), weight)
    repeated = make("FMRegressor", max_iter=20).fit(TABLE.iloc[rows], RAW[rows])
    assert (
        weighted.encoder_.get_feature_names_out().tolist()
        == repeated.encoder_.get_feature_names_out().tolist()
    )
    assert_allclose(weighted.predict(TABLE), repeated.predict(TABLE), rtol=1e-7)


def test_rows_of_weight_zero_bring_no_values():
    weight = (TABLE["colour"] != "red").to_numpy(dtype=float)
    model = make("FMRegressor", encoder=FieldEncoder(min_frequency=1)).fit(TABLE, RAW, sample_weight=weight)
    assert "colour=red" not in model.encoder_.get_feature_names_out()


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 1.0}, {0: 0.0, 1: 1.0}])
def test_class_weights(class_weight):
    weight, three = 1.0 + np.arange(N) % 2, np.digitize(RAW, [-1.0, 1.0])
    model = make("FMClassifier", class_weight=class_weight).fit(TABLE, three, sample_weight=weight)
    encoder = FieldEncoder().fit(TABLE, sample_weight=weight)
    X = encoder.transform(TABLE)
    alone = make("FMClassifier", class_weight=class_weight).fit(X, three, sample_weight=weight)
    assert_array_equal(predictions(model, TABLE), predictions(alone, X))


# -- values and columns that fit did not see ---------------------------------------------------------


def test_unseen_values_share_the_slot_of_rare_ones():
    colours = np.array(["red", "green"] * (N // 2), dtype=object)
    colours[:2] = ["rare", "scarce"]
    model = make("FMRegressor", encoder=FieldEncoder(min_frequency=3)).fit(TABLE.assign(colour=colours), RAW)
    rows = [model.predict(TABLE.assign(colour=colour)) for colour in ("rare", "scarce", "unseen", "other")]
    for row in rows[1:]:
        assert_array_equal(row, rows[0])
    assert not np.array_equal(rows[0], model.predict(TABLE.assign(colour="red")))
    other = model.encoder_.get_feature_names_out().tolist().index("colour:other")
    assert model.coef_[other] != 0


CHANGED = {
    "order": TABLE[TABLE.columns[::-1]],
    "missing": TABLE.drop(columns="size"),
    "extra": TABLE.assign(more=1),
    "other name": TABLE.rename(columns={"size": "length"}),
}


@pytest.fixture(scope="module")
def model():
    """An estimator fitted to the table in steps."""
    return make("FMRegressor", **STEPS).partial_fit(TABLE, RAW)


@pytest.mark.parametrize("changed", CHANGED)
def test_other_columns_are_refused(model, changed):
    model = copy.deepcopy(model)
    match = "feature names should match those that were passed during fit"
    with pytest.raises(ValueError, match=match):
        model.predict(CHANGED[changed])
    with pytest.raises(ValueError, match=match):
        model.partial_fit(CHANGED[changed], RAW)
    with pytest.raises(ValueError, match=match):
        make("FMRegressor").fit(TABLE, RAW, X_val=CHANGED[changed], y_val=RAW)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_rows_do_not_fit_a_table(model, kind):
    model = copy.deepcopy(model)
    for X in (kind(encoded()[0]), kind((N, 4))):
        with pytest.raises(ValueError, match="X must be a DataFrame"):
            model.predict(X)
        with pytest.raises(ValueError, match="X must be a DataFrame"):
            model.partial_fit(X, RAW)


BAD = {
    "text where numbers were": (TABLE.assign(size="big"), RAW, "'size'"),
    "numbers where text was": (TABLE.assign(colour=1.5), RAW, "'colour'"),
    "numbers where lists were": (TABLE.assign(tags=2), RAW, "'tags'"),
    "targets that are no numbers": (TABLE.assign(colour="new"), np.where(RAW > 0, np.nan, RAW), "NaN"),
    "two targets": (TABLE.assign(colour="new"), np.column_stack([RAW, RAW]), "2 columns|y has 2 outputs"),
}


@pytest.mark.parametrize(
    ("call", "bad"),
    [
        ("fit", "targets that are no numbers"),
        *((call, bad) for call in ("partial_fit", "warm fit") for bad in BAD),
    ],
)
def test_a_failure_leaves_model_and_encoder_as_they_were(model, call, bad):
    X, y, match = BAD[bad]
    model = copy.deepcopy(model).set_params(warm_start=call == "warm fit")
    untouched, before = copy.deepcopy(model), dict(vars(model))
    with pytest.raises(ValueError, match=match):
        model.partial_fit(X, y) if call == "partial_fit" else model.fit(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is before[key] for key in before)
    assert pickle.dumps(model.encoder_) == pickle.dumps(untouched.encoder_)
    more = TABLE.assign(colour="newer")
    assert_array_equal(
        model.partial_fit(more, RAW).predict(TABLE), untouched.partial_fit(more, RAW).predict(TABLE)
    )


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (TABLE, RAW[:-1], "inconsistent numbers of samples"),
        (TABLE, None, "requires y to be passed"),
        (TABLE[:0], RAW[:0], "0 sample"),
    ],
)
def test_tables_and_targets_of_other_lengths(X, y, match):
    with pytest.raises(ValueError, match=match):
        make("FMRegressor").fit(X, y)


# -- infinite numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["FMClassifier", "FMRegressor", "DeepFMClassifier"])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_infinite_number_is_as_a_very_large_one(name, sign):
    finite, infinite = (
        TABLE.assign(size=TABLE["size"].where(np.arange(N) != 3, sign * x)) for x in (1e200, np.inf)
    )
    for table in (finite, infinite):
        model = make(name).fit(table, target(name))
        assert_array_equal(predictions(model, infinite), predictions(model, finite))
