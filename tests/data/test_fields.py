"""Fields of columns: found in a matrix, or given as labels."""

from itertools import combinations
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.preprocessing import OneHotEncoder

from skfm.data.fields import Fields, field_numbers, find_fields, one_slot_each, too_many_fields


def blocks_from(borders, n_columns):
    """Field numbers of contiguous blocks that begin at 0 and at each border."""
    return np.searchsorted(sorted(borders), np.arange(n_columns), side="right")


def no_row_has_two(X, fields):
    return all(np.count_nonzero(x[fields == field]) <= 1 for x in X for field in np.unique(fields))


def smallest_number_of_blocks(X):
    """By trying every set of borders, the small sets first."""
    n_columns = X.shape[1]
    for n_borders in range(n_columns):
        for borders in combinations(range(1, n_columns), n_borders):
            if no_row_has_two(X, blocks_from(borders, n_columns)):
                return n_borders + 1
    raise AssertionError("one block a column is always enough")


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(1, 8)),
        elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0]),
    )
)
def test_find_fields_gives_the_smallest_number_of_contiguous_blocks(X):
    fields = find_fields(sparse.csr_array(X))
    # Whichever intervals are asked first, and however often the missed ones are.
    for first, rounds in [(0, 1), (1, 2), (1, 100)]:
        with patch.multiple("skfm.data.fields", _FIRST_INTERVALS=first, _MAX_ROUNDS=rounds):
            np.testing.assert_array_equal(find_fields(sparse.csr_array(X)), fields)
    assert fields.dtype == np.int32
    assert fields.shape == (X.shape[1],)
    assert fields[0] == 0
    assert set(np.diff(fields)) <= {0, 1}
    assert no_row_has_two(X, fields)
    assert fields[-1] + 1 == smallest_number_of_blocks(X)


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.zeros((3, 4)), [0, 0, 0, 0]),
        (np.zeros((0, 4)), [0, 0, 0, 0]),
        (np.ones((3, 1)), [0]),
        (np.ones((1, 3)), [0, 1, 2]),
        # empty rows first, between and last: a row's last nonzero and the next row's first are no pair
        (np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 0]]), [0, 0, 0]),
        (np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]), [0, 0, 0]),
    ],
)
def test_find_fields_in_special_matrices(X, expected):
    np.testing.assert_array_equal(find_fields(sparse.csr_array(X)), expected)


@pytest.mark.parametrize("drop", [None, "first", "if_binary", "an array"])
def test_find_fields_recovers_the_columns_of_a_one_hot_encoder(drop):
    rng = np.random.default_rng(0)
    sizes = [3, 2, 7, 2, 5, 4]
    raw = np.stack([rng.integers(size, size=300) for size in sizes], axis=1)
    dropped = np.array([1, 0, 6, 1, 2, 0]) if drop == "an array" else drop
    encoded = OneHotEncoder(drop=dropped).fit_transform(raw)
    kept = [size - (drop in ("first", "an array") or (drop == "if_binary" and size == 2)) for size in sizes]
    fields = find_fields(sparse.csr_array(encoded))
    np.testing.assert_array_equal(fields, np.repeat(np.arange(len(sizes)), kept))


@pytest.mark.parametrize(
    ("n_fields", "nnz_per_row", "expected"),
    [(64, 1.0, False), (65, 1.0, True), (100, 100.0, False), (200, 100.0, False), (500, 12.5, True)],
)
def test_text_has_too_many_fields(n_fields, nnz_per_row, expected):
    assert too_many_fields(n_fields, nnz_per_row) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "b", "a", "b"], [0, 0, 1, 0]),
        ([7, 3, 7, 5], [0, 1, 0, 2]),
        (np.array([0, 1, 2, 2]), [0, 1, 2, 2]),
    ],
)
def test_field_numbers_count_by_first_appearance(labels, expected):
    numbers = field_numbers(labels, 4)
    assert numbers.dtype == np.int32
    np.testing.assert_array_equal(numbers, expected)


@pytest.mark.parametrize(
    ("labels", "shape"),
    [([0, 1], r"\(2,\)"), ([[0, 1, 2]], r"\(1, 3\)"), (np.zeros((3, 1)), r"\(3, 1\)"), (4, r"\(\)")],
)
def test_field_numbers_needs_one_label_a_column(labels, shape):
    with pytest.raises(ValueError, match=rf"one label for each of the 3 columns of X.*{shape}"):
        field_numbers(labels, 3)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, (4, 6), elements=st.sampled_from([0.0, 0.0, 1.0])),
    arrays(np.int32, 6, elements=st.integers(0, 2)),
)
def test_one_slot_each(X, numbers):
    assert one_slot_each(sparse.csr_array(X), Fields(numbers, 3)) == no_row_has_two(X, numbers)
