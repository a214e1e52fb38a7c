"""FieldEncoder on bad tables, where errors name column, row and value, and on strange ones."""

import datetime as dt
import pickle
import resource
from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from skfm import FieldEncoder

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

DATES = [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)]


def frame(values, dtype=None):
    return pd.DataFrame({"a": pd.Series(values, dtype=dtype)})


def objects(*values):
    """Array of one column of these objects."""
    X = np.empty((len(values), 1), dtype=object)
    X[:, 0] = values
    return X


def fitted(X, **params):
    return FieldEncoder(**{"min_frequency": 1, **params}).fit(X)


def names(encoder):
    return encoder.get_feature_names_out().tolist()


def error_of(error, function, *args, **params):
    """Message of the error that a call must raise."""
    with pytest.raises(error) as caught:
        function(*args, **params)
    return str(caught.value)


# -- what a column cannot hold -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (["b", None, 1], ["text (row 0: 'b')", "numbers (row 2: 1)"]),
        ([np.nan, b"b", "b"], ["bytes (row 1: b'b')", "text (row 2: 'b')"]),
        ([True, "x"], ["numbers (row 0: True)", "text (row 1: 'x')"]),
        (["x", ["x"]], ["text (row 0: 'x')", "lists (row 1: ['x'])"]),
        ([None, 1, "b"], ["text at row 2 ('b')", "numbers are expected"]),
        ([1.5, dt.date(2024, 1, 1)], ["dates at row 1 (datetime.date(2024, 1, 1))", "numbers are expected"]),
        ([*DATES, 3], ["numbers at row 2 (3)", "dates are expected"]),
        ([dt.timedelta(1), "x"], ["text at row 1 ('x')", "numbers are expected"]),
        ([["x"], "x"], ["'x' at row 1", "a list is expected", "multi_hot={'a': '|'}"]),
        ([["x", "y"], ["z", 1]], ["text", "numbers", "1"]),
        ([["x", "y"], ["z", 1]], ["numbers (row 1: 1)"]),
        ([["x", "y"], {"z", 1}], ["mixes text", "and numbers"]),
        ([[["x"]], [["y"]]], ["holds lists of lists (row 0: ['x'])"]),
        ([["x", "y"], [["z"]]], ["holds lists of lists (row 1: ['z'])", "Flatten them"]),
    ],
)
def test_mixed_columns(values, parts):
    message = error_of(ValueError, fitted, frame(values, object))
    assert all(part in message for part in ["Column 'a'", *parts]), message


@pytest.mark.parametrize(
    ("X", "parts"),
    [
        (pl.DataFrame({"a": [{"x": 1}]}), ["Struct"]),
        (frame([object()]), ["<object object", "row 0", "object"]),
        (frame([np.array(1)], object), ["array(1)", "row 0", ".item()"]),
        (frame([{"x": 1}]), ["{'x': 1}", "dict"]),
        (frame(["x", {"x": 1}]), ["{'x': 1}", "dict"]),
        (frame([["x"], [{"y": 1}]]), ["{'y': 1}", "dict"]),
        (frame([1j, 2]), ["complex"]),
        (frame([1j, 2], object), ["complex"]),
        (frame([2.5, 1j], object), ["complex"]),
    ],
)
def test_types_without_an_encoding(X, parts):
    message = error_of(TypeError, fitted, X)
    assert all(part in message for part in ["Column 'a'", *parts]), message
    assert "no encoding" in message or ".item()" in message


def test_categories_of_mixed_types():
    message = error_of(ValueError, fitted, frame(pd.Categorical([1, "x", "x"])))
    assert "Column 'a' mixes numbers (row 0: 1) and text (row 1: 'x')" in message


def test_bytes_are_categories():
    for X in (frame([b"x", b"y"]), pl.DataFrame({"a": [b"x", b"y"]})):
        assert names(fitted(X)) == ["a:other", "a:missing", "a=b'x'", "a=b'y'"]


# -- a column that is not what it was in fit -----------------------------------------------------------


