"""First weights of a fit, and the units of its columns: what all methods of skfm share."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from skfm.data.batches import Samples
from skfm.data.pack import table_rows
from skfm.data.statistics import ColumnStatistics
from skfm.data.units import Units
from skfm.models.base import Model
from skfm.train.problem import Parameters, Prior, Problem, Trained
from skfm.train.rescale import in_units, takes_shift
from skfm.train.state import Hyper, first_rows, on_device, random_key

# Units that differ by less, in scale and center, do by rounding: calls with the same rows change nothing.
_ROUNDING = 1 + 1e-9, 1e-9
# Rows whose losses are computed at once.
_ROWS_AT_ONCE = 1 << 18


def shared_rows(problem: Problem) -> np.ndarray | None:
    """Row of the tables that each column uses, or None where each has its own."""
    return None if problem.fields is None else problem.fields.rows


def column_units(problem: Problem, statistics: ColumnStatistics, trained: Trained | None) -> Units:
    """Units that columns are trained in.

    Where the model has no terms that could take the shift of a center, it stays while it is about right.

    Parameters
    ----------
    trained : columns that have weights, or None
    """
    shared, may_be = shared_rows(problem), _may_be_centred(problem)
    center = np.where(may_be, statistics.offsets(), 0)

    def around(center: np.ndarray) -> Units:
        scale, centred = statistics.scale(shared), center != 0
        if centred.any():
            scale = np.ones(center.size) if scale is None else scale
            scale[centred] = statistics.distances(center)[centred]
        if scale is not None:
            scale[in_own_units(problem)] = 1
        return Units(center if centred.any() else None, scale)

    found = around(center)
    if trained is None or (trained.units.scale is None and found.scale is None):
        return found
    units, n_columns = trained.units, center.size
    has_weights = trained.n_touching > 0
    if units.center is not None and not takes_shift(problem):
        stays = may_be & has_weights & ~units.differs(found, n_columns)
        found = around(np.where(stays, units.arrays(n_columns)[0], center))
    touched = statistics.touched if shared is None else statistics.touched[shared]
    silent = Units(None, units.scale)
    found = found.replaced(has_weights & (touched == 0), silent)
    return units.replaced(~has_weights | units.differs(found, n_columns, *_ROUNDING), found)


def in_own_units(problem: Problem) -> np.ndarray:
    """Columns that the model takes as they are."""
    own_units, fields = problem.model.hints.own_units, problem.fields
    if not own_units or fields is None:
        return np.zeros(problem.train.X.shape[1], dtype=bool)
    found = np.isin(fields.numbers, own_units)
    # And columns of other fields that use the same rows of the tables.
    return found if fields.rows is None else np.isin(fields.rows, fields.rows[found])


def _may_be_centred(problem: Problem) -> np.ndarray:
    """Columns that every row may have an entry in: alone in their row of the tables.

    Without an intercept or linear terms the shift would have nowhere to go.
    """
    fields, n_columns = problem.fields, problem.train.X.shape[1]
    if problem.model.hints.without_linear or not problem.model.fit_intercept:
        return np.zeros(n_columns, dtype=bool)
    allowed = ~in_own_units(problem)
    if fields is not None and fields.rows is not None:
        allowed &= np.bincount(fields.rows, minlength=n_columns)[fields.rows] == 1
    return allowed


def standard_frequency(statistics: ColumnStatistics, units: Units) -> np.ndarray:
    """Share of the weight whose rows touch each column in these units: all touch a centred column."""
    frequency = statistics.frequency
    return frequency if units.center is None else np.where(units.center != 0, 1.0, frequency)


def check_representable(problem: Problem) -> None:
    """Raise ValueError if a parameter is too large for the precision of the weights."""
    schedule, dtype = problem.schedule, problem.dtype
    rates = {"learning_rate": schedule.learning_rate, "wide_learning_rate": schedule.linear_learning_rate}
    for name, value in (problem.priors[0]._asdict() | rates).items():
        if value is not None and not value <= float(np.finfo(dtype).max):
            raise ValueError(
                f"{name}={value:.3g} is more than {dtype.name}, the precision of the weights, can hold. "
                f"Give a smaller value."
            )


def base_score(problem: Problem) -> np.ndarray:
    """Raw prediction without features, in the loss's terms."""
    if problem.base_score is not None:
        return problem.base_score
    loss, (_, y, weight) = problem.loss, problem.train
    return loss.base_score(loss.statistics(y, weight))


