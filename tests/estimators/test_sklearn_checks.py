"""The whole of scikit-learn's contract, for every public estimator, with no expected failures."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import skfm

ESTIMATORS = [getattr(skfm, name)() for name in skfm.__all__ if name.endswith(("Classifier", "Regressor"))]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: {})
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sklearn_check(estimator, check):
    check(estimator)
