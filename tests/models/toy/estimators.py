"""Its estimators, before `tools.signatures` has written their constructors."""

from __future__ import annotations

from typing import Literal

import numpy as np

from skfm.estimators.base import accepted
from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.parameters import FactorParameters, LinearParameters, parameter
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import FactorTable, LinearTable, of_model


class _Quadratic(LinearTable, FactorTable, FactorParameters, LinearParameters):
    """What both share."""

    l2_dense: float | Literal["auto"] = parameter("auto", "Penalty of d.", accepted.NOT_NEGATIVE)

    def _make_model(self, shape):
        from tests.models.toy.model import Quadratic

        return Quadratic(
            n_outputs=shape.n_outputs, fit_intercept=self.fit_intercept, n_factors=self.n_factors
        )

    squares_: np.ndarray = of_model("Weights d of the squares, shape (n_factors, n_outputs).")


class QuadraticClassifier(_Quadratic, FactorizationClassifier):
    """Linear term and weighted squares, of classes."""


class QuadraticRegressor(_Quadratic, FactorizationRegressor):
    """Linear term and weighted squares, of numbers."""
