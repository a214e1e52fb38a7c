"""X and y as scikit-learn checks them, then canonical CSR, with errors that name the place."""

from __future__ import annotations

import copy
from contextlib import contextmanager

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_X_y
from sklearn.utils.validation import validate_data

from skfm.data.encode import FieldEncoder
from skfm.data.frames import is_frame, is_of_numbers
from skfm.data.validate import canonical_csr, check_finite, first_row

_CHECKS = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "ensure_all_finite": False}


def read_X_y(estimator, X, y, *, reset: bool):
    """A table as it is, or canonical CSR; and checked targets.

    `reset` learns the columns, else they are compared.
    """
    encodes = _is_table(estimator, X) if reset else estimator.encoder_ is not None
    with _naming_text_columns(X), _naming_row_of_y(y):
        if encodes:
            check_table(estimator, X)
            validate_data(estimator, X, y, skip_check_array=True, reset=reset)
            return X, check_X_y(np.zeros((len(X), 1)), y, multi_output=True)[1]
        X, y = validate_data(estimator, X, y, multi_output=True, reset=reset, **_CHECKS)
    check_finite(X, getattr(estimator, "feature_names_in_", None))
    return canonical_csr(X), y


def read_X(estimator, X):
    """Canonical CSR of rows to predict."""
    if estimator.encoder_ is not None:
        check_table(estimator, X)
        validate_data(estimator, X, skip_check_array=True, reset=False)
        return encoded_rows(estimator, X)
    with _naming_text_columns(X):
        X = validate_data(estimator, X, reset=False, **_CHECKS)
    check_finite(X, getattr(estimator, "feature_names_in_", None))
    return encoded_rows(estimator, canonical_csr(X))


def encoded_rows(estimator, X):
    """Rows in the estimator's columns: canonical CSR, of a table or of canonical CSR."""
    if estimator.encoder_ is not None:
        X = canonical_csr(estimator.encoder_.transform(X))
    return estimator._scaled_rows(X)


def learn_encoder(estimator, X, weight, *, first: bool, grow: bool, chunks=None):
    """The encoder of a table, or None for a matrix; one fitted before learns new values if it may `grow`.

    `chunks` of tables and weights are learned from in place of X, of which they are a part.
    """
    if sparse.issparse(X):
        return None
    if first:
        encoder = FieldEncoder() if isinstance(estimator.encoder, str) else clone(estimator.encoder)
        encoder.set_params(**estimator._encoder_settings(encoder, X))
    elif grow:
        # A copy: if training fails, the estimator keeps the encoder that it has.
        encoder = copy.copy(estimator.encoder_)
    else:
        return estimator.encoder_
    return encoder.learn_chunks(chunks or [(X, weight)], first=first, go_on=grow)


def _is_table(estimator, X) -> bool:
    """Whether X has to be encoded."""
    if estimator.encoder is None or sparse.issparse(X):
        return False
    return not isinstance(estimator.encoder, str) or (is_frame(X) and not is_of_numbers(X))


def check_table(estimator, X) -> None:
    """Raise ValueError if X is nothing that fit's encoder takes."""
    if sparse.issparse(X) or not (is_frame(X) or hasattr(X, "shape")):
        raise ValueError(
            f"X must be a DataFrame, or an array with encoder=FieldEncoder(), where fit encodes; "
            f"got {type(X).__name__}."
        )


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
        for column in getattr(X, "column_names", X.columns):
            try:
                np.asarray(X[column], dtype=np.float64)
            except (TypeError, ValueError):
                raise ValueError(
                    f"Column {column!r} of X holds text, not numbers ({error}). Fit on such a table with "
                    f"encoder='auto', or encode it first with skfm.FieldEncoder or "
                    f"sklearn.preprocessing.OneHotEncoder."
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
