"""Files as streams of chunks."""

import csv
import gzip
import io
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone

from skfm import DeepFMClassifier, ESMMClassifier, FieldEncoder, FMClassifier, FMRegressor
from skfm.data.readings import ReadingWarning
from skfm.datasets import (
    CsvStream,
    ParquetStream,
    SparseTextStream,
    _sparse_text,
    dump_sparse_text,
    load_sparse_text,
)

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


def test_large_whole_numbers_beside_another_target(tmp_path):
    table = pd.DataFrame({"a": [1.0, 2], "id": [2**62, 2**62 + 1], "pay": [0.5, 1]})
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"y holds 4611686018427387904 at row 0 and .* which are one float"):
        FMRegressor(**SETTINGS).fit(ParquetStream(tmp_path / "t.parquet", target=["id", "pay"]))


def test_columns_that_are_in_no_file_are_named(folder):
    for options in ({"target": "buy"}, {"columns": ["buy"]}, {"sample_weight": "buy"}):
        with pytest.raises(ValueError, match=r"no column 'buy'; columns are \['site'"):
            ParquetStream(folder, **options)


def test_other_columns_than_targets_and_weights_are_x(folder):
    assert ParquetStream(folder, target="click", sample_weight="weight").columns == ["site", "user", "pay"]


def test_broken_parquet_files_are_named(folder):
    whole = (folder / "part1.parquet").read_bytes()
    damages = {
        "cut": whole[:-10],
        "text": b"a,b\n1,2\n",
        "empty": b"",
        "pages": b"PAR1" + b"\xaa" * 300 + whole[304:],
    }
    for damage, content in damages.items():
        path = folder / f"{damage}.parquet"
        path.write_bytes(content)
        for source in (path, [folder / "part0.parquet", path]):
            with pytest.raises(ValueError, match=f"{damage}.parquet"):
                list(ParquetStream(source, target="click"))
    with pytest.raises(FileNotFoundError, match=r"absent\.parquet"):
        ParquetStream(folder / "absent.parquet", target="click")


def arrow(**columns):
    import pyarrow as pa

    return pa.table(columns)


def write(folder, **tables):
    import pyarrow.parquet as pq

    for name, table in tables.items():
        path = folder / f"{name.replace('__', '/').replace('_is_', '=')}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)


@pytest.mark.parametrize(
    ("first", "second", "match"),
    [
        (
            {"a": [1]},
            {"a": ["1"]},
            "2.parquet: column 'a' is of type string, and of type int64 in files before",
        ),
        (
            {"a": ["1"]},
            {"a": [1]},
            "2.parquet: column 'a' is of type int64, and of type string in files before",
        ),
        ({"a": [True]}, {"a": [5]}, "2.parquet: column 'a' is of type int64, and of type bool"),
        (
            {"a": [1], "b": [1]},
            {"a": [1]},
            r"2.parquet has no column 'b'; its columns are \['x', 'a'\].*columns=",
        ),
        ({"a": [1]}, {"a": [1], "b": [1]}, "2.parquet has a column 'b' that .*1.parquet has not.*columns="),
    ],
)
def test_parquet_files_of_other_columns_and_types_are_named_on_opening(tmp_path, first, second, match):
    import pyarrow as pa
    import pyarrow.dataset as ds

    more = {"x": [0]}
    write(tmp_path, **{"1": arrow(**more, **first), "2": arrow(**more, **second)})
    with pytest.raises(ValueError, match=match):
        ParquetStream(tmp_path)
    # The remedies work: other columns do no harm, and a dataset has the schema that it is given.
    assert everything(ParquetStream(tmp_path, columns=["x"])).to_numpy().tolist() == [[0], [0]]
    schema = pa.schema([("x", pa.int64()), ("a", pa.string())])
    assert len(everything(ParquetStream(ds.dataset(tmp_path, schema=schema)))) == 2


def test_a_target_that_is_not_in_all_files_is_named(tmp_path):
    write(tmp_path, **{"1": arrow(x=[0], y=[1]), "2": arrow(x=[0])})
    with pytest.raises(ValueError, match=r"2\.parquet has no column 'y'"):
        ParquetStream(tmp_path, target="y")


@pytest.mark.parametrize(
    ("types", "values", "found"),
    [
        (("int8", "int64"), ([1], [300]), "int64"),
        (("int64", "double"), ([1], [2.5]), "double"),
        (("double", "int64"), ([2.5], [1]), "double"),
        (("null", "int64"), ([None], [1]), "int64"),
        (("int64", "null"), ([1], [None]), "int64"),
        (("string", "large_string"), (["a"], ["b"]), "large_string"),
        (("dictionary", "string"), (["a"], ["b"]), "string"),
        (("dictionary", "dictionary"), (["a"], ["b"]), "dictionary<values=string, indices=int32, ordered=0>"),
        (("string", "null"), (["a"], [None]), "string"),
    ],
)
def test_types_that_hold_the_values_of_all_parquet_files(tmp_path, types, values, found):
    import pyarrow as pa

    def column(type_, rows):
        return pa.array(rows).dictionary_encode() if type_ == "dictionary" else pa.array(rows, type_)

    first, second = map(column, types, values)
    write(tmp_path, **{"1": arrow(a=first), "2": arrow(a=second)})
    chunks = [table for (table,) in ParquetStream(tmp_path)]
    assert {str(table.schema.field("a").type) for table in chunks} == {found}
    assert pa.concat_tables(chunks)["a"].to_pylist() == values[0] + values[1]


@pytest.mark.parametrize("source", ["folder", "files", "file"])
def test_columns_in_the_names_of_folders(tmp_path, source):
    import pyarrow.parquet as pq

    parts = {"year_is_2020__site_is_a__0": [1, 2], "year_is_2021__site_is_b__0": [3]}
    write(tmp_path, **{name: arrow(n=values) for name, values in parts.items()})
    files = sorted(tmp_path.rglob("*.parquet"))
    given = {"folder": tmp_path, "files": files, "file": files[0]}[source]
    read = everything(ParquetStream(given))
    expected = pq.read_table(given).to_pandas()
    pd.testing.assert_frame_equal(read.astype(str), expected.astype(str))
    if source == "file":
        return
    stream = ParquetStream(given, target="year", columns=["site"])
    assert np.concatenate([y for _, y in stream]).tolist() == expected["year"].tolist()


def test_columns_that_folders_and_files_have(tmp_path):
    import pyarrow.dataset as ds

    write(tmp_path, y_is_1__0=arrow(n=[1], y=[7]))
    with pytest.raises(ValueError, match=r"Field y has incompatible types.*pyarrow\.dataset\.dataset"):
        ParquetStream(tmp_path)
    assert everything(ParquetStream(ds.dataset(tmp_path))).to_numpy().tolist() == [[1, 7]]


def test_values_that_the_schema_of_a_dataset_does_not_hold(tmp_path):
    import pyarrow.dataset as ds

    write(tmp_path, **{"1": arrow(a=[1]), "2": arrow(a=["ann"])})
    with pytest.raises(ValueError, match=r"2\.parquet cannot be read.*ann"):
        list(ParquetStream(ds.dataset(tmp_path)))


