"""Field-aware factorization machine (Juan 2016)."""

from __future__ import annotations

from dataclasses import dataclass

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
        return Hints(pools=False, pairs_fields=True, numbers_per_slot=self.width, starts_still=True)

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

    def forward(self, slots, dense, averages, batch, training):
        pairs = slots.field_pairs("factors", batch.slot_fields)
        return self.intercept(dense) + slots.sum("linear") + pairs, averages
