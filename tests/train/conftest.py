import numpy as np
import pytest

from skfm.runtime import precision


@pytest.fixture
def in_float64():
    with precision(np.float64):
        yield