def test_a_folder_without_files(tmp_path):
    for stream in (ParquetStream, CsvStream):
        with pytest.raises(ValueError, match=f"no files in {tmp_path}"):
            stream(tmp_path)


@pytest.mark.parametrize("stream", [ParquetStream, CsvStream])
def test_without_pyarrow_it_is_named(monkeypatch, stream):
    for module in ("pyarrow", "pyarrow.csv", "pyarrow.dataset"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"{stream.__name__} needs pyarrow: pip install"):
        stream("rows")


@pytest.mark.parametrize("values", [[1, None, 0], ["yes", None, "no"]])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("role", ["target", "sample_weight"])
def test_missing_targets_and_weights_are_named(tmp_path, values, role):
    table = pd.DataFrame({"site": list("abc") * 2, "y": ["1"] * 3 + values})
    table.to_csv(tmp_path / "rows.csv", index=False)
    table.astype({"y": str}).where(table["y"].notna()).to_parquet(tmp_path / "rows.parquet")
    for stream, place in ((CsvStream, "rows.csv, line 6"), (ParquetStream, "rows.parquet, row 4")):
        path = next(tmp_path.glob(f"*.{stream.__name__[:3].lower()}*"))
        with pytest.raises(ValueError, match=f"{place}, column 'y': a missing value"):
            list(stream(path, **{role: "y"}, chunk_rows=3))


@pytest.fixture
def two_files(tmp_path):
    """Writer of two files of 7 rows of a kind, row 5 of the second with a value of a column.

    Row 4 of each has no weight; the folder has the name of an argument.
    """
    folder = tmp_path / "y"
    folder.mkdir()

    def write_files(kind, column, value):
        stream = ParquetStream if kind == "parquet" else CsvStream
        good = pd.DataFrame({"x": np.arange(7.0), "y": np.arange(7.0) % 2, "w": np.arange(7.0) != 4.0})
        good["w"] = good["w"].astype(float)
        if isinstance(value, str):
            good = good.astype({column: str})
        bad = good.assign(**{column: good[column].where(good.index != 5, value)})
        for name, table in {"1": good, "2": bad}.items():
            path = folder / f"{name}.{kind}"
            if stream is CsvStream:
                # An empty line, and a value of two lines.
                header, first, *rest = table.to_csv(index=False).splitlines()
                lines = [header, "", first.replace("0.0,0.0", '"0.0\n",0.0'), *rest]
                content = "\n".join(lines).encode()
                path.write_bytes(gzip.compress(content) if kind == "csv.gz" else content)
            else:
                # NaN as such, as other programs write it.
                columns = {column: table[column].to_numpy() for column in table}
                write(folder, **{name: arrow(**columns)})
        types = {"dtypes": {"x": "string"}} if stream is CsvStream else {}
        return stream(folder, "y", sample_weight="w", chunk_rows=3, **types)

    return write_files


@pytest.mark.parametrize(("kind", "place"), [("csv", "2.csv, line 9"), ("parquet", "2.parquet, row 5")])
@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("y", np.nan, "column 'y': a missing value"),
        ("w", np.nan, "column 'w': a missing value"),
        ("y", np.inf, "Input y contains infinity"),
        ("w", -1.0, "sample_weight is negative"),
    ],
)
def test_what_is_wrong_in_a_row_has_file_and_row(two_files, kind, place, column, value, match):
    with pytest.raises(ValueError, match=f"{place}[,:] {match}"):
        FMRegressor(**SETTINGS).fit(two_files(kind, column, value))


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    ("kind", "place"),
    [("csv", "2.csv, line 9"), ("csv.gz", "2.csv.gz, line 9"), ("parquet", "2.parquet, row 5")],
)
@pytest.mark.parametrize(
    ("model", "value", "match"),
    [
        (FMRegressor(), "notnum", "y must hold numbers, and holds 'notnum' at row 2, of type str"),
        (FMRegressor(loss="huber"), "notnum", "y must hold numbers, and holds 'notnum' at row 2"),
        (FMRegressor(), "inf", "Input y contains .*infinity.* at row 2"),
        (FMRegressor(loss="poisson"), -1.0, "loss='poisson' needs targets y >= 0, got -1.0 at row 2"),
        (FMClassifier(), 2.5, "Unknown label type: y holds 2.5 at row 2, and labels are text or whole"),
        (ESMMClassifier(), 2.0, r"y holds \[2.0, 2.0\] at row 2; clicks and conversions are 0 or 1"),
    ],
    ids=str,
)
def test_what_is_wrong_in_a_target_has_file_and_row(
    two_files, monkeypatch, in_memory, kind, place, model, value, match
):
    """What all rows together tell, too, in memory and on disk."""
    monkeypatch.setattr("skfm.fitting.streams._IN_MEMORY", 1 << 23 if in_memory else 0)
    stream = two_files(kind, "y", value)
    if isinstance(model, ESMMClassifier):
        stream.targets, stream.one_target = ["y", "y"], False
    with pytest.raises(ValueError, match=f"^Chunk 4 of the stream, .*{place}: {match}"):
        clone(model).set_params(**SETTINGS).fit(stream)


def test_targets_that_are_one_float_have_file_and_row(two_files):
    """The rows of two chunks."""
    stream = two_files("parquet", "y", 2.0**53)
    whole = [pd.read_parquet(path).astype({"y": int}) for path in stream.paths]
    whole[0].loc[1, "y"] = 2**53 + 1
    for path, table in zip(stream.paths, whole, strict=True):
        table.to_parquet(path)
    stream = ParquetStream(stream.paths, "y", chunk_rows=3)
    with pytest.raises(ValueError, match=r"1\.parquet, row 1: .*3 at row 1 .* at row 2 of chunk 4"):
        FMRegressor(**SETTINGS).fit(stream)


@pytest.mark.parametrize(("kind", "place"), [("csv", "2.csv, line 9"), ("parquet", "2.parquet, row 5")])
def test_what_is_wrong_in_a_target_to_stop_on_has_file_and_row(two_files, kind, place):
    for model, value, match in (
        (FMRegressor(), "notnum", "y_val must hold numbers, and holds 'notnum' at row 2"),
        (FMClassifier(), 7.0, "y_val contains the label 7.0 at row 2, .* Drop that row, or add rows with"),
    ):
        stream = two_files(kind, "y", value)
        X, _, _ = next(iter(stream))
        with pytest.raises(ValueError, match=f"^Chunk 4 of the stream, .*/y/{place}: {match}"):
            model.set_params(**SETTINGS).fit(X, [0, 1, 0], X_val=stream)


@pytest.mark.filterwarnings("ignore:.*nothing was learned")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_streams_without_targets_and_with_too_many_columns(two_files, kind):
    stream = two_files(kind, "y", 0.0)
    model = FMRegressor(**SETTINGS).fit(stream)
    everything = type(stream)(stream.paths)
    with pytest.raises(ValueError, match=f"1.{kind}: expected .* take the column of y as target="):
        FMRegressor(**SETTINGS).fit(everything)
    with pytest.raises(ValueError, match=r"(?s)unseen at fit time:\n- w\n- y\n.*columns=.*target="):
        model.predict(everything)
    predicted = model.predict(type(stream)(stream.paths, columns=["x"]))
    assert_array_equal(predicted, model.predict(stream))


