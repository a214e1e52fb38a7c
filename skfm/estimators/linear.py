"""Linear models on the tables and solvers of the factorization machines."""

from __future__ import annotations

from typing import ClassVar

from skfm.estimators.classifier import FactorizationClassifier
from skfm.estimators.regressor import FactorizationRegressor
from skfm.estimators.tables import LinearTable


class _Linear(LinearTable):
    """What both linear estimators share."""

    _kind = "convex"
    _own_constraints: ClassVar[dict] = {}

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.linear import Linear

        return Linear(n_outputs, self.fit_intercept)


class LinearClassifier(_Linear, FactorizationClassifier):
    """Linear classifier."""

    _parameter_constraints = {**FactorizationClassifier._parameter_constraints, **_Linear._own_constraints}

    def __init__(
        self,
        *,
        fit_intercept=True,
        fields="auto",
        solver="auto",
        learning_rate="auto",
        learning_rate_schedule="plateau",
        max_iter=200,
        batch_size="auto",
        l1_linear=0.0,
        l2_linear="auto",
        l2_frequency_power=0.0,
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
        self.fit_intercept = fit_intercept
        self.fields = fields
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.l1_linear = l1_linear
        self.l2_linear = l2_linear
        self.l2_frequency_power = l2_frequency_power
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


class LinearRegressor(_Linear, FactorizationRegressor):
    """Linear regressor."""

    _parameter_constraints = {**FactorizationRegressor._parameter_constraints, **_Linear._own_constraints}

    def __init__(
        self,
        *,
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
        l2_frequency_power=0.0,
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
        self.l2_frequency_power = l2_frequency_power
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
