"""Groups of rows: their numbers, and their rows in order."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import NamedTuple

import numpy as np

from skfm.data.frames import is_missing


def numbered(name: str, values) -> tuple[np.ndarray | list, np.ndarray]:
    """Different values of a column, and the number of each row's among them.

    Raises
    ------
    ValueError
        If a value is missing, or the column is not of one dimension.
    """
    array = np.asarray(values)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        array = np.asarray(values, dtype=object)  # a NaN among text would be the text "nan"
    if array.ndim != 1:
        raise ValueError(f"{name} must have one value a row, got an array of shape {array.shape}.")
    found: np.ndarray | list
    if array.dtype.kind in "biufmM":
        found, codes = np.unique(array, return_inverse=True)
        missing = found != found
    else:
        number_of: defaultdict = defaultdict(count().__next__)
        codes = np.fromiter(map(number_of.__getitem__, array.tolist()), np.int64, array.size)
        found = list(number_of)
        missing = np.array([is_missing(value) for value in found], dtype=bool)
    if missing.any():
        row = int(np.argmax(missing[codes]))
        raise ValueError(
            f"{name} is missing at row {row}. Drop such rows, or give them a value of their own."
        )
    return found, codes


class Ranked(NamedTuple):
    """Rows by group and, within a group, by falling score; a run is rows of a group with one score."""

    codes: np.ndarray  # group of each row, in the order of the input
    order: np.ndarray  # place of each sorted row in the input
    number: np.ndarray  # group of each sorted row: 0, 1, ...
    rank: np.ndarray  # place of each sorted row in its group, from 0
    groups: np.ndarray  # first row of each group
    runs: np.ndarray  # first row of each run
    group_runs: np.ndarray  # first run of each group


def ranked(score: np.ndarray, groups) -> Ranked:
    """Rows by group and falling score."""
    codes = numbered("groups", groups)[1]
    order = falling_by_group(score, codes)
    score, group = score[order], codes[order]
    first = np.ones(score.size, dtype=bool)
    first[1:] = group[1:] != group[:-1]
    first_of_run = first.copy()
    first_of_run[1:] |= score[1:] != score[:-1]
    starts, runs = np.flatnonzero(first), np.flatnonzero(first_of_run)
    number = np.cumsum(first) - 1
    rank = np.arange(score.size) - starts[number]
    return Ranked(codes, order, number, rank, starts, runs, np.searchsorted(runs, starts))


def falling_by_group(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Order of rows by group and then by falling value; those of equal value in any order."""
    order = np.argsort(-values)
    # NumPy sorts 16 bits in linear time: four times as fast as np.lexsort.
    for shift in range(0, int(codes.max()).bit_length(), 16):
        digit = (codes >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order
