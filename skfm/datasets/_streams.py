"""Files of sparse rows as streams of chunks, for `fit` and predictions on more rows than memory holds."""

import numpy as np

from skfm.datasets._arguments import paths_of, rows_at_once
from skfm.datasets._sparse_text import read_rows
from skfm.datasets._tables import Chunk
from skfm.datasets._text import Columns, find_columns, read_chunks


class SparseTextStream:
    """Rows of libsvm, libffm or libFM files, chunk by chunk.

    Parameters
    ----------
    paths : path-like or list of path-like
        Files; those that end in .gz, .bz2 or .xz are decompressed.
    n_features : int, default=None
        Columns; found in a pass over the files if None.
    format : {"auto", "libsvm", "libfm", "libffm"}, default="auto"
        "auto" looks at the first row.
    field_sizes : "auto", None or array-like of int of shape (n_fields,), default="auto"
        Indices of each field, in libffm files where they start anew in each; see `load_sparse_text`. "auto"
        finds out in the pass for `n_features`, and is None where that is given. A stream of other files gets
        the columns of this one with ``n_features=stream.n_features, field_sizes=stream.field_sizes``.
    zero_based : bool, default=True
        Whether indices start at 0.
    chunk_rows : int, default=65536
        Rows of a chunk at most.
    buffer_rows, folder
        As for `ParquetStream`.

    Attributes
    ----------
    n_features, field_sizes
        As given or found.
    fields : ndarray of shape (n_features,), or None
        Field of each column, for ``fields=`` of an estimator, 0 for columns that do not occur; found in a
        pass over the files. None but for libffm.
    groups : ndarray of shape (n_samples,), or None
        The numbers after ``qid:`` of all rows, for the metrics of groups; found in a pass over the files.
        None in files without.

    See Also
    --------
    ParquetStream, CsvStream : Tables.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skfm import DeepFMClassifier
    >>> from skfm.datasets import SparseTextStream
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "clicks.ffm"
    >>> _ = path.write_text("1 0:0:1 1:3:1\\n0 0:1:1 1:3:1\\n1 0:0:1 1:2:1\\n0 0:1:1 1:2:1\\n" * 10)
    >>> clicks = SparseTextStream(path)
    >>> clicks.fields
    array([0, 0, 1, 1])
    >>> model = DeepFMClassifier(fields=clicks.fields, random_state=0).fit(clicks)
    >>> model.predict(clicks)[:4]
    array([1., 0., 1., 0.])
    """

    def __init__(
        self,
        paths,
        *,
        n_features=None,
        format="auto",
        field_sizes="auto",
        zero_based=True,
        chunk_rows=1 << 16,
        buffer_rows=1 << 18,
        folder=None,
    ):
        self.paths = paths_of(paths, "paths")
        self.format, self.zero_based = format, zero_based
        self.chunk_rows = rows_at_once(chunk_rows, "chunk_rows")
        self.buffer_rows, self.folder = rows_at_once(buffer_rows, "buffer_rows"), folder
        pieces = (rows for path in self.paths for rows in read_rows(path, format))
        columns = find_columns(pieces, n_features, field_sizes, zero_based)
        self.n_features, self.field_sizes = columns.n_features, columns.field_sizes

    def _bunches(self):
        """Rows of each chunk, after their file and the rows before them there."""
        columns = Columns(self.n_features, self.field_sizes, self.zero_based)
        for path in self.paths:
            n_before = 0
            for rows in read_chunks(path, self.format, columns, np.float64, self.chunk_rows):
                yield path, n_before, rows
                n_before += rows.target.size

    def _place(self, path, row: int) -> str:
        """Where a row of a file is."""
        for rows in read_rows(path, self.format):
            if row < rows.target.size:
                break
            row -= rows.target.size
        return f"{path}, line {rows.lines[row]}"

    @property
    def fields(self):
        """Field of each column, or None where the files have none."""
        fields = None
        for *_, rows in self._bunches():
            fields = rows.fields
        return fields

    @property
    def groups(self):
        """Group of each row, or None where the files have none."""
        parts = [rows.groups for *_, rows in self._bunches()]
        has_group = [part is not None for part in parts]
        if not any(has_group):
            return None
        if not all(has_group):
            raise ValueError(
                f"Rows of some of the files have a group (qid:) and of others none: {self.paths}."
            )
        return np.concatenate(parts)

    def __iter__(self):
        """Chunks ``(X, y)``, X a csr_matrix."""
        for path, n_before, rows in self._bunches():
            yield Chunk((rows.data, rows.target), path, n_before, self._place)
