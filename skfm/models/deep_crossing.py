"""Deep Crossing (Shan 2016): residual units on the embeddings of the fields."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfm.layers.mlp import ACTIVATIONS, MLP, glorot_uniform
from skfm.models.base import Table, Weights
from skfm.models.fieldwise import FieldModel

_UNITS = MLP()


@dataclass(frozen=True, kw_only=True)
class DeepCrossing(FieldModel):
    """``raw(x) = b + c^T x_L`` with ``x_{l+1} = activation(x_l + W' activation(W x_l + c) + c')``.

    ``x_0 = [E_1 .. E_F]``; each unit has two layers, the inner one of any width.

    Attributes
    ----------
    network : inner layers of the units
    """

    network: MLP = _UNITS

    def tables(self):
        return {"factors": Table((self.n_factors,), "factors", "scale")}

    def unit(self, number: int) -> MLP:
        """The two layers of a unit."""
        return replace(self.network, sizes=self.network.sizes[number : number + 1], name=f"unit_{number}_")

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        for number in range(len(self.network.sizes)):
            weights, offsets = self.unit(number).init(rng, self.n_embedded, self.n_embedded)
            dense["weights"] |= weights
            dense["offsets"] |= offsets | {f"unit_{number}_bias": np.zeros(self.n_embedded)}
        dense["weights"]["output"] = glorot_uniform(rng, self.n_embedded, self.n_outputs)
        return dense

    def init_averages(self):
        averages: dict[str, np.ndarray] = {}
        for number in range(len(self.network.sizes)):
            averages |= self.unit(number).init_averages()
        return averages

    def normalized(self):
        return replace(self, network=self.network.normalized())

    def attributes(self, dense, averages):
        weights, offsets = dense["weights"], dense["offsets"]
        coefs, intercepts = [], []
        for number in range(len(self.network.sizes)):
            unit = self.unit(number).attributes(dense, averages)
            coefs += unit["coefs_"]
            intercepts += [unit["intercepts_"][0], offsets[f"unit_{number}_bias"]]
        return {
            "coefs_": [*coefs, weights["output"]],
            "intercepts_": [*intercepts, np.zeros(self.n_outputs)],
        }

    def takes_shift(self, shares_rows):
        return True

    def recentred(self, weights, shift, fields):
        tables, dense, averages = weights
        by = -self.constants(tables["factors"], shift, fields)
        if self.network.sizes:
            dense, averages, _ = self.unit(0).moved(dense, averages, by)
            name, more = "unit_0_bias", by
        else:
            name, more = "intercept", by @ dense["weights"]["output"]
        offsets = dense["offsets"]
        return Weights(tables, dense | {"offsets": offsets | {name: offsets[name] + more}}, averages)

    def forward(self, slots, dense, averages, batch, training):
        x = self.side_by_side(self.embeddings(slots, batch))
        for number in range(len(self.network.sizes)):
            change, averages = self.unit(number)(x, dense, averages, batch.weight, training)
            x = ACTIVATIONS[self.network.activation](x + change + dense["offsets"][f"unit_{number}_bias"])
        return self.intercept(dense) + x @ dense["weights"]["output"], averages
