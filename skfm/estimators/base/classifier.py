"""Targets of classifiers: labels in, probabilities out."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skfm.estimators.base.estimator import FactorizationEstimator
from skfm.estimators.base.parameters import LabelParameters


class FactorizationClassifier(ClassifierMixin, LabelParameters, FactorizationEstimator):
    """Base class of all classifiers: binary, multiclass (softmax) and multilabel."""

    classes_: np.ndarray

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Do one epoch on the rows given, going on from earlier calls.

        The optimizer goes on as well: k calls with the same rows are k epochs of `fit`.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels; or 0 and 1 for each of several labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that later calls may bring; those of the first call if None.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def _check_targets(self, y, *, first, classes=None):
        if hasattr(y, "toarray"):
            y = y.toarray()
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind == "multiclass-multioutput":
            raise ValueError(
                f"{type(self).__name__} takes one column of labels, or 0 and 1 for each of several labels; "
                f"wrap it in sklearn.multioutput.MultiOutputClassifier for several columns of classes."
            )
        multilabel = kind == "multilabel-indicator"
        if not multilabel:
            y = column_or_1d(y, warn=True)
        if first:
            self._multilabel = multilabel
            if multilabel:
                self.classes_ = np.arange(y.shape[1])
            else:
                self.classes_ = unique_labels(y) if classes is None else unique_labels(np.asarray(classes))
            if not multilabel and self.classes_.size < 2:
                raise ValueError(
                    f"Only one class, {self.classes_[0]!r}, in y: a classifier needs rows of at least "
                    f"two classes."
                )
        if multilabel != self._multilabel or (multilabel and y.shape[1] != self.classes_.size):
            expected = f"{self.classes_.size} labels" if self._multilabel else "one column of classes"
            raise ValueError(f"y has shape {y.shape}, but the estimator was fitted on {expected}.")
        if not multilabel:
            unseen = ~np.isin(y, self.classes_)
            if unseen.any():
                row = int(np.argmax(unseen))
                raise ValueError(
                    f"y contains the label {y[row]!r} at row {row}, which is none of the classes "
                    f"{self.classes_.tolist()}. Pass all labels as classes= in the first call of partial_fit."
                )
        n_classes = self.classes_.size
        self._n_outputs = n_classes if self._multilabel or n_classes > 2 else 1
        return y

    def _encode_targets(self, y):
        if self._multilabel:
            return np.asarray(y, dtype=np.float64)
        codes = np.searchsorted(self.classes_, y).astype(np.float64)
        return codes if self.classes_.size > 2 else codes[:, None]

    def _reweight(self, y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        if isinstance(self.class_weight, str) and not self._multilabel:
            # Balanced in terms of weight, so that a weight of 2 is the row twice.
            codes = np.searchsorted(self.classes_, y)
            share = np.bincount(codes, weights=sample_weight)
            present = np.count_nonzero(share)
            return sample_weight * sample_weight.sum() / (present * share[codes])
        if isinstance(self.class_weight, dict) and not self._multilabel:
            unknown = [label for label in self.class_weight if label not in set(self.classes_.tolist())]
            if unknown:
                raise ValueError(f"class_weight names {unknown}, which are none of {self.classes_.tolist()}.")
            if min(self.class_weight.values(), default=1) < 0:
                raise ValueError(f"class_weight must not be negative, got {self.class_weight}.")
        weight = sample_weight * compute_sample_weight(self.class_weight, y)
        if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
            raise ValueError(
                f"class_weight must be finite, not negative, and above 0 for some row: {self.class_weight}."
            )
        return weight

    def _stratification(self, y):
        if self._multilabel or np.unique(y, return_counts=True)[1].min() < 2:
            return None
        return y

    def _make_loss(self):
        from skfm.losses import Logistic, Softmax

        return Softmax(n_classes=self._n_outputs) if self._softmax else Logistic()

    def _per_output(self, values):
        return values

    @property
    def _softmax(self):
        return not self._multilabel and self._n_outputs > 1

    # -- predictions -------------------------------------------------------------------------------

    def decision_function(self, X):
        """Raw predictions: log odds, or scores before the softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        raw : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            One column for binary labels, given as a vector.
        """
        check_is_fitted(self)
        raw = self._raw_predict(X)
        return raw[:, 0] if raw.shape[1] == 1 and not self._multilabel else raw

    def predict_proba(self, X):
        """Probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; for multilabel targets the probability of each label.
        """
        check_is_fitted(self)
        probability = self._loss.inverse_link(self._raw_predict(X))
        if self._softmax or self._multilabel:
            return probability
        return np.concatenate([1 - probability, probability], axis=1)

    def predict_log_proba(self, X):
        """Logarithm of the probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Accurate where a probability rounds to 0.
        """
        check_is_fitted(self)
        raw = self._raw_predict(X)
        if self._softmax:
            shifted = raw - raw.max(axis=1, keepdims=True)
            return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        if self._multilabel:
            return -np.logaddexp(0, -raw)
        return np.concatenate([-np.logaddexp(0, raw), -np.logaddexp(0, -raw)], axis=1)

    def predict(self, X):
        """Most probable labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels as in y; 0 and 1 for multilabel targets.
        """
        check_is_fitted(self)
        raw = self._raw_predict(X)
        if self._multilabel:
            return (raw > 0).astype(int)
        best = raw.argmax(axis=1) if self._softmax else (raw[:, 0] > 0).astype(int)
        return self.classes_[best]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
