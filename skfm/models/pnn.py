"""Product-based neural network (Qu 2016): a perceptron on embeddings and their products."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from skfm.layers.mlp import of_mapped_inputs
from skfm.layers.pairwise import upper_pairs
from skfm.models.base import Table
from skfm.models.fieldwise import NetworkModel

_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class PNN(NetworkModel):
    """``raw(x) = b + MLP([E_1 .. E_F, products])``, products of all pairs f < g of fields.

    "inner": ``<E_f, E_g>``; "outer": ``E_f^T K_fg E_g``, with a k x k kernel a pair; "both".
    """

    product: str = "inner"
    layer_norm: bool = False

    def tables(self):
        return {"factors": Table((self.n_factors,), "factors", "scale")}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Products that are taken."""
        return ("inner", "outer") if self.product == "both" else (self.product,)

    @property
    def n_products(self) -> int:
        """Products of all kinds."""
        return len(self.kinds) * self.n_fields * (self.n_fields - 1) // 2

    @property
    def n_inputs(self):
        return self.n_embedded + self.n_products

    @property
    def hints(self):
        outer = ("outer" in self.kinds) * self.n_products * self.n_factors
        return super().hints._replace(numbers_per_row=self.n_fields**2 + outer)

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        if "outer" in self.kinds:
            # A product starts at the size of the inner one.
            n_pairs = self.n_fields * (self.n_fields - 1) // 2
            kernel = rng.normal(size=(n_pairs, self.n_factors, self.n_factors))
            dense["weights"]["kernel"] = kernel / np.sqrt(max(self.n_factors, 1))
        if self.layer_norm:
            dense["offsets"] |= {
                "gain_products": np.ones(self.n_products),
                "bias_products": np.zeros(self.n_products),
            }
        return dense

    def attributes(self, dense, averages):
        found = super().attributes(dense, averages)
        if self.layer_norm:
            unchanged, offsets = np.ones(self.n_embedded), dense["offsets"]
            gain = np.concatenate([unchanged, offsets["gain_products"]])
            bias = np.concatenate([0 * unchanged, offsets["bias_products"]])
            found = of_mapped_inputs(found, gain, bias)
        kernel = dense["weights"].get("kernel")
        return found if kernel is None else found | {"kernels_": kernel}

    def products(self, embeddings, dense):
        """(B, n_products) products of pairs of fields, pairs in the order (0, 1), (0, 2), .."""
        found = []
        if "inner" in self.kinds:
            first, second = np.triu_indices(self.n_fields, 1)
            found.append(jnp.einsum("bfk,bgk->bfg", embeddings, embeddings)[:, first, second])
        if "outer" in self.kinds:
            kernel = dense["weights"]["kernel"]
            first = upper_pairs(
                lambda one, others: jnp.broadcast_to(one, others.shape), embeddings, embeddings
            )
            second = upper_pairs(lambda one, others: others, embeddings, embeddings)
            found.append((jnp.einsum("bpk,pkl->bpl", first, kernel) * second).sum(axis=-1))
        products = jnp.concatenate(found, axis=1)
        if self.layer_norm:
            centered = products - products.mean(axis=1, keepdims=True)
            scale = jax.lax.rsqrt(jnp.square(centered).mean(axis=1, keepdims=True) + _EPSILON)
            offsets = dense["offsets"]
            products = centered * scale * offsets["gain_products"] + offsets["bias_products"]
        return products

    def forward(self, slots, dense, averages, batch, training):
        embeddings = self.embeddings(slots, batch)
        inputs = jnp.concatenate([self.side_by_side(embeddings), self.products(embeddings, dense)], axis=1)
        deep, averages = self.network(inputs, dense, averages, batch.weight, training)
        return self.intercept(dense) + deep, averages
