"""Columns of numbers and dates as fields: standardised values, frequent values and quantile bins."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from skfm.data.columns import (
    MISSING,
    OTHER,
    ColumnEncoder,
    FieldNonzeros,
    FieldSlots,
    Options,
    SlotOrigins,
    Total,
    merge,
)
from skfm.data.frames import Column, Large, dates_of, numbers_of
from skfm.data.readings import warn
from skfm.data.state import Stateful
from skfm.data.units import QUITE, Units
from skfm.data.whole_numbers import EXACT

_DAY = 86_400_000
_HOUR = 3_600_000
# Rows of a stream that say what is usual in a column of numbers.
_ENOUGH_ROWS = 20
# Standardised numbers are bent towards this bound.
_BOUND = 3.0
# Least slope of a standardised value in another one: beyond the bound values are nearly all the same.
_FLAT = 1e-6
# Most numbers that stand for those of several parts of the rows, and for those of a stream between calls.
_SUMMARY, _KEPT = 1 << 16, 1 << 12


def quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Smallest of the sorted values at or below which each share of the weight lies."""
    cumulative = np.cumsum(weights)
    # Sums are not exact, and weights of 1 / n have the quantiles of weights of 1.
    ends = shares * cumulative[-1] * (1 - 1e-12)
    return values[np.minimum(np.searchsorted(cumulative, ends), values.size - 1)]


def bin_edges(values: np.ndarray, weights: np.ndarray, n_bins: int, least: float) -> np.ndarray:
    """Upper ends of all bins but the last, each bin with at least about `least` of the weight.

    They are halfway between neighbouring values, so that a value that is rounded stays in its bin.
    """
    n_bins = int(min(n_bins, max(weights.sum() / least, 1)))
    last = np.unique(np.searchsorted(values, quantiles(values, weights, np.arange(1, n_bins) / n_bins)))
    below, above = values[last[last < values.size - 1]], values[last[last < values.size - 1] + 1]
    # Halves before the sum, which could overflow; between neighbouring floats there is none.
    halfway = below / 2 + above / 2
    return np.where((below <= halfway) & (halfway < above), halfway, below)


