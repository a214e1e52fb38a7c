"""The compiled part of mini-batch training: a run of batches.

The only static argument is `Program`, small and hashable; rates, penalties and dropout are traced. So
clones, folds and the candidates of a grid share one compiled program.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from skfm.losses import Loss
from skfm.models.base import Batch, Model, Slots, Training
from skfm.optim.rows import read_rows, touch, update_rows
from skfm.optim.solvers import Solver
from skfm.train.state import Hyper, Rows, TrainState

# How often `run_batches` was traced, for tests that count compilations.
n_traces = 0


class Program(NamedTuple):
    """What a compiled training program depends on."""

    model: Model
    loss: Loss
    solver: Solver | None = None


@partial(jax.jit, static_argnames="program", donate_argnames="state")
def run_batches(
    program: Program,
    state: TrainState,
    data: Rows,
    order,
    rates,
    first,
    stop,
    batch_rows,
    charges,
    hyper: Hyper,
) -> TrainState:
    """One step for each of the batches first..stop-1.

    Parameters
    ----------
    data : a block of rows
    order : (n_batches, B) int32 positions in the block; unfilled places point to a row of weight 0
    rates : (n_batches,) learning rate of each batch
    first, stop : traced, so that one program runs any number of batches
    batch_rows : mean number of rows of a batch over the whole epoch. A solver that averages divides by it,
        not by the batch's own number: else the rows of a small batch would count for more than others
    charges : (D, 2), see `skfm.optim.penalty`
    """
    global n_traces
    n_traces += 1

    def body(number, state):
        index = order[number]
        batch = jax.tree.map(lambda leaf: leaf.at[index].get(mode="promise_in_bounds"), data)
        return _step(program, state, batch, rates[number], batch_rows, charges, hyper)

    return jax.lax.fori_loop(first, stop, body, state)


def _step(program, state, batch, rate, batch_rows, charges, hyper):
    model, loss, solver = program
    ids = batch.ids.reshape(-1)
    touched, scratch = touch(state.scratch, ids)
    rows = read_rows(state.table, touched)
    # XLA would repeat a fused gather for each use.
    gathered = rows.at[touched.place.reshape(batch.ids.shape)].get(mode="promise_in_bounds")
    gathered = jax.lax.optimization_barrier(gathered)
    share = batch.weight / batch_rows
    count = state.count + 1
    training = Training(jax.random.fold_in(hyper.key, count), hyper.dropout)

    def objective(gathered, dense):
        slots = Slots(model, gathered, batch.values)
        inputs = Batch(batch.slot_fields, batch.weight)
        raw, averages = model.forward(slots, dense, state.averages, inputs, training)
        # Unfilled places may have any target.
        value = jnp.where(share > 0, loss.value(batch.y, raw), 0) @ share
        return value, averages

    (value, averages), (slot_gradient, dense_gradient) = jax.value_and_grad(
        objective, argnums=(0, 1), has_aux=True
    )(gathered, state.dense)

    if solver.per_sample:
        slot_gradient, dense_gradient, share = jax.tree.map(
            lambda leaf: leaf * batch_rows, (slot_gradient, dense_gradient, share)
        )

    def summed(slots):
        zeros = jnp.zeros((rows.shape[0], *slots.shape[1:]), slots.dtype)
        return zeros.at[touched.place].add(slots, mode="promise_in_bounds")

    dummy = state.table.shape[0] - 1
    slot_share = jnp.where(batch.ids == dummy, 0, share[:, None]).reshape(-1)
    table, table_state = update_rows(
        solver,
        state.table,
        state.table_state,
        touched,
        rows,
        summed(slot_gradient.reshape(ids.size, -1)),
        summed(slot_share),
        charges,
        hyper.lanes,
        rate,
        count,
    )
    l2_dense = hyper.l2_dense * share.sum()
    dense, dense_state = update_dense(
        solver, state.dense, dense_gradient, state.dense_state, rate, count, l2_dense
    )
    return TrainState(
        table, table_state, dense, dense_state, averages, scratch, count, state.loss_sum + value * batch_rows
    )


def update_dense(solver, dense, gradient, state, rate, count, l2_dense):
    """Dense weights and their state after one step; offsets are not penalised."""
    zero = jnp.zeros_like(l2_dense)
    new, new_state = {}, {}
    for role, l2 in (("weights", l2_dense), ("offsets", zero)):
        updated = {
            name: solver.update(leaf, gradient[role][name], state[role][name], rate, count, zero, l2)
            for name, leaf in dense[role].items()
        }
        new[role] = {name: pair[0] for name, pair in updated.items()}
        new_state[role] = {name: pair[1] for name, pair in updated.items()}
    return new, new_state
