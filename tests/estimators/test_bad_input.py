"""Errors name the cause, the place and the remedy, and leave a fitted model as it was."""

import contextlib
import copy
import re
import resource
import tracemalloc
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import optax
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer_names

from skfm import FieldEncoder
from skfm.names import ELEMENT_WISE_SOLVERS, SOLVERS
from tests.estimators.problems import (
    CLASSIFIERS,
    FAMILY,
    LABELS,
    NAMES,
    RAW,
    REGRESSORS,
    D,
    N,
    X,
    Y,
    make,
    predictions,
)
from tests.estimators.problems import target as target_of

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def fails(fitted):
    """Function that makes a call fail on a fitted model, and looks whether the model is as it was."""

    def check(name, call, match, error=ValueError, **parameters):
        model = copy.deepcopy(fitted(name, solver="adam"))
        known = {parameter: getattr(model, parameter) for parameter in parameters}
        expected = predictions(model)
        before = dict(vars(model.set_params(**parameters)))
        with pytest.raises(error, match=match) as caught:
            call(model)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is before[key] for key in before)
        np.testing.assert_array_equal(predictions(model.set_params(**known)), expected)
        return str(caught.value)

    return check


def with_entry(value, row=7, column=2):
    bad = X.copy()
    bad[row, column] = value
    return bad


def as_pandas(X):
    return pytest.importorskip("pandas").DataFrame(X, columns=[f"c{i}" for i in range(D)])


def as_polars(X):
    return pytest.importorskip("polars").DataFrame(X, schema=[f"c{i}" for i in range(D)])


CALLS = {
    "fit": lambda model, X, y: model.fit(X, y),
    "partial_fit": lambda model, X, y: model.partial_fit(X, y),
    "predict": lambda model, X, y: model.predict(X),
}


