"""FieldEncoder's hashes, weights and parts of a table, and its output."""

import contextlib
import copy
import datetime as dt
import io
import itertools
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils import murmurhash3_32
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfm import FieldEncoder
from skfm.data.encode import Learning
from tests.data.encoders import array, fitted, frame, mixed, names, pa, pl, rows

pd = pytest.importorskip("pandas")

few = settings(max_examples=60, deadline=None)

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
    assert_array_equal(np.bincount(fitted(X, hash=4).fields_), [5, 1, 4, 5])


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


@pytest.mark.parametrize("encoding", ["both", "value", "bins"])
@pytest.mark.parametrize("later", [np.linspace(0, 5, 300), np.r_[0.5, np.full(299, np.nan)]])
def test_whole_numbers_that_turn_into_others_in_a_later_chunk_are_numbers(later, encoding):
    first = np.random.default_rng(0).integers(0, 5, 300)
    parts = [pd.DataFrame({"a": first}), pd.DataFrame({"a": later}), pd.DataFrame({"a": first})]
    encoder = FieldEncoder(numeric_encoding=encoding)
    known = clone(encoder).fit(pd.concat(parts))
    found = encoder.learn_chunks([(part, None, None) for part in parts], Learning(first=True, go_on=False))
    assert found.get_feature_names_out().tolist() == known.get_feature_names_out().tolist()
    pd.testing.assert_frame_equal(found.describe().drop(columns="why"), known.describe().drop(columns="why"))
    for part in parts:
        np.testing.assert_array_equal(found.transform(part).toarray(), known.transform(part).toarray())


@pytest.mark.parametrize("change", [{"hash": 4}, {"numeric": ["a"]}, {"min_frequency": 2}, {"text": ["b"]}])
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_parameters_stay_in_parts(first, change):
    X = pd.DataFrame({"a": [1, 2, 3] * 4, "b": list("xyz") * 4})
    encoder = getattr(FieldEncoder(), first)(X)
    names = encoder.get_feature_names_out().tolist()
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"\({name} .* -> {re.escape(repr(value))}\). Set them back"):
        encoder.set_params(**change).partial_fit(X)
    known = FieldEncoder.from_state(encoder.set_params(**{name: getattr(FieldEncoder(), name)}).get_state())
    for mended in (encoder, known):
        assert mended.set_params(dtype=np.float64).partial_fit(X).get_feature_names_out().tolist() == names
    for index in (pd.Index(["a"]), pd.Series(["a"], index=[7])):
        encoder.fit(X).set_params(numeric=index)
        with pytest.raises(ValueError, match=r"\(numeric \(\) -> .*\). Set them back"):
            encoder.partial_fit(X)
        encoder.set_params(numeric=())
    with pytest.raises(InvalidParameterError, match="'bins' parameter"):
        encoder.set_params(bins=-1).partial_fit(X)


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
    first = pd.DataFrame({"a": ["x", "x", "y"] * 7, "n": [1.5, 2.5, 4.5] * 7, "i": [1, 1, 8] * 7})
    encoder = FieldEncoder(min_frequency=14, bins=1).partial_fit(first)
    known, fields, before = names(encoder), encoder.fields_, rows(encoder, first)
    more = pd.DataFrame({"a": ["z", "y", "z"] * 7, "n": [1.0, 4.0, 2.5] * 7, "i": [8, 9, 9] * 7})
    encoder.partial_fit(more)
    # Medians stay while they are about right.
    assert names(encoder) == [*known, "a=y", "a=z", "i=8", "i=9"]
    assert_array_equal(encoder.fields_, [*fields, 0, 0, 4, 4])
    after = rows(encoder, first)
    for row in (*before[:2], *after[:2]):
        row.pop("i", None)
    assert after[:2] == before[:2]
    assert set(after[2]) ^ set(before[2]) == {"a:other", "a=y", "i:other", "i=8"}
    assert names(encoder.fit(first)) == known


