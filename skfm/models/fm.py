"""Factorization machine (Rendle 2010)."""

from __future__ import annotations

from dataclasses import dataclass

from skfm.models.base import Model, Table


@dataclass(frozen=True)
class FM(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_{s<t} <v_{i_s}, v_{i_t}> x_s x_t``, factors an output."""

    n_factors: int = 10
    fit_linear: bool = True

    def tables(self):
        tables = {"linear": Table((self.n_outputs,), "linear", "zero")} if self.fit_linear else {}
        return tables | {"factors": Table((self.n_outputs, self.n_factors), "factors", "scale")}

    def cross_features(self, slots):
        """(B, n_outputs, n_factors) vector whose sum over the factors is the second-order term."""
        return slots.pairs["factors"]

    def forward(self, slots, dense, averages, batch, training):
        raw = slots.interactions("factors") + self.intercept(dense)
        if self.fit_linear:
            raw = raw + slots.sums["linear"]
        return raw, averages
