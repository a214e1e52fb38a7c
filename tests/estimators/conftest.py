"""Fixtures of the estimators' tests."""

import pytest

from tests.estimators.problems import X, make, target


@pytest.fixture(scope="module")
def fitted():
    """Function of a name and parameters: that estimator, fitted once a file to the target of its kind."""
    models = {}

    def get(name, **parameters):
        key = name, *parameters.items()
        if key not in models:
            models[key] = make(name, **parameters).fit(X, target(name))
        return models[key]

    return get
