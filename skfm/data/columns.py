"""One column of a table as one field or several: categories, integers, numbers, hashes, lists, dates.

An encoder of a column gives local slot numbers of each of its fields: 0, 1, ... A slot once given keeps its
number. `update` counts, `settle` then adds slots at the end; neither changes anything in place, so a shallow
copy is a copy.
"""

from __future__ import annotations

import copy
import datetime
import itertools
import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import murmurhash3_32

from skfm.data.frames import Column, dates_of, lists_of, numbers_of, unique_values

OTHER, MISSING = 0, 1
_DAY = 86_400_000
_HOUR = 3_600_000
# Standardised numbers are bent towards this bound.
_BOUND = 3.0
# Numbers that stand for those of many chunks.
_SUMMARY = 1 << 16


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


def quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Smallest of the sorted values at or below which each share of the weight lies."""
    cumulative = np.cumsum(weights)
    return values[np.minimum(np.searchsorted(cumulative, shares * cumulative[-1]), values.size - 1)]


def bin_edges(values: np.ndarray, weights: np.ndarray, n_bins: int, least: float) -> np.ndarray:
    """Upper ends of all bins but the last, each bin with at least about `least` of the weight."""
    n_bins = int(min(n_bins, max(weights.sum() / max(least, 1), 1)))
    edges = np.unique(quantiles(values, weights, np.arange(1, n_bins) / n_bins))
    return edges[edges < values[-1]]


def _counted(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different values, sorted, and the weight of each."""
    found, number = np.unique(values, return_inverse=True)
    return found, np.bincount(number, weights, found.size)


def _sorted(values: list) -> list:
    try:
        return sorted(values)
    except TypeError:  # dates and times, say
        return sorted(values, key=str)


