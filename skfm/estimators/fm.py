"""Factorization machines."""

from __future__ import annotations

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skfm.estimators.classifier import FactorizationClassifier
from skfm.estimators.regressor import FactorizationRegressor
from skfm.estimators.tables import FactorTable, LinearTable


class _FM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LinearTable, FactorTable):
    """What both factorization machines share."""

    _own_constraints = {"fit_linear": ["boolean"]}

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.fm import FM

        return FM(n_outputs, self.fit_intercept, 1, self.n_factors, self.fit_linear)

    def transform(self, X):
        """Second-order vector: 1/2 [(sum_s e_s)^2 - sum_s e_s^2], whose sum is the second-order term.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to transform.

        Returns
        -------
        cross : ndarray of shape (n_samples, n_outputs * n_factors)
            The vectors of the outputs side by side.
        """
        check_is_fitted(self)
        return self._map("CrossFeatures", X)

    @property
    def _n_features_out(self):
        return self._n_outputs * self.n_factors


class FMClassifier(_FM, FactorizationClassifier):
    """Factorization machine classifier."""

    _parameter_constraints = {**FactorizationClassifier._parameter_constraints, **_FM._own_constraints}

    def __init__(
        self,
        n_factors=10,
        *,
        fit_linear=True,
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
        self.n_factors = n_factors
        self.fit_linear = fit_linear
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


class FMRegressor(_FM, FactorizationRegressor):
    """Factorization machine regressor."""

    _parameter_constraints = {**FactorizationRegressor._parameter_constraints, **_FM._own_constraints}

    def __init__(
        self,
        n_factors=10,
        *,
        fit_linear=True,
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
        self.n_factors = n_factors
        self.fit_linear = fit_linear
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
