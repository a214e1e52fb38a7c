"""From a canonical matrix and targets to trained parameters."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import sparse

from skfm.data.batches import compose, make_batches
from skfm.data.fields import Fields
from skfm.data.pack import pack_rows, table_rows
from skfm.data.spool import BatchSpool
from skfm.data.statistics import ColumnStatistics, column_statistics
from skfm.data.validate import scaled
from skfm.losses import Loss
from skfm.models.base import Model
from skfm.optim.penalty import charges
from skfm.optim.solvers import NAMED, AdaGrad, Optax, Solver, Split
from skfm.runtime import physical_memory, precision
from skfm.train.full_batch import minimize
from skfm.train.held_out import validator
from skfm.train.loop import (
    DivergenceError,
    InMemory,
    LoopSettings,
    Progress,
    Source,
    interrupt_later,
    rows_of_batch,
    train,
    validation_scores,
    warn_interrupted,
)
from skfm.train.state import (
    Hyper,
    Parameters,
    Session,
    TrainState,
    dense_rows,
    device_rows,
    first_rows,
    on_device,
    padded,
    random_key,
    start_state,
    to_numpy,
)
from skfm.train.step import Program

# In full batch rows become dense where the matrix is no larger than the gathered rows would be, and less
# than this many times the nonzeros.
_MOST_PADDED = 16
# The share by which the score of other settings must be better.
_CLEARLY = 0.005
# Rows whose losses are computed at once.
_ROWS_AT_ONCE = 1 << 18


class Samples(NamedTuple):
    """Rows with targets in the loss's terms and weights above 0.

    Attributes
    ----------
    X : canonical csr_array (n, d), or `RowSpool`
    y : (n, n_outputs), or (n,) class numbers for softmax
    weight : (n,)
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class FitSettings:
    """Everything that training needs besides the data; all resolved, nothing "auto".

    Attributes
    ----------
    linear_solver : solver of the linear weights, and its learning rate, where these have their own
    other : settings of mini-batches that are tried too; they count if held-out rows score clearly better
    """

    solver: str | Any
    loop: LoopSettings
    l1_linear: float
    l2_linear: float
    l2_factors: float
    l2_dense: float
    l2_frequency_power: float
    dropout: float
    init_scale: float
    dtype: np.dtype
    linear_solver: tuple[Any, float] | None = None
    other: FitSettings | None = None


class FitResult(NamedTuple):
    """Parameters in the units of X, what happened, and the session for `partial_fit`.

    Attributes
    ----------
    message : why L-BFGS stopped before its end, or None
    took_other : whether the parameters are those of the other settings
    """

    parameters: Parameters
    progress: Progress
    session: Session | None
    message: str | None = None
    took_other: bool = False


def resolve_solver(solver) -> Solver:
    """The element-wise solver of a name, or around an optax transformation."""
    return NAMED[solver] if isinstance(solver, str) else Optax(solver)


def _solver(settings: FitSettings, model: Model) -> Solver:
    """The solver of a table and of dense weights."""
    solver = resolve_solver(settings.solver)
    if isinstance(solver, AdaGrad):
        solver = replace(solver, steady=model.hints.slow_first_steps)
    if settings.linear_solver is None:
        return solver
    # Linear weights are the first numbers of a row.
    return Split(resolve_solver(settings.linear_solver[0]), solver, model.tables()["linear"].width)


def _rows(fields: Fields | None) -> np.ndarray | None:
    """Row of the tables that each column uses, or None where each has its own."""
    return None if fields is None else fields.rows


def _statistics(samples: Samples, fields) -> ColumnStatistics:
    return column_statistics(samples.X, samples.weight, _rows(fields))


def _scale(model: Model, statistics: ColumnStatistics, fields) -> np.ndarray | None:
    """What columns are divided by in training, or None."""
    scale = statistics.scale(_rows(fields))
    if scale is not None and model.hints.own_units:
        own = np.isin(fields.numbers, model.hints.own_units)
        # And columns of other fields that use the same rows of the tables.
        scale[own if fields.rows is None else np.isin(fields.rows, fields.rows[own])] = 1
    return scale


