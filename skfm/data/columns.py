"""One column of a table as one field or several: categories, hashes and lists; see also `numeric`.

An encoder of a column is a value, which never changes. It gives local slots of each of its fields: 0, 1, ...
It learns from counts: `count` gives those of some rows, `merge` those of two parts of the rows, and `learned`
the encoder that knows them: slots keep their numbers, and those of new values come at the end.
"""

from __future__ import annotations

import decimal
import math
import numbers
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.utils import murmurhash3_32

from skfm.data.frames import (
    MIXED,
    Column,
    Large,
    as_list,
    family_of,
    large_of,
    lists_of,
    mixed_families,
    unique_values,
)
from skfm.data.state import Stateful
from skfm.data.validate import shown
from skfm.data.whole_numbers import EXACT

OTHER, MISSING = 0, 1
# Rows that a value needs for a slot of its own, unless rows are few.
RARE = 3


class FieldSlots(NamedTuple):
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


def joined_slots(parts: list[FieldSlots]) -> FieldSlots:
    """Slots of the parts of a column as those of the whole."""

    def joined(arrays: list[Any]) -> Any:
        return None if arrays[0] is None else np.concatenate(arrays)

    return FieldSlots(
        joined([part.slots for part in parts]),
        joined([part.values for part in parts]),
        joined([part.lengths for part in parts]),
    )


class FieldNonzeros(NamedTuple):
    """Nonzeros of one field of an encoded matrix: their rows, local slots and values."""

    rows: np.ndarray
    slots: np.ndarray
    values: np.ndarray


class SlotOrigins(NamedTuple):
    """Slots of one field that are others than before, by the slot of before that says most about each.

    Attributes
    ----------
    slots : (m,) local numbers
    origin : (m,) those of before
    slope, offset : a value in a slot was about ``slope * value + offset`` in its origin
    """

    slots: np.ndarray = np.empty(0, np.int32)
    origin: np.ndarray = np.empty(0, np.int32)
    slope: float = 1.0
    offset: float = 0.0


class Total(NamedTuple):
    """Rows that have a weight, and the sum of their weights."""

    rows: int = 0
    weight: float = 0.0

    @property
    def row(self) -> float:
        """Weight that counts as a row: 1, or the mean weight where that is less."""
        return min(1.0, self.weight / self.rows) if self.rows else 1.0

    @property
    def n(self) -> float:
        """The weight in rows."""
        return self.weight / self.row

    def merge(self, other: Total) -> Total:
        """Of two parts of the rows."""
        return Total(self.rows + other.rows, self.weight + other.weight)

    @classmethod
    def of(cls, weight: np.ndarray) -> Total:
        """Of some rows."""
        return cls(int(np.count_nonzero(weight)), float(weight.sum()))


@dataclass(frozen=True)
class Options(Stateful):
    """How columns are encoded; see `FieldEncoder`.

    Attributes
    ----------
    few_rows : up to so many rows "auto" lets each value have a slot
    """

    min_frequency: float | str = "auto"
    few_rows: int = 0
    max_categories: int | None = None
    bins: int = 32
    numeric_encoding: str = "both"

    def least(self, total: Total) -> float:
        """Weight that a value needs for a slot of its own."""
        least = self.min_frequency
        if isinstance(least, str):
            least = 1 if total.n <= self.few_rows else RARE
        is_count = isinstance(least, numbers.Integral)
        # Sums are not exact: 0.07 * 100 > 7.
        return float(least * (total.row if is_count else total.weight) * (1 - 1e-9))

    def chosen(self, weights: np.ndarray, total: Total, n_slots: int) -> np.ndarray:
        """Which values get a slot, in their order, from their weights; `n_slots` other values have one."""
        frequent = np.flatnonzero((weights >= self.least(total)) & (weights > 0))
        if self.max_categories is not None:
            most = max(self.max_categories - n_slots, 0)
            if frequent.size > most:
                frequent = np.sort(frequent[np.argsort(-weights[frequent], kind="stable")[:most]])
        return frequent


