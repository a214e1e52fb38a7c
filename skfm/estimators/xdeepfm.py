"""xDeepFM: a compressed interaction network beside a linear term and a perceptron."""

from __future__ import annotations

from typing import ClassVar

from sklearn.utils._param_validation import StrOptions

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator, layer_sizes
from skfm.estimators.base.parameters import COUNT, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import LinearTable

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + sum_j x_j w_j + c^T [sum_k X^1, .., sum_k X^L] + MLP([E_1, .., E_F])
    X^l_h = activation(sum_{i,f} W^l_{h,i,f} X^{l-1}_i * E_f),    X^0 = [E_1, .., E_F]

{fields}
The compressed interaction network multiplies vectors number by number: row h of layer l is a sum of
products of l + 1 embeddings, whose numbers are then summed up.
{network}"""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings, O(n_samples * n_fields * k * H_{l-1} * H_l) for a layer of
the compressed interaction network, and O(n_samples * (number of weights of the network)), at any number
of columns. The first layer takes each pair of fields once; the last one, without an activation, is added
up over its rows before it is made, and costs no more than one row an output. Memory: k + n_outputs
numbers a column, two to five times that with the state of the optimizer, once more for the best weights
on held-out rows, 4 to 16 bytes a nonzero for the packed rows, and n_fields * k * H_l numbers for each row
of a batch.

Differences from Lian et al.: all rows of a layer go on to the next one and to the output, where theirs
may be split; embeddings and networks are penalised."""
_REFERENCES = """\
.. [1] J. Lian et al., "xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender
   Systems", KDD 2018. https://doi.org/10.1145/3219819.3220023"""


class _XDeepFM(LinearTable, DeepEstimator, LinearParameters):
    """What both xDeepFMs share."""

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    cin_layer_sizes: tuple[int, ...] | int = parameter(
        (32, 32),
        "int or array-like of int",
        """
        Rows H_l of each layer of the compressed interaction network; an int is one layer, an empty tuple
        none.
        """,
        "array-like",
        COUNT,
    )
    cin_activation: str = parameter(
        "identity",
        '{"identity", "relu", "tanh"}',
        "Activation of the compressed interaction network.",
        StrOptions({"identity", "relu", "tanh"}),
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.xdeepfm import XDeepFM

        return XDeepFM(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
            cin_layer_sizes=layer_sizes(self.cin_layer_sizes, "cin_layer_sizes"),
            cin_activation=self.cin_activation,
        )


@estimator
class XDeepFMClassifier(_XDeepFM, FactorizationClassifier):
    """xDeepFM classifier: products of several embeddings beside a linear term and a network.

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
    DeepFMClassifier : Products of pairs, summed up.
    DCNClassifier : Products of maps of all numbers.
    XDeepFMRegressor : The same model for numbers.

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
    >>> from skfm import XDeepFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> sizes = {"hidden_layer_sizes": 8, "cin_layer_sizes": 4}
    >>> model = XDeepFMClassifier(4, random_state=0, **sizes, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    """


@estimator
class XDeepFMRegressor(_XDeepFM, FactorizationRegressor):
    """xDeepFM regressor: products of several embeddings beside a linear term and a network.

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
    DeepFMRegressor : Products of pairs, summed up.
    DCNRegressor : Products of maps of all numbers.
    XDeepFMClassifier : The same model for classes.

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
    >>> from skfm import XDeepFMRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> sizes = {"hidden_layer_sizes": 8, "cin_layer_sizes": 4}
    >>> model = XDeepFMRegressor(4, random_state=0, **sizes, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
