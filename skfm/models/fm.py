"""Factorization machine (Rendle 2010), of higher order too (Blondel 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from skfm.layers.pairwise import anova
from skfm.models.base import Hints, Model, Table, fold_terms, pairs_with


@dataclass(frozen=True, kw_only=True)
class FM(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_{s<t} <v_{i_s}, v_{i_t}> x_s x_t + ..``, factors an output.

    Each order up to `degree` has factors of its own, and sums the products of that many slots.
    """

    n_factors: int = 10
    fit_linear: bool = True
    degree: int = 2

    @property
    def hints(self):
        # Products of more than two slots take these one by one.
        return Hints(
            pools=self.degree == 2,
            of_sums="arithmetic" if self.degree == 2 else "",
            starts_still=True,
            without_linear="" if self.fit_linear else "fit_linear=True",
        )

    @property
    def higher(self) -> dict[str, int]:
        """Tables of the orders above 2."""
        return {f"factors_{order}": order for order in range(3, self.degree + 1)}

    def tables(self):
        tables = {"linear": Table((self.n_outputs,), "linear", "zero")} if self.fit_linear else {}
        factors = Table((self.n_outputs, self.n_factors), "factors", "scale")
        return tables | dict.fromkeys(["factors", *self.higher], factors)

    def shifted(self, tables, dense, center, fields):
        if self.higher:
            return None
        return fold_terms(tables, dense, pairs_with(tables["factors"], center), center)

    def takes_shift(self, shares_rows):
        return not self.higher

    def cross_features(self, slots, dense, averages, batch):
        """(B, n_outputs (degree - 1) n_factors) vectors whose sums are the terms of order 2 and higher."""
        cross = slots.pairs["factors"]
        if self.higher:
            terms = [anova(slots[name], order) for name, order in self.higher.items()]
            cross = jnp.concatenate([cross, *terms], axis=-1)
        return cross.reshape(cross.shape[0], -1)

    def forward(self, slots, dense, averages, batch, training):
        raw = slots.interactions("factors") + self.intercept(dense)
        for name, order in self.higher.items():
            raw = raw + anova(slots[name], order).sum(axis=-1)
        if self.fit_linear:
            raw = raw + slots.sums["linear"]
        return raw, averages
