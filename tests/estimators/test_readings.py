"""Frames and arrays of numbers alone, some of which are identifiers."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import OneHotEncoder

from skfm import DeepFMClassifier, FFMRegressor, FieldEncoder, FMClassifier, FMRegressor, LinearRegressor
from skfm.data.readings import ReadingWarning
from skfm.fitting.inputs import is_table

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 600


def ratings(seed=0):
    """Users and items whose numbers say nothing of their ratings."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {"user_id": rng.integers(1, 12, N), "item": rng.integers(0, 9, N), "age": rng.normal(40, 9, N)}
    )
    effects = rng.normal(size=12)
    return X, effects[X["user_id"]] + 0.1 * rng.normal(size=N)


def silent(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReadingWarning)
        return function(*args)


def test_a_frame_with_identifiers_is_encoded_and_says_so():
    X, y = ratings()
    with pytest.warns(ReadingWarning) as caught:
        model = FMRegressor(random_state=0, max_iter=5).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    message = str(caught[0].message)
    assert message == (
        "Columns 'user_id', 'item' of X hold whole numbers that are identifiers ('user_id': its name says "
        "'id'), so X is encoded as a table in which they are names. To confirm it, give "
        "encoder=FieldEncoder(categorical=['user_id', 'item']); encoder=None takes all columns as "
        "quantities, FieldEncoder(numeric=[...]) some."
    )
    assert model.encoder_.describe()["reading"].tolist() == ["identifier", "identifier", "number"]


def test_confirming_it_is_silent_and_the_same():
    X, y = ratings()
    found = silent(FMRegressor(random_state=0, max_iter=5).fit, X, y)
    encoder = FieldEncoder(categorical=["user_id", "item"])
    named = FMRegressor(encoder=encoder, random_state=0, max_iter=5).fit(X, y)
    assert_array_equal(found.predict(X), named.predict(X))


def test_overruling_it_is_silent():
    X, y = ratings()
    assert LinearRegressor(encoder=None, max_iter=3).fit(X, y).encoder_ is None
    encoder = FieldEncoder(numeric=["user_id", "item"])
    model = LinearRegressor(encoder=encoder, max_iter=3).fit(X, y)
    assert model.encoder_.describe()["reading"].tolist() == ["number"] * 3


def test_identifiers_are_learned_as_names():
    X, y = ratings()
    model = silent(LinearRegressor(random_state=0).fit, X, y)
    means = pd.Series(y).groupby(X["user_id"]).mean()
    predicted = pd.Series(model.predict(X)).groupby(X["user_id"]).mean()
    np.testing.assert_allclose(predicted, means, atol=0.05)


@pytest.mark.parametrize(
    "convert",
    [
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda X: X.convert_dtypes(),
        lambda X: X.astype({"item": object}),
    ],
)
def test_frames_of_every_library(convert):
    X, y = ratings()
    expected = silent(LinearRegressor(random_state=0, max_iter=5).fit, X, y)
    with pytest.warns(ReadingWarning, match="'user_id', 'item'"):
        model = LinearRegressor(random_state=0, max_iter=5).fit(convert(X), y)
    np.testing.assert_allclose(model.predict(convert(X)), expected.predict(X))


def test_predictions_do_not_ask_for_the_type_again():
    X, y = ratings()
    model = silent(FMRegressor(random_state=0, max_iter=5).fit, X, y)
    expected = model.predict(X)
    assert_array_equal(model.predict(X.astype({"user_id": float, "item": np.int8})), expected)
    one = X[:1].astype({"user_id": float}).assign(user_id=np.nan)
    names = model.encoder_.get_feature_names_out()[model.encoder_.transform(one).indices]
    assert "user_id:missing" in names


def test_identifiers_may_be_missing():
    X, y = ratings()
    X = X.astype({"user_id": float})
    X.loc[::7, "user_id"] = np.nan
    with pytest.warns(ReadingWarning, match="Columns 'user_id', 'item'"):
        model = LinearRegressor(max_iter=5).fit(X, y)
    assert "user_id:missing" in model.encoder_.get_feature_names_out()


