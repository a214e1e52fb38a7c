"""How large linear effects are, by what each column tells alone: the precision of their normal prior."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.validate import row_pieces

# The precisions that are tried: powers of 2^(1/4) (benchmarks/cases/priors.py, as all constants below). No
# digit of one matters, and sums round otherwise where rows come in another order.
_LARGEST, _AN_OCTAVE = 1024.0, 4
# Columns of a larger root mean square have effects in other units.
_LARGEST_COLUMN = 4.0
# Columns that say the same add up to too much: to 20 times as much, and no more is believed.
_LEAST_SLOPE = 0.05
# Share of a column's information below which it is the same in all rows.
_CONSTANT = 1e-9
# Entries that are looked at at once.
_ENTRIES = 1 << 20


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
    """Precision a of the prior N(0, 1 / a) of linear weights, from 1 to 1024.

    Taken alone, a column's effect is its residuals / its information, with a variance of 1 / information
    about the true one. Of all columns together, that precision is best which makes their residuals most
    likely, under the hyper-prior 1 / a. Where columns say the same, effects add up to too much: each row is
    predicted by the effects that the other rows give, and effects are too large by the slope of y on their
    sum. Where much of y is explained, effects are larger than they seem. O(nonzeros times outputs).

    Parameters
    ----------
    X : canonical csr_array (n, n_columns), or `RowSpool`
    weight : (n,) sample weights; 2 is the row twice
    table_rows : (n_columns,) column that stands for each column, see `skfm.data.fields.Fields`, or None
    """
    numbers = _numbers(X, weight, table_rows)
    n_columns = int(numbers.max(initial=-1)) + 1
    if not n_columns:
        return 1.0

    def pieces():
        return _pieces(X, scores, weight, numbers)

    effects = _effects(pieces(), (n_columns, scores.residuals.shape[1]))
    precision = _most_likely(effects)
    slope, explained = _slope(pieces(), effects, precision)
    precision *= scores.dispersion * (1 - explained) ** scores.unexplained / max(slope, _LEAST_SLOPE)
    # Of this precision, so many columns explain about as much as there is.
    largest = min(_LARGEST, float(n_columns))
    return 2.0 ** (round(_AN_OCTAVE * np.log2(np.clip(precision, 1.0, largest))) / _AN_OCTAVE)


def _numbers(X, weight: np.ndarray, table_rows: np.ndarray | None) -> np.ndarray:
    """A number for each column that rows touch and that is no larger than usual, -1 for all others."""
    squares, touched = np.zeros((2, X.shape[1]))
    for first, piece in row_pieces(X):
        columns = piece.indices if table_rows is None else table_rows[piece.indices]
        weights = np.repeat(weight[first : first + piece.shape[0]], np.diff(piece.indptr))
        # A sum of whole arrays would fill the memory of columns that no row touches.
        np.add.at(touched, columns, weights)
        with np.errstate(over="ignore"):
            np.add.at(squares, columns, weights * np.square(piece.data, dtype=np.float64))
    chosen = (touched > 0) & (squares <= _LARGEST_COLUMN**2 * touched)
    numbers = np.where(chosen, np.cumsum(chosen) - 1, -1)
    return numbers if table_rows is None else numbers[table_rows]


def _pieces(X, scores: Scores, weight: np.ndarray, numbers: np.ndarray) -> Iterator[_Piece]:
    """The rows in pieces, in the columns that have numbers."""
    n_columns = int(numbers.max()) + 1
    for first, whole in row_pieces(X):
        step = max(1, _ENTRIES * whole.shape[0] // max(whole.nnz, 1))
        for start in range(0, whole.shape[0], step):
            piece = whole[start : start + step]
            rows = slice(first + start, first + start + piece.shape[0])
            columns = numbers[piece.indices]
            entries = np.where(columns >= 0, piece.data, 0).astype(np.float64), np.maximum(columns, 0)
            yield _Piece(
                sparse.csr_array((*entries, piece.indptr), shape=(piece.shape[0], n_columns)),
                weight[rows],
                weight[rows, None] * scores.residuals[rows],
                weight[rows, None] * scores.curvature[rows],
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
        return -0.5 * float((np.log(variance) + squares / variance).sum()) - np.log(precision)

    last = round(_AN_OCTAVE * np.log2(_LARGEST))
    best = max(range(0, last + 1, _AN_OCTAVE), key=log_likelihood)
    near = range(max(best - _AN_OCTAVE + 1, 0), min(best + _AN_OCTAVE, last + 1))
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
