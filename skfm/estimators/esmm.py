"""Entire space multi-task model: clicks, and conversions after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from sklearn.utils._param_validation import StrOptions

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, one_of, parameter
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.parameters import LinearParameters
from skfm.estimators.base.tables import LinearTable
from skfm.fitting.targets import ClickConversion
from skfm.names import TOWERS

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

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    tower: str = parameter(
        "deepfm",
        one_of(TOWERS),
        """
        Kind of both towers. ``"mlp"`` is a network on embeddings; the others are the models of these names.
        """,
        StrOptions(set(TOWERS)),
    )
    task_weights: Any = parameter(
        (1.0, 1.0),
        "pair of float",
        "Weight of the loss of clicks, and of that of clicks with a conversion.",
        "array-like",
    )

    def _make_targets(self):
        return ClickConversion(
            owner=type(self).__name__, class_weight=self.class_weight, task_weights=self.task_weights
        )

    def _settings(self):
        return super()._settings()._replace(has_linear_term="linear" in self._tower(2, 1).tables())

    # -- model -------------------------------------------------------------------------------------

    def _make_model(self, shape):
        from skfm.losses import ClickConversion as ClickConversionLoss
        from skfm.models.esmm import ESMM

        tower = self._tower(shape.n_outputs, shape.n_fields)
        if not isinstance(shape.loss, ClickConversionLoss):
            # One column of y needs one tower.
            return replace(tower, fit_intercept=self.fit_intercept)
        return ESMM(n_outputs=2, fit_intercept=self.fit_intercept, n_fields=shape.n_fields, tower=tower)

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
        return super().decision_function(X)

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
        return super().predict_log_proba(X)

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
        return super().predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Two columns are a chain, which any two labels are not, and more are refused.
        tags.classifier_tags.multi_label = False
        tags.target_tags.multi_output = False
        return tags
