"""xDeepFM (Lian 2018): a compressed interaction network beside a linear term and a perceptron."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from skfm.layers.mlp import ACTIVATIONS, glorot_uniform
from skfm.layers.pairwise import circle_pairs, circle_products
from skfm.models.fieldwise import NetworkModel


@dataclass(frozen=True, kw_only=True)
class XDeepFM(NetworkModel):
    """``raw(x) = b + sum_s x_s w_{i_s} + c^T [sum_k X^1, .., sum_k X^L] + MLP([E_1 .. E_F])``.

    ``X^l_h = activation(sum_{i,f} W^l_{h,i,f} X^{l-1}_i * X^0_f)`` with ``X^0 = [E_1 .. E_F]``.
    """

    cin_layer_sizes: tuple[int, ...] = (32, 32)
    cin_activation: str = "identity"

    def attributes(self, dense, averages):
        weights = dense["weights"]
        return super().attributes(dense, averages) | {
            "cin_coefs_": [weights[f"cin_{layer}"] for layer in range(len(self.cin_layer_sizes))],
            "cin_output_coef_": weights.get("cin_output", np.zeros((0, self.n_outputs))),
        }

    @property
    def folds_last(self) -> bool:
        """Whether the last layer is added up over its rows before it is made."""
        return self.cin_activation == "identity" and self.n_outputs < self.cin_layer_sizes[-1]

    @property
    def hints(self):
        if not self.cin_layer_sizes:
            return super().hints
        widths = [self.n_fields // 2 + 1, *self.cin_layer_sizes[1:]]
        if self.folds_last and len(widths) > 1:
            widths[-1] = self.n_outputs
        return super().hints._replace(numbers_per_row=self.n_embedded * max(widths))

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

    def first_layer(self, embeddings, maps):
        """(B, k, H) rows of the first layer, whose products are the same in both orders: half the work."""
        first, second = circle_pairs(self.n_fields)
        of_pairs = (maps + maps.transpose(0, 2, 1))[:, first, second]
        maps = jnp.concatenate([jnp.diagonal(maps, axis1=1, axis2=2), of_pairs], axis=1)
        flat = embeddings.reshape(-1, self.n_fields)
        products = jnp.concatenate([jnp.square(flat), circle_products(flat)], axis=1)
        return (products @ maps.T).reshape(*embeddings.shape[:2], -1)

    def next_layer(self, x, embeddings, maps):
        """(B, k, H) rows of the layer after rows `x` (B, k, H before)."""
        mapped = x @ maps.transpose(1, 0, 2).reshape(x.shape[2], -1)
        return (mapped.reshape(*x.shape[:2], -1, self.n_fields) * embeddings[:, :, None]).sum(axis=3)

    def interactions(self, embeddings, dense):
        """(B, n_outputs) what all layers add."""
        # Factors before fields: so each layer is one matrix product, and other orders take ten times as long.
        x = embeddings = embeddings.transpose(0, 2, 1)
        outputs = jnp.split(dense["weights"]["cin_output"], np.cumsum(self.cin_layer_sizes)[:-1])
        raw = 0.0
        for layer, output in enumerate(outputs):
            maps = dense["weights"][f"cin_{layer}"]
            is_folded = self.folds_last and layer == len(outputs) - 1
            if is_folded:
                maps = jnp.einsum("hif,ho->oif", maps, output)
            rows = self.next_layer(x, embeddings, maps) if layer else self.first_layer(embeddings, maps)
            x = ACTIVATIONS[self.cin_activation](rows)
            raw = raw + (x.sum(axis=1) if is_folded else x.sum(axis=1) @ output)
        return raw

    def forward(self, slots, dense, averages, batch, training):
        embeddings = self.embeddings(slots, batch)
        raw = self.linear(slots, dense)
        if self.cin_layer_sizes and self.n_factors:
            raw = raw + self.interactions(embeddings, dense)
        inputs = self.side_by_side(embeddings)
        deep, averages = self.network(inputs, dense, averages, batch.weight, training)
        return raw + deep, averages
