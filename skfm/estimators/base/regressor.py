"""Targets of regressors: numbers, one column or several."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from skfm.data.validate import powers_of_two
from skfm.estimators.base.estimator import FactorizationEstimator
from skfm.estimators.base.parameters import NumberParameters
from skfm.estimators.base.tables import fitted
from skfm.fitting.streams import scored
from skfm.fitting.targets import Numbers

# Predictions this many times the largest target are as wrong as any: sums of their squares are floats.
_FAR_OFF = 1e100


class FactorizationRegressor(RegressorMixin, NumberParameters, FactorizationEstimator):
    """Base class of all regressors."""

    def _make_targets(self):
        delta, quantile = float(self.huber_delta), float(self.quantile)
        options = {"huber": (("delta", delta),), "quantile": (("quantile", quantile),)}
        return Numbers(
            loss_name=self.loss, loss_options=options.get(self.loss, ()), fit_intercept=self.fit_intercept
        )

    def __call__(self, X):
        """Predictions, for tools that explain functions of X."""
        return self.predict(X)

    def predict(self, X):
        """Predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As the y of fit.
        """
        raw = self._raw_predict(X)
        return self._learned.targets.predict(raw)

    def score(self, X, y=None, sample_weight=None):
        """Coefficient of determination R2: 1 at best, 0 for the mean of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict; or a stream of chunks ``(X, y)`` or ``(X, y, sample_weight)``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; None for a stream.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            R2 of ``predict(X)``, the mean of all outputs.
        """
        y, predicted, weight = scored(self.predict, self._comparable, X, y, sample_weight)
        # Squares of large numbers overflow, and no unit matters.
        unit = powers_of_two(y)
        with np.errstate(over="ignore"):
            predicted = np.clip(predicted / unit, -_FAR_OFF, _FAR_OFF)
        return r2_score(y / unit, predicted, sample_weight=weight)

    @fitted
    def target_scale_(self) -> float | np.ndarray:
        """Unit of the standardised target: what the terms above the linear one are multiplied by."""
        targets = self._learned.targets
        return targets.per_output(np.broadcast_to(np.asarray(targets.scale, float), targets.n_outputs))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
