"""FieldEncoder as plain values and back, and what it learns from merged counts."""

import copy
import datetime as dt
import json
import zoneinfo
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import reduce
from inspect import signature
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skfm import FieldEncoder
from skfm.data.choice import make_encoders
from skfm.data.encode import Learning
from skfm.data.state import plain, restored
from skfm.data.table import TableEncoder, merge_counts
from tests.data.encoders import array, fitted, mixed, names, pd, pl

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def through_json(state):
    """The state written as JSON and read again, but for its arrays."""
    arrays = []

    def without_arrays(value):
        if isinstance(value, np.ndarray):
            assert value.dtype != object
            arrays.append(value)
            return {"array": len(arrays) - 1}
        if isinstance(value, dict):
            return {key: without_arrays(one) for key, one in value.items()}
        return [without_arrays(one) for one in value] if isinstance(value, list) else value

    def with_arrays(value):
        return arrays[value["array"]] if set(value) == {"array"} else value

    return json.loads(json.dumps(without_arrays(state)), object_hook=with_arrays)


def rebuilt(encoder):
    return FieldEncoder.from_state(through_json(encoder.get_state()))


def assert_same(one, other, X):
    """Two encoders give the same bits."""
    a, b = one.transform(X), other.transform(X)
    for what in ("data", "indices", "indptr"):
        assert_array_equal(getattr(a, what), getattr(b, what), strict=True)
    back, expected = other.inverse_transform(b), one.inverse_transform(a)
    assert [[*map(repr, row)] for row in back] == [[*map(repr, row)] for row in expected]
    assert names(one) == names(other)
    for what in ("fields_", "field_columns_", "table_rows_", "n_features_in_"):
        assert_array_equal(getattr(one, what), getattr(other, what))
    assert_array_equal(getattr(one, "feature_names_in_", None), getattr(other, "feature_names_in_", None))


def table(seed=0, n=80):
    rng = np.random.default_rng(seed)
    columns = {
        "last": rng.choice(["x", "y", "z", None], n),
        "whole": np.where(rng.random(n) < 0.5, rng.integers(0, 3, n), rng.integers(-99, 99, n)),
        "flag": rng.random(n) < 0.5,
    }
    return mixed(n).assign(**columns)


PARAMETERS = [
    {},
    {"min_frequency": 0.1, "max_categories": 3, "bins": {"whole": 4}, "numeric_encoding": "bins"},
    {"shared": {"t": ["text", "last", "list"]}, "min_frequency": np.int64(2), "dtype": np.float64},
    {"crosses": [("text", "flag")], "cross_slots": 9, "signed_hash": True, "hash": {"last": 5}},
    {"categorical": np.array(["int"], object), "numeric": ("whole",), "max_length": 2, "bins": 0},
    {"hash": 7, "shared": {"t": ["text", "last"]}, "numeric_encoding": "value"},
]


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_an_encoder_rebuilt_from_its_state_is_the_same(parameters, learn):
    encoder = getattr(FieldEncoder(**parameters), learn)(table())
    other = rebuilt(encoder)
    assert_same(encoder, other, table(1))
    assert_same(encoder.partial_fit(table(2)), other.partial_fit(table(2)), table(1))
    assert_same(encoder, rebuilt(other), table(1))


# For each parameter of the constructor, values of every type that it takes.
OF_EACH = {
    "categorical": [["a", 1], ("a",), np.array(["a"]), np.array(["a"], object), {"a"}, frozenset({"a"})],
    "numeric": [["n"], ("n",), np.array(["n"])],
    "text": [["b"], {"b": {"lowercase": False, "ngram_range": (1, 2)}}],
    "multi_hot": [["more"], ("more",), {"tags": "|", 3: None}],
    "max_length": [2, np.int64(2), {"more": 2}],
    "hash": [16, np.int32(16), {"a": 16}],
    "signed_hash": [True, np.True_],
    "shared": [{"t": ["a", "b"]}, {"t": ("a", "b")}],
    "crosses": [[("a", "b")], (["a", "b"],), np.array([["a", "b"]])],
    "cross_slots": [9, np.int64(9)],
    "min_frequency": ["auto", 1, np.int64(2), 0.5, np.float32(0.5)],
    "max_categories": [5, np.int8(5)],
    "numeric_encoding": ["bins", np.str_("value")],
    "bins": [4, np.int16(4), {"n": 4}],
    "sparse_output": [False, np.False_],
    "dtype": [
        *[np.float32, np.float64, np.longdouble, float, None],
        *["float32", "f4", ">f8", np.dtype("float32"), np.dtype(">f4")],
    ],
}


