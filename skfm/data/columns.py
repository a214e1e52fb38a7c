"""One column of a table as one field or several: categories, hashes and lists; see also `numeric`.

An encoder of a column gives local slot numbers of each of its fields: 0, 1, ... A slot once given keeps its
number. `update` counts, `settle` then adds slots at the end.
"""

from __future__ import annotations

import copy
import datetime
import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import murmurhash3_32

from skfm.data.frames import Column, lists_of, unique_values

OTHER, MISSING = 0, 1


class Slots(NamedTuple):
    """Slots of one field.

    Attributes
    ----------
    slots : (m,) local numbers, row after row
    values : (m,) values, or None when every value is 1
    lengths : (n_rows,) slots of each row, or None when every row has one
    """

    slots: np.ndarray
    values: np.ndarray | None = None
    lengths: np.ndarray | None = None


class Found(NamedTuple):
    """Nonzeros of one field of an encoded matrix."""

    rows: np.ndarray
    slots: np.ndarray
    values: np.ndarray


class Options(NamedTuple):
    """How columns are encoded; see `FieldEncoder`."""

    min_frequency: float
    max_categories: int | None
    bins: int
    numeric_encoding: str

    def least(self, total: float) -> float:
        """Weight that a value needs for a slot of its own."""
        share = self.min_frequency if isinstance(self.min_frequency, numbers.Integral) else None
        # A share of a sum is not exact: 0.07 * 100 > 7.
        return float(share if share is not None else self.min_frequency * total * (1 - 1e-9))

    def chosen(self, weights: np.ndarray, total: float, room_taken: int) -> np.ndarray:
        """Which values get a slot, in their order, from their weights."""
        own = np.flatnonzero((weights >= self.least(total)) & (weights > 0))
        if self.max_categories is not None and own.size > (room := max(self.max_categories - room_taken, 0)):
            own = np.sort(own[np.argsort(-weights[own], kind="stable")[:room]])
        return own


def _sorted(values: list) -> list:
    try:
        return sorted(values)
    except TypeError:  # dates and times, say
        return sorted(values, key=str)


class Vocabulary:
    """Values with a slot of their own, and counts of the others.

    Parameters
    ----------
    table : name of the table of the columns that share the vocabulary, or None
    """

    def __init__(self, options: Options, table: Any = None):
        self.options, self.table = options, table
        self.family: str | None = None
        self.values: list[Any] = [None, None]
        self.slot_of: dict[Any, int] = {}
        self.weights: dict[Any, float] = {}
        # The only thing that is changed in place, and never that of a settled vocabulary.
        self.counting: dict[Any, float] | None = None
        self.total = 0.0

    def __deepcopy__(self, memo):
        """A shallow copy, which columns that share the vocabulary still share."""
        return copy.copy(self)

    def count(self, found: list, weights: np.ndarray, total: float) -> None:
        """Count values that have no slot."""
        self.total += total
        if self.counting is None:
            self.counting = dict(self.weights)
        counting, slot_of = self.counting, self.slot_of
        for value, weight in zip(found, weights.tolist(), strict=True):
            if value not in slot_of:
                counting[value] = counting.get(value, 0.0) + weight
        counting.pop(None, None)

    def settle(self, *, go_on: bool) -> None:
        """Give slots to the values that are frequent enough; the counts of others are kept to `go_on`."""
        if self.counting is None:
            return
        counted, self.counting = self.counting, None
        least = self.options.least(self.total)
        values = _sorted([value for value, weight in counted.items() if weight >= least])
        weights = np.array([counted[value] for value in values], dtype=float)
        own = [
            values[place] for place in self.options.chosen(weights, self.total, len(self.slot_of)).tolist()
        ]
        self.slot_of = self.slot_of | {value: len(self.values) + i for i, value in enumerate(own)}
        self.values = self.values + own
        self.weights = {v: w for v, w in counted.items() if v not in self.slot_of} if go_on else {}


class Categories:
    """Text, booleans or any other values: a slot for each, one for the rest, one for missing values."""

    learns = True

    def __init__(self, column: Column, vocabulary: Vocabulary):
        self.name, self.vocabulary = column.name, vocabulary

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Count values that have no slot."""
        found, number, family = self._unique(column)
        self.vocabulary.family = self.vocabulary.family or family
        self.vocabulary.count(found, np.bincount(number, weight, len(found)), float(weight.sum()))

    def settle(self, *, go_on: bool) -> None:
        """Give slots to the values that are frequent enough."""
        self.vocabulary.settle(go_on=go_on)

    def encode(self, column: Column) -> list[Slots]:
        found, number, _ = self._unique(column)
        slot_of = self.vocabulary.slot_of
        slots = [MISSING if value is None else slot_of.get(value, OTHER) for value in found]
        return [Slots(np.array(slots, dtype=np.int32)[number] if slots else number)]

    def _unique(self, column) -> tuple[list, np.ndarray, str | None]:
        """Different values, the number of each row's and their family, which has to be the known one."""
        found, number, family = unique_values(column)
        known, table = self.vocabulary.family, self.vocabulary.table
        if family is not None and known is not None and family != known:
            place = next(place for place, value in enumerate(found) if value is not None)
            where = f"row {column.row(int(np.argmax(number == place)))}: {found[place]!r}"
            raise ValueError(
                f"Column {self.name!r} held {known} in fit and holds {family} now ({where}). Convert it to "
                f"what it was in fit."
                if table is None
                else f"Column {self.name!r} holds {family} ({where}), but the table {table!r} that it shares "
                f"holds {known}. Convert it, or leave it out of shared=."
            )
        return found, number, family

    def names(self) -> list[list[str]]:
        own = [f"{self.name}={value}" for value in self.vocabulary.values[2:]]
        return [[f"{self.name}:other", f"{self.name}:missing", *own]]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        values = np.empty(len(self.vocabulary.values), dtype=object)
        values[:] = self.vocabulary.values
        out = np.full(n_rows, None, dtype=object)
        out[fields[0].rows] = values[fields[0].slots]
        return out


class Hashed:
    """Values by hash: a fixed number of slots that unseen values share too, and one for missing values."""

    learns = False

    def __init__(self, column: Column, n_slots: int, signed: bool):
        self.name, self.n_slots, self.signed = column.name, n_slots, signed

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Nothing is learned, but values that cannot be encoded are refused."""
        unique_values(column)

    def settle(self, *, go_on: bool) -> None:
        """There is nothing to settle."""

    def encode(self, column: Column) -> list[Slots]:
        found, number, _ = unique_values(column)
        return self._slots([None if value is None else _key(value) for value in found], number)

    def _slots(self, keys: list, number: np.ndarray) -> list[Slots]:
        """Slots of the keys of different values, by the number of each row's; None is missing."""
        hashes = np.array(
            [0 if key is None else murmurhash3_32(key, positive=True) for key in keys], np.int64
        )
        missing = np.array([key is None for key in keys], dtype=bool)
        slots = np.where(missing, self.n_slots, (hashes >> 1) % self.n_slots).astype(np.int32)
        values = None
        if self.signed:
            values = np.where(missing | (hashes & 1 == 0), 1.0, -1.0)[number]
        return [Slots(slots[number] if keys else number, values)]

    def names(self) -> list[list[str]]:
        return [[*(f"{self.name}#{slot}" for slot in range(self.n_slots)), f"{self.name}:missing"]]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        """Hashes cannot be turned back: None."""
        return np.full(n_rows, None, dtype=object)


class Crossed(Hashed):
    """Pairs of values of two columns, by hash; missing where one of both is."""

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Nothing is learned; the two columns have encoders of their own, which refuse what they must."""

    def encode(self, column: Column) -> list[Slots]:
        (first, one, _), (second, other, _) = map(unique_values, column.values)
        pairs, number = np.unique(one.astype(np.int64) * len(second) + other, return_inverse=True)
        keys = [self._pair(first[pair // len(second)], second[pair % len(second)]) for pair in pairs.tolist()]
        return self._slots(keys, number)

    @staticmethod
    def _pair(one, other) -> str | None:
        if one is None or other is None:
            return None
        # The length tells ("a", "bc") from ("ab", "c").
        first, second = (key.hex() if isinstance(key, bytes) else key for key in (_key(one), _key(other)))
        return f"{len(first)}:{first}{second}"


def _key(value) -> str | bytes:
    """Text that is the same for equal values of any type."""
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, datetime.date | datetime.timedelta):
        return str(value)
    whole = isinstance(value, numbers.Integral | np.bool_) or (math.isfinite(value) and value == int(value))
    return str(int(value)) if whole else repr(float(value))


class MultiHot:
    """Lists: a slot for each entry. The empty list has none, a missing list is one missing entry."""

    def __init__(
        self, column: Column, entries: Categories | Hashed, separator: str | None, max_length: int | None
    ):
        self.name, self.entries, self.separator = column.name, entries, separator
        self.max_length = max_length
        self.learns = entries.learns

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Count entries that have no slot."""
        entries, lengths = lists_of(column, self.separator, self.max_length)
        self.entries.update(entries, np.repeat(weight, lengths))

    def settle(self, *, go_on: bool) -> None:
        """Give slots to the entries that are frequent enough."""
        self.entries.settle(go_on=go_on)

    def encode(self, column: Column) -> list[Slots]:
        entries, lengths = lists_of(column, self.separator, self.max_length)
        (slots,) = self.entries.encode(entries)
        return [slots._replace(lengths=lengths)]

    def lengths(self, column: Column) -> np.ndarray:
        """Length of each row's list, also beyond the most."""
        return lists_of(column, self.separator, None)[1]

    def names(self) -> list[list[str]]:
        return self.entries.names()

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        """Each row's entries in the order of their slots; None for missing and unknown ones."""
        one_each = fields[0]._replace(rows=np.arange(fields[0].rows.size))
        entries = self.entries.decode(fields[0].rows.size, [one_each])
        repeats = np.maximum(np.abs(np.round(fields[0].values)).astype(int), 1)
        out = np.empty(n_rows, dtype=object)
        out[:] = [[] for _ in range(n_rows)]
        for row, entry, repeat in zip(fields[0].rows.tolist(), entries, repeats, strict=True):
            out[row].extend([entry] * repeat)
        return out
