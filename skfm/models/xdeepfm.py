"""xDeepFM (Lian 2018): a compressed interaction network beside a linear term and a perceptron."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from skfm.layers.mlp import ACTIVATIONS, glorot_uniform
from skfm.models.fieldwise import NetworkModel


@dataclass(frozen=True)
class XDeepFM(NetworkModel):
    """``raw(x) = b + sum_s x_s w_{i_s} + c^T [sum_k X^1, .., sum_k X^L] + MLP([E_1 .. E_F])``.

    ``X^l_h = activation(sum_{i,f} W^l_{h,i,f} X^{l-1}_i * X^0_f)`` with ``X^0 = [E_1 .. E_F]``.
    """

    cin_layer_sizes: tuple[int, ...] = (32, 32)
    cin_activation: str = "identity"

    def numbers_of_row(self, n_slots):
        return self.n_embedded * max(self.cin_layer_sizes, default=0)

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        before = self.n_fields
        for layer, size in enumerate(self.cin_layer_sizes):
            maps = glorot_uniform(rng, before * self.n_fields, size)
            dense["weights"][f"cin_{layer}"] = maps.T.reshape(size, before, self.n_fields)
            before = size
        if self.cin_layer_sizes:
            dense["weights"]["cin_output"] = glorot_uniform(rng, sum(self.cin_layer_sizes), self.n_outputs)
        return dense

    def interactions(self, embeddings, dense):
        """(B, sum of the sizes) numbers of all layers."""
        # Factors before fields: so each layer is one matrix product, and other orders take ten times as long.
        embeddings = embeddings.transpose(0, 2, 1)
        x, pooled = embeddings, []
        for layer, size in enumerate(self.cin_layer_sizes):
            maps = dense["weights"][f"cin_{layer}"].transpose(1, 0, 2).reshape(x.shape[2], -1)
            mapped = (x @ maps).reshape(*x.shape[:2], size, self.n_fields)
            x = ACTIVATIONS[self.cin_activation]((mapped * embeddings[:, :, None]).sum(axis=3))
            pooled.append(x.sum(axis=1))
        return jnp.concatenate(pooled, axis=1)

    def forward(self, slots, dense, averages, batch, training):
        embeddings = self.embeddings(slots, batch)
        raw = self.linear(slots, dense)
        if self.cin_layer_sizes:
            raw = raw + self.interactions(embeddings, dense) @ dense["weights"]["cin_output"]
        inputs = self.side_by_side(embeddings)
        deep, averages = self.network(inputs, dense, averages, batch.weight, training)
        return raw + deep, averages
