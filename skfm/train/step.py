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

# Pieces of a batch that a CPU keeps in its cache, measured on FFM, AFM, PNN and xDeepFM.
_NUMBERS_OF_PIECE = 400_000
_NUMBERS_OF_LARGE_ROW = 1_000
_LEAST_PIECE = 16

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
    if model.hints.pools:
        return PooledSlots(model, rows, place, values)
    return Slots(model, read_rows(rows, place), values)


def _step(program, state, batch, rate, batch_rows, hyper):
    solver = program.solver.for_step(hyper.first_rate, batch_rows)
    rows = read_rows(state.table, batch.touched)
    count = state.count + 1
    training = Training(jax.random.fold_in(hyper.key, count), hyper.dropout)
    # The objective of a batch: a sum over its samples, or over the rows of a mean batch their mean.
    part = 1 if solver.per_sample else 1 / batch_rows
    size = _piece_size(program.model, state.averages, *batch.place.shape)
    if size is None:
        value, averages, gradient, dense_gradient = _gradients(program, rows, state, batch, training, part)
    else:
        averages = state.averages
        value, gradient, dense_gradient = _gradients_by_pieces(
            program, rows, state, batch, training, part, size
        )
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


def _loss(program, slots, dense, averages, batch, training):
    """Weighted sum of the losses of the rows, and averages."""
    inputs = Batch(batch.slot_fields, batch.weight)
    raw, averages = program.model.forward(slots, dense, averages, inputs, training)
    # Unfilled places may have any target.
    return jnp.where(batch.weight > 0, program.loss.value(batch.y, raw), 0) @ batch.weight, averages


def _gradients(program, rows, state, batch, training, part):
    """Value, averages, and the gradients with respect to the touched rows and the dense weights."""

    def objective(rows, dense):
        slots = make_slots(program.model, rows, batch.place, batch.values)
        value, averages = _loss(program, slots, dense, state.averages, batch, training)
        return value * part, averages

    (value, averages), gradients = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(
        rows, state.dense
    )
    return value, averages, *gradients


def _piece_size(model, averages, n_rows: int, n_slots: int) -> int | None:
    """Rows that a step goes through at a time, or None for all at once.

    A CPU works several times faster in its cache than in memory. Elsewhere, or where a row is small, pieces
    only take time; where rows depend on each other (batch normalisation), they cannot be.
    """
    hints = model.hints
    numbers = hints.numbers_per_row + n_slots * hints.numbers_per_slot
    if jax.default_backend() != "cpu" or averages or numbers < _NUMBERS_OF_LARGE_ROW:
        return None
    size = 1 << (max(_LEAST_PIECE, _NUMBERS_OF_PIECE // numbers).bit_length() - 1)
    return size if size < n_rows else None


def _gradients_by_pieces(program, rows, state, batch, training, part, size):
    """Value and gradients, of `size` rows at a time."""
    n_pieces = -(-batch.weight.shape[0] // size)

    def in_pieces(leaf):
        unfilled = n_pieces * size - leaf.shape[0]
        leaf = jnp.pad(leaf, [(0, unfilled)] + [(0, 0)] * (leaf.ndim - 1))
        return leaf.reshape(n_pieces, size, *leaf.shape[1:])

    def add_piece(total, numbered):
        number, piece = numbered
        own = training._replace(key=jax.random.fold_in(training.key, number))

        def objective(gathered, dense):
            slots = Slots(program.model, gathered, piece.values)
            return _loss(program, slots, dense, state.averages, piece, own)[0] * part

        value, (gradient, dense_gradient) = jax.value_and_grad(objective, argnums=(0, 1))(
            read_rows(rows, piece.place), state.dense
        )
        return (
            total[0] + value,
            total[1].at[piece.place].add(gradient, mode="promise_in_bounds"),
            jax.tree.map(jnp.add, total[2], dense_gradient),
        ), None

    of_rows = batch._replace(touched=None, charge=None)
    start = (jnp.zeros((), rows.dtype), *jax.tree.map(jnp.zeros_like, (rows, state.dense)))
    pieces = jnp.arange(n_pieces), jax.tree.map(in_pieces, of_rows)
    return jax.lax.scan(add_piece, start, pieces)[0]


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
