"""Rows that come in chunks: checked, encoded and written to disk, from where training reads them."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Generator, Iterator
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import _num_samples

from skfm.data.encode import FieldEncoder, Learning
from skfm.data.frames import is_frame, rows_of
from skfm.data.spool import RowSpool, ahead
from skfm.data.validate import (
    check_sample_weight,
    check_weights_of_part,
    rows_named,
    weights_as_numbers,
    weights_of_rows,
    with_rows,
)
from skfm.fitting.inputs import Encoding, Reader, Rows, checked_targets, joined, read_rows
from skfm.fitting.targets import Labels, Targets, UnknownLabelError

# With fewer nonzeros than this, chunks are put together and fitted in memory (benchmarks/cases/streams.py).
_IN_MEMORY = 1 << 23
_BUFFER_ROWS = 1 << 18
_NO_WEIGHT = "The stream has no rows with a weight."


def is_stream(X) -> bool:
    """Whether X is an iterable of chunks ``(X, y)`` or ``(X, y, sample_weight)`` rather than rows."""
    if hasattr(X, "shape") or hasattr(X, "__array__") or isinstance(X, str | bytes | dict) or is_frame(X):
        return False
    if isinstance(X, list | tuple):
        if not X:
            return False
        # A tuple of tables is (X, y), or rows.
        first = X[0] if isinstance(X[0], list | tuple) else X[:1] if isinstance(X, list) else ()
        # Also one whose X is no table, or not the first: it is refused in words.
        is_chunk = isinstance(X[0], tuple) and (any(map(_has_rows, first)) or any(map(_is_nested, first[:1])))
        return is_chunk or any(map(_has_rows, first[:1]))
    return hasattr(X, "__iter__")


def _has_rows(X) -> bool:
    return len(getattr(X, "shape", ())) == 2


def _is_nested(X) -> bool:
    """Whether a value is a list of lists: as the first of a tuple, it is rows and no value of a row."""
    return isinstance(X, list) and bool(X) and isinstance(X[0], list | tuple)


class Name(NamedTuple):
    """What errors call a chunk.

    Attributes
    ----------
    number : its number in the stream
    place : tells where a row of the chunk is, or the file of None; or None
    why_text : tells what in a file makes text of a column that an error refuses for it; or None
    """

    number: int
    place: Callable[[int | None], str] | None
    why_text: Callable[[str], str | None] | None = None

    def error(self, error: Exception) -> ValueError:
        """The error of a chunk, with its place."""
        message, where = str(error), ""
        why = None if self.why_text is None else self.why_text(message)
        if why is not None:
            return ValueError(f"Chunk {self.number} of the stream: {why}")
        if self.place is not None:
            where = f", {self.place(next(iter(rows_named(message)), None))}"
            if "unseen at fit time" in message:
                message += "Name the columns to read with columns=, or that of the targets with target=."
        return ValueError(f"Chunk {self.number} of the stream{where}: {message}")

    @contextlib.contextmanager
    def of_errors(self):
        """Let errors have it."""
        try:
            yield
        except (ValueError, TypeError) as error:
            raise self.error(error) from error


def chunks_of(stream, *, once: bool = False):
    """Names and chunks, as tuples, of those that have rows; `once` if they are read a single time.

    Raises
    ------
    ValueError
        If the stream cannot be read again, a chunk is not one, or there is no row.
    """
    chunks = iter(stream)
    if chunks is stream and not once:
        raise ValueError(
            f"A {type(stream).__name__} can be read only once, and training reads its rows several times: "
            f"give a list of chunks, or an object whose __iter__ starts anew each time."
        )
    empty = True
    for number, chunk in enumerate(chunks):
        name = Name(number, getattr(chunk, "place", None), getattr(chunk, "why_text", None))
        if isinstance(chunk, list) and chunk and _has_rows(chunk[0]):
            raise name.error(ValueError("expected a tuple, got a list. Give tuple(chunk)."))
        chunk = chunk if isinstance(chunk, tuple) else (chunk,)
        if not chunk or not _has_rows(chunk[0]):
            shape = getattr(chunk[0], "shape", None) if chunk else None
            of_shape = "" if shape is None else f" of shape {shape}"
            shown = f"{type(chunk[0]).__name__}{of_shape}. Make one of it" if chunk else "nothing"
            raise name.error(
                ValueError(
                    f"X must be a DataFrame, a matrix or an array of two dimensions, got {shown}. Chunks are "
                    f"(X, y) or (X, y, sample_weight)."
                )
            )
        if chunk[0].shape[0]:
            empty = False
            yield name, chunk
    if empty:
        paths = ", ".join(map(str, getattr(stream, "paths", [])[:3]))
        raise ValueError(f"The stream has no rows{paths and f' in {paths}'}.")


def map_stream(function, stream) -> np.ndarray:
    """Results of a function of each chunk's X, one after another."""
    found = []
    for name, chunk in ahead(chunks_of(stream, once=True)):
        with name.of_errors():
            found.append(function(chunk[0]))
    return np.concatenate(found)


