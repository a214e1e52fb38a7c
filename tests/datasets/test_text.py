"""Files of libsvm, libffm and libFM: read, written, in chunks, compressed, and errors that name the place."""

import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from skfm import FieldEncoder
from skfm.datasets import (
    SparseTextStream,
    _sparse_text,
    _text,
    dump_sparse_text,
    iter_sparse_text,
    load_sparse_text,
)
from skfm.metrics import group_ndcg_score


@pytest.fixture
def write(tmp_path):
    """Function that writes text into a file and gives its path."""

    def to_file(content, name="rows.txt"):
        path = tmp_path / name
        with _sparse_text.open_text(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


def random_rows(seed=0, n=200, d=30):
    """Numbers of any size; one row is empty."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-12, 12, size=(n, d)) * (rng.random((n, d)) < 0.2)
    X[7] = 0
    return sparse.csr_matrix(X), rng.normal(size=n)


def test_what_scikit_learn_writes_is_read_and_the_other_way_round(tmp_path):
    X, y = random_rows()
    path = tmp_path / "rows"
    dump_svmlight_file(X, y, str(path), zero_based=False)
    rows = load_sparse_text(path, zero_based=False, n_features=30)
    np.testing.assert_allclose(rows.data.toarray(), X.toarray(), rtol=1e-14)
    np.testing.assert_allclose(rows.target, y, rtol=1e-14)
    assert rows.fields is None
    dump_sparse_text(X, y, path)
    again, target = load_svmlight_file(str(path), n_features=30, zero_based=True)
    np.testing.assert_allclose(again.toarray(), X.toarray(), rtol=1e-14)
    np.testing.assert_allclose(target, y, rtol=1e-14)


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("format", ["libsvm", "libfm", "libffm"])
@pytest.mark.parametrize("zero_based", [True, False])
def test_what_is_written_is_read_back_exactly(tmp_path, suffix, format, zero_based):
    X, y = random_rows()
    fields = np.arange(30) // 7
    path = tmp_path / f"rows{suffix}"
    given = fields if format == "libffm" else None
    dump_sparse_text(X, y, path, format=format, fields=given, zero_based=zero_based)
    rows = load_sparse_text(path, n_features=30, zero_based=zero_based)
    np.testing.assert_array_equal(rows.data.toarray(), X.toarray())
    np.testing.assert_array_equal(rows.target, y)
    if format == "libffm":
        np.testing.assert_array_equal(rows.fields, fields)
    if suffix == ".gz":
        assert path.read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("chunk_rows", [1, 7, 200, 1000])
@pytest.mark.parametrize("block", [50, 1 << 20])
def test_chunks_are_the_rows_in_their_order(tmp_path, monkeypatch, chunk_rows, block):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    X, y = random_rows()
    path = tmp_path / "rows"
    dump_sparse_text(X, y, path, format="libffm", fields=np.arange(30) // 7)
    chunks = list(iter_sparse_text(path, n_features=30, chunk_rows=chunk_rows))
    assert {chunk.data.shape[0] for chunk in chunks[:-1]} <= {chunk_rows}
    np.testing.assert_array_equal(sparse.vstack([chunk.data for chunk in chunks]).toarray(), X.toarray())
    np.testing.assert_array_equal(np.concatenate([chunk.target for chunk in chunks]), y)
    np.testing.assert_array_equal(chunks[-1].fields, np.arange(30) // 7)


def test_comments_blanks_and_line_ends(write):
    content = "# a comment\r\n\r\n1  0:1.5\t2:-2e3 # note 9:9\r\n   \n0\n-1 1:.5 1:.25"
    rows = load_sparse_text(write(content))
    np.testing.assert_array_equal(rows.data.toarray(), [[1.5, 0, -2000], [0, 0, 0], [0, 0.75, 0]])
    np.testing.assert_array_equal(rows.target, [1, 0, -1])
    assert rows.target.dtype == np.int64


def test_dtype_and_targets(write):
    rows = load_sparse_text(write("0.5 0:1\n1 3:1\n"), dtype=np.float32)
    assert rows.data.dtype == np.float32
    assert rows.data.shape == (2, 4)
    assert rows.target.dtype == np.float64


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("1 0:1 2", r"line 3: '2' is not index:value"),
        ("1 0:1 0:2:1", r"line 3: '0:2:1' is not index:value.*format="),
        ("0:1 1:1", r"line 3: '0:1' stands where the target should"),
        ("1 a:1", r"line 3: 'a:1': 'a' is not an integer from 0"),
        ("1 -1:1", r"line 3: '-1:1': '-1' is not an integer from 0"),
        ("1 1.5:1", r"line 3: '1.5:1': '1.5' is not an integer from 0"),
        ("1 3000000000:1", r"'3000000000' is not an integer from 0 to 2147483647"),
        ("1 1:x", r"line 3: '1:x': 'x' is not a finite number"),
        ("1 1:nan", r"line 3: '1:nan': 'nan' is not a finite number"),
        ("1 1:inf", r"'inf' is not a finite number"),
        ("yes 1:1", r"line 3: 'yes': 'yes' is not a finite number"),
        ("1 1:", r"line 3: '1:': '' is not a finite number"),
        ("1 :1", r"line 3: ':1': '' is not an integer"),
        ("1 1::1", r"line 3: '1::1' is not index:value"),
        ("1 1:2-3", r"line 3: '1:2-3': '2-3' is not a finite number"),
        ("1 1:1_0", r"line 3: '1:1_0': '1_0' is not a finite number"),
        ("1 2147483648:1", r"'2147483648' is not an integer"),
        ("1 qid:3 1:1", r"line 3: this row has a qid:, and rows before have none"),
        ("1 qid: 1:1", r"line 3: 'qid:' does not name a group"),
        ("1 qid:a 1:1", r"line 3: 'qid:a' does not name a group"),
        ("1 qid:1.5 1:1", r"line 3: 'qid:1.5' does not name a group"),
        ("1 qid:9223372036854775808 1:1", r"'qid:9223372036854775808' does not name a group"),
        ("1 1:1 qid:3", r"line 3: 'qid:3' stands elsewhere than right after the target"),
        ("qid:3 1 1:1", r"line 3: 'qid:3' stands elsewhere"),
        ("1 qid:3 qid:4 1:1", r"line 3: 'qid:4' stands elsewhere"),
        ("1 1:1\x00", r"line 3: .* is not a finite number"),
    ],
)
def test_errors_name_file_line_and_token(write, line, match):
    path = write(f"1 0:1\n# comment\n{line}\n0 1:1\n")
    for read in (load_sparse_text, lambda path: list(iter_sparse_text(path, n_features=9))):
        with pytest.raises(ValueError, match=match) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_bytes_that_are_no_text(write):
    path = write(b"1 0:1\n1 1:" + b"\xff\xfe\n")
    with pytest.raises(ValueError, match=r"line 2: .*xff.*is not a finite number"):
        load_sparse_text(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("name", ["rows", "rows.gz"])
def test_text_of_several_bytes_a_letter_is_named(tmp_path, encoding, name):
    path, text = tmp_path / name, "1 0:2\n0 1:1\n"
    with _sparse_text.open_text(path, "wb") as file:
        file.write(text.encode(encoding))
    for read in (load_sparse_text, lambda path: next(iter_sparse_text(path, n_features=2))):
        with pytest.raises(ValueError, match=f"rows.* is text in {encoding}, where UTF-8 is expected"):
            read(path)
    # Text as short as a letter is none of several bytes.
    path.unlink()
    (tmp_path / "one").write_text("1")
    assert load_sparse_text(tmp_path / "one").target.tolist() == [1]


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (np.eye(3), ["a", "b", "c"], r"y holds 'a' at row 0, .*numpy\.unique\(y"),
        (np.eye(3), [1, "b", 2], "y holds 'b' at row 1,"),
        (np.eye(3), ["1", "2", "3"], r"y holds '1' at row 0, .*astype\(float\)"),
        (np.eye(3), [1, np.nan, 2], "y holds NaN at row 1,"),
        (np.eye(3), [1, 2, np.inf], "y holds infinity at row 2,"),
        (np.array([[1, 2], [3, "x"]], dtype=object), [1, 2], "X holds 'x' at row 1, column 1,.*FieldEncoder"),
        (np.array([[1, 2], [3, np.nan]]), [1, 2], "X contains NaN at row 1, column 1"),
        (
            sparse.coo_array(np.array([[1, 2], [np.inf, 0]])),
            [1, 2],
            r"X contains infinity .* row 1, column 0",
        ),
        (
            sparse.csr_array(([1e308, 1e308], [1, 1], [0, 0, 2]), shape=(2, 2)),
            [1, 2],
            r"X contains infinity .* row 1, column 1",
        ),
    ],
)
def test_what_is_no_number_has_a_place(tmp_path, X, y, match):
    with pytest.raises(ValueError, match=match):
        dump_sparse_text(X, y, tmp_path / "rows")


def test_errors_of_whole_files(write, tmp_path):
    with pytest.raises(ValueError, match="holds no rows"):
        load_sparse_text(write("# nothing\n"))
    assert list(iter_sparse_text(write(""), n_features=3)) == []
    with pytest.raises(FileNotFoundError):
        load_sparse_text(tmp_path / "absent")
    with pytest.raises(ValueError, match="format must be 'auto' or one of"):
        load_sparse_text(write("1 0:1\n"), format="csv")
    with pytest.raises(ValueError, match=r"line 2: index 5 is not between 0 and 2.*n_features"):
        load_sparse_text(write("1 0:1\n1 5:1\n"), n_features=3)
    with pytest.raises(ValueError, match=r"line 2: index 4 has field 1, but field 0 before"):
        load_sparse_text(write("1 0:4:1\n1 1:4:1\n"), field_sizes=None)
    with pytest.raises(ValueError, match="is not index:value"):
        load_sparse_text(write("1 0:4:1\n"), format="libsvm")


def test_targets_are_asked_for(tmp_path):
    with pytest.raises(ValueError, match=r"^y is None\. Give one number for each row"):
        dump_sparse_text(np.ones((2, 1)), None, tmp_path / "x.txt")


def test_errors_of_writing(tmp_path):
    path = tmp_path / "rows"
    with pytest.raises(ValueError, match="libffm needs fields="):
        dump_sparse_text([[1.0]], [1], path, format="libffm")
    with pytest.raises(ValueError, match="format must be one of"):
        dump_sparse_text([[1.0]], [1], path, format="csv")
    with pytest.raises(ValueError, match="y must have one column"):
        dump_sparse_text([[1.0]], [[1, 2]], path)
    X = sparse.coo_matrix(np.eye(3))
    X.col[1] = 10**9
    with pytest.raises(ValueError, match="Entry 1 of X is in column 1000000000"):
        dump_sparse_text(X, [1, 2, 3], path)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        dump_sparse_text([[1.0]], [1, 2], path)
    assert not path.exists()
    with pytest.raises(ValueError, match="libsvm has no fields"):
        dump_sparse_text([[1.0]], [1], path, format="libsvm", fields=[0])
    for fields in ([-1], [0.5], ["user"], [2**31], [np.nan], [0, 1]):
        with pytest.raises(ValueError, match="fields"):
            dump_sparse_text([[1.0]], [1], path, fields=fields)
    with pytest.raises(ValueError, match="either fields or field_sizes"):
        dump_sparse_text([[1.0]], [1], path, fields=[0], field_sizes=[1])
    with pytest.raises(ValueError, match="add up to 2, but there are 1 columns"):
        dump_sparse_text([[1.0]], [1], path, field_sizes=[2])
    for groups in ([0.5], ["ann"], [2**63], [1, 2]):
        with pytest.raises(ValueError, match="groups"):
            dump_sparse_text([[1.0]], [1], path, groups=groups)
    assert not path.exists()


def test_reading_in_threads_leaves_warnings_alone(write):
    good, bad = write("1 0:1 3:2\n" * 3000, "good"), write("1 0:1\n" * 3000 + "1 1:x\n", "bad")

    def read(path):
        try:
            return load_sparse_text(path)
        except ValueError:
            return None

    before, show = list(warnings.filters), warnings.showwarning
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, [good, bad] * 20))
    assert [rows is None for rows in found] == [False, True] * 20
    assert (warnings.filters, warnings.showwarning) == (before, show)


# -- what is written ---------------------------------------------------------------------------------

DTYPES = ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64", "longdouble", "object"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("container", ["array", "csr", "csc", "coo", "lil", "dok", "dia", "bsr", "pandas"])
def test_numbers_of_every_dtype_are_read_back(tmp_path, dtype, container):
    X = np.array([[0, 1, 0], [3, 1, 0]]).astype(dtype)
    if X.dtype.kind == "f":
        X *= X.dtype.type(0.1)
    y = X[:, 1]
    if container == "pandas":
        given = pytest.importorskip("pandas").DataFrame(X)
    elif container == "array" or dtype in ("float16", "object"):  # SciPy has no matrices of these
        given = X
    else:
        given = getattr(sparse, f"{container}_array")(X)
    dump_sparse_text(given, y, tmp_path / "rows")
    rows = load_sparse_text(tmp_path / "rows", n_features=3)
    np.testing.assert_array_equal(rows.data.toarray(), X.astype(np.float64))
    np.testing.assert_array_equal(rows.target, y.astype(np.float64))


def test_booleans_of_one_place_are_one(tmp_path):
    X = sparse.coo_matrix(([True, True, True], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    dump_sparse_text(X, [1, 0], tmp_path / "rows")
    np.testing.assert_array_equal(load_sparse_text(tmp_path / "rows").data.toarray(), X.toarray())


@pytest.mark.parametrize(
    "value", [1j, "a", np.nan, np.datetime64("2020-01-01"), 10**400, np.longdouble("1e4000")]
)
def test_what_is_no_number_is_not_written(tmp_path, value):
    for X, y in (([[value]], [1]), ([[1]], [value])):
        with pytest.raises(ValueError, match=r"[Cc]omplex|numbers|strings|NaN|infinity|float64"):
            dump_sparse_text(np.array(X), np.array(y), tmp_path / "rows")
    assert not (tmp_path / "rows").exists()


# -- targets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"fields": [4, 0, 4]}, {"field_sizes": [0, 2, 1]}])
@pytest.mark.parametrize("zero_based", [True, False])
def test_rows_are_written_in_pieces(tmp_path, monkeypatch, more, zero_based):
    monkeypatch.setattr(_text, "_ROWS_WRITTEN", 3)
    X = np.arange(30).reshape(10, 3) % 4
    start = 1 - zero_based
    names = {"fields": ["4:0", "0:1", "4:2"], "field_sizes": ["1:0", "1:1", "2:0"]}.get(*more or ["none"])
    names = [name.rpartition(":") for name in names or "012"]
    names = [f"{field}{colon}{int(index) + start}" for field, colon, index in names]
    dump_sparse_text(X, range(10), tmp_path / "rows", groups=range(10), zero_based=zero_based, **more)
    lines = [
        " ".join(
            [f"{i} qid:{i}", *(f"{name}:{value}" for name, value in zip(names, row, strict=True) if value)]
        )
        for i, row in enumerate(X.tolist())
    ]
    assert (tmp_path / "rows").read_text() == "\n".join(lines) + "\n"


@pytest.mark.parametrize("more", [{}, {"field_sizes": [2_000_000, 1_000_000]}])
def test_writing_takes_no_memory_for_columns_that_do_not_occur(tmp_path, more):
    X = sparse.csr_matrix(([1.0], [2_999_999], [0, 1]), shape=(1, 3_000_000))
    tracemalloc.start()
    dump_sparse_text(X, [1], tmp_path / "rows", **more)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6
    assert (tmp_path / "rows").read_text() == f"1 {'1:999999' if more else '2999999'}:1\n"


BLOCKS = pytest.mark.parametrize("block", [8, 1 << 20])
LARGE = [[2**63 - 1, -(2**63)], [2**53 + 1, 1], [-1, 0], [2**63, 0], [2**64 - 1, 2**64 - 2], [5, 2**63 + 1]]


@BLOCKS
@pytest.mark.parametrize("y", LARGE)
def test_whole_targets_are_exact(tmp_path, monkeypatch, block, y):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    dtype = np.int64 if max(y) < 2**63 else np.uint64
    dump_sparse_text(np.eye(2), np.array(y, dtype), tmp_path / "rows")
    target = load_sparse_text(tmp_path / "rows").target
    assert target.dtype == dtype
    assert target.tolist() == y


@pytest.mark.parametrize("make", [list, tuple, lambda y: np.array(y, dtype=object)])
def test_whole_numbers_of_lists_are_exact(tmp_path, make):
    y = make([1, 0, 2**63 + 1])
    dump_sparse_text([[2**63 + 3, 1], [1, 0], [0, 1]], y, tmp_path / "rows")
    assert (tmp_path / "rows").read_text() == f"1 0:{2**63 + 3} 1:1\n0 0:1\n{2**63 + 1} 1:1\n"


@pytest.mark.parametrize("other", [0.5, -1, 2**64])
def test_whole_numbers_of_lists_that_would_lose_digits_are_refused(tmp_path, other):
    y = [1, 2**63 + 1, other]
    with pytest.raises(ValueError, match=rf"y holds {2**63 + 1} at row 1, which is no float.*Number labels"):
        dump_sparse_text(np.eye(3), y, tmp_path / "rows")
    dump_sparse_text(
        np.eye(3), np.unique(np.array(y, dtype=object), return_inverse=True)[1], tmp_path / "rows"
    )
    dump_sparse_text(np.eye(3), [1, float(2**63 + 1), float(other)], tmp_path / "rows")


LARGE_COLUMNS = [
    ("int64", [2**53 + 1, 1], [2, 3]),
    ("Int64", [2**53 + 1, 1], [2, -3]),
    ("uint64", [2**63 + 1, 1], [2, 3]),
    ("UInt64", [2**63 + 1, 1], [True, False]),
    ("object", [2**53 + 1, -1], [2, 3]),
    ("Sparse[int64]", [2**53 + 1, 0], [2, 3]),
]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(("dtype", "large", "other"), LARGE_COLUMNS)
def test_whole_numbers_of_frames_are_exact_or_refused(tmp_path, library, dtype, large, other):
    pd = pytest.importorskip("pandas")

    def frame(other):
        made = pd.DataFrame({"b": other, "a": pd.Series(large, dtype=dtype)})
        return made if library == "pandas" else pytest.importorskip("polars").from_pandas(made)

    if library == "polars" and dtype in ("object", "Sparse[int64]"):
        pytest.skip("polars has no such columns")
    path = tmp_path / "rows"
    dump_sparse_text(frame(other), [1, 0], path)
    expected = [
        " ".join([str(y), *(f"{column}:{int(value)}" for column, value in enumerate(row) if value)])
        for y, row in zip([1, 0], zip(other, large, strict=True), strict=True)
    ]
    assert path.read_text().splitlines() == expected
    path.unlink()
    X = frame([0.5, 3.0])
    with pytest.raises(
        ValueError, match=rf"X holds {large[0]} at row 0, column 1 \('a'\), .*no float"
    ) as error:
        dump_sparse_text(X, [1, 0], path)
    assert "labels" not in str(error.value)
    assert not path.exists()
    # Both remedies work.
    dump_sparse_text(FieldEncoder(categorical=["a"]).fit_transform(X), [1, 0], path)
    rounded = X.astype({"a": float}) if library == "pandas" else X.cast(float)
    dump_sparse_text(rounded, [1, 0], path)
    assert load_sparse_text(path).data.toarray().tolist() == [[0.5, float(large[0])], [3, large[1]]]


def test_whole_numbers_of_series_are_exact(tmp_path):
    y = pytest.importorskip("pandas").Series([2**53 + 1, 1], dtype="Int64")
    for given in (y, y.array):
        dump_sparse_text(np.eye(2), given, tmp_path / "rows")
        assert load_sparse_text(tmp_path / "rows").target.tolist() == [2**53 + 1, 1]


def test_errors_of_lists_as_rows_are_about_rows(tmp_path):
    large = 2**53 + 1
    with pytest.raises(ValueError, match=f"X holds {large} at row 1, column 0, .*FieldEncoder") as error:
        dump_sparse_text([[0.5, 1], [large, 2]], [1, 0], tmp_path / "rows")
    assert "labels" not in str(error.value)
    for rows in ([[1, 2], [3, 4], [5]], [[1, 2], [3, 4], 5], [np.ones(2), np.ones(2), np.ones(3)]):
        with pytest.raises(ValueError, match=r"Row 2 of X has shape .* as many values\. Fill or shorten it"):
            dump_sparse_text(rows, [1, 0, 1], tmp_path / "rows")
    with pytest.raises(ValueError, match=r"X holds \[2\] at row 0, column 1, .*one number for each row and"):
        dump_sparse_text([[1, [2]], [3, 4]], [1, 0], tmp_path / "rows")
    with pytest.raises(ValueError, match=r"y holds \[1, 2\] at row 1, .*Give one number for each row\."):
        dump_sparse_text(np.eye(2), [1, [1, 2]], tmp_path / "rows")


@BLOCKS
@pytest.mark.parametrize(
    "text", ["1e300", "18446744073709551616", "-9223372036854777856", "1e18", "0.5", "9223372036854775808.0"]
)
def test_targets_that_no_integer_holds_are_floats(write, monkeypatch, block, text):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    target = load_sparse_text(write(f"{text} 0:1\n5 0:1\n-9007199254740992 0:1\n")).target
    assert target.dtype == np.float64
    np.testing.assert_array_equal(target, [float(text), 5, -(2**53)])


@BLOCKS
@pytest.mark.parametrize("other", ["0.5", "-1", "1e300"])
@pytest.mark.parametrize("text", ["18446744073709551615", "18446744073709551617"])
def test_targets_that_would_lose_digits_are_refused(write, monkeypatch, block, text, other):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    for content in (f"1 0:1\n{text} 0:1\n{other} 0:1\n", f"{other} 0:1\n{text} 0:1\n"):
        with pytest.raises(ValueError, match=f"line 2: the target {text} is no float.*Number labels"):
            load_sparse_text(write(content))


@BLOCKS
def test_targets_of_chunks_that_would_lose_digits_are_refused(write, monkeypatch, block):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    path = write("9007199254740992 0:1\n9007199254740993 0:1\n")
    for read in (SparseTextStream, lambda path: iter_sparse_text(path, n_features=1)):
        with pytest.raises(
            ValueError, match=r"line 2: the target 9007199254740993 is no float.*Number labels"
        ):
            list(read(path))
    whole = write("9007199254740992 0:1\n18446744073709549568 0:1\n")
    targets = [y for _, y in SparseTextStream(whole)]
    assert np.concatenate(targets).tolist() == [2**53, 2**64 - 2**11]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ("1.5", int),
        ("300", "u1"),
        ("-1", "u8"),
        ("2", bool),
        ("1e39", "f4"),
        ("1e308 0:1e308", "f8"),
        ("1e300", "i8"),
    ],
)
def test_values_that_do_not_fit_name_the_line(write, values, dtype):
    with pytest.raises(ValueError, match=r"line 2: .* does not fit into dtype"):
        load_sparse_text(write(f"1 0:1\n1 0:{values}\n"), dtype=dtype)


def test_dtypes_of_matrices(write):
    for dtype in ("float16", complex, object, "U3"):
        with pytest.raises(ValueError, match="dtype must be"):
            load_sparse_text(write("1 0:1\n"), dtype=dtype)


# -- groups ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["libsvm", "libffm"])
@pytest.mark.parametrize("block", [20, 1 << 20])
def test_groups_are_read_as_scikit_learn_does_and_written(tmp_path, monkeypatch, format, block):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    X, y = np.eye(6), np.array([2, 0, 1, 0, 0, 1])
    groups = np.array([7, 7, -8, -8, 2**62 + 1, 2**62 + 1])
    path, fields = tmp_path / "rows", np.arange(6) // 2 if format == "libffm" else None
    dump_sparse_text(X, y, path, groups=groups, fields=fields)
    rows = load_sparse_text(path)
    np.testing.assert_array_equal(rows.groups, groups)
    np.testing.assert_array_equal(rows.target, y)
    np.testing.assert_array_equal(rows.data.toarray(), X)
    if format == "libsvm":
        np.testing.assert_array_equal(
            load_svmlight_file(str(path), query_id=True, zero_based=True)[2], groups
        )
    chunks = list(iter_sparse_text(path, n_features=6, chunk_rows=4))
    np.testing.assert_array_equal(np.concatenate([chunk.groups for chunk in chunks]), groups)
    stream = SparseTextStream([path, path], chunk_rows=4)
    np.testing.assert_array_equal(stream.groups, np.tile(groups, 2))
    assert group_ndcg_score(rows.target, rows.target, groups=rows.groups) == 1


@pytest.mark.parametrize("block", [20, 1 << 20])
def test_groups_are_of_all_rows_or_none(write, monkeypatch, block):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    assert load_sparse_text(write("1 0:1 # qid:3\n")).groups is None
    path = write("1 qid:3 0:1\n" * 5 + "\n0 1:1\n")
    for read in (load_sparse_text, SparseTextStream, lambda path: list(iter_sparse_text(path, n_features=2))):
        with pytest.raises(ValueError, match="line 7: this row has no qid:"):
            read(path)
    stream = SparseTextStream([write("1 qid:3 0:1\n", "with"), write("1 0:1\n", "without")])
    with pytest.raises(ValueError, match="some of the files"):
        stream.groups  # noqa: B018


# -- fields ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("block", [20, 1 << 20])
def test_indices_that_start_anew_in_each_field(tmp_path, monkeypatch, zero_based, block):
    monkeypatch.setattr(_sparse_text.read_blocks, "__defaults__", (block,))
    sizes, path = np.array([3, 0, 2, 4]), tmp_path / "train.ffm"
    X = np.eye(9)[[0, 8, 4, 2, 5]] + np.eye(9)[[3, 3, 8, 1, 0]]
    dump_sparse_text(X, np.arange(5), path, field_sizes=sizes, zero_based=zero_based)
    train = load_sparse_text(path, zero_based=zero_based)
    np.testing.assert_array_equal(train.field_sizes, sizes)
    np.testing.assert_array_equal(train.data.toarray(), X)
    np.testing.assert_array_equal(train.fields, [0, 0, 0, 2, 2, 3, 3, 3, 3])
    # A single row tells nothing of the sizes.
    test_path = tmp_path / "test.ffm"
    dump_sparse_text(X[:1], [1], test_path, field_sizes=sizes, zero_based=zero_based)
    given = {"field_sizes": train.field_sizes, "n_features": 9, "zero_based": zero_based}
    np.testing.assert_array_equal(load_sparse_text(test_path, **given).data.toarray(), X[:1])
    # Streams find the same from all files, and chunks are in the columns of the whole.
    stream = SparseTextStream([test_path, path], chunk_rows=2, zero_based=zero_based)
    np.testing.assert_array_equal(stream.field_sizes, sizes)
    np.testing.assert_array_equal(stream.fields, train.fields)
    assert stream.n_features == 9
    read = sparse.vstack([chunk for chunk, _ in stream]).toarray()
    np.testing.assert_array_equal(read, np.vstack([X[:1], X]))
    other = SparseTextStream(test_path, **given)
    np.testing.assert_array_equal(next(iter(other))[0].toarray(), X[:1])


def test_whether_indices_start_anew_is_never_guessed_of_a_part(write):
    """Where the number of columns is given, files and chunks must not disagree: the error names the way."""
    path = write("1 0:0:1 1:0:1\n")
    for read in (
        lambda: load_sparse_text(path, n_features=2),
        lambda: load_sparse_text(path, field_sizes=None),
        lambda: list(iter_sparse_text(path, n_features=2)),
        lambda: list(SparseTextStream(path, n_features=2)),
    ):
        with pytest.raises(
            ValueError, match=r"line 1: index 0 has field 1, but field 0 before.*field_sizes="
        ):
            read()
    # Fields that disagree between files, too.
    paths = [write("1 0:0:1\n", "a"), write("1 1:0:1\n", "b")]
    with pytest.raises(ValueError, match=r"b, line 1: index 0 has field 1.*field_sizes="):
        list(SparseTextStream(paths, n_features=1))
    np.testing.assert_array_equal(SparseTextStream(paths).field_sizes, [1, 1])


@pytest.mark.parametrize(
    ("text", "options"), [("0:1", {}), ("0:1 7:1", {"n_features": 5}), ("0:0:1", {"field_sizes": [3]})]
)
def test_no_size_helps_an_index_below_the_first(write, text, options):
    path = write(f"1\n1 {text}\n")
    expected = "line 2: index 0 is below 1, where indices start. Give zero_based=True if they start at 0."
    with pytest.raises(ValueError, match=f"{expected}$"):
        load_sparse_text(path, zero_based=False, **options)
    options = {} if "7" in text else options
    assert load_sparse_text(path, zero_based=True, **options).data[[1], [0]] == 1


@pytest.mark.parametrize(
    ("text", "sizes", "match"),
    [
        ("1 2:0:1", [1, 1], "index 0 has a field beyond the 2"),
        ("1 0:1:1", [1, 1], "index 1 is not among those of its field"),
        ("1 0:1", [1, 1], "has no fields"),
        (
            "1 0:0:1",
            [1, -1],
            r"field_sizes\[1\] is -1, .*\. Give the number of indices of each field, 0 where",
        ),
        ("1 0:0:1", [1, 2.5], r"field_sizes\[1\] is 2.5"),
        ("1 0:0:1", [], "add up to 0"),
        ("1 0:0:1", [2**31 - 1, 2**31 - 1], "add up to 4294967294"),
        ("1 0:0:1", [[1]], r"field_sizes .* shape \(1, 1\)"),
        ("1 0:0:1", "all", "field_sizes must be 'auto'"),
        ("1 3000000:0:1 0:0:1", "auto", "Number the fields from 0 on"),
    ],
)
def test_sizes_of_fields_are_checked(write, text, sizes, match):
    with pytest.raises(ValueError, match=match):
        load_sparse_text(write(f"{text}\n"), field_sizes=sizes)


@pytest.mark.parametrize("given", ["11", 2, {0: 1, 1: 1}, {1, 2}])
def test_numbers_of_fields_are_listed(write, given):
    path = write("1 0:0:1 1:0:1\n")
    with pytest.raises(TypeError, match="field_sizes must be a list of whole numbers, got "):
        next(iter_sparse_text(path, field_sizes=given))
    for name in ("fields", "field_sizes", "groups"):
        with pytest.raises(TypeError, match=f"{name} must be a list of whole numbers, got "):
            dump_sparse_text([[1, 1], [1, 0]], [1, 0], path, **{name: given})


def test_chunks_need_the_number_of_columns(write):
    with pytest.raises(ValueError, match="n_features, or field_sizes"):
        next(iter_sparse_text(write("1 0:1\n")))


# -- files that are broken ---------------------------------------------------------------------------


def damaged(whole):
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    return {"cut": whole[:-3], "half": whole[: len(whole) // 2], "flipped": bytes(flipped), "head": whole[:4]}


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".GZ"])
@pytest.mark.parametrize("damage", ["cut", "half", "flipped", "head", "plain"])
def test_broken_archives_are_named(write, tmp_path, suffix, damage):
    rng = np.random.default_rng(0)
    whole = write("".join(f"1 {index}:1\n" for index in rng.integers(0, 99, 5000)), f"whole{suffix}")
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"1 0:1\n" if damage == "plain" else damaged(whole.read_bytes())[damage])
    for read in (
        load_sparse_text,
        SparseTextStream,
        lambda path: SparseTextStream([whole, path]),
        lambda path: list(iter_sparse_text(path, n_features=99)),
    ):
        with pytest.raises(ValueError, match=f"broken{suffix} is no whole {suffix} file"):
            read(path)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x1f\x8b", "gzip"),
        (b"BZh9", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"(\xb5/\xfd", "Zstandard"),
        (b"PAR1", "Parquet"),
    ],
)
def test_archives_by_another_name(write, start, kind):
    with pytest.raises(ValueError, match=f"rows.svm holds {kind} data.*decompress"):
        load_sparse_text(write(start + b"\0" * 20, "rows.svm"))


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_no_file(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=f"absent{suffix}"):
        load_sparse_text(tmp_path / f"absent{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(IsADirectoryError, match=f"folder{suffix}"):
        load_sparse_text(tmp_path / f"folder{suffix}")


def test_the_mark_of_utf8_is_skipped(write):
    assert load_sparse_text(write(b"\xef\xbb\xbf1 0:1\n")).target == [1]
