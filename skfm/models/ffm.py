"""Field-aware factorization machine (Juan 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from skfm.models.base import Hints, Model, Table, fold_terms


@dataclass(frozen=True, kw_only=True)
class FFM(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_{s<t} <v_{i_s, f_t}, v_{i_t, f_s}> x_s x_t``.

    A column has a vector for each field, and each output its own.
    """

    n_factors: int = 4

    def tables(self):
        return {
            "linear": Table((self.n_outputs,), "linear", "zero"),
            "factors": Table((self.n_outputs, self.n_fields, self.n_factors), "factors", "scale"),
        }

    @property
    def hints(self):
        return Hints(pools=False, numbers_per_slot=self.width)

    def shifted(self, tables, dense, center, fields):
        factors = tables["factors"]
        columns = np.arange(fields.size)
        # Sums over the columns of each field, (F, n_outputs, F, k).
        sums = np.zeros((self.n_fields, *factors.shape[1:]))
        np.add.at(sums, fields, center[:, None, None, None] * factors)
        # Each column's vector for field f meets the vectors of field f for its own field.
        pairs = np.einsum("jofk,jfok->jo", factors, sums.transpose(2, 0, 1, 3)[fields])
        pairs -= center[:, None] * np.square(factors[columns, :, fields]).sum(axis=-1)
        return fold_terms(tables, dense, pairs, center)

    def takes_shift(self, shares_rows):
        # A linear weight is one number, and pairs of columns weigh by their fields.
        return not shares_rows

    def pairs(self, factors, slot_fields):
        """(B, n_outputs) second-order term; factors (B, S, n_outputs, F, k)."""
        if self.n_fields == 1:
            fields, same_field = factors.sum(axis=1, keepdims=True), factors[:, :, :, 0]
        elif slot_fields is None:
            # Every slot is a field: products of a field with itself are left out.
            same = jnp.eye(self.n_fields, dtype=bool)[:, None, :, None]
            products = jnp.where(same, 0, factors * factors.transpose(0, 3, 2, 1, 4))
            return 0.5 * products.sum(axis=(1, 3, 4))
        else:
            membership = jax.nn.one_hot(slot_fields, self.n_fields, dtype=factors.dtype)
            fields = jnp.einsum("bsf,bsogk->bfogk", membership, factors)
            same_field = jnp.einsum("bsf,bsofk->bsok", membership, factors)
        # A slot with itself is no pair.
        total = (fields * fields.transpose(0, 3, 2, 1, 4)).sum(axis=(1, 3, 4))
        return 0.5 * (total - jnp.square(same_field).sum(axis=(1, 3)))

    def forward(self, slots, dense, averages, batch, training):
        pairs = self.pairs(slots["factors"], batch.slot_fields)
        # `sums` would add up all numbers of the rows.
        return self.intercept(dense) + slots["linear"].sum(axis=1) + pairs, averages
