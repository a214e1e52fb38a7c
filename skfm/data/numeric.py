"""Columns of numbers and dates as fields: standardised values, frequent values and quantile bins."""

from __future__ import annotations

import itertools
import math

import numpy as np

from skfm.data.columns import MISSING, OTHER, Found, Options, Slots
from skfm.data.frames import Column, dates_of, numbers_of

_DAY = 86_400_000
_HOUR = 3_600_000
# Standardised numbers are bent towards this bound.
_BOUND = 3.0
# Numbers that stand for those of many chunks.
_SUMMARY = 1 << 16


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


class Integers:
    """Whole numbers: a slot for each frequent one, quantile bins for the others, one for missing values.

    And a field of the standardised value, since nothing tells names from quantities.
    """

    learns = True

    def __init__(self, column: Column, options: Options):
        self.name, self.options = column.name, options
        self.edges = np.empty(0)
        self.settled = False
        self.own = np.empty(0, np.int64)  # sorted
        self.slot_of_own = np.empty(0, np.int32)
        self.rare: tuple[np.ndarray, np.ndarray] = self.own, np.empty(0)
        self.total = 0.0
        self.n_bins = 0
        self.value = Numbers(column, options)
        self.has_value = options.numeric_encoding != "bins"
        self.has_bins = options.numeric_encoding != "value" and options.bins > 0

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Count values that have no slot."""
        values, missing = numbers_of(column)
        self.value.collect(values, missing, weight)
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
        self.value.settle(go_on=go_on)
        found, counted = self.rare
        chosen = self.options.chosen(counted, self.total, self.own.size)
        is_rare = np.ones(found.size, dtype=bool)
        is_rare[chosen] = False
        rare = np.flatnonzero(is_rare)
        if not self.settled:
            self.settled = True
            least = self.options.least(self.total)
            seen = rare[counted[rare] > 0]
            # Fewer than a slot's worth of rare values are pooled in the slot for others.
            if counted[seen].sum() >= max(least, 1) and self.has_bins:
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
        value = Slots(np.zeros(values.shape, np.int32), self.value.standardised(values, missing))
        values = np.where(missing, 0, values)
        slots = np.full(values.shape, OTHER, dtype=np.int32)
        if self.n_bins:
            slots = (2 + np.searchsorted(self.edges, values)).astype(np.int32)
        if self.own.size:
            place = np.minimum(np.searchsorted(self.own, values), self.own.size - 1)
            slots = np.where(self.own[place] == values, self.slot_of_own[place], slots)
        slots[missing] = MISSING
        return [value, Slots(slots)] if self.has_value else [Slots(slots)]

    def names(self) -> list[list[str]]:
        bins = _interval_names(self.name, self.edges) if self.n_bins else []
        own = np.empty(self.own.size, dtype=object)
        own[self.slot_of_own - 2 - self.n_bins] = self.own.tolist()
        slots = [f"{self.name}:other", f"{self.name}:missing", *bins, *(f"{self.name}={v}" for v in own)]
        return [[str(self.name)], slots] if self.has_value else [slots]

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        """Frequent values exactly, others to the precision of the standardised value, if there is one."""
        values = np.full(2 + self.n_bins + self.own.size, None, dtype=object)
        values[self.slot_of_own] = self.own.tolist()
        out = np.full(n_rows, None, dtype=object)
        if self.has_value:
            about = self.value.restored(n_rows, fields[0])
            out[:] = [int(value) if math.isfinite(value) else None for value in np.round(about).tolist()]
        known = values[fields[-1].slots]
        exact = np.array([value is not None for value in known], dtype=bool) | (fields[-1].slots == MISSING)
        out[fields[-1].rows[exact]] = known[exact]
        return out


def _interval_names(name, edges) -> list[str]:
    ends = [f"{edge:.6g}" for edge in edges.tolist()]
    ends = ["-inf", *(ends if len(set(ends)) == len(ends) else map(str, edges.tolist())), "inf"]
    return [f"{name}:({low}, {high}]" for low, high in itertools.pairwise(ends)]


class Numbers:
    """Numbers: a slot with the standardised value, quantile bins, or a field of each."""

    learns = True

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
        how = self.options.numeric_encoding
        value = self.standardised(values, missing)
        if how == "value":
            return [Slots(missing.astype(np.int32), np.where(missing, 1, value))]
        fields = [] if how == "bins" else [Slots(np.zeros(values.shape, np.int32), value)]
        bins = np.where(missing, 0, 1 + np.searchsorted(self.edges, np.where(missing, 0, values)))
        return [*fields, Slots(bins.astype(np.int32))]

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

    def decode(self, n_rows: int, fields: list[Found]) -> np.ndarray:
        how = self.options.numeric_encoding
        if how == "bins":
            out = np.full(n_rows, np.nan)
            out[fields[0].rows] = np.append(np.nan, self.bin_values)[fields[0].slots]
            return out.astype(object)
        out = self.restored(n_rows, fields[0])
        holder, slot = (fields[0], 1) if how == "value" else (fields[1], 0)
        out[holder.rows[holder.slots == slot]] = np.nan
        return out.astype(object)

    def restored(self, n_rows: int, found: Found) -> np.ndarray:
        """Numbers that standardised values in slot 0 stand for."""
        # A value at the center is a zero, which is not stored.
        bent = np.zeros(n_rows)
        is_value = found.slots == 0
        bent[found.rows[is_value]] = np.clip(found.values[is_value] / _BOUND, -1, 1)
        with np.errstate(divide="ignore"):
            return self.center + self.scale * _BOUND * bent / np.sqrt(1 - bent**2)


class Dates:
    """Dates: fields of the month, the day of the week and the hour, and the time as a number of days."""

    learns = True
    _PARTS = {"month": 12, "weekday": 7, "hour": 24}

    def __init__(self, column: Column, options: Options):
        self.name = column.name
        self.days = Numbers(column, options)
        self.has_hours = False
        self.parts: list[str] = []

    def update(self, column: Column, weight: np.ndarray) -> None:
        """Collect times until `settle`."""
        milliseconds, missing = dates_of(column)
        self.days.collect(milliseconds / _DAY, missing, weight)
        self.has_hours = self.has_hours or bool((milliseconds[~missing & (weight > 0)] % _DAY).any())

    def settle(self, *, go_on: bool) -> None:
        """Dates without a time of day have no hour."""
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
        dates[np.isnan(days)] = np.datetime64("NaT", "s")
        return np.array(dates.tolist(), dtype=object)
