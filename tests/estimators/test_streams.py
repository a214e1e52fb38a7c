"""Rows that come in chunks: the same model as of the rows, in memory or, where they are many, from disk."""

import copy
import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import log_loss, roc_auc_score

from skfm import FieldEncoder
from tests.estimators.problems import CLASSIFIERS, make, predictions

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N, D = 120, 30
# Rows of uneven length, and values that are not 1.
X = np.zeros((N, D))
for row in X:
    own = RNG.choice(D, size=RNG.integers(0, 9), replace=False)
    row[own] = RNG.choice([0.5, 1.0, 2.0, -1.0], own.size)
X = sparse.csr_array(X)
FACTORS = RNG.normal(size=(D, 2))
RAW = X @ RNG.normal(size=D) + 0.25 * ((X @ FACTORS) ** 2 - X.power(2) @ FACTORS**2).sum(axis=1)
LABELS = (RAW + RNG.logistic(size=N) / 2 > np.median(RAW)).astype(int)
COLUMNS = {
    "colour": RNG.choice(["red", "green", "blue", None], N).tolist(),
    "count": RNG.integers(0, 4, N),
    "size": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N)),
    "tags": [[tag for tag in "abc" if RNG.random() < 0.5] for _ in range(N)],
}
TABLE = pd.DataFrame(COLUMNS)
KINDS = {"csr": X, "array": X.toarray(), "pandas": TABLE, "polars": pl.DataFrame(COLUMNS)}
# A chunk without weight in the middle, for the sizes below.
WEIGHT = RNG.integers(0, 3, N) * (np.arange(N) // 20 != 3)
STEPS = {"solver": "adagrad", "batch_size": 20, "early_stopping": False}
SIZES = [(N,), (1, N - 1), (20,) * 6, (0, 50, 0, 70, 0)]


def target(name):
    """Labels for a classifier, numbers for a regressor."""
    return LABELS if name in CLASSIFIERS else 3 * RAW + 10


class Again:
    """Chunks, or those that a function makes, which can be read again and again; with attributes."""

    def __init__(self, chunks, **attributes):
        self.chunks = chunks
        vars(self).update(attributes)

    def __iter__(self):
        return iter(self.chunks() if callable(self.chunks) else self.chunks)


def cut(sizes, *columns):
    """Tuples of the columns' rows, in chunks of the given sizes."""
    edges = np.cumsum([0, *sizes])
    return [tuple(column[first:last] for column in columns) for first, last in itertools.pairwise(edges)]


def same(model, other, rows=X):
    """Check that two models are the same to the last bit."""
    assert_array_equal(predictions(model, rows), predictions(other, rows))
    assert_array_equal(model.fields_, other.fields_)
    assert model.history_["loss"] == other.history_["loss"]
    assert model.n_features_in_ == other.n_features_in_


# -- few rows, which are put together in memory ------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_small_streams_give_the_model_of_the_rows(kind, sizes):
    rows = KINDS[kind]
    model = make("FMRegressor").fit(rows, target("FMRegressor"))
    streamed = make("FMRegressor").fit(cut(sizes, rows, target("FMRegressor")))
    same(streamed, model, rows)
    assert (streamed.encoder_ is None) == (model.encoder_ is None)


@pytest.mark.parametrize("settings", [{}, STEPS | {"early_stopping": True}], ids=["full-batch", "batches"])
@pytest.mark.parametrize(("name", "kind"), [("DeepFMClassifier", "pandas"), ("FMClassifier", "csr")])
def test_weights_and_class_weights_of_small_streams(name, kind, settings):
    rows = KINDS[kind]
    settings = settings | {"class_weight": "balanced"}
    model = make(name, **settings).fit(rows, LABELS, sample_weight=WEIGHT)
    for sizes in SIZES[2:]:
        # Again, not a list: so may streams be.
        stream = Again(cut(sizes, rows, LABELS, WEIGHT))
        same(make(name, **settings).fit(stream), model, rows)


def test_a_random_generator_gives_the_model_of_the_rows():
    model = make("FMRegressor", random_state=np.random.RandomState(0)).fit(X, RAW)
    streamed = make("FMRegressor", random_state=np.random.RandomState(0)).fit(cut(SIZES[2], X, RAW))
    same(streamed, model)


def test_weights_in_some_chunks():
    weight = np.where(np.arange(N) < 50, 1, WEIGHT)
    chunks = cut((50, 70), X, LABELS, weight)
    chunks[0] = chunks[0][:2]
    same(make("LinearClassifier").fit(chunks), make("LinearClassifier").fit(X, LABELS, sample_weight=weight))


@pytest.mark.parametrize(
    "y", [np.column_stack([LABELS, RAW > 1]).astype(int), np.array(["no", "yes"])[LABELS]]
)
def test_other_labels_of_small_streams(y):
    model = make("FMClassifier").fit(X, y)
    streamed = make("FMClassifier").fit(cut((50, 70), X, y))
    same(streamed, model)
    assert_array_equal(streamed.predict(X), model.predict(X))


def test_values_are_counted_over_all_chunks():
    # Three rows of a value, no two in one chunk.
    table = TABLE.assign(colour=np.where(np.arange(N) % 40 == 0, "rare", "common"))
    streamed = make("LinearRegressor").fit(cut((40, 40, 40), table, RAW))
    assert "colour=rare" in streamed.encoder_.get_feature_names_out()
    own = FieldEncoder(min_frequency=4)
    streamed = make("LinearRegressor", encoder=own).fit(cut((40, 40, 40), table, RAW))
    assert "colour=rare" not in streamed.encoder_.get_feature_names_out()
    assert not hasattr(own, "fields_")


def test_held_out_rows_of_small_streams():
    held = STEPS | {"early_stopping": "auto"}
    model = make("FMClassifier", **held).fit(TABLE[:80], LABELS[:80], X_val=TABLE[80:], y_val=LABELS[80:])
    chunks, late = cut((30, 50), TABLE, LABELS), cut((80, 15, 25), TABLE, LABELS)[1:]
    same(make("FMClassifier", **held).fit(chunks, X_val=late), model, TABLE)
    same(make("FMClassifier", **held).fit(chunks, X_val=TABLE[80:], y_val=LABELS[80:]), model, TABLE)
    rows = make("FMClassifier", **held).fit(TABLE[:80], LABELS[:80], X_val=late)
    same(rows, model, TABLE)
    assert rows.history_["validation_loss"] == model.history_["validation_loss"]


def test_a_warm_start_takes_up_the_values_of_a_stream():
    settings = STEPS | {"warm_start": True, "encoder": FieldEncoder(min_frequency=1)}
    later = TABLE[60:].assign(colour="new")
    model = make("FMRegressor", **settings).fit(TABLE[:60], RAW[:60]).fit(later, RAW[60:])
    streamed = make("FMRegressor", **settings).fit(cut((30, 30), TABLE, RAW))
    same(streamed.fit(cut((20, 40), later, RAW[60:])), model, TABLE)
    assert "colour=new" in streamed.encoder_.get_feature_names_out()


# -- many rows, on disk ------------------------------------------------------------------------------


@pytest.fixture
def on_disk(monkeypatch):
    """All streams go to disk, in several pieces and parts."""
    monkeypatch.setattr("skfm.estimators.streams._IN_MEMORY", 0)
    monkeypatch.setattr("skfm.estimators.streams._BUFFER_ROWS", 40)
    monkeypatch.setattr("skfm.data.spool._PIECE_ROWS", 8)
    # Rows of uneven length have two widths.
    monkeypatch.setattr("skfm.data.pack._FREE_SLOTS", 0)


STILL = {"solver": "sgd", "learning_rate": 1e-12, "max_iter": 1, "batch_size": 20, "early_stopping": False}


@pytest.mark.parametrize(
    ("name", "kind", "more"),
    [
        ("FMClassifier", "csr", {"class_weight": {0: 3.0, 1: 1.0}}),
        ("DeepFMRegressor", "pandas", {}),
        ("DeepFMRegressor", "csr", {"fields": np.arange(D) // 10}),
    ],
)
def test_an_epoch_has_every_row_once_with_its_weight(name, kind, more, on_disk):
    """At a rate of almost nothing the loss of an epoch is that of the first weights."""
    rows, y = KINDS[kind], target(name)
    model = make(name, **STILL, **more).fit(rows, y, sample_weight=WEIGHT)
    streamed = make(name, **STILL, **more).fit(cut(SIZES[2], rows, y, WEIGHT))
    assert_allclose(streamed.history_["loss"], model.history_["loss"], rtol=1e-5)
    assert_allclose(predictions(streamed, rows), predictions(model, rows), rtol=1e-5)
    assert_allclose(streamed.factors_, model.factors_, rtol=1e-5)
    assert_array_equal(streamed.fields_, model.fields_)


@pytest.mark.parametrize(
    ("name", "kind"), [("FMRegressor", "csr"), ("DeepFMClassifier", "pandas"), ("LinearClassifier", "array")]
)
def test_one_batch_gives_the_model_of_the_rows(name, kind, on_disk, monkeypatch):
    monkeypatch.setattr("skfm.estimators.streams._BUFFER_ROWS", N)
    monkeypatch.setattr("skfm.data.pack._FREE_SLOTS", 1 << 15)
    settings = {"solver": "adam", "batch_size": N, "early_stopping": False}
    rows, y = KINDS[kind], target(name)
    y = np.column_stack([y, 1 - y]) if name == "LinearClassifier" else y
    model = make(name, **settings).fit(rows, y, sample_weight=WEIGHT)
    streamed = make(name, **settings).fit(cut(SIZES[2], rows, y, WEIGHT))
    assert_allclose(streamed.history_["loss"], model.history_["loss"], rtol=1e-9)
    assert_allclose(predictions(streamed, rows), predictions(model, rows), rtol=1e-9)


@pytest.mark.parametrize(("name", "kind"), [("FMClassifier", "csr"), ("DeepFMClassifier", "polars")])
def test_many_epochs_from_disk_and_from_memory_end_near_each_other(name, kind, on_disk):
    rows, settings = KINDS[kind], STEPS | {"max_iter": 20, "learning_rate_schedule": "constant"}
    model = make(name, **settings).fit(rows, LABELS)
    chunks = cut(SIZES[3], rows, LABELS)
    streamed = make(name, **settings).fit(chunks)
    # Batches of other rows: over five seeds both losses differed by up to 0.009, and fell by 0.1 at least.
    assert streamed.history_["loss"][-1] == pytest.approx(model.history_["loss"][-1], abs=0.02)
    losses = [log_loss(LABELS, predictions(each, rows)) for each in (streamed, model)]
    assert losses[0] == pytest.approx(losses[1], abs=0.02)
    assert streamed.history_["loss"][0] - streamed.history_["loss"][-1] > 0.08
    assert not np.array_equal(predictions(streamed, rows), predictions(model, rows))
    same(make(name, **settings).fit(Again(chunks)), streamed, rows)
    other = make(name, **settings).set_params(random_state=1).fit(chunks)
    assert not np.array_equal(predictions(other, rows), predictions(streamed, rows))


@pytest.mark.parametrize("scoring", ["loss", "roc_auc"])
def test_training_from_disk_stops_on_held_out_rows(scoring, on_disk):
    settings = {"solver": "adam", "batch_size": 20, "learning_rate": 0.1, "scoring": scoring, "max_iter": 30}
    chunks, late, weight = (
        cut((30, 50), X, LABELS),
        cut((80, 15, 25), X, LABELS, 1 + WEIGHT)[1:],
        1 + WEIGHT[80:],
    )
    model = make("FMClassifier", **settings).fit(chunks, X_val=late)
    given = make("FMClassifier", **settings)
    given.fit(chunks, X_val=X[80:], y_val=LABELS[80:], sample_weight_val=weight)
    for name, values in model.history_.items():
        if name != "time":
            assert_allclose(values, given.history_[name], rtol=1e-5)
    probability = predictions(model, X[80:])[:, 1]
    best = min(model.history_["validation_loss"])
    if scoring == "roc_auc":
        scores = model.history_["validation_score"]
        best = model.history_["validation_loss"][int(np.argmax(scores))]
        assert roc_auc_score(LABELS[80:], probability, sample_weight=weight) == pytest.approx(max(scores))
    assert log_loss(LABELS[80:], probability, sample_weight=weight) == pytest.approx(best, rel=1e-5)
    assert model.n_iter_ < 30


def test_rows_are_held_out_of_a_stream(on_disk):
    settings = STEPS | {"scoring": "roc_auc", "validation_fraction": 0.3}
    settings["early_stopping"] = True
    chunks = cut(SIZES[2], TABLE, LABELS, WEIGHT)
    model = make("FMClassifier", **settings).fit(chunks)
    assert len(model.history_["validation_score"]) == len(model.history_["validation_loss"]) == 3
    same(make("FMClassifier", **settings).fit(chunks), model, TABLE)
    settings["early_stopping"] = False
    whole = make("FMClassifier", **settings).fit(chunks)
    assert "validation_loss" not in whole.history_
    same(make("FMClassifier", **settings).fit(chunks, X_val=chunks[:1]), whole, TABLE)


def test_training_goes_on_after_a_stream(on_disk):
    settings = STEPS | {"encoder": FieldEncoder(min_frequency=1)}
    chunks = cut(SIZES[2], TABLE, RAW)
    model = make("FMRegressor", **settings).fit(chunks)
    n = model.fields_.size
    later = TABLE.assign(colour="new")
    model.partial_fit(later, RAW)
    assert model.fields_.size == n + 1
    assert model.n_iter_ == 4
    red = np.flatnonzero(model.encoder_.get_feature_names_out() == "colour=red")
    coef = model.coef_[red]
    chunks = cut(SIZES[2], later.assign(colour="newer"), RAW)
    model.set_params(warm_start=True).fit(chunks)
    assert model.fields_.size == n + 2
    assert model.history_["loss"][0] < make("FMRegressor", **settings).fit(chunks).history_["loss"][0]
    assert_allclose(model.coef_[red], coef, rtol=1e-6)


def test_rows_on_disk_without_class_weight(on_disk):
    chunks = cut(SIZES[2], X, LABELS)
    model = make("FMClassifier", **STEPS, class_weight={0: 0.0, 1: 1.0}).fit(chunks)
    assert np.isfinite(predictions(model, X)).all()
    assert (model.predict(X) == 1).all()


# -- the folder --------------------------------------------------------------------------------------


def test_the_folder_is_removed_after_success(on_disk, tmp_path):
    seen = []

    def look(estimator, X, y, sample_weight=None):
        seen.append(len(list(tmp_path.rglob("*.npy"))))
        return 1.0

    stream = Again(cut(SIZES[2], X, LABELS), folder=tmp_path, buffer_rows=60)
    make("LinearClassifier", **STEPS | {"early_stopping": True}, scoring=look).fit(stream)
    assert len(seen) == 3
    assert min(seen) > 0
    assert list(tmp_path.iterdir()) == []


def broken_disk():
    """Chunks of which the second cannot be read."""
    yield X[:60], LABELS[:60]
    raise OSError("disk is broken")


def fails_in_scoring(estimator, X, y, sample_weight=None):
    raise OSError("score is broken")


@pytest.mark.parametrize(
    ("chunks", "settings", "error"),
    [
        (broken_disk, {}, OSError),
        (cut(SIZES[2], X, LABELS), {"early_stopping": True, "scoring": fails_in_scoring}, OSError),
        (cut(SIZES[2], X, LABELS), {"solver": "lbfgs"}, ValueError),
        (cut(SIZES[2], X, np.ones(N)), {}, ValueError),
        (cut(SIZES[2], TABLE.assign(size=[*range(N - 1), "text"]), LABELS), {}, ValueError),
    ],
)
def test_a_failure_leaves_no_folder_and_the_model_as_it_was(chunks, settings, error, on_disk, tmp_path):
    model = make("LinearClassifier", **STEPS).fit(X, LABELS)
    model.set_params(**settings)
    before = dict(vars(model))
    with pytest.raises(error):
        model.fit(Again(chunks, folder=tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is before[key] for key in before)


# -- predictions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csr", "pandas"])
def test_predictions_of_a_stream_are_those_of_its_rows(kind):
    rows = KINDS[kind]
    model = make("FMClassifier", **STEPS).fit(rows, LABELS)
    with_targets = cut(SIZES[3], rows, LABELS)
    for stream in (with_targets, Again([chunk[0] for chunk in with_targets])):
        for method in ("predict_proba", "decision_function", "predict_log_proba", "transform"):
            expected = getattr(model, method)(rows)
            assert_allclose(getattr(model, method)(stream), expected, rtol=1e-5, atol=1e-7)
        assert_array_equal(model.predict(stream), model.predict(rows))
    assert model.score(with_targets, LABELS) == model.score(rows, LABELS)


def test_predictions_of_a_regressor():
    model = make("FMRegressor").fit(X, RAW)
    assert_allclose(model.predict(cut(SIZES[2], X, RAW)), model.predict(X), rtol=1e-9)


def test_errors_of_predictions_name_the_chunk():
    model = make("FMRegressor").fit(X, RAW)
    with pytest.raises(ValueError, match=r"Chunk 1.*X has 29 features"):
        model.predict([(X, RAW), (X[:, 1:], RAW)])


def test_predictions_of_no_rows():
    model = make("FMRegressor").fit(X, RAW)
    with pytest.raises(ValueError, match="stream has no rows"):
        model.predict(Again([]))


# -- what cannot be read -----------------------------------------------------------------------------


def fail(chunks, match=None, name="FMRegressor", error=ValueError, model=None, **held_out):
    """Check the error of fitting a stream; a fitted model stays as it was."""
    model = copy.copy(model or make(name))
    before = dict(vars(model))
    with pytest.raises(error, match=match) as caught:
        model.fit(chunks, **held_out)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is before[key] for key in before)
    return str(caught.value)


@pytest.fixture(scope="module")
def model():
    return make("FMRegressor").fit(TABLE, RAW)


GOOD, FLOATS = (TABLE, RAW), (TABLE[["size"]].fillna(0), RAW)


def with_nan(row=7, column=2):
    bad = X.toarray()
    bad[row, column] = np.nan
    return bad


@pytest.mark.parametrize(
    ("first", "second", "match"),
    [
        ((X, RAW), (X[:, 1:], RAW), "X has 29 features"),
        ((X, RAW), (with_nan(), RAW), "NaN at row 7, column 2"),
        ((X, RAW), (sparse.csr_array(with_nan()), RAW), "NaN at row 7, column 2"),
        ((X, RAW), (X, RAW, WEIGHT, 0), r"expected \(X, y\) or \(X, y, sample_weight\), got 4"),
        ((X, RAW), (X,), r"expected \(X, y\) or \(X, y, sample_weight\), got 1"),
        ((X, RAW), (X, RAW[1:]), "inconsistent numbers of samples"),
        ((X, RAW), (X, None), "requires y to be passed"),
        ((X, RAW), (X, np.where(RAW > 0, np.nan, RAW)), "Input y contains NaN"),
        ((X, RAW), (X, RAW, -1.0 * (np.arange(N) == 5)), "negative at row 5"),
        ((X, RAW), (X, RAW, np.ones(N - 1)), "sample_weight.shape"),
        (FLOATS, (FLOATS[0].rename(columns={"size": "length"}), RAW), "feature names should match"),
        (FLOATS, (FLOATS[0].assign(size="big"), RAW), "'size' of X holds text"),
        (FLOATS, (FLOATS[0].assign(size=np.nan), RAW), "NaN at row 0"),
        (GOOD, (TABLE.rename(columns={"size": "length"}), RAW), "feature names should match"),
        (GOOD, (TABLE[TABLE.columns[::-1]], RAW), "feature names should match"),
        (GOOD, (TABLE.drop(columns="size"), RAW), "feature names should match"),
        (GOOD, (X[:, :4], RAW), "X must be a DataFrame"),
        (GOOD, (TABLE, np.where(RAW > 0, np.nan, RAW)), "Input y contains NaN"),
    ],
)
def test_errors_name_the_chunk(first, second, match, model):
    chunks = Again([first, second, first])
    assert "Chunk 1" in fail(chunks, match)
    assert "Chunk 1" in fail(chunks, match, model=model)


def test_errors_name_the_chunk_of_held_out_rows(model):
    message = fail(X, "X has 29 features", y=RAW, X_val=[(X, RAW), (X[:, 1:], RAW)])
    assert "Chunk 1" in message
    message = fail(TABLE, "'size'", model=model, y=RAW, X_val=[GOOD, (TABLE.assign(size="big"), RAW)])
    assert "Chunk 1" in message


@pytest.mark.parametrize("column", ["colour", "size", "tags"])
def test_errors_of_the_encoder_name_the_chunk(column):
    assert "Chunk 1" in fail(
        [GOOD, (TABLE.assign(**{column: 3 if column != "size" else "x"}), RAW)], f"'{column}'"
    )


@pytest.mark.parametrize("y", [np.column_stack([RAW, RAW]), np.array(["text"] * N)])
def test_targets_of_another_kind_name_the_chunk(y):
    assert "Chunk 1" in fail([(X, RAW), (X, y)])


@pytest.mark.parametrize("chunk", [[X, RAW], (X.toarray().tolist(), RAW)])
def test_chunks_of_lists_name_the_chunk(chunk):
    assert "Chunk 1" in fail(Again([(X, RAW), chunk]))


def test_streams_that_can_be_read_only_once(model):
    match = "generator can be read only once"
    fail(((X, RAW) for _ in range(2)), match)
    fail(iter([(X, RAW)]), "list_iterator can be read only once")
    # Predictions read their rows once.
    assert_array_equal(model.predict(chunk for chunk in [TABLE]), model.predict(TABLE))
    fail([GOOD], match, X_val=(chunk for chunk in [GOOD]), model=copy.copy(model).set_params(solver="adam"))


def test_streams_hold_targets_and_weights_themselves(model):
    match = "give neither y nor sample_weight"
    fail([GOOD], match, y=RAW, model=model)
    fail([GOOD], match, sample_weight=WEIGHT, model=model)
    with pytest.raises(ValueError, match=match):
        copy.copy(model).partial_fit([GOOD], None)


@pytest.mark.parametrize("chunks", [[], [(X[:0], RAW[:0])], [(TABLE[:0], RAW[:0])], [(X, RAW, np.zeros(N))]])
def test_streams_without_rows(chunks):
    fail(Again(chunks), "The stream has no rows")


def test_held_out_streams_without_rows():
    fail([(X, RAW)], "stream has no rows", X_val=Again([]))


def test_targets_beside_a_held_out_stream():
    fail([(X, RAW)], "holds? targets|neither y_val", X_val=[(X, RAW)], y_val=RAW)


def test_lbfgs_needs_the_rows_in_memory(on_disk):
    fail([(X, RAW)], "solver='lbfgs' needs all rows in memory", model=make("FMRegressor", solver="lbfgs"))


@pytest.mark.parametrize("name", ["FMRegressor", "LinearRegressor"])
def test_auto_takes_a_solver_that_reads_from_disk(name, on_disk):
    assert make(name).fit([(X, RAW)]).solver_ != "lbfgs"


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_many_held_out_rows_beside_rows_in_memory(solver, on_disk):
    settings = {"solver": solver, "batch_size": 20}
    model = make("FMRegressor", **settings).fit(X, RAW, X_val=cut(SIZES[2], X, RAW))
    given = make("FMRegressor", **settings).fit(X, RAW, X_val=X, y_val=RAW)
    assert_allclose(model.history_["validation_loss"], given.history_["validation_loss"], rtol=1e-5)


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_shares_that_hold_out_no_row_or_all(share, on_disk):
    settings = STEPS | {"early_stopping": True, "validation_fraction": share}
    model = make("LinearRegressor", **settings).fit([(X, RAW)])
    assert np.isfinite(model.history_["validation_loss"]).all()


def test_a_list_of_tuples_is_no_stream():
    rows = list(zip(X.toarray()[:, 0], RAW, strict=True))
    model = make("LinearRegressor").fit(rows, RAW)
    assert_array_equal(model.predict(rows), make("LinearRegressor").fit(np.array(rows), RAW).predict(rows))