def base_loss(loss, samples: Samples, score: np.ndarray) -> float:
    """Weighted mean loss of the raw prediction without features."""
    total, raw = 0.0, np.asarray(score, dtype=np.float64)
    for first in range(0, samples.y.shape[0], _ROWS_AT_ONCE):
        chunk = slice(first, first + _ROWS_AT_ONCE)
        y = samples.y[chunk]
        total += float(loss.value(y, np.tile(raw, (y.shape[0], 1))) @ samples.weight[chunk])
    return total / float(samples.weight.sum())


def first_parameters(
    problem: Problem, init_scale: float, columns: np.ndarray, units: Units, score: np.ndarray
) -> Parameters:
    """First parameters: of random rows for `columns`, else of zeros, but for what is taken over.

    Parameters
    ----------
    units : that the columns are trained in
    score : raw prediction without features
    """
    model, start, dtype = problem.model, problem.start, problem.dtype
    n_columns = problem.train.X.shape[1]
    first = Parameters(
        np.zeros((table_rows(n_columns), model.width), dtype), *_first_dense(problem, score), units
    )
    # Rows of zeros were never trained.
    known = {name: np.zeros(n_columns, dtype=bool) for name in model.tables()}
    if start is not None:
        for name, table in start.tables.items():
            model.split(first.table)[name][: len(table)] = table
            known[name][: len(table)] = table.reshape(len(table), -1).any(axis=1)
        first, _ = in_units(first, units, start.trained(n_columns), problem)
    rng = np.random.default_rng([problem.seed, 0])
    rows = model.split(first_rows(model, columns.size, init_scale, rng, dtype))
    for name, view in model.split(first.table).items():
        fresh = ~known[name][columns]
        view[columns[fresh]] = rows[name][fresh]
    dense, averages = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (first.dense, first.averages))
    return Parameters(first.table, dense, averages, units)


def _first_dense(problem: Problem, score: np.ndarray) -> tuple[Any, Any]:
    """First dense weights and running averages."""
    model, start = problem.model, problem.start
    rng = np.random.default_rng([problem.seed, 1])
    dense, averages = model.init(rng, score), model.init_averages()
    if start is not None:
        # Some of them, or all.
        dense = {role: leaves | (start.dense or {}).get(role, {}) for role, leaves in dense.items()}
        averages = averages | (start.averages or {})
    return dense, averages


def hyper_parameters(problem: Problem, prior: Prior) -> Hyper:
    """What compiled programs are given, on the device."""
    model, schedule, dtype = problem.model, problem.schedule, problem.dtype
    l1 = {"linear": prior.l1_linear, "factors": 0.0}
    l2 = {"linear": prior.l2_linear, "factors": prior.l2_factors}
    lanes = [_per_lane(model, strengths).astype(dtype) for strengths in (l1, l2)]
    linear_rate = None
    if schedule.linear_learning_rate is not None:
        linear_rate = np.asarray(schedule.linear_learning_rate / schedule.learning_rate, dtype)
    l2_dense, dropout = (np.asarray(value, dtype) for value in (prior.l2_dense, problem.dropout))
    key = random_key(problem.seed)
    return on_device(Hyper((lanes[0], lanes[1]), l2_dense, dropout, key, linear_rate))


def _per_lane(model: Model, strengths: dict[str, float]) -> np.ndarray:
    """Strength of a penalty for each number of a row of the table."""
    return model.per_lane(lambda table: strengths[table.penalty])
