"""Fitted attributes of mixtures are the formula's: predictions can be made from them by hand."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from skfm import MixtureFMClassifier, MixtureFMRegressor

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.integers(0, 3, (60, 6)).astype(float)
Y = X[:, 0] * X[:, 1] - 2 * X[:, 2] + RNG.normal(size=60) + 10
PAIRS = np.triu_indices(6, 1)
PRODUCTS = X[:, PAIRS[0]] * X[:, PAIRS[1]]
N_COMPONENTS = 3


def second_order(factors):
    """Second-order term of each row for factors (n_features, n_factors)."""
    return PRODUCTS @ (factors @ factors.T)[PAIRS]


def gate_scores(model):
    scores = np.tile(model.gate_intercept_, (len(X), 1))
    if "linear" in model.gate:
        scores = scores + X @ model.gate_coef_.T
    if "fm" in model.gate:
        scores = scores + np.stack([second_order(factors) for factors in model.gate_factors_], axis=1)
    return scores


@pytest.mark.parametrize("gate", ["linear", "fm", "linear+fm"])
@pytest.mark.parametrize("mixing", ["score", "probability"])
def test_binary_probabilities_by_hand(gate, mixing):
    model = MixtureFMClassifier(N_COMPONENTS, 2, gate=gate, mixing=mixing, max_iter=5, random_state=0)
    model.fit(X, Y > 10)
    assert hasattr(model, "gate_coef_") == ("linear" in gate)
    assert hasattr(model, "gate_factors_") == ("fm" in gate)
    probability = softmax(gate_scores(model), axis=1)
    np.testing.assert_allclose(model.gate_proba(X), probability, rtol=1e-9)
    experts = np.stack(
        [
            model.intercept_[m, 0] + X @ model.expert_coef_[m, 0] + second_order(model.expert_factors_[m])
            for m in range(N_COMPONENTS)
        ],
        axis=1,
    )
    if mixing == "score":
        expected = expit((probability * experts).sum(axis=1))
    else:
        expected = (probability * expit(experts)).sum(axis=1)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, rtol=1e-9)


def test_linear_experts_of_a_regressor_are_in_units_of_y():
    model = MixtureFMRegressor(N_COMPONENTS, expert="linear", max_iter=5, random_state=0).fit(X, Y)
    experts = model.intercept_ + X @ model.expert_coef_.T
    expected = (model.gate_proba(X) * experts).sum(axis=1)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9)


def test_shapes_with_several_outputs():
    model = MixtureFMRegressor(N_COMPONENTS, 2, max_iter=2, random_state=0).fit(X, np.column_stack([Y, -Y]))
    assert model.intercept_.shape == (3, 2)
    assert model.expert_coef_.shape == (3, 2, 6)
    assert model.expert_factors_.shape == (3, 2, 6, 2)
    assert model.gate_coef_.shape == (3, 6)
    assert model.gate_intercept_.shape == (3,)


@pytest.mark.parametrize(
    "name",
    ["intercept_", "gate_intercept_", "gate_coef_", "gate_factors_", "expert_coef_", "expert_factors_"],
)
def test_nothing_before_fit(name):
    assert not hasattr(MixtureFMClassifier(), name)


def test_intercepts_are_zero_without():
    model = MixtureFMClassifier(N_COMPONENTS, 2, fit_intercept=False, max_iter=2, random_state=0)
    np.testing.assert_array_equal(model.fit(X, Y > 10).intercept_, np.zeros((3, 1)))