def _batches(samples: Samples, scale, fields, charge, settings: FitSettings) -> Source:
    """The rows in batches, with weights of mean 1."""
    to_mean_one = samples.X.shape[0] / samples.weight.sum()
    if not sparse.issparse(samples.X):
        return BatchSpool(
            samples.X,
            samples.y,
            samples.weight,
            to_mean_one,
            charge,
            scale,
            fields,
            batch_size=settings.loop.batch_size,
            dtype=settings.dtype,
            seed=settings.loop.seed,
            place_on_device=on_device,
        )
    samples = samples._replace(X=scaled(samples.X, scale), weight=samples.weight * to_mean_one)
    packed = pack_rows(samples.X, dummy=charge.shape[0] - 1, dtype=settings.dtype, fields=fields)
    rng = np.random.default_rng([settings.loop.seed, 2])
    blocks = []
    for block in packed.blocks:
        order = compose(block.rows.size, settings.loop.batch_size, rng)
        batches = make_batches(block, order, charge, samples.y, samples.weight, settings.dtype)
        blocks.append(on_device(batches))
    return InMemory(blocks, [block.rows.size for block in packed.blocks], settings.loop.batch_size)


def _hyper(settings: FitSettings, model: Model) -> Hyper:
    dtype = settings.dtype
    l1 = {"linear": settings.l1_linear, "factors": 0.0}
    l2 = {"linear": settings.l2_linear, "factors": settings.l2_factors}
    lanes = [model.per_lane(lambda table, of=of: of[table.penalty]).astype(dtype) for of in (l1, l2)]
    l2_dense, dropout = (np.asarray(value, dtype) for value in (settings.l2_dense, settings.dropout))
    first_rate = None
    if settings.linear_solver is not None:
        first_rate = np.asarray(settings.linear_solver[1] / settings.loop.learning_rate, dtype)
    key = random_key(settings.loop.seed)
    return on_device(Hyper((lanes[0], lanes[1]), l2_dense, dropout, key, first_rate))


def fit_model(
    model: Model,
    loss: Loss,
    samples: Samples,
    validation: Samples | None,
    fields: Fields | None,
    settings: FitSettings,
    *,
    base_score: np.ndarray,
    warm: tuple[dict[str, np.ndarray], Any, Any] | None = None,
    score_raw: Callable[[np.ndarray], float] | None = None,
    report: Callable[[Progress, int], None] = lambda progress, max_iter: None,
    session: Session | None = None,
    keep_session: bool = False,
) -> FitResult:
    """Train a model.

    Parameters
    ----------
    validation : rows to stop on, or None
    fields : field of each column for models that need it, and its row of the tables where columns share
        these; else None
    base_score : raw prediction without features, in the loss's terms
    warm : tables by name (d, *shape), dense weights and averages (each may be None) to start from
    score_raw : score of the raw predictions on the validation rows, higher is better; None: minus the loss
    session : go on from this session rather than start anew
    """
    with precision(settings.dtype):
        if settings.solver == "lbfgs":
            return _fit_full_batch(
                model, loss, samples, validation, fields, settings, base_score, warm, score_raw, report
            )
        return _fit_batches(
            model,
            loss,
            samples,
            validation,
            fields,
            settings,
            base_score,
            warm,
            score_raw,
            report,
            session,
            keep_session,
        )


def _start_table(model, columns, n_rows, warm_tables, scale, settings) -> np.ndarray:
    """First table (n_rows, W): random rows for the columns, else zeros, but for tables taken over."""
    rng = np.random.default_rng([settings.loop.seed, 0])
    table = np.zeros((n_rows, model.width), settings.dtype)
    table[columns] = first_rows(model, columns.size, settings.init_scale, rng, settings.dtype)
    views = model.split(table)
    for name, known in (warm_tables or {}).items():
        # Rows of zeros were never trained.
        taken = np.flatnonzero(known.reshape(known.shape[0], -1).any(axis=1))
        factor = 1 if scale is None else scale[taken].reshape(-1, *[1] * (known.ndim - 1))
        views[name][taken] = known[taken] * factor
    return table


def _start_dense(model, base_score, warm, settings):
    rng = np.random.default_rng([settings.loop.seed, 1])
    dense, averages = model.init(rng, base_score), model.init_averages()
    if warm is not None and warm[1] is not None:
        dense, averages = warm[1], warm[2]
    return jax.tree.map(lambda leaf: np.asarray(leaf, settings.dtype), (dense, averages))


