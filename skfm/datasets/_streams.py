"""Files as streams of chunks, for `fit` and predictions on more rows than memory holds."""

import numpy as np

from skfm.datasets._sparse_text import read_rows
from skfm.datasets._text import Columns, find_columns, read_chunks


class ParquetStream:
    """Rows of Parquet files, chunk by chunk.

    Needs pyarrow (``pip install pyarrow``).

    Parameters
    ----------
    source : path-like, list of path-like or pyarrow.dataset.Dataset
        A file, several, a folder of files, or a dataset of pyarrow (which may be of other formats).
    target : str, list of str or None, default=None
        Column of targets, or columns; None to predict.
    sample_weight : str, default=None
        Column of weights.
    columns : list of str, default=None
        Columns of X; all others if None.
    chunk_rows : int, default=131072
        Rows of a chunk at most.
    buffer_rows : int, default=262144
        Rows that training shuffles among each other in memory; see the guide on data.
    folder : path-like, default=None
        Where fit keeps its temporary files; that of Python's tempfile if None. They need about 8 to 14
        bytes a nonzero.

    Raises
    ------
    ValueError
        If a column is not in the files.

    See Also
    --------
    SparseTextStream : The same for libsvm, libffm and libFM files.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import pandas as pd
    >>> from skfm import FMClassifier
    >>> from skfm.datasets import ParquetStream
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "clicks.parquet"
    >>> table = pd.DataFrame({"day": ["mon", "tue"] * 20, "site": ["a", "a", "b", "b"] * 10})
    >>> table.assign(click=[1, 0, 0, 1] * 10).to_parquet(path)
    >>> clicks = ParquetStream(path, target="click", chunk_rows=16)
    >>> model = FMClassifier(n_factors=2, l2_factors=1e-3, random_state=0).fit(clicks)
    >>> model.predict(table.head(4))
    array([1, 0, 0, 1])
    >>> model.predict_proba(clicks).shape
    (40, 2)
    """

    def __init__(
        self,
        source,
        target=None,
        *,
        sample_weight=None,
        columns=None,
        chunk_rows=1 << 17,
        buffer_rows=1 << 18,
        folder=None,
    ):
        import pyarrow.dataset as ds

        self.dataset = source if isinstance(source, ds.Dataset) else ds.dataset(source)
        self.targets = [target] if isinstance(target, str) else list(target or [])
        self.one_target = isinstance(target, str)
        self.sample_weight = sample_weight
        apart = {*self.targets, sample_weight}
        names = self.dataset.schema.names
        self.columns = [name for name in names if name not in apart] if columns is None else list(columns)
        self.chunk_rows, self.buffer_rows, self.folder = chunk_rows, buffer_rows, folder
        for name in [*self.columns, *self.targets, *([sample_weight] if sample_weight else [])]:
            if name not in names:
                raise ValueError(f"There is no column {name!r}; columns are {names[:20]}.")

    def __iter__(self):
        """Chunks ``(X,)``, ``(X, y)`` or ``(X, y, sample_weight)``, X a pyarrow.Table."""
        import pyarrow as pa
        import pyarrow.dataset as ds

        more = [self.sample_weight] if self.sample_weight else []
        # fit and predict read ahead themselves: more would only be memory.
        options: dict = {"batch_readahead": 2, "fragment_readahead": 1}
        if isinstance(getattr(self.dataset, "format", None), ds.ParquetFileFormat):
            options["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=False)
        names = [*self.columns, *self.targets, *more]
        batches = self.dataset.to_batches(columns=names, batch_size=self.chunk_rows, **options)
        for batch in batches:
            if not batch.num_rows:
                continue
            table = pa.Table.from_batches([batch])
            chunk = [table.select(self.columns)]
            if self.targets:
                y = [table[name].to_numpy() for name in self.targets]
                chunk.append(y[0] if self.one_target else np.column_stack(y))
            chunk += [table[name].to_numpy() for name in more]
            yield tuple(chunk)


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
    ParquetStream : Tables.

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
        self.paths = list(paths) if isinstance(paths, list | tuple) else [paths]
        self.format, self.zero_based, self.chunk_rows = format, zero_based, chunk_rows
        pieces = (rows for path in self.paths for rows in read_rows(path, format))
        columns = find_columns(pieces, n_features, field_sizes, zero_based)
        self.n_features, self.field_sizes = columns.n_features, columns.field_sizes
        self.buffer_rows, self.folder = buffer_rows, folder

    def _bunches(self):
        columns = Columns(self.n_features, self.field_sizes, self.zero_based)
        for path in self.paths:
            yield from read_chunks(path, self.format, columns, np.float64, self.chunk_rows)

    @property
    def fields(self):
        """Field of each column, or None where the files have none."""
        fields = None
        for rows in self._bunches():
            fields = rows.fields
        return fields

    @property
    def groups(self):
        """Group of each row, or None where the files have none."""
        parts = [rows.groups for rows in self._bunches()]
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
        for rows in self._bunches():
            yield rows.data, rows.target
