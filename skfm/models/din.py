"""Deep interest network (Zhou 2018): histories pooled by what they have to do with a candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from skfm.layers.mlp import MLP
from skfm.layers.pairwise import pool_fields
from skfm.models.base import Table
from skfm.models.fieldwise import NetworkModel

_UNIT = MLP(sizes=(32,), activation="prelu")


@dataclass(frozen=True, kw_only=True)
class DIN(NetworkModel):
    """``raw(x) = b + MLP([E_1 .. E_F])``, the field of a history being ``E = sum_h x_h a(v_h, t) v_h``.

    t is the embedding of the field that the history is compared with, and
    ``a(h, t) = c + MLP([h, t, h - t, h * t])``, or its softmax over the entries of the history, an entry
    of value x counting x times.

    Attributes
    ----------
    sequences : pairs of the field of a history and the one that it is compared with
    unit : hidden layers of the activation units, of which each pair has its own
    softmax : whether the weights of a history sum to 1
    """

    sequences: tuple[tuple[int, int], ...] = ()
    unit: MLP = _UNIT
    softmax: bool = False

    def tables(self):
        return {"factors": Table((self.n_factors,), "factors", "scale")}

    @property
    def hints(self):
        # Entries are compared as they are, however often a row has them.
        return super().hints._replace(own_units=tuple(field for pair in self.sequences for field in pair))

    def units(self) -> list[MLP]:
        """The activation unit of each pair."""
        return [replace(self.unit, name=f"attention_{n}_") for n in range(len(self.sequences))]

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        for unit in self.units():
            weights, offsets = unit.init(rng, 4 * self.n_factors, 1)
            dense["weights"] |= weights
            # Training starts near the plain sum of a history.
            dense["offsets"] |= offsets | {f"{unit.name}bias": np.ones(1)}
        return dense

    def init_averages(self):
        averages = super().init_averages()
        for unit in self.units():
            averages |= unit.init_averages()
        return averages

    def attributes(self, dense, averages):
        units = []
        for unit in self.units():
            units.append(unit.attributes(dense, averages))
            # The bias of its output, which that of a network is not.
            units[-1]["intercepts_"][-1] = dense["offsets"][f"{unit.name}bias"]
        network = super().attributes(dense, averages)
        return network | {f"attention_{name}": [unit[name] for unit in units] for name in network}

    def scores(self, slots, dense, averages, batch, training):
        """``a(h, t)`` of each slot for each pair, whether the slot is of its history, and averages.

        Returns
        -------
        list of ((B, S) scores, (B, S) members), averages
        """
        embeddings = slots["factors"]
        fields = jnp.arange(embeddings.shape[1])[None] if batch.slot_fields is None else batch.slot_fields
        entries = slots.rows("factors")
        found = []
        for (history, target), unit in zip(self.sequences, self.units(), strict=True):
            compared = jnp.where((fields == target)[..., None], embeddings, 0).sum(axis=1, keepdims=True)
            compared = jnp.broadcast_to(compared, embeddings.shape)
            both = [entries, compared, entries - compared, entries * compared]
            inputs = jnp.concatenate(both, axis=2).reshape(-1, 4 * self.n_factors)
            is_entry = jnp.broadcast_to(fields == history, embeddings.shape[:2])
            count = self._counts(slots, is_entry)
            weight = None if batch.weight is None else (batch.weight[:, None] * count).ravel()
            score, averages = unit(inputs, dense, averages, weight, training)
            score = score.reshape(is_entry.shape) + dense["offsets"][f"{unit.name}bias"]
            found.append((score, is_entry))
        return found, averages

    def activations(self, slots, dense, averages, batch):
        """(B, n_histories) sum of ``a(h, t)`` over the entries of each history."""
        found, _ = self.scores(slots, dense, averages, batch, None)
        return jnp.stack([jnp.where(is_entry, score, 0).sum(axis=1) for score, is_entry in found], axis=1)

    @staticmethod
    def _counts(slots, is_entry):
        """How often each slot is an entry of the history."""
        return jnp.where(is_entry, 1.0 if slots.values is None else jnp.abs(slots.values), 0.0)

    def takes_shift(self, shares_rows):
        return True

    def recentred(self, weights, shift, fields):
        # Histories, and what they are compared with, are in their own units.
        return self.network_moved(weights, -self.constants(weights.tables["factors"], shift, fields))

    def forward(self, slots, dense, averages, batch, training):
        factors = slots["factors"]
        found, averages = self.scores(slots, dense, averages, batch, training)
        for score, is_entry in found:
            if self.softmax:
                score = jnp.where(is_entry, score, -jnp.inf)
                # A history may be empty.
                highest = jax.lax.stop_gradient(score.max(axis=1, keepdims=True, initial=-80.0))
                score = jnp.exp(score - highest)
                total = (self._counts(slots, is_entry) * score).sum(axis=1, keepdims=True)
                score = score / jnp.where(total > 0, total, 1)
            factors = factors * jnp.where(is_entry, score, 1)[..., None]
        embeddings = pool_fields(factors, batch.slot_fields, self.n_fields)
        deep, averages = self.network(self.side_by_side(embeddings), dense, averages, batch.weight, training)
        return self.intercept(dense) + deep, averages
