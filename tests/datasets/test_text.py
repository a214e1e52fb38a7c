"""Files of libsvm, libffm and libFM: read, written, in chunks, compressed, and errors that name the place."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from skfm.datasets import _sparse_text, dump_sparse_text, iter_sparse_text, load_sparse_text


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
        ("1 qid:3 1:1", r"'qid:3': 'qid' is not an integer"),
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
    with pytest.raises(ValueError, match=r"line 1: index 0 is not between 1 and .*zero_based"):
        load_sparse_text(write("1 0:1\n1 5:1\n"), zero_based=False)
    with pytest.raises(ValueError, match=r"line 2: index 4 has field 1, but field 0 before"):
        load_sparse_text(write("1 0:4:1\n1 1:4:1\n"))
    with pytest.raises(ValueError, match="is not index:value"):
        load_sparse_text(write("1 0:4:1\n"), format="libsvm")


def test_errors_of_writing(tmp_path):
    path = tmp_path / "rows"
    with pytest.raises(ValueError, match="libffm needs fields="):
        dump_sparse_text([[1.0]], [1], path, format="libffm")
    with pytest.raises(ValueError, match="format must be one of"):
        dump_sparse_text([[1.0]], [1], path, format="csv")
    with pytest.raises(ValueError, match="y must have one column"):
        dump_sparse_text([[1.0]], [[1, 2]], path)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        dump_sparse_text([[1.0]], [1, 2], path)
    assert not path.exists()
