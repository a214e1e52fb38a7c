"""Field-weighted factorization machines."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.parameters import AUTO, NOT_NEGATIVE, FactorParameters, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import FactorTable, LinearTable, fitted

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + sum_j x_j w_j + sum_{i<j} r_{f(i) f(j)} x_i x_j <v_i, v_j>

where f(j) is the field of column j: a factorization machine with a weight for each pair of fields, which
says how much these two have to do with each other. Columns of one field make pairs too, where a row
has several."""
_NOTES = """\
The dense weights are ``r - 1``: a strong penalty makes this a factorization machine.

An epoch costs O((nnz + n_samples * n_fields^2) * k * n_outputs), at any number of columns. Memory:
k + 1 numbers a column and output, two to five times that with the state of the optimizer, once more for
the best weights on held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

Differences from Pan et al.: r starts at 1 and is penalised towards it; factors and r an output; the
linear term is one weight a column."""
_REFERENCES = """\
.. [1] J. Pan et al., "Field-weighted Factorization Machines for Click-Through Rate Prediction in Display
   Advertising", WWW 2018. https://doi.org/10.1145/3178876.3186040"""


class _FwFM(LinearTable, FactorTable, FactorParameters, LinearParameters):
    """What both field-weighted machines share."""

    _needs_fields = True

    l2_dense: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        Strength of the L2 penalty of the field-pair weights' deviations from 1. ``"auto"`` is that of
        ``l2_factors``.
        """,
        AUTO,
        NOT_NEGATIVE,
    )

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.fwfm import FwFM

        return FwFM(
            n_outputs=n_outputs, fit_intercept=self.fit_intercept, n_fields=n_fields, n_factors=self.n_factors
        )

    @fitted
    def pair_weights_(self):
        """Weight of each pair of fields, shape (n_fields, n_fields), or (n_outputs, n_fields, n_fields)."""
        weights = np.asarray(self._model.pair_weights(self._parameters.dense), dtype=np.float64)
        return weights[0] if weights.shape[0] == 1 else weights


@estimator
class FwFMClassifier(_FwFM, FactorizationClassifier):
    """Field-weighted factorization machine classifier.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {factors}
    pair_weights_ : ndarray of shape (n_fields, n_fields) or (n_outputs, n_fields, n_fields)
        Weights r of pairs of fields, symmetric.
    {attributes}

    {errors}

    See Also
    --------
    FMClassifier : All pairs of fields alike.
    FwFMRegressor : The same model for numbers.

    Notes
    -----
    {objective}

    {notes}

    References
    ----------
    {references}

    Examples
    --------
    The first two columns of a table have to do with each other, the third with neither.

    >>> import numpy as np
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FwFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 3))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "random_state": 0}
    >>> model = FwFMClassifier(3, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    >>> r = model.pair_weights_
    >>> bool(r[0, 1] > 2 * abs(r[0, 2])), r.shape
    (True, (3, 3))
    """


@estimator
class FwFMRegressor(_FwFM, FactorizationRegressor):
    """Field-weighted factorization machine regressor.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {factors}
    pair_weights_ : ndarray of shape (n_fields, n_fields) or (n_outputs, n_fields, n_fields)
        Weights r of pairs of fields, symmetric.
    {attributes}

    {errors}

    See Also
    --------
    FMRegressor : All pairs of fields alike.
    FwFMClassifier : The same model for classes.

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
    >>> from skfm import FwFMRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> model = FwFMRegressor(
    ...     4, fields=[0, 1, 2], l2_linear=0, l2_factors=1e-6, l2_dense=1e-6, random_state=0
    ... ).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
