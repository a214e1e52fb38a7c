"""Equal rows become one row with their summed weight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from skfm.fitting.duplicates import merge_duplicates


def grouped(X, y, weight):
    """Weight of each kind of row, by a dictionary."""
    kinds = {}
    for x, target, s in zip(X, y, weight, strict=True):
        key = (tuple(x.tolist()), tuple(np.atleast_1d(target).tolist()))
        kinds[key] = kinds.get(key, 0.0) + s
    return kinds


TARGETS = {
    "numbers": lambda codes: codes.astype(np.float64),
    "two columns": lambda codes: np.stack([codes // 2, codes % 2], axis=1).astype(np.float64),
    "strings": lambda codes: np.array(["no", "yes", "perhaps", "never"])[codes],
    "objects": lambda codes: np.array(["no", "yes", "perhaps", "never"], dtype=object)[codes],
}


@pytest.mark.parametrize("kind", TARGETS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_merging_is_grouping_in_any_order(kind, data):
    n = data.draw(st.integers(1, 12))
    X = data.draw(arrays(np.float64, (n, 3), elements=st.sampled_from([0.0, 0.0, 1.0, -1.0, 2.5])))
    y = TARGETS[kind](data.draw(arrays(np.int64, n, elements=st.integers(0, 3))))
    weight = data.draw(arrays(np.float64, n, elements=st.floats(0.1, 10)))
    merged = merge_duplicates(sparse.csr_array(X), y, weight)
    kinds = grouped(X, y, weight)
    assert merged[0].shape[0] == merged[1].shape[0] == merged[2].size == len(kinds)
    assert merged[1].dtype == y.dtype
    for key, total in grouped(merged[0].toarray(), *merged[1:]).items():
        assert total == pytest.approx(kinds[key], rel=1e-12)

    order = np.array(data.draw(st.permutations(range(n))))
    again = merge_duplicates(sparse.csr_array(X[order]), y[order], weight[order])
    for one, other in zip((merged[0].toarray(), *merged[1:]), (again[0].toarray(), *again[1:]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_row_twice_is_weight_of_two():
    X = sparse.csr_array(np.array([[1.0, 0, 2], [0, 0, 0], [0, 3, 0]]))
    y, weight = np.array([0.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0])
    twice = merge_duplicates(X[[0, 1, 1, 2, 2, 2]], y[[0, 1, 1, 2, 2, 2]], np.ones(6))
    once = merge_duplicates(X, y, weight)
    np.testing.assert_array_equal(twice[0].toarray(), once[0].toarray())
    np.testing.assert_array_equal(twice[1], once[1])
    np.testing.assert_array_equal(twice[2], once[2])


def test_no_rows():
    X, y, weight = merge_duplicates(sparse.csr_array((0, 3)), np.zeros(0), np.zeros(0))
    assert X.shape == (0, 3)
    assert y.size == weight.size == 0