# -- X -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", CALLS)
def test_not_finite_names_row_and_column(name, call, fails):
    y = target_of(name)
    for value, what in ((np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")):
        bad = with_entry(value)
        for held in (bad, sparse.csc_matrix(bad)):
            message = fails(name, lambda model, held=held: CALLS[call](model, held, y), "row 7, column 2")
            assert what in message
            # Which refuses infinity itself.
            assert ("SimpleImputer" in message) == (what == "NaN")
            assert ("numpy.clip" in message) == (what == "infinity")


@pytest.mark.parametrize("frame", [as_pandas, as_polars])
def test_not_finite_names_the_column_of_a_frame(frame):
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"row 7, column 2 \('c2'\)"):
            make("FMRegressor").fit(frame(with_entry(value)), Y)
    model = make("FMRegressor").fit(frame(X), Y)
    expected = model.predict(frame(X))
    for call in CALLS.values():
        with pytest.raises(ValueError, match=r"row 7, column 2 \('c2'\)"):
            call(model, frame(with_entry(np.nan)), Y)
    np.testing.assert_array_equal(model.predict(frame(X)), expected)


@pytest.mark.parametrize("held_as", [np.asarray, as_pandas, as_polars, sparse.csr_array])
@pytest.mark.parametrize("name", NAMES)
def test_remedies_for_missing_values_work(name, held_as):
    bad, y = held_as(with_entry(np.nan)), target_of(name)
    with pytest.raises(ValueError, match="SimpleImputer") as caught:
        make(name).fit(bad, y)
    assert ("encoder=skfm.FieldEncoder()" in str(caught.value)) == (held_as is not sparse.csr_array)
    if held_as is not sparse.csr_array:
        model = make(name, encoder=FieldEncoder()).fit(bad, y)
        assert np.isfinite(predictions(model, bad)).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("call", CALLS)
def test_text_names_the_column(library, call):
    module = pytest.importorskip(library)
    columns = {f"c{i}": X[:, i] for i in range(D)}
    text = module.DataFrame({**columns, "c4": ["red"] * N})
    frame = module.DataFrame(columns)
    model = make("FMRegressor", encoder=None).fit(frame, Y)
    expected = model.predict(frame)
    with pytest.raises(ValueError, match=r"'c4' of X holds text.*OneHotEncoder"):
        CALLS[call](model, text, Y)
    np.testing.assert_array_equal(model.predict(frame), expected)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes(name, fails):
    y = target_of(name)
    fails(name, lambda model: model.fit(X[0], y), "2D array")
    fails(name, lambda model: model.fit(X[:, :, None], y), "dim 3|3 dim")
    fails(name, lambda model: model.fit(X[:-1], y), "inconsistent numbers of samples")
    fails(name, lambda model: model.fit(X[:0], y[:0]), "0 sample")
    fails(name, lambda model: model.fit(X[:, :0], y), "0 feature")
    fails(name, lambda model: model.fit(X, None), "requires y to be passed")
    fails(name, lambda model: model.fit(X + 0j, y), "Complex data not supported")
    fails(name, lambda model: model.predict(X[0]), "2D array")


NO_ROWS = {
    "dicts": ([{"a": 1, "b": 2}] * N, r"Row 0 of X is a dict.*pandas.DataFrame\(list\(X\)\)"),
    "objects": (np.array([{"a": 1}] * N, dtype=object), "Row 0 of X is a dict"),
    "ragged": ([[1.0, 2.0]] * (N - 1) + [[1.0]], r"Row 63 of X has shape \(1,\), and row 0 has shape \(2,\)"),
    "ragged arrays": ([np.ones(2)] * (N - 1) + [np.ones(3)], "Row 63 of X has shape"),
    "ragged text": ([["a", "b"], ["a"]] * (N // 2), "Row 1 of X has shape"),
    "text": (["a b", "c"] * (N // 2), r"Row 0 of X is 'a b', of type str.*\[\[value\] for value in X\]"),
    "vector of text": (np.array(["a", "b"] * (N // 2)), "Row 0 of X is 'a'"),
    "bytes": ([b"a"] * N, "Row 0 of X is b'a'"),
    "word": ("data.csv", "X is a str"),
    "dict": ({"a": [1.0] * N}, r"X is a dict.*pandas.DataFrame\(X\)"),
    "records": (np.zeros(N, dtype=[("a", float)]), r"array of records.*pandas.DataFrame\(X\)"),
}


@pytest.mark.parametrize("kind", NO_ROWS)
def test_what_has_no_rows_of_as_many_values(kind, fails):
    held, match = NO_ROWS[kind]
    for call in CALLS.values():
        fails("FMRegressor", lambda model, call=call: call(model, held, Y), match)
    with pytest.raises(ValueError, match=match):
        FieldEncoder().fit(held)


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("held_as", [np.asarray, as_pandas])
def test_numbers_beyond_floats(held_as, fails):
    held = X.astype(object)
    held[7, 2] = 10**400
    for call in CALLS.values():
        message = fails("FMRegressor", lambda model, call=call: call(model, held_as(held), Y), "at row 7")
        assert "beyond the range of floats" in message


def test_values_that_are_dicts(fails):
    held = np.array([[{"a": 1}] * D] * N, dtype=object)
    match = "Column 0 of X holds values of type dict, not numbers: {'a': 1} at row 0"
    for call in CALLS.values():
        fails("FMRegressor", lambda model, call=call: call(model, held, Y), match, TypeError)


@pytest.mark.parametrize("value", [1j, [1], {"a": 1}, object(), "z", b"z", date(2020, 1, 2)])
def test_remedies_for_a_value_that_is_no_number_work(value):
    held = X.astype(object)
    held[7, 2] = value
    with pytest.raises((TypeError, ValueError), match=r"Column 2 of X .* at row 7 ") as caught:
        make("FMRegressor", encoder=None).fit(held, Y)
    assert str(caught.value).endswith(
        "Make numbers of such values, or drop their rows; or make numpy.nan of them, and fit with "
        "encoder=skfm.FieldEncoder(), which takes missing values."
    )
    number, missing = held.copy(), held.copy()
    number[7, 2], missing[7, 2] = 0.5, np.nan
    make("FMRegressor", encoder=None).fit(number, Y)
    make("FMRegressor", encoder=None).fit(np.delete(held, 7, axis=0), np.delete(Y, 7))
    make("FMRegressor", encoder=FieldEncoder()).fit(missing, Y)


@pytest.mark.parametrize("value", [["u", "v"], "z", b"z", date(2020, 1, 2)])
def test_the_remedy_for_a_column_without_numbers_works(value):
    held = X.astype(object)
    for row in range(N):
        held[row, 2] = value
    with pytest.raises((TypeError, ValueError), match=r"at row 0 .* Fit with encoder=skfm.FieldEncoder\(\)"):
        make("FMRegressor", encoder=None).fit(held, Y)
    make("FMRegressor", encoder=FieldEncoder()).fit(held, Y)


# -- containers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_masked_values_are_no_values(call, fails):
    masked = np.ma.array(X, mask=np.arange(N * D).reshape(N, D) == 7 * D + 2)
    assert "encoder=skfm.FieldEncoder()" in fails(
        "FMRegressor", lambda model: CALLS[call](model, masked, Y), "X has a masked value at row 7"
    )
    expected = make("FMRegressor").fit(X, Y).predict(X)
    unmasked = np.ma.array(X), np.ma.array(Y)
    np.testing.assert_array_equal(make("FMRegressor").fit(*unmasked).predict(X), expected)
    filled = masked.astype(float).filled(np.nan)
    assert np.isfinite(make("FMRegressor", encoder=FieldEncoder()).fit(filled, Y).predict(filled)).all()


def test_masked_targets_and_weights(fails):
    masked = np.ma.array(np.ones(N), mask=np.arange(N) == 5)
    fails("FMRegressor", lambda model: model.fit(X, masked), "y has a masked value at row 5. Drop that row")
    message = "sample_weight has a masked value at row 5"
    fails("FMRegressor", lambda model: model.fit(X, Y, sample_weight=masked), message)
    make("FMRegressor").fit(X, Y, sample_weight=masked.filled(0))
    with pytest.raises(ValueError, match="X has a masked value at row 5"):
        FieldEncoder().fit(masked[:, None])


@pytest.mark.parametrize("dtype", ["M8[D]", "m8[s]"])
@pytest.mark.parametrize("call", CALLS)
def test_dates_and_durations_of_arrays_that_are_missing(dtype, call):
    held = np.column_stack([np.arange(N) % 5, np.arange(N) % 3]).astype(dtype)
    model = make("FMRegressor").fit(held, Y)
    np.testing.assert_array_equal(model.predict(held), model.predict(held.astype(float)))
    held[7, 1] = "NaT"
    with pytest.raises(ValueError, match=r"NaT at row 7, column 1.*encoder=skfm.FieldEncoder\(\)"):
        CALLS[call](model, held, Y)
    assert np.isfinite(make("FMRegressor", encoder=FieldEncoder()).fit(held, Y).predict(held)).all()


def test_a_sparse_vector_is_no_matrix(fails):
    for call in CALLS.values():
        vector = sparse.coo_array(X[:, 0])
        fails("FMRegressor", lambda model, call=call, X=vector: call(model, X, Y), r"X.reshape\(-1, 1\)")


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize("name", ["FMRegressor", "DeepFMRegressor"])
def test_sparse_entries_that_are_nowhere(name, kind, fails):
    broken = sparse.csr_matrix(X).asformat(kind)
    (broken.col if kind == "coo" else broken.indices)[3] = 10**9
    held_out = {"X_val": broken, "y_val": Y}
    calls = [
        *(partial(call, X=broken, y=Y) for call in CALLS.values()),
        lambda model: model.fit(X, Y, **held_out),
    ]
    for call in calls:
        assert "Correct its arrays or its shape" in fails(name, call, "1000000000, of which there are")


@pytest.mark.parametrize("solver", ["lbfgs", "adagrad"])
@pytest.mark.parametrize("value", [1e20, -1e200])
def test_a_held_out_target_beside_which_no_other_counts(fails, solver, value):
    y = Y.copy()
    y[5] = value
    held_out = {"X_val": X, "y_val": y, "sample_weight_val": np.append(0, np.ones(N - 1))}
    message = re.escape(f"y_val holds {value:g} at row 5")
    fails("FMRegressor", lambda model: model.fit(X, Y, **held_out), message, solver=solver)


@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["lbfgs", "adagrad"])
def test_large_counts_are_in_reach(solver):
    model = make("FMRegressor", loss="poisson", solver=solver, max_iter=3)
    counts = np.full(N, 1e8)
    assert np.isfinite(model.fit(X, counts, X_val=X, y_val=counts).predict(X)).all()


def test_sparse_labels_that_are_nowhere(fails):
    broken = sparse.csr_array(np.ones((N, 3), dtype=int))
    broken.indices[7] = 10**9
    for name in ("fit", "partial_fit"):
        fails(
            "FMClassifier",
            lambda model, name=name: getattr(model, name)(X, broken),
            "Row 2 of y has an entry in column 1000000000, of which there are 3",
        )


def test_text_of_any_length_is_text():
    dtypes = pytest.importorskip("numpy.dtypes")
    if not hasattr(dtypes, "StringDType"):
        pytest.skip("NumPy 2 has this type")
    table, labels = np.array(["a", "bcd"] * N).reshape(N, 2)[::-1], np.array(["no", "yes"])[LABELS]
    expected = make("FMClassifier").fit(table, labels).predict(table)
    held = table.astype(dtypes.StringDType())
    weight = np.ones(N).astype(str).astype(dtypes.StringDType())
    model = make("FMClassifier").fit(held, labels.astype(dtypes.StringDType()), sample_weight=weight)
    np.testing.assert_array_equal(model.predict(held), expected)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (["a", np.nan], "y contains NaN at row 1. Drop that row"),
        (["a", None], "y has a missing value, None, at row 1"),
        (["a", 1], "y holds 1 at row 1, and 'a' before"),
    ],
)
def test_values_beside_text_are_no_text(values, match, fails):
    for held in (values * (N // 2), tuple(values * (N // 2)), np.array(values * (N // 2), dtype=object)):
        fails("FMClassifier", lambda model, y=held: model.fit(X, y), match)


WHOLE = 2**62 + np.arange(N) % 2


def as_wide(kind):
    """Ids in the second column that are one number as floats."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    two = np.column_stack([np.arange(N) % 3, WHOLE])
    frame = pd.DataFrame(two, columns=["a", "id"])
    held = {
        "array": two,
        "list": [[0.5, value] for value in WHOLE.tolist()],
        "objects": two.astype(object),
        "text": two.astype(str),
        "pandas": frame,
        "pandas's own": frame.astype("Int64"),
        "sparse frame": frame.astype(pd.SparseDtype(np.int64, 0)),
        "decimals": frame.map(Decimal),
        "polars": pl.DataFrame(two, schema=["a", "id"]),
        "sparse": sparse.csr_array(two),
    }
    return held[kind]


WIDE = ["array", "list", "objects", "text", "pandas", "pandas's own", "sparse frame", "polars", "sparse"]


@pytest.mark.parametrize("kind", [*WIDE, "decimals"])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_whole_numbers_that_would_be_one_float(kind, call):
    held, y = as_wide(kind), np.arange(N) % 2
    match = r"Column (1|'id')( of X)? holds 4611686018427387904 at row 0 and 4611686018427387905 at row 1"
    with pytest.raises(ValueError, match=match):
        CALLS[call](make("FMClassifier"), held, y)
    if kind not in ("sparse", "decimals"):  # for decimals, which are numbers, there is another remedy
        model = CALLS[call](make("FMClassifier", encoder=FieldEncoder(), max_iter=30), held, y)
        assert call == "partial_fit" or model.score(held, y) == 1
    near = np.column_stack([np.arange(N) % 3, WHOLE - 2**62])
    assert make("FMClassifier", max_iter=30).fit(near, y).score(near, y) == 1


def test_decimals_of_a_table_that_would_be_one_float():
    table, y = as_wide("decimals").assign(site=["a", "b"] * (N // 2)), np.arange(N) % 2
    with pytest.raises(ValueError, match=r"Column 'id' holds 4611686018427387904 at row 0 and .*'Int64'"):
        make("FMClassifier").fit(table, y)
    make("FMClassifier").fit(table.astype({"id": "Int64"}), y)
    make("FMClassifier", encoder=FieldEncoder(categorical=["id"])).fit(table, y)


@pytest.mark.parametrize("kind", ["array", "list", "objects", "Series", "decimals", "text"])
def test_targets_that_would_be_one_float(kind, fails):
    pd = pytest.importorskip("pandas")
    y = {
        "array": WHOLE,
        "list": [0.5, *WHOLE.tolist()[1:]],
        "objects": WHOLE.astype(object),
        "Series": pd.Series(WHOLE, dtype="Int64"),
        "decimals": np.array([Decimal(value) for value in WHOLE.tolist()]),
        "text": WHOLE.astype(str),
    }[kind]
    for call in ("fit", "partial_fit"):
        match = r"y holds 461168601842738790\d at row \d and .*are one float. Subtract a number"
        fails("FMRegressor", lambda model, call=call: CALLS[call](model, X, y), match)


@pytest.mark.parametrize("fill_value", [np.nan, 0.0, 1.0])
def test_sparse_columns_of_frames(fill_value):
    pd = pytest.importorskip("pandas")
    dense = pd.DataFrame((X != 0).astype(float)).rename(columns=str)
    expected = make("FMRegressor").fit(dense, Y).predict(dense)
    held = dense.astype(pd.SparseDtype(float, fill_value))
    np.testing.assert_allclose(make("FMRegressor").fit(held, Y).predict(held), expected)
    mixed = held.assign(**{"1": dense["1"]})
    np.testing.assert_allclose(make("FMRegressor").fit(mixed, Y).predict(mixed), expected)
    dense.iloc[7, 2] = np.nan
    held = dense.astype(pd.SparseDtype(float, fill_value))
    with pytest.raises(ValueError, match=r"NaN at row 7, column 2 \('2'\)"):
        make("FMRegressor").fit(held, Y)


def test_sparse_columns_of_text_are_a_table():
    pd = pytest.importorskip("pandas")
    text = np.array(["a", "b"] * (N // 2), dtype=object)
    held = pd.DataFrame({"site": pd.arrays.SparseArray(text)})
    expected = make("FMRegressor").fit(pd.DataFrame({"site": text}), Y).predict(held)
    np.testing.assert_array_equal(make("FMRegressor").fit(held, Y).predict(held), expected)


@pytest.mark.filterwarnings("ignore:.*nothing was learned:sklearn.exceptions.ConvergenceWarning")
def test_advice_on_rows_works():
    pd = pytest.importorskip("pandas")
    make("FMRegressor").fit(pd.DataFrame([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]), [0.0, 1.0])
    make("FMRegressor").fit(pd.DataFrame({"name": [["a", "b"], ["a"]]}), [0.0, 1.0])
    make("FMRegressor").fit([[value] for value in ["a b", "c"]], [0.0, 1.0])
    make("FMRegressor").fit(pd.DataFrame(np.ones(2, dtype=[("a", float)])), [0.0, 1.0])


@pytest.mark.parametrize("frame", [as_pandas, as_polars])
def test_frames_without_rows_or_columns(frame, fails):
    table = frame(X)
    for part, match in ((table[:0], r"0 sample\(s\) \(shape=\(0, 6\)\)"), (table[[]], "0 feature|0 sample")):
        for call in CALLS.values():
            fails("FMRegressor", lambda model, call=call, part=part: call(model, part, Y), match)
        with pytest.raises(ValueError, match=match):
            FieldEncoder().fit(part)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_column_count(name, fails):
    expected = f"X has {D - 1} features, but {name} is expecting {D} features"
    fails(name, lambda model: model.predict(X[:, :-1]), expected)
    fails(name, lambda model: model.predict(sparse.csr_array(X[:, :-1])), expected)
    fails(name, lambda model: model.partial_fit(X[:, :-1], target_of(name)), expected)
    if name.startswith("FM"):
        fails(name, lambda model: model.transform(X[:, :-1]), expected)
    if name.startswith("MixtureFM"):
        fails(name, lambda model: model.gate_proba(X[:, :-1]), expected)


@pytest.mark.parametrize("name", NAMES)
def test_not_fitted(name):
    model = make(name)
    methods = [
        "predict",
        "transform",
        "gate_proba",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
    ]
    for method in methods:
        if hasattr(model, method):
            with pytest.raises(NotFittedError, match=name):
                getattr(model, method)(X)


NO_TARGETS = {
    "ragged": ([[0], [0, 1]] * (N // 2), r"y holds \[0\] at row 0, of type list.*MultiLabelBinarizer"),
    "nested": ([[0, 1]] * (N - 1) + [[0, [1]]], r"y holds \[1\] at row 63"),
    "sets": ([1] * (N - 1) + [{1, 2}], r"y holds \{1, 2\} at row 63, of type set"),
    "tuples": ([("a", "b"), ("a",)] * (N // 2), r"y holds \('a', 'b'\) at row 0"),
    "dicts": ([{"a": 1}] * N, "y holds {'a': 1} at row 0, of type dict"),
    "dict": ({"a": 1}, "y is {'a': 1}, of type dict"),
    "word": ("target", "y is 'target', of type str"),
    "number": (3, "y is 3, of type int"),
    "set": ({0, 1}, "of type set"),
    "generator": ((label for label in LABELS), "of type generator"),
    "records": (np.zeros(N, dtype=[("a", float)]), "y is an array of records"),
    "complex": (LABELS + 0j, "Complex data not supported: y holds complex numbers"),
}


@pytest.mark.parametrize("kind", NO_TARGETS)
@pytest.mark.parametrize("name", ["FMClassifier", "MixtureFMRegressor"])
def test_what_is_no_target(name, kind, fails):
    y, match = NO_TARGETS[kind]
    for call in ("fit", "partial_fit"):
        fails(name, lambda model, call=call: CALLS[call](model, X, y), match)


def with_target(value, other=1):
    y = np.full(N, other, dtype=object)
    y[7] = value
    return y


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (LABELS + 0.5, r"Unknown label type: y holds \d.5 at row 0, and labels are text or whole numbers"),
        (with_target(Decimal("0.5")), r"Decimal\('0.5'\) at row 7.*\[str\(label\) for label in labels\]"),
        (with_target(Fraction(1, 3)), r"Fraction\(1, 3\) at row 7"),
        (with_target(date(2020, 1, 2)), r"datetime.date\(2020, 1, 2\) at row 7, of type date"),
        (with_target(timedelta(1)), r"datetime.timedelta\(days=1\) at row 7"),
        (with_target(10**400), r"at row 7, of type int, .* whole numbers from -2\*\*63 to 2\*\*63 - 1"),
        (with_target(-1e19, other=1.0).astype(float), r"y holds -1e\+19 at row 7, of type float"),
        (with_target("a"), "y holds 'a' at row 7, and 1 before"),
        (np.array([b"a", b"b"] * (N // 2)), r"represented as bytes.*np.char.decode\(y, 'latin-1'\)"),
        (with_target(2), r"y holds objects of type int, .*np.asarray\(y, dtype=int\)"),
        ([2.0**53, 2**53 + 1] * (N // 2), r"objects of type float and int, .*np.asarray\(y, dtype=int\) or"),
        ([np.datetime64("2020"), 1] * (N // 2), r"of one type. Make it one, with np.asarray\(y, dtype=str"),
    ],
)
def test_what_is_no_label(y, match, fails):
    for name in ("FMClassifier", "LinearClassifier"):
        for call in ("fit", "partial_fit"):
            fails(name, lambda model, call=call: CALLS[call](model, X, y), match)


@pytest.mark.parametrize("held_as", [list, tuple, partial(np.array, dtype=object)])
@pytest.mark.parametrize(
    "labels", [[2.0**53, 2**53 + 1], [2**64 - 1, -1], [b"a", b"\xff"], [b"a", 1], [1j, 2]]
)
def test_remedies_for_labels_work(labels, held_as):
    y = held_as(labels * (N // 2))
    with pytest.raises(ValueError, match="y holds") as caught:
        make("FMClassifier").fit(X, y)
    remedies = re.findall(r"np\.[\w.]+\(y[^)]*\)|\[str.*\]", str(caught.value))
    assert remedies
    for remedy in remedies:
        mended = eval(remedy, {"np": np, "y": y, "labels": y})
        assert make("FMClassifier", max_iter=1).fit(X, mended).classes_.size == 2


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (with_target("a"), "y must hold numbers, and holds 'a' at row 7, of type str"),
        (["1"] * (N - 1) + ["a"], "holds 'a' at row 63"),
        (np.array([b"a"] * N), "holds b'a' at row 0"),
        (with_target(date(2020, 1, 2)), "at row 7, of type date"),
        (np.full(N, 1, "timedelta64[s]"), "dates or durations"),
        (np.column_stack([with_target("a"), Y]), "holds 'a' at row 7"),
        (with_target(10**400), "at row 7, beyond the range of floats. Scale y"),
    ],
)
def test_targets_of_regressors_that_are_no_numbers(y, match, fails):
    for call in ("fit", "partial_fit"):
        fails("FMRegressor", lambda model, call=call: CALLS[call](model, X, y), match)


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        ([0, 1, np.nan], r"classes= holds a missing value, nan, at position 2"),
        ([0, None], "missing value, None, at position 1"),
        (["0", "1", np.nan], "missing value, nan, at position 2"),
        (np.array(["2020", "NaT"], "datetime64[D]"), "missing value, None, at position 1"),
        ([[0, 1]], r"classes=\[\[0, 1\]\] must be one list of labels"),
        ([0, [1]], r"holds \[1\] at position 1, of type list"),
        ([0, "1"], "holds '1' at position 1, and 0 before"),
        ([0, 0.5], "holds 0.5 at position 1"),
        ([0, 1, np.inf], "holds inf at position 2"),
        ([], "No class in classes="),
        ([1, 1], "Only one class, 1, in classes="),
        ("ab", "must be one list of labels"),
        (5, "must be one list of labels"),
        ({0, 1}, "must be one list of labels"),
        ({0: 1, 1: 2}, "must be one list of labels"),
    ],
)
def test_classes_that_are_no_labels(classes, match, fails):
    with pytest.raises(ValueError, match=match):
        make("FMClassifier").partial_fit(X, LABELS, classes=classes)
    later = f"{match}|are not the classes of the first call"
    fails("FMClassifier", lambda model: model.partial_fit(X, LABELS, classes=classes), later)


@pytest.mark.parametrize(
    "classes", [[0, 0, 1], (1, 0), range(2), [False, True], [0.0, 1.0], np.array([0, 1], dtype=object)]
)
def test_classes_in_any_list(classes):
    model = (
        make("FMClassifier").partial_fit(X, LABELS, classes=classes).partial_fit(X, LABELS, classes=classes)
    )
    assert model.classes_.tolist() == [0, 1]


def test_dates_are_classes():
    days = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
    model = make("FMClassifier").partial_fit(X, days[LABELS], classes=days)
    np.testing.assert_array_equal(model.classes_, days)


# -- weights -----------------------------------------------------------------------------------------


def weights(value, row=5):
    out = np.ones(N)
    out[row] = value
    return out


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (weights(-1.0), "negative at row 5"),
        (weights(np.nan), "not finite at row 5"),
        (weights(np.inf), "not finite at row 5"),
        (np.zeros(N), "zero for every row"),
        (np.ones(N - 1), r"sample_weight.shape == \(63,\), expected \(64,\)"),
        (np.ones((N, 2)), "1D array or scalar"),
        (["1"] * (N - 1) + ["a"], "holds 'a' at row 63, which is no number"),
        ([1] * (N - 1) + [10**400], r"at row 63, beyond the range of floats"),
        ([1] * (N - 1) + [10**5000], r"holds 0x.*\.\.\. at row 63, beyond the range of floats"),
        ([1] * (N - 1) + [Fraction(10**400)], r"at row 63, beyond the range of floats"),
        ([[1], [1, 2]] * (N // 2), "rows of several lengths"),
        (sparse.csr_array(np.ones((N, 1))), "is a csr_array"),
        ({0: 1, 1: 2}, "is a dict"),
        ("balanced", "is a str"),
        ((1.0 for _ in range(N)), "is a generator"),
        (np.ones(N) + 0j, "of type complex128"),
        (np.full(N, "2020-01-01", "datetime64[D]"), r"of type datetime64\[D\]"),
    ],
    ids=[
        "negative",
        "nan",
        "inf",
        "zeros",
        "length",
        "2d",
        "text",
        "huge",
        "too long to write",
        "a huge fraction",
        "ragged",
        "sparse",
        "dict",
        "words",
        "generator",
        "complex",
        "dates",
    ],
)
def test_weights(name, call, weight, match, fails):
    fails(name, lambda model: getattr(model, call)(X, target_of(name), sample_weight=weight), match)


def test_weights_of_chunks_that_are_none():
    for weight, match in (
        ([None] * N, "not finite at row 0"),
        ([], r"shape == \(0,\)"),
        (np.zeros(3), "shape"),
    ):
        with pytest.raises(ValueError, match=f"Chunk 1 of the stream.*{match}"):
            make("FMRegressor").fit([(X, Y), (X, Y, weight)])
    pl = pytest.importorskip("polars")
    model = make("FMRegressor").fit([(X, Y), (X, Y, pl.Series(np.zeros(N)))])
    np.testing.assert_array_equal(model.predict(X), make("FMRegressor").fit([(X, Y)]).predict(X))


def test_weights_of_held_out_rows(fails):
    held = {"X_val": X, "y_val": LABELS}
    fails(
        "FMClassifier",
        lambda model: model.fit(X, LABELS, **held, sample_weight_val=weights(-1.0)),
        "negative at row 5",
    )
    fails(
        "FMClassifier",
        lambda model: model.fit(X, LABELS, **held, sample_weight_val=np.zeros(N)),
        "zero for every row",
    )


# -- y -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels(name, fails):
    unseen = np.where(np.arange(N) == 9, 7, LABELS)
    message = fails(name, lambda model: model.partial_fit(X, unseen), "label .*7.* at row 9")
    assert "[0, 1]" in message
    assert "classes=" in message
    fails(name, lambda model: model.fit(X, np.ones(N)), "[Oo]nly one class")
    fails(name, lambda model: model.fit(X, LABELS, sample_weight=LABELS.astype(float)), "[Oo]nly one class")
    fails(name, lambda model: model.fit(X, LABELS + 0.5), "Unknown label type")
    fails(name, lambda model: model.fit(X, np.column_stack([LABELS, LABELS + 1])), "MultiOutputClassifier")
    fails(name, lambda model: model.partial_fit(X, np.column_stack([LABELS, 1 - LABELS])), "shape")
    fails(name, lambda model: model.fit(X, np.where(np.arange(N) == 4, np.nan, LABELS)), "NaN at row 4")


COUNTS = np.arange(N) % 3
CLICKS = np.column_stack([LABELS, np.zeros(N, int)])


@pytest.mark.parametrize("call", ["fit", "partial_fit", "held out"])
@pytest.mark.parametrize(
    ("name", "y", "last", "what"),
    [
        ("FMRegressor", Y, ["a"], "'a' at row 63"),
        ("FMRegressor", Y, [10**400], "at row 63, beyond"),
        ("FMRegressor", LABELS, [2**62, 2**62 + 1], "at row 62 and .* at row 63"),
        ("FMRegressor", COUNTS, [-1], "targets .* >= 0, got -1.* at row 63"),
        ("FMClassifier", LABELS, [0.5], "0.5 at row 63"),
        ("FMClassifier", LABELS, [2**70], "at row 63, of type int"),
        ("FMClassifier", LABELS, [7], "the label 7 at row 63"),
        ("ESMMClassifier", CLICKS, [[0, 1]], "without a click at row 63"),
        ("ESMMClassifier", CLICKS, [[0, 2]], r"\[0.0, 2.0\] at row 63"),
    ],
)
def test_rows_are_numbered_as_they_were_given(call, name, y, last, what):
    if call == "fit" and last == [7]:
        pytest.skip("fit learns every label")
    loss = {"loss": "poisson"} if y is COUNTS else {}
    model, bad = make(name, solver="adam", **loss), [*y[: N - len(last)].tolist(), *last]
    # Rows that are left out count.
    weight = np.where(np.arange(N) % 7 == 2, 0.0, 1.0)
    calls = {
        "fit": lambda: model.fit(X, bad, sample_weight=weight),
        "partial_fit": lambda: model.partial_fit(X, y).partial_fit(X, bad, sample_weight=weight),
        "held out": lambda: model.fit(X, y, X_val=X, y_val=bad, sample_weight_val=weight),
    }
    with pytest.raises(ValueError, match=what) as caught:
        calls[call]()
    assert "sample_weight above 0" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameter", "names"),
    [
        ("FMClassifier", "scoring", ["loss", *get_scorer_names()]),
        ("FMClassifier", "solver", ["auto", *SOLVERS]),
        ("WideDeepClassifier", "wide_solver", ["auto", *ELEMENT_WISE_SOLVERS]),
    ],
)
def test_names_that_a_parameter_takes_are_listed_in_order(name, parameter, names):
    with pytest.raises(ValueError, match="must be a str among") as caught:
        make(name, **{parameter: "nonsense"}).fit(X, LABELS)
    listed = re.search(r"among {(.*?)}", str(caught.value))[1]
    assert [one.strip("'") for one in listed.split(", ")] == sorted(names)


def test_labels_of_the_first_partial_fit():
    with pytest.raises(ValueError, match=r"label .*at row"):
        make("FMClassifier").partial_fit(X, LABELS, classes=[1, 2])


@pytest.mark.parametrize("name", ["FMClassifier", "ESMMClassifier"])
@pytest.mark.parametrize(("y", "weight"), [(np.ones(N), None), (LABELS, 1.0 * LABELS)])
def test_a_first_chunk_of_one_class(name, y, weight):
    model = make(name, solver="adam")
    with pytest.raises(ValueError, match=r"Only one class, 1.*Pass all labels as classes= in the first call"):
        model.partial_fit(X, y, sample_weight=weight)
    model.partial_fit(X, y, sample_weight=weight, classes=[0, 1]).partial_fit(X, LABELS)
    with pytest.raises(ValueError, match=r"at least two classes\.$"):
        model.fit(X, y, sample_weight=weight)


def test_a_class_without_weight_is_no_class():
    weight = (LABELS == 0) * 1.0
    match = "Of the rows with a sample_weight above 0: Only one class, 0, in y"
    of_class = [(X[rows], LABELS[rows], weight[rows]) for rows in (weight == 1, weight == 0)]
    calls = (
        lambda model: model.fit(X, LABELS, sample_weight=weight),
        lambda model: model.partial_fit(X, LABELS, sample_weight=weight),
        lambda model: model.fit([(X, LABELS, weight)] * 2),
        lambda model: model.fit(of_class),
    )
    for call in calls:
        with pytest.raises(ValueError, match=match):
            call(make("FMClassifier", solver="adam"))
    with pytest.raises(ValueError, match=r"^Only one class, 0, in y"):
        make("FMClassifier").fit(X, 0 * LABELS)


IN_COLUMNS = {
    "nan": ({}, np.nan, "Input y contains NaN"),
    "infinite": ({}, np.inf, "Input y contains infinity"),
    "None": ({}, None, "missing value, None,"),
    "text": ({}, "a", "must hold numbers, and holds 'a'"),
    "list": ({}, [1], r"y holds \[1\]"),
    "large": ({}, 10**400, "holds 1"),
    "count": ({"loss": "poisson"}, -2.0, r"got -2\.0"),
}


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", IN_COLUMNS)
def test_targets_of_several_columns_are_named_by_row_and_column(kind, call):
    parameters, value, message = IN_COLUMNS[kind]
    y = np.ones((N, 3), dtype=float if isinstance(value, float) else object)
    y[7, 1] = value
    # One column, as a matrix, needs no number.
    for columns, where in ((slice(None), "row 7, column 1[ ,.]"), (slice(1, 2), "row 7(?!, column)")):
        with pytest.raises(ValueError, match=f"{message}.* at {where}"):
            CALLS[call](make("FMRegressor", solver="adam", **parameters), X, y[:, columns])


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("value", [np.nan, None])
def test_targets_of_frames_are_named_by_the_name_of_the_column(library, value):
    price = [1.5] * 7 + [value] + [1.5] * (N - 8)
    y = pytest.importorskip(library).DataFrame({"sales": Y, "price": price})
    with pytest.raises(ValueError, match=r"(NaN|value, (nan|None),) at row 7, column 1 \('price'\)\."):
        make("FMRegressor").fit(X, y)


def test_targets_of_several_columns_that_would_be_one_float():
    y = np.column_stack([np.arange(N), 2**53 + np.arange(N) % 2])
    with pytest.raises(
        ValueError, match=r"^Column 1 of y holds 9007199254740992 at row 0 and 9.* at row 1, which"
    ):
        make("FMRegressor").fit(X, y)


@pytest.mark.parametrize("name", REGRESSORS)
def test_numbers(name, fails):
    bad = Y.copy()
    bad[4] = np.nan
    fails(name, lambda model: model.fit(X, bad), "Input y contains NaN at row 4")
    bad[4] = np.inf
    fails(name, lambda model: model.fit(X, bad), r"Input y contains infinity.* at row 4")
    fails(name, lambda model: model.partial_fit(X, np.column_stack([Y, Y])), "2 columns")
    fails(name, lambda model: model.fit(X, np.array(["a"] * N)), "number|convert")
    counts = np.arange(N, dtype=float)
    counts[6] = -2
    message = fails(name, lambda model: model.fit(X, counts), "-2.* at row 6", loss="poisson")
    assert "another loss" in message
    fails(name, lambda model: model.fit(X, np.zeros(N)), "at least one target above 0", loss="poisson")


MISSING = {
    "texts": lambda y: ["a" if label else "b" for label in y[:-1]] + [None],
    "objects": lambda y: np.array([*y[:-1].tolist(), None], dtype=object),
    "pandas texts": lambda y: pytest.importorskip("pandas").Series(
        ["a", "b"] * 31 + ["a", None], dtype="string"
    ),
    "dates": lambda y: np.array(
        ["2020-01-01", "2021-01-01"] * 31 + ["2020-01-01", "NaT"], dtype="datetime64[s]"
    ),
    "labels": lambda y: np.array([[1, 0]] * (N - 1) + [[1, None]], dtype=object),
}


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("name", ["FMClassifier", "FMRegressor"])
def test_missing_targets_are_named(name, kind, held_out):
    y = MISSING[kind](LABELS)
    given = (X, target_of(name), None, X, y) if held_out else (X, y)
    argument = "y_val" if held_out else "y"
    with pytest.raises(ValueError, match=f"^{argument} has a missing value, .*, at row {N - 1}[.,]"):
        make(name).fit(*given)


def test_dates_are_no_numbers():
    with pytest.raises(ValueError, match="Of dates or durations give days"):
        make("FMRegressor").fit(X, np.arange(N).astype("datetime64[D]"))


def test_held_out_rows(fails):
    fails("FMClassifier", lambda model: model.fit(X, LABELS, X_val=X), "give both or neither")
    fails("FMClassifier", lambda model: model.fit(X, LABELS, y_val=LABELS), "give both or neither")
    fails("FMClassifier", lambda model: model.fit(X, LABELS, X_val=X[:, 1:], y_val=LABELS), "features")
    fails("FMClassifier", lambda model: model.fit(X, LABELS, X_val=X, y_val=LABELS + 1), "label .*at row")
    fails(
        "FMClassifier",
        lambda model: model.fit(X, LABELS, X_val=with_entry(np.nan), y_val=LABELS),
        "row 7, column 2",
    )


# -- parameters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_constrained(name, fails):
    model = make(name)
    free = set(model.get_params()) - set(model._parameter_constraints)
    assert not free
    for parameter in model.get_params():
        fails(
            name,
            lambda model: model.fit(X, target_of(name)),
            f"The '{parameter}' parameter of {name} must be",
            **{parameter: object()},
        )


VALUES = {
    "solver": ["newton", "als "],
    "learning_rate": [0, -1.0, "fast"],
    "learning_rate_schedule": ["step"],
    "max_iter": [0, 2.5],
    "batch_size": [0, "all"],
    "l1_linear": [-1e-3],
    "l2_linear": [-1e-3, "none"],
    "l2_factors": [-1],
    "l2_frequency_power": [-0.1, 1.1],
    "init_scale": [-1],
    "n_factors": [-1, 2.5],
    "early_stopping": ["yes"],
    "validation_fraction": [0.0, 1.0],
    "n_iter_no_change": [0],
    "tol": [-1e-9],
    "scoring": ["auc"],
    "random_state": ["seed"],
    "dtype": ["float16"],
    "fields": ["columns"],
    "fit_intercept": ["yes"],
    "fit_linear": [2.5],
    "loss": ["hinge"],
    "quantile": [0.0, 1.0],
    "huber_delta": [0.0],
    "class_weight": ["even"],
    "activation": ["swish2"],
    "dropout": [1.0, -0.1],
    "l2_dense": [-1],
    "n_components": [0],
    "gate": ["quadratic"],
    "expert": ["quadratic"],
    "mixing": ["mean"],
}


@pytest.mark.parametrize("name", NAMES)
def test_unknown_values(name, fails):
    for parameter, values in VALUES.items():
        if parameter not in make(name).get_params():
            continue
        for value in values:
            fails(name, lambda model: model.fit(X, target_of(name)), parameter, **{parameter: value})


@pytest.mark.parametrize("name", ["DeepFMClassifier", "FMRegressor"])
def test_fields_of_the_wrong_length(name, fails):
    for fields in ([0, 0, 1], np.zeros((D, 2)), np.arange(D + 1)):
        message = fails(name, lambda model: model.fit(X, target_of(name)), "fields", fields=fields)
        assert str(D) in message


def test_sizes_of_layers(fails):
    for sizes in ((4, 0), (4, 2.5), ("a",)):
        fails(
            "DeepFMRegressor",
            lambda model: model.fit(X, Y),
            r"hidden_layer_sizes\[\d\] must be a positive integer",
            hidden_layer_sizes=sizes,
        )


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("FMClassifier", "n_factors"), ("FMClassifier", "batch_size"), ("MixtureFMClassifier", "n_components")],
)
def test_whole_numbers_are_no_booleans(name, parameter):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter .* must be .*int in the range.* Got True"):
        make(name, **{parameter: True}).fit(X, LABELS)


def test_degrees_that_no_rows_have_are_refused():
    with pytest.raises(ValueError, match=r"'degree' .* range \[2, 20\] \(products of more .* Got 1000"):
        make("FMClassifier", degree=10**30).fit(X, LABELS)


@pytest.mark.parametrize("values", [(-1, 1), (0, 2), (1, 2), (0.0, 3.0)])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, np.ndarray.tolist])
def test_several_labels_are_0_and_1(values, kind, fails):
    """scikit-learn takes any two numbers for them."""
    labels = np.column_stack([LABELS, 1 - LABELS])
    others = kind(np.where(labels, values[1], values[0]))
    bad = others.toarray() if sparse.issparse(others) else np.asarray(others)
    row, column = np.argwhere((bad != 0) & (bad != 1))[0]
    match = rf"y holds {bad[row, column]} at row {row}, column {column}: of several labels give 1"
    for call in ("fit", "partial_fit"):
        fails("FMClassifier", lambda model, call=call: getattr(model, call)(X, others), match)
    fails("FMClassifier", lambda model: model.fit([(X, bad)]), "Chunk 0 of the stream: " + match)
    held_out = match.replace("y holds", "y_val holds")
    fails("FMClassifier", lambda model: model.fit(X, labels, X_val=X, y_val=others), held_out)
    with pytest.raises(ValueError, match=match) as error:
        make("FMClassifier").fit(X, labels).score(X, others)
    remedy = re.search(r"such as (\(np.asarray\(y\) == .*\)\.astype\(int\))\.", str(error.value))
    assert remedy is not None
    np.testing.assert_array_equal(eval(remedy[1], {"y": bad.tolist(), "np": np}), labels)


@pytest.mark.parametrize(
    ("y", "place"),
    [
        (np.column_stack([LABELS, with_target(2, 0).astype(int)]), "2 at row 7, column 1"),
        (np.column_stack([LABELS, with_target(3, 0).astype(float)]), "3.0 at row 7, column 1"),
        (np.column_stack([LABELS, LABELS]).astype(str), f"'{LABELS[0]}' at row 0, column 0"),
    ],
)
def test_columns_of_classes_are_no_labels(y, place, fails):
    for call in ("fit", "partial_fit"):
        match = f"y holds {place}: .*MultiOutputClassifier"
        fails("FMClassifier", lambda model, call=call: getattr(model, call)(X, y), match)


def test_class_weights(fails):
    def fit(model):
        model.fit(X, LABELS)

    fails("FMClassifier", fit, r"class_weight names \[5\]", class_weight={5: 1.0})
    fails("FMClassifier", fit, "above 0 for some row", class_weight={0: 0.0, 1: 0.0})
    for weight in (-1.0, np.nan, np.inf, "a", None, 1j, 10**400, np.ones(2)):
        match = r"class_weight gives .* to 1: weights must be finite, and not negative"
        fails("FMClassifier", fit, match, class_weight={0: 1.0, 1: weight})
        # Labels that y has not, too.
        fails("FMClassifier", fit, match.replace("to 1", "to 7"), class_weight={0: 1.0, 1: 1.0, 7: weight})
    fails("FMClassifier", fit, r"or a dict \{label: weight\}; got", class_weight=[1.0, 2.0])


def test_class_weights_of_several_labels_and_tasks(fails):
    labels = np.column_stack([LABELS, 1 - LABELS])
    for class_weight in ({0: 1.0}, [{0: 1.0, 1: "a"}, {}]):
        match = "one for each label|to 1: weights must be finite"
        fails("FMClassifier", lambda model: model.fit(X, labels), match, class_weight=class_weight)
    tasks = make("ESMMClassifier", class_weight=[{0: 1.0}, {1: "a"}])
    with pytest.raises(ValueError, match="to 1: weights must be finite"):
        tasks.fit(X, np.column_stack([np.ones(N), LABELS]))


def test_class_weights_that_leave_one_class(fails):
    """As of rows of a sample_weight of 0: what is left is a constant."""
    match = r"class_weight gives 0 to all classes but 1: .* at least two classes"
    for call in (
        lambda model: model.fit(X, LABELS),
        lambda model: clone(model).partial_fit(X, LABELS),
        lambda model: clone(model).partial_fit(X[LABELS > 0], LABELS[LABELS > 0], classes=[0, 1]),
    ):
        fails("FMClassifier", call, match, class_weight={0: 0.0})
    match = r"class_weight\[1\] gives 0 to all classes but 0"
    both = np.column_stack([np.ones(N), LABELS])
    for name in ("FMClassifier", "ESMMClassifier"):
        with pytest.raises(ValueError, match=match):
            make(name, class_weight=[{1: 2.0}, {1: 0.0}]).fit(X, both)


def test_a_chunk_may_hold_one_class_of_those_with_a_weight():
    three = np.digitize(RAW, [-1.0, 1.0])
    model = make("FMClassifier", class_weight={0: 0.0}, solver="adam")
    some = three == 1
    model.partial_fit(X[some], three[some], classes=[0, 1, 2]).partial_fit(X, three)
    assert model.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("fields", [[0, None, 1, 1, 1, 1], [[0], [0, 1], [2], [2], [2], [2]]])
def test_fields_that_cannot_be_compared(fields, fails):
    match = "fields holds labels that cannot be compared"
    fails("FMClassifier", lambda model: model.fit(X, LABELS), match, fields=fields)


@pytest.mark.parametrize("dtype", [np.int32, np.float16, str])
def test_dtype_that_is_no_precision(dtype, fails):
    fails("FMRegressor", lambda model: model.fit(X, Y), "dtype", dtype=dtype)


def test_parameters_that_exclude_each_other(fails):
    def fit(model):
        model.fit(X, LABELS)

    fails("FMClassifier", fit, "L1 penalty; use solver='ftrl'", solver="lbfgs", l1_linear=0.1)
    lbfgs = make("FMClassifier", solver="lbfgs").fit(X, LABELS)
    expected = predictions(lbfgs)
    with pytest.raises(ValueError, match="partial_fit needs a solver that goes on"):
        lbfgs.partial_fit(X, LABELS)
    np.testing.assert_array_equal(predictions(lbfgs), expected)


def takes_a_loss():
    return optax.chain(optax.adam(0.01), optax.contrib.reduce_on_plateau())


@pytest.mark.parametrize("name", ["FMClassifier", "DeepFMRegressor"])
@pytest.mark.parametrize(
    ("made", "match"),
    [
        (lambda: optax.sm3(0.01), r"not element-wise.* shape \(\d+,\) \(ScaleBySM3State\)"),
        (lambda: optax.lbfgs(), r"not element-wise.*ScaleByLBFGSState"),
        (lambda: optax.adafactor(0.01), "not element-wise.*Factored"),
        (lambda: optax.contrib.muon(0.01), "not element-wise"),
        (lambda: optax.lookahead(optax.adam(0.01), 5, 0.5), "takes more than"),
        (lambda: optax.polyak_sgd(), "takes more than.*'value'"),
        (takes_a_loss, "takes more than.*'value'"),
        (lambda: optax.masked(optax.adam(0.01), {"a": True}), "takes more than"),
    ],
)
def test_transformations_that_are_not_element_wise_are_refused(name, made, match):
    model = make(name, solver=made(), n_factors=2)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=f"optax transformation given as solver .*{match}.*optax.adam"):
            call(X, target_of(name))


# -- memory ------------------------------------------------------------------------------------------


def refused_for_memory(fit) -> None:
    """Look that a fit on 10^8 columns is refused before an array of one byte a column is filled."""
    rows = np.arange(N)
    # Side by side: each of them may fill a page of two megabytes.
    wide = sparse.csr_array((np.ones(N), (rows, 10**8 - N + rows)), shape=(N, 10**8))
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # else what was freed before could be filled unseen
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        ValueError, match=r"of 100663296 columns.* GB at least, and the machine has 2 GB. Give fewer"
    ):
        fit(wide)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 10**4


@pytest.fixture
def of_2_gb(monkeypatch):
    monkeypatch.setattr("skfm.runtime.physical_memory", lambda: 2 * 10**9)


@pytest.mark.parametrize(
    ("name", "solver"),
    [(name, "auto") for name in (*NAMES, *(f"{kind}Regressor" for kind in FAMILY), "ESMMClassifier")]
    + [(name, solver) for name in ("FMRegressor", "DeepFMClassifier") for solver in ("adagrad", "lbfgs")],
)
def test_too_many_columns_are_refused_before_memory_is_taken(name, solver, of_2_gb):
    y = LABELS if name == "ESMMClassifier" else target_of(name)
    refused_for_memory(lambda wide: make(name, solver=solver).fit(wide, y))


def test_too_many_columns_of_chunks_and_of_values_are_refused(of_2_gb):
    refused_for_memory(lambda wide: make("LinearRegressor").fit([(wide, Y), (wide, Y)]))
    refused_for_memory(lambda wide: make("LinearRegressor").partial_fit(wide, Y))
    refused_for_memory(lambda wide: make("FMClassifier").fit(wide * 2, np.arange(N) % 32))


def test_memory_for_statistics_counts(monkeypatch):
    rows = sparse.csr_array(([1.0, 1.0], ([0, 1], [0, 999])), shape=(2, 1000))
    model = make("LinearRegressor", solver="adagrad")
    monkeypatch.setattr("skfm.runtime.physical_memory", lambda: 40_000)
    model.fit(rows, [0, 1])
    with pytest.raises(ValueError, match=r"columns' statistics take .* at least"):
        model.fit(rows * 2, [0, 1])


LARGE_LAYERS = {
    "hidden_layer_sizes": (10**5, 10**5),
    "cin_layer_sizes": (10**5, 10**5),
    "n_attention": 10**9,
    "rank": 10**9,
}


@pytest.mark.parametrize("encoder", ["auto", FieldEncoder()])
@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in ("DeepCrossingClassifier",)])
def test_layers_that_do_not_fit_are_refused(name, encoder, monkeypatch):
    monkeypatch.setattr("skfm.runtime.physical_memory", lambda: 10**9)
    for parameter in LARGE_LAYERS.keys() & make(name).get_params():
        model = make(name, **{parameter: LARGE_LAYERS[parameter]}, encoder=encoder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(
            ValueError, match=r"GB at least, and the machine has 1 GB. Give fewer or smaller layers"
        ):
            model.fit(X, target_of(name))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 10**5


@pytest.mark.parametrize("encoder", ["auto", FieldEncoder()])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("name", "parameter", "fewer"),
    [
        ("MixtureFMClassifier", "n_components", r"components \(n_components\) or factors"),
        ("NFMClassifier", "n_factors", "factors"),
    ],
)
def test_wide_tables_are_refused_before_memory_is_taken(name, parameter, fewer, solver, encoder, monkeypatch):
    monkeypatch.setattr("skfm.runtime.physical_memory", lambda: 10**9)
    model = make(name, **{parameter: 10**7}, solver=solver, encoder=encoder)
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=f"GB at least, and the machine has 1 GB. Give fewer {fewer}, or"
        ):
            model.fit(X, LABELS)
        assert tracemalloc.get_traced_memory()[1] < 4 * 10**7
    finally:
        tracemalloc.stop()


def test_what_lbfgs_keeps_has_to_fit(monkeypatch):
    """Twenty pairs of vectors of all weights."""
    monkeypatch.setattr("skfm.runtime.physical_memory", lambda: 2 * 10**7)
    settings = {"hidden_layer_sizes": (5000,), "n_factors": 4, "max_iter": 1}
    with pytest.raises(ValueError, match="or solver='adam', which keeps less"):
        make("DeepCrossingClassifier", **settings).fit(X, LABELS)
    make("DeepCrossingClassifier", **settings, solver="adam").fit(X, LABELS)


def test_sparse_columns_of_complex_numbers_are_refused():
    pd = pytest.importorskip("pandas")
    held = pd.DataFrame({"s": pd.arrays.SparseArray(np.array([1j, 0] * (N // 2)))})
    with pytest.raises((TypeError, ValueError), match=r"[Cc]omplex"):
        make("FMRegressor", encoder=None).fit(held, Y)
