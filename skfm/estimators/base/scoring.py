"""Scores of raw predictions by scikit-learn's scorers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring

from skfm.data.batches import Samples


class _InTraining:
    """Mixin of an estimator in training, for scorers: its raw predictions of the rows held out are known."""

    _learned: Any
    _raw: np.ndarray

    def _raw_predict(self, X) -> np.ndarray:
        return self._raw

    def score_of_raw(self, scoring, held_out: Samples) -> Callable[[np.ndarray], float]:
        """Function that scores raw predictions of the rows.

        Parameters
        ----------
        held_out : rows, with targets in the loss's terms
        """
        targets, weight = self._learned.targets, held_out.weight
        scorer, y = check_scoring(self, scoring=scoring), targets.decode(held_out.y)
        options = {} if np.all(weight == weight[0]) else {"sample_weight": weight}

        def score(raw: np.ndarray) -> float:
            self._raw = targets.in_units(raw)
            return float(scorer(self, held_out.X, y, **options))

        return score


@lru_cache(maxsize=64)
def in_training(kind: type) -> Any:
    """The class of an estimator in training; it has the name of the estimator's."""
    return type(kind.__name__, (_InTraining, kind), {"__module__": kind.__module__})
