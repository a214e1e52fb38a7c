"""Deep interest network: histories pooled by what they have to do with a candidate."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skfm.data.frames import columns_of
from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator, layer_sizes
from skfm.estimators.base.inputs import check_table
from skfm.estimators.base.parameters import COUNT, NOT_NEGATIVE
from skfm.estimators.base.regressor import FactorizationRegressor

_ACTIVATIONS = {"prelu", "dice", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh", "identity"}

_MODEL = """\
The raw prediction of a row x is ``b + MLP([E_1, .., E_F])``. The embedding of a history, a column of
lists, is the sum over its entries h ::

    E = sum_h w_h v_h,    w = softmax over h of a(v_h, t),    a(h, t) = c + MLP_a([h, t, h - t, h * t])

where t is the embedding of the column that the history is compared with, such as the item to be shown:
what somebody did counts as far as it has to do with this item. A history and its column share one table of
embeddings. With ``attention_softmax=False`` the weights are a itself, so that a long interest is a strong
one. Each pair of columns has an activation unit a of its own. ``attention`` gives the weights w.
{fields}
{network}

A matrix, or a table without ``sequence_fields``, has no histories: the model is then the perceptron on
embeddings alone."""
_NOTES = """\
An epoch costs O(nnz * k * (units of the attention's hidden layers)) for the histories and O(n_samples *
(number of weights of the network)), at any number of columns. Rows are packed by the lengths of their
histories. Memory: k numbers a column, two to five times that with the state of the optimizer, once more for
the best weights on held-out rows, and 8 to 16 bytes an entry for the packed rows.

The order of a history decides only which entries ``max_length`` keeps. An entry that a history has twice
counts twice. An empty history has the embedding 0, a missing one that of the value "missing". Rare entries,
and entries that are new at prediction, share the value "other"; an entry that was never a candidate in
training has the embedding that it got in histories.

Differences from Zhou et al.: weights are normalised by default, which ranks purchases better by much; the
output of an activation unit starts near 1, so training starts at the plain mean, or sum, of a history;
embeddings and networks are penalised, all by one penalty each rather than by the
mini-batch aware one, which ``l2_frequency_power=1`` is; the network is smaller by default."""
_REFERENCES = """\
.. [1] G. Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018.
   https://doi.org/10.1145/3219819.3219823"""


class _DIN(DeepEstimator):
    """What both share."""

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    sequence_fields: Any = parameter(
        None,
        "dict of column to column, or None",
        """
        Columns of lists, and the column that the entries of each are compared with:
        ``{"history": "item"}``. Both share a table, and the second is encoded as categories. They are
        columns of a table; see :class:`FieldEncoder` for how tables are encoded.
        """,
        dict,
        None,
    )
    sequence_separator: str | None = parameter(
        None,
        "str or None",
        "What separates the entries of a history where histories are text.",
        str,
        None,
    )
    max_length: int | None = parameter(
        None, "int or None", "Most entries of a history that count: the latest, which come last.", COUNT, None
    )
    attention_layer_sizes: Any = parameter(
        (32,),
        "int or sequence of int",
        "Units of each hidden layer of an activation unit.",
        "array-like",
        COUNT,
    )
    attention_softmax: bool = parameter(
        True, "bool", "Whether the weights of the entries of a history sum to 1.", "boolean"
    )
    init_scale: float = parameter(
        0.1,
        "float",
        """
        Standard deviation of the first embeddings, for columns of root mean square 1: larger than that of
        other models, so that entries can be told apart from the start.
        """,
        NOT_NEGATIVE,
    )
    activation: str = parameter(
        "prelu",
        '{"prelu", "dice", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh", "identity"}',
        """
        Activation of all hidden layers. ``"prelu"`` has a slope to learn for each unit below 0; ``"dice"``
        has its edge at the mean of the unit over the batch, and cannot be trained by L-BFGS.
        """,
        StrOptions(_ACTIVATIONS),
    )

    def _is_noisy(self):
        return self.dropout > 0 or bool(self.batch_norm) or self.activation == "dice"

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.layers.mlp import MLP
        from skfm.models.din import DIN

        sizes = layer_sizes(self.attention_layer_sizes, "attention_layer_sizes")
        return DIN(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
            sequences=tuple((self._field(history), self._field(target)) for history, target in self._pairs()),
            unit=MLP(sizes=sizes, activation=self.activation),
            softmax=bool(self.attention_softmax),
        )

    # -- histories ---------------------------------------------------------------------------------

    def _encoder_settings(self, encoder, X):
        if not self.sequence_fields:
            return {}
        columns = columns_of(X)
        names = [column.name for column in columns]
        lists = {column.name for column in columns if column.kind == "list"} | set(encoder.multi_hot)
        shared = dict(encoder.shared or {})
        for history, target in self.sequence_fields.items():
            for name in (history, target):
                if name not in names:
                    raise ValueError(
                        f"sequence_fields= names {name!r}, which is no column of X. Columns: {names[:20]}."
                    )
            if target in self.sequence_fields:
                raise ValueError(
                    f"sequence_fields= compares {history!r} with {target!r}, which is a history itself."
                )
            if history not in lists and self.sequence_separator is None:
                raise ValueError(
                    f"sequence_fields= names {history!r} as a history, but it does not hold lists. Give a "
                    f"column of lists, or say what separates its entries in sequence_separator=."
                )
            members = shared.get(_table_of(shared, target), [target])
            shared[_table_of(shared, target)] = [*members, *([] if history in members else [history])]
        settings: dict[str, Any] = {"shared": shared}
        if self.max_length is not None:
            known = encoder.max_length
            known = known if isinstance(known, dict) else dict.fromkeys(lists, known) if known else {}
            settings["max_length"] = known | dict.fromkeys(self.sequence_fields, self.max_length)
        if self.sequence_separator is not None:
            known = encoder.multi_hot
            known = known if isinstance(known, dict) else dict.fromkeys(known)
            settings["multi_hot"] = known | dict.fromkeys(self.sequence_fields, self.sequence_separator)
        return settings

    def _pairs(self) -> list[tuple[int, int]]:
        """Fields of the encoder: each history, and what it is compared with.

        Raises
        ------
        ValueError
            If X is no table.
        """
        if not self.sequence_fields:
            return []
        encoder = self.encoder_
        if encoder is None:
            raise ValueError(
                f"sequence_fields={self.sequence_fields!r} names columns of a table, but X is a matrix of "
                f"numbers. Give a DataFrame, or sequence_fields=None."
            )
        known = encoder.feature_names_in_ if hasattr(encoder, "feature_names_in_") else None
        names = [f"x{place}" for place in range(encoder.n_features_in_)] if known is None else known.tolist()
        pairs = []
        for history, target in self.sequence_fields.items():
            places = names.index(history), names.index(target)
            first, second = np.searchsorted(encoder.field_columns_, places).tolist()
            pairs.append((first, second))
        return pairs

    def _field(self, field: int) -> int:
        """Field of the model that a field of the encoder is."""
        numbers = np.unique(self.fields_[self.encoder_.fields_ == field])
        if np.isin(self.encoder_.fields_[np.isin(self.fields_, numbers)], field, invert=True).any():
            raise ValueError(
                f"fields= joins a column of sequence_fields={self.sequence_fields!r} with others. Give each "
                f"of them a field of its own."
            )
        return int(numbers[0])

    def attention(self, X, history=None):
        """Weight of each entry of a history.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_features)
            Rows to look at.
        history : column name, default=None
            The history; not needed where there is one.

        Returns
        -------
        weights : list of ndarray
            The weights of each row's entries, in the order of the list, 0 for those that ``max_length``
            leaves out. A missing list has one weight, that of the value "missing".
        """
        check_is_fitted(self)
        names = list(self.sequence_fields or {})
        if not names:
            raise ValueError(f"This {type(self).__name__} has no histories. Fit it with sequence_fields=.")
        if history is None and len(names) > 1:
            raise ValueError(f"There are the histories {names}: name one in history=.")
        if history is not None and history not in names:
            raise ValueError(f"{history!r} is none of the histories {names}.")
        number = names.index(history) if history is not None else 0
        check_table(self, X)
        _, target = self._pairs()[number]
        encoded = sparse.csr_array(self.encoder_.transform(X))
        columns, kept, lengths = self.encoder_.entries(X, names[number])
        rows = np.repeat(np.arange(len(kept)), kept)
        # A row for each entry: the candidate's columns, and the entry.
        candidates = encoded.copy()
        candidates.data[self.encoder_.fields_[candidates.indices] != target] = 0
        candidates.eliminate_zeros()
        ones = np.ones(columns.size, encoded.dtype)
        entries = sparse.csr_array(
            (ones, columns, np.arange(columns.size + 1)), shape=(columns.size, encoded.shape[1])
        )
        if columns.size == 0:
            return [np.zeros(length) for length in lengths]
        pairs = sparse.csr_array(candidates[rows] + entries)
        scores = self._map_encoded(type(self._model).activations, pairs)[:, number].astype(np.float64)
        if self.attention_softmax:
            scores = np.exp(scores - np.maximum.reduceat(scores, _starts(kept))[_group(kept)])
            scores /= np.add.reduceat(scores, _starts(kept))[_group(kept)]
        parts = np.split(scores, np.cumsum(kept)[:-1])
        left_out = lengths - kept
        return [np.append(np.zeros(few), part) for few, part in zip(left_out, parts, strict=True)]


def _table_of(shared: dict, column):
    """Name of the table that a column shares, or is to share."""
    return next((table for table, members in shared.items() if column in members), column)


def _starts(lengths):
    """Where the entries of each row that has some start."""
    return (np.cumsum(lengths) - lengths)[lengths > 0]


def _group(lengths):
    """Number of each entry's row among those that have some."""
    return np.repeat(np.arange(np.count_nonzero(lengths)), lengths[lengths > 0])


@estimator
class DINClassifier(_DIN, FactorizationClassifier):
    """Deep interest network classifier: histories weighted by what they have to do with a candidate.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {embeddings}
    {attributes}

    {errors}

    See Also
    --------
    DeepFMClassifier : Histories summed.
    skfm.datasets.make_click_rows : Rows with histories from a log of events.
    DINRegressor : The same model for numbers.

    Notes
    -----
    {objective}

    {notes}

    References
    ----------
    {references}

    Examples
    --------
    Whoever had the item before takes it again:

    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfm import DINClassifier
    >>> rng = np.random.default_rng(0)
    >>> items = rng.integers(4, size=(400, 4))
    >>> table = pd.DataFrame({"item": [f"i{row[0]}" for row in items]})
    >>> table["history"] = [[f"i{item}" for item in row[1:]] for row in items]
    >>> y = (items[:, 1:] == items[:, :1]).any(axis=1)
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.5, "tol": 1e-2, "random_state": 0}
    >>> model = DINClassifier(4, sequence_fields={"history": "item"}, activation="tanh", **settings)
    >>> model = model.fit(table, y)
    >>> model.score(table, y)
    1.0
    >>> table.item[0], table.history[0]
    ('i3', ['i2', 'i2', 'i1'])
    >>> [weights.shape for weights in model.attention(table[:2])]
    [(3,), (3,)]
    """


@estimator
class DINRegressor(_DIN, FactorizationRegressor):
    """Deep interest network regressor: histories weighted by what they have to do with a candidate.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {embeddings}
    {attributes}

    {errors}

    See Also
    --------
    DeepFMRegressor : Histories summed.
    DINClassifier : The same model for classes.

    Notes
    -----
    {objective}

    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import DINRegressor
    >>> table = pd.DataFrame({"film": ["a", "b"] * 20, "seen": ["a|c", "a|c", "b", ""] * 10})
    >>> settings = {"sequence_fields": {"seen": "film"}, "sequence_separator": "|", "random_state": 0}
    >>> model = DINRegressor(4, activation="tanh", tol=1e-2, **settings).fit(table, [5.0, 3, 2, 4] * 10)
    >>> model.predict(table[:4]).shape
    (4,)
    """
