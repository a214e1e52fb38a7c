"""Columns of a frame or an array: what kind each is, and its values in NumPy or plain Python."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import numbers
from collections import defaultdict
from collections.abc import Hashable, Iterator
from enum import Enum
from itertools import count
from typing import Any, NamedTuple

import narwhals.stable.v1 as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from narwhals.stable.v1.dependencies import is_pandas_dataframe, is_polars_dataframe
from scipy import sparse

from skfm.data.validate import as_objects_if_text, checked_structure, refuse_masked, shown
from skfm.data.whole_numbers import EXACT, LARGEST, holds_large, merged

# What values of a column look like, for messages, by the family of their types.
_FAMILIES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "bytes": (bytes,),
    # Before numbers: numpy.timedelta64 calls itself one.
    "durations": (datetime.timedelta, np.timedelta64),
    "numbers": (numbers.Real, np.bool_, decimal.Decimal),
    "dates": (datetime.date, np.datetime64),
    "lists": (list, tuple, set, frozenset, np.ndarray),
}
_NAMES = nw.String, nw.Categorical, nw.Enum, nw.Boolean, nw.Binary, nw.Time
# Values that Python is through with before Arrow has begun.
_FEW_ROWS = 16
# Types of pandas whose values are read as those of an array.
_WIDTHS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_AS_IN_NUMPY = {*_WIDTHS, "float32", "float64", "bool", "object"}
MIXED = "values of several types"
# Rows of a part of a column.
_PART = 1 << 16
# How a frame that is not computed yet becomes one that is.
_COMPUTE = {"dask": ".compute()", "polars": ".collect()", "pyspark": ".toPandas()", "sqlframe": ".toPandas()"}


class Column(NamedTuple):
    """One column.

    Attributes
    ----------
    name : its name
    kind : {"category", "integer", "number", "date", "list", "cross"}
    values : narwhals Series, ndarray of one dimension, or list; the two columns of a cross
    rows : row of each value, where a row may have several; else None
    first_row : of the values, where these are a part of a column
    """

    name: Any
    kind: str
    values: Any
    rows: np.ndarray | None = None
    first_row: int = 0

    def row(self, number: int) -> int:
        """Row of a value."""
        return self.first_row + number if self.rows is None else int(self.rows[number])

    def parts(self) -> Iterator[Column]:
        """The column in parts, so that less of it at a time is objects of Python."""
        columns = self.values if self.kind == "cross" else (self,)
        n_values = max(len(columns[0].values), 1)
        # Each part of a column of categories has all of them.
        size = n_values if any(_has_categories(column.values) for column in columns) else _PART
        return (self._part(start, start + size) for start in range(0, n_values, size))

    def _part(self, start: int, end: int) -> Column:
        if self.kind == "cross":
            return self._replace(values=tuple(column._part(start, end) for column in self.values))
        rows = None if self.rows is None else self.rows[start:end]
        return self._replace(values=self.values[start:end], rows=rows, first_row=start)


def _has_categories(values) -> bool:
    return not isinstance(values, np.ndarray | list) and values.dtype in (nw.Categorical, nw.Enum)


def _refuse_lazy(X) -> None:
    """Raise TypeError if X is a frame whose values are not computed yet, ValueError if names repeat."""
    # Asking narwhals takes longer than to predict a row.
    if isinstance(X, np.ndarray) or sparse.issparse(X):
        return
    if (is_pandas_dataframe(X) and X.columns.is_unique) or is_polars_dataframe(X):
        return
    library = type(X).__module__.split(".")[0]
    # Known by its name, as narwhals knows the frames of some versions of Dask only.
    is_dask = library.startswith("dask") and hasattr(X, "columns") and hasattr(X, "compute")
    if is_dask or isinstance(_known(X, pass_through=True), nw.LazyFrame):
        compute = _COMPUTE.get(library[:4] if is_dask else library, ".df()")
        chunks = " or give its partitions to partial_fit, one after another, each" if is_dask else ""
        raise TypeError(
            f"X is a {library} {type(X).__name__}, whose values are not computed yet. Call X{compute} first,"
            f"{chunks + ' with .compute()' if chunks else ''} as skfm reads values."
        )


def is_frame(X) -> bool:
    """Whether X is a DataFrame of pandas, polars or another library that narwhals knows."""
    if is_pandas_dataframe(X) or is_polars_dataframe(X):
        return True
    # That of the class: asking a lazy frame of polars for its columns is a warning.
    return hasattr(type(X), "columns") and isinstance(
        _known(X, eager_only=True, pass_through=True), nw.DataFrame
    )


def _known(X, **how):
    """A frame as narwhals sees it."""
    try:
        return nw.from_native(X, **how)
    except DuplicateError as error:
        raise ValueError(
            f"The columns of X need names that are different: {' '.join(str(error).split())}. Rename them, "
            f"or drop those that stand there twice."
        ) from None


def is_text(X) -> bool:
    """Whether an array is a table: one of text, or of objects some of which are text that is no number."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind not in "OUS":
        return False
    return any(isinstance(value, str | bytes) and not _reads_as_number(value) for value in X.ravel().tolist())