def test_rows_without_a_weight_say_nothing():
    X, y = ratings()
    weight = np.repeat([1, 0], N // 2)
    X.loc[N // 2 :, ["user_id", "item"]] = 0  # most rows hold 0, which none with a weight does
    with pytest.warns(ReadingWarning, match="'user_id', 'item'"):
        LinearRegressor(max_iter=3).fit(X, y, sample_weight=weight)


def test_partial_fit_keeps_the_reading_of_the_first_rows():
    X, y = ratings()
    model = FMRegressor(random_state=0)
    silent(model.partial_fit, X[:300], y[:300])
    model.partial_fit(X[300:], y[300:])
    assert model.encoder_.describe()["reading"][0] == "identifier"
    of_numbers = FMRegressor(random_state=0).partial_fit(X[["age"]][:300], y[:300])
    assert of_numbers.encoder_ is None


def test_streams_are_read_by_their_first_chunk():
    X, y = ratings()
    chunks = [(X[:300], y[:300]), (X[300:], y[300:])]
    with pytest.warns(ReadingWarning, match="'user_id', 'item'") as caught:
        model = FMRegressor(random_state=0, max_iter=100).fit(chunks)
    assert len(caught) == 1
    assert model.encoder_ is not None


def test_frames_with_text_say_nothing():
    X, y = ratings()
    X["site"] = np.random.default_rng(0).choice(["a", "b"], N)
    model = FMRegressor(random_state=0, max_iter=100).fit(X, y)
    assert model.encoder_.describe()["reading"].tolist()[:2] == ["identifier"] * 2


def test_copies_and_pickles():
    X, y = ratings()
    model = silent(FMRegressor(random_state=0, max_iter=100).fit, X, y)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert clone(model).encoder == "auto"
    assert "<summary>Readings</summary>" in model._repr_html_()
    assert "Readings" not in FMRegressor()._repr_html_()


# -- matrices of numbers -----------------------------------------------------------------------------


VOCABULARY = ["user", "item", "code", "id", "city", "the", "of", "fast", "slow", "red", "blue", "boat"]


def matrices():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(VOCABULARY, 6)) for _ in range(400)]
    words = CountVectorizer().fit(texts)
    names, counts = words.get_feature_names_out(), words.transform(texts).toarray()
    codes = rng.integers(0, 30, (400, 3))
    one_hot = OneHotEncoder(sparse_output=False, dtype=np.int64).fit(codes)
    digits = load_digits()
    return {
        "counts of words": pd.DataFrame(counts, columns=names),
        "words that are there": pd.DataFrame(
            (words.transform(texts) > 0).toarray().astype(int), columns=names
        ),
        "one-hot": pd.DataFrame(one_hot.transform(codes), columns=[f"item_{number}" for number in range(90)]),
        "dummies": pd.get_dummies(pd.DataFrame({"item": codes[:, 0]}).astype(str), dtype=int),
        "digits": pd.DataFrame(digits.data.astype(int), columns=digits.feature_names),
        "cancer": load_breast_cancer(as_frame=True).data,
        "of pixels": pd.DataFrame(rng.integers(0, 256, (3000, 9))),
        "flags": pd.DataFrame(rng.random((400, 3)) < 0.5, columns=["user", "item", "id"]),
    }


@pytest.mark.parametrize("what", matrices())
def test_matrices_of_numbers_are_no_tables(what):
    X = matrices()[what]
    assert not is_table("auto", X)
    assert not is_table("auto", X.to_numpy())


def test_sparse_frames_are_matrices():
    X = pd.DataFrame(
        {"id": pd.arrays.SparseArray([0, 5, 7, 3] * 9), "b": pd.arrays.SparseArray([0, 1, 0, 0] * 9)}
    )
    assert not is_table("auto", X)


def numbers_of_things(n=3000, n_things=150):
    rng = np.random.default_rng(0)
    odds = rng.gamma(1.0, size=n_things)
    return np.column_stack([rng.integers(0, 5, n), rng.choice(n_things, n, p=odds / odds.sum())])


def test_arrays_of_identifiers_stay_numbers_and_say_so():
    X = numbers_of_things()
    y = X[:, 0] > 2
    with pytest.warns(ReadingWarning, match=r"Column 'x1' .* an array of numbers .*categorical=\[1\]"):
        model = FMClassifier(random_state=0, max_iter=100).fit(X, y)
    assert model.encoder_ is None
    FMClassifier(encoder=FieldEncoder(categorical=[1]), random_state=0, max_iter=100).fit(X, y)
    FMClassifier(encoder=None, random_state=0, max_iter=100).fit(X, y)
    FMClassifier(random_state=0, max_iter=100).fit(X.astype(float), y)


def test_frames_whose_values_alone_say_it():
    X = pd.DataFrame(numbers_of_things())
    with pytest.warns(ReadingWarning, match="Column 1 of X holds .*139 numbers fill 0 to 149"):
        model = FMClassifier(random_state=0, max_iter=100).fit(X, X[0] > 2)
    assert model.encoder_.describe()["reading"].tolist() == ["integer", "identifier"]


# -- text --------------------------------------------------------------------------------------------


def messages(n=400):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(VOCABULARY, rng.integers(2, 9))) for _ in range(n)]
    return pd.DataFrame({"text": texts, "site": rng.choice(["x", "y"], n)}), np.array(
        ["red" in text for text in texts]
    )


@pytest.mark.parametrize("make", [FMClassifier, DeepFMClassifier])
def test_words_of_text_are_learned(make):
    X, y = messages()
    model = make(random_state=0, max_iter=100).fit(X, y)
    assert model.encoder_.describe()["reading"].tolist() == ["text", "category"]
    names = model.encoder_.get_feature_names_out().tolist()
    raw = model.decision_function(pd.DataFrame({"text": ["red a", "the a", None, ""], "site": "x"}))
    assert raw[0] > max(raw[1:])
    assert model.fields_[names.index("text=red")] == model.fields_[names.index("text:missing")]


def test_models_of_fields_take_text():
    X, y = messages(200)
    for make in (FFMRegressor,):
        model = make(random_state=0, max_iter=100).fit(X, y.astype(float))
        assert np.isfinite(model.predict(X)).all()


def test_text_grows_with_partial_fit():
    X, y = messages()
    model = FMClassifier(encoder=FieldEncoder(min_frequency=3), random_state=0)
    model.partial_fit(X, y, classes=[False, True])
    names = model.encoder_.get_feature_names_out().tolist()
    model.partial_fit(pd.DataFrame({"text": ["new words", "new", "new"], "site": "x"}), [True, False, True])
    later = model.encoder_.get_feature_names_out().tolist()
    assert later == [*names, "text=new"]
    assert model.factors_.shape[0] == len(later)