# ------------------------------------------------------------------------------------------------- CSV


@pytest.fixture
def csv_folder(tmp_path):
    """Two files of a table; of the column "user" the first alone looks like numbers."""
    for part in range(2):
        rows = TABLE[30 * part : 30 * (part + 1)]
        rows.assign(user=rows["user"].astype(str) + "x" * part).to_csv(tmp_path / f"{part}.csv", index=False)
    return tmp_path


def everything(stream):
    return pd.concat([chunk[0].to_pandas() for chunk in stream], ignore_index=True)


@pytest.mark.filterwarnings("ignore:Mismatched null-like values:FutureWarning")
@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_csv_chunks_are_the_rows_as_pandas_reads_them(tmp_path, monkeypatch, suffix, separator):
    monkeypatch.setattr("skfm.datasets._tables._BLOCK", 200)
    path = tmp_path / f"rows.csv{suffix}"
    quoted = TABLE.assign(text=[f'a "{i}",\n\tb' for i in range(N)], flag=TABLE["click"] == 1)
    quoted.to_csv(path, index=False, sep=separator)
    stream = CsvStream(path, target="click", sample_weight="weight", delimiter=separator, chunk_rows=7)
    assert max(len(chunk) for chunk, *_ in stream) <= 7
    read = pd.read_csv(path, sep=separator)
    # Older versions of pandas are off by some units in the last place.
    pd.testing.assert_frame_equal(
        everything(stream), read.drop(columns=["click", "weight"]), check_dtype=False, rtol=1e-14, atol=0
    )
    assert_array_equal(np.concatenate([y for _, y, _ in stream]), TABLE["click"])
    assert_array_equal(np.concatenate([weight for *_, weight in stream]), TABLE["weight"])


def test_a_fit_of_csv_files_is_that_of_the_table(csv_folder):
    whole = pd.concat(map(pd.read_csv, sorted(csv_folder.iterdir())), ignore_index=True)
    rows = FMClassifier(**SETTINGS).fit(whole[["site", "user"]].astype({"user": str}), whole["click"])
    stream = CsvStream(csv_folder, target="click", columns=["site", "user"], chunk_rows=7)
    streamed = FMClassifier(**SETTINGS).fit(stream, X_val=stream)
    assert_array_equal(FMClassifier(**SETTINGS).fit(stream).factors_, rows.factors_)
    (csv_folder / "one").mkdir()
    path = csv_folder / "one" / "test.csv"
    whole[["user", "site"]].head(9).to_csv(path, index=False)
    to_predict = CsvStream(path, columns=["site", "user"], dtypes=stream.dtypes)
    assert_array_equal(
        streamed.predict_proba(to_predict),
        streamed.predict_proba(whole[["site", "user"]].head(9).astype({"user": str})),
    )


def test_types_are_those_of_all_chunks_and_files(csv_folder):
    stream = CsvStream(csv_folder, target="click", chunk_rows=5)
    types = {"site": "string", "user": "string", "pay": "double", "weight": "int64", "click": "int64"}
    assert stream.dtypes == types
    assert {str(chunk.schema.field("user").type) for chunk, _ in stream} == {"string"}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", "-2"], "int64"),
        (["1", "", "NA"], "int64"),
        (["1", "2.5"], "double"),
        (["1", "18446744073709551615"], "uint64"),
        (["-1", "18446744073709551615"], "string"),
        (["1", "18446744073709551617"], "string"),
        (["0.5", " 9007199254740993"], "string"),
        (["0.5", "9007199254740992", "100000000000000000000", "1e300"], "double"),
        (["true", "False"], "bool"),
        (["1", "true"], "bool"),
        (["2", "true"], "string"),
        (["1", "a"], "string"),
        (["2026-01-01", "2026-01-02"], "string"),
    ],
)
def test_the_narrowest_type_that_holds_all_values(tmp_path, values, found):
    for order in (values, values[::-1]):
        path = tmp_path / "rows.csv"
        path.write_text("".join(f"k,{value}\n" for value in order))
        stream = CsvStream(path, names=["key", "value"])
        assert stream.dtypes == {"key": "string", "value": found}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([" 2", "3 "], "int64"),
        (["\t2", " -3\t", "  4"], "int64"),
        (['" 2"', '"3 "'], "int64"),
        ([" 2.5 ", "1"], "double"),
        (["", " 2"], "int64"),
        ([" 1e3", "NA"], "double"),
        ([" 2", " "], "string"),
        ([" 2", " NA"], "string"),
        (["2 3", "4"], "string"),
        (["\u00a02", "3"], "string"),
        ([" true", "false"], "string"),
    ],
)
def test_blanks_around_numbers_are_as_pandas_reads_them(tmp_path, values, found):
    path = tmp_path / "rows.csv"
    path.write_text("key,value\n" + "".join(f"k,{value}\n" for value in values), encoding="utf-8")
    stream = CsvStream(path)
    assert stream.dtypes["value"] == found
    pd.testing.assert_frame_equal(everything(stream), pd.read_csv(path), check_dtype=False)


def test_blanks_are_refused_where_they_cannot_be_skipped(tmp_path):
    """The error names the value that the reader refuses, and none that it takes."""
    path = tmp_path / "rows.csv"
    path.write_text("n,time,flag\n 1,10:00:00,true\n2, 11:00:00, true\n")
    types = {"n": "int8", "time": "time32[s]", "flag": "bool"}
    with pytest.raises(ValueError, match="line 3, column 'flag': ' true' is not of type bool"):
        list(CsvStream(path, dtypes=types))
    assert everything(CsvStream(path, dtypes=types | {"flag": "string"}))["n"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("datetime64[s]", "timestamp[s]"),
        (np.dtype("datetime64[ns]"), "timestamp[ns]"),
        ("datetime64[D]", "date32[day]"),
        ("datetime64[ns, UTC]", "timestamp[ns, tz=UTC]"),
        ("timestamp[ms, tz=Europe/Paris]", "timestamp[ms, tz=Europe/Paris]"),
        (pd.StringDtype(), "string"),
        ("string[pyarrow]", "string"),
        ("<U10", "string"),
    ],
)
def test_dates_and_text_by_the_names_of_numpy_and_pandas(tmp_path, given, found):
    path = tmp_path / "rows.csv"
    zone = "T00:00:00Z" if "tz=" in found else ""
    path.write_text(f"day,n\n2026-01-02{zone},1\n")
    stream = CsvStream(path, dtypes={"day": given})
    assert stream.dtypes == {"day": found, "n": "int64"}
    day = everything(CsvStream(path, dtypes=stream.dtypes))["day"][0]
    assert str(day).startswith("2026-01-02")


