"""Factorization machines."""

from __future__ import annotations

from numbers import Integral

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.parameters import FactorParameters, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import FactorTable, LinearTable, fitted


class _FM(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    LinearTable,
    FactorTable,
    FactorParameters,
    LinearParameters,
):
    """What both factorization machines share."""

    fit_linear: bool = parameter(
        True, "bool", "Whether there is a linear term. Without it there is no ``coef_``.", "boolean"
    )

    degree: int = parameter(
        2,
        "int",
        """
        Greatest number of columns that are multiplied. Each order from 2 on has factors of its own, and adds
        the sum over all sets of that many columns.
        """,
        Interval(Integral, 2, None, closed="left"),
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.fm import FM

        return FM(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_factors=self.n_factors,
            fit_linear=self.fit_linear,
            degree=self.degree,
        )

    def transform(self, X):
        """Second-order vector: 1/2 [(sum_s e_s)^2 - sum_s e_s^2], whose sum is the second-order term.

        With a higher ``degree`` the vectors of the other orders follow it.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to transform.

        Returns
        -------
        cross : ndarray of shape (n_samples, n_outputs * (degree - 1) * n_factors)
            The vectors of the outputs side by side.
        """
        check_is_fitted(self)
        return self._map(type(self._model).cross_features, X)

    @property
    def _n_features_out(self):
        return self._n_outputs * (self._model.degree - 1) * self._model.n_factors

    @fitted
    def higher_factors_(self):
        """Factors of the orders 3 to ``degree``, each in the shape of ``factors_``."""
        return [self._factors(name, order) for name, order in self._model.higher.items()]


@estimator
class FMClassifier(_FM, FactorizationClassifier):
    """Factorization machine classifier.

    The raw prediction of a row x is ::

        raw(x) = b + sum_j x_j w_j + sum_{i<j} x_i x_j <v_i, v_j>

    with a vector v_j of ``n_factors`` numbers for each column: the weight of a pair of columns is the
    product of their factors, so pairs that never met in training get one too. The sum over the pairs is
    computed as ``1/2 sum_f [(sum_j x_j v_jf)^2 - sum_j x_j^2 v_jf^2]``, in the time of the nonzeros. With
    ``degree`` 3 or more there are products of so many columns as well, with factors of their own.

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    coef_ : ndarray of shape (n_outputs, n_features)
        Linear weights; 0 for columns that no training row touched. Not there with
        ``fit_linear=False``.
    {factors}
    higher_factors_ : list of ndarray
        Factors of the orders 3 to ``degree``, each in the shape of ``factors_``.
    {attributes}

    {errors}

    See Also
    --------
    LinearClassifier : The linear term alone.
    DeepFMClassifier : A factorization machine and a neural network on shared embeddings.
    MixtureFMClassifier : A gated mixture of linear models or factorization machines.
    FMRegressor : The same model for numbers.

    Notes
    -----
    {objective}

    An epoch costs O(nnz * k * n_outputs * degree^2), nnz being the nonzeros of X, at any number of columns.
    Memory: k + 1 numbers a column and output, two to five times that with the state of the optimizer,
    once more for the best weights on held-out rows, and 4 to 12 bytes a nonzero for the packed rows.

    Differences from Rendle: one table of factors for each class, under a softmax, where there are more
    than two classes; AdaGrad and L-BFGS in place of plain stochastic gradient descent; and by default a
    rare column is penalised as much as a frequent one (``l2_frequency_power``).

    References
    ----------
    .. [1] S. Rendle, "Factorization Machines", ICDM 2010. https://doi.org/10.1109/ICDM.2010.127
    .. [2] J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
       Optimization", JMLR 12, 2011. https://jmlr.org/papers/v12/duchi11a.html
    .. [3] M. Blondel, A. Fujino, N. Ueda and M. Ishihata, "Higher-Order Factorization Machines", NIPS 2016.
       https://arxiv.org/abs/1607.07195

    Examples
    --------
    Two categories interact: the label says whether they are equal, which no linear model can tell.

    >>> import numpy as np
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FMClassifier, LinearClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> model = FMClassifier(n_factors=3, l2_factors=1e-3, random_state=0).fit(X, y)
    >>> model.score(X, y), round(LinearClassifier().fit(X, y).score(X, y), 1)
    (1.0, 0.7)
    >>> model.fields_
    array([0, 0, 0, 1, 1, 1], dtype=int32)
    >>> model.transform(X).shape
    (300, 3)
    """


@estimator
class FMRegressor(_FM, FactorizationRegressor):
    """Factorization machine regressor.

    The raw prediction of a row x is ::

        raw(x) = b + sum_j x_j w_j + sum_{i<j} x_i x_j <v_i, v_j>

    with a vector v_j of ``n_factors`` numbers for each column: the weight of a pair of columns is the
    product of their factors, so pairs that never met in training get one too. The sum over the pairs is
    computed as ``1/2 sum_f [(sum_j x_j v_jf)^2 - sum_j x_j^2 v_jf^2]``, in the time of the nonzeros. With
    ``degree`` 3 or more there are products of so many columns as well, with factors of their own.

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Linear weights in units of y; 0 for columns that no training row touched. Not there with
        ``fit_linear=False``.
    factors_ : ndarray of shape (n_features, n_factors) or (n_outputs, n_features, n_factors)
        Factors; 0 for columns that no training row touched. On the scale of the standardised
        target: the second-order term is computed from them and then multiplied by the standard
        deviation of y.
    higher_factors_ : list of ndarray
        Factors of the orders 3 to ``degree``, each in the shape of ``factors_``.
    {attributes}

    {errors}

    See Also
    --------
    LinearRegressor : The linear term alone.
    DeepFMRegressor : A factorization machine and a neural network on shared embeddings.
    MixtureFMRegressor : A gated mixture of linear models or factorization machines.
    FMClassifier : The same model for classes.

    Notes
    -----
    {objective}

    An epoch costs O(nnz * k * n_outputs * degree^2), nnz being the nonzeros of X, at any number of columns.
    Memory: k + 1 numbers a column and output, two to five times that with the state of the optimizer,
    once more for the best weights on held-out rows, and 4 to 12 bytes a nonzero for the packed rows.

    Differences from Rendle: one table of factors for each output; AdaGrad and L-BFGS in place of plain
    stochastic gradient descent; and by default a rare column is penalised as much as a frequent one
    (``l2_frequency_power``).

    References
    ----------
    .. [1] S. Rendle, "Factorization Machines", ICDM 2010. https://doi.org/10.1109/ICDM.2010.127
    .. [2] J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
       Optimization", JMLR 12, 2011. https://jmlr.org/papers/v12/duchi11a.html
    .. [3] M. Blondel, A. Fujino, N. Ueda and M. Ishihata, "Higher-Order Factorization Machines", NIPS 2016.
       https://arxiv.org/abs/1607.07195

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FMRegressor
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = 10 + 5 * (categories[:, 0] == categories[:, 1])
    >>> model = FMRegressor(n_factors=3, l2_factors=1e-4, random_state=0).fit(X, y)
    >>> round(model.score(X, y), 2)
    1.0
    >>> model.coef_.shape, model.factors_.shape
    ((6,), (6, 3))
    """
