"""Columns of a table that share a vocabulary, and a table of weights."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skfm import FieldEncoder

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

SHARED = {"shared": {"item": ["item", "last"]}, "min_frequency": 1}
COLUMNS = {"item": ["a", "b", None, "a"], "price": [1.5, 2.5, 3.5, 4.5], "last": ["c", None, "a", "b"]}
VISITS = pd.DataFrame(COLUMNS)


def names(encoder):
    return encoder.get_feature_names_out()


def owners(encoder):
    """Name of the column whose weights each column uses."""
    return dict(zip(names(encoder), names(encoder)[encoder.table_rows_], strict=True))


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_columns_have_the_values_of_all_and_fields_of_their_own(library):
    table = library(COLUMNS)
    encoder = FieldEncoder(**SHARED).fit(table)
    slots = ["other", "missing", "a", "b", "c"]
    for column, field in (("item", 0), ("last", 3)):
        own = [f"{column}:{slot}" if len(slot) > 1 else f"{column}={slot}" for slot in slots]
        assert names(encoder)[encoder.fields_ == field].tolist() == own
        said = owners(encoder)
        assert [said[name] for name in own] == [name.replace("last", "item") for name in own]
    assert {own for name, own in owners(encoder).items() if name.startswith("price")} == {
        name for name in names(encoder) if name.startswith("price")
    }
    back = encoder.inverse_transform(encoder.transform(table))
    assert back[:, [0, 2]].T.tolist() == [COLUMNS["item"], COLUMNS["last"]]


def test_nothing_is_shared_by_default():
    assert FieldEncoder().fit(VISITS).table_rows_ is None
    assert FieldEncoder(shared={}).fit(VISITS).table_rows_ is None


def test_the_first_column_named_owns_the_table():
    encoder = FieldEncoder(shared={"x": ["last", "item"]}, min_frequency=1).fit(VISITS)
    assert owners(encoder)["item=a"] == owners(encoder)["last=a"] == "last=a"


@pytest.mark.parametrize(("least", "own"), [(3, ["a"]), (2, ["a", "b"]), (0.3, ["a"])])
def test_values_are_counted_over_all_columns(least, own):
    encoder = FieldEncoder(**SHARED | {"min_frequency": least}).fit(VISITS)
    assert [name for name in names(encoder) if name.startswith("last=")] == [f"last={v}" for v in own]


def test_the_most_categories_are_those_of_the_table():
    encoder = FieldEncoder(**SHARED, max_categories=1).fit(VISITS)
    assert [name for name in names(encoder) if "=" in name] == ["item=a", "last=a"]


def test_lists_share_with_single_values():
    table = pd.DataFrame({"seen": [[3, 4], [], [7], None], "item": [7, 3, 3, 4]})
    encoder = FieldEncoder(shared={"item": ["item", "seen"]}, min_frequency=1).fit(table)
    # Whole numbers that share a table are names.
    assert [name for name in names(encoder) if name.startswith("item")] == [
        "item:other",
        "item:missing",
        "item=3",
        "item=4",
        "item=7",
    ]
    assert encoder.fields_.max() == 1
    assert owners(encoder)["seen=4"] == "item=4"
    joined = pd.DataFrame({"seen": ["3|4", "", "7", None], "item": ["7", "3", "3", "4"]})
    cut = FieldEncoder(shared={"item": ["item", "seen"]}, multi_hot={"seen": "|"}, min_frequency=1)
    assert_array_equal(names(cut.fit(joined)), names(encoder))
    assert_array_equal(cut.transform(joined).toarray(), encoder.transform(table).toarray())


def test_a_missing_number_does_not_make_other_values():
    table = pd.DataFrame({"item": [1, 2, 3], "last": [np.nan, 1, 2]})
    encoder = FieldEncoder(**SHARED).fit(table)
    assert names(encoder)[:5].tolist() == ["item:other", "item:missing", "item=1", "item=2", "item=3"]
    assert names(encoder)[5:].tolist() == ["last:other", "last:missing", "last=1", "last=2", "last=3"]


@pytest.mark.parametrize("hash", [8, {"item": 8, "last": 8}])
def test_hashes_are_shared(hash):
    encoder = FieldEncoder(**SHARED, hash=hash).fit(VISITS)
    assert owners(encoder)["last#5"] == "item#5"
    row = encoder.transform(pd.DataFrame({"item": ["new"], "price": [0.0], "last": ["new"]}))
    rows = encoder.table_rows_[row.indices[[0, -1]]]
    assert rows[0] == rows[1]


def test_two_tables():
    table = VISITS.assign(shop=["x", "y", "x", "y"], home=["y", "x", "x", "z"])
    both = {"item": ["item", "last"], "shop": ["shop", "home"]}
    encoder = FieldEncoder(shared=both, min_frequency=1).fit(table)
    assert owners(encoder)["last=a"] == "item=a"
    assert owners(encoder)["home=z"] == "shop=z"


def test_vocabularies_grow_together():
    encoder = FieldEncoder(**SHARED).partial_fit(VISITS)
    known, rows = names(encoder), encoder.table_rows_
    more = pd.DataFrame({"item": ["a", "new"], "price": [1.0, 2.0], "last": ["a", "b"]})
    before = pickle.dumps(encoder)
    for one in (copy.copy(encoder), copy.deepcopy(encoder), pickle.loads(before)):
        one.partial_fit(more)
        assert_array_equal(names(one)[: known.size], known)
        assert_array_equal(one.table_rows_[: known.size], rows)
        assert names(one)[known.size :].tolist() == ["item=new", "last=new"]
        assert owners(one)["last=new"] == "item=new"
    assert_array_equal(names(encoder), known)


def test_rare_values_are_counted_over_calls_and_columns():
    encoder = FieldEncoder(**SHARED | {"min_frequency": 3})
    rare = pd.DataFrame({"item": ["q"], "price": [1.0], "last": ["r"]})
    encoder.partial_fit(rare).partial_fit(rare.rename(columns={"item": "last", "last": "item"})[rare.columns])
    assert not any("=q" in name for name in names(encoder))
    encoder.partial_fit(rare)
    assert {"item=q", "last=q", "item=r", "last=r"} <= set(names(encoder))


def test_clones_share_as_well():
    encoder = clone(FieldEncoder(**SHARED)).fit(VISITS)
    assert owners(encoder)["last=a"] == "item=a"


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"shared": {"t": ["item", "nowhere"]}}, "shared= names 'nowhere', which is no column of X"),
        ({"shared": {"t": ["item"]}}, "expected two columns or more"),
        ({"shared": {"t": "item"}}, "expected two columns or more"),
        ({"shared": {"t": ["item", "item"]}}, "shared= names column 'item' twice"),
        ({"shared": {"t": ["item", "last"], "u": ["last", 1]}}, "shared= names column 'last' twice"),
        ({"shared": {"t": ["price", "last"]}}, r"Column 'last' holds text \(row 0: 'c'\), but the table 't'"),
        (SHARED | {"hash": {"item": 8}}, "'item' and 'last' share the table 'item', but not the hash"),
        (SHARED | {"hash": {"item": 8, "last": 9}}, "share the table 'item', but not the hash"),
        (SHARED | {"numeric": ["last"]}, "Column 'last' is named in numeric and in shared"),
    ],
)
def test_what_cannot_be_shared(params, match):
    with pytest.raises(ValueError, match=match):
        FieldEncoder(**params).fit(VISITS)


def test_another_type_than_in_fit():
    encoder = FieldEncoder(**SHARED).fit(VISITS)
    with pytest.raises(ValueError, match=r"Column 'last' holds numbers \(row 1: 7.0\), but the table 'item'"):
        encoder.transform(VISITS.assign(last=[None, 7, 8, 9]))
