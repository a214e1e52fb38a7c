"""Entire space multi-task model: clicks, and conversions after them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.parameters import LinearParameters
from skfm.estimators.base.tables import LinearTable

_TOWERS = (
    "mlp",
    "fm",
    "deepfm",
    "wide_deep",
    "nfm",
    "pnn",
    "dcn",
    "xdeepfm",
    "deep_crossing",
    "final_mlp",
)
_MODEL = """\
Whoever converts (buys) has clicked before: y has a column of clicks and one of conversions. A model of
conversions that learns from clicked rows alone has never seen the rows that it is asked about. Here two
towers on shared embeddings give ::

    P(click) = sigmoid(click(x)),    P(conversion | click) = sigmoid(conversion(x))
    P(click and conversion) = P(click) P(conversion | click)

and both tasks that are trained are defined on all rows: the loss of a row is the log loss of its click plus
that of click and conversion, each times its task weight.
{fields}
Each tower is a model of the kind that ``tower`` names, with a network and linear weights of its own."""
_NOTES = """\
An epoch costs what two epochs of the model of a tower cost. Memory: k numbers a column, and 2 for towers
with a linear term, two to five times that with the state of the optimizer, once more for the best weights
on held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

The shares that a constant prediction starts from are those of y, weighted. Classes are balanced task by
task, over all rows. fit takes a ``sample_weight`` of shape (n_samples, 2) too, a weight for each task of
a row. With y of one column there is no chain: the model is then one tower, an ordinary
classifier of that column.

Differences from Ma et al.: any of several models as a tower, weights for the tasks, penalties."""
_REFERENCES = """\
.. [1] X. Ma et al., "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click
   Conversion Rate", SIGIR 2018. https://doi.org/10.1145/3209978.3210104"""


