"""Neural networks that start from a factorization machine."""

from __future__ import annotations

from typing import Any, ClassVar

from skfm.estimators import fm, nfm
from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.parameters import LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.start import tables_of

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + MLP([w_1, E_1, .., w_F, E_F])

with w_f the sum of ``x_j w_j`` over the columns j of field f.
{fields}
The weights w_j and embeddings v_j start from those of a factorization machine that is fitted first.
{network}"""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the network)), at any
number of columns; the first layer has n_fields * (k + n_outputs) inputs. The machine's fit comes before.
Memory: k + n_outputs numbers a column, two to five times that with the state of the optimizer, once more for
the best weights on held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

Differences from Zhang et al.: network and embeddings are trained together from there on, without the layer by
layer pre-training of the network; any field may have several nonzeros. With several outputs the machine has
one table of factors and a weight of each factor for each output, which is :class:`NFMClassifier` without
hidden layers."""
_REFERENCES = """\
.. [1] W. Zhang, T. Du and J. Wang, "Deep Learning over Multi-field Categorical Data: A Case Study on User
   Response Prediction", ECIR 2016. https://doi.org/10.1007/978-3-319-30671-1_4"""


class _FNN(DeepEstimator, LinearParameters):
    """What both share."""

    machine_: Any
    # For one output, and for several.
    _machines: ClassVar[tuple]
    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    pretrain: bool = parameter(
        True,
        "bool",
        """
        Whether to fit a factorization machine first, on the same rows and with the same parameters, and start
        from its weights and factors. Not done with ``init_from``, nor by partial_fit, nor by a warm start.
        """,
        "boolean",
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.fnn import FNN

        return FNN(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
        )

    def _start(self, model, part, held, incremental):
        self.machine_ = None
        if self.init_from is not None:
            return tables_of(self.init_from, model)
        if not self.pretrain or incremental:
            return None
        kind = type(self)._machines[self._n_outputs > 1]
        ours = self.get_params(deep=False)
        plain = ours | {"hidden_layer_sizes": (), "dropout": 0.0, "batch_norm": False}
        machine = kind(**{name: plain[name] for name in kind().get_params() if name in ours})
        # What fit has learned of X and y so far.
        vars(machine).update({name: value for name, value in vars(self).items() if name not in ours})
        self.machine_ = machine._fit_parts(part, held, None, None)
        return tables_of(machine, model)


@estimator
class FNNClassifier(_FNN, FactorizationClassifier):
    """Factorization-machine supported neural network classifier.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {embeddings}
    machine_ : estimator or None
        The factorization machine that training started from, if one was fitted.
    {attributes}

    {errors}

    See Also
    --------
    FMClassifier : The machine that it starts from.
    DeepFMClassifier : Machine and network trained together.
    FNNRegressor : The same model for numbers.

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
    >>> from skfm import FNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> settings |= {"activation": "tanh", "tol": 0.01}
    >>> model = FNNClassifier(4, hidden_layer_sizes=16, random_state=0, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    >>> model.machine_.factors_.shape
    (6, 4)
    """

    _machines = fm.FMClassifier, nfm.NFMClassifier


@estimator
class FNNRegressor(_FNN, FactorizationRegressor):
    """Factorization-machine supported neural network regressor.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {embeddings}
    machine_ : estimator or None
        The factorization machine that training started from, if one was fitted.
    {attributes}

    {errors}

    See Also
    --------
    FMRegressor : The machine that it starts from.
    DeepFMRegressor : Machine and network trained together.
    FNNClassifier : The same model for classes.

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
    >>> from skfm import FNNRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> model = FNNRegressor(4, hidden_layer_sizes=16, random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """

    _machines = fm.FMRegressor, nfm.NFMRegressor
