"""Tables in files as streams of chunks, for `fit` and predictions on more rows than memory holds."""

from __future__ import annotations

import codecs
import contextlib
import csv
import decimal
import importlib
import io
import itertools
import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skfm.data.readings import NUMBER, Mixed, Written, are_numbers, is_name, warn
from skfm.data.validate import shown
from skfm.data.whole_numbers import holds_large
from skfm.datasets._arguments import no_path, paths_of, rows_at_once, texts
from skfm.datasets._sparse_text import reading

# Bytes of text that are parsed at once; a row must fit into them.
_BLOCK = 1 << 23
_DATES = "timestamp[s]", "timestamp[ns]", "timestamp[ns, tz=UTC]"
# Values after which a column with few numbers is given up, and different texts that are shown.
_ENOUGH, _MOST_SHOWN = 1000, 5
_HEADER = "If this line is a header, take it out of the file, or leave names= out."
# Text of a row after the last, which a quote that is not closed takes in.
_END = "\x04\x04"


class Chunk(tuple):
    """A chunk of rows of one file.

    Attributes
    ----------
    path : of the file
    n_before : rows of the file before the first
    place_in : tells where a row of a file is
    why_text : tells what makes text of a column that an error refuses for it, with its place; or None
    """

    path: Any
    n_before: int
    place_in: Callable[[Any, int], str]
    why_text: Callable[[str], str | None] | None

    def __new__(cls, items, path, n_before, place_in, why_text=None):
        """A tuple of the items."""
        chunk = super().__new__(cls, items)
        chunk.path, chunk.n_before, chunk.place_in, chunk.why_text = path, n_before, place_in, why_text
        return chunk

    def place(self, row: int | None) -> str:
        """Where a row of the chunk is, or the file of None."""
        return str(self.path) if row is None else self.place_in(self.path, self.n_before + row)


class _TableStream:
    """Chunks of some columns of tables that come in pieces."""

    chunk_rows: int
    paths: list

    def _choose(self, names: list[str], target, sample_weight, columns) -> None:
        """Note which of the columns are read."""
        self.one_target = isinstance(target, str)
        self.targets = [target] if self.one_target else texts(() if target is None else target, "target")
        if not isinstance(sample_weight, str | None):
            raise TypeError(
                f"sample_weight must be the name of a column or None, got {shown(sample_weight)}."
            )
        self.weights = [] if sample_weight is None else [sample_weight]
        apart = {*self.targets, *self.weights}
        self.columns = (
            [name for name in names if name not in apart] if columns is None else texts(columns, "columns")
        )
        self.names_read = list(dict.fromkeys([*self.columns, *self.targets, *self.weights]))
        self._known, self._takes_all = {*names}, columns is None
        for name in self.names_read:
            if name not in names:
                raise ValueError(
                    f"There is no column {name!r}; columns are {names[:20]}.{self._why_not_in(names)}"
                )
            if names.count(name) > 1:
                raise ValueError(f"Several columns are named {name!r}: rename them.")
        if not self.columns:
            raise ValueError("No column is left for X.")
        for role, given in (("columns", self.columns), ("target", self.targets)):
            for name in given:
                if given.count(name) > 1:
                    raise ValueError(f"{role}= names column {name!r} more than once. Name it once.")
        for role, given in (("columns", self.columns), ("sample_weight", self.weights)):
            for name in given:
                if name in self.targets:
                    raise ValueError(
                        f"{role}= names column {name!r}, which is a target too: a model would be trained on "
                        f"what it is to predict. Take it out of {role}= or target=."
                    )

    def _check_columns(self, path, names: list[str], of_folders=()) -> None:
        """Raise ValueError where a file after the first has other columns than were chosen."""
        for name in self.names_read:
            n_found = names.count(name)
            if n_found == 1 or (n_found == 0 and name in of_folders):
                continue
            found = "several columns" if n_found else "no column"
            raise ValueError(
                f"{path} has {found} {name!r}; its columns are {names[:20]}.{self._why_not_in(names)} Write "
                f"it anew, or leave the column out with columns=."
            )
        more = [name for name in names if name not in self._known] if self._takes_all else []
        if more:
            raise ValueError(
                f"{path} has a column {more[0]!r} that {self.paths[0]} has not. Name those to read with "
                f"columns=."
            )

    def _why_not_in(self, names: list[str]) -> str:
        """What else may be wrong where a column is not among those of a file."""
        return ""

    def remedy_of(self, written: Written | Mixed) -> str | None:
        """What helps where numbers or dates of a column are text, or text is among them; None if meant."""
        if isinstance(written, Mixed):
            return "Write the files anew, with missing values in place of such text."
        kinds = ("double",) if written.what == "numbers" else _DATES
        type_ = next((type_ for type_ in kinds if _can_be(written.example, _as_type("", type_))), None)
        if type_ is None:
            return f"Write the files anew, with plain {written.what}."
        return self._typed(written.column, type_)

    def _typed(self, name: str, type_: str) -> str:
        """How to have a column of text read as a type."""
        raise NotImplementedError

    def _batches(self) -> Iterator[tuple[Any, int, Any]]:
        """The columns that are read, in record batches, each after its file and the rows before it there."""
        raise NotImplementedError

    def _place(self, path, row: int) -> str:
        """Where a row of a file is."""
        return f"{path}, row {row}"

    def _why_text(self, message: str) -> str | None:
        """What makes text of the column that an error refuses for it, with its place; None if unknown."""
        return None

    def __iter__(self):
        """Chunks ``(X,)``, ``(X, y)`` or ``(X, y, sample_weight)``, X a pyarrow.Table."""
        import pyarrow as pa

        for path, n_before, batch in self._batches():
            for first in range(0, batch.num_rows, self.chunk_rows):
                table = pa.Table.from_batches([batch.slice(first, self.chunk_rows)])
                for name in (*self.targets, *self.weights):
                    missing = table[name].is_null(nan_is_null=True).to_numpy()
                    if missing.any():
                        place = self._place(path, n_before + first + int(np.argmax(missing)))
                        raise ValueError(
                            f"{place}, column {name!r}: a missing value. Drop or fill such rows."
                        )
                chunk = [table.select(self.columns)]
                if self.targets:
                    y = [table[name].to_numpy() for name in self.targets]
                    chunk.append(y[0] if self.one_target else _side_by_side(y))
                chunk += [table[name].to_numpy() for name in self.weights]
                yield Chunk(chunk, path, n_before + first, self._place, self._why_text)


