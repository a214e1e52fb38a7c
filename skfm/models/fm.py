"""Factorization machine (Rendle 2010)."""

from __future__ import annotations

from dataclasses import dataclass

from skfm.layers.pairwise import pairwise_products
from skfm.models.base import Model, Table, scaled


@dataclass(frozen=True)
class FM(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_{s<t} <v_{i_s}, v_{i_t}> x_s x_t``, factors an output."""

    n_factors: int = 10
    fit_linear: bool = True

    def tables(self):
        tables = {"linear": Table((self.n_outputs,), "linear", "zero")} if self.fit_linear else {}
        return tables | {"factors": Table((self.n_outputs, self.n_factors), "factors", "scale")}

    def cross_features(self, rows, batch):
        """(B, n_outputs, n_factors) vector whose sum over the factors is the second-order term."""
        return pairwise_products(scaled(rows["factors"], batch.values))

    def forward(self, rows, dense, averages, batch, training):
        raw = self.cross_features(rows, batch).sum(axis=-1) + self.intercept(dense)
        if self.fit_linear:
            raw = raw + scaled(rows["linear"], batch.values).sum(axis=1)
        return raw, averages
