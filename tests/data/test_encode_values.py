"""Values that frames hold: one category for each that is different, or an error whose remedy works."""

import datetime as dt
import decimal
import enum
import fractions
import itertools
import pickle
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skfm import FieldEncoder
from skfm.data.frames import is_missing
from skfm.data.state import plain, restored


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def column(values, dtype=object):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return pd.DataFrame({"price": pd.Series(array, dtype=dtype)})


def encoder(**params):
    return FieldEncoder(min_frequency=1, **params)


INTERVALS = pd.cut([1, 5, 9, 5], [0, 4, 10])


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (pd.DataFrame({"price": INTERVALS}), {}),
        (pd.DataFrame({"price": INTERVALS.astype(pd.IntervalDtype())}), {}),
        (column(list(INTERVALS)), {}),
        (pd.DataFrame({"price": pd.Categorical([(1, 2), (1, 3), (1, 3), None])}), {}),
        (column([(1, 2), (1, "b"), (1, "b"), None]), {"categorical": ["price"]}),
        (column([frozenset({1, 2}), frozenset({1}), frozenset({1}), None]), {"categorical": ["price"]}),
        (column([uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=2), None]), {}),
        (column([dt.time(1), dt.time(2), dt.time(2), None]), {}),
        (pl.DataFrame({"price": [dt.time(1), dt.time(2), dt.time(2), None]}), {}),
        (column([b"x", b"y", b"y", None]), {}),
        (column([1, "b", "b", np.nan]), {"categorical": ["price"]}),
        (column(["\ud800", "y", "y", None]), {}),
        (column([10**400, 1, 1, None]), {}),
        (pl.DataFrame({"price": pl.Series([2**100, 1, 1, None], dtype=pl.Int128)}), {}),
        (column([2**53, 2**53 + 1, 2**53 + 1, None]), {"categorical": ["price"]}),
        (column([2**63 + 1, 2**63, 2**63, None], "UInt64"), {}),
        (column([fractions.Fraction(1, 3), 2, 2, None]), {"categorical": ["price"]}),
        (column([decimal.Decimal(1), decimal.Decimal("inf"), decimal.Decimal("inf")]), {"categorical": [0]}),
        (column([decimal.Decimal(1), 2, 2, decimal.Decimal("sNaN")]), {"categorical": ["price"]}),
    ],
)
def test_different_values_are_different_categories(X, params):
    known = encoder(**params).fit(X)
    encoded = known.transform(X).toarray()
    values = [None if is_missing(value) else value for value in X["price"].to_list()]
    assert (encoded.sum(axis=1) == 1).all()
    same = [[one == other for one in values] for other in values[:3]]
    assert np.array_equal((encoded[:3] @ encoded.T) > 0, same)
    restored = FieldEncoder.from_state(known.get_state())
    assert (restored.transform(X) != known.transform(X)).nnz == 0
    assert restored.get_feature_names_out().tolist() == known.get_feature_names_out().tolist()


NUMBERS = {
    "int8": lambda values: column(values, "int8"),
    "float32": lambda values: column(values, "float32"),
    "Int64": lambda values: column(values, "Int64"),
    "categorical": lambda values: pd.DataFrame({"price": pd.Categorical([*map(float, values)])}),
    "polars": lambda values: pl.DataFrame({"price": [*map(float, values)]}),
    "arrow": lambda values: pa.table({"price": pa.array(values, pa.decimal128(5, 1))}),
    "numpy in objects": lambda values: column([*map(np.int8, values)]),
    "decimals": lambda values: column([decimal.Decimal(f"{value}.0") for value in values]),
    "fractions": lambda values: column([*map(fractions.Fraction, values)]),
    "several": lambda values: column(
        [(int, float, np.int8, np.float16, decimal.Decimal)[row % 5](one) for row, one in enumerate(values)]
    ),
}


