"""DeepFM: a factorization machine and a perceptron on shared embeddings."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skfm.estimators.classifier import FactorizationClassifier
from skfm.estimators.regressor import FactorizationRegressor
from skfm.estimators.tables import FactorTable, LinearTable


class _DeepFM(LinearTable, FactorTable):
    """What both DeepFMs share."""

    _kind = "deep"
    _needs_fields = True
    _own_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [
            StrOptions({"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"})
        ],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
    }

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


class DeepFMClassifier(_DeepFM, FactorizationClassifier):
    """DeepFM classifier."""

    _parameter_constraints = {**FactorizationClassifier._parameter_constraints, **_DeepFM._own_constraints}

    def __init__(
        self,
        n_factors=10,
        *,
        hidden_layer_sizes=(128, 64),
        activation="relu",
        dropout=0.0,
        batch_norm=False,
        fit_intercept=True,
        fields="auto",
        solver="auto",
        learning_rate="auto",
        learning_rate_schedule="plateau",
        max_iter=200,
        batch_size="auto",
        l1_linear=0.0,
        l2_linear="auto",
        l2_factors="auto",
        l2_frequency_power=0.0,
        l2_dense="auto",
        init_scale=0.01,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=3,
        tol=1e-4,
        scoring="loss",
        class_weight=None,
        warm_start=False,
        init_from=None,
        random_state=None,
        verbose=0,
        dtype="auto",
    ):
        self.n_factors = n_factors
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.fit_intercept = fit_intercept
        self.fields = fields
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.l1_linear = l1_linear
        self.l2_linear = l2_linear
        self.l2_factors = l2_factors
        self.l2_frequency_power = l2_frequency_power
        self.l2_dense = l2_dense
        self.init_scale = init_scale
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.scoring = scoring
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.init_from = init_from
        self.random_state = random_state
        self.verbose = verbose
        self.dtype = dtype


class DeepFMRegressor(_DeepFM, FactorizationRegressor):
    """DeepFM regressor."""

    _parameter_constraints = {**FactorizationRegressor._parameter_constraints, **_DeepFM._own_constraints}

    def __init__(
        self,
        n_factors=10,
        *,
        hidden_layer_sizes=(128, 64),
        activation="relu",
        dropout=0.0,
        batch_norm=False,
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.35,
        fit_intercept=True,
        fields="auto",
        solver="auto",
        learning_rate="auto",
        learning_rate_schedule="plateau",
        max_iter=200,
        batch_size="auto",
        l1_linear=0.0,
        l2_linear="auto",
        l2_factors="auto",
        l2_frequency_power=0.0,
        l2_dense="auto",
        init_scale=0.01,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=3,
        tol=1e-4,
        scoring="loss",
        warm_start=False,
        init_from=None,
        random_state=None,
        verbose=0,
        dtype="auto",
    ):
        self.n_factors = n_factors
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.fit_intercept = fit_intercept
        self.fields = fields
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.l1_linear = l1_linear
        self.l2_linear = l2_linear
        self.l2_factors = l2_factors
        self.l2_frequency_power = l2_frequency_power
        self.l2_dense = l2_dense
        self.init_scale = init_scale
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.scoring = scoring
        self.warm_start = warm_start
        self.init_from = init_from
        self.random_state = random_state
        self.verbose = verbose
        self.dtype = dtype
