"""What all estimators share: fit, partial_fit and raw predictions.

A fit reads from top to bottom: rows are checked, an encoder and targets learn from them, a plan is made, the
model is configured, and `skfm.fitting.learn` gives back a value, which is assigned last. Nothing below sees
an estimator.
"""

from __future__ import annotations

import tempfile
import warnings
from abc import ABCMeta, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skfm.data.encode import FieldEncoder
from skfm.data.fields import Fields
from skfm.estimators.base.parameters import GradientTransformation, TrainingParameters
from skfm.estimators.base.progress import reporter
from skfm.estimators.base.scoring import score_of_raw
from skfm.estimators.base.tables import fitted
from skfm.fitting import learn as fitting
from skfm.fitting.inputs import Encoding, InputColumns, Reader, Rows, is_table
from skfm.fitting.learn import Data, Given, Learned, Recipe
from skfm.fitting.plan import Settings, make_plan
from skfm.fitting.streams import is_stream, map_stream
from skfm.fitting.targets import Targets
from skfm.names import BATCH_ACTIVATIONS
from skfm.train.method import Method
from skfm.train.problem import Start

_NOTHING = Given()


class Shape(NamedTuple):
    """What a model is made for.

    Attributes
    ----------
    n_outputs : raw predictions a sample
    loss : the loss of the targets
    fields : field of each column, and its row of the tables
    encoder : what encodes a table, or None
    """

    n_outputs: int
    loss: Any
    fields: Fields
    encoder: FieldEncoder | None

    @property
    def n_fields(self) -> int:
        """Number of fields."""
        return self.fields.n


class Context(NamedTuple):
    """What is known before a model is made; see `skfm.fitting.learn.Recipe`.

    Attributes
    ----------
    columns : the columns of X
    encoding : how X becomes rows in the columns that are learned from
    before : the fit that this one goes on from or starts from, or None
    incremental : whether this is a call of partial_fit
    """

    columns: InputColumns
    encoding: Encoding
    before: Learned | None = None
    incremental: bool = False

    @property
    def continues(self) -> Learned | None:
        """The fit that a call of partial_fit goes on from."""
        return self.before if self.incremental else None


