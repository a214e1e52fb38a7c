"""Linear model: the raw prediction is an intercept plus the sum of the touched weights."""

from __future__ import annotations

from dataclasses import dataclass

from skfm.models.base import Model, Table, fold_linear


@dataclass(frozen=True, kw_only=True)
class Linear(Model):
    """``raw(x) = b + sum_s x_s w_{i_s}``."""

    def tables(self):
        return {"linear": Table((self.n_outputs,), "linear", "zero")}

    def degrees(self):
        return {"linear": 1}

    def shifted(self, tables, dense, center, fields):
        offsets = dense["offsets"]
        linear, intercept = fold_linear(tables["linear"], offsets["intercept"], 0.0, center)
        return {"linear": linear}, dense | {"offsets": offsets | {"intercept": intercept}}

    def forward(self, slots, dense, averages, batch, training):
        raw = slots.sums["linear"] + self.intercept(dense)
        return raw, averages
