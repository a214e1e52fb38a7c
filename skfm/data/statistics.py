"""Statistics of columns: computed by parts of the rows, and merged."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.validate import parts


class ColumnStatistics(NamedTuple):
    """What training needs to know of the columns of some rows.

    Where columns share rows of the tables, the statistics of all stand at the column that `table_rows` names
    for them, and those of the others are 0.

    Attributes
    ----------
    weight : sum of the sample weights
    touched : (n_columns,) sample weight of the rows that touch each column
    entries : sample weight of all nonzeros
    largest : (n_columns,) largest absolute value of each column, or None when every value is 1
    squares : (n_columns,) weighted sum of ``(value / largest)^2``, or None when every value is 1
    """

    weight: float
    touched: np.ndarray
    entries: float
    largest: np.ndarray | None
    squares: np.ndarray | None

    @property
    def all_ones(self) -> bool:
        """Whether every value is 1."""
        return self.largest is None

    @property
    def frequency(self) -> np.ndarray:
        """Share of the sample weight whose rows touch each column, shape (n_columns,)."""
        return self.touched / self.weight

    @property
    def mean_evidence(self) -> float:
        """Mean sample weight of the rows that touch a column, over the columns that any row touches."""
        return self.entries / max(int(np.count_nonzero(self.touched)), 1)

    def scale(self, table_rows: np.ndarray | None = None) -> np.ndarray | None:
        """Weighted root mean square of each column's nonzeros; None when every value is 1.

        Models train on ``x / scale`` and hand back weights for x, so that columns of any unit learn at
        one rate.

        Parameters
        ----------
        table_rows : those that the statistics were computed with; columns that share a row share the scale
        """
        if self.largest is None or self.squares is None:
            return None
        scale = np.ones(self.touched.size)
        seen = self.touched > 0
        scale[seen] = np.sqrt(self.squares[seen] / self.touched[seen]) * self.largest[seen]
        return scale if table_rows is None else scale[table_rows]


def column_statistics(X, weight: np.ndarray, table_rows: np.ndarray | None = None) -> ColumnStatistics:
    """Statistics of the columns of a matrix.

    Parameters
    ----------
    X : canonical csr_array (n, n_columns), or `RowSpool`
    weight : (n,) sample weights
    table_rows : (n_columns,) column that stands for each column, see `skfm.data.fields.Fields`, or None
    """
    counted = (_of_part(part, weight[first : first + part.shape[0]], table_rows) for first, part in parts(X))
    return reduce(merge_column_statistics, counted)


def merge_column_statistics(a: ColumnStatistics, b: ColumnStatistics) -> ColumnStatistics:
    """Statistics of the rows of both, from those of different rows with the same columns."""
    largest = squares = None
    if not (a.all_ones and b.all_ones):
        (largest_a, squares_a), (largest_b, squares_b) = _magnitudes(a), _magnitudes(b)
        largest = np.maximum(largest_a, largest_b)
        divisor = np.where(largest > 0, largest, 1)
        squares = squares_a * (largest_a / divisor) ** 2 + squares_b * (largest_b / divisor) ** 2
    return ColumnStatistics(
        a.weight + b.weight, a.touched + b.touched, a.entries + b.entries, largest, squares
    )


def _magnitudes(statistics: ColumnStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Largest values and squares, of columns of ones too."""
    if statistics.largest is None or statistics.squares is None:
        return (statistics.touched > 0).astype(np.float64), statistics.touched
    return statistics.largest, statistics.squares


def _of_part(X: sparse.csr_array, weight: np.ndarray, table_rows: np.ndarray | None) -> ColumnStatistics:
    n_columns, lengths = X.shape[1], np.diff(X.indptr)
    columns = X.indices if table_rows is None else table_rows[X.indices]
    weights = np.repeat(weight, lengths)
    touched = np.bincount(columns, weights, n_columns)
    largest = squares = None
    if not np.all(X.data == 1):
        largest = np.zeros(n_columns)
        # Values of the type of `largest`: NumPy is ten times slower at mixed types.
        np.maximum.at(largest, columns, np.abs(X.data, dtype=np.float64))
        # Values near the ends of the float range must not overflow when squared.
        squares = np.bincount(columns, weights * (X.data / largest[columns]) ** 2, n_columns)
    return ColumnStatistics(float(weight.sum()), touched, float(weight @ lengths), largest, squares)
