"""Weights of columns that are brought to other units."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from skfm.data.units import Units
from skfm.models.base import Weights, fold_terms
from skfm.train.problem import Parameters, Problem, Trained
from skfm.train.state import first_deviation, first_rows

# What so many rows, or fewer, say of values is no guide to values twice as far out.
_FEW_ROWS = 10
# Share of the usual size of first factors below which factors hardly learn.
_SMALL = 0.1
# Ratios of units are cut off here, where weights are 0.
_LARGEST = 1e140


def takes_shift(problem: Problem) -> bool:
    """Whether weights for columns less other centers can be those of the same function of x."""
    model, fields = problem.model, problem.fields
    shares_rows = fields is not None and fields.rows is not None
    return model.fit_intercept and not model.hints.without_linear and model.takes_shift(shares_rows)


def in_units(
    parameters: Parameters, found: Units, trained: Trained, problem: Problem, n_epochs: int = 0
) -> tuple[Parameters, np.ndarray]:
    """Parameters for columns in other units, and the factor of the scale of each row of the table.

    The function of x stays the same, with three exceptions: what few rows have said of small values is no
    guide to values a hundred times larger, and such weights shrink; in quite other units, factors that are
    much smaller than first ones, and would not learn, are first ones; and where no terms of the model can
    take the shift of a center, its linear term alone does.

    Parameters
    ----------
    found : the other units
    trained : the columns that the parameters are for; all others have no weights, or those of another column
    n_epochs : epochs done
    """
    (units, n_touching), table = trained, parameters.table
    n_columns, ratios = n_touching.size, np.ones(len(table))
    columns = np.empty(0, dtype=int)
    if not (units.scale is None and found.scale is None):
        columns = np.flatnonzero(units.differs(found, n_columns, 1.0, 0.0) & (n_touching > 0))
    if not columns.size:
        return Parameters(table, parameters.dense, parameters.averages, found), ratios
    quite = units.differs(found, n_columns) & (n_touching > 0)
    (center, scale), (new_center, new_scale) = units.arrays(n_columns), found.arrays(n_columns)
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.clip(new_scale[columns] / scale[columns], 1 / _LARGEST, _LARGEST)
        shift = center[columns] / new_scale[columns] - new_center[columns] / new_scale[columns]
        shift = np.clip(shift, -_LARGEST, _LARGEST)
        beyond = np.maximum(ratio - 1, 0) * (ratio + 1) + (shift * ratio) ** 2
        beyond[~quite[columns]] = 0
        factor = ratio / (1 + beyond / n_touching[columns] * _FEW_ROWS)
    table, all_shifts = table.copy(), np.zeros(n_columns)
    table[columns] *= factor[:, None]
    all_shifts[columns], ratios[columns] = shift, ratio
    dense, averages = parameters.dense, parameters.averages
    if all_shifts.any():
        dense, averages = _shifted(Parameters(table, dense, averages), all_shifts, problem)
    _renew_small(table, np.flatnonzero(quite), problem, n_epochs)
    return Parameters(table, dense, averages, found), ratios


def _renew_small(table: np.ndarray, columns: np.ndarray, problem: Problem, n_epochs: int) -> None:
    """Put first values in the place of factors of the columns that are much smaller than these."""
    model, init_scale = problem.model, problem.priors[0].init_scale
    rows = table[columns]
    rng = np.random.default_rng([problem.seed, 6, n_epochs])
    renewed = model.split(first_rows(model, columns.size, init_scale, rng, table.dtype))
    for name, of_table in model.tables().items():
        vectors = model.split(rows)[name]
        usual = first_deviation(of_table, init_scale) * np.sqrt(of_table.shape[-1])
        small = np.linalg.norm(vectors, axis=-1, keepdims=True) < _SMALL * usual
        vectors[:] = np.where(small, renewed[name], vectors)
    table[columns] = rows


def _shifted(parameters: Parameters, shift: np.ndarray, problem: Problem) -> tuple[Any, Any]:
    """Dense weights and averages, with a table changed in place, of the same function of ``x - shift``."""
    model, fields = problem.model, problem.fields
    numbers = np.zeros(shift.size, np.int32) if fields is None else fields.numbers
    rows = slice(shift.size) if fields is None or fields.rows is None else fields.rows
    views = model.split(parameters.table)
    leaves = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), parameters.dense)
    weights = Weights(
        {name: view[rows].astype(np.float64) for name, view in views.items()},
        leaves,
        jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), parameters.averages),
    )
    with np.errstate(over="ignore", invalid="ignore"):
        move = model.recentred if takes_shift(problem) else _linear_recentred
        tables, dense, averages = move(weights, shift, numbers)
    for name, view in views.items():
        view[rows] = tables[name]
    return jax.tree.map(
        lambda leaf, known: leaf.astype(np.asarray(known).dtype),
        (dense, averages),
        (parameters.dense, parameters.averages),
    )


def _linear_recentred(weights: Weights, shift: np.ndarray, fields: np.ndarray) -> Weights:
    """Weights whose linear term is that of ``x - shift``."""
    tables, dense, averages = weights
    if "linear" not in tables or "intercept" not in dense["offsets"]:
        return weights
    return Weights(*fold_terms(tables, dense, 0.0, shift), averages)
