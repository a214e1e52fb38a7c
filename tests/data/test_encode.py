"""FieldEncoder against encodings made one value at a time, and against scikit-learn's OneHotEncoder."""

import datetime as dt
import itertools
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import OneHotEncoder

from skfm import FieldEncoder
from tests.data.encoders import array, arrow, each, fitted, frame, naive_value, names, polars, rows

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

few = settings(max_examples=60, deadline=None)


def naive_own(values, weight, min_frequency, max_categories):
    """Values with a slot of their own, by counting."""
    counts = Counter()
    for value, w in zip(values, weight, strict=True):
        counts[value] += w
    least = min_frequency if isinstance(min_frequency, int) else min_frequency * sum(weight)
    own = [v for v, count in counts.items() if v is not None and count >= least and count > 0]
    return sorted(sorted(own, key=lambda v: (-counts[v], v))[:max_categories])


def intervals(edges):
    ends = ["-inf", *(f"{edge:.6g}" for edge in edges), "inf"]
    return [f"x0:({low}, {high}]" for low, high in itertools.pairwise(ends)]


def quantile_edges(values, n_bins, weight=None):
    """Upper ends of bins, halfway from NumPy's weighted quantiles to the next value.

    An odd total weight has no ties in four bins.
    """
    shares = np.arange(1, n_bins) / n_bins
    last = set(np.quantile(values, shares, method="inverted_cdf", weights=weight)) - {max(values)}
    return [(end + min(value for value in values if value > end)) / 2 for end in sorted(last)]


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
    encoder = fitted(make(values), weight, min_frequency=20, bins=8, numeric_encoding="bins")
    assert names(encoder) == ["x0:other", "x0:missing", *intervals(edges), "x0=-3", "x0=7"]
    seen = [*values, -(10**9), 10**9]
    slots = [
        9 + 1 + own.index(v) if v in own else 1 if v is None else 2 + np.sum(np.less(edges, v)) for v in seen
    ]
    assert_array_equal(encoder.transform(make(seen)).indices, slots)


def test_whole_numbers_without_bins_share_other():
    encoder = fitted(array([1, 1, 2, 3, 4]), min_frequency=2, bins=0, numeric_encoding="bins")
    assert rows(encoder, array([1, 2, None])) == [{"x0=1": 1}, {"x0:other": 1}, {"x0:missing": 1}]


@pytest.mark.parametrize("make", [frame("Int64"), arrow(pa.int64()), polars(pl.Int64), array])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("encoding", ["both", "value"])
def test_whole_numbers_have_a_field_of_the_standardised_value(make, weighted, encoding):
    rng = np.random.default_rng(5)
    values = [*[7] * 40, *[-3] * 30, *rng.integers(-500, 5000, 401).tolist()]
    weight = rng.integers(1, 4, len(values) + 1) if weighted else np.ones(len(values) + 1, int)
    weight[-2] += 1 - weight[:-1].sum() % 2
    X, new = make([*values, None]), make([None, 0, -(10**9), 10**9])
    encoder = fitted(X, weight, min_frequency=20, bins=8, numeric_encoding=encoding)
    slots = fitted(X, weight, min_frequency=20, bins=8 * (encoding == "both"), numeric_encoding="bins")
    assert names(encoder) == ["x0", *names(slots)]
    assert_array_equal(encoder.fields_, [0, *np.ones(len(names(slots)))])
    assert_array_equal(encoder.field_columns_, [0, 0])
    if encoding == "value":
        assert names(encoder) == ["x0", "x0:other", "x0:missing", "x0=-3", "x0=7"]
    for table, known in [(X, [*values, None]), (new, [None, 0, -(10**9), 10**9])]:
        value = [0 if v is None else naive_value(v, values, weight[:-1]) for v in known]
        assert_allclose(encoder.transform(table).toarray()[:, 0], value, rtol=1e-12)
        assert_array_equal(encoder.transform(table).toarray()[:, 1:], slots.transform(table).toarray())
    assert rows(encoder, new)[0] == {"x0:missing": 1}


@few
@given(
    st.lists(st.tuples(st.integers(-20, 20) | st.none(), st.integers(0, 3)), min_size=1, max_size=30),
    st.integers(-(10**6), 10**6),
)
def test_few_whole_numbers_are_standardised_by_the_formula(table, new):
    values, weight = map(list, zip(*table, strict=True))
    repeated = [value for value, w in table for _ in range(w) if value is not None]
    assume(sum(weight) > 0 and len(repeated) > 0)
    encoder = fitted(frame("Int64")(values), weight)
    expected = [0 if value is None else naive_value(value, repeated) for value in [*values, new]]
    assert_allclose(encoder.transform(frame("Int64")([*values, new])).toarray()[:, 0], expected, rtol=1e-12)


def test_numbers_that_become_floats_because_one_is_missing_keep_their_slots():
    ints = pd.DataFrame({"a": np.r_[np.repeat([3, 5], 30), np.arange(100)]})
    encoder = fitted(ints, min_frequency=5, bins=4)
    floats = pd.DataFrame({"a": [*map(float, ints["a"]), np.nan]})
    assert rows(encoder, floats) == [*rows(encoder, ints), {"a:missing": 1}]