def rows_of(X):
    """X, with rows of text and other values that are lists as an array: NumPy makes text of the numbers.

    Batches of pyarrow, which narwhals does not know, are tables of one batch.

    Raises
    ------
    TypeError
        If X is a frame whose values are not computed yet, or some names of whose columns are text.
    ValueError
        If X has no rows and columns of values, or a sparse one entries that are nowhere.
    """
    _refuse_lazy(X)
    refuse_masked(
        X,
        "X",
        "Fill such values, drop the row, or fit on X.astype(float).filled(numpy.nan) with "
        "encoder=skfm.FieldEncoder(), which takes missing values.",
    )
    if sparse.issparse(X):
        X = checked_structure(X)
    if is_frame(X):
        for size, what in zip(X.shape, ("sample(s)", "feature(s)"), strict=True):
            if size == 0:
                raise ValueError(f"Found a table with 0 {what} (shape={X.shape}): at least 1 is needed.")
        _refuse_mixed_names(X)
        return X
    if type(X).__name__ == "RecordBatch" and type(X).__module__.startswith("pyarrow"):
        import pyarrow as pa

        return pa.Table.from_batches([X])
    if not isinstance(X, list | tuple):
        _refuse_without_rows(X)
        return as_objects_if_text(X)
    if not X:
        raise ValueError(f"X is an empty {type(X).__name__}: it has neither rows nor chunks of rows.")
    if len(getattr(X[0], "shape", ())) == 2:
        raise ValueError(
            f"X is a {type(X).__name__} of tables, the first a {type(X[0]).__name__}. Concatenate them, or "
            f"give one after another."
        )
    objects = objects_of(X)
    refuse_values_for_rows(objects)
    # NumPy makes floats of whole numbers beside floats.
    if not is_text(objects) and not holds_large(objects):
        with contextlib.suppress(ValueError):  # lists among numbers
            objects = np.asarray(X)
    _refuse_without_rows(objects)
    return objects


def _refuse_mixed_names(X) -> None:
    """Raise TypeError if some names of columns are text: scikit-learn, which does, has a remedy for few."""
    kinds = [type(name) for name in X.columns]
    if str in kinds and len(set(kinds)) > 1:
        column = next(column for column, kind in enumerate(kinds) if kind is not str)
        name, text = X.columns[column], X.columns[kinds.index(str)]
        raise TypeError(
            f"Column {column} of X is named {shown(name)}, of type {type(name).__name__}, while others are "
            f"text, such as {shown(text)}. Make text of all: X.columns = [str(name) for name in X.columns]."
        )


def objects_of(values) -> np.ndarray:
    """A list as an array of objects: of lists where these are of several lengths."""
    try:
        return np.asarray(values, dtype=object)
    except ValueError:  # arrays of several shapes, the first axis of which is the same
        objects = np.empty(len(values), dtype=object)
        objects[:] = list(values)
        return objects


def _refuse_without_rows(X) -> None:
    """Raise ValueError if what is no list has no rows of columns."""
    if getattr(getattr(X, "dtype", None), "kind", "") == "c":
        raise ValueError(
            "Complex data not supported: X holds complex numbers. Give real and imaginary parts as columns."
        )
    if sparse.issparse(X) and X.ndim == 2:
        return
    has_no_items = not hasattr(X, "__getitem__") and not hasattr(X, "__array__")
    if isinstance(X, str | bytes | dict) or has_no_items:
        made = ": pandas.DataFrame(X)" if isinstance(X, dict) else ""
        raise ValueError(
            f"X is a {type(X).__name__}, where rows of columns are expected. Make a DataFrame, a matrix or "
            f"an array of it{made}."
        )
    shape = getattr(X, "shape", None)
    # NumPy has words for arrays of more dimensions.
    if shape is None or (len(shape) > 1 and not sparse.issparse(X)):
        return
    if not sparse.issparse(X):
        values = np.asarray(X)
        if values.dtype.names:
            raise ValueError("X is an array of records. Make a table of it: pandas.DataFrame(X).")
        if values.dtype.kind in "OUS" and values.ndim:
            refuse_values_for_rows(values.astype(object))
    raise ValueError(
        f"Expected 2D array, got {f'an array of shape {shape}' if shape else 'a scalar'}. Reshape your data: "
        f"X.reshape(-1, 1) is one column, X.reshape(1, -1) one row."
    )


