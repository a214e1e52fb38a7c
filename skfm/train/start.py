"""First weights of a fit, and weights back in the units of X: what all methods of skfm share."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from skfm.data.batches import Samples
from skfm.data.pack import table_rows
from skfm.data.statistics import ColumnStatistics
from skfm.data.validate import row_pieces
from skfm.models.base import Model
from skfm.runtime import physical_memory
from skfm.train.problem import Parameters, Prior, Problem
from skfm.train.state import Hyper, first_rows, on_device, random_key, to_numpy

# Bytes a column that statistics, scales and fields take at least, of ones and of other values.
_OF_ONES, _OF_VALUES = 22, 48
# Rows whose losses are computed at once.
_ROWS_AT_ONCE = 1 << 18


def shared_rows(problem: Problem) -> np.ndarray | None:
    """Row of the tables that each column uses, or None where each has its own."""
    return None if problem.fields is None else problem.fields.rows


def column_scale(problem: Problem, statistics: ColumnStatistics) -> np.ndarray | None:
    """What columns are divided by in training, or None."""
    own_units, fields = problem.model.hints.own_units, problem.fields
    scale = statistics.scale(shared_rows(problem))
    if scale is not None and own_units and fields is not None:
        in_own_units = np.isin(fields.numbers, own_units)
        if fields.rows is not None:
            # And columns of other fields that use the same rows of the tables.
            in_own_units = np.isin(fields.rows, fields.rows[in_own_units])
        scale[in_own_units] = 1
    return scale


def check_memory(X, width: int, dtype: np.dtype) -> None:
    """Raise ValueError if a table and the optimizer's state, or the columns' statistics, do not fit.

    Parameters
    ----------
    X : rows to learn from, a matrix or on disk
    width : numbers of a row of the table, or fewer while fields are not known
    """
    n_rows, of_statistics = table_rows(X.shape[1]), _OF_ONES
    if not all(bool(np.all(piece.data == 1)) for _, piece in row_pieces(X)):
        of_statistics = _OF_VALUES
    of_row = width * dtype.itemsize
    needed, available = n_rows * max(2 * of_row, of_row + of_statistics), physical_memory()
    if available is not None and needed > available:
        raise ValueError(
            f"The weights of {n_rows} columns, {width} numbers each or more, the optimizer's state and the "
            f"columns' statistics take {needed / 1e9:.3g} GB at least, and the machine has "
            f"{available / 1e9:.3g} GB. Give fewer factors, or fewer columns, with FieldEncoder(hash=...) or "
            f"sklearn.feature_extraction.FeatureHasher(n_features=...) for instance."
        )


def base_score(problem: Problem) -> np.ndarray:
    """Raw prediction without features, in the loss's terms."""
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


def start_table(problem: Problem, init_scale: float, columns: np.ndarray, scale) -> np.ndarray:
    """First table (n_rows, W): random rows for `columns`, else zeros, but for tables taken over."""
    model, dtype = problem.model, problem.dtype
    rng = np.random.default_rng([problem.seed, 0])
    table = np.zeros((table_rows(problem.train.X.shape[1]), model.width), dtype)
    table[columns] = first_rows(model, columns.size, init_scale, rng, dtype)
    views = model.split(table)
    for name, known in ({} if problem.start is None else problem.start.tables).items():
        # Rows of zeros were never trained.
        trained = np.flatnonzero(known.reshape(known.shape[0], -1).any(axis=1))
        factor = 1 if scale is None else scale[trained].reshape(-1, *[1] * (known.ndim - 1))
        views[name][trained] = known[trained] * factor
    return table


def start_dense(problem: Problem, score: np.ndarray) -> tuple[Any, Any]:
    """First dense weights and running averages."""
    model, start = problem.model, problem.start
    rng = np.random.default_rng([problem.seed, 1])
    dense, averages = model.init(rng, score), model.init_averages()
    if start is not None and start.dense is not None:
        dense, averages = start.dense, start.averages
    return jax.tree.map(lambda leaf: np.asarray(leaf, problem.dtype), (dense, averages))


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


def finished(table: np.ndarray, scale, dense, averages) -> Parameters:
    """Parameters for rows in the units of X."""
    if scale is not None:
        table[: scale.size] /= scale[:, None].astype(table.dtype)
    return Parameters(table, to_numpy(dense), to_numpy(averages))
