"""DeepFM: a factorization machine and a perceptron on shared embeddings."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from skfm.estimators.classifier import FactorizationClassifier
from skfm.estimators.declare import estimator
from skfm.estimators.parameters import FactorParameters, NetworkParameters
from skfm.estimators.regressor import FactorizationRegressor
from skfm.estimators.tables import FactorTable, LinearTable


class _DeepFM(LinearTable, FactorTable, FactorParameters, NetworkParameters):
    """What both DeepFMs share."""

    _kind = "deep"
    _needs_fields = True

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.deepfm import DeepFM

        return DeepFM(
            n_outputs,
            self.fit_intercept,
            n_fields,
            self.n_factors,
            layer_sizes(self.hidden_layer_sizes),
            self.activation,
            bool(self.batch_norm),
            self.dropout > 0,
        )


def layer_sizes(hidden_layer_sizes) -> tuple[int, ...]:
    """Sizes of hidden layers as a tuple; an integer is one layer.

    Raises
    ------
    ValueError
        If a size is no positive integer.
    """
    sizes = [hidden_layer_sizes] if np.ndim(hidden_layer_sizes) == 0 else list(hidden_layer_sizes)
    for place, size in enumerate(sizes):
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"hidden_layer_sizes[{place}] must be a positive integer, got {size!r}.")
    return tuple(int(size) for size in sizes)


@estimator
class DeepFMClassifier(_DeepFM, FactorizationClassifier):
    """DeepFM classifier: a factorization machine and a neural network on shared embeddings.

    The raw prediction of a row x is ::

        raw(x) = b + sum_j x_j w_j + sum_{i<j} x_i x_j <v_i, v_j> + MLP([E_1, .., E_F])

    where E_f is the sum of ``x_j v_j`` over the columns j of field f. Hidden layers are ``h =
    activation(W h + bias)``, with batch normalisation between the map and the activation if asked for,
    and dropout last. With several outputs the embeddings v_j are shared, and the second-order vector
    ``1/2 [(sum_j x_j v_j)^2 - sum_j (x_j v_j)^2]`` goes through a matrix C of shape (n_factors,
    n_outputs).

    {labels}

    {parameters}

    Attributes
    ----------
    {label_attributes}
    coef_ : ndarray of shape (n_outputs, n_features)
        Linear weights; 0 for columns that no training row touched.
    factors_ : ndarray of shape (n_features, n_factors)
        Embeddings, shared by the outputs; 0 for columns that no training row touched.
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
    fit minimises ::

        (1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))
        + 1/2 sum_j f_j^nu (l2_linear w_j^2 + l2_factors ||v_j||^2)
        + 1/2 l2_dense ||dense weights||^2
        + l1_linear sum_j f_j^nu |w_j|

    with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
    ``l2_frequency_power``. The dense weights are those of the network and, with several outputs, of the
    map C. With several outputs the squares are summed over them. The loss is the log loss; for several
    classes that of the softmax, for multilabel targets the sum over the labels. Intercepts and biases
    are not penalised. Columns are trained at root mean square 1 and penalised in their own units.

    An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the network)),
    at any number of columns; the first layer has n_fields * k inputs. Memory: k + n_outputs numbers a
    column, two to five times that with the state of the optimizer, once more for the best weights on
    held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

    Differences from Guo et al.: a field may have several nonzeros, whose embeddings are summed; with
    several outputs the embeddings are shared; embeddings and network are penalised; and the default
    network is smaller. Adam is lazy on the tables: moments of columns that a batch does not touch wait.

    References
    ----------
    .. [1] H. Guo, R. Tang, Y. Ye, Z. Li and X. He, "DeepFM: A Factorization-Machine based Neural Network for
       CTR Prediction", IJCAI 2017. https://doi.org/10.24963/ijcai.2017/239
    .. [2] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
       https://arxiv.org/abs/1412.6980

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

    The raw prediction of a row x is ::

        raw(x) = b + sum_j x_j w_j + sum_{i<j} x_i x_j <v_i, v_j> + MLP([E_1, .., E_F])

    where E_f is the sum of ``x_j v_j`` over the columns j of field f. Hidden layers are ``h =
    activation(W h + bias)``, with batch normalisation between the map and the activation if asked for,
    and dropout last. With several outputs the embeddings v_j are shared, and the second-order vector
    ``1/2 [(sum_j x_j v_j)^2 - sum_j (x_j v_j)^2]`` goes through a matrix C of shape (n_factors,
    n_outputs).

    {numbers}

    {parameters}

    Attributes
    ----------
    {number_attributes}
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Linear weights in units of y; 0 for columns that no training row touched.
    factors_ : ndarray of shape (n_features, n_factors)
        Embeddings, shared by the outputs; 0 for columns that no training row touched. On the scale
        of the standardised target.
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
    fit minimises ::

        (1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))
        + 1/2 sum_j f_j^nu (l2_linear w_j^2 + l2_factors ||v_j||^2)
        + 1/2 l2_dense ||dense weights||^2
        + l1_linear sum_j f_j^nu |w_j|

    with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
    ``l2_frequency_power``. The dense weights are those of the network and, with several outputs, of the
    map C. With several outputs the squares are summed over them. The target is standardised, ``(y -
    mean) / standard deviation`` with sample weights, before the loss is taken, so the penalties mean
    the same in any unit of y; ``loss="poisson"`` takes y as it is. Predictions, ``intercept_`` and
    ``coef_`` are in units of y. Intercepts and biases are not penalised. Columns are trained at root
    mean square 1 and penalised in their own units.

    An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the network)),
    at any number of columns; the first layer has n_fields * k inputs. Memory: k + n_outputs numbers a
    column, two to five times that with the state of the optimizer, once more for the best weights on
    held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

    Differences from Guo et al.: a field may have several nonzeros, whose embeddings are summed; with
    several outputs the embeddings are shared; embeddings and network are penalised; and the default
    network is smaller. Adam is lazy on the tables: moments of columns that a batch does not touch wait.

    References
    ----------
    .. [1] H. Guo, R. Tang, Y. Ye, Z. Li and X. He, "DeepFM: A Factorization-Machine based Neural Network for
       CTR Prediction", IJCAI 2017. https://doi.org/10.24963/ijcai.2017/239
    .. [2] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
       https://arxiv.org/abs/1412.6980

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
