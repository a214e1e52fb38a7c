"""Checks of X, y and weights that name the cause, the place and the remedy; and canonical CSR."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import contextmanager
from itertools import chain
from numbers import Rational
from typing import Any

import numpy as np
from scipy import sparse

# Ids are int32, tables are a little longer than this, and numbers past their end mean "nowhere".
_MOST_COLUMNS = 2**31 - 2**28
_LARGEST_WEIGHT = 1e100
# Most characters of a value in a message; and names and values in one.
_SHOWN = 80
_QUOTED = r"(?<!\w)b?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"


def shown(value) -> str:
    """A value in a message."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        text = hex(value)
    if len(text) <= _SHOWN:
        return text
    text = text[:_SHOWN]
    (quote,) = re.findall(r"['\"]", re.sub(_QUOTED, "", text))[:1] or [""]
    return f"{text}...{quote}"


def check_finite(X, column_names=None) -> None:
    """Raise ValueError naming the first row and column of X that is NaN or infinite."""
    # What comes after the last row of a matrix is no entry.
    data = X.data[: X.indptr[-1]] if sparse.issparse(X) else X
    # The sum is finite unless an entry is not, or it overflows: only then look at every entry.
    with np.errstate(over="ignore", invalid="ignore"):
        if data.dtype.kind not in "fc" or np.isfinite(data.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(data))
    if bad.size == 0:
        return
    if sparse.issparse(X):
        row = int(np.searchsorted(X.indptr, bad[0], side="right")) - 1
        column = int(X.indices[bad[0]])
        value = X.data[bad[0]]
    else:
        row, column = (int(i) for i in np.unravel_index(bad[0], X.shape))
        value = X[row, column]
    what = "NaN" if np.isnan(value) else "infinity (inf)"
    name = "" if column_names is None else f" ({column_names[column]!r})"
    remedy = "Clip such values first, with numpy.clip for instance"
    if np.isnan(value):
        remedy = "Impute missing values first, with sklearn.impute.SimpleImputer for instance"
        # An encoder takes frames and arrays.
        if column_names is not None or not sparse.issparse(X):
            remedy += ", or fit with encoder=skfm.FieldEncoder(), which takes missing values"
    raise ValueError(
        f"Input X contains {what} at row {row}, column {column}{name}. {remedy}, or drop the row."
    )


def canonical_csr(X) -> sparse.csr_array:
    """CSR array with sorted indices, summed duplicates and no explicit zeros; X is left alone."""
    if sparse.issparse(X):
        copied = X.format != "csr"
        out = sparse.csr_array(X)
        if not out.has_canonical_format:
            # A narrow dtype does not hold sums.
            out = out if copied and out.dtype.kind == "f" else out.astype(_floats(out.dtype))
            out.sum_duplicates()
            copied = True
        if out.data.size and not np.all(out.data):
            out = out if copied else out.copy()
            out.eliminate_zeros()
    else:
        out = _csr_of_dense(np.asarray(X))
    if out.shape[1] > _MOST_COLUMNS:
        raise ValueError(
            f"X has {out.shape[1]} columns; skfm supports up to {_MOST_COLUMNS}. Hash the columns."
        )
    return out.astype(_floats(out.dtype), copy=False)


