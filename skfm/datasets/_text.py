"""Files of sparse rows in the formats of libsvm, libffm and libFM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch, check_array, check_consistent_length, check_scalar

from skfm.data.frames import (
    is_frame,
    is_of_numbers,
    objects_of,
    refuse_values_for_rows,
    sparse_of,
    values_of,
    whole_numbers_of,
)
from skfm.data.spool import writing
from skfm.data.validate import check_finite, checked_structure, place_of, shown, where_no_number
from skfm.data.whole_numbers import first_inexact
from skfm.datasets import _sparse_text
from skfm.datasets._arguments import rows_at_once
from skfm.datasets._sparse_text import MAX_ID, TextRows, read_rows

# More different fields than this are no fields; their number is the length of an array.
_MOST_FIELDS = 1 << 20
# Rows whose text is made at once.
_ROWS_WRITTEN = 1 << 10


def load_sparse_text(
    path, *, format="auto", n_features=None, field_sizes="auto", zero_based=True, dtype=np.float64
):
    """Read a file of sparse rows as libsvm, libffm or libFM write them.

    Each line is ``target index:value index:value ...`` (libsvm, libFM) or ``target field:index:value ...``
    (libffm). A group, as of the answers to one query, is ``qid:number`` after the target. What follows a
    ``#`` is a comment; empty lines are skipped.

    Parameters
    ----------
    path : path-like
        Files that end in .gz, .bz2 or .xz are decompressed.
    format : {"auto", "libsvm", "libfm", "libffm"}, default="auto"
        "auto" looks at the first row.
    n_features : int, default=None
        Columns of the matrix; one more than the greatest index if None. Give it for a test file.
    field_sizes : "auto", None or array-like of int of shape (n_fields,), default="auto"
        For libffm files whose indices start anew in each field: how many indices each field has. Index i of
        field f is column ``sum(field_sizes[:f]) + i``. With None an index is the column, whatever its field.
        "auto" is None, unless an index occurs with two fields and `n_features` is not given: then the sizes
        are those that the file has. Give the training file's for a test file, see the example.
    zero_based : bool, default=True
        Whether indices start at 0. Of a file whose indices start at 1, True makes a matrix with an
        empty first column, which does no harm.
    dtype : dtype, default=numpy.float64
        Of the values.

    Returns
    -------
    rows : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : csr_matrix of shape (n_samples, n_features)
            Values of an index that a row repeats are added up.
        target : ndarray of shape (n_samples,)
            int64 or uint64 where all are whole numbers that it holds, else float64.
        fields : ndarray of int of shape (n_features,), or None
            Field of each column as the file numbers them, for ``fields=`` of an estimator; 0 for columns
            that do not occur. None but for libffm.
        field_sizes : ndarray of int of shape (n_fields,), or None
            Indices of each field where they start anew in each, else None.
        groups : ndarray of int of shape (n_samples,), or None
            The numbers after ``qid:``, for ``groups=`` of `group_ndcg_score` and the like; None in a file
            without.

    Raises
    ------
    ValueError
        If a line cannot be read, some rows have a group and others not, an index is beyond `n_features` or
        the size of its field, a column has two fields, `dtype` does not hold a value, or a target would lose
        digits. The message names the file, the line and the token. Also if the file is a broken archive or
        holds no text.

    See Also
    --------
    iter_sparse_text : The same in chunks, for files larger than memory.
    dump_sparse_text : Write such a file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skfm.datasets import load_sparse_text
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "clicks.ffm"
    >>> _ = path.write_text("1 0:2:1 1:3:1\\n0 0:0:1 1:4:0.5\\n")
    >>> rows = load_sparse_text(path)
    >>> rows.data.toarray()
    array([[0. , 0. , 1. , 1. , 0. ],
           [1. , 0. , 0. , 0. , 0.5]])
    >>> rows.fields
    array([0, 0, 0, 1, 1])

    Indices that start anew in each field; the test file gets the columns of the training file:

    >>> train, test = path.with_name("train.ffm"), path.with_name("test.ffm")
    >>> _ = train.write_text("1 0:0:1 1:0:1\\n0 0:1:1 1:1:1\\n")
    >>> _ = test.write_text("1 0:0:1 1:1:1\\n")
    >>> rows = load_sparse_text(train)
    >>> rows.field_sizes, rows.fields
    (array([2, 2]), array([0, 0, 1, 1]))
    >>> load_sparse_text(test, n_features=4, field_sizes=rows.field_sizes).data.toarray()
    array([[1., 0., 0., 1.]])
    """
    pieces = list(read_rows(path, format))
    if not pieces:
        raise ValueError(f"{path} holds no rows.")
    rows = _sparse_text.join(_with_one_type(pieces, path))
    columns = find_columns([rows], n_features, field_sizes, zero_based)
    columns.path = path
    return columns.bunch(rows, dtype)


def iter_sparse_text(
    path,
    *,
    n_features=None,
    format="auto",
    field_sizes=None,
    zero_based=True,
    dtype=np.float64,
    chunk_rows=100_000,
):
    """Read a file of sparse rows chunk by chunk.

    Parameters
    ----------
    path, format, zero_based, dtype
        See `load_sparse_text`.
    n_features : int, default=None
        Columns of the matrices; needed without `field_sizes`.
    field_sizes : array-like of int of shape (n_fields,), default=None
        How many indices each field has, for libffm files whose indices start anew in each field. With None
        an index is the column.
    chunk_rows : int, default=100_000
        Rows of each chunk but the last.

    Yields
    ------
    rows : :class:`~sklearn.utils.Bunch`
        As of `load_sparse_text`, but `target` holds floats in each chunk, and `fields` those of all columns
        seen so far.

    Raises
    ------
    ValueError
        As `load_sparse_text`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skfm import FMClassifier
    >>> from skfm.datasets import iter_sparse_text
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.libsvm"
    >>> _ = path.write_text("1 0:1 2:1\\n0 1:1 2:1\\n1 0:1\\n")
    >>> model = FMClassifier(n_factors=2, random_state=0)
    >>> for rows in iter_sparse_text(path, n_features=3, chunk_rows=2):
    ...     print(rows.data.shape)
    ...     _ = model.partial_fit(rows.data, rows.target, classes=[0, 1])
    (2, 3)
    (1, 3)
    """
    if n_features is None and field_sizes is None:
        raise ValueError(
            "A file that is read in chunks needs n_features, or field_sizes where indices start anew in each "
            "field; SparseTextStream finds them in a pass over the file."
        )
    columns = Columns(n_features, field_sizes, zero_based)
    yield from read_chunks(path, format, columns, dtype, chunk_rows)


def read_chunks(path, format, columns, dtype, chunk_rows):
    """Rows of a file in chunks, in columns that know those of files before."""
    rows_at_once(chunk_rows, "chunk_rows")
    columns.path = path

    waiting: list[TextRows] = []
    for piece in read_rows(path, format):
        rows = _sparse_text.join([*waiting, _with_floats(piece, path)])
        while rows.target.size >= chunk_rows:
            chunk, rows = _sparse_text.split(rows, chunk_rows)
            yield columns.bunch(chunk, dtype)
        waiting = [rows]
    if waiting and waiting[0].target.size:
        yield columns.bunch(waiting[0], dtype)


def _with_one_type(pieces: list[TextRows], path) -> list[TextRows]:
    """Rows whose targets are all of the first type that holds them."""
    types = {piece.target.dtype for piece in pieces}
    if len(types) == 1:
        return pieces
    if np.dtype(np.float64) not in types and all(piece.target.min() >= 0 for piece in pieces):
        return [piece._replace(target=piece.target.astype(np.uint64)) for piece in pieces]
    return [_with_floats(piece, path) for piece in pieces]


def _with_floats(rows: TextRows, path) -> TextRows:
    """Rows whose targets are floats."""
    position = first_inexact(rows.target)
    if position is not None:
        raise _sparse_text.inexact_target(str(path), rows.lines[position], rows.target[position])
    return rows._replace(target=rows.target.astype(np.float64))


def dump_sparse_text(
    X, y, path, *, format="auto", fields=None, field_sizes=None, groups=None, zero_based=True
):
    """Write sparse rows as libsvm, libffm or libFM read them.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Numbers or booleans. Zeros are not written. Values are written so that float64 reads them back
        exactly.
    y : array-like of shape (n_samples,)
        Numbers or booleans.
    path : path-like
        Compressed if it ends in .gz, .bz2 or .xz.
    format : {"auto", "libsvm", "libfm", "libffm"}, default="auto"
        "auto" is libffm with `fields` or `field_sizes`, else libsvm, which is the same as libFM.
    fields : array-like of int of shape (n_features,), default=None
        Field of each column, such as ``estimator.fields_``.
    field_sizes : array-like of int of shape (n_fields,), default=None
        How many columns each field has, in their order, to write indices that start anew in each field; in
        place of `fields`.
    groups : array-like of int of shape (n_samples,), default=None
        Group of each row, written as ``qid:``.
    zero_based : bool, default=True
        Whether indices start at 0.

    Raises
    ------
    ValueError
        If X or y holds no finite numbers, fields or groups are not whole numbers, or the format has no fields
        though they are given.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skfm.datasets import dump_sparse_text
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.ffm"
    >>> dump_sparse_text([[0, 1.5], [2, 0]], [1, 0], path, fields=[0, 1])
    >>> print(path.read_text(), end="")
    1 1:1:1.5
    0 0:0:2
    """
    X, y = _as_numbers(X, "X"), _as_numbers(y, "y", ndim=1)
    check_consistent_length(X, y)
    start = 0 if zero_based else 1
    has_fields = fields is not None or field_sizes is not None
    if format == "auto":
        format = "libffm" if has_fields else "libsvm"
    if format not in _sparse_text.TOKEN_NUMBERS:
        known = ["auto", *sorted(_sparse_text.TOKEN_NUMBERS)]
        raise ValueError(f"format must be one of {known}, got {format!r}.")
    if has_fields != (format == "libffm"):
        raise ValueError(
            f"{format} has no fields: leave fields and field_sizes out, or choose format='libffm'."
            if has_fields
            else f"libffm needs fields=, the field of each of the {X.shape[1]} columns."
        )
    if field_sizes is not None:
        if fields is not None:
            raise ValueError("Give either fields or field_sizes, which says the field of each column too.")
        field_sizes = _sizes(field_sizes, X.shape[1])
        ends = np.cumsum(field_sizes)
    elif fields is not None:
        fields = _whole_numbers(fields, "fields", X.shape[1], range(MAX_ID + 1))
    if groups is not None:
        groups = _whole_numbers(groups, "groups", y.size, range(-(2**63), 2**63))

    def names(columns: np.ndarray) -> list[str]:
        if field_sizes is not None:
            of_columns = np.searchsorted(ends, columns, side="right")
            columns = columns - (ends - field_sizes)[of_columns]
        elif fields is not None:
            of_columns = fields[columns]
        else:
            return [str(index + start) for index in columns.tolist()]
        pairs = zip(of_columns.tolist(), columns.tolist(), strict=True)
        return [f"{field}:{index + start}" for field, index in pairs]

    with writing(path), _sparse_text.open_text(path, "wb") as file:
        for first in range(0, X.shape[0], _ROWS_WRITTEN):
            some = slice(first, first + _ROWS_WRITTEN)
            rows = X[some]
            heads = [_shortest(target) for target in y[some].tolist()]
            if groups is not None:
                pairs = zip(heads, groups[some].tolist(), strict=True)
                heads = [f"{head} qid:{group}" for head, group in pairs]
            nonzeros = zip(names(rows.indices), rows.data.tolist(), strict=True)
            tokens = [f"{name}:{_shortest(value)}" for name, value in nonzeros]
            ends_of_rows = rows.indptr.tolist()
            lines = [
                " ".join([head, *tokens[start_of_row:end]])
                for head, start_of_row, end in zip(heads, ends_of_rows[:-1], ends_of_rows[1:], strict=True)
            ]
            file.write(("\n".join(lines) + "\n").encode())


def _as_numbers(values, name: str, ndim: int = 2):
    """A canonical CSR matrix, or an array of one dimension: int64, uint64 or float64."""
    if values is None:
        raise ValueError(
            f"{name} is None. Give {'rows' if ndim == 2 else 'one number for each row, such as 0'}."
        )
    is_table, names = is_frame(values), getattr(values, "columns", None)
    given, values = values, sparse_of(values)
    of_objects = getattr(getattr(values, "dtype", None), "kind", None) == "O" and not sparse.issparse(values)
    if isinstance(values, list | tuple) or of_objects:
        values = _as_array(values, name, ndim)
    if sparse.issparse(values):
        values = checked_structure(values)
    dtype = getattr(values, "dtype", None)
    try:
        array = check_array(
            values, accept_sparse="csr", ensure_2d=ndim == 2, ensure_all_finite=False, input_name=name
        )
    except OverflowError as error:
        raise ValueError(f"{name} holds a number that float64 does not: {error}.") from error
    except ValueError as error:
        raise _explained(values, name, names) or error from None
    if array.dtype.kind not in "biuf":
        raise _explained(array, name, names) or ValueError(
            f"{name} must hold numbers or booleans, got {dtype or array.dtype}."
        )
    if array.ndim != ndim:
        raise ValueError(f"{name} must have one column, got shape {array.shape}.")
    kind = array.dtype.kind
    exact = np.float64 if kind == "f" else np.uint64 if array.dtype == np.uint64 else np.int64
    with np.errstate(over="ignore"):
        numbers = array.astype(exact)  # longdouble holds more
    if ndim == 1:
        bad = ~np.isfinite(numbers)
        if bad.any():
            row = int(np.argmax(bad))
            what = "NaN" if np.isnan(numbers[row]) else "infinity"
            raise ValueError(
                f"{name} holds {what} at row {row}, where only finite numbers can be. Drop the row."
            )
    else:
        numbers = sparse.csr_matrix(numbers)  # of its own, as the cast was
        numbers.sum_duplicates()
        numbers.eliminate_zeros()
        check_finite(numbers)
    if kind == "f" and (objects := _merged_objects(given, is_table)) is not None:
        return _as_numbers(_exact(objects, name, names), name, ndim)
    return numbers


def _merged_objects(values, is_table: bool) -> np.ndarray | None:
    """Values of a frame or series as objects, if floats would merge whole numbers among them."""
    if isinstance(values, np.ndarray | list | tuple) or sparse.issparse(values):
        return None
    if not is_table:
        objects = np.asarray(values, dtype=object)
        return None if first_inexact(objects) is None else objects
    if is_of_numbers(values) and all(first_inexact(column) is None for _, column in whole_numbers_of(values)):
        return None
    # Numbers may be categories, or text.
    columns = [objects_of(column) for _, column in values_of(values)]
    return None if all(first_inexact(column) is None for column in columns) else np.column_stack(columns)


def _as_array(values, name: str, ndim: int) -> np.ndarray:
    """Lists as an array, without floats in place of whole numbers that are none."""
    objects = objects_of(values)
    if ndim == 2:
        refuse_values_for_rows(objects)
    try:
        array = np.asarray(values)
    except ValueError:  # lists beside numbers, which are no numbers
        return objects
    return array if array.dtype.kind not in "fO" else _exact(objects, name, default=array)


def _exact(objects: np.ndarray, name: str, names=None, default=None) -> np.ndarray:
    """Whole numbers of 64 bits as such, if some of them are no floats; else the default."""
    position = first_inexact(objects)
    if position is None:
        return default
    found = objects.ravel().tolist()
    if all(isinstance(value, Integral) for value in found):
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= min(found) and max(found) <= np.iinfo(dtype).max:
                return objects.astype(dtype)
    remedy = (
        "Number labels with numpy.unique(numpy.array(y, dtype=object), return_inverse=True)[1]"
        if name == "y"
        else "If it is a name, write what skfm.FieldEncoder makes with its column in categorical="
    )
    to_float = "float()" if names is None else "astype(float)"
    raise ValueError(
        f"{name} holds {found[position]} at {place_of(objects, position, names)}, which is no float, as "
        f"numbers are beside fractions, negative ones and those beyond 64 bits. {remedy}, or round it with "
        f"{to_float}."
    )


def _explained(values, name: str, names=None) -> ValueError | None:
    """The error of the first text among values, or None if there is none."""
    array = np.asarray(values)
    if not array.ndim or not array.size or array.dtype.kind not in "OUS":
        return None
    position = where_no_number(array) or 0
    value = array.ravel().tolist()[position]
    remedy = "Number labels with numpy.unique(y, return_inverse=True)[1]"
    if name != "y":
        remedy = "Encode such columns with skfm.FieldEncoder"
    remedy += ", or convert numbers that are text with astype(float)."
    if isinstance(value, list | tuple | np.ndarray):
        remedy = f"Give one number for each {'row' if name == 'y' else 'row and column'}."
    return ValueError(
        f"{name} holds {shown(value)} at {place_of(array, position, names)}, where only numbers and booleans "
        f"can be. {remedy}"
    )


_NUMBERED = "Number other values with numpy.unique(..., return_inverse=True)[1]."


def _whole_numbers(values, name: str, n: int, valid: range, remedy: str = _NUMBERED) -> np.ndarray:
    """One whole number for each column or row."""
    array = np.asarray(values)
    if isinstance(values, str | Mapping | Set) or not array.ndim:
        raise TypeError(f"{name} must be a list of whole numbers, got {shown(values)}.")
    if array.shape != (n,):
        raise ValueError(f"{name} must hold {n} numbers, got an array of shape {array.shape}.")
    if array.dtype.kind in "iu" and all(
        int(end) in valid for end in (array.min(initial=0), array.max(initial=0))
    ):
        return array.astype(np.int64)
    found = array.tolist()
    for number, value in enumerate(found):
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if not is_whole or int(value) not in valid:
            raise ValueError(
                f"{name}[{number}] is {value!r}, not a whole number from {valid[0]} to {valid[-1]}. {remedy}"
            )
    return np.array([int(value) for value in found], dtype=np.int64)


def _sizes(field_sizes, n_features=None) -> np.ndarray:
    """How many indices each field has, as an array."""
    remedy = "Give the number of indices of each field, 0 where a field has none."
    sizes = _whole_numbers(field_sizes, "field_sizes", np.size(field_sizes), range(MAX_ID + 1), remedy)
    total = int(sizes.sum())
    if n_features is not None and total != n_features:
        raise ValueError(f"field_sizes add up to {total}, but there are {n_features} columns.")
    if not 0 < total <= MAX_ID + 1:
        raise ValueError(f"field_sizes add up to {total}, where 1 to {MAX_ID + 1} columns are possible.")
    return sizes


def _shortest(value: int | float) -> str:
    """The shortest text that is read back as this very number."""
    return repr(value).removesuffix(".0")


def find_columns(pieces: Iterable[TextRows], n_features, field_sizes, zero_based) -> Columns:
    """The columns of rows; those that are not given are found in them."""
    is_auto = isinstance(field_sizes, str)
    if is_auto and field_sizes != "auto":
        raise ValueError(f"field_sizes must be 'auto', None or numbers, got {field_sizes!r}.")
    if is_auto and n_features is not None:
        field_sizes = None
    elif is_auto or (n_features is None and field_sizes is None):
        layout = _Layout(zero_based)
        for rows in pieces:
            layout.add(rows)
        field_sizes = layout.field_sizes if is_auto else None
        n_features = layout.n_features if field_sizes is None else None
    return Columns(n_features, field_sizes, zero_based)


class _Layout:
    """What rows tell of their columns: how many, and whether indices start anew in each field."""

    def __init__(self, zero_based: bool):
        self.start = 0 if zero_based else 1
        self.n_features = 1
        self._sizes = np.zeros(0, np.int64)
        self._field_of = np.zeros(0, np.int32)
        self._starts_anew = False

    def add(self, rows: TextRows) -> None:
        """Learn from more rows."""
        self.n_features = max(self.n_features, int(rows.ids.max(initial=-1)) + 1 - self.start)
        if rows.fields is None or not rows.ids.size:
            return
        fields = np.minimum(rows.fields, _MOST_FIELDS)
        self._sizes = _longer(self._sizes, int(fields.max()) + 1, 0)
        np.maximum.at(self._sizes, fields, rows.ids + 1 - self.start)
        if not self._starts_anew:
            self._field_of = _longer(self._field_of, int(rows.ids.max()) + 1, -1)
            self._starts_anew = _learn(self._field_of, rows.ids, rows.fields) is not None

    @property
    def field_sizes(self) -> np.ndarray | None:
        """Indices of each field where they start anew in each, else None."""
        if not self._starts_anew:
            return None
        if self._sizes.size > _MOST_FIELDS:
            raise ValueError(
                f"Indices occur with several fields, whose numbers go beyond {_MOST_FIELDS - 1}. Number the "
                f"fields from 0 on."
            )
        return _sizes(self._sizes)


def _longer(array: np.ndarray, n: int, value: int) -> np.ndarray:
    return np.append(array, np.full(max(n - array.size, 0), value, array.dtype))


def _learn(field_of: np.ndarray, ids: np.ndarray, fields: np.ndarray) -> int | None:
    """Note the field of each index, -1 so far; the first nonzero whose index has another one, or None."""
    fresh = field_of[ids] < 0
    # Backwards, so that an index's first field stays.
    field_of[ids[fresh][::-1]] = fields[fresh][::-1]
    other = field_of[ids] != fields
    return int(np.argmax(other)) if other.any() else None


class Columns:
    """Makes matrices of rows, and remembers each column's field.

    Attributes
    ----------
    path : the file that the rows are from, for messages
    n_features, field_sizes : see `load_sparse_text`
    """

    def __init__(self, n_features, field_sizes, zero_based):
        if n_features is not None:
            check_scalar(n_features, "n_features", Integral, min_val=1, max_val=MAX_ID + 1)
        self.path, self.n_features = None, n_features
        self.start = 0 if zero_based else 1
        self.fields: np.ndarray | None = None
        self.field_sizes: np.ndarray | None = None
        if field_sizes is not None:
            self.field_sizes = _sizes(field_sizes, n_features)
            self.n_features = int(self.field_sizes.sum())
            self.offsets = np.cumsum(self.field_sizes) - self.field_sizes
            self.fields = np.repeat(np.arange(self.field_sizes.size), self.field_sizes)

    def bunch(self, rows: TextRows, dtype) -> Bunch:
        """Data, target, fields and groups."""
        columns = self._shared(rows) if self.field_sizes is None else self._of_fields(rows, self.field_sizes)
        X = sparse.csr_matrix((rows.values, columns, rows.starts), shape=(rows.target.size, self.n_features))
        X.sum_duplicates()
        return Bunch(
            data=self._cast(X, rows, np.dtype(dtype)),
            target=rows.target,
            fields=None if self.fields is None else np.maximum(self.fields, 0),
            field_sizes=self.field_sizes,
            groups=rows.groups,
        )

    def _shared(self, rows: TextRows) -> np.ndarray:
        """Columns where indices are numbered through."""
        columns = rows.ids - self.start
        last = self.start + self.n_features - 1
        self._check_range(
            rows,
            columns,
            self.n_features,
            f"is not between {self.start} and {last}. Give a larger n_features.",
        )
        if rows.fields is not None:
            if self.fields is None:
                self.fields = np.full(self.n_features, -1)
            position = _learn(self.fields, columns, rows.fields)
            if position is not None:
                self._fail(
                    rows,
                    position,
                    f"has field {rows.fields[position]}, but field {self.fields[columns[position]]} before. "
                    f"If indices start anew in each field, give field_sizes=, how many each field has, as "
                    f"the training file's `field_sizes`; else number the indices of all fields through.",
                )
        return columns

    def _of_fields(self, rows: TextRows, sizes: np.ndarray) -> np.ndarray:
        """Columns where indices start anew in each field."""
        if rows.fields is None:
            raise ValueError(f"{self.path} has no fields: leave field_sizes out.")
        n_fields, ids = sizes.size, rows.ids - self.start
        self._check(rows, rows.fields >= n_fields, f"has a field beyond the {n_fields} of field_sizes.")
        self._check_range(
            rows,
            ids,
            sizes[rows.fields],
            f"is not among those of its field, of which field_sizes tells the number; indices start at "
            f"{self.start}. Give larger sizes.",
        )
        return self.offsets[rows.fields] + ids

    def _cast(self, X: sparse.csr_matrix, rows: TextRows, dtype: np.dtype) -> sparse.csr_matrix:
        """X in a dtype that holds its values."""
        if dtype.kind not in "biuf" or dtype == np.float16:
            raise ValueError(f"dtype must be one of numbers that sparse matrices can hold, got {dtype}.")
        with np.errstate(over="ignore", invalid="ignore"):
            cast = X.astype(dtype)
        if dtype.kind == "f":
            bad = ~np.isfinite(cast.data)
        elif dtype.kind == "b":
            bad = cast.data != X.data
        else:
            most = np.iinfo(dtype)
            bad = (X.data != np.floor(X.data)) | (X.data < most.min) | (X.data >= most.max + 1)
        if bad.any():
            position = int(np.argmax(bad))
            line = rows.lines[np.searchsorted(X.indptr, position, side="right") - 1]
            raise ValueError(f"{self.path}, line {line}: {X.data[position]} does not fit into dtype {dtype}.")
        return cast

    def _check_range(self, rows: TextRows, columns: np.ndarray, size, why: str) -> None:
        """Raise ValueError where a column is below 0 or not below a size, which is then too small."""
        first = "is below 1, where indices start. Give zero_based=True if they start at 0."
        self._check(rows, columns < 0, first)
        self._check(rows, columns >= size, why)

    def _check(self, rows: TextRows, bad: np.ndarray, why: str) -> None:
        if bad.any():
            self._fail(rows, int(np.argmax(bad)), why)

    def _fail(self, rows: TextRows, position: int, why: str):
        """Raise an error that names a nonzero."""
        line = rows.line_of(position)
        raise ValueError(f"{self.path}, line {line}: index {rows.ids[position]} {why}")
