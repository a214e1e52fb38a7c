"""What training carries from step to step, and what a fitted model is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from skfm.data.batches import Batches
from skfm.data.pack import Block, bucket
from skfm.data.statistics import StreamStatistics
from skfm.data.units import Units, largest_factor
from skfm.layers import native
from skfm.models.base import Model, Table
from skfm.optim.rows import join
from skfm.train.problem import Behind, Parameters, Trained
from skfm.train.programs import Compiled

Array = Any


class DeviceRows(NamedTuple):
    """Packed rows with targets and weights (0 for unfilled rows).

    Dense rows have no ids: their values are a matrix with a column for each row of the table. Rows to
    predict have neither targets nor weights. Where native code makes gradients, there is an index.
    """

    ids: Array
    values: Array
    slot_fields: Array
    y: Array = None
    weight: Array = None
    by_row: native.Index | None = None


class Hyper(NamedTuple):
    """Hyper-parameters, all traced: a grid over them shares one program.

    Attributes
    ----------
    lanes : pair of (W,), L1 and L2 strength for each number of a row
    l2_dense, dropout : scalars
    key : random key of this fit
    first_rate : for the solver `Split`
    """

    lanes: tuple[Array, Array]
    l2_dense: Array
    dropout: Array
    key: Array
    first_rate: Array = None


class TrainState(NamedTuple):
    """Parameters and optimizer state; donated from step to step.

    Where `table` is joined with `table_state`, this is None; see `skfm.optim.rows.join`.
    """

    table: Array
    table_state: Any
    dense: Any
    dense_state: Any
    averages: Any
    count: Array
    loss_sum: Array

    @property
    def is_joined(self) -> bool:
        """Whether the table is joined with its state."""
        return self.table_state is None


def on_device(tree: Any) -> Any:
    """Copies of the arrays on the device. `jnp.asarray` would compile a program for each shape."""
    return jax.device_put(tree, may_alias=False)


def to_numpy(tree: Any) -> Any:
    """The same tree with NumPy arrays that own their memory and can be written to."""
    return jax.tree.map(np.array, tree)


def rows_of_block(block: Block) -> DeviceRows:
    """The rows of a packed block without targets and weights, in NumPy."""
    n_rows = block.rows.size
    leaves = block.ids, block.values, block.slot_fields
    return DeviceRows(*jax.tree.map(lambda leaf: leaf[:n_rows], leaves))


def rows_in_batch(batches: Batches, number: int) -> DeviceRows:
    """The rows of one batch without targets and weights, those that only fill it up included; NumPy."""
    batch = jax.tree.map(lambda leaf: np.asarray(leaf)[number], batches)
    values = np.ones(batch.position.shape, batch.weight.dtype) if batch.values is None else batch.values
    return DeviceRows(batch.touched[batch.position], values, batch.slot_fields)


def device_rows(block: Block, y, weight, dtype) -> DeviceRows:
    """A packed block with its rows' targets and weights, padded, on the device."""
    y, weight = (padded(column[block.rows], block.ids.shape[0], dtype) for column in (y, weight))
    return on_device(DeviceRows(block.ids, block.values, block.slot_fields, y, weight))


def dense_rows(X, y, weight, dtype, n_columns: int) -> DeviceRows:
    """A sparse matrix as one block of dense rows, with columns of zeros up to `n_columns`."""
    n_padded = bucket(X.shape[0], bits=3)
    values = np.zeros((n_padded, n_columns), dtype=dtype)
    values[: X.shape[0], : X.shape[1]] = X.toarray()
    y, weight = (padded(column, n_padded, dtype) for column in (y, weight))
    return on_device(DeviceRows(None, values, None, y, weight))


def padded(values: np.ndarray, n_padded: int, dtype) -> np.ndarray:
    """`values` with rows of zeros up to `n_padded`."""
    out = np.zeros((n_padded, *values.shape[1:]), dtype=dtype)
    out[: values.shape[0]] = values
    return out


def first_deviation(table: Table, init_scale: float) -> float:
    """Standard deviation of the first values of a table."""
    return {"zero": 0.0, "scale": init_scale}[table.init] if isinstance(table.init, str) else table.init


def first_rows(model: Model, n: int, init_scale: float, rng: np.random.Generator, dtype) -> np.ndarray:
    """Random first rows of n features, shape (n, W)."""
    deviations = model.per_lane(lambda table: first_deviation(table, init_scale)).astype(dtype)
    rows = rng.standard_normal((n, deviations.size), dtype=dtype)
    rows *= deviations
    return rows


def random_key(seed: int) -> Array:
    """The key of `jax.random.key`, whatever generator is the default, without a program of its own."""
    data = on_device(np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32))
    return jax.random.wrap_key_data(data, impl="threefry2x32")


def _first_states(solver, table, dense, rate, batch_rows):
    def first(role, leaf):
        if role == "weights":
            return solver.dense.init_weights(leaf, rate, batch_rows)
        return solver.dense.init(leaf, rate)

    dense_state = {role: jax.tree.map(partial(first, role), leaves) for role, leaves in dense.items()}
    return solver.init(table, rate), dense_state


_solver_state = Compiled(_first_states)


