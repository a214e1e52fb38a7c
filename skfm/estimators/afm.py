"""Attentional factorization machines."""

from __future__ import annotations

from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.parameters import AUTO, COUNT, NOT_NEGATIVE, FactorParameters, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import FactorTable, LinearTable, fitted

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + sum_j x_j w_j + p^T sum_{f<g} a_fg E_f * E_g
    a = softmax over the pairs of h^T relu(W (E_f * E_g) + c)

with products of embeddings number by number.
{fields}
The attention a says how much each pair of fields counts in this row; ``attention`` gives it. It is
shared by the outputs."""
_NOTES = """\
An epoch costs O(nnz * k + n_samples * n_fields^2 * k * n_attention), at any number of columns. Memory:
k + n_outputs numbers a column, two to five times that with the state of the optimizer, once more for
the best weights on held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

Differences from Xiao et al.: pairs are those of fields, whose embeddings are summed where a row has
several columns of one; a field without a nonzero takes part with a product of 0; several outputs;
training starts from random embeddings, or from those of a factorization machine with ``init_from``.
With one field there are no pairs, and the model is linear."""
_REFERENCES = """\
.. [1] J. Xiao et al., "Attentional Factorization Machines: Learning the Weight of Feature Interactions via
   Attention Networks", IJCAI 2017. https://doi.org/10.24963/ijcai.2017/435"""


class _AFM(LinearTable, FactorTable, FactorParameters, LinearParameters):
    """What both attentional machines share."""

    _kind = "deep"
    _needs_fields = True
    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    n_attention: int = parameter(16, "int", "Units of the attention's hidden layer.", COUNT)
    dropout: float = parameter(
        0.0,
        "float",
        "Share of the attention's weights that a training step leaves out, in [0, 1).",
        Interval(Real, 0, 1, closed="left"),
    )
    l2_dense: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        Strength of the L2 penalty of W, h and p. ``"auto"`` is that of ``l2_factors``.
        """,
        AUTO,
        NOT_NEGATIVE,
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.afm import AFM

        return AFM(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            n_attention=self.n_attention,
            use_dropout=self.dropout > 0,
        )

    def attention(self, X):
        """Weight of each pair of fields in each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to look at.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_pairs)
            Rows sum to 1; ``field_pairs_`` names the pairs.
        """
        check_is_fitted(self)
        if self._model.n_fields < 2:
            raise ValueError(
                f"This {type(self).__name__} has one field, and so no pairs. Give fields= one label a column."
            )
        return self._map(type(self._model).attention, X).astype(np.float64)[:, self._sorted_pairs()[1]]

    def _sorted_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Fields of the pairs in the order (0, 1), (0, 2), .., and the model's number of each pair."""
        pairs = np.sort(np.column_stack(self._model.pairs), axis=1)
        order = np.lexsort(pairs.T[::-1])
        return pairs[order], order

    @fitted
    def field_pairs_(self):
        """Fields of each pair that there is attention to, shape (n_pairs, 2)."""
        return self._sorted_pairs()[0]


@estimator
class AFMClassifier(_AFM, FactorizationClassifier):
    """Attentional factorization machine classifier.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {embeddings}
    field_pairs_ : ndarray of shape (n_pairs, 2)
        Fields of each pair that there is attention to.
    {attributes}

    {errors}

    See Also
    --------
    FMClassifier : All pairs alike.
    FwFMClassifier : A weight for each pair of fields, the same in all rows.
    AFMRegressor : The same model for numbers.

    Notes
    -----
    {objective}

    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import AFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> model = AFMClassifier(4, random_state=0, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    """


@estimator
class AFMRegressor(_AFM, FactorizationRegressor):
    """Attentional factorization machine regressor.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {embeddings}
    field_pairs_ : ndarray of shape (n_pairs, 2)
        Fields of each pair that there is attention to.
    {attributes}

    {errors}

    See Also
    --------
    FMRegressor : All pairs alike.
    FwFMRegressor : A weight for each pair of fields, the same in all rows.
    AFMClassifier : The same model for classes.

    Notes
    -----
    {objective}

    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import AFMRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> model = AFMRegressor(4, random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    >>> model.attention([[1, 1, 1]]).shape, model.field_pairs_.tolist()
    ((1, 3), [[0, 1], [0, 2], [1, 2]])
    """