def refuse_values_for_rows(rows: np.ndarray) -> None:
    """Raise ValueError if rows in one dimension are no rows of as many values each."""
    if rows.ndim != 1 or all(isinstance(row, numbers.Number) or is_missing(row) for row in rows):
        return
    first = rows[0]
    if isinstance(first, dict):
        raise ValueError("Row 0 of X is a dict. Make a table of such rows: pandas.DataFrame(list(X)).")
    if not isinstance(first, list | tuple | np.ndarray):
        raise ValueError(
            f"Row 0 of X is {shown(first)}, of type {type(first).__name__}, where a row of values is "
            f"expected. One column is rows of one value: [[value] for value in X]."
        )
    shape = np.shape(objects_of(first))
    for row, values in enumerate(rows):
        other = np.shape(objects_of(values)) if isinstance(values, list | tuple | np.ndarray) else ()
        if other != shape:
            raise ValueError(
                f"Row {row} of X has shape {other}, and row 0 has shape {shape}: all rows need as many "
                f"values. Fill or shorten it; a column of lists is pandas.DataFrame({{'name': list(X)}}), "
                f"for skfm.FieldEncoder."
            )


def _reads_as_number(value) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def is_of_numbers(X) -> bool:
    """Whether all columns of a frame hold numbers, booleans or sparse numbers."""
    return all(map(_is_of_numbers, _series(X)))


def has_whole_numbers(X) -> bool:
    """Whether a frame or array of numbers may have columns of whole numbers, none of them sparse."""
    if isinstance(X, np.ndarray):
        return X.ndim == 2 and X.dtype.kind in "iu"
    return is_frame(X) and not any(map(_is_sparse, _series(X)))


def _series(X) -> list:
    frame = _known(X, eager_only=True)
    return [frame.get_column(name) for name in frame.columns]


def whole_numbers_of(X):
    """Names and values of the columns of a frame that may hold whole numbers beyond 2**53."""
    for values in _series(X):
        dtype = values.dtype
        if _is_sparse(values):
            if values.to_native().dtype.subtype.kind in "iu":
                yield values.name, np.asarray(values.to_native())
        elif dtype in (nw.Object, nw.Decimal, nw.Int128, nw.UInt128):
            yield values.name, objects_of(values.to_list())
        elif dtype.is_integer():
            yield values.name, (values.fill_null(0) if values.is_null().any() else values).to_numpy()


def values_of(X) -> list[tuple[Any, list]]:
    """Names and values of the columns of a frame, as Python has them."""
    return [(values.name, values.to_list()) for values in _series(X)]


def _is_of_numbers(values) -> bool:
    if _is_sparse(values):
        return values.to_native().dtype.subtype.kind in "biuf"
    if values.dtype.is_numeric() or values.dtype == nw.Boolean:
        return True
    return values.dtype == nw.Object and all(
        isinstance(value, numbers.Number | np.bool_) or is_missing(value) for value in values.to_list()
    )


def _is_sparse(values) -> bool:
    """Whether a column is one of pandas's sparse ones, which narwhals does not know."""
    return _is_sparse_dtype(getattr(values.to_native(), "dtype", ""))


def _is_sparse_dtype(dtype) -> bool:
    return str(dtype).startswith("Sparse")


def sparse_of(X):
    """X; a frame of pandas with sparse columns as one of which zeros alone are not stored."""
    if not is_pandas_dataframe(X):
        return X
    dtypes = set(X.dtypes)
    of_sparse = [dtype for dtype in dtypes if _is_sparse_dtype(dtype)]
    is_stored = len(of_sparse) == len(dtypes) and all(dtype.fill_value == 0 for dtype in of_sparse)
    for name, dtype in X.dtypes.items() if of_sparse else ():
        if _is_sparse_dtype(dtype) and dtype.subtype.kind == "c":
            raise ValueError(
                f"Complex data not supported: column {name!r} of X holds complex numbers. Give real and "
                f"imaginary parts as two columns."
            )
    if not of_sparse or is_stored:
        return X
    import pandas as pd

    def stored(column):
        # From one sparse dtype to another, pandas 2.2 changes what is not stored.
        return pd.arrays.SparseArray(column.to_numpy(np.float64, na_value=np.nan), fill_value=0.0)

    columns = {number: stored(X.iloc[:, number]) for number in range(X.shape[1])}
    return pd.DataFrame(columns, index=X.index).set_axis(X.columns, axis=1)


def take_rows(X, chosen: np.ndarray):
    """Some rows of a frame, an array or a matrix, by a mask."""
    if is_frame(X):
        frame = _known(X, eager_only=True)
        try:
            return frame.filter(chosen.tolist()).to_native()
        except NotImplementedError:  # types of Arrow whose values it cannot pick
            ends = np.flatnonzero(np.diff(chosen, prepend=False, append=False)).tolist()
            pieces = zip(ends[::2], ends[1::2], strict=True)
            return nw.concat([frame[start:end] for start, end in pieces]).to_native()
    return X.tocsr()[chosen] if sparse.issparse(X) else np.asarray(X)[chosen]


def columns_of(X) -> list[Column]:
    """The columns of a frame, or of an array of two dimensions, with their kinds.

    Raises
    ------
    TypeError
        If a column is of a type that cannot be encoded.
    """
    if not is_frame(X):
        return [_column(f"x{number}", X[:, number]) for number in range(X.shape[1])]
    if len(X) <= _FEW_ROWS and is_pandas_dataframe(X):
        return [_column_of_few(name, values) for name, values in X.items()]
    frame = _known(X, eager_only=True)
    return [_column(name, _readable(frame.get_column(name))) for name in frame.columns]


def _column(name, values) -> Column:
    return Column(name, _kind(name, values), values)


