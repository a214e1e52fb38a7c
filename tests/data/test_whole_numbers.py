"""Whole numbers beyond 2**53: what would be one number as a float is found, and nothing else."""

from decimal import Decimal

import numpy as np
import pytest
from scipy import sparse

from skfm.data.whole_numbers import holds_large, merged

A, B = 2**62, 2**62 + 1


@pytest.mark.parametrize(
    "values",
    [
        np.array([5, B, A, B]),
        np.array([5, 2**63 + 1, 2**63], np.uint64),
        np.array([-5, -B, -A]),
        np.array([0.5, B, A], dtype=object),
        np.array([None, Decimal(B), A], dtype=object),
        np.array(["x", str(B), str(A)]),
        np.array([b"x", str(B).encode(), str(A).encode()]),
    ],
)
def test_two_that_are_one_float(values):
    found = merged(values)
    assert (found.row, found.other_row) == (1, 2)
    assert {found.value, found.other} == set(map(int, values[1:3]))
    assert float(found.value) == float(found.other)


@pytest.mark.parametrize("held_as", [np.asarray, sparse.csr_array, sparse.coo_matrix])
def test_columns_are_apart(held_as):
    assert merged(held_as(np.array([[A, 1], [1, B]]))) is None
    found = merged(held_as(np.array([[0, A], [7, 0], [0, B]])))
    assert found[:] == (A, 0, B, 2, 1)


@pytest.mark.parametrize(
    "values",
    [
        np.array([A, A + 1024, 3]),
        np.array([B, B]),
        np.array([2**53 - 1, 2**53 - 2]),
        np.array([2.0**62, 2.0**62]),
        np.array([True, False]),
        np.array([10**400, 10**400 + 1], dtype=object),
        np.array([Decimal("0.1"), Decimal("NaN"), None, "a", np.timedelta64(A, "s")], dtype=object),
        np.array([], dtype=object),
    ],
)
def test_others_are_not(values):
    assert merged(values) is None


def test_large_ones():
    assert holds_large(np.array([[0.5, 2**53]], dtype=object))
    assert not holds_large(np.array([[0.5, 2**53 - 1]], dtype=object))


def test_the_first_rows_of_two_values_are_named_whatever_other_columns_hold():
    values = np.full((5, 3), 2**60)
    values[1, 0] = values[4, 2] = 2**61
    values[3, 1] += 1
    values[4, 1] += 1
    found = merged(values)
    assert (found.value, found.row, found.other, found.other_row, found.column) == (2**60, 0, 2**60 + 1, 3, 1)
