"""Training by mini-batches: each step costs what its rows touch, whatever the number of columns."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import jax
import numpy as np
from scipy import sparse

from skfm.data.batches import Batches, Batching, batch_in_memory
from skfm.data.pack import table_rows
from skfm.data.spool import BatchSpool
from skfm.data.statistics import StreamStatistics, column_statistics
from skfm.data.units import Units
from skfm.layers import native
from skfm.models.base import Model
from skfm.names import MINIBATCH
from skfm.optim.penalty import charges
from skfm.optim.rows import joins
from skfm.optim.solvers import NAMED, AdaGrad, Optax, Solver, Split
from skfm.runtime import precision, some_cores
from skfm.train.epochs import BatchEpochs, InMemory, Source, held_state, mean_batch_rows
from skfm.train.held_out import validator
from skfm.train.loop import DivergenceError, Watch, descend
from skfm.train.plateau import Plateau
from skfm.train.problem import (
    LOOSE,
    Parameters,
    Prior,
    Problem,
    Progress,
    Result,
    last_tenth,
    learned_nothing,
    score_is_constant,
    still_learning,
)
from skfm.train.rescale import in_units
from skfm.train.start import (
    base_loss,
    base_score,
    check_representable,
    column_units,
    first_parameters,
    hyper_parameters,
    shared_rows,
    standard_frequency,
)
from skfm.train.state import (
    Hyper,
    Session,
    Start,
    TrainState,
    join_state,
    on_device,
    padded,
    start_state,
    to_numpy,
)
from skfm.train.step import Hold, Program
from skfm.train.unheard import alike, unheard

# The share by which the score of a second attempt must be better (benchmarks/cases/defaults.py).
_CLEARLY = 0.005
# Rows of the table for each row of an epoch, up to which it is moved into large pages.
_ROWS_OF_TABLE = 16
# After so many epochs what a model has not learned it will not.
_MANY_EPOCHS = 20
# A share of the loss that is rounding.
_UNMOVED = 1e-6


def element_wise(solver) -> Solver:
    """The element-wise solver of a name, or around an optax transformation."""
    return NAMED[solver] if isinstance(solver, str) else Optax(solver)


@dataclass(frozen=True)
class MiniBatch:
    """The method of all element-wise solvers.

    Attributes
    ----------
    solver : a name of `skfm.optim.solvers.NAMED`, or an optax transformation
    linear_solver : that of the linear weights, where these have their own
    """

    abilities: ClassVar = MINIBATCH
    solver: Any
    linear_solver: Any = None

    def fit(self, problem: Problem, session: Session | None = None) -> Result:
        """Train, or go on from the session of a result before."""
        with precision(problem.dtype):
            return _fit(problem, self._solver(problem.model), session)

    def _solver(self, model: Model) -> Solver:
        """The solver of a table and of dense weights."""
        solver = element_wise(self.solver)
        if isinstance(solver, AdaGrad):
            solver = replace(solver, small_first_steps=model.hints.slow_first_steps)
        if self.linear_solver is None:
            return solver
        # Linear weights are the first numbers of a row.
        return Split(element_wise(self.linear_solver), solver, model.tables()["linear"].width)


def _is_native(model: Model, solver: Solver) -> bool:
    """Whether native code updates the table."""
    # Models that make much of a slot go through a batch in pieces.
    in_pieces = model.hints.numbers_per_slot and not model.hints.pairs_fields
    return solver.is_native and native.available() and not in_pieces


def _source(problem: Problem, units: Units, charge: np.ndarray, indexed: bool) -> Source:
    """The rows in batches."""
    batch_size = problem.schedule.batch_size
    batching = Batching(
        charge, units, problem.fields, batch_size, problem.dtype, problem.seed, indexed, some_cores.n
    )
    if not sparse.issparse(problem.train.X):
        return BatchSpool(problem.train, batching, on_device)
    blocks, sizes = batch_in_memory(problem.train, batching)
    placed = []
    while blocks:
        # One by one, so that each is freed before there is a copy of another.
        leaves: list[Any] = list(blocks.pop(0))
        for number in range(len(leaves)):
            leaves[number] = on_device(leaves[number])
        placed.append(Batches(*leaves))
    return InMemory(placed, sizes, batch_size)


def _fit(problem: Problem, solver: Solver, session: Session | None) -> Result:
    model, dtype, schedule = problem.model, problem.dtype, problem.schedule
    n_columns = problem.train.X.shape[1]
    n_rows = table_rows(n_columns)
    check_representable(problem)
    rate = np.asarray(schedule.learning_rate, dtype)
    statistics = column_statistics(problem.train.X, problem.train.weight, shared_rows(problem))
    fresh, stream = statistics.touched > 0, StreamStatistics.of(statistics)
    trained, first_epoch = None, 0
    behind = problem.behind
    ahead = None if behind is None else behind.ahead_of(np.zeros(n_columns), 0.0)
    if session is not None:
        session = session.grown(n_columns, n_rows)
        if problem.base_moved is not None:
            session = session.moved(problem.base_moved, solver)
        trained, first_epoch = session.trained, session.n_epochs
        behind = session.behind
        if behind is not None:
            ahead = behind.ahead_of(trained.n_touching, session.statistics.total.n_rows)
        stream = session.statistics.then(statistics)
        fresh &= trained.n_touching == 0
    elif problem.start is not None:
        trained = problem.start.trained(n_columns)
        if problem.keeps_session:
            before = problem.start.statistics(n_columns)
            stream = StreamStatistics.of(before, is_first=False).then(statistics)
    if trained is not None and problem.keeps_session:
        statistics = stream.total
    units = column_units(problem, statistics, trained)
    if session is not None:
        assert trained is not None
        moved, ratio = in_units(session.parameters, units, trained, problem, first_epoch)
        session = session.with_parameters(moved, ratio, solver)
    new_columns = np.flatnonzero(fresh)
    power = problem.priors[0].l2_frequency_power
    charge = charges(standard_frequency(statistics, units), power, units.scale)
    is_native = _is_native(model, solver)
    is_joined = is_native and model.hints.pools and joins(solver, model.width)
    source = _source(problem, units, padded(charge, n_rows, charge.dtype), is_native)
    suspects = alike(problem, statistics, units)
    # Factors that start where others have ended have nothing to leave.
    stops = schedule.stops_early and schedule.tol < LOOSE
    leaves_start = model.hints.starts_still and stops and trained is None
    frequency = standard_frequency(statistics, units) if leaves_start else None
    if not problem.keeps_session:
        del statistics, stream
    del charge, fresh
    score = base_score(problem)
    watch = Watch(
        validator(problem, n_rows - 1, units),
        problem.report,
        base_loss(problem.loss, problem.train, score),
        counts_from_start=trained is None and problem.score is None and schedule.tol < LOOSE,
    )

    def first_state(posed: Problem, program: Program, init_scale: float, hyper: Hyper) -> TrainState:
        state = unheld_state(posed, init_scale)
        if ahead is not None:
            hold = Hold(padded(ahead.touching, n_rows, dtype), np.asarray(ahead.n_rows, dtype), rate)
            state = held_state(program, state, source, on_device(hold), hyper)
        if is_joined and not state.is_joined:
            state = join_state(state)
        # Moving the table costs as much as some of its rows gain in an epoch.
        if native.available() and source.n_rows * _ROWS_OF_TABLE >= n_rows:
            native.in_large_pages((state.table, state.table_state))
        return state

    def unheld_state(posed: Problem, init_scale: float) -> TrainState:
        first = first_parameters(posed, init_scale, new_columns, units, score)
        if session is not None:
            return on_device(session.with_rows(first.table, new_columns, solver, rate))
        dense, averages = on_device((first.dense, first.averages))
        # Wait, so that the rows in NumPy are freed before the optimizer's state is made.
        table = on_device(first.table).block_until_ready()
        del first
        start = Start(table, dense, averages, rate, mean_batch_rows(source, dtype))
        return start_state(solver, start, joined=is_joined and ahead is None)

    def attempt(number: int) -> tuple[BatchEpochs, Progress]:
        prior, n_priors = problem.priors[number], len(problem.priors)
        label = f"attempt {number + 1} of {n_priors}" if n_priors > 1 else ""
        posed = problem.under(prior)
        program, hyper = Program(posed.model, problem.loss, solver), hyper_parameters(posed, prior)
        first = partial(first_state, posed, program, prior.init_scale, hyper)
        epochs = BatchEpochs(program, first, source, hyper, schedule, problem.seed)
        still = None if frequency is None else Plateau(posed.model, frequency, schedule.tol)
        validate = watch.validate if posed.model == model else validator(posed, n_rows - 1, units)
        looks = watch._replace(validate=validate, label=label, still=still)
        return epochs, descend(epochs, schedule, looks, first_epoch)

    epochs, progress = attempt(0)
    weights, chosen, kept, attempts = epochs.weights(), 0, None, {0: progress}
    if problem.keeps_session:
        n_epochs = progress.n_iter + first_epoch
        kept = Session(epochs.separate_state(), units, stream, n_epochs, behind)
    del epochs
    for number in range(1, len(problem.priors)):
        if progress.interrupted:
            break
        weights = to_numpy(weights)
        with contextlib.suppress(DivergenceError):
            epochs, second = attempt(number)
            attempts[number] = second
            margin = _share_to_gain(problem, problem.priors[number]) * abs(progress.best_score)
            if second.best_score > progress.best_score + margin:
                weights, progress, chosen = epochs.weights(), second, number
            progress.interrupted = second.interrupted
    table, dense, averages = weights
    parameters = Parameters(np.array(table), to_numpy(dense), to_numpy(averages), units)
    if progress.interrupted and not all(
        np.isfinite(leaf).all() for leaf in jax.tree.leaves((parameters.table, parameters.dense))
    ):
        raise KeyboardInterrupt("Interrupted when training had diverged: nothing is kept.")
    prior = problem.priors[chosen]
    problem = problem.under(prior)
    message = None if progress.interrupted else score_is_constant(problem, progress)
    is_long = progress.n_iter >= _MANY_EPOCHS
    if message is None and progress.n_iter >= schedule.n_iter_no_change and not progress.interrupted:
        ended = progress.n_iter < schedule.max_iter or is_long
        message = unheard(problem, prior, parameters, suspects, ended=ended)
    # The loss of an epoch is that before its steps: a few of them say nothing.
    has_ended = is_long or (schedule.stops_early and progress.n_iter < schedule.max_iter)
    if message is None and has_ended and not progress.interrupted:
        least = _loss_without(progress, watch.base_loss) if trained is None else watch.base_loss
        message = learned_nothing(problem, prior, progress, least)
    if message is None and not progress.interrupted:
        message = _advice(problem, progress, watch.base_loss, score)
    return Result(parameters, progress, kept, message, prior=chosen, attempts=attempts)


def _share_to_gain(problem: Problem, prior: Prior) -> float:
    """The share of the score by which an attempt must be better: among few rows a little means nothing.

    Another model differs in more than its prior, and the rows can tell less of it.
    """
    if prior.normalizes and problem.held_out is not None:
        return problem.held_out.y.shape[0] ** -0.5
    return _CLEARLY


def _loss_without(progress: Progress, base_loss: float) -> float:
    """Loss of what training started from: of a constant, or of first factors that steps have never moved."""
    losses = progress.history["loss"]
    return losses[-1] if np.ptp(losses) <= _UNMOVED * abs(base_loss) else base_loss


def _advice(problem: Problem, progress: Progress, least: float, score: np.ndarray) -> str | None:
    """What to say where `max_iter` ended training that was still learning; else None.

    Parameters
    ----------
    least : mean loss in training of the raw prediction without features
    score : that prediction
    """
    schedule, n_last = problem.schedule, last_tenth(progress.n_iter)
    # Fewer epochs are all that somebody wanted to wait for.
    if progress.n_iter < max(schedule.max_iter, _MANY_EPOCHS):
        return None
    losses, what = progress.history["loss"], "the objective"
    if problem.held_out is not None:
        losses, what = progress.history["validation_loss"], "the loss of the held-out rows"
        least = base_loss(problem.loss, problem.held_out, score)
    # Means, since the loss of an epoch is that of its rows' order, and of units that were dropped.
    gained = float(np.mean(losses[-2 * n_last : -n_last]) - np.mean(losses[-n_last:]))
    remedy = f" or {schedule.rate_name}"
    return still_learning(gained, least - losses[-1], progress.n_iter, schedule, remedy, what)
