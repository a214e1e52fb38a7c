"""Linear model: the raw prediction is an intercept plus the sum of the touched weights."""

from __future__ import annotations

from dataclasses import dataclass

from skfm.models.base import Hints, Model, Table, fold_terms


@dataclass(frozen=True, kw_only=True)
class Linear(Model):
    """``raw(x) = b + sum_s x_s w_{i_s}``."""

    @property
    def hints(self):
        return Hints(of_sums="arithmetic", width_of="outputs")

    def tables(self):
        return {"linear": Table((self.n_outputs,), "linear", "zero")}

    def shifted(self, tables, dense, center, fields):
        return fold_terms(tables, dense, 0.0, center)

    def takes_shift(self, shares_rows):
        return True

    def forward(self, slots, dense, averages, batch, training):
        raw = slots.sums["linear"] + self.intercept(dense)
        return raw, averages