class Categories:
    """Text, booleans or any other values: a slot for each, one for the rest, one for missing values."""

    def __init__(self, column: Column, options: Options):
        self.name, self.options = column.name, options
        self.family: str | None = None
        self.values: list[Any] = [None, None]
        self.slot_of: dict[Any, int] = {}
        self.weights: dict[Any, float] = {}
        self.total = 0.0

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Count values that have no slot."""
        found, number, family = unique_values(column)
        self._check(column, found, number, family)
        self.family = self.family or family
        self.total += float(weight.sum())
        fresh = [
            place for place, value in enumerate(found) if value is not None and value not in self.slot_of
        ]
        counted = np.bincount(number, weight, len(found))[fresh].tolist()
        named = {found[place]: count for place, count in zip(fresh, counted, strict=True)}
        for value in self.weights.keys() & named.keys():
            named[value] += self.weights[value]
        self.weights = self.weights | named

    def settle(self, *, go_on: bool) -> None:
        """Give slots to the values that are frequent enough; the counts of others are kept to `go_on`."""
        values = _sorted(list(self.weights))
        weights = np.array([self.weights[value] for value in values], dtype=float)
        own = [
            values[place] for place in self.options.chosen(weights, self.total, len(self.slot_of)).tolist()
        ]
        self.slot_of = self.slot_of | {value: len(self.values) + i for i, value in enumerate(own)}
        self.values = self.values + own
        self.weights = {v: w for v, w in self.weights.items() if v not in self.slot_of} if go_on else {}

    def encode(self, column: Column) -> list[Slots]:
        found, number, family = unique_values(column)
        self._check(column, found, number, family)
        slots = [MISSING if value is None else self.slot_of.get(value, OTHER) for value in found]
        return [Slots(np.array(slots, dtype=np.int32)[number] if slots else number)]

    def _check(self, column, found, number, family) -> None:
        if family is None or self.family is None or family == self.family:
            return
        place = next(place for place, value in enumerate(found) if value is not None)
        row = column.row(int(np.argmax(number == place)))
        raise ValueError(
            f"Column {self.name!r} held {self.family} in fit and holds {family} now (row {row}: "
            f"{found[place]!r}). Convert it to what it was in fit."
        )

    def names(self) -> list[list[str]]:
        own = [f"{self.name}={value}" for value in self.values[2:]]
        return [[f"{self.name}:other", f"{self.name}:missing", *own]]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        values = np.empty(len(self.values), dtype=object)
        values[:] = self.values
        out = np.full(n_rows, None, dtype=object)
        out[fields[0].rows] = values[fields[0].slots]
        return out


class Integers:
    """Whole numbers: a slot for each frequent one, quantile bins for the others, one for missing values."""

    def __init__(self, column: Column, options: Options):
        self.name, self.options = column.name, options
        self.edges = np.empty(0)
        self.settled = False
        self.own = np.empty(0, np.int64)  # sorted
        self.slot_of_own = np.empty(0, np.int32)
        self.rare: tuple[np.ndarray, np.ndarray] = self.own, np.empty(0)
        self.total = 0.0
        self.n_bins = 0

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Count values that have no slot."""
        values, missing = numbers_of(column)
        self.total += float(weight.sum())
        # Later columns may be of floats.
        use = ~missing & (np.abs(values) < 2.0**63) if values.dtype.kind == "f" else ~missing
        whole = values[use].astype(np.int64)
        found, counted = _counted(whole, np.where(whole == values[use], weight[use], 0))
        new = ~np.isin(found, self.own) & (counted > 0)
        self.rare = _counted(
            np.concatenate([self.rare[0], found[new]]), np.concatenate([self.rare[1], counted[new]])
        )

    def settle(self, *, go_on: bool) -> None:
        """Give slots to the values that are frequent enough; bins are made once."""
        found, counted = self.rare
        chosen = self.options.chosen(counted, self.total, self.own.size)
        rare = np.setdiff1d(np.arange(found.size), chosen)
        if not self.settled:
            self.settled = True
            least = self.options.least(self.total)
            seen = rare[counted[rare] > 0]
            # Fewer than a slot's worth of rare values are pooled in the slot for others.
            if counted[seen].sum() >= max(least, 1) and self.options.bins > 0:
                self.edges = bin_edges(found[seen], counted[seen], self.options.bins, least)
                self.n_bins = self.edges.size + 1
        first = 2 + self.n_bins + self.own.size
        own = np.concatenate([self.own, found[chosen]])
        slots = np.concatenate([self.slot_of_own, np.arange(first, first + chosen.size, dtype=np.int32)])
        order = np.argsort(own, kind="stable")
        self.own, self.slot_of_own = own[order], slots[order]
        self.rare = (found[rare], counted[rare]) if go_on else (found[:0], counted[:0])

    def encode(self, column: Column) -> list[Slots]:
        values, missing = numbers_of(column)
        values = np.where(missing, 0, values)
        slots = np.full(values.shape, OTHER, dtype=np.int32)
        if self.n_bins:
            slots = (2 + np.searchsorted(self.edges, values)).astype(np.int32)
        if self.own.size:
            place = np.minimum(np.searchsorted(self.own, values), self.own.size - 1)
            slots = np.where(self.own[place] == values, self.slot_of_own[place], slots)
        slots[missing] = MISSING
        return [Slots(slots)]

    def names(self) -> list[list[str]]:
        bins = _interval_names(self.name, self.edges) if self.n_bins else []
        own = np.empty(self.own.size, dtype=object)
        own[self.slot_of_own - 2 - self.n_bins] = self.own.tolist()
        return [[f"{self.name}:other", f"{self.name}:missing", *bins, *(f"{self.name}={v}" for v in own)]]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        values = np.full(2 + self.n_bins + self.own.size, None, dtype=object)
        values[self.slot_of_own] = self.own.tolist()
        out = np.full(n_rows, None, dtype=object)
        out[fields[0].rows] = values[fields[0].slots]
        return out


def _interval_names(name, edges) -> list[str]:
    ends = [f"{edge:.6g}" for edge in edges.tolist()]
    ends = ["-inf", *(ends if len(set(ends)) == len(ends) else map(str, edges.tolist())), "inf"]
    return [f"{name}:({low}, {high}]" for low, high in itertools.pairwise(ends)]


