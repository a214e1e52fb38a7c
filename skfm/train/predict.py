"""Raw predictions and losses of packed rows, in chunks of fixed shape."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skfm.data.pack import pack_rows
from skfm.models.base import Batch, Slots
from skfm.runtime import precision
from skfm.train.state import Rows, device_rows

_LARGEST_CHUNK = 4096


def chunk_rows(n_rows: int) -> int:
    """A power of two that divides the padded number of rows, near the size that caches like."""
    power = n_rows & -n_rows
    return n_rows if n_rows <= 512 else min(power, _LARGEST_CHUNK)


@partial(jax.jit, static_argnames=("function",))
def _map_rows(function, parameters, data: Rows):
    n_rows = data.weight.shape[0]
    size = chunk_rows(n_rows)
    chunks = jax.tree.map(lambda leaf: leaf.reshape(n_rows // size, size, *leaf.shape[1:]), data)
    table, dense, averages = parameters

    def one(chunk):
        gathered = jax.lax.optimization_barrier(table.at[chunk.ids].get(mode="promise_in_bounds"))
        slots = Slots(function.model, gathered, chunk.values)
        return function(slots, dense, averages, Batch(chunk.slot_fields, chunk.weight))

    out = jax.lax.map(one, chunks)
    return out.reshape(n_rows, *out.shape[2:])


class RawPrediction:
    """Function of a batch's slots for `map_blocks`: the model's raw predictions, shape (n_outputs,) a row.

    Hashable by the model, so that all estimators of one configuration share a program.
    """

    def __init__(self, model: Any):
        self.model = model

    def __hash__(self):
        return hash((type(self), self.model))

    def __eq__(self, other):
        return type(self) is type(other) and self.model == other.model

    def __call__(self, slots, dense, averages, batch):
        return self.model.forward(slots, dense, averages, batch, None)[0]


class CrossFeatures(RawPrediction):
    """The second-order vector of a factorization machine."""

    def __call__(self, slots, dense, averages, batch):
        cross = self.model.cross_features(slots)
        return cross.reshape(cross.shape[0], -1)


class LogGate(RawPrediction):
    """Log probabilities of a mixture's components."""

    def __call__(self, slots, dense, averages, batch):
        return self.model.log_gate(slots, dense)


def map_blocks(function, parameters, blocks, rows, n_rows: int) -> np.ndarray:
    """Apply `function` to each row of the blocks; NumPy, in the order of the matrix.

    Parameters
    ----------
    function : a `RawPrediction`
    parameters : (table, dense, averages) on the device
    blocks : list of `Rows`
    rows : list of the positions in the matrix of each block's rows
    n_rows : rows of the matrix
    """
    # All are asked for before the first is waited for.
    pieces = [_map_rows(function, parameters, block._replace(y=None)) for block in blocks]
    out = np.empty((n_rows, *pieces[0].shape[1:]), dtype=pieces[0].dtype)
    for piece, positions in zip(pieces, rows, strict=True):
        out[positions] = np.asarray(piece)[: positions.size]
    return out


@partial(jax.jit, static_argnames=("loss",))
def _loss_sum(loss, raw, y, weight):
    return jnp.where(weight > 0, loss.value(y, raw), 0) @ weight


def mean_loss(loss, function, parameters, blocks) -> float:
    """Weighted mean loss of the rows of the blocks."""
    total = weight = 0.0
    for block in blocks:
        raw = _map_rows(function, parameters, block._replace(y=None))
        total += float(_loss_sum(loss, raw, block.y, block.weight))
        weight += float(block.weight.sum())
    return total / weight


# Rows packed and predicted at a time: bounds the memory that a long matrix needs.
_ROWS_AT_ONCE = 1 << 18


def map_matrix(function, parameters, X, fields) -> np.ndarray:
    """Apply `function` to each row of a canonical CSR matrix in the units of X.

    Parameters
    ----------
    parameters : `skfm.train.state.Parameters`
    fields : `skfm.data.fields.Fields`, or None for models that do not need them
    """
    table = parameters.table
    pieces = []
    with precision(table.dtype):
        for start in range(0, X.shape[0], _ROWS_AT_ONCE):
            part = X if X.shape[0] <= _ROWS_AT_ONCE else X[start : start + _ROWS_AT_ONCE]
            packed = pack_rows(part, dummy=table.shape[0] - 1, dtype=table.dtype, fields=fields)
            weight = np.ones(part.shape[0])
            blocks = [device_rows(block, None, weight, table.dtype) for block in packed.blocks]
            positions = [block.rows for block in packed.blocks]
            pieces.append(map_blocks(function, parameters.on_device(), blocks, positions, part.shape[0]))
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
