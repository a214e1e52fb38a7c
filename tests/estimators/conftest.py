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


@pytest.fixture
def on_disk(monkeypatch):
    """All streams go to disk, in several pieces and parts."""
    monkeypatch.setattr("skfm.fitting.streams._IN_MEMORY", 0)
    monkeypatch.setattr("skfm.fitting.streams._BUFFER_ROWS", 40)
    monkeypatch.setattr("skfm.data.spool._PIECE_ROWS", 8)
    # Rows of uneven length have two widths.
    monkeypatch.setattr("skfm.data.pack._FREE_SLOTS", 0)
