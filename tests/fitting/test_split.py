"""Rows to hold out: shares of kinds, and what is done where rows are few."""

import numpy as np
import pytest

from skfm.fitting.learn import split_rows


def shares(kinds, rows):
    return np.bincount(kinds[rows], minlength=kinds.max() + 1)


@pytest.mark.parametrize("seed", range(5))
def test_kinds_have_their_share_on_both_sides(seed):
    kinds = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [60, 30, 10]))
    train, held_out = split_rows(kinds, 20, seed)
    np.testing.assert_array_equal(shares(kinds, held_out), [12, 6, 2])
    np.testing.assert_array_equal(np.sort(np.append(train, held_out)), np.arange(100))


@pytest.mark.parametrize("seed", range(5))
def test_a_row_alone_in_its_kind_is_trained_on_and_the_others_keep_their_shares(seed):
    kinds = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2, 3], [60, 30, 1, 1]))
    train, held_out = split_rows(kinds, 18, seed)
    np.testing.assert_array_equal(shares(kinds, held_out), [12, 6, 0, 0])
    np.testing.assert_array_equal(np.sort(np.append(train, held_out)), np.arange(92))


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_is_trained_on_where_there_are_more_kinds_than_held_out_rows(seed):
    kinds = np.random.default_rng(seed).permutation(np.repeat(np.arange(30), 2))
    train, held_out = split_rows(kinds, 20, seed)
    assert held_out.size == 20
    assert (shares(kinds, train) > 0).all()
    np.testing.assert_array_equal(np.sort(np.append(train, held_out)), np.arange(60))


@pytest.mark.parametrize(
    ("counts", "n_held_out", "n_found"),
    [([1, 2], 1, 1), ([1, 1, 3], 4, 2), ([100, 2], 90, 90), ([50, 2, 2, 1], 48, 48), ([1] * 20 + [2], 5, 1)],
)
@pytest.mark.parametrize("seed", range(5))
def test_every_kind_is_trained_on_however_few_its_rows_are(counts, n_held_out, n_found, seed):
    kinds = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    train, held_out = split_rows(kinds, n_held_out, seed)
    assert held_out.size == n_found
    assert (shares(kinds, train) > 0).all()
    np.testing.assert_array_equal(np.sort(np.append(train, held_out)), np.arange(kinds.size))


@pytest.mark.parametrize("n_kinds", [2, 3, 40])
def test_no_row_is_held_out_where_all_are_alone_in_their_kind(n_kinds):
    with pytest.raises(ValueError, match=rf"each of the {n_kinds} rows is alone in its class. Give early"):
        split_rows(np.arange(n_kinds), 1, 0)
