"""Statistics of columns: what they are, and that parts of the rows merge to those of all."""

from functools import reduce

import numpy as np
import pytest
from scipy import sparse

from skfm.data.spool import RowSpool
from skfm.data.statistics import Evidence, Heard, column_statistics, mark_of, merge_column_statistics
from tests import reference
from tests.cases import sparse_rows

# Columns 1, 2 and 5 share a row of the tables, and so do 7 and 8.
TABLE_ROWS = np.array([0, 1, 1, 3, 4, 1, 6, 7, 7, 9, 10, 11], np.int32)


def rows(*, ones=False, unit=1.0):
    """Rows in several units, a column that no row touches, and weights."""
    rng = np.random.default_rng(0)
    X, weight = unit * sparse_rows(rng, n=20, ones=ones), 0.1 + rng.random(20)
    X[:, 3] = 0
    return X, weight


def naive_scale(X, weight, unit=1.0, members=None):
    """Weighted root mean square of the nonzeros of each column, or of the columns that share its row."""
    scale = np.ones(X.shape[1])
    for j in range(X.shape[1]):
        together = [j] if members is None else np.flatnonzero(members == members[j])
        found = [(weight[i], X[i, k] / unit) for i in range(X.shape[0]) for k in together if X[i, k] != 0]
        if sum(s for s, _ in found):
            scale[j] = unit * np.sqrt(sum(s * x**2 for s, x in found) / sum(s for s, _ in found))
    return scale


def test_frequency():
    X, weight = rows()
    frequency = column_statistics(sparse.csr_array(X), weight).frequency
    np.testing.assert_allclose(frequency, reference.frequency(X, weight), rtol=1e-12)
    assert frequency[3] == 0


@pytest.mark.parametrize("table_rows", [None, TABLE_ROWS])
def test_evidence_of_columns(table_rows):
    X, weight = rows()
    total = sum(weight[i] for i, j in np.argwhere(X))
    touched = {j if table_rows is None else table_rows[j] for _, j in np.argwhere(X)}
    row = min(1, weight.sum() / np.count_nonzero(weight))
    evidence = Evidence.of(sparse.csr_array(X), weight, table_rows)
    assert evidence.total.n == pytest.approx(weight.sum() / row, rel=1e-12)
    assert evidence.of_columns == pytest.approx(total / row / len(touched), rel=1e-12)


def test_evidence_of_rows_without_entries():
    assert Evidence.of(sparse.csr_array((2, 3)), np.ones(2)).of_columns == 0


def heard_of(chunks, table_rows=None):
    """What chunks (X, y, weight) have said, one after the other."""
    heard = None
    for chunk in chunks:
        evidence, mark = Evidence.of(chunk[0], chunk[2], table_rows), mark_of(*chunk)
        heard = Heard(evidence, (mark,)) if heard is None else heard.then(evidence, mark)
    return heard


def chunks_of(*parts):
    X, weight = rows()
    X, y = sparse.csr_array(X), np.arange(X.shape[0]) % 2
    return [(X[part], y[part], weight[part]) for part in parts]


FIRST, SECOND, THIRD = np.arange(2), np.arange(2, 4), np.arange(4, rows()[0].shape[0])


@pytest.mark.parametrize("table_rows", [None, TABLE_ROWS])
@pytest.mark.parametrize("n_passes", [1, 2, 3])
def test_passes_over_the_same_chunks_say_what_one_does(table_rows, n_passes):
    X, weight = rows()
    whole = Evidence.of(sparse.csr_array(X), weight, table_rows)
    for parts in ([np.arange(X.shape[0])], [FIRST, SECOND, THIRD]):
        heard = heard_of(chunks_of(*parts) * n_passes, table_rows)
        assert heard.evidence.total.n == pytest.approx(whole.total.n, rel=1e-12)
        assert heard.evidence.of_columns == pytest.approx(whole.of_columns, rel=1e-12)
        assert heard.again is None


