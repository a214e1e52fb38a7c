"""A session that goes on with its columns in other units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skfm.data.units import Units
from skfm.models.base import Dense, Folded, fold_linear
from skfm.train.problem import Problem
from skfm.train.state import Session, first_deviation, first_rows

# Units that differ by less, in scale and center, do by rounding: calls with the same rows change nothing.
_ROUNDING = 1 + 1e-9, 1e-9
# What so many rows, or fewer, say of values is no guide to values twice as far out.
_FEW_ROWS = 10
# Share of the usual size of first factors below which factors hardly learn.
_SMALL = 0.1
# Ratios of units are cut off here, where weights are 0.
_LARGEST = 1e140


def in_units(session: Session, found: Units, fresh: np.ndarray, problem: Problem, solver) -> Session:
    """The session with columns in the units that the rows so far have.

    The function of x stays the same, with three exceptions: what few rows have said of small values is no
    guide to values a hundred times larger, and such weights shrink; in quite other units, factors that are
    much smaller than first ones, and would not learn, are first ones; and where no terms of the model can
    take the shift of a center, its linear term alone does.

    Parameters
    ----------
    found : units of the rows so far
    fresh : (n_columns,) columns that no weights are known for
    """
    units = session.units
    if units.scale is None and found.scale is None:
        return session
    n_columns, n_touching = fresh.size, session.statistics.n_touching
    others, quite = units.differs(found, n_columns, *_ROUNDING), units.differs(found, n_columns)
    (center, scale), (new_center, new_scale) = units.arrays(n_columns), found.arrays(n_columns)
    session = replace(session, units=units.replaced(fresh | others, found))
    # All others have no weights, or those of another column.
    others, quite = others & (n_touching > 0), quite & (n_touching > 0)
    columns = np.flatnonzero(others)
    if not columns.size:
        return session
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.clip(new_scale[columns] / scale[columns], 1 / _LARGEST, _LARGEST)
        shift = center[columns] / new_scale[columns] - new_center[columns] / new_scale[columns]
        shift = np.clip(shift, -_LARGEST, _LARGEST)
        beyond = np.maximum(ratio - 1, 0) * (ratio + 1) + (shift * ratio) ** 2
        factor = ratio / (1 + beyond / n_touching[columns] * _FEW_ROWS)
    table, all_shifts = session.state.table.copy(), np.zeros(n_columns)
    table[columns] *= factor[:, None]
    all_shifts[columns] = shift
    if all_shifts.any():
        session = _shifted(session, table[:n_columns], all_shifts, problem, solver)
    _renew_small(table, np.flatnonzero(quite), problem, session.n_epochs)
    ratios = np.ones(len(table))
    ratios[columns] = ratio
    return session.with_table(table, ratios, solver)


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


def _shifted(session: Session, table: np.ndarray, shift: np.ndarray, problem: Problem, solver) -> Session:
    """The session with dense weights, and a table changed in place, of the same function of ``x - shift``."""
    model, fields = problem.model, problem.fields
    numbers = np.zeros(shift.size, np.int32) if fields is None else fields.numbers
    tables = {name: view.astype(np.float64) for name, view in model.split(table).items()}
    dense = {
        role: {name: np.asarray(leaf, np.float64) for name, leaf in leaves.items()}
        for role, leaves in session.state.dense.items()
    }
    folded = None
    # A shift of a column is none of those that share its row of the tables.
    if fields is None or fields.rows is None:
        folded = model.shifted(tables, dense, shift, numbers)
    tables, dense = folded or _linear_shifted(tables, dense, shift)
    for name, view in model.split(table).items():
        view[:] = tables[name]
    return session.with_offsets(dense["offsets"], solver)


def _linear_shifted(tables: dict[str, np.ndarray], dense: Dense, shift: np.ndarray) -> Folded:
    """Tables and dense weights whose linear term is that of ``x - shift``."""
    if "linear" not in tables:
        return tables, dense
    offsets = dense["offsets"]
    linear, intercept = fold_linear(tables["linear"], offsets["intercept"], 0.0, shift)
    return tables | {"linear": linear}, dense | {"offsets": offsets | {"intercept": intercept}}