@pytest.mark.parametrize("name", sorted(signature(FieldEncoder).parameters))
def test_parameters_come_back(name):
    columns = {"a": ["x", "y"], "b": ["x y", "y z"], "tags": ["u|v", "u"], "more": [["p"], []]}
    X = pd.DataFrame(columns | {"n": [1.5, 2.5]})
    for value in OF_EACH[name]:
        encoder = FieldEncoder(**{name: value}).fit(X)
        other = rebuilt(encoder)
        found = getattr(other, name)
        assert (type(found), repr(found)) == (type(value), repr(value))
        assert repr(other) == repr(encoder)
        assert repr(clone(other)) == repr(clone(encoder))


def test_types_that_are_no_floats_have_no_plain_form():
    for kind in (int, str, np.int32, Color):
        with pytest.raises(TypeError, match="cannot be kept as a plain value"):
            plain(kind)


def test_tables_without_names_and_of_polars():
    X = array(["x", "y", None, "x"])
    assert_same(fitted(X), rebuilt(fitted(X)), X)
    X = pl.from_pandas(table())
    assert_same(fitted(X), rebuilt(fitted(X)), X)


class Color(StrEnum):
    RED = "red"


VALUES = {
    "text": ["x", "é", np.str_("y")],
    "bytes": [b"x", b"\xff"],
    "booleans": [True, False, np.True_],
    "numbers": [1, 2.5, 2**70, np.int8(3), np.float32(0.1), np.inf, Decimal("0.7"), Fraction(1, 3)],
    "dates": [dt.date(2024, 2, 29), dt.date(1, 1, 1)],
    "times": [dt.datetime(2024, 2, 29, 1, 2, 3, 4), pd.Timestamp("2024-02-29 01:02:03.000000005")],
    "times of a zone": [
        dt.datetime(2024, 7, 1, 3, tzinfo=BERLIN),
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=3))),
        pd.Timestamp("2024-07-01 00:00", tz="Asia/Tokyo"),
    ],
    "NumPy's dates": [np.datetime64("2024-02-29"), np.datetime64("2024-02-29T01:00:00.000000001", "ns")],
    "durations": [dt.timedelta(1, 2, 3), pd.Timedelta(7, "ns"), np.timedelta64(90, "m")],
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_of_every_type_come_back(kind):
    for value in VALUES[kind]:
        back = restored(json.loads(json.dumps(plain(value))))
        assert (type(back), repr(back)) == (type(value), repr(value))
        assert (back, hash(back), str(back)) == (value, hash(value), str(value))
    X = array(VALUES[kind] * 2)
    encoder = fitted(X, categorical=[0])
    assert len(names(encoder)) == 2 + len(set(VALUES[kind]))
    assert_same(encoder, rebuilt(encoder), X)


def test_other_values():
    assert restored(plain(Color.RED)) == "red"
    assert restored(plain({"a": {1, 2}, 3: (None, [np.array([1.5])])})) == {"a": {1, 2}, 3: (None, [1.5])}
    assert restored(plain(np.array([["a", 1]], dtype=object))).tolist() == [["a", 1]]
    with pytest.raises(TypeError, match="of type object cannot be kept"):
        plain(object())


def test_a_shared_vocabulary_stands_once_in_the_state():
    X = pd.DataFrame({"a": ["unmistakable", "x"], "b": ["x", "y"], "c": [["y"], ["unmistakable"]]})
    encoder = FieldEncoder(shared={"t": ["b", "a", "c"]}, min_frequency=1).fit(X)
    assert json.dumps(encoder.get_state()["table"]["encoders"]).count('"unmistakable"') == 1
    assert_same(encoder, rebuilt(encoder), X)


def test_a_state_of_another_format_is_refused():
    state = FieldEncoder().fit(mixed()).get_state()
    with pytest.raises(ValueError, match=r"is of format 0, and this version of skfm reads format 2"):
        FieldEncoder.from_state(state | {"format": 0})


# -- merged counts -----------------------------------------------------------------------------------


def learned(parameters, parts, merged):
    """What is learned from counts of parts, merged by a function."""
    encoder = FieldEncoder(**parameters)
    columns = [encoder._columns_of(encoder._checked(part, reset=True)) for part in parts]
    start = TableEncoder(*make_encoders(encoder, columns[0], np.ones(columns[0][0].values.shape[0])))
    counts = [start.count(one, np.full(len(part), 1.25)) for one, part in zip(columns, parts, strict=True)]
    return start.learned(merged(counts), go_on=True), columns


