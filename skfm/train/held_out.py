"""Losses and scores of held-out rows, to stop on."""

from __future__ import annotations

import jax
import numpy as np
from scipy import sparse

from skfm.data.pack import choose_layout, layout_to_predict, pack_rows
from skfm.data.spool import ahead
from skfm.data.units import Units, check_range, standardized
from skfm.native.sums import Columns
from skfm.train.predict import cut, loss_sum, map_pieces, map_sums, takes_sums
from skfm.train.problem import Problem
from skfm.train.state import on_device, rows_of_block


def validator(problem: Problem, dummy: int, units: Units):
    """Function of (table, dense, averages) that gives the monitored score and what to record.

    Parameters
    ----------
    dummy : row of the table that unused slots point to
    units : those that the columns of the rows are brought to
    """
    held_out = problem.held_out
    if held_out is None:
        return None
    X = held_out.X
    predict = (
        _by_sums(problem, X, units) if takes_sums(problem.model) else _by_slots(problem, X, dummy, units)
    )
    total = held_out.weight.sum()

    def validate(weights):
        raw = predict(weights)
        value = loss_sum(problem.loss, raw, held_out.y, held_out.weight) / total
        scores = {"validation_loss": value, "score": -value}
        if problem.score is not None:
            scores["score"] = scores["validation_score"] = problem.score(raw)
        return scores

    return validate


def check_held_out(X: sparse.csr_array, problem: Problem, first_row: int = 0) -> None:
    """Raise ValueError if a value of held-out rows in standard units is too large to compute with."""
    if problem.naming_held_out is None:
        check_range(X, problem.dtype)
        return
    with problem.naming_held_out():
        check_range(X, problem.dtype, first_row)


def _by_sums(problem: Problem, X, units: Units):
    """Function of the weights that gives raw predictions of rows, in memory or on disk."""
    model, fields = problem.model, problem.fields
    columns = Columns(None if fields is None else fields.rows)

    def in_units(first, rows):
        rows = standardized(rows, units)
        check_held_out(rows, problem, first)
        return rows

    # Rows in memory are brought to the units once, rows on disk each time.
    kept = [(0, in_units(0, X))] if sparse.issparse(X) else None

    def predict(weights):
        raw = np.empty((X.shape[0], model.n_outputs), problem.dtype)
        weights = jax.tree.map(np.asarray, weights)
        for first, rows in kept or ahead((first, in_units(first, rows)) for first, rows in X.pieces()):
            raw[first : first + rows.shape[0]] = map_sums(
                type(model).raw_prediction, model, weights, rows, columns
            )
        return raw

    return predict


def _by_slots(problem: Problem, X, dummy: int, units: Units):
    """The same, by the slots of packed rows."""
    model, fields, dtype = problem.model, problem.fields, problem.dtype
    # Rows in memory are packed once, rows on disk each time: with values, as all rows that are predicted.
    layout = None
    if not sparse.issparse(X):
        layout = choose_layout(X, fields, units)._replace(all_ones=False)

    def packed(first, rows):
        """Positions of the rows, and the rows in pieces."""
        rows = standardized(rows, units)
        check_held_out(rows, problem, first)
        of_rows = layout or layout_to_predict(rows, fields)
        blocks = pack_rows(rows, dummy=dummy, dtype=dtype, fields=fields, layout=of_rows).blocks
        pieces = [piece for block in blocks for piece in cut(rows_of_block(block))]
        return first + np.concatenate([block.rows for block in blocks]), pieces

    kept = None
    if sparse.issparse(X):
        positions, pieces = packed(0, X)
        kept = [(positions, [(n_valid, on_device(piece)) for n_valid, piece in pieces])]

    def predict(weights):
        raw = np.empty((X.shape[0], model.n_outputs), dtype)
        for positions, pieces in kept or ahead(packed(*piece) for piece in X.pieces()):
            # Not in the thread that packs: precision is set for this one.
            placed = pieces if kept else ((n_valid, on_device(piece)) for n_valid, piece in pieces)
            raw[positions] = map_pieces(type(model).raw_prediction, model, weights, placed)
        return raw

    return predict
