"""Targets of regressors: numbers, one column or several."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skfm.data.validate import first_row
from skfm.estimators.base.estimator import FactorizationEstimator
from skfm.estimators.base.parameters import NumberParameters


class FactorizationRegressor(RegressorMixin, NumberParameters, FactorizationEstimator):
    """Base class of all regressors."""

    def _check_targets(self, y, *, first, classes=None):
        try:
            y = np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"y must hold numbers: {error}") from error
        if not np.isfinite(y).all():
            row = first_row(~np.isfinite(y))
            raise ValueError(f"Input y contains NaN or infinity at row {row}. Drop that row.")
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if first:
            self._n_outputs, self._y_is_vector = n_outputs, y.ndim == 1
        elif n_outputs != self._n_outputs:
            raise ValueError(f"y has {n_outputs} columns, but the estimator was fitted on {self._n_outputs}.")
        y = y.reshape(y.shape[0], n_outputs)
        self._make_loss().check_target(y)
        return y

    def _set_target_scale(self, y, weight):
        if not self._make_loss().standardizes_target:
            super()._set_target_scale(y, weight)
            return
        # Without an intercept the prediction for an empty row is 0.
        mean = np.average(y, axis=0, weights=weight)
        self._target_mean = mean if self.fit_intercept else np.zeros_like(mean)
        variance = np.average(np.square(y - self._target_mean), axis=0, weights=weight)
        deviation = np.sqrt(variance)
        constant = deviation <= 1e-12 * np.maximum(np.abs(self._target_mean), 1e-300)
        self._target_scale = np.where(constant, 1.0, deviation)

    def _encode_targets(self, y):
        return (y - self._target_mean) / self._target_scale

    def _make_loss(self):
        from skfm.losses import REGRESSION_LOSSES

        options = {"huber": {"delta": self.huber_delta}, "quantile": {"quantile": self.quantile}}
        return REGRESSION_LOSSES[self.loss](**options.get(self.loss, {}))

    def _per_output(self, values):
        return values[0] if self._y_is_vector else values

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
        check_is_fitted(self)
        prediction = self._loss.inverse_link(self._raw_predict(X))
        return prediction[:, 0] if self._y_is_vector else prediction

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
