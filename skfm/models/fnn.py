"""Factorization-machine supported neural network (Zhang 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from skfm.layers.pairwise import pool_fields
from skfm.models.fieldwise import NetworkModel


@dataclass(frozen=True, kw_only=True)
class FNN(NetworkModel):
    """``raw(x) = b + MLP([w_1, E_1 .. w_F, E_F])`` with ``w_f`` the linear term of field f, one an output."""

    @property
    def hints(self):
        # Embeddings come trained: large steps of the network would spoil them.
        return super().hints._replace(slow_first_steps=True)

    @property
    def n_inputs(self):
        return self.n_fields * (self.n_outputs + self.n_factors)

    def takes_shift(self, shares_rows):
        return True

    def recentred(self, weights, shift, fields):
        both = np.concatenate([weights.tables["linear"], weights.tables["factors"]], axis=1)
        return self.network_moved(weights, -self.constants(both, shift, fields))

    def forward(self, slots, dense, averages, batch, training):
        linear = pool_fields(slots["linear"], batch.slot_fields, self.n_fields)
        both = jnp.concatenate([linear, self.embeddings(slots, batch)], axis=2)
        inputs = both.reshape(both.shape[0], self.n_inputs)
        deep, averages = self.network(inputs, dense, averages, batch.weight, training)
        return self.intercept(dense) + deep, averages
