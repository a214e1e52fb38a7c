"""Raw predictions and losses of rows, in pieces of fixed shape: one program serves any number of rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from scipy import sparse

from skfm.data.batches import Batches
from skfm.data.pack import layout_to_predict, pack_rows
from skfm.data.units import check_range, standardized
from skfm.models.base import Batch, Model, Slots
from skfm.optim.rows import read_rows
from skfm.runtime import check_fits, precision
from skfm.train.programs import Compiled
from skfm.train.state import DeviceRows, rows_in_batch, rows_of_block

# Rows of a piece: the least that holds all rows of a matrix, for the latency of few rows. Larger ones than
# 1024 are no faster beyond the noise, and more of the last one is filled up in vain
# (benchmarks/cases/predict.py).
_PIECES = 32, 256, 1024


def cut(rows: DeviceRows) -> Iterator[tuple[int, DeviceRows]]:
    """Pieces of one shape, and how many of their rows count; the last is filled up with its last row."""
    n_rows = rows.ids.shape[0]
    size = next((size for size in _PIECES if n_rows <= size), _PIECES[-1])
    for start in range(0, n_rows, size):
        n_valid = min(n_rows - start, size)
        chosen: slice | np.ndarray = slice(start, start + size)
        if n_valid < size:
            chosen = np.minimum(np.arange(start, start + size), n_rows - 1)
        yield n_valid, jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], rows)


@Compiled
def _map_rows(output, model: Model, parameters, rows: DeviceRows):
    table, dense, averages = parameters
    slots = Slots(model, read_rows(table, rows.ids), rows.values)
    return output(model, slots, dense, averages, Batch(rows.slot_fields, None))


def _check_memory(n_rows: int, output, model: Model, parameters, rows: DeviceRows) -> None:
    """Raise ValueError if an output of many rows does not fit, before it is computed."""
    _, piece = next(cut(rows))
    shape = _map_rows.eval_shape(output, model, parameters, piece)
    n_numbers = math.prod(shape.shape[1:])
    check_fits(
        n_rows * n_numbers * shape.dtype.itemsize,
        f"The output for {n_rows} rows, {n_numbers} numbers each, takes",
        "Give X in parts, some rows at a time.",
    )


def map_pieces(output, model: Model, parameters, pieces: Iterable[tuple[int, DeviceRows]]) -> np.ndarray:
    """An output of the model for the rows of pieces without targets, see `cut`; NumPy, in their order.

    Parameters
    ----------
    output : function of the model's class, such as `Model.raw_prediction`. Not a method of the model itself,
        which compares by the object: so all models of one configuration share a program
    """
    # All are asked for before the first is waited for.
    found = [(n_valid, _map_rows(output, model, parameters, piece)) for n_valid, piece in pieces]
    return np.concatenate([np.asarray(values)[:n_valid] for n_valid, values in found])


def loss_sum(loss, raw: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Weighted sum of the losses; NumPy, so that training, validation and prediction share a program."""
    # Weights that diverged give infinite losses.
    with np.errstate(over="ignore", invalid="ignore"):
        losses = loss.value(y, raw).astype(np.float64)
    # Rows that only fill a batch up may have any target.
    return float(np.where(weight > 0, losses, 0) @ weight)


def loss_of_batches(loss, model: Model, parameters, blocks: list[Batches]) -> float:
    """Weighted sum of the losses of all rows of the batches."""
    output = type(model).raw_prediction
    total = 0.0
    for batches in blocks:
        rows = (rows_in_batch(batches, number) for number in range(batches.weight.shape[0]))
        raw = map_pieces(output, model, parameters, (piece for batch in rows for piece in cut(batch)))
        y, weight = (
            np.asarray(leaf).reshape(len(raw), *leaf.shape[2:]) for leaf in (batches.y, batches.weight)
        )
        total += loss_sum(loss, raw, y, weight)
    return total


# Rows packed and predicted at a time: bounds the memory that a long matrix needs.
_ROWS_AT_ONCE = 1 << 18


def _rows_between(X, start: int, stop: int):
    """Rows of a CSR matrix; nothing is copied but where they start."""
    starts = X.indptr[start : stop + 1]
    span = slice(starts[0], starts[-1])
    return sparse.csr_array(
        (X.data[span], X.indices[span], starts - starts[0]), shape=(stop - start, X.shape[1])
    )


def map_matrix(output, model: Model, parameters, X, fields) -> np.ndarray:
    """An output of the model for each row of a canonical CSR matrix in the units of X.

    Parameters
    ----------
    output : function of the model's class, see `map_pieces`
    parameters : `skfm.train.state.Parameters`
    fields : `skfm.data.fields.Fields`, or None for models that do not need them
    """
    out: Any = None
    dummy, dtype = parameters.table.shape[0] - 1, parameters.table.dtype
    with precision(dtype):
        on_device = parameters.on_device()
        for start in range(0, X.shape[0], _ROWS_AT_ONCE):
            some = _rows_between(X, start, min(start + _ROWS_AT_ONCE, X.shape[0]))
            some = standardized(some, parameters.units)
            check_range(some, dtype, start)
            layout = layout_to_predict(some, fields)
            blocks = pack_rows(some, dummy=dummy, dtype=dtype, fields=fields, layout=layout).blocks
            for block in blocks:
                rows = rows_of_block(block)
                if out is None and X.shape[0] > _PIECES[-1]:
                    _check_memory(X.shape[0], output, model, on_device, rows)
                values = map_pieces(output, model, on_device, cut(rows))
                if out is None:
                    out = np.empty((X.shape[0], *values.shape[1:]), dtype=values.dtype)
                out[start + block.rows] = values
    return out
