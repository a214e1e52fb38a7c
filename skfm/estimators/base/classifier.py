"""Targets of classifiers: labels in, probabilities out."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score

from skfm.estimators.base.estimator import FactorizationEstimator
from skfm.estimators.base.parameters import LabelParameters
from skfm.estimators.base.tables import fitted
from skfm.fitting.learn import Given
from skfm.fitting.streams import scored
from skfm.fitting.targets import Labels


class FactorizationClassifier(ClassifierMixin, LabelParameters, FactorizationEstimator):
    """Base class of all classifiers: binary, multiclass (softmax) and multilabel."""

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        """Do one epoch on the rows given, going on from earlier calls.

        The optimizer goes on as well: k calls with the same rows are k epochs of `fit`. What is known of y
        (class odds, mean and deviation) is that of the rows of all calls.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels; or 0 and 1 for each of several labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that later calls may bring; those of the first call if None. Given again, they must be
            the same, in any order.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        self : object
            Fitted estimator. If the call fails or is interrupted, it is left as it was.
        """
        self._go_on(Given(X, y, sample_weight), classes)
        return self

    def _make_targets(self):
        return Labels(class_weight=self.class_weight)

    @fitted
    def classes_(self) -> np.ndarray:
        """Class labels."""
        return self._learned.targets.classes

    # -- predictions -------------------------------------------------------------------------------

    def __call__(self, X):
        """Raw predictions, for tools that explain functions of X."""
        return self.decision_function(X)

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
        raw = self._raw_predict(X)
        return self._learned.targets.decision_function(raw)

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
        raw = self._raw_predict(X)
        return self._learned.targets.predict_proba(raw)

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
        raw = self._raw_predict(X)
        return self._learned.targets.predict_log_proba(raw)

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
        raw = self._raw_predict(X)
        return self._learned.targets.predict(raw)

    def score(self, X, y=None, sample_weight=None):
        """Accuracy: the share of rows with all labels right.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict; or a stream of chunks ``(X, y)`` or ``(X, y, sample_weight)``.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels; None for a stream.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            Accuracy of ``predict(X)``.
        """
        y, predicted, weight = scored(self.predict, self._comparable, X, y, sample_weight)
        return accuracy_score(y, predicted, sample_weight=weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
