"""Fitted tables as attributes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

T = TypeVar("T")


def fitted(attribute: Callable[[Any], T]) -> T:
    """A property of a fitted estimator; type checkers see its value."""

    @wraps(attribute)
    def get(self):
        if "_learned" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no {attribute.__name__} before fit.")
        return attribute(self)

    return cast(T, property(get))


class _OfModel(property):
    """A fitted attribute that the model makes of its dense weights."""

    def __init__(self, doc: str):
        super().__init__(lambda estimator: estimator._attribute(self._name))
        self.__doc__ = doc

    def __set_name__(self, owner, name: str):
        self._name = name


def of_model(doc: str) -> Any:
    """A fitted attribute of those that `skfm.models.base.Model.attributes` names."""
    return _OfModel(doc)


class LinearTable:
    """Fitted weights of the linear part, for estimators that have one."""

    @property
    def coef_(self) -> np.ndarray:
        """Weight of each column, shape (n_outputs, n_features) for classifiers and as y for regressors."""
        # Some take any estimator that has this for a linear model of the columns of X.
        reader = sys._getframe(1).f_globals.get("__name__", "")
        if reader.startswith("shap.") and self._kind != "convex":
            raise AttributeError(f"The linear part is not all of {type(self).__name__}.")
        if reader.startswith("sklearn.feature_selection.") and self.encoder_ is not None:
            raise ValueError(
                f"coef_ has a weight for each column of the FieldEncoder, and none for those of the table. "
                f"To select these, give importance_getter= a function of the fitted {type(self).__name__}, "
                f"such as lambda model: "
                f"sklearn.inspection.permutation_importance(model, X, y).importances_mean. To select encoded "
                f"ones, put a FieldEncoder before the selector in a pipeline."
            )
        table = self._table("linear").T.astype(np.float64)
        targets = self._learned.targets
        return targets.per_output(targets.slopes_in_units(table))


class FactorTable:
    """Fitted factors of estimators that have one table of them."""

    @property
    def factors_(self) -> np.ndarray:
        """Factors of each column, shape (n_features, n_factors), or (n_outputs, n_features, n_factors)."""
        return self._factors("factors")

    def _factors(self, name):
        table = self._table(name)
        if table.ndim == 2:
            return table
        return table[:, 0] if table.shape[1] == 1 else np.moveaxis(table, 1, 0)


class NetworkWeights:
    """Fitted layers of estimators with a network."""

    coefs_: list[np.ndarray] = of_model(
        "Matrix of each layer, shape (n_inputs, n_units), batch normalisation included."
    )
    intercepts_: list[np.ndarray] = of_model("What each layer adds after its matrix, shape (n_units,).")


class MixtureTables:
    """Fitted weights of the gates and experts of a mixture; the first axis is the component."""

    def _per_component(self, values):
        """Values (n_components, n_outputs, ...) without the axis of the outputs where y had none."""
        return np.stack([self._learned.targets.per_output(value) for value in values])

    @fitted
    def intercept_(self) -> np.ndarray:
        """Intercept of each expert: ``intercept_[m]`` is what an estimator that is expert m alone has."""
        model, targets = self._learned.model, self._learned.targets
        shape = (model.n_components, targets.n_outputs)
        value = self._offset("intercept", np.zeros(shape))
        return self._per_component(targets.in_units(value))

    @fitted
    def gate_intercept_(self) -> np.ndarray:
        """Intercept of each gate, shape (n_components,)."""
        return self._offset("gate_intercept").astype(np.float64)

    @property
    def gate_coef_(self) -> np.ndarray:
        """Linear weights of the gates, shape (n_components, n_features)."""
        return self._table("gate_linear").T.astype(np.float64)

    @property
    def gate_factors_(self) -> np.ndarray:
        """Factors of the gates, shape (n_components, n_features, n_factors)."""
        return self._table("gate_factors").transpose(1, 0, 2)

    @property
    def expert_coef_(self) -> np.ndarray:
        """Linear weights of the experts, shape (n_components, n_outputs, n_features); see `intercept_`."""
        table = self._table("expert_linear").transpose(1, 2, 0).astype(np.float64)
        return self._per_component(self._learned.targets.slopes_in_units(table))

    @property
    def expert_factors_(self) -> np.ndarray:
        """Factors of the experts, (n_components, n_features, n_factors), or with outputs as second axis."""
        table = self._table("expert_factors").transpose(1, 2, 0, 3)
        return table[:, 0] if table.shape[1] == 1 else table
