"""What tests of native code share."""

import numpy as np
import pytest

from skfm.runtime import precision


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with precision(np.dtype(request.param)):
        yield np.dtype(request.param)
