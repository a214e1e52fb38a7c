"""Identical rows become one row with their summed weight."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def merge_duplicates(X: sparse.csr_array, y: np.ndarray, weight: np.ndarray):
    """Merge rows that are equal in X and y; the result does not depend on the order of the rows.

    Training on the whole data set at once thus gives the same bits for a weight of 2 and for the row
    twice: rounding errors, which a non-convex objective would blow up, never differ. It is also faster
    where rows repeat. O(nnz + n log n).

    Parameters
    ----------
    X : canonical csr_array (n, d)
    y : (n,) or (n, m), any sortable dtype
    weight : (n,)

    Returns
    -------
    X, y, weight
        One row of each kind.
    """
    if X.shape[0] == 0:
        return X, y, weight
    # NumPy < 2.1 takes no axis for objects, such as class names.
    axis = 0 if y.ndim > 1 else None
    codes = np.unique(y, axis=axis, return_inverse=True)[1].reshape(-1).astype(np.uint64)
    keys = np.stack([_row_hashes(X, seed) + codes * _ODD[seed] for seed in (0, 1)], axis=1)
    _, first, kind = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    kind = kind.reshape(-1)
    # With 128 bits a collision will not be seen; merging different rows would be silent, so look.
    if not _rows_equal(X, first[kind]):
        return X, y, weight
    # Rounding depends on the order of a sum: weights are added up in their own.
    order = np.lexsort((weight, kind))
    return X[first], y[first], np.bincount(kind[order], weights=weight[order])


_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


def _row_hashes(X: sparse.csr_array, seed: int) -> np.ndarray:
    """One 64-bit hash a row: the sum of the hashes of its nonzeros."""
    bits = np.ascontiguousarray(X.data, dtype=np.float64).view(np.uint64)
    hashes = (X.indices.astype(np.uint64) + np.uint64(1)) * _ODD[seed]
    for shift in (29, 32, 30):
        hashes = (hashes ^ bits ^ (hashes >> np.uint64(shift))) * _ODD[1 - seed]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)])
    return sums[X.indptr[1:]] - sums[X.indptr[:-1]]


def _rows_equal(X: sparse.csr_array, other: np.ndarray) -> bool:
    """Whether each row equals the row `other` names."""
    changed = np.flatnonzero(other != np.arange(X.shape[0]))
    left, right = X[changed], X[other[changed]]
    return (
        np.array_equal(left.indptr, right.indptr)
        and np.array_equal(left.indices, right.indices)
        and np.array_equal(left.data, right.data)
    )
