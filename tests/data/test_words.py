"""Columns of text as fields of words."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from skfm import FieldEncoder

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

TEXTS = ["a cat and a cat sat", "The dog sat; a cat ran", "dog dog dog", "no cat", "the dog"]


def table(texts):
    return pd.DataFrame({"t": texts})


def fitted(texts, weight=None, **params):
    params = {"min_frequency": 1, "text": ["t"], "dtype": np.float64} | params
    return FieldEncoder(**params).fit(table(texts), sample_weight=weight)


def encoded(encoder, texts):
    """Values by the name of their column, of each row."""
    names = encoder.get_feature_names_out()
    return [
        {names[j]: row[j] for j in np.flatnonzero(row)} for row in encoder.transform(table(texts)).toarray()
    ]


@pytest.mark.parametrize(
    "options", [{}, {"ngram_range": (1, 2)}, {"analyzer": "char", "ngram_range": (2, 3)}]
)
def test_values_are_scikit_learns_of_length_scale(options):
    encoder = fitted(TEXTS, text={"t": options})
    naive = TfidfVectorizer(use_idf=False, sublinear_tf=True, **options)
    expected = naive.fit_transform(TEXTS).toarray()
    scale = np.sqrt((expected > 0).sum(axis=1).mean())
    found = encoder.transform(table(TEXTS)).toarray()
    assert_array_equal(
        encoder.get_feature_names_out()[2:], [f"t={word}" for word in naive.get_feature_names_out()]
    )
    assert_allclose(found[:, 2:], scale * expected)
    assert_array_equal(found[:, :2], 0)


def test_rare_and_new_words_are_one():
    encoder = fitted(TEXTS, min_frequency=3)
    assert_array_equal(encoder.get_feature_names_out(), ["t:other", "t:missing", "t=cat", "t=dog"])
    (row,) = encoded(encoder, ["cat cat new1 new2 new3"])
    ratio = (1 + np.log(3)) / (1 + np.log(2))
    assert_allclose(row["t:other"] / row["t=cat"], ratio)
    lengths = [len(set(CountVectorizer().build_analyzer()(text))) for text in TEXTS]
    assert_allclose(np.hypot(*row.values()), np.sqrt(np.mean(lengths)))


def test_a_word_needs_rows_not_places():
    assert "t=dog" not in fitted(["dog dog dog", "cat", "cat"], min_frequency=2).get_feature_names_out()
    # A share is one of the rows.
    names = fitted(["a1 b1 c1 d1", "a1 e1 f1 g1", "h1", "i1"], min_frequency=0.5).get_feature_names_out()
    assert_array_equal(names[2:], ["t=a1"])


def test_most_words():
    assert fitted(TEXTS, max_categories=2).get_feature_names_out()[2:].tolist() == ["t=cat", "t=dog"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_empty_and_unknown_texts(missing):
    encoder = fitted([*TEXTS, None, ""])
    rows = encoded(encoder, ["", missing, "?"])
    assert rows == [{}, {"t:missing": 1}, {}]


def test_a_column_of_missing_values():
    encoder = fitted([None, None])
    assert encoded(encoder, ["word", None]) == [{"t:other": 1}, {"t:missing": 1}]


@pytest.mark.parametrize(
    "make",
    [
        lambda texts: pd.DataFrame({"t": pd.Series(texts, dtype=object)}),
        lambda texts: pd.DataFrame({"t": pd.Series(texts, dtype="category")}),
        lambda texts: pd.DataFrame({"t": pd.Series(texts, dtype="str")}),
        lambda texts: pl.DataFrame({"t": texts}),
        lambda texts: pa.table({"t": texts}),
    ],
    ids=["object", "category", "str", "polars", "pyarrow"],
)
def test_tables_of_every_library(make):
    texts = [*TEXTS, None] * 4
    expected = fitted(texts).transform(table(texts)).toarray()
    encoder = FieldEncoder(min_frequency=1, text=["t"], dtype=np.float64).fit(make(texts))
    assert_allclose(encoder.transform(make(texts)).toarray(), expected)


def test_arrays_of_objects():
    X = np.array([[text] for text in TEXTS], dtype=object)
    found = FieldEncoder(min_frequency=1, text=[0], dtype=np.float64).fit_transform(X)
    assert_allclose(found.toarray(), fitted(TEXTS).transform(table(TEXTS)).toarray())


def test_a_weight_is_the_row_as_often():
    weight = np.array([2, 0, 1, 3, 1])
    repeated = [text for text, often in zip(TEXTS, weight, strict=True) for _ in range(often)]
    a, b = fitted(TEXTS, weight, min_frequency=2), fitted(repeated, min_frequency=2)
    assert_array_equal(a.get_feature_names_out(), b.get_feature_names_out())
    assert_allclose(a.transform(table(TEXTS)).toarray(), b.transform(table(TEXTS)).toarray())
    pd.testing.assert_frame_equal(a.describe(), b.describe())


def test_partial_fit_keeps_columns_and_values():
    encoder = FieldEncoder(min_frequency=2, text=["t"]).partial_fit(table(TEXTS))
    names, before = encoder.get_feature_names_out(), encoder.transform(table(TEXTS)).toarray()
    first = encoder._table
    encoder.partial_fit(table(["new word", "a word", "ran"]))
    assert_array_equal(encoder.get_feature_names_out()[: names.size], names)
    assert encoder.get_feature_names_out()[names.size :].tolist() == ["t=ran", "t=word"]
    kept = [0, 2, 3, 4]  # the second text has a word that has got a slot
    assert_allclose(encoder.transform(table(TEXTS)).toarray()[kept, : names.size], before[kept])
    recoding = encoder._table.recoding(first)
    assert_array_equal(recoding.origin, [*range(names.size), -1, -1])


def test_hashed_words():
    encoder = fitted(TEXTS, hash={"t": 64})
    assert_array_equal(encoder.get_feature_names_out()[[0, 64]], ["t#0", "t:missing"])
    words = FieldEncoder(hash=64, categorical=["t"]).fit(table(["x"]))
    for word in ("cat", "dog"):
        (column,) = words.transform(table([word])).indices
        assert encoder.transform(table([word])).indices.tolist() == [column]
    signed = fitted(TEXTS, hash=8, signed_hash=True).transform(table([*TEXTS, None]))
    assert np.isfinite(signed.data).all()
    assert (signed.data < 0).any()


def test_state_pickle_and_clone():
    encoder = fitted([*TEXTS, None], text={"t": {"ngram_range": (1, 2), "stop_words": ["a", "the"]}})
    expected = encoder.transform(table(TEXTS)).toarray()
    for other in (
        FieldEncoder.from_state(encoder.get_state()),
        pickle.loads(pickle.dumps(encoder)),
        clone(encoder).fit(table([*TEXTS, None])),
    ):
        assert_array_equal(other.transform(table(TEXTS)).toarray(), expected)
        assert_array_equal(other.get_feature_names_out(), encoder.get_feature_names_out())
        assert other.text == encoder.text


def test_inverse_transform_gives_the_words_that_have_a_slot():
    encoder = fitted([*TEXTS, None], min_frequency=2)
    found = encoder.inverse_transform(encoder.transform(table(["sat, the cat new", None, "", "new"])))
    assert found[:, 0].tolist() == ["cat sat the", None, "", ""]
    hashed = fitted(TEXTS, hash=8)
    assert hashed.inverse_transform(hashed.transform(table(["cat"])))[0, 0] is None


def test_describe_of_words():
    (row,) = fitted(TEXTS, min_frequency=3).describe().to_dict("records")
    cut = CountVectorizer(binary=True).fit_transform(TEXTS).toarray()
    frequent = cut.sum(axis=0) >= 3
    assert row["values"] == frequent.sum()
    assert_allclose(row["rare"], cut[:, ~frequent].sum() / cut.sum())


def test_texts_of_a_chunk_are_those_of_any_other():
    encoder = fitted(TEXTS * 20)
    whole = encoder.transform(table(TEXTS * 20)).toarray()
    assert_array_equal(encoder.transform(table(TEXTS[:2])).toarray(), whole[:2])


# -- errors ------------------------------------------------------------------------------------------


def error_of(call):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    return str(caught.value)


def test_options_that_say_nothing_of_words_are_refused():
    message = error_of(lambda: fitted(TEXTS, text={"t": {"min_df": 2}}))
    assert "'t'" in message
    assert "min_frequency" in message
    assert "ngram_range" in error_of(lambda: fitted(TEXTS, text={"t": {"ngram_range": 3}}))
    assert "expected a dict" in error_of(lambda: fitted(TEXTS, text={"t": "word"}))


def test_columns_named_twice_and_not_at_all():
    assert "in text and in shared" in error_of(
        lambda: FieldEncoder(text=["a"], shared={"s": ["a", "b"]}).fit(pd.DataFrame({"a": ["x"], "b": ["x"]}))
    )
    assert "categorical and in text" in error_of(lambda: fitted(TEXTS, categorical=["t"]))
    assert "text= names 'u'" in error_of(lambda: fitted(TEXTS, text=["u"]))


def test_columns_that_hold_no_text():
    assert "numbers (row 1: 5.0), where text is expected" in error_of(lambda: fitted([None, 5]))
    assert "where text is expected" in error_of(lambda: fitted(TEXTS).transform(pd.DataFrame({"t": [3]})))


@pytest.mark.parametrize(
    ("values", "as_text"),
    [([None, 5], "str(value)"), ([b"\xff quick", b"brown fox"] * 20, "value.decode('latin-1')")],
)
def test_values_are_made_text_as_is_said(values, as_text):
    assert f"Make text of each value, with {as_text}, or" in error_of(lambda: fitted(values))
    fitted([eval(as_text, {"value": value}) for value in values])
