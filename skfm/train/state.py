"""What training carries from step to step, and what a fitted model is."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skfm.data.pack import bucket
from skfm.models.base import Model

Array = Any


class Rows(NamedTuple):
    """One block of packed rows on the device, with targets and weights (0 for unfilled rows).

    Dense rows have no ids: their values are a matrix with a column for each row of the table.
    """

    ids: Array | None
    values: Array | None
    slot_fields: Array | None
    y: Array | None
    weight: Array


class Hyper(NamedTuple):
    """Hyper-parameters, all traced: a grid over them shares one program.

    Attributes
    ----------
    lanes : pair of (W,), L1 and L2 strength for each number of a row
    l2_dense, dropout : scalars
    key : random key of this fit
    """

    lanes: tuple[Array, Array]
    l2_dense: Array
    dropout: Array
    key: Array


class TrainState(NamedTuple):
    """Parameters and optimizer state; donated from step to step."""

    table: Array
    table_state: Any
    dense: Any
    dense_state: Any
    averages: Any
    count: Array
    loss_sum: Array


class Parameters:
    """Parameters of a fitted model in NumPy, with a copy on the device made at the first prediction.

    The device copy is no part of the value: it is left out of pickles and copies.

    Attributes
    ----------
    table : (D, W), all tables side by side; the last row is the dummy row, all zero
    dense, averages : dicts of arrays
    """

    def __init__(self, table: np.ndarray, dense: Any, averages: Any):
        self.table = table
        self.dense = dense
        self.averages = averages
        self._on_device: tuple[Array, Any, Any] | None = None

    def __getstate__(self):
        return {"table": self.table, "dense": self.dense, "averages": self.averages}

    def __setstate__(self, state):
        self.table, self.dense, self.averages = state["table"], state["dense"], state["averages"]
        self._on_device = None

    def on_device(self) -> tuple[Array, Any, Any]:
        """``(table, dense, averages)`` as JAX arrays."""
        if self._on_device is None:
            self._on_device = jax.tree.map(jnp.asarray, (self.table, self.dense, self.averages))
        return self._on_device


def to_numpy(tree: Any) -> Any:
    """The same tree with NumPy arrays that own their memory and can be written to."""
    return jax.tree.map(np.array, tree)


def device_rows(block, y, weight, dtype) -> Rows:
    """A packed block with its rows' targets and weights, padded, on the device."""

    def of_block(values):
        return jnp.asarray(padded(values[block.rows], block.ids.shape[0], dtype))

    return Rows(
        ids=jnp.asarray(block.ids),
        values=None if block.values is None else jnp.asarray(block.values),
        slot_fields=None if block.slot_fields is None else jnp.asarray(block.slot_fields),
        y=None if y is None else of_block(y),
        weight=of_block(weight),
    )


def dense_rows(X, y, weight, dtype, n_columns: int) -> Rows:
    """A sparse matrix as one block of dense rows, with columns of zeros up to `n_columns`."""
    n_padded = bucket(X.shape[0])
    values = np.zeros((n_padded, n_columns), dtype=dtype)
    values[: X.shape[0], : X.shape[1]] = X.toarray()
    y, weight = (jnp.asarray(padded(column, n_padded, dtype)) for column in (y, weight))
    return Rows(None, jnp.asarray(values), None, y, weight)


def padded(values: np.ndarray, n_padded: int, dtype) -> np.ndarray:
    """`values` with rows of zeros up to `n_padded`."""
    out = np.zeros((n_padded, *values.shape[1:]), dtype=dtype)
    out[: values.shape[0]] = values
    return out


def put_rows(table: Array, columns: np.ndarray, rows: np.ndarray) -> Array:
    """The table with `rows` at `columns`; the table given is used up."""
    if columns.size:
        table = _fill(table, jnp.asarray(columns), jnp.asarray(rows, dtype=table.dtype))
    # Wait, so that the rows are freed before the optimizer's state is made.
    return table.block_until_ready()


_fill = jax.jit(lambda table, columns, rows: table.at[columns].set(rows), donate_argnums=0)


def first_rows(model: Model, n: int, init_scale: float, rng: np.random.Generator, dtype) -> np.ndarray:
    """Random first rows of n features, shape (n, W)."""
    starts = {"zero": 0.0, "scale": init_scale}
    deviations = model.per_lane(lambda table: starts.get(table.init, table.init)).astype(dtype)
    rows = rng.standard_normal((n, deviations.size), dtype=dtype)
    rows *= deviations
    return rows


def start_state(model: Model, solver, table: Array, dense, averages, rate) -> TrainState:
    """State before the first step."""
    return TrainState(
        table=table,
        table_state=solver.init(table, rate),
        dense=dense,
        dense_state=jax.tree.map(lambda leaf: solver.init(leaf, rate), dense),
        averages=averages,
        count=jnp.zeros((), jnp.int32),
        loss_sum=jnp.zeros((), table.dtype),
    )
