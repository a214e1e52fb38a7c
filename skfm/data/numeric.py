"""Columns of numbers and dates as fields: standardised values, frequent values and quantile bins."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from skfm.data.columns import MISSING, OTHER, ColumnEncoder, FieldNonzeros, FieldSlots, Options, Total, merge
from skfm.data.frames import Column, Large, dates_of, numbers_of
from skfm.data.whole_numbers import EXACT

_DAY = 86_400_000
_HOUR = 3_600_000
# Rows of a stream that say what is usual in a column of numbers, and rows that settle it.
_ENOUGH_ROWS, _SETTLED_ROWS = 20, 10_000
# Numbers whose quartiles are so many times as far apart, or so many of their distances away, are others.
_UNLIKE = 8.0
# Standardised numbers are bent towards this bound.
_BOUND = 3.0
# Most numbers that stand for those of several parts of the rows.
_SUMMARY = 1 << 16


def quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Smallest of the sorted values at or below which each share of the weight lies."""
    cumulative = np.cumsum(weights)
    # Sums are not exact, and weights of 1 / n have the quantiles of weights of 1.
    ends = shares * cumulative[-1] * (1 - 1e-12)
    return values[np.minimum(np.searchsorted(cumulative, ends), values.size - 1)]


def bin_edges(values: np.ndarray, weights: np.ndarray, n_bins: int, least: float) -> np.ndarray:
    """Upper ends of all bins but the last, each bin with at least about `least` of the weight."""
    n_bins = int(min(n_bins, max(weights.sum() / least, 1)))
    edges = np.unique(quantiles(values, weights, np.arange(1, n_bins) / n_bins))
    return edges[edges < values[-1]]


def _counted(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different values, sorted, and the weight of each."""
    found, number = np.unique(values, return_inverse=True)
    return found, np.bincount(number, weights, found.size)


class NumberCounts(NamedTuple):
    """Different numbers, sorted, the weight of each and the rows of all.

    They are quantiles where parts have too many.
    """

    values: np.ndarray
    weights: np.ndarray
    n_rows: int

    def merge(self, other: NumberCounts) -> NumberCounts:
        values, weights = _counted(
            np.concatenate([self.values, other.values]), np.concatenate([self.weights, other.weights])
        )
        if values.size > _SUMMARY:
            shares = (np.arange(_SUMMARY) + 0.5) / _SUMMARY
            total = weights.sum()
            values, weights = _counted(
                quantiles(values, weights, shares), np.full(_SUMMARY, total / _SUMMARY)
            )
        return NumberCounts(values, weights, self.n_rows + other.n_rows)


class IntegerCounts(NamedTuple):
    """Whole numbers without a slot, sorted, and their weights; the total of all rows; and all as numbers."""

    values: np.ndarray
    weights: np.ndarray
    total: Total
    numbers: NumberCounts | None

    def merge(self, other: IntegerCounts) -> IntegerCounts:
        values, weights = _counted(
            np.concatenate([self.values, other.values]), np.concatenate([self.weights, other.weights])
        )
        return IntegerCounts(
            values, weights, self.total.merge(other.total), merge(self.numbers, other.numbers)
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
    edges : upper ends of all bins but the last
    n_bins : 0 where there are none
    rare, rare_weights : values without a slot that are counted on, and their weights
    n_rows, total : rows so far, and their weight
    bins_are_final : whether the bins are final
    """

    name: Any
    options: Options
    number: Numbers
    frequent: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    frequent_slots: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    edges: np.ndarray = field(default_factory=lambda: np.empty(0, np.float64))
    n_bins: int = 0
    rare: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    rare_weights: np.ndarray = field(default_factory=lambda: np.empty(0, np.float64))
    n_rows: int = 0
    total: float = 0.0
    bins_are_final: bool = False

    @property
    def _has_number(self) -> bool:
        return self.options.numeric_encoding != "bins"

    def count(self, column: Column, weight: np.ndarray) -> IntegerCounts:
        values, missing = numbers_of(column)
        # Later columns may be of floats, which are different whole numbers in one beyond this.
        use = ~missing & (np.abs(values) < EXACT) if values.dtype.kind == "f" else ~missing
        whole = values[use].astype(np.int64)
        found, weights = _counted(whole, np.where(whole == values[use], weight[use], 0))
        rare = ~np.isin(found, self.frequent) & (weights > 0)
        numbers = self.number.count_numbers(values, missing, weight)
        return IntegerCounts(found[rare], weights[rare], Total.of(weight), numbers)

    def learned(self, counts: IntegerCounts, *, go_on: bool) -> Integers:
        """With slots for the values that are frequent enough; bins are made once."""
        number = self.number.learned(counts.numbers, go_on=go_on)
        known = IntegerCounts(self.rare, self.rare_weights, Total(self.n_rows, self.total), None)
        found, weights, total, _ = known.merge(counts)
        chosen = self.options.chosen(weights, total, self.frequent.size)
        rare = np.delete(np.arange(found.size), chosen)
        edges, n_bins = self.edges, self.n_bins
        if not self.bins_are_final and self.options.numeric_encoding != "value" and self.options.bins > 0:
            least = max(self.options.least(total), total.row)
            # Fewer than a slot's worth of rare values are pooled in the slot for others.
            if weights[rare].sum() >= least * (1 - 1e-9):
                edges = bin_edges(found[rare], weights[rare], self.options.bins, least)
                n_bins = edges.size + 1
        first = MISSING + 1 + n_bins + self.frequent.size
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
            edges=edges,
            n_bins=n_bins,
            rare=found[rare],
            rare_weights=weights[rare],
            n_rows=total.rows,
            total=total.weight,
            bins_are_final=True,
        )

    def encode(self, column: Column) -> list[FieldSlots]:
        values, missing = numbers_of(column)
        self._check_exact(column, values)
        number = FieldSlots(np.zeros(values.shape, np.int32), self.number.standardised(values, missing))
        values = np.where(missing, 0, values)
        slots = np.full(values.shape, OTHER, dtype=np.int32)
        if self.n_bins:
            slots = (MISSING + 1 + np.searchsorted(self.edges, values)).astype(np.int32)
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
        bins = _interval_names(self.name, self.edges) if self.n_bins else []
        values = self._values()[MISSING + 1 + self.n_bins :]
        slots = [f"{self.name}:other", f"{self.name}:missing", *bins, *(f"{self.name}={v}" for v in values)]
        return [[str(self.name)], slots] if self._has_number else [slots]

    def _values(self) -> np.ndarray:
        """Value of each slot, None but for those of frequent ones."""
        values = np.full(MISSING + 1 + self.n_bins + self.frequent.size, None, dtype=object)
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


