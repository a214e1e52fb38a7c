"""Deep and cross network (Wang 2017, 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from skfm.layers.mlp import glorot_uniform
from skfm.models.base import Table
from skfm.models.fieldwise import NetworkModel


@dataclass(frozen=True, kw_only=True)
class DCN(NetworkModel):
    """A cross network on ``x_0 = [E_1 .. E_F]`` beside a perceptron ("parallel"), or under it ("stacked").

    Version 1: ``x_{l+1} = x_0 (x_l^T w_l) + b_l + x_l``.
    Version 2: ``x_{l+1} = x_0 * (W_l x_l + b_l) + x_l``; with a rank r ``W_l = U_l V_l^T``, and with several
    experts the sum of theirs under a softmax gate.
    """

    n_cross_layers: int = 2
    version: int = 2
    structure: str = "parallel"
    rank: int | None = None
    n_experts: int = 1

    @property
    def hints(self):
        # The embeddings are multiplied by what its weights make of them, layer upon layer.
        return super().hints._replace(slow_first_steps=True)

    def tables(self):
        return {"factors": Table((self.n_factors,), "factors", "scale")}

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        width = self.n_embedded
        weights, offsets = dense["weights"], dense["offsets"]
        for layer in range(self.n_cross_layers):
            # What multiplies x_0 is a weight: without a penalty it would grow where other weights shrink.
            (offsets if self.version == 1 else weights)[f"cross_bias_{layer}"] = np.zeros(width)
            if self.version == 1:
                weights[f"cross_{layer}"] = glorot_uniform(rng, width, 1)[:, 0]
            elif self.rank is None:
                weights[f"cross_{layer}"] = glorot_uniform(rng, width, width)
            else:
                for name in ("cross_in", "cross_out"):
                    maps = [glorot_uniform(rng, width, self.rank) for _ in range(self.n_experts)]
                    weights[f"{name}_{layer}"] = np.stack(maps)
                if self.n_experts > 1:
                    weights[f"cross_gate_{layer}"] = glorot_uniform(rng, width, self.n_experts)
        if self.structure == "parallel":
            weights["cross_output"] = glorot_uniform(rng, width, self.n_outputs)
        return dense

    def attributes(self, dense, averages):
        weights, layers = dense["weights"], range(self.n_cross_layers)
        biases = dense["offsets" if self.version == 1 else "weights"]
        found = super().attributes(dense, averages)
        found["cross_intercepts_"] = [biases[f"cross_bias_{layer}"] for layer in layers]
        if self.version == 1 or self.rank is None:
            found["cross_coefs_"] = [weights[f"cross_{layer}"] for layer in layers]
        else:
            found["cross_left_coefs_"] = [weights[f"cross_out_{layer}"] for layer in layers]
            found["cross_right_coefs_"] = [weights[f"cross_in_{layer}"] for layer in layers]
            if self.n_experts > 1:
                found["cross_gate_coefs_"] = [weights[f"cross_gate_{layer}"] for layer in layers]
        if self.structure == "parallel":
            found["cross_output_coef_"] = weights["cross_output"]
        return found

    def crossed(self, x0, dense):
        """(B, F k) output of the cross network."""
        x, weights = x0, dense["weights"]
        for layer in range(self.n_cross_layers):
            bias = dense["offsets" if self.version == 1 else "weights"][f"cross_bias_{layer}"]
            if self.version == 1:
                x = x0 * (x @ weights[f"cross_{layer}"])[:, None] + bias + x
            elif self.rank is None:
                x = x0 * (x @ weights[f"cross_{layer}"] + bias) + x
            else:
                low = jnp.einsum("bd,edr->ber", x, weights[f"cross_in_{layer}"])
                mapped = jnp.einsum("ber,edr->bed", low, weights[f"cross_out_{layer}"]) + bias
                if self.n_experts > 1:
                    gate = jax.nn.softmax(x @ weights[f"cross_gate_{layer}"], axis=-1)
                    mapped = mapped * gate[:, :, None]
                x = x0 * mapped.sum(axis=1) + x
        return x

    def forward(self, slots, dense, averages, batch, training):
        x0 = self.side_by_side(self.embeddings(slots, batch))
        crossed = self.crossed(x0, dense)
        if self.structure == "stacked":
            deep, averages = self.network(crossed, dense, averages, batch.weight, training)
            return self.intercept(dense) + deep, averages
        deep, averages = self.network(x0, dense, averages, batch.weight, training)
        return self.intercept(dense) + crossed @ dense["weights"]["cross_output"] + deep, averages
