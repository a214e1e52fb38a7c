"""FieldEncoder against encodings made one value at a time, and against scikit-learn's OneHotEncoder."""

import contextlib
import copy
import datetime as dt
import io
import itertools
import os
import pickle
import subprocess
import sys
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder
from sklearn.utils import murmurhash3_32
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfm import FieldEncoder

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

few = settings(max_examples=60, deadline=None)


def rows(encoder, X):
    """Nonzeros of each encoded row by the name of their column."""
    names = encoder.get_feature_names_out()
    return [{names[j]: row[j] for j in np.flatnonzero(row)} for row in encoder.transform(X).toarray()]


def fitted(X, weight=None, **params):
    return FieldEncoder(**{"min_frequency": 1, "dtype": np.float64, **params}).fit(X, sample_weight=weight)


def names(encoder):
    return encoder.get_feature_names_out().tolist()


def frame(dtype):
    return lambda values: pd.DataFrame({"x0": pd.Series(values, dtype=dtype)})


def arrow(dtype):
    return lambda values: frame(pd.ArrowDtype(dtype))(values)


def polars(dtype):
    return lambda values: pl.DataFrame({"x0": pl.Series(values, dtype=dtype)})


def array(values):
    X = np.empty((len(values), 1), dtype=object)
    X[:, 0] = values
    return X


def each(convert):
    return lambda values: array([None if value is None else convert(value) for value in values])


def intervals(edges):
    ends = ["-inf", *(f"{edge:.6g}" for edge in edges), "inf"]
    return [f"x0:({low}, {high}]" for low, high in itertools.pairwise(ends)]


def quantile_edges(values, n_bins, weight=None):
    """Upper ends of bins by NumPy's weighted quantiles; an odd total weight has no ties in four bins."""
    shares = np.arange(1, n_bins) / n_bins
    return sorted(set(np.quantile(values, shares, method="inverted_cdf", weights=weight)) - {max(values)})


def naive_own(values, weight, min_frequency, max_categories):
    """Values with a slot of their own, by counting."""
    counts = Counter()
    for value, w in zip(values, weight, strict=True):
        counts[value] += w
    least = min_frequency if isinstance(min_frequency, int) else min_frequency * sum(weight)
    own = [v for v, count in counts.items() if v is not None and count >= least and count > 0]
    return sorted(sorted(own, key=lambda v: (-counts[v], v))[:max_categories])


# -- text, categories, booleans ----------------------------------------------------------------------

TEXTS = ["mon", "tue", None, "mon", "wed", "tue", "mon", "été", None, "été"]


@pytest.mark.parametrize(
    "make",
    [
        *map(frame, [object, "str", "string", "category"]),
        arrow(pa.string()),
        *map(polars, [pl.String, pl.Categorical, pl.Enum(["mon", "tue", "wed", "été", "never"])]),
        array,
    ],
)
def test_text_is_encoded_alike_in_every_container(make):
    encoder = fitted(make(TEXTS), min_frequency=2)
    assert names(encoder) == ["x0:other", "x0:missing", "x0=mon", "x0=tue", "x0=été"]
    where = {None: "x0:missing", "wed": "x0:other"}
    assert rows(encoder, make(TEXTS)) == [{where.get(v, f"x0={v}"): 1} for v in TEXTS]
    assert_array_equal(encoder.fields_, np.zeros(5))


@few
@given(
    st.lists(st.tuples(st.sampled_from([None, *"abcdef"]), st.integers(1, 3)), min_size=1, max_size=40),
    st.sampled_from([1, 2, 3, 5, 0.125, 0.25]),
    st.sampled_from([None, 1, 2, 4]),
)
def test_frequent_values_have_slots(table, min_frequency, max_categories):
    values, weight = map(list, zip(*table, strict=True))
    encoder = fitted(array(values), weight, min_frequency=min_frequency, max_categories=max_categories)
    own = naive_own(values, weight, min_frequency, max_categories)
    assert names(encoder) == ["x0:other", "x0:missing", *(f"x0={v}" for v in own)]
    slot = {None: 1, **{v: 2 + i for i, v in enumerate(own)}}
    expected = np.eye(2 + len(own))[[slot.get(v, 0) for v in [*values, "new"]]]
    assert_array_equal(encoder.transform(array([*values, "new"])).toarray(), expected)