def _finished(table: np.ndarray, scale, dense, averages) -> Parameters:
    """Parameters for rows in the units of X."""
    if scale is not None:
        table[: scale.size] /= scale[:, None].astype(table.dtype)
    return Parameters(table, to_numpy(dense), to_numpy(averages))


def _check_memory(n_rows: int, width: int, dtype) -> None:
    """Raise ValueError if a table and the optimizer's state of its size do not fit into memory."""
    needed, held = 2 * n_rows * width * dtype.itemsize, physical_memory()
    if held is not None and needed > held:
        raise ValueError(
            f"The weights of {n_rows} columns, {width} numbers each, and the optimizer's state take "
            f"{needed / 1e9:.1f} GB, and the machine has {held / 1e9:.1f} GB. Give fewer factors, or fewer "
            f"columns, with FieldEncoder(hash=...) for instance."
        )


def _seen(statistics, session):
    """Weight that touched each column and the weight sum, the session's included; columns new to it."""
    total = statistics.weight
    touched = statistics.frequency * total
    if session is None:
        return touched, total, np.flatnonzero(touched)
    fresh = np.flatnonzero((touched > 0) & (session.touched == 0))
    return touched + session.touched, total + session.weight_sum, fresh


def _fit_batches(
    model, loss, samples, validation, fields, settings, base_score, warm, score_raw, report, session, keep
):
    dtype, X = settings.dtype, samples.X
    n_columns = X.shape[1]
    dummy = table_rows(n_columns) - 1
    _check_memory(dummy + 1, model.width, dtype)
    solver = _solver(settings, model)
    rate = np.asarray(settings.loop.learning_rate, dtype)
    session = session and session.grown(n_columns, dummy + 1)
    statistics = _statistics(samples, fields)
    touched, weight_sum, fresh = _seen(statistics, session)
    scale = _scale(model, statistics, fields) if session is None else session.scale
    del statistics
    charge = charges(touched / weight_sum, settings.l2_frequency_power, scale)
    charge = padded(charge, dummy + 1, charge.dtype)
    source = _batches(samples, scale, fields, charge, settings)
    del charge
    if not keep:
        del touched
    program = Program(model, loss, solver)
    validate = validator(model, loss, validation, fields, dtype, dummy, scale, score_raw)
    base_loss = _base_loss(loss, samples, base_score)

    def attempt(settings) -> tuple[TrainState, Progress]:
        def start() -> TrainState:
            table = _start_table(model, fresh, dummy + 1, warm[0] if warm else None, scale, settings)
            if session is not None:
                return on_device(session.joined_by(table, fresh, solver, rate))
            # Wait, so that the rows in NumPy are freed before the optimizer's state is made.
            table = on_device(table).block_until_ready()
            dense, averages = on_device(_start_dense(model, base_score, warm, settings))
            return start_state(solver, table, dense, averages, rate, rows_of_batch(source, dtype))

        return train(
            program,
            start,
            source,
            _hyper(settings, model),
            settings.loop,
            validate,
            report,
            0 if session is None else session.n_epochs,
            base_loss,
        )

    state, progress = attempt(settings)
    weights = state.table, state.dense, state.averages
    kept = None
    if keep:
        n_epochs = progress.n_iter + (0 if session is None else session.n_epochs)
        kept = Session(to_numpy(state), touched, weight_sum, scale, n_epochs)
    del state
    took_other = False
    if settings.other is not None and not progress.interrupted:
        weights = jax.tree.map(np.array, weights)
        with contextlib.suppress(DivergenceError):
            state, second = attempt(settings.other)
            # Among few held-out rows a little better means nothing.
            margin = _CLEARLY * abs(progress.best_score)
            took_other = second.best_score > progress.best_score + margin
            if took_other:
                weights, progress = (state.table, state.dense, state.averages), second
    parameters = _finished(np.array(weights[0]), scale, *weights[1:])
    return FitResult(parameters, progress, kept, took_other=took_other)


