import numpy as np
import pytest

from skfm.runtime import precision


@pytest.fixture
def in_float64():
    with precision(np.float64):
        yield


@pytest.fixture
def several_widths(monkeypatch):
    """Rows of uneven length go to several blocks, however few they are."""
    monkeypatch.setattr("skfm.data.pack._FREE_SLOTS", 0)
    monkeypatch.setattr("skfm.data.pack._MAX_PADDING", 1.0)
