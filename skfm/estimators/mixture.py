"""Mixtures of factorization machines."""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skfm.estimators.classifier import FactorizationClassifier
from skfm.estimators.regressor import FactorizationRegressor


class _MixtureFM:
    """What both mixtures share."""

    _own_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "gate": [StrOptions({"linear", "fm", "linear+fm"})],
        "expert": [StrOptions({"linear", "fm", "linear+fm"})],
        "mixing": [StrOptions({"score", "probability"})],
    }

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.mixture import MixtureFM

        return MixtureFM(
            n_outputs,
            self.fit_intercept,
            1,
            self.n_components,
            self.n_factors,
            self.gate,
            self.expert,
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
        return softmax(self._map("LogGate", X).astype(np.float64), axis=1)


class MixtureFMClassifier(_MixtureFM, FactorizationClassifier):
    """Mixture of factorization machines classifier."""

    _parameter_constraints = {**FactorizationClassifier._parameter_constraints, **_MixtureFM._own_constraints}

    def __init__(
        self,
        n_components=4,
        n_factors=10,
        *,
        gate="linear",
        expert="linear+fm",
        mixing="probability",
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
        self.n_components = n_components
        self.n_factors = n_factors
        self.gate = gate
        self.expert = expert
        self.mixing = mixing
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


class MixtureFMRegressor(_MixtureFM, FactorizationRegressor):
    """Mixture of factorization machines regressor."""

    _parameter_constraints = {**FactorizationRegressor._parameter_constraints, **_MixtureFM._own_constraints}

    def __init__(
        self,
        n_components=4,
        n_factors=10,
        *,
        gate="linear",
        expert="linear+fm",
        mixing="probability",
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
        self.n_components = n_components
        self.n_factors = n_factors
        self.gate = gate
        self.expert = expert
        self.mixing = mixing
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
