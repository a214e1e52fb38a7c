"""Checks of the input: messages that name the place, and canonical CSR."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skfm.data.validate import (
    canonical_csr,
    check_finite,
    check_sample_weight,
    checked_structure,
    first_row,
)
from tests.cases import sparse_rows

# ---------------------------------------------------------------------------------------------- finite


@pytest.mark.parametrize("order", ["C", "F", "sparse"])
@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_check_finite_names_the_place(order, value, what, dtype):
    X = sparse_rows(np.random.default_rng(0)).astype(dtype)
    X[3, 5] = value
    X[4, 0] = np.nan
    given = sparse.csr_array(X) if order == "sparse" else np.asarray(X, order=order)
    with pytest.raises(ValueError, match=rf"X contains {what}.* at row 3, column 5\."):
        check_finite(given)
    names = [f"name_{j}" for j in range(12)]
    with pytest.raises(ValueError, match=r"at row 3, column 5 \('name_5'\)"):
        check_finite(given, names)


def test_check_finite_names_the_row_after_empty_rows():
    X = sparse.csr_array(np.array([[0.0, 0], [0, 0], [1, 0], [0, 0], [0, np.nan]]))
    with pytest.raises(ValueError, match="at row 4, column 1"):
        check_finite(X)


@pytest.mark.parametrize(
    "X",
    [
        np.full((3, 2), 3e38, dtype=np.float32),  # the sum overflows, the numbers do not
        np.array([[1e308, 1e308], [-1e308, -1e308]]),
        np.ones((2, 2), dtype=int),
        np.zeros((2, 2)),
    ],
)
def test_check_finite_accepts(X):
    check_finite(X)
    check_finite(sparse.csr_array(X))


# ------------------------------------------------------------------------------------------- canonical


def raw_csr(kind):
    """A CSR matrix with unsorted indices, duplicates and explicit zeros."""
    data = np.array([1.0, 2.0, 0.0, 3.0, 4.0, 5.0, -5.0])
    indices = np.array([4, 1, 2, 1, 0, 3, 3])
    indptr = np.array([0, 4, 4, 7])
    return kind((data, indices, indptr), shape=(3, 5))


EXPECTED = np.array([[0.0, 5, 0, 0, 1], [0, 0, 0, 0, 0], [4, 0, 0, 0, 0]])


def is_canonical(X):
    assert isinstance(X, sparse.csr_array)
    for start, stop in zip(X.indptr, X.indptr[1:], strict=False):
        assert np.all(np.diff(X.indices[start:stop]) > 0)
    assert np.all(X.data != 0)
    return True


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_canonical_csr_leaves_the_input_alone(kind):
    X = raw_csr(kind)
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    out = canonical_csr(X)
    assert is_canonical(out)
    np.testing.assert_array_equal(out.toarray(), EXPECTED)
    for array, copy in zip((X.data, X.indices, X.indptr), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert not X.has_canonical_format


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_canonical_csr_drops_zeros_from_sorted_rows(kind):
    X = kind((np.array([1.0, 0.0, 2.0]), np.array([0, 1, 2]), np.array([0, 2, 3])), shape=(2, 3))
    out = canonical_csr(X)
    assert is_canonical(out)
    np.testing.assert_array_equal(out.toarray(), [[1, 0, 0], [0, 0, 2]])
    assert X.nnz == 3


@pytest.mark.parametrize("container", ["array", "matrix"])
@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_canonical_csr_of_every_format(form, container, dtype):
    dense = sparse_rows(np.random.default_rng(0)).astype(dtype)
    X = getattr(sparse, f"{form}_{container}")(dense)
    out = canonical_csr(X)
    assert is_canonical(out)
    assert out.dtype == (np.float32 if dtype is np.float32 else np.float64)
    np.testing.assert_array_equal(out.toarray(), dense)
    np.testing.assert_array_equal(X.toarray(), dense)
    np.testing.assert_array_equal(canonical_csr(dense).toarray(), dense)


@pytest.mark.parametrize("container", [sparse.coo_array, sparse.coo_matrix])
def test_canonical_csr_adds_up_duplicate_entries(container):
    X = container((np.array([1.0, 2, 3, -3]), (np.array([0, 0, 1, 1]), np.array([2, 2, 0, 0]))), shape=(2, 3))
    out = canonical_csr(X)
    assert is_canonical(out)
    np.testing.assert_array_equal(out.toarray(), [[0, 0, 3], [0, 0, 0]])
    assert X.nnz == 4


def test_canonical_csr_does_not_copy_what_is_canonical():
    X = sparse.csr_array(EXPECTED)
    assert np.shares_memory(canonical_csr(X).data, X.data)


def test_too_many_columns_is_an_error():
    X = sparse.csr_array((np.ones(1), np.zeros(1, dtype=np.int64), np.array([0, 1])), shape=(1, 2**31))
    with pytest.raises(ValueError, match=r"2147483648 columns.*Hash"):
        canonical_csr(X)


# --------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, np.nan, 1], "not finite at row 1"),
        ([1, 1, np.inf], "not finite at row 2"),
        ([1, -0.5, -1], r"negative at row 1 \(value -0.5\)"),
        ([0, 0, 0], "zero for every row"),
        (0.0, "zero for every row"),
        ([1, 1], r"shape == \(2,\), expected \(3,\)"),
        ([[1], [1], [1]], r"must be 1D array or scalar, got shape \(3, 1\)"),
    ],
)
def test_wrong_weights(weight, message):
    with pytest.raises(ValueError, match=message):
        check_sample_weight(weight, 3)


@pytest.mark.parametrize(("given", "expected"), [(None, [1, 1, 1]), (2, [2, 2, 2]), ([0, 1, 3], [0, 1, 3])])
def test_right_weights(given, expected):
    weight = check_sample_weight(given, 3)
    assert weight.dtype == np.float64
    np.testing.assert_array_equal(weight, expected)


def test_first_row():
    assert first_row(np.array([False, False, True, True])) == 2
    assert first_row(np.array([[False, False], [False, True], [True, False]])) == 1


# ------------------------------------------------------------------------- entries that are nowhere


def diagonal(kind):
    return sparse.csr_array(np.diag([1.0, 2, 3])).asformat(kind)


def changed(kind, name, value):
    """A matrix of which an array, or a number of one, was changed."""
    X = diagonal(kind)
    if isinstance(value, tuple):
        getattr(X, name)[value[0]] = value[1]
    else:
        setattr(X, name, value)
    return X


MAJOR = {"csr": ("Row", "column"), "csc": ("Column", "row"), "bsr": ("Block row", "block column")}


@pytest.mark.parametrize("number", [-7, 3, 10**9])
@pytest.mark.parametrize("kind", MAJOR)
def test_entries_in_no_column_are_refused(kind, number):
    major, minor = MAJOR[kind]
    words = f"^{major} 1 of X has an entry in {minor} {number}, of which there are 3. Correct its arrays"
    with pytest.raises(ValueError, match=words):
        checked_structure(changed(kind, "indices", (1, number)))


@pytest.mark.parametrize("kind", MAJOR)
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32])
@pytest.mark.parametrize(
    ("indptr", "words"),
    [
        ([0, 3, 1, 3], "1 of X has the entries from 3 up to 1 of 3"),
        ([0, 1, 2, 5], "2 of X has the entries from 2 up to 5 of 3"),
        ([1, 2, 3, 3], "0 of X has the entries from 1 up to 2 of 3"),
        ([0, 1, 3], "indptr of X has 3 numbers, and with 3 .* it needs 4"),
        ([], "indptr of X has 0 numbers"),
    ],
)
def test_rows_that_end_nowhere_are_refused(kind, dtype, indptr, words):
    with pytest.raises(ValueError, match=words):
        checked_structure(changed(kind, "indptr", np.array(indptr, dtype)))


@pytest.mark.parametrize("kind", MAJOR)
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "indptr",
            np.array([[0, 1], [2, 3]]),
            r"indptr of X is an array of int64 and shape \(2, 2\), no vector",
        ),
        ("indptr", [0, 1, 2, 3], "indptr of X is a list, no vector"),
        ("indptr", np.arange(4, dtype=np.uint64), "indptr of X is an array of uint64 .* up to int64"),
        ("indices", np.array([0.0, 1, 2]), "indices of X is an array of float64"),
        ("data", np.ones((3, 2)), r"data of X is an array of float64 and shape \(3, 2\), no numbers in"),
        ("data", [1.0, 2, 3], "data of X is a list, no numbers"),
        ("data", np.array(["a", "b", "c"], dtype=object), "data of X is an array of object"),
    ],
)
def test_arrays_of_no_matrix_are_refused(kind, name, value, words):
    with pytest.raises(ValueError, match=words):
        checked_structure(changed(kind, name, value))


@pytest.mark.parametrize("kind", MAJOR)
def test_rows_without_their_values_are_refused(kind):
    X = diagonal(kind)
    X.data = X.data[:2]
    with pytest.raises(ValueError, match="2 of X has the entries from 2 up to 3 of 2"):
        checked_structure(X)


def test_blocks_that_do_not_fill_a_matrix_are_refused():
    for shape in ((3, 2, 2), (3, 0, 0)):
        with pytest.raises(ValueError, match="X has shape"):
            checked_structure(changed("bsr", "data", np.ones(shape)))


@pytest.mark.parametrize(("name", "what"), [("row", "row"), ("col", "column")])
@pytest.mark.parametrize("number", [-1, 3])
def test_coordinates_outside_a_matrix_are_refused(name, what, number):
    with pytest.raises(ValueError, match=f"Entry 1 of X is in {what} {number}, of which there are 3"):
        checked_structure(changed("coo", name, (1, number)))
    X = diagonal("coo")
    X.data = X.data[:2]
    with pytest.raises(ValueError, match="X has 2 values, and the row of 3"):
        checked_structure(X)


@pytest.mark.parametrize(
    ("kind", "name", "value", "words"),
    [
        ("coo", "coords", [np.arange(3)], "X has shape .* and coords of 1 dimension"),
        ("coo", "coords", [np.arange(3.0), np.arange(3)], "row numbers of X is an array of float64"),
        ("coo", "coords", [np.arange(3), [0, 1, 2]], "column numbers of X is a list"),
        ("coo", "data", np.ones((3, 1)), "data of X is an array .* no numbers in 1 dimension"),
        ("lil", "rows", (1, [3]), "Row 1 of X has an entry in column 3, of which there are 3"),
        ("lil", "rows", (1, [-1]), "Row 1 of X has an entry in column -1, of which there are 3"),
        ("lil", "rows", (2, [0.5]), "lists of columns of X is an array of float64"),
        ("lil", "rows", (2, [0, 1]), "Row 2 of X has 2 columns and 1 values"),
        ("lil", "rows", np.array([[0]], dtype=object)[0], "lists of columns for 1 rows and of values for 3"),
        ("dia", "offsets", np.array([0, 1]), "X has the values of 1 diagonals, and 2 different offsets"),
        ("dia", "offsets", np.array([0.5]), "offsets of X is an array of float64"),
        ("dia", "data", np.ones(3), "data of X is an array .* no numbers in 2 dimension"),
    ],
)
def test_arrays_of_other_formats_are_checked(kind, name, value, words):
    with pytest.raises(ValueError, match=words):
        checked_structure(changed(kind, name, value))


@pytest.mark.parametrize("key", [(0, 3), (-1, 0), (0.5, 1)])
def test_keys_outside_a_matrix_are_refused(key):
    X = diagonal("dok")
    X._dict[key] = 1.0
    with pytest.raises(ValueError, match=r"X has shape .* and an entry at "):
        checked_structure(X)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize("kind", ["coo", "bsr", "csr", "csc"])
def test_entries_of_one_place_are_added_beyond_their_dtype(kind, dtype):
    """Booleans are no numbers: True beside True is True, as in SciPy."""
    largest = True if dtype is bool else np.iinfo(dtype).max // 2 + 1
    values, rows, columns = np.array([largest] * 2 + [1], dtype), np.array([0, 0, 1]), np.array([1, 1, 0])
    if kind == "coo":
        X = sparse.coo_array((values, (rows, columns)), shape=(2, 2))
    elif kind == "csc":
        X = sparse.csc_array((values[[2, 0, 1]], [1, 0, 0], [0, 1, 3]), shape=(2, 2))
    else:
        values = values.reshape(-1, 1, 1) if kind == "bsr" else values
        X = {"csr": sparse.csr_array, "bsr": sparse.bsr_array}[kind](
            (values, columns, [0, 2, 3]), shape=(2, 2)
        )
    n_entries = X.nnz
    dense = [[0, 1 if dtype is bool else 2 * int(largest)], [1, 0]]
    if dtype is bool:
        assert_array_equal(X.toarray(), dense)
    assert_array_equal(canonical_csr(checked_structure(X)).toarray(), dense)
    # As scikit-learn converts it.
    assert_array_equal(checked_structure(X).asformat("csr", copy=True).astype(float).toarray(), dense)
    assert X.nnz == n_entries


def test_what_comes_after_the_last_row_is_no_entry():
    X = sparse.csr_array((np.ones(2), np.array([0, 2]), np.array([0, 1, 2])), shape=(2, 3))
    X.indices, X.data = np.array([0, 2, 99]), np.array([1, 1, np.nan])
    checked_structure(X)
    check_finite(X)
    assert_array_equal(canonical_csr(X).toarray(), [[1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr", "coo", "lil", "dok", "dia"])
def test_whole_matrices_are_taken(kind):
    for X in (
        diagonal(kind),
        sparse.csr_array((3, 4)).asformat(kind),
        sparse.csr_array((0, 3)).asformat(kind),
    ):
        checked_structure(X)