ORDERS = {
    "one after another": lambda counts: reduce(merge_counts, counts),
    "last first": lambda counts: reduce(merge_counts, counts[::-1]),
    "in pairs": lambda counts: merge_counts(merge_counts(*counts[:2]), merge_counts(*counts[2:])),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_counts_of_parts_merge_to_those_of_the_whole(parameters, order):
    X = table()
    cuts = [0, 13, 50, 51, 80]
    parts = [X[low:high] for low, high in pairwise(cuts)]
    whole, (columns,) = learned(parameters, [X], lambda counts: counts[0])
    merged, _ = learned(parameters, parts, ORDERS[order])
    assert_array_equal(merged.names(), whole.names())
    dtype = np.dtype(np.float64)
    assert (merged.encode(columns, 80, dtype) != whole.encode(columns, 80, dtype)).nnz == 0


@pytest.mark.parametrize("order", ORDERS)
def test_summaries_of_many_numbers_merge_to_nearly_the_same_quantiles(monkeypatch, order):
    monkeypatch.setattr("skfm.data.numeric._SUMMARY", 1000)
    X = pd.DataFrame({"x": np.random.default_rng(0).exponential(size=8000)})
    merged, _ = learned({}, [X[first : first + 2000] for first in range(0, 8000, 2000)], ORDERS[order])
    (encoder,) = merged.encoders
    low, center, high = np.quantile(X, [0.25, 0.5, 0.75])
    # Each merge moves a quantile by one number of the summary at most.
    assert abs((X["x"] <= encoder.center).mean() - 0.5) <= 3 / 1000
    assert encoder.center == pytest.approx(center, rel=0.02)
    assert encoder.scale == pytest.approx(high - low, rel=0.02)


def test_a_part_without_values_changes_nothing():
    X = table()
    nothing = X[:2].assign(**dict.fromkeys(X.columns, None))
    nothing = nothing.astype({column: X.dtypes[column] for column in ("float", "date")})
    whole = FieldEncoder(min_frequency=3).fit(X)
    chunks = [(X, None, None), (nothing, None, None)]
    parts = FieldEncoder(min_frequency=3).learn_chunks(chunks, Learning(first=True, go_on=False))
    assert_same(whole, parts, X)


def test_values_of_two_kinds_in_parts_are_refused():
    parts = [pd.DataFrame({"a": [None, "x"]}), pd.DataFrame({"a": [None, 7]}, dtype=object)]
    message = r"Column 'a' held text in fit and holds numbers now \(row 1: 7\)"
    with pytest.raises(ValueError, match=message):
        FieldEncoder(categorical=["a"]).learn_chunks(
            [(part, None, None) for part in parts], Learning(first=True, go_on=True)
        )


# -- a fit that fails --------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [pd.DataFrame({"other": [1, 2], "one": [object(), 1]}), array([1, object()])])
def test_a_fit_that_fails_leaves_the_encoder_as_it_was(X):
    encoder = FieldEncoder()
    with pytest.raises((TypeError, ValueError)):
        encoder.fit(X)
    assert vars(encoder) == vars(FieldEncoder())
    known = FieldEncoder().fit(table())
    encoder = copy.copy(known)
    wrong = table().assign(date=[object()] * 80)
    for method, given in (("fit", X), ("fit", wrong), ("partial_fit", wrong)):
        with pytest.raises((TypeError, ValueError)):
            getattr(encoder, method)(given)
        assert vars(encoder) == vars(known)
    assert_same(encoder, known, table(1))


def test_a_fit_on_rows_without_names_forgets_names():
    encoder = FieldEncoder().fit(table())
    assert not hasattr(encoder.fit(array(["x", "y"])), "feature_names_in_")
    assert encoder.n_features_in_ == 1


def test_a_stream_that_breaks_leaves_the_encoder_as_it_was():
    def chunks():
        yield table(2), None, None
        raise OSError("the file is gone")

    encoder = FieldEncoder().fit(table())
    before = vars(copy.copy(encoder))
    for first in (True, False):
        with pytest.raises(OSError, match="the file is gone"):
            encoder.learn_chunks(chunks(), Learning(first, go_on=True))
        assert vars(encoder) == before