@pytest.mark.parametrize("then", [frame, lambda values: pl.DataFrame({"a": values}), None])
@pytest.mark.parametrize(
    ("known", "new", "parts"),
    [
        (["x", "y"], [1, 2], ["held text in fit and holds numbers now", "(row 0: 1)"]),
        (["x", "y"], DATES, ["held text in fit and holds dates now", "row 0"]),
        ([True, False], ["x", "y"], ["held numbers in fit and holds text now", "(row 0: 'x')"]),
        ([1, 2], ["x", "y"], ["text at row 0 ('x')", "numbers are expected"]),
        ([1.5, 2], [None, "y"], ["text at row 1 ('y')", "numbers are expected"]),
        ([1.5, 2], DATES, ["dates at row 0", "numbers are expected"]),
        ([1, 2], DATES, ["dates at row 0", "numbers are expected"]),
        ([1, 2], [["x"], ["y"]], ["lists at row 0", "numbers are expected"]),
        (DATES, [None, "2024-01-01"], ["text at row 1 ('2024-01-01')", "dates are expected"]),
        (DATES, [1.5, 2], ["dates", "row 0", "1.5"]),
        ([["x"], ["y"]], ["x", "y"], ["'x' at row 0", "a list is expected"]),
        ([["x"], ["y"]], [1, 2], ["1 at row 0", "a list is expected"]),
        ([["x"], ["y"]], [[], [1]], ["held text in fit and holds numbers now", "(row 1: 1)"]),
        (["x", "y"], [["x"], ["y"]], ["holds lists (row 0: ['x'])", "multi_hot="]),
    ],
)
def test_another_type_than_in_fit(known, new, parts, then):
    X = objects(*known) if then is None else then(known)
    new = objects(*new) if then is None else then(new)
    name = "x0" if then is None else "a"
    encoder = fitted(X)
    for learn in (encoder.transform, encoder.partial_fit):
        message = error_of(ValueError, learn, new)
        assert all(part in message for part in [f"Column '{name}'", *parts]), message


@pytest.mark.parametrize("known", ["float64", "int64"])
@pytest.mark.parametrize("unit", ["ns", "us"])
def test_dates_are_no_numbers_whatever_their_unit(known, unit):
    for wrap in (frame, lambda values: values[:, None]):
        encoder = fitted(wrap(np.array([1, 2], known)))
        message = error_of(ValueError, encoder.transform, wrap(np.array(DATES, f"datetime64[{unit}]")))
        assert "dates at row 0" in message


def test_lists_of_one_length_are_no_numbers():
    encoder = fitted(pl.DataFrame({"a": [1, 2]}))
    X = pl.DataFrame({"a": pl.Series([[1], [2]], dtype=pl.Array(pl.Int64, 1))})
    assert "lists at row 0" in error_of(ValueError, encoder.transform, X)


# -- tables and parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("columns", "match"),
    [(["a"], "missing:\n- b"), (["a", "b", "c"], "unseen at fit time:\n- c"), (["b", "a"], "same order")],
)
def test_other_columns_than_in_fit(wrap, columns, match):
    encoder = fitted(wrap({"a": ["x"], "b": ["x"]}))
    for learn in (encoder.transform, encoder.partial_fit):
        assert match in error_of(ValueError, learn, wrap({column: ["x"] for column in columns}))


def test_other_shapes():
    encoder = fitted(np.array([["x", "y"]]))
    assert "X has 3 features, but" in error_of(ValueError, encoder.transform, np.array([["x", "y", "z"]]))
    assert "X has 2 columns, but the encoder makes 6" in error_of(
        ValueError, encoder.inverse_transform, np.ones((1, 2))
    )
    assert "2D array" in error_of(ValueError, encoder.fit, np.arange(3))
    assert "not fitted" in error_of(NotFittedError, FieldEncoder().transform, np.ones((1, 1)))
    assert "one weight for each row" in error_of(ValueError, encoder.fit, np.ones((2, 1)), None, [1, 1, 1])


@pytest.mark.parametrize("X", [frame([]), pl.DataFrame({"a": []}), np.empty((0, 1))])
def test_tables_without_rows(X):
    assert "0 " in error_of(ValueError, FieldEncoder().fit, X)
    known = frame(["x"]) if hasattr(X, "columns") else np.ones((1, 1))
    assert "0 " in error_of(ValueError, fitted(known).transform, X)


def test_a_table_without_columns():
    assert "0 feature(s)" in error_of(ValueError, fitted, pd.DataFrame(index=[0, 1]))


def test_columns_of_one_name():
    message = error_of(ValueError, fitted, pd.DataFrame([["x", "y"]], columns=["a", "a"]))
    # (narwhals.exceptions.DuplicateError, which is a ValueError)
    assert "'a'" in message


