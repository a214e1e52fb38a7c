"""A new model."""

from __future__ import annotations

from dataclasses import dataclass

from skfm.models.base import Model, Table


@dataclass(frozen=True, kw_only=True)
class Quadratic(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_k d_k (sum_s x_s v_{i_s, k})^2`` (Livni 2014)."""

    n_factors: int = 2

    def tables(self):
        linear = Table((self.n_outputs,), "linear", "zero")
        return {"linear": linear, "factors": Table((self.n_factors,), "factors", "scale")}

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        dense["weights"]["squares"] = rng.normal(size=(self.n_factors, self.n_outputs))
        return dense

    def attributes(self, dense, averages):
        return {"squares_": dense["weights"]["squares"]}

    def forward(self, slots, dense, averages, batch, training):
        squares = slots.sums["factors"] ** 2 @ dense["weights"]["squares"]
        return self.intercept(dense) + slots.sums["linear"] + squares, averages
