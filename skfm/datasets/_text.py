"""Files of sparse rows in the formats of libsvm, libffm and libFM."""

from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch, check_array, check_consistent_length

from skfm.datasets import _sparse_text


def load_sparse_text(path, *, format="auto", n_features=None, zero_based=True, dtype=np.float64):
    """Read a file of sparse rows as libsvm, libffm or libFM write them.

    Each line is ``target index:value index:value ...`` (libsvm, libFM) or ``target field:index:value ...``
    (libffm). What follows a ``#`` is a comment; empty lines are skipped.

    Parameters
    ----------
    path : path-like
        Files that end in .gz, .bz2 or .xz are decompressed.
    format : {"auto", "libsvm", "libfm", "libffm"}, default="auto"
        "auto" looks at the first row.
    n_features : int, default=None
        Columns of the matrix; one more than the greatest index if None. Give it for a test file.
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
            Integers where all are whole numbers, else floats.
        fields : ndarray of int of shape (n_features,), or None
            Field of each column as the file numbers them, for ``fields=`` of an estimator; 0 for columns
            that do not occur. None but for libffm.

    Raises
    ------
    ValueError
        If a line cannot be read, an index is beyond `n_features`, or a column has two fields. The message
        names the file, the line and the token.

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
    """
    shape = _shape(path, format)
    pieces = [_sparse_text.parse(*block, *shape) for block in _sparse_text.read_blocks(path)]
    if not sum(piece.target.size for piece in pieces):
        raise ValueError(f"{path} holds no rows.")
    joined = _sparse_text.join(pieces)
    reader = _Columns(path, n_features, zero_based, dtype)
    return reader.bunch(joined)


