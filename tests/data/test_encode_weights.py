"""What sample weights mean to the encoder: rows, or their importance."""

import numpy as np
import pandas as pd
import pytest

from skfm import FieldEncoder


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


def test_parts_count_as_the_whole():
    X, weight = table(), np.full(200, 1 / 200)
    known = FieldEncoder(categorical=["whole"], min_frequency=3).fit(X[["name", "whole"]])
    chunks = FieldEncoder(categorical=["whole"])
    for rows in (slice(0, 20), slice(20, 200)):
        chunks.partial_fit(X[["name", "whole"]][rows], sample_weight=weight[rows])
    assert set(chunks.get_feature_names_out()) == set(known.get_feature_names_out())
