"""X and y as scikit-learn checks them, then canonical CSR, with errors that name the place."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import normalize
from sklearn.utils import check_X_y
from sklearn.utils.validation import _num_samples, validate_data

from skfm.data.encode import FieldEncoder
from skfm.data.frames import (
    columns_of,
    family_of,
    has_whole_numbers,
    is_frame,
    is_missing,
    is_of_numbers,
    is_text,
    objects_of,
    rows_of,
    sparse_of,
    take_rows,
    values_of,
    whole_numbers_of,
)
from skfm.data.readings import warn, why_identifier
from skfm.data.validate import (
    as_objects_if_text,
    canonical_csr,
    check_finite,
    checked_structure,
    place_of,
    refuse_masked,
    renumbering,
    shown,
)
from skfm.data.whole_numbers import holds_large, merged
from skfm.fitting.targets import Targets

_CHECKS: dict[str, Any] = {
    "accept_sparse": "csr",
    "dtype": [np.float64, np.float32],
    "ensure_all_finite": False,
}


class Rows(NamedTuple):
    """Checked rows as they were given.

    Attributes
    ----------
    X : a table to encode, or canonical CSR
    y : targets
    weight : (n,) sample weights
    task_weights : (n, n_tasks) relative to `weight`, or None
    numbers : (n,) which rows of those that were given these are; None if all
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray
    task_weights: np.ndarray | None = None
    numbers: np.ndarray | None = None

    def take(self, rows) -> Rows:
        """Some of the rows, by a mask."""
        X, y, weight, task_weights, numbers = self
        return Rows(
            X=take_rows(X, rows),
            y=y[rows],
            weight=weight[rows],
            task_weights=None if task_weights is None else task_weights[rows],
            numbers=np.flatnonzero(rows) if numbers is None else numbers[rows],
        )

    def with_weight(self) -> Rows:
        """Those with a weight: a row of weight 0 is no row, whatever it holds."""
        keep = self.weight > 0
        return self if keep.all() else self.take(keep)

    def of_errors(self):
        """Let errors that name a row have its number among those that were given."""
        return renumbering(self.numbers)


def read_rows(X, y, sample_weight, reader: Reader, targets: Targets) -> Rows:
    """Checked rows that have a weight."""
    X = rows_of(X)
    y = checked_targets(y, _num_samples(X), reader.name)
    rows = Rows(X, y, *targets.weights(sample_weight, y))
    rows = rows.with_weight()
    with rows.of_errors():
        return rows._replace(X=reader.read(rows.X, rows.weight))