def _column_of_few(name, values) -> Column:
    """A column of pandas with few values, which Python has read before narwhals has looked at their type."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.name in _AS_IN_NUMPY:
        return _column(name, values.to_numpy())
    if dtype.name in ("str", "string"):
        return _column(name, values.to_numpy(object))
    if dtype.name == "category" and dtype.categories.dtype.kind in "biufO":
        # As objects at once all categories would be converted.
        categories, out = values.cat.categories, np.empty(len(values), dtype=object)
        found = (None if code < 0 else categories[code] for code in values.cat.codes.to_list())
        out[:] = [_as_python(value) for value in found]
        return Column(name, "category", out)
    return _column(name, _readable(_known(values.to_frame(), eager_only=True).get_column(name)))


def _readable(values):
    """A series, or an array in place of one whose type narwhals does not know."""
    if _is_sparse(values):
        return np.asarray(values.to_native())
    is_wide = values.dtype in (nw.Int128, nw.UInt128)
    if is_wide or (values.dtype == nw.Unknown and not _is_null(values)):
        out = np.empty(len(values), dtype=object)
        out[:] = values.to_list()
        return out
    return values


def _kind(name, values) -> str:
    """Kind of a column, from its dtype; where that says nothing, from the type of its first value."""
    dtype = values.dtype
    if isinstance(values, np.ndarray):
        if dtype.kind == "O":
            return _kind_of_objects(name, values)
        kinds = {"f": "number", "i": "integer", "u": "integer", "M": "date", "m": "number"}
        kinds |= dict.fromkeys("bUS", "category")
        kind = "category" if dtype == np.uint64 else kinds.get(dtype.kind)
    elif isinstance(dtype, _NAMES):
        return "category"
    elif dtype == nw.Object:
        return _kind_of_objects(name, values)
    elif dtype.is_integer():
        # Numbers of 64 bits without a sign are names, and do not fit with other whole numbers.
        kind = "category" if dtype == nw.UInt64 else "integer"
    elif dtype.is_numeric() or dtype == nw.Duration:
        kind = "number"
    elif dtype in (nw.Date, nw.Datetime):
        kind = "date"
    elif dtype in (nw.List, nw.Array):
        kind = "list"
    else:
        # All values of a column without a type are missing.
        kind = "category" if _is_null(values) else None
    if kind is None:
        shown = values.to_native().dtype if dtype == nw.Unknown else dtype
        raise TypeError(f"Column {name!r} is of type {shown}, which has no encoding. Convert or drop it.")
    return kind


def _is_null(values) -> bool:
    return values.dtype == nw.Unknown and bool(values.is_null().all())


def _kind_of_objects(name, values) -> str:
    """Kind of a column of objects, whatever the order of its rows."""
    values = as_list(values)
    value = next((value for value in values if not is_missing(value)), None)
    if value is None:
        return "category"
    family = family_of(
        name, value, 0 if value is values[0] else next(row for row, one in enumerate(values) if one is value)
    )
    if family == "numbers":
        return _kind_of_numbers([value for value in values if not is_missing(value)])
    return {"dates": "date", "durations": "number", "lists": "list"}.get(family, "category")


def _kind_of_numbers(values: list) -> str:
    """Kind of a column of objects that begins with a number; booleans among other numbers are 0 and 1."""
    is_bool = [isinstance(value, bool | np.bool_) for value in values]
    if all(is_bool) or (is_bool[0] and not all(isinstance(value, _FAMILIES["numbers"]) for value in values)):
        return "category"
    whole = [value for value in values if isinstance(value, numbers.Integral | np.bool_)]
    # numpy.timedelta64 calls itself one.
    if len(whole) < len(values) or any(isinstance(value, np.timedelta64) for value in whole):
        return "number"
    return "integer" if all(-(2**63) <= int(value) < 2**63 for value in whole) else "category"


def as_list(values) -> list:
    """Values as Python objects."""
    if isinstance(values, list):
        return values
    return values.tolist() if isinstance(values, np.ndarray) else values.to_list()


def is_missing(value) -> bool:
    """Whether a value is None, NaN, pandas.NA or NaT."""
    if value is None:
        return True
    if isinstance(value, list | tuple | np.ndarray | set | frozenset):
        return False
    if isinstance(value, decimal.Decimal):  # a signalling NaN cannot be compared
        return value.is_nan()
    different = value != value
    return different is True or different is np.True_ or type(different).__name__ == "NAType"


def missing_of(column: Column) -> np.ndarray:
    """Which values of a column are missing."""
    values = column.values
    if not isinstance(values, np.ndarray | list):
        missing = values.is_null()
        return (missing | values.is_nan() if values.dtype.is_float() else missing).to_numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuSU":
        return np.zeros(values.shape[:1], dtype=bool)
    if isinstance(values, np.ndarray) and values.dtype.kind in "fmM" and values.ndim == 1:
        return values != values
    return np.fromiter(map(is_missing, values), bool, len(values))


def family_of(name, value, row: int | None = None) -> str:
    """What a value is: values of two families are never equal.

    Values that can be hashed and compared are a family for each type, such as intervals.

    Raises
    ------
    TypeError
        If the value is something that cannot be encoded.
    """
    where = "" if row is None else f" at row {row}"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        raise TypeError(
            f"Column {name!r} holds {shown(value)}{where}, an array without dimensions. Take its value with "
            f".item() first."
        )
    for family, types in _FAMILIES.items():
        if isinstance(value, types):
            return family
    kind = type(value)
    if kind.__module__.startswith("pandas") and kind.__name__ == "Period":
        return "dates"
    # An object that is equal to itself alone would be new at prediction.
    can_be_compared = isinstance(value, Hashable) and any("__eq__" in vars(one) for one in kind.__mro__[:-1])
    if (can_be_compared or isinstance(value, Enum)) and not isinstance(value, complex | np.complexfloating):
        return f"values of type {kind.__name__}"
    raise TypeError(
        f"Column {name!r} holds {shown(value)}{where}, of type {kind.__name__}, which has no encoding: the "
        f"argument must be a string or a number, or a value that can be hashed and compared. Convert it to "
        f"text, numbers or dates, or drop the column."
    )


def unique_values(column: Column, mixes: bool = False) -> tuple[list, np.ndarray, str | None]:
    """Different values in the order of their first appearance, the number of each row's, and their family.

    Missing values are None, once. The family of values of several ones, where the column `mixes` them, is
    `MIXED`.

    Raises
    ------
    ValueError
        If values are of different families.
    """
    dictionary = _arrow_dictionary(column.values)
    if dictionary is not None:
        found, numbers_ = dictionary
        if len(found) > 1 and type(found[0]) is str:
            return found, numbers_, "text"
    elif (whole := _whole_array(column.values)) is not None:
        different, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
        order = np.argsort(first)
        place = np.empty(order.size, dtype=np.int32)
        place[order] = np.arange(order.size, dtype=np.int32)
        return different[order].tolist(), place[inverse], "numbers"
    else:
        values = as_list(column.values)
        try:
            found = list(dict.fromkeys(values))
        except TypeError:
            values = [None if is_missing(value) else _as_python(value) for value in values]
            try:
                found = list(dict.fromkeys(values))
            except TypeError:
                raise mixed_families(column, values) from None
        number_of = {value: number for number, value in enumerate(found)}
        # NumPy's numbers are not compared with those of every other type, and NaN in a tuple not with itself.
        if any(issubclass(kind, np.generic | tuple | frozenset) for kind in set(map(type, found))):
            found = [_as_python(value) for value in found]
        numbers_ = np.fromiter(map(number_of.__getitem__, values), np.int32, len(values))
    missing = [number for number, value in enumerate(found) if type(value) is not str and is_missing(value)]
    if missing:
        # NaNs are as many different values as there are objects.
        renumber = np.arange(len(found), dtype=np.int32)
        renumber[missing] = missing[0]
        numbers_ = renumber[numbers_]
        for number in missing:
            found[number] = None
    one_of_each_type = {type(value): number for number, value in enumerate(found) if value is not None}
    families = {
        family_of(column.name, found[number], column.row(int(np.argmax(numbers_ == number))))
        for number in one_of_each_type.values()
    }
    if len(families) > 1:
        if not mixes:
            raise mixed_families(column, as_list(column.values))
        return found, numbers_, MIXED
    return found, numbers_, next(iter(families), None)


def _as_python(value):
    """A number of NumPy as one of Python, and a tuple whose missing values are None; others as they are."""
    if isinstance(value, tuple | frozenset):
        entries = [None if is_missing(entry) else _as_python(entry) for entry in value]
        return frozenset(entries) if isinstance(value, frozenset) else tuple(entries)
    is_number = isinstance(value, np.number | np.bool_) and not isinstance(value, np.timedelta64)
    return value.item() if is_number else value


def _whole_array(values) -> np.ndarray | None:
    """Whole numbers none of which is missing, of many rows, as an array; sorting is faster than hashing."""
    if isinstance(values, list) or len(values) <= _FEW_ROWS:
        return None
    if not isinstance(values, np.ndarray):
        if not values.dtype.is_integer() or values.is_null().any():
            return None
        values = values.to_numpy()
    return values if values.dtype.kind in "iu" and values.ndim == 1 else None


class Large(NamedTuple):
    """A number from 2**53 on, where a float may be one of several whole numbers.

    Attributes
    ----------
    kind : {"floats", "whole numbers"}
    """

    kind: str
    column: Any
    row: int
    value: Any

    def check(self, known: str | None) -> None:
        """Raise ValueError if others of the column are of the other kind."""
        if known not in (None, self.kind):
            is_float = self.kind == "floats"
            as_what = "as a floating-point number" if is_float else "and floating-point numbers besides"
            raise ValueError(
                f"Column {self.column!r} holds {shown(int(self.value))} at row {self.row} {as_what}, which "
                f"cannot tell whole numbers beyond 2**53 apart. Read the column as whole numbers, of "
                f"pandas's type 'Int64' if some are missing, or as text, in fit and afterwards."
            )

    def merge(self, other: Large) -> Large:
        """Of two parts of the rows."""
        other.check(self.kind)
        return self


def large_of(column: Column, found: list, numbers_: np.ndarray, family: str | None) -> Large | None:
    """The first of the different values of a column that is large; all such ones have to be of one kind."""
    first: Large | None = None
    for number, value in enumerate(found if family in ("numbers", MIXED) else ()):
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, int | float) or -EXACT < value < EXACT or value in (np.inf, -np.inf):
            continue
        kind = "floats" if isinstance(value, float) else "whole numbers"
        if first is None or kind != first.kind:
            large = Large(kind, column.name, column.row(int(np.argmax(numbers_ == number))), value)
            large.check(None if first is None else first.kind)
            first = large
    return first


def _arrow_dictionary(values) -> tuple[list, np.ndarray] | None:
    """Different values of a text or categorical column and the number of each row's, where Arrow can tell.

    All values are of one type; None is the last.
    """
    if isinstance(values, list | np.ndarray) or len(values) <= _FEW_ROWS:
        return None
    if values.dtype not in (nw.String, nw.Categorical, nw.Enum):
        return None
    try:
        import pyarrow as pa
    except ImportError:
        return None
    try:
        array = values.to_arrow()
    # Categories of several types, or text that has no UTF-8.
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeError):
        return None
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    if not (
        pa.types.is_primitive(array.type.value_type)
        or pa.types.is_string(array.type.value_type)
        or pa.types.is_large_string(array.type.value_type)
    ):
        return None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    n_values = len(array.dictionary)
    numbers_ = array.indices.fill_null(n_values).to_numpy(zero_copy_only=False).astype(np.int32)
    # Many of the dictionary may have no row here.
    used = np.bincount(numbers_, minlength=n_values + 1) > 0
    used[n_values] = True
    number_of = np.cumsum(used, dtype=np.int32) - 1
    values = array.dictionary.take(pa.array(np.flatnonzero(used[:-1])))
    return [*values.to_pylist(), None], number_of[numbers_]


def mixed_families(column, values) -> ValueError:
    """The error of values that are of several families, or cannot be compared."""
    first_of: dict[str, int] = {}
    for number, value in enumerate(values):
        if not is_missing(value):
            first_of.setdefault(family_of(column.name, value, column.row(number)), number)
    found = {
        family: f"{family} (row {column.row(first)}: {shown(values[first])})"
        for family, first in first_of.items()
    }
    if column.rows is not None and "lists" in found:
        return ValueError(
            f"Column {column.name!r} holds lists of {found['lists']}, where lists of single values are "
            f"expected. Flatten them, or make each entry of all rows a tuple, which counts as one value."
        )
    mixed = f"Column {column.name!r} mixes {' and '.join(found.values())}"
    if len(found) == 1:
        return ValueError(
            f"Column {column.name!r} holds {''.join(found.values())}, where single values are expected. Make "
            f"each a tuple, which counts as one value, or name the column in multi_hot=."
        )
    if "lists" in first_of:
        return ValueError(
            f"{mixed}. Make each value a list of text, or where all that are no lists are text, name its "
            f"separator: multi_hot={{{column.name!r}: '|'}}."
        )
    remedy = (
        "with str(value) of each for instance, or name the column in categorical= of FieldEncoder"
        if column.rows is None
        else "with str(entry) of each entry for instance"
    )
    return ValueError(f"{mixed}. Make its values of one kind first, {remedy}.")


def holds_durations(column: Column) -> bool:
    """Whether a column of numbers holds durations."""
    values = column.values
    if isinstance(values, np.ndarray):
        is_object, is_duration = values.dtype.kind == "O", values.dtype.kind == "m"
    else:
        is_object, is_duration = values.dtype == nw.Object, values.dtype == nw.Duration
    if not is_object:
        return is_duration
    return any(isinstance(value, _FAMILIES["durations"]) for value in as_list(values))


def numbers_of(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Values as numbers, and which are missing; integers stay integers, durations become seconds.

    Raises
    ------
    ValueError
        If a value is no number; the message names the row.
    """
    values = column.values
    if isinstance(values, np.ndarray):
        missing = np.zeros(values.shape[:1], bool)
    elif values.dtype == nw.Object:
        return _parsed(column, values.to_list())
    else:
        missing = values.is_null().to_numpy()
        if values.dtype.is_integer() and missing.any():
            values = values.fill_null(0)
        values = values.to_numpy()
    if values.dtype.kind in "iub" and values.ndim == 1:
        fits = values.dtype.kind != "u" or int(values.max(initial=0)) < 2**63
        return (values.astype(np.int64, copy=False) if fits else values.astype(np.float64)), missing
    if values.dtype.kind == "m" and values.ndim == 1:
        return np.where(np.isnat(values), np.nan, values / np.timedelta64(1, "s")), np.isnat(values)
    if values.dtype.kind == "f" and values.ndim == 1:
        values = values.astype(np.float64, copy=False)
        return values, np.isnan(values)
    # Dates in nanoseconds would be listed as whole numbers.
    return _parsed(column, list(values) if values.dtype.kind == "M" or values.ndim > 1 else values.tolist())