def _interval_names(name, edges) -> list[str]:
    ends = [f"{edge:.6g}" for edge in edges.tolist()]
    ends = ["-inf", *(ends if len(set(ends)) == len(ends) else map(str, edges.tolist())), "inf"]
    return [f"{name}:({low}, {high}]" for low, high in itertools.pairwise(ends)]


@dataclass(frozen=True, eq=False)
class Numbers(ColumnEncoder):
    """Numbers: a slot with the standardised value, quantile bins, or a field of each.

    Attributes
    ----------
    center, scale : median, and distance of the quartiles
    edges : upper ends of all bins but the last
    bin_values : mean of each bin
    is_final : whether all these stay
    n_learned : rows that they come from or agree with, a weight of 2 being two; 0 where these were too few
    later_values, later_weights, n_later : numbers of the rows since, sorted, their weights and the rows
    """

    name: Any
    options: Options
    center: float = 0.0
    scale: float = 1.0
    edges: np.ndarray = field(default_factory=lambda: np.empty(0, np.float64))
    bin_values: np.ndarray = field(default_factory=lambda: np.zeros(1))
    is_final: bool = False
    n_learned: float = 0.0
    later_values: np.ndarray = field(default_factory=lambda: np.empty(0, np.float64))
    later_weights: np.ndarray = field(default_factory=lambda: np.empty(0, np.float64))
    n_later: int = 0

    def count(self, column: Column, weight: np.ndarray) -> NumberCounts | None:
        return self.count_numbers(*numbers_of(column), weight)

    def count_numbers(
        self, values: np.ndarray, missing: np.ndarray, weight: np.ndarray
    ) -> NumberCounts | None:
        """Counts of numbers; None where there is nothing more to learn."""
        use = ~missing & np.isfinite(values) & (weight > 0)
        if self.is_final or not use.any():
            return None
        return NumberCounts(
            *_counted(values[use].astype(np.float64), weight[use]), int(np.count_nonzero(use))
        )

    def learned(self, counts: NumberCounts | None, *, go_on: bool) -> Numbers:
        """With location, scale and bins of the values.

        A few rows, or a number that is always the same, must not decide for all that come: they count on, and
        where as many rows again have quite other numbers, these decide.
        """
        if self.is_final or counts is None:
            return self
        counts = NumberCounts(self.later_values, self.later_weights, self.n_later).merge(counts)
        found, weights, n_rows = counts
        total = Total(n_rows, float(weights.sum()))
        n_counted = total.weight / total.row
        if self.n_learned and n_counted < self.n_learned:
            return self._waiting(counts)
        low, center, high = quantiles(found, weights, np.array([0.25, 0.5, 0.75])).tolist()
        # Halves before the difference, which could overflow.
        spread = high / 2 - low / 2
        if self.n_learned and not self._is_unlike(center, spread):
            return self._settled_by(self.n_learned + n_counted)
        spread = spread or (found[-1] / 2 - found[0] / 2)
        edges, is_enough = self.edges, found.size > 1 and (n_counted >= _ENOUGH_ROWS or not go_on)
        if is_enough:
            edges = bin_edges(found, weights, self.options.bins, max(self.options.least(total), total.row))
            # Bins that are columns already stay so.
            spare = np.setdiff1d(self.edges, edges)
            edges = np.union1d(edges, spare[: max(self.edges.size - edges.size, 0)])
        bins = np.searchsorted(edges, found)
        # Shares first: a sum of values could overflow.
        shares = weights / np.bincount(bins, weights)[bins]
        learned = replace(
            self,
            center=center,
            scale=float(2 * spread) if 0 < spread < 1e300 else 1.0,
            edges=edges,
            bin_values=np.bincount(bins, shares * found, edges.size + 1),
            is_final=is_enough and not go_on,
        )
        return learned._settled_by(n_counted) if is_enough else learned._waiting(counts)

    def _is_unlike(self, center: float, spread: float) -> bool:
        """Whether numbers of such a median, and half such a distance of the quartiles, are quite others."""
        if abs(center / 2 - self.center / 2) > _UNLIKE * self.scale / 2:
            return True
        return spread > 0 and not self.scale / _UNLIKE < 2 * spread < self.scale * _UNLIKE

    def _waiting(self, counts: NumberCounts) -> Numbers:
        """With numbers that may still decide."""
        return replace(self, later_values=counts.values, later_weights=counts.weights, n_later=counts.n_rows)

    def _settled_by(self, n_learned: float) -> Numbers:
        """What so many rows agree with."""
        is_final = self.is_final or n_learned >= _SETTLED_ROWS
        nothing = NumberCounts(self.later_values[:0], self.later_weights[:0], 0)
        return replace(self, is_final=is_final, n_learned=n_learned)._waiting(nothing)

    def encode(self, column: Column) -> list[FieldSlots]:
        return self.slots(*numbers_of(column))

    def slots(self, values: np.ndarray, missing: np.ndarray) -> list[FieldSlots]:
        """FieldSlots of numbers, which may be infinite."""
        how = self.options.numeric_encoding
        value = self.standardised(values, missing)
        if how == "value":
            return [FieldSlots(missing.astype(np.int32), np.where(missing, 1, value))]
        fields = [] if how == "bins" else [FieldSlots(np.zeros(values.shape, np.int32), value)]
        bins = np.where(missing, 0, 1 + np.searchsorted(self.edges, np.where(missing, 0, values)))
        return [*fields, FieldSlots(bins.astype(np.int32))]

    def standardised(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """The standardised values, 0 where they are missing."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = (np.where(missing, self.center, values).astype(np.float64) - self.center) / self.scale
            return np.where(np.abs(z) < 1e100, z / np.sqrt(1 + (z / _BOUND) ** 2), np.sign(z) * _BOUND)

    def names(self) -> list[list[str]]:
        missing = f"{self.name}:missing"
        bins = [missing, *_interval_names(self.name, self.edges)]
        value = str(self.name)
        return {"value": [[value, missing]], "bins": [bins], "both": [[value], bins]}[
            self.options.numeric_encoding
        ]

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        how = self.options.numeric_encoding
        if how == "bins":
            out = np.full(n_rows, np.nan)
            out[fields[0].rows] = np.append(np.nan, self.bin_values)[fields[0].slots]
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
