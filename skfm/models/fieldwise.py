"""What models on the embeddings of fields share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfm.layers.mlp import MLP
from skfm.layers.pairwise import pool_fields
from skfm.models.base import Hints, Model, Table, Weights

_NETWORK = MLP()


@dataclass(frozen=True, kw_only=True)
class FieldModel(Model):
    """A linear term, and something on the embeddings ``E_f = sum_{s in field f} x_s v_{i_s}``.

    The outputs share the embeddings.

    Attributes
    ----------
    n_factors : numbers k of an embedding
    """

    n_factors: int = 10

    @property
    def hints(self):
        return Hints(pools=False)

    def tables(self):
        return {
            "linear": Table((self.n_outputs,), "linear", "zero"),
            "factors": Table((self.n_factors,), "factors", "scale"),
        }

    def embeddings(self, slots, batch):
        """(B, F, k) embeddings of the fields."""
        return pool_fields(slots["factors"], batch.slot_fields, self.n_fields)

    @property
    def n_embedded(self) -> int:
        """Numbers in all embeddings of a row."""
        return self.n_fields * self.n_factors

    def constants(self, table: np.ndarray, values: np.ndarray, fields: np.ndarray) -> np.ndarray:
        """(F k,) embeddings of a row in which each column has one of the values (n_columns,)."""
        sums = np.zeros((self.n_fields, *table.shape[1:]))
        np.add.at(sums, fields, values[:, None] * table)
        return sums.reshape(-1)

    def side_by_side(self, embeddings):
        """(B, F k) all embeddings of a row as one vector."""
        return embeddings.reshape(embeddings.shape[0], self.n_embedded)

    def linear(self, slots, dense):
        """(B, n_outputs) linear term with the intercept."""
        return self.intercept(dense) + slots.sums["linear"]


@dataclass(frozen=True, kw_only=True)
class NetworkModel(FieldModel):
    """A model of fields with hidden layers and a map to the outputs.

    Attributes
    ----------
    network : hidden layers
    """

    network: MLP = _NETWORK

    @property
    def n_inputs(self) -> int:
        """Numbers that go into the network."""
        return self.n_embedded

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        weights, offsets = self.network.init(rng, self.n_inputs, self.n_outputs)
        dense["weights"] |= weights
        dense["offsets"] |= offsets
        return dense

    def init_averages(self):
        return self.network.init_averages()

    def normalized(self):
        return replace(self, network=self.network.normalized())

    def attributes(self, dense, averages):
        return self.network.attributes(dense, averages)

    def network_moved(self, weights: Weights, by: np.ndarray) -> Weights:
        """Weights whose network is that of its inputs plus some numbers (n_inputs,)."""
        tables, dense, averages = weights
        dense, averages, more = self.network.moved(dense, averages, by)
        offsets = dense["offsets"]
        offsets = offsets | {"intercept": offsets["intercept"] + more}
        return Weights(tables, dense | {"offsets": offsets}, averages)
