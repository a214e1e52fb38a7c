"""CSR to rows of fixed width: the shape every compiled program works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.fields import Fields, one_slot_each
from skfm.data.units import Units
from skfm.data.validate import row_pieces

# Padding may cost four fifths of the nonzeros, and anything below this number of slots.
_MAX_PADDING = 1.8
_FREE_SLOTS = 1 << 15
_PLAIN = Units()
# Up to this number of rows of a table, a quarter of them more costs nothing.
_FEW_ROWS = 1 << 13
# Rows to predict for which a row twice as wide costs less than a program; four times, for the least piece.
_ROWS_OF_WIDTH_TWICE, _ROWS_OF_WIDTH_FOUR_TIMES = 1024, 32


def bucket(n: int, bits: int = 4, least: int = 1) -> int:
    """Round up so that near sizes share a compiled program: at most 1 / 2**bits is wasted.

    Examples
    --------
    >>> [bucket(n) for n in (5, 31, 33, 1000, 1001)]
    [5, 31, 34, 1024, 1024]
    """
    n = max(n, least, 1)
    step = 1 << max(n.bit_length() - 1 - bits, 0)
    return -(-n // step) * step


def coarse(n: int, least: int = 1) -> int:
    """Round up by an eighth at most, by a quarter while that is little: sizes that differ from fold to fold.

    Examples
    --------
    >>> [coarse(n) for n in (900, 1000, 1030, 10_000)]
    [1024, 1024, 1280, 10240]
    """
    return bucket(n, bits=2 if n <= _FEW_ROWS else 3, least=least)


def table_rows(n_columns: int) -> int:
    """Rows of a table for `n_columns` columns; the last one is the dummy row that padding points to."""
    return coarse(n_columns + 1, least=16)


@dataclass(frozen=True)
class Block:
    """Rows of one width.

    Attributes
    ----------
    rows : ndarray of shape (n,), the position of each row in the matrix
    ids : int32 ndarray of shape (N, S) with N > n; unused slots and rows hold the dummy row's id
    values : ndarray of shape (N, S), or None when every value is 1
    slot_fields : int32 ndarray of shape (N, S), -1 for unused slots, or None when slot s is field s (or all
        are one field)
    """

    rows: np.ndarray
    ids: np.ndarray
    values: np.ndarray | None
    slot_fields: np.ndarray | None


@dataclass(frozen=True)
class PackedRows:
    """A sparse matrix as few blocks of fixed width."""

    blocks: tuple[Block, ...]
    n_rows: int

    @property
    def n_slots(self) -> int:
        """Slots in all, padding within rows included."""
        return sum(block.rows.size * block.ids.shape[1] for block in self.blocks)


class Layout(NamedTuple):
    """How rows are packed: matrices packed alike share compiled programs.

    Attributes
    ----------
    widths : ascending widths, the last of which holds the longest row
    by_field : whether slot s is field s
    all_ones : whether values are left out
    """

    widths: np.ndarray
    by_field: bool
    all_ones: bool


def choose_widths(count: np.ndarray, bits: int = 2) -> np.ndarray:
    """Few widths such that all rows fit and padding stays below four fifths of the nonzeros.

    One width if it can be. Else it starts from powers of two, so that near mixes of lengths, as those of
    folds, get the same, and merges neighbours, cheapest first, while the budget lasts.

    Parameters
    ----------
    count : number of rows of each length, from 0
    bits : how finely a single width is chosen, see `bucket`
    """
    lengths = np.arange(count.size)
    longest = int(np.flatnonzero(count).max(initial=0))
    budget = max(_FREE_SLOTS, _MAX_PADDING * int(count @ lengths))
    width = bucket(longest, bits)
    if width * int(count.sum()) <= budget:
        return np.array([width])
    widths = sorted({bucket(int(length), bits=0) for length in np.flatnonzero(count)})
    edges = np.concatenate([[-1], widths])
    cumulative = np.cumsum(count)
    n_rows = np.diff([cumulative[min(edge, longest)] if edge >= 0 else 0 for edge in edges]).tolist()
    while len(widths) > 1:
        costs = [n_rows[i] * (widths[i + 1] - widths[i]) for i in range(len(widths) - 1)]
        cheapest = int(np.argmin(costs))
        if sum(n * width for n, width in zip(n_rows, widths, strict=True)) + costs[cheapest] > budget:
            break
        n_rows[cheapest + 1] += n_rows[cheapest]
        del n_rows[cheapest], widths[cheapest]
    return np.asarray(widths)


def choose_layout(X, fields: Fields | None, units: Units = _PLAIN) -> Layout:
    """How to pack a matrix, or the rows on disk that pieces are then packed of.

    Parameters
    ----------
    units : those that the rows will be in when they are packed
    """
    count = np.zeros(1, dtype=np.int64)
    by_field, all_ones = True, units.scale is None
    for _, piece in row_pieces(X):
        piece = units.filled(piece)
        by_field = by_field and fields is not None and fields.n > 1 and one_slot_each(piece, fields)
        all_ones = all_ones and bool(np.all(piece.data == 1))
        longer = np.bincount(np.diff(piece.indptr), minlength=count.size)
        longer[: count.size] += count
        count = longer
    if np.count_nonzero(count) == 1:
        # Of a table without zeros, of which every part has this width.
        return Layout(np.array([max(count.size - 1, 1)]), by_field, all_ones)
    return Layout(choose_widths(count), by_field, all_ones)


def layout_to_predict(X: sparse.csr_array, fields: Fields | None) -> Layout:
    """How to pack rows to predict: the fewer they are, the fewer layouts there are."""
    layout, n_rows = choose_layout(X, fields), X.shape[0]
    if n_rows <= _ROWS_OF_WIDTH_FOUR_TIMES:
        longest = int(layout.widths[-1])
        layout = layout._replace(widths=np.array([4 ** max(-(-(longest - 1).bit_length() // 2), 1)]))
    elif n_rows <= _ROWS_OF_WIDTH_TWICE:
        layout = layout._replace(widths=choose_widths(np.bincount(np.diff(X.indptr)), bits=0))
    return layout._replace(all_ones=False)


def pack_rows(
    X: sparse.csr_array,
    *,
    dummy: int,
    dtype,
    fields: Fields | None = None,
    layout: Layout | None = None,
) -> PackedRows:
    """Pack a canonical CSR matrix (sorted, no duplicates, no explicit zeros).

    Parameters
    ----------
    X : csr_array of shape (n_samples, n_columns)
    dummy : int
        Id that unused slots point to: a row of the tables that is always zero.
    dtype : dtype of the values
    fields : Fields, optional
        Field of each column, for models that need to know it, and its row of the tables. With at most one
        nonzero a field, slot s is field s; otherwise slots carry their field.
    layout : Layout, optional
        That of a matrix of which X is a piece.
    """
    n_rows = X.shape[0]
    widths, by_field, all_ones = layout or choose_layout(X, fields)
    packing = _Packing(dummy, np.dtype(dtype), all_ones, None if fields is None else fields.rows)
    if fields is not None and by_field:
        slots = fields.numbers[X.indices]
        block = _pack_block(X, np.arange(n_rows), fields.n, packing, slots=slots)
        return PackedRows((block,), n_rows)
    slot_fields = None if fields is None or fields.n <= 1 else fields.numbers
    lengths = np.diff(X.indptr)
    blocks = []
    last = -1
    for width in widths:
        rows = np.flatnonzero((lengths > last) & (lengths <= width))
        last = width
        if rows.size == 0:
            continue
        of_width = X if rows.size == n_rows else X[rows]
        blocks.append(_pack_block(of_width, rows, int(width), packing, slot_fields=slot_fields))
    return PackedRows(tuple(blocks), n_rows)


class _Packing(NamedTuple):
    """What slots hold; see `pack_rows`."""

    dummy: int
    dtype: np.dtype
    all_ones: bool
    table_rows: np.ndarray | None


def _pack_block(X, rows, width, packing: _Packing, *, slots=None, slot_fields=None) -> Block:
    """Rows of one width; `slots` of the nonzeros, or None where they follow one another."""
    n_rows = X.shape[0]
    # One row more than needed: unfilled rows of a batch point to it.
    shape = (coarse(n_rows + 1, least=32), width)
    if X.indices.size == n_rows * width and slot_fields is None:
        # Every slot is filled, and sorted columns come in the order of their slots only where fields do.
        in_order = slots is None or np.array_equal(slots[:width], np.arange(width))
        in_order = in_order and (slots is None or bool(np.all(slots.reshape(n_rows, width) == slots[:width])))
    else:
        in_order = False
    filled: slice | tuple[np.ndarray, np.ndarray]
    source_shape: tuple[int, ...]
    if in_order:
        filled = slice(0, n_rows)
        source_shape = (n_rows, width)
    else:
        row_of = np.repeat(np.arange(n_rows), np.diff(X.indptr))
        if slots is None:
            slots = np.arange(X.indices.size) - np.repeat(X.indptr[:-1], np.diff(X.indptr))
        filled = (row_of, slots)
        source_shape = (X.indices.size,)

    def fill(source, unused, dtype):
        out = np.full(shape, unused, dtype=dtype)
        out[filled] = source.reshape(source_shape)
        return out

    ids = X.indices if packing.table_rows is None else packing.table_rows[X.indices]
    return Block(
        rows=rows,
        ids=fill(ids, packing.dummy, np.int32),
        values=None if packing.all_ones else fill(X.data, 0, packing.dtype),
        slot_fields=None if slot_fields is None else fill(slot_fields[X.indices], -1, np.int32),
    )
