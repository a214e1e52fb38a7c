"""Rows of fixed width: nothing lost, little wasted, shapes shared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skfm.data.fields import Fields
from skfm.data.pack import bucket, choose_layout, choose_widths, layout_to_predict, pack_rows, table_rows
from tests.cases import FIELDS, sparse_rows

DUMMY = 99


def unpacked(packed, n_columns, fields):
    """The matrix that the packed rows stand for; complains about anything in unused slots."""
    X = np.zeros((packed.n_rows, n_columns))
    seen = np.zeros(packed.n_rows, dtype=int)
    for block in packed.blocks:
        assert block.ids.dtype == np.int32
        assert block.ids.shape[0] > block.rows.size
        seen[block.rows] += 1
        for i in range(block.ids.shape[0]):
            for s in range(block.ids.shape[1]):
                column = block.ids[i, s]
                value = 1.0 if block.values is None else block.values[i, s]
                if column == DUMMY:
                    assert block.values is None or value == 0
                    continue
                assert i < block.rows.size
                assert X[block.rows[i], column] == 0
                X[block.rows[i], column] = value
                if fields is not None and fields.n > 1:
                    slot_field = s if block.slot_fields is None else block.slot_fields[i, s]
                    assert slot_field == fields.numbers[column]
    assert np.all(seen == 1)
    return X


def uneven_rows():
    """Rows whose lengths differ so much that one width would waste most of it."""
    rng = np.random.default_rng(0)
    X = np.zeros((3000, 60))
    for x in X:
        length = 60 if rng.random() < 0.02 else rng.integers(0, 4)
        x[rng.choice(60, size=length, replace=False)] = rng.standard_normal(length)
    return X


RNG = np.random.default_rng(0)
ONE_EACH = sparse_rows(RNG, several=False)
FILLED = np.zeros((5, 12))
FILLED[np.arange(5)[:, None], [[0, 4, 8], [1, 5, 9], [3, 7, 11], [0, 7, 8], [2, 6, 10]]] = 2.0
SEVERAL = sparse_rows(RNG)
GIVEN = Fields(FIELDS, 3)
POOLED = Fields(np.zeros(12, dtype=np.int32), 1)
# Fields whose order is not that of the columns.
CROSSED = Fields(np.tile(np.array([2, 0, 1, 2], dtype=np.int32), 3), 3)


@pytest.mark.parametrize("index_type", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("X", "fields", "n_blocks", "by_slot"),
    [
        pytest.param(SEVERAL, None, 1, False, id="one-width"),
        pytest.param(SEVERAL, POOLED, 1, False, id="one-field"),
        pytest.param(ONE_EACH, GIVEN, 1, False, id="slot-is-field"),
        pytest.param(np.sign(np.abs(ONE_EACH)), GIVEN, 1, False, id="slot-is-field-of-ones"),
        pytest.param(FILLED, GIVEN, 1, False, id="every-slot-filled"),
        pytest.param(
            FILLED[:, [8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7]], GIVEN, 1, False, id="filled-reordered"
        ),
        pytest.param(
            np.eye(12)[[0, 1, 2, 3]] + 2 * np.eye(12)[[5, 6, 9, 10]], CROSSED, 1, False, id="crossed"
        ),
        pytest.param(SEVERAL, GIVEN, 1, True, id="slots-carry-fields"),
        pytest.param(np.ones((4, 12)), GIVEN, 1, True, id="dense-slots-carry-fields"),
        pytest.param(np.ones((4, 12)), None, 1, False, id="dense-ones"),
        pytest.param(np.zeros((4, 12)), None, 1, False, id="all-rows-empty"),
        pytest.param(np.zeros((4, 12)), GIVEN, 1, False, id="all-rows-empty-with-fields"),
        pytest.param(SEVERAL[:1], GIVEN, 1, True, id="one-row"),
    ],
)
def test_packed_rows_rebuild_the_matrix(X, fields, n_blocks, by_slot, dtype, index_type):
    matrix = sparse.csr_array(X)
    matrix.indices, matrix.indptr = matrix.indices.astype(index_type), matrix.indptr.astype(index_type)
    packed = pack_rows(matrix, dummy=DUMMY, dtype=dtype, fields=fields)
    assert len(packed.blocks) == n_blocks
    assert (packed.blocks[0].slot_fields is not None) == by_slot
    assert (packed.blocks[0].values is None) == bool(np.all(X[X != 0] == 1))
    np.testing.assert_array_equal(unpacked(packed, 12, fields), X.astype(dtype))


@pytest.mark.parametrize("fields", [None, Fields(np.repeat(np.arange(5, dtype=np.int32), 12), 5)])
def test_rows_of_uneven_length_go_to_several_blocks(fields):
    X = uneven_rows()
    packed = pack_rows(sparse.csr_array(X), dummy=DUMMY, dtype=np.float64, fields=fields)
    assert len(packed.blocks) > 1
    assert packed.n_slots < X.size / 2
    assert packed.n_slots == sum(block.rows.size * block.ids.shape[1] for block in packed.blocks)
    np.testing.assert_array_equal(unpacked(packed, 60, fields), X)


def log_uniform(rng):
    return np.exp(rng.uniform(np.log(5), np.log(500), size=20_000)).astype(int)


def heavy_tailed(rng):
    return np.minimum(5 * (1 + rng.pareto(1.0, size=20_000)), 500).astype(int)


LENGTHS = {
    "log-uniform": log_uniform,
    "heavy-tailed": heavy_tailed,
    "uniform": lambda rng: rng.integers(5, 501, size=20_000),
    "one-giant": lambda rng: np.append(np.full(50_000, 5), 500),
    "two-ends": lambda rng: np.repeat([5, 500], [50_000, 500]),
    "equal-mass": lambda rng: np.repeat(np.arange(5, 501), 20_000 // np.arange(5, 501)),
    # lengths just above a width waste the most
    "just-above": lambda rng: np.repeat(
        [5, 9, 17, 33, 65, 129, 257, 500], [6400, 3200, 1600, 800, 400, 200, 100, 50]
    ),
}


def check_widths(lengths):
    widths = choose_widths(np.bincount(lengths))
    assert np.all(np.diff(widths) > 0)
    assert widths[-1] >= lengths.max()
    used = widths[np.searchsorted(widths, lengths)].sum()
    # Below a small number of slots padding costs nothing that is worth a second program.
    assert used < max(2 * lengths.sum(), 2**15 + 1)
    return widths


@pytest.mark.parametrize("kind", LENGTHS)
def test_padding_costs_less_than_the_nonzeros(kind):
    widths = check_widths(LENGTHS[kind](np.random.default_rng(0)))
    assert widths.size <= 8


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(5, 500), st.integers(1, 50_000)), min_size=1, max_size=8))
def test_padding_costs_less_than_the_nonzeros_of_any_mix(groups):
    check_widths(np.repeat(*np.array(groups).T))


def test_widths_without_rows_or_nonzeros():
    assert choose_widths(np.zeros(0, dtype=int)).tolist() == [1]
    assert choose_widths(np.array([5])).tolist() == [1]


def rows_of(lengths):
    """A matrix of ones whose rows have these lengths."""
    lengths = np.asarray(lengths)
    starts = np.append(0, np.cumsum(lengths))
    indices = np.concatenate([np.arange(length) for length in lengths])
    return sparse.csr_array((np.ones(indices.size), indices, starts), shape=(lengths.size, 4096))


def test_few_rows_to_predict_have_one_of_few_widths():
    widths = [tuple(layout_to_predict(rows_of([length]), None).widths) for length in range(1001)]
    assert set(widths) == {(4,), (16,), (64,), (256,), (1024,)}
    assert all(width >= length for length, (width,) in enumerate(widths))
    assert not layout_to_predict(rows_of([3]), None).all_ones


@pytest.mark.parametrize(("n_rows", "most"), [(32, 5), (100, 10), (1025, 19)])
def test_widths_of_rows_to_predict_are_on_a_ladder(n_rows, most):
    rng = np.random.default_rng(0)
    found = set()
    for longest in np.linspace(2, 999, 150).astype(int):
        found.update(layout_to_predict(rows_of(rng.integers(1, longest + 1, n_rows)), None).widths.tolist())
    assert len(found) <= most


def test_folds_have_the_same_widths():
    """Near mixes of lengths, as those of texts in folds."""
    rng = np.random.default_rng(1)
    lengths = np.exp(rng.normal(4, 0.7, 5000)).astype(int)
    folds = np.array_split(rng.permutation(lengths), 5)
    widths = {
        tuple(choose_layout(rows_of(np.delete(folds, k, axis=0).ravel()), None).widths) for k in range(5)
    }
    assert len(widths) <= 2
    # Those of a table are its own.
    assert choose_layout(rows_of([17, 17, 17]), None).widths.tolist() == [17]


@pytest.mark.parametrize("bits", [2, 4])
def test_buckets_waste_little_and_are_few(bits):
    sizes = np.arange(1, 5000)
    rounded = np.array([bucket(int(n), bits=bits) for n in sizes])
    assert np.all(rounded >= sizes)
    assert np.all(rounded <= sizes * (1 + 2.0**-bits))
    assert np.all(np.diff(rounded) >= 0)
    for octave in range(5, 12):
        inside = rounded[(sizes > 2**octave) & (sizes <= 2 ** (octave + 1))]
        assert np.unique(inside).size <= 2**bits
    assert bucket(3, least=16) == 16


def test_near_sizes_share_shapes():
    rng = np.random.default_rng(0)
    matrices = [sparse.csr_array(sparse_rows(rng, n=n, several=False)) for n in (1000, 1012, 1023)]
    packed = [pack_rows(X, dummy=DUMMY, dtype=np.float64, fields=GIVEN) for X in matrices]
    assert len({block.ids.shape for rows in packed for block in rows.blocks}) == 1
    assert table_rows(40_000) == table_rows(39_500)
    # There is always room for the dummy row.
    assert all(table_rows(n) > n for n in range(1, 3000))
