"""Sums over the entries of sparse rows in native code, against NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skfm.layers import native
from skfm.native.sums import PLAIN, Columns, as_native, sums

pytestmark = pytest.mark.skipif(not native.available(), reason="native code is not built here")

N_COLUMNS = 300
# Each width below 17 has code of its own, as have 17 and 33.
WIDTHS = [*range(1, 19), 31, 32, 33, 34, 50]


def sums_of(X, *arguments):
    return sums(as_native(X), *arguments)


def problem(width, dtype, of_values, seed=0):
    """Rows of no entry, of few and of more than are asked for ahead; and a table."""
    rng = np.random.default_rng(seed)
    density = rng.choice([0, 0.01, 0.5, 1], (23, 1), p=[0.2, 0.4, 0.2, 0.2])
    X = sparse.csr_array(rng.standard_normal((23, N_COLUMNS)) * (rng.random((23, N_COLUMNS)) < density))
    return X.astype(of_values), rng.standard_normal((N_COLUMNS, width)).astype(dtype)


def expected(X, table):
    X, table = X.toarray().astype(np.float64), table.astype(np.float64)
    total = X @ table
    return total, 0.5 * (total**2 - X**2 @ table**2)


def tolerance(dtype):
    return {"rtol": 1e3 * np.finfo(dtype).eps, "atol": 1e4 * np.finfo(dtype).eps}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("of_values", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("width", WIDTHS)
def test_sums_and_pairs(width, of_values, dtype):
    X, table = problem(width, dtype, of_values)
    found = sums_of(X, slice(0, 23), PLAIN, table)
    for one, other in zip(found, expected(X, table), strict=True):
        assert one.dtype == dtype
        assert_allclose(one, other, **tolerance(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_and_rows_of_columns(dtype):
    X, table = problem(6, dtype, np.float64)
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 40, N_COLUMNS)
    center, scale = rng.standard_normal(N_COLUMNS), rng.uniform(0.5, 2, N_COLUMNS)
    stored = X.toarray() != 0
    for origin, index in ((None, np.int32), (center, np.int64)):
        found = sums(
            as_native(X), slice(0, 23), Columns(ids.astype(index), origin, scale, np.inf), table[:40]
        )
        moved = (X.toarray() - (0 if origin is None else origin)) / scale * stored
        for one, other in zip(found, expected(sparse.csr_array(moved), table[ids]), strict=True):
            assert_allclose(one, other, **tolerance(dtype))


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_rows_have_the_same_sums_in_any_company(index):
    X, table = problem(17, np.float32, np.float64)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    columns = Columns(None, None, np.full(N_COLUMNS, 3.0), np.inf)
    together = sums_of(X, slice(0, 23), columns, table)
    for row in range(23):
        for one, other in zip(sums_of(X, slice(row, row + 1), columns, table), together, strict=True):
            assert_array_equal(one[0], other[row])


def test_values_out_of_range():
    X, table = problem(5, np.float32, np.float64)
    largest = np.abs(X.data).max()
    for scale in (None, np.full(N_COLUMNS, 0.5)):
        factor = 1 if scale is None else 2
        assert sums_of(X, slice(0, 23), Columns(None, None, scale, factor * largest), table) is not None
        assert sums_of(X, slice(0, 23), Columns(None, None, scale, 0.999 * factor * largest), table) is None
    row = int(np.searchsorted(X.indptr, np.abs(X.data).argmax(), side="right")) - 1
    assert sums_of(X, slice(row + 1, 23), Columns(None, None, None, 0.999 * largest), table) is not None
