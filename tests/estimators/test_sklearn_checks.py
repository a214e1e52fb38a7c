"""The whole of scikit-learn's contract, for every public estimator, with no expected failures."""

import pytest
import sklearn
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

import skfm
from tests.conftest import THOROUGH
from tests.estimators.problems import NAMES


def checked(name):
    """An estimator with default parameters; most networks are smaller and train for less long."""
    estimator = getattr(skfm, name)()
    small = {"n_factors": 3, "hidden_layer_sizes": (8,), "cin_layer_sizes": (4,), "max_iter": 40}
    if not THOROUGH and name not in NAMES:
        known = estimator.get_params()
        estimator.set_params(**{key: value for key, value in small.items() if key in known})
    return estimator


ESTIMATORS = [checked(name) for name in skfm.__all__ if name.endswith(("Classifier", "Regressor"))]
IS_OLD = parse_version(sklearn.__version__) < parse_version("1.7.1")


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: {})
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sklearn_check(estimator, check):
    if check.func.__name__ == "check_positive_only_tag_during_fit" and IS_OLD:
        pytest.skip(
            "this scikit-learn gives whole numbers to estimators of categories and subtracts a fraction"
        )
    check(estimator)
