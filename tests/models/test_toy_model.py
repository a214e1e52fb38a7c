"""A new model as CONTRIBUTING adds one: model, estimators and oracle, without a change elsewhere."""

import pickle
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.parameters import AUTO, NOT_NEGATIVE, FactorParameters, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import FactorTable, LinearTable
from skfm.models.base import Model, Table
from skfm.runtime import precision
from tests import reference
from tests.cases import raw_predictions, sparse_rows
from tests.models.problems import problem

# ---------------------------------------------------------------------------------------------- the model


@dataclass(frozen=True, kw_only=True)
class Quadratic(Model):
    """``raw(x) = b + sum_s x_s w_{i_s} + sum_k d_k (sum_s x_s v_{i_s, k})^2`` (Livni 2014)."""

    n_factors: int = 2

    def tables(self):
        linear = Table((self.n_outputs,), "linear", "zero")
        return {"linear": linear, "factors": Table((self.n_factors,), "factors", "scale")}

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        dense["weights"]["squares"] = rng.normal(size=(self.n_factors, self.n_outputs))
        return dense

    def forward(self, slots, dense, averages, batch, training):
        squares = slots.sums["factors"] ** 2 @ dense["weights"]["squares"]
        return self.intercept(dense) + slots.sums["linear"] + squares, averages


class _Quadratic(LinearTable, FactorTable, FactorParameters, LinearParameters):
    l2_dense: float | str = parameter("auto", '"auto" or float', "Penalty of d.", AUTO, NOT_NEGATIVE)

    def _make_model(self, shape):
        return Quadratic(
            n_outputs=shape.n_outputs, fit_intercept=self.fit_intercept, n_factors=self.n_factors
        )


@estimator
class QuadraticClassifier(_Quadratic, FactorizationClassifier):
    """Linear term and weighted squares, of classes."""


@estimator
class QuadraticRegressor(_Quadratic, FactorizationRegressor):
    """Linear term and weighted squares, of numbers."""


def quadratic(X, tables, dense):
    raw = []
    for x in X:
        sums = [reference.linear_term(x, tables["factors"][:, k]) for k in range(tables["factors"].shape[1])]
        squares = sum(d * s**2 for d, s in zip(dense["weights"]["squares"], sums, strict=True))
        raw.append(dense["offsets"]["intercept"] + reference.linear_term(x, tables["linear"]) + squares)
    return np.array(raw)


# ---------------------------------------------------------------------------------------------- its tests


def test_raw_predictions():
    model = Quadratic(n_outputs=2, n_factors=3)
    X, tables, dense, averages = problem(model)
    with precision(np.float64):
        raw = raw_predictions(model, tables, dense, averages, X, None)
    np.testing.assert_allclose(raw, quadratic(X, tables, dense), rtol=1e-9)


def test_fit_ends_at_a_minimum_of_the_oracles_objective():
    X, weight = sparse_rows(np.random.default_rng(0), n=60), np.random.default_rng(1).uniform(size=60)
    y = X[:, 0] * X[:, 1] > 0
    strengths = {"l2_linear": 0.01, "l2_factors": 0.01, "l2_dense": 0.02}
    model = QuadraticClassifier(2, init_scale=0.5, tol=1e-7, max_iter=2000, random_state=0, **strengths)
    model.fit(X, y, sample_weight=weight)
    dense = {"weights": {"squares": np.zeros((2, 1))}, "offsets": {"intercept": model.intercept_}}
    dense["weights"]["squares"] = model._learned.parameters.dense["weights"]["squares"].copy()
    tables = {"linear": model.coef_.T.copy(), "factors": model.factors_.copy()}
    raw = quadratic(X, tables, dense)
    np.testing.assert_allclose(model.decision_function(X), raw[:, 0], rtol=1e-9)

    def objective():
        raw, l2 = quadratic(X, tables, dense), {"linear": 0.01, "factors": 0.01}
        penalty = reference.penalty(X, weight, tables, l2, model.l2_frequency_power, dense, 0.02)
        return reference.data_term(reference.logistic, y[:, None], raw, weight) + penalty

    for leaf in (*tables.values(), dense["weights"]["squares"], dense["offsets"]["intercept"]):
        np.testing.assert_allclose(reference.finite_differences(objective, leaf), 0, atol=1e-5)
    assert reference.data_term(reference.logistic, y[:, None], raw, weight) < 0.3


def test_estimators_are_scikit_learns():
    X = sparse_rows(np.random.default_rng(0), n=30)
    model = QuadraticRegressor(3, solver="adagrad", max_iter=3, random_state=0)
    fitted = clone(model).fit(X, X[:, 0] ** 2)
    assert clone(fitted).get_params() == model.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    assert fitted.factors_.shape == (X.shape[1], 3)
