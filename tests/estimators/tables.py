"""A table with a column of each kind, in every library, and targets that depend on it."""

import numpy as np
import pytest

from skfm import FieldEncoder
from tests.estimators.problems import CLASSIFIERS

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

RNG = np.random.default_rng(5)
N = 60
COLUMNS = {
    "colour": RNG.choice(["red", "green", "blue", None], N).tolist(),
    "count": RNG.integers(0, 4, N),
    "size": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N)),
    "tags": [[tag for tag in "abc" if RNG.random() < 0.5] for _ in range(N)],
}
LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
TABLE = pd.DataFrame(COLUMNS)
RAW = (TABLE["colour"] == "red") * 1.0 - (TABLE["count"] == 2) + np.nan_to_num(TABLE["size"])
RAW = RAW.to_numpy() + 0.1 * RNG.normal(size=N)
LABELS = (np.median(RAW) < RAW).astype(int)
STEPS = {"solver": "adam", "batch_size": 16, "early_stopping": False}
SOLVERS = ["adagrad", "adam", "ftrl", "sgd"]


def target(name):
    """Labels for a classifier, numbers for a regressor."""
    return LABELS if name in CLASSIFIERS else 3 * RAW + 10


def encoded(table=TABLE, learnt=TABLE, **params):
    """Matrix of a table, and the encoder fitted to another."""
    encoder = FieldEncoder(**params).fit(learnt)
    return encoder.transform(table), encoder
