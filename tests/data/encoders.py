"""Tables of every library for FieldEncoder, and what it has to make of numbers."""

import numpy as np
import pytest

from skfm import FieldEncoder

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")


def rows(encoder, X):
    """Nonzeros of each encoded row by the name of their column."""
    names = encoder.get_feature_names_out()
    return [{names[j]: row[j] for j in np.flatnonzero(row)} for row in encoder.transform(X).toarray()]


def fitted(X, weight=None, **params):
    return FieldEncoder(**{"min_frequency": 1, "dtype": np.float64, **params}).fit(X, sample_weight=weight)


def names(encoder):
    return encoder.get_feature_names_out().tolist()


def frame(dtype):
    return lambda values: pd.DataFrame({"x0": pd.Series(values, dtype=dtype)})


def arrow(dtype):
    return lambda values: frame(pd.ArrowDtype(dtype))(values)


def polars(dtype):
    return lambda values: pl.DataFrame({"x0": pl.Series(values, dtype=dtype)})


def array(values):
    X = np.empty((len(values), 1), dtype=object)
    X[:, 0] = values
    return X


def each(convert):
    return lambda values: array([None if value is None else convert(value) for value in values])


def naive_value(x, values, weight=None):
    """Standardised value of x by the formula of the documentation."""
    low, center, high = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf", weights=weight)
    z = (x - center) / ((high - low) or (max(values) - min(values)) or 1)
    return z / np.sqrt(1 + (z / 3) ** 2)


def mixed(n=60):
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "text": rng.choice(["x", "y", None], n),
            "int": rng.integers(0, 9, n),
            "float": rng.normal(size=n),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="s"),
            "list": [rng.choice(["u", "v"], size=rng.integers(0, 4)).tolist() for _ in range(n)],
        }
    )
