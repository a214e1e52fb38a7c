"""Losses and scores of held-out rows, to stop on."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from skfm.data.pack import choose_layout, layout_to_predict, pack_rows
from skfm.data.spool import ahead
from skfm.data.units import Units, check_range, standardized
from skfm.train.predict import cut, loss_sum, map_pieces
from skfm.train.problem import Problem
from skfm.train.state import on_device, rows_of_block


def validator(problem: Problem, dummy: int, units: Units):
    """Function of (table, dense, averages) that gives the monitored score and what to record.

    Parameters
    ----------
    dummy : row of the table that unused slots point to
    units : those that the columns of the rows are brought to
    """
    model, loss, held_out = problem.model, problem.loss, problem.held_out
    fields, dtype = problem.fields, problem.dtype
    if held_out is None:
        return None
    # Rows in memory are packed once, rows on disk each time: with values, as all rows that are predicted.
    layout = None
    if not sparse.issparse(held_out.X):
        layout = choose_layout(held_out.X, fields, units)._replace(all_ones=False)

    def packed(first, X):
        """Positions of the rows, and the rows in pieces."""
        X = standardized(X, units)
        check_range(X, dtype)
        of_rows = layout or layout_to_predict(X, fields)
        blocks = pack_rows(X, dummy=dummy, dtype=dtype, fields=fields, layout=of_rows).blocks
        pieces = [piece for block in blocks for piece in cut(rows_of_block(block))]
        return first + np.concatenate([block.rows for block in blocks]), pieces

    kept = None
    if sparse.issparse(held_out.X):
        positions, pieces = packed(0, held_out.X)
        kept = [(positions, [(n_valid, on_device(piece)) for n_valid, piece in pieces])]
    total = held_out.weight.sum()

    def validate(weights):
        raw = np.empty((held_out.X.shape[0], model.n_outputs), dtype)
        for positions, pieces in kept or ahead(packed(*piece) for piece in held_out.X.pieces()):
            # Not in the thread that packs: precision is set for this one.
            placed = pieces if kept else ((n_valid, on_device(piece)) for n_valid, piece in pieces)
            raw[positions] = map_pieces(type(model).raw_prediction, model, weights, placed)
        value = loss_sum(loss, raw, held_out.y, held_out.weight) / total
        scores = {"validation_loss": value, "score": -value}
        if problem.score is not None:
            scores["score"] = scores["validation_score"] = problem.score(raw)
        return scores

    return validate
