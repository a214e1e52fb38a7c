"""Rows in chunks, as matrices and as tables."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from tests.estimators.problems import CLASSIFIERS, predictions

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

RNG = np.random.default_rng(0)
N, D = 120, 30
# Rows of uneven length, and values that are not 1.
X = np.zeros((N, D))
for row in X:
    own = RNG.choice(D, size=RNG.integers(0, 9), replace=False)
    row[own] = RNG.choice([0.5, 1.0, 2.0, -1.0], own.size)
X = sparse.csr_array(X)
FACTORS = RNG.normal(size=(D, 2))
RAW = X @ RNG.normal(size=D) + 0.25 * ((X @ FACTORS) ** 2 - X.power(2) @ FACTORS**2).sum(axis=1)
LABELS = (RAW + RNG.logistic(size=N) / 2 > np.median(RAW)).astype(int)
COLUMNS = {
    "colour": RNG.choice(["red", "green", "blue", None], N).tolist(),
    "count": RNG.integers(0, 4, N),
    "size": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N)),
    "tags": [[tag for tag in "abc" if RNG.random() < 0.5] for _ in range(N)],
}
TABLE = pd.DataFrame(COLUMNS)
KINDS = {"csr": X, "array": X.toarray(), "pandas": TABLE, "polars": pl.DataFrame(COLUMNS)}
# A chunk without weight in the middle, for the sizes below.
WEIGHT = RNG.integers(0, 3, N) * (np.arange(N) // 20 != 3)
STEPS = {"solver": "adagrad", "batch_size": 20, "early_stopping": False}
SIZES = [(N,), (1, N - 1), (20,) * 6, (0, 50, 0, 70, 0)]


def target(name):
    """Labels for a classifier, numbers for a regressor."""
    return LABELS if name in CLASSIFIERS else 3 * RAW + 10


class Again:
    """Chunks, or those that a function makes, which can be read again and again; with attributes."""

    def __init__(self, chunks, **attributes):
        self.chunks = chunks
        vars(self).update(attributes)

    def __iter__(self):
        return iter(self.chunks() if callable(self.chunks) else self.chunks)


def cut(sizes, *columns):
    """Tuples of the columns' rows, in chunks of the given sizes."""
    edges = np.cumsum([0, *sizes])
    return [tuple(column[first:last] for column in columns) for first, last in itertools.pairwise(edges)]


def same(model, other, rows=X):
    """Check that two models are the same to the last bit."""
    assert_array_equal(predictions(model, rows), predictions(other, rows))
    assert_array_equal(model.fields_, other.fields_)
    assert model.history_["loss"] == other.history_["loss"]
    assert model.n_features_in_ == other.n_features_in_
