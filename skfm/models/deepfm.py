"""DeepFM (Guo 2017): a factorization machine and a perceptron on shared embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from skfm.layers.mlp import init_mlp, init_mlp_averages, mlp
from skfm.layers.pairwise import pool_fields
from skfm.models.base import Model, Table


@dataclass(frozen=True)
class DeepFM(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_k BI(x)_k + MLP([E_1 .. E_F])``.

    BI is the second-order vector of all slots. With several outputs, the embeddings are shared and BI is
    mapped to the outputs by a (k, n_outputs) matrix.
    """

    pools: ClassVar[bool] = False
    n_factors: int = 10
    hidden_layer_sizes: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    batch_norm: bool = False
    use_dropout: bool = False

    def tables(self):
        return {
            "linear": Table((self.n_outputs,), "linear", "zero"),
            "factors": Table((self.n_factors,), "factors", "scale"),
        }

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        weights, offsets = init_mlp(
            rng, self.n_fields * self.n_factors, self.hidden_layer_sizes, self.n_outputs, self.batch_norm
        )
        dense["weights"] |= weights
        dense["offsets"] |= offsets
        if self.n_outputs > 1:
            dense["weights"]["cross"] = rng.normal(size=(self.n_factors, self.n_outputs))
        return dense

    def init_averages(self):
        return init_mlp_averages(self.hidden_layer_sizes) if self.batch_norm else {}

    def forward(self, slots, dense, averages, batch, training):
        weights, offsets = dense["weights"], dense["offsets"]
        if self.n_outputs > 1:
            cross = slots.pairs["factors"] @ weights["cross"]
        else:
            cross = slots.interactions("factors")[:, None]
        fields = pool_fields(slots["factors"], batch.slot_fields, self.n_fields)
        deep, averages = mlp(
            fields.reshape(fields.shape[0], self.n_fields * self.n_factors),
            weights,
            offsets,
            averages,
            len(self.hidden_layer_sizes),
            self.activation,
            self.batch_norm,
            self.use_dropout,
            batch.weight,
            training,
        )
        return self.intercept(dense) + slots.sums["linear"] + cross + deep, averages