@pytest.mark.parametrize("n_rows", [6, 60])
@pytest.mark.parametrize("now", NUMBERS)
@pytest.mark.parametrize("then", NUMBERS)
def test_equal_numbers_of_any_type_are_one_category(then, now, n_rows):
    values = [2, 1, 3, 1, 2, 0] * (n_rows // 6)
    known = encoder(categorical=["price"]).fit(NUMBERS[then](values))
    assert known.get_feature_names_out()[2:].tolist() == [f"price={value}" for value in range(4)]
    assert known.transform(NUMBERS[now](values)).indices.tolist() == [2 + value for value in values]


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object", "category"])
def test_booleans_are_equal_to_numbers(dtype):
    known = encoder(categorical=["price"]).fit(column([True, False], dtype))
    assert known.transform(column([1.0, 0.0], "float64")).indices.tolist() == [3, 2]
    known = encoder(categorical=["price"]).fit(column([0, 1, np.nan]))
    assert known.transform(column([True, False], dtype)).indices.tolist() == [3, 2]


@pytest.mark.parametrize("learn", ["transform", "partial_fit"])
@pytest.mark.parametrize(
    ("then", "now", "what"),
    [
        ([1, 2], ["1", "2"], r"held numbers in fit and holds text now \(row 0: '1'\)"),
        ([1, 2], [None, 1, "x"], r"held numbers in fit and holds text now \(row 2: 'x'\)"),
        (["1", "x"], [1, 2], r"held text in fit and holds numbers now \(row 0: 1\)"),
    ],
)
def test_columns_named_categorical_keep_what_their_values_are(then, now, what, learn):
    known = encoder(categorical=["price"]).partial_fit(column(then))
    with pytest.raises(ValueError, match=what):
        getattr(known, learn)(column(now))
    known = encoder(categorical=["price"]).partial_fit(column([*then, *now]))
    getattr(known, learn)(column(now))


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@pytest.mark.parametrize(
    "values", [[Colour.RED, Colour.BLUE, None], [Access.READ, Access.READ | Access.WRITE]]
)
def test_enumerations_come_back_from_a_state(values):
    X = column(values)
    known = encoder(categorical=["price"]).fit(X)
    restored = FieldEncoder.from_state(known.get_state())
    assert (restored.transform(X) != known.transform(X)).nnz == 0
    assert restored.inverse_transform(restored.transform(X)).ravel().tolist() == values


def test_a_state_imports_no_enumeration():
    state = plain(Colour.RED)
    state["value"][0] = "no_such_module"
    with pytest.raises(TypeError, match="no_such_module has no enumeration Colour, or is not imported yet"):
        restored(state)
    with pytest.raises(TypeError, match="outside of functions"):
        plain(enum.Enum("Local", "A B").A)


def test_enumerations_are_categories():
    X = column([Colour.RED, Colour.BLUE, None])
    names = encoder().fit(X).get_feature_names_out().tolist()
    assert names == ["price:other", "price:missing", "price=Colour.BLUE", "price=Colour.RED"]


@pytest.mark.parametrize("wrap", [lambda periods: pd.DataFrame({"price": periods}), column])
def test_periods_are_dates(wrap):
    dates = pd.DataFrame({"price": pd.date_range("2024-01-01", periods=3, freq="MS")})
    X = wrap(list(dates["price"].dt.to_period("M")))
    assert np.array_equal(encoder().fit_transform(X).toarray(), encoder().fit_transform(dates).toarray())


@pytest.mark.parametrize(
    "values",
    [[(1, 2), (1, 3)], ["\ud800", "y"], [uuid.UUID(int=1), uuid.UUID(int=2)], [10**400, 1], [1, "b"]],
)
def test_hashes_of_any_value(values):
    X = column(values)
    encoded = encoder(categorical=["price"], hash=1 << 16).fit_transform(X).toarray()
    assert encoded.sum() == 2
    assert (encoded[0] != encoded[1]).any()


# -- errors, and their remedies ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "params", "parts", "remedy"),
    [
        (column([1, "b"]), {}, ["'price'", "row 1", "'b'"], {"categorical": ["price"]}),
        (column(["b", 1]), {}, ["'price'", "row 1", "(row 1: 1)"], {"categorical": ["price"]}),
        (
            pd.DataFrame({"price": pd.Categorical([1, "b"])}),
            {},
            ["mixes", "categorical="],
            {"categorical": ["price"]},
        ),
        (
            column([1, 10**400]),
            {"numeric": ["price"]},
            ["'price'", "row 1", "1000", "..."],
            {"categorical": ["price"]},
        ),
        (column([1, 10**5000]), {"numeric": ["price"]}, ["'price'", "row 1"], {"categorical": ["price"]}),
        (
            column([["x"], "y|z"]),
            {},
            ["'price'", "row 1", "multi_hot={'price': '|'}"],
            {"multi_hot": {"price": "|"}},
        ),
        (column(["x", ["y"]]), {}, ["'price'", "multi_hot="], {"multi_hot": {"price": "|"}}),
    ],
)
def test_the_remedy_works(X, params, parts, remedy):
    with pytest.raises(ValueError, match="Column 'price'") as caught:
        encoder(**params).fit(X)
    assert all(part in str(caught.value) for part in parts), caught.value
    assert len(str(caught.value)) < 500
    encoder(**remedy).fit_transform(X)


