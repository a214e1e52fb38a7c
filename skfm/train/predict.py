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
from skfm.data.units import check_range, largest_factor, standardized
from skfm.layers import native
from skfm.models.base import Batch, Model, Slots, SummedSlots
from skfm.native.sums import PLAIN, Columns, Entries, as_native, sums
from skfm.optim.rows import read_rows
from skfm.runtime import check_fits, in_threads, precision, some_cores
from skfm.train.problem import Parameters
from skfm.train.programs import Compiled
from skfm.train.state import DeviceRows, rows_in_batch, rows_of_block

# Rows of a piece: the least that holds all rows of a matrix, for the latency of few rows. Larger ones than
# 1024 are no faster beyond the noise, and more of the last one is filled up in vain
# (benchmarks/cases/predict.py).
_PIECES = 32, 256, 1024


# Rows whose sums are made at a time: they stay in the cache until they have become an output.
_ROWS_OF_SUMS = 2048


def cut(rows) -> Iterator[tuple[int, Any]]:
    """Pieces of one shape, and how many of their rows count; the last is filled up with its last row.

    Parameters
    ----------
    rows : `DeviceRows`, or another tree of arrays with rows
    """
    n_rows = len(jax.tree.leaves(rows)[0])
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


@Compiled
def _map_sums(output, model: Model, of_sums, dense, averages):
    return output(model, SummedSlots(model, *of_sums), dense, averages, Batch(None, None))


def _check_memory(n_rows: int, of_some) -> None:
    """Raise ValueError if an output of many rows does not fit, before it is computed.

    Parameters
    ----------
    of_some : the output for some of them, or its shape and dtype
    """
    n_numbers = math.prod(of_some.shape[1:])
    check_fits(
        n_rows * n_numbers * of_some.dtype.itemsize,
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
        if takes_sums(model):
            weights = jax.tree.map(np.asarray, parameters)
            raw = np.concatenate([_map_sums_in_batch(output, model, weights, batch) for batch in rows])
        else:
            raw = map_pieces(output, model, parameters, (piece for batch in rows for piece in cut(batch)))
        y, weight = (
            np.asarray(leaf).reshape(len(raw), *leaf.shape[2:]) for leaf in (batches.y, batches.weight)
        )
        total += loss_sum(loss, raw, y, weight)
    return total


def _map_sums_in_batch(output, model: Model, weights, rows: DeviceRows) -> np.ndarray:
    starts = np.arange(0, rows.ids.size + 1, rows.ids.shape[1])
    found: Any = map_sums(
        output, model, weights, Entries(rows.values.ravel(), rows.ids.ravel(), starts), PLAIN
    )
    return found


# Rows packed and predicted at a time: bounds the memory that a long matrix needs.
_ROWS_AT_ONCE = 1 << 18


def _rows_between(X, start: int, stop: int):
    """Rows of a CSR matrix; nothing is copied but where they start."""
    if stop - start == X.shape[0]:
        return X
    starts = X.indptr[start : stop + 1]
    span = slice(starts[0], starts[-1])
    return sparse.csr_array(
        (X.data[span], X.indices[span], starts - starts[0]), shape=(stop - start, X.shape[1])
    )


def map_matrix(output, model: Model, parameters: Parameters, X, fields) -> np.ndarray:
    """An output of the model for each row of a canonical CSR matrix in the units of X.

    Parameters
    ----------
    output : function of the model's class, see `map_pieces`
    fields : `skfm.data.fields.Fields`, or None for models that do not need them
    """
    out: Any = None
    map_rows = _map_sums_of if takes_sums(model) else _map_slots_of
    for start in range(0, X.shape[0], _ROWS_AT_ONCE):
        some = _rows_between(X, start, min(start + _ROWS_AT_ONCE, X.shape[0]))
        values = map_rows(output, model, parameters, some, fields, start)
        if some is X:
            return values
        if out is None:
            _check_memory(X.shape[0], values)
            out = np.empty((X.shape[0], *values.shape[1:]), values.dtype)
        out[start : start + len(values)] = values
    return out


def _map_slots_of(output, model: Model, parameters: Parameters, X, fields, first_row: int) -> np.ndarray:
    """The same for rows of a matrix, the first of which has a number there, by their slots."""
    dummy, dtype = parameters.table.shape[0] - 1, parameters.table.dtype
    X = standardized(X, parameters.units)
    check_range(X, dtype, first_row)
    out: Any = None
    with precision(dtype):
        on_device = parameters.on_device()
        layout = layout_to_predict(X, fields)
        for block in pack_rows(X, dummy=dummy, dtype=dtype, fields=fields, layout=layout).blocks:
            rows = rows_of_block(block)
            if out is None and X.shape[0] > _PIECES[-1]:
                _, piece = next(cut(rows))
                _check_memory(X.shape[0], _map_rows.eval_shape(output, model, on_device, piece))
            values = map_pieces(output, model, on_device, cut(rows))
            if out is None:
                out = np.empty((X.shape[0], *values.shape[1:]), dtype=values.dtype)
            out[block.rows] = values
    return out


def takes_sums(model: Model) -> bool:
    """Whether native code makes the sums that the outputs of a model are made of; see `map_sums`."""
    return bool(model.hints.of_sums) and native.available()


def _map_sums_of(output, model: Model, parameters: Parameters, X, fields, first_row: int) -> np.ndarray:
    """As `_map_slots_of`, by sums over the slots."""
    (center, scale), dtype = parameters.units, parameters.table.dtype
    ids = None if fields is None else fields.rows
    weights = parameters.table, parameters.dense, parameters.averages
    X = parameters.units.filled(X)
    values: Any = map_sums(output, model, weights, X, Columns(ids, center, scale, largest_factor(dtype)))
    if values is None:
        check_range(standardized(X, parameters.units), dtype, first_row)
    return values


def map_sums(output, model: Model, weights, X, columns: Columns) -> np.ndarray | None:
    """An output of the model for each row of a matrix, of sums that native code makes, on the cores in use.

    Parameters
    ----------
    weights : table, dense weights and averages in NumPy
    X : csr_array, or `skfm.native.sums.Entries`
    columns : what becomes of its values

    Returns
    -------
    (n_rows, ...), or None if a value is too large
    """
    (table, *rest), n_rows, device = weights, X.indptr.size - 1, some_cores.device
    X = as_native(X)

    def evaluated(found):
        if model.hints.of_sums == "arithmetic":
            # Weights that diverged give infinite predictions.
            with np.errstate(over="ignore", invalid="ignore"):
                return _map_sums.function(output, model, found, *rest)
        # Neither holds for other threads than the one that set it.
        with precision(table.dtype), jax.default_device(device):
            pieces = [(n, _map_sums(output, model, piece, *rest)) for n, piece in cut(found)]
            return np.concatenate([np.asarray(values)[:n] for n, values in pieces])

    def some(start):
        found = sums(X, slice(start, min(start + _ROWS_OF_SUMS, n_rows)), columns, table)
        return None if found is None else evaluated(found)

    first = some(0)
    if first is None or n_rows <= _ROWS_OF_SUMS:
        return first
    _check_memory(n_rows, first)
    out = np.empty((n_rows, *first.shape[1:]), first.dtype)
    out[:_ROWS_OF_SUMS] = first

    def fill(start):
        values = some(start)
        if values is not None:
            out[start : start + _ROWS_OF_SUMS] = values
        return values is not None

    return out if all(in_threads(fill, range(_ROWS_OF_SUMS, n_rows, _ROWS_OF_SUMS))) else None
