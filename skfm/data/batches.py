"""Packed rows in batches of one shape, with the rows of the table that each batch touches."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skfm.data.pack import Block, bucket

# Numbers of touched rows are rounded up by an eighth at most, so that near batches share a program.
_TOUCHED_BITS = 3


class Batches(NamedTuple):
    """N batches of B rows each; the last places of a batch, and the last batches, may be unfilled.

    Attributes
    ----------
    touched : (N, R) int32, the different rows of the table that a batch touches; unused places hold the
        dummy row's id
    charge : (N, R, 1 or 2), what a batch's samples pay in all for L1 and L2 of each touched row, 0 for rows
        that no weight touches
    place : (N, B, S) int32, place in `touched` of each slot's row
    values : (N, B, S), or None when every value is 1
    slot_fields : (N, B, S) int32, or None when slot s is field s (or all are one field)
    y : (N, B, ...) targets
    weight : (N, B) sample weights, 0 for unfilled places
    """

    touched: Any
    charge: Any
    place: Any
    values: Any
    slot_fields: Any
    y: Any
    weight: Any


def n_batches(size: int, batch_size: int) -> int:
    """Batches that `size` rows make."""
    return -(-size // batch_size)


def compose(size: int, batch_size: int, rng: np.random.Generator, least: int = 1) -> np.ndarray:
    """Positions of `size` shuffled rows in batches of (nearly) one size, shape (N, B).

    Unfilled places hold `size`, one past the last row. N is bucketed, and B depends on the bucketed size, so
    that near sizes share a program. Rows that make one batch keep their order.

    Parameters
    ----------
    least : number of batches up to which unfilled ones are added, for parts that share a program
    """
    n = n_batches(size, batch_size)
    width = batch_size if max(n, least) > 1 else min(batch_size, bucket(size, least=32))
    order = np.full((bucket(max(n, least)), width), size, dtype=np.int32)
    even = np.linspace(0, size, n + 1).astype(int)
    filled = np.arange(width) < np.diff(even)[:, None]
    order[:n][filled] = rng.permutation(size) if n > 1 else np.arange(size)
    return order


def number_rows(ids: np.ndarray, scratch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different ids, and the place of each of `ids` among them.

    By marking instead of sorting: each id's place in `ids` is written into the scratch vector at the id and
    read back; the one that reads its own place stands for all equal ones.

    Parameters
    ----------
    ids : (M,) int32
    scratch : (D,) int32 with D above all ids; its contents are of no meaning, before and after

    Examples
    --------
    >>> number_rows(np.array([7, 3, 7]), np.empty(8, np.int32))
    (array([3, 7]), array([1, 0, 1], dtype=int32))
    """
    numbers = np.arange(ids.size, dtype=np.int32)
    scratch[ids] = numbers
    different = ids[scratch[ids] == numbers]
    scratch[different] = numbers[: different.size]
    return different, scratch[ids]


def make_batches(
    block: Block, order: np.ndarray, charges: np.ndarray, y: np.ndarray, weight: np.ndarray, dtype
) -> Batches:
    """The rows of a block in batches.

    Parameters
    ----------
    block : rows of one width; row `block.rows.size` of its arrays is an unfilled one
    order : (N, B) positions in the block, see `compose`
    charges : (D, 1 or 2) charge of the penalty for a sample that touches a column, 0 for the dummy row
    y, weight : targets and sample weights of all rows of the matrix
    """
    filled = order < block.rows.size
    rows = block.rows[np.where(filled, order, 0)]
    weight = np.where(filled, weight[rows], 0)
    place = block.ids[order]
    scratch = np.empty(charges.shape[0], dtype=np.int32)
    touched, shares = [], []
    for ids, shared in zip(place, weight, strict=True):
        # Slot by slot, so that a slot's rows are neighbours in the cache.
        different, numbers = number_rows(ids.T.reshape(-1), scratch)
        ids[...] = numbers.reshape(ids.T.shape).T
        touched.append(different)
        shares.append(np.bincount(numbers, np.tile(shared, ids.shape[1]), different.size))
    most = bucket(max(different.size for different in touched), _TOUCHED_BITS)
    all_touched = np.full((len(touched), most), charges.shape[0] - 1, dtype=np.int32)
    charge = np.zeros((*all_touched.shape, charges.shape[1]), dtype=dtype)
    # A charge rounded to 0, here or where it is divided by a batch's rows, would leave its row alone.
    least, most_paid = np.finfo(dtype).tiny * 1e9, np.finfo(dtype).max
    for number, (different, share) in enumerate(zip(touched, shares, strict=True)):
        paid = charges[different] * share[:, None]
        paid = np.where(paid > 0, np.clip(paid, least, most_paid), 0)
        all_touched[number, : different.size] = different
        charge[number, : different.size] = paid
    return Batches(
        touched=all_touched,
        charge=charge,
        place=place,
        values=None if block.values is None else block.values[order],
        slot_fields=None if block.slot_fields is None else block.slot_fields[order],
        y=y[rows].astype(dtype),
        weight=weight.astype(dtype),
    )
