"""Targets: labels, numbers, or clicks and conversions; from y to the loss, and from raw predictions back.

Targets are frozen values. One that was made of parameters alone has learned nothing yet: `learn` returns one
that knows its classes and outputs, `standardized` one that knows location and scale of the training rows.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from skfm.data.frames import is_missing, objects_of
from skfm.data.units import UNLIKE, Units
from skfm.data.validate import (
    as_objects_if_text,
    bounded,
    check_sample_weight,
    first_row,
    place_of,
    powers_of_two,
    shown,
    standardized_values,
    weights_as_numbers,
    where_no_number,
)
from skfm.data.whole_numbers import merged
from skfm.fitting.prior import Scores

# Means of counts beyond this, or below its inverse, are taken to be 1.
_MOST_COUNTED = 1e9

_GIVE_CLASSES = "Pass all labels as classes= in the first call of partial_fit."
_LABELS = str, int, float, np.number, np.bool_, np.datetime64, np.timedelta64
# Units of y in which the deviation is between one half and 2 are about right.
_SAME_UNITS = 2.0


class UnknownLabelError(ValueError):
    """A label that is none of the classes.

    Parameters
    ----------
    cause : which one, and where
    """

    def __init__(self, cause: str):
        super().__init__(cause)

    @property
    def cause(self) -> str:
        return self.args[0]

    def __str__(self) -> str:
        return f"{self.cause}. {_GIVE_CLASSES}"


class Seen(NamedTuple):
    """What is known of the targets of some rows, in the loss's terms; parts merge to the whole.

    Attributes
    ----------
    n_rows : their number
    weight : the sum of their weights
    mean, deviation : (n_outputs,), where the loss is taken in standard units
    of_loss : see `skfm.losses.Loss.statistics`
    """

    n_rows: int
    weight: float
    mean: Any
    deviation: Any
    of_loss: Any

    def merged(self, more: Seen) -> Seen:
        """What is known of these rows and more (Chan's update)."""
        from skfm.losses import merge_statistics

        share = more.weight / (self.weight + more.weight)
        within = np.hypot(np.sqrt(1 - share) * self.deviation, np.sqrt(share) * more.deviation)
        between = np.sqrt(share * (1 - share)) * more.mean - np.sqrt(share * (1 - share)) * self.mean
        return Seen(
            self.n_rows + more.n_rows,
            self.weight + more.weight,
            (1 - share) * self.mean + share * more.mean,
            np.hypot(within, between),
            merge_statistics(self.of_loss, more.of_loss),
        )

    def compact(self) -> Seen:
        """The same in a bounded number of bytes."""
        of_loss = self.of_loss
        return self._replace(of_loss=of_loss.compact() if hasattr(of_loss, "compact") else of_loss)

    def is_unlike(self, other: Seen) -> bool:
        """Whether some output is as if of other rows."""
        units, others = (Units(*map(np.atleast_1d, one[2:4])) for one in (self, other))
        return bool(units.differs(others, np.size(self.mean), UNLIKE, UNLIKE).any())

    def standing_for(self, more: Seen) -> Seen:
        """The same, as if more rows had been like these."""
        weight = self.weight + more.weight
        of_loss = self.of_loss._replace(weight=self.of_loss.weight * (weight / self.weight))
        return self._replace(n_rows=self.n_rows + more.n_rows, weight=weight, of_loss=of_loss)


class SeenOfStream(NamedTuple):
    """What is known of the targets of a stream; see `skfm.data.statistics.StreamStatistics`.

    Attributes
    ----------
    settled : of the rows until their number had last doubled
    recent : of the rows since, or None
    """

    settled: Seen
    recent: Seen | None = None

    @property
    def total(self) -> Seen:
        """Of all rows."""
        return self.settled if self.recent is None else self.settled.merged(self.recent)

    def then(self, chunk: Seen) -> SeenOfStream:
        """With another chunk: where as many rows as before are unlike these, all count as if like them."""
        settled, recent = self.settled, chunk if self.recent is None else self.recent.merged(chunk)
        if recent.n_rows < settled.n_rows:
            return SeenOfStream(settled, recent)
        outvoted = settled.is_unlike(recent)
        return SeenOfStream(recent.standing_for(settled) if outvoted else settled.merged(recent))

    def compact(self) -> SeenOfStream:
        """The same in a bounded number of bytes."""
        return SeenOfStream(self.settled.compact(), self.recent and self.recent.compact())


@dataclass(frozen=True)
class Targets:
    """Base class.

    Attributes
    ----------
    n_outputs : raw predictions a sample
    location, scale : a raw prediction times `scale` plus `location` is in the units of y
    """

    _kept: ClassVar[tuple[str, ...]] = ("n_outputs", "location", "scale")
    n_outputs: int = 1
    location: Any = 0.0
    scale: Any = 1.0

    @property
    def what(self) -> str:
        """What y has, in words."""
        return f"{self.n_outputs} output{'s' * (self.n_outputs != 1)}"

    @property
    def loss(self):
        """The loss that these targets have."""
        raise NotImplementedError

    def weights(self, sample_weight, y) -> tuple[np.ndarray, np.ndarray | None]:
        """Weights of the rows, checked, and those of the tasks of each row, relative to them."""
        return check_sample_weight(sample_weight, y.shape[0]), None

    def learn(self, *parts, classes=None, incremental=False) -> Targets:
        """Targets that know which y there is, of one part of the rows or several.

        Parameters
        ----------
        classes : all labels that later calls may bring, or None for those of y
        incremental : whether there may be later calls
        """
        raise NotImplementedError

    def resume(self, known: Targets, classes=None) -> Targets:
        """Targets of these parameters that know what those of an earlier fit have learned.

        Parameters
        ----------
        classes : as given again, or None
        """
        learned = {name: getattr(known, name) for name in self._kept}
        return replace(self, **learned)

    def check_goes_on(self) -> None:
        """Raise ValueError if parameters ask for what is not known of rows that come one part at a time."""

    def check_like(self, known: Targets, remedy: str) -> None:
        """Raise ValueError if weights that were learned for other targets are not weights for these.

        Parameters
        ----------
        remedy : what the message tells to do
        """
        if self.what != known.what:
            raise ValueError(
                f"y has {self.what}, and the weights to go on from are those of {known.what}. {remedy}"
            )

    def encode(self, y, weight, task_weights=None) -> tuple[np.ndarray, np.ndarray]:
        """y in the loss's terms, and the weights of the rows, class weights included.

        Raises
        ------
        ValueError
            If y is not what was learned.
        """
        raise NotImplementedError

    def comparable(self, y) -> np.ndarray:
        """y as predictions are, for a score.

        Raises
        ------
        ValueError
            If it is nothing that they can be compared with.
        """
        return self.decode(self.encode(y, np.ones(len(y)))[0])

    def decode(self, terms) -> np.ndarray:
        """y as it was given, from the loss's terms."""
        raise NotImplementedError

    def kinds(self, terms) -> np.ndarray:
        """Kind of each row: of all kinds held-out rows are to have their share."""
        return np.zeros(terms.shape[0])

    def seen(self, terms, weight) -> Seen:
        """What is known of the targets of rows."""
        return Seen(terms.shape[0], weight.sum(), 0.0, 0.0, self.loss.statistics(terms, weight))

    def scores(self, terms, weight) -> Scores:
        """What rows ask of raw predictions in standard units, where these are the best constant."""
        raise NotImplementedError

    def standardized(self, seen: Seen, known: Targets | None = None) -> Targets:
        """Targets that know location and scale, for losses that are taken in standard units.

        Parameters
        ----------
        known : targets that weights were learned for; their units stay while they are about right, and with
            them the weights of columns that no row has touched since
        """
        return replace(self, location=0.0, scale=1.0)

    def base_score(self, seen: Seen, n_rows: int | None = None) -> np.ndarray:
        """The best constant raw prediction in standard units; see `skfm.losses.Loss.base_score`."""
        from skfm.losses import standardized_statistics

        return self.loss.base_score(standardized_statistics(seen.of_loss, self.location, self.scale), n_rows)

    def standardize(self, terms) -> np.ndarray:
        """The loss's terms in standard units."""
        return terms

    def in_units(self, raw: np.ndarray) -> np.ndarray:
        """Raw predictions in the units of y, in float64; those beyond its range are its ends."""
        with np.errstate(over="ignore"):
            return np.nan_to_num(self.location + self.scale * raw.astype(np.float64), nan=np.nan)

    def slopes_in_units(self, slopes: np.ndarray) -> np.ndarray:
        """Change of raw predictions (..., n_outputs, n), in the units of y; bounded as they are."""
        with np.errstate(over="ignore"):
            return np.nan_to_num(slopes * np.reshape(self.scale, (-1, 1)), nan=np.nan)

    def per_output(self, values):
        """Values (n_outputs, ...) of the outputs in the shape of y."""
        return values

    def predict(self, raw) -> np.ndarray:
        """Predictions, from raw ones in the units of y; so are those below."""
        raise NotImplementedError


@dataclass(frozen=True)
class Labels(Targets):
    """One column of labels (binary or softmax), or 0 and 1 for each of several labels.

    Attributes
    ----------
    class_weight : as given
    classes : sorted labels
    multilabel : whether y is a matrix of 0 and 1
    """

    _kept: ClassVar = (*Targets._kept, "classes", "multilabel")
    class_weight: Any = None
    classes: Any = None
    multilabel: bool = False

    @property
    def is_softmax(self) -> bool:
        """Whether outputs are classes that exclude each other."""
        return not self.multilabel and self.n_outputs > 1

    @property
    def loss(self):
        from skfm.losses import Logistic, Softmax

        return Softmax(n_classes=self.n_outputs) if self.is_softmax else Logistic()

    def _checked(self, y, *, warn: bool = False) -> tuple[np.ndarray, bool]:
        """Labels as an array, and whether they are several; `warn` of a column where a vector is usual."""
        if np.asarray(y).dtype.kind == "S":
            raise ValueError(
                "y holds labels represented as bytes. Make text of them, with np.char.decode(y, 'latin-1')."
            )
        try:
            # Numbers are cast to integers there, which those beyond 64 bits do not survive.
            with np.errstate(invalid="ignore"):
                check_classification_targets(y)
                kind = type_of_target(y, input_name="y", raise_unknown=True)
        except (TypeError, ValueError) as error:
            _refuse_labels("y", y)
            labels = np.ravel(y).tolist()
            types = sorted({type(label).__name__ for label in labels})
            are_numbers = all(isinstance(label, int | float | np.number | np.bool_) for label in labels)
            raise ValueError(
                f"Unknown label type: y holds objects of type {' and '.join(types)}, and labels need an "
                f"array of one type. Make it one, with {'np.asarray(y, dtype=int) or ' * are_numbers}"
                f"np.asarray(y, dtype=str)."
            ) from error
        multilabel = kind in ("multilabel-indicator", "multiclass-multioutput")
        if multilabel:
            _refuse_other_indicators(np.asarray(y))
        return (y if multilabel else column_or_1d(y, warn=warn)), multilabel

    def learn(self, *parts, classes=None, incremental=False):
        y, multilabel = self._checked(_joined(parts), warn=True)
        if multilabel:
            known = replace(self, n_outputs=y.shape[1], classes=np.arange(y.shape[1]), multilabel=True)
            known._check_classes(classes)
            return known
        where, parts = ("y", parts) if classes is None else ("classes=", (_given_classes(classes),))
        found = reduce(merge_label_sets, map(label_set, parts))
        if found.size < 2:
            shown = f"Only one class, {found.tolist()[0]!r}," if found.size else "No class"
            remedy = " Name all labels that y may have." if classes is not None else ""
            remedy = remedy or f" {_GIVE_CLASSES}" * incremental
            raise ValueError(f"{shown} in {where}: a classifier needs rows of at least two classes.{remedy}")
        n_outputs = found.size if found.size > 2 else 1
        return replace(self, n_outputs=n_outputs, classes=found, multilabel=False)

    def resume(self, known, classes=None):
        resumed: Any = super().resume(known)
        resumed._check_classes(classes)
        return resumed

    def _check_classes(self, classes) -> None:
        """Raise ValueError if classes that are given again, in any order, are others."""
        if classes is not None and not np.array_equal(label_set(_given_classes(classes)), self.classes):
            what = "the labels of y" if self.multilabel else "the classes of the first call"
            raise ValueError(
                f"classes={np.ravel(classes).tolist()} are not {what}, {self.classes.tolist()}. Give "
                f"these, or leave classes out."
            )

    def check_goes_on(self):
        _refuse_balanced(self.class_weight, "a dict {label: weight}")

    @property
    def what(self):
        return f"{self.classes.size} labels" if self.multilabel else "one column of classes"

    def check_like(self, known, remedy):
        super().check_like(known, remedy)
        classes, before = self.classes.tolist(), known.classes.tolist()
        if classes != before:
            new, gone = set(classes) - set(before), set(before) - set(classes)
            differences = (
                f"{word}: {shown([label for label in labels if label in others])}"
                for word, labels, others in (("new", classes, new), ("gone", before, gone))
                if others
            )
            raise ValueError(
                f"y has the classes {shown(classes)}, and the weights to go on from are those of "
                f"{shown(before)} ({', '.join(differences)}). {remedy}"
            )

    def _like_fitted(self, y) -> np.ndarray:
        """Checked labels, as many of each row as were fitted."""
        y, multilabel = self._checked(y)
        if multilabel != self.multilabel or (multilabel and y.shape[1] != self.classes.size):
            raise ValueError(f"y has shape {y.shape}, but the estimator was fitted on {self.what}.")
        return y

    def comparable(self, y):
        # A label that is none of the classes is one that predictions miss, but text is never a number.
        y = self._like_fitted(y)
        first, known = (np.ravel(labels)[:1].tolist()[0] for labels in (y, self.classes))
        if isinstance(first, str) != isinstance(known, str):
            raise ValueError(
                f"y holds {shown(first)} at row 0, and the classes are such as {shown(known)}. Give labels "
                f"as in fit."
            )
        return y

    def encode(self, y, weight, task_weights=None):
        y = self._like_fitted(y)
        if self.multilabel:
            return np.asarray(y, dtype=np.float64), self._weighed(y, weight)
        unseen = ~np.isin(y, self.classes)
        if unseen.any():
            row = int(np.argmax(unseen))
            label = y[row : row + 1].tolist()[0]
            raise UnknownLabelError(
                f"y contains the label {label!r} at row {row}, which is none of the classes "
                f"{self.classes.tolist()}"
            )
        codes = np.searchsorted(self.classes, y).astype(np.float64)
        return (codes if self.is_softmax else codes[:, None]), self._weighed(y, weight)

    def _weighed(self, y, sample_weight) -> np.ndarray:
        """Sample weights times class weights."""
        if self.class_weight is None:
            return sample_weight
        if isinstance(self.class_weight, str):
            columns = y.T.astype(int) if self.multilabel else [np.searchsorted(self.classes, y)]
            # Products of the weights of many labels overflow; the sum of the weights stays what it is.
            logs = np.sum([np.log(_balanced(codes, sample_weight))[codes] for codes in columns], axis=0)
            of_rows = np.exp(logs - logs.max())
            of_rows *= sample_weight.sum() / (sample_weight @ of_rows)
        elif isinstance(self.class_weight, dict) and not self.multilabel:
            classes = self.classes.tolist()
            unknown = [label for label in self.class_weight if label not in set(classes)]
            unnamed = [label for label in classes if label not in self.class_weight]
            # The rows of a fold may lack a class, but a label beside a class without a weight is misspelt.
            if unknown and unnamed:
                raise ValueError(
                    f"class_weight names {shown(unknown)}, which are none of the classes {shown(classes)}, "
                    f"and gives no weight to {shown(unnamed)}. Name all classes, spelt as in y: other labels "
                    f"are then ignored."
                )
            given = _as_numbers(self.class_weight)
            of_classes = {label: given.get(label, 1.0) for label in classes}
            _refuse_one_class("class_weight", of_classes)
            of_rows = np.array(list(of_classes.values()))[np.searchsorted(self.classes, y)]
        elif isinstance(self.class_weight, list) and self.multilabel:
            of_rows = self._of_labels(y)
        else:
            wanted = "a list of dicts, one for each label" if self.multilabel else "a dict {label: weight}"
            raise ValueError(f"class_weight must be 'balanced' or {wanted}; got {self.class_weight!r}.")
        weight = bounded(sample_weight * bounded(of_rows)) if np.isfinite(of_rows).all() else of_rows
        if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
            raise ValueError(
                f"class_weight must be finite, not negative, and above 0 for some row: {self.class_weight}."
            )
        return weight

    def _of_labels(self, y) -> np.ndarray:
        """Products of the weights of the labels, by a dict for each."""
        given, n_labels = self.class_weight, self.classes.size
        if len(given) != n_labels or any(set(of_label) - {0, 1} for of_label in given):
            raise ValueError(
                f"class_weight must have a dict with weights of 0 and 1 for each of {n_labels} labels; got "
                f"{given!r}."
            )
        given = [_as_numbers(of_label) for of_label in given]
        for label, one in enumerate(given):
            _refuse_one_class(f"class_weight[{label}]", {0: 1.0, 1: 1.0} | one)
        chosen = [np.where(y[:, label], one.get(1, 1.0), one.get(0, 1.0)) for label, one in enumerate(given)]
        return np.prod(chosen, axis=0)

    def decode(self, terms):
        return terms.astype(int) if self.multilabel else self.classes[terms.reshape(-1).astype(int)]

    def kinds(self, terms):
        return super().kinds(terms) if self.multilabel else terms.reshape(-1)

    def scores(self, terms, weight):
        if self.is_softmax:
            terms = terms[:, None] == np.arange(self.n_outputs)
        return _scores_of_chances(terms, weight)

    def decision_function(self, raw) -> np.ndarray:
        """Log odds, or scores before the softmax; a vector for two classes."""
        return raw[:, 0] if raw.shape[1] == 1 and not self.multilabel else raw

    def predict_proba(self, raw) -> np.ndarray:
        """Probabilities of the classes, or of each label."""
        probability = self.loss.inverse_link(raw)
        if self.is_softmax or self.multilabel:
            return probability
        return np.concatenate([1 - probability, probability], axis=1)

    def predict_log_proba(self, raw) -> np.ndarray:
        """Logarithms of the probabilities, accurate where these round to 0."""
        if self.is_softmax:
            shifted = raw - raw.max(axis=1, keepdims=True)
            return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        if self.multilabel:
            return -np.logaddexp(0, -raw)
        return np.concatenate([-np.logaddexp(0, raw), -np.logaddexp(0, -raw)], axis=1)

    def predict(self, raw):
        if self.multilabel:
            return (raw > 0).astype(int)
        best = raw.argmax(axis=1) if self.is_softmax else (raw[:, 0] > 0).astype(int)
        return self.classes[best]


@dataclass(frozen=True)
class Numbers(Targets):
    """Numbers, one column or several.

    Attributes
    ----------
    loss_name, loss_options : the loss, and its parameters as pairs
    fit_intercept : whether the prediction of an empty row is learned
    is_vector : whether y has one dimension
    """

    _kept: ClassVar = (*Targets._kept, "is_vector")
    loss_name: str = "squared_error"
    loss_options: tuple[tuple[str, float], ...] = ()
    fit_intercept: bool = True
    is_vector: bool = True

    @property
    def loss(self):
        from skfm.losses import REGRESSION_LOSSES

        return REGRESSION_LOSSES[self.loss_name](**dict(self.loss_options))

    @staticmethod
    def _checked(y) -> np.ndarray:
        y = _dense(y)
        if y.dtype.kind in "mM":
            raise ValueError(
                f"y must hold numbers, and holds {y.ravel()[0]} at row 0, of type {y.dtype}. Of dates or "
                f"durations give days, for instance."
            )
        position = where_no_number(y)
        if position is not None:
            value, place = y.ravel().tolist()[position], place_of(y, position)
            if isinstance(value, int):
                raise ValueError(f"y holds {shown(value)} at {place}, beyond the range of floats. Scale y.")
            raise ValueError(
                f"y must hold numbers, and holds {shown(value)} at {place}, of type "
                f"{type(value).__name__}. Convert it to a float, or fit a classifier where these are labels."
            )
        same = merged(y)
        if same is not None:
            where = f"Column {same.column} of y" if y[:1].size > 1 else "y"
            raise ValueError(
                f"{where} holds {same}. Subtract a number near them from y, and add it to the predictions."
            )
        try:
            y = np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"y must hold numbers: {error}") from error
        if not np.isfinite(y).all():
            place = place_of(y, int(np.argmin(np.isfinite(y))))
            raise ValueError(f"Input y contains NaN or infinity at {place}. Drop that row.")
        return y

    def learn(self, *parts, classes=None, incremental=False):
        y = self._checked(_joined(parts))
        return replace(self, n_outputs=1 if y.ndim == 1 else y.shape[1], is_vector=y.ndim == 1)

    def _like_fitted(self, y) -> np.ndarray:
        """Checked numbers, one column an output."""
        y = self._checked(y)
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if n_outputs != self.n_outputs:
            raise ValueError(f"y has {n_outputs} columns, but the estimator was fitted on {self.n_outputs}.")
        return y.reshape(y.shape[0], n_outputs)

    def comparable(self, y):
        return self.decode(self._like_fitted(y))

    def encode(self, y, weight, task_weights=None):
        y = self._like_fitted(y)
        self.loss.check_target(y)
        return y, weight

    def decode(self, terms):
        return terms[:, 0] if self.is_vector else terms

    def seen(self, terms, weight):
        seen = super().seen(terms, weight)
        unit = powers_of_two(terms)
        mean = np.average(terms / unit, axis=0, weights=weight)
        deviation = np.sqrt(np.average(np.square(terms / unit - mean), axis=0, weights=weight))
        return seen._replace(mean=mean * unit, deviation=deviation * unit)

    def scores(self, terms, weight):
        y = self.standardized(self.seen(terms, weight)).standardize(terms)
        if self.loss.standardizes_target:
            return Scores(y, np.ones_like(y))
        mean = np.average(y, axis=0, weights=weight)
        residuals, curvature = y - mean, np.broadcast_to(mean, y.shape)
        # Counts vary more than a Poisson variable, and so does what columns tell of them.
        total = float(weight @ curvature.sum(axis=1))
        dispersion = max(float(weight @ np.square(residuals).sum(axis=1)) / total, 1.0) if total else 1.0
        return Scores(residuals / dispersion, curvature / dispersion, dispersion)

    def standardized(self, seen, known=None):
        if not self.loss.standardizes_target:
            return self._in_counted_units(seen, known)
        # Without an intercept the prediction for an empty row is 0.
        location = seen.mean if self.fit_intercept else np.zeros_like(seen.mean)
        deviation = seen.deviation if self.fit_intercept else np.hypot(seen.deviation, seen.mean)
        # A constant of 1e200 has rounding errors beyond the range of squares, so 1 is no unit of these.
        with np.errstate(under="ignore"):
            error = 1e-12 * np.abs(location)
        scale = np.where(deviation <= error, np.maximum(error, 1.0), deviation)
        if known is not None:
            with np.errstate(over="ignore"):
                ratio, step = (
                    scale / known.scale,
                    np.abs(location / known.scale - known.location / known.scale),
                )
            keeps = (ratio <= _SAME_UNITS) & (ratio >= 1 / _SAME_UNITS) & (step <= _SAME_UNITS)
            scale = np.where(keeps, known.scale, scale)
            location = np.where(keeps, known.location, location) if self.fit_intercept else location
        return replace(self, location=location, scale=scale)

    def _in_counted_units(self, seen: Seen, known: Targets | None) -> Targets:
        """Targets whose raw predictions are logarithms: of counts as they are, unless these are extreme.

        A penalty means nothing beside losses of 1e100, and is all there is beside losses of 1e-100.
        """
        mean = seen.of_loss.mean
        extreme = (mean > _MOST_COUNTED) | ((mean > 0) & (mean < 1 / _MOST_COUNTED))
        if known is not None and np.all(np.not_equal(known.location, 0) == extreme):
            return replace(self, location=known.location, scale=known.scale)
        if not extreme.any():
            return super().standardized(seen)
        return replace(self, location=np.log(np.where(extreme, mean, 1.0)), scale=np.ones_like(mean))

    def base_score(self, seen, n_rows=None):
        if self.loss.standardizes_target:
            return super().base_score(seen, n_rows)
        return self.loss.base_score(seen.of_loss, n_rows) - self.location

    def standardize(self, terms):
        if not self.loss.standardizes_target:
            return terms / np.exp(self.location)
        return standardized_values(terms, self.location, self.scale)

    def per_output(self, values):
        return values[0] if self.is_vector else values

    def predict(self, raw):
        with np.errstate(over="ignore"):
            return self.decode(np.nan_to_num(self.loss.inverse_link(raw), nan=np.nan))


