"""Scores of raw predictions by scikit-learn's scorers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import check_scoring, get_scorer_names, r2_score

from skfm.data.batches import Samples


class _InTraining:
    """Mixin of an estimator in training, for scorers: its raw predictions of the rows held out are known."""

    _learned: Any
    _held_out: sparse.csr_array
    _raw: np.ndarray

    def __new__(cls, *arguments, **options) -> Any:
        # Clones, and others that are made by the class, are ordinary estimators.
        return cls.__mro__[2](*arguments, **options)

    def _raw_predict(self, X) -> np.ndarray:
        known = self._held_out
        if X is not known:
            given = X.toarray() if sparse.issparse(X) else np.asarray(X)
            if given.shape != known.shape or not np.array_equal(given, known.toarray()):
                raise ValueError(
                    f"This {type(self).__name__} is in training: a scorer can have predictions of the "
                    f"held-out rows that it is given, and of no others."
                )
        return self._raw

    def _unknown(self, *arguments, **options):
        raise AttributeError(f"This {type(self).__name__} is in training: its weights are not known yet.")

    _table = _map = _offset = _attributes = _unknown
    intercept_ = center_ = property(_unknown)

    def _learn(self, *arguments, **options):
        raise RuntimeError(
            f"This {type(self).__name__} is in training, and cannot be fitted by the scorer that it is given "
            f"to. Fit a clone that does without: sklearn.base.clone(estimator).set_params(scoring='loss')."
        )

    def __reduce__(self):
        # The class has no name to be found by.
        return _blank, (type(self).__mro__[2],), self.__getstate__()

    def score_of_raw(self, scoring, held_out: Samples) -> Callable[[np.ndarray], float]:
        """Function that scores raw predictions of the rows.

        Parameters
        ----------
        held_out : rows, with targets in the loss's terms
        """
        self._held_out = held_out.X
        targets, weight = self._learned.targets, held_out.weight
        scorer, y = check_scoring(self, scoring=scoring), targets.decode(held_out.y)
        if isinstance(scoring, str):
            self._check_kind(scoring, scorer)
        needed = _lacking(scorer, y)
        if needed is not None:
            raise ValueError(f"{_undefined(scoring, y)}: it needs {needed}. {_OTHER_ROWS}")
        is_weighed = np.any(weight != weight[0]) and _takes_weights(scorer)
        options = {"sample_weight": weight} if is_weighed else {}

        def score(raw: np.ndarray) -> float:
            self._raw = targets.in_units(raw)
            if not np.isfinite(self._raw).all():
                # Training has diverged: that is no fault of the scorer.
                return np.nan
            try:
                found: Any = scorer(self, held_out.X, y, **options)
            except (AttributeError, ValueError, UndefinedMetricWarning) as error:
                cause = str(error).rstrip(".")
                asks = scorer if "pos_label" in cause else None
                remedy = self._remedy(scoring, y, asks)
                raise ValueError(f"{_undefined(scoring, y)}: {cause}. {remedy}") from error
            found = found.item() if np.ndim(found) == 0 and hasattr(found, "item") else found
            if not isinstance(found, Real) or not math.isfinite(found):
                shown = f"an array of shape {np.shape(found)}" if hasattr(found, "shape") else repr(found)
                remedy = _ONE_NUMBER if callable(scoring) else self._remedy(scoring, y)
                raise ValueError(f"{_undefined(scoring, y)}: it gives {shown}. {remedy}")
            return float(found)

        if not callable(scoring):
            # One that does not suit the task is named before training. Predictions near the mean, none alike.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score(_PROBE * np.random.default_rng(0).normal(size=(y.shape[0], targets.n_outputs)))
        return score

    def _check_kind(self, scoring: str, scorer) -> None:
        """Raise ValueError if a score of numbers is asked for labels, or the other way about."""
        of_numbers = scorer._score_func.__module__ == _OF_NUMBERS
        if of_numbers == is_classifier(self):
            what, others = ("numbers", "labels") if of_numbers else ("labels", "numbers")
            suited = "'accuracy'" if of_numbers else "'neg_mean_squared_error'"
            raise ValueError(
                f"scoring={scoring!r} is a score of {what}, and {type(self).__name__} predicts {others}. "
                f"Give one of {others}, such as {suited} or {_LOSS}."
            )

    def _remedy(self, scoring, y: np.ndarray, asks: Any = None) -> str:
        """What helps where there is no score: other rows where these lack something, else another score.

        Parameters
        ----------
        asks : the scorer where it does not know which of two labels is the positive one; else None
        """
        targets = self._learned.targets
        n_classes = len(targets.classes) if is_classifier(self) and y.ndim == 1 else 0
        if asks is None and (_is_constant(y) or len(y) < 2 or len(np.unique(y)) < n_classes):
            return _OTHER_ROWS
        names = [f"{scoring}_ovr", f"{scoring}_macro"]
        suited = [repr(name) for name in names if name in get_scorer_names()]
        if hasattr(asks, "_score_func"):
            suited.append(_with_label(asks, targets.classes[-1:].tolist()[0]))
        of_classes = f" with {n_classes} classes" if n_classes else ""
        labels = "" if asks is None else ", or make 0 and 1 of the labels"
        return (
            f"Give one that suits {type(self).__name__}{of_classes}, such as {' or '.join([*suited, _LOSS])}"
            f"{labels}."
        )


# Deviation of the raw predictions that a score is tried on, in standard units.
_PROBE = 1e-3
_LOSS = "'loss'"
_OTHER_ROWS = (
    "Hold out other rows, with X_val and y_val or a larger validation_fraction, or give a scoring that is "
    f"defined for these, such as {_LOSS}."
)
# Where scikit-learn has its scores of numbers; others are of classes, or of clusters.
_OF_NUMBERS = r2_score.__module__
_ONE_NUMBER = "A scoring function has to return one finite number."


def _lacking(scorer, y: np.ndarray) -> str | None:
    """What a score of scikit-learn needs that rows have not, where it would warn and be NaN; or None."""
    name = getattr(getattr(scorer, "_score_func", None), "__name__", "")
    if (name == "r2_score" or name.startswith("d2_")) and len(y) < 2:
        return "two rows"
    if name == "roc_auc_score" and y.ndim == 1 and len(np.unique(y)) < 2:
        return "rows of two classes"
    return None


def _with_label(scorer, label) -> str:
    """How to make a scorer again, with the label that is the positive one."""
    options = scorer._kwargs | {"pos_label": label}
    if scorer._sign < 0:
        options["greater_is_better"] = False
    if scorer._response_method != "predict":
        options["response_method"] = scorer._response_method
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return f"sklearn.metrics.make_scorer({scorer._score_func.__name__}, {given})"


def _undefined(scoring, y: np.ndarray) -> str:
    """That there is no score, and what may be the cause."""
    what = "y is" if y.ndim == 1 else "a column of y is"
    cause = f", in which {what} the same everywhere" if _is_constant(y) else ""
    return f"scoring={scoring!r} cannot score the held-out rows ({len(y)}{cause})"


def _is_constant(y: np.ndarray) -> bool:
    """Whether y, or a column of it, is the same in all rows."""
    return bool((y == y[:1]).reshape(len(y), -1).all(axis=0).any())


def _takes_weights(scorer) -> bool:
    """Whether a scorer takes ``sample_weight``; others score all rows alike."""
    try:
        parameters = signature(getattr(scorer, "_score_func", scorer)).parameters.values()
    except ValueError:
        return False
    return any(one.name == "sample_weight" or one.kind == one.VAR_KEYWORD for one in parameters)


@lru_cache(maxsize=64)
def in_training(kind: type) -> Any:
    """The class of an estimator in training; it has the name of the estimator's."""
    return type(kind.__name__, (_InTraining, kind), {"__module__": kind.__module__})


def _blank(kind: type) -> Any:
    """An estimator in training without its state."""
    return object.__new__(in_training(kind))
