"""X and y as scikit-learn checks them, then canonical CSR, with errors that name the place."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import validate_data

from skfm.data.validate import canonical_csr, check_finite, first_row

_CHECKS = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "ensure_all_finite": False}


def read_X_y(estimator, X, y, *, reset: bool):
    """Canonical CSR and checked targets; `reset` learns the columns, else they are compared."""
    with _naming_text_columns(X), _naming_row_of_y(y):
        X, y = validate_data(estimator, X, y, multi_output=True, reset=reset, **_CHECKS)
    check_finite(X, getattr(estimator, "feature_names_in_", None))
    return canonical_csr(X), y


def read_X(estimator, X):
    """Canonical CSR of rows to predict."""
    with _naming_text_columns(X):
        X = validate_data(estimator, X, reset=False, **_CHECKS)
    check_finite(X, getattr(estimator, "feature_names_in_", None))
    return canonical_csr(X)


def kept_rows(X, y, weight):
    """Rows with a weight: a row of weight 0 is no row, for the vocabulary and the batches too."""
    keep = weight > 0
    if keep.all():
        return X, y, weight
    return X[keep], y[keep], weight[keep]


@contextmanager
def _naming_text_columns(X):
    """Say which column of a frame holds text, and what to do about it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if "convert" not in str(error) or not hasattr(X, "columns"):
            raise
        for column in X.columns:
            try:
                np.asarray(X[column], dtype=np.float64)
            except (TypeError, ValueError):
                raise ValueError(
                    f"Column {column!r} of X holds text, not numbers ({error}). Encode it first, with "
                    f"sklearn.preprocessing.OneHotEncoder in a ColumnTransformer for instance."
                ) from error
        raise


@contextmanager
def _naming_row_of_y(y):
    """Say which row of y is NaN or infinite."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Input y contains"):
            raise
        try:
            bad = ~np.isfinite(np.asarray(y, dtype=np.float64))
        except (TypeError, ValueError):
            raise error from None
        place = f" at row {first_row(bad)}" if bad.any() else ""
        raise ValueError(f"{str(error).rstrip('.')}{place}. Drop that row.") from error
