"""Scores of raw predictions by scikit-learn's scorers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import check_scoring

from skfm.data.batches import Samples


class _InTraining:
    """Mixin of an estimator in training, for scorers: its raw predictions of the rows held out are known."""

    _learned: Any
    _held_out: sparse.csr_array
    _raw: np.ndarray

    def _raw_predict(self, X) -> np.ndarray:
        known = self._held_out
        if X is not known:
            given = X.toarray() if sparse.issparse(X) else np.asarray(X)
            if given.shape != known.shape or not np.array_equal(given, known.toarray()):
                raise ValueError(
                    f"This {type(self).__name__} is in training: a scorer can have predictions of the "
                    f"held-out rows that it is given, and of no others."
                )
        return self._raw

    def _unknown(self, *arguments, **options):
        raise AttributeError(f"This {type(self).__name__} is in training: its weights are not known yet.")

    _table = _map = _offset = _unknown
    intercept_ = center_ = property(_unknown)

    def __reduce__(self):
        # As an unfitted estimator: there is nothing to keep yet.
        state = {name: value for name, value in vars(self).items() if name not in _InTraining.__annotations__}
        return object.__new__, (type(self).__mro__[2],), state

    def score_of_raw(self, scoring, held_out: Samples) -> Callable[[np.ndarray], float]:
        """Function that scores raw predictions of the rows.

        Parameters
        ----------
        held_out : rows, with targets in the loss's terms
        """
        self._held_out = held_out.X
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
