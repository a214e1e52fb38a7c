"""How a column is read where nobody says so: as names, quantities or text, by its name and its values.

The targets are never looked at. The figures come from benchmarks/cases/readings.py, 2026-11-29.
"""

from __future__ import annotations

import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skfm.data.frames import Column, holds_durations, is_missing, numbers_of, unique_values
from skfm.data.state import Stateful
from skfm.data.validate import shown
from skfm.data.whole_numbers import EXACT, first_inexact


class ReadingWarning(UserWarning):
    """Columns are read in a way that is worth a look; the message says how to have them read otherwise."""


# Where a column may be of another type than the rest: an array of text makes text of it again.
_WHERE = "in a frame or an array of objects"


@dataclass(frozen=True)
class Written(Stateful):
    """Numbers or dates of a column that are written as text.

    Attributes
    ----------
    column : its name
    what : "numbers" or "dates"
    example : one of them
    """

    column: Any
    what: str
    example: str

    def remedy(self) -> str:
        """What to do in a table."""
        return f"Make {'datetimes' if self.what == 'dates' else 'floats'} of them, {_WHERE}."

    def message(self, remedy: str) -> str:
        """Of a warning that they are read as names."""
        return (
            f"Column {self.column!r} holds {self.what} written as text ({self.example!r}), which are read as "
            f"names. {remedy} Names they stay, without this warning, with "
            f"FieldEncoder(categorical=[{self.column!r}])."
        )


@dataclass(frozen=True)
class Mixed(Stateful):
    """Some text among the numbers of a column of text, which makes names of all.

    Attributes
    ----------
    column : its name
    n_values, n_numbers : how many are not missing, and how many of them are numbers
    other : the first that is no number
    row : of it
    """

    column: Any
    n_values: int
    n_numbers: int
    other: str
    row: int

    def remedy(self) -> str:
        """What to do in a table."""
        return f"Mend it, or make floats of the column, NaN of such text, {_WHERE}."

    def message(self, remedy: str) -> str:
        """Of a warning that they are read as names."""
        return (
            f"Column {self.column!r} holds {shown(self.other)} at row {self.row}, which is no number, as "
            f"{self.n_numbers} of {self.n_values} values of the column are, and so all are read as names. "
            f"{remedy} Names they stay, without this warning, with "
            f"FieldEncoder(categorical=[{self.column!r}])."
        )


@dataclass(frozen=True)
class Reading(Stateful):
    """How a column is read, and why.

    Attributes
    ----------
    name : {"identifier", "category", "integer", "number", "date", "list", "text", "cross"}
    written : numbers or dates that are read as names for being text, or for text among them; or None
    """

    name: str
    why: str
    written: Written | Mixed | None = None


_OF_TYPE = {
    "category": "values of this type are names: text, booleans and others",
    "integer": "whole numbers, of which neither name nor values say that they are identifiers",
    "number": "values of this type are quantities",
    "date": "values of this type are dates",
    "list": "values of this type are lists",
}


def reading_of(column: Column, weight: np.ndarray) -> Reading:
    """The reading of a column of which parameters say nothing.

    Parameters
    ----------
    weight : of each row; a weight of 2 is the row twice
    """
    why = why_identifier(column, weight)
    if why is not None:
        return Reading("identifier", why)
    if column.kind == "category":
        texts = _sample_of_texts(column)
        why = _why_text(column, weight, texts)
        if why is not None:
            return Reading("text", why)
        return Reading("category", _OF_TYPE["category"], _mixed(column, texts) or _written(column, texts))
    return Reading(column.kind, _OF_TYPE[column.kind])