class Numbers:
    """Numbers: a slot with the standardised value, quantile bins, or a field of each."""

    def __init__(self, column: Column, options: Options):
        self.name, self.options = column.name, options
        self.center, self.scale = 0.0, 1.0
        self.edges, self.bin_values = np.empty(0), np.zeros(1)  # the upper end, and the mean, of each bin
        self.seen = np.empty(0), np.empty(0)
        self.settled = False

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Collect values until `settle`."""
        self.collect(*numbers_of(column), weight)

    def collect(self, values: np.ndarray, missing: np.ndarray, weight: np.ndarray) -> None:
        """Collect numbers: all different ones of the first call, a summary of them where later calls come."""
        use = ~missing & np.isfinite(values) & (weight > 0)
        if self.settled or not use.any():
            return
        found, weights = _counted(values[use].astype(np.float64), weight[use])
        if self.seen[0].size:
            found, weights = _counted(
                np.concatenate([self.seen[0], found]), np.concatenate([self.seen[1], weights])
            )
            if found.size > _SUMMARY:
                shares = (np.arange(_SUMMARY) + 0.5) / _SUMMARY
                total = weights.sum()
                found, weights = _counted(
                    quantiles(found, weights, shares), np.full(_SUMMARY, total / _SUMMARY)
                )
        self.seen = found, weights

    def settle(self, *, go_on: bool) -> None:
        """Location, scale and bins of the values so far; later calls change nothing."""
        found, weights = self.seen
        if self.settled or not found.size:
            self.settled = True
            return
        self.settled = True
        low, self.center, high = quantiles(found, weights, np.array([0.25, 0.5, 0.75])).tolist()
        # Halves before the difference, which could overflow.
        spread = (high / 2 - low / 2) or (found[-1] / 2 - found[0] / 2)
        self.scale = float(2 * spread) if 0 < spread < 1e300 else 1.0
        self.edges = bin_edges(found, weights, self.options.bins, self.options.least(weights.sum()))
        bins = np.searchsorted(self.edges, found)
        # Shares first: a sum of values could overflow.
        shares = weights / np.bincount(bins, weights)[bins]
        self.bin_values = np.asarray(np.bincount(bins, shares * found))
        self.seen = found[:0], weights[:0]

    def encode(self, column: Column) -> list[Slots]:
        return self.slots(*numbers_of(column))

    def slots(self, values: np.ndarray, missing: np.ndarray) -> list[Slots]:
        """Slots of numbers, which may be infinite."""
        values = np.where(missing, 0, values).astype(np.float64)
        how = self.options.numeric_encoding
        fields = []
        if how != "bins":
            with np.errstate(over="ignore", invalid="ignore"):
                z = (values - self.center) / self.scale
                bent = np.where(np.abs(z) < 1e100, z / np.sqrt(1 + (z / _BOUND) ** 2), np.sign(z) * _BOUND)
            if how == "value":
                return [Slots(missing.astype(np.int32), np.where(missing, 1, bent))]
            fields.append(Slots(np.zeros(values.shape, np.int32), np.where(missing, 0, bent)))
        bins = np.where(missing, 0, 1 + np.searchsorted(self.edges, values))
        return [*fields, Slots(bins.astype(np.int32))]

    def names(self) -> list[list[str]]:
        missing = f"{self.name}:missing"
        bins = [missing, *_interval_names(self.name, self.edges)]
        value = str(self.name)
        return {"value": [[value, missing]], "bins": [bins], "both": [[value], bins]}[
            self.options.numeric_encoding
        ]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        how = self.options.numeric_encoding
        if how == "bins":
            out = np.full(n_rows, np.nan)
            out[fields[0].rows] = np.append(np.nan, self.bin_values)[fields[0].slots]
            return out.astype(object)
        # A value at the center is a zero, which is not stored.
        bent = np.zeros(n_rows)
        is_value = fields[0].slots == 0
        bent[fields[0].rows[is_value]] = np.clip(fields[0].values[is_value] / _BOUND, -1, 1)
        with np.errstate(divide="ignore"):
            out = self.center + self.scale * _BOUND * bent / np.sqrt(1 - bent**2)
        holder, slot = (fields[0], 1) if how == "value" else (fields[1], 0)
        out[holder.rows[holder.slots == slot]] = np.nan
        return out.astype(object)


class Hashed:
    """Values by hash: a fixed number of slots that unseen values share too, and one for missing values."""

    def __init__(self, column: Column, n_slots: int, signed: bool):
        self.name, self.n_slots, self.signed = column.name, n_slots, signed

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Nothing is learned, but values that cannot be encoded are refused."""
        unique_values(column)

    def settle(self, *, go_on: bool) -> None:
        """There is nothing to settle."""

    def encode(self, column: Column) -> list[Slots]:
        found, number, _ = unique_values(column)
        hashes = np.array(
            [0 if value is None else murmurhash3_32(_key(value), positive=True) for value in found], np.int64
        )
        missing = np.array([value is None for value in found], dtype=bool)
        slots = np.where(missing, self.n_slots, (hashes >> 1) % self.n_slots).astype(np.int32)
        values = None
        if self.signed:
            values = np.where(missing | (hashes & 1 == 0), 1.0, -1.0)[number]
        return [Slots(slots[number] if len(found) else number, values)]

    def names(self) -> list[list[str]]:
        return [[*(f"{self.name}#{slot}" for slot in range(self.n_slots)), f"{self.name}:missing"]]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        """Hashes cannot be turned back: None."""
        return np.full(n_rows, None, dtype=object)


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

    def __init__(self, column: Column, entries: Categories | Hashed, separator: str | None):
        self.name, self.entries, self.separator = column.name, entries, separator

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Count entries that have no slot."""
        entries, lengths = lists_of(column, self.separator)
        self.entries = copy.copy(self.entries)
        self.entries.update(entries, np.repeat(weight, lengths))

    def settle(self, *, go_on: bool) -> None:
        """Give slots to the entries that are frequent enough."""
        self.entries = copy.copy(self.entries)
        self.entries.settle(go_on=go_on)

    def encode(self, column: Column) -> list[Slots]:
        entries, lengths = lists_of(column, self.separator)
        (slots,) = self.entries.encode(entries)
        return [slots._replace(lengths=lengths)]

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


class Dates:
    """Dates: fields of the month, the day of the week and the hour, and the time as a number of days."""

    _PARTS = {"month": 12, "weekday": 7, "hour": 24}

    def __init__(self, column: Column, options: Options):
        self.name = column.name
        self.days = Numbers(column, options)
        self.has_hours = False
        self.parts: list[str] = []

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Collect times until `settle`."""
        milliseconds, missing = dates_of(column)
        self.days = copy.copy(self.days)
        self.days.collect(milliseconds / _DAY, missing, weight)
        self.has_hours = self.has_hours or bool((milliseconds[~missing & (weight > 0)] % _DAY).any())

    def settle(self, *, go_on: bool) -> None:
        """Dates without a time of day have no hour."""
        self.days = copy.copy(self.days)
        self.days.settle(go_on=go_on)
        self.parts = self.parts or (list(self._PARTS) if self.has_hours else ["month", "weekday"])

    def encode(self, column: Column) -> list[Slots]:
        milliseconds, missing = dates_of(column)
        days = milliseconds // _DAY
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        part = {"month": months, "weekday": (days + 3) % 7, "hour": milliseconds // _HOUR % 24}
        calendar = [Slots(np.where(missing, 0, 1 + part[name]).astype(np.int32)) for name in self.parts]
        return [*calendar, *self.days.slots(milliseconds / _DAY, missing)]

    def names(self) -> list[list[str]]:
        first = {"month": 1, "weekday": 0, "hour": 0}
        calendar = [
            [f"{self.name}:{part}:missing", *(f"{self.name}:{part}={first[part] + i}" for i in range(n))]
            for part, n in self._PARTS.items()
            if part in self.parts
        ]
        return [*calendar, *self.days.names()]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        """Dates to a second or so: the time is stored as one number of single precision."""
        days = self.days.decode(n_rows, fields[len(self.parts) :]).astype(np.float64)
        seconds = np.where(np.isnan(days), 0, np.round(np.clip(days, -1e6, 1e6) * 86400)).astype(np.int64)
        dates = seconds.astype("datetime64[s]")
        dates[np.isnan(days)] = np.datetime64("NaT")
        return np.array(dates.tolist(), dtype=object)
