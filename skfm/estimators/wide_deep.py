"""Wide and deep learning: a linear model and a network on embeddings, trained together."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.parameters import AUTO, COUNT, POSITIVE, LinearParameters
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import LinearTable

_MODEL = """\
The raw prediction of a row x is ::

    raw(x) = b + sum_j x_j w_j + MLP([E_1, .., E_F])

the linear term being the wide part, the network the deep one.
{fields}
{network}"""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the network)), at any
number of columns; the first layer has F * k inputs. Memory: k + n_outputs numbers a column (those of crosses
too), two to five times that with the state of the optimizer, once more for the best weights on held-out
rows, and 4 to 16 bytes a nonzero for the packed rows.

Cheng et al. train the wide part by FTRL with an L1 penalty and the deep one by AdaGrad:
``wide_solver="ftrl", l1_linear=1e-5, solver="adagrad"``."""
_REFERENCES = """\
.. [1] H.-T. Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016.
   https://arxiv.org/abs/1606.07792"""


class _WideDeep(LinearTable, DeepEstimator, LinearParameters):
    """What both share."""

    wide_solver_: Any
    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    parts: str = parameter(
        "both",
        '{"both", "wide", "deep"}',
        "The parts that the model has: the linear term, the network, or both.",
        StrOptions({"both", "wide", "deep"}),
    )
    wide_solver: str = parameter(
        "auto",
        '{"auto", "adagrad", "adam", "ftrl", "sgd"}',
        """
        Solver of the linear weights; ``"auto"`` is that of all weights, ``solver``. Not with L-BFGS, which
        takes all weights at once.
        """,
        StrOptions({"auto", "adagrad", "adam", "ftrl", "sgd"}),
    )
    wide_learning_rate: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        First step size of the linear weights; ``"auto"`` is ``learning_rate`` where these have no solver of
        their own, else a usual one for theirs. ``learning_rate_schedule`` scales both rates alike.
        """,
        AUTO,
        POSITIVE,
    )
    crosses: Any = parameter(
        (),
        "list of pairs of columns",
        """
        Columns of a table whose values in pairs are columns of the wide part, hashed:
        ``[("city", "day")]``. The encoder makes them; see :class:`FieldEncoder`.
        """,
        "array-like",
    )
    cross_slots: int = parameter(2**16, "int", "Number of columns that the values of a cross share.", COUNT)

    def _has_linear_term(self):
        return self.parts != "deep"

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.wide_deep import WideDeep

        if len(self.crosses) and self.encoder_ is None:
            raise ValueError(
                f"crosses={self.crosses!r} names columns of a table, but X is a matrix of numbers. Give a "
                f"DataFrame with encoder=FieldEncoder(), or crosses=()."
            )
        if self._n_crosses() and self.parts == "deep":
            raise ValueError("Crosses are columns of the wide part, and parts='deep' has none.")
        return WideDeep(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            network=self._network(),
            parts=self.parts,
            n_wide_fields=self._n_crosses(),
        )

    def _n_crosses(self) -> int:
        return 0 if self.encoder_ is None else len(self.encoder_.crosses)

    def _encoder_settings(self, encoder, X):
        if not len(self.crosses):
            return {}
        return {"crosses": self.crosses, "cross_slots": self.cross_slots}

    @property
    def factors_(self):
        """Embeddings of each column, shape (n_features, n_factors); 0 for crosses, which have none."""
        factors = self._factors("factors", 2)
        if not self._n_crosses():
            return factors
        seen = self.fields_ < self._model.n_fields - self._n_crosses()
        # The first values of crosses, which nothing has trained.
        return np.where(seen[:, None], factors, 0).astype(factors.dtype)

    def _needs_steps(self):
        return self._is_noisy() or self.wide_solver != "auto"

    def _linear_solver(self, solver, going_on):
        from skfm.train import defaults

        if not going_on:
            self.wide_solver_ = solver if self.wide_solver == "auto" else self.wide_solver
        own = self.wide_solver != "auto" or self.wide_learning_rate != "auto"
        if not own or self.parts == "deep":
            return None
        if solver == "lbfgs":
            if self.wide_solver == "auto":
                return None
            raise ValueError(
                f"solver='lbfgs' takes all weights at once: with wide_solver={self.wide_solver!r} use "
                f"another one, such as 'adam'."
            )
        rate = self.wide_learning_rate
        if rate == "auto" and self.wide_solver == "auto":
            rate = self.learning_rate
        return self.wide_solver_, defaults.learning_rate(rate, self.wide_solver_, self._kind)


@estimator
class WideDeepClassifier(_WideDeep, FactorizationClassifier):
    """Wide and deep classifier: a linear model and a network on embeddings.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {embeddings}
    wide_solver_ : str or optax.GradientTransformation
        The solver used for the linear weights.
    {attributes}

    {errors}

    See Also
    --------
    DeepFMClassifier : With products of embeddings beside linear term and network.
    LinearClassifier : The wide part alone.
    WideDeepRegressor : The same model for numbers.

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
    >>> import pandas as pd
    >>> from skfm import WideDeepClassifier
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"city": rng.choice(["A", "B", "C"], 300), "day": rng.choice(["mo", "tu"], 300)})
    >>> y = (table["city"] == "A") == (table["day"] == "mo")
    >>> linear = WideDeepClassifier(parts="wide", random_state=0).fit(table, y)
    >>> crossed = WideDeepClassifier(parts="wide", crosses=[("city", "day")], random_state=0).fit(table, y)
    >>> bool(linear.score(table, y) < 0.9), crossed.score(table, y)
    (True, 1.0)
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> settings |= {"activation": "tanh", "tol": 0.01}
    >>> deep = WideDeepClassifier(4, hidden_layer_sizes=8, random_state=0, **settings).fit(table, y)
    >>> deep.score(table, y)
    1.0
    """


@estimator
class WideDeepRegressor(_WideDeep, FactorizationRegressor):
    """Wide and deep regressor: a linear model and a network on embeddings.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {coef}
    {embeddings}
    wide_solver_ : str or optax.GradientTransformation
        The solver used for the linear weights.
    {attributes}

    {errors}

    See Also
    --------
    DeepFMRegressor : With products of embeddings beside linear term and network.
    LinearRegressor : The wide part alone.
    WideDeepClassifier : The same model for classes.

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
    >>> from skfm import WideDeepRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_linear": 0, "l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> model = WideDeepRegressor(4, hidden_layer_sizes=16, random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
