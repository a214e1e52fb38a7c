"""Columns, targets and weights of many kinds, and the containers that can hold them.

Values are drawn by NumPy from a seed: Hypothesis chooses kinds and the seed, which is a hundred times faster
than choosing every number.
"""

import datetime

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse

# -- columns of a matrix -------------------------------------------------------------------------------

NUMBERS = {
    "ones": lambda rng, n: rng.integers(2, size=n),
    "quarters": lambda rng, n: rng.integers(-8, 9, size=n) / 4 * (rng.random(n) < 0.5),
    "counts": lambda rng, n: rng.poisson(3, size=n),
    "constant": lambda rng, n: np.full(n, 3.0),
    "zero": lambda rng, n: np.zeros(n),
    "one row": lambda rng, n: (np.arange(n) == rng.integers(n)) * 2.0,
    "years": lambda rng, n: 2000 + rng.integers(-30, 30, size=n),
    "small": lambda rng, n: rng.integers(-8, 9, size=n) / 2.0**20,
    "large": lambda rng, n: rng.integers(-8, 9, size=n) * 2.0**20,
    "normal": lambda rng, n: rng.normal(size=n),
    "Kelvin": lambda rng, n: 300 + rng.normal(size=n),
    "beyond float32": lambda rng, n: rng.choice([1e-310, 1e-60, 1e60, 1e300]) * rng.normal(size=n),
}
COMMON = tuple(NUMBERS)[:-1]


def matrix(kinds, n_rows, seed):
    """Dense float64 matrix with a column of each kind."""
    rng = np.random.default_rng(seed)
    columns = [NUMBERS[kind](rng, n_rows) for kind in kinds]
    return np.column_stack(columns).astype(np.float64)


def _csr(kind, index):
    def make(X):
        out = kind(X)
        out.indices, out.indptr = out.indices.astype(index), out.indptr.astype(index)
        return out

    return make


def _explicit_zeros(X):
    rows, columns = np.indices(X.shape)
    return sparse.coo_array((X.ravel(), (rows.ravel(), columns.ravel())), X.shape).tocsr()


def _duplicates(X):
    """Each entry as two halves."""
    half = sparse.coo_array(X / 2)
    data, row, column = (np.concatenate([part, part]) for part in (half.data, *half.coords))
    return sparse.coo_array((data, (row, column)), X.shape)


def _unsorted(X):
    out = sparse.csr_array(X)
    for start, end in zip(out.indptr[:-1], out.indptr[1:], strict=True):
        out.indices[start:end] = out.indices[start:end][::-1].copy()
        out.data[start:end] = out.data[start:end][::-1].copy()
    return sparse.csr_array((out.data, out.indices, out.indptr), X.shape)


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def names(n):
    return [f"c{column}" for column in range(n)]


MATRICES = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "read-only": _read_only,
    "object": lambda X: X.astype(object),
    "big-endian": lambda X: X.astype(">f8"),
    "list": lambda X: X.tolist(),
    "csr_matrix": sparse.csr_matrix,
    "csr_array int64": _csr(sparse.csr_array, np.int64),
    "csr_matrix int64": _csr(sparse.csr_matrix, np.int64),
    "csc_matrix": sparse.csc_matrix,
    "csc_array": sparse.csc_array,
    "coo_array": sparse.coo_array,
    "lil_matrix": sparse.lil_matrix,
    "dok_array": sparse.dok_array,
    "bsr_matrix": sparse.bsr_matrix,
    "dia_array": sparse.dia_array,
    "explicit zeros": _explicit_zeros,
    "duplicates": _duplicates,
    "unsorted": _unsorted,
    "pandas numbers": lambda X: pd.DataFrame(X, columns=names(X.shape[1])),
    "pandas nullable": lambda X: pd.DataFrame(X, columns=names(X.shape[1])).astype("Float64"),
    "pandas sparse": lambda X: pd.DataFrame.sparse.from_spmatrix(
        sparse.csc_matrix(X), columns=names(X.shape[1])
    ),
    "pandas index": lambda X: pd.DataFrame(X, index=np.arange(len(X))[::-1] // 2),
    "polars numbers": lambda X: pl.DataFrame(X, schema=names(X.shape[1])),
}