@pytest.mark.parametrize("n_first", [1, 19])
@pytest.mark.parametrize("first", ["missing", "constant", "few"])
@pytest.mark.parametrize("kind", ["float", "datetime64[ns]"])
def test_a_first_chunk_of_few_numbers_does_not_decide(kind, first, n_first):
    values = np.random.default_rng(0).normal(1000, 5, 500) * (1 if kind == "float" else 86_400e9)
    X = pd.DataFrame({"v": values.astype(kind)})
    few = X[:n_first].copy()
    if first == "missing":
        few["v"] = np.full(n_first, np.nan if kind == "float" else "NaT", dtype=kind)
    elif first == "constant":
        few["v"] = X["v"].iloc[0]
    encoder = FieldEncoder(numeric=["v"] if kind == "float" else [], bins=4).partial_fit(few)
    state = pickle.loads(pickle.dumps(FieldEncoder.from_state(encoder.get_state())))
    for one in (encoder, state):
        one.partial_fit(X)
    whole = X if first == "missing" else pd.concat([few, X])
    expected = FieldEncoder(numeric=["v"] if kind == "float" else [], bins=4).fit(whole)
    assert names(encoder)[:2] == names(expected)[:2]
    assert set(names(encoder)) >= set(names(expected))
    by_name = [
        pd.DataFrame(one.transform(X).toarray(), columns=names(one)) for one in (encoder, state, expected)
    ]
    for found in by_name[:2]:
        assert_array_equal(found[names(expected)], by_name[2])


@pytest.mark.parametrize("make", ["fit", "partial_fit"])
def test_a_copy_learns_alone(make):
    X = pd.DataFrame({"a": ["x", "y"], "l": [["u"], ["v"]], "i": [1, 2], "d": pd.to_datetime([1, 2])})
    encoder = getattr(FieldEncoder(min_frequency=2), make)(X)
    state = pickle.dumps(encoder)
    copied = copy.copy(encoder).partial_fit(X).partial_fit(X)
    assert {"a=x", "l=v", "i=2"} <= set(names(copied))
    assert pickle.dumps(encoder) == state


# -- output ------------------------------------------------------------------------------------------


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
    parts = [["text"], ["int", "int"], ["float", "float"], ["date"] * 5, ["list"]]
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("encoding", ["both", "value", "bins"])
def test_inverse_transform_of_whole_numbers(dtype, encoding):
    values = [*[7] * 5, *[2**53 + 1] * 5, *range(-40, 60), None]
    X = frame("Int64")([*values, 65, 10**15])
    encoder = fitted(X, [*[1] * len(values), 0, 0], dtype=dtype, min_frequency=5, numeric_encoding=encoding)
    back = encoder.inverse_transform(encoder.transform(X)).ravel().tolist()
    assert all(type(value) in (int, type(None)) for value in back)
    frequent = (7, 2**53 + 1)
    # Without a value only frequent numbers are known. The outlier is beyond any precision.
    expected = [v if encoding != "bins" or v in frequent else None for v in [*values, 65]]
    assert back == [*expected, None]


@pytest.mark.parametrize("signed", [False, True])
def test_hashes_of_a_column_in_parts_are_those_of_the_whole(monkeypatch, signed):
    words, numbers = ["x", "y z", None, "x y y", "z"] * 20, [3, 1, 2**40, 1, 5] * 20
    lists = [["u", None], [], ["v"]] * 33 + [[]]
    X = pd.DataFrame({"word": words, "number": numbers, "text": words[::-1], "list": lists})
    X["category"] = X["word"].astype("category")
    crosses = [("word", "number"), ("category", "number")]
    encoder = fitted(
        X, hash=50, text=["text"], categorical=["number"], crosses=crosses, cross_slots=70, signed_hash=signed
    )
    expected = encoder.transform(X)
    monkeypatch.setattr("skfm.data.frames._PART", 7)
    for table in (X, pl.from_pandas(X), pa.Table.from_pandas(X)):
        assert (encoder.transform(table) != expected).nnz == 0


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (["x"] * 9 + [7], r"mixes text \(row 7: 'x'\) and numbers \(row 9: 7\)"),
        (["x"] * 7 + [7] * 7, r"mixes text \(row 0: 'x'\) and numbers \(row 7: 7\)"),
        ([["x"]] * 9 + [{"y": 1}], "at row 9"),
        ([2**53 + 1] * 9 + [2.0**53], "at row 9 as a floating-point number"),
    ],
)
def test_errors_of_a_part_name_the_row_of_the_whole(monkeypatch, values, error):
    monkeypatch.setattr("skfm.data.frames._PART", 7)
    params = {"categorical": [0]} if isinstance(values[0], int) else {}
    with pytest.raises((TypeError, ValueError), match=error):
        fitted(array(values), hash=50, **params)