@dataclass(frozen=True)
class ClickConversion(Targets):
    """A column of clicks and one of conversions, which need a click (ESMM); one column of y is labels.

    In the loss's terms there are four columns: click, conversion, and the weight of the loss of each.

    Attributes
    ----------
    class_weight : None, "balanced", or a dict for each task
    task_weights : weight of the loss of each task
    """

    n_outputs: int = 2
    class_weight: Any = None
    task_weights: Any = (1.0, 1.0)

    @property
    def loss(self):
        from skfm.losses import ClickConversionLoss

        return ClickConversionLoss()

    @property
    def what(self):
        return "clicks and conversions"

    @property
    def classes(self) -> list[np.ndarray]:
        """0 and 1 for each task."""
        return [np.array([0, 1]), np.array([0, 1])]

    def weights(self, sample_weight, y):
        weight = weights_as_numbers(1.0 if sample_weight is None else sample_weight)
        if weight.ndim < 2:
            return super().weights(sample_weight, y)
        if weight.shape != (len(y), 2) or y.shape != weight.shape:
            raise ValueError(
                f"sample_weight has shape {weight.shape} and y {y.shape}; a weight for each task needs "
                f"(n_samples, 2) for both."
            )
        if not np.isfinite(weight).all() or (weight < 0).any():
            row = first_row(~np.isfinite(weight) | (weight < 0))
            raise ValueError(f"sample_weight is {weight[row].tolist()} at row {row}; weights are 0 or more.")
        mean = weight.mean(axis=1)
        relative = np.divide(weight, mean[:, None], out=np.ones_like(weight), where=mean[:, None] > 0)
        return check_sample_weight(mean, len(y)), relative

    @property
    def _alone(self) -> Labels:
        """Targets of one column."""
        return Labels(class_weight=self.class_weight)

    def learn(self, *parts, classes=None, incremental=False):
        y = _dense(parts[0])
        if y.ndim == 1 or y.shape[1] == 1:
            return self._alone.learn(*parts, classes=classes, incremental=incremental)
        self._check_classes(classes)
        return self

    def resume(self, known, classes=None):
        if isinstance(known, Labels):
            return self._alone.resume(known, classes)
        self._check_classes(classes)
        return super().resume(known)

    def _check_classes(self, classes) -> None:
        """Raise ValueError if classes are given that are not 0 and 1, for both tasks or for each."""
        labels = [] if classes is None else objects_of(classes).ravel().tolist()
        are_0_or_1 = all(not is_missing(label) and label in (0, 1) for label in labels)
        if classes is not None and (not are_0_or_1 or len(set(labels)) != 2):
            raise ValueError(f"classes={classes!r}: clicks and conversions are 0 and 1. Leave classes out.")

    def check_goes_on(self):
        _refuse_balanced(
            self.class_weight, "a list of two dicts {label: weight}, or one for a column of labels"
        )

    def encode(self, y, weight, task_weights=None):
        y = _dense(y)
        if y.ndim == 1 or y.shape[1] == 1:
            raise ValueError(f"y has shape {y.shape}, but the estimator was fitted on click and conversion.")
        if y.shape[1] != 2:
            raise ValueError(
                f"y has {y.shape[1]} columns; expected two, clicks and conversions (or one column of labels)."
            )
        position = where_no_number(y)
        if position is not None:
            value = y.ravel().tolist()[position]
            raise ValueError(
                f"y holds {shown(value)} at {place_of(y, position)}; clicks and conversions are 0 or 1."
            )
        y = y.astype(np.float64)
        bad = ((y != 0) & (y != 1)).any(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"y holds {y[row].tolist()} at row {row}; clicks and conversions are 0 or 1.")
        lone = y[:, 1] > y[:, 0]
        if lone.any():
            raise ValueError(
                f"y has a conversion without a click at row {int(np.argmax(lone))} ({np.count_nonzero(lone)} "
                f"such rows). Columns are click and conversion, in this order; a conversion needs a click."
            )
        of_tasks = np.ones_like(y) if task_weights is None else task_weights.copy()
        # Each task is balanced by itself.
        for task, task_weight in enumerate(self._checked_task_weights()):
            codes = y[:, task].astype(int)
            of_classes = task_weight * self._class_weights(task, codes, weight * of_tasks[:, task])
            of_tasks[:, task] *= of_classes[codes]
        return np.concatenate([y, of_tasks], axis=1), weight

    def _checked_task_weights(self) -> np.ndarray:
        weights = np.asarray(self.task_weights, dtype=np.float64)
        if (
            weights.shape != (2,)
            or not np.isfinite(weights).all()
            or (weights < 0).any()
            or not weights.any()
        ):
            raise ValueError(
                f"task_weights must be two numbers of 0 or more, not both 0; got {self.task_weights!r}."
            )
        return weights

    def _class_weights(self, task: int, codes, weight) -> np.ndarray:
        """Weights of the labels 0 and 1 of a task."""
        given = self.class_weight
        if given is None:
            return np.ones(2)
        if isinstance(given, str):
            return _balanced(codes, weight, 2)
        is_pair = isinstance(given, list | tuple) and len(given) == 2
        if not is_pair or not all(isinstance(of_task, dict) for of_task in given):
            raise ValueError(
                f"class_weight must be 'balanced', or a list of two dicts, one for clicks and one for "
                f"conversions; got {given!r}."
            )
        of_task = _as_numbers(given[task])
        if set(of_task) - {0, 1}:
            raise ValueError(f"class_weight[{task}] must give weights to 0 and 1; got {given[task]!r}.")
        weights = np.array([of_task.get(label, 1.0) for label in (0, 1)])
        _refuse_one_class(f"class_weight[{task}]", dict(enumerate(weights)))
        return weights

    def decode(self, terms):
        return terms[:, :2].astype(int)

    def kinds(self, terms):
        return terms[:, 0] + terms[:, 1]

    def scores(self, terms, weight):
        click, after = terms[:, :1], terms[:, 1:2]
        # Only a click tells of the conversion after it.
        of_tasks = zip((click, after), (weight, weight * click[:, 0]), strict=True)
        each = [_scores_of_chances(task, of_task) for task, of_task in of_tasks]
        residuals, curvature = (np.hstack(parts) for parts in zip(*(one[:2] for one in each), strict=True))
        counts = terms[:, 2:] * np.hstack([np.ones_like(click), click])
        return each[0]._replace(residuals=residuals * counts, curvature=curvature * counts)

    def decision_function(self, raw) -> np.ndarray:
        """Log odds of a click, and of a click with a conversion."""
        from skfm.losses import log_both, log_complement

        both = log_both(raw)
        return np.stack([raw[:, 0], both - log_complement(both)], axis=1)

    def predict_proba(self, raw) -> np.ndarray:
        """Chances of a click, of a conversion after it, and of both."""
        return self.loss.inverse_link(raw)

    def predict_log_proba(self, raw) -> np.ndarray:
        """Logarithms of the chances, accurate where these round to 0."""
        log_chances = -np.logaddexp(0, -raw)
        return np.concatenate([log_chances, log_chances.sum(axis=1, keepdims=True)], axis=1)

    def predict(self, raw):
        return (self.decision_function(raw) > 0).astype(int)


