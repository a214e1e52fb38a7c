"""Deep Crossing: residual units on the embeddings of the fields."""

from __future__ import annotations

from typing import ClassVar

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.regressor import FactorizationRegressor

_MODEL = """\
The raw prediction of a row x is ``b + c^T x_L``, with residual units on ``x_0 = [E_1, .., E_F]`` ::

    x_{l+1} = activation(x_l + V_l activation(W_l x_l + c_l) + d_l)

{fields}
The two layers of a unit change what goes in rather than replace it; ``hidden_layer_sizes`` has the
width of each unit's inner layer, which has batch normalisation before its activation and dropout after
it if asked for."""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings and O(n_samples * 2 d H_l) for a unit of width H_l, d being
n_fields * k, at any number of columns. Memory: k numbers a column, two to five times that with the
state of the optimizer, once more for the best weights on held-out rows, and 4 to 16 bytes a nonzero for
the packed rows.

Differences from Shan et al.: every field has an embedding of k numbers, where they take narrow columns
as they are; embeddings and units are penalised."""
_REFERENCES = """\
.. [1] Y. Shan et al., "Deep Crossing: Web-Scale Modeling without Manually Crafted Combinatorial Features",
   KDD 2016. https://doi.org/10.1145/2939672.2939704"""


class _DeepCrossing(DeepEstimator):
    """What both share."""

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.deep_crossing import DeepCrossing

        return DeepCrossing(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
        )


@estimator
class DeepCrossingClassifier(_DeepCrossing, FactorizationClassifier):
    """Deep Crossing classifier: residual units on embeddings.

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
    DCNClassifier : Products of maps of the embeddings.
    DeepFMClassifier : Layers without shortcuts, beside a factorization machine.
    DeepCrossingRegressor : The same model for numbers.

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
    >>> from skfm import DeepCrossingClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> settings |= {"activation": "tanh", "tol": 0.01}
    >>> model = DeepCrossingClassifier(4, hidden_layer_sizes=(16, 16), random_state=0, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    """


@estimator
class DeepCrossingRegressor(_DeepCrossing, FactorizationRegressor):
    """Deep Crossing regressor: residual units on embeddings.

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
    DCNRegressor : Products of maps of the embeddings.
    DeepFMRegressor : Layers without shortcuts, beside a factorization machine.
    DeepCrossingClassifier : The same model for classes.

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
    >>> from skfm import DeepCrossingRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> model = DeepCrossingRegressor(4, hidden_layer_sizes=(16, 16), random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
