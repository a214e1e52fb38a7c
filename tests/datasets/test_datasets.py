"""The shipped data sets: equal to their sources, whole, and readable without pandas."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from skfm.datasets import load_adult, load_sms_spam

LOADERS = [load_adult, load_sms_spam]


def test_adult_equals_its_source(data_path):
    source = pd.read_parquet(data_path / "adult" / "adult.parquet")
    adult = load_adult()
    for name in adult.feature_names:
        expected = source[name].replace("?", np.nan).astype(object)
        assert expected.equals(adult.data[name].astype(object)), name
    np.testing.assert_array_equal(adult.target, source["income"])
    np.testing.assert_array_equal(adult.split, source["split"])


def test_sms_spam_equals_its_source(data_path):
    source = pd.read_parquet(data_path / "sms_spam" / "sms_spam.parquet")
    texts, spam = load_sms_spam(return_X_y=True)
    assert texts.tolist() == source["text"].tolist()
    np.testing.assert_array_equal(spam, source["label"])


def test_adult_is_whole():
    adult = load_adult()
    assert adult.data.shape == (48_842, 14)
    assert adult.frame.shape == (48_842, 15)
    assert adult.feature_names == adult.data.columns.tolist()
    assert adult.target.sum() == 11_687
    assert {name: count for name, count in adult.data.isna().sum().items() if count} == {
        "workclass": 2_799,
        "occupation": 2_809,
        "native_country": 857,
    }
    categories = adult.data.select_dtypes("category")
    assert sum(categories[name].cat.categories.size for name in categories) == 99
    assert dict(zip(*np.unique(adult.split, return_counts=True), strict=True)) == {
        "train": 32_561,
        "test": 16_281,
    }


def test_adult_array_equals_the_frame():
    frame, _ = load_adult(return_X_y=True, as_frame=True)
    array, target = load_adult(return_X_y=True, as_frame=False)
    assert isinstance(array, np.ndarray)
    assert isinstance(target, np.ndarray)
    # assert_array_equal holds NaN equal to NaN in object arrays only when they are the same object
    missing = frame.isna().to_numpy()
    np.testing.assert_array_equal(missing, pd.isna(array))
    np.testing.assert_array_equal(array[~missing], frame.to_numpy(dtype=object)[~missing])


def test_sms_spam_is_whole():
    messages = load_sms_spam(as_frame=True)
    assert messages.frame.columns.tolist() == ["text", "spam"]
    assert messages.data.shape == messages.target.shape == (5_574,)
    assert messages.target.sum() == 747
    lengths = messages.data.str.len()
    assert (lengths.min(), lengths.max()) == (2, 910)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("as_frame", [False, True])
def test_return_X_y_is_data_and_target(load, as_frame):
    bunch = load(as_frame=as_frame)
    X, y = load(as_frame=as_frame, return_X_y=True)
    assert type(X) is type(bunch.data)
    assert pd.DataFrame(X).equals(pd.DataFrame(bunch.data))
    np.testing.assert_array_equal(y, bunch.target)
    assert (bunch.frame is None) == (not as_frame)


@pytest.mark.parametrize("load", LOADERS)
def test_description_names_source_and_licence(load):
    description = load(as_frame=False).DESCR
    assert "UCI Machine Learning Repository" in description
    assert "CC BY 4.0" in description


@pytest.mark.parametrize("load", LOADERS)
def test_a_missing_pandas_is_named(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=rf"{load.__name__}\(as_frame=True\) needs pandas"):
        load(as_frame=True)


def test_arrays_need_neither_pandas_nor_jax():
    program = (
        "import sys; sys.modules['pandas'] = None\n"
        "from skfm.datasets import load_adult, load_sms_spam\n"
        "load_adult(as_frame=False); load_sms_spam()\n"
        "assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