class ParquetStream(_TableStream):
    """Rows of Parquet files, chunk by chunk.

    Needs pyarrow (``pip install pyarrow``).

    Parameters
    ----------
    source : path-like, list of path-like or pyarrow.dataset.Dataset
        A file, several, a folder of files, or a dataset of pyarrow (which may be of other formats). Folders
        that are named ``key=value`` are columns too, as in pandas, but of a single file. Files must have the
        same columns, of types that one type holds; a dataset is read by its schema.
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
    ImportError
        If pyarrow is not installed.
    ValueError
        If a column is not in all files or of types that have nothing in common, or a file is broken or of
        another format; the message names it.
    OSError
        If a file cannot be read.

    See Also
    --------
    CsvStream : The same for text with delimiters.
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
        ds = _pyarrow("pyarrow.dataset", "ParquetStream")
        self.dataset = _dataset(source)
        self.paths = getattr(self.dataset, "files", [])
        self.chunk_rows = rows_at_once(chunk_rows, "chunk_rows")
        self.buffer_rows, self.folder = rows_at_once(buffer_rows, "buffer_rows"), folder
        self._choose(self.dataset.schema.names, target, sample_weight, columns)
        if self.dataset is not source and isinstance(self.dataset, ds.FileSystemDataset):
            self.dataset = _dataset(source, self._schema_of_files())

    def _schema_of_files(self):
        """The columns that are read, of types that hold those of all files."""
        import pyarrow as pa

        fields = {name: self.dataset.schema.field(name) for name in self.names_read}
        of_folders: set[str] | None = None
        for fragment in self.dataset.get_fragments():
            with _naming(fragment):
                found = fragment.physical_schema
            names = found.names
            if of_folders is None:
                # pyarrow has looked into the first file alone.
                of_folders = {*fields} - {*names}
            self._check_columns(fragment.path, names, of_folders)
            for name in fields:
                if name not in names:
                    continue
                type_, before = found.field(name).type, fields[name].type
                try:
                    fields[name] = pa.field(name, _common_type(before, type_))
                except pa.ArrowException as error:
                    raise ValueError(
                        f"{fragment.path}: column {name!r} is of type {type_}, and of type {before} in files "
                        f"before. Write it anew, or give pyarrow.dataset.dataset(..., schema=...) as source."
                    ) from error
        return pa.schema(list(fields.values()))

    def _batches(self):
        import pyarrow as pa
        import pyarrow.dataset as ds

        # fit and predict read ahead themselves: more would only be memory.
        options: dict = {"batch_readahead": 2, "fragment_readahead": 1}
        if isinstance(getattr(self.dataset, "format", None), ds.ParquetFileFormat):
            options["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=False)
        try:
            scanner = self.dataset.scanner(columns=self.names_read, batch_size=self.chunk_rows, **options)
            path, n_rows = None, 0
            for batch, fragment in scanner.scan_batches():
                before, path = path, getattr(fragment, "path", "the dataset")
                n_rows = n_rows if path == before else 0
                yield path, n_rows, batch
                n_rows += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            if _names_file(error):
                raise
            raise self._explained(error) from error

    def _typed(self, name, type_):
        return (
            f"Give the stream pyarrow.dataset.dataset(..., schema=...) as source, where the column is of "
            f"type {type_}."
        )

    def _explained(self, error: Exception) -> ValueError:
        """The error of the first file that cannot be read."""
        for fragment in self.dataset.get_fragments():
            try:
                with _naming(fragment):
                    for _ in fragment.to_batches(schema=self.dataset.schema, columns=self.names_read):
                        pass
            except ValueError as found:
                return found
        return ValueError(f"The files cannot be read: {error}")


class CsvStream(_TableStream):
    """Rows of text files with delimiters (CSV, TSV), chunk by chunk.

    Needs pyarrow (``pip install pyarrow``). A column has one type in all chunks and files: that of `dtypes`,
    or what a pass over all files finds.

    Parameters
    ----------
    source : path-like or list of path-like
        A file, several, or a folder, whose files are taken in the order of their names, without those that
        start with a dot or an underscore. Those that end in .gz, .bz2 or .xz are decompressed. Files
        must have the same columns, in any order.
    target : str, list of str or None, default=None
        Column of targets, or columns; None to predict.
    sample_weight : str, default=None
        Column of weights.
    columns : list of str, default=None
        Columns of X; all others if None.
    dtypes : dict of str to dtype, default=None
        Types of columns: names such as "string", "int64" or "timestamp[s]", NumPy's or pyarrow's; columns
        that are not read are ignored. Types of other columns are found in a pass over all files: "int64",
        "uint64", "double" or "bool" where it holds all values, else "string". Whole numbers beyond 64
        bits, or beyond 2**53 beside fractions, are text where no double says them exactly. Blanks around
        numbers are skipped. Give a column of numbers that are names "string"; dates are text unless they
        are given a type. A stream of other files gets the same types with ``dtypes=stream.dtypes``.
    delimiter : str, default=","
        The character between values.
    quotechar : str or None, default='"'
        The character around values that hold delimiters or newlines, and twice where it is meant.
    names : list of str, default=None
        Names of the columns, for files without a header; the first line of each file if None.
    missing_values : list of str, default=None
        What is read as missing, in columns of text too; the empty text, NA, NaN, null and the like if None.
    encoding : str, default="utf-8"
        Encoding of the text.
    chunk_rows : int, default=131072
        Rows of a chunk at most.
    buffer_rows, folder
        As for `ParquetStream`.

    Attributes
    ----------
    dtypes : dict of str to str
        Type of each column that is read.
    missing_values : list of str
        What is read as missing.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If a column is not in all files, a file is empty or a broken archive, a row has more or fewer values
        than there are columns, a quote is not closed, or a value is not of its column's type; the message
        names the file, the line and the column.
    OSError
        If a file cannot be read.

    Warns
    -----
    ReadingWarning
        If all values of a column are read as text for a few that are no numbers, or whole ones that no double
        says exactly, beside nine tenths or more that are; the message names the first of them, its file and
        line. Read them as missing with `missing_values`, or give the column "string" to confirm it, or
        "double" to round whole numbers. Of a target a classifier warns in fit, and a regressor raises an
        error: mend the file, as targets must not be missing.

    See Also
    --------
    ParquetStream : The same for Parquet, which is read several times as fast.
    SparseTextStream : The same for libsvm, libffm and libFM files.

    Notes
    -----
    Where types are not given the files are read once more. A chunk is a part of 8 MB of text, which a row
    must fit into.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skfm import FMClassifier
    >>> from skfm.datasets import CsvStream
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> rows = "1,mon,12\\n0,tue,12\\n0,mon,a7\\n1,tue,a7\\n" * 10
    >>> _ = (folder / "train.csv").write_text("click,day,zip\\n" + rows)
    >>> _ = (folder / "test.csv").write_text("day,zip\\nmon,12\\ntue,12\\n")
    >>> clicks = CsvStream(folder / "train.csv", target="click", chunk_rows=16)
    >>> clicks.dtypes
    {'day': 'string', 'zip': 'string', 'click': 'int64'}
    >>> model = FMClassifier(n_factors=2, l2_factors=1e-3, random_state=0).fit(clicks)
    >>> model.predict(CsvStream(folder / "test.csv", dtypes=clicks.dtypes))
    array([1, 0])
    """

    def __init__(
        self,
        source,
        target=None,
        *,
        sample_weight=None,
        columns=None,
        dtypes=None,
        delimiter=",",
        quotechar='"',
        names=None,
        missing_values=None,
        encoding="utf-8",
        chunk_rows=1 << 17,
        buffer_rows=1 << 18,
        folder=None,
    ):
        text = _pyarrow("pyarrow.csv", "CsvStream")
        if not isinstance(encoding, str):
            raise TypeError(f"encoding must be the name of one, such as 'utf-8', got {shown(encoding)}.")
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError(f"There is no encoding {encoding!r} of text.") from error
        marks = (
            {"delimiter": delimiter}
            if quotechar is None
            else {"delimiter": delimiter, "quotechar": quotechar}
        )
        for name, value in marks.items():
            if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in "\r\n":
                raise ValueError(
                    f"{name} must be one character of ASCII that ends no line, got {shown(value)}. Write "
                    f"files with others anew."
                )
        if delimiter == quotechar:
            raise ValueError(f"delimiter and quotechar must be two characters, got {delimiter!r} for both.")
        self.paths = _files(source)
        self.chunk_rows = rows_at_once(chunk_rows, "chunk_rows")
        self.buffer_rows, self.folder = rows_at_once(buffer_rows, "buffer_rows"), folder
        self.delimiter, self.quotechar, self.encoding = delimiter, quotechar, encoding
        self.names = None if names is None else texts(names, "names")
        missing = text.ConvertOptions().null_values if missing_values is None else missing_values
        self.missing_values = texts(missing, "missing_values")
        # A Series of types, as frames have them, is as good as a dict.
        if not hasattr({} if dtypes is None else dtypes, "keys"):
            raise TypeError(
                f"dtypes must be a dict of types by the names of columns, got {shown(dtypes)}. Give "
                f"dtypes={{'a': 'int64'}} for a column 'a'."
            )
        given = {} if dtypes is None else dict(dtypes)
        self._check_names()
        self._choose(self._names_in(self.paths[0]), target, sample_weight, columns)
        for path in self.paths[1:]:
            self._check_columns(path, self._names_in(path))
        # Columns of which it is known, or was said, how they are to be read.
        self._settled = {*given}
        self._of_labels: list[str] = []
        # What is text in columns that would be numbers without.
        self._of_text: dict[str, _MixedText] = {}
        self._types = self._find_types(given)
        self.dtypes = {name: str(type_) for name, type_ in self._types.items()}

    def _batches(self):
        for path in self.paths:
            n_rows = 0
            for batch in self._read(path, self._types):
                yield path, n_rows, batch
                n_rows += batch.num_rows

    def _place(self, path, row):
        with contextlib.suppress(csv.Error), contextlib.closing(self._rows(path)) as rows:
            for line, _ in itertools.islice(rows, row + (self.names is None), None):
                return f"{path}, line {line}"
        # Python reads no value that is as long.
        return super()._place(path, row)

    def remedy_of(self, written):
        # Where text is among numbers, a pass over all values has told what is to be told.
        is_known = isinstance(written, Mixed) or written.column in self._settled
        return None if is_known else super().remedy_of(written)

    def _typed(self, name, type_):
        return f"Give the stream dtypes={{{name!r}: {type_!r}}}."

    def _why_text(self, message):
        for name, found in self._of_text.items():
            if not message.startswith(f"Column {name!r} ") or "holds text" not in message:
                continue
            assert found.first is not None
            others = found.shown_others
            return (
                f"{self._place(*found.first)}, column {name!r}: {others[0]} is no {found.what}, so all "
                f"values of the column are read as text, where numbers are expected. Mend it, or "
                f"{self._instead(name, ', '.join(others))}. Give a stream of other rows than those of fit "
                f"the same types, with dtypes=stream_of_fit.dtypes."
            )
        return None

    def _why_not_in(self, names):
        other = (
            next((letter for letter in ";\t|," if names[0].count(letter)), None) if len(names) == 1 else None
        )
        return "" if other is None else f" If {other!r} is between values, give delimiter={other!r}."

    def _check_names(self) -> None:
        """Raise ValueError if there are not as many as values in the first row, or these are the names."""
        if self.names is None:
            return
        for path in self.paths:
            # What is no text, reading names.
            with (
                contextlib.suppress(UnicodeError, csv.Error),
                contextlib.closing(self._rows(path)) as rows,
            ):
                for line, row in itertools.islice(rows, 1):
                    if len(row) != len(self.names):
                        raise ValueError(
                            f"{path}, line {line}: {len(row)} values, where names= gives "
                            f"{len(self.names)} columns. Name each column, or name the file's delimiter= and "
                            f"quotechar=."
                        )
                    # One text alone may be a value too.
                    if row == self.names and len(row) > 1:
                        raise ValueError(
                            f"{path}, line {line}: {row} are the names= of the columns. {_HEADER}"
                        )

    def _names_in(self, path) -> list[str]:
        if self.names is not None:
            return self.names
        try:
            with contextlib.closing(self._rows(path)) as rows:
                names = next(rows, (1, []))[1]
        except (UnicodeError, csv.Error) as error:
            raise ValueError(f"{path} has no header that can be read as {self.encoding}: {error}") from error
        if not names:
            raise ValueError(f"{path} is empty: there is no header.")
        if any("\udc80" <= letter <= "\udcff" or letter == "\0" for name in names for letter in name):
            raise ValueError(
                f"{path}, line 1: {names} is no header of text in {self.encoding}. Name the file's encoding=."
            )
        return names

    def _find_types(self, given) -> dict:
        """Types that are given, and the first of pyarrow's that holds all values of each other column."""
        import pyarrow as pa

        types = {name: _as_type(name, given[name]) for name in self.names_read if name in given}
        others = {name: pa.string() for name in self.names_read if name not in types}
        kinds = pa.int64(), pa.uint64(), pa.float64(), pa.bool_(), pa.string()
        possible = dict.fromkeys(others, kinds)
        # Where a weight is no number, fit says so; text of a target is as good as any label.
        may_be_numbers = {*self.columns, *self.targets}
        mixed = {
            name: (_MixedText(kinds), _MixedText(kinds, of_doubles=True))
            for name in others
            if name in may_be_numbers and not is_name(name)
        }
        for path in self.paths if others else ():
            n_rows = 0
            for batch in self._read(path, others):
                for name, kinds in possible.items():
                    values = batch.column(batch.schema.get_field_index(name))
                    possible[name] = _narrowed(kinds, values)
                    for found in mixed.get(name, ()):
                        found.add(values, possible[name], path, n_rows)
                n_rows += batch.num_rows
        self._of_text = {
            name: found
            for name, ways in mixed.items()
            for found in reversed(ways)
            if found.first is not None and 2 * found.n_numbers >= found.n_values
        }
        for name, ways in mixed.items():
            # Text is possible always.
            for found in ways if len(possible[name]) == 1 else ():
                if found.first is None or not found.is_of_numbers:
                    continue
                message = self._described(name, found, self._place(*found.first))
                if name in self.targets:
                    self._of_labels.append(message)
                else:
                    self._settled.add(name)
                    warn(message)
                break
        types |= {name: kinds[0] for name, kinds in possible.items()}
        return {name: types[name] for name in self.names_read}

    def warn_of_labels(self) -> None:
        """Warn, once, of targets that are read as labels for a few that are no numbers."""
        messages, self._of_labels = self._of_labels, []
        for message in messages:
            warn(message)

    def _described(self, name: str, found: _MixedText, place: str) -> str:
        """What is to be said of a column of numbers that some other text makes names of."""
        others = found.shown_others
        names = "labels that are text" if name in self.targets else "names"
        remedy = f"mend it, or {self._instead(name, ', '.join(others))}."
        if found.of_doubles and found.others_are_numbers and name not in self.targets:
            remedy = f"have it rounded with dtypes={{{name!r}: 'double'}}, or {remedy}"
        if self.names is not None and found.first is not None and found.first[1] == 0:
            remedy = f"{_HEADER} Otherwise {remedy}"
        return (
            f"{place}, column {name!r}: {others[0]} is no {found.what}, as {found.n_numbers} of "
            f"{found.n_values} values of the column are, and so all are read as {names}. "
            f"{remedy[0].upper()}{remedy[1:]} {names.capitalize()} they stay, without this warning, with "
            f"dtypes={{{name!r}: 'string'}}."
        )

    def _instead(self, name: str, texts: str) -> str:
        """What to do with texts among numbers of a column other than to mend them."""
        # Targets and weights must not be missing.
        if name in (*self.targets, *self.weights):
            return "take the row out of the file"
        return f"have it read as missing with missing_values=[*stream.missing_values, {texts}]"

    def _read(self, path, types: dict) -> Iterator[Any]:
        """Columns of a file, in pieces."""
        import pyarrow as pa
        import pyarrow.csv as text

        n_rows, has_ended = 0, False
        end = _END + self.delimiter * len(self._names_in(path))

        def is_end(row) -> str:
            nonlocal has_ended
            has_ended = has_ended or row.text == end
            return "skip" if row.text == end else "error"

        read = text.ReadOptions(block_size=_BLOCK, column_names=self.names)
        parse = text.ParseOptions(
            delimiter=self.delimiter,
            quote_char=self.quotechar or False,
            newlines_in_values=True,
            invalid_row_handler=is_end,
        )
        convert = text.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=self.missing_values,
            strings_can_be_null=True,
        )
        try:
            with self._opened(path) as file:
                source = pa.PythonFile(_Utf8(file, self.encoding, f"\n{end}\n"), mode="r")
                with text.open_csv(source, read, parse, convert) as batches:
                    for batch in batches:
                        yield batch
                        n_rows += batch.num_rows
            if not has_ended:
                raise pa.ArrowInvalid("a quote is not closed")
        except (pa.ArrowException, UnicodeError) as error:
            raise self._explained(path, types, n_rows, error) from error

    @contextlib.contextmanager
    def _opened(self, path):
        """The file after a mark of its byte order, which Python's codecs of one order take for text."""
        with reading(path) as file:
            mark = "\ufeff".encode(self.encoding, "ignore")
            if mark and file.peek(len(mark)).startswith(mark):
                file.read(len(mark))
            yield file

    def _explained(self, path, types: dict, n_rows: int, error: Exception) -> ValueError:
        """The error of the first value that is wrong after so many rows."""
        names = self._names_in(path)
        try:
            with contextlib.closing(self._rows(path)) as rows:
                if self.names is None:
                    next(rows)
                for number, (line, row) in enumerate(rows):
                    if number < n_rows:
                        continue
                    place = f"{path}, line {line}"
                    if sum(map(len, row)) > _BLOCK:
                        return ValueError(
                            f"{place}: a row of more than {_BLOCK / 1e6:.1f} MB. Make several of it, or name "
                            f"the file's delimiter= and quotechar=."
                        )
                    if len(row) != len(names):
                        return ValueError(
                            f"{place}: {len(row)} values, where there are {len(names)} columns. "
                            f"Mend the line, or name the file's delimiter= and quotechar=."
                        )
                    for name, value in zip(names, row, strict=True):
                        if name not in types or value in self.missing_values:
                            continue
                        if not _can_be(value, types[name]):
                            return self._misfit(f"{place}, column {name!r}", name, types[name], value)
        except (UnicodeError, csv.Error) as found:
            return ValueError(f"{path} cannot be read: {error} ({found})")
        return ValueError(f"{path} cannot be read: {error}")

    def _misfit(self, place: str, name: str, type_, value: str) -> ValueError:
        """The error of a value that is not of its column's type; text is of any that can be decoded."""
        if str(type_) == "string":
            return ValueError(f"{place}: {value!r} is no text in {self.encoding}. Name the file's encoding=.")
        import pyarrow as pa

        fault = f"{place}: {value!r} is not of type {type_}."
        if pa.types.is_integer(type_):
            wider = _narrowed((pa.int64(), pa.uint64(), pa.float64()), pa.array([value]))
            if wider:
                return ValueError(
                    f"{fault} Give the column a wider type, dtypes={{{name!r}: {str(wider[0])!r}}}, or mend "
                    f"the value."
                )
        remedy = f"{fault} Mend it, or {self._instead(name, repr(value))}"
        if name in self.weights:
            return ValueError(f"{remedy}.")
        text = f"dtypes={{{name!r}: 'string'}}"
        if name in self.targets:
            return ValueError(f"{remedy}; for a classifier, {text} makes labels of such text.")
        return ValueError(f"{remedy}, or give the column another type, such as {text}.")

    def _rows(self, path) -> Generator[tuple[int, list[str]], None, None]:
        """Rows that are not empty, with the number of their first line."""
        options: dict[str, Any] = {"delimiter": self.delimiter, "quotechar": self.quotechar}
        if self.quotechar is None:
            options["quoting"] = csv.QUOTE_NONE
        with (
            self._opened(path) as file,
            io.TextIOWrapper(file, self.encoding, "surrogateescape", newline="") as text,
        ):
            rows, line = csv.reader(itertools.chain(text, [_END]), **options), 1
            try:
                for row in rows:
                    if row == [_END]:
                        return
                    if row and row[-1].endswith(_END):
                        raise ValueError(
                            f"{path}, line {line}: a quote that is opened in this row is not closed. Mend "
                            f"the line, or give quotechar=None if quotes are letters like others."
                        )
                    if row:
                        yield line, row
                    line = rows.line_num + 1
            except csv.Error as error:
                # Python reads no value that is as long.
                raise csv.Error(
                    f"line {line}: {error}. If a quote is not closed there, mend it or name the file's "
                    f"quotechar="
                ) from error


