"""Standard units of columns: what training and prediction see in place of the values of X."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

# Products of two such values, summed over many slots, stay finite.
_LARGEST_POWER = 0.45


class Units(NamedTuple):
    """Origin and unit of each column: models take ``(x - center) / scale``.

    Attributes
    ----------
    center : (n_columns,) float64, 0 for columns that are not centred; None where none is
    scale : (n_columns,) float64; None where every column is taken as it is
    """

    center: np.ndarray | None = None
    scale: np.ndarray | None = None

    def filled(self, X: sparse.csr_array) -> sparse.csr_array:
        """X with an entry in every centred column of each row; X itself where none is missing."""
        if self.center is None:
            return X
        centred = self.center != 0
        columns = np.flatnonzero(centred)
        (n_rows, n_columns), found = X.shape, centred[X.indices]
        if np.count_nonzero(found) == n_rows * columns.size:
            return X
        row_of = np.repeat(np.arange(n_rows), np.diff(X.indptr))
        number = np.cumsum(centred) - 1
        absent = np.ones((n_rows, columns.size), dtype=bool)
        absent[row_of[found], number[X.indices[found]]] = False
        rows, places = np.nonzero(absent)
        row_of = np.concatenate([row_of, rows])
        indices = np.concatenate([X.indices, columns[places].astype(X.indices.dtype)])
        data = np.concatenate([X.data, np.zeros(rows.size, X.data.dtype)])
        order = np.lexsort((indices, row_of))
        indptr = X.indptr + np.concatenate([[0], np.cumsum(absent.sum(axis=1))])
        return sparse.csr_array(
            (data[order], indices[order], indptr.astype(X.indptr.dtype)), shape=(n_rows, n_columns)
        )


def standardized(X: sparse.csr_array, units: Units) -> sparse.csr_array:
    """Rows in standard units, float64; X itself where the columns are taken as they are.

    Parameters
    ----------
    X : canonical csr_array
    """
    if units.scale is None:
        return X
    out = units.filled(X)
    data = out.data.astype(np.float64)
    # Values far from all that was seen may overflow: `check_range` names them.
    with np.errstate(over="ignore"):
        if units.center is not None:
            data -= units.center[out.indices]
        data /= units.scale[out.indices]
    return sparse.csr_array((data, out.indices, out.indptr), shape=out.shape)


def check_range(X: sparse.csr_array, dtype, first_row: int | None = None) -> None:
    """Raise ValueError if a value in standard units is too large to compute with.

    Parameters
    ----------
    X : rows in standard units
    dtype : precision of the weights
    first_row : number of the first row, or None where rows have no numbers that a user knows
    """
    largest = float(np.finfo(dtype).max) ** _LARGEST_POWER
    if not X.data.size or (float(X.data.max()) <= largest and float(X.data.min()) >= -largest):
        return
    place = int(np.argmax(~(np.abs(X.data.astype(np.float64)) <= largest)))
    row = int(np.searchsorted(X.indptr, place, side="right")) - 1
    where = "" if first_row is None else f" row {first_row + row},"
    raise ValueError(
        f"X has a value at{where} column {X.indices[place]} that is {X.data[place]:.3g} times as large as is "
        f"usual for the column in training, which is too large to compute with in "
        f"{np.dtype(dtype).name}. Clip the column, or take its logarithm."
    )
