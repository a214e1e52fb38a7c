"""Factorization machines that multiply more than two columns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skfm import FMClassifier, FMRegressor
from tests import reference
from tests.estimators.problems import X, Y, make

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

BITS = np.random.default_rng(0).integers(2, size=(400, 4)).astype(float)
TRIPLES = BITS[:, 0] * BITS[:, 1] * BITS[:, 2]
FREE = {"l2_linear": 0, "l2_factors": 1e-7, "init_scale": 0.3, "random_state": 0}


@pytest.mark.parametrize("settings", [{}, {"solver": "adam", "batch_size": 64, "learning_rate": 0.02}])
def test_three_columns_at_once_need_the_third_order(settings):
    third = FMRegressor(4, degree=3, **FREE, **settings).fit(BITS, TRIPLES)
    second = FMRegressor(4, **FREE, **settings).fit(BITS, TRIPLES)
    assert third.score(BITS, TRIPLES) > 0.99
    assert second.score(BITS, TRIPLES) < 0.95


@pytest.mark.parametrize("degree", [3, 4])
def test_attributes_are_on_the_scale_of_the_target(degree):
    model = make("FMRegressor", degree=degree, max_iter=20).fit(X, Y)
    assert [factors.shape for factors in model.higher_factors_] == (degree - 2) * [(6, 3)]
    raw = [
        model.intercept_
        + reference.linear_term(x, model.coef_[:, None])[0]
        + model.target_scale_
        * sum(
            reference.higher_order(x, factors, order)
            for order, factors in enumerate([model.factors_, *model.higher_factors_], start=2)
        )
        for x in X
    ]
    assert_allclose(model.predict(X), raw, rtol=1e-5)


def test_vectors_of_all_orders_come_out_of_transform():
    y = np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
    model = make("FMClassifier", degree=3).fit(X, y)
    assert model.transform(X).shape == (X.shape[0], 3 * 2 * 3)
    assert len(model.get_feature_names_out()) == 18
    assert model.higher_factors_[0].shape == (3, 6, 3)


def test_the_default_has_no_higher_factors():
    assert make("FMRegressor").fit(X, Y).higher_factors_ == []
    with pytest.raises(AttributeError, match="before fit"):
        _ = FMClassifier().higher_factors_


def test_a_lower_degree_starts_a_higher_one():
    first = make("FMRegressor", max_iter=20).fit(X, Y)
    slowly = {"solver": "sgd", "learning_rate": 1e-12, "max_iter": 1}
    model = make("FMRegressor", degree=3, init_from=first, **slowly).fit(X, Y)
    assert_allclose(model.factors_, first.factors_, rtol=1e-6)
    assert np.any(model.higher_factors_[0])
