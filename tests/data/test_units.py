"""Rows in standard units: centred columns have an entry in every row, and values out of range are named."""

import numpy as np
import pytest
from scipy import sparse

from skfm.data.units import Units, check_range, standardized

RNG = np.random.default_rng(0)
N = 9


def rows():
    """Columns 1 and 4 are dense but for some zeros, the others are sparse; a row is empty."""
    X = np.where(RNG.random((N, 6)) < 0.4, RNG.normal(size=(N, 6)), 0)
    X[:, [1, 4]] = 300 + RNG.normal(size=(N, 2))
    X[2, 1] = X[5, 4] = 0
    X[7] = 0
    return X


def test_centred_columns_get_the_entries_that_rows_lack():
    X, scale = rows(), 0.5 + RNG.random(6)
    center = np.array([0, 300.0, 0, 0, 299.0, 0])
    found = standardized(sparse.csr_array(X), Units(center, scale))
    expected = np.where((X != 0) | (center != 0), (X - center) / scale, 0)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-15)
    np.testing.assert_array_equal(np.diff(found.indptr), ((X != 0) | (center != 0)).sum(axis=1))
    for row in range(N):
        columns = found.indices[found.indptr[row] : found.indptr[row + 1]]
        assert np.all(np.diff(columns) > 0)


def test_rows_that_lack_nothing_keep_their_pattern():
    X = sparse.csr_array(300 + RNG.normal(size=(N, 3)))
    units = Units(np.full(3, 300.0), np.full(3, 2.0))
    assert units.filled(X) is X
    np.testing.assert_array_equal(standardized(X, units).toarray(), (X.toarray() - 300) / 2)


def test_columns_without_units_are_left_alone():
    X = sparse.csr_array(rows())
    assert standardized(X, Units()) is X
    assert Units().filled(X) is X


def test_an_empty_matrix_has_standard_units():
    X = sparse.csr_array((0, 3))
    assert standardized(X, Units(np.ones(3), np.ones(3))).shape == (0, 3)


@pytest.mark.parametrize("value", [1e30, -1e30, np.inf, np.nan])
def test_a_value_out_of_range_is_named(value):
    X = rows()
    X[5, 2] = value
    check_range(sparse.csr_array(rows()), np.float32, 7)
    with pytest.raises(ValueError, match=r"at row 12, column 2 .* in float32\. Clip"):
        check_range(sparse.csr_array(X), np.float32, 7)
    with pytest.raises(ValueError, match="at column 2 "):
        check_range(sparse.csr_array(X), np.float32)
