"""Tables of text, categories, numbers, dates and lists as sparse matrices of fields."""

from __future__ import annotations

import copy
import html
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from operator import methodcaller
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _num_samples, check_array, check_is_fitted, validate_data

from skfm.data.choice import crossed, make_encoders
from skfm.data.columns import RARE, MultiHot
from skfm.data.frames import Column, columns_of, is_frame, rows_of, take_rows
from skfm.data.parameters import changes
from skfm.data.readings import Mixed, Written, warn
from skfm.data.state import plain, restored
from skfm.data.table import Recoding, TableEncoder, merge_counts
from skfm.data.validate import check_sample_weight, renumbered, renumbering
from skfm.runtime import check_fits

# Number of the form of `FieldEncoder.get_state`.
_FORMAT = 2
# Parameters that are numbers, and one each.
_NUMBERS = {
    "max_length": "50",
    "hash": "2**18",
    "cross_slots": "2**16",
    "min_frequency": "3",
    "max_categories": "1000",
    "bins": "32",
}
# Parameters that say nothing of what is learned.
_FREE = {"sparse_output", "dtype"}
_POSITIVE_INTEGER = Interval(Integral, 1, None, closed="left")


class Learning(NamedTuple):
    """How an encoder learns from rows.

    Attributes
    ----------
    first : anew
    go_on : rare values are counted, and numbers looked at again, in later calls
    in_parts : the rows are a part, by a call of partial_fit; what is rare must not depend on the first
    checked_before : an estimator has compared the columns with those of the first rows
    remedy_of : what helps where numbers or dates are text, or text is among them; None if that is meant
    """

    first: bool
    go_on: bool
    in_parts: bool = False
    checked_before: bool = False
    remedy_of: Callable[[Written | Mixed], str | None] = methodcaller("remedy")


class ShowsReadings:
    """Adds the readings of an encoder to what notebooks show, where there are any."""

    def readings_as_html(self) -> str:
        """The readings as HTML, or nothing."""
        raise NotImplementedError

    def _repr_html_inner(self):
        return super()._repr_html_inner() + self.readings_as_html()  # type: ignore[misc]

    def _repr_mimebundle_(self, **kwargs):
        output = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in output:
            output["text/html"] += self.readings_as_html()
        return output