class ColumnEncoder(Stateful):
    """Base class of the encoders of a column.

    Attributes
    ----------
    learns : whether rows change it
    """

    learns: ClassVar[bool] = True
    name: Any

    def count(self, column: Column, weight: np.ndarray) -> Any:
        """What there is to learn from some rows, for `merge`; None for nothing."""
        raise NotImplementedError

    def read_again(self, counts) -> tuple[ColumnEncoder, Any]:
        """Encoder and counts, others where not all of the first rows are what the first part of them was."""
        return self, counts

    def learned(self, counts, *, go_on: bool) -> ColumnEncoder:
        """The encoder that knows counts, which are used up; rare values are kept to `go_on` counting."""
        raise NotImplementedError

    def renewed(self) -> Self:
        """The encoder with the same slots, which learns from the next rows as if they were the first."""
        return self

    def origins(self, known) -> list[SlotOrigins]:
        """What has changed in the slots of each field since this was the encoder `known`; [] for nothing."""
        return []

    def encode(self, column: Column) -> list[FieldSlots]:
        """Slots of each field."""
        raise NotImplementedError

    def n_values(self) -> int:
        """Values with a slot of their own."""
        return 0

    def rare_share(self) -> float:
        """Share of the rows learned from, or of the entries, whose value has none; NaN if it is not known."""
        return math.nan

    def names(self) -> list[list[str]]:
        """Names of the slots of each field."""
        raise NotImplementedError

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        """Values that the nonzeros of each field stand for, (n_rows,) objects."""
        raise NotImplementedError


def merge(a, b):
    """Counts of two parts of the rows as of one; those of `a` are used up."""
    if a is None or b is None:
        return b if a is None else a
    return a.merge(b)


# -- categories --------------------------------------------------------------------------------------


class Family(NamedTuple):
    """What the values of a column are, such as text, and the first of them.

    Attributes
    ----------
    table : name of the table that the column shares, or None
    """

    name: str
    column: Any
    table: Any
    row: int
    value: Any

    def check(self, known: str | None) -> None:
        """Raise ValueError if values known before are of another family."""
        if known is None or known in (self.name, MIXED):
            return
        where = f"row {self.row}: {shown(self.value)}"
        raise ValueError(
            f"Column {self.column!r} held {known} in fit and holds {self.name} now ({where}). Convert it to "
            f"what it was in fit, or make text of all its values before fit."
            if self.table is None
            else f"Column {self.column!r} holds {self.name} ({where}), but the table {self.table!r} that it "
            f"shares holds {known}. Convert it, or leave it out of shared=."
        )


class ValueCounts(NamedTuple):
    """Weights of values that have no slot, the total of all rows, and what all values are."""

    weights: dict[Any, float]
    total: Total
    family: Family | None
    large: Large | None = None

    def merge(self, other: ValueCounts) -> ValueCounts:
        """Counts of both; this dict is added to, as a copy for each part would take longer than counting."""
        if self.family is not None and other.family is not None:
            other.family.check(self.family.name)
        for value, weight in other.weights.items():
            self.weights[value] = self.weights.get(value, 0.0) + weight
        return ValueCounts(
            self.weights,
            self.total.merge(other.total),
            self.family or other.family,
            merge(self.large, other.large),
        )