@pytest.mark.parametrize("hold", [column, lambda values: column(values).to_numpy()])
def test_mixed_values_as_text(hold):
    """The remedy helps in frames and in arrays, and for bytes that are no text."""
    values = ["b", 1, b"\xff"]
    with pytest.raises(ValueError, match=r"first, with str\(value\) of each for instance"):
        encoder().fit(hold(values))
    assert encoder().fit(hold([str(value) for value in values])).n_features_in_ == 1
    with pytest.raises(ValueError, match=r"first, with str\(entry\) of each entry for instance"):
        encoder().fit(column([values, [2]]))
    encoder().fit(column([[str(value) for value in values], ["2"]]))


@pytest.mark.parametrize("lists", [[[1], [2]], [["a", None], [np.nan], ["b"]]])
def test_lists_as_tuples(lists):
    X = column(lists)
    with pytest.raises(ValueError, match="Make each a tuple"):
        encoder(categorical=["price"]).fit(X)
    encoder(categorical=["price"]).fit(X.assign(price=X["price"].map(tuple)))


def in_tuples(missing):
    """Values that hold something missing, or not, and do not all compare."""
    return [("a", "b"), (missing(), "b"), ("a", (1, missing())), (1,), frozenset([missing()]), frozenset([1])]


@pytest.mark.parametrize("n_hashes", [None, 64])
@pytest.mark.parametrize("repeats", [1, 10])
@pytest.mark.parametrize(
    "missing",
    [
        lambda: float("nan"),
        lambda: np.float32("nan"),
        lambda: decimal.Decimal("nan"),
        lambda: pd.NA,
        lambda: pd.NaT,
    ],
)
def test_missing_values_in_tuples_are_equal(missing, repeats, n_hashes):
    expected = column(in_tuples(lambda: None) * repeats)
    known = encoder(categorical=["price"], hash=n_hashes).fit(expected)
    X = column([value for _ in range(repeats) for value in in_tuples(missing)])
    assert (known.transform(X) != known.transform(expected)).nnz == 0
    learned = encoder(categorical=["price"], hash=n_hashes).partial_fit(X)
    learned = pickle.loads(pickle.dumps(learned)).partial_fit(column(in_tuples(missing)))
    assert learned.get_feature_names_out().tolist() == known.get_feature_names_out().tolist()
    assert (learned.transform(X) != known.transform(X)).nnz == 0


@pytest.mark.parametrize("repeats", [1, 10])
def test_missing_values_in_tuples_that_are_categories(repeats):
    values = in_tuples(lambda: float("nan"))
    categories = pd.Index(values, dtype=object, tupleize_cols=False)
    X = pd.DataFrame({"price": pd.Categorical.from_codes([*range(len(values))] * repeats, categories)})
    expected = column(in_tuples(lambda: None) * repeats)
    known = encoder(categorical=["price"]).fit(expected)
    assert (encoder().fit_transform(X) != known.transform(expected)).nnz == 0


