"""Rows of text in the formats of libsvm, libffm and libFM: bytes to CSR without a loop over tokens.

A line is ``target index:value ...`` (libsvm and libFM) or ``target field:index:value ...`` (libffm); what
follows a ``#`` is a comment. The numbers of a whole chunk are read at once. Only when something does not add
up are lines looked at one by one, to name the file, the line and the token.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# Numbers of a token, with colons between them, by format.
TOKEN_NUMBERS = {"libsvm": 2, "libfm": 2, "libffm": 3}
_SHAPES = {2: "index:value", 3: "field:index:value"}
_COLON, _NEWLINE = ord(":"), ord("\n")
_MAX_ID = np.iinfo(np.int32).max
# Bytes read at a time.
_BLOCK = 1 << 24


class TextRows(NamedTuple):
    """Consecutive rows of a file.

    Attributes
    ----------
    target : (n,)
    starts : (n + 1,) where each row's nonzeros start
    ids, values : (nnz,)
    fields : (nnz,) field of each nonzero, or None
    lines : (n,) number of each row's line, from 1
    """

    target: np.ndarray
    starts: np.ndarray
    ids: np.ndarray
    values: np.ndarray
    fields: np.ndarray | None
    lines: np.ndarray


def open_text(path, mode: str):
    """The file in binary mode, (de)compressed by its suffix."""
    return _OPENERS.get(Path(path).suffix, open)(path, mode)


def read_blocks(path, size: int = _BLOCK) -> Iterator[tuple[bytes, int]]:
    """Whole lines of about `size` bytes at a time, and the number of the first, from 1."""
    line, rest = 1, b""
    with open_text(path, "rb") as file:
        while block := file.read(size):
            lines, newline, tail = (rest + block).rpartition(b"\n")
            rest = tail
            if newline:
                yield lines + newline, line
                line += lines.count(b"\n") + 1
    if rest:
        yield rest + b"\n", line


def parse(text: bytes, first_line: int, token_numbers: int, name: str) -> TextRows:
    """Rows of whole lines.

    Parameters
    ----------
    text : bytes that end with a newline
    first_line : number of the first line, for messages
    token_numbers : 2 or 3 numbers a token
    name : the file's, for messages

    Raises
    ------
    ValueError
        Naming the file, the line and the token.
    """
    text = re.sub(rb"#[^\n]*", b"", text) if b"#" in text else text
    letters = np.frombuffer(text, np.uint8)
    is_colon = letters == _COLON
    is_blank = letters <= 32
    starts = np.flatnonzero(~is_blank & np.concatenate([[True], is_blank[:-1]]))
    if starts.size == 0:
        none, no_ids = np.empty(0), np.empty(0, np.int64)
        fields = no_ids if token_numbers == 3 else None
        return TextRows(none, np.zeros(1, np.int64), no_ids, none, fields, no_ids)
    colons = np.add.reduceat(is_colon, starts, dtype=np.int64)
    line_of = np.cumsum(letters == _NEWLINE)[starts]
    is_target = np.concatenate([[True], np.diff(line_of) > 0])
    separator = is_blank | is_colon
    lacks_number = np.any(is_colon & np.concatenate([[True], separator[:-1]]))
    lacks_number |= np.any(is_colon[:-1] & separator[1:])
    numbers = _numbers(text)
    expected = np.where(is_target, 0, token_numbers - 1)
    # A colon stands between numbers, so as many numbers as colons and tokens means each is one.
    if (
        lacks_number
        or numbers is None
        or numbers.size != starts.size + colons.sum()
        or np.any(colons != expected)
    ):
        raise _explained(text, first_line, token_numbers, name)
    first = np.cumsum(colons + 1) - colons - 1
    rows = first[is_target]
    rest = np.delete(numbers, rows).reshape(-1, token_numbers)
    per_row = np.diff(np.append(np.flatnonzero(is_target), starts.size)) - 1
    whole = rest[:, :-1]
    if not np.isfinite(numbers).all() or np.any((whole < 0) | (whole > _MAX_ID) | (whole != np.floor(whole))):
        raise _explained(text, first_line, token_numbers, name)
    return TextRows(
        target=numbers[rows],
        starts=np.concatenate([[0], np.cumsum(per_row)]),
        ids=rest[:, -2].astype(np.int64),
        values=rest[:, -1],
        fields=rest[:, 0].astype(np.int64) if token_numbers == 3 else None,
        lines=first_line + line_of[is_target],
    )


def _numbers(text: bytes) -> np.ndarray | None:
    """All numbers of the text, or None where something is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            return np.fromstring(text.replace(b":", b" "), sep=" ")
    except (ValueError, DeprecationWarning):
        return None