def test_chunks_that_happen_to_come_again_are_new():
    a, b, c = chunks_of(FIRST, SECOND, THIRD)
    sums = [chunk[2].sum() for chunk in (a, b, c)]
    assert heard_of([a, b, c, a, c]).evidence.total.weight == pytest.approx(2 * sum(sums) - sums[1])
    # A table may have grown in the first pass; the third is as the second.
    grown = [(X, y, 2 * weight) for X, y, weight in (a, b, c)]
    assert heard_of([a, b, c, *grown, *grown]).evidence.total.weight == pytest.approx(3 * sum(sums))
    other_weight = (c[0], c[1], 2 * c[2])
    assert heard_of([a, b, c, a, b, other_weight]).evidence.total.weight == pytest.approx(
        2 * sum(sums) + sums[2]
    )


def test_single_rows_of_few_kinds_are_counted():
    rng = np.random.default_rng(0)
    kinds = [(sparse.csr_array([[float(kind), 1.0]]), np.ones(1), np.ones(1)) for kind in range(8)]
    heard = heard_of([kinds[kind] for kind in rng.integers(8, size=500)])
    assert heard.evidence.total.weight + (heard.again.total.weight if heard.again else 0) > 480


def test_marks_are_bounded(monkeypatch):
    monkeypatch.setattr("skfm.data.statistics._MOST_MARKS", 2)
    chunks = chunks_of(FIRST, SECOND, THIRD)
    heard = heard_of(chunks * 3)
    assert len(heard.marks) <= 2
    assert heard.evidence.total.weight == pytest.approx(3 * sum(chunk[2].sum() for chunk in chunks))


def test_equal_targets_are_no_equal_chunks():
    (X, _, _), *_ = chunks_of(FIRST)
    y, weight = np.zeros(2), np.ones(2)
    assert mark_of(X, y, weight) != mark_of(2 * X, y, weight)
    assert mark_of(X, y, weight) != mark_of(X[:, ::-1], y, weight)
    # The same entries in other rows.
    other = sparse.csr_array((X.data, X.indices, np.array([0, 1, X.nnz], X.indptr.dtype)), X.shape)
    assert mark_of(X, y, weight) != mark_of(other, y, weight)


@pytest.mark.parametrize("unit", [1.0, 1e200, 1e-200])
def test_scale_is_the_root_mean_square_of_the_nonzeros(unit):
    X, weight = rows(unit=unit)
    weight[X[:, 4] != 0] = 0
    expected = naive_scale(X, weight, unit)
    assert expected[3] == expected[4] == 1
    scale = column_statistics(sparse.csr_array(X), weight).scale()
    np.testing.assert_allclose(scale, expected, rtol=1e-12)


def test_columns_of_ones_have_no_scale():
    X, weight = rows(ones=True)
    statistics = column_statistics(sparse.csr_array(X), weight)
    assert statistics.all_ones
    assert statistics.scale() is None


def test_columns_that_share_a_row_of_the_tables_are_one():
    X, weight = rows()
    statistics = column_statistics(sparse.csr_array(X), weight, TABLE_ROWS)
    touches = np.zeros(12)
    for i, j in np.argwhere(X):
        touches[TABLE_ROWS[j]] += weight[i]
    np.testing.assert_allclose(statistics.frequency, touches / weight.sum(), rtol=1e-12)
    scale = statistics.scale(TABLE_ROWS)
    np.testing.assert_allclose(scale, naive_scale(X, weight, members=TABLE_ROWS), rtol=1e-12)


