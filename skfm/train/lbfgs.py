"""Full-batch training by L-BFGS in float64, on the columns that the training rows touch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, sparse

from skfm.data.batches import Samples
from skfm.data.fields import Fields
from skfm.data.pack import pack_rows, table_rows
from skfm.data.statistics import column_statistics
from skfm.data.units import Units, check_range, standardized
from skfm.layers import native
from skfm.models.base import Batch, DenseSlots, Slots, Training
from skfm.names import FULL_BATCH
from skfm.optim.penalty import charges
from skfm.runtime import blas_threads, precision
from skfm.train.held_out import check_held_out, validator
from skfm.train.loop import (
    DivergenceError,
    Stopping,
    interrupt_later,
    largest_loss,
    validation_scores,
)
from skfm.train.memory import check_memory_of_weights
from skfm.train.precondition import Coordinates, coordinates
from skfm.train.problem import (
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
from skfm.train.programs import Compiled
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
from skfm.train.state import DeviceRows, Hyper, dense_rows, device_rows, on_device, padded, to_numpy
from skfm.train.step import Program, make_slots, native_slots
from skfm.train.unheard import alike, unheard

# Rows become dense where the matrix is no larger than the gathered rows would be, and less than this many
# times the nonzeros.
_MOST_PADDED = 16
# In units of `tol`: where no component of the gradient is larger, L-BFGS has arrived.
_GRADIENT_TOLERANCE = 1e-2
# Of first factors that are smaller the gradient is smaller too.
_LARGE_FACTORS = 1e-2
# And of smaller ones than these it is lost in the objective's rounding.
_LEAST_FACTORS = 1e-6
# Factors that have grown so many times have left the plateau that they start on.
_GROWTH = 10.0
# And those of this root mean square, wherever they came from.
_GROWN = 0.3
# In units of `tol` squared, as gains fall with the square of the gradient: an iteration that lowers the
# objective by no more has changed nothing.
_NO_CHANGE = 10.0
# Iterations under each prior that is tried, their tolerance in units of `tol`, the share by which a loss is
# clearly worse, and the number of rows up to which one quarter of them may not be enough to choose by
# (benchmarks/cases/priors.py).
_ITERATIONS_TO_CHOOSE = 60
_TOLERANCE_TO_CHOOSE = 10.0
_CLEARLY_WORSE = 0.1
_FEW_COPIES = 1_000
# Iterations that L-BFGS remembers.
_MEMORY = 20
# SciPy's number for it. That of a line search that finds nothing lower is another: there is no more to gain.
_REACHED_MAX_ITER = 1

# How often the objective was traced, for tests that count compilations.
n_traces = 0


class Objective(NamedTuple):
    """What is minimised over tables and dense weights.

    Attributes
    ----------
    program : model and loss
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


def _strongest(dtype) -> float:
    """The largest strength of a penalty that can be computed with."""
    return float(np.finfo(dtype).max) ** 0.9


