"""Neural factorization machine (He and Chua 2017): a perceptron on the second-order vector."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from skfm.layers.mlp import dropout, moments, normalize, of_mapped_inputs
from skfm.models.base import Hints
from skfm.models.fieldwise import NetworkModel

# Beside the numbers of the layers.
_DROPOUT = 1000


@dataclass(frozen=True, kw_only=True)
class NFM(NetworkModel):
    """``raw(x) = b + sum_s x_s w_{i_s} + MLP(BI(x))`` with ``BI = 1/2 [(sum_s e_s)^2 - sum_s e_s^2]``.

    Batch norm and dropout act on BI as well.
    """

    @property
    def hints(self):
        return Hints(pools=False, of_sums="JAX")

    @property
    def n_inputs(self):
        return self.n_factors

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        if self.network.batch_norm:
            dense["offsets"] |= {
                "gain_cross": np.ones(self.n_factors),
                "bias_cross": np.zeros(self.n_factors),
            }
        return dense

    def init_averages(self):
        averages = super().init_averages()
        if self.network.batch_norm:
            averages |= {"mean_cross": np.zeros(self.n_factors), "variance_cross": np.ones(self.n_factors)}
        return averages

    def attributes(self, dense, averages):
        found = super().attributes(dense, averages)
        if not self.network.batch_norm:
            return found
        mean, scale = moments("{}_cross", averages)
        gain = dense["offsets"]["gain_cross"] / scale
        return of_mapped_inputs(found, gain, dense["offsets"]["bias_cross"] - mean * gain)

    def forward(self, slots, dense, averages, batch, training):
        cross, offsets = slots.pairs["factors"], dense["offsets"]
        if self.network.batch_norm:
            cross, averages = normalize(cross, "{}_cross", averages, batch.weight, training)
            cross = cross * offsets["gain_cross"] + offsets["bias_cross"]
        if self.network.dropout and training is not None:
            cross = dropout(cross, training.dropout, jax.random.fold_in(training.key, _DROPOUT))
        deep, averages = self.network(cross, dense, averages, batch.weight, training)
        return self.linear(slots, dense) + deep, averages