class _MixedText:
    """Numbers of a column, or those that doubles say exactly, and what else there is.

    Attributes
    ----------
    of_doubles : whether whole numbers that no double says exactly are among the others
    n_values, n_numbers : how many are not missing, and how many of them are numbers
    others : the first different texts that are no numbers
    first : file and row of the first of them, or None
    """

    def __init__(self, kinds, *, of_doubles: bool = False):
        self._kinds, self.of_doubles = kinds, of_doubles
        self.n_values = self.n_numbers = 0
        self.others: list[str] = []
        self.first: tuple[Any, int] | None = None

    @property
    def is_of_numbers(self) -> bool:
        """Whether nearly all values are numbers, that a type other than text holds."""
        import pyarrow as pa

        return are_numbers(self.n_numbers, self.n_values) and self._kinds[0] != pa.string()

    @property
    def what(self) -> str:
        """What the others are not."""
        return "number that a double says exactly" if self.of_doubles else "number"

    @property
    def shown_others(self) -> list[str]:
        """The others in a message."""
        return [*map(shown, self.others[:_MOST_SHOWN]), *["..."] * (len(self.others) > _MOST_SHOWN)]

    @property
    def others_are_numbers(self) -> bool:
        """Whether the others that are known are numbers."""
        return all(re.fullmatch(NUMBER, text) for text in self.others)

    def add(self, values, kinds: tuple, path, n_before: int) -> None:
        """Take some values of a file, after so many rows of it; `kinds` hold all values so far."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.n_values >= _ENOUGH and self.n_numbers < self.n_values / 2:
            return
        n_values = len(values) - values.null_count
        self.n_values += n_values
        if pa.float64() in kinds:
            self.n_numbers += n_values
            self._kinds = kinds
            return
        is_number = pc.match_substring_regex(values, NUMBER)
        if self.of_doubles:
            inexact = pa.array([*_inexact(values)], pa.string())
            is_number = pc.and_not(is_number, pc.is_in(values, inexact))
        self.n_numbers += is_number.true_count
        self._kinds = _narrowed(self._kinds, values.filter(is_number))
        row = pc.index(is_number, False).as_py()
        if row >= 0:
            self.first = self.first or (path, n_before + row)
            found = values.filter(pc.invert(is_number)).unique().slice(0, _MOST_SHOWN + 1)
            self.others = list(dict.fromkeys([*self.others, *found.to_pylist()]))[: _MOST_SHOWN + 1]


class _Utf8:
    """The bytes of a file of text as UTF-8, and some text after them, for pyarrow."""

    closed = False

    def __init__(self, file, encoding: str, after: str):
        if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
            self._next = file.read
        else:
            text = io.TextIOWrapper(file, encoding, newline="")
            self._next = lambda size: text.read(size).encode()
        self._after, self._rest = after.encode(), b""

    def read(self, size: int) -> bytes:
        """About so many bytes, or those that are left: pyarrow wants a whole header in the first."""
        while len(self._rest) < size:
            piece = self._next(size - len(self._rest))
            if not piece:
                piece, self._after = self._after, b""
                if not piece:
                    break
            self._rest += piece
        # pyarrow leaves out a line feed that is the first of a block after a carriage return, in quotes too.
        size -= self._rest[:size].endswith(b"\r")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _dataset(source, schema=None):
    """The dataset of some files, as pyarrow finds it or with a schema; what is none is left to pyarrow."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    if isinstance(source, ds.Dataset):
        return source
    paths = source if isinstance(source, list | tuple) else [source]
    if not all(isinstance(path, str | os.PathLike) for path in paths):
        try:
            return ds.dataset(source)
        except TypeError as error:
            raise no_path("source", source) from error
    partitioning = None if paths is not source and Path(source).is_file() else "hive"
    try:
        dataset = ds.dataset(source, schema=schema, partitioning=partitioning)
    except (pa.ArrowException, OSError) as error:
        if _names_file(error):
            raise
        remedy = (
            "If folders and files have columns of the same names, give pyarrow.dataset.dataset(...) as "
            "source."
            if isinstance(error, pa.ArrowTypeError)
            else "Write the file anew or leave it out: a list of files is a source too."
        )
        shown = ", ".join(map(str, paths[:3]))
        raise ValueError(f"{shown} cannot be read: {str(error).rstrip('.')}. {remedy}") from error
    if not dataset.files:
        raise ValueError(f"There are no files in {source}.")
    return dataset