@Compiled
def _joined_state(solver, table, dense, rate, batch_rows):
    table_state, dense_state = _first_states(solver, table, dense, rate, batch_rows)
    return join(table, table_state), dense_state


class Start(NamedTuple):
    """Weights on the device before the first step, and what the state of a solver depends on besides.

    Attributes
    ----------
    rate : learning rate
    batch_rows : mean number of rows of a batch
    """

    table: Array
    dense: Any
    averages: Any
    rate: Array
    batch_rows: Array


def start_state(solver, start: Start, joined: bool = False) -> TrainState:
    """State before the first step."""
    table, dense, averages, rate, batch_rows = start
    found, dense_state = (_joined_state if joined else _solver_state)(solver, table, dense, rate, batch_rows)
    table, table_state = (found, None) if joined else (table, found)
    zero = np.zeros((), table.dtype)
    return TrainState(table, table_state, dense, dense_state, averages, np.zeros((), np.int32), zero)


@Compiled
def join_state(state: TrainState) -> TrainState:
    """The state with its table and the state of this joined."""
    return state._replace(table=join(state.table, state.table_state), table_state=None)


@partial(Compiled, donated=0)
def with_table(state: TrainState, table: Array) -> TrainState:
    """A joined state with another table."""
    return state._replace(table=state.table.at[:, : table.shape[1]].set(table))


@dataclass(frozen=True)
class Session:
    """What later calls of `partial_fit` go on from. NumPy only.

    Attributes
    ----------
    state : optimizer state and parameters, for columns in standard units
    units : these units
    statistics : of the columns of all rows so far
    n_epochs : epochs done
    behind : rows of a fit before the first call, or None
    """

    state: TrainState
    units: Units
    statistics: StreamStatistics
    n_epochs: int
    behind: Behind | None = None

    @property
    def dtype(self) -> np.dtype:
        """Precision of the parameters."""
        return self.state.table.dtype

    @property
    def parameters(self) -> Parameters:
        """The parameters, for columns in these units."""
        return Parameters(self.state.table, self.state.dense, self.state.averages, self.units)

    @property
    def trained(self) -> Trained:
        """The columns that have weights."""
        return Trained(self.units, self.statistics.n_touching)

    def grown(self, n_columns: int, n_rows: int) -> Session:
        """The session with more columns, of which nothing is known."""
        n_known = self.statistics.settled.touched.size
        if n_columns == n_known:
            return self
        old = self.state

        def longer(known):
            if known.shape[:1] != old.table.shape[:1]:
                return known
            out = np.zeros((n_rows, *known.shape[1:]), known.dtype)
            out[:n_known] = known[:n_known]
            return out

        state = old._replace(table=longer(old.table), table_state=jax.tree.map(longer, old.table_state))
        return replace(self, state=state, statistics=self.statistics.grown(n_columns))

    def moved(self, by: np.ndarray, solver) -> Session:
        """The session with the intercept, or that of each piece, moved by (n_outputs,)."""
        offsets = self.state.dense["offsets"]
        if "intercept" not in offsets or not by.any():
            return self
        return self.with_offsets(offsets | {"intercept": offsets["intercept"] + by}, solver)

    def with_offsets(self, offsets: dict[str, np.ndarray], solver) -> Session:
        """The session with other dense weights that are not penalised."""
        state = self.state
        known, known_state = state.dense["offsets"], state.dense_state["offsets"]
        changed = {name: leaf.astype(known[name].dtype) for name, leaf in offsets.items()}
        moved = {
            name: solver.dense.moved(known_state[name], known[name], leaf) for name, leaf in changed.items()
        }
        state = state._replace(
            dense=state.dense | {"offsets": changed}, dense_state=state.dense_state | {"offsets": moved}
        )
        return replace(self, state=state)

    def with_parameters(self, parameters: Parameters, ratio: np.ndarray, solver) -> Session:
        """The session with these, for columns whose scale has been multiplied by (n_rows,)."""
        if parameters.table is self.state.table:
            return replace(self, units=parameters.units)
        session = self.with_offsets(parameters.dense["offsets"], solver)
        state, largest = session.state, largest_factor(self.dtype)
        ratio = np.clip(ratio, 1 / largest, largest).astype(self.dtype)[:, None]
        table_state = solver.moved(state.table_state, state.table, parameters.table, ratio)
        state = state._replace(table=parameters.table, table_state=table_state, averages=parameters.averages)
        return replace(session, state=state, units=parameters.units)

    def with_rows(self, table: np.ndarray, fresh: np.ndarray, solver, rate) -> TrainState:
        """The state with the rows `fresh` of a table, and the first state of the optimizer for these."""
        state = self.state
        if not fresh.size:
            return state
        rows = state.table.copy()
        rows[fresh] = table[fresh]
        first, _ = to_numpy(_solver_state(solver, on_device(rows), {}, rate, np.ones_like(rate)))

        def taken(begun, known):
            if known.shape[:1] != rows.shape[:1]:
                return known
            known = known.copy()
            known[fresh] = begun[fresh]
            return known

        return state._replace(table=rows, table_state=jax.tree.map(taken, first, state.table_state))