def _scores_of_chances(happens, weight) -> Scores:
    """Scores of log odds, of what happens or does not."""
    total = weight.sum()
    chance = weight @ happens / (total or 1)
    return Scores(happens - chance, np.broadcast_to(chance * (1 - chance), happens.shape), unexplained=2)


def _balanced(codes: np.ndarray, weight: np.ndarray, n_classes: int = 0) -> np.ndarray:
    """Weights of classes that give each of them the same part of the weight, so that 2 is the row twice."""
    share = np.bincount(codes, weight, minlength=n_classes)
    present = share > 0
    return np.divide(share.sum(), present.sum() * share, out=np.ones_like(share), where=present)


def _as_numbers(class_weight: dict) -> dict[Any, float]:
    """Weights of classes as floats.

    Raises
    ------
    ValueError
        If one of them is no finite number, or negative.
    """
    found = {}
    for label, weight in class_weight.items():
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            found[label] = float(weight)
        if not 0 <= found.get(label, -1) < np.inf:
            raise ValueError(
                f"class_weight gives {shown(weight)} to {label!r}: weights must be finite, and not negative."
            )
    return found


def _refuse_one_class(name: str, of_classes: dict[Any, float]) -> None:
    """Raise ValueError if weights leave one class alone; those that leave none are refused elsewhere."""
    left = [label for label, weight in of_classes.items() if weight != 0]
    if len(left) == 1:
        raise ValueError(
            f"{name} gives 0 to all classes but {left[0]!r}: a classifier needs rows of at least two "
            f"classes. Give another class a weight above 0."
        )


