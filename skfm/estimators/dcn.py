"""Deep and cross networks."""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar

from sklearn.utils._param_validation import Interval, Options, StrOptions

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.parameters import COUNT
from skfm.estimators.base.regressor import FactorizationRegressor

_MODEL = """\
A cross network multiplies the embeddings ``x_0 = [E_1, .., E_F]`` of a row with maps of themselves, layer
by layer ::

    x_{l+1} = x_0 (x_l^T w_l) + b_l + x_l         (version 1)
    x_{l+1} = x_0 * (W_l x_l + b_l) + x_l         (version 2)

so that after L layers the numbers are polynomials of degree L + 1. The raw prediction of a row x is ::

    raw(x) = b + c^T x_L + MLP(x_0)               (structure="parallel")
    raw(x) = b + MLP(x_L)                         (structure="stacked")

{fields}
{network}"""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the networks)), at any
number of columns; a cross layer has d = n_fields * k weights in version 1, d^2 in version 2, or 2 d rank
n_experts. Memory: k numbers a column, two to five times that with the state of the optimizer, once more for
the best weights on held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

Differences from Wang et al.: numeric columns have embeddings too, scaled by their values; the maps of an
expert have no activation between them; embeddings and networks are penalised, and so are the biases of cross
layers of version 2, which multiply x_0."""
_REFERENCES = """\
.. [1] R. Wang, B. Fu, G. Fu and M. Wang, "Deep & Cross Network for Ad Click Predictions", ADKDD 2017.
   https://doi.org/10.1145/3124749.3124754
.. [2] R. Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning
   to Rank Systems", WWW 2021. https://doi.org/10.1145/3442381.3450078"""


class _DCN(DeepEstimator):
    """What both deep and cross networks share."""

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    n_cross_layers: int = parameter(
        2,
        "int",
        "Number L of cross layers; with 0 there is the network alone.",
        Interval(Integral, 0, None, closed="left"),
    )
    version: int = parameter(
        2,
        "{1, 2}",
        "Version of the cross layers: a vector of weights each, or a matrix.",
        Options(Integral, {1, 2}),
    )
    structure: str = parameter(
        "parallel",
        '{"parallel", "stacked"}',
        "Whether the network stands beside the cross layers, or on them.",
        StrOptions({"parallel", "stacked"}),
    )
    rank: int | None = parameter(
        None,
        "int or None",
        """
        Rank of the matrices of version 2, ``W_l = U_l V_l^T``; None: full. Version 1 does not use it.
        """,
        COUNT,
        None,
    )
    n_experts: int = parameter(
        1,
        "int",
        """
        Number of matrices of low rank in each layer, whose results are weighted by a softmax of a map of
        x_l. Without a ``rank`` it is not used.
        """,
        COUNT,
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.dcn import DCN

        return DCN(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
            n_cross_layers=self.n_cross_layers,
            version=self.version,
            structure=self.structure,
            rank=self.rank,
            n_experts=self.n_experts,
        )


@estimator
class DCNClassifier(_DCN, FactorizationClassifier):
    """Deep and cross network classifier.

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
    DeepFMClassifier : Products of pairs alone beside the network.
    DCNRegressor : The same model for numbers.

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
    >>> from skfm import DCNClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> model = DCNClassifier(4, hidden_layer_sizes=8, random_state=0, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    """


@estimator
class DCNRegressor(_DCN, FactorizationRegressor):
    """Deep and cross network regressor.

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
    DeepFMRegressor : Products of pairs alone beside the network.
    DCNClassifier : The same model for classes.

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
    >>> from skfm import DCNRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> model = DCNRegressor(4, hidden_layer_sizes=8, random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