def test_columns_need_different_names():
    X = pd.DataFrame([["x", 1], ["y", 2]], columns=["price", "price"])
    with pytest.raises(ValueError, match=r"'price' 2 times.*Rename"):
        encoder().fit(X)


def test_a_frame_that_is_not_computed():
    with pytest.raises(TypeError, match=r"Call X\.collect\(\) first"):
        encoder().fit(pl.LazyFrame({"price": ["x"]}))


# -- order of the rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [1, 2.5, 3, None],
        [1, 2, True, False],
        [True, 2.5, 0],
        [np.True_, 2, 0],
        [True, np.False_, None],
        [1, decimal.Decimal("2.5"), fractions.Fraction(1, 3)],
        [1, np.float64(2), np.nan],
        [7, 2**63, -1],
        [np.uint64(2**63 + 1), np.uint64(2**63), 5],
        [dt.timedelta(seconds=90), 3, 2.5],
        [np.timedelta64(90, "s"), 3, 7],
        [dt.date(2024, 1, 1), dt.datetime(2024, 1, 2), pd.NaT],
        ["x", None, np.nan, "y"],
        [["x"], ("y",), {"z"}, None],
    ],
)
def test_the_order_of_rows_does_not_decide(values):
    def encoded(order):
        X = column([values[row] for row in order])
        known = encoder(bins=2).fit(X)
        return known.get_feature_names_out().tolist(), known.transform(X).toarray()[np.argsort(order)]

    names, rows = encoded(range(len(values)))
    for order in itertools.permutations(range(len(values))):
        other_names, other_rows = encoded(order)
        assert other_names == names
        assert np.array_equal(other_rows, rows)


@pytest.mark.parametrize(
    "values", [[1, "x"], [True, "x"], [2.5, "x"], [1, dt.date(2024, 1, 1)], [["x"], "x"]]
)
def test_mixed_values_are_refused_in_any_order(values):
    for order in (values, values[::-1]):
        with pytest.raises(ValueError, match=r"Column 'price'.*row [01]"):
            encoder().fit(column(order))


# -- whole numbers -----------------------------------------------------------------------------------------


def test_large_ids_are_told_apart():
    ids = np.array([2**53, 2**53 + 1, 5])
    known = encoder(numeric_encoding="bins").fit(pd.DataFrame({"id": ids}))
    encoded = known.transform(pd.DataFrame({"id": ids})).toarray()
    assert np.unique(encoded, axis=0).shape[0] == 3
    with pytest.raises(ValueError, match=r"'id' holds 9007199254740992 at row 1 as a floating-point number"):
        known.transform(pd.DataFrame({"id": [5, float(2**53)]}))
    exact = pd.DataFrame({"id": pd.array([2**53 + 1, None], "Int64")})
    assert np.array_equal(known.transform(exact).toarray()[0], encoded[1])
    floats = pd.DataFrame({"id": [5.0, np.nan]})
    assert np.array_equal(known.transform(floats).toarray()[0], encoded[2])


BEYOND = [2**53, 2**53 + 1, 2**53 + 1, 5]