def assert_same(found, expected):
    np.testing.assert_allclose(found.weight, expected.weight, rtol=1e-12)
    np.testing.assert_allclose(found.touched, expected.touched, rtol=1e-12)
    assert found.all_ones == expected.all_ones
    if not expected.all_ones:
        np.testing.assert_array_equal(found.largest, expected.largest)
        np.testing.assert_allclose(found.squares, expected.squares, rtol=1e-12)
        np.testing.assert_allclose(found.scale(), expected.scale(), rtol=1e-12)
        np.testing.assert_allclose(found.means, expected.means, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found.deviations, expected.deviations, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("table_rows", [None, TABLE_ROWS])
@pytest.mark.parametrize("unit", [1.0, 1e200, 1e-200, "each row has its own", "ones"])
@pytest.mark.parametrize("cuts", [(7,), (1, 2, 19), (0, 5, 5, 20)])
def test_parts_cut_anywhere_merge_to_the_whole(cuts, unit, table_rows):
    X, weight = rows(ones=unit == "ones", unit=unit if isinstance(unit, float) else 1.0)
    if unit == "each row has its own":
        X *= np.geomspace(1e-150, 1e150, 20)[:, None]
    expected = column_statistics(sparse.csr_array(X), weight, table_rows)
    counted = [
        column_statistics(sparse.csr_array(part), own, table_rows)
        for part, own in zip(np.split(X, cuts), np.split(weight, cuts), strict=True)
    ]
    assert_same(reduce(merge_column_statistics, counted), expected)
    # Any two of them may be merged first.
    assert_same(reduce(lambda a, b: merge_column_statistics(b, a), counted[::-1]), expected)


def test_a_part_of_ones_merges_with_one_of_other_values():
    X, weight = rows(unit=3.0)
    X[:9] = X[:9] != 0
    matrix = sparse.csr_array(X)
    first, rest = column_statistics(matrix[:9], weight[:9]), column_statistics(matrix[9:], weight[9:])
    assert first.all_ones
    assert not rest.all_ones
    for merged in (merge_column_statistics(first, rest), merge_column_statistics(rest, first)):
        assert_same(merged, column_statistics(matrix, weight))


def test_statistics_of_rows_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("skfm.data.spool._PIECE_ROWS", 6)
    X, weight = rows()
    spool = RowSpool(tmp_path / "rows", 12, 100)
    spool.append(sparse.csr_array(X))
    assert_same(column_statistics(spool, weight), column_statistics(sparse.csr_array(X), weight))


def offset_rows():
    """Columns that are far from 0, or not for one reason each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 7))
    X[:, 0] = 1.6e9 + 5 * X[:, 0]  # far
    X[:, 1] = np.where(rng.random(200) < 0.8, 300 + X[:, 1], 0)  # far, and 0 in some rows
    X[:, 2] = np.where(rng.random(200) < 0.2, 300 + X[:, 2], 0)  # in few rows
    X[:, 3] = np.where(rng.random(200) < 0.8, 7.0, 0)  # one value
    X[:, 4] += 0.5  # nearer than its deviation
    X[:, 5] = 0.1 + 0.2 * (X[:, 5] > 0) - 0.2 * (X[:, 5] > 0) + 0  # constant but for rounding
    return X, 0.1 + rng.random(200)


@pytest.mark.parametrize("unit", [1.0, 1e-300, 1e290])
@pytest.mark.parametrize("cuts", [(), (1,), (50, 51, 120)])
def test_offsets_are_means_of_the_columns_far_from_0(unit, cuts):
    X, weight = offset_rows()
    counted = [
        column_statistics(sparse.csr_array(part * unit), own)
        for part, own in zip(np.split(X, cuts), np.split(weight, cuts), strict=True)
    ]
    statistics = reduce(merge_column_statistics, counted)
    center = statistics.offsets()
    np.testing.assert_array_equal(np.flatnonzero(center), [0, 1])
    expected = np.average(X, axis=0, weights=weight)
    np.testing.assert_allclose(center[:2], unit * expected[:2], rtol=1e-14)
    deviation = np.sqrt(np.average((X - expected) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(statistics.distances(center)[:2], unit * deviation[:2], rtol=1e-6)
    other = np.full(7, 2.0)
    expected = np.sqrt(np.average((X - 2) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(statistics.distances(unit * other), unit * expected, rtol=1e-7)


def test_constants_have_no_deviation_by_rounding():
    rng = np.random.default_rng(0)
    for _ in range(100):
        n = int(rng.integers(2, 500))
        X = sparse.csr_array(np.full((n, 1), rng.normal() * 10.0 ** rng.integers(-6, 10)))
        weight = rng.random(n) * 10.0 ** rng.integers(-3, 3)
        parts = [part for part in np.split(np.arange(n), np.sort(rng.integers(0, n, 5))) if part.size]
        merged = reduce(merge_column_statistics, [column_statistics(X[part], weight[part]) for part in parts])
        assert merged.offsets() == 0


def test_columns_of_ones_have_no_offset():
    X, weight = rows(ones=True)
    statistics = column_statistics(sparse.csr_array(X), weight)
    assert not statistics.offsets().any()
    expected = np.sqrt(np.average((X - 0.25) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(statistics.distances(np.full(12, 0.25)), expected, rtol=1e-12)