@estimator
class ESMMClassifier(LinearTable, DeepEstimator, LinearParameters, FactorizationClassifier):
    """Entire space multi-task model: chances of a click, and of a conversion after it.

    {model}

    {parameters}

    Attributes
    ----------
    classes_ : list of two ndarrays
        ``[0, 1]`` for each task; labels of one column of y as of other classifiers.
    intercept_ : ndarray of shape (2,)
        Intercepts of the log odds of a click, and of a conversion after it.
    coef_ : ndarray of shape (2, n_features)
        Linear weights of each tower; not with towers without a linear term.
    {embeddings}
    {attributes}

    {errors}

    See Also
    --------
    DeepFMClassifier : Several labels that do not depend on each other.
    skfm.metrics.make_task_scorer : Scores of one of the tasks, for a grid search.

    Notes
    -----
    {objective}

    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import ESMMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(2, size=(400, 3)).astype(float)
    >>> click = rng.random(400) < 0.2 + 0.6 * X[:, 0]
    >>> conversion = click & (rng.random(400) < 0.1 + 0.6 * X[:, 1])
    >>> model = ESMMClassifier(tower="fm", random_state=0).fit(X, np.column_stack([click, conversion]))
    >>> model.predict_proba([[1, 0, 0], [1, 1, 0]]).round(1)
    array([[0.8, 0.2, 0.1],
           [0.9, 0.7, 0.6]])
    """

    classes_: Any
    _chained: bool
    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    tower: str = parameter(
        "deepfm",
        '{"mlp", "fm", "deepfm", "wide_deep", "nfm", "pnn", "dcn", "xdeepfm", "deep_crossing", "final_mlp"}',
        """
        Kind of both towers. ``"mlp"`` is a network on embeddings; the others are the models of these names.
        """,
        StrOptions(set(_TOWERS)),
    )
    task_weights: Any = parameter(
        (1.0, 1.0),
        "pair of float",
        "Weight of the loss of clicks, and of that of clicks with a conversion.",
        "array-like",
    )

    # -- targets -----------------------------------------------------------------------------------

    def _fit(self, X, y, sample_weight, held_out, **how):
        if sample_weight is not None and np.asarray(sample_weight).ndim == 2:
            y, sample_weight = _with_task_weights(y, sample_weight)
        return super()._fit(X, y, sample_weight, held_out, **how)

    def _check_targets(self, y, *, first, classes=None):
        """Click, conversion and the weight of the row in each task; or labels of one column."""
        if hasattr(y, "toarray"):
            y = y.toarray()
        y = np.asarray(y)
        if not first and (y.ndim == 2 and y.shape[1] > 1) != self._chained:
            expected = "click and conversion" if self._chained else "one column"
            raise ValueError(f"y has shape {y.shape}, but the estimator was fitted on {expected}.")
        if y.ndim == 1 or y.shape[1] == 1:
            self._chained = False
            return super()._check_targets(y, first=first, classes=classes)
        y = _checked_chain(y)
        if first:
            self._chained, self._multilabel, self._n_outputs = True, True, 2
            self.classes_ = [np.array([0, 1]), np.array([0, 1])]
        return y

    def _reweight(self, y, sample_weight):
        if not self._chained:
            return super()._reweight(y, sample_weight)
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
        # Into the targets, which are a copy: each part of the data is balanced by itself.
        for task in range(2):
            own = weights[task] * self._class_weights(task, y, sample_weight)
            y[:, 2 + task] *= own[y[:, task].astype(int)]
        return sample_weight

    def _class_weights(self, task, y, sample_weight):
        """Weights of the labels 0 and 1 of a task."""
        given = self.class_weight
        if given is None:
            return np.ones(2)
        if isinstance(given, str):
            # Balanced in terms of weight, so that a weight of 2 is the row twice.
            share = np.bincount(y[:, task].astype(int), sample_weight * y[:, 2 + task], minlength=2)
            return np.divide(share.sum(), 2 * share, out=np.ones(2), where=share > 0)
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise ValueError(
                f"class_weight must be 'balanced', or a list of two dicts, one for clicks and one for "
                f"conversions; got {given!r}."
            )
        weights = np.array([given[task].get(label, 1.0) for label in (0, 1)], dtype=np.float64)
        if set(given[task]) - {0, 1} or not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(
                f"class_weight[{task}] must give finite weights of 0 or more to 0 and 1; got {given[task]!r}."
            )
        return weights

    def _encode_targets(self, y):
        return y if self._chained else super()._encode_targets(y)

    def _stratification(self, y):
        if not self._chained:
            return super()._stratification(y)
        kinds = y[:, 0] + y[:, 1]
        return None if np.unique(kinds, return_counts=True)[1].min() < 2 else kinds

    def _scorer(self, held, loss):
        if not self._chained:
            return super()._scorer(held, loss)
        X, y, weight = held
        return super()._scorer((X, y[:, :2].astype(int), weight), loss)

    # -- model -------------------------------------------------------------------------------------

    def _has_linear_term(self):
        return "linear" in self._tower(2, 1).tables()

    def _make_model(self, n_outputs, n_fields, link):
        if not self._chained:
            from dataclasses import replace

            return replace(self._tower(n_outputs, n_fields), fit_intercept=self.fit_intercept)
        from skfm.models.esmm import ESMM

        return ESMM(
            n_outputs=2, fit_intercept=self.fit_intercept, n_fields=n_fields, tower=self._tower(2, n_fields)
        )

    def _tower(self, n_outputs, n_fields):
        """The model of a tower, without intercept."""
        return self._towers(n_outputs, n_fields)[self.tower]

    def _towers(self, n_outputs, n_fields):
        """The models that a tower may be, by name."""
        from skfm.layers.mlp import MLP
        from skfm.models.dcn import DCN
        from skfm.models.deep_crossing import DeepCrossing
        from skfm.models.deepfm import DeepFM
        from skfm.models.final_mlp import FinalMLP
        from skfm.models.nfm import NFM
        from skfm.models.pnn import PNN
        from skfm.models.wide_deep import WideDeep
        from skfm.models.xdeepfm import XDeepFM

        network = self._network()
        given = {
            "n_outputs": n_outputs,
            "fit_intercept": False,
            "n_fields": n_fields,
            "n_factors": self.n_factors,
        }
        return {
            "mlp": WideDeep(**given, network=network, parts="deep"),
            "fm": DeepFM(**given, network=MLP(sizes=())),
            "deepfm": DeepFM(**given, network=network),
            "wide_deep": WideDeep(**given, network=network),
            "nfm": NFM(**given | {"n_fields": 1}, network=network),
            "pnn": PNN(**given, network=network),
            "dcn": DCN(**given, network=network),
            "xdeepfm": XDeepFM(**given, network=network),
            "deep_crossing": DeepCrossing(**given, network=network),
            "final_mlp": FinalMLP(**given, first=network, second=network),
        }

    def _make_loss(self):
        from skfm.losses import ClickConversion

        return ClickConversion() if self._chained else super()._make_loss()

    # -- predictions -------------------------------------------------------------------------------

    def decision_function(self, X):
        """Log odds of what y has: of a click, and of a click with a conversion.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        raw : ndarray of shape (n_samples, 2)
            In the order of the columns of y. For y of one column as of other classifiers.
        """
        check_is_fitted(self)
        if not self._chained:
            return super().decision_function(X)
        from skfm.losses import log_both, log_complement

        raw = self._raw_predict(X)
        both = log_both(raw)
        return np.stack([raw[:, 0], both - log_complement(both)], axis=1)

    def predict_proba(self, X):
        """Chances of a click, of a conversion after a click, and of a click with a conversion.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, 3)
            The third column is the product of the others. For y of one column as of other classifiers.
        """
        return super().predict_proba(X)

    def predict_log_proba(self, X):
        """Logarithm of the probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, 3)
            Accurate where a probability rounds to 0. For y of one column as of other classifiers.
        """
        log_proba = super().predict_log_proba(X)
        if not self._chained:
            return log_proba
        return np.concatenate([log_proba, log_proba.sum(axis=1, keepdims=True)], axis=1)

    def predict(self, X):
        """Whether a click, and a click with a conversion, is more likely than not.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        labels : ndarray of shape (n_samples, 2)
            0 and 1, in the order of the columns of y. For y of one column as of other classifiers.
        """
        check_is_fitted(self)
        return (self.decision_function(X) > 0).astype(int) if self._chained else super().predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Two columns are a chain, which any two labels are not, and more are refused.
        tags.classifier_tags.multi_label = False
        tags.target_tags.multi_output = False
        return tags


