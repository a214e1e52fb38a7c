"""The development scripts of `tools/`."""

import numpy as np
import pytest

import skfm
from tools.compare_fits import FITS, Fit, Within, difference, judge


def test_fits_to_compare_have_every_estimator():
    estimators = {name for name in skfm.__all__ if hasattr(getattr(skfm, name), "get_params")}
    assert {one.estimator for one in FITS} == estimators
    assert len({one.name for one in FITS}) == len(FITS) >= 40
    assert all(one.expected == "bits" or one.expected.reason for one in FITS)


EXACT = Fit("FMClassifier", "a fit", lambda kind: {})
CLOSE = EXACT._replace(expected=Within(0.1, "a reason"))
FOUND = {"predict": np.array([1.0, 2.0]), "solver_": np.array("adam")}
NEAR = FOUND | {"predict": np.array([1.0, 2.1]), "solver_": np.array("sgd")}
FAR = FOUND | {"predict": np.array([1.0, 3.0])}


@pytest.mark.parametrize(
    ("fit", "other", "passed"),
    [
        (EXACT, FOUND, True),
        (CLOSE, FOUND, True),
        (EXACT, NEAR, False),
        (CLOSE, NEAR, True),
        (CLOSE, FAR, False),
        (EXACT, FOUND | {"solver_": np.array("sgd")}, False),
        (EXACT, FOUND | {"predict": FOUND["predict"].astype(np.float32)}, False),
        (CLOSE, {"error": np.array("ValueError: no")}, False),
        (CLOSE, {"predict": FOUND["predict"]}, False),
        (EXACT, {}, False),
    ],
)
def test_comparison_allows_what_was_said(fit, other, passed):
    assert judge(fit, FOUND, other).passed is passed
    assert judge(fit, other, FOUND).passed is passed


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.nan, 1.0], [1.0, 1.0], np.inf),
        ([1.0], [1.0, 1.0], np.inf),
        (["a"], ["b"], np.inf),
        ([False, True], [True, True], 1.0),
    ],
)
def test_difference_is_a_share_of_the_largest_number(first, second, expected):
    assert difference(np.array(first), np.array(second)) == pytest.approx(expected)
