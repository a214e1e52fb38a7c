"""The compiled part of mini-batch training: a run of batches.

Static are model and solver, small and hashable; rates, penalties, dropout and the constants of a loss are
traced. So clones, folds and the candidates of a grid share one compiled program.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from skfm.data.batches import Batches
from skfm.layers import native
from skfm.losses import Loss
from skfm.models.base import Batch, Model, PairedSlots, PooledSlots, Slots, Training
from skfm.optim.rows import (
    Touched,
    Touching,
    hold_rows,
    joined_width,
    read_rows,
    update_rows,
    update_rows_natively,
)
from skfm.optim.solvers import Solver, Step
from skfm.train.programs import Compiled
from skfm.train.state import Hyper, TrainState

Array = Any

# Pieces of a batch that a CPU keeps in its cache, measured on FFM, AFM, PNN and xDeepFM
# (benchmarks/cases/family.py).
_NUMBERS_OF_PIECE = 400_000
_NUMBERS_OF_LARGE_ROW = 1_000
_LEAST_PIECE = 16
# Random directions by which the curvature of dense weights is found.
_DIRECTIONS = 4

# How often `run_batches` was traced, for tests that count compilations.
n_traces = 0


class Program(NamedTuple):
    """What a compiled training program depends on."""

    model: Model
    loss: Loss
    solver: Solver | None = None


class Run(NamedTuple):
    """Some batches, one after another.

    Attributes
    ----------
    order : (N,) int32 numbers of the batches
    rates : (N,) learning rate of each step
    first, stop : the batches first..stop-1 of `order` are run; traced, so that one program runs any number
    """

    order: Array
    rates: Array
    first: Array
    stop: Array


@partial(Compiled, donated=1)
def run_batches(
    program: Program, state: TrainState, batches: Batches, run: Run, batch_rows, hyper: Hyper
) -> TrainState:
    """One step for each of the batches of a run.

    Parameters
    ----------
    batches : rows of one width
    batch_rows : mean number of rows of a batch over the whole epoch. A solver that averages divides by it,
        not by the batch's own number: else the rows of a small batch would count for more than others
    """
    global n_traces
    n_traces += 1

    def body(number, state):
        batch = run.order[number]
        return _step(program, state, OneOf(batches, batch), run.rates[number], batch_rows, hyper)

    return jax.lax.fori_loop(run.first, run.stop, body, state)


def make_slots(model: Model, rows, positions, values) -> Slots:
    """Slots in training, of the given positions in `rows`."""
    if model.hints.pools:
        return PooledSlots.of_rows(model, rows, positions, values)
    return Slots(model, read_rows(rows, positions), values)


class OneOf(NamedTuple):
    """One of many batches."""

    batches: Batches
    number: Array

    @property
    def batch(self) -> Batches:
        """Its arrays; what is not used of them is not copied."""
        return jax.tree.map(lambda leaf: leaf[self.number], self.batches)

    @property
    def slots(self) -> native.Slots:
        """What native code is told of it."""
        batches = self.batches
        arrays = batches.touched, batches.position, batches.values, batches.slot_fields
        return native.Slots(self.number, *arrays)


def _step(program, state, one: OneOf, rate, batch_rows, hyper):
    batch = one.batch
    solver = program.solver.for_step(hyper.first_rate, batch_rows)
    step = Step(rate, state.count + 1)
    training = Training(jax.random.fold_in(hyper.key, step.count), hyper.dropout)
    # What a sample counts for: the objective is a sum over the batch, or a mean over a batch of mean size.
    sample_share = 1 if solver.per_sample else 1 / batch_rows
    if one.batches.starts is not None:
        value, averages, gradient, dense_gradient = _native_gradients(
            program, state, one, training, sample_share
        )
        index, charge = native.Index(one.batches.starts, one.batches.order), one.batches.charge
        vectors, width = program.model.vectors(), _row_width(program, state)
        touching = Touching(one.slots, index, charge, sample_share, gradient, vectors, width)
        table, table_state = update_rows_natively(
            solver, state.table, state.table_state, touching, hyper.lanes, step
        )
    else:
        rows = read_rows(state.table, batch.touched)
        value, averages, gradient, dense_gradient = _gradients(
            program, rows, state, batch, training, sample_share
        )
        touched = Touched(batch.touched, rows, gradient, batch.charge * sample_share)
        table, table_state = update_rows(solver, state.table, state.table_state, touched, hyper.lanes, step)
    l2_dense = hyper.l2_dense * batch.weight.sum() * sample_share
    dense, dense_state = update_dense(
        solver.dense, state.dense, dense_gradient, state.dense_state, step, l2_dense
    )
    return TrainState(
        table, table_state, dense, dense_state, averages, step.count, state.loss_sum + value / sample_share
    )


def _loss(program, slots, dense, averages, batch, training):
    """Weighted sum of the losses of the rows, and averages."""
    inputs = Batch(batch.slot_fields, batch.weight)
    raw, averages = program.model.forward(slots, dense, averages, inputs, training)
    # Rows that only fill the batch up may have any target.
    return jnp.where(batch.weight > 0, program.loss.value(batch.y, raw), 0) @ batch.weight, averages


def _gradients(program, rows, state, batch, training, sample_share):
    """Value, averages, and the gradients with respect to the touched rows and the dense weights."""

    def objective(slots, dense, batch, training):
        value, averages = _loss(program, slots, dense, state.averages, batch, training)
        return value * sample_share, averages

    size = piece_size(program.model, state.averages, *batch.position.shape)
    if size is not None:
        pieces = _in_pieces(batch, size)
        value, *gradients = _sum_over_pieces(objective, program.model, (rows, state.dense), pieces, training)
        return value, state.averages, *gradients

    def of_batch(rows, dense):
        slots = make_slots(program.model, rows, batch.position, batch.values)
        return objective(slots, dense, batch, training)

    (value, averages), gradients = jax.value_and_grad(of_batch, argnums=(0, 1), has_aux=True)(
        rows, state.dense
    )
    return value, averages, *gradients


def _native_gradients(program, state, one: OneOf, training, sample_share):
    """The same with respect to what native code makes of the slots: sums, pairs of fields, or copies."""
    model, batch = program.model, one.batch
    made = _made_of_slots(model, state.table, one.slots, _row_width(program, state))

    def objective(made, dense):
        slots = _as_slots(model, made, batch.values)
        value, averages = _loss(program, slots, dense, state.averages, batch, training)
        return value * sample_share, averages

    (value, averages), (gradient, dense_gradient) = jax.value_and_grad(
        objective, argnums=(0, 1), has_aux=True
    )(made, state.dense)
    return value, averages, _gradient_of(model, gradient), dense_gradient


def _row_width(program: Program, state: TrainState) -> int:
    """Numbers of a row of the table, those that fill it up included."""
    width = program.model.width
    return joined_width(width) if state.is_joined else width


def _made_of_slots(model: Model, table: Array, slots: native.Slots, width: int) -> tuple[Array, ...]:
    """What native code makes of slots: sums and norms, sums and pairs of fields, or copies of rows.

    Parameters
    ----------
    width : numbers of a row of the table, those that fill it up included
    """
    if model.hints.pools:
        return native.pool(table, slots, width, model.vectors())
    if model.hints.pairs_fields:
        return native.field_pairs(table, slots, _shape_of_pairs(model))
    return (native.gather(table, slots),)


def _as_slots(model: Model, made: tuple[Array, ...], values: Array) -> Slots:
    """What a model takes of it."""
    if model.hints.pools:
        sums, norms = made
        return PooledSlots(model, sums[:, : model.width], norms)
    return PairedSlots(*made) if model.hints.pairs_fields else Slots(model, made[0], values)


def _gradient_of(model: Model, made: tuple[Array, ...]) -> native.Gradient:
    """With respect to it."""
    is_of_pairs = model.hints.pairs_fields and not model.hints.pools
    return native.Gradient(*made)._replace(n_fields=_shape_of_pairs(model)[1] if is_of_pairs else 0)


def _shape_of_pairs(model: Model) -> tuple[int, int, int]:
    """(n_outputs, n_fields, n_factors) of the vectors."""
    *_, vectors = model.tables().values()
    n_outputs, n_fields, n_factors = vectors.shape
    return n_outputs, n_fields, n_factors


def native_slots(model: Model, table: Array, slots: native.Slots, index: native.Index) -> Slots:
    """Slots of rows of a whole table, whose derivatives native code makes."""

    @jax.custom_vjp
    def made_of(table, slots, index):
        return _made_of_slots(model, table, slots, model.width)

    def forward(*arguments):
        return made_of(*arguments), arguments

    def backward(arguments, gradient):
        table, slots, index = arguments
        of_made = _gradient_of(model, gradient)
        return native.gradient_of_table(table, slots, index, model.vectors(), of_made), None, None

    made_of.defvjp(forward, backward)
    values = None if slots.values is None else slots.values[slots.number]
    return _as_slots(model, made_of(table, slots, index), values)


def piece_size(model, averages, n_rows: int, n_slots: int) -> int | None:
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


def _in_pieces(batch, size: int):
    """The rows of a batch in pieces of `size`, stacked."""
    n_pieces = -(-batch.weight.shape[0] // size)

    def in_pieces(leaf):
        unfilled = n_pieces * size - leaf.shape[0]
        leaf = jnp.pad(leaf, [(0, unfilled)] + [(0, 0)] * (leaf.ndim - 1))
        return leaf.reshape(n_pieces, size, *leaf.shape[1:])

    return jax.tree.map(in_pieces, batch._replace(touched=None, charge=None))


def _sum_over_pieces(objective, model, parameters, pieces, training):
    """Value and gradients with respect to the parameters, piece by piece.

    Parameters
    ----------
    objective : function of slots, dense weights, rows and training
    parameters : the touched rows, and dense weights
    """
    rows, dense = parameters

    def add_piece(total, numbered):
        number, piece = numbered
        piece_training = training._replace(key=jax.random.fold_in(training.key, number))

        def of_piece(gathered, dense):
            slots = Slots(model, gathered, piece.values)
            return objective(slots, dense, piece, piece_training)[0]

        value, (gradient, dense_gradient) = jax.value_and_grad(of_piece, argnums=(0, 1))(
            read_rows(rows, piece.position), dense
        )
        return (
            total[0] + value,
            total[1].at[piece.position].add(gradient, mode="promise_in_bounds"),
            jax.tree.map(jnp.add, total[2], dense_gradient),
        ), None

    start = (jnp.zeros((), rows.dtype), *jax.tree.map(jnp.zeros_like, parameters))
    return jax.lax.scan(add_piece, start, (jnp.arange(pieces.weight.shape[0]), pieces))[0]


def update_dense(solver, dense, gradient, state, step, l2_dense):
    """Dense weights and their state after one step; offsets are not penalised."""
    zero = jnp.zeros_like(l2_dense)
    new, new_state = {}, {}
    for role, l2 in (("weights", l2_dense), ("offsets", zero)):
        updated = {
            name: solver.update(leaf, gradient[role][name], state[role][name], step, zero, l2)
            for name, leaf in dense[role].items()
        }
        new[role] = {name: pair[0] for name, pair in updated.items()}
        new_state[role] = {name: pair[1] for name, pair in updated.items()}
    return new, new_state


class Hold(NamedTuple):
    """Rows behind the weights that training goes on from.

    Attributes
    ----------
    touching : (D,) how many touch each row of the table
    n_rows : how many there are
    rate : learning rate of the next step
    """

    touching: Array
    n_rows: Array
    rate: Array


@partial(Compiled, donated=1)
def hold_by(
    program: Program, state: TrainState, batches: Batches, hold: Hold, batch_rows, hyper: Hyper
) -> TrainState:
    """The state in which rows like those of the batches hold all that these touch; see `Solver.held`."""

    def body(number, state):
        batch = jax.tree.map(lambda leaf: leaf[number], batches)
        return _held(program, state, batch, hold, batch_rows, hyper)

    return jax.lax.fori_loop(0, batches.weight.shape[0], body, state)


def _held(program, state, batch, hold, batch_rows, hyper):
    solver = program.solver.for_step(hyper.first_rate, batch_rows)
    rows = read_rows(state.table, batch.touched)
    step = Step(hold.rate, state.count + 1)
    curvature, of_dense = _curvatures(program, rows, state, batch, hyper, step)
    curvature = curvature * hold.touching[batch.touched][:, None]
    touched = Touched(batch.touched, rows, curvature, batch.charge)
    table_state = hold_rows(solver, state.table, state.table_state, touched, step, batch_rows)
    dense_state = {
        role: {
            name: solver.dense.held(
                state.dense_state[role][name], leaf, of_dense[role][name] * hold.n_rows, step, batch_rows
            )
            for name, leaf in leaves.items()
        }
        for role, leaves in state.dense.items()
    }
    return state._replace(table_state=table_state, dense_state=dense_state)


def _curvatures(program, rows, state, batch, hyper, step):
    """Mean curvature of the loss of a row in the touched rows of the table, and in the dense weights.

    That of the Gauss-Newton matrix: the square of the raw prediction's derivative times the curvature of the
    loss. A slot belongs to one row, so its derivative is that of the row; those of dense weights add up over
    the rows, and squares of their sums in random directions are right in the mean.
    """
    model, loss, weight = program.model, program.loss, batch.weight
    training = Training(jax.random.fold_in(hyper.key, step.count), hyper.dropout)

    def predict(gathered, dense):
        inputs = Batch(batch.slot_fields, weight)
        return model.forward(Slots(model, gathered, batch.values), dense, state.averages, inputs, training)[0]

    def slopes(raw):
        return jax.grad(lambda raw: loss.value(batch.y, raw).sum())(raw)

    raw, pull_back = jax.vjp(predict, read_rows(rows, batch.position), state.dense)
    filled = weight > 0

    def in_direction(total, key):
        signs = jax.random.rademacher(key, raw.shape, raw.dtype)
        slope, bend = jax.jvp(slopes, (raw,), (signs,))
        # Absolute errors have no curvature, and slopes of one size.
        steepness = jnp.where(signs * bend > 0, signs * bend, jnp.square(slope))
        steepness = jnp.where(filled[:, None], steepness * weight[:, None], 0)
        found = jax.tree.map(jnp.square, pull_back(signs * jnp.sqrt(steepness)))
        return jax.tree.map(lambda total, more: total + more / _DIRECTIONS, total, found), None

    zeros = jax.tree.map(jnp.zeros_like, (read_rows(rows, batch.position), state.dense))
    keys = jax.random.split(jax.random.fold_in(training.key, 1), _DIRECTIONS)
    (of_slots, of_dense), _ = jax.lax.scan(in_direction, zeros, keys)
    touching = jnp.zeros(rows.shape[0], rows.dtype)
    touching = touching.at[batch.position].add(jnp.broadcast_to(filled[:, None], batch.position.shape))
    of_rows = jnp.zeros_like(rows).at[batch.position].add(of_slots) / jnp.maximum(touching, 1)[:, None]
    n_rows = jnp.maximum(filled.sum(), 1)
    return of_rows, jax.tree.map(lambda total: total / n_rows, of_dense)