@contextlib.contextmanager
def _naming(fragment):
    """Name the file that cannot be read."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if _names_file(error):
            raise
        raise ValueError(
            f"{getattr(fragment, 'path', 'A piece')} cannot be read: {str(error).rstrip('.')}. Write it "
            f"anew or leave it out: a list of files is a source too."
        ) from error


def _names_file(error: Exception) -> bool:
    """Whether an error is one of the system, which has a number or a class of its own, and names the file."""
    return isinstance(error, OSError) and (error.errno is not None or type(error) is not OSError)


def _common_type(one, other):
    """The type that holds the values of two; pyarrow raises an error if there is none."""
    import pyarrow as pa

    if one == other:
        return one
    plain = [type_.value_type if pa.types.is_dictionary(type_) else type_ for type_ in (one, other)]
    schemas = [pa.schema([("values", type_)]) for type_ in plain]
    return pa.unify_schemas(schemas, promote_options="permissive").field(0).type


def _side_by_side(columns: list[np.ndarray]) -> np.ndarray:
    """Columns as an array; of objects where NumPy would make floats of large whole numbers."""
    joined = np.column_stack(columns)
    if joined.dtype.kind == "f" and any(map(holds_large, columns)):
        return np.column_stack([column.astype(object) for column in columns])
    return joined


def _pyarrow(module: str, needed_by: str):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{needed_by} needs pyarrow: pip install pyarrow.") from error


def _files(source) -> list:
    """The file, files, or files of the folder."""
    paths = paths_of(source, "source")
    if len(paths) == 1 and Path(paths[0]).is_dir():
        found = (path for path in Path(paths[0]).rglob("*") if path.is_file())
        paths = sorted(path for path in found if not path.name.startswith((".", "_")))
    if not paths:
        raise ValueError(f"There are no files in {source}.")
    return paths


def _as_type(name: str, given):
    """pyarrow's type of a column, as named by it, NumPy or pandas."""
    import pyarrow as pa
    import pyarrow.csv as text

    ways = (
        lambda: given if isinstance(given, pa.DataType) else pa.type_for_alias(_alias(given)),
        lambda: _zoned(given),
        lambda: pa.from_numpy_dtype(np.dtype(given)),
    )
    for way in ways:
        with contextlib.suppress(TypeError, ValueError, pa.ArrowException):
            type_ = way()
            text.read_csv(io.BytesIO(b"a\n"), convert_options=text.ConvertOptions(column_types={"a": type_}))
            return type_
    raise ValueError(
        f"dtypes[{name!r}] is {given!r}, which is no type that text is read as; 'string', 'int64', 'double', "
        f"'bool' and 'timestamp[s]' are some."
    )