@pytest.mark.parametrize("min_frequency", [1, 40, 0.1])
def test_categories_are_those_of_the_one_hot_encoder(min_frequency):
    X = np.random.default_rng(0).geometric(0.2, size=(500, 3)).astype(str)
    other = OneHotEncoder(
        min_frequency=min_frequency, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    expected = other.fit_transform(X)
    encoder = fitted(X, min_frequency=min_frequency)
    # scikit-learn has its slot for rare values last, and only where there are some; none is for missing ones.
    encoded, order = encoder.transform(X).toarray(), []
    for field, infrequent in enumerate(other.infrequent_categories_):
        first, *own = np.flatnonzero(encoder.fields_ == field)
        assert not encoded[:, own[0]].any()
        order += own[1:] + [first] * (infrequent is not None)
    assert_array_equal(encoded[:, order], expected)


@pytest.mark.parametrize("make", [frame(object), frame("boolean"), polars(pl.Boolean), array])
def test_booleans_are_categories(make):
    encoder = fitted(make([True, False, None, True]))
    assert names(encoder) == ["x0:other", "x0:missing", "x0=False", "x0=True"]
    assert_array_equal(encoder.transform(make([True, False, None])).indices, [3, 2, 1])


# -- whole numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [frame("Int64"), arrow(pa.int64()), polars(pl.Int64), array])
@pytest.mark.parametrize("weighted", [False, True])
def test_frequent_numbers_have_slots_and_others_quantile_bins(make, weighted):
    rng = np.random.default_rng(1)
    values = [*[7] * 40, *[-3] * 30, *rng.integers(0, 5000, 400).tolist(), None]
    weight = rng.integers(1, 4, len(values)) if weighted else np.ones(len(values), int)
    own = naive_own(values, weight, 20, None)
    assert own == [-3, 7]
    rare = [v is not None and v not in own for v in values]
    weight[rare.index(True)] += 1 - weight[rare].sum() % 2
    edges = quantile_edges(np.array(values)[rare].astype(int), 8, weight[rare])
    encoder = fitted(make(values), weight, min_frequency=20, bins=8)
    assert names(encoder) == ["x0:other", "x0:missing", *intervals(edges), "x0=-3", "x0=7"]
    seen = [*values, -(10**9), 10**9]
    slots = [
        9 + 1 + own.index(v) if v in own else 1 if v is None else 2 + np.sum(np.less(edges, v)) for v in seen
    ]
    assert_array_equal(encoder.transform(make(seen)).indices, slots)


def test_whole_numbers_without_bins_share_other():
    encoder = fitted(array([1, 1, 2, 3, 4]), min_frequency=2, bins=0)
    assert rows(encoder, array([1, 2, None])) == [{"x0=1": 1}, {"x0:other": 1}, {"x0:missing": 1}]


def test_numbers_that_become_floats_because_one_is_missing_keep_their_slots():
    ints = pd.DataFrame({"a": np.r_[np.repeat([3, 5], 30), np.arange(100)]})
    encoder = fitted(ints, min_frequency=5, bins=4)
    floats = pd.DataFrame({"a": [*map(float, ints["a"]), np.nan]})
    assert rows(encoder, floats) == [*rows(encoder, ints), {"a:missing": 1}]


# -- numbers -----------------------------------------------------------------------------------------


def naive_value(x, values, weight=None):
    """Standardised value of x by the formula of the documentation."""
    low, center, high = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf", weights=weight)
    z = (x - center) / ((high - low) or (max(values) - min(values)) or 1)
    return z / np.sqrt(1 + (z / 3) ** 2)


NUMBERS = np.random.default_rng(2).normal(2, 9, 301).round(1).tolist()


@pytest.mark.parametrize(
    "make",
    [
        *map(frame, ["float64", "Float64"]),
        arrow(pa.float64()),
        polars(pl.Float64),
        array,
        lambda values: np.transpose([np.array(values, float)]),
        each(lambda value: Decimal(str(value))),
        each(lambda value: dt.timedelta(seconds=value)),
        lambda values: polars(pl.Duration)([v if v is None else dt.timedelta(seconds=v) for v in values]),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("encoding", ["both", "value", "bins"])
def test_numbers_are_standardised_values_and_quantile_bins(make, weighted, encoding):
    weight = np.r_[np.random.default_rng(3).integers(1, 4, len(NUMBERS)), 1]
    weight[0] += 1 - weight[:-1].sum() % 2
    weight = weight if weighted else np.ones_like(weight)
    X = make([*NUMBERS, None])
    encoder = fitted(X, weight, numeric_encoding=encoding, bins=4)
    edges = quantile_edges(NUMBERS, 4, weight[:-1])
    value, bins = ["x0"], ["x0:missing", *intervals(edges)]
    expected = {"both": [*value, *bins], "value": [*value, "x0:missing"], "bins": bins}[encoding]
    assert names(encoder) == expected
    assert encoder.fields_.tolist() == [int(encoding == "both" and name != "x0") for name in expected]
    dense = np.zeros((len(NUMBERS) + 1, len(expected)))
    dense[-1, expected.index("x0:missing")] = 1
    if encoding != "bins":
        dense[:-1, 0] = naive_value(np.array(NUMBERS), NUMBERS, weight[:-1])
    if encoding != "value":
        dense[np.arange(len(NUMBERS)), len(expected) - 4 + np.searchsorted(edges, NUMBERS)] = 1
    assert_allclose(encoder.transform(X).toarray(), dense, atol=1e-12)


def test_bins_have_about_min_frequency_rows():
    X = np.arange(100.0)[:, None]
    counts = fitted(X, min_frequency=20, numeric_encoding="bins").transform(X).sum(axis=0)
    assert_array_equal(counts, [0, 20, 20, 20, 20, 20])


# -- dates -------------------------------------------------------------------------------------------

TIMES = [
    None if i == 4 else dt.datetime(1960, 1, 31, 23, 59, 58) + i * dt.timedelta(days=97, hours=7)
    for i in range(200)
]


def paris(values):
    return pd.DataFrame({"x0": pd.Series(pd.to_datetime(values)).dt.tz_localize("Europe/Paris")})


@pytest.mark.parametrize(
    "make",
    [
        *map(frame, [object, "datetime64[ns]", "datetime64[s]"]),
        paris,
        arrow(pa.timestamp("us")),
        polars(pl.Datetime),
        lambda values: polars(pl.Datetime)(values).select(pl.col("x0").dt.replace_time_zone("Asia/Tokyo")),
        array,
        each(lambda value: value.replace(tzinfo=dt.UTC)),
        lambda values: np.array(values, dtype="datetime64[ms]")[:, None],
    ],
)
def test_dates_are_month_weekday_hour_and_days(make):
    encoder = fitted(make(TIMES), numeric_encoding="value")
    assert_array_equal(np.bincount(encoder.fields_), [13, 8, 25, 2])
    days = [(t - dt.datetime(1970, 1, 1)) / dt.timedelta(days=1) for t in TIMES if t]
    value = iter(naive_value(np.array(days), days))
    for time, row in zip(TIMES, rows(encoder, make(TIMES)), strict=True):
        if time is None:
            parts = ["x0:month", "x0:weekday", "x0:hour", "x0"]
            assert row == {f"{part}:missing": 1 for part in parts}
        else:
            parts = {"month": time.month, "weekday": time.weekday(), "hour": time.hour}
            expected = {f"x0:{part}={x}": 1 for part, x in parts.items()} | {"x0": next(value)}
            assert row == pytest.approx({name: x for name, x in expected.items() if x}, abs=1e-9)


@pytest.mark.parametrize(
    "make", [frame("datetime64[ns]"), arrow(pa.date32()), polars(pl.Date), polars(pl.Datetime), array]
)
def test_dates_without_time_have_no_hour(make):
    dates = [dt.date(2024, 2, 29), None, dt.date(1969, 12, 31)]
    encoder = fitted(make(dates))
    assert_array_equal(np.bincount(encoder.fields_), [13, 8, 1, 3])
    assert [list(row)[:2] for row in rows(encoder, make(dates))] == [
        ["x0:month=2", "x0:weekday=3"],
        ["x0:month:missing", "x0:weekday:missing"],
        ["x0:month=12", "x0:weekday=2"],
    ]


# -- lists -------------------------------------------------------------------------------------------

TAGS = [["b", "a"], [], None, ["a"], ["c", "a", None], ["b"]]


@pytest.mark.parametrize(
    ("make", "multi_hot"),
    [
        *((each(kind), ["x0"]) for kind in (list, tuple, set, lambda value: np.array(value, dtype=object))),
        (frame(object), ()),
        (arrow(pa.list_(pa.string())), ()),
        (polars(pl.List(pl.String)), ()),
        (polars(pl.List(pl.Categorical)), [0]),
    ],
)
def test_lists_are_encoded_alike_in_every_container(make, multi_hot):
    encoder = fitted(make(TAGS), min_frequency=2, multi_hot=multi_hot)
    assert names(encoder) == ["x0:other", "x0:missing", "x0=a", "x0=b"]
    expected = [[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]
    assert_array_equal(encoder.transform(make(TAGS)).toarray(), expected)


@few
@given(st.lists(st.none() | st.lists(st.sampled_from("abc"), max_size=5), min_size=1), st.integers(1, 4))
def test_entries_are_counted(lists, min_frequency):
    counts = Counter(entry for value in lists for entry in value or ())
    own = sorted(entry for entry, count in counts.items() if count >= min_frequency)
    encoder = fitted(array(lists), min_frequency=min_frequency, multi_hot=["x0"])
    expected = [
        Counter(["x0:missing"] if value is None else [f"x0={e}" if e in own else "x0:other" for e in value])
        for value in lists
    ]
    assert rows(encoder, array(lists)) == expected


def test_text_is_cut_at_the_separator():
    X = pd.DataFrame({"a": ["x|y|x", "", None, "y"], "b": ["1, 2", "2", "3", None]})
    encoder = fitted(X, multi_hot={"a": "|", 1: ", "})
    a = [{"a=x": 2, "a=y": 1}, {}, {"a:missing": 1}, {"a=y": 1}]
    b = [{"b=1": 1, "b=2": 1}, {"b=2": 1}, {"b=3": 1}, {"b:missing": 1}]
    assert rows(encoder, X) == [left | right for left, right in zip(a, b, strict=True)]


# -- hashes ------------------------------------------------------------------------------------------

HASHES = {
    "": 0,
    "mon": 3288851723,
    "été": 865297935,
    "日本": 3302619458,
    "a" * 40: 3201877684,
    "-7": 1918780564,
}


def hashed(values, n_slots=1000, **params):
    """Slots and values of a column of names."""
    encoded = fitted(array(values), hash=n_slots, categorical=[0], **params).transform(array(values))
    assert encoded.shape == (len(values), n_slots + 1)
    return encoded.indices.tolist(), encoded.data.tolist()


def test_hashes_never_change():
    assert {text: murmurhash3_32(text, positive=True) for text in HASHES} == HASHES
    slots = [h // 2 % 1000 for h in HASHES.values()]
    signs = [1 - h % 2 * 2 for h in HASHES.values()]
    assert hashed([*HASHES, None]) == ([*slots, 1000], [1] * 7)
    assert hashed([*HASHES, None], signed_hash=True) == ([*slots, 1000], [*signs, 1])
    assert -1 in signs


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("7", [7, 7.0, np.int8(7), np.uint64(7), np.float32(7), Decimal(7)]),
        ("1", [1, True, np.True_, 1.0]),
        ("0.5", [0.5, np.float32(0.5), Decimal("0.5")]),
        (str(2**60), [2**60, 2.0**60]),
        ("mon", ["mon", np.str_("mon"), b"mon"]),
        ("2024-02-29", [dt.date(2024, 2, 29)]),
        ("2024-02-29 01:00:00", [dt.datetime(2024, 2, 29, 1), pd.Timestamp("2024-02-29T01")]),
        ("inf", [np.inf]),
    ],
)
def test_equal_values_have_equal_hashes(text, values):
    slot = murmurhash3_32(text, positive=True) // 2 % 1000
    assert [hashed([value])[0] for value in values] == [[slot]] * len(values)


def test_hashes_are_the_same_in_another_process():
    program = (
        "import numpy as np; from skfm import FieldEncoder\n"
        "X = np.array([[f'{i}é', i, {f'{i}', 'x', 'y'}] for i in range(50)], dtype=object)\n"
        "encoder = FieldEncoder(hash=64, categorical=[1], min_frequency=1, signed_hash=True)\n"
        "print(encoder.fit_transform(X).toarray().tolist())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", program]
    there = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    with contextlib.redirect_stdout(io.StringIO()) as here:
        exec(program)
    assert there == here.getvalue() != ""


def test_hashes_of_chosen_columns():
    X = pd.DataFrame({"a": ["x", "y", None], "n": [1, 2, 2], "l": [["x", "x", "q"], None, []]})
    slots = {text: murmurhash3_32(text, positive=True) // 2 for text in "xyq2"}
    encoder = fitted(X, hash={"a": 7, 1: 5, "l": 9})
    assert_array_equal(np.bincount(encoder.fields_), [8, 6, 10])
    last = rows(encoder, X)[-1]
    assert last == {"a:missing": 1, f"n#{slots['2'] % 5}": 1}
    lists = Counter(f"l#{slots[text] % 9}" for text in "xxq")
    assert {k: v for k, v in rows(encoder, X)[0].items() if k.startswith("l")} == lists
    # One number is not for numbers.
    assert_array_equal(np.bincount(fitted(X, hash=4).fields_), [5, 4, 5])


# -- weights and parts -------------------------------------------------------------------------------

ENTRIES = st.tuples(
    st.sampled_from([None, "x", "y", "z"]),
    st.integers(0, 6),
    st.sampled_from([np.nan, 0.5, 1.5, 2.0, 7.25, np.inf]),
    st.integers(0, 3),
    st.sampled_from([None, "", "u", "u|v", "u|u"]),
)


def table(entries):
    text, ints, floats, days, tags = zip(*entries, strict=True)
    dates = [pd.Timestamp(2024, 1, 1, 5) + pd.Timedelta(days=40 * day) for day in days]
    columns = {"text": text, "ints": ints, "floats": floats, "dates": dates, "tags": tags}
    return pd.DataFrame(columns)


@few
@given(
    st.lists(st.tuples(ENTRIES, st.integers(0, 3)), min_size=1, max_size=25),
    st.sampled_from([1, 2, 0.125]),
)
def test_a_weight_is_the_row_as_often(weighted, min_frequency):
    entries, weight = zip(*weighted, strict=True)
    assume(any(weight))
    X = table(entries)
    params = {"min_frequency": min_frequency, "bins": 4, "multi_hot": {"tags": "|"}, "max_categories": 2}
    encoder = fitted(X, weight, **params)
    repeated = fitted(X.loc[np.repeat(X.index, weight)], **params)
    assert names(encoder) == names(repeated)
    assert_array_equal(encoder.fields_, repeated.fields_)
    assert_allclose(encoder.transform(X).toarray(), repeated.transform(X).toarray(), rtol=1e-12)


def test_rows_of_weight_zero_do_not_make_fields():
    X = frame("datetime64[ns]")([dt.datetime(2024, 1, 1, 5), dt.datetime(2024, 1, 2)])
    assert names(fitted(X, [0, 1])) == names(fitted(X[1:]))


@few
@given(st.lists(ENTRIES, min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=3))
def test_parts_give_the_categories_of_the_whole(entries, cuts):
    X = table(entries)[["text", "tags"]]
    encoder, known = FieldEncoder(min_frequency=3, multi_hot={"tags": "|"}), []
    for low, high in itertools.pairwise(sorted({0, *(cut % len(X) for cut in cuts), len(X)})):
        encoder.partial_fit(X[low:high])
        assert names(encoder)[: len(known)] == known
        known = names(encoder)
    whole = clone(encoder).fit(X)
    assert sorted(known) == sorted(names(whole))
    assert rows(encoder, X) == rows(whole, X)


def test_partial_fit_adds_columns_and_keeps_the_others():
    first = pd.DataFrame({"a": ["x", "x", "y"], "n": [1.5, 2.5, 4.5], "i": [1, 1, 8]})
    encoder = FieldEncoder(min_frequency=2, bins=2).partial_fit(first)
    known, fields, before = names(encoder), encoder.fields_, rows(encoder, first)
    more = pd.DataFrame({"a": ["z", "y", "z"], "n": [100.0, 1000, 1e6], "i": [8, 9, 9]})
    encoder.partial_fit(more)
    # Bins and medians stay as they are.
    assert names(encoder) == [*known, "a=y", "a=z", "i=8", "i=9"]
    assert_array_equal(encoder.fields_, [*fields, 0, 0, 3, 3])
    after = rows(encoder, first)
    assert after[:2] == before[:2]
    assert set(after[2]) ^ set(before[2]) == {"a:other", "a=y", "i:other", "i=8"}
    assert names(encoder.fit(first)) == known


@pytest.mark.parametrize("make", ["fit", "partial_fit"])
def test_a_copy_learns_alone(make):
    X = pd.DataFrame({"a": ["x", "y"], "l": [["u"], ["v"]], "i": [1, 2], "d": pd.to_datetime([1, 2])})
    encoder = getattr(FieldEncoder(min_frequency=2), make)(X)
    state = pickle.dumps(encoder)
    copied = copy.copy(encoder).partial_fit(X).partial_fit(X)
    assert {"a=x", "l=v", "i=2"} <= set(names(copied))
    assert pickle.dumps(encoder) == state


# -- output ------------------------------------------------------------------------------------------


def mixed(n=60):
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "text": rng.choice(["x", "y", None], n),
            "int": rng.integers(0, 9, n),
            "float": rng.normal(size=n),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="s"),
            "list": [rng.choice(["u", "v"], size=rng.integers(0, 4)).tolist() for _ in range(n)],
        }
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_output_is_canonical_and_the_same_in_every_form(dtype):
    X = mixed()
    encoded = FieldEncoder(dtype=dtype).fit_transform(X)
    assert (encoded.format, encoded.dtype) == ("csr", dtype)
    assert encoded.data.all()
    assert all((np.diff(one) > 0).all() for one in np.split(encoded.indices, encoded.indptr[1:-1]))
    dense = FieldEncoder(dtype=dtype, sparse_output=False).set_output(transform="pandas")
    out = dense.fit_transform(X)
    assert_array_equal(out, encoded.toarray())
    assert out.columns.tolist() == names(dense)
    assert_array_equal(dense.set_output(transform="default").transform(X), encoded.toarray(), strict=True)


def test_fields_follow_the_columns():
    encoder = fitted(mixed())
    parts = [["text"], ["int"], ["float", "float"], ["date"] * 5, ["list"]]
    columns = [column for group in parts for column in group]
    assert encoder.feature_names_in_[encoder.field_columns_].tolist() == columns
    made_of = [name.replace("=", ":").split(":")[0] for name in names(encoder)]
    assert made_of == encoder.feature_names_in_[encoder.field_columns_[encoder.fields_]].tolist()


def test_inverse_transform_gives_the_values_back():
    X = mixed()
    X.loc[0, "float"] = np.nan
    X.loc[1, "date"] = pd.NaT
    encoder = fitted(X)
    text, ints, floats, dates, lists = encoder.inverse_transform(encoder.transform(X)).T
    assert text.tolist() == [None if pd.isna(value) else value for value in X["text"]]
    assert ints.tolist() == X["int"].tolist()
    assert_allclose(floats.astype(float), X["float"], atol=1e-12)
    assert dates[1] is None
    assert max(abs(pd.to_datetime(dates) - X["date"]).dropna()) < pd.Timedelta(seconds=1)
    assert lists.tolist() == X["list"].map(sorted).tolist()


def test_inverse_transform_of_what_is_not_known():
    X = pd.DataFrame({"a": ["x", "x", "y", None], "h": list("abcd"), "n": [1.5, 2.5, 10.5, np.nan]})
    encoder = fitted(X, min_frequency=2, hash={"h": 5}, numeric_encoding="bins", bins=2)
    back = encoder.inverse_transform(encoder.transform(X).toarray())
    assert back[:, :2].tolist() == [["x", None], ["x", None], [None, None], [None, None]]
    assert_allclose(back[:, 2].astype(float), [29 / 6] * 3 + [np.nan])


@pytest.mark.parametrize(("a", "n", "i"), [("a", "n", "i"), (0, 1, 2), ("a", np.int64(1), "i")])
def test_parameters_name_columns_or_positions(a, n, i):
    X = pd.DataFrame({"a": [1, 2, 2], "n": [1, 2, 3], "i": [1.5, 2.5, 3.5]})
    encoder = fitted(X, categorical=np.array([a], object), numeric=[n], bins={i: 2, n: 3}, hash={a: 6})
    numbers = ["n", "n:missing", "n:(-inf, 1]", "n:(1, 2]", "n:(2, inf]", "i", "i:missing"]
    expected = [*(f"a#{slot}" for slot in range(6)), "a:missing", *numbers, "i:(-inf, 2.5]", "i:(2.5, inf]"]
    assert names(encoder) == expected
    assert names(fitted(X, categorical=[i]))[-3:] == ["i=1.5", "i=2.5", "i=3.5"]


def test_clones_pickles_and_pipelines():
    X = mixed()
    encoder = fitted(X)
    assert not hasattr(clone(encoder), "fields_")
    expected = encoder.transform(X).toarray()
    for other in (pickle.loads(pickle.dumps(encoder)), clone(encoder).fit(X), copy.deepcopy(encoder)):
        assert_array_equal(other.transform(X).toarray(), expected)
    columns = ColumnTransformer(
        [("one", clone(encoder), ["text", "int"]), ("two", clone(encoder), ["float", "date", "list"])],
        sparse_threshold=1,
    )
    pipeline = make_pipeline(columns, MaxAbsScaler()).fit(X)
    scaled = pipeline.transform(X)
    assert_allclose(scaled.toarray(), MaxAbsScaler().fit_transform(expected))
    assert pipeline.get_feature_names_out()[0] == "one__text:other"


@parametrize_with_checks([FieldEncoder()], expected_failed_checks=lambda encoder: {})
def test_sklearn_check(estimator, check):
    check(estimator)