def joined(parts: list[Rows]) -> Rows:
    """Rows one after another, without X."""
    of_tasks = [part.task_weights for part in parts if part.task_weights is not None]
    return Rows(
        X=None,
        y=np.concatenate([part.y for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        task_weights=np.concatenate(of_tasks) if of_tasks else None,
    )


class InputColumns(NamedTuple):
    """The columns that X has, as scikit-learn records them.

    Attributes
    ----------
    n : how many
    names : those of a frame, where all are text; else None
    """

    n: int
    names: np.ndarray | None = None


class _Checked(BaseEstimator):
    """What scikit-learn's checks read and write in place of an estimator.

    So a fit that fails leaves the estimator as it was, and nothing here needs to see one.
    """

    def __init__(self, tags=None):
        self.tags = tags

    def __sklearn_tags__(self):
        return self.tags


@lru_cache(maxsize=64)
def _checked_class(name: str) -> type:
    # The messages of scikit-learn's checks name the class.
    return type(name, (_Checked,), {})


class Reader:
    """Checks X, and that later rows have the columns of the first.

    Parameters
    ----------
    name, tags : those of the estimator that asks
    columns : those known already, or None to learn them
    encodes : whether X is a table to encode, or, where columns are to be learned, the parameter `encoder`
    """

    def __init__(self, name: str, tags, columns: InputColumns | None = None, encodes: Any = None):
        self.name = name
        self._checked = _checked_class(name)(tags)
        self._encodes = encodes
        self._knows = columns is not None
        if columns is not None:
            self._checked.n_features_in_ = columns.n
            if columns.names is not None:
                self._checked.feature_names_in_ = columns.names

    @property
    def columns(self) -> InputColumns:
        """The columns of the rows read."""
        return InputColumns(self._checked.n_features_in_, getattr(self._checked, "feature_names_in_", None))

    def read(self, X, weight: np.ndarray | None = None):
        """A table as it is, or canonical CSR.

        Parameters
        ----------
        weight : of rows to learn from; None for rows to predict
        """
        X = rows_of(X)
        first = not self._knows
        if first:
            self._encodes = is_table(self._encodes, X, weight)
        if self._encodes:
            X = self._table(X, reset=first)
        else:
            _refuse_not_a_time(X)
            if weight is not None:
                _refuse_merged(X)
            with _sums_may_overflow(), _naming_text_columns(X):
                X = validate_data(self._checked, sparse_of(X), reset=first, **_CHECKS)
            X = self._matrix(X)
        self._knows = True
        return X

    def _table(self, X, *, reset):
        """A checked frame, or array."""
        check_table(X)
        if not is_frame(X):
            return validate_data(self._checked, X, dtype=None, ensure_all_finite=False, reset=reset)
        validate_data(self._checked, X, skip_check_array=True, reset=reset)
        return X

    def _matrix(self, X) -> sparse.csr_array:
        check_finite(X, getattr(self._checked, "feature_names_in_", None))
        return canonical_csr(X)


def is_table(encoder, X, weight=None) -> bool:
    """Whether X has to be encoded, by the parameter `encoder`.

    Warns
    -----
    ReadingWarning
        If columns of numbers alone are identifiers: a frame with such is encoded, an array is not.
    """
    if encoder is None or sparse.issparse(X):
        return False
    if isinstance(encoder, FieldEncoder):
        return True
    if not (is_of_numbers(X) if is_frame(X) else not is_text(X)):
        return True
    identifiers = _identifiers(X, weight)
    if not identifiers:
        return False
    names = list(identifiers)
    shown = f"{', '.join(map(repr, names[:5]))}{f' and {len(names) - 5} others' if len(names) > 5 else ''}"
    one = f"Column {shown} of X holds" if len(names) == 1 else f"Columns {shown} of X hold"
    why = f"{one} whole numbers that are identifiers ({names[0]!r}: {identifiers[names[0]]})"
    if is_frame(X):
        warn(
            f"{why}, so X is encoded as a table in which they are names. To confirm it, give "
            f"encoder=FieldEncoder(categorical={names[:5]!r}); encoder=None takes all columns as quantities, "
            f"FieldEncoder(numeric=[...]) some."
        )
        return True
    positions = [int(name[1:]) for name in names[:5]]
    warn(
        f"{why}, but an array of numbers is taken as quantities. Give "
        f"encoder=FieldEncoder(categorical={positions!r}) to have them as names, or encoder=None to "
        f"confirm it."
    )
    return False


def _identifiers(X, weight) -> dict[Any, str]:
    """Columns of a frame or array of numbers that are identifiers, and why."""
    if not has_whole_numbers(X):
        return {}
    weight = np.ones(X.shape[0]) if weight is None else weight
    reasons = {column.name: why_identifier(column, weight) for column in columns_of(X)}
    return {name: why for name, why in reasons.items() if why is not None}


def check_table(X) -> None:
    """Raise ValueError if X is nothing that fit's encoder takes."""
    if sparse.issparse(X):
        raise ValueError(
            f"X must be a DataFrame, or an array with encoder=FieldEncoder(), where fit encodes; "
            f"got {type(X).__name__}."
        )


class Encoding(NamedTuple):
    """How checked X becomes rows in the columns that are learned from.

    Attributes
    ----------
    encoder : what encodes a table, or None for a matrix
    normalizes_rows : whether rows are scaled to length 1
    """

    encoder: FieldEncoder | None
    normalizes_rows: bool = False

    def __call__(self, X) -> sparse.csr_array:
        """Canonical CSR, of a table or of canonical CSR."""
        if self.encoder is not None:
            X = canonical_csr(self.encoder.encode_checked(X))
        return _of_length_1(X) if self.normalizes_rows else X

    @property
    def table_rows(self) -> np.ndarray | None:
        """Row of the tables that each column uses, where columns share them."""
        return None if self.encoder is None else self.encoder.table_rows_


def _sums_may_overflow():
    """Around checks of scikit-learn, which looks for NaN in the sum of all values."""
    return np.errstate(over="ignore", invalid="ignore")


def _of_length_1(X: sparse.csr_array) -> sparse.csr_array:
    """Rows of length 1, but those of zeros."""
    # Squares of values near the ends of the float range overflow, or are 0.
    return canonical_csr(normalize(normalize(X, norm="max"), copy=False))


@contextmanager
def _naming_text_columns(X):
    """Say which column holds text, and what to do about it."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        words = "convert", "NAType", "NaTType", "argument must be", "setting an array element"
        is_of_value = any(word in str(error) for word in words)
        if not is_of_value or sparse.issparse(X):
            raise
        for name, values in _columns(X):
            missing = next((row for row, value in enumerate(values) if _is_no_nan(value)), None)
            if missing is not None:
                raise ValueError(
                    f"Column {name!r} of X has a missing value, {values[missing]!r}, at row {missing}. "
                    f"Impute it first, or fit with encoder=skfm.FieldEncoder(), which takes missing values."
                ) from error
            row = next((row for row, value in enumerate(values) if not _is_number(value)), None)
            if row is not None:
                kind = type(values[row]).__name__
                if isinstance(error, OverflowError):
                    raise ValueError(
                        f"Column {name!r} of X holds {shown(values[row])} at row {row}, beyond the range of "
                        f"floats. Scale the column, or make text of its values where they are names."
                    ) from error
                what = "text" if isinstance(values[row], str | bytes) else f"values of type {kind}"
                # scikit-learn's checks ask for this type where it is NumPy's.
                raised = TypeError if isinstance(error, TypeError) else ValueError
                raise raised(
                    f"Column {name!r} of X holds {what}, not numbers: {shown(values[row])} at row {row} "
                    f"({error}). {_remedy(name, values)}"
                ) from error
        raise


def _remedy(name, values: list) -> str:
    """What to do about a column with values that are no numbers."""
    try:
        families = {family_of(name, value) for value in values if not is_missing(value)}
    except TypeError:
        families = set()
    if len(families) == 1:
        return (
            "Fit with encoder=skfm.FieldEncoder(), or encode the column first, text with "
            "sklearn.preprocessing.OneHotEncoder for instance."
        )
    return (
        "Make numbers of such values, or drop their rows; or make numpy.nan of them, and fit with "
        "encoder=skfm.FieldEncoder(), which takes missing values."
    )


def _refuse_not_a_time(X) -> None:
    """Raise ValueError if a date or duration of an array is missing: the number of NaT is none."""
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "mM" and np.isnat(X).any():
        row, column = (int(first) for first in np.argwhere(np.isnat(X))[0])
        raise ValueError(
            f"Input X contains NaT at row {row}, column {column}. Impute it first, or fit with "
            f"encoder=skfm.FieldEncoder(), which takes missing values."
        )


def _refuse_merged(X) -> None:
    """Raise ValueError if two whole numbers of a column are different, and the same as floats."""
    for name, values in whole_numbers_of(X) if is_frame(X) else ((None, X),):
        found = merged(values)
        if found is not None:
            name = found.column if name is None else name
            encoder = (
                ""
                if sparse.issparse(X)
                else ", or fit with encoder=skfm.FieldEncoder(), which tells such numbers apart"
            )
            raise ValueError(
                f"Column {name!r} of X holds {found}. Subtract a number near them from the column{encoder}."
            )


def _columns(X):
    """Names and values of the columns of a frame, or of rows."""
    if is_frame(X):
        return values_of(X)
    rows = np.asarray(X, dtype=object)
    return list(enumerate(rows.T.tolist())) if rows.ndim == 2 else []


def _is_number(value) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _is_no_nan(value) -> bool:
    """Whether a value is missing and not NaN, which floats have no other word for."""
    return is_missing(value) and not _is_number(value)


def targets_of(y):
    """y as it is, but dense, and whole numbers as such.

    Raises
    ------
    ValueError
        If y is no vector, and no rows of as many values each, or a value is missing and not NaN.
    """
    if sparse.issparse(y):
        return checked_structure(y, "y").toarray()
    refuse_masked(y, "y", "Drop that row.")
    y = as_objects_if_text(y)
    try:
        values = np.asarray(y)
    except ValueError:  # rows of several lengths
        values = objects_of(y)
    if isinstance(y, list | tuple):
        values = _as_given(values, y)
    if y is not None and values.ndim == 0:
        raise ValueError(
            f"y is {shown(y)}, of type {type(y).__name__}: give a list or an array with one target for each "
            f"row of X."
        )
    if values.dtype.names:
        raise ValueError("y is an array of records. Give one of its fields, or a DataFrame of them.")
    if values.dtype.kind == "c":
        raise ValueError(
            "Complex data not supported: y holds complex numbers. Give np.real(y), for instance."
        )
    if values.ndim and values.dtype.kind == "O":
        _refuse_lists(values)
    _refuse_missing(values, y)
    # scikit-learn makes floats of the whole numbers of pandas's own types.
    keeps = values.dtype.kind in "iu" or (values.dtype.kind == "O" and isinstance(y, list | tuple))
    return values if keeps else y


def checked_targets(y, n_rows: int, asked_by: str | None = None):
    """The same, one for each row, and without NaN; an error of no y says by whom it is `asked_by`."""
    y = targets_of(y)
    with _sums_may_overflow(), _naming_place_in_y(y):
        return check_X_y(np.zeros((n_rows, 1)), y, multi_output=True, estimator=asked_by)[1]


def _as_given(values: np.ndarray, y) -> np.ndarray:
    """An array of a list; of objects where NumPy made text of other values, or floats of large numbers."""
    if values.dtype.kind not in "fUS":
        return values
    objects = objects_of(y)
    is_other = (
        holds_large(objects)
        if values.dtype.kind == "f"
        else not all(isinstance(value, str | bytes) for value in objects.ravel().tolist())
    )
    return objects if is_other else values


def _refuse_lists(values: np.ndarray) -> None:
    """Raise ValueError if a target is a list, a set or a dict."""
    kinds = list, tuple, set, frozenset, dict, np.ndarray
    targets = values.ravel().tolist()
    position = next((position for position, value in enumerate(targets) if isinstance(value, kinds)), None)
    if position is not None:
        target = targets[position]
        raise ValueError(
            f"y holds {shown(target)} at {place_of(values, position)}, of type {type(target).__name__}. "
            f"Give one target for each row, or as many in each; of several labels of a row make 0 and 1 of "
            f"each label, with sklearn.preprocessing.MultiLabelBinarizer."
        )


def _refuse_missing(values: np.ndarray, y) -> None:
    """Raise ValueError if a value of y is missing and not NaN: scikit-learn does not name it."""
    if values.ndim and values.dtype.kind in "OmM" and _may_be_missing(values):
        entries = enumerate(values.ravel().tolist())
        position = next((position for position, value in entries if _is_no_nan(value)), None)
        if position is not None:
            missing, place = values.ravel()[position], place_of(values, position, _names(y))
            raise ValueError(f"y has a missing value, {missing!r}, at {place}. Drop that row.")


def _names(y) -> list | None:
    """Names of the columns of y, where it is a frame."""
    return [name for name, _ in values_of(y)] if is_frame(y) else None


def _may_be_missing(values: np.ndarray) -> bool:
    """Whether any value is missing, or cannot be compared; a tenth of the time of asking each in Python."""
    try:
        return bool(np.any(values == None) or np.any(values != values))  # noqa: E711
    except (TypeError, ValueError):
        return True


@contextmanager
def _naming_place_in_y(y):
    """Say where y is NaN or infinite."""
    try:
        yield
    except ValueError as error:
        # Of a NaN among text scikit-learn does not say where it is.
        if not str(error).startswith(("Input y contains", "Input contains NaN")):
            raise
        values = np.asarray(y)
        try:
            bad = ~np.isfinite(values.astype(np.float64))
        except (TypeError, ValueError):
            bad = np.reshape([is_missing(value) for value in values.ravel().tolist()], values.shape)
        where = f" at {place_of(bad, int(bad.argmax()), _names(y))}" if bad.any() else ""
        what = str(error).rstrip(".").replace("Input contains", "Input y contains")
        raise ValueError(f"{what}{where}. Drop that row.") from error