def _alias(given) -> str:
    """pyarrow's name of a type."""
    if given in ("object", "O", "category", object):
        return "string"
    return str(given).removesuffix("[pyarrow]")


def _zoned(given):
    """The type of times in a zone, which pyarrow has no other name for."""
    import pyarrow as pa

    found = re.fullmatch(r"(?:timestamp|datetime64)\[(\w+), (?:tz=)?(.+)\]", str(given))
    if found is None:
        raise ValueError(given)
    return pa.timestamp(*found.groups())


def _narrowed(kinds: tuple, values) -> tuple:
    """Those of some types that hold all of an array of text too."""
    import pyarrow as pa

    if pa.float64() in kinds and any(_inexact(values)):
        kinds = tuple(kind for kind in kinds if kind != pa.float64())
    # pyarrow takes long to say no, of all values at once.
    for some in (values.slice(0, 100), values):
        kinds = tuple(kind for kind in kinds if _can_be(some, kind))
    return kinds


def _inexact(values) -> Iterator[str]:
    """Those of an array of text that are whole numbers which no double says exactly."""
    import pyarrow.compute as pc

    digits = values.filter(pc.match_substring_regex(values, r"^\s*[+-]?[0-9]{16,}\s*$"))
    return (text for text in digits.to_pylist() if decimal.Decimal(text) != float(text))


def _can_be(values, type_) -> bool:
    """Whether text, or all of an array, can be read as a type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values = pa.array([values]) if isinstance(values, str) else values
        if not (pa.types.is_boolean(type_) or pa.types.is_timestamp(type_)):
            # The reader skips blanks around values of these types, a cast does not.
            values = pc.utf8_trim(values, " \t")
        values.cast(type_)
    except pa.ArrowNotImplementedError:
        # The reader makes types of text that no cast makes: it has the last word.
        return True
    except (pa.ArrowException, UnicodeError):
        return False
    return True
