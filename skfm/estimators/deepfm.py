"""DeepFM: a factorization machine and a perceptron on shared embeddings."""

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

    raw(x) = b + sum_j x_j w_j + sum_{i<j} x_i x_j <v_i, v_j> + MLP([E_1, .., E_F])

{fields}
{network}
With several outputs the second-order vector ``1/2 [(sum_j x_j v_j)^2 - sum_j (x_j v_j)^2]`` goes
through a map to the outputs too."""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the network)),
at any number of columns; the first layer has n_fields * k inputs. Memory: k + n_outputs numbers a
column, two to five times that with the state of the optimizer, once more for the best weights on
held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

Differences from Guo et al.: a field may have several nonzeros, whose embeddings are summed; with
several outputs the embeddings are shared; embeddings and network are penalised; and the default
network is smaller. Adam [2]_ is lazy on the tables: moments of columns that a batch does not touch
wait."""
_REFERENCES = """\
.. [1] H. Guo, R. Tang, Y. Ye, Z. Li and X. He, "DeepFM: A Factorization-Machine based Neural Network for
   CTR Prediction", IJCAI 2017. https://doi.org/10.24963/ijcai.2017/239
.. [2] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
   https://arxiv.org/abs/1412.6980"""


class _DeepFM(LinearTable, DeepEstimator, LinearParameters):
    """What both DeepFMs share."""

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.deepfm import DeepFM

        return DeepFM(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
        )


@estimator
class DeepFMClassifier(_DeepFM, FactorizationClassifier):
    """DeepFM classifier: a factorization machine and a neural network on shared embeddings.

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
    LinearClassifier : The linear term alone.
    FMClassifier : Linear term and products of factors.
    MixtureFMClassifier : A gated mixture of linear models or factorization machines.
    DeepFMRegressor : The same model for numbers.

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
    >>> from skfm import DeepFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 3))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories.sum(axis=1) == 3
    >>> penalties = {"l2_factors": 1e-3, "l2_dense": 1e-3}
    >>> model = DeepFMClassifier(
    ...     4, hidden_layer_sizes=(16,), learning_rate=0.02, solver="adam", random_state=0, **penalties
    ... ).fit(X, y)
    >>> round(model.score(X, y), 1)
    1.0
    >>> model.fields_
    array([0, 0, 0, 1, 1, 1, 2, 2, 2], dtype=int32)
    """


@estimator
class DeepFMRegressor(_DeepFM, FactorizationRegressor):
    """DeepFM regressor: a factorization machine and a neural network on shared embeddings.

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
    LinearRegressor : The linear term alone.
    FMRegressor : Linear term and products of factors.
    MixtureFMRegressor : A gated mixture of linear models or factorization machines.
    DeepFMClassifier : The same model for classes.

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
    >>> from skfm import DeepFMRegressor
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 3))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = 10.0 * categories.prod(axis=1)
    >>> penalties = {"l2_factors": 1e-3, "l2_dense": 1e-3}
    >>> model = DeepFMRegressor(
    ...     4, hidden_layer_sizes=(16,), learning_rate=0.02, solver="adam", random_state=0, **penalties
    ... ).fit(X, y)
    >>> round(model.score(X, y), 1)
    1.0
    >>> model.factors_.shape
    (9, 4)
    """