@pytest.mark.parametrize(
    ("exact", "params"),
    [
        (pd.DataFrame({"id": BEYOND}), {"categorical": ["id"]}),
        (pd.DataFrame({"id": pd.array([*BEYOND, None], "Int64")}), {"categorical": ["id"]}),
        (pd.DataFrame({"id": pd.Series(BEYOND, dtype=object)}), {"categorical": ["id"]}),
        (pl.DataFrame({"id": BEYOND}), {"categorical": ["id"]}),
        (pd.DataFrame({"id": np.array([2**63, 2**63 + 1, 5], np.uint64)}), {}),
        (pd.DataFrame({"id": pd.array([2**63, 2**63 + 1, None], "UInt64")}), {}),
        (pd.DataFrame({"id": BEYOND}), {"categorical": ["id"], "hash": 64}),
        (pd.DataFrame({"id": BEYOND, "to": BEYOND}), {"shared": {"ids": ["id", "to"]}}),
        (pd.DataFrame({"id": [BEYOND, []]}), {"hash": 64}),
        (pd.DataFrame({"id": BEYOND}), {}),
        (pd.DataFrame({"id": [BEYOND, []]}), {}),
        (pd.DataFrame({"id": [-(2**53), -(2**53) - 1]}), {"categorical": ["id"]}),
    ],
)
def test_floats_do_not_stand_for_large_ids(exact, params):
    known = FieldEncoder(**{"min_frequency": 1, **params}).fit(exact)
    known.transform(exact)

    def as_float(value):
        return (
            [*map(float, value)] if isinstance(value, list) else None if is_missing(value) else float(value)
        )

    floats = pd.DataFrame({name: [*map(as_float, exact[name].to_list())] for name in exact.columns})
    message = r"'id' holds -?9\d* at row 0 as a floating-point number.*'Int64'"
    with pytest.raises(ValueError, match=message):
        known.transform(floats)
    if exact["id"].dtype != np.int64 or params:  # else a quantity, for all that is known
        with pytest.raises(ValueError, match=message):
            known.partial_fit(floats)


def test_large_floats_do_not_become_ids():
    floats = pd.DataFrame({"id": [2.0**53, 5.0, 1e300, np.inf]})
    known = encoder(categorical=["id"]).fit(floats)
    assert np.array_equal(known.transform(floats).indices, np.argsort(np.argsort(floats["id"])) + 2)
    with pytest.raises(ValueError, match=r"9007199254740993 at row 1 and floating-point numbers besides"):
        known.transform(pd.DataFrame({"id": [5, 2**53 + 1]}))
    again = FieldEncoder.from_state(known.get_state())
    with pytest.raises(ValueError, match=r"9007199254740993 at row 1 and floating-point numbers besides"):
        again.transform(pd.DataFrame({"id": [5, 2**53 + 1]}))
    with pytest.raises(ValueError, match="floating-point number"):
        encoder(categorical=["price"]).fit(column([2**53 + 1, 2.0**53]))


def test_rare_large_ids_and_floats():
    known = FieldEncoder(categorical=["id"], min_frequency=9).partial_fit(pd.DataFrame({"id": [2**53 + 1]}))
    with pytest.raises(ValueError, match="floating-point number"):
        known.partial_fit(pd.DataFrame({"id": [2.0**53]}))


def test_unsigned_numbers_are_no_signed_ones():
    known = encoder(numeric_encoding="bins").fit(pd.DataFrame({"visits": [2**63 - 1, 5]}))
    with pytest.raises(ValueError, match="'visits' holds 9223372036854775808 at row 0"):
        known.transform(pd.DataFrame({"visits": np.array([2**63], np.uint64)}))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "bool"])
def test_other_types_of_whole_numbers_do_not_wrap(dtype):
    known = encoder(numeric_encoding="bins").fit(pd.DataFrame({"id": np.array([0, 1, 1], dtype)}))
    encoded = known.transform(pd.DataFrame({"id": np.array([0, 1, 256, 257, 2**32 + 1])})).toarray()
    assert not np.array_equal(encoded[0], encoded[2])
    assert not any(np.array_equal(encoded[1], other) for other in encoded[3:])
    for other in (bool, np.int64, np.float64):
        again = known.transform(pd.DataFrame({"id": np.array([0, 1], other)})).toarray()
        assert np.array_equal(again, encoded[:2])


# -- a few rows --------------------------------------------------------------------------------------------

