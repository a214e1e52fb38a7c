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


def test_rows_are_held_out_where_all_are_alone_in_their_kind():
    train, held_out = split_rows(np.arange(40), 7, 0)
    assert (train.size, held_out.size) == (33, 7)
    np.testing.assert_array_equal(np.sort(np.append(train, held_out)), np.arange(40))