# -- identifiers -------------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Last words of names of columns that hold names of things, whole numbers or not.
_NAMES_OF_NAMES = _words(
    "id ids uid iid pid gid cid sid aid oid vid tid nid guid uuid key pk fk code codes zip postcode pincode "
    "sku isbn issn asin ean gtin upc ssn vin imei imsi ip hash idx category categorical cat cate subcategory"
)
# Things that have names: their number stands for one of them.
_THINGS = _words(
    "account actor ad advert advertiser agent airline airport album app artist article author bank book "
    "branch brand buyer campaign carrier city client commune company country county course creative "
    "customer dealer department dept device district doctor domain driver employee employer film flight "
    "genre hospital host hotel industry item job language listing location machine manufacturer member "
    "merchant movie municipality nationality neighborhood occupation organization owner parent "
    "passenger patient person place player playlist podcast product profession profile province "
    "publisher query region restaurant route school seller session shop site song source species "
    "station store street student supplier teacher team tenant track transaction type user vehicle "
    "vendor video visitor warehouse website"
)
# The same, of which a whole number may be an amount or an order too: names with "id" or "index" alone.
_AMBIGUOUS_THINGS = _words(
    "area channel copy event group model order page post room row series show state tag"
)
# Words for a number, and what has numbers for names.
_NUMBER_OF = _words("no nr num number")
_NUMBERED = _words(
    "account card case contract flight house invoice order part passport phone policy reference room route "
    "serial social telephone ticket tracking train vehicle"
)
# Words in front that make an amount of any name, and last words of names of amounts.
_AMOUNTS_OF = _words(
    "n nb num no number count counts cnt total sum avg average mean median min max std var share pct percent "
    "log freq"
)
_AMOUNTS = _AMOUNTS_OF | _words(
    "amount rate ratio frequency size length age days hours minutes seconds price cost value score rating "
    "rank level"
)
# What pandas adds to names when it joins tables.
_JOINED = frozenset("xy")
_WORDS_OF_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")

# Rows that may overrule a name, and by what weight a row counts at most: sums must be floats.
_ENOUGH_ROWS, _MOST_ROWS = 20, 1e100
# Values alone: different ones, rows of each, share of the range that occurs, and unevenness.
_LEAST_VALUES, _LEAST_ROWS, _LEAST_FILLED, _LEAST_UNEVEN = 100, 3, 0.9, 3.0
# Median of the square of a standard normal number.
_MEDIAN_CHI2 = 0.4549
# Periods in which people round, and by how many deviations numbers that are rounded stand out.
_PERIODS, _STANDS_OUT = (2, 5, 7, 10, 12, 15, 20, 25, 30, 50, 60, 100), 5.0


def why_identifier(column: Column, weight: np.ndarray) -> str | None:
    """Why the whole numbers of a column are names of things rather than quantities; None if they may be both.

    The name says so, by its last word (user_id, zipCode, item), unless the values cannot be: negative ones,
    or, of 20 rows or more, fewer than three different ones, or zeros in most rows, as counts have. Or,
    whatever the name but one of quantities, the values do: at least 100 different ones and three rows of
    each, which fill their range and are unevenly frequent from one to the next, and not in round numbers
    alone.
    """
    said = _said_by_name(column.name)
    if column.kind not in ("integer", "number") or (column.kind == "number" and said in (None, "quantity")):
        return None
    if said == "quantity" or isinstance(column.values, list):
        return None
    whole = _whole_numbers(column, weight)
    if whole is None or whole[0].size < (3 if said is None else 1):
        return None
    values, weight = whole[0], np.minimum(whole[1], _MOST_ROWS)
    low, high = int(values.min()), int(values.max())
    spread = high - low + 1
    if said is not None:
        is_hash = spread >= 2**31
        has_three = bool(((values != low) & (values != high)).any())
        is_count = 2 * weight[values == 0].sum() > weight.sum()
        # A few rows, such as the first of a stream, overrule no name.
        may_be = (has_three and not is_count) or weight.sum() < _ENOUGH_ROWS
        return f"its name says {said!r}" if may_be and (low >= -1 or is_hash) else None
    if spread >= 2**62:
        return "its numbers are spread over 64 bits, as hashes are"
    # Weights may be of any size, and a row has one value.
    most = min(weight.sum() / _LEAST_ROWS, values.size) / _LEAST_FILLED
    if not _LEAST_VALUES <= spread <= most:
        return None
    counts = np.bincount(values - low, weight)
    n_values = np.count_nonzero(counts)
    if n_values < max(_LEAST_VALUES, _LEAST_FILLED * spread) or weight.sum() < _LEAST_ROWS * n_values:
        return None
    if _unevenness(counts) < _LEAST_UNEVEN or _prefers_round(counts):
        return None
    return f"{n_values} numbers fill {low} to {high}, some frequent beside rare ones, as ids are"


