"""Attentional factorization machine (Xiao 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from skfm.layers.mlp import dropout, glorot_uniform
from skfm.layers.pairwise import circle_pairs, circle_products
from skfm.models.fieldwise import FieldModel


@dataclass(frozen=True, kw_only=True)
class AFM(FieldModel):
    """``raw(x) = b + sum_s x_s w_{i_s} + p^T sum_{f<g} a_fg (E_f * E_g)``.

    The attention ``a = softmax(h^T relu(W (E_f * E_g) + c))`` is over the pairs of fields.
    """

    n_attention: int = 16
    use_dropout: bool = False

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        dense["weights"] |= {
            "attention": glorot_uniform(rng, self.n_factors, self.n_attention),
            "attention_output": glorot_uniform(rng, self.n_attention, 1)[:, 0],
            "output": glorot_uniform(rng, self.n_factors, self.n_outputs),
        }
        dense["offsets"]["attention_bias"] = np.zeros(self.n_attention)
        return dense

    def attributes(self, dense, averages):
        weights = dense["weights"]
        return {
            "attention_coef_": weights["attention"],
            "attention_intercept_": dense["offsets"]["attention_bias"],
            "attention_output_coef_": weights["attention_output"],
            "output_coef_": weights["output"],
        }

    @property
    def hints(self):
        numbers = self.pairs[0].size * max(self.n_factors, self.n_attention)
        return super().hints._replace(numbers_per_row=numbers)

    @property
    def pairs(self):
        """First and second field of each pair."""
        return circle_pairs(self.n_fields)

    def products(self, slots, batch):
        """(B, P, k) products of the embeddings of each pair."""
        return circle_products(self.embeddings(slots, batch))

    def attention(self, slots, dense, averages, batch):
        """(B, P) weights of the pairs of fields, in the order of `pairs`; rows sum to 1."""
        return self.attention_weights(self.products(slots, batch), dense)

    def attention_weights(self, products, dense):
        """(B, P) weights of the products."""
        weights = dense["weights"]
        hidden = jax.nn.relu(products @ weights["attention"] + dense["offsets"]["attention_bias"])
        return jax.nn.softmax(hidden @ weights["attention_output"], axis=1)

    def forward(self, slots, dense, averages, batch, training):
        raw = self.linear(slots, dense)
        if self.n_fields < 2:
            return raw, averages
        products = self.products(slots, batch)
        attention = self.attention_weights(products, dense)
        if self.use_dropout and training is not None:
            attention = dropout(attention, training.dropout, training.key)
        pooled = jnp.einsum("bp,bpk->bk", attention, products)
        return raw + pooled @ dense["weights"]["output"], averages