DAYS = pd.Series(pd.date_range("1969-12-31 23:59:59.9995", periods=4, freq="11h"))
SERIES = {
    **{
        name: pd.Series([3, 0, 3, 7], dtype=name)
        for name in ("int8", "int64", "uint8", "uint64", "Int64", "UInt64")
    },
    **{
        name: pd.Series([2.5, np.nan, 1e-3, np.inf], dtype=name) for name in ("float32", "float64", "Float64")
    },
    **{name: pd.Series([True, False, True, True], dtype=name) for name in ("bool", "boolean", "object")},
    **{
        f"{name} of text": pd.Series(["x", None, "y", "x"], dtype=name)
        for name in ("object", "str", "string")
    },
    "missing whole numbers": pd.Series([2**53 + 1, None, 5, 2**53], dtype="Int64"),
    "text categories": pd.Series(["x", None, "y", "x"], dtype="category"),
    "numbers as categories": pd.Series([7, None, 3, 7], dtype="category"),
    "whole categories": pd.Series(pd.Categorical([7, 3, 3, 7])),
    "logical categories": pd.Series(pd.Categorical([True, None, False, True])),
    "dates as categories": DAYS.astype("category"),
    "intervals": pd.Series(INTERVALS),
    "dates": DAYS,
    "dates of a zone": DAYS.dt.tz_localize("Asia/Tokyo"),
    "durations": pd.Series(pd.to_timedelta([1, None, 3, 90], unit="s")),
    "periods": DAYS.dt.to_period("D"),
    "sparse": pd.Series(pd.arrays.SparseArray([0.0, 0, 1, 2.5])),
    "lists": pd.Series([["x"], [], None, ["y", "x"]]),
}


@pytest.mark.parametrize("kind", SERIES)
def test_a_few_rows_are_read_as_many(kind, monkeypatch):
    few = pd.DataFrame({"price": SERIES[kind]})
    many = pd.concat([few] * 10, ignore_index=True)
    many = many.astype(few.dtypes.to_dict())
    known = encoder(bins=2).fit(many)
    assert np.array_equal(known.transform(few).toarray(), known.transform(many).toarray()[:4])
    for row in range(4):
        assert np.array_equal(
            known.transform(few.iloc[[row]]).toarray(), known.transform(few).toarray()[[row]]
        )
    seen = encoder(bins=2).fit(few)
    monkeypatch.setattr("skfm.data.frames._FEW_ROWS", 0)
    slow = encoder(bins=2).fit(few)
    assert seen.get_feature_names_out().tolist() == slow.get_feature_names_out().tolist()
    assert np.array_equal(seen.transform(many).toarray(), slow.transform(many).toarray())
    assert np.array_equal(seen.fields_, slow.fields_)


@pytest.mark.parametrize("other", ["text categories", "dates as categories"])
@pytest.mark.parametrize("kind", ["int64", "float64", "dates", "lists", "bool"])
def test_a_row_of_another_type_is_refused(kind, other):
    known = encoder().fit(pd.DataFrame({"price": SERIES[kind]}))
    row = pd.DataFrame({"price": SERIES[other]}).iloc[[0]]
    if (kind, other) == ("dates", "dates as categories"):
        known.transform(row)
        return
    with pytest.raises(ValueError, match=r"Column 'price' .*row 0"):
        known.transform(row)


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"a": ["b=c", "x"], "a=b": ["c", "y"]}),
        pd.DataFrame({"a": ["x", "y"], "a:other": [1.5, 2], "a:missing": [1.5, 2]}),
        pd.DataFrame({"a": ["b=c", "x"], "a=b": ["c", "c (2)"], "a=b=c": [1.5, 2]}),
        pd.DataFrame({"a": ["b=c (2)", "b=c"], "a=b": ["c", "y"]}),
    ],
)
def test_names_are_different(X):
    known = encoder().fit(X)
    names = known.get_feature_names_out().tolist()
    assert len(set(names)) == len(names)
    assert {"a:other", "a:missing"} <= set(names)


def test_names_of_mixed_values_are_different():
    names = encoder(categorical=["price"]).fit(column([1, "1", "1 (2)"])).get_feature_names_out().tolist()
    assert len(set(names)) == len(names)


def test_names_stay_when_columns_are_added():
    X = pd.DataFrame({"a": ["b=c", "x"], "a=b": ["c", "y"]})
    known = encoder().partial_fit(X)
    names = known.get_feature_names_out().tolist()
    known.partial_fit(pd.DataFrame({"a": ["b=c (2)", "b=y"], "a=b": ["c", "z"]}))
    after = known.get_feature_names_out().tolist()
    assert after[: len(names)] == names
    assert len(set(after)) == len(after) > len(names)
