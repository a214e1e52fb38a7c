"""Sums of a table over the entries of sparse rows."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from skfm.native import library


class Entries(NamedTuple):
    """Those of rows, in the arrays that a csr_array has."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


class Columns(NamedTuple):
    """What becomes of the entries of each column.

    Attributes
    ----------
    ids : the row of the table that each column uses, or None where each has its own
    center, scale : float64, ``(x - center) / scale`` is multiplied by the row; or None
    largest : absolute value of this that can be computed with
    """

    ids: np.ndarray | None = None
    center: np.ndarray | None = None
    scale: np.ndarray | None = None
    largest: float = np.inf


# Entries in standard units, that name the row of the table themselves.
PLAIN = Columns()


class _Rows(ctypes.Structure):
    """That of `src/rows.h`."""

    _fields_ = (
        ("n_rows", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("starts", "columns", "values", "ids", "center", "scale")),
        ("largest", ctypes.c_double),
        ("table", ctypes.c_void_p),
        ("width", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("sums", ctypes.c_void_p),
        ("pairs", ctypes.c_void_p),
        ("values_double", ctypes.c_int32),
        ("table_double", ctypes.c_int32),
    )


def as_native(X) -> Entries:
    """The entries of a csr_array, or others, in the types that native code takes."""
    of_values = np.float32 if X.data.dtype == np.float32 else np.float64
    return Entries(
        np.ascontiguousarray(X.data, of_values), np.ascontiguousarray(X.indices, np.int32), X.indptr
    )


def sums(
    X: Entries, rows: slice, columns: Columns, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Sums over the entries of each row, and over pairs of them, of rows of the table times values.

    Parameters
    ----------
    X : see `as_native`; each of its columns is one of `columns`, or of the table
    rows : some of its rows, without a step
    table : (D, W), float32 or float64, a part of the numbers of longer rows or not

    Returns
    -------
    sums, pairs : (B, W) each; or None if a value is too large
    """
    if table.strides[1] != table.itemsize or table.strides[0] % table.itemsize:
        table = np.ascontiguousarray(table)
    out = np.empty((2, rows.stop - rows.start, table.shape[1]), table.dtype)
    arrays = {
        "starts": np.ascontiguousarray(X.indptr[rows.start : rows.stop + 1], np.int64),
        "columns": X.indices,
        "values": X.data,
        "ids": None if columns.ids is None else np.ascontiguousarray(columns.ids, np.int32),
        "center": columns.center,
        "scale": columns.scale,
        "table": table,
        "sums": out[0],
        "pairs": out[1],
    }
    given = _Rows(
        n_rows=out.shape[1],
        width=table.shape[1],
        stride=table.strides[0] // table.itemsize,
        largest=columns.largest,
        values_double=X.data.dtype == np.float64,
        table_double=table.dtype == np.float64,
        **{name: None if array is None else array.ctypes.data for name, array in arrays.items()},
    )
    native: Any = library()
    return (out[0], out[1]) if native.skfm_sums(ctypes.byref(given)) else None