def _floats(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


# Of compressed formats: what `indptr` has an entry for, and what `indices` names.
_MAJOR_MINOR = {
    "csr": ("row", "column"),
    "csc": ("column", "row"),
    "bsr": ("block row", "block column"),
}
_REMEDY = "Correct its arrays or its shape."


def checked_structure(X, name: str = "X"):
    """A sparse matrix whose entries are somewhere, in a dtype that holds the sum of entries of one place.

    Booleans of one place are one boolean, as in the dense matrix.

    SciPy takes the arrays that it is given, and on wrong ones it crashes or reads what is not theirs.

    Raises
    ------
    ValueError
        Naming the array, and the place of the entry.
    """
    if X.ndim != 2:
        return X
    if X.format in _MAJOR_MINOR:
        _check_compressed(X, name)
    elif X.format in _CHECKS:
        _CHECKS[X.format](X, name)
    if X.dtype == bool and X.format in ("coo", "csr", "csc", "bsr") and not X.has_canonical_format:
        # Of booleans the sum is one: it is taken before they become numbers.
        X = X.copy() if X.format in ("csr", "csc") else X.tocsr()
        X.sum_duplicates()
        return X
    # SciPy adds entries of one place in the dtype that they have.
    is_narrow = X.dtype.kind in "iu" and X.dtype.itemsize < 8
    return X.astype(np.int64) if is_narrow and X.format in ("coo", "bsr") else X


def _check_compressed(X, name: str) -> None:
    (major, minor), shape = _MAJOR_MINOR[X.format], np.array(X.shape)
    _check_values(X.data, 3 if X.format == "bsr" else 1, name)
    blocks = X.data.shape[1:] or (1, 1)
    if 0 in blocks or (shape % blocks).any():
        raise ValueError(f"{name} has shape {X.shape}, and its values {X.data.shape}. {_REMEDY}")
    n_major, n_minor = (shape[::-1] if X.format == "csc" else shape) // blocks
    for array in ("indptr", "indices"):
        _check_whole(getattr(X, array), f"{array} of {name}")
    if X.indptr.size != n_major + 1:
        raise ValueError(
            f"indptr of {name} has {X.indptr.size} numbers, and with {n_major} {major}s it needs "
            f"{n_major + 1}. {_REMEDY}"
        )
    # Differences of numbers without a sign have none.
    starts = X.indptr.astype(np.int64, copy=False)
    lengths, n_entries = np.diff(starts), min(X.indices.size, len(X.data))
    if starts[0] != 0 or starts[-1] > n_entries or lengths.min(initial=0) < 0:
        bad = 0 if starts[0] != 0 else int(np.argmax((lengths < 0) | (starts[1:] > n_entries)))
        raise ValueError(
            f"{major.capitalize()} {bad} of {name} has the entries from {starts[bad]} up to "
            f"{starts[bad + 1]} of {n_entries}, by its indptr. {_REMEDY}"
        )

    # What comes after the last row is no entry.
    words = f"{major.capitalize()} {{}} of {name} has an entry in {minor}"
    _check_numbers(X.indices[: starts[-1]], n_minor, _place(starts, words))


def _place(starts: np.ndarray, words: str) -> Callable[[int], str]:
    """Where an entry is, in words, by the first entry of each row."""
    return lambda entry: words.format(int(np.searchsorted(starts, entry, side="right")) - 1)


def _check_coo(X, name: str) -> None:
    _check_values(X.data, 1, name)
    if len(X.coords) != X.ndim:
        raise ValueError(f"{name} has shape {X.shape}, and coords of {len(X.coords)} dimension(s). {_REMEDY}")
    for what, numbers, n in zip(("row", "column"), X.coords, X.shape, strict=True):
        _check_whole(numbers, f"{what} numbers of {name}")
        if numbers.shape != X.data.shape:
            raise ValueError(f"{name} has {X.data.size} values, and the {what} of {numbers.size}. {_REMEDY}")
        _check_numbers(numbers, n, f"Entry {{}} of {name} is in {what}".format)


def _check_lil(X, name: str) -> None:
    if not len(X.rows) == len(X.data) == X.shape[0]:
        raise ValueError(
            f"{name} has shape {X.shape}, lists of columns for {len(X.rows)} rows and of values for "
            f"{len(X.data)}. {_REMEDY}"
        )
    lengths, n_values = ([*map(len, lists)] for lists in (X.rows, X.data))
    if lengths != n_values:
        row = int(np.argmax(np.not_equal(lengths, n_values)))
        raise ValueError(
            f"Row {row} of {name} has {lengths[row]} columns and {n_values[row]} values. {_REMEDY}"
        )
    columns = [*chain.from_iterable(X.rows)]
    numbers = np.array(columns) if columns else np.zeros(0, np.int64)
    _check_whole(numbers, f"lists of columns of {name}")
    _check_numbers(
        numbers, X.shape[1], _place(np.cumsum([0, *lengths]), f"Row {{}} of {name} has an entry in column")
    )


def _check_dok(X, name: str) -> None:
    for key, _ in X.items():
        if not all(isinstance(number, int | np.integer) for number in key) or not all(
            0 <= number < n for number, n in zip(key, X.shape, strict=True)
        ):
            raise ValueError(f"{name} has shape {X.shape}, and an entry at {key}. {_REMEDY}")


def _check_dia(X, name: str) -> None:
    _check_values(X.data, 2, name)
    _check_whole(X.offsets, f"offsets of {name}")
    if len(np.unique(X.offsets)) != len(X.data):
        raise ValueError(
            f"{name} has the values of {len(X.data)} diagonals, and {len(np.unique(X.offsets))} different "
            f"offsets. {_REMEDY}"
        )


_CHECKS = {"coo": _check_coo, "lil": _check_lil, "dok": _check_dok, "dia": _check_dia}


def _check_values(data, ndim: int, name: str) -> None:
    if not isinstance(data, np.ndarray) or data.ndim != ndim or data.dtype.kind not in "biufc":
        raise ValueError(f"data of {name} is {_kind(data)}, no numbers in {ndim} dimension(s). {_REMEDY}")


def _check_whole(numbers, what: str) -> None:
    is_vector = isinstance(numbers, np.ndarray) and numbers.ndim == 1
    if not is_vector or numbers.dtype.kind not in "iu" or not np.can_cast(numbers.dtype, np.int64):
        raise ValueError(f"{what} is {_kind(numbers)}, no vector of whole numbers up to int64. {_REMEDY}")


def _kind(value) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    return f"a {type(value).__name__}"


def _check_numbers(numbers: np.ndarray, n: int, place: Callable[[int], str]) -> None:
    """Raise ValueError where one is not in [0, n), named by its place."""
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < n):
        entry = int(np.argmax((numbers < 0) | (numbers >= n)))
        raise ValueError(f"{place(entry)} {numbers[entry]}, of which there are {n}. {_REMEDY}")


