"""How large linear effects are, by what each column tells alone: the precision of their normal prior."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.statistics import column_statistics
from skfm.data.validate import row_pieces

# The precisions that there are: powers of 2^(1/4) (benchmarks/cases/priors.py, as all constants below). No
# digit of one matters, and sums round otherwise where rows come in another order. Below 1/16 columns in units
# of their own, such as measurements as they come, overfit.
_LEAST, _LARGEST, _AN_OCTAVE = 1 / 16, 1024.0, 4
# The same of columns taken alone, before what they share makes it larger.
_LEAST_ALONE = 1 / 1024
# Columns of a larger root mean square, less their mean if all rows touch them, have effects in other units.
_LARGEST_COLUMN = 4.0
# All rows but for the rounding of a sum.
_ALL = 1 - 1e-9
# Columns that say the same add up to too much: to 20 times as much, and no more is believed.
_LEAST_SLOPE = 0.05
# Share of a column's information below which it is the same in all rows.
_CONSTANT = 1e-9
# Entries, times outputs, that are looked at at once, and of how many rows are predicted by the others.
_ENTRIES, _MOST_ENTRIES = 1 << 20, 1 << 23


class Scores(NamedTuple):
    """What rows ask of raw predictions where these are the best constant.

    Attributes
    ----------
    residuals : (n, n_outputs) minus the first derivative of the loss
    curvature : (n, n_outputs) its second derivative
    dispersion : variance of a residual, in units of its curvature
    unexplained : the power of the share of y that is left unexplained by which effects are larger than they
        seem at the constant
    """

    residuals: np.ndarray
    curvature: np.ndarray
    dispersion: float = 1.0
    unexplained: int = 1


class _Piece(NamedTuple):
    """Some rows, in the columns that are looked at; scores are times weights."""

    X: sparse.csr_array
    weight: np.ndarray
    residuals: np.ndarray
    curvature: np.ndarray


class _Effects(NamedTuple):
    """What columns tell alone, (k, n_outputs) each: a column's effect is about residuals / information."""

    residuals: np.ndarray
    information: np.ndarray