def _flat(table, dense) -> np.ndarray:
    """All weights as one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in [table, *jax.tree.leaves(dense)]])


def _only_batch(block: DeviceRows, n_rows: int) -> native.Slots:
    """The slots of a block as those of the only batch there is, which touches all rows of a table."""
    touched = jnp.arange(n_rows, dtype=jnp.int32)
    arrays = jax.tree.map(lambda leaf: leaf[None], (touched, block.ids, block.values, block.slot_fields))
    return native.Slots(jnp.zeros((), jnp.int32), *arrays)


@Compiled
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
            elif block.by_row is None:
                slots = make_slots(model, table, block.ids, block.values)
            else:
                slots = native_slots(model, table, _only_batch(block, table.shape[0]), block.by_row)
            batch = Batch(block.slot_fields, block.weight)
            training = Training(hyper.key, hyper.dropout)
            raw, _ = model.forward(slots, dense, averages, batch, training)
            total = total + jnp.where(block.weight > 0, loss.value(block.y, raw), 0) @ block.weight
        strength = jnp.minimum(charges[:, -1:] * hyper.lanes[1], _strongest(table.dtype))
        penalty = 0.5 * (strength * jnp.square(table)).sum()
        penalty += 0.5 * hyper.l2_dense * sum(jnp.square(leaf).sum() for leaf in dense["weights"].values())
        return total + penalty, total

    (value, data_term), gradient = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(table, dense)
    # The dummy row is no parameter.
    return value, data_term, (gradient[0].at[-1].set(0), gradient[1])


class Weights(NamedTuple):
    """A table with a row for each touched column, in NumPy, and dense weights."""

    table: np.ndarray
    dense: Any


class Iterate(NamedTuple):
    """Weights after an iteration, by how much it lowered the objective, and the data term alone."""

    table: np.ndarray
    dense: Any
    gain: float
    data_term: float


def minimize(
    objective: Objective, space: Coordinates, first: Weights, max_iter: int, tol: float, on_iteration
):
    """Minimise the objective; returns (table, dense, whether `max_iter` ended it).

    Parameters
    ----------
    space : coordinates to optimise in
    first : weights to start from
    tol : stop when no component of the gradient is larger
    on_iteration : called with an `Iterate` after each iteration; may raise StopIteration
    """
    start = space.start(*first)
    leaves, structure = jax.tree.flatten(start)
    shapes = [leaf.shape for leaf in leaves]
    borders = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1]
    data_terms: list[float] = []
    values: list[float] = []

    def unravel(vector):
        parts = [leaf.reshape(shape) for leaf, shape in zip(np.split(vector, borders), shapes, strict=True)]
        return space.weights(*jax.tree.unflatten(structure, parts))

    def evaluate(vector):
        value, data_term, gradient = objective.value_and_gradient(*unravel(vector))
        if not values:
            if not np.isfinite(value):
                raise DivergenceError(
                    "The loss of the first weights is not finite: give a smaller init_scale, or check y for "
                    "outliers."
                )
            values.append(float(value))
        data_terms.append(float(data_term))
        return float(value), _flat(*space.gradient(*gradient))

    def callback(intermediate_result):
        values.append(float(intermediate_result.fun))
        table, dense = unravel(intermediate_result.x)
        on_iteration(Iterate(table, dense, values[-2] - values[-1], data_terms[-1]))

    result = optimize.minimize(
        evaluate,
        _flat(*start),
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={
            "maxiter": max_iter,
            "maxfun": 2 * max_iter + 20,
            "maxcor": _MEMORY,
            "gtol": tol,
            "ftol": 1e-14,
        },
    )
    return *unravel(result.x), result.status == _REACHED_MAX_ITER


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
    check_representable(problem)
    statistics = column_statistics(X, weight, shared)
    trained = None if problem.start is None else problem.start.trained(X.shape[1])
    units = column_units(problem, statistics, trained)
    frequency = standard_frequency(statistics, units)
    columns = np.flatnonzero((frequency if shared is None else frequency[shared]) > 0)
    n_rows = table_rows(columns.size)
    of_pairs = (2 * _MEMORY + 5) * np.dtype(np.float64).itemsize
    check_memory_of_weights(model, of_pairs, n_rows * model.width, ", or solver='adam', which keeps less")

    def narrowed(samples: Samples, check) -> Samples:
        """Only touched columns are optimised: they become the columns of a smaller table."""
        X = standardized(samples.X, units)
        check(X)
        return samples._replace(X=X[:, columns])

    narrow = problem._replace(
        train=narrowed(Samples(X, y, weight / weight.sum()), partial(check_range, dtype=dtype)),
        held_out=None
        if problem.held_out is None
        else narrowed(problem.held_out, partial(check_held_out, problem=problem)),
        fields=_narrowed_fields(problem.fields, columns),
    )
    charge = charges(frequency, problem.priors[0].l2_frequency_power, units.scale) * frequency[:, None]
    charge = padded(np.minimum(charge[columns], _strongest(dtype)), n_rows, dtype)
    base = base_score(problem)

    def first(prior: Prior) -> Parameters:
        return first_parameters(problem, _first_scale(prior), columns, units, base)

    def first_weights(prior: Prior) -> Weights:
        parameters = first(prior)
        table = np.zeros((n_rows, model.width), dtype=dtype)
        table[: columns.size] = parameters.table[columns]
        return Weights(table, parameters.dense)

    whole = first(problem.priors[0])
    full, averages = whole.table, whole.averages
    # Threads of BLAS only get into the way of JAX's on vectors of this size.
    with blas_threads.one(), interrupt_later() as interrupted:
        validate = validator(narrow, n_rows - 1, Units())
        descent = _Descent(narrow, _place(narrow, n_rows), charge, averages, validate, interrupted)
        number, start, attempts = _choose(descent, weight, first_weights)
        prior = problem.priors[number]
        weights, watcher, at_end = descent.run(prior, start, _label(number, problem))
    progress = watcher.progress
    full[columns] = weights.table[: columns.size]
    without = base_loss(loss, narrow.train, base)
    parameters = Parameters(full, to_numpy(weights.dense), to_numpy(averages), units)
    message = None if interrupted else score_is_constant(problem, progress)
    unfinished = watcher.advice(without) if at_end and progress.n_iter else None
    if message is None and not (interrupted or (at_end and progress.n_iter < schedule.n_iter_no_change)):
        suspects = alike(problem, statistics, units)
        message = unheard(problem, prior, parameters, suspects, ended=unfinished is None)
    message = message or unfinished
    if message is None and not interrupted:
        message = learned_nothing(problem, prior, progress, without)
    last = progress.history["loss"][-1]
    if not last <= largest_loss(without):
        raise DivergenceError(
            f"Training diverged: the loss of the last weights is {last:.3g}. Give a smaller init_scale, or "
            f"check y for outliers."
        )
    return Result(parameters, progress, message=message, prior=number, attempts=attempts | {number: progress})


def _first_scale(prior: Prior) -> float:
    """Deviation of the first factors."""
    return max(prior.init_scale, _LEAST_FACTORS) if prior.init_scale else 0.0


class _Descent(NamedTuple):
    """What all descents of a fit share.

    Attributes
    ----------
    narrow : the problem in the columns that rows touch, with weights that sum to 1
    placed : its rows on the device
    charges : see `Objective`
    averages : running averages of the model
    validate : see `skfm.train.held_out.validator`, or None
    interrupted : filled when Ctrl-C came
    """

    narrow: Problem
    placed: _Placed
    charges: np.ndarray
    averages: Any
    validate: Any
    interrupted: list

    def objective(self, prior: Prior, weight: np.ndarray) -> Objective:
        """The objective under a prior, of rows with these weights, which sum to 1."""
        program, hyper = Program(self.narrow.model, self.narrow.loss), hyper_parameters(self.narrow, prior)
        return Objective(program, self.averages, self.placed.weighed(weight), self.charges, hyper)

    def run(self, prior: Prior, start: Weights, label: str = "") -> tuple[Weights, _Watcher, bool]:
        """Minimise from first weights; those found, what happened, and whether `max_iter` ended it."""
        narrow = self.narrow
        objective = self.objective(prior, narrow.train.weight)
        watcher = _Watcher(self, start.table, label)
        table, dense, at_end = minimize(
            objective,
            _coordinates(narrow, objective),
            start,
            narrow.schedule.max_iter,
            _gradient_tolerance(narrow, _first_scale(prior)),
            watcher,
        )
        progress = watcher.progress
        progress.best_score = watcher.stopping.best_score
        progress.interrupted = bool(self.interrupted)
        if watcher.stopping.best is not None:
            table, dense = watcher.stopping.best
        if not progress.n_iter:
            # From a minimum there is no step to take.
            watcher.record(table, dense, float(objective.value_and_gradient(table, dense)[1]))
        return Weights(table, dense), watcher, at_end


def _label(number: int, problem: Problem) -> str:
    n_priors = len(problem.priors)
    return f"attempt {number + 1} of {n_priors}" if n_priors > 1 else ""


class _Tried(NamedTuple):
    """What a prior led to without some of the rows: weights, the loss of these rows, and what happened."""

    weights: Weights
    loss: float
    progress: Progress


def _choose(
    descent: _Descent, weight: np.ndarray, first: Callable[[Prior], Weights]
) -> tuple[int, Weights, dict[int, Progress]]:
    """Number of the prior that predicts rows set aside best, weights to start from, what happened under each.

    Of few rows a quarter says little. Where it leaves a choice, all of them are set aside in turn.

    Parameters
    ----------
    weight : (n,) weights of the rows
    first : makes first weights
    """
    priors = descent.narrow.priors
    if len(priors) == 1:
        return 0, first(priors[0]), {}
    n_copies, quarters = _quarters(weight)
    tried = _try(descent, weight, quarters[0], range(len(priors)), first)
    best = max(tried) if descent.interrupted else _lowest(tried, descent.narrow.schedule.tol)
    # A mean of so many losses, which deviate by about as much as they are, is as exact as that.
    exactness, lowest = (n_copies / 4) ** -0.5, tried[best].loss
    numbers = [number for number, one in tried.items() if _is_near(one.loss, lowest, exactness)]
    # Units of a network that have died do not come back, and it takes longer.
    is_network = bool(tried[0].weights.dense["weights"])
    if is_network:
        numbers = [number for number in numbers if number in (0, best)]
    if n_copies <= _FEW_COPIES and len(numbers) > 1:
        again = [tried, *(_try(descent, weight, kept, numbers, first) for kept in quarters[1:])]
        if not descent.interrupted:
            best = _best_of({number: [_loss_of(one.get(number)) for one in again] for number in numbers})
    attempts = {number: one.progress for number, one in tried.items()}
    start = first(priors[best]) if is_network or best not in tried else tried[best].weights
    return best, start, attempts


def _lowest(tried: dict[int, _Tried], tol: float) -> int:
    """The narrowest prior of the lowest loss, as exactly as they were tried."""
    lowest = min(one.loss for one in tried.values())
    as_low = (n for n, one in tried.items() if _is_near(one.loss, lowest, _TOLERANCE_TO_CHOOSE * tol))
    return min(as_low, default=0)


def _is_near(loss: float, lowest: float, share: float) -> bool:
    return loss - lowest <= share * abs(lowest)


def _loss_of(tried: _Tried | None) -> float:
    """What was not tried, after a loss that was clearly worse, is worse."""
    return np.inf if tried is None else tried.loss


def _best_of(losses: dict[int, list[float]]) -> int:
    """The narrowest prior whose losses are not above those of the best by more than a standard error."""
    best = losses[min(losses, key=lambda number: sum(losses[number]))]

    def is_as_good(number: int) -> bool:
        if not np.isfinite(losses[number]).all():
            return False
        above = np.subtract(losses[number], best)
        return above.mean() <= above.std(ddof=1) / above.size**0.5

    return min(filter(is_as_good, losses), default=0)


def _quarters(weight: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """How many rows there are, and weights (n,) of those in each quarter.

    Equal rows are one with their summed weight: its copies are dealt out one by one, so that a weight of 2 is
    the row twice. Rows come in an order that says nothing about them, see `merge_duplicates`.
    """
    one = min(float(weight.mean()), 1.0)
    copies = np.append(0.0, np.cumsum(weight / one))
    dealt = [np.diff(np.floor((copies + number) / 4)) for number in range(4)]
    return copies[-1], [np.minimum(count * one, weight) for count in dealt]


def _try(
    descent: _Descent,
    weight: np.ndarray,
    kept: np.ndarray,
    numbers: Iterable[int],
    first: Callable[[Prior], Weights],
) -> dict[int, _Tried]:
    """Train under some of the priors, one after the other, on what is left when some rows are set aside.

    Parameters
    ----------
    weight, kept : (n,) weights of all rows, and what of them is set aside
    """
    problem, left = descent.narrow, weight - kept
    schedule = problem.schedule._replace(
        max_iter=min(problem.schedule.max_iter, _ITERATIONS_TO_CHOOSE),
        tol=problem.schedule.tol * _TOLERANCE_TO_CHOOSE,
    )
    train = problem.train._replace(weight=left / left.sum())
    descent = descent._replace(narrow=problem._replace(train=train, schedule=schedule), validate=None)
    factors = problem.model.per_lane(lambda table: table.penalty == "factors").astype(bool)
    tried: dict[int, _Tried] = {}
    for number in numbers:
        prior = problem.priors[number]
        start = first(prior)
        if tried and problem.start is None and not start.dense["weights"]:
            known = list(tried.values())[-1].weights
            # A narrow prior may have left no factors to go on from.
            start = Weights(known.table + np.where(factors, start.table, 0), known.dense)
        # The same prior beside fewer rows.
        beside = prior.beside(left.sum() / weight.sum())
        weights, watcher, _ = descent.run(beside, start, _label(number, problem))
        objective = descent.objective(prior, kept / kept.sum())
        loss = float(objective.value_and_gradient(*weights)[1])
        watcher.progress.history["validation_loss"] = [np.nan] * (watcher.progress.n_iter - 1) + [loss]
        tried[number] = _Tried(weights, loss if np.isfinite(loss) else np.inf, watcher.progress)
        lowest = min(one.loss for one in tried.values())
        # What has begun to overfit does so the more, and takes the longer, the wider the prior.
        if descent.interrupted or not _is_near(loss, lowest, _CLEARLY_WORSE):
            break
    return tried


def _gradient_tolerance(problem: Problem, init_scale: float) -> float:
    """The largest component of the gradient that counts as none.

    Where all factors are nearly 0 their gradient is, in proportion: that is where training begins, not ends.
    """
    begins_small = problem.start is None and 0 < init_scale < _LARGE_FACTORS
    share = init_scale / _LARGE_FACTORS if begins_small else 1.0
    return problem.schedule.tol * _GRADIENT_TOLERANCE * share


def _coordinates(narrow: Problem, objective: Objective) -> Coordinates:
    """Those that suit the rows and the penalties."""
    (X, _, weight), fields = narrow.train, narrow.fields
    if fields is not None and fields.rows is not None:
        X = sparse.csr_array((X.data, fields.rows[X.indices], X.indptr), shape=X.shape)
    hyper = objective.hyper
    largest = _strongest(narrow.dtype)
    with np.errstate(over="ignore"):
        strength = np.minimum(np.asarray(objective.charges)[:, -1:] * np.asarray(hyper.lanes[1]), largest)
    linear = narrow.model.per_lane(lambda table: table.penalty == "linear").astype(bool)
    return coordinates(X, weight, strength, min(float(hyper.l2_dense), largest), linear)


def _narrowed_fields(fields: Fields | None, columns: np.ndarray) -> Fields | None:
    if fields is None:
        return None
    rows = None if fields.rows is None else np.searchsorted(columns, fields.rows[columns])
    return Fields(fields.numbers[columns], fields.n, rows)


class _Placed(NamedTuple):
    """Rows on the device, packed once for all weights.

    Attributes
    ----------
    blocks : rows of each width
    numbers : of each block, the numbers of its rows
    """

    blocks: list[DeviceRows]
    numbers: list[np.ndarray]

    def weighed(self, weight: np.ndarray) -> list[DeviceRows]:
        """The same rows with these weights."""
        return [
            block._replace(weight=on_device(padded(weight[rows], block.y.shape[0], block.y.dtype)))
            for block, rows in zip(self.blocks, self.numbers, strict=True)
        ]


def _place(narrow: Problem, n_rows: int) -> _Placed:
    """The rows on the device, dense where that is smaller."""
    (X, y, weight), dtype = narrow.train, narrow.dtype
    if narrow.fields is None and X.shape[0] * X.shape[1] <= X.nnz * min(narrow.model.width, _MOST_PADDED):
        return _Placed([dense_rows(X, y, weight, dtype, n_rows)], [np.arange(X.shape[0])])
    blocks = pack_rows(X, dummy=n_rows - 1, dtype=dtype, fields=narrow.fields).blocks
    return _Placed(
        [with_index(device_rows(block, y, weight, dtype), n_rows) for block in blocks],
        [block.rows for block in blocks],
    )


def with_index(block: DeviceRows, n_rows: int) -> DeviceRows:
    """The same rows for native code, where there is any: with the slots that touch each row of a table."""
    if not native.available() or block.ids.size > np.iinfo(np.int32).max:
        return block
    ids = np.asarray(block.ids).ravel()
    starts = np.append(0, np.cumsum(np.bincount(ids, minlength=n_rows)))
    index = native.Index(starts[None].astype(np.int32), np.argsort(ids, kind="stable")[None].astype(np.int32))
    return block._replace(by_row=on_device(index))


def _size(factors: np.ndarray) -> float:
    """Length of all factors as one vector."""
    with np.errstate(over="ignore"):
        return float(np.linalg.norm(factors))


class _Watcher:
    """Record each iteration, keep the best weights, stop when the objective or the validation score does."""

    def __init__(self, descent: _Descent, table: np.ndarray, label: str):
        problem, self.averages, self.validate = descent.narrow, descent.averages, descent.validate
        self.interrupted = descent.interrupted
        self.progress, self.lowest = Progress(label=label), np.inf
        self.schedule, self.report = problem.schedule, problem.report
        tol, patience = self.schedule.tol, self.schedule.n_iter_no_change
        self.stopping = Stopping(tol * _GRADIENT_TOLERANCE, patience)
        self.gains: list[float] = []
        self.factors = problem.model.per_lane(lambda table: table.penalty == "factors").astype(bool)
        first = table[:, self.factors]
        # Factors that start wide, or where others have ended, have nothing to leave.
        self.first_size = min(_size(first), _GROWN / _GROWTH * first.size**0.5)
        self.has_begun = not self.factors.any()
        self.report(self.progress, self.schedule.max_iter)
        self.began = time.perf_counter()

    def record(self, table, dense, data_term) -> float | None:
        """Record an iteration; the score of its weights, None without held-out rows."""
        self.progress.n_iter += 1
        weights = table, dense, self.averages
        scores = validation_scores(self.validate, weights, self.interrupted)
        score = scores.pop("score", None)
        self.progress.add(loss=data_term, **scores, time=time.perf_counter() - self.began)
        self.began = time.perf_counter()
        self.report(self.progress, self.schedule.max_iter)
        return score

    def __call__(self, iterate: Iterate):
        table, dense, gain, data_term = iterate
        score = self.record(table, dense, data_term)
        if self.interrupted:
            raise StopIteration
        self.gains.append(gain)
        # Linear weights are learned first: then nothing gets better, or scores get worse, until factors have
        # grown, or are gone.
        growth = _size(table[:, self.factors]) / self.first_size if self.first_size else np.inf
        if score is not None:
            # Weights that penalties draw back from a detour say nothing of those to come.
            waits = data_term <= self.lowest
            self.lowest = min(self.lowest, data_term)
            self.stopping.record(score, lambda: jax.tree.map(np.copy, (table, dense)), waits=waits)
            if not self.has_begun:
                self.has_begun = self.stopping.waited == 0 and growth >= _GROWTH
                self.stopping.waited = 0
        if self.stopping.is_due or (self.is_flat and not 1 / _GROWTH < growth < _GROWTH):
            raise StopIteration

    @property
    def is_flat(self) -> bool:
        """Whether the objective has hardly changed in `n_iter_no_change` iterations."""
        last = self.gains[-self.schedule.n_iter_no_change :]
        return len(last) == self.schedule.n_iter_no_change and max(last) <= _NO_CHANGE * self.schedule.tol**2

    def advice(self, base_loss: float) -> str | None:
        """What to say where `max_iter` ended training; None where more iterations would gain little.

        Parameters
        ----------
        base_loss : loss of the best constant prediction
        """
        n_iter = len(self.gains)
        gained = sum(self.gains[-last_tenth(n_iter) :])
        learned = base_loss - self.progress.history["loss"][-1]
        return still_learning(gained, learned, n_iter, self.schedule)
