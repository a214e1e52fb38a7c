"""Raw predictions and losses of rows, in pieces of fixed shape: one program serves any number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skfm.data.batches import Batches
from skfm.data.pack import pack_rows
from skfm.models.base import Batch, Slots
from skfm.optim.rows import read_rows
from skfm.runtime import precision
from skfm.train.state import Rows, rows_of_batch, rows_of_block

# The gathered rows of so many samples stay in the cache: 512 take two thirds of the time of 4096.
_PIECE = 512
# Fewer than this are a piece of their own, for the latency of single rows.
_SMALL_PIECE = 32


def cut(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Pieces of fixed shape, each with how many of its rows count.

    The last piece is filled up with copies of its last row, of weight 0.
    """
    n_rows = rows.ids.shape[0]
    for start in range(0, n_rows, _PIECE):
        held = min(n_rows - start, _PIECE)
        size = _PIECE if held > _SMALL_PIECE else _SMALL_PIECE
        if held == size:
            piece = jax.tree.map(lambda leaf, at=start: leaf[at : at + _PIECE], rows)
        else:
            order = np.minimum(np.arange(start, start + size), n_rows - 1)
            piece = jax.tree.map(lambda leaf, order=order: leaf[order], rows)
            if piece.weight is not None:
                piece.weight[held:] = 0
        yield held, piece


@partial(jax.jit, static_argnames="function")
def _map_rows(function, parameters, rows: Rows):
    table, dense, averages = parameters
    slots = Slots(function.model, read_rows(table, rows.ids), rows.values)
    return function(slots, dense, averages, Batch(rows.slot_fields, rows.weight))


class RawPrediction:
    """Function of a batch's slots: the model's raw predictions, shape (n_outputs,) a row.

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


@partial(jax.jit, static_argnames=("loss", "function"))
def _raw_and_loss(loss, function, parameters, rows: Rows):
    raw = _map_rows(function, parameters, rows)
    return raw, jnp.where(rows.weight > 0, loss.value(rows.y, raw), 0) @ rows.weight


def evaluate(
    loss, function, parameters, pieces: Iterable[tuple[int, Rows]]
) -> tuple[list[np.ndarray], float]:
    """Raw predictions of each piece's rows, and the weighted sum of the losses of all."""
    # All are asked for before the first is waited for.
    found = [(held, *_raw_and_loss(loss, function, parameters, piece)) for held, piece in pieces]
    return [np.asarray(raw)[:held] for held, raw, _ in found], float(sum(float(value) for *_, value in found))


def loss_of_batches(loss, function, parameters, blocks: list[Batches]) -> float:
    """Weighted sum of the losses of all rows of the batches."""
    numbers = [(batches, number) for batches in blocks for number in range(batches.weight.shape[0])]
    pieces = (piece for at in numbers for piece in cut(rows_of_batch(*at)))
    return evaluate(loss, function, parameters, pieces)[1]


# Rows packed and predicted at a time: bounds the memory that a long matrix needs.
_ROWS_AT_ONCE = 1 << 18


def map_matrix(function, parameters, X, fields) -> np.ndarray:
    """Apply `function` to each row of a canonical CSR matrix in the units of X.

    Parameters
    ----------
    function : a `RawPrediction`
    parameters : `skfm.train.state.Parameters`
    fields : `skfm.data.fields.Fields`, or None for models that do not need them
    """
    out: np.ndarray | None = None
    dummy, dtype = parameters.table.shape[0] - 1, parameters.table.dtype
    with precision(dtype):
        on_device = parameters.on_device()
        for start in range(0, X.shape[0], _ROWS_AT_ONCE):
            part = X if X.shape[0] <= _ROWS_AT_ONCE else X[start : start + _ROWS_AT_ONCE]
            for block in pack_rows(part, dummy=dummy, dtype=dtype, fields=fields).blocks:
                found = [
                    (held, _map_rows(function, on_device, piece)) for held, piece in cut(rows_of_block(block))
                ]
                # All are asked for before the first is waited for.
                values = np.concatenate([np.asarray(piece)[:held] for held, piece in found])
                if out is None:
                    out = np.empty((X.shape[0], *values.shape[1:]), dtype=values.dtype)
                out[start + block.rows] = values
    assert out is not None
    return out
