"""Files as streams of chunks."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skfm import DeepFMClassifier, FMClassifier, FMRegressor
from skfm.datasets import ParquetStream, SparseTextStream, dump_sparse_text, load_sparse_text

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
RNG = np.random.default_rng(0)
N = 60
TABLE = pd.DataFrame(
    {
        "site": RNG.choice(["a", "b", None], N),
        "user": RNG.integers(0, 5, N),
        "click": RNG.integers(0, 2, N),
        "pay": RNG.random(N),
        "weight": RNG.integers(0, 3, N),
    }
)
X = TABLE[["site", "user"]]
SETTINGS = {"n_factors": 2, "random_state": 0}


@pytest.fixture
def folder(tmp_path):
    """Two files of a table."""
    for part in range(2):
        TABLE[30 * part : 30 * (part + 1)].to_parquet(tmp_path / f"part{part}.parquet")
    return tmp_path


@pytest.mark.parametrize("source", ["folder", "files", "dataset"])
def test_chunks_are_the_rows_of_the_files(folder, source):
    import pyarrow.dataset as ds

    files = sorted(map(str, folder.glob("*.parquet")))
    given = {"folder": folder, "files": files, "dataset": ds.dataset(files)}[source]
    stream = ParquetStream(given, target="click", columns=["user", "site"], chunk_rows=8)
    chunks = list(stream)
    assert max(len(table) for table, _ in chunks) == 8
    read = pd.concat([table.to_pandas() for table, _ in chunks], ignore_index=True)
    pd.testing.assert_frame_equal(read, X[["user", "site"]], check_dtype=False)
    assert_array_equal(np.concatenate([y for _, y in chunks]), TABLE["click"])


def test_a_fit_of_files_is_that_of_the_table(folder):
    rows = FMClassifier(**SETTINGS).fit(X, TABLE["click"], sample_weight=TABLE["weight"])
    stream = ParquetStream(
        folder, target="click", sample_weight="weight", columns=["site", "user"], chunk_rows=7
    )
    streamed = FMClassifier(**SETTINGS).fit(stream)
    assert_array_equal(streamed.factors_, rows.factors_)
    to_predict = ParquetStream(folder, columns=["site", "user"], chunk_rows=9)
    assert_array_equal(streamed.predict_proba(to_predict), rows.predict_proba(X))


def test_several_targets(folder):
    stream = ParquetStream(folder, target=["pay", "click"], columns=["site", "user"])
    model = FMRegressor(**SETTINGS).fit(stream)
    assert_array_equal(model.predict(X), FMRegressor(**SETTINGS).fit(X, TABLE[["pay", "click"]]).predict(X))


def test_columns_that_are_in_no_file_are_named(folder):
    for options in ({"target": "buy"}, {"columns": ["buy"]}, {"sample_weight": "buy"}):
        with pytest.raises(ValueError, match=r"no column 'buy'; columns are \['site'"):
            ParquetStream(folder, **options)


def test_other_columns_than_targets_and_weights_are_x(folder):
    assert ParquetStream(folder, target="click", sample_weight="weight").columns == ["site", "user", "pay"]


# ------------------------------------------------------------------------------------------------ text

MATRIX = sparse.csr_array(np.where(RNG.random((40, 6)) < 0.5, RNG.random((40, 6)), 0))
Y = RNG.integers(0, 2, 40)
FIELDS = np.array([0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_text_files_are_read_in_chunks(tmp_path, zero_based, ending):
    paths = [tmp_path / f"{part}.svm{ending}" for part in range(2)]
    for part, path in enumerate(paths):
        own = slice(20 * part, 20 * (part + 1))
        dump_sparse_text(MATRIX[own], Y[own], path, zero_based=zero_based)
    stream = SparseTextStream(paths, zero_based=zero_based, chunk_rows=8)
    assert stream.n_features == 6
    assert stream.fields is None
    chunks = list(stream)
    assert_array_equal(sparse.vstack([chunk for chunk, _ in chunks]).toarray(), MATRIX.toarray())
    model = FMClassifier(**SETTINGS).fit(stream)
    assert_array_equal(model.factors_, FMClassifier(**SETTINGS).fit(MATRIX, Y).factors_)
    assert_array_equal(model.predict(stream), model.predict(MATRIX))


def test_fields_come_from_all_files(tmp_path):
    """A column that one file alone has gets its field from there."""
    paths = [tmp_path / "a.ffm", tmp_path / "b.ffm"]
    for path, columns in zip(paths, ([0, 2, 4], [1, 3, 5]), strict=True):
        part = np.zeros((20, 6))
        part[:, columns] = MATRIX[:20].toarray()[:, columns]
        dump_sparse_text(part, Y[:20], path, format="libffm", fields=FIELDS)
    stream = SparseTextStream(paths)
    assert_array_equal(stream.fields, FIELDS)
    model = DeepFMClassifier(fields=stream.fields, hidden_layer_sizes=(3,), **SETTINGS).fit(stream)
    assert_array_equal(model.fields_, FIELDS)


def test_a_broken_line_names_file_and_line(tmp_path):
    path = tmp_path / "broken.svm"
    path.write_text("1 0:1\n0 1:x\n")
    with pytest.raises(ValueError, match=r"broken.svm, line 2.*1:x"):
        SparseTextStream(path)
    with pytest.raises(ValueError, match=r"broken.svm, line 2.*1:x"):
        FMClassifier(**SETTINGS).fit(SparseTextStream(path, n_features=2))


def test_a_file_without_rows(tmp_path):
    path = tmp_path / "empty.svm"
    path.write_text("")
    with pytest.raises(ValueError, match="no rows"):
        FMClassifier(**SETTINGS).fit(SparseTextStream(path, n_features=2))
    path.write_text("1 0:1\n")
    assert load_sparse_text(path).data.shape == (1, 1)