def _checked_chain(y):
    """Click, conversion and the weight of the row in each task.

    Raises
    ------
    ValueError
        If there are other columns, other values than 0 and 1, or a conversion without a click.
    """
    if y.shape[1] not in (2, 4):
        raise ValueError(
            f"y has {y.shape[1]} columns; expected two, clicks and conversions (or one column of labels)."
        )
    y = y.astype(np.float64)
    bad = ((y[:, :2] != 0) & (y[:, :2] != 1)).any(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"y holds {y[row, :2].tolist()} at row {row}; clicks and conversions are 0 or 1.")
    lone = y[:, 1] > y[:, 0]
    if lone.any():
        raise ValueError(
            f"y has a conversion without a click at row {int(np.argmax(lone))} ({np.count_nonzero(lone)} "
            f"such rows). Columns are click and conversion, in this order; a conversion needs a click."
        )
    return y if y.shape[1] == 4 else np.concatenate([y, np.ones_like(y)], axis=1)


def _with_task_weights(y, sample_weight):
    """y with the weights of the tasks behind, relative to the row's, and the row's: their mean."""
    y, weight = np.asarray(y), np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (len(y), 2) or y.shape != weight.shape:
        raise ValueError(
            f"sample_weight has shape {weight.shape} and y {y.shape}; a weight for each task needs "
            f"(n_samples, 2) for both."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        row = int(np.argmax((~np.isfinite(weight) | (weight < 0)).any(axis=1)))
        raise ValueError(f"sample_weight is {weight[row].tolist()} at row {row}; weights are 0 or more.")
    mean = weight.mean(axis=1)
    relative = np.divide(weight, mean[:, None], out=np.ones_like(weight), where=mean[:, None] > 0)
    return np.concatenate([y, relative], axis=1), mean
