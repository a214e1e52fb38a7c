"""Raw predictions and losses of rows, in pieces of fixed shape: one program serves any number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from skfm.data.batches import Batches
from skfm.data.pack import pack_rows
from skfm.models.base import Batch, Slots
from skfm.optim.rows import read_rows
from skfm.runtime import precision
from skfm.train.state import Rows, rows_of_batch, rows_of_block

# Rows of a piece: the least that holds all rows of a matrix, for the latency of few rows. Larger ones than
# 1024 are no faster beyond the noise, and more of the last one is filled up in vain.
_PIECES = 32, 256, 1024


def cut(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Pieces of one shape, and how many of their rows count; the last is filled up with its last row."""
    n_rows = rows.ids.shape[0]
    size = next((size for size in _PIECES if n_rows <= size), _PIECES[-1])
    for start in range(0, n_rows, size):
        held = min(n_rows - start, size)
        place: slice | np.ndarray = slice(start, start + size)
        if held < size:
            place = np.minimum(np.arange(start, start + size), n_rows - 1)
        yield held, jax.tree.map(lambda leaf, place=place: leaf[place], rows)


@partial(jax.jit, static_argnames="function")
def _map_rows(function, parameters, rows: Rows):
    table, dense, averages = parameters
    slots = Slots(function.model, read_rows(table, rows.ids), rows.values)
    return function(slots, dense, averages, Batch(rows.slot_fields, None))


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


class Attention(RawPrediction):
    """Weights of the pairs of fields."""

    def __call__(self, slots, dense, averages, batch):
        return self.model.attention(self.model.products(slots, batch), dense)


class Activations(RawPrediction):
    """Sum of what the activation units say of the entries of each history, (n_histories,) a row."""

    def __call__(self, slots, dense, averages, batch):
        found, _ = self.model.scores(slots, dense, averages, batch, None)
        return jnp.stack([jnp.where(own, score, 0).sum(axis=1) for score, own in found], axis=1)


class LogGate(RawPrediction):
    """Log probabilities of a mixture's components."""

    def __call__(self, slots, dense, averages, batch):
        return self.model.log_gate(slots, dense)


def map_pieces(function, parameters, pieces: Iterable[tuple[int, Rows]]) -> np.ndarray:
    """Apply `function` to the rows of pieces without targets, see `cut`; NumPy, in their order."""
    # All are asked for before the first is waited for.
    found = [(held, _map_rows(function, parameters, piece)) for held, piece in pieces]
    return np.concatenate([np.asarray(values)[:held] for held, values in found])


def loss_sum(loss, raw: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Weighted sum of the losses; NumPy, so that training, validation and prediction share a program."""
    # Weights that diverged give infinite losses.
    with np.errstate(over="ignore", invalid="ignore"):
        losses = loss.value(y, raw).astype(np.float64)
    # Unfilled places of a batch may have any target.
    return float(np.where(weight > 0, losses, 0) @ weight)


def loss_of_batches(loss, function, parameters, blocks: list[Batches]) -> float:
    """Weighted sum of the losses of all rows of the batches."""
    total = 0.0
    for batches in blocks:
        rows = (rows_of_batch(batches, number) for number in range(batches.weight.shape[0]))
        raw = map_pieces(function, parameters, (piece for batch in rows for piece in cut(batch)))
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


def map_matrix(function, parameters, X, fields) -> np.ndarray:
    """Apply `function` to each row of a canonical CSR matrix in the units of X.

    Parameters
    ----------
    function : a `RawPrediction`
    parameters : `skfm.train.state.Parameters`
    fields : `skfm.data.fields.Fields`, or None for models that do not need them
    """
    out: Any = None
    dummy, dtype = parameters.table.shape[0] - 1, parameters.table.dtype
    with precision(dtype):
        on_device = parameters.on_device()
        for start in range(0, X.shape[0], _ROWS_AT_ONCE):
            part = _rows_between(X, start, min(start + _ROWS_AT_ONCE, X.shape[0]))
            for block in pack_rows(part, dummy=dummy, dtype=dtype, fields=fields).blocks:
                values = map_pieces(function, on_device, cut(rows_of_block(block)))
                if out is None:
                    out = np.empty((X.shape[0], *values.shape[1:]), dtype=values.dtype)
                out[start + block.rows] = values
    return out