# -- numbers -----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("spread", [1, 1e300, 1e-300])
@pytest.mark.parametrize("values", [np.arange(1, 41) / 10, np.random.default_rng(0).normal(size=300)])
def test_numbers_that_are_rounded_stay_in_their_bins(values, spread):
    X = values[:, None] * spread
    encoder = fitted(X, numeric_encoding="bins", bins=8)
    expected = encoder.transform(X).indices
    assert np.unique(expected).size == 8
    for rounded in (X * (1 + 1e-7), X * (1 - 1e-7), *((X.astype(np.float32),) if spread == 1 else ())):
        assert_array_equal(encoder.transform(rounded).indices, expected)


@pytest.mark.parametrize(
    "values", [[1.0, np.nextafter(1.0, 2.0)], [0.0, 5e-324], [-1.7e308, 1.7e308], [-np.inf, -1.0, 1.0]]
)
def test_bins_of_neighbouring_floats(values):
    X = np.array(values)[:, None]
    found = fitted(X, numeric_encoding="bins", bins=2).transform(X).indices
    assert found.tolist() == [1, 2] if len(values) == 2 else [1, 1, 2]


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


def test_the_last_entries_of_a_list_are_kept():
    X = pd.DataFrame({"a": [list("xyy"), ["x"], [], None], "b": ["y,x", "x", "", None]})
    both = {"multi_hot": {"a": None, "b": ","}}
    encoder = fitted(X, max_length=2, **both)
    assert rows(encoder, X)[0] == {"a=y": 2, "b=x": 1, "b=y": 1}
    encoder = fitted(X, max_length={"b": 1}, **both)
    assert rows(encoder, X)[0] == {"a=x": 1, "a=y": 2, "b=x": 1}
    assert "b=y" not in names(encoder)
    with pytest.raises(ValueError, match="max_length= names column 'c', which does not hold lists"):
        fitted(X.assign(c="z"), max_length={"c": 1}, **both)
    with pytest.raises(ValueError, match="max_length= gives column 'b' the value 0"):
        fitted(X, max_length={"b": 0}, **both)


def test_text_is_cut_at_the_separator():
    X = pd.DataFrame({"a": ["x|y|x", "", None, "y"], "b": ["1, 2", "2", "3", None]})
    encoder = fitted(X, multi_hot={"a": "|", 1: ", "})
    a = [{"a=x": 2, "a=y": 1}, {}, {"a:missing": 1}, {"a=y": 1}]
    b = [{"b=1": 1, "b=2": 1}, {"b=2": 1}, {"b=3": 1}, {"b:missing": 1}]
    assert rows(encoder, X) == [left | right for left, right in zip(a, b, strict=True)]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_rows_one_by_one_are_encoded_as_all_together(library):
    """Few values go through Python, many through Arrow."""
    rng = np.random.default_rng(0)
    texts = rng.choice(["a", "b", "c", None], 60)
    columns = {"text": texts, "number": rng.choice([1.5, np.nan], 60), "flag": rng.random(60) < 0.5}
    if library == "pandas":
        frame = pd.DataFrame(columns).assign(category=pd.Categorical(texts))
    else:
        frame = pl.DataFrame(columns | {"text": texts.tolist()})
        frame = frame.with_columns(category=pl.col("text").cast(pl.Categorical))
    encoder = fitted(frame, min_frequency=1)
    one_by_one = [encoder.transform(frame[row : row + 1]).toarray() for row in range(60)]
    np.testing.assert_array_equal(np.vstack(one_by_one), encoder.transform(frame).toarray())


@pytest.mark.parametrize(
    ("n_rows", "weight", "n_values"), [(100_000, 1, 3), (100_001, 1, 1), (50_001, 2, 1), (50_001, 1, 3)]
)
def test_a_category_of_one_row_has_a_slot_unless_rows_are_many(n_rows, weight, n_values):
    """A row of weight 2 is two rows: above 100,000 of them a value needs 3."""
    X = pd.DataFrame({"a": ["often"] * (n_rows - 2) + ["once", "then"]})
    encoder = fitted(X, np.full(n_rows, weight), min_frequency="auto")
    assert encoder.describe()["values"].tolist() == [n_values]


@pytest.mark.parametrize(
    ("values", "given"),
    [
        ([5] * 1998 + [1, 2, 3], {}),
        (["often"] * 97 + ["once", "then", "now"], {"text": ["a"]}),
        (["often"] * 97 + ["once", "then", "now"], {"multi_hot": {"a": "|"}}),
    ],
    ids=["whole numbers", "words", "lists"],
)
def test_other_values_need_three_rows(values, given):
    encoder = fitted(pd.DataFrame({"a": values}), min_frequency="auto", **given)
    assert encoder.describe()["values"].tolist() == [1]


@pytest.mark.parametrize("n_parts", [1, 3, 7])
def test_what_is_rare_does_not_depend_on_the_parts(n_parts):
    X = pd.DataFrame({"a": [f"value {n % 900}" for n in range(2_100)]})
    encoder = FieldEncoder()
    for part in np.array_split(np.arange(2_100), n_parts):
        encoder.partial_fit(X.iloc[part])
    assert encoder.describe()["values"].tolist() == [300]
