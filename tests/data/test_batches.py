"""Rows in batches: every row once, the rows of the table that each batch touches, what they are charged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skfm.data.batches import (
    Batching,
    Samples,
    batch_in_memory,
    compose,
    make_batches,
    n_batches,
    number_rows,
)
from skfm.data.fields import Fields
from skfm.data.pack import pack_rows, table_rows
from skfm.data.units import Units
from tests.cases import FIELDS, sparse_rows


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.integers(1, 64))
def test_batches_hold_every_row_once(size, batch_size):
    order = compose(size, batch_size, np.random.default_rng(0))
    assert order.dtype == np.int32
    assert order.shape[1] <= batch_size
    np.testing.assert_array_equal(np.sort(order[order != size]), np.arange(size))
    filled = (order != size).sum(axis=1)
    n = n_batches(size, batch_size)
    assert np.all(filled[n:] == 0)
    assert np.ptp(filled[:n]) <= 1


def test_rows_are_shuffled_reproducibly():
    first, again, other = (compose(100, 10, np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert np.mean((first == other)[first < 100]) < 0.1
    assert np.mean(first[:, 1:] > first[:, :-1]) < 0.7


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.integers(0, 2**31 - 1))
def test_different_ids_are_numbered(ids, seed):
    ids = np.array(ids, dtype=np.int32)
    scratch = np.random.default_rng(seed).integers(-(2**31), 2**31, size=21).astype(np.int32)
    different, place = number_rows(ids, scratch)
    np.testing.assert_array_equal(np.sort(different), np.unique(ids))
    np.testing.assert_array_equal(different[place], ids)


@pytest.mark.parametrize("n_charges", [1, 2])
@pytest.mark.parametrize("fields", [None, Fields(FIELDS, 3)])
@pytest.mark.parametrize("ones", [False, True])
def test_batches_are_the_rows_of_the_matrix(n_charges, fields, ones, several_widths):
    rng = np.random.default_rng(0)
    X = sparse_rows(rng, n=43, several=True, ones=ones)
    dummy = table_rows(12) - 1
    y, weight = np.arange(43.0), 0.1 + rng.random(43)
    weight[5] = 0
    charges = np.zeros((dummy + 1, n_charges))
    charges[:12] = rng.random((12, n_charges))
    found = []
    for block in pack_rows(sparse.csr_array(X), dummy=dummy, dtype=np.float64, fields=fields).blocks:
        order = compose(block.rows.size, 4, rng)
        batching = Batching(charges, Units(), fields, 4, np.float64, 0)
        batches = make_batches(block, order, Samples(X, y, weight), batching)
        for touched, charge, place, shared, targets in zip(
            batches.touched, batches.charge, batches.position, batches.weight, batches.y, strict=True
        ):
            ids = touched[place]
            used = np.zeros((shared.size, dummy + 1), bool)
            used[np.arange(shared.size)[:, None], ids] = True
            paid = dict.fromkeys(range(dummy + 1), 0.0) | dict(enumerate(shared @ used))
            paid[dummy] = 0
            np.testing.assert_allclose(charge, [paid[i] * charges[i] for i in touched], atol=1e-12)
            real = touched[touched != dummy]
            assert real.size == np.unique(real).size
            for row, target in enumerate(targets):
                if np.all(ids[row] == dummy) and shared[row] == 0:
                    continue
                found.append(int(target))
                assert shared[row] == weight[int(target)]
                np.testing.assert_array_equal(np.flatnonzero(used[row, :12]), np.flatnonzero(X[int(target)]))
        if ones:
            assert batches.values is None
        else:
            values = np.sort(batches.values[batches.values != 0])
            np.testing.assert_array_equal(values, np.sort(X[block.rows][X[block.rows] != 0]))
        if fields is not None and batches.slot_fields is not None:
            ids = np.take_along_axis(batches.touched[:, None, :], batches.position, axis=2)
            real = ids != dummy
            np.testing.assert_array_equal(batches.slot_fields[real], FIELDS[ids[real]])
    assert set(np.flatnonzero(weight)) <= set(found) <= set(range(43))
    assert len(found) == len(set(found))


@pytest.mark.parametrize("scaled", [False, True])
def test_batches_in_memory_have_every_row_once_with_weights_of_mean_one(scaled, several_widths):
    rng = np.random.default_rng(0)
    X, y, weight = sparse_rows(rng, n=43, several=True), np.arange(43.0), 0.1 + rng.random(43)
    scale = 0.5 + rng.random(12) if scaled else None
    samples = Samples(sparse.csr_array(X), y, weight)
    batching = Batching(
        np.ones((table_rows(12), 1)), Units(None, scale), None, 4, np.dtype(np.float64), seed=3
    )
    found = np.zeros((43, 12))
    weights = np.zeros(43)
    blocks, sizes = batch_in_memory(samples, batching)
    for batches, size in zip(blocks, sizes, strict=True):
        assert np.count_nonzero(batches.weight) == size
        for number, row in np.argwhere(batches.weight):
            ids = batches.touched[number][batches.position[number, row]]
            target = int(batches.y[number, row])
            np.add.at(found[target], ids[ids < 12], batches.values[number, row][ids < 12])
            weights[target] += batches.weight[number, row]
    np.testing.assert_allclose(found, X / (1 if scale is None else scale), rtol=1e-12)
    np.testing.assert_allclose(weights, weight / weight.mean(), rtol=1e-12)