def _base_loss(loss, samples, base_score) -> float:
    """Weighted mean loss of the raw prediction without features."""
    total, raw = 0.0, np.asarray(base_score, dtype=np.float64)
    for first in range(0, samples.y.shape[0], _ROWS_AT_ONCE):
        own = slice(first, first + _ROWS_AT_ONCE)
        y = samples.y[own]
        total += float(loss.value(y, np.tile(raw, (y.shape[0], 1))) @ samples.weight[own])
    return total / float(samples.weight.sum())


def _fit_full_batch(model, loss, samples, validation, fields, settings, base_score, warm, score_raw, report):
    dtype, X, shared = settings.dtype, samples.X, _rows(fields)
    _check_memory(table_rows(X.shape[1]), model.width, dtype)
    statistics = _statistics(samples, fields)
    scale, frequency = _scale(model, statistics, fields), statistics.frequency
    columns = np.flatnonzero((frequency if shared is None else frequency[shared]) > 0)
    n_rows = table_rows(columns.size)

    def narrowed(samples):
        """Only touched columns are optimised: they become the columns of a smaller table."""
        return samples._replace(X=scaled(samples.X, scale)[:, columns])

    part = None
    if fields is not None:
        rows_of = None if shared is None else np.searchsorted(columns, shared[columns])
        part = Fields(fields.numbers[columns], fields.n, rows_of)
    total = samples.weight.sum()
    own = narrowed(samples._replace(weight=samples.weight / total))
    if fields is None and own.X.shape[0] * columns.size <= own.X.nnz * min(model.width, _MOST_PADDED):
        rows = [dense_rows(own.X, own.y, own.weight, dtype, n_rows)]
    else:
        packed = pack_rows(own.X, dummy=n_rows - 1, dtype=dtype, fields=part)
        rows = [device_rows(block, own.y, own.weight, dtype) for block in packed.blocks]
    charge = charges(frequency, settings.l2_frequency_power, scale) * frequency[:, None]
    charge = padded(charge[columns], n_rows, dtype)
    full = _start_table(model, columns, table_rows(X.shape[1]), warm[0] if warm else None, scale, settings)
    table = np.zeros((n_rows, model.width), dtype=dtype)
    table[: columns.size] = full[columns]
    dense, averages = _start_dense(model, base_score, warm, settings)
    validate = None
    if validation is not None:
        validate = validator(model, loss, narrowed(validation), part, dtype, n_rows - 1, None, score_raw)
    progress = Progress()
    with interrupt_later() as interrupted:
        watcher = _Watcher(validate, averages, progress, settings.loop, report, interrupted)
        table, dense, message = minimize(
            Program(model, loss),
            table,
            dense,
            averages,
            rows,
            charge,
            _hyper(settings, model),
            max_iter=settings.loop.max_iter,
            tol=settings.loop.tol,
            on_iteration=watcher,
        )
    # A warm start at the optimum has no iteration to record.
    progress.history = progress.history or {"loss": [], "time": []}
    if interrupted:
        warn_interrupted(progress.n_iter)
    if watcher.best is not None:
        table, dense = watcher.best
    full[columns] = table[: columns.size]
    return FitResult(_finished(full, scale, dense, averages), progress, None, message)


class _Watcher:
    """Record each iteration, keep the best weights, stop when the validation score does."""

    def __init__(self, validate, averages, progress, settings, report, interrupted):
        self.validate, self.averages, self.progress = validate, averages, progress
        self.settings, self.report, self.interrupted = settings, report, interrupted
        self.began = time.perf_counter()
        self.best, self.best_score, self.waited = None, -np.inf, 0

    def __call__(self, table, dense, data_term):
        self.progress.n_iter += 1
        weights = table, dense, self.averages
        scores = validation_scores(self.validate, weights, self.interrupted)
        score = scores.pop("score", None)
        self.progress.add(loss=data_term, **scores, time=time.perf_counter() - self.began)
        self.began = time.perf_counter()
        self.report(self.progress, self.settings.max_iter)
        if self.interrupted:
            raise StopIteration
        if score is None:
            return
        self.waited = 0 if score > self.best_score + self.settings.tol else self.waited + 1
        if score > self.best_score:
            self.best, self.best_score = jax.tree.map(np.copy, (table, dense)), score
        if self.waited >= self.settings.n_iter_no_change:
            raise StopIteration