@dataclass(frozen=True, eq=False)
class Vocabulary(Stateful):
    """Values with a slot of their own, and weights of the others.

    Attributes
    ----------
    table : name of the table of the columns that share the vocabulary, or None
    family : what the values are, such as text
    large : what those from 2**53 on are, "floats" or "whole numbers"
    values : of each slot
    rare : weights of values without a slot that are counted on
    n_rows, total : rows so far, and their weight
    rare_share : share of this that values without a slot have
    once_share : share of this that values of one row have
    """

    options: Options = Options()
    table: Any = None
    family: str | None = None
    large: str | None = None
    values: list[Any] = field(default_factory=lambda: [None, None])
    rare: dict[Any, float] = field(default_factory=dict)
    n_rows: int = 0
    total: float = 0.0
    rare_share: float = 0.0
    once_share: float = 0.0
    slot_of: dict[Any, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        slots = {value: slot for slot, value in enumerate(self.values) if slot > MISSING}
        object.__setattr__(self, "slot_of", slots)

    def learned(self, counts: ValueCounts, *, go_on: bool) -> Vocabulary:
        """With slots for the values that are frequent enough."""
        counts = counts.merge(ValueCounts(self.rare, Total(self.n_rows, self.total), None))
        least = self.options.least(counts.total)
        values = _sorted([value for value, weight in counts.weights.items() if weight >= least])
        weights = np.array([counts.weights[value] for value in values], dtype=float)
        chosen = self.options.chosen(weights, counts.total, len(self.slot_of))
        frequent = [values[number] for number in chosen.tolist()]
        has_slot = set(frequent)
        rare = {value: weight for value, weight in counts.weights.items() if value not in has_slot}
        return replace(
            self,
            family=self.family or (counts.family and counts.family.name),
            large=self.large or (counts.large and counts.large.kind),
            values=self.values + frequent,
            rare=rare if go_on else {},
            n_rows=counts.total.rows,
            total=counts.total.weight,
            rare_share=sum(rare.values()) / (counts.total.weight or 1.0),
            once_share=sum(w for w in counts.weights.values() if w < 1.5 * counts.total.row)
            / (counts.total.weight or 1.0),
        )


def _sorted(values: list) -> list:
    if any(isinstance(value, frozenset) for value in values):  # subsets are no order
        return sorted(values, key=_order)
    try:
        return sorted(values)
    except TypeError:  # values of several types, say
        return sorted(values, key=_order)


def _order(value) -> tuple[str, str]:
    """What values are sorted by that do not compare."""
    return type(value).__name__, str(_key(value))


@dataclass(frozen=True, eq=False)
class Categories(ColumnEncoder):
    """Text, booleans or any other values: a slot for each, one for the rest, one for missing values.

    Attributes
    ----------
    mixes : whether values of several types are accepted
    """

    name: Any
    vocabulary: Vocabulary
    mixes: bool = False

    def count(self, column: Column, weight: np.ndarray) -> ValueCounts:
        found, number, family, large = self._unique(column)
        slot_of = self.vocabulary.slot_of
        weights: dict[Any, float] = {}
        for value, total in zip(found, np.bincount(number, weight, len(found)).tolist(), strict=True):
            if value is not None and value not in slot_of:
                weights[value] = weights.get(value, 0.0) + total
        first = None
        if family is not None:
            first = self._first_but(None, column, found, number)._replace(name=family)
        return ValueCounts(weights, Total.of(weight), first, large)

    def learned(self, counts: ValueCounts | None, *, go_on: bool) -> Categories:
        # Columns that share a table but for the first have no counts of their own.
        if counts is None:
            return self
        return replace(self, vocabulary=self.vocabulary.learned(counts, go_on=go_on))

    def renewed(self) -> Self:
        return replace(self, vocabulary=replace(self.vocabulary, rare={}, n_rows=0, total=0.0))

    def encode(self, column: Column) -> list[FieldSlots]:
        found, number, *_ = self._unique(column)
        slot_of = self.vocabulary.slot_of
        slots = [MISSING if value is None else slot_of.get(value, OTHER) for value in found]
        return [FieldSlots(np.array(slots, dtype=np.int32)[number] if slots else number)]

    def _unique(self, column: Column) -> tuple[list, np.ndarray, str | None, Large | None]:
        """Different values, the number of each row's, and what they are, which has to be what is known."""
        found, number, family = unique_values(column, self.mixes)
        known = self.vocabulary.family
        if family is not None and known not in (None, MIXED, family):
            self._first_but(known, column, found, number).check(known)
        large = large_of(column, found, number, family)
        if large is not None:
            large.check(self.vocabulary.large)
        return found, number, family, large

    def _first_but(self, known: str | None, column: Column, found: list, number: np.ndarray) -> Family:
        """The first value that is of another family than the known one."""
        first, family = next(
            (position, family)
            for position, value in enumerate(found)
            if value is not None and (family := family_of(self.name, value)) != known
        )
        row = column.row(int(np.argmax(number == first)))
        return Family(family, self.name, self.vocabulary.table, row, found[first])

    def n_values(self) -> int:
        return len(self.vocabulary.values) - MISSING - 1

    def rare_share(self) -> float:
        return self.vocabulary.rare_share

    def names(self) -> list[list[str]]:
        values = [f"{self.name}={_text(value)}" for value in self.vocabulary.values[MISSING + 1 :]]
        return [[f"{self.name}:other", f"{self.name}:missing", *values]]

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        values = np.empty(len(self.vocabulary.values), dtype=object)
        values[:] = self.vocabulary.values
        out = np.full(n_rows, None, dtype=object)
        out[fields[0].rows] = values[fields[0].slots]
        return out


# -- hashes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Hashed(ColumnEncoder):
    """Values by hash: a fixed number of slots that unseen values share too, and one for missing values.

    Attributes
    ----------
    large : what numbers from 2**53 on are, "floats" or "whole numbers"
    """

    learns = False

    name: Any
    n_slots: int
    signed: bool
    mixes: bool = False
    large: str | None = None

    def count(self, column: Column, weight: np.ndarray) -> Large | None:
        """No value is learned, but those that cannot be encoded are refused."""
        return [large for *_, large in self._unique(column)][-1]

    def learned(self, counts: Large | None, *, go_on: bool) -> Hashed:
        return self if counts is None else replace(self, large=counts.kind)

    def _unique(self, column: Column) -> Iterator[tuple[list, np.ndarray, Large | None]]:
        """Different values of each part, the number of each row's, and the first large one so far."""
        known, large = None, None
        for part in column.parts():
            found, number, family = unique_values(part, self.mixes)
            if not self.mixes and None not in (known, family) and known != family:
                raise mixed_families(column, as_list(column.values))
            known, large = known or family, merge(large, large_of(part, found, number, family))
            if large is not None:
                large.check(self.large)
            yield found, number, large

    def encode(self, column: Column) -> list[FieldSlots]:
        parts = [self._slots(map(_key, found), number) for found, number, _ in self._unique(column)]
        return [joined_slots(parts)]

    def _slots(self, keys: Iterable[str | bytes | None], number: np.ndarray) -> FieldSlots:
        """Slots of the keys of different values, by the number of each row's; None is missing."""
        hashes = np.fromiter(
            (-1 if key is None else murmurhash3_32(key, positive=True) for key in keys), np.int64
        )
        if not hashes.size:
            return FieldSlots(number, number.astype(np.int8) if self.signed else None)
        missing = hashes < 0
        slots = np.where(missing, self.n_slots, (hashes >> 1) % self.n_slots).astype(np.int32)
        signs = np.where(missing | (hashes & 1 == 0), 1, -1).astype(np.int8)
        return FieldSlots(slots[number], signs[number] if self.signed else None)

    def n_values(self) -> int:
        """Slots, which values share."""
        return self.n_slots

    def names(self) -> list[list[str]]:
        return [[*(f"{self.name}#{slot}" for slot in range(self.n_slots)), f"{self.name}:missing"]]

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        """Hashes cannot be turned back: None."""
        return np.full(n_rows, None, dtype=object)


@dataclass(frozen=True, eq=False)
class Crossed(Hashed):
    """Pairs of values of two columns, by hash; missing where one of both is."""

    def count(self, column: Column, weight: np.ndarray) -> None:
        """Nothing is learned; the two columns have encoders of their own, which refuse what they must."""

    def encode(self, column: Column) -> list[FieldSlots]:
        return [joined_slots([self._slots(*self._pairs(*part.values)) for part in column.parts()])]

    @staticmethod
    def _pairs(first: Column, second: Column) -> tuple[Iterator[str | None], np.ndarray]:
        """Keys of the different pairs of two columns, and the number of each row's."""
        (starts, start), (ends, end) = (_text_keys(column) for column in (first, second))
        pairs, number = np.unique(start.astype(np.int64) * len(ends) + end, return_inverse=True)
        both = ((starts[pair // len(ends)], ends[pair % len(ends)]) for pair in pairs.tolist())
        # The length tells ("a", "bc") from ("ab", "c").
        keys = (None if None in pair else f"{len(pair[0])}:{pair[0]}{pair[1]}" for pair in both)
        return keys, number


def _text_keys(column: Column) -> tuple[list[str | None], np.ndarray]:
    """Keys of the different values of a column as text, and the number of each row's."""
    found, number, _ = unique_values(column, mixes=True)
    return [key.hex() if isinstance(key, bytes) else key for key in map(_key, found)], number


def _key(value: Any) -> str | bytes | None:
    """Text that is the same for equal values of any type; None is missing."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return value.encode("utf-8", "surrogatepass")
        return value
    if isinstance(value, bytes):
        return value
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, numbers.Integral | np.bool_):
        return _digits(int(value))
    if isinstance(value, decimal.Decimal | numbers.Rational | float | np.floating):
        if math.isinf(value) or value != int(value):  # type: ignore[arg-type]
            return repr(float(value))
        return _digits(int(value))  # type: ignore[arg-type]
    if isinstance(value, tuple | frozenset):
        entries = ["" if entry is None else _text(_key(entry)) for entry in value]
        entries = sorted(entries) if isinstance(value, frozenset) else entries
        return "".join(f"{len(entry)}:{entry}" for entry in entries)
    return _text(value)


def _digits(number: int) -> str:
    """A whole number as text; beyond the length that Python writes in decimals, in hexadecimals."""
    return str(number) if number.bit_length() < 10_000 else hex(number)


def _text(value) -> str:
    """A value in a name; whole numbers are written alike, whatever their type."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, float | decimal.Decimal):
        is_whole = -EXACT < value < EXACT and value == int(value)
    return _digits(int(value)) if is_whole else str(value)


# -- lists -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MultiHot(ColumnEncoder):
    """Lists: a slot for each entry. The empty list has none, a missing list is one missing entry."""

    name: Any
    entries: Categories | Hashed
    separator: str | None = None
    max_length: int | None = None

    @property
    def learns(self) -> bool:  # type: ignore[override]
        return self.entries.learns

    def count(self, column: Column, weight: np.ndarray) -> ValueCounts | Large | None:
        entries, lengths = lists_of(column, self.separator, self.max_length)
        return self.entries.count(entries, np.repeat(weight, lengths))

    def learned(self, counts, *, go_on: bool) -> MultiHot:
        return replace(self, entries=self.entries.learned(counts, go_on=go_on))

    def renewed(self) -> Self:
        return replace(self, entries=self.entries.renewed())

    def encode(self, column: Column) -> list[FieldSlots]:
        entries, lengths = lists_of(column, self.separator, self.max_length)
        (slots,) = self.entries.encode(entries)
        return [slots._replace(lengths=lengths)]

    def lengths(self, column: Column) -> np.ndarray:
        """Length of each row's list, also beyond the most."""
        return lists_of(column, self.separator, None)[1]

    def n_values(self) -> int:
        return self.entries.n_values()

    def rare_share(self) -> float:
        return self.entries.rare_share()

    def names(self) -> list[list[str]]:
        return self.entries.names()

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        """Each row's entries in the order of their slots; None for missing and unknown ones."""
        one_each = fields[0]._replace(rows=np.arange(fields[0].rows.size))
        entries = self.entries.decode(fields[0].rows.size, [one_each])
        repeats = np.maximum(np.abs(np.round(fields[0].values)).astype(int), 1)
        out = np.empty(n_rows, dtype=object)
        out[:] = [[] for _ in range(n_rows)]
        for row, entry, repeat in zip(fields[0].rows.tolist(), entries, repeats, strict=True):
            out[row].extend([entry] * repeat)
        return out


def of_single_values(encoder: ColumnEncoder) -> ColumnEncoder:
    """The encoder of single values: that of the entries of lists, or the encoder itself."""
    return encoder.entries if isinstance(encoder, MultiHot) else encoder


def with_vocabulary(encoder: ColumnEncoder, vocabulary: Vocabulary) -> ColumnEncoder:
    """The encoder with another vocabulary, if it has one."""
    if isinstance(encoder, MultiHot) and isinstance(encoder.entries, Categories):
        return replace(encoder, entries=replace(encoder.entries, vocabulary=vocabulary))
    return replace(encoder, vocabulary=vocabulary) if isinstance(encoder, Categories) else encoder
