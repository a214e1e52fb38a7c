"""What all estimators share: fit, partial_fit, resolution of "auto" and raw predictions."""

from __future__ import annotations

import copy
import tempfile
import warnings
from abc import ABCMeta, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skfm.data import fields as field_blocks
from skfm.data.encode import FieldEncoder
from skfm.data.validate import check_sample_weight
from skfm.estimators.base.inputs import encoded_rows, kept_rows, learn_encoder, read_X, read_X_y
from skfm.estimators.base.parameters import GradientTransformation, TrainingParameters
from skfm.estimators.base.prepare import prepare
from skfm.estimators.base.progress import reporter
from skfm.estimators.base.start import check_tables, tables_of
from skfm.estimators.base.streams import held_out_rows, is_stream, map_stream, stream_parts
from skfm.estimators.base.tables import fitted


class FactorizationEstimator(TrainingParameters, BaseEstimator, metaclass=ABCMeta):
    """Base class of all estimators; subclasses say which model, with which loss and targets."""

    n_features_in_: int
    feature_names_in_: np.ndarray
    fields_: np.ndarray
    encoder_: FieldEncoder | None
    n_iter_: int
    history_: dict[str, list[float]]
    solver_: str | GradientTransformation
    _session: Any
    # Kind of problem, for `solver="auto"`: "convex", "factors" or "deep".
    _kind = "factors"
    # Whether the model needs to know which columns form a field.
    _needs_fields = False

    # -- what a subclass says ----------------------------------------------------------------------

    @abstractmethod
    def _make_model(self, n_outputs: int, n_fields: int, link: str):
        """The `skfm.models` configuration of this estimator's parameters."""

    @abstractmethod
    def _make_loss(self):
        """The loss for the targets seen in fit."""

    @abstractmethod
    def _check_targets(self, y, *, first: bool, classes=None) -> np.ndarray:
        """Targets, checked; the first call learns the classes and the number of outputs."""

    @abstractmethod
    def _encode_targets(self, y) -> np.ndarray:
        """Targets in the loss's terms."""

    def _reweight(self, y, sample_weight) -> np.ndarray:
        """Sample weights times class weights."""
        return sample_weight

    def _has_linear_term(self) -> bool:
        """Whether the raw prediction has a linear term."""
        return hasattr(self, "l2_linear")

    def _l1_linear(self) -> float:
        """Strength of the L1 penalty, of models that have one."""
        return float(getattr(self, "l1_linear", 0.0))

    def _encoder_settings(self, encoder, X) -> dict[str, Any]:
        """Parameters of the encoder of a table, or of its first chunk, that the estimator sets."""
        return {}

    def _scaled_rows(self, X):
        """Rows as the model takes them, from canonical CSR of the estimator's columns."""
        return X

    def _linear_solver(self, solver, going_on: bool) -> tuple[Any, float] | None:
        """Solver of the linear weights and its learning rate, where they have their own."""
        return None

    # -- fit ---------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Training rows. Zeros are not stored: the cost depends on the nonzeros alone. Or a stream: a
            re-iterable of chunks ``(X, y)`` or ``(X, y, sample_weight)``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; None for a stream.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is the row twice; rows of weight 0 are left out.
        X_val, y_val : array-like, default=None
            Rows to stop on, in place of a part of X; X_val may be a stream. They switch early stopping on
            unless ``early_stopping=False``.
        sample_weight_val : array-like, default=None
            Weights of these rows.

        Returns
        -------
        self : object
            Fitted estimator. If fitting fails, an estimator fitted before is left as it was.
        """
        before = dict(self.__dict__)
        try:
            return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Do one epoch on the rows given, going on from earlier calls.

        The optimizer goes on as well: k calls with the same rows are k epochs of `fit`.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X, y, sample_weight, classes=None):
        before = dict(self.__dict__)
        try:
            return self._fit(X, y, sample_weight, (None, None, None), incremental=True, classes=classes)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _fit(self, X, y, sample_weight, held_out, *, incremental=False, classes=None):
        # A fit keeps no optimizer state, so partial_fit after it goes on from the parameters alone.
        fitted = hasattr(self, "_parameters")
        going_on = incremental and fitted
        warm = None
        if fitted and (incremental or self.warm_start) and not (going_on and self._session is not None):
            warm = self._warm_tables()
        first = not (going_on or warm)
        n_known = None if first else self.fields_.size
        learning = {"first": first, "grow": incremental or self.warm_start}
        if is_stream(X):
            if incremental or y is not None or sample_weight is not None:
                raise ValueError(
                    "X is a stream of chunks, which hold targets and weights themselves: give neither y nor "
                    "sample_weight, and call fit. partial_fit takes the rows of one chunk."
                )
            with tempfile.TemporaryDirectory(prefix="skfm", dir=getattr(X, "folder", None)) as folder:
                parts = stream_parts(self, X, held_out, Path(folder), **learning)
                return self._fit_parts(*parts, warm, n_known)
        X, y = read_X_y(self, X, y, reset=first)
        weight = check_sample_weight(sample_weight, y.shape[0])
        self.encoder_ = learn_encoder(self, X, weight, **learning)
        X = encoded_rows(self, X)
        X, y, weight = kept_rows(X, y, weight)
        y = self._check_targets(y, first=not going_on, classes=classes)
        X, y, weight = kept_rows(X, y, self._reweight(y, weight))
        parts = self._validation_split(X, y, weight, held_out_rows(self, held_out), incremental)
        return self._fit_parts(*parts, warm, n_known, incremental=incremental, going_on=going_on)

    def _fit_parts(self, part, held, warm, n_known, *, incremental=False, going_on=False):
        """Fit rows in the estimator's columns, with targets and weights; `held` is to stop on, or None."""
        from skfm.train.fit import fit_model

        session = self._session if going_on else None
        samples, validation, settings = prepare(
            self,
            part,
            held,
            incremental=incremental,
            going_on=going_on,
            first=warm is None or self._n_outputs != np.size(self._target_mean),
        )
        if not going_on or self.encoder_ is not None:
            self._find_fields(samples.X)
        loss = self._make_loss()
        model = self._make_model(self._n_outputs, int(self.fields_.max(initial=0)) + 1, loss.link)
        if warm is None and not going_on:
            start = self._start(model, part, held, incremental)
            warm = None if start is None else (start, None, None)
        if warm is not None:
            check_tables(model, warm[0], n_known or samples.X.shape[1])
        scores = held is not None and self.scoring != "loss"
        result = fit_model(
            model,
            loss,
            samples,
            validation,
            self._column_fields(model),
            settings,
            base_score=loss.base_score(loss.statistics(samples.y, samples.weight)),
            warm=warm,
            score_raw=self._scorer(held, loss) if scores else None,
            report=reporter(self.verbose, type(self).__name__),
            session=session,
            keep_session=incremental,
        )
        self._model, self._loss, self._parameters = model, loss, result.parameters
        self._session = result.session
        self._record(result, settings, going_on)
        return self

    def _record(self, result, settings, going_on):
        progress = result.progress
        if going_on:
            self.n_iter_ += progress.n_iter
            for name, values in progress.history.items():
                self.history_[name] = self.history_.get(name, []) + values
        else:
            self.n_iter_, self.history_ = max(progress.n_iter, 1), progress.history
            self._took_other = result.took_other
        self.solver_ = settings.solver
        if result.message is not None:
            warnings.warn(
                f"{type(self).__name__}: L-BFGS stopped after {progress.n_iter} iterations "
                f"({result.message}). "
                f"Increase max_iter (={self.max_iter}) or scale the columns of X.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # -- steps of fit ------------------------------------------------------------------------------

    def _validation_split(self, X, y, weight, given, incremental) -> tuple[Any, Any]:
        """``((X, y, weight), the same held out or None)``."""
        if given is not None or incremental or not self._stops_early(X):
            return (X, y, weight), given
        from skfm.train import defaults

        rows = np.arange(X.shape[0])
        train, held = train_test_split(
            rows,
            test_size=defaults.validation_fraction(self.validation_fraction, X.shape[0]),
            random_state=check_random_state(self.random_state),
            stratify=self._stratification(y),
        )
        return (X[train], y[train], weight[train]), (X[held], y[held], weight[held])

    def _stratification(self, y):
        return None

    def _resolved_solver(self, X, incremental=False):
        from skfm.train import defaults

        return defaults.solver_name(
            self.solver,
            X.shape[0],
            X.nnz,
            kind=self._kind,
            l1_linear=self._l1_linear(),
            needs_steps=incremental or self._needs_steps() or not sparse.issparse(X),
        )

    def _is_noisy(self) -> bool:
        """Whether the model trains on something other than one fixed objective."""
        return getattr(self, "dropout", 0) > 0 or bool(getattr(self, "batch_norm", False))

    def _needs_steps(self) -> bool:
        """Whether mini-batches alone can train the model."""
        return self._is_noisy()

    def _stops_early(self, X) -> bool:
        from skfm.train import defaults

        return defaults.early_stopping(self.early_stopping, self._resolved_solver(X), X.shape[0])

    def _set_target_scale(self, y, weight):
        """Location and scale of the targets (regressors that standardise them override this)."""
        self._target_mean: float | np.ndarray = 0.0
        self._target_scale: float | np.ndarray = 1.0

    def _find_fields(self, X):
        """Set `fields_`, the field of each column."""
        if self.encoder_ is not None:
            self.fields_ = self.encoder_.fields_
            if not isinstance(self.fields, str):
                given = np.zeros(self.n_features_in_) if self.fields is None else self.fields
                labels = field_blocks.field_numbers(given, self.n_features_in_)
                crosses = labels.max() + 1 + np.arange(len(self.encoder_.crosses))
                self.fields_ = np.append(labels, crosses)[self.encoder_.field_columns_[self.fields_]]
            return
        self.fields_, n_blocks = field_blocks.resolve_fields(self.fields, X)
        if n_blocks and self._needs_fields and self.verbose:
            print(
                f"{type(self).__name__}: the columns of X form no fields ({n_blocks} blocks); they are "
                f"pooled into one field. Pass fields= to say which columns belong together."
            )

    def _table_rows(self) -> np.ndarray | None:
        """Row of the tables that each column uses, where columns share them."""
        return None if self.encoder_ is None else self.encoder_.table_rows_

    def _column_fields(self, model) -> field_blocks.Fields | None:
        rows = self._table_rows()
        if self._needs_fields:
            return field_blocks.Fields(self.fields_, model.n_fields, rows)
        return None if rows is None else field_blocks.Fields(np.zeros_like(self.fields_), 1, rows)

    def _scorer(self, held, loss):
        """Score of raw predictions on the held-out rows, by the scorer that `scoring` names."""
        scorer = check_scoring(self, scoring=self.scoring)
        X, y, weight = held
        view = copy.copy(self)
        view._loss = loss
        uniform = bool(np.all(weight == weight[0]))

        def score(raw):
            view._raw_given = self._target_mean + self._target_scale * raw.astype(np.float64)
            if uniform:
                return float(scorer(view, X, y))
            return float(scorer(view, X, y, sample_weight=weight))

        return score

    # -- start from other parameters ---------------------------------------------------------------

    def _start(self, model, part, held, incremental) -> dict[str, np.ndarray] | None:
        """Tables that a first fit starts from, by name, or None."""
        return None if self.init_from is None else tables_of(self.init_from, model)

    def _named_tables(self) -> dict[str, np.ndarray]:
        rows = self._table_rows()
        own = slice(self.fields_.size) if rows is None else rows
        return self._model.split(self._parameters.table[own])

    def _warm_tables(self):
        return self._named_tables(), self._parameters.dense, self._parameters.averages

    # -- predictions -------------------------------------------------------------------------------

    def _map(self, output, X) -> np.ndarray:
        """An output of the model, which is a function of its class, for each row of X."""
        if is_stream(X):
            return map_stream(partial(self._map, output), X)
        return self._map_encoded(output, read_X(self, X))

    def _map_encoded(self, output, X) -> np.ndarray:
        """The same for canonical CSR."""
        from skfm.train.predict import map_matrix

        return map_matrix(output, self._model, self._parameters, X, self._column_fields(self._model))

    def _raw_predict(self, X) -> np.ndarray:
        """Raw predictions (n_samples, n_outputs) in float64, in the units of y."""
        if getattr(self, "_raw_given", None) is not None:
            return self._raw_given
        check_is_fitted(self)
        raw = self._map(type(self._model).raw_prediction, X).astype(np.float64)
        return self._target_mean + self._target_scale * raw

    # -- fitted attributes -------------------------------------------------------------------------

    def _table(self, name: str) -> np.ndarray:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no fitted attributes before fit.")
        tables = self._named_tables()
        if name not in tables:
            raise AttributeError(f"This {type(self).__name__} has no table {name!r}.")
        return tables[name]

    @fitted
    def intercept_(self) -> np.ndarray:
        """Intercept of each output, shape (n_outputs,); a float where y was one column of numbers."""
        value = self._parameters.dense["offsets"].get("intercept", np.zeros(self._n_outputs))
        return self._per_output(self._target_mean + self._target_scale * np.asarray(value, dtype=np.float64))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
