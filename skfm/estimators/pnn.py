"""Product-based neural networks."""

from __future__ import annotations

from typing import ClassVar

from sklearn.utils._param_validation import StrOptions

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.regressor import FactorizationRegressor

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + MLP([E_1, .., E_F, products])

{fields}
The products are those of all pairs f < g of fields: inner products ``<E_f, E_g>``, outer products taken
with a kernel, ``E_f^T K_fg E_g`` with a matrix of k x k numbers a pair, or both.
{network}"""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings, O(n_samples * n_fields^2 * k) for inner and k times that for
outer products, and O(n_samples * (number of weights of the network)), at any number of columns; the
first layer has n_fields * k inputs and one for each product. Memory: k numbers a column, two to five times
that with the state of the optimizer, once more for the best weights on held-out rows, and 4 to 16 bytes a
nonzero for the packed rows.

Differences from Qu et al.: products go into the network as they are, not through a layer of their own;
each pair of fields has its kernel, where theirs are pooled; embeddings, kernels and network are
penalised."""
_REFERENCES = """\
.. [1] Y. Qu et al., "Product-based Neural Networks for User Response Prediction", ICDM 2016.
   https://doi.org/10.1109/ICDM.2016.0151"""


class _PNN(DeepEstimator):
    """What both product-based networks share."""

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    product: str = parameter(
        "inner",
        '{"inner", "outer", "both"}',
        "Products of the embeddings of two fields.",
        StrOptions({"inner", "outer", "both"}),
    )
    layer_norm: bool = parameter(
        False,
        "bool",
        "Whether the products of a row are normalised to mean 0 and variance 1, with a gain and a bias each.",
        "boolean",
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.pnn import PNN

        return PNN(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
            product=self.product,
            layer_norm=bool(self.layer_norm),
        )


@estimator
class PNNClassifier(_PNN, FactorizationClassifier):
    """Product-based neural network classifier.

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
    DeepFMClassifier : The sum of all products beside the network.
    PNNRegressor : The same model for numbers.

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
    >>> from skfm import PNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> model = PNNClassifier(4, hidden_layer_sizes=8, random_state=0, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    """


@estimator
class PNNRegressor(_PNN, FactorizationRegressor):
    """Product-based neural network regressor.

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
    DeepFMRegressor : The sum of all products beside the network.
    PNNClassifier : The same model for classes.

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
    >>> from skfm import PNNRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> model = PNNRegressor(4, hidden_layer_sizes=8, random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