@pytest.mark.parametrize("wrong", ["c", 2, -1, 1.0])
@pytest.mark.parametrize("what", ["categorical", "numeric", "multi_hot", "hash", "bins"])
def test_names_that_are_no_column(what, wrong):
    given = {wrong: 2} if what in ("hash", "bins") else [wrong]
    message = error_of(ValueError, fitted, pd.DataFrame({"a": [1], "b": [1]}), **{what: given})
    assert message == f"{what}= names {wrong!r}, which is no column of X. Its columns: ['a', 'b']."


def test_a_column_is_named_once():
    message = error_of(ValueError, fitted, frame([1]), categorical=["a"], numeric=[0])
    assert "Column 'a' is named in categorical and in numeric" in message
    message = error_of(ValueError, fitted, frame([1]), numeric=["a"], multi_hot={"a": "|"})
    assert "Column 'a' is named in numeric and in multi_hot" in message


@pytest.mark.parametrize(
    "params",
    [
        {"hash": 0},
        {"min_frequency": 0},
        {"min_frequency": 1.0},
        {"max_categories": 0},
        {"bins": -1},
        {"numeric_encoding": "values"},
        {"categorical": "a"},
        {"hash": {"a": 0}},
        {"hash": {"a": "x"}},
        {"bins": {"a": -1}},
        {"multi_hot": {"a": ""}},
        {"multi_hot": {"a": 1}},
    ],
)
def test_values_of_parameters(params):
    message = error_of(ValueError, fitted, frame(["x"]), **params)
    assert f"'{next(iter(params))}'" in message or f"{next(iter(params))}=" in message


@pytest.mark.parametrize(
    ("what", "value", "remedy"),
    [
        ("categorical", [True, False], "names or positions in place of a mask"),
        ("categorical", np.array([True, False]), "names or positions in place of a mask"),
        ("categorical", [["a"]], "which is no column of X"),
        ("categorical", {"a": False}, "categorical=['a']"),
        ("numeric", {"n": "x"}, "numeric=['n']"),
        ("numeric", ["a"], "not in numeric="),
        ("text", ["n"], "leave it out of text="),
        ("text", {"a": {"ngram_range": 5}}, "must be an instance of 'tuple'"),
        ("text", {"a": {"ngram_range": (2, 1)}}, "lower boundary larger"),
        ("text", {"a": {"token_pattern": "("}}, "missing )"),
        ("max_length", True, "max_length=50"),
        ("max_length", {"a": 3}, "multi_hot="),
        ("hash", True, "hash=2**18"),
        ("shared", {"t": {"a", "n"}}, "columns or more, listed"),
        ("crosses", [{"a", "n"}], "expected pairs"),
        ("crosses", [("a", ["n"])], "which is no column of X"),
        ("cross_slots", True, "cross_slots=2**16"),
        ("min_frequency", True, "min_frequency=3"),
        ("max_categories", True, "max_categories=1000"),
        ("bins", True, "bins=32"),
        ("bins", {"a": 4}, "Leave it out of bins="),
        ("dtype", "float16", "numpy.float32"),
    ],
)
def test_an_error_names_the_parameter_and_a_remedy(what, value, remedy):
    X = pd.DataFrame({"a": ["x", "y"], "n": [1.5, 2.5]})
    message = error_of(ValueError, fitted, X, **{"crosses": [("a", "n")], what: value})
    assert what in message
    assert remedy in message


def test_crosses_may_be_an_array():
    X = pd.DataFrame({"a": ["x", "y"], "n": [1.5, 2.5]})
    found, expected = (fitted(X, crosses=crosses) for crosses in (np.array([["a", "n"]]), [("a", "n")]))
    assert names(found) == names(expected)


def test_bins_overrule_a_name_whatever_the_type_of_whole_numbers():
    values = [1, 2, 3, 4]
    for X in (frame(values), frame([*values, None]), frame([*values, None]).astype("Int64")):
        encoder = fitted(X.set_axis(["user_id"], axis=1), bins={"user_id": 2}, numeric_encoding="bins")
        assert encoder.describe()["reading"][0] != "identifier"


