"""What all estimators share: fit, partial_fit and raw predictions.

A fit reads from top to bottom: rows are checked, an encoder and targets learn from them, a plan is made, the
model is configured, and `skfm.fitting.learn` gives back a value, which is assigned last. Nothing below sees
an estimator.
"""

from __future__ import annotations

import copy
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import _clone_parametrized, _fit_context, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skfm.data.encode import FieldEncoder, ShowsReadings
from skfm.data.spool import temporary_folder
from skfm.data.validate import check_weights_of_part
from skfm.estimators.base.parameters import GradientTransformation, TrainingParameters
from skfm.estimators.base.pickling import Pickling
from skfm.estimators.base.progress import reporter
from skfm.estimators.base.scoring import in_training
from skfm.estimators.base.tables import fitted
from skfm.estimators.base.unchanged import check_same_encoder, check_unchanged, settled
from skfm.fitting import learn as fitting
from skfm.fitting.inputs import Encoding, Reader, Rows
from skfm.fitting.learn import Context, Data, Given, Learned, Listeners, Prepared, Pretrained, Shape
from skfm.fitting.plan import AUTO, CHOSEN_BY_FIT, Settings
from skfm.fitting.streams import first_of, is_stream, map_stream
from skfm.fitting.targets import Targets
from skfm.names import BATCH_ACTIVATIONS
from skfm.runtime import some_cores
from skfm.train.method import Method
from skfm.train.problem import Start

_NOTHING = Given()
_START_NOT_FITTED = (
    "init_from: this %(name)s instance is not fitted yet. Call 'fit' first. scikit-learn's clone forgets "
    "what the candidates of a grid were fitted on: give sklearn.frozen.FrozenEstimator(estimator) there."
)


def _on_its_cores(method):
    """A method that computes on as many cores as `n_jobs` says."""

    @wraps(method)
    def limited(self, *arguments, **options):
        with some_cores.use(self.n_jobs):
            return method(self, *arguments, **options)

    return limited


