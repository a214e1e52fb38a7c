"""Which columns form a field: found by interval stabbing, or given as labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.validate import row_pieces

# Intervals that are asked first, and rounds before all are.
_FIRST_INTERVALS = 1 << 16
_MAX_ROUNDS = 8


class Fields(NamedTuple):
    """Field of each column, and the row of the tables that it uses.

    Attributes
    ----------
    numbers : int32 ndarray of shape (n_columns,), from 0
    n : int, number of fields
    rows : int32 ndarray of shape (n_columns,), or None where each column has a row of its own
    """

    numbers: np.ndarray
    n: int
    rows: np.ndarray | None = None


def find_fields(X: sparse.csr_array) -> np.ndarray:
    """Smallest number of contiguous column blocks with at most one nonzero of a row in each.

    Two consecutive nonzeros ``a < b`` of a row need a block border in ``(a, b]``: the smallest
    set of borders stabs all these intervals. Going from left to right, the next border stands at
    the smallest right end whose interval starts at or after the last border, which is optimal.
    Borders that stab all intervals of some rows, found so, and all others as well are those of all rows: so
    the first rows are asked, and then the intervals that were missed. O(nnz + n_columns).

    Parameters
    ----------
    X : csr_array of shape (n_samples, n_columns)
        Sorted indices, no duplicates.

    Returns
    -------
    fields : ndarray of shape (n_columns,), int32
        Block number of each column, ascending from 0.
    """
    # Of all intervals that end at b, the one that starts last is the hardest to stab.
    latest_start = np.full(X.shape[1], -1, dtype=np.int32)
    numbers = np.zeros(X.shape[1], dtype=np.int32)
    for rounds in range(_MAX_ROUNDS + 1):
        missed = False
        for _, piece in row_pieces(X):
            left, right = _intervals(piece)
            asked = numbers[left] == numbers[right]
            if rounds == 0:
                asked &= np.arange(left.size) < _FIRST_INTERVALS
            elif rounds == _MAX_ROUNDS - 1:
                asked[:] = True
            missed = missed or bool(asked.any())
            np.maximum.at(latest_start, right[asked], left[asked])
        if rounds and not missed:
            break
        numbers = _blocks(np.maximum.accumulate(latest_start))
    return numbers


def _intervals(X: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Consecutive nonzeros of each row: the columns of the first ones and of the second ones."""
    lengths = np.diff(X.indptr)
    first = X.indptr[:-1][lengths > 0]
    last = first + lengths[lengths > 0] - 1
    return np.delete(X.indices, last), np.delete(X.indices, first)


def _blocks(latest_start: np.ndarray) -> np.ndarray:
    """Block number of each column; `latest_start` is where the last interval starts that ends by a column."""
    n_columns = latest_start.size
    borders = np.zeros(n_columns, dtype=np.int32)
    border = int(np.searchsorted(latest_start, np.int32(0)))
    while border < n_columns:
        borders[border] = 1
        border = int(np.searchsorted(latest_start, np.int32(border)))
    return np.cumsum(borders, dtype=np.int32)


def too_many_fields(n_fields: int, nnz_per_row: float) -> bool:
    """Whether blocks found in a matrix are no fields (text, say, has hundreds of short blocks).

    A one-hot matrix has about as many blocks as nonzeros in a row. Up to 64 blocks are kept in any
    case: dense numeric columns, each a field, are zero now and then.
    """
    return n_fields > max(64, 2 * nnz_per_row)


def field_numbers(labels, n_columns: int) -> np.ndarray:
    """Field number of each column from one label a column, numbered by first appearance.

    Raises
    ------
    ValueError
        If there is not exactly one label a column.
    """
    try:
        labels = np.asarray(labels)
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"fields holds labels that cannot be compared ({error}). Make all of them text, or whole numbers."
        ) from error
    if labels.ndim != 1 or labels.shape[0] != n_columns:
        raise ValueError(
            f"fields must hold one label for each of the {n_columns} columns of X, got an array of shape "
            f"{labels.shape}. Give one label a column, fields='auto' or fields=None."
        )
    rank = np.empty(first.size, dtype=np.int32)
    rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
    return rank[inverse]


def resolve_fields(fields, X: sparse.csr_array) -> tuple[np.ndarray, int]:
    """Field number of each column, for "auto", None (one pooled field) or labels.

    Returns
    -------
    numbers : int32 ndarray of shape (n_columns,)
    n_blocks : int
        The number of blocks that were found but are too many to be fields, so that all columns are pooled;
        else 0.
    """
    n_columns = X.shape[1]
    pooled = np.zeros(n_columns, dtype=np.int32)
    if fields is None:
        return pooled, 0
    if not isinstance(fields, str):
        return field_numbers(fields, n_columns), 0
    blocks = find_fields(X)
    n_blocks = int(blocks.max(initial=0)) + 1
    if too_many_fields(n_blocks, X.nnz / max(X.shape[0], 1)):
        return pooled, n_blocks
    return blocks, 0


def one_slot_each(X: sparse.csr_array, fields: Fields) -> bool:
    """Whether no row has two nonzeros in one field."""
    keys = np.repeat(np.arange(X.shape[0]) * fields.n, np.diff(X.indptr)) + fields.numbers[X.indices]
    seen = np.zeros(X.shape[0] * fields.n, dtype=bool)
    seen[keys] = True
    return int(np.count_nonzero(seen)) == keys.size
