"""Full-batch training by L-BFGS in float64, on the columns that the training rows touch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from threadpoolctl import threadpool_limits

from skfm.data.batches import Samples
from skfm.data.fields import Fields
from skfm.data.pack import pack_rows, table_rows
from skfm.data.statistics import column_statistics
from skfm.data.validate import scaled
from skfm.models.base import Batch, DenseSlots, Slots, Training
from skfm.names import FULL_BATCH
from skfm.optim.penalty import charges
from skfm.runtime import precision
from skfm.train.held_out import validator
from skfm.train.loop import Stopping, interrupt_later, validation_scores
from skfm.train.problem import Problem, Progress, Result
from skfm.train.start import (
    base_score,
    check_memory,
    column_scale,
    finished,
    hyper_parameters,
    shared_rows,
    start_dense,
    start_table,
)
from skfm.train.state import DeviceRows, Hyper, dense_rows, device_rows, padded
from skfm.train.step import Program, make_slots

# Rows become dense where the matrix is no larger than the gathered rows would be, and less than this many
# times the nonzeros.
_MOST_PADDED = 16
# In units of `tol`: where no component of the gradient is larger, L-BFGS has arrived.
_GRADIENT_TOLERANCE = 1e-2

# How often the objective was traced, for tests that count compilations.
n_traces = 0


class Objective(NamedTuple):
    """What is minimised over tables and dense weights.

    Attributes
    ----------
    program : model and loss, static
    averages : running averages of the model
    blocks : rows of each width, with weights that sum to 1
    charges : f_j^nu for each row of the table
    hyper : strengths of the penalties
    """

    program: Program
    averages: Any
    blocks: list[DeviceRows]
    charges: Any
    hyper: Hyper

    def value_and_gradient(self, table, dense):
        """The objective of the whole data set, the data term alone, and the gradient."""
        return _value_and_gradient(self.program, table, dense, self[1:])


@partial(jax.jit, static_argnames="program")
def _value_and_gradient(program: Program, table, dense, rest):
    global n_traces
    n_traces += 1
    model, loss, _ = program
    averages, blocks, charges, hyper = rest

    def objective(table, dense):
        total = 0.0
        for block in blocks:
            slots: Slots
            if block.ids is None:
                slots = DenseSlots(model, table, block.values)
            else:
                slots = make_slots(model, table, block.ids, block.values)
            batch = Batch(block.slot_fields, block.weight)
            training = Training(hyper.key, hyper.dropout)
            raw, _ = model.forward(slots, dense, averages, batch, training)
            total = total + jnp.where(block.weight > 0, loss.value(block.y, raw), 0) @ block.weight
        penalty = 0.5 * (charges[:, -1:] * hyper.lanes[1] * jnp.square(table)).sum()
        penalty += 0.5 * hyper.l2_dense * sum(jnp.square(leaf).sum() for leaf in dense["weights"].values())
        return total + penalty, total

    (value, data_term), gradient = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(table, dense)
    # The dummy row is no parameter.
    return value, data_term, (gradient[0].at[-1].set(0), gradient[1])


def minimize(objective: Objective, table, dense, max_iter: int, tol: float, on_iteration):
    """Minimise the objective; returns (table, dense, message or None).

    Parameters
    ----------
    table : (D, W) NumPy array with a row for each touched column
    tol : stop when no component of the gradient is larger
    on_iteration : callable(table, dense, data_term), called after each iteration; may raise StopIteration
    """
    leaves, structure = jax.tree.flatten(dense)
    shapes = [table.shape, *(leaf.shape for leaf in leaves)]
    borders = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1]
    data_terms = []

    def unravel(vector):
        first, *rest = (
            leaf.reshape(shape) for leaf, shape in zip(np.split(vector, borders), shapes, strict=True)
        )
        return first, jax.tree.unflatten(structure, rest)

    def evaluate(vector):
        value, data_term, gradient = objective.value_and_gradient(*unravel(vector))
        flat = np.concatenate([np.ravel(leaf) for leaf in [gradient[0], *jax.tree.leaves(gradient[1])]])
        data_terms.append(float(data_term))
        return float(value), flat

    def callback(intermediate_result):
        on_iteration(*unravel(intermediate_result.x), data_terms[-1])

    start = np.concatenate([np.ravel(leaf) for leaf in [table, *leaves]])
    # Threads of BLAS only get into the way of JAX's on vectors of this size.
    with threadpool_limits(1, user_api="blas"):
        result = optimize.minimize(
            evaluate,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options={"maxiter": max_iter, "maxfun": 2 * max_iter + 20, "gtol": tol, "ftol": 1e-14},
        )
    message = None if result.status in (0, 99) else str(result.message)
    return *unravel(result.x), message


@dataclass(frozen=True)
class LBFGS:
    """The method of all rows at once.

    Attributes
    ----------
    solver, linear_solver : its name; not used
    """

    abilities: ClassVar = FULL_BATCH
    solver: Any = None
    linear_solver: Any = None

    def fit(self, problem: Problem, session=None) -> Result:
        """Train; there is no session to go on from."""
        with precision(problem.dtype):
            return _fit(problem)


def _fit(problem: Problem) -> Result:
    model, loss, dtype, schedule = problem.model, problem.loss, problem.dtype, problem.schedule
    (X, y, weight), shared = problem.train, shared_rows(problem)
    check_memory(X, model.width, dtype)
    statistics = column_statistics(X, weight, shared)
    scale, frequency = column_scale(problem, statistics), statistics.frequency
    columns = np.flatnonzero((frequency if shared is None else frequency[shared]) > 0)
    n_rows = table_rows(columns.size)
    prior = problem.priors[0]

    def narrowed(samples: Samples) -> Samples:
        """Only touched columns are optimised: they become the columns of a smaller table."""
        return samples._replace(X=scaled(samples.X, scale)[:, columns])

    narrow = problem._replace(
        train=narrowed(Samples(X, y, weight / weight.sum())),
        held_out=None if problem.held_out is None else narrowed(problem.held_out),
        fields=_narrowed_fields(problem.fields, columns),
    )
    charge = charges(frequency, prior.l2_frequency_power, scale) * frequency[:, None]
    full = start_table(problem, prior.init_scale, columns, scale)
    table = np.zeros((n_rows, model.width), dtype=dtype)
    table[: columns.size] = full[columns]
    dense, averages = start_dense(problem, base_score(problem))
    objective = Objective(
        Program(model, loss),
        averages,
        _blocks(narrow, n_rows),
        padded(charge[columns], n_rows, dtype),
        hyper_parameters(problem, prior),
    )
    progress = Progress()
    with interrupt_later() as interrupted:
        watcher = _Watcher(narrow, validator(narrow, n_rows - 1, None), averages, progress, interrupted)
        table, dense, message = minimize(
            objective, table, dense, schedule.max_iter, schedule.tol * _GRADIENT_TOLERANCE, watcher
        )
    # A warm start at the optimum has no iteration to record.
    progress.history = progress.history or {"loss": [], "time": []}
    progress.best_score = watcher.stopping.best_score
    progress.interrupted = bool(interrupted)
    if watcher.stopping.best is not None:
        table, dense = watcher.stopping.best
    full[columns] = table[: columns.size]
    if message is not None:
        message = (
            f"L-BFGS stopped after {progress.n_iter} iterations ({message}). Increase max_iter "
            f"(={schedule.max_iter}) or scale the columns of X."
        )
    return Result(finished(full, scale, dense, averages), progress, message=message)


def _narrowed_fields(fields: Fields | None, columns: np.ndarray) -> Fields | None:
    if fields is None:
        return None
    rows = None if fields.rows is None else np.searchsorted(columns, fields.rows[columns])
    return Fields(fields.numbers[columns], fields.n, rows)


def _blocks(narrow: Problem, n_rows: int) -> list[DeviceRows]:
    """The rows on the device, dense where that is smaller."""
    (X, y, weight), dtype = narrow.train, narrow.dtype
    if narrow.fields is None and X.shape[0] * X.shape[1] <= X.nnz * min(narrow.model.width, _MOST_PADDED):
        return [dense_rows(X, y, weight, dtype, n_rows)]
    packed = pack_rows(X, dummy=n_rows - 1, dtype=dtype, fields=narrow.fields)
    return [device_rows(block, y, weight, dtype) for block in packed.blocks]


class _Watcher:
    """Record each iteration, keep the best weights, stop when the validation score does."""

    def __init__(self, problem: Problem, validate, averages, progress: Progress, interrupted: list):
        self.validate, self.averages, self.progress = validate, averages, progress
        self.schedule, self.report, self.interrupted = problem.schedule, problem.report, interrupted
        self.stopping = Stopping(self.schedule.tol * _GRADIENT_TOLERANCE, self.schedule.n_iter_no_change)
        self.began = time.perf_counter()

    def __call__(self, table, dense, data_term):
        self.progress.n_iter += 1
        weights = table, dense, self.averages
        scores = validation_scores(self.validate, weights, self.interrupted)
        score = scores.pop("score", None)
        self.progress.add(loss=data_term, **scores, time=time.perf_counter() - self.began)
        self.began = time.perf_counter()
        self.report(self.progress, self.schedule.max_iter)
        if self.interrupted:
            raise StopIteration
        if score is not None:
            self.stopping.record(score, lambda: jax.tree.map(np.copy, (table, dense)))
            if self.stopping.is_due:
                raise StopIteration
