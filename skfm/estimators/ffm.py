"""Field-aware factorization machines."""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar

from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import Interval

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.parameters import FactorParameters, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import FactorTable, LinearTable

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + sum_j x_j w_j + sum_{i<j} x_i x_j <v_{i, f(j)}, v_{j, f(i)}>

where f(j) is the field of column j: a column has a vector of ``n_factors`` numbers for each field, and meets
the columns of a field with the vector for it. Columns of one field make pairs too, where a row has
several."""
_NOTES = """\
An epoch costs O((nnz + n_samples * n_fields) * n_fields * k * n_outputs), at any number of columns. Memory:
n_fields * k + 1 numbers a column and output, two to five times that with the state of the optimizer, once
more for the best weights on held-out rows, and 4 to 16 bytes a nonzero for the packed rows. fit says so
before it begins where that is more than the machine has.

Differences from Juan et al.: rows are scaled to length 1 only with ``normalize_rows=True``; there are linear
terms and an intercept, as in libffm's successors; training stops as that of the other estimators does."""
_REFERENCES = """\
.. [1] Y. Juan, Y. Zhuang, W.-S. Chin and C.-J. Lin, "Field-aware Factorization Machines for CTR Prediction",
   RecSys 2016. https://doi.org/10.1145/2959100.2959134"""


class _FFM(LinearTable, FactorTable, FactorParameters, LinearParameters):
    """What both field-aware machines share."""

    _needs_fields = True
    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    n_factors: int = parameter(
        4,
        "int",
        "Number k of factors of each column for each field, 0 or more.",
        Interval(Integral, 0, None, closed="left"),
        kw_only=False,
    )

    normalize_rows: bool = parameter(
        False,
        "bool",
        """
        Whether each row of X is scaled to Euclidean length 1 first, as libffm does, so that rows with many
        nonzeros do not weigh more than those with few. A table's rows are scaled once they are encoded.
        """,
        "boolean",
    )

    def _scaled_rows(self, X):
        return normalize(X) if self.normalize_rows else X

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.ffm import FFM

        return FFM(
            n_outputs=n_outputs, fit_intercept=self.fit_intercept, n_fields=n_fields, n_factors=self.n_factors
        )

    @property
    def factors_(self):
        """Factors, (n_features, n_fields, n_factors), or (n_outputs, n_features, n_fields, n_factors)."""
        return self._factors("factors", 2)


@estimator
class FFMClassifier(_FFM, FactorizationClassifier):
    """Field-aware factorization machine classifier.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    factors_ : ndarray of shape (n_features, n_fields, n_factors)
        Factors of each column for each field, with the outputs before it where there are several; 0 for
        columns that no training row touched.
    {attributes}

    {errors}

    See Also
    --------
    FMClassifier : One vector for all fields.
    FwFMClassifier : One vector, and a weight for each pair of fields.
    FFMRegressor : The same model for numbers.

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
    >>> from skfm import FFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 3))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> model = FFMClassifier(3, l2_factors=1e-3, random_state=0).fit(X, y)
    >>> model.score(X, y)
    1.0
    >>> model.factors_.shape
    (9, 3, 3)
    """


@estimator
class FFMRegressor(_FFM, FactorizationRegressor):
    """Field-aware factorization machine regressor.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    factors_ : ndarray of shape (n_features, n_fields, n_factors)
        Factors of each column for each field, with the outputs before it where there are several; 0 for
        columns that no training row touched.
    {attributes}

    {errors}

    See Also
    --------
    FMRegressor : One vector for all fields.
    FwFMRegressor : One vector, and a weight for each pair of fields.
    FFMClassifier : The same model for classes.

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
    >>> from skfm import FFMRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> model = FFMRegressor(
    ...     4, fields=[0, 1, 2], l2_linear=0, l2_factors=1e-6, random_state=0
    ... ).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