@pytest.mark.parametrize("given", ["int", "<i8", np.int64, np.dtype(np.int64), pd.Int64Dtype(), "Int64"])
def test_numbers_by_the_names_of_numpy_and_pandas(tmp_path, given):
    path = tmp_path / "rows.csv"
    path.write_text("n\n1\n")
    assert CsvStream(path, dtypes={"n": given}).dtypes == {"n": "int64"}


@pytest.mark.parametrize("given", ["integers", "float16", np.datetime64, "dictionary", []])
def test_types_that_text_is_not_read_as(tmp_path, given):
    path = tmp_path / "rows.csv"
    path.write_text("n\n1\n")
    with pytest.raises(ValueError, match=r"dtypes\['n'\] is .*, which is no type that text is read as"):
        CsvStream(path, dtypes={"n": given})


@pytest.mark.parametrize("given", ["string", "object", "category", str, object])
def test_types_that_are_given(tmp_path, given):
    path = tmp_path / "rows.csv"
    path.write_text("zip,day\n007,2026-01-01\n")
    stream = CsvStream(path, dtypes={"zip": given, "day": "timestamp[s]", "absent": "int64"})
    assert everything(stream)["zip"].tolist() == ["007"]
    assert stream.dtypes == {"zip": "string", "day": "timestamp[s]"}
    with pytest.raises(ValueError, match=r"dtypes\['zip'\] is 'integers', which is no type"):
        CsvStream(path, dtypes={"zip": "integers"})


@pytest.mark.parametrize("stream", [CsvStream, ParquetStream])
@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("columns", "ab", r"columns must be a list of texts, got 'ab'\. Give columns=\['ab'\]"),
        ("columns", [1], r"columns\[0\] is 1, of type int"),
        ("target", 0, "target must be a list of texts, got 0"),
        ("sample_weight", ["a"], r"sample_weight must be the name of a column or None, got \['a'\]"),
        ("names", "ab", r"names must be a list of texts, got 'ab'\. Give names=\['ab'\]"),
        ("names", b"ab", "names must be a list of texts, got b'ab'"),
        ("missing_values", "NA", r"Give missing_values=\['NA'\]"),
        ("missing_values", [None], r"missing_values\[0\] is None, of type NoneType"),
        ("dtypes", ["int64"], r"dtypes must be a dict of types .*, got \['int64'\]"),
        ("dtypes", "int64", "dtypes must be a dict of types .*, got 'int64'"),
    ],
)
def test_a_text_is_no_list_and_a_list_no_dict(tmp_path, stream, name, value, match):
    if stream is ParquetStream and name in ("names", "missing_values", "dtypes"):
        pytest.skip("not a parameter")
    path = tmp_path / "rows"
    table = pd.DataFrame({"a": ["N", "A"], "b": [1, 2]})
    table.to_csv(path, index=False) if stream is CsvStream else table.to_parquet(path)
    with pytest.raises(TypeError, match=match):
        stream(path, **{name: value})


@pytest.mark.parametrize("stream", [CsvStream, ParquetStream])
@pytest.mark.parametrize(
    ("roles", "match"),
    [
        ({"columns": ["y", "a"], "target": "y"}, r"columns= names column 'y', which is a target too"),
        ({"columns": ["y", "a"], "target": ["z", "y"]}, r"columns= names column 'y', which is a target too"),
        ({"sample_weight": "y", "target": "y"}, r"sample_weight= names column 'y', which is a target too"),
        ({"target": ["y", "y"]}, "target= names column 'y' more than once"),
        ({"columns": ["a", "a"], "target": "y"}, "columns= names column 'a' more than once"),
    ],
)
def test_a_column_has_one_role(tmp_path, stream, roles, match):
    path = tmp_path / "rows"
    table = pd.DataFrame({"y": [0, 1], "z": [1, 0], "a": ["N", "A"]})
    table.to_csv(path, index=False) if stream is CsvStream else table.to_parquet(path)
    with pytest.raises(ValueError, match=match):
        stream(path, **roles)


@pytest.mark.parametrize("name", ["chunk_rows", "buffer_rows"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "svm"])
def test_numbers_of_rows_are_checked(tmp_path, kind, name):
    path = tmp_path / "rows"
    if kind == "svm":
        path.write_text("1 0:1\n0 1:1\n")
        make = SparseTextStream
    else:
        table = pd.DataFrame({"y": [0, 1], "a": ["N", "A"]})
        table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
        make = {"csv": CsvStream, "parquet": ParquetStream}[kind]
    with pytest.raises(ValueError, match=f"{name} == 0, must be >= 1"):
        make(path, **{name: 0})
    with pytest.raises(TypeError, match=f"{name} must be an instance of int"):
        make(path, **{name: "a"})


def test_buffers_of_streams_of_one_s_own_are_checked():
    class Chunks:
        buffer_rows = 0

        def __iter__(self):
            yield X, TABLE["click"]

    with pytest.raises(ValueError, match="buffer_rows == 0, must be >= 1"):
        FMClassifier(**SETTINGS).fit(Chunks())