def _parsed(column, values: list) -> tuple[np.ndarray, np.ndarray]:
    """Objects as an array of numbers, and which are missing; integers stay exact."""
    missing = np.fromiter(map(is_missing, values), bool, len(values))
    plain: list = [0 if is_missing(value) else value for value in values]
    for row, value in enumerate(plain):
        family = family_of(column.name, value, row)
        if family == "durations":
            plain[row] = np.timedelta64(value) / np.timedelta64(1, "s")
        elif family != "numbers":
            raise ValueError(
                f"Column {column.name!r} holds {family} at row {row} ({shown(value)}), where numbers are "
                f"expected. Convert it first"
                + (
                    "."
                    if family == "lists"
                    else ", or make text of all its values before fit, and name it in categorical= of "
                    "FieldEncoder, not in numeric=."
                )
            )
        elif isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(
                f"Column {column.name!r} holds {shown(value)} at row {row}, which is beyond the range of "
                f"floating-point numbers. Clip it, or name the column in categorical= of FieldEncoder."
            )
    if all(isinstance(value, int | np.integer) and -(2**63) <= value < 2**63 for value in plain):
        return np.asarray(plain, dtype=np.int64), missing
    same = merged(objects_of(plain))
    if same is not None:
        raise ValueError(
            f"Column {column.name!r} holds {same}. Make whole numbers of such values, of pandas's type "
            f"'Int64' for instance, or text, or name the column in categorical= of FieldEncoder."
        )
    return np.asarray(plain, dtype=np.float64), missing


