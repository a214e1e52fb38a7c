"""Which columns have more to say than was heard."""

import numpy as np
import pytest

from skfm.train.unheard import _Slopes

N = 40
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=N)


@pytest.mark.parametrize(("share", "left"), [(0.3, False), (0.95, True)])
def test_what_chance_explains_in_few_rows_is_nothing_left(share, left):
    """A column of chance explains 1 / n of the derivatives, which is more than the least share of them."""
    column = share * NOISE / NOISE.std() + np.sqrt(1 - share**2) * RNG.permutation(NOISE) / NOISE.std()
    slopes = _Slopes(np.full(N, 1 / N), NOISE[None], NOISE[None])
    assert slopes.left(column[:, None], [np.ones((N, 1))], np.array([0.01])).tolist() == [left]