def prior_precision(X, scores: Scores, weight: np.ndarray, table_rows: np.ndarray | None = None) -> float:
    """Precision a of the prior N(0, 1 / a) of linear weights, from 1/16 to 1024.

    Taken alone, a column's effect is its residuals / its information, with a variance of 1 / information
    about the true one. Of all columns together, that precision is best which makes their residuals most
    likely, under the hyper-prior min(a, 1 / a). Where columns say the same, effects add up to too much: each
    row is predicted by the effects that the other rows give, and effects are too large by the slope of y on
    their sum. Where much of y is explained, effects are larger than they seem. O(nonzeros times outputs).

    Parameters
    ----------
    X : canonical csr_array (n, n_columns), or `RowSpool`
    weight : (n,) sample weights; 2 is the row twice
    table_rows : (n_columns,) column that stands for each column, see `skfm.data.fields.Fields`, or None
    """
    columns = _columns(X, weight, table_rows)
    n_columns, n_outputs = columns.means.size, scores.residuals.shape[1]
    if not n_columns:
        return 1.0

    def pieces(stride: int = 1):
        return _pieces(X, scores, weight, columns, stride)

    effects = _effects(pieces(), (n_columns, n_outputs))
    if not effects.information.any():
        return 1.0
    precision = _most_likely(effects)
    # Of many rows some tell how one is predicted by all others.
    stride = -(-X.nnz * n_outputs // _MOST_ENTRIES)
    slope, explained = _slope(pieces(max(stride, 1)), effects, precision)
    precision *= scores.dispersion * (1 - explained) ** scores.unexplained / max(slope, _LEAST_SLOPE)
    return 2.0 ** (round(_AN_OCTAVE * np.log2(np.clip(precision, _LEAST, _LARGEST))) / _AN_OCTAVE)


class _Columns(NamedTuple):
    """Columns that are looked at.

    Attributes
    ----------
    numbers : (n_columns,) the number of each, -1 for those that are not looked at
    means : (k,) of those that all rows touch, which the intercept takes; 0 for the others
    """

    numbers: np.ndarray
    means: np.ndarray


def _columns(X, weight: np.ndarray, table_rows: np.ndarray | None) -> _Columns:
    """The columns that rows touch and that are no larger than usual."""
    statistics = column_statistics(X, weight, table_rows)
    means, deviations = statistics.of_nonzeros()
    # Of columns that share a row of the tables a row may touch several.
    is_full = (statistics.touched >= _ALL * statistics.weight) & (table_rows is None)
    with np.errstate(over="ignore"):
        sizes = np.where(is_full, deviations, np.hypot(means, deviations))
    chosen = (statistics.touched > 0) & (sizes <= _LARGEST_COLUMN)
    numbers = np.where(chosen, np.cumsum(chosen) - 1, -1)
    means = np.where(is_full, means, 0)[chosen]
    return _Columns(numbers if table_rows is None else numbers[table_rows], means)


def _pieces(X, scores: Scores, weight: np.ndarray, columns: _Columns, stride: int) -> Iterator[_Piece]:
    """The rows in pieces, or one of so many rows, in the columns that have numbers."""
    n_columns, n_outputs = columns.means.size, scores.residuals.shape[1]
    for first, whole in row_pieces(X):
        kept = np.arange(0, whole.shape[0], stride)
        n_pieces = -(-whole.nnz * n_outputs // (stride * _ENTRIES))
        for rows in np.array_split(kept, max(min(n_pieces, kept.size), 1)):
            piece = whole[rows]
            numbers = columns.numbers[piece.indices]
            looked_at, numbers = numbers >= 0, np.maximum(numbers, 0)
            data = np.where(looked_at, piece.data - columns.means[numbers], 0)
            of_rows = first + rows
            yield _Piece(
                sparse.csr_array((data, numbers, piece.indptr), shape=(rows.size, n_columns)),
                weight[of_rows],
                weight[of_rows, None] * scores.residuals[of_rows],
                weight[of_rows, None] * scores.curvature[of_rows],
            )


def _effects(pieces: Iterator[_Piece], shape: tuple[int, int]) -> _Effects:
    residuals, squares, sums = np.zeros((3, *shape))
    total = np.zeros(shape[1])
    for piece in pieces:
        residuals += piece.X.T @ piece.residuals
        squares += piece.X.power(2).T @ piece.curvature
        sums += piece.X.T @ piece.curvature
        total += piece.curvature.sum(axis=0)
    # The intercept takes what is the same in all rows.
    information = squares - np.square(sums) / np.where(total > 0, total, 1)
    return _Effects(residuals, np.maximum(information, _CONSTANT * squares))


def _most_likely(effects: _Effects) -> float:
    """The precision under which the residuals of the columns are most likely."""
    residuals, information = effects
    heard = information > 0
    information = information[heard]
    squares = np.square(residuals[heard]) / information

    def log_likelihood(step: int) -> float:
        precision = 2.0 ** (step / _AN_OCTAVE)
        variance = 1 + information / precision
        return -0.5 * float((np.log(variance) + squares / variance).sum()) - abs(np.log(precision))

    first, last = (round(_AN_OCTAVE * np.log2(end)) for end in (_LEAST_ALONE, _LARGEST))
    best = max(range(first, last + 1, _AN_OCTAVE), key=log_likelihood)
    near = range(max(best - _AN_OCTAVE + 1, first), min(best + _AN_OCTAVE, last + 1))
    return 2.0 ** (max(near, key=log_likelihood) / _AN_OCTAVE)


def _slope(pieces: Iterator[_Piece], effects: _Effects, precision: float) -> tuple[float, float]:
    """Slope of y on the sum of the effects by the other rows, and the share of y that this explains."""
    moments = np.zeros((5, effects.residuals.shape[1]))
    for piece in pieces:
        total = _sum_of_others(piece, effects, precision)
        residuals, curvature = piece.residuals, piece.curvature
        of_rows = np.stack(
            [
                residuals * total,
                curvature * total**2,
                curvature * total,
                curvature,
                np.divide(residuals**2, curvature, out=np.zeros_like(residuals), where=curvature > 0),
            ]
        )
        moments += of_rows.sum(axis=1)
    products, squares, sums, curvatures, there_is = moments
    shared = float(products.sum())
    varies = float((squares - sums**2 / np.where(curvatures > 0, curvatures, 1)).sum())
    if shared <= 0 or varies <= 0:
        return 0.0, 0.0
    slope = shared / varies
    return min(slope, 1.0), min(slope * shared / float(there_is.sum()), 1.0)


def _sum_of_others(piece: _Piece, effects: _Effects, precision: float) -> np.ndarray:
    """For each row the sum of the effects of its columns, by all rows but one such as it."""
    X, weight = piece.X, piece.weight
    lengths = np.diff(X.indptr)
    # Of a row of weight 2 there are two, and one of them is left.
    one = np.repeat(1 / np.maximum(weight, 1), lengths)[:, None]
    of_row = one * np.repeat(piece.residuals, lengths, axis=0) * X.data[:, None]
    known = one * np.repeat(piece.curvature, lengths, axis=0) * X.data[:, None] ** 2
    residuals = effects.residuals[X.indices] - of_row
    information = np.maximum(effects.information[X.indices] - known, 0)
    products = X.data[:, None] * residuals / (information + precision)
    sums = np.concatenate([np.zeros((1, products.shape[1])), np.cumsum(products, axis=0)])
    return sums[X.indptr[1:]] - sums[X.indptr[:-1]]