def dates_of(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Local time in milliseconds since 1970, and which values are missing."""
    values = column.values
    if not isinstance(values, np.ndarray):
        if values.dtype == nw.Datetime and values.dtype.time_zone is not None:
            values = values.dt.replace_time_zone(None)
        values = values.to_numpy()
    if values.dtype.kind == "O":
        plain = [None if is_missing(value) else value for value in values.tolist()]
        for row, value in enumerate(plain):
            if value is not None and family_of(column.name, value, row) != "dates":
                raise ValueError(
                    f"Column {column.name!r} holds {family_of(column.name, value)} at row {row} "
                    f"({shown(value)}), where dates are expected. Convert it first."
                )
        values = np.array([_without_zone(value) for value in plain], dtype="datetime64[ms]")
    if values.dtype.kind == "f" and np.isnan(values).all():
        values = np.full(values.shape, np.datetime64("NaT", "ms"))
    if values.dtype.kind != "M":
        raise ValueError(
            f"Column {column.name!r} held dates in fit and holds {values.dtype} now (row 0: {values[0]!r}). "
            f"Convert it to dates first."
        )
    values = values.astype("datetime64[ms]")
    missing = np.isnat(values)
    return np.where(missing, 0, values.astype(np.int64)), missing


def _without_zone(date):
    if hasattr(date, "to_timestamp"):  # a period
        date = date.to_timestamp()
    return date.replace(tzinfo=None) if getattr(date, "tzinfo", None) else date


def lists_of(column: Column, separator: str | None, max_length: int | None) -> tuple[Column, np.ndarray]:
    """All entries of a column of lists as a column, one after another, and how many each row has.

    Text is cut at the separator. A missing list, and a missing entry of a list, is one missing value. Of a
    list longer than `max_length` the last entries are taken.
    """
    values = as_list(column.values)
    entries: list = []
    lengths = np.zeros(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        if isinstance(value, str) and separator is not None:
            value = value.split(separator) if value else []
        elif is_missing(value):
            value = (None,)
        elif isinstance(value, np.ndarray) and value.ndim:
            value = value.tolist()
        if not isinstance(value, list | tuple | set | frozenset):
            remedy = (
                f"For text name the separator: multi_hot={{{column.name!r}: '|'}}"
                if isinstance(value, str)
                else "Make it a list of one entry"
            )
            raise ValueError(
                f"Column {column.name!r} holds {shown(value)} at row {row}, where a list is "
                f"expected. {remedy}."
            )
        if max_length is not None and len(value) > max_length:
            value = list(value)[-max_length:]
        entries.extend(value)
        lengths[row] = len(value)
    rows = np.repeat(np.arange(len(values)), lengths)
    return Column(column.name, "category", entries, rows), lengths


def numbered(name: str, values) -> tuple[np.ndarray | list, np.ndarray]:
    """Different values of a column, and the number of each row's among them.

    Raises
    ------
    ValueError
        If a value is missing, or the column is not of one dimension.
    """
    array = np.asarray(values)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        array = np.asarray(values, dtype=object)  # a NaN among text would be the text "nan"
    if array.ndim != 1:
        raise ValueError(f"{name} must have one value a row, got an array of shape {array.shape}.")
    found: np.ndarray | list
    if array.dtype.kind in "biufmM":
        found, codes = np.unique(array, return_inverse=True)
        missing = found != found
    else:
        number_of: defaultdict = defaultdict(count().__next__)
        codes = np.fromiter(map(number_of.__getitem__, array.tolist()), np.int64, array.size)
        found = list(number_of)
        missing = np.array([is_missing(value) for value in found], dtype=bool)
    if missing.any():
        row = int(np.argmax(missing[codes]))
        raise ValueError(
            f"{name} is missing at row {row}. Drop such rows, or give them a value of their own."
        )
    return found, codes