class FactorizationEstimator(TrainingParameters, BaseEstimator, metaclass=ABCMeta):
    """Base class of all estimators; subclasses say which model, and which targets."""

    _learned: Learned
    # Kind of problem, for what "auto" means: "convex", "factors" or "deep".
    _kind = "factors"
    # Whether the model needs to know which columns form a field.
    _needs_fields = False

    # -- what a subclass says ----------------------------------------------------------------------

    @abstractmethod
    def _make_model(self, shape: Shape):
        """The `skfm.models` configuration of this estimator's parameters."""

    @abstractmethod
    def _make_targets(self) -> Targets:
        """Targets that have learned nothing yet."""

    def _encoder_settings(self, encoder: FieldEncoder, X) -> dict[str, Any]:
        """Parameters of the encoder of a table, or of its first chunk, that the estimator sets."""
        return {}

    def _settings(self) -> Settings:
        """What the parameters ask of training."""
        of_model = {
            name: getattr(self, name, 0.0)
            for name in ("l1_linear", "l2_linear", "l2_factors", "l2_dense", "init_scale", "dropout")
        }
        return Settings(
            kind=self._kind,
            is_classifier=is_classifier(self),
            has_linear_term=hasattr(self, "l2_linear"),
            is_stochastic=of_model["dropout"] > 0
            or bool(getattr(self, "batch_norm", False))
            or getattr(self, "activation", None) in BATCH_ACTIVATIONS,
            n_components=getattr(self, "n_components", 0),
            solver=self.solver,
            learning_rate=self.learning_rate,
            schedule=self.learning_rate_schedule,
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            l2_frequency_power=self.l2_frequency_power,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            dtype=self.dtype,
            **of_model,
        )

    def _start(self, model, data: Data, context: Context) -> tuple[Start | None, Learned | None]:
        """What a first fit starts from, and the fit on the way that it comes from."""
        if self.init_from is None:
            return None, None
        check_is_fitted(self.init_from)
        source = getattr(self.init_from, "_learned", None)
        return Start(fitting.tables_to_start_from(source, model, repr(self.init_from))), None

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
        held_out = _NOTHING if self.early_stopping is False else Given(X_val, y_val, sample_weight_val)
        self._learned = self._learn(Given(X, y, sample_weight), held_out)
        return self

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
        self._learned = self._learn(Given(X, y, sample_weight), incremental=True)
        return self

    def _learn(self, given: Given, held_out: Given = _NOTHING, *, incremental=False, classes=None) -> Learned:
        """What is learned from rows, or from a stream."""
        before = self._learned if self.__sklearn_is_fitted__() and (incremental or self.warm_start) else None
        streams = is_stream(given.X)
        if streams and (incremental or given.y is not None or given.weight is not None):
            raise ValueError(
                "X is a stream of chunks, which hold targets and weights themselves: give neither y nor "
                "sample_weight, and call fit. partial_fit takes the rows of one chunk."
            )
        reader = self._reader(before)
        targets = self._make_targets()
        source = fitting.read(given, reader, targets)
        first = source if isinstance(source, Rows) else source.first()
        encoder = None if before is None else before.encoder
        if before is None and is_table(self.encoder, first.X):
            encoder = FieldEncoder() if isinstance(self.encoder, str) else clone(self.encoder)
            encoder.set_params(**self._encoder_settings(encoder, first.X))
        encoder = fitting.teach(encoder, source, anew=before is None, grows=incremental or self.warm_start)
        encoding = Encoding(encoder, bool(getattr(self, "normalize_rows", False)))
        context = Context(reader.columns, encoding, before, incremental)
        intake = fitting.Intake(reader, encoding, targets)
        if isinstance(source, Rows):
            rows = intake.encoded(source)
            known = context.continues
            targets = (
                targets.learn(rows.y, classes=classes) if known is None else targets.resume(known.targets)
            )
            intake = intake._replace(targets=targets)
            data = fitting.gather(rows, held_out, intake, incremental=incremental)
            return self._solve(data, context)
        with tempfile.TemporaryDirectory(prefix="skfm", dir=getattr(given.X, "folder", None)) as folder:
            share = fitting.stream_share(self._settings(), held_out)
            intake = intake._replace(folder=Path(folder))
            data = fitting.gather_stream(source, held_out, intake, share, self.random_state)
            return self._solve(data, context)

    def _solve(self, data: Data, context: Context) -> Learned:
        """What is learned from data in the columns that the model has."""
        before, known = context.before, context.continues
        plan = make_plan(self._settings(), data.facts, fitting.continued(known))
        data = fitting.hold_out(data, plan, self.random_state)
        seed = fitting.new_seed(self.random_state) if known is None else known.seed
        # Weights that are taken over are in units of the targets that they were learned on.
        same_outputs = before is not None and np.size(before.targets.location) == data.targets.n_outputs
        units = before.targets if before is not None and (same_outputs or known is not None) else None
        posed = fitting.in_standard_units(data, plan, units)
        if known is not None and context.encoding.encoder is None:
            fields = known.fields
        else:
            fields, n_blocks = fitting.find_fields(
                self.fields, posed.samples.X, context.encoding.encoder, context.columns.n
            )
            if n_blocks and self._needs_fields and self.verbose:
                print(
                    f"{type(self).__name__}: the columns of X form no fields ({n_blocks} blocks); they are "
                    f"pooled into one field. Pass fields= to say which columns belong together."
                )
        targets = posed.targets
        loss = targets.loss
        model = self._make_model(Shape(targets.n_outputs, loss, fields, context.encoding.encoder))
        start, pretrained, n_columns = None, None, fields.numbers.size
        if before is None:
            start, pretrained = self._start(model, data, context)
        elif known is None or known.session is None:
            parameters = before.parameters
            start = Start(before.tables(), parameters.dense, parameters.averages)
            n_columns = before.fields.numbers.size
        if start is not None:
            fitting.check_tables(model, start.tables, n_columns)
        score = None
        if data.held_out is not None:
            score = score_of_raw(self.scoring, targets, data.held_out, get_tags(self))
        report = reporter(self.verbose, type(self).__name__)
        recipe = Recipe(
            plan=plan,
            columns=context.columns,
            encoding=context.encoding,
            fields=fields,
            needs_fields=self._needs_fields,
            model=model,
            loss=loss,
            seed=seed,
            start=start,
            score=score,
            report=report,
            pretrained=pretrained,
        )
        learned = fitting.learn(recipe, posed, known, incremental=context.incremental)
        if learned.message is not None:
            warnings.warn(
                f"{type(self).__name__}: L-BFGS stopped after {learned.n_iter} iterations "
                f"({learned.message}). Increase max_iter (={self.max_iter}) or scale the columns of X.",
                ConvergenceWarning,
                stacklevel=5,
            )
        return learned

    # -- predictions -------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "_learned" in self.__dict__

    def _reader(self, learned: Learned | None) -> Reader:
        """What checks rows: against what was learned, or to learn their columns."""
        name, tags = type(self).__name__, get_tags(self)
        if learned is None:
            return Reader(name, tags, encodes=self.encoder)
        return Reader(name, tags, learned.columns, learned.encoder is not None)

    def _encoded(self, X):
        """Canonical CSR of rows to predict, in the columns that the model has."""
        return self._learned.encoding(self._reader(self._learned).read_X(X))

    def _map(self, output, X) -> np.ndarray:
        """Apply an output of the model, a function of its class, to each row of X."""
        check_is_fitted(self)
        if is_stream(X):
            return map_stream(partial(self._map, output), X)
        return self._learned.map(output, self._encoded(X))

    def _raw_predict(self, X) -> np.ndarray:
        """Raw predictions (n_samples, n_outputs) in float64, in the units of y."""
        check_is_fitted(self)
        if is_stream(X):
            return map_stream(self._raw_predict, X)
        return self._learned.raw_predict(self._encoded(X))

    # -- fitted attributes -------------------------------------------------------------------------

    def _table(self, name: str) -> np.ndarray:
        """A table by name, (n_columns, *shape)."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{type(self).__name__} has no fitted attributes before fit.")
        tables = self._learned.tables()
        if name not in tables:
            raise AttributeError(f"This {type(self).__name__} has no table {name!r}.")
        return tables[name]

    @fitted
    def intercept_(self) -> np.ndarray:
        """Intercept of each output, shape (n_outputs,); a float where y was one column of numbers."""
        targets = self._learned.targets
        value = self._learned.parameters.dense["offsets"].get("intercept", np.zeros(targets.n_outputs))
        return targets.per_output(targets.in_units(np.asarray(value)))

    @fitted
    def n_features_in_(self) -> int:
        """Number of columns seen in fit."""
        return self._learned.columns.n

    @fitted
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, where they had names that are all text."""
        names = self._learned.columns.names
        if names is None:
            raise AttributeError(f"The columns that {type(self).__name__} was fitted on have no names.")
        return names

    @fitted
    def fields_(self) -> np.ndarray:
        """Number of the field of each column."""
        return self._learned.fields.numbers

    @fitted
    def encoder_(self) -> FieldEncoder | None:
        """What encoded the table."""
        return self._learned.encoder

    @fitted
    def n_iter_(self) -> int:
        """Epochs run, or iterations of L-BFGS."""
        return self._learned.n_iter

    @fitted
    def history_(self) -> dict[str, list[float]]:
        """One number an epoch in each list."""
        return self._learned.history

    @fitted
    def solver_(self) -> str | GradientTransformation | Method:
        """The solver used."""
        return self._learned.plan.solver

    @fitted
    def plan_(self) -> dict[str, Any]:
        """What was chosen for the parameters that can be "auto"."""
        chosen, known = self._learned.plan.chosen(self._learned.prior), self.get_params(deep=False)
        return {name: value for name, value in chosen.items() if name in known}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
