"""Packed rows in batches of one shape, with the rows of the table that each batch touches."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skfm.data.fields import Fields
from skfm.data.pack import Block, bucket, coarse, pack_rows
from skfm.data.units import Units, check_range, standardized
from skfm.native import Touching, touching
from skfm.runtime import in_threads

# Up to this number of batches, half of them more cost nothing.
_FEW_BATCHES = 32


class Samples(NamedTuple):
    """Rows with targets in the loss's terms and weights above 0.

    Attributes
    ----------
    X : canonical csr_array (n, d), or `RowSpool`
    y : (n, n_outputs), or (n,) class numbers for softmax
    weight : (n,)
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray

    def take(self, rows) -> Samples:
        """Some of the rows, by number or by a mask."""
        return Samples(self.X[rows], self.y[rows], self.weight[rows])


class Batching(NamedTuple):
    """How rows become batches.

    Attributes
    ----------
    charge : (D, 1 or 2) charge of the penalty for a sample that touches a row of the tables; 0 for the last
        row, the dummy one
    units : of the columns
    fields : field of each column, for models that need to know it, and its row of the tables, or None
    batch_size : most rows of a batch
    dtype : of values, charges, targets and weights
    seed : of the order of the rows
    indexed : whether batches have `Batches.starts` and `Batches.order`, for native code
    n_threads : that make the batches
    """

    charge: np.ndarray
    units: Units
    fields: Fields | None
    batch_size: int
    dtype: Any
    seed: int
    indexed: bool = False
    n_threads: int = 1

    @property
    def dummy(self) -> int:
        """Id that unused slots point to."""
        return self.charge.shape[0] - 1


class Batches(NamedTuple):
    """N batches of B rows each; the last rows of a batch, and the last batches, may be unfilled.

    Attributes
    ----------
    touched : (N, R) int32, the different rows of the table that a batch touches, and then the dummy
        row's id
    charge : (N, R, 1 or 2), what a batch's samples pay in all for L1 and L2 of each touched row, 0 for rows
        that no weight touches
    position : (N, B, S) int32, position in `touched` of each slot's row
    values : (N, B, S), or None when every value is 1
    slot_fields : (N, B, S) int32, or None when slot s is field s (or all are one field)
    y : (N, B, ...) targets
    weight : (N, B) sample weights, 0 for unfilled rows
    starts : (N, R + 1) int32, where the slots that touch a row start in `order`; or None
    order : (N, B S) int32, row of the batch times S plus slot; or None
    """

    touched: Any
    charge: Any
    position: Any
    values: Any
    slot_fields: Any
    y: Any
    weight: Any
    starts: Any = None
    order: Any = None