@pytest.mark.parametrize("dtype", [object, np.int64, np.float64])
def test_hashing_makes_few_objects_at_a_time(monkeypatch, dtype):
    monkeypatch.setattr("skfm.data.frames._PART", 1 << 12)
    X = pd.DataFrame({"a": np.arange(50_000).astype(dtype)})
    encoder = fitted(X[:100], categorical=["a"], hash=64)
    tracemalloc.start()
    try:
        encoder.transform(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Text, hash and number of each row at once would be more than a hundred bytes.
    assert peak < 60 * len(X)


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
    numbers = ["n", "n:missing", "n:(-inf, 1.5]", "n:(1.5, 2.5]", "n:(2.5, inf]", "i", "i:missing"]
    expected = [*(f"a#{slot}" for slot in range(6)), "a:missing", *numbers, "i:(-inf, 3]", "i:(3, inf]"]
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


@pytest.mark.parametrize("kind", ["float", "datetime64[ns]"])
@pytest.mark.parametrize("how", ["both", "value", "bins"])
@pytest.mark.parametrize(("factor", "shift"), [(1e3, 0), (1e-3, 0), (1, -300), (1e-2, 0), (1, 300)])
def test_first_numbers_that_are_quite_others_are_outvoted(kind, how, factor, shift):
    unit = 1 if kind == "float" else 86_400e9
    values = np.random.default_rng(0).normal(20, 5, 500)
    X = pd.DataFrame({"v": (values * unit).astype(kind)})
    first = pd.DataFrame({"v": ((values[:50] * factor + shift) * unit).astype(kind)})
    encoder = FieldEncoder(numeric_encoding=how, bins=8).partial_fit(first)
    known = len(names(encoder))
    encoder.partial_fit(X[:40])
    assert len(names(encoder)) == known
    for chunk in np.array_split(np.arange(40, 500), 5):
        state = encoder.get_state()
        encoder.partial_fit(X.iloc[chunk])
        again = FieldEncoder.from_state(state).partial_fit(X.iloc[chunk])
        assert names(again) == names(encoder)
        assert_array_equal(again.transform(X).toarray(), encoder.transform(X).toarray())
    found = encoder.transform(X)
    later = clone(encoder).fit(X.iloc[40:132]).transform(X)
    if how != "bins":
        number = names(encoder).index("v")
        assert_allclose(found[:, [number]].toarray(), later[:, [number]].toarray(), atol=0.3)
    if how != "value":
        bins = [number for number, name in enumerate(names(encoder)) if "(" in name]
        assert np.count_nonzero(found[:, bins].sum(axis=0)) >= 6
    # In the end what agrees changes nothing more.
    found = encoder.partial_fit(X).partial_fit(X).transform(X)
    for _ in range(4):
        assert_array_equal(encoder.partial_fit(X).transform(X).toarray(), found.toarray())


def encoder_of(*chunks, bins=4, **parameters):
    """An encoder of a column of numbers that come in chunks."""
    encoder = FieldEncoder(numeric=["v"], bins=bins, **parameters)
    for chunk in chunks:
        encoder.partial_fit(pd.DataFrame({"v": chunk}))
    return encoder


def test_rows_that_agree_have_to_be_outvoted_too():
    values = np.random.default_rng(0).normal(size=5000)

    def center(encoder):
        return encoder.inverse_transform(sparse.csr_array((1, len(names(encoder)))))[0, 0]

    known = encoder_of(values[:50])
    agreeing = encoder_of(values[:50], values[50:110])
    assert names(agreeing) == names(known)
    others = values[:90] * 100 + 5000
    assert abs(center(encoder_of(values[:50], others)) - 5000) < 100
    assert abs(center(encoder_of(values[:50], values[50:110], others))) < 1
    many = np.tile(values, 2)
    assert abs(center(encoder_of(many, np.tile(others, 100)))) < 1
    assert abs(center(encoder_of(many, np.tile(others, 112))) - 5000) < 100


@pytest.mark.parametrize("size", [50, 100, 300, 400, 600, 1200])
@pytest.mark.parametrize("kind", [float, int])
def test_bins_hold_numbers_of_all_chunks(size, kind):
    """The first half of the rows are quite other numbers than the second."""
    rng = np.random.default_rng(0)
    values = np.append(rng.normal(1000, 200, 600), rng.normal(1e6, 2e5, 600)).astype(kind)
    encoder = FieldEncoder(min_frequency=12)
    for part in np.split(values, range(size, 1200, size)):
        encoder.partial_fit(pd.DataFrame({"v": part}))
    bins = [number for number, name in enumerate(names(encoder)) if "(" in name]
    found = encoder.transform(pd.DataFrame({"v": values}))[:, bins].toarray()
    assert np.count_nonzero(found[:600].any(axis=0)) >= 8
    assert np.count_nonzero(found[600:].any(axis=0)) >= 8
    assert found.sum(axis=0).max() < 1200 / 8


def test_bins_that_are_cut_anew_keep_their_columns():
    """And with them what was learned of them."""
    values = np.random.default_rng(0).normal(size=800)
    known = encoder_of(values[:400], bins=8)
    other = encoder_of(values[:400], values[400:] + 100, bins=8)
    assert len(names(other)) == len(names(known))
    one, two = (one.transform(pd.DataFrame({"v": values[:400]})).toarray()[:, 2:] for one in (known, other))
    # Half as many bins are there for these rows, each in the place of one of two.
    assert 0.4 < (one.argmax(axis=1) == two.argmax(axis=1)).mean() < 0.7
    number = other.inverse_transform(other.transform(pd.DataFrame({"v": values + 50})))
    assert_allclose(number[:, 0].astype(float), values + 50, atol=1e-3)


def test_few_first_rows_do_not_decide_how_many_bins_there_are():
    values = np.random.default_rng(0).normal(size=2000)
    for first in (1, 20, 70):
        assert len(names(encoder_of(*np.split(values, [first, 200]), bins=32))) >= 2 + 22


def test_later_numbers_that_are_quite_others_change_little():
    values = np.random.default_rng(0).normal(size=1600)
    X = pd.DataFrame({"v": values})
    parts = np.array_split(values, 16)
    clean = encoder_of(*parts, numeric_encoding="value")
    found = encoder_of(*parts[:5], 1e3 * parts[5], *parts[6:], numeric_encoding="value")
    assert_allclose(found.transform(X).toarray(), clean.transform(X).toarray(), atol=0.5)


def test_what_is_kept_of_a_stream_is_bounded(monkeypatch):
    monkeypatch.setattr("skfm.data.numeric._KEPT", 256)
    rng = np.random.default_rng(0)
    encoder = encoder_of(*(rng.normal(size=400) for _ in range(30)), bins=16)
    assert len(pickle.dumps(encoder)) < 25_000
    held = encoder.transform(pd.DataFrame({"v": rng.normal(size=4000)}))[:, 2:].sum(axis=0)
    assert held.max() < 1.6 * 4000 / 16


def test_bins_stay_columns_where_outvoting_numbers_are_few():
    values = np.random.default_rng(0).normal(size=100)
    encoder = FieldEncoder(numeric=["v"], bins=8).partial_fit(pd.DataFrame({"v": values}))
    known, fields = names(encoder), encoder.fields_
    encoder.partial_fit(pd.DataFrame({"v": [1e6, 2e6] * 100}))
    assert len(names(encoder)) == len(set(names(encoder))) == len(known)
    assert_array_equal(encoder.fields_, fields)
    found = encoder.transform(pd.DataFrame({"v": [1e6, 2e6]})).toarray()
    assert (found[0] != found[1]).sum() >= 3


def test_enough_numbers_are_counted_by_weight():
    few = pd.DataFrame({"v": np.random.default_rng(0).normal(size=12)})
    weighted = FieldEncoder(numeric=["v"], bins=4).partial_fit(few, sample_weight=np.full(12, 2.0))
    repeated = FieldEncoder(numeric=["v"], bins=4).partial_fit(pd.concat([few, few]))
    assert len(names(weighted)) > 2
    assert names(weighted) == names(repeated)
    assert_array_equal(weighted.transform(few).toarray(), repeated.transform(few).toarray())