def _csr_of_dense(X: np.ndarray) -> sparse.csr_array:
    """The same as `csr_array(X)`, in a third of the time for one row."""
    rows, columns = np.nonzero(X)
    starts = np.zeros(X.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=X.shape[0]), out=starts[1:])
    index = np.int32 if X.size < 2**31 else np.int64
    parts = X[rows, columns], columns.astype(index), starts.astype(index)
    out = sparse.csr_array(parts, shape=X.shape)
    out.has_canonical_format = True
    return out


def as_objects_if_text(values):
    """An array; one of NumPy's text of any length, which few functions take, as one of objects."""
    is_text = isinstance(values, np.ndarray) and values.dtype.kind == "T"
    return values.astype(object) if is_text else values


def refuse_masked(values, name: str, remedy: str) -> None:
    """Raise ValueError if a value is masked: what stands in its place is no value."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        masked = np.ma.getmaskarray(values)
        place = place_of(masked, int(masked.argmax()))
        raise ValueError(f"{name} has a masked value at {place}. {remedy}")


def check_sample_weight(sample_weight, n_samples: int) -> np.ndarray:
    """The same as `weights_of_rows`, not all zero, and `bounded`."""
    weight = weights_of_rows(sample_weight, n_samples)
    if not weight.any():
        raise ValueError("sample_weight is zero for every row. Give some row a weight above 0.")
    return bounded(weight)


def weights_of_rows(sample_weight, n_samples: int) -> np.ndarray:
    """Float64 weights of shape (n_samples,): finite, none negative.

    Raises
    ------
    ValueError
        Naming the first offending row.
    """
    if sample_weight is None:
        return np.ones(n_samples)
    weight = weights_as_numbers(sample_weight)
    if weight.ndim == 0:
        weight = np.full(n_samples, float(weight))
    if weight.ndim != 1:
        raise ValueError(
            f"sample_weight must be 1D array or scalar, got shape {weight.shape}: give one weight for each "
            f"row of X, as a vector."
        )
    if weight.shape[0] != n_samples:
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected ({n_samples},): one weight for each row of X."
        )
    for bad, what in ((~np.isfinite(weight), "not finite"), (weight < 0, "negative")):
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"sample_weight is {what} at row {row} (value {weight[row]}). Weights must be finite and "
                f"not negative; drop the row or give it weight 0."
            )
    return weight


def weights_as_numbers(sample_weight) -> np.ndarray:
    """Weights in float64.

    Raises
    ------
    ValueError
        If there are other values than real numbers, naming the first of them.
    """
    refuse_masked(
        sample_weight, "sample_weight", "Give 0 there, with sample_weight.filled(0), or drop the row."
    )
    remedy = "Give a vector of numbers, one for each row of X."
    if sparse.issparse(sample_weight) or isinstance(sample_weight, str | bytes | dict):
        raise ValueError(f"sample_weight is a {type(sample_weight).__name__}. {remedy}")
    try:
        values = as_objects_if_text(np.asarray(sample_weight))
    except ValueError:
        raise ValueError(f"sample_weight has rows of several lengths. {remedy}") from None
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.ndim and values.dtype.kind in "OUS":
        found = first_no_number(values)
        if found is None:
            return values.astype(np.float64)
        row, value = found
        if isinstance(value, Rational):
            raise ValueError(
                f"sample_weight holds {shown(value)} at row {row}, beyond the range of floats. Divide all "
                f"weights by one number."
            )
        raise ValueError(f"sample_weight holds {shown(value)} at row {row}, which is no number. {remedy}")
    what = f"values of type {values.dtype}" if values.ndim else f"a {type(sample_weight).__name__}"
    raise ValueError(f"sample_weight is {what}, no real numbers. {remedy}")


def first_no_number(values: np.ndarray) -> tuple[int, Any] | None:
    """Row and value of the first that is no number."""
    position = where_no_number(values)
    return None if position is None else (row_of(values, position), values.ravel().tolist()[position])


def where_no_number(values: np.ndarray) -> int | None:
    """Position of the first that floats have no word for; None, which is NaN for NumPy, has one."""
    if values.dtype.kind not in "OUS":
        return None
    for position, value in enumerate(values.ravel().tolist()):
        try:
            value is None or float(value)
        except (TypeError, ValueError, OverflowError):
            return position
    return None


def check_weights_of_part(sample_weight) -> None:
    """Raise ValueError if weights of a part of the rows would be scaled, unlike those of others."""
    weight = weights_as_numbers(sample_weight)
    if bounded(weight) is not weight:
        raise ValueError(
            f"sample_weight reaches {weight.max():g} in this part of the rows, and the largest has to be "
            f"between {1 / _LARGEST_WEIGHT:g} and {_LARGEST_WEIGHT:g}. Divide those of all parts by the same "
            f"number, and give 0 where that leaves less."
        )


def bounded(weight: np.ndarray) -> np.ndarray:
    """Weights; divided by the largest where sums and products of them would leave the range of floats."""
    largest = weight.max(initial=0)
    return weight if largest == 0 or 1 / _LARGEST_WEIGHT <= largest <= _LARGEST_WEIGHT else weight / largest


def powers_of_two(values: np.ndarray) -> np.ndarray:
    """Unit of each column in which sums and squares stay in the range of floats, and no digit is lost."""
    largest = np.abs(values).max(axis=0, initial=0)
    return np.where((largest > 1e100) | (largest < 1e-100), np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)


def standardized_values(values: np.ndarray, location, scale) -> np.ndarray:
    """``(values - location) / scale`` of each column, whatever its unit."""
    unit = powers_of_two(values)
    with np.errstate(over="ignore"):
        return (values / unit - location / unit) / (scale / unit)


def row_of(values: np.ndarray, position: int) -> int:
    """Row of the value at a position among all values of an array of shape (n,) or (n, m)."""
    return position // max(values.size // len(values), 1)


def place_of(values: np.ndarray, position: int, names=None) -> str:
    """The same in words, with the column, and its name where there are `names`, of several columns."""
    row, n_columns = row_of(values, position), values[:1].size
    if n_columns < 2:
        return f"row {row}"
    column = position % n_columns
    return f"row {row}, column {column}" + ("" if names is None else f" ({names[column]!r})")


# Where messages of checks say in which row something is.
_AT_ROW = re.compile(rf"{_QUOTED}|(\bat |\()row (\d+)")


def rows_named(message: str) -> list[int]:
    """The rows that a message names."""
    return [int(found[2]) for found in _AT_ROW.finditer(message) if found[2]]


def with_rows(message: str, number: Callable[[int], Any]) -> str:
    """A message with other numbers of the rows that it names."""
    return _AT_ROW.sub(
        lambda found: f"{found[1]}row {number(int(found[2]))}" if found[2] else found[0], message
    )


def renumbered(message: str, numbers: np.ndarray | None) -> str:
    """A message that has, in place of a row's number, that among `numbers`; None for the same."""
    if numbers is None:
        return message
    return with_rows(message, lambda row: numbers[row] if row < len(numbers) else row)


@contextmanager
def renumbering(numbers: np.ndarray | None):
    """Let errors that name a row have its number among `numbers`, which rows of a user's these are."""
    try:
        yield
    except (ValueError, TypeError) as error:
        error.args = tuple(renumbered(arg, numbers) if isinstance(arg, str) else arg for arg in error.args)
        raise


def first_row(bad: np.ndarray) -> int:
    """Row of the first True in a boolean array of shape (n,) or (n, m)."""
    return int(np.argmax(bad.reshape(bad.shape[0], -1).any(axis=1)))


def row_pieces(X):
    """Pieces ``(first row, csr_array)`` of a matrix: a CSR matrix is one, rows on disk are several."""
    return iter([(0, X)]) if sparse.issparse(X) else X.pieces()