def iter_sparse_text(
    path, *, n_features, format="auto", zero_based=True, dtype=np.float64, chunk_rows=100_000
):
    """Read a file of sparse rows chunk by chunk.

    Parameters
    ----------
    path, format, zero_based, dtype
        See `load_sparse_text`.
    n_features : int
        Columns of the matrices.
    chunk_rows : int, default=100_000
        Rows of each chunk but the last.

    Yields
    ------
    rows : :class:`~sklearn.utils.Bunch`
        `data`, `target` and `fields` as in `load_sparse_text`; `target` holds floats, and `fields` those of
        all columns seen so far.

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
    reader = _Columns(path, n_features, zero_based, dtype)
    shape = _shape(path, format)
    waiting: list[_sparse_text.TextRows] = []
    for block in _sparse_text.read_blocks(path):
        rows = _sparse_text.join([*waiting, _sparse_text.parse(*block, *shape)])
        while rows.target.size >= chunk_rows:
            chunk, rows = _sparse_text.split(rows, chunk_rows)
            yield reader.bunch(chunk, whole=False)
        waiting = [rows]
    if waiting and waiting[0].target.size:
        yield reader.bunch(waiting[0], whole=False)


def dump_sparse_text(X, y, path, *, format="libsvm", fields=None, zero_based=True):
    """Write sparse rows as libsvm, libffm or libFM read them.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Zeros are not written. Values are written so that they are read back exactly.
    y : array-like of shape (n_samples,)
        Numbers.
    path : path-like
        Compressed if it ends in .gz, .bz2 or .xz.
    format : {"libsvm", "libfm", "libffm"}, default="libsvm"
    fields : array-like of int of shape (n_features,), default=None
        Field of each column; needed for libffm, such as ``estimator.fields_``.
    zero_based : bool, default=True
        Whether indices start at 0.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skfm.datasets import dump_sparse_text
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.ffm"
    >>> dump_sparse_text([[0, 1.5], [2, 0]], [1, 0], path, format="libffm", fields=[0, 1])
    >>> print(path.read_text(), end="")
    1 1:1:1.5
    0 0:0:2
    """
    if format not in _sparse_text.TOKEN_NUMBERS:
        raise ValueError(f"format must be one of {sorted(_sparse_text.TOKEN_NUMBERS)}, got {format!r}.")
    X = sparse.csr_matrix(check_array(X, accept_sparse="csr"), copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    y = check_array(y, ensure_2d=False, dtype="numeric")
    check_consistent_length(X, y)
    if y.ndim != 1:
        raise ValueError(f"y must have one column, got shape {y.shape}.")
    start = 0 if zero_based else 1
    prefix = None
    if format == "libffm":
        if fields is None or len(fields) != X.shape[1]:
            raise ValueError(f"libffm needs fields=, the field of each of the {X.shape[1]} columns.")
        prefix = [f"{int(field)}:" for field in fields]
    with _sparse_text.open_text(path, "wb") as file:
        for row, target in enumerate(y):
            nonzeros = slice(X.indptr[row], X.indptr[row + 1])
            tokens = [f"{target:.17g}"]
            for column, value in zip(X.indices[nonzeros].tolist(), X.data[nonzeros], strict=True):
                field = "" if prefix is None else prefix[column]
                tokens.append(f"{field}{column + start}:{_shortest(value)}")
            file.write((" ".join(tokens) + "\n").encode())


def _shortest(value):
    """The shortest text that is read back as this very number."""
    written = str(value)
    return written.removesuffix(".0")


def _shape(path, format):
    """Numbers of a token, and the name for messages."""
    if format == "auto":
        format = _sparse_text.detect_format(path)
    if format not in _sparse_text.TOKEN_NUMBERS:
        raise ValueError(
            f"format must be 'auto' or one of {sorted(_sparse_text.TOKEN_NUMBERS)}, got {format!r}."
        )
    return _sparse_text.TOKEN_NUMBERS[format], str(Path(path))


class _Columns:
    """Makes matrices of rows, and remembers each column's field."""

    def __init__(self, path, n_features, zero_based, dtype):
        self.path, self.n_features, self.dtype = path, n_features, dtype
        self.start = 0 if zero_based else 1
        self.fields: np.ndarray | None = None

    def bunch(self, rows, whole=True):
        """Data, target and fields; `whole` if these are all rows of the file."""
        if self.n_features is None:
            self.n_features = int(rows.ids.max(initial=self.start)) - self.start + 1
        self._check(rows, (rows.ids < self.start) | (rows.ids - self.start >= self.n_features))
        ids = rows.ids - self.start
        target = rows.target
        if whole and np.array_equal(target, np.round(target)):
            target = target.astype(np.int64)
        fields = None
        if rows.fields is not None:
            fields = np.maximum(self._learn(rows, ids), 0)
        X = _sparse_text.as_matrix(rows._replace(ids=ids), self.n_features, self.dtype)
        return Bunch(data=X, target=target, fields=fields)

    def _check(self, rows, bad):
        """Raise an error that names the first index that is out of range."""
        if not bad.any():
            return
        position = int(np.argmax(bad))
        line = rows.lines[np.searchsorted(rows.starts, position, side="right") - 1]
        last = self.start + self.n_features - 1
        raise ValueError(
            f"{self.path}, line {line}: index {rows.ids[position]} is not between {self.start} and {last}. "
            f"Give a larger n_features, or zero_based=True if indices start at 0."
        )

    def _learn(self, rows, ids):
        """Field of each column, -1 for those that never occurred; a column has one."""
        if self.fields is None:
            self.fields = np.full(self.n_features, -1)
        given = rows.fields
        fresh = self.fields[ids] < 0
        # Backwards, so that a column's first field stays.
        self.fields[ids[fresh][::-1]] = given[fresh][::-1]
        other = self.fields[ids] != given
        if other.any():
            position = int(np.argmax(other))
            line = rows.lines[np.searchsorted(rows.starts, position, side="right") - 1]
            raise ValueError(
                f"{self.path}, line {line}: index {rows.ids[position]} has field {rows.fields[position]}, "
                f"but field {self.fields[ids[position]]} before. Each column needs one field: number the "
                f"indices of all fields through."
            )
        return self.fields