def test_lists_and_dicts_of_pandas_and_numpy(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1,N,3\n2,NA,4\n")
    stream = CsvStream(
        path,
        names=pd.Index(["a", "b", "c"]),
        columns=np.array(["b", "a"]),
        missing_values=("NA",),
        dtypes=pd.Series({"a": "string"}),
    )
    assert stream.dtypes == {"b": "string", "a": "string"}
    assert everything(stream)["b"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("content", "options", "match"),
    [
        (
            'a,b\n1,"x\ny"\n\n2,z\nq,z\n',
            {"dtypes": {"a": "int64"}},
            r"line 6, column 'a': 'q' is not of type int64",
        ),
        (
            "a,b\n1,2\n300,2\n",
            {"dtypes": {"a": "uint8"}},
            r"line 3, column 'a': '300' is not of type uint8\. Give .* wider type, dtypes={'a': 'int64'}",
        ),
        ("a,b\n1,2\n1.5,2\n", {"dtypes": {"a": "int8"}}, r"a wider type, dtypes={'a': 'double'}"),
        (f"a,b\n1,2\n{2**63},2\n", {"dtypes": {"a": "int8"}}, r"a wider type, dtypes={'a': 'uint64'}"),
        (f"a,b\n1,2\n{2**64 + 1},2\n", {"dtypes": {"a": "int8"}}, r"int8\. Mend it.*dtypes={'a': 'string'}"),
        ("1,2\n", {"names": ["a"]}, r"line 1: 2 values, where names= gives 1 columns\. Name each column"),
        ("1;2\n", {"names": ["a", "b"]}, r"line 1: 1 values, where names= gives 2 columns.*delimiter="),
        (
            "a,b\n1,2\n",
            {"delimiter": "¦"},
            "delimiter must be one character of ASCII that ends no line, got '¦'",
        ),
        ("a,b\n1,2\n", {"delimiter": "\n"}, "delimiter must be one character of ASCII that ends no line"),
        (
            "a,b\n1,2\n",
            {"quotechar": "«"},
            "quotechar must be one character of ASCII that ends no line, got '«'",
        ),
        ("a,b\n1,2\n", {"quotechar": ""}, "quotechar must be one character of ASCII"),
        ("a,b\n1,2\n", {"delimiter": '"'}, "delimiter and quotechar must be two characters"),
        ("a,b\n1,2\n3\n", {}, "line 3: 1 values, where there are 2 columns"),
        ("a,b\n1,2\n3,4,5\n", {}, "line 3: 3 values, where there are 2 columns"),
        ("", {}, "is empty: there is no header"),
        ("a,a\n1,2\n", {}, "Several columns are named 'a'"),
        ("a,b\n1,2\n", {"target": "c"}, r"no column 'c'; columns are \['a', 'b'\]\.$"),
        ("a;b\n1;2\n", {"target": "b"}, r"columns are \['a;b'\]\. If ';' is .* give delimiter=';'"),
        ("a,b\n1,2\n", {"target": "b", "delimiter": "\t"}, "give delimiter=','"),
        (b"a,b\n1,\xe9\n", {}, "line 2, column 'b': .* is no text in utf-8"),
        ("a,b\n1,2\n".encode("utf-16"), {}, "is no header of text in utf-8"),
        ("a,b\n1,2\n", {"encoding": "utf-16"}, "rows.csv has no header that can be read as utf-16"),
        ("a,b\n1,2\n", {"encoding": "utf-16", "names": ["a", "b"]}, "rows.csv cannot be read"),
        ("a,b\n1,2\n", {"encoding": "klingon"}, "no encoding 'klingon'"),
        ("a,b\n1,2\n", {"delimiter": "::"}, "delimiter must be one character"),
        ("a,b\n1,2\n", {"chunk_rows": 0}, "chunk_rows"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), {}, "holds gzip data, not text"),
        ("a,b\n1,2\n", {"encoding": "rot13"}, "no encoding 'rot13' of text"),
        ("a,b\n1,2\n".encode("utf-16-le"), {}, "is no header of text in utf-8.*encoding="),
        ('a,"b\n1,2\n', {}, "line 1: a quote that is opened in this row is not closed.*quotechar=None"),
        ('a,b\n1,2\n3,"4\n5,6\n', {}, "line 3: a quote that is opened in this row is not closed"),
        ('a,b\n1,2\n3,"4', {"dtypes": {"b": "int64"}}, "line 3: a quote .* is not closed"),
        ('a,b\n1,2\n3,"4\n5,6\n', {"columns": ["a"]}, "line 3: a quote .* is not closed"),
        ('a,b\n"\n",2\n"3,4\n', {"encoding": "utf-8-sig"}, "line 4: a quote .* is not closed"),
        ('1,2"\n"3"x,"4\n\n', {"names": ["a", "b"]}, "line 2: a quote .* is not closed"),
        (
            'a,b\n1,2\n3,"4\n5,6\n'.encode("utf-16"),
            {"encoding": "utf-16"},
            "line 3: a quote .* is not closed",
        ),
        ('a,b\n1,2\n3,"' + "4\n" * 10**5, {}, "line 3: field larger than .* quote is not closed"),
    ],
)
def test_what_is_wrong_in_csv_is_named(tmp_path, content, options, match):
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=match):
        list(CsvStream(path, **options))


@pytest.mark.parametrize("kind", ["bytes", "frame", "file", "none", "list"])
@pytest.mark.parametrize("read", [CsvStream, ParquetStream, SparseTextStream, load_sparse_text])
def test_what_is_no_path_is_named(tmp_path, kind, read):
    path = tmp_path / "rows"
    path.write_text("1 0:1\n")
    with open(path) as file:
        given = {"bytes": b"rows", "frame": TABLE, "file": file, "none": None, "list": [TABLE]}[kind]
        with pytest.raises(
            TypeError, match=r"(source|paths?) takes the path of a file, not an object of type"
        ):
            read(given)


def test_an_encoding_has_a_name(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TypeError, match=r"encoding must be the name of one, .* got None"):
        CsvStream(tmp_path / "rows.csv", encoding=None)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_headers_in_every_encoding(tmp_path, encoding, mark):
    """With a mark of the byte order and, where it may be missing, without."""
    if encoding in ("utf-8-sig", "utf-16", "utf-32", "cp1252"):
        mark = ""
    path = tmp_path / "rows.csv"
    path.write_bytes(f'{mark}"état",b\né,1\n'.encode(encoding))
    stream = CsvStream(path, encoding=encoding)
    assert stream.dtypes == {"état": "string", "b": "int64"}
    assert everything(stream).to_numpy().tolist() == [["é", 1]]


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\r\n\r\n"])
def test_a_header_alone_is_a_file_without_rows(tmp_path, content):
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_bytes(content.encode())
    assert list(CsvStream(tmp_path / "2.csv")) == []
    assert everything(CsvStream(tmp_path)).to_numpy().tolist() == [[1, "x"]]


def test_a_row_that_does_not_fit_into_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr("skfm.datasets._tables._BLOCK", 100)
    path = tmp_path / "rows.csv"
    path.write_text(f"a,b\n1,2\n3,{'4' * 300}\n")
    with pytest.raises(ValueError, match="line 3: a row of more than"):
        CsvStream(path)