@pytest.mark.parametrize("dtype", ["auto", "float33", np.int32, "U", bool, complex, object, 4.5])
@pytest.mark.parametrize("learn", ["fit", "partial_fit", "fit_transform"])
def test_types_that_are_no_floats(dtype, learn):
    message = error_of(ValueError, getattr(FieldEncoder(dtype=dtype), learn), frame(["x"]))
    assert "dtype must be a type of floats, such as numpy.float32" in message


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_a_failure_leaves_the_encoder_as_it_was(learn):
    encoder = FieldEncoder(min_frequency=1).partial_fit(pd.DataFrame({"a": ["x"], "b": [1]}))
    state = pickle.dumps(encoder)
    bad = pd.DataFrame({"a": ["new", "x"], "b": [2, "text"]})
    bad = bad.rename(columns={"a": "c"}) if learn == "fit" else bad
    assert "'b'" in error_of(ValueError, getattr(encoder, learn), bad)
    assert pickle.dumps(encoder) == state


# -- strange tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [pa.int64(), pa.string()])
def test_a_million_different_values_are_rare(dtype):
    X = pa.table({"n": pa.array(np.arange(10**6)).cast(dtype)})
    encoder = FieldEncoder(numeric_encoding="bins", bins=4).fit(X)
    slots = ["other", "missing"]
    if dtype == pa.int64():
        slots += ["(-inf, 250000]", "(250000, 500000]", "(500000, 750000]", "(750000, inf]"]
    assert names(encoder) == [f"n:{slot}" for slot in slots]
    encoded = encoder.transform(X.slice(10**6 - 3))
    assert_array_equal(encoded.indices, [len(slots) - 1 if len(slots) > 2 else 0] * 3)


def test_values_that_fit_did_not_see():
    X = pd.DataFrame({"a": ["x", "x"], "i": [1, 1], "l": [["x"], ["x"]], "b": [True, True]})
    new = pd.DataFrame({"a": ["new"], "i": [9], "l": [["new", "x"]], "b": [False]})
    encoder = fitted(X)
    encoded = names(encoder)
    seen = [encoded[j] for j in encoder.transform(new).indices]
    assert seen == ["a:other", "i", "i:other", "l:other", "l=x", "b:other"]


def test_columns_named_by_numbers():
    X = pd.DataFrame([["x", 1.5], ["y", 2.5]])
    encoder = fitted(X, numeric_encoding="value", categorical=[0])
    assert names(encoder) == ["0:other", "0:missing", "0=x", "0=y", "1", "1:missing"]


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("known", [["x"], [3], [2.5], [[1]], [dt.datetime(2024, 1, 1)]])
def test_a_table_may_have_missing_values_alone(library, known):
    encoder = fitted(library.DataFrame({"a": known}))
    for missing in ([None], [float("nan")]):
        encoded = encoder.transform(library.DataFrame({"a": missing}))
        assert all(names(encoder)[j].endswith(":missing") for j in encoded.indices)


def test_an_unused_category_is_no_value():
    encoder = fitted(frame([2.5, 3.5]), categorical=["a"])
    encoded = encoder.transform(frame(pd.Categorical([None], categories=["x"])))
    assert names(encoder)[encoded.indices[0]] == "a:missing"


def test_sparse_columns_hold_numbers():
    X = frame(pd.arrays.SparseArray([0.0, 0, 1, 2.5]))
    assert names(fitted(X, bins=2)) == ["a", "a:missing", "a:(-inf, 0.5]", "a:(0.5, inf]"]


def test_durations_of_numpy_keep_their_unit():
    X = objects(np.timedelta64(60, "s"), np.timedelta64(60, "m"), np.timedelta64(1, "m"))
    encoded = fitted(X, numeric_encoding="bins", bins=2).transform(X)
    assert_array_equal(encoded.indices, [1, 2, 1])


def test_fractions_are_numbers():
    X = objects(Fraction(1, 3), Fraction(7, 2), None)
    assert names(fitted(X, numeric_encoding="value")) == ["x0", "x0:missing"]
    assert_array_equal(fitted(X, numeric_encoding="bins", bins=2).transform(X).indices, [1, 2, 0])


LARGE = [2**53, 2**53 + 1, 2**53 + 2]