def _lossy(dtype, hold=np.asarray):
    return lambda X: hold(np.clip(X, 0 if dtype == np.uint8 else -100, 100).astype(dtype))


# These change the numbers.
LOSSY = {
    "float32": _lossy(np.float32),
    "float16": _lossy(np.float16),
    "int64": _lossy(np.int64),
    "uint8": _lossy(np.uint8),
    "bool": _lossy(bool),
    "csr float32": _lossy(np.float32, sparse.csr_array),
    "csr int32": _lossy(np.int32, sparse.csr_array),
    "csr bool": _lossy(bool, sparse.csr_array),
}

# -- columns of a table --------------------------------------------------------------------------------

_NAMES = np.array(["red", "blue", "Ä=ü", "", " ", "nan", "0", "a:b", "x" * 300])
_MIDNIGHT = datetime.datetime(2024, 2, 28)


def _days(rng, n):
    return [_MIDNIGHT + datetime.timedelta(hours=int(h)) for h in rng.integers(-9000, 9000, size=n)]


VALUES = {
    "text": lambda rng, n: rng.choice(_NAMES[:3], size=n).tolist(),
    "odd text": lambda rng, n: rng.choice(_NAMES, size=n).tolist(),
    "all different": lambda rng, n: [f"id{i}" for i in rng.permutation(n)],
    "whole": lambda rng, n: rng.integers(-3, 4, size=n).tolist(),
    "large whole": lambda rng, n: rng.integers(-(2**62), 2**62, size=n).tolist(),
    "floats": lambda rng, n: rng.normal(size=n).tolist(),
    "infinite": lambda rng, n: rng.choice([-np.inf, -1e300, 0.0, 1.5, np.inf], size=n).tolist(),
    "truth": lambda rng, n: (rng.random(n) < 0.5).tolist(),
    "date": _days,
    "duration": lambda rng, n: [day - _MIDNIGHT for day in _days(rng, n)],
    "lists": lambda rng, n: [rng.choice(_NAMES[:3], size=k).tolist() for k in rng.integers(4, size=n)],
    "one value": lambda rng, n: ["same"] * n,
}


def table(kinds, n_rows, seed):
    """Values by name; a kind that ends in "?" has missing ones, which are None."""
    rng = np.random.default_rng(seed)
    columns = {}
    for number, kind in enumerate(kinds):
        values = VALUES[kind.rstrip("?")](rng, n_rows)
        missing = rng.random(n_rows) < 0.3 * kind.endswith("?")
        columns[f"{number} {kind}"] = [
            None if gone else value for value, gone in zip(values, missing, strict=True)
        ]
    return columns


def _kind(name):
    return name.split(" ", 1)[1].rstrip("?")


def _pandas(columns):
    types = {"whole": "Int64", "large whole": "Int64", "truth": "boolean"}
    return pd.DataFrame(
        {name: pd.Series(values, dtype=types.get(_kind(name))) for name, values in columns.items()}
    )


def _with_categories(columns, frame, convert):
    for name in columns:
        if _kind(name) in ("text", "odd text", "one value"):
            frame = convert(frame, name)
    return frame


def _pandas_arrow(columns):
    # Older versions of pandas try whether infinite values are whole numbers.
    with np.errstate(invalid="ignore"):
        return _pandas(columns).convert_dtypes(dtype_backend="pyarrow")


def _polars(columns):
    types = {
        "lists": pl.List(pl.String),
        "date": pl.Datetime("us"),
        "duration": pl.Duration("us"),
        "whole": pl.Int64,
        "large whole": pl.Int64,
        "truth": pl.Boolean,
        "floats": pl.Float64,
        "infinite": pl.Float64,
    }
    return pl.DataFrame(columns, schema={name: types.get(_kind(name), pl.String) for name in columns})


