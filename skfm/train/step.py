"""The compiled part of mini-batch training: a run of batches.

The only static argument is `Program`, small and hashable; rates, penalties and dropout are traced. So
clones, folds and the candidates of a grid share one compiled program.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from skfm.data.batches import Batches
from skfm.losses import Loss
from skfm.models.base import Batch, Model, PooledSlots, Slots, Training
from skfm.optim.rows import read_rows, update_rows
from skfm.optim.solvers import Solver
from skfm.train.state import Hyper, TrainState

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
    batches: Batches,
    order,
    rates,
    first,
    stop,
    batch_rows,
    hyper: Hyper,
) -> TrainState:
    """One step for each of the places first..stop-1 of `order`.

    Parameters
    ----------
    batches : rows of one width
    order : (N,) int32 numbers of the batches
    rates : (N,) learning rate of each place
    first, stop : traced, so that one program runs any number of batches
    batch_rows : mean number of rows of a batch over the whole epoch. A solver that averages divides by it,
        not by the batch's own number: else the rows of a small batch would count for more than others
    """
    global n_traces
    n_traces += 1

    def body(place, state):
        batch = jax.tree.map(lambda leaf: leaf[order[place]], batches)
        return _step(program, state, batch, rates[place], batch_rows, hyper)

    return jax.lax.fori_loop(first, stop, body, state)


def make_slots(model: Model, rows, place, values) -> Slots:
    """Slots with the given place in `rows`, in training."""
    if model.pools:
        return PooledSlots(model, rows, place, values)
    return Slots(model, read_rows(rows, place), values)


def _forward(program, rows, dense, averages, batch, training):
    """Weighted sum of a batch's losses, and averages; `rows` are those that the batch touches."""
    slots = make_slots(program.model, rows, batch.place, batch.values)
    inputs = Batch(batch.slot_fields, batch.weight)
    raw, averages = program.model.forward(slots, dense, averages, inputs, training)
    # Unfilled places may have any target.
    return jnp.where(batch.weight > 0, program.loss.value(batch.y, raw), 0) @ batch.weight, averages


def _step(program, state, batch, rate, batch_rows, hyper):
    solver = program.solver.for_step(hyper.first_rate, batch_rows)
    rows = read_rows(state.table, batch.touched)
    count = state.count + 1
    training = Training(jax.random.fold_in(hyper.key, count), hyper.dropout)
    # The objective of a batch: a sum over its samples, or over the rows of a mean batch their mean.
    part = 1 if solver.per_sample else 1 / batch_rows

    def objective(rows, dense):
        value, averages = _forward(program, rows, dense, state.averages, batch, training)
        return value * part, averages

    (value, averages), (gradient, dense_gradient) = jax.value_and_grad(
        objective, argnums=(0, 1), has_aux=True
    )(rows, state.dense)
    table, table_state = update_rows(
        solver,
        state.table,
        state.table_state,
        batch.touched,
        rows,
        gradient,
        batch.charge * part,
        hyper.lanes,
        rate,
        count,
    )
    l2_dense = hyper.l2_dense * batch.weight.sum() * part
    dense, dense_state = update_dense(
        solver.dense, state.dense, dense_gradient, state.dense_state, rate, count, l2_dense
    )
    return TrainState(table, table_state, dense, dense_state, averages, count, state.loss_sum + value / part)


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
