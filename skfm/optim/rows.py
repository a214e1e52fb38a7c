"""Touched-row updates: a step's cost depends on the batch, never on the number of columns.

A row touched several times in a batch has one gradient, the sum; so a batch comes with the ids of the
different rows that it touches, and all work is done on a compact copy of these rows. New values are written
by adding the change: XLA's CPU adds to rows twice as fast as it sets them.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from skfm.layers import native
from skfm.optim.solvers import Split

Array = Any


def read_rows(table: Array, ids: Array) -> Array:
    """Compact copy (R, W) of the rows `ids`."""
    # XLA would repeat a fused gather for each use.
    return jax.lax.optimization_barrier(table.at[ids].get(mode="promise_in_bounds"))


class Touched(NamedTuple):
    """The rows of a table that a batch touches.

    Attributes
    ----------
    ids : (R,) int32, different but for rows whose charge is 0
    rows : (R, W) compact copy of them
    gradient : (R, W) gradient with respect to `rows`
    charge : (R, 2) what the batch's samples pay for L1 and L2 of each row, (R, 1) where both are the same; 0
        for rows to be left alone
    """

    ids: Array
    rows: Array
    gradient: Array
    charge: Array


# Up to so many numbers of a row are joined with their state (benchmarks/cases/throughput.py).
_MOST_OF_JOINED_ROW = 8


def joins(solver, width: int) -> bool:
    """Whether native code takes a table of so many numbers a row joined with the state of its solver.

    A row and its state are then in one cache line or two: memory takes most of the time of a step. Larger
    rows would gain less than joining takes of memory.
    """
    return solver.is_native and not isinstance(solver, Split) and width <= _MOST_OF_JOINED_ROW


def joined_width(width: int) -> int:
    """Numbers of a joined row of W: so many that they are one vector; those that fill it up are not used."""
    return 1 << (width - 1).bit_length()


def join(table: Array, state: Any) -> Array:
    """A table (D, W) and its state side by side, each of `joined_width` numbers a row."""
    width = table.shape[1]
    unused = (0, 0), (0, joined_width(width) - width)
    return jnp.concatenate(
        [jnp.pad(leaf, unused, constant_values=1) for leaf in (table, *jax.tree.leaves(state))], axis=1
    )


def separate(solver, joined: Array, width: int) -> tuple[Array, Any]:
    """The table (D, W) and its state, from both side by side; of NumPy arrays these are views.

    Parameters
    ----------
    width : W
    """
    like = jax.eval_shape(solver.init, joined, jnp.zeros((), joined.dtype))
    starts = range(0, joined.shape[1], joined_width(width))
    table, *leaves = (joined[:, start : start + width] for start in starts)
    return table, jax.tree.unflatten(jax.tree.structure(like), leaves)


def _target(table: Array, ids: Array, charge: Array) -> Array:
    """Where rows are written to: targets out of range, all different, are dropped."""
    spare = table.shape[0] + jnp.arange(ids.size, dtype=jnp.int32)
    return jnp.where(charge[:, 0] > 0, ids, spare)


def _read_state(state: Any, ids: Array) -> Any:
    return jax.tree.map(lambda leaf: read_rows(leaf, ids) if leaf.ndim else leaf, state)


def _write(target: Array, leaf: Array, old: Array, new: Array) -> Array:
    if leaf.ndim == 0:
        return new
    at = leaf.at[target]
    if jnp.issubdtype(leaf.dtype, jnp.inexact):
        return at.add(new - old, mode="drop", unique_indices=True)
    return at.set(new, mode="drop", unique_indices=True)


def update_rows(solver, table, state, touched: Touched, lanes, step):
    """Update the touched rows of `table`.

    Parameters
    ----------
    solver : `Solver`
    table : (D, W)
    state : pytree of arrays (D, ...) and scalars
    lanes : pair of (W,) penalty strengths, L1 and L2
    step : `skfm.optim.solvers.Step`

    Returns
    -------
    table, state
    """
    ids, rows, gradient, charge = touched
    write = partial(_write, _target(table, ids, charge))
    before = _read_state(state, ids)
    l1, l2 = charge[:, :1] * lanes[0], charge[:, -1:] * lanes[1]
    new, after = solver.update(rows, gradient, before, step, l1, l2)
    return write(table, rows, new), jax.tree.map(write, state, before, after)


class Touching(NamedTuple):
    """What a batch does to a table; see `skfm.layers.native`.

    Attributes
    ----------
    slots, by_row : of the batch
    charge : (N, R, 1 or 2) charges of all batches
    share : factor of the charges
    gradient : with respect to sums or slots
    vectors : see `Model.vectors`
    width : numbers of a row of the table, those that fill it up included
    """

    slots: native.Slots
    by_row: native.Index
    charge: Array
    share: Array
    gradient: native.Gradient
    vectors: Any
    width: int


def update_rows_natively(solver, table, state, touching: Touching, lanes, step):
    """What `update_rows` does, in native code, from the gradient with respect to sums or slots.

    Parameters
    ----------
    table, state : or both joined, and None
    """
    width = touching.width
    lanes = [jnp.pad(lane, (0, width - lane.size)) for lane in lanes]
    table, *leaves = native.update(
        [table, *jax.tree.leaves(state)],
        touching.slots,
        touching.by_row,
        (touching.charge, lanes, touching.vectors),
        touching.gradient,
        solver.segments(width, step, (1, touching.share)),
    )
    return table, jax.tree.unflatten(jax.tree.structure(state), leaves)


def hold_rows(solver, table, state, touched: Touched, step, batch_rows):
    """State of the touched rows of `table`, held by rows behind them; see `Solver.held`.

    Parameters
    ----------
    touched : with the curvature in the place of the gradient
    """
    ids, rows, curvature, charge = touched
    before = _read_state(state, ids)
    after = solver.held(before, rows, curvature, step, batch_rows)
    return jax.tree.map(partial(_write, _target(table, ids, charge)), state, before, after)