def is_name(name: Any) -> bool:
    """Whether a column's name says that its values are names, whatever they are."""
    return _said_by_name(name) not in (None, "quantity")


def _said_by_name(name: Any) -> str | None:
    """The word of a column's name that makes identifiers of its numbers, "quantity", or None."""
    if not isinstance(name, str):
        return None
    words = [word.lower() for word in _WORDS_OF_NAME.findall(name)]
    while len(words) > 1 and words[-1] in _JOINED:
        words.pop()
    if not words:
        return None
    first, last, before = words[0], words[-1], words[-2] if len(words) > 1 else ""
    if last in _NUMBER_OF and before in _NUMBERED:
        return f"{before} {last}"
    if last in _AMOUNTS or (first in _AMOUNTS_OF and len(words) > 1):
        return "quantity"
    things = _THINGS | _AMBIGUOUS_THINGS
    if last in _NAMES_OF_NAMES or last in _THINGS or (last == "index" and (before in things or not before)):
        return last
    if first in ("id", "code") and len(words) > 1:
        return first
    if last.endswith(("code", "zip")) or (last.endswith("id") and last[:-2] in things):
        return last
    return None


def _whole_numbers(column: Column, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Whole numbers of the rows that have one and a weight, and their weights; None if some are no such.

    Floats are whole numbers where some are missing, as pandas has it; durations are none.
    """
    if column.kind == "number" and holds_durations(column):
        return None
    numbers, missing = numbers_of(column)
    use = ~missing & (weight > 0)
    if not use.all():
        numbers, weight = numbers[use], weight[use]
    if numbers.dtype.kind == "f":
        if not missing.any() or (np.abs(numbers) >= EXACT).any() or (numbers != np.trunc(numbers)).any():
            return None
        numbers = numbers.astype(np.int64)
    return numbers, weight


def _unevenness(counts: np.ndarray) -> float:
    """How much rows of neighbouring numbers differ, by what chance makes of smooth odds: then it is about 1.

    The median, so that a few peaks of a smooth distribution change nothing.
    """
    sums = counts[1:] + counts[:-1]
    squares = np.diff(counts)[sums > 0] ** 2
    return float(np.median(squares / sums[sums > 0])) / _MEDIAN_CHI2 if squares.size else 0.0


def _prefers_round(counts: np.ndarray) -> bool:
    """Whether numbers that are the same modulo a period are more frequent than those beside them."""
    beside = counts[1:-1] - (counts[:-2] + counts[2:]) / 2
    rank = np.empty(beside.size)
    rank[np.argsort(beside, kind="stable")] = (np.arange(beside.size) + 0.5) / beside.size - 0.5
    for period in _PERIODS:
        number = np.arange(beside.size) % period
        size = np.bincount(number)
        if (np.bincount(number, rank) * np.sqrt(12 / size) > _STANDS_OUT).any():
            return True
    return False


# -- text --------------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_]{2,}")
_SAMPLE, _LEAST_TEXTS, _LEAST_WORDS, _LEAST_DIFFERENT = 1000, 20, 3, 0.5
_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
# With a sign of currency or per cent, a thousands separator, or decimals: digits alone may be a code.
_WRITTEN_NUMBER = re.compile(r"(?=.*[.,$€£%])[-+]?[$€£]? ?-?(\d{1,3}(,\d{3})+|\d+)(\.\d+)? ?[%€$£]?")


def _sample_of_texts(column: Column) -> list[str]:
    """Some values that are no missing ones, evenly spaced; none if any is no text."""
    values = column.values
    step = max(len(values) // _SAMPLE, 1)
    if isinstance(values, np.ndarray | list):
        some = values[::step]
        some = some.tolist() if isinstance(some, np.ndarray) else some
    else:
        some = values.gather_every(step).to_list()
    some = [value for value in some if type(value) is str or not is_missing(value)]
    return some if all(isinstance(value, str) for value in some) else []


def _why_text(column: Column, weight: np.ndarray, texts: list[str]) -> str | None:
    """Why a column holds text to be read word by word; None if its values are names.

    Most values are different, and one in the middle has three words or more.
    """
    if len(texts) < _LEAST_TEXTS:
        return None
    # Parts of an address or of a code, between signs, are no words.
    n_words = float(np.median([sum(map(bool, map(_WORD.search, text.split()))) for text in texts]))
    if n_words < _LEAST_WORDS:
        return None
    found, number, _ = unique_values(column)
    of_value = np.bincount(number, np.minimum(weight, _MOST_ROWS), len(found))
    has_weight = [value is not None and total > 0 for value, total in zip(found, of_value, strict=True)]
    n_values, n_rows = sum(has_weight), float(of_value[has_weight].sum())
    if n_values < _LEAST_TEXTS or n_values < _LEAST_DIFFERENT * n_rows:
        return None
    return f"{n_values} of {n_rows:.0f} values are different, of {n_words:.0f} words in the middle"


def _written(column: Column, texts: list[str]) -> Written | None:
    """The dates or numbers that text are, written out."""
    if len(set(texts)) < _LEAST_TEXTS:
        return None
    for what, pattern in (("dates", _DATE), ("numbers", _WRITTEN_NUMBER)):
        if all(map(pattern.fullmatch, texts)):
            return Written(column.name, what, texts[0])
    return None


# What a cast to floats takes.
NUMBER = r"(?i)^[ \t]*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?|nan)[ \t]*$"
# Numbers, and their share of the values, that make one of numbers of a column with other text.
_LEAST_NUMBERS, _LEAST_SHARE = 20, 0.9


def are_numbers(n_numbers: int, n_values: int) -> bool:
    """Whether a column of which so many values are numbers is one of numbers, with some that are none."""
    return n_numbers >= max(_LEAST_NUMBERS, _LEAST_SHARE * n_values)


def _mixed(column: Column, texts: list[str]) -> Mixed | None:
    """The text that is among numbers; None if they are names, or would lose digits as floats."""
    is_number = re.compile(NUMBER).fullmatch
    if is_name(column.name) or 2 * sum(map(bool, map(is_number, texts))) < max(len(texts), 1):
        return None
    found, number, _ = unique_values(column)
    has_value = np.array([value is not None for value in found])
    of_numbers = np.array([value is not None and bool(is_number(value)) for value in found])
    others = np.flatnonzero((has_value & ~of_numbers)[number])
    n_numbers, n_values = int(of_numbers[number].sum()), int(has_value[number].sum())
    if not others.size or not are_numbers(n_numbers, n_values):
        return None
    if first_inexact(np.array(found, dtype=object)[of_numbers]) is not None:
        return None
    first = int(others[0])
    return Mixed(column.name, n_values, n_numbers, found[number[first]], column.row(first))


def warn(message: str) -> None:
    """Warn of a reading, at the line that called the package."""
    package, level = str(Path(__file__).parents[1]), 2
    frame: Any = sys._getframe(1)
    while frame is not None and (
        frame.f_code.co_filename.startswith(package) or "sklearn" in frame.f_code.co_filename
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ReadingWarning, stacklevel=level)
