"""Mixtures of factorization machines."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.parameters import COUNT, FactorParameters, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import MixtureTables

_FORMS = "linear", "fm", "linear+fm"


class _MixtureFM(MixtureTables, FactorParameters, LinearParameters):
    """What both mixtures share."""

    n_components: int = parameter(
        2, "int", "Number M of components, each a gate and an expert.", COUNT, kw_only=False
    )
    gate: str = parameter(
        "linear",
        '{"linear", "fm", "linear+fm"}',
        """
        Form of the gates: a linear term, the second-order term of a factorization machine, or their sum.
        """,
        StrOptions(set(_FORMS)),
    )
    expert: str = parameter(
        "linear+fm",
        '{"linear", "fm", "linear+fm"}',
        "Form of the experts, likewise.",
        StrOptions(set(_FORMS)),
    )
    mixing: str = parameter(
        "probability",
        '{"score", "probability"}',
        """
        What the gate averages: the raw predictions of the experts, or their predictions after the inverse
        link, such as probabilities. Of the losses for numbers the two differ for Poisson only.
        """,
        StrOptions({"score", "probability"}),
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.mixture import MixtureFM

        return MixtureFM(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_components=self.n_components,
            n_factors=self.n_factors,
            gate=self.gate,
            expert=self.expert,
            link=link if self.mixing == "probability" else None,
        )

    def gate_proba(self, X):
        """Probability of each component, ``softmax(g_1(x), .., g_M(x))``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_components)
            Rows sum to 1.
        """
        check_is_fitted(self)
        return softmax(self._map(type(self._model).log_gate, X).astype(np.float64), axis=1)


@estimator
class MixtureFMClassifier(_MixtureFM, FactorizationClassifier):
    """Mixture of factorization machines classifier; LS-PLM where all pieces are linear.

    A gate shares each row x out among M experts ::

        p(x) = softmax(g_1(x), .., g_M(x))
        P(y | x) = sum_m p_m(x) link^-1(h_m(x))    (mixing="probability")
        raw(x) = sum_m p_m(x) h_m(x)               (mixing="score")

    Each gate g_m and each expert h_m is linear, ``sum_j x_j w_j``, the second-order term of a
    factorization machine, ``sum_{i<j} x_i x_j <v_i, v_j>``, or their sum, plus an intercept. Linear
    gates and experts make the piece-wise linear model LS-PLM.

    Two classes have one raw prediction, the log odds of ``classes_[1]``; more classes have one each,
    under a softmax. Targets of shape (n_samples, n_labels) with 0 and 1 are multilabel.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; 0, 1, .. for multilabel targets.
    intercept_ : ndarray of shape (n_components, n_outputs)
        Intercepts of the experts. n_outputs is 1 for two classes, else the number of classes or
        labels.
    expert_coef_ : ndarray of shape (n_components, n_outputs, n_features)
        Linear weights of the experts, if they have some.
    expert_factors_ : ndarray of shape (n_components, n_features, n_factors)
        Factors of the experts, if they have some; with several outputs of shape (n_components,
        n_outputs, n_features, n_factors).
    gate_intercept_ : ndarray of shape (n_components,)
        Intercepts of the gates.
    gate_coef_ : ndarray of shape (n_components, n_features)
        Linear weights of the gates, if they have some.
    gate_factors_ : ndarray of shape (n_components, n_features, n_factors)
        Factors of the gates, if they have some.
    {attributes}

    {errors}

    See Also
    --------
    LinearClassifier : The linear term alone.
    FMClassifier : Linear term and products of factors.
    DeepFMClassifier : A factorization machine and a neural network on shared embeddings.
    MixtureFMRegressor : The same model for numbers.

    Notes
    -----
    fit minimises ::

        (1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))
        + 1/2 sum_j f_j^nu (l2_linear ||w_j||^2 + l2_factors ||v_j||^2)
        + l1_linear sum_j f_j^nu |w_j|_1

    with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
    ``l2_frequency_power``. w_j holds the linear weights of column j in all gates and experts, v_j its
    factors. With several outputs the squares are summed over them. The loss is the log loss; for
    several classes that of the softmax, for multilabel targets the sum over the labels. Intercepts are
    not penalised. Columns are trained at root mean square 1 and penalised in their own units.

    An epoch costs O(nnz * W), nnz being the nonzeros of X and W the numbers of a column, M or M k for
    the gates and as many for each output of the experts, at any number of columns. Memory: W numbers a
    column, two to five times that with the state of the optimizer, once more for the best weights on
    held-out rows, and 4 to 12 bytes a nonzero for the packed rows.

    Differences from Gai et al.: the penalties are those above, without their L2,1 norm over the pieces,
    and so are the solvers; gates and experts may be factorization machines; gates start at random, far
    enough apart for the pieces to differ. The objective has many minima: try several ``random_state``.

    References
    ----------
    .. [1] K. Gai, X. Zhu, H. Li, K. Liu and Z. Wang, "Learning Piece-wise Linear Models from Large Scale Data
       for Ad Click Prediction", 2017. https://arxiv.org/abs/1704.05194
    .. [2] S. Rendle, "Factorization Machines", ICDM 2010. https://doi.org/10.1109/ICDM.2010.127

    Examples
    --------
    In one region a column speaks for the label, in the other against it, so no linear model can do it.

    >>> import numpy as np
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import MixtureFMClassifier
    >>> rng = np.random.default_rng(0)
    >>> region, column = rng.integers(2, size=(2, 400))
    >>> X = OneHotEncoder().fit_transform(np.column_stack([region, column]))
    >>> y = region ^ column
    >>> model = MixtureFMClassifier(2, expert="linear", l2_linear=1e-3, random_state=0).fit(X, y)
    >>> model.score(X, y)
    1.0
    >>> model.gate_proba(X).shape, model.expert_coef_.shape
    ((400, 2), (2, 1, 4))
    """


@estimator
class MixtureFMRegressor(_MixtureFM, FactorizationRegressor):
    """Mixture of factorization machines regressor.

    A gate shares each row x out among M experts ::

        p(x) = softmax(g_1(x), .., g_M(x))
        raw(x) = sum_m p_m(x) h_m(x)

    Each gate g_m and each expert h_m is linear, ``sum_j x_j w_j``, the second-order term of a
    factorization machine, ``sum_{i<j} x_i x_j <v_i, v_j>``, or their sum, plus an intercept. Linear
    gates and experts make the piece-wise linear model LS-PLM.

    The prediction is ``raw(x)`` in units of y; with ``loss="poisson"`` it is ``sum_m p_m(x)
    exp(h_m(x))`` or, with ``mixing="score"``, ``exp(raw(x))``. Targets of shape (n_samples, n_outputs)
    get one raw prediction an output; they share the gates.

    {parameters}

    Attributes
    ----------
    intercept_ : ndarray of shape (n_components,) or (n_components, n_outputs)
        Intercepts of the experts, in units of y; one axis less where y was a vector.
    expert_coef_ : ndarray of shape (n_components, n_features) or (n_components, n_outputs, n_features)
        Linear weights of the experts, if they have some, in units of y.
    expert_factors_ : ndarray of shape (n_components, n_features, n_factors)
        Factors of the experts, if they have some, on the scale of the standardised target; with
        several outputs of shape (n_components, n_outputs, n_features, n_factors).
    gate_intercept_ : ndarray of shape (n_components,)
        Intercepts of the gates.
    gate_coef_ : ndarray of shape (n_components, n_features)
        Linear weights of the gates, if they have some.
    gate_factors_ : ndarray of shape (n_components, n_features, n_factors)
        Factors of the gates, if they have some.
    {attributes}

    {errors}

    See Also
    --------
    LinearRegressor : The linear term alone.
    FMRegressor : Linear term and products of factors.
    DeepFMRegressor : A factorization machine and a neural network on shared embeddings.
    MixtureFMClassifier : The same model for classes.

    Notes
    -----
    fit minimises ::

        (1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))
        + 1/2 sum_j f_j^nu (l2_linear ||w_j||^2 + l2_factors ||v_j||^2)
        + l1_linear sum_j f_j^nu |w_j|_1

    with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
    ``l2_frequency_power``. w_j holds the linear weights of column j in all gates and experts, v_j its
    factors. With several outputs the squares are summed over them. The target is standardised, ``(y -
    mean) / standard deviation`` with sample weights, before the loss is taken, so the penalties mean
    the same in any unit of y; ``loss="poisson"`` takes y as it is. Predictions, ``intercept_`` and
    ``expert_coef_`` are in units of y. Intercepts are not penalised. Columns are trained at root mean
    square 1 and penalised in their own units.

    An epoch costs O(nnz * W), nnz being the nonzeros of X and W the numbers of a column, M or M k for
    the gates and as many for each output of the experts, at any number of columns. Memory: W numbers a
    column, two to five times that with the state of the optimizer, once more for the best weights on
    held-out rows, and 4 to 12 bytes a nonzero for the packed rows.

    Differences from Gai et al.: the penalties are those above, without their L2,1 norm over the pieces,
    and so are the solvers; gates and experts may be factorization machines; gates start at random, far
    enough apart for the pieces to differ. The objective has many minima: try several ``random_state``.

    References
    ----------
    .. [1] K. Gai, X. Zhu, H. Li, K. Liu and Z. Wang, "Learning Piece-wise Linear Models from Large Scale Data
       for Ad Click Prediction", 2017. https://arxiv.org/abs/1704.05194
    .. [2] S. Rendle, "Factorization Machines", ICDM 2010. https://doi.org/10.1109/ICDM.2010.127

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import MixtureFMRegressor
    >>> rng = np.random.default_rng(0)
    >>> region, column = rng.integers(2, size=(2, 400))
    >>> X = OneHotEncoder().fit_transform(np.column_stack([region, column]))
    >>> y = 10.0 * (region ^ column)
    >>> model = MixtureFMRegressor(2, expert="linear", l2_linear=1e-4, random_state=0).fit(X, y)
    >>> round(model.score(X, y), 2)
    1.0
    >>> model.gate_coef_.shape, model.expert_coef_.shape
    ((2, 4), (2, 4))
    """
