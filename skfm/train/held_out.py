"""Losses and scores of held-out rows, to stop on."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from skfm.data.pack import choose_layout, pack_rows
from skfm.data.spool import ahead
from skfm.data.validate import scaled
from skfm.train.predict import cut, loss_sum, map_pieces
from skfm.train.state import on_device, rows_of_block


def validator(model, loss, validation, fields, dtype, dummy, scale, score_raw):
    """Function of (table, dense, averages) that gives the monitored score and what to record."""
    if validation is None:
        return None
    layout = choose_layout(validation.X, fields)
    if scale is not None:
        layout = layout._replace(all_ones=False)

    def packed(first, X):
        """Positions of the rows, and the rows in pieces."""
        options = {"dummy": dummy, "dtype": dtype, "fields": fields, "layout": layout}
        blocks = pack_rows(scaled(X, scale), **options).blocks
        pieces = [piece for block in blocks for piece in cut(rows_of_block(block))]
        return first + np.concatenate([block.rows for block in blocks]), pieces

    # Rows in memory are packed once, rows on disk each time.
    kept = None
    if sparse.issparse(validation.X):
        positions, pieces = packed(0, validation.X)
        kept = [(positions, [(n_valid, on_device(piece)) for n_valid, piece in pieces])]
    total = validation.weight.sum()

    def validate(weights):
        raw = np.empty((validation.X.shape[0], model.n_outputs), dtype)
        for positions, pieces in kept or ahead(packed(*part) for part in validation.X.parts()):
            # Not in the thread that packs: precision is set for this one.
            placed = pieces if kept else ((n_valid, on_device(piece)) for n_valid, piece in pieces)
            raw[positions] = map_pieces(type(model).raw_prediction, model, weights, placed)
        value = loss_sum(loss, raw, validation.y, validation.weight) / total
        scores = {"validation_loss": value, "score": -value}
        if score_raw is not None:
            scores["score"] = scores["validation_score"] = score_raw(raw)
        return scores

    return validate
