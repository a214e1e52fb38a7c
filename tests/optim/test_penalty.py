"""Charges of the penalty against the objective that they stand for."""

import numpy as np
import pytest
from scipy import sparse

from skfm.data.statistics import column_statistics
from skfm.optim.penalty import charges
from tests import reference
from tests.cases import sparse_rows


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_charges_of_all_samples_add_up_to_the_penalty(power, scaled):
    """Each sample pays charge_j times the penalty of each column j that it touches: the mean is the whole."""
    rng = np.random.default_rng(0)
    X, weight = sparse_rows(rng, n=20), 0.1 + rng.random(20)
    X[:, 3] = 0
    tables = {"linear": rng.standard_normal((12, 1))}
    scale = 0.5 + rng.random(12) if scaled else None
    frequency = column_statistics(sparse.csr_array(X), weight).frequency
    charge = charges(frequency, power, scale)
    assert charge.shape == (12, 2 if scaled else 1)
    # What is trained on x / scale is scale times the weight of x.
    trained = tables["linear"][:, 0] * (scale if scaled else 1)
    l1, l2 = 0.3, 0.7
    paid = 0.0
    for x, s in zip(X, weight, strict=True):
        for j in np.flatnonzero(x):
            pays = charge[j, 0] * l1 * abs(trained[j]) + charge[j, -1] * l2 / 2 * trained[j] ** 2
            paid += s / weight.sum() * pays
    expected = reference.penalty(X, weight, tables, {"linear": l2}, power, l1={"linear": l1})
    assert paid == pytest.approx(expected, rel=1e-12)
    assert np.all(charge[3] == 0)
    assert np.all(charge[np.any(X != 0, axis=0)] > 0)
