"""Statistics of columns: computed by parts of the rows, and merged."""

from __future__ import annotations

import zlib
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.columns import Total
from skfm.data.units import UNLIKE, Units
from skfm.data.validate import row_pieces

# Numbers of each array of a chunk by which it is known again, and most chunks of a pass that is.
_READ_TO_MARK, _MOST_MARKS = 1 << 16, 1 << 12
# Share of the weight that touches a column that is dense.
_MOSTLY = 0.5
# A variance below this, in units of the largest value squared, is that of rounding: of a last digit.
_NOISE = 1e-31
# And a difference below this share is that of rounding.
_ROUNDING = 1e-12
# Later rows may outvote the first ones where so many touch the column, and about as many as first ones do.
_ENOUGH_ROWS, _OUTVOTES = 5, 0.5


class ColumnStatistics(NamedTuple):
    """What training needs to know of the columns of some rows.

    Where columns share rows of the tables, the statistics of all stand at the column that `table_rows` names
    for them, and those of the others are 0.

    Attributes
    ----------
    weight : sum of the sample weights
    touched : (n_columns,) sample weight of the rows that touch each column
    largest : (n_columns,) largest absolute value of each column, or None when every value is 1
    squares : (n_columns,) weighted sum of ``(value / largest)^2``, or None when every value is 1
    means : (n_columns,) weighted mean of ``value / largest`` over the nonzeros, or None when every value is 1
    deviations : (n_columns,) weighted sum of ``(value / largest - mean)^2``, or None when every value is 1
    n_rows : number of the rows
    """

    weight: float
    touched: np.ndarray
    largest: np.ndarray | None
    squares: np.ndarray | None
    means: np.ndarray | None = None
    deviations: np.ndarray | None = None
    n_rows: int = 0

    @property
    def mean_weight(self) -> float:
        """Of the rows."""
        return self.weight / self.n_rows

    @property
    def all_ones(self) -> bool:
        """Whether every value is 1."""
        return self.largest is None

    @property
    def frequency(self) -> np.ndarray:
        """Share of the sample weight whose rows touch each column, shape (n_columns,)."""
        return self.touched / self.weight

    def grown(self, n_columns: int) -> ColumnStatistics:
        """The same with more columns, which no row touches."""

        def longer(known):
            return None if known is None else np.append(known, np.zeros(n_columns - known.size))

        known = {
            name: getattr(self, name) for name in ("touched", "largest", "squares", "means", "deviations")
        }
        return self._replace(**{name: longer(values) for name, values in known.items()})

    def scale(self, table_rows: np.ndarray | None = None) -> np.ndarray | None:
        """Weighted root mean square of each column's nonzeros; None when every value is 1.

        Models train on ``x / scale``, so that columns of any unit learn at one rate.

        Parameters
        ----------
        table_rows : those that the statistics were computed with; columns that share a row share the scale
        """
        if self.largest is None or self.squares is None:
            return None
        scale = np.ones(self.touched.size)
        seen = self.touched > 0
        scale[seen] = np.sqrt(self.squares[seen] / self.touched[seen]) * self.largest[seen]
        # That of the smallest denormal number rounds to 0.
        scale = np.where(scale > 0, scale, 1.0)
        return scale if table_rows is None else scale[table_rows]

    def offsets(self) -> np.ndarray:
        """Mean over all rows of each column that is far from 0 in most of them, and 0 for all others.

        Such a column varies, most of the weight touches it, and it is further from 0 than its standard
        deviation: it would learn what it has to say only after its weight and the intercept, or the weights
        of all columns, have balanced each other.
        """
        center = np.zeros(self.touched.size)
        if self.largest is None or self.means is None or self.deviations is None:
            return center
        dense = np.flatnonzero(self.touched >= _MOSTLY * self.weight)
        touched, means, deviations = self.touched[dense], self.means[dense], self.deviations[dense]
        share = np.minimum(touched / self.weight, 1)
        variance = deviations / self.weight + share * (1 - share) * means**2
        chosen = (deviations > _NOISE * touched) & ((share * means) ** 2 > variance)
        center[dense[chosen]] = (share * means)[chosen] * self.largest[dense[chosen]]
        return center

    def of_nonzeros(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean and standard deviation of each column's nonzeros; 0 for columns without."""
        known = _with_values(self)
        variance = known.deviations / np.where(self.touched > 0, self.touched, 1)
        variance[variance <= _NOISE] = 0
        return known.means * known.largest, np.sqrt(variance) * known.largest

    def distances(self, center: np.ndarray) -> np.ndarray:
        """Weighted root mean square of ``x - center`` over all rows, zeros included; 1 where it is 0."""
        if self.largest is None or self.means is None or self.deviations is None:
            known = _with_values(self)
            return known.distances(center)
        divisor = np.where(self.largest > 0, self.largest, 1)
        share, center = np.minimum(self.touched / self.weight, 1), center / divisor
        square = self.deviations / self.weight + share * (self.means - center) ** 2 + (1 - share) * center**2
        distance = np.sqrt(square) * divisor
        return np.where(distance > 0, distance, 1.0)

    def units(self) -> Units:
        """Units of the columns of such rows, were all of them centred that are far from 0."""
        scale, center = self.scale(), self.offsets()
        if scale is None:
            return Units()
        centred = center != 0
        scale[centred] = self.distances(center)[centred]
        return Units(center, scale)


def column_statistics(X, weight: np.ndarray, table_rows: np.ndarray | None = None) -> ColumnStatistics:
    """Statistics of the columns of a matrix.

    Parameters
    ----------
    X : canonical csr_array (n, n_columns), or `RowSpool`
    weight : (n,) sample weights
    table_rows : (n_columns,) column that stands for each column, see `skfm.data.fields.Fields`, or None
    """
    counted = (
        _of_piece(piece, weight[first : first + piece.shape[0]], table_rows) for first, piece in row_pieces(X)
    )
    return reduce(merge_column_statistics, counted)


def merge_column_statistics(a: ColumnStatistics, b: ColumnStatistics) -> ColumnStatistics:
    """Statistics of the rows of both, from those of different rows with the same columns."""
    total = a.weight + b.weight, a.touched + b.touched
    n_rows = a.n_rows + b.n_rows
    if a.all_ones and b.all_ones:
        return ColumnStatistics(*total, None, None, n_rows=n_rows)
    one, other = _with_values(a), _with_values(b)
    largest = np.maximum(one.largest, other.largest)
    divisor = np.where(largest > 0, largest, 1)
    ratios = one.largest / divisor, other.largest / divisor
    squares = one.squares * ratios[0] ** 2 + other.squares * ratios[1] ** 2
    # Chan, Golub and LeVeque: the difference of two means adds to the variance.
    share = b.touched / np.where(total[1] > 0, total[1], 1)
    difference = other.means * ratios[1] - one.means * ratios[0]
    means = one.means * ratios[0] + share * difference
    deviations = one.deviations * ratios[0] ** 2 + other.deviations * ratios[1] ** 2
    deviations += a.touched * share * difference**2
    return ColumnStatistics(*total, largest, squares, means, deviations, n_rows)


class StreamStatistics(NamedTuple):
    """Statistics of the columns of the rows of a stream, the first of which may be unlike all others.

    Attributes
    ----------
    settled : of the rows until their number had last doubled
    recent : of the rows since
    is_first : whether the settled rows are the first chunk
    """

    settled: ColumnStatistics
    recent: ColumnStatistics
    is_first: bool

    @classmethod
    def of(cls, statistics: ColumnStatistics, *, is_first: bool = True) -> StreamStatistics:
        """Of the rows of a first chunk."""
        nothing = ColumnStatistics(0.0, np.zeros(statistics.touched.size), None, None)
        return cls(statistics, nothing, is_first)

    @property
    def total(self) -> ColumnStatistics:
        """Of all rows."""
        return merge_column_statistics(self.settled, self.recent)

    @property
    def n_touching(self) -> np.ndarray:
        """Rows that touch each column, (n_columns,), each counted by its share of their mean weight."""
        parts = self.settled, self.recent
        row = sum(part.weight for part in parts) / sum(part.n_rows for part in parts)
        return (self.settled.touched + self.recent.touched) / row

    def grown(self, n_columns: int) -> StreamStatistics:
        """The same with more columns, which no row touches."""
        return self._replace(settled=self.settled.grown(n_columns), recent=self.recent.grown(n_columns))

    def then(self, chunk: ColumnStatistics) -> StreamStatistics:
        """With another chunk.

        Where a column has quite other units in later rows, and these are as many as before, all count as
        if they had been like these: else a few values that are a thousand times too large decide for ever.
        A first chunk of constants is outvoted by any later one; of much smaller values, by half as many rows.
        """
        settled, recent = self.settled, merge_column_statistics(self.recent, chunk)
        is_due = recent.n_rows >= settled.n_rows
        if (settled.all_ones and recent.all_ones) or not (is_due or self.is_first):
            outvoted = np.zeros(recent.touched.size, dtype=bool)
        else:
            outvoted = _outvoted(_with_values(settled), _with_values(recent), only_smaller=not is_due)
        if is_due:
            total = merge_column_statistics(settled, recent)
            return StreamStatistics.of(_as_in(recent, total, outvoted), is_first=False)
        return StreamStatistics(_as_in(recent, settled, outvoted), recent, self.is_first)


def _outvoted(first: Any, later: Any, *, only_smaller: bool) -> np.ndarray:
    """Columns for which the first rows are unlike the later ones, and matter, (n_columns,)."""
    n_columns, units, first_units = later.touched.size, later.units(), first.units()
    unlike = first_units.differs(units, n_columns, UNLIKE, UNLIKE)
    if only_smaller:
        # Of few rows a single value may be what makes the difference.
        unlike &= first_units.arrays(n_columns)[1] < units.arrays(n_columns)[1]
        unlike &= 2 * later.n_rows >= first.n_rows
    # Values that are all the same do not say how far values are apart.
    unlike |= (first.deviations <= _NOISE * first.touched) & first_units.differs(units, n_columns)
    if not only_smaller:
        unlike &= merge_column_statistics(first, later).units().differs(units, n_columns)
    known = (first.touched > 0) | (units.arrays(n_columns)[0] != 0)
    enough = np.maximum(
        _OUTVOTES * first.touched * min(later.weight / first.weight, 1), _ENOUGH_ROWS * later.mean_weight
    )
    return unlike & known & (later.touched >= enough)


def _as_in(recent: ColumnStatistics, known: ColumnStatistics, columns: np.ndarray) -> ColumnStatistics:
    """Known statistics, but for some columns as if all rows had been like recent ones."""
    if not columns.any():
        return known
    alike, known, share = _with_values(recent), _with_values(known), known.weight / recent.weight
    factors = {"touched": share, "largest": 1.0, "squares": share, "means": 1.0, "deviations": share}
    return known._replace(
        **{
            name: np.where(columns, factor * getattr(alike, name), getattr(known, name))
            for name, factor in factors.items()
        }
    )


def _with_values(statistics: ColumnStatistics) -> Any:
    """The statistics, with those of values of columns of ones too."""
    if not statistics.all_ones:
        return statistics
    seen = (statistics.touched > 0).astype(np.float64)
    return statistics._replace(
        largest=seen, squares=statistics.touched, means=seen, deviations=np.zeros_like(seen)
    )


def _of_piece(X: sparse.csr_array, weight: np.ndarray, table_rows: np.ndarray | None) -> ColumnStatistics:
    n_columns, lengths = X.shape[1], np.diff(X.indptr)
    columns = X.indices if table_rows is None else table_rows[X.indices]
    weights = np.repeat(weight, lengths)
    touched = np.bincount(columns, weights, n_columns)
    total = float(weight.sum()), touched
    if np.all(X.data == 1):
        return ColumnStatistics(*total, None, None, n_rows=X.shape[0])
    largest = np.zeros(n_columns)
    # Values of the type of `largest`: NumPy is ten times slower at mixed types.
    np.maximum.at(largest, columns, np.abs(X.data, dtype=np.float64))
    # Values near the ends of the float range must not overflow when squared.
    values = X.data / largest[columns]
    squares = np.bincount(columns, weights * values**2, n_columns)
    divisor = np.where(touched > 0, touched, 1)
    means = np.bincount(columns, weights * values, n_columns) / divisor
    deviations = squares - touched * means**2
    deviations[deviations < _ROUNDING * squares] = 0
    dense = touched >= _MOSTLY * total[0]
    if dense.any():
        # A second pass, for those that may have an offset: of a large mean the first one is off by more than
        # a small deviation.
        chosen = dense[columns]
        columns, weights, values = columns[chosen], weights[chosen], values[chosen]
        values = values - means[columns]
        errors = np.bincount(columns, weights * values, n_columns) / divisor
        means += errors
        second = np.bincount(columns, weights * values**2, n_columns) - touched * errors**2
        deviations[dense] = np.maximum(second[dense], 0)
    return ColumnStatistics(*total, largest, squares, means, deviations, X.shape[0])


class Evidence(NamedTuple):
    """How much some rows say; parts merge to the whole.

    Attributes
    ----------
    total : rows that have a weight, and the sum of their weights
    touched : (n_columns,) sample weight of the rows that touch each column; those that share a row of the
        tables are one
    """

    total: Total
    touched: np.ndarray

    @classmethod
    def of(cls, X, weight: np.ndarray, table_rows: np.ndarray | None = None) -> Evidence:
        """Of the rows of a canonical csr_array, or of a `RowSpool`."""
        touched = np.zeros(X.shape[1])
        for first, piece in row_pieces(X):
            columns = piece.indices if table_rows is None else table_rows[piece.indices]
            weights = np.repeat(weight[first : first + piece.shape[0]], np.diff(piece.indptr))
            # A sum of whole arrays would fill the memory of columns that no row touches.
            np.add.at(touched, columns, weights)
        return cls(Total.of(weight), touched)

    @property
    def of_columns(self) -> float:
        """Mean weight in rows of the rows that touch a column, over the columns that any row touches."""
        return self.touched.sum() / self.total.row / max(int(np.count_nonzero(self.touched)), 1)

    @property
    def in_rows(self) -> tuple[np.ndarray, float]:
        """Weight in rows that touches each column, and of all rows."""
        return self.touched / self.total.row, self.total.n

    def merged(self, more: Evidence) -> Evidence:
        """Of these rows and more, which may have more columns."""
        touched = more.touched.copy()
        touched[: self.touched.size] += self.touched
        return Evidence(self.total.merge(more.total), touched)

    def statistics(self, units: Units) -> ColumnStatistics:
        """Those of rows of which no more is known than these units."""
        (n_rows, weight), touched = self.total, self.touched
        if units.scale is None:
            return ColumnStatistics(weight, touched, None, None, n_rows=n_rows)
        center, scale = units.arrays(touched.size)
        # The center is the mean of all rows.
        touched = np.where((center != 0) & (touched > 0), weight, touched)
        largest = np.abs(center) + scale
        means, deviations = center / largest, touched * (scale / largest) ** 2
        squares = deviations + touched * means**2
        seen = touched > 0
        return ColumnStatistics(
            weight, touched, np.where(seen, largest, 0), squares, np.where(seen, means, 0), deviations, n_rows
        )


def mark_of(X: sparse.csr_array, y: np.ndarray, weight: np.ndarray) -> int:
    """A number by which a chunk is known again, from as many of its rows as are read in no time."""
    # Tables may have grown since, so the number of columns says nothing.
    mark = zlib.crc32(np.array([X.shape[0], X.nnz]).data)
    for values in (y, weight, X.indptr, X.indices, X.data):
        mark = zlib.crc32(np.ascontiguousarray(values[:_READ_TO_MARK]).data, mark)
    return mark


class Heard(NamedTuple):
    """What the chunks of a stream have said; in further passes over the same chunks nothing new.

    Attributes
    ----------
    evidence : of all rows, of one pass
    marks : of these chunks, in order; see `mark_of`
    n_again : how many chunks have come again since, one after the other; they are new if the others up to
        the last do not follow
    place : which of the marks would follow these
    again : evidence of these, or None
    """

    evidence: Evidence
    marks: tuple[int, ...]
    n_again: int = 0
    place: int = 0
    again: Evidence | None = None

    def then(self, evidence: Evidence, mark: int) -> Heard:
        """With another chunk."""
        place = self.place
        if not self.n_again and mark in self.marks:
            place = self.marks.index(mark)
        if mark == self.marks[place]:
            if place + 1 == len(self.marks):
                return Heard(self.evidence, self.marks)
            again = evidence if self.again is None else self.again.merged(evidence)
            return Heard(self.evidence, self.marks, self.n_again + 1, place + 1, again)
        known = self.evidence if self.again is None else self.evidence.merged(self.again)
        marks = (*self.marks, *self.marks[place - self.n_again : place], mark)
        # Of longer passes nothing is known again.
        return Heard(known.merged(evidence), marks if len(marks) <= _MOST_MARKS else (mark,))