def scored(
    predict: Callable[[Any], np.ndarray],
    comparable: Callable[[Any], np.ndarray],
    X,
    y=None,
    sample_weight=None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, predictions and weights of rows, or of those of a stream X, as metrics take them.

    Parameters
    ----------
    predict : from X
    comparable : checks targets, and makes them like predictions
    """

    def part(X, y, weight):
        # A stream without targets of its own has been read once its rows are predicted.
        is_read = is_stream(X)
        X = predict(X) if is_read else rows_of(X)
        y = checked_targets(y, _num_samples(X))
        rows = Rows(X, y, weights_of_rows(weight, y.shape[0]))
        check_sample_weight(rows.weight, y.shape[0])
        rows = rows.with_weight()
        with rows.of_errors():
            return comparable(rows.y), rows.X if is_read else predict(rows.X), rows.weight

    if y is not None:
        y, predicted, weight = part(X, y, sample_weight)
        return y, predicted, check_sample_weight(weight, y.shape[0])
    if not is_stream(X):
        raise ValueError(
            "score needs y, the targets of the rows of X. Only chunks of a stream hold their own."
        )
    if sample_weight is not None:
        raise ValueError(
            "X is a stream of chunks, and sample_weight is given without y: give y too, or chunks (X, y, "
            "sample_weight) alone."
        )
    found = []
    for name, chunk in ahead(chunks_of(X, once=True)):
        with name.of_errors():
            X, y, weight = _items(chunk)
            if weight is None or not _are_zeros(weight, X.shape[0], y):
                found.append(part(X, y, weight))
    if not found:
        raise ValueError(_NO_WEIGHT)
    y, predicted, weight = map(np.concatenate, zip(*found, strict=True))
    # Weights beyond floats are scaled: those of all chunks alike.
    return y, predicted, check_sample_weight(weight, y.shape[0])


def _items(chunk: tuple) -> tuple:
    """X, y and the weights or None of a chunk."""
    if len(chunk) not in (2, 3):
        remedy = " CsvStream and ParquetStream take the column of y as target=." if len(chunk) == 1 else ""
        raise ValueError(f"expected (X, y) or (X, y, sample_weight), got {len(chunk)} items.{remedy}")
    return (*chunk, None)[:3]


def _are_zeros(weight, n_rows: int, y) -> bool:
    """Whether weights of rows are all 0; what are no weights, of rows or tasks, is none of these."""
    weight = weights_as_numbers(weight)
    return not weight.any() and weight.shape in ((), (n_rows,), np.shape(y))


def _hold_text(y: np.ndarray) -> bool:
    """Whether some targets are text; other objects may be numbers."""
    if y.dtype.kind != "O":
        return y.dtype.kind in "US"
    return any(isinstance(value, str | bytes) for value in y.flat)


class CheckedStream:
    """Checked rows of a stream's chunks; those in which no row has a weight are left out.

    Parameters
    ----------
    stream : re-iterable of chunks
    reader : checks X
    targets : check the weights

    Attributes
    ----------
    has_weights : whether a chunk that was read has weights
    """

    has_weights = False

    def __init__(self, stream, reader: Reader, targets: Targets):
        self.stream, self.reader, self.targets = stream, reader, targets
        # A stream of files does not know whether its targets are to be numbers.
        if isinstance(targets, Labels) and hasattr(stream, "warn_of_labels"):
            stream.warn_of_labels()

    def __iter__(self) -> Generator[tuple[Name, Rows], None, None]:
        kind = None
        for name, chunk in chunks_of(self.stream):
            with name.of_errors():
                rows = self._checked(chunk)
                if rows is None:
                    continue
                shape, what = rows.y.shape, "text" if _hold_text(rows.y) else "numbers"
                kind = kind or (shape[1:], what)
                if (shape[1:], what) != kind:
                    before = f"in {kind[0][0]} columns" if kind[0] else "in a vector"
                    raise ValueError(
                        f"y holds {what} of shape {shape}, unlike the chunks before ({kind[1]}, {before})."
                    )
            yield name, rows
        if kind is None:
            raise ValueError(_NO_WEIGHT)

    def _checked(self, chunk) -> Rows | None:
        X, y, weight = _items(chunk)
        self.has_weights |= weight is not None
        if weight is not None and _are_zeros(weight, X.shape[0], y):
            return None
        rows = read_rows(X, y, weight, self.reader, self.targets)
        if weight is not None:
            check_weights_of_part(weight)
        return rows

    def teach(self, encoder: FieldEncoder, how: Learning) -> FieldEncoder:
        """Let an encoder learn from all chunks."""
        # A stream of files knows what helps there.
        if hasattr(self.stream, "remedy_of"):
            how = how._replace(remedy_of=self.stream.remedy_of)
        # Errors while the stream is read have their place.
        name: Name | None = None

        def tables():
            nonlocal name
            for name, rows in ahead(self):
                yield rows.X, rows.weight, rows.numbers
                name = None

        with contextlib.closing(tables()) as chunks:
            try:
                return encoder.learn_chunks(chunks, how)
            except (ValueError, TypeError) as error:
                if name is None:
                    raise
                raise name.error(error) from error


@contextlib.contextmanager
def first_of(rows: Rows | CheckedStream) -> Iterator[Any]:
    """X of the rows, or of the first chunk of a stream, for a block whose errors have their place."""
    with contextlib.ExitStack() as stack:
        if isinstance(rows, CheckedStream):
            with contextlib.closing(iter(rows)) as chunks:
                name, rows = next(chunks)
            stack.enter_context(name.of_errors())
        stack.enter_context(rows.of_errors())
        yield rows.X


class Spooled(NamedTuple):
    """Rows of a stream on disk, in the columns that are learned from.

    Attributes
    ----------
    spools : the rows to train on, and those held out
    chunks : rows of each chunk, without X
    names : of each chunk
    is_held_out : (n,) which of them are held out
    """

    spools: tuple[RowSpool, RowSpool]
    chunks: list[Rows]
    names: list[Name]
    is_held_out: np.ndarray

    @property
    def rows(self) -> Rows:
        """All rows in the order of the stream, without X."""
        return joined(self.chunks)

    @property
    def is_small(self) -> bool:
        """Whether rows are few enough to be fitted in memory."""
        return sum(spool.nnz for spool in self.spools) <= _IN_MEMORY

    @contextlib.contextmanager
    def of_errors(self):
        """Let errors that name one of all rows have its place, and its number in its chunk."""
        try:
            yield
        except ValueError as error:
            label = error if isinstance(error, UnknownLabelError) else None
            named = self._named(str(error) if label is None else label.cause)
            if named is None:
                raise
            raise (named if label is None else UnknownLabelError(str(named))) from error

    def _named(self, message: str) -> ValueError | None:
        """The error of a chunk, or None if the message names no row."""
        ends = np.cumsum([chunk.y.shape[0] for chunk in self.chunks])
        first: Name | None = None

        def in_chunk(row: int) -> str:
            nonlocal first
            if row >= ends[-1]:
                return str(row)
            number = int(np.searchsorted(ends, row, side="right"))
            name, chunk = self.names[number], self.chunks[number]
            row -= int(ends[number]) - chunk.y.shape[0]
            row = row if chunk.numbers is None else int(chunk.numbers[row])
            first = first or name
            return str(row) if name is first else f"{row} of chunk {name.number}"

        message = with_rows(message, in_chunk)
        return None if first is None else first.error(ValueError(message))

    def in_memory(self) -> sparse.csr_array:
        """X of all rows in the order of the stream."""
        pieces = [spool.in_memory() for spool in self.spools if spool.shape[0]]
        if len(pieces) == 1:
            return pieces[0]
        held_out = self.is_held_out
        order = np.argsort(np.concatenate([np.flatnonzero(~held_out), np.flatnonzero(held_out)]))
        return sparse.csr_array(sparse.vstack(pieces, format="csr"))[order]


def spool_rows(
    stream: CheckedStream, encoding: Encoding, folder: Path, held_out_share=0.0, random_state=None
) -> Spooled:
    """Encode a stream's rows and write them to a folder."""
    buffer_rows = getattr(stream.stream, "buffer_rows", _BUFFER_ROWS)
    check_scalar(buffer_rows, "buffer_rows", Integral, min_val=1)
    # A generator that is shared is not moved on: rows that turn out to be few are split as rows in memory.
    state = copy.deepcopy(random_state)
    rng = np.random.RandomState() if state is None else check_random_state(state)
    spools: Any = ()
    found: list[Rows] = []
    names: list[Name] = []
    held_out: list[np.ndarray] = []

    def encoded():
        for name, rows in stream:
            with name.of_errors(), rows.of_errors():
                rows = rows._replace(X=encoding(rows.X))
            yield name, rows

    for name, rows in ahead(encoded()):
        X = rows.X
        if not spools:
            spools = tuple(RowSpool(folder / part, X.shape[1], buffer_rows) for part in ("rows", "held_out"))
        chosen = rng.random_sample(X.shape[0]) < held_out_share
        if held_out_share and not found and X.shape[0] > 1:
            # Some row on each side, whatever the share.
            chosen[:2] = True, False
        for spool, members in zip(spools, (~chosen, chosen), strict=True):
            if members.any():
                spool.append(X if members.all() else X[members])
        found.append(rows._replace(X=None))
        names.append(name)
        held_out.append(chosen)
    for spool in spools:
        spool.flush()
    return Spooled(spools, found, names, np.concatenate(held_out))
