"""Touched-row updates: a step's cost depends on the batch, never on the number of columns.

A row touched several times in a batch has one gradient, the sum. So the rows of a batch are numbered first,
by marking instead of sorting: each slot writes its number into a scratch vector at its id and reads it back;
the slot that reads its own number stands for the id, and a running count of these numbers the rows. All
else works on a compact copy of the touched rows, a chunk that fits the cache at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any

# Rows read or written at a time: few enough for the cache, many enough to amortise a turn of the loop.
_CHUNK = 8192


class Touched(NamedTuple):
    """The different rows that a batch touches.

    Attributes
    ----------
    ids : (R,) int32, the row's id; R bounds the number of rows, places from `n` on hold 0
    place : (M,) int32, place in `ids` of each slot's row
    n : number of rows touched
    """

    ids: Array
    place: Array
    n: Array


def _chunk(room: int) -> int:
    return min(_CHUNK, room)


def touch(scratch: Array, ids: Array) -> tuple[Touched, Array]:
    """Number the rows of a batch.

    Parameters
    ----------
    scratch : (D,) int32, its contents are of no meaning; used up
    ids : (M,) int32, row of each slot
    """
    n_rows, n_slots = scratch.shape[0], ids.shape[0]
    bound = min(n_rows, n_slots)
    room = -(-bound // _chunk(bound)) * _chunk(bound)
    numbers = jnp.arange(n_slots, dtype=jnp.int32)
    scratch = scratch.at[ids].set(numbers, mode="promise_in_bounds")
    standing = scratch.at[ids].get(mode="promise_in_bounds")
    stands = standing == numbers
    running = jnp.cumsum(stands, dtype=jnp.int32)
    place = running.at[standing].get(mode="promise_in_bounds") - 1
    # Out-of-range targets, all different, are dropped: unique indices need no atomic writes.
    target = jnp.where(stands, running - 1, room + numbers)
    rows = jnp.zeros(room, jnp.int32).at[target].set(ids, mode="drop", unique_indices=True)
    return Touched(rows, place, running[-1]), scratch


def _each_chunk(touched: Touched, body, carry):
    """``carry = body(first, chunk, carry)`` for the chunks that hold touched rows."""
    chunk = _chunk(touched.ids.shape[0])
    return jax.lax.fori_loop(0, -(-touched.n // chunk), lambda i, carry: body(i * chunk, chunk, carry), carry)


def read_rows(table: Array, touched: Touched) -> Array:
    """Compact copy (R, W) of the touched rows."""

    def body(first, chunk, compact):
        ids = jax.lax.dynamic_slice_in_dim(touched.ids, first, chunk)
        rows = table.at[ids].get(mode="promise_in_bounds")
        return jax.lax.dynamic_update_slice_in_dim(compact, rows, first, 0)

    return _each_chunk(touched, body, jnp.zeros((touched.ids.shape[0], table.shape[1]), table.dtype))


def update_rows(solver, table, state, touched, rows, gradient, share, charges, lanes, rate, count):
    """Update the touched rows of `table`.

    Parameters
    ----------
    solver : `Solver`
    table : (D, W)
    state : pytree of arrays (D, ...) and scalars
    touched : `Touched`
    rows : (R, W) compact copy of the touched rows
    gradient : (R, W) gradient with respect to `rows`
    share : (R,) share of the batch's weight that touches each row, 0 for rows to be left alone
    charges : (D, 2) charge of the L1 and L2 penalty for a row that every sample touches, (D, 1) for one
        charge for both
    lanes : pair of (W,) penalty strengths, L1 and L2
    rate, count : learning rate and number of this step

    Returns
    -------
    table, state
    """
    leaves, structure = jax.tree.flatten(state)
    is_table = [leaf.ndim > 0 for leaf in leaves]

    def body(first, chunk, carry):
        table, current = carry
        compact = (touched.ids, rows, gradient, share)
        ids, old, slope, weight = (jax.lax.dynamic_slice_in_dim(leaf, first, chunk) for leaf in compact)
        # Out-of-range targets, all different, are dropped.
        target = jnp.where(weight > 0, ids, table.shape[0] + jnp.arange(chunk, dtype=jnp.int32))

        def write(leaf, new):
            return leaf.at[target].set(new, mode="drop", unique_indices=True)

        charge = charges.at[ids].get(mode="promise_in_bounds") * weight[:, None]
        # Scalars of the state (counts of steps) move once a step: each chunk starts from those before it.
        before = [
            now.at[ids].get(mode="promise_in_bounds") if large else leaf
            for leaf, now, large in zip(leaves, current, is_table, strict=True)
        ]
        new, new_state = solver.update(
            old,
            slope,
            jax.tree.unflatten(structure, before),
            rate,
            count,
            charge[:, :1] * lanes[0],
            charge[:, -1:] * lanes[1],
        )
        after = jax.tree.leaves(new_state)
        current = [
            write(now, leaf) if large else leaf
            for now, leaf, large in zip(current, after, is_table, strict=True)
        ]
        return write(table, new), current

    table, leaves = _each_chunk(touched, body, (table, leaves))
    return table, jax.tree.unflatten(structure, leaves)