TABLES = {
    "pandas": _pandas,
    "pandas categorical": lambda columns: _with_categories(
        columns, _pandas(columns), lambda frame, name: frame.astype({name: "category"})
    ),
    "pandas arrow": _pandas_arrow,
    "pandas object": lambda columns: _pandas(columns).astype(
        {name: object for name in columns if _kind(name) not in ("date", "duration")}
    ),
    "polars": _polars,
    "polars categorical": lambda columns: _with_categories(
        columns, _polars(columns), lambda frame, name: frame.cast({name: pl.Categorical})
    ),
    "pyarrow": lambda columns: _polars(columns).to_arrow(),
}


def rows_of(frame, rows):
    """Rows of one of these, by numbers or a slice."""
    if isinstance(frame, pd.DataFrame):
        return frame.iloc[rows]
    if isinstance(frame, pl.DataFrame):
        return frame[rows]
    return frame.take(np.arange(frame.num_rows)[rows])


# -- targets and weights -------------------------------------------------------------------------------


def _clicks(rng, n):
    click = rng.random(n) < 0.6
    return np.column_stack([click, click & (rng.random(n) < 0.5)]).astype(int)


LABELS = {
    "two": lambda rng, n: rng.integers(2, size=n),
    "truth": lambda rng, n: rng.random(n) < 0.5,
    "text": lambda rng, n: rng.choice(["no", "yes"], size=n),
    "objects": lambda rng, n: rng.choice(np.array(["no", "yes", "Ä"], dtype=object), size=n),
    "three": lambda rng, n: rng.choice([-7, 2, 10**12], size=n),
    "floats": lambda rng, n: rng.choice([-1.0, 1.0], size=n),
    "one positive": lambda rng, n: (np.arange(n) == rng.integers(n)).astype(np.int8),
    "one class": lambda rng, n: np.ones(n, dtype=int),
    "all different": lambda rng, n: np.arange(n),
    "clicks": _clicks,
    "multilabel": lambda rng, n: rng.integers(2, size=(n, 3)),
    "list": lambda rng, n: rng.integers(2, size=n).tolist(),
    "pandas": lambda rng, n: pd.Series(rng.choice(["no", "yes"], size=n), dtype="category"),
    "polars": lambda rng, n: pl.Series(rng.choice(["no", "yes"], size=n).tolist()),
}
TARGETS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "counts": lambda rng, n: rng.poisson(2, size=n),
    "ratings": lambda rng, n: rng.integers(1, 6, size=n).astype(np.uint8),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "offset": lambda rng, n: 1e6 + rng.normal(size=n),
    "tiny": lambda rng, n: 1e-30 * rng.random(n),
    "huge": lambda rng, n: 1e30 * rng.normal(size=n),
    "extreme": lambda rng, n: rng.choice([1e-310, 1e-200, 1e200, 1e307]) * rng.random(n),
    "constant": lambda rng, n: np.full(n, 3),
    "zeros": lambda rng, n: np.zeros(n),
    "outlier": lambda rng, n: rng.random(n) + 1e9 * (np.arange(n) == 0),
    "two columns": lambda rng, n: rng.random((n, 2)) * [1, 1000],
    "one column": lambda rng, n: rng.random((n, 1)),
    "truth": lambda rng, n: rng.random(n) < 0.5,
    "pandas": lambda rng, n: pd.Series(rng.integers(5, size=n), dtype="Int64"),
    "polars": lambda rng, n: pl.Series(rng.random(n).tolist()),
}
WEIGHTS = {
    "none": lambda rng, n: None,
    "ones": lambda rng, n: np.ones(n),
    "whole": lambda rng, n: rng.integers(1, 4, size=n),
    "some zero": lambda rng, n: rng.integers(3, size=n) + (np.arange(n) % 2),
    "sum to one": lambda rng, n: np.full(n, 1 / n),
    "uneven": lambda rng, n: np.exp(3 * rng.normal(size=n)),
    "tiny": lambda rng, n: 1e-30 * rng.random(n),
    "huge": lambda rng, n: 1e30 * rng.random(n),
    "extreme": lambda rng, n: np.full(n, rng.choice([1e-310, 1e-200, 1e200, 1e308])),
    "list": lambda rng, n: [1.0] * n,
    "pandas": lambda rng, n: pd.Series(rng.random(n), index=np.arange(n)[::-1]),
}
