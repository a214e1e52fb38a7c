"""Neural factorization machines."""

from __future__ import annotations

from typing import ClassVar

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.parameters import LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import LinearTable

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + sum_j x_j w_j + MLP(BI(x))
    BI(x) = sum_{i<j} x_i v_i * x_j v_j = 1/2 [(sum_j x_j v_j)^2 - sum_j (x_j v_j)^2]

with products of vectors number by number: the k numbers whose sum is the second-order term of a
factorization machine.
{network}
Batch normalisation and dropout act on BI(x) as well. Without hidden layers this is a factorization
machine with a weight for each factor."""
_NOTES = """\
An epoch costs O(nnz * k) for the second-order vectors and O(n_samples * (number of weights of the
network)), at any number of columns; the first layer has k inputs, however many fields there are. Memory:
k + n_outputs numbers a column, two to five times that with the state of the optimizer, once more for
the best weights on held-out rows, and 4 to 12 bytes a nonzero for the packed rows.

Differences from He and Chua: several outputs; embeddings and network are penalised; training starts
from random embeddings, or from those of a factorization machine with ``init_from``."""
_REFERENCES = """\
.. [1] X. He and T.-S. Chua, "Neural Factorization Machines for Sparse Predictive Analytics", SIGIR 2017.
   https://doi.org/10.1145/3077136.3080777"""


class _NFM(LinearTable, DeepEstimator, LinearParameters):
    """What both neural factorization machines share."""

    # The sum over the pairs of columns is one for all fields.
    _needs_fields = False

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.nfm import NFM

        return NFM(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_factors=self.n_factors,
            network=self._network(),
        )


@estimator
class NFMClassifier(_NFM, FactorizationClassifier):
    """Neural factorization machine classifier: a network on the second-order vector.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {embeddings}
    {attributes}

    {errors}

    See Also
    --------
    FMClassifier : The sum of the second-order vector.
    DeepFMClassifier : A network on the embeddings of all fields side by side.
    NFMRegressor : The same model for numbers.

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
    >>> from skfm import NFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> model = NFMClassifier(4, hidden_layer_sizes=8, random_state=0, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    """


@estimator
class NFMRegressor(_NFM, FactorizationRegressor):
    """Neural factorization machine regressor: a network on the second-order vector.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {embeddings}
    {attributes}

    {errors}

    See Also
    --------
    FMRegressor : The sum of the second-order vector.
    DeepFMRegressor : A network on the embeddings of all fields side by side.
    NFMClassifier : The same model for classes.

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
    >>> from skfm import NFMRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_linear": 0, "l2_factors": 0, "l2_dense": 0, "init_scale": 0.1}
    >>> model = NFMRegressor(4, hidden_layer_sizes=8, random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
