"""One-hot rows as one id a field, for libraries that want these."""

import numpy as np


def field_of_columns(X):
    """Number of the field of each column of rows with one nonzero a field; columns without any are as before.

    The last column of a field is the one before the first that the next field uses.
    """
    (ids,), _ = field_ids(X)
    first = X.indices.reshape(ids.shape).min(axis=0)
    return np.searchsorted(np.sort(first)[1:], np.arange(X.shape[1]), side="right")


def field_ids(*matrices):
    """Ids (n, F) of each matrix, from 0 in each field, and the number of ids of each field.

    Every row must have exactly one nonzero a field, in columns of its own.
    """
    n_fields = matrices[0].indptr[1]
    columns = []
    for X in matrices:
        if not np.array_equal(np.diff(X.indptr), np.full(X.shape[0], n_fields)):
            raise ValueError("rows have different numbers of nonzeros: they are not one id a field")
        columns.append(np.sort(X.indices.reshape(-1, n_fields), axis=1))
    first = np.min([ids.min(axis=0) for ids in columns], axis=0)
    last = np.max([ids.max(axis=0) for ids in columns], axis=0)
    if np.any(last[:-1] >= first[1:]):
        raise ValueError("fields share columns")
    return [ids - first for ids in columns], last - first + 1
