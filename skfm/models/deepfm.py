"""DeepFM (Guo 2017): a factorization machine and a perceptron on shared embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfm.models.base import Weights, fold_terms, pairs_with
from skfm.models.fieldwise import NetworkModel


@dataclass(frozen=True, kw_only=True)
class DeepFM(NetworkModel):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_k BI(x)_k + MLP([E_1 .. E_F])``.

    BI is the second-order vector of all slots. With several outputs, the embeddings are shared and BI is
    mapped to the outputs by a (k, n_outputs) matrix.
    """

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        if self.n_outputs > 1:
            dense["weights"]["cross"] = rng.normal(size=(self.n_factors, self.n_outputs))
        return dense

    def attributes(self, dense, averages):
        cross = dense["weights"].get("cross", np.ones((self.n_factors, 1)))
        return super().attributes(dense, averages) | {"cross_coef_": cross}

    def takes_shift(self, shares_rows):
        return True

    def recentred(self, weights, shift, fields):
        factors, cross = weights.tables["factors"], weights.dense["weights"].get("cross")
        by = -self.constants(factors, shift, fields)
        tables, dense, averages = self.network_moved(weights, by)
        cross = np.ones((self.n_factors, 1)) if cross is None else cross
        # Each number of an embedding is a machine with one factor.
        pairs = pairs_with(factors[..., None], shift) @ cross
        return Weights(*fold_terms(tables, dense, pairs, shift), averages)

    def forward(self, slots, dense, averages, batch, training):
        if self.n_outputs > 1:
            cross = slots.pairs["factors"] @ dense["weights"]["cross"]
        else:
            cross = slots.interactions("factors")[:, None]
        inputs = self.side_by_side(self.embeddings(slots, batch))
        deep, averages = self.network(inputs, dense, averages, batch.weight, training)
        return self.linear(slots, dense) + cross + deep, averages
