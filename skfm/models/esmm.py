"""Entire space multi-task model (Ma 2018): a tower for clicks and one for conversions on one embedding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from skfm.models.base import Hints, Model, Weights
from skfm.models.linear import Linear

TOWERS = ("click", "conversion")
_TOWER = Linear(n_outputs=2, fit_intercept=False)


def _leaves_of(tower: str, leaves: dict) -> dict:
    """The leaves of a tower, under the names that it gave them."""
    return {name.removeprefix(f"{tower}_"): leaf for name, leaf in leaves.items() if name.startswith(tower)}


def _named(tower: str, leaves: dict) -> dict:
    return {f"{tower}_{name}": leaf for name, leaf in leaves.items()}


@dataclass(frozen=True, kw_only=True)
class ESMM(Model):
    """Log odds of a click, and of a conversion after a click: ``raw_t(x) = b_t + tower_t(x)_t``.

    The towers are models of one kind with tables in common and dense weights of their own. A tower has two
    outputs, of which it is asked for its own: so linear weights, one an output, are not in common.

    Attributes
    ----------
    tower : a model of two outputs without intercept
    """

    tower: Model = _TOWER

    @property
    def hints(self):
        return Hints(pools=False)

    def tables(self):
        return self.tower.tables()

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        for tower in TOWERS:
            for kind, leaves in self.tower.init(rng, base_score).items():
                dense[kind] |= _named(tower, leaves)
        return dense

    def init_averages(self):
        averages: dict = {}
        for tower in TOWERS:
            averages |= _named(tower, self.tower.init_averages())
        return averages

    def normalized(self):
        return replace(self, tower=self.tower.normalized())

    def attributes(self, dense, averages):
        towers = []
        for tower in TOWERS:
            leaves = {kind: _leaves_of(tower, leaves) for kind, leaves in dense.items()}
            towers.append(self.tower.attributes(leaves, _leaves_of(tower, averages)))
        return {"towers_": towers}

    def takes_shift(self, shares_rows):
        return self.tower.takes_shift(shares_rows)

    def recentred(self, weights, shift, fields):
        tables, dense, averages = weights
        intercept, linear = dense["offsets"]["intercept"].copy(), tables.get("linear")
        found = {kind: dict(leaves) for kind, leaves in dense.items()}
        averages = dict(averages)
        linear = None if linear is None else linear.copy()
        for output, tower in enumerate(TOWERS):
            of_tower = {kind: _leaves_of(tower, leaves) for kind, leaves in dense.items()}
            # A tower has no intercept.
            of_tower["offsets"]["intercept"] = np.zeros(len(TOWERS))
            before = Weights(tables, of_tower, _leaves_of(tower, averages))
            moved = self.tower.recentred(before, shift, fields)
            intercept[output] += moved.dense["offsets"].pop("intercept")[output]
            if linear is not None:
                linear[:, output] = moved.tables["linear"][:, output]
            for kind, leaves in moved.dense.items():
                found[kind] |= _named(tower, leaves)
            averages |= _named(tower, moved.averages)
        found["offsets"]["intercept"] = intercept
        return Weights(tables if linear is None else tables | {"linear": linear}, found, averages)

    def forward(self, slots, dense, averages, batch, training):
        raw: list = []
        updated: dict = {}
        for output, tower in enumerate(TOWERS):
            tower_dense = {kind: _leaves_of(tower, leaves) for kind, leaves in dense.items()}
            if training is not None:
                training = training._replace(key=jax.random.fold_in(training.key, output))
            tower_averages = _leaves_of(tower, averages)
            found, tower_averages = self.tower.forward(slots, tower_dense, tower_averages, batch, training)
            raw.append(found[:, output])
            updated |= _named(tower, tower_averages)
        return self.intercept(dense) + jnp.stack(raw, axis=1), updated