def _counted(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different values, sorted, and the weight of each."""
    found, number = np.unique(values, return_inverse=True)
    return found, np.bincount(number, weights, found.size)


@dataclass(frozen=True, eq=False)
class NumberCounts(Stateful):
    """Different numbers, sorted, the weight of each and the rows of all.

    They are quantiles where parts have too many.
    """

    values: np.ndarray
    weights: np.ndarray
    n_rows: int

    @property
    def total(self) -> Total:
        """Of all rows."""
        return Total(self.n_rows, float(self.weights.sum()))

    def units(self) -> Units:
        """Median, and distance of the quartiles, or range where these are equal."""
        low, center, high = quantiles(self.values, self.weights, np.array([0.25, 0.5, 0.75]))
        # Halves before the difference, which could overflow.
        spread = (high / 2 - low / 2) or (self.values[-1] / 2 - self.values[0] / 2)
        return Units(np.array([center]), np.array([2 * spread if 0 < spread < 1e300 else 1.0]))

    def merge(self, other: NumberCounts) -> NumberCounts:
        values, weights = _counted(
            np.concatenate([self.values, other.values]), np.concatenate([self.weights, other.weights])
        )
        return NumberCounts(values, weights, self.n_rows + other.n_rows).compact(_SUMMARY)

    def compact(self, most: int) -> NumberCounts:
        """The same, or so many quantiles where there are more than twice as many numbers."""
        if self.values.size <= 2 * most:
            return self
        shares = (np.arange(most) + 0.5) / most
        each = np.full(most, self.weights.sum() / most)
        counted = _counted(quantiles(self.values, self.weights, shares), each)
        return NumberCounts(*counted, self.n_rows)


@dataclass(frozen=True, eq=False)
class Bins(Stateful):
    """Intervals of numbers, each with a slot.

    Attributes
    ----------
    edges : upper ends of all bins but the last
    slots : of each bin; empty where there are no bins
    """

    edges: np.ndarray = field(default_factory=lambda: np.empty(0, np.float64))
    slots: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))

    def of(self, values: np.ndarray) -> np.ndarray:
        """Slot of each number."""
        return self.slots[np.searchsorted(self.edges, values)]

    def learned(self, counts: NumberCounts, most: int, least: float, n_slots: int) -> Bins:
        """Bins that hold about equally much, or these where none holds quite more than the fullest of such.

        Parameters
        ----------
        most : number of bins
        least : weight that each has, about
        n_slots : slots of the field so far, those of other values included
        """
        values = counts.values
        edges = bin_edges(values, counts.weights, most, least)
        if self.edges.size and self._fullest(counts) <= QUITE * replace(self, edges=edges)._fullest(counts):
            return self
        # A slot that is a column stays one.
        spare = np.setdiff1d(self.edges, edges)
        edges = np.union1d(edges, spare[: max(self.slots.size - 1 - edges.size, 0)])
        slots = np.full(edges.size + 1, -1, np.int32)
        if self.slots.size:
            # What was learned of a bin goes on with one whose middle lies in it.
            ends = np.searchsorted(values, edges, side="right")
            middle = (np.append(0, ends) + np.append(ends, values.size - 1)) // 2
            middle = values[np.minimum(middle, values.size - 1)]
            found, first = np.unique(self.of(middle), return_index=True)
            slots[first] = found
        others = np.append(np.setdiff1d(self.slots, slots), np.arange(n_slots, n_slots + slots.size))
        rest = np.flatnonzero(slots < 0)
        slots[rest] = others[: rest.size]
        return Bins(edges, slots)

    def origins(self, known: Bins) -> SlotOrigins:
        """Of each bin the one of before that its middle lies in."""
        edges = self.edges
        if np.array_equal(edges, known.edges) and np.array_equal(self.slots, known.slots):
            return SlotOrigins()
        if not known.slots.size:
            return SlotOrigins(self.slots, np.full_like(self.slots, OTHER))
        if not edges.size:
            return SlotOrigins()
        inner = edges[:-1] / 2 + edges[1:] / 2
        middle = np.concatenate([edges[:1], inner, np.nextafter(edges[-1:], np.inf)])
        return SlotOrigins(self.slots, known.of(middle))

    def _fullest(self, counts: NumberCounts) -> float:
        """Weight of the fullest bin."""
        return float(np.bincount(np.searchsorted(self.edges, counts.values), counts.weights).max())

    def names(self, name) -> list[str]:
        """Name of each bin."""
        ends = [f"{edge:.6g}" for edge in self.edges.tolist()]
        ends = ["-inf", *(ends if len(set(ends)) == len(ends) else map(str, self.edges.tolist())), "inf"]
        return [f"{name}:({low}, {high}]" for low, high in itertools.pairwise(ends)]


class IntegerCounts(NamedTuple):
    """Whole numbers without a slot, sorted, and their weights; the total of all rows; and all as numbers.

    Attributes
    ----------
    are_whole : whether all numbers of all rows are
    """

    values: np.ndarray
    weights: np.ndarray
    total: Total
    numbers: NumberCounts | None
    are_whole: bool

    def merge(self, other: IntegerCounts) -> IntegerCounts:
        values, weights = _counted(
            np.concatenate([self.values, other.values]), np.concatenate([self.weights, other.weights])
        )
        return IntegerCounts(
            values,
            weights,
            self.total.merge(other.total),
            merge(self.numbers, other.numbers),
            self.are_whole and other.are_whole,
        )


class DateCounts(NamedTuple):
    """Times in days, and whether any is not at midnight."""

    days: NumberCounts | None
    has_hours: bool

    def merge(self, other: DateCounts) -> DateCounts:
        return DateCounts(merge(self.days, other.days), self.has_hours or other.has_hours)


@dataclass(frozen=True, eq=False)
class Integers(ColumnEncoder):
    """Whole numbers: a slot for each frequent one, quantile bins for the others, one for missing values.

    And a field of the standardised value, since nothing tells names from quantities.

    Attributes
    ----------
    number : encoder of the standardised value
    frequent : values with a slot, sorted
    frequent_slots : the slot of each
    bins : of the other values; none where these are few
    rare, rare_weights : values without a slot that are counted on, and their weights
    n_rows, total : rows so far, and their weight
    n_learned : rows that the bins come from, a weight of 2 being two
    rare_weight : of the values without a slot, counted on or not
    """

    name: Any
    options: Options
    number: Numbers
    frequent: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    frequent_slots: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    bins: Bins = Bins()
    rare: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    rare_weights: np.ndarray = field(default_factory=lambda: np.empty(0, np.float64))
    n_rows: int = 0
    total: float = 0.0
    n_learned: float = 0.0
    rare_weight: float = 0.0

    @property
    def _has_number(self) -> bool:
        return self.options.numeric_encoding != "bins"

    @property
    def _n_slots(self) -> int:
        return MISSING + 1 + self.bins.slots.size + self.frequent.size

    def count(self, column: Column, weight: np.ndarray) -> IntegerCounts:
        values, missing = numbers_of(column)
        # Later columns may be of floats, which are different whole numbers in one beyond this.
        use = ~missing & (np.abs(values) < EXACT) if values.dtype.kind == "f" else ~missing
        whole = values[use].astype(np.int64)
        are_whole = np.array_equal(whole, values[use])
        if self.n_rows and not are_whole:
            # The same words each time: Python shows them once.
            warn(
                f"Column {self.name!r} held whole numbers in the first rows, and holds others now, which "
                f"have no slots. Start anew with rows of both, or with FieldEncoder(numeric=[{self.name!r}])."
            )
        found, weights = _counted(whole, np.where(whole == values[use], weight[use], 0))
        rare = ~np.isin(found, self.frequent) & (weights > 0)
        numbers = self.number.count_numbers(values, missing, weight)
        return IntegerCounts(found[rare], weights[rare], Total.of(weight), numbers, are_whole)

    def read_again(self, counts: IntegerCounts) -> tuple[ColumnEncoder, Any]:
        return (self, counts) if counts.are_whole else (self.number, counts.numbers)

    def learned(self, counts: IntegerCounts, *, go_on: bool) -> Integers:
        """With slots for the values that are frequent enough; for bins see `Numbers.learned`."""
        number = self.number.learned(counts.numbers, go_on=go_on)
        known = IntegerCounts(self.rare, self.rare_weights, Total(self.n_rows, self.total), None, True)
        found, weights, total, *_ = known.merge(counts)
        chosen = self.options.chosen(weights, total, self.frequent.size)
        rare = np.delete(np.arange(found.size), chosen)
        rare_weight = float(weights[rare].sum())
        bins, n_learned, n_slots = self.bins, self.n_learned, self._n_slots
        has_bins = self.options.numeric_encoding != "value" and self.options.bins > 0
        if has_bins and total.n >= 2 * n_learned:
            n_learned = total.n
            least = max(self.options.least(total), total.row)
            # Fewer than a slot's worth of rare values are pooled in the slot for others.
            if rare_weight >= least * (1 - 1e-9):
                of_rare = NumberCounts(found[rare], weights[rare], total.rows)
                bins = bins.learned(of_rare, self.options.bins, least, n_slots)
        first = n_slots + bins.slots.size - self.bins.slots.size
        frequent = np.concatenate([self.frequent, found[chosen]])
        added = np.arange(first, first + chosen.size, dtype=np.int32)
        slots = np.concatenate([self.frequent_slots, added])
        order = np.argsort(frequent, kind="stable")
        rare = rare if go_on else rare[:0]
        return replace(
            self,
            number=number,
            frequent=frequent[order],
            frequent_slots=slots[order],
            bins=bins,
            rare=found[rare],
            rare_weights=weights[rare],
            n_rows=total.rows,
            total=total.weight,
            n_learned=n_learned,
            rare_weight=rare_weight,
        )

    def n_values(self) -> int:
        return self.frequent.size

    def rare_share(self) -> float:
        return self.rare_weight / self.total if self.total else 0.0

    def renewed(self) -> Self:
        return replace(
            self,
            number=self.number.renewed(),
            rare=self.rare[:0],
            rare_weights=self.rare_weights[:0],
            n_rows=0,
            total=0.0,
            n_learned=0.0,
        )

    def origins(self, known: Integers) -> list[SlotOrigins]:
        of_value, of_bins = self.number.origin_of_value(known.number), self.bins.origins(known.bins)
        return [of_value, of_bins] if self._has_number else [of_bins]

    def encode(self, column: Column) -> list[FieldSlots]:
        values, missing = numbers_of(column)
        self._check_exact(column, values)
        number = FieldSlots(np.zeros(values.shape, np.int32), self.number.standardised(values, missing))
        values = np.where(missing, 0, values)
        slots = np.full(values.shape, OTHER, dtype=np.int32)
        if self.bins.slots.size:
            slots = self.bins.of(values)
        if self.frequent.size:
            nearest = np.minimum(np.searchsorted(self.frequent, values), self.frequent.size - 1)
            slots = np.where(self.frequent[nearest] == values, self.frequent_slots[nearest], slots)
        slots[missing] = MISSING
        return [number, FieldSlots(slots)] if self._has_number else [FieldSlots(slots)]

    def _check_exact(self, column: Column, values: np.ndarray) -> None:
        """Raise ValueError for a float that may be one of several whole numbers, some of them known."""
        if values.dtype.kind != "f":
            return
        large = self.frequent[np.abs(self.frequent.astype(np.float64)) >= EXACT]
        if large.size == 0:
            return
        unclear = np.isin(values, large.astype(np.float64))
        if unclear.any():
            row = int(np.argmax(unclear))
            Large("floats", self.name, row, values[row]).check("whole numbers")

    def names(self) -> list[list[str]]:
        slots = [f"{self.name}:other", f"{self.name}:missing"]
        slots += [f"{self.name}={value}" for value in self._values()[MISSING + 1 :]]
        if self.bins.slots.size:
            for slot, name in zip(self.bins.slots.tolist(), self.bins.names(self.name), strict=True):
                slots[slot] = name
        return [[str(self.name)], slots] if self._has_number else [slots]

    def _values(self) -> np.ndarray:
        """Value of each slot, None but for those of frequent ones."""
        values = np.full(self._n_slots, None, dtype=object)
        values[self.frequent_slots] = self.frequent.tolist()
        return values

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        """Frequent values exactly, others to the precision of the standardised value, if there is one."""
        out = np.full(n_rows, None, dtype=object)
        if self._has_number:
            about = self.number.restored(n_rows, fields[0])
            out[:] = [int(value) if math.isfinite(value) else None for value in np.round(about).tolist()]
        known = self._values()[fields[-1].slots]
        exact = np.array([value is not None for value in known], dtype=bool) | (fields[-1].slots == MISSING)
        out[fields[-1].rows[exact]] = known[exact]
        return out


@dataclass(frozen=True, eq=False)
class Numbers(ColumnEncoder):
    """Numbers: a slot with the standardised value, quantile bins, or a field of each.

    Attributes
    ----------
    center, scale : median, and distance of the quartiles
    bins : with the slots behind that of missing values
    bin_values : mean of each bin, or its end where it is empty
    n_learned : rows that all these come from, a weight of 2 being two; 0 where these were too few
    settled, recent : of the rows of a stream that these come from, and of the rows since
    """

    name: Any
    options: Options
    center: float = 0.0
    scale: float = 1.0
    bins: Bins = Bins(slots=np.ones(1, np.int32))
    bin_values: np.ndarray = field(default_factory=lambda: np.zeros(1))
    n_learned: float = 0.0
    settled: NumberCounts | None = None
    recent: NumberCounts | None = None

    def count(self, column: Column, weight: np.ndarray) -> NumberCounts | None:
        return self.count_numbers(*numbers_of(column), weight)

    def count_numbers(
        self, values: np.ndarray, missing: np.ndarray, weight: np.ndarray
    ) -> NumberCounts | None:
        """Counts of numbers; None where there is nothing more to learn."""
        use = ~missing & np.isfinite(values) & (weight > 0)
        if not use.any():
            return None
        return NumberCounts(
            *_counted(values[use].astype(np.float64), weight[use]), int(np.count_nonzero(use))
        )

    def learned(self, counts: NumberCounts | None, *, go_on: bool) -> Numbers:
        """With location, scale and bins of the values.

        A few rows, or a number that is always the same, must not decide for all that come: each time that the
        rows of a stream have doubled, bins are those of all rows so far, and location and scale those of the
        later half, where known ones are quite others.
        """
        if counts is None:
            return self
        recent = merge(self.recent, counts)
        if recent.total.n < self.n_learned:
            return replace(self, recent=recent.compact(_KEPT))
        units, everything = recent.units(), merge(self.settled, recent)
        known = Units(np.array([self.center]), np.array([self.scale]))
        if self.n_learned and not known.differs(units, 1).any():
            units = known
        values, weights, total = everything.values, everything.weights, everything.total
        bins, n_learned, settled = self.bins, 0.0, None
        if values.size > 1 and (total.n >= _ENOUGH_ROWS or not go_on):
            least = max(self.options.least(total), total.row)
            bins = bins.learned(everything, self.options.bins, least, 1 + bins.slots.size)
            n_learned, settled, recent = total.n, everything, None
        elif total.n >= _ENOUGH_ROWS:
            # Numbers that are all the same do not say what is usual.
            recent = None
        number = np.searchsorted(bins.edges, values)
        # A bin without numbers stands for its end.
        ends = np.append(bins.edges, bins.edges[-1:] if bins.edges.size else values[-1:])
        of_bins = np.bincount(number, weights, bins.slots.size)
        # Shares first: a sum of values could overflow.
        means = np.bincount(number, weights / of_bins[number] * values, bins.slots.size)
        (center, scale) = units.arrays(1)
        return replace(
            self,
            center=float(center[0]),
            scale=float(scale[0]),
            bins=bins,
            bin_values=np.where(of_bins > 0, means, ends),
            n_learned=n_learned,
            settled=settled.compact(_KEPT) if settled is not None and go_on else None,
            recent=recent,
        )

    def renewed(self) -> Self:
        # Any rows are more than one: location and scale stay while they are about right.
        return replace(self, n_learned=min(self.n_learned, 1.0), settled=None, recent=None)

    def origins(self, known: Numbers) -> list[SlotOrigins]:
        of_value, of_bins = self.origin_of_value(known), self.bins.origins(known.bins)
        return {"value": [of_value], "bins": [of_bins], "both": [of_value, of_bins]}[
            self.options.numeric_encoding
        ]

    def origin_of_value(self, known: Numbers) -> SlotOrigins:
        """The standardised value by the one of before: the line through both at about the quartiles."""
        if (self.center, self.scale) == (known.center, known.scale):
            return SlotOrigins()
        slot = np.zeros(1, np.int32)
        units, before = (Units(np.array([one.center]), np.array([one.scale])) for one in (self, known))
        if units.differs(before, 1, _BOUND, _BOUND).any():
            # Most of these numbers were near the bound, or near 0: weights of such values say little of them.
            return SlotOrigins(slot, slot, _FLAT)
        ends = np.array([self.center - self.scale / 2, self.center + self.scale / 2])
        low, high = known.standardised(ends, np.zeros(2, dtype=bool))
        # The same of this one, which is -half and half.
        half = 0.5 / math.sqrt(1 + (0.5 / _BOUND) ** 2)
        return SlotOrigins(slot, slot, max((high - low) / (2 * half), _FLAT), (low + high) / 2)

    def encode(self, column: Column) -> list[FieldSlots]:
        return self.slots(*numbers_of(column))

    def slots(self, values: np.ndarray, missing: np.ndarray) -> list[FieldSlots]:
        """FieldSlots of numbers, which may be infinite."""
        how = self.options.numeric_encoding
        value = self.standardised(values, missing)
        if how == "value":
            return [FieldSlots(missing.astype(np.int32), np.where(missing, 1, value))]
        fields = [] if how == "bins" else [FieldSlots(np.zeros(values.shape, np.int32), value)]
        return [*fields, FieldSlots(np.where(missing, 0, self.bins.of(np.where(missing, 0, values))))]

    def standardised(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """The standardised values, 0 where they are missing."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = (np.where(missing, self.center, values).astype(np.float64) - self.center) / self.scale
            return np.where(np.abs(z) < 1e100, z / np.sqrt(1 + (z / _BOUND) ** 2), np.sign(z) * _BOUND)

    def names(self) -> list[list[str]]:
        missing = f"{self.name}:missing"
        of_bins = self.bins.names(self.name)
        bins = [missing, *(of_bins[number] for number in np.argsort(self.bins.slots))]
        value = str(self.name)
        return {"value": [[value, missing]], "bins": [bins], "both": [[value], bins]}[
            self.options.numeric_encoding
        ]

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        how = self.options.numeric_encoding
        if how == "bins":
            out = np.full(n_rows, np.nan)
            values = np.append(np.nan, self.bin_values[np.argsort(self.bins.slots)])
            out[fields[0].rows] = values[fields[0].slots]
            return out.astype(object)
        out = self.restored(n_rows, fields[0])
        holder, slot = (fields[0], 1) if how == "value" else (fields[1], 0)
        out[holder.rows[holder.slots == slot]] = np.nan
        return out.astype(object)

    def restored(self, n_rows: int, found: FieldNonzeros) -> np.ndarray:
        """Numbers that standardised values in slot 0 stand for."""
        # A value at the center is a zero, which is not stored.
        bent = np.zeros(n_rows)
        is_value = found.slots == 0
        bent[found.rows[is_value]] = np.clip(found.values[is_value] / _BOUND, -1, 1)
        with np.errstate(divide="ignore"):
            return self.center + self.scale * _BOUND * bent / np.sqrt(1 - bent**2)


# Values of each field of the calendar, and the first of them.
_CALENDAR = {"month": (12, 1), "weekday": (7, 0), "hour": (24, 0)}


@dataclass(frozen=True, eq=False)
class Dates(ColumnEncoder):
    """Dates: fields of the month, the day of the week and the hour, and the time as a number of days.

    Attributes
    ----------
    days : encoder of the number of days
    calendar : fields of the calendar, which are chosen once: those of dates without a time have no hour
    """

    name: Any
    days: Numbers
    calendar: tuple[str, ...] = ()

    def count(self, column: Column, weight: np.ndarray) -> DateCounts:
        milliseconds, missing = dates_of(column)
        days = self.days.count_numbers(milliseconds / _DAY, missing, weight)
        return DateCounts(days, bool((milliseconds[~missing & (weight > 0)] % _DAY).any()))

    def learned(self, counts: DateCounts, *, go_on: bool) -> Dates:
        # Where there is no date yet, later ones may have hours.
        has_hours = counts.has_hours or counts.days is None
        calendar = self.calendar or (tuple(_CALENDAR) if has_hours else ("month", "weekday"))
        return replace(self, days=self.days.learned(counts.days, go_on=go_on), calendar=calendar)

    def renewed(self) -> Self:
        return replace(self, days=self.days.renewed())

    def origins(self, known: Dates) -> list[SlotOrigins]:
        return [*(SlotOrigins() for _ in self.calendar), *self.days.origins(known.days)]

    def encode(self, column: Column) -> list[FieldSlots]:
        milliseconds, missing = dates_of(column)
        days = milliseconds // _DAY
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        number = {"month": months, "weekday": (days + 3) % 7, "hour": milliseconds // _HOUR % 24}
        calendar = [
            FieldSlots(np.where(missing, 0, 1 + number[unit]).astype(np.int32)) for unit in self.calendar
        ]
        return [*calendar, *self.days.slots(milliseconds / _DAY, missing)]

    def names(self) -> list[list[str]]:
        calendar = []
        for unit in self.calendar:
            size, first = _CALENDAR[unit]
            values = (f"{self.name}:{unit}={first + number}" for number in range(size))
            calendar.append([f"{self.name}:{unit}:missing", *values])
        return [*calendar, *self.days.names()]

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        """Dates to a second or so: the time is stored as one number of single precision."""
        days = self.days.decode(n_rows, fields[len(self.calendar) :]).astype(np.float64)
        seconds = np.where(np.isnan(days), 0, np.round(np.clip(days, -1e6, 1e6) * 86400)).astype(np.int64)
        dates = seconds.astype("datetime64[s]")
        dates[np.isnan(days)] = np.datetime64("NaT", "s")
        return np.array(dates.tolist(), dtype=object)
