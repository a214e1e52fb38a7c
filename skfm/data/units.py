"""Standard units of columns: what training and prediction see in place of the values of X."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

# Squares of numbers below this power of the largest float are finite, with room for sums.
_LARGEST_POWER = 0.45
# Scales that differ by more than this factor are quite others, and centers by so many of the smaller scale.
QUITE, _DISTANCE = 1.5, 1.25
# Scales and centers that differ by more are those of other rows, and not of a part of a sorted stream.
UNLIKE = 8.0


class Units(NamedTuple):
    """Origin and unit of each column: models take ``(x - center) / scale``.

    Attributes
    ----------
    center : (n_columns,) float64, 0 for columns that are not centred; None where none is
    scale : (n_columns,) float64; None where every column is taken as it is
    """

    center: np.ndarray | None = None
    scale: np.ndarray | None = None

    def arrays(self, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Center and scale of so many columns; those that are not known are taken as they are."""
        center, scale = np.zeros(n_columns), np.ones(n_columns)
        for all_of_them, known in ((center, self.center), (scale, self.scale)):
            if known is not None:
                all_of_them[: known.size] = known
        return center, scale

    def differs(
        self, other: Units, n_columns: int, factor: float = QUITE, distance: float = _DISTANCE
    ) -> np.ndarray:
        """Which of the columns have quite other units, (n_columns,).

        Parameters
        ----------
        factor : between scales that is more than usual
        distance : of the centers, in the smaller of the scales, that is more than usual
        """
        (center, scale), (other_center, other_scale) = self.arrays(n_columns), other.arrays(n_columns)
        smaller, larger = np.minimum(scale, other_scale), np.maximum(scale, other_scale)
        # Halves, since differences of the largest numbers overflow.
        apart = np.abs(center / 2 - other_center / 2)
        with np.errstate(over="ignore"):
            return (larger / 2 > smaller * (factor / 2)) | (apart > smaller * (distance / 2))

    def replaced(self, where: np.ndarray, other: Units) -> Units:
        """These units, but for the columns `where`, (n_columns,), which are in other ones."""
        pairs = zip(self.arrays(where.size), other.arrays(where.size), strict=True)
        center, scale = (np.where(where, new, old) for old, new in pairs)
        plain = self.scale is None and other.scale is None
        return Units(center if center.any() else None, None if plain else scale)

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


def largest_factor(dtype) -> float:
    """Largest value whose products with another, summed over many slots, stay finite."""
    return float(np.finfo(dtype).max) ** _LARGEST_POWER


def check_range(X: sparse.csr_array, dtype, first_row: int | None = None) -> None:
    """Raise ValueError if a value in standard units is too large to compute with.

    Parameters
    ----------
    X : rows in standard units
    dtype : precision of the weights
    first_row : number of the first row, or None where rows have no numbers that a user knows
    """
    largest = largest_factor(dtype)
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
