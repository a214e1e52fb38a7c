"""Field-weighted factorization machine (Pan 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from skfm.layers.pairwise import pool_fields
from skfm.models.base import Hints, Model, Table, fold_terms


@dataclass(frozen=True, kw_only=True)
class FwFM(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_{s<t} r_{f_s f_t} <v_{i_s}, v_{i_t}> x_s x_t``.

    Factors and field-pair weights an output. The weights are 1 plus a deviation, which is penalised: without
    it this is a factorization machine.
    """

    n_factors: int = 10

    @property
    def hints(self):
        return Hints(pools=False, starts_still=True)

    def tables(self):
        return {
            "linear": Table((self.n_outputs,), "linear", "zero"),
            "factors": Table((self.n_outputs, self.n_factors), "factors", "scale"),
        }

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        dense["weights"]["pairs"] = np.zeros((self.n_outputs, self.n_fields * (self.n_fields + 1) // 2))
        return dense

    def pair_weights(self, dense):
        """(n_outputs, F, F) symmetric matrices r."""
        upper = np.triu_indices(self.n_fields)
        pair = np.zeros((self.n_fields, self.n_fields), dtype=np.int32)
        pair[upper] = pair[upper[1], upper[0]] = np.arange(upper[0].size)
        return 1 + dense["weights"]["pairs"][:, pair]

    def attributes(self, dense, averages):
        return {"pair_weights_": self.pair_weights(dense)}

    def shifted(self, tables, dense, center, fields):
        factors = tables["factors"]
        r = self.pair_weights(dense)
        sums = np.zeros((self.n_fields, *factors.shape[1:]))
        np.add.at(sums, fields, center[:, None, None] * factors)
        met = np.einsum("ofg,gok->fok", r, sums)[fields]
        same = r[:, fields, fields].T
        pairs = (factors * met).sum(axis=-1) - center[:, None] * same * np.square(factors).sum(axis=-1)
        return fold_terms(tables, dense, pairs, center)

    def takes_shift(self, shares_rows):
        # A linear weight is one number, and pairs of columns weigh by their fields.
        return not shares_rows

    def forward(self, slots, dense, averages, batch, training):
        factors = slots["factors"]
        n_rows, n_slots = factors.shape[:2]
        wide = factors.reshape(n_rows, n_slots, self.n_outputs * self.n_factors)
        fields = pool_fields(wide, batch.slot_fields, self.n_fields)
        fields = fields.reshape(n_rows, self.n_fields, self.n_outputs, self.n_factors)
        r = self.pair_weights(dense)
        weighted = jnp.einsum("bfok,ofg->bgok", fields, r)
        # A slot with itself is no pair.
        squares = jnp.square(factors).sum(axis=-1)
        same_field = jnp.diagonal(r, axis1=1, axis2=2)
        if self.n_fields == 1:
            same_field = same_field[:, 0]
        elif batch.slot_fields is None:
            same_field = same_field.T
        else:
            same_field = same_field.T[batch.slot_fields]
        pairs = 0.5 * ((fields * weighted).sum(axis=(1, 3)) - (same_field * squares).sum(axis=1))
        return self.intercept(dense) + slots.sums["linear"] + pairs, averages