@pytest.mark.parametrize("seed", range(30))
def test_random_csv_files_are_read_as_python_reads_them(tmp_path, monkeypatch, seed):
    """Any quotes, line ends and blocks; an open quote at the end is an error, whatever stands before."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr("skfm.datasets._tables._BLOCK", int(rng.choice([150, 400, 1 << 20])))
    n_columns, n_rows = rng.integers(1, 4), rng.choice([0, 1, 30])
    letters = list('ab",\n\r\té ')
    rows = [
        ["x" + "".join(rng.choice(letters, rng.integers(9))) for _ in range(n_columns)] for _ in range(n_rows)
    ]
    names = [f"c{column}" for column in range(n_columns)]
    text = io.StringIO(newline="")
    ending = str(rng.choice(["\n", "\r\n"]))
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=ending).writerows([names, *rows])
    whole = text.getvalue()
    path = tmp_path / f"rows.csv{rng.choice(['', '.gz'])}"
    encoding = str(rng.choice(["utf-8", "utf-16", "utf-16-be"]))

    def stream(text):
        with _sparse_text.open_text(path, "wb") as file:
            file.write(text.encode(encoding))
        types = dict.fromkeys(names, "string")
        return CsvStream(path, encoding=encoding, dtypes=types, missing_values=[], chunk_rows=7)

    for text in (whole, whole.removesuffix(ending)):
        found = [list(row.values()) for (table,) in stream(text) for row in table.to_pylist()]
        assert found == rows
    line = whole.count("\n") + whole.replace("\r\n", "").count("\r") + 1
    with pytest.raises(ValueError, match=f"line {line}: a quote that is opened in this row is not closed"):
        list(stream(f'{whole}a,"b\n"",c,d{ending}'))


def test_a_value_that_does_not_fit_far_down(tmp_path, monkeypatch):
    monkeypatch.setattr("skfm.datasets._tables._BLOCK", 100)
    paths = [tmp_path / name for name in ("first.csv", "second.csv")]
    for path, last in zip(paths, ("1", "x"), strict=True):
        path.write_text("a,b\n" + "".join(f'{i},"q\n{i}"\n' for i in range(50)) + f"{last},1\n")
    with pytest.raises(ValueError, match=r"second\.csv, line 102, column 'a': 'x' is not of type int64"):
        list(CsvStream(paths, dtypes={"a": "int64"}))


@pytest.mark.parametrize("dtypes", [None, {"a": "int64", "b": "int64", "c": "int64"}])
@pytest.mark.parametrize(
    ("second", "match"),
    [
        (
            "b,c,a\n5,9,4\n",
            r"2\.csv has a column 'c' that .*1\.csv has not\. Name those to read with columns=",
        ),
        ("a,c\n1,2\n", r"2\.csv has no column 'b'; its columns are \['a', 'c'\]"),
        ("a,b,a\n1,2,3\n", r"2\.csv has several columns 'a'"),
        ("a;b\n1;2\n", r"2\.csv has no column 'a'.*give delimiter=';'"),
        ("", r"2\.csv is empty"),
    ],
)
def test_csv_files_with_other_columns_are_named_on_opening(tmp_path, dtypes, second, match):
    for name, content in (("1.csv", "a,b\n1,2\n"), ("2.csv", second), ("_log", "no rows")):
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=match):
        CsvStream(tmp_path, dtypes=dtypes)


def test_csv_files_with_columns_in_another_order(tmp_path):
    for name, content in (("1.csv", "a,b\n1,2\n"), ("2.csv", "b,a\n5,4\n")):
        (tmp_path / name).write_text(content)
    assert everything(CsvStream(tmp_path)).to_numpy().tolist() == [[1, 2], [4, 5]]
    # The remedy works.
    (tmp_path / "3.csv").write_text("c,b,a\n9,8,7\n")
    stream = CsvStream(tmp_path, columns=["a", "b"])
    assert everything(stream).to_numpy().tolist() == [[1, 2], [4, 5], [7, 8]]


@pytest.mark.parametrize("damage", ["cut", "plain"])
def test_broken_archives_of_csv_are_named(tmp_path, damage):
    path = tmp_path / "rows.csv.gz"
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 9999)
    path.write_bytes(whole[:-9] if damage == "cut" else b"a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"rows\.csv\.gz is no whole \.gz file"):
        CsvStream(path)


def test_missing_values_and_encodings(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("état,n\nNA,-\né,3\n".encode("latin-1"))
    stream = CsvStream(path, missing_values=["-"], encoding="latin-1")
    assert stream.dtypes == {"état": "string", "n": "int64"}
    assert everything(stream)["état"].tolist() == ["NA", "é"]
    assert everything(stream)["n"].isna().tolist() == [True, False]
    path.write_text('"a,b\n1,2\n')
    assert everything(CsvStream(path, quotechar=None)).columns.tolist() == ['"a', "b"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize("chunk_rows", [7, 1000])
@pytest.mark.parametrize(("whole", "type_"), [(True, "int64"), (False, "double")])
def test_numbers_that_some_other_text_makes_names_of(tmp_path, monkeypatch, ending, chunk_rows, whole, type_):
    """The first is named, and what the message says helps."""
    monkeypatch.setattr("skfm.datasets._tables._BLOCK", 200)
    written = [str(number if whole else number / 8) for number in range(80)]
    tables = [
        pd.DataFrame({"x": written[number::2], "u": list("abcd") * 10, "y": np.arange(40) % 7})
        for number in range(2)
    ]
    tables[1].loc[[30, 33, 35], "x"] = ["notnum", "-", "notnum"]
    tables[1].loc[2, "x"] = None
    paths = [tmp_path / f"{number}.{ending}" for number in (1, 2)]
    for path, table in zip(paths, tables, strict=True):
        table.to_csv(path, index=False)
    with pytest.warns(ReadingWarning, match=r"names.*\[\*stream\.missing_values, .*'string'") as caught:
        stream = CsvStream(paths, "y", chunk_rows=chunk_rows)
    message = str(caught[0].message)
    assert [one.filename for one in caught] == [__file__]
    assert message.startswith(
        f"{paths[1]}, line 32, column 'x': 'notnum' is no number, as 76 of 79 values of the column are"
    )
    # It was said: fit does not say it again.
    assert FMRegressor(**SETTINGS).fit(stream).predict(stream).shape == (80,)
    as_missing = eval(message.partition("missing_values=")[2].partition(". Names")[0], {"stream": stream})
    mended = CsvStream(paths, "y", chunk_rows=chunk_rows, missing_values=as_missing)
    assert mended.dtypes["x"] == type_
    whole_table = pd.concat(tables, ignore_index=True)
    whole_table["x"] = pd.to_numeric(whole_table["x"], errors="coerce").astype("Int64" if whole else float)
    expected = FMRegressor(**SETTINGS).fit(whole_table[["x", "u"]], whole_table["y"])
    assert_array_equal(FMRegressor(**SETTINGS).fit(mended).factors_, expected.factors_)
    named = CsvStream(paths, "y", chunk_rows=chunk_rows, dtypes={"x": "string"})
    FMRegressor(**SETTINGS).fit(named)
    typed = CsvStream(paths, "y", chunk_rows=chunk_rows, dtypes={"x": type_})
    with pytest.raises(ValueError, match=f"line 32, column 'x': 'notnum' is not of type {type_}") as refused:
        FMRegressor(**SETTINGS).fit(typed)
    remedy = str(refused.value).partition("missing_values=")[2].partition(", or give")[0]
    also = [*eval(remedy, {"stream": typed}), "-"]
    FMRegressor(**SETTINGS).fit(CsvStream(paths, "y", dtypes={"x": type_}, missing_values=also))


@pytest.mark.parametrize("beside", ["integers", "floats"])
@pytest.mark.parametrize(
    "others",
    [
        ["12345678901234567890123"],
        ["9007199254740993", "0.5"],
        ["-99999999999999999999", " 123456789012345678901"],
        ["12345678901234567890123", "notnum"],
        ["9" * 400],
        ["9" * 5000],
    ],
    ids=["long", "beyond 2**53", "two", "text", "beyond doubles", "beyond Python's integers"],
)
def test_numbers_that_a_few_long_ones_make_names_of(tmp_path, monkeypatch, beside, others):
    """The first is named, and what the message says helps."""
    monkeypatch.setattr("skfm.datasets._tables._BLOCK", 10_000)
    numbers = [str(number) if beside == "integers" else f"{number}.5" for number in range(3000)]
    path = tmp_path / "rows.csv"
    pd.DataFrame({"x": [*numbers, *others], "y": 0}).to_csv(path, index=False)
    with pytest.warns(ReadingWarning, match="is no number that a double says exactly") as caught:
        stream = CsvStream(path, "y")
    assert stream.dtypes["x"] == "string"
    n_numbers, n_values = 3000 + ("0.5" in others), 3000 + len(others)
    message = str(caught[0].message)
    assert len(caught) == 1
    assert message.startswith(f"{path}, line 3002, column 'x': '{others[0][:79]}")
    assert f"as {n_numbers} of {n_values} values of the column are, and so all are read as names" in message
    assert ("Have it rounded with dtypes={'x': 'double'}, or" in message) == ("notnum" not in others)
    if "notnum" not in others:
        x = everything(CsvStream(path, dtypes={"x": "double"}))["x"]
        assert_array_equal(x, [*map(float, numbers), *map(float, others)])
    # A text of many letters is cut short in a message.
    if len(others[0]) < 80:
        remedy = message.partition("missing_values=")[2].partition(". Names")[0]
        mended = CsvStream(path, missing_values=eval(remedy, {"stream": stream}))
        assert mended.dtypes["x"] == ("int64" if beside == "integers" and "0.5" not in others else "double")
    CsvStream(path, dtypes={"x": "string"})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:The number of unique")
@pytest.mark.parametrize("targets", ["y", ["y", "z"]])
@pytest.mark.parametrize(("n_others", "whole"), [(1, True), (3, False)])
def test_targets_that_some_other_text_makes_labels_of(tmp_path, targets, n_others, whole):
    """The first is named, and what the message says helps: as missing ones they would be refused."""
    path = tmp_path / "rows.csv"
    y = [str(number % 2 if whole else number / 8) for number in range(60)]
    y[7 : 7 + n_others] = ["oops"] * n_others
    table = pd.DataFrame({"x": list("abc") * 20, "y": y, "z": 1})
    table.to_csv(path, index=False)
    stream = CsvStream(path, targets)
    # Several targets of a classifier cannot be text.
    refused = (
        nullcontext() if targets == "y" else pytest.raises(ValueError, match="labels are text or numbers")
    )
    with pytest.warns(ReadingWarning) as caught, refused:
        FMClassifier(**SETTINGS).fit(stream)
    assert [str(one.message) for one in caught if one.category is ReadingWarning] == [
        f"{path}, line 9, column 'y': 'oops' is no number, as {60 - n_others} of 60 values of the column "
        f"are, and so all are read as labels that are text. Mend it, or take the row out of the file. Labels "
        f"that are text they stay, without this warning, with dtypes={{'y': 'string'}}."
    ]
    assert caught[0].filename == __file__
    assert CsvStream(path, targets, dtypes={"y": "string"}).dtypes["y"] == "string"
    # To a regressor it is an error, and no warning besides.
    with pytest.raises(ValueError, match=r"rows\.csv, line 9: y .* holds 'oops' at"):
        FMRegressor(**SETTINGS).fit(CsvStream(path, targets))
    table[table["y"] != "oops"].to_csv(path, index=False)
    assert CsvStream(path, targets).dtypes["y"] == ("int64" if whole else "double")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("role", ["target", "sample_weight"])
def test_remedies_of_targets_and_weights_that_are_not_of_their_type_help(tmp_path, role):
    """As missing ones they would be refused."""
    path = tmp_path / "rows.csv"
    table = pd.DataFrame({"x": list("abc") * 20, "y": np.arange(60) % 2, "v": "1.0"})
    table["v"] = table["v"].where(table.index != 7, "oops")
    table.to_csv(path, index=False)
    options = {"target": "y", "columns": ["x"], "dtypes": {"v": "double"}} | {role: "v"}
    with pytest.raises(ValueError, match="'oops' is not of type double") as refused:
        FMClassifier(**SETTINGS).fit(CsvStream(path, **options))
    as_labels = "; for a classifier, dtypes={'v': 'string'} makes labels of such text" * (role == "target")
    assert str(refused.value) == (
        f"{path}, line 9, column 'v': 'oops' is not of type double. Mend it, or take the row out of the file"
        f"{as_labels}."
    )
    if role == "target":
        labels = CsvStream(path, **options | {"dtypes": {"v": "string"}})
        assert FMClassifier(**SETTINGS).fit(labels).classes_.tolist() == ["1.0", "oops"]
    table["v"] = table["v"].where(table.index % 2 == 0, "2.0")
    table[table["v"] != "oops"].to_csv(path, index=False)
    FMClassifier(**SETTINGS).fit(CsvStream(path, **options))


@pytest.mark.filterwarnings("ignore::skfm.data.readings.ReadingWarning")
@pytest.mark.parametrize("other_columns", [[], ["u"]])
@pytest.mark.parametrize("n_rows", [8, 40])
@pytest.mark.parametrize("encoder", ["auto", FieldEncoder(), FieldEncoder(numeric=["x"])])
@pytest.mark.parametrize(
    ("method", "others"),
    [
        ("predict", ["zz", "n.a."]),
        ("score", ["zz", "n.a."]),
        ("predict", ["12345678901234567890123", "1" * 30]),
    ],
)
def test_text_among_numbers_to_predict_is_named_and_the_remedy_helps(
    tmp_path, other_columns, n_rows, encoder, method, others
):
    """In a chunk after the first, too."""
    if others[0] != "zz" and encoder == "auto" and not other_columns:
        pytest.skip("a matrix of numbers takes numbers that are text")
    table = pd.DataFrame({"x": np.arange(40) / 4, "u": list("abcd") * 10, "y": np.arange(40) % 7})
    paths = tmp_path / "fit.csv", tmp_path / "predict.csv"
    options = {"target": "y", "columns": ["x", *other_columns], "chunk_rows": 5}
    table.to_csv(paths[0], index=False)
    of_fit = CsvStream(paths[0], **options)
    model = FMRegressor(encoder=encoder, **SETTINGS).fit(of_fit)
    table = table.astype({"x": object}).head(n_rows)
    table.loc[n_rows - 2 :, "x"] = others
    table.to_csv(paths[1], index=False)
    stream = CsvStream(paths[1], **options)
    with pytest.raises(ValueError, match="dtypes=stream_of_fit") as refused:
        getattr(model, method)(stream)
    message = str(refused.value)
    assert f"of the stream: {paths[1]}, line {n_rows}, column 'x': {others[0]!r} is no number" in message
    assert message.endswith("with dtypes=stream_of_fit.dtypes.")
    missing = eval(message.partition("missing_values=")[2].partition(". Give")[0], {"stream": stream})
    mended = CsvStream(paths[1], **options, missing_values=missing, dtypes=of_fit.dtypes)
    assert everything(mended)["x"].isna().sum() == 2
    if other_columns or encoder != "auto":
        getattr(model, method)(mended)


def test_names_where_numbers_are_expected_are_told_of_the_encoder(tmp_path):
    pd.DataFrame({"u": list("abcd") * 10, "y": np.arange(40) % 7}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ValueError, match=r"'a' at row 0 .*encoder=skfm.FieldEncoder"):
        FMRegressor(encoder=None, **SETTINGS).fit(CsvStream(tmp_path, "y"))


def test_a_header_among_the_rows_of_a_file(tmp_path):
    rows = pd.DataFrame({"x": np.arange(40) / 4, "u": list("abcd") * 10, "y": np.arange(40) % 2})
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    rows.to_csv(paths[0], index=False, header=False)
    rows.to_csv(paths[1], index=False)
    with pytest.raises(
        ValueError, match=r"2\.csv, line 1: \['x', 'u', 'y'\] are the names= .* leave names= out"
    ):
        CsvStream(paths, "y", names=["x", "u", "y"])
    CsvStream(paths[1], "y")
    # Under names of one's own what tells a header is that it holds no numbers.
    with pytest.warns(
        ReadingWarning, match=r"2\.csv, line 1, column .* If this line is a header, take it out"
    ) as caught:
        FMClassifier(**SETTINGS).fit(CsvStream(paths, "label", names=["size", "user", "label"]))
    assert len(caught) == 2
    rows.to_csv(paths[1], index=False, header=False)
    assert CsvStream(paths, "label", names=["size", "user", "label"]).dtypes["label"] == "int64"


def test_numbers_among_booleans_are_no_text(tmp_path):
    pd.DataFrame({"x": ["0", "1"] * 30 + ["true"]}).to_csv(tmp_path / "rows.csv", index=False)
    assert CsvStream(tmp_path).dtypes == {"x": "bool"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("user_id", [*map(str, range(50)), "anonymous"]),
        ("x", [*map(str, range(19)), "notnum"]),
        ("x", [*map(str, range(40)), *(f"a{number}" for number in range(5))]),
        ("x", [*map(str, range(2**62, 2**62 + 40)), "0.5"]),
        ("x", [*map(str, range(2**70, 2**70 + 40)), "notnum"]),
        ("x", ["0", "1"] * 20),
        ("x", ["0", "true"] * 20),
    ],
)
def test_names_that_are_no_numbers_are_not_pointed_out(tmp_path, name, values):
    pd.DataFrame({name: values, "y": "notnum"}).to_csv(tmp_path / "rows.csv", index=False)
    CsvStream(tmp_path, "y")


def test_a_few_of_many_values_that_are_no_numbers_are_shown(tmp_path):
    values = [*map(str, range(90)), *(f"a{number}" for number in range(9))]
    pd.DataFrame({"x": values}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.warns(ReadingWarning, match=r"missing_values, 'a0', 'a1', 'a2', 'a3', 'a4', \.\.\.\]"):
        CsvStream(tmp_path)


WRITTEN = {
    "decimals": [f"{number}.5" for number in range(30)],
    "dates": [f"2024-01-{number + 1:02d}" for number in range(30)],
    "times": [f"2024-01-01 10:00:{number:02d}.25" for number in range(30)],
    "zones": [f"2024-01-01T10:00:{number:02d}Z" for number in range(30)],
    "dollars": [f"${number}.50" for number in range(30)],
}


@pytest.mark.parametrize("what", WRITTEN)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_numbers_and_dates_of_files_that_are_text(tmp_path, kind, what):
    """The remedy is one for files, and helps."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    path = tmp_path / f"rows.{kind}"
    values = WRITTEN[what] + ["b"] * 30 * (kind == "csv" and what == "decimals")
    table = pd.DataFrame({"when": values, "y": np.arange(len(values)) % 7})
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    stream = (CsvStream if kind == "csv" else ParquetStream)(path, "y", chunk_rows=30)
    with pytest.warns(ReadingWarning, match=r"written as text .* Names they stay, .*FieldEncoder") as caught:
        FMRegressor(**SETTINGS).fit(stream)
    remedy = str(caught[0].message).partition("read as names. ")[2].partition(" Names they")[0]
    FMRegressor(encoder=FieldEncoder(categorical=["when"]), **SETTINGS).fit(stream)
    if what == "dollars":
        assert remedy == "Write the files anew, with plain numbers."
        return
    if kind == "csv":
        types = eval(remedy.partition("dtypes=")[2].rstrip("."))
        mended = CsvStream(path, "y", dtypes=types, missing_values=["b"])
        FMRegressor(**SETTINGS).fit(CsvStream(path, "y", dtypes={"when": "string"}, chunk_rows=30))
    else:
        type_ = remedy.partition("of type ")[2].rstrip(".")
        type_ = pa.timestamp("ns", "UTC") if "UTC" in type_ else pa.type_for_alias(type_)
        schema = pa.schema([("when", type_), ("y", pa.int64())])
        mended = ParquetStream(ds.dataset(path, schema=schema), "y")
    model = FMRegressor(encoder=FieldEncoder(), **SETTINGS).fit(mended)
    assert model.encoder_.describe()["reading"][0] == ("number" if what == "decimals" else "date")


