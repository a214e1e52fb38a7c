"""Touched-row updates: a step's cost depends on the batch, never on the number of columns.

Rows touched several times in a batch have one gradient, the sum. Where a table has no more rows than the
batch has slots, the sum is taken over the whole (small) table. Else one slot of each touched row is its
representative, found by marking instead of sorting: each slot writes its number into a scratch vector at
its id and reads it back; the slot that reads its own number represents the id.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def needs_scratch(n_rows: int, n_slots: int) -> bool:
    """Whether `update_rows` marks representatives (large table) or sums over the whole table."""
    return n_rows > n_slots


def update_rows(solver, table, state, scratch, ids, gathered, gradient, share, charges, lanes, rate, count):
    """Update the rows of `table` at `ids`.

    Parameters
    ----------
    solver : `Solver`
    table : (D, W)
    state : pytree of arrays (D, ...) and scalars
    scratch : (D,) int32 to mark representatives in, its contents are of no meaning; or (1,) to sum over the
        whole table. Batches of any size may share it: `needs_scratch` says which is faster for most
    ids : (M,) row of each slot
    gathered : (M, W) = table[ids]
    gradient : (M, W) gradient with respect to `gathered`
    share : (M,) share of the batch's weight that each slot stands for, 0 for slots to be left alone
    charges : (D, 2) charge of the L1 and L2 penalty for a row that every sample touches, (D, 1) for one
        charge for both
    lanes : pair of (W,) penalty strengths, L1 and L2
    rate, count : learning rate and number of this step

    Returns
    -------
    table, state, scratch
    """
    n_rows, n_slots = table.shape[0], ids.shape[0]
    # Gradients and shares are summed in one scatter.
    addends = jnp.concatenate([gradient, share[:, None]], axis=1)
    if scratch.shape[0] == n_rows:
        numbers = jnp.arange(n_slots, dtype=jnp.int32)
        scratch = scratch.at[ids].set(numbers, mode="promise_in_bounds")
        representative = scratch.at[ids].get(mode="promise_in_bounds")
        summed = jnp.zeros_like(addends).at[representative].add(addends, mode="promise_in_bounds")
        touched = (representative == numbers) & (summed[:, -1] > 0)
        # Out-of-range targets, all different, are dropped: unique indices need no atomic writes.
        target = jnp.where(touched, ids, n_rows + numbers)

        def read(leaf):
            return leaf.at[ids].get(mode="promise_in_bounds")

        def write(leaf, new, old):
            return leaf.at[target].set(new, mode="drop", unique_indices=True)

        old = gathered
    else:
        summed = jnp.zeros((n_rows, addends.shape[1]), addends.dtype).at[ids].add(addends)
        touched = summed[:, -1] > 0

        def read(leaf):
            return leaf

        def write(leaf, new, old):
            return jnp.where(touched.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        old = table
    charge = read(charges) * summed[:, -1:]
    rows_of_state = jax.tree.map(lambda leaf: read(leaf) if leaf.ndim else leaf, state)
    new, new_state = solver.update(
        old,
        summed[:, :-1],
        rows_of_state,
        rate,
        count,
        charge[:, :1] * lanes[0],
        charge[:, -1:] * lanes[1],
    )
    state = jax.tree.map(
        lambda leaf, fresh, before: write(leaf, fresh, before) if leaf.ndim else fresh,
        state,
        new_state,
        rows_of_state,
    )
    return write(table, new, old), state, scratch
