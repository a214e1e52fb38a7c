"""Wide and deep learning (Cheng 2016): a linear model and a perceptron on embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from skfm.models.base import Model, Weights, fold_terms
from skfm.models.fieldwise import NetworkModel


@dataclass(frozen=True, kw_only=True)
class WideDeep(NetworkModel):
    """``raw(x) = b + sum_s x_s w_{i_s} + MLP([E_1 .. E_F])``, or one of the two parts.

    Attributes
    ----------
    parts : "both", "wide" or "deep"
    n_wide_fields : the last fields, which the network does not see
    """

    parts: str = "both"
    n_wide_fields: int = 0

    def tables(self):
        left_out = {"both": "", "wide": "factors", "deep": "linear"}[self.parts]
        return {name: table for name, table in super().tables().items() if name != left_out}

    @property
    def n_embedded(self):
        return (self.n_fields - self.n_wide_fields) * self.n_factors

    def init(self, rng, base_score):
        return Model.init(self, rng, base_score) if self.parts == "wide" else super().init(rng, base_score)

    def init_averages(self):
        return {} if self.parts == "wide" else super().init_averages()

    def attributes(self, dense, averages):
        return {} if self.parts == "wide" else super().attributes(dense, averages)

    def shifted(self, tables, dense, center, fields):
        if self.parts != "wide":
            return None
        return fold_terms(tables, dense, 0.0, center)

    def takes_shift(self, shares_rows):
        return True

    def recentred(self, weights, shift, fields):
        if self.parts == "wide":
            return super().recentred(weights, shift, fields)
        seen = self.constants(weights.tables["factors"], shift, fields)[: self.n_embedded]
        tables, dense, averages = self.network_moved(weights, -seen)
        if self.parts == "both":
            tables, dense = fold_terms(tables, dense, 0.0, shift)
        return Weights(tables, dense, averages)

    def forward(self, slots, dense, averages, batch, training):
        raw = self.intercept(dense) if self.parts == "deep" else self.linear(slots, dense)
        if self.parts == "wide":
            return raw, averages
        seen = self.embeddings(slots, batch)[:, : self.n_fields - self.n_wide_fields]
        deep, averages = self.network(self.side_by_side(seen), dense, averages, batch.weight, training)
        return raw + deep, averages