def test_text_among_numbers_of_files_with_types(tmp_path):
    table = pd.DataFrame({"x": [*map(str, range(40)), "oops"], "y": np.arange(41) % 7})
    table.to_parquet(tmp_path / "rows.parquet")
    with pytest.warns(
        ReadingWarning, match="'oops' at row 40, .*as names. Write the files anew, with missing"
    ):
        FMRegressor(**SETTINGS).fit(ParquetStream(tmp_path, "y"))
    table["x"] = table["x"].where(table["x"] != "oops")
    table.assign(x=pd.to_numeric(table["x"])).to_parquet(tmp_path / "rows.parquet")
    FMRegressor(encoder=FieldEncoder(), **SETTINGS).fit(ParquetStream(tmp_path, "y"))


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


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_target_that_does_not_suit_names_file_and_line(tmp_path, monkeypatch, in_memory):
    """Lines without a row, blocks of a file and files before it are not what is counted."""
    monkeypatch.setattr("skfm.fitting.streams._IN_MEMORY", 1 << 23 if in_memory else 0)
    monkeypatch.setattr("skfm.datasets._sparse_text.read_blocks.__defaults__", (16,))
    good = "# a comment\n" + "".join(f"{row % 2} {row % 3}:1\n\n" for row in range(7))
    (tmp_path / "a.svm").write_text(good)
    stream = SparseTextStream([tmp_path / "a.svm", tmp_path / "b.svm"], n_features=3, chunk_rows=3)
    for model, value, match in (
        (FMClassifier(), 0.5, "Unknown label type: y holds 0.5"),
        (FMRegressor(loss="poisson"), -1, "loss='poisson' needs targets y >= 0, got -1.0"),
    ):
        (tmp_path / "b.svm").write_text(good.replace("0 1:1", f"{value} 1:1"))
        with pytest.raises(ValueError, match=rf"^Chunk 4 of the stream, .*b\.svm, line 10: {match}"):
            model.set_params(**SETTINGS).fit(stream)


def test_a_file_without_rows(tmp_path):
    path = tmp_path / "empty.svm"
    path.write_text("")
    with pytest.raises(ValueError, match=r"no rows in .*empty\.svm"):
        FMClassifier(**SETTINGS).fit(SparseTextStream(path, n_features=2))
    table = pd.DataFrame({"x": ["a"], "y": [1]})[:0]
    table.to_csv(tmp_path / "empty.csv", index=False)
    table.to_parquet(tmp_path / "empty.parquet")
    for stream in (CsvStream, ParquetStream):
        name = f"empty.{stream.__name__[:-6].lower()}"
        with pytest.raises(ValueError, match=f"no rows in .*{name}"):
            FMClassifier(**SETTINGS).fit(stream(tmp_path / name, "y"))
    path.write_text("1 0:1\n")
    assert load_sparse_text(path).data.shape == (1, 1)
