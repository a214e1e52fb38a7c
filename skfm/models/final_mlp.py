"""FinalMLP (Mao 2023): two perceptrons on gated embeddings, joined by a bilinear product."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from skfm.layers.mlp import MLP, glorot_uniform
from skfm.models.base import Table, Weights
from skfm.models.fieldwise import FieldModel

_FIRST, _SECOND = MLP(name="first_"), MLP(name="second_")


@dataclass(frozen=True, kw_only=True)
class FinalMLP(FieldModel):
    """``raw(x) = b + sum_h (p_h^T u_h + q_h^T v_h + u_h^T W_h v_h)``, u and v being the ends of two networks.

    Their inputs are ``g * [E_1 .. E_F]`` with gates ``g = 2 sigmoid(..)`` of their own: of a learned vector
    ("constant"), of a map of the row's embeddings ("row"), or none (None). u and v are cut into heads h.

    Attributes
    ----------
    first, second : hidden layers, with different names
    """

    first: MLP = _FIRST
    second: MLP = _SECOND
    n_heads: int = 1
    gate: str | None = "constant"

    def tables(self):
        return {"factors": Table((self.n_factors,), "factors", "scale")}

    @property
    def networks(self) -> tuple[MLP, MLP]:
        """Both networks, named apart."""
        return replace(self.first, name="first_"), replace(self.second, name="second_")

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        weights, offsets, widths = dense["weights"], dense["offsets"], []
        for network in self.networks:
            layers, biases = network.init(rng, self.n_embedded)
            weights |= layers
            offsets |= biases
            if self.gate == "row":
                weights[f"{network.name}gate"] = glorot_uniform(rng, self.n_embedded, self.n_embedded)
            if self.gate is not None:
                offsets[f"{network.name}gate_bias"] = np.zeros(self.n_embedded)
            widths.append(network.sizes[-1] if network.sizes else self.n_embedded)
            weights[f"{network.name}output"] = glorot_uniform(rng, widths[-1], self.n_outputs)
        heads = [width // self.n_heads for width in widths]
        # An output is a map of all products of two units: as a map of units it would start much too large.
        fusion = glorot_uniform(rng, self.n_heads * heads[0] * heads[1], self.n_outputs)
        weights["fusion"] = fusion.T.reshape(self.n_outputs, self.n_heads, *heads)
        return dense

    def init_averages(self):
        first, second = self.networks
        return first.init_averages() | second.init_averages()

    def normalized(self):
        return replace(self, first=self.first.normalized(), second=self.second.normalized())

    def attributes(self, dense, averages):
        weights, offsets = dense["weights"], dense["offsets"]
        found = {"fusion_coef_": weights["fusion"]}
        for prefix, network in zip(("", "second_"), self.networks, strict=True):
            of_network = network.attributes(dense, averages)
            of_network["output_coef_"] = weights[f"{network.name}output"]
            if self.gate is not None:
                of_network["gate_intercept_"] = offsets[f"{network.name}gate_bias"]
            if self.gate == "row":
                of_network["gate_coef_"] = weights[f"{network.name}gate"]
            found |= {f"{prefix}{name}": value for name, value in of_network.items()}
        return found

    def takes_shift(self, shares_rows):
        # A gate of the row multiplies the shift, and so does an end that is no layer.
        return self.gate != "row" and all(network.sizes for network in self.networks)

    def recentred(self, weights, shift, fields):
        tables, dense, averages = weights
        by = -self.constants(tables["factors"], shift, fields)
        for network in self.networks:
            inputs = np.asarray(self.gated(by, network.name, dense))
            dense, averages, _ = network.moved(dense, averages, inputs)
        return Weights(tables, dense, averages)

    def gated(self, x, name, dense):
        """(B, F k) embeddings times the gate of a network."""
        if self.gate is None:
            return x
        scores = dense["offsets"][f"{name}gate_bias"]
        if self.gate == "row":
            scores = scores + x @ dense["weights"][f"{name}gate"]
        return x * 2 * jax.nn.sigmoid(scores)

    def forward(self, slots, dense, averages, batch, training):
        x, weights = self.side_by_side(self.embeddings(slots, batch)), dense["weights"]
        raw, ends = self.intercept(dense), []
        for network in self.networks:
            inputs = self.gated(x, network.name, dense)
            end, averages = network(inputs, dense, averages, batch.weight, training)
            raw = raw + end @ weights[f"{network.name}output"]
            ends.append(end.reshape(end.shape[0], self.n_heads, -1))
        return raw + jnp.einsum("bhi,ohij,bhj->bo", ends[0], weights["fusion"], ends[1]), averages