class FieldEncoder(ShowsReadings, TransformerMixin, BaseEstimator):
    """Encode a table of mixed columns as a sparse matrix whose columns form fields.

    What a column becomes depends on its type:

    - text, categories, booleans: a field with a slot for each frequent value;
    - text of several words, most of it different: a field with a slot for each frequent word;
    - whole numbers that are identifiers, such as those of users: a field with a slot for each frequent one;
    - other whole numbers: the same, with quantile bins for the values that are not frequent, and a field with
      one slot that holds the standardised value;
    - other numbers, durations: a field with one slot that holds the standardised value, and a field of
      quantile bins;
    - dates: fields of month, weekday and hour, and the time in days as a number;
    - lists, arrays, sets: a field with a slot for each frequent entry.

    Every field has a slot for missing values (None, NaN, ``pandas.NA``, NaT). Values of text and categories
    that are rare in training share the slot "other", which values that are new at prediction use too.

    Parameters
    ----------
    categorical : list of column names or positions, default=()
        Columns whose values are names, whatever their type: no bins. Equal numbers of any type are one value.
    numeric : list of column names or positions, default=()
        Columns of whole numbers that are quantities, and to be encoded as other numbers are.
    text : list, or dict of column to dict, default=()
        Columns of text that is cut into words. With a dict, by these parameters of
        :class:`~sklearn.feature_extraction.text.CountVectorizer`: ``{"title": {"ngram_range": (1, 2)}}``.
    multi_hot : list, or dict of column to separator, default=()
        Columns of lists. With a dict, text is cut at the separator: ``{"genres": "|"}``.
    max_length : int, dict of column to int, or None, default=None
        Most entries of a list that count: its last ones. One number is for all columns of lists.
    hash : int, dict of column to int, or None, default=None
        Number of slots that the values of a column share by their hash (MurmurHash3), instead of learning
        the values. One number is for all columns of text, categories, identifiers, lists and those of
        ``categorical``.
        The hash depends on the value alone, not on process, platform or version.
    signed_hash : bool, default=False
        Whether half of the values get -1 in place of 1, so that values that collide cancel on average.
    shared : dict of name to list of columns, default=None
        Columns that share a table: ``{"item": ["item", "last_item"]}``. They are categories, or lists, with
        the values of all of them. Each is a field with output columns of its own, but an estimator that
        encodes with this encoder learns one weight and one vector of factors for a value, wherever it stands.
    crosses : list of pairs of columns, default=()
        Columns whose values in pairs form a field too, behind all others: ``[("city", "day")]``. Pairs are
        hashed; one is missing where one of its values is.
    cross_slots : int, default=65536
        Number of slots of each cross.
    min_frequency : "auto", int or float, default="auto"
        Rows that a value needs for a slot of its own, or its share of the total weight. A row of weight w
        counts as w rows; where the mean weight is below 1, weights are scaled to the mean 1 first. "auto" is
        1 of up to 100,000 rows for categories and identifiers, as estimators choose how far they trust a
        value, and of up to 2,000 rows for numbers. It is 3 of more rows, for words and entries of lists, and
        in partial_fit, where the first rows must not decide what is rare.
    max_categories : int or None, default=None
        Most values of a column with a slot of their own: the most frequent ones.
    numeric_encoding : {"both", "value", "bins"}, default="both"
        Numbers as the standardised value, as quantile bins, or as a field of each. Frequent whole numbers
        have slots of their own in any case.
    bins : int or dict of column to int, default=32
        Most quantile bins of a column, which end halfway between two values. A bin has at least about
        ``min_frequency`` rows. 0: whole numbers have none.
    sparse_output : bool, default=True
        Whether transform returns a CSR array, else a dense one.
    dtype : dtype, default=numpy.float32
        Type of the values.

    Attributes
    ----------
    fields_ : ndarray of shape (n_columns,), int32
        Number of the field of each output column.
    field_columns_ : ndarray of shape (n_fields,)
        Position of the input column that each field was made of; crosses count on behind the columns.
    table_rows_ : ndarray of shape (n_columns,), int32, or None
        Output column whose weights each output column uses: its own number but for those of ``shared``,
        which use those of the first column named; None if no columns share a table.
    n_features_in_ : int
        Number of input columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the input columns, where X had names that are all strings.

    Raises
    ------
    ValueError
        Where a column has mixed types, or is not what it was in fit; the message names column, row and
        value.
    TypeError
        Where a column's type has no encoding.

    Warns
    -----
    ReadingWarning
        Where a column holds dates or numbers written as text, or numbers and a few values that are none.
        Convert it, or name it in ``categorical``.

    See Also
    --------
    sklearn.preprocessing.OneHotEncoder : Categories alone, without fields.

    Notes
    -----
    How a column is read is decided once, by its name, its type and the first rows learned from, never by y;
    `describe` says how, and why. **Whole numbers are identifiers** where the last word of the column's name
    says so (``user_id``, ``zipCode``, ``item``), unless there are fewer than three of them, negative ones, or
    zeros in most rows; or where values alone do: at least 100 different ones and three rows of each that
    fill nine tenths of their range, and are unevenly frequent from one to the next but not in round
    numbers. Names of quantities (``n_items``, ``age``) rule that out. **Text is cut into words** where at
    least half of its values are different and the value in the middle has three words or more.
    ``categorical``, ``numeric`` and ``text`` overrule both.

    A word that stands c times in a text has the value ``1 + log(c)``, and the values of a text are scaled to
    the root of the number of different words that texts have on average: about 1 each.

    The standardised value of x is ``z / sqrt(1 + (z / 3)^2)`` with ``z = (x - median) / (third - first
    quartile)``, or the range in place of the quartiles where these are equal: between -3 and 3 whatever x is,
    so infinite values are allowed. A value of 0 is not stored.

    With ``sample_weight`` frequencies and quantiles are those of the rows repeated. Weights that are on
    average less than 1 tell rows' importance and not their number, such as 1 / n or those of AdaBoost: they
    are scaled to the mean 1, over rows of positive weight. Rows of weight 0 count as no rows.

    Values of any type that can be hashed and compared are categories, such as intervals, tuples named in
    ``categorical``, enumerations and UUIDs. Missing values in tuples are all equal. Names of output columns
    are all different: the second "a=b" is "a=b (2)".

    `partial_fit` adds output columns for values that have become frequent; columns keep their numbers. Bins,
    medians and quartiles begin with 20 numbers that are not all the same (a weight of 2 is two). Each time
    that the rows have doubled they are looked at again: bins are cut anew from the numbers of all calls where
    one holds half as much again as it should, and median and quartiles become those of the later half where
    they are quite others (the distance of the quartiles by half, say). So the first rows decide nothing for
    good. For this at most 16,384 numbers of a column are kept. `partial_fit` has to
    count rare values too; `fit` forgets all these, and after it numbers are first looked at when as many
    rows have come.

    Time and memory are O(rows x columns), one column at a time.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import FieldEncoder
    >>> table = pd.DataFrame({"day": ["mon", "tue", None, "mon"], "clicks": [3, 1, 1, 2]})
    >>> encoder = FieldEncoder(min_frequency=2).fit(table)
    >>> encoder.get_feature_names_out().tolist()
    ['day:other', 'day:missing', 'day=mon', 'clicks',
     'clicks:other', 'clicks:missing', 'clicks:(-inf, inf]', 'clicks=1']
    >>> encoder.transform(table).toarray()[:, :3]
    array([[0., 0., 1.],
           [1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    >>> encoder.fields_
    array([0, 0, 0, 1, 2, 2, 2, 2], dtype=int32)
    """

    _parameter_constraints = {
        "categorical": ["array-like"],
        "numeric": ["array-like"],
        "text": ["array-like", dict],
        "multi_hot": ["array-like", dict],
        "max_length": [_POSITIVE_INTEGER, dict, None],
        "hash": [_POSITIVE_INTEGER, dict, None],
        "signed_hash": ["boolean"],
        "shared": [dict, None],
        "crosses": ["array-like"],
        "cross_slots": [_POSITIVE_INTEGER],
        "min_frequency": [StrOptions({"auto"}), _POSITIVE_INTEGER, Interval(Real, 0, 1, closed="neither")],
        "max_categories": [_POSITIVE_INTEGER, None],
        "numeric_encoding": [StrOptions({"both", "value", "bins"})],
        "bins": [Interval(Integral, 0, None, closed="left"), dict],
        "sparse_output": ["boolean"],
        "dtype": "no_validation",
    }

    fields_: np.ndarray
    field_columns_: np.ndarray
    table_rows_: np.ndarray | None
    n_features_in_: int
    _table: TableEncoder

    def __init__(
        self,
        *,
        categorical: Sequence[Any] | np.ndarray = (),
        numeric: Sequence[Any] | np.ndarray = (),
        text: Sequence[Any] | np.ndarray | dict[Any, dict[str, Any]] = (),
        multi_hot: Sequence[Any] | np.ndarray | dict[Any, str] = (),
        max_length: int | dict[Any, int] | None = None,
        hash: int | dict[Any, int] | None = None,
        signed_hash: bool = False,
        shared: dict[Any, Any] | None = None,
        crosses: Sequence[Sequence[Any]] = (),
        cross_slots: int = 2**16,
        min_frequency: float | Literal["auto"] = "auto",
        max_categories: int | None = None,
        numeric_encoding: Literal["both", "value", "bins"] = "both",
        bins: int | dict[Any, int] = 32,
        sparse_output: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.categorical = categorical
        self.numeric = numeric
        self.text = text
        self.multi_hot = multi_hot
        self.max_length = max_length
        self.hash = hash
        self.signed_hash = signed_hash
        self.shared = shared
        self.crosses = crosses
        self.cross_slots = cross_slots
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.numeric_encoding = numeric_encoding
        self.bins = bins
        self.sparse_output = sparse_output
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the values of each column.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table; pandas and polars are read column by column.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is the row twice; rows of weight 0 are left out.

        Returns
        -------
        self : FieldEncoder
            Fitted encoder.
        """
        return self.learn_chunks([(X, sample_weight, None)], Learning(first=True, go_on=False))

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Add output columns for the values that have become frequent.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            More rows of the table.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        self : FieldEncoder
            Fitted encoder.
        """
        first = not hasattr(self, "_table")
        if not first:
            # scikit-learn validates parameters in the first call alone.
            self._validate_params()
            changed = changes(self._settled, self.get_params(deep=False))
            if changed:
                raise ValueError(
                    f"partial_fit goes on with the columns of earlier calls, and parameters have changed "
                    f"since ({changed}). Set them back, or fit anew."
                )
        how = Learning(first, go_on=True, in_parts=True)
        return self.learn_chunks([(X, sample_weight, None)], how)

    def _check_parameters(self) -> None:
        """Check what `_parameter_constraints` cannot say."""
        try:
            dtype = np.dtype(self.dtype)
        except TypeError:
            dtype = np.dtype(object)
        # SciPy's sparse arrays have no half precision.
        if dtype.kind != "f" or dtype.itemsize < 4:
            raise ValueError(
                f"dtype must be a type of floats, such as numpy.float32, of 32 bits or more; got "
                f"{self.dtype!r}."
            )
        for name in _NUMBERS:
            value = getattr(self, name)
            # A boolean is a whole number for Python.
            if isinstance(value, bool | np.bool_):
                raise ValueError(f"{name}={value} is no number. Give one, such as {name}={_NUMBERS[name]}.")
        for name in ("categorical", "numeric"):
            value = getattr(self, name)
            if isinstance(value, dict):
                raise ValueError(
                    f"{name}= takes a list of columns, and its value is a dict: {value!r}. Give those to be "
                    f"named, such as {name}={list(value)[:3]!r}."
                )

    def learn_chunks(self, chunks, how: Learning):
        """Learn from chunks: X, sample weights, and which rows of those given they are, or None for all."""
        self._check_parameters()
        # The columns are those of a copy until all is learned.
        checked = copy.copy(self)
        if how.in_parts and self.min_frequency == "auto":
            checked.min_frequency = RARE
        table, counts = None if how.first else self._table, None
        for X, weight, numbers in chunks:
            X = rows_of(X)
            n_rows = _num_samples(X)
            weight = check_sample_weight(weight, n_rows) if n_rows else np.ones(0)
            # A row of weight 0 is no row, whatever it holds.
            if not weight.all():
                kept = np.flatnonzero(weight)
                X, weight = take_rows(X, weight > 0), weight[kept]
                numbers = kept if numbers is None else numbers[kept]
            with renumbering(numbers):
                if table is None or not how.checked_before:
                    X = checked._checked(X, reset=table is None)
                columns = self._columns_of(X)
                if table is None:
                    table = TableEncoder(*make_encoders(checked, columns, weight))
                    for reading in table.readings:
                        written = reading.written
                        remedy = None if written is None else how.remedy_of(written)
                        if written is not None and remedy is not None:
                            warn(renumbered(written.message(remedy), numbers))
                counts = merge_counts(counts, table.count(columns, weight))
            if not table.learns:
                break
        if table is None:
            raise ValueError("There are no rows to learn from.")
        table = table if counts is None else table.learned(counts, go_on=how.go_on)
        self._know(table, checked.n_features_in_, getattr(checked, "feature_names_in_", None))
        return self

    def renewed(self) -> FieldEncoder:
        """A copy with the same columns, which learns from the next rows as if they were the first."""
        encoder = copy.copy(self)
        encoder._table = self._table.renewed()
        return encoder

    def recoding(self, known: FieldEncoder) -> Recoding:
        """What has become of the columns since this was the encoder `known`."""
        return self._table.recoding(known._table)

    def _know(self, table: TableEncoder, n_features_in: int, names: np.ndarray | None) -> None:
        """Take what was learned."""
        self._table = table
        settled = {name: value for name, value in self.get_params(deep=False).items() if name not in _FREE}
        self._settled = copy.deepcopy(settled)
        self.fields_, self.field_columns_, self.table_rows_ = table.fields, table.field_columns, table.rows
        self.n_features_in_ = n_features_in
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def describe(self):
        """How each column of the table is read, and why.

        Returns
        -------
        readings : DataFrame, or list of dicts without pandas
            A row for each column: its name in ``column``; ``reading``: "identifier", "category", "text",
            "integer", "number", "date" or "list"; ``why``; ``values``: how many have a slot of their own
            (words of text, entries of lists, slots of a hash); ``rare``: share of the rows learned from, or
            of words and entries, whose value has none (NaN where this is not counted); ``missing``: share
            of the rows whose value is missing.

        Examples
        --------
        >>> import pandas as pd
        >>> from skfm import FieldEncoder
        >>> table = pd.DataFrame({"user_id": [7, 7, 9, 8], "clicks": [3, 1, 1, 2]})
        >>> readings = FieldEncoder(min_frequency=2).fit(table).describe()
        >>> readings[["column", "reading", "values", "rare"]]
            column     reading  values  rare
        0  user_id  identifier       1   0.5
        1   clicks     integer       1   0.5
        """
        check_is_fitted(self)
        readings = self._table.describe()[: self.n_features_in_]
        try:
            import pandas as pd
        except ImportError:
            return readings
        return pd.DataFrame(readings)

    def readings_as_html(self) -> str:
        """The readings as a table that unfolds, as notebooks show it below the encoder.

        Returns
        -------
        table : str
            HTML; empty before fit.
        """
        if not hasattr(self, "_table"):
            return ""
        readings = self._table.describe()[: self.n_features_in_]

        def cell(value) -> str:
            shown = f"{value:.3g}" if isinstance(value, float) else str(value)
            return f"<td>{html.escape(shown)}</td>"

        head = "".join(f"<th>{name}</th>" for name in readings[0])
        body = "".join(f"<tr>{''.join(map(cell, row.values()))}</tr>" for row in readings)
        return f"<details><summary>Readings</summary><table><tr>{head}</tr>{body}</table></details>"

    def get_state(self) -> dict:
        """What was learned and the parameters, as plain values.

        Returns
        -------
        state : dict
            None, booleans, numbers, text, lists, dicts with keys of text, and NumPy arrays. A value of
            another type is a dict of its kind and a plain value.
        """
        check_is_fitted(self)
        return {
            "format": _FORMAT,
            "parameters": {name: plain(value) for name, value in self.get_params(deep=False).items()},
            "n_features_in": self.n_features_in_,
            "feature_names_in": plain(getattr(self, "feature_names_in_", None)),
            "table": self._table.get_state(),
        }

    @classmethod
    def from_state(cls, state):
        """The encoder of a state.

        Parameters
        ----------
        state : dict
            What `get_state` returned.

        Returns
        -------
        encoder : FieldEncoder
            Fitted encoder, which encodes, decodes and learns as the one did whose state it is.

        Raises
        ------
        ValueError
            If the state is of another format.
        """
        if state.get("format") != _FORMAT:
            raise ValueError(
                f"The encoder's state is of format {state.get('format')!r}, and this version of skfm reads "
                f"format {_FORMAT}. Fit the encoder again."
            )
        encoder = cls(**{name: restored(value) for name, value in state["parameters"].items()})
        table = TableEncoder.from_state(state["table"])
        encoder._know(table, state["n_features_in"], restored(state["feature_names_in"]))
        return encoder

    def transform(self, X):
        """Encode rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in their order.

        Returns
        -------
        encoded : csr_array or ndarray of shape (n_samples, n_columns)
            Encoded rows.
        """
        container = _get_output_config("transform", estimator=self)["dense"]
        if self.sparse_output and container != "default":
            raise ValueError(
                f"{container.capitalize()} output does not support sparse data. Set sparse_output=False to "
                f"output {container} DataFrames, or disable {container} output with "
                f'FieldEncoder().set_output(transform="default").'
            )
        encoded = self.encode(X)
        if self.sparse_output:
            return encoded
        n_rows, n_columns = encoded.shape
        check_fits(
            n_rows * n_columns * encoded.dtype.itemsize,
            f"{n_rows} rows of {n_columns} columns that are not sparse take",
            "Leave sparse_output=True, or transform fewer rows at a time.",
        )
        return encoded.toarray()

    def encode(self, X):
        """The CSR array of some rows, whatever output is configured.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in their order.

        Returns
        -------
        encoded : csr_array of shape (n_samples, n_columns)
            Encoded rows.
        """
        check_is_fitted(self)
        return self.encode_checked(self._checked(X, reset=False))

    def encode_checked(self, X):
        """The CSR array of some rows of which it is known that they have the columns of fit.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        encoded : csr_array of shape (n_samples, n_columns)
            Encoded rows.
        """
        return self._table.encode(self._columns_of(X), X.shape[0], np.dtype(self.dtype))

    def inverse_transform(self, X):
        """Values that encoded rows stand for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_columns)
            Encoded rows.

        Returns
        -------
        table : ndarray of shape (n_samples, n_features), dtype object
            None where a value was missing, rare, unknown or hashed; NaN for missing numbers. Of text that
            is cut into words, those with a slot, in the order of these. Numbers are as exact as the output's
            type, or the mean of their bin where there is no slot of the value, and infinite (whole numbers:
            None) where outliers are beyond that. Frequent whole numbers are exact.
        """
        check_is_fitted(self)
        X = check_array(X, accept_sparse=True, dtype="numeric")
        if X.shape[1] != self.fields_.size:
            raise ValueError(f"X has {X.shape[1]} columns, but the encoder makes {self.fields_.size}.")
        return self._table.decode(X, self.n_features_in_)

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns.

        Parameters
        ----------
        input_features : None
            Not used: names are those of fit.

        Returns
        -------
        names : ndarray of shape (n_columns,), dtype object
            ``day=mon`` for a value or a word, ``day:other``, ``day:missing``, ``age`` for a number's value,
            ``age:(20, 30]`` for a bin, ``day#7`` for a hash, ``city*day#7`` for one of a pair.
        """
        check_is_fitted(self)
        return self._table.names()

    def entries(self, X, column):
        """Entries of a column of lists, one after another.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in their order.
        column : name of the column

        Returns
        -------
        columns : ndarray of shape (n_entries,)
            The output column of each entry.
        kept : ndarray of shape (n_samples,)
            How many entries of each row these are.
        lengths : ndarray of shape (n_samples,)
            How many entries each row has, those beyond ``max_length`` too.
        """
        check_is_fitted(self)
        columns = self._columns_of(self._checked(X, reset=False))
        position = [one.name for one in columns].index(column)
        encoder = self._table.encoders[position]
        assert isinstance(encoder, MultiHot)
        (slots,) = encoder.encode(columns[position])
        (output_columns,) = self._table.output_columns(position)
        return output_columns[slots.slots], slots.lengths, encoder.lengths(columns[position])

    # -- columns -----------------------------------------------------------------------------------

    def _columns_of(self, X) -> list[Column]:
        """Columns of a checked table, and their crosses."""
        return crossed(self.crosses, columns_of(X))

    def _checked(self, X, *, reset):
        """A frame, or array, that has the columns of fit."""
        X = rows_of(X)
        if not is_frame(X):
            return validate_data(self, X, dtype=None, ensure_all_finite=False, reset=reset)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags
