"""What sample weights mean to the encoder: rows, or their importance."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfm import FieldEncoder
from skfm.data.readings import ReadingWarning


def table(n=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "name": rng.choice(list("abcdefgh"), n, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.03, 0.01, 0.01]),
            "whole": rng.integers(0, 80, n),
            "number": rng.normal(size=n),
            "list": [list(rng.choice(list("uvwxyz"), 2)) for _ in range(n)],
        }
    )


def same(one, other, X):
    return one.get_feature_names_out().tolist() == other.get_feature_names_out().tolist() and np.array_equal(
        one.transform(X).toarray(), other.transform(X).toarray()
    )


@pytest.mark.parametrize("min_frequency", [3, 7, 0.07])
@pytest.mark.parametrize("weight", [1 / 200, 1e-300, 0.3, 0.999])
def test_equal_weights_below_one_are_no_weights(weight, min_frequency):
    X = table()
    known = FieldEncoder(min_frequency=min_frequency).fit(X)
    weighted = FieldEncoder(min_frequency=min_frequency).fit(X, sample_weight=np.full(200, weight))
    assert same(known, weighted, X)


@pytest.mark.parametrize("min_frequency", [3, 7, 0.07])
def test_whole_weights_are_rows_repeated(min_frequency):
    X = table()
    weight = np.random.default_rng(1).integers(0, 4, 200)
    repeated = X.loc[X.index.repeat(weight)]
    known = FieldEncoder(min_frequency=min_frequency).fit(repeated)
    assert weight.mean() > 1
    assert same(known, FieldEncoder(min_frequency=min_frequency).fit(X, sample_weight=weight), X)


def test_weights_that_sum_to_one_have_the_slots_of_those_of_mean_one():
    X = table()
    weight = np.random.default_rng(1).exponential(size=200)
    weight /= weight.mean()
    known = FieldEncoder().fit(X, sample_weight=weight)
    assert same(known, FieldEncoder().fit(X, sample_weight=weight / 200), X)
    assert "name=c" in known.get_feature_names_out()


def test_rows_of_weight_zero_count_as_no_rows():
    X = table()
    weight = np.repeat([1.0, 0.0], 100)
    known = FieldEncoder().fit(X[:100])
    assert same(known, FieldEncoder().fit(X, sample_weight=weight), X)


# Values of a row of weight 0 that no other row could stand beside.
STRANGE = {
    "lists among missing values": ([None] * 40, ["a", "b"]),
    "a list among text": (list("abcd") * 10, ["a", "b"]),
    "text among numbers": ([1.5, 2.5, 4.0, 8.0] * 10, "n/a"),
    "a number among text": (list("abcd") * 10, 7),
    "a date among durations": ([pd.Timedelta(1, "s"), pd.Timedelta(2, "s")] * 20, pd.Timestamp(0)),
    "an object": (list("abcd") * 10, object()),
    "text among lists": ([["a"], ["b", "c"]] * 20, "d"),
}


TABLES = {
    "array": lambda values: values,
    "pandas": lambda values: pd.DataFrame(values, columns=["a"]),
    "polars": lambda values: pl.DataFrame({"a": pl.Series(values[:, 0].tolist(), dtype=pl.Object)}),
}


@pytest.mark.parametrize("table_of", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("name", STRANGE)
def test_a_row_of_weight_zero_may_hold_what_no_other_may(name, table_of):
    usual, strange = STRANGE[name]
    values = np.empty((41, 1), dtype=object)
    values[:, 0] = [*usual[:20], strange, *usual[20:]]
    weight = np.ones(41)
    weight[20] = 0
    X, kept = table_of(values), table_of(values[weight > 0])
    assert same(FieldEncoder().fit(kept), FieldEncoder().fit(X, sample_weight=weight), kept)
    parts = FieldEncoder().partial_fit(X, sample_weight=weight)
    assert same(FieldEncoder().partial_fit(kept), parts, kept)


def test_types_of_arrow_whose_values_it_cannot_pick():
    pa = pytest.importorskip("pyarrow")
    texts = pa.array(list("abcd") * 10, pa.string_view())
    weight = np.r_[0.0, 0.0, np.ones(20), 0.0, np.ones(16), 0.0]
    rows = np.flatnonzero(weight)
    kept = pa.table({"a": np.array(list("abcd") * 10)[rows]})
    for X in (pa.table({"a": texts}), pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(texts)})):
        assert same(FieldEncoder().fit(kept), FieldEncoder().fit(X, sample_weight=weight), kept)


def test_rows_are_numbered_as_they_were_given():
    X = pd.DataFrame({"a": ["n/a", *[1.5, 2.5] * 20, "n/a"]})
    weight = np.r_[0.0, np.ones(41)]
    with pytest.raises(ValueError, match=r"mixes text \(row 1: 'n/a'\) and numbers \(row 2: 1.5\)"):
        FieldEncoder().fit(X.iloc[[41, *range(41)]], sample_weight=weight)
    with pytest.raises(ValueError, match=r"holds text at row 41 \('n/a'\)"):
        FieldEncoder().fit(X, sample_weight=weight)
    texts = pd.DataFrame({"a": ["7", *map(str, range(40)), "n/a"]})
    with pytest.warns(ReadingWarning, match=r"holds 'n/a' at row 41, which is no number"):
        FieldEncoder().fit(texts, sample_weight=weight)


def test_parts_count_as_the_whole():
    X, weight = table(), np.full(200, 1 / 200)
    known = FieldEncoder(categorical=["whole"], min_frequency=3).fit(X[["name", "whole"]])
    chunks = FieldEncoder(categorical=["whole"])
    for rows in (slice(0, 20), slice(20, 200)):
        chunks.partial_fit(X[["name", "whole"]][rows], sample_weight=weight[rows])
    assert set(chunks.get_feature_names_out()) == set(known.get_feature_names_out())