def n_batches(size: int, batch_size: int) -> int:
    """Batches that `size` rows make."""
    return -(-size // batch_size)


def compose(size: int, batch_size: int, rng: np.random.Generator, least: int = 1) -> np.ndarray:
    """Positions of `size` shuffled rows in batches of (nearly) one size, shape (N, B).

    Unfilled rows hold `size`, one past the last row. N is bucketed, and B depends on the bucketed size, so
    that near sizes share a program. Rows that make one batch keep their order.

    Parameters
    ----------
    least : number of batches up to which unfilled ones are added, for parts that share a program
    """
    n = n_batches(size, batch_size)
    n_padded = max(n, least)
    width = batch_size if n_padded > 1 else min(batch_size, coarse(size, least=32))
    if 1 < n_padded <= _FEW_BATCHES:
        n_padded = bucket(n_padded, bits=1, least=4)
    order = np.full((bucket(n_padded), width), size, dtype=np.int32)
    even = np.linspace(0, size, n + 1).astype(int)
    filled = np.arange(width) < np.diff(even)[:, None]
    order[:n][filled] = rng.permutation(size) if n > 1 else np.arange(size)
    return order


def number_rows(ids: np.ndarray, scratch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different ids, and the position of each of `ids` among them.

    By marking instead of sorting: each id's position in `ids` is written into the scratch vector at the id
    and read back; the one that reads what it wrote stands for all equal ones.

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


def batch_in_memory(samples: Samples, batching: Batching) -> tuple[list[Batches], list[int]]:
    """Batches of the rows of each width, with weights of mean 1, and the number of these rows."""
    to_mean_one = samples.X.shape[0] / samples.weight.sum()
    X = standardized(samples.X, batching.units)
    check_range(X, batching.dtype)
    samples = samples._replace(X=X, weight=samples.weight * to_mean_one)
    packed = pack_rows(samples.X, dummy=batching.dummy, dtype=batching.dtype, fields=batching.fields)
    rng = np.random.default_rng([batching.seed, 2])
    batches = [
        make_batches(block, compose(block.rows.size, batching.batch_size, rng), samples, batching)
        for block in packed.blocks
    ]
    return batches, [block.rows.size for block in packed.blocks]


def make_batches(block: Block, order: np.ndarray, samples: Samples, batching: Batching) -> Batches:
    """The rows of a block in batches.

    Parameters
    ----------
    block : rows of one width; row `block.rows.size` of its arrays is an unfilled one
    order : (N, B) positions in the block, see `compose`
    samples : those of which the block is a part
    """
    filled = order < block.rows.size
    rows = block.rows[np.where(filled, order, 0)]
    weight = np.where(filled, samples.weight[rows], 0)
    n, *shape = *order.shape, block.ids.shape[1]
    position = np.empty((n, *shape), np.int32)
    values, slot_fields = (
        None if leaf is None else np.empty((n, *shape), leaf.dtype)
        for leaf in (block.values, block.slot_fields)
    )
    # Room for what a batch may touch, in arrays that are freed as a whole.
    room = coarse(min(shape[0] * shape[1], batching.dummy + 1))
    touched = np.empty((n, room), np.int32)
    charge = np.empty((n, room, batching.charge.shape[1]), batching.dtype)
    starts = np.empty((n, room + 1), np.int32) if batching.indexed else None
    slots = np.zeros((n, shape[0] * shape[1]), np.int32) if batching.indexed else None

    def number(batches: np.ndarray) -> list[int]:
        """How many different rows each batch touches."""
        scratch, share = np.empty(batching.dummy + 1, np.int32), np.empty(room)
        sizes = []
        for batch in batches:
            for leaf, out in ((block.values, values), (block.slot_fields, slot_fields)):
                if leaf is not None and out is not None:
                    out[batch] = leaf[order[batch]]
            ids = block.ids[order[batch]]
            if starts is not None and slots is not None:
                into = Touching(touched[batch], position[batch], share, starts[batch], slots[batch])
                size = touching(ids, weight[batch], batching.dummy, scratch, into)
            else:
                # Slot by slot, so that a slot's rows are neighbours in the cache.
                different, numbers = number_rows(ids.T.reshape(-1), scratch)
                size = different.size
                position[batch], touched[batch, :size] = numbers.reshape(ids.T.shape).T, different
                share[:size] = np.bincount(numbers, np.tile(weight[batch], ids.shape[1]), size)
            charge[batch, :size] = _charge(touched[batch, :size], share[:size], batching)
            sizes.append(size)
        return sizes

    parts = np.array_split(np.arange(n), min(batching.n_threads, n))
    sizes = [size for part in in_threads(number, parts, batching.n_threads) for size in part]
    most = coarse(max(sizes))
    touched = np.ascontiguousarray(touched[:, :most])
    charge = np.ascontiguousarray(charge[:, :most])
    starts = None if starts is None else np.ascontiguousarray(starts[:, : most + 1])
    for batch, size in enumerate(sizes):
        touched[batch, size:], charge[batch, size:] = batching.dummy, 0
        if starts is not None:
            starts[batch, size:] = starts[batch, size]
    return Batches(
        touched=touched,
        charge=charge,
        position=position,
        values=values,
        slot_fields=slot_fields,
        y=samples.y[rows].astype(batching.dtype),
        weight=weight.astype(batching.dtype),
        starts=starts,
        order=slots,
    )


def _charge(touched: np.ndarray, share: np.ndarray, batching: Batching) -> np.ndarray:
    """What the samples of a batch pay for touched rows, from the weight that touches each."""
    # A charge rounded to 0, here or where it is divided by a batch's rows, would leave its row alone.
    least, most = np.finfo(batching.dtype).tiny * 1e9, np.finfo(batching.dtype).max
    paid = batching.charge[touched] * share[:, None]
    return np.where(paid > 0, np.clip(paid, least, most), 0).astype(batching.dtype)