def _refuse_balanced(class_weight, remedy: str) -> None:
    """Raise ValueError if classes are to be balanced over rows of which only a part is known."""
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight={class_weight!r} needs all rows, and a call of partial_fit knows its own alone. "
            f"Compute the weights once, with sklearn.utils.compute_class_weight on a sample of the rows, and "
            f"give them as {remedy}."
        )


def _given_classes(classes) -> np.ndarray:
    """Labels given as classes=.

    Raises
    ------
    ValueError
        If they are not one list of labels of one kind.
    """
    classes = as_objects_if_text(classes)
    objects = np.empty(0, dtype=object) if isinstance(classes, str | bytes) else objects_of(classes)
    if objects.ndim != 1 or isinstance(classes, str | bytes):
        raise ValueError(f"classes={shown(classes)} must be one list of labels, such as [0, 1].")
    for position, label in enumerate(objects.tolist()):
        if is_missing(label):
            raise ValueError(
                f"classes= holds a missing value, {label!r}, at position {position}. Leave it out, and drop "
                f"rows whose target is missing."
            )
    # Numbers beside text would be text.
    _refuse_labels("classes=", objects if isinstance(classes, list | tuple) else classes)
    values = np.asarray(classes)
    return np.asarray(values.tolist()) if values.dtype.kind == "O" else values


