"""Rows that come in chunks: the same model as of the rows, in memory or, where they are many, from disk."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score

from skfm import FieldEncoder, FMRegressor
from tests.estimators.problems import like_partial_fit, make, predictions
from tests.estimators.streams import (
    KINDS,
    LABELS,
    RAW,
    SIZES,
    STEPS,
    TABLE,
    WEIGHT,
    Again,
    D,
    N,
    X,
    cut,
    same,
    target,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

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


def test_whole_numbers_that_turn_into_others_in_a_later_chunk():
    rng = np.random.default_rng(0)
    first = pd.DataFrame({"c": rng.choice(list("ab"), 300), "i": rng.integers(0, 5, 300)})
    later = first.assign(i=rng.integers(0, 500, 300) / 100)
    X = pd.concat([first, later], ignore_index=True)
    y = np.sin(3 * X.i)
    whole = FMRegressor(n_factors=2, random_state=0).fit(X, y)
    stream = FMRegressor(n_factors=2, random_state=0).fit([(first, y[:300]), (later, y[300:])])
    np.testing.assert_array_equal(stream.predict(X), whole.predict(X))


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
    monkeypatch.setattr("skfm.fitting.streams._BUFFER_ROWS", N)
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
    settings |= like_partial_fit(name)
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


def test_rows_that_are_held_out_on_disk_are_evidence_too(on_disk):
    held_out = {"early_stopping": True, "validation_fraction": 0.5, "max_iter": 1}
    dense = np.random.default_rng(0).choice([-1.0, 1.0], size=(N, 4))
    models = make("FMClassifier", **held_out), make("FMClassifier", solver="adagrad", **held_out)
    models[0].fit(cut(SIZES[2], dense, LABELS))
    models[1].fit(dense, LABELS)
    stream, matrix = (model._learned.heard.evidence for model in models)
    assert models[0].plan_["n_held_out"] > N / 4
    assert stream.total == matrix.total == (N, N)
    assert stream.of_columns == pytest.approx(matrix.of_columns, rel=1e-12) == N


def test_rows_on_disk_without_class_weight(on_disk):
    chunks = cut(SIZES[2], X, np.digitize(RAW, [-1.0, 1.0]))
    model = make("FMClassifier", **STEPS, class_weight={0: 0.0}).fit(chunks)
    assert np.isfinite(predictions(model, X)).all()
    assert set(model.predict(X)) == {1, 2}


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


@pytest.mark.parametrize("name", ["FMRegressor", "FMClassifier"])
@pytest.mark.parametrize("several", [False, True])
def test_scores_of_a_stream_are_those_of_its_rows(name, several):
    y = target(name)
    y = np.column_stack([y, np.roll(y, 1)]) if several else y
    model = make(name).fit(X, y)
    parts = cut(SIZES[3], X, y, WEIGHT)
    plain = [chunk[:2] for chunk in parts]
    # Weights in a chunk beside chunks without.
    n_first = len(parts[0][1])
    weight = np.append(WEIGHT[:n_first], np.ones(N - n_first))
    metric, predicted = r2_score if name == "FMRegressor" else accuracy_score, model.predict(X)
    for stream, of_rows in ((plain, None), (iter(plain), None), (Again(parts), WEIGHT)):
        expected = metric(y, predicted, sample_weight=of_rows)
        assert model.score(stream) == pytest.approx(expected, rel=1e-12)
        assert model.score(X, y, of_rows) == pytest.approx(expected, rel=1e-12)
    expected = metric(y, predicted, sample_weight=weight)
    assert model.score([parts[0], *plain[1:]]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weights", [(0.0, 1.0), (1e-320, 1.0), (1e300, 1.0), (1e306, 1e303)], ids=str)
def test_weights_of_all_chunks_are_in_one_unit(weights):
    model = make("FMRegressor").fit(X, RAW)
    halves = [slice(0, N // 2), slice(N // 2, N)]
    y = np.append(RAW[halves[0]], RAW[halves[1]] + 1)
    weight = np.repeat(weights, [N // 2, N - N // 2])
    found = model.score([(X[half], y[half], weight[half]) for half in halves])
    # R2 of scikit-learn overflows at the larger ones.
    expected = r2_score(y, model.predict(X), sample_weight=weight / max(weights))
    assert found == pytest.approx(expected, rel=1e-6)


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


@pytest.mark.parametrize("has_text", [False, True])
def test_parts_of_a_table_are_predicted_one_after_another(has_text):
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    rows = X.toarray()[:, :6]
    table = pd.DataFrame(rows, columns=[f"c{i}" for i in range(6)])
    if has_text:
        table["c0"] = np.where(LABELS, "a", "b")
    model = make("FMClassifier").fit(table, LABELS)
    expected = model.predict_proba(table)
    batches = pa.Table.from_pandas(table).to_batches(10)
    frames = [table[:20], table[20:]]
    for parts in (batches, iter(batches), frames, iter(frames)):
        assert_allclose(model.predict_proba(parts), expected, rtol=1e-12)
    for parts in (batches, frames):
        with pytest.raises(ValueError, match="X is a stream of chunks, which hold targets"):
            make("FMClassifier").fit(parts, LABELS)
        with pytest.raises(ValueError, match=r"list of tables.*Concatenate"):
            FieldEncoder().fit(parts)
    arrays = [rows[:20], rows[20:]]
    model = make("FMClassifier").fit(rows, LABELS)
    assert_array_equal(model.predict(arrays), model.predict(rows))