def _explained(text: bytes, first_line: int, token_numbers: int, name: str) -> ValueError:
    """The error about the first token that is wrong."""
    for line, row in enumerate(text.split(b"\n"), first_line):
        for position, token in enumerate(row.split()):
            shown = token.decode("ascii", "backslashreplace")
            where = f"{name}, line {line}: {shown!r}"
            numbers = token.split(b":")
            if position == 0 and len(numbers) > 1:
                return ValueError(
                    f"{where} stands where the target should; write the target first in each line."
                )
            if len(numbers) != (token_numbers if position else 1):
                return ValueError(
                    f"{where} is not {_SHAPES[token_numbers]}. Name the file's format with format=."
                )
            for number, given in enumerate(numbers):
                is_id = position > 0 and number < token_numbers - 1
                if not _is_number(given, is_id):
                    wanted = f"an integer from 0 to {_MAX_ID}" if is_id else "a finite number"
                    found = given.decode("ascii", "backslashreplace")
                    return ValueError(f"{where}: {found!r} is not {wanted}.")
    return ValueError(f"{name}, from line {first_line} on, cannot be read as {_SHAPES[token_numbers]}.")


def _is_number(given: bytes, is_id: bool) -> bool:
    try:
        value = float(given)
    except ValueError:
        return False
    # Python alone reads 1_000.
    return (
        b"_" not in given
        and bool(np.isfinite(value))
        and (not is_id or (value == int(value) and 0 <= value <= _MAX_ID))
    )


def detect_format(path) -> str:
    """ "libffm" where the first token after a target has two colons, else "libsvm"."""
    for text, _ in read_blocks(path, 1 << 16):
        found = re.search(rb"^[^\s#]+[ \t]+([^\s#]+)", text, re.MULTILINE)
        if found:
            return "libffm" if found[1].count(b":") == 2 else "libsvm"
    return "libsvm"


def as_matrix(rows: TextRows, n_features: int, dtype) -> sparse.csr_matrix:
    """CSR of the rows; values of an index that a row repeats are added up."""
    arrays = rows.values.astype(dtype), rows.ids, rows.starts
    X = sparse.csr_matrix(arrays, shape=(rows.target.size, n_features))
    X.sum_duplicates()
    return X


def join(pieces: list[TextRows]) -> TextRows:
    """The rows of all pieces."""
    if len(pieces) == 1:
        return pieces[0]
    ends = np.cumsum([0, *(piece.ids.size for piece in pieces)])
    starts = [piece.starts[1:] + end for piece, end in zip(pieces, ends[:-1], strict=True)]
    fields = [piece.fields for piece in pieces if piece.fields is not None]
    return TextRows(
        target=np.concatenate([piece.target for piece in pieces]),
        starts=np.concatenate([[0], *starts]),
        ids=np.concatenate([piece.ids for piece in pieces]),
        values=np.concatenate([piece.values for piece in pieces]),
        fields=np.concatenate(fields) if fields else None,
        lines=np.concatenate([piece.lines for piece in pieces]),
    )


def split(rows: TextRows, n: int) -> tuple[TextRows, TextRows]:
    """The first n rows, and the others."""
    end = rows.starts[n]
    fields = (None, None) if rows.fields is None else (rows.fields[:end], rows.fields[end:])
    first = TextRows(
        rows.target[:n], rows.starts[: n + 1], rows.ids[:end], rows.values[:end], fields[0], rows.lines[:n]
    )
    rest = TextRows(
        rows.target[n:], rows.starts[n:] - end, rows.ids[end:], rows.values[end:], fields[1], rows.lines[n:]
    )
    return first, rest