def _refuse_other_indicators(y: np.ndarray) -> None:
    """Raise ValueError if a value of several labels is neither 0 nor 1: scikit-learn takes any two."""
    other = (y != 0) & (y != 1)
    if other.any():
        position, values = int(other.argmax()), np.unique(y).tolist()
        such = f", such as (np.asarray(y) == {values[1]!r}).astype(int)" if len(values) == 2 else ""
        raise ValueError(
            f"y holds {shown(y.ravel().tolist()[position])} at {place_of(y, position)}: of several labels "
            f"give 1 where a row has the label, and 0 where not{such}. Columns of classes need an estimator "
            f"each, with sklearn.multioutput.MultiOutputClassifier."
        )


def _refuse_labels(what: str, labels) -> None:
    """Raise ValueError naming the first that is no label, or not of the kind of the first one."""
    values = np.asarray(labels)
    found = values.ravel().tolist() if values.dtype.kind in "fO" else []
    for position, label in enumerate(found):
        place = place_of(values, position) if what == "y" else f"position {position}"
        where = f"{what} holds {shown(label)} at {place}"
        if isinstance(label, float) and not label.is_integer():
            raise ValueError(
                f"Unknown label type: {where}, and labels are text or whole numbers. Fit a regressor on "
                f"numbers; or cut them into classes, or make text of them, which is a label as it is."
            )
        is_large = isinstance(label, int | float) and abs(label) >= 2**63
        if is_large or not isinstance(label, _LABELS):
            taken = "text, or whole numbers from -2**63 to 2**63 - 1" if is_large else "text or whole numbers"
            raise ValueError(
                f"Unknown label type: {where}, of type {type(label).__name__}, and labels are {taken}. Make "
                f"text of them: [str(label) for label in labels]."
            )
        if isinstance(label, str) != isinstance(found[0], str):
            raise ValueError(
                f"{where}, and {shown(found[0])} before: labels are text or numbers, not both. Make text of "
                f"them: [str(label) for label in labels]."
            )


def label_set(y) -> np.ndarray:
    """Sorted different labels of some rows."""
    return unique_labels(np.ravel(y))


def merge_label_sets(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The label set of the rows of both."""
    return unique_labels(a, b)


def _joined(parts):
    """y of all parts."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _dense(y) -> np.ndarray:
    return np.asarray(y.toarray() if hasattr(y, "toarray") else y)
