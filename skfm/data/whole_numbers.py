"""Whole numbers from 2**53 on, of which several are one number among floats."""

from __future__ import annotations

import contextlib
import decimal
import numbers
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

# Whole numbers from here on are not all floats.
EXACT = 2.0**53
# Largest finite double.
LARGEST = int(np.finfo(np.float64).max)
_LEAST_DIGITS = 16


class Merged(NamedTuple):
    """Two different whole numbers of a column that are one float, and their rows."""

    value: Any
    row: int
    other: Any
    other_row: int
    column: int = 0

    def __str__(self) -> str:
        return f"{self.value} at row {self.row} and {self.other} at row {self.other_row}, which are one float"


def merged(values) -> Merged | None:
    """The first two of an array or a sparse matrix that are different and would be one float; or None."""
    if getattr(values, "dtype", np.dtype(object)).kind == "f":
        return None
    if sparse.issparse(values):
        entries = sparse.coo_array(values)
        at, found = _large(entries.data)
        row, column = entries.coords
        rows, columns = row[at], column[at]
    else:
        values = np.asarray(values)
        at, found = _large(values.ravel())
        rows, columns = np.divmod(at, max(values.size // max(len(values), 1), 1))
    if not found.size:
        return None
    # Sorted by column and value, and the first rows of each value.
    different, number = np.unique(found, return_inverse=True)
    order = np.lexsort((number, columns))
    is_first = np.append(True, (np.diff(columns[order]) != 0) | (np.diff(number[order]) != 0))
    number, columns, rows = (of_entries[order[is_first]] for of_entries in (number, columns, rows))
    floats = different.astype(np.float64)[number]
    same = np.flatnonzero((np.diff(floats) == 0) & (np.diff(columns) == 0))
    if not same.size:
        return None
    pair = slice(same[0], same[0] + 2)
    (row, value), (other_row, other) = sorted(
        zip(rows[pair].tolist(), different[number[pair]].tolist(), strict=True)
    )
    return Merged(value, row, other, other_row, int(columns[same[0]]))


def holds_large(values: np.ndarray) -> bool:
    """Whether an array has whole numbers that may be no float."""
    return bool(_large(values.ravel())[0].size)


def first_inexact(values: np.ndarray) -> int | None:
    """Where an array of numbers, or of text of such, first has a whole one that is no float; or None."""
    at, found = _large(values.ravel())
    numbers = zip(at.tolist(), found.tolist(), strict=True)
    return next((position for position, number in numbers if int(float(number)) != number), None)


def _large(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where whole numbers are that may be no float, or text of such, and these."""
    if values.dtype.kind in "iu":
        at = np.flatnonzero((values >= EXACT) | (values <= -EXACT))
        return at, values[at]
    whole = map(_large_whole, values.tolist()) if values.dtype.kind in "OUS" else ()
    found = {position: value for position, value in enumerate(whole) if value is not None}
    return np.fromiter(found, np.intp, len(found)), np.array(list(found.values()), dtype=object)


def _large_whole(value) -> int | None:
    """A value as the whole number that it says, where that may be no float."""
    if isinstance(value, str | bytes) and len(value) >= _LEAST_DIGITS:
        with contextlib.suppress(ValueError):
            value = int(value)
    if isinstance(value, decimal.Decimal):
        is_whole = value.is_finite() and value == value.to_integral_value()
    else:
        # numpy.timedelta64 calls itself a whole number.
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, np.timedelta64)
    return int(value) if is_whole and EXACT <= abs(int(value)) <= LARGEST else None