class FactorizationEstimator(ShowsReadings, TrainingParameters, Pickling, metaclass=ABCMeta):
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
        of_model: dict[str, Any] = {
            name: getattr(self, name, 0.0)
            for name in ("l1_linear", "l2_linear", "l2_factors", "l2_dense", "init_scale", "dropout")
        }
        batch_norm = getattr(self, "batch_norm", False)
        if batch_norm != AUTO or not np.size(getattr(self, "hidden_layer_sizes", ())):
            batch_norm = batch_norm != AUTO and bool(batch_norm)
        return Settings(
            kind=self._kind,
            is_classifier=is_classifier(self),
            has_linear_term=hasattr(self, "l2_linear"),
            is_stochastic=of_model["dropout"] > 0
            or batch_norm is True
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
            batch_norm=batch_norm,
            **of_model,
        )

    def _start(self, model, prepared: Prepared, context: Context) -> tuple[Start | None, Pretrained | None]:
        """What a first fit starts from, and the machine that was fitted for it on the way, if any."""
        if self.init_from is None:
            return None, None
        return fitting.start_from(context.source, model, repr(self.init_from)), None

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

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C. Where an epoch had begun, the estimator is fitted all the same: it keeps the best
            weights so far. A search or a cross-validation, which fits clones, ends as a whole.
        """
        held_out = _NOTHING if self.early_stopping is False else Given(X_val, y_val, sample_weight_val)
        learned = self._learn(Given(X, y, sample_weight), held_out)
        on_the_way = () if learned.pretrained is None else (learned.pretrained.learned,)
        for message in (one.message for one in (*on_the_way, learned) if one.message is not None):
            warnings.warn(f"{type(self).__name__}: {message}", ConvergenceWarning, stacklevel=3)
        self._learned = learned
        if learned.interrupted:
            raise KeyboardInterrupt(
                f"Interrupted after epoch {learned.n_iter}: the {type(self).__name__} keeps the best weights "
                f"so far."
            )
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Do one epoch on the rows given, going on from earlier calls.

        The optimizer goes on as well: k calls with the same rows are k epochs of `fit`. What is known of y
        (class odds, mean and deviation) is that of the rows of all calls.

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
            Fitted estimator. If the call fails or is interrupted, it is left as it was.
        """
        self._go_on(Given(X, y, sample_weight))
        return self

    def _go_on(self, given: Given, classes=None) -> None:
        """Learn from one more chunk, as a whole or not at all."""
        learned = self._learn(given, incremental=True, classes=classes)
        if learned.interrupted:
            raise KeyboardInterrupt(f"Interrupted: the {type(self).__name__} is as it was before this call.")
        self._learned = learned

    @_on_its_cores
    def _learn(self, given: Given, held_out: Given = _NOTHING, *, incremental=False, classes=None) -> Learned:
        """What is learned from rows, or from a stream."""
        if incremental:
            # scikit-learn validates parameters in the first call alone.
            self._validate_params()
        before = self._learned if self.__sklearn_is_fitted__() and (incremental or self.warm_start) else None
        if before is not None:
            call = "partial_fit" if incremental else "fit with warm_start=True"
            has_session = incremental and before.session is not None
            check_unchanged(before.settled, self._settled(), call=call, has_session=has_session)
        streams = is_stream(given.X)
        if streams and incremental:
            of_classes = ", classes=[...]" if is_classifier(self) else ""
            raise ValueError(
                f"X is a stream of chunks, and partial_fit takes the rows of one: for X, y in stream: "
                f"model.partial_fit(X, y{of_classes}). Weights that chunks hold go there as sample_weight=. "
                f"fit takes the stream."
            )
        if streams and (given.y is not None or given.weight is not None):
            raise ValueError(
                "X is a stream of chunks, which hold targets and weights themselves: give neither y nor "
                "sample_weight."
            )
        reader = self._reader(before)
        targets = self._make_targets()
        rows = fitting.read(given, reader, targets)
        if incremental:
            targets.check_goes_on()
            if given.weight is not None:
                check_weights_of_part(given.weight)
        source = self._source() if before is None else None
        known = before or source
        encoder = None if known is None else known.encoder
        if before is None:
            with first_of(rows) as X:
                made = self._make_encoder(X)
            if source is not None:
                shown = repr(self.init_from)
                fitting.check_same_columns(source, reader.columns, shown, encodes=made is not None)
                check_same_encoder(made, encoder, shown)
            encoder = made if encoder is None else encoder
        counts_on = incremental or self.warm_start
        encoder = fitting.teach(encoder, rows, incremental=incremental, counts_on=counts_on)
        encoding = Encoding(encoder, bool(getattr(self, "normalize_rows", False)))
        context = Context(reader.columns, encoding, before, incremental, source)
        intake = fitting.Intake(reader, encoding, targets)
        if isinstance(rows, Rows):
            rows = intake.encoded(rows)
            resumed = context.resumed
            if resumed is None:
                are_weighed = given.weight is not None and classes is None
                with fitting.of_rows_with_weight(are_weighed), rows.of_errors():
                    targets = targets.learn(rows.y, classes=classes, incremental=incremental)
            else:
                targets = targets.resume(resumed.targets, classes=classes)
            intake = intake._replace(targets=targets)
            data = fitting.gather(intake.samples(rows), held_out, intake, context)
            return self._solve(data, context)
        with temporary_folder(getattr(given.X, "folder", None)) as folder:
            share = fitting.stream_share(self._settings(), held_out)
            intake = intake._replace(folder=folder)
            data = fitting.gather_stream(rows, held_out, intake, context, share, self.random_state)
            return self._solve(data, context)

    def _source(self) -> Learned | None:
        """The fit of the estimator that this one starts from."""
        if self.init_from is None:
            return None
        check_is_fitted(self.init_from, msg=_START_NOT_FITTED)
        return getattr(self.init_from, "_learned", None)

    def set_params(self, **params):
        """Set parameters of the estimator, and of its encoder.

        Parameters
        ----------
        params : dict
            Values by name. Those of the encoder have names such as ``encoder__bins``, and need an encoder:
            ``encoder=FieldEncoder()``.

        Returns
        -------
        self : object
            The estimator.
        """
        nested = next((name for name in params if name.startswith("encoder__")), None)
        encoder = params.get("encoder", self.encoder)
        if nested is not None and not isinstance(encoder, FieldEncoder):
            raise ValueError(
                f"{nested} is a parameter of an encoder, and encoder={encoder!r} is none. Give "
                f"encoder=FieldEncoder()."
            )
        return super().set_params(**params)

    def _validate_params(self):
        super()._validate_params()
        # scikit-learn skips the validation of estimators inside others.
        if isinstance(self.encoder, FieldEncoder):
            self.encoder._validate_params()

    def _make_encoder(self, X) -> FieldEncoder | None:
        """What is to encode checked rows; None for those that are a matrix by now."""
        if sparse.issparse(X):
            return None
        encoder = FieldEncoder() if isinstance(self.encoder, str) else clone(self.encoder)
        return encoder.set_params(**self._encoder_settings(encoder, X))

    def _solve(self, data: Data, context: Context) -> Learned:
        """What is learned from data in the columns that the model has."""
        fitting.check_columns(data, self._settings(), context, self._make_model)
        prepared = fitting.prepare(data, self._settings(), context, self.fields, self.random_state)
        if prepared.n_blocks and self._needs_fields and self.verbose:
            print(
                f"{type(self).__name__}: the columns of X form no fields ({prepared.n_blocks} blocks); they "
                f"are pooled into one field. Pass fields= to say which columns belong together."
            )
        model = self._make_model(prepared.shape(context))
        if prepared.plan.normalizes:
            model = model.normalized()
        fitting.check_weights(model, prepared)
        # Before the start, for which some models train another: a score that does not suit is named first.
        score = self._scorer(model, prepared, context)
        start, pretrained = (None, None)
        if context.before is None:
            start, pretrained = self._start(model, prepared, context)
        start = fitting.warm_start(prepared, context, model, start)
        with reporter(self.verbose, type(self).__name__) as report:
            listeners = Listeners(score, report)
            problem = fitting.pose(prepared, model, self._needs_fields, start, listeners)
            learned = fitting.learn(problem, prepared, context, self._needs_fields)
        if self.verbose and len(problem.priors) > 1:
            print(f"{type(self).__name__}: attempt {learned.prior + 1} of {len(problem.priors)} is kept.")
        learned = replace(learned, settled=self._settled())
        return learned if pretrained is None else replace(learned, pretrained=pretrained)

    def _settled(self) -> dict[str, Any]:
        """Parameters that later calls may have to keep."""
        return settled(self.get_params(deep=False))

    def _scorer(self, model, prepared: Prepared, context: Context) -> Callable[[np.ndarray], float] | None:
        """Function that scores raw predictions of the held-out rows; None where the loss is the score."""
        if prepared.data.held_out is None or (isinstance(self.scoring, str) and self.scoring == "loss"):
            return None
        candidate = copy.copy(self)
        candidate.__class__ = in_training(type(self))
        candidate._learned = fitting.unfinished(model, prepared, context)
        return candidate.score_of_raw(self.scoring, prepared.data.held_out)

    # -- predictions -------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "_learned" in self.__dict__

    def _reader(self, learned: Learned | None) -> Reader:
        """What checks rows: against what was learned, or to learn their columns."""
        name, tags = type(self).__name__, get_tags(self)
        if learned is None:
            return Reader(name, tags, encodes=self.encoder)
        return Reader(name, tags, learned.columns, learned.encoder is not None)

    @_on_its_cores
    def _map(self, output, X, *, of_terms: bool = False) -> np.ndarray:
        """Apply an output of the model, a function of its class, to each row of X.

        Parameters
        ----------
        of_terms : whether the output is that of the tables in the units of X
        """
        check_is_fitted(self)
        if is_stream(X):
            return map_stream(partial(self._map, output, of_terms=of_terms), X)
        learned = self._learned
        units = learned.units_of_terms if of_terms else None
        return learned.map(output, learned.encoding(self._reader(learned).read(X)), units)

    def _raw_predict(self, X) -> np.ndarray:
        """Raw predictions (n_samples, n_outputs) in float64, in the units of y."""
        check_is_fitted(self)
        learned = self._learned
        return learned.targets.in_units(self._map(type(learned.model).raw_prediction, X))

    def _comparable(self, y) -> np.ndarray:
        """Checked y as predictions are."""
        return self._learned.targets.comparable(y)

    # -- fitted attributes -------------------------------------------------------------------------

    def _table(self, name: str) -> np.ndarray:
        """A table by name in the units of X, (n_columns, *shape); weights beyond its range are its ends."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{type(self).__name__} has no fitted attributes before fit.")
        tables, _ = self._learned.in_units_of_x()
        if name not in tables:
            raise AttributeError(f"This {type(self).__name__} has no table {name!r}.")
        return np.nan_to_num(tables[name], nan=np.nan)

    @fitted
    def intercept_(self) -> np.ndarray:
        """Intercept of each output, shape (n_outputs,); a float where y was one column of numbers."""
        targets = self._learned.targets
        value = self._offset("intercept", np.zeros(targets.n_outputs))
        return targets.per_output(targets.in_units(value))

    def _offset(self, name: str, otherwise=None) -> np.ndarray:
        """Dense weights that are not penalised, by name, beside the tables in the units of X."""
        _, dense = self._learned.in_units_of_x()
        return np.asarray(dense["offsets"].get(name, otherwise))

    def _attributes(self) -> dict[str, Any]:
        """Fitted attributes that the model makes of its dense weights."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{type(self).__name__} has no fitted attributes before fit.")
        return self._learned.attributes()

    def _attribute(self, name: str):
        """One of these."""
        found = self._attributes()
        if name not in found:
            raise AttributeError(f"This {type(self).__name__} has no {name}: its parameters ask for none.")
        return found[name]

    @fitted
    def center_(self) -> np.ndarray:
        """What is taken off each column before the weights meet it, shape (n_features,)."""
        return self._learned.center

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

    def readings_as_html(self) -> str:
        """How the columns of the table are read, as a table that notebooks show; empty without an encoder.

        Returns
        -------
        table : str
            HTML.
        """
        encoder = self._learned.encoder if self.__sklearn_is_fitted__() else None
        return "" if encoder is None else encoder.readings_as_html()

    @fitted
    def n_iter_(self) -> int:
        """Epochs run, or iterations of L-BFGS."""
        return self._learned.n_iter

    @fitted
    def history_(self) -> dict[str, list[float]]:
        """One number an epoch of the attempt that was kept in each list."""
        return self._learned.history_of_kept

    @fitted
    def attempts_(self) -> dict[str, list[float]]:
        """The same as `history_` for the epochs of every attempt."""
        return {name: list(entries) for name, entries in self._learned.history.items()}

    @fitted
    def solver_(self) -> str | GradientTransformation | Method:
        """The solver used."""
        return self._learned.plan.solver

    @fitted
    def plan_(self) -> dict[str, Any]:
        """What stands for the parameters that can be "auto", rows held out and the attempt that was kept."""
        chosen = self._learned.plan.chosen(self._learned.prior)
        return {name: value for name, value in chosen.items() if hasattr(self, name) or name in CHOSEN_BY_FIT}

    # -- scikit-learn ------------------------------------------------------------------------------

    def __sklearn_clone__(self):
        cloned = _clone_parametrized(self)
        # A clone without its start would learn something else.
        cloned.init_from = self.init_from
        return cloned

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.categorical = self.encoder is not None
        if isinstance(self.encoder, FieldEncoder):
            of_encoder = get_tags(self.encoder).input_tags
            tags.input_tags.allow_nan = of_encoder.allow_nan
            tags.input_tags.string = of_encoder.string
        return tags
