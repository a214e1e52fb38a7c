"""Linear models on the tables and solvers of the factorization machines."""

from __future__ import annotations

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator
from skfm.estimators.base.parameters import LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import LinearTable


class _Linear(LinearTable, LinearParameters):
    """What both linear estimators share."""

    _kind = "convex"

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.linear import Linear

        return Linear(n_outputs=n_outputs, fit_intercept=self.fit_intercept)


@estimator
class LinearClassifier(_Linear, FactorizationClassifier):
    """Linear classifier: logistic and softmax regression on sparse rows.

    The raw prediction of a row x is ::

        raw(x) = b + sum_j x_j w_j

    It has the data handling, the solvers and the penalties of the other estimators, which makes it the
    baseline for them.

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {attributes}

    {errors}

    See Also
    --------
    FMClassifier : Linear term and products of factors.
    DeepFMClassifier : A factorization machine and a neural network on shared embeddings.
    MixtureFMClassifier : A gated mixture of linear models or factorization machines.
    LinearRegressor : The same model for numbers.

    Notes
    -----
    {objective}

    An epoch costs O(nnz), nnz being the nonzeros of X, at any number of columns. Memory: one number a
    column and output, two to five with the state of the optimizer, one more for the best weights on
    held-out rows, and 4 to 12 bytes a nonzero for the packed rows.

    With ``l2_frequency_power=0`` this is the problem of
    :class:`~sklearn.linear_model.LogisticRegression` with ``C = 1 / (l2_linear * sum_i s_i)``. Where
    McMahan et al. charge the L2 penalty once, here it adds up over the steps as the L1 penalty does, so
    that FTRL minimises the objective above.

    References
    ----------
    .. [1] H. B. McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013.
       https://doi.org/10.1145/2487575.2488200
    .. [2] J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
       Optimization", JMLR 12, 2011. https://jmlr.org/papers/v12/duchi11a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import LinearClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = np.where(categories[:, 0] == 2, "yes", "no")
    >>> model = LinearClassifier().fit(X, y)
    >>> model.predict(X[:3]).tolist(), model.score(X, y)
    (['yes', 'no', 'no'], 1.0)
    """


@estimator
class LinearRegressor(_Linear, FactorizationRegressor):
    """Linear regressor on sparse rows.

    The raw prediction of a row x is ::

        raw(x) = b + sum_j x_j w_j

    It has the data handling, the solvers and the penalties of the other estimators, which makes it the
    baseline for them.

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {attributes}

    {errors}

    See Also
    --------
    FMRegressor : Linear term and products of factors.
    DeepFMRegressor : A factorization machine and a neural network on shared embeddings.
    MixtureFMRegressor : A gated mixture of linear models or factorization machines.
    LinearClassifier : The same model for classes.

    Notes
    -----
    {objective}

    An epoch costs O(nnz), nnz being the nonzeros of X, at any number of columns. Memory: one number a
    column and output, two to five with the state of the optimizer, one more for the best weights on
    held-out rows, and 4 to 12 bytes a nonzero for the packed rows.

    With ``l2_frequency_power=0`` and the squared error this is the problem of
    :class:`~sklearn.linear_model.Ridge` with ``alpha = l2_linear * sum_i s_i``. Where McMahan et al.
    charge the L2 penalty once, here it adds up over the steps as the L1 penalty does, so that FTRL
    minimises the objective above.

    References
    ----------
    .. [1] H. B. McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013.
       https://doi.org/10.1145/2487575.2488200
    .. [2] J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
       Optimization", JMLR 12, 2011. https://jmlr.org/papers/v12/duchi11a.html

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import LinearRegressor
    >>> X = np.random.default_rng(0).random((500, 20))
    >>> y = 3 * X[:, 0] + 100
    >>> model = LinearRegressor(l2_linear=0).fit(X, y)
    >>> round(float(model.coef_[0]), 2), round(float(model.intercept_), 2)
    (3.0, 100.0)
    """
