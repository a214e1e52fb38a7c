"""Chunks that cannot be read: errors with their number, and a model that stays as it was."""

import copy
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skfm import FieldEncoder
from tests.estimators.problems import make
from tests.estimators.streams import (
    LABELS,
    RAW,
    SIZES,
    STEPS,
    TABLE,
    WEIGHT,
    Again,
    N,
    X,
    cut,
    target,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

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
    message = fail(X, "X_val has 29 features", y=RAW, X_val=[(X, RAW), (X[:, 1:], RAW)])
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


@pytest.mark.parametrize("column", ["count", "size"])
@pytest.mark.parametrize("categorical", [[], ["count", "size"]])
def test_columns_that_turn_to_text_are_named_with_a_remedy(column, categorical):
    encoder = FieldEncoder(categorical=categorical)
    numbers, texts = TABLE[["count", "size"]], TABLE[["count", "size"]].assign(**{column: "q"})
    message = fail([(numbers, RAW), (texts, RAW)], model=make("FMRegressor", encoder=encoder))
    assert message.startswith(f"Chunk 1 of the stream: Column '{column}'")
    assert "text of all its values before fit" in message
    # It is followed.
    encoder = FieldEncoder(categorical=[column])
    chunks = [(rows.assign(**{column: rows[column].astype(str)}), RAW) for rows in (numbers, texts)]
    model = make("FMRegressor", encoder=encoder).fit(chunks)
    assert f"{column}=q" in model.encoder_.get_feature_names_out()


@pytest.mark.parametrize("chunk", [[X, RAW], (X.toarray().tolist(), RAW)])
def test_chunks_of_lists_name_the_chunk(chunk):
    assert "Chunk 1" in fail(Again([(X, RAW), chunk]))


def test_pairs_of_lists_are_chunks():
    rows = X.toarray().tolist()
    assert fail([(rows, RAW.tolist())]) == fail(Again([(rows, RAW.tolist())]))
    assert "got list. Make one of it" in fail([(rows, RAW.tolist(), RAW.tolist())])
    # y is first, or the rows are one row.
    for chunk in ((RAW, X.toarray()), (RAW, X), (RAW, TABLE)):
        assert f"got ndarray of shape ({N},). Make one of it. Chunks are (X, y)" in fail([chunk])
    assert fail([[X, RAW]]) == fail(Again([[X, RAW]]))
    make("LinearRegressor").fit([(np.array(rows), RAW.tolist())])


def test_streams_that_can_be_read_only_once(model):
    match = "generator can be read only once"
    fail(((X, RAW) for _ in range(2)), match)
    fail(iter([(X, RAW)]), "list_iterator can be read only once")
    # Predictions read their rows once.
    assert_array_equal(model.predict(chunk for chunk in [TABLE]), model.predict(TABLE))
    fail([GOOD], match, X_val=(chunk for chunk in [GOOD]), model=copy.copy(model).set_params(solver="adam"))


@pytest.mark.parametrize("largest", [1e101, 1e300, 1e-101, 1e-320])
def test_weights_of_parts_are_taken_as_they_are(largest, model):
    """Others would be scaled, in each part by another number."""
    weight = WEIGHT * (largest / WEIGHT.max())
    match = re.escape(f"sample_weight reaches {largest:g} in this part")
    fail([(TABLE, RAW, WEIGHT), (TABLE, RAW, weight)], f"^Chunk 1 of the stream: {match}", model=model)
    with pytest.raises(ValueError, match=f"^{match}"):
        make("FMRegressor").partial_fit(TABLE, RAW, sample_weight=weight)
    with pytest.raises(ValueError, match=f"^{match}"):
        copy.copy(model).partial_fit(TABLE, RAW, sample_weight=weight)
    # Fit, which knows all, scales them.
    model.fit(TABLE, RAW, sample_weight=weight)


@pytest.mark.parametrize(
    ("name", "y", "match"),
    [
        ("FMRegressor", np.where(np.arange(N) == 3, "oops", RAW.astype(object)), "'oops' at row 3"),
        ("FMRegressor", np.where(np.arange(N) == 3, np.nan, RAW), "y contains NaN at row 3"),
        ("FMRegressor", np.column_stack([RAW, RAW]), "y has 2 columns, but the estimator was fitted on 1"),
        ("FMRegressor", None, "requires y to be passed"),
        ("FMRegressor", RAW[:-1], "inconsistent numbers of samples"),
        ("FMClassifier", np.where(np.arange(N) == 3, 7.5, LABELS), "y holds 7.5 at row 3"),
        ("FMClassifier", np.where(np.arange(N) == 3, np.nan, LABELS), "y contains NaN at row 3"),
        (
            "FMClassifier",
            LABELS.astype(str),
            f"y holds '{LABELS[0]}' at row 0, and the classes are such as 0",
        ),
        ("FMClassifier", np.column_stack([LABELS, LABELS]), "fitted on one column of classes"),
        ("ESMMClassifier", np.full((N, 2), 2), r"y holds \[2.0, 2.0\] at row 0; clicks"),
    ],
)
def test_targets_that_cannot_be_scored(name, y, match):
    known = np.column_stack([LABELS, 0 * LABELS]) if name == "ESMMClassifier" else target(name)
    fitted = make(name).fit(TABLE, known)
    with pytest.raises(ValueError, match=f"^Chunk 1 of the stream: .*{match}"):
        fitted.score([(TABLE, known), (TABLE, y)])
    if y is not None:
        with pytest.raises(ValueError, match=match):
            fitted.score(TABLE, y)


def test_labels_that_are_none_of_the_classes_are_missed():
    labels = target("FMClassifier")
    fitted = make("FMClassifier").fit(TABLE, labels)
    others = np.where(np.arange(N) % 2, labels, 7)
    expected = np.mean(fitted.predict(TABLE) == others)
    assert fitted.score([(TABLE, others)]) == fitted.score(TABLE, others) == pytest.approx(expected)


def test_streams_hold_targets_and_weights_themselves(model):
    match = "give neither y nor sample_weight"
    fail([GOOD], match, y=RAW, model=model)
    fail([GOOD], match, sample_weight=WEIGHT, model=model)


@pytest.mark.parametrize("name", ["FMRegressor", "FMClassifier"])
def test_partial_fit_takes_no_stream(name):
    """What the message says is done instead."""
    stream = cut(SIZES[2], TABLE, target(name))
    for given in ((stream,), (Again(stream), None)):
        with pytest.raises(ValueError, match="partial_fit takes the rows of one") as caught:
            make(name).partial_fit(*given)
    loop = str(caught.value).partition("of one: ")[2].partition(". Weights")[0]
    model, expected = make(name), make(name)
    exec(loop.replace("[...]", "[0, 1]"), {"stream": stream, "model": model})
    options = {"classes": [0, 1]} if name == "FMClassifier" else {}
    for rows, y in stream:
        expected.partial_fit(rows, y, **options)
    assert_array_equal(model.predict(TABLE), expected.predict(TABLE))
    with pytest.raises(ValueError, match="requires y to be passed"):
        make(name).partial_fit(TABLE)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ((TABLE,), "score needs y, the targets of the rows"),
        (([GOOD, (TABLE,)],), r"Chunk 1 of the stream: expected \(X, y\) or \(X, y, sample_weight\), got 1"),
        (([GOOD, (TABLE, RAW[1:])],), "Chunk 1 of the stream: .* inconsistent numbers of samples"),
        (([GOOD, (TABLE, RAW, -WEIGHT - 1)],), "Chunk 1 of the stream: sample_weight .* negative"),
        (([GOOD], None, WEIGHT), "sample_weight is given without y"),
    ],
)
def test_scores_that_cannot_be_told(model, given, match):
    with pytest.raises(ValueError, match=match):
        model.score(*given)


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
