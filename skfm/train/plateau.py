"""The plateau that training starts on: factors near 0 tell next to nothing, and are told next to nothing."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from skfm.models.base import Model

# Rows of the table that are looked at: the most touched, which turn first.
_MOST_ROWS = 1024
# Up to this cosine with the first factors, all as one vector, the present ones have turned away from these.
_TURNED = 0.9
# What has been added to the first factors and grows moves along itself: by a larger cosine than noise.
_OUTWARD = 0.4
# Interactions are less than the squares of the factors of a row. Those of targets are about 1.
_TELLING = 1.0


class Plateau:
    """Whether factors have yet to grow; see `skfm.train.loop.Still`.

    They turn first, towards what grows, and then grow, each by a constant factor an epoch.

    Parameters
    ----------
    model : its factors
    frequency : (n_columns,) share of the rows that touch each row of the table
    tol : by how much the loss falls where factors tell something
    """

    def __init__(self, model: Model, frequency: np.ndarray, tol: float):
        self.lanes = model.per_lane(lambda table: table.penalty == "factors").astype(bool)
        n_rows = min(_MOST_ROWS, frequency.size)
        self.rows = np.argpartition(-frequency, n_rows - 1)[:n_rows]
        self.share, self.tol = frequency[self.rows], tol

    def start(self, weights: Any) -> None:
        """Take note of the first weights."""
        self.before = self._factors(weights)
        with np.errstate(over="ignore"):
            length = np.linalg.norm(self.before)
        self.first = self.before / length if length else self.before
        self.lowest = np.inf

    def holds(self, weights: Any, loss: float) -> bool:
        """Whether factors have not left their start, or grow while the loss does not move."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._holds(self._factors(weights), loss)

    def _holds(self, factors: np.ndarray, loss: float) -> bool:
        before, has_moved = self.before, loss < self.lowest - self.tol
        self.before, self.lowest = factors, min(loss, self.lowest)
        if not self.share @ np.square(factors).sum(axis=1) < _TELLING:
            return False
        added, added_before = self._added(factors), self._added(before)
        grows = _cosine(added, added - added_before) > _OUTWARD
        return _cosine(factors, self.first) > _TURNED or (grows and not has_moved)

    def _added(self, factors: np.ndarray) -> np.ndarray:
        """What is orthogonal to the first factors, which penalties make smaller meanwhile."""
        return factors - np.vdot(factors, self.first) * self.first

    def _factors(self, weights: Any) -> np.ndarray:
        table = weights[0]
        # On CPUs NumPy sees the table where it is; a program would have to be compiled for each size.
        on_cpu = isinstance(table, np.ndarray) or all(device.platform == "cpu" for device in table.devices())
        rows = np.asarray(table)[self.rows] if on_cpu else jnp.take(table, self.rows, axis=0)
        return np.asarray(rows, dtype=np.float64)[:, self.lanes]


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """That of two arrays as vectors; 0 where one of them is."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / lengths if lengths else 0.0