@pytest.mark.parametrize(
    ("X", "ids"),
    [
        (np.array(LARGE)[:, None], LARGE),
        (frame(LARGE), LARGE),
        (frame([*LARGE, None], "Int64"), [*LARGE, None]),
        (pl.DataFrame({"a": [*LARGE, None]}), [*LARGE, None]),
        (frame([2**63 + 2, 2**63 + 1, 5], "uint64"), [2**63 + 2, 2**63 + 1, 5]),
        (objects(*LARGE), LARGE),
        (objects(*LARGE, None), [*LARGE, None]),
        (objects(2**63 + 2, 2**63 + 1), [2**63 + 2, 2**63 + 1]),
    ],
)
@pytest.mark.parametrize("encoding", ["both", "value", "bins"])
def test_large_ids_are_kept_apart(X, ids, encoding):
    encoder = fitted(X, numeric_encoding=encoding)
    first = [name.endswith(":missing") for name in names(encoder)].index(True) + 1
    assert [name.split("=")[1] for name in names(encoder)[first:]] == [
        str(i) for i in sorted(filter(None, ids))
    ]
    assert encoder.inverse_transform(encoder.transform(X)).ravel().tolist() == ids


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_large_ids_are_kept_apart_whatever_else_a_table_holds(learn):
    encoder = getattr(FieldEncoder(min_frequency=1), learn)(frame([*LARGE, 2**63], "uint64"))
    X = frame([*LARGE, 7], "uint64")
    encoder = encoder.partial_fit(X) if learn == "partial_fit" else encoder
    assert_array_equal(encoder.transform(X).indices[:3], [2, 3, 4])


def test_partial_fit_on_floats_keeps_whole_numbers():
    encoder = FieldEncoder(min_frequency=1, numeric_encoding="bins").partial_fit(frame([1, *LARGE]))
    encoder.partial_fit(frame([1.0, 2, np.nan]))
    assert names(encoder)[2:] == ["a=1", *(f"a={i}" for i in LARGE), "a=2"]


@pytest.mark.filterwarnings("ignore:Column 'a' held whole numbers:skfm.data.readings.ReadingWarning")
@pytest.mark.parametrize("x", [2.5, np.inf])
def test_partial_fit_on_fractions_after_whole_numbers(x):
    encoder = FieldEncoder(min_frequency=2, numeric_encoding="bins").partial_fit(frame([1, 1]))
    encoder.partial_fit(frame([x])).partial_fit(frame([2, 3]))
    assert names(encoder)[2:] == ["a=1", "a:(-inf, inf]"]


@pytest.mark.parametrize(
    ("values", "x", "value", "place"),
    [
        ([1.5, 2, 3, 4, np.inf], np.inf, 3, "(3.5, inf]"),
        ([1.5, 2, 3, 4, -np.inf, np.nan], -np.inf, -3, "(-inf, 1.75]"),
        ([1.5, 2, 3, 4], 1e308, 3, "(3.5, inf]"),
        ([5.5, 5.5, 5.5], 5.5, None, "(-inf, inf]"),
        ([5.5, 5.5, 5.5], 6.5, 3 / np.sqrt(10), "(-inf, inf]"),
        # the range, where quartiles agree
        ([1.5, 1.5, 1.5, 1.5, 9.5], 9.5, 3 / np.sqrt(10), "(5.5, inf]"),
        ([np.nan, np.nan], 1.0, 3 / np.sqrt(10), "(-inf, inf]"),
        ([np.nan, np.nan], np.nan, None, "missing"),
        ([np.inf, -np.inf], -np.inf, -3, "(-inf, inf]"),
        ([1.7e308] * 5, 0.0, -3, "(-inf, inf]"),
    ],
)
def test_special_numbers(values, x, value, place):
    encoder = fitted(frame(values), bins=4, dtype=np.float64)
    encoded = encoder.transform(frame([x]))
    found = {names(encoder)[j]: y for j, y in zip(encoded.indices, encoded.data, strict=True)}
    assert found == pytest.approx({**({} if value is None else {"a": value}), f"a:{place}": 1})


def test_names_of_narrow_bins_differ():
    encoder = fitted(1e6 + np.arange(8)[:, None] / 10, bins=4)
    assert len(set(names(encoder))) == encoder.fields_.size


@pytest.mark.parametrize("cell", ["a", ["a", "b"]])
@pytest.mark.parametrize("size", [10**9, {"kind": 10**9}])
def test_a_hash_of_more_slots_than_memory_is_refused_at_once(cell, size):
    table = pd.DataFrame({"kind": pd.Series([cell, cell], dtype=object), "number": [1.0, 2.0]})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        patch("skfm.runtime.physical_memory", lambda: 10**10),
        pytest.raises(
            ValueError,
            match=r"'kind' has 1000000000, take 64 GB at least.*has 10 GB. Give a smaller number in hash=",
        ),
    ):
        FieldEncoder(hash=size).fit(table)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**5
