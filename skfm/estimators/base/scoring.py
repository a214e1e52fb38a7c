"""Scores of raw predictions by scikit-learn's scorers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils.metaestimators import available_if

from skfm.data.batches import Samples
from skfm.fitting.targets import Targets


def _has(name: str):
    return available_if(lambda self: hasattr(self.targets, name))


class Candidate(BaseEstimator):
    """What a scorer sees in place of an estimator in training: its raw predictions of the rows are known.

    Parameters
    ----------
    targets : make predictions of raw ones
    tags : those of the estimator
    """

    def __init__(self, targets: Any = None, tags=None):
        self.targets = targets
        self.tags = tags

    def __sklearn_tags__(self):
        return self.tags

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        """Nothing is left to fit."""
        return self

    @property
    def classes_(self):
        """Class labels."""
        return self.targets.classes

    def predict(self, X):
        """Predictions."""
        return self.targets.predict(self.raw)

    @_has("decision_function")
    def decision_function(self, X):
        """Raw predictions."""
        return self.targets.decision_function(self.raw)

    @_has("predict_proba")
    def predict_proba(self, X):
        """Probabilities."""
        return self.targets.predict_proba(self.raw)

    @_has("predict_log_proba")
    def predict_log_proba(self, X):
        """Logarithms of the probabilities."""
        return self.targets.predict_log_proba(self.raw)


def score_of_raw(scoring, targets: Targets, held_out: Samples, tags) -> Callable[[np.ndarray], float] | None:
    """Function that scores raw predictions of held-out rows; None where the loss is the score.

    Parameters
    ----------
    held_out : rows, with targets in the loss's terms
    """
    if isinstance(scoring, str) and scoring == "loss":
        return None
    candidate = Candidate(targets, tags)
    scorer = check_scoring(candidate, scoring=scoring)
    y = targets.decode(held_out.y)
    weight = held_out.weight
    options = {} if np.all(weight == weight[0]) else {"sample_weight": weight}

    def score(raw: np.ndarray) -> float:
        candidate.raw = targets.in_units(raw)
        return float(scorer(candidate, held_out.X, y, **options))

    return score
