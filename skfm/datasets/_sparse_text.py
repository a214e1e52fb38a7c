"""Rows of text in the formats of libsvm, libffm and libFM: bytes to CSR without a loop over tokens.

A line is ``target index:value ...`` (libsvm and libFM) or ``target field:index:value ...`` (libffm), with
``qid:number`` after the target where rows have groups; what follows a ``#`` is a comment. The numbers of a
whole block are read at once. Only when something does not add up are lines looked at one by one, to name the
file, the line and the token.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skfm.data.whole_numbers import EXACT, first_inexact
from skfm.datasets._arguments import paths_of

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# How files start that hold no text, whatever their names say.
_KINDS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"(\xb5/\xfd": "Zstandard",
    b"PK\x03\x04": "zip",
    b"PAR1": "Parquet",
}
# Numbers of a token, with colons between them, by format.
TOKEN_NUMBERS = {"libsvm": 2, "libfm": 2, "libffm": 3}
_SHAPES = {2: "index:value", 3: "field:index:value"}
_COLON, _NEWLINE, _BLANK = ord(":"), ord("\n"), ord(" ")
_FIRST = np.array([0])
MAX_ID = np.iinfo(np.int32).max
# Bytes read at a time; while they are parsed, tokens take ten times as much.
_BLOCK = 1 << 22


class TextRows(NamedTuple):
    """Consecutive rows of a file.

    Attributes
    ----------
    target : (n,)
    starts : (n + 1,) where each row's nonzeros start
    ids, values : (nnz,)
    fields : (nnz,) field of each nonzero, or None
    groups : (n,) group of each row, or None
    lines : (n,) number of each row's line, from 1
    """

    target: np.ndarray
    starts: np.ndarray
    ids: np.ndarray
    values: np.ndarray
    fields: np.ndarray | None
    groups: np.ndarray | None
    lines: np.ndarray

    def line_of(self, position: int) -> int:
        """Line of a nonzero."""
        return self.lines[np.searchsorted(self.starts, position, side="right") - 1]


def open_text(path, mode: str):
    """The file in binary mode, (de)compressed by its suffix."""
    paths_of([path], "path")
    return _OPENERS.get(Path(path).suffix.lower(), open)(path, mode)


@contextlib.contextmanager
def reading(path):
    """The file in binary mode, decompressed by its suffix.

    Raises
    ------
    ValueError
        If it is no whole archive of its suffix, or no text; the message names the file.
    OSError
        If it cannot be read.
    """
    try:
        with open_text(path, "rb") as file:
            first = file.peek(8)
            kind = next((kind for start, kind in _KINDS.items() if first.startswith(start)), None)
            if kind is not None:
                raise ValueError(
                    f"{path} holds {kind} data, not text. Text in files that end in .gz, .bz2 or .xz is "
                    f"decompressed: give the file such a name, or decompress it first."
                )
            if first.startswith(codecs.BOM_UTF8):
                file.read(len(codecs.BOM_UTF8))
            yield file
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        # An error of the system has a number, one of an archive has none.
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or str(path)
            raise
        suffix = Path(path).suffix
        raise ValueError(
            f"{path} is no whole {suffix} file: {error}. Get it anew, or rename it if it is not compressed."
        ) from error


def read_blocks(path, size: int = _BLOCK) -> Iterator[tuple[bytes, int]]:
    """Whole lines of about `size` bytes at a time, and the number of the first, from 1."""
    line, rest = 1, b""
    with reading(path) as file:
        encoding = _wide_encoding(file.peek(4))
        if encoding is not None:
            raise ValueError(
                f"{path} is text in {encoding}, where UTF-8 is expected. Read it with open(..., "
                f"encoding={encoding!r}) and write it anew with encoding='utf-8'."
            )
        while block := file.read(size):
            lines, newline, tail = (rest + block).rpartition(b"\n")
            rest = tail
            if newline:
                yield lines + newline, line
                line += lines.count(b"\n") + 1
    if rest:
        yield rest + b"\n", line


# How text of several bytes a letter starts: with a mark of their order, or a letter of ASCII.
_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WIDE_WITHOUT_MARK = {
    rb"[^\0]\0\0\0": "utf-32-le",
    rb"\0\0\0[^\0]": "utf-32-be",
    rb"[^\0]\0[^\0]\0": "utf-16-le",
    rb"\0[^\0]\0[^\0]": "utf-16-be",
}


def _wide_encoding(first: bytes) -> str | None:
    """The encoding of text that starts as that of several bytes a letter does."""
    of_mark = (encoding for mark, encoding in _WIDE.items() if first.startswith(mark))
    of_letters = (
        encoding for start, encoding in _WIDE_WITHOUT_MARK.items() if re.match(start, first, re.DOTALL)
    )
    return next(of_mark, None) or next(of_letters, None)


def read_rows(path, format: str) -> Iterator[TextRows]:
    """Rows of a file, block by block; either all have a group or none."""
    if format == "auto":
        format = detect_format(path)
    if format not in TOKEN_NUMBERS:
        raise ValueError(f"format must be 'auto' or one of {sorted(TOKEN_NUMBERS)}, got {format!r}.")
    first: TextRows | None = None
    for block in read_blocks(path):
        rows = parse(*block, TOKEN_NUMBERS[format], str(path))
        if not rows.target.size:
            continue
        first = first or rows
        if (rows.groups is None) != (first.groups is None):
            raise _lacks_group(str(path), rows.lines[0], rows.groups is not None)
        yield rows


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
    given = text
    letters = np.frombuffer(text, np.uint8)
    starts = _starts(letters)
    line_of = np.cumsum(letters == _NEWLINE)[starts]
    is_target = np.diff(line_of, prepend=-1) > 0
    is_group = np.zeros_like(is_target)
    if b"qid:" in text:
        is_group = _start_with(letters, starts, b"qid:")
        text = re.sub(rb"(?<!\S)qid:", b"    ", text)
        letters = np.frombuffer(text, np.uint8)
        starts = _starts(letters)
    is_colon = letters == _COLON
    separator = (letters <= _BLANK) | is_colon
    lacks_number = np.any(is_colon & np.concatenate([[True], separator[:-1]]))
    lacks_number |= np.any(is_colon[:-1] & separator[1:])
    tokens = text.replace(b":", b" ").split()
    numbers = _numbers(text, tokens)
    # A colon stands between numbers, so as many numbers as colons and tokens means each is one.
    if (
        lacks_number
        or numbers is None
        or starts.size != is_target.size
        or numbers.size != starts.size + np.count_nonzero(is_colon)
        or np.any(is_group[:1])
        or np.any(is_group[1:] & ~is_target[:-1])
    ):
        raise _explained(given, first_line, token_numbers, name)
    is_single = is_target | is_group
    colons = np.add.reduceat(is_colon, starts, dtype=np.int64) if starts.size else starts
    if np.any(colons != np.where(is_single, 0, token_numbers - 1)):
        raise _explained(given, first_line, token_numbers, name)
    first = np.cumsum(colons + 1) - colons - 1
    rest = np.delete(numbers, first[is_single]).reshape(-1, token_numbers)
    whole = rest[:, :-1]
    if not np.isfinite(numbers).all() or np.any((whole < 0) | (whole > MAX_ID) | (whole != np.floor(whole))):
        raise _explained(given, first_line, token_numbers, name)
    rows, lines = first[is_target], first_line + line_of[is_target]
    target = _whole(numbers, tokens, rows, np.int64, np.uint64)
    if target is None:
        position = first_inexact(np.array([tokens[number] for number in rows.tolist()]))
        if position is not None:
            raise inexact_target(name, lines[position], tokens[rows[position]].decode())
    groups = _whole(numbers, tokens, first[is_group], np.int64) if is_group.any() else None
    if is_group.any():
        if groups is None:
            raise _explained(given, first_line, token_numbers, name)
        has_group = np.append(is_group[1:], False)[is_target]
        if not has_group.all():
            other = int(np.argmax(has_group != has_group[0]))
            raise _lacks_group(name, lines[other], has_group[other])
    of_row = np.cumsum(~is_single)[is_target]
    return TextRows(
        target=numbers[rows] if target is None else target,
        starts=np.append(of_row, rest.shape[0]),
        ids=rest[:, -2].astype(np.int64),
        values=rest[:, -1],
        fields=rest[:, 0].astype(np.int64) if token_numbers == 3 else None,
        groups=groups,
        lines=lines,
    )


def _starts(letters: np.ndarray) -> np.ndarray:
    """Where tokens start."""
    is_blank = letters <= _BLANK
    return np.flatnonzero(~is_blank & np.concatenate([[True], is_blank[:-1]]))


def _start_with(letters: np.ndarray, starts: np.ndarray, text: bytes) -> np.ndarray:
    """Whether each token starts with a text."""
    ends = np.minimum(starts[:, None] + np.arange(len(text)), letters.size - 1)
    return np.all(letters[ends] == np.frombuffer(text, np.uint8), axis=1)


def _numbers(text: bytes, tokens: list[bytes]) -> np.ndarray | None:
    """All numbers of the text, or None where something is none."""
    try:
        # Python alone reads 1_000.
        return None if b"_" in text else np.array(tokens, dtype=np.float64)
    except ValueError:
        return None


def _whole(numbers: np.ndarray, tokens: list[bytes], chosen: np.ndarray, *dtypes) -> np.ndarray | None:
    """Some of the numbers in the first dtype that they fit into, int64 if small; None if one is not whole."""
    found = numbers[chosen]
    if not np.array_equal(found, np.floor(found)):
        return None
    if np.abs(found).max(initial=0) < EXACT:
        return found.astype(np.int64)
    with contextlib.suppress(ValueError):
        exact = [int(tokens[number]) for number in chosen.tolist()]
        for dtype in dtypes:
            if np.iinfo(dtype).min <= min(exact) and max(exact) <= np.iinfo(dtype).max:
                return np.array(exact, dtype=dtype)
    return None


def inexact_target(name: str, line: int, target) -> ValueError:
    """The error of a target that would lose digits."""
    return ValueError(
        f"{name}, line {line}: the target {target} is no float, as targets are in chunks, and where not all "
        f"are whole numbers of 64 bits. Number labels from 0 on, or round the target to a float."
    )


def _lacks_group(name: str, line: int, has_group: bool) -> ValueError:
    this, others = ("has a", "have none") if has_group else ("has no", "have one")
    return ValueError(
        f"{name}, line {line}: this row {this} qid:, and rows before {others}. Give a group to all "
        f"rows or to none."
    )


def _explained(text: bytes, first_line: int, token_numbers: int, name: str) -> ValueError:
    """The error about the first token that is wrong."""
    for line, row in enumerate(text.split(b"\n"), first_line):
        for position, token in enumerate(row.split()):
            shown = token.decode("ascii", "backslashreplace")
            where = f"{name}, line {line}: {shown!r}"
            numbers = token.split(b":")
            if token.startswith(b"qid:"):
                if position != 1:
                    return ValueError(f"{where} stands elsewhere than right after the target.")
                given = token[4:]
                if (
                    not _is_number(given, False)
                    or _whole(np.array([float(given)]), [given], _FIRST, np.int64) is None
                ):
                    return ValueError(f"{where} does not name a group; write a whole number of 64 bits.")
                continue
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
                    wanted = f"an integer from 0 to {MAX_ID}" if is_id else "a finite number"
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
        and (not is_id or (value == int(value) and 0 <= value <= MAX_ID))
    )


def detect_format(path) -> str:
    """ "libffm" where the first token after a target has two colons, else "libsvm"."""
    for text, _ in read_blocks(path, 1 << 16):
        found = re.search(rb"^[^\s#]+[ \t]+(?:qid:[^\s#]*[ \t]+)?(?!qid:)([^\s#]+)", text, re.MULTILINE)
        if found:
            return "libffm" if found[1].count(b":") == 2 else "libsvm"
    return "libsvm"


def join(pieces: list[TextRows]) -> TextRows:
    """The rows of all pieces."""
    if len(pieces) == 1:
        return pieces[0]
    ends = np.cumsum([0, *(piece.ids.size for piece in pieces)])
    starts = [piece.starts[1:] + end for piece, end in zip(pieces, ends[:-1], strict=True)]
    joined: dict[str, Any] = {
        name: None if arrays[0] is None else np.concatenate(arrays)
        for name, arrays in zip(TextRows._fields, zip(*pieces, strict=True), strict=True)
        if name != "starts"
    }
    return TextRows(starts=np.concatenate([[0], *starts]), **joined)


def split(rows: TextRows, n: int) -> tuple[TextRows, TextRows]:
    """The first n rows, and the others."""
    end = rows.starts[n]
    ends = dict.fromkeys(("ids", "values", "fields"), end)
    cut: dict[str, Any] = {
        name: (None, None) if array is None else np.split(array, [ends.get(name, n)])
        for name, array in rows._asdict().items()
        if name != "starts"
    }
    first, rest = ({name: parts[i] for name, parts in cut.items()} for i in range(2))
    return TextRows(starts=rows.starts[: n + 1], **first), TextRows(starts=rows.starts[n:] - end, **rest)
