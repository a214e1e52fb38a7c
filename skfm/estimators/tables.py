"""Fitted tables as attributes."""

from __future__ import annotations

import numpy as np


class LinearTable:
    """Fitted weights of the linear part, for estimators that have one."""

    @property
    def coef_(self):
        """Weight of each column, shape (n_outputs, n_features) for classifiers and as y for regressors."""
        table = self._table("linear").T.astype(np.float64)
        return self._per_output(table * np.reshape(self._target_scale, (-1, 1)))


class FactorTable:
    """Fitted factors of estimators that have one table of them."""

    @property
    def factors_(self):
        """Factors of each column, shape (n_features, n_factors), or (n_outputs, n_features, n_factors)."""
        table = self._table("factors")
        if table.ndim == 2:
            return table
        return table[:, 0] if table.shape[1] == 1 else table.transpose(1, 0, 2)
