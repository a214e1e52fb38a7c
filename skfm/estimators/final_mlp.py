"""FinalMLP: two networks on gated embeddings, joined by a product."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from sklearn.utils._param_validation import StrOptions

from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.declare import estimator, parameter
from skfm.estimators.base.deep import DeepEstimator, layer_sizes
from skfm.estimators.base.parameters import COUNT
from skfm.estimators.base.regressor import FactorizationRegressor

_MODEL = """\
The raw prediction of a row x joins the last layers u and v of two networks, cut into heads ::

    raw(x) = b + sum_h (p_h^T u_h + q_h^T v_h + u_h^T W_h v_h)
    u = MLP_1(g_1 * [E_1, .., E_F]),    v = MLP_2(g_2 * [E_1, .., E_F])

{fields}
The gates g are ``2 sigmoid(c)`` with a learned vector c, ``2 sigmoid(C [E_1, .., E_F] + c)``, or 1: they let
the two networks look at different things. The outputs share embeddings, gates and networks.
{layers}"""
_NOTES = """\
An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the networks)), at any
number of columns; both first layers have n_fields * k inputs. Memory: k numbers a column, two to five times
that with the state of the optimizer, once more for the best weights on held-out rows, and 4 to 16 bytes a
nonzero for the packed rows.

Differences from Mao et al.: a gate depends on nothing or on the whole row, where theirs may depend on
chosen fields; embeddings and networks are penalised."""
_REFERENCES = """\
.. [1] K. Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.
   https://doi.org/10.1609/aaai.v37i4.25577"""


class _FinalMLP(DeepEstimator):
    """What both share."""

    _texts: ClassVar[dict] = {"model": _MODEL, "notes": _NOTES, "references": _REFERENCES}

    second_layer_sizes: Any = parameter(
        None,
        "int, array-like of int or None",
        """
        Units of each hidden layer of the second network; None: those of the first, ``hidden_layer_sizes``.
        """,
        "array-like",
        COUNT,
        None,
    )
    n_heads: int = parameter(
        1,
        "int",
        "Heads that the last layers are cut into; their widths must be multiples of it.",
        COUNT,
    )
    gate: str | None = parameter(
        "constant",
        '{"constant", "row"} or None',
        "What the gates depend on: nothing, or the embeddings of the row. None: no gates.",
        StrOptions({"constant", "row"}),
        None,
    )

    def _make_model(self, n_outputs, n_fields, link):
        from skfm.models.final_mlp import FinalMLP

        first = self._network()
        sizes = self.second_layer_sizes
        second = first if sizes is None else replace(first, sizes=layer_sizes(sizes, "second_layer_sizes"))
        for network, name in ((first, "hidden_layer_sizes"), (second, "second_layer_sizes")):
            width = network.sizes[-1] if network.sizes else n_fields * self.n_factors
            if width % self.n_heads:
                raise ValueError(
                    f"The last layer of {name} has {width} units, which is no multiple of n_heads="
                    f"{self.n_heads}. Change one of them."
                )
        return FinalMLP(
            n_outputs=n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=n_fields,
            n_factors=self.n_factors,
            first=first,
            second=second,
            n_heads=self.n_heads,
            gate=self.gate,
        )


@estimator
class FinalMLPClassifier(_FinalMLP, FactorizationClassifier):
    """FinalMLP classifier: two networks on gated embeddings, joined by a product.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {embeddings}
    {attributes}

    {errors}

    See Also
    --------
    DeepFMClassifier : One network, beside a factorization machine.
    FinalMLPRegressor : The same model for numbers.

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
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FinalMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> categories = rng.integers(3, size=(300, 2))
    >>> X = OneHotEncoder().fit_transform(categories)
    >>> y = categories[:, 0] == categories[:, 1]
    >>> settings = {"l2_factors": 1e-3, "l2_dense": 1e-3, "init_scale": 0.1}
    >>> settings |= {"activation": "tanh", "tol": 0.01}
    >>> model = FinalMLPClassifier(4, hidden_layer_sizes=16, random_state=0, **settings).fit(X, y)
    >>> model.score(X, y)
    1.0
    """


@estimator
class FinalMLPRegressor(_FinalMLP, FactorizationRegressor):
    """FinalMLP regressor: two networks on gated embeddings, joined by a product.

    {model}

    {targets}

    {parameters}

    Attributes
    ----------
    {intercept}
    {embeddings}
    {attributes}

    {errors}

    See Also
    --------
    DeepFMRegressor : One network, beside a factorization machine.
    FinalMLPClassifier : The same model for classes.

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
    >>> from skfm import FinalMLPRegressor
    >>> X = np.random.default_rng(0).integers(2, size=(300, 3)).astype(float)
    >>> y = 10 * X[:, 0] * X[:, 1] + X[:, 2]
    >>> settings = {"l2_factors": 0, "l2_dense": 0, "init_scale": 0.1, "fields": [0, 1, 2]}
    >>> model = FinalMLPRegressor(4, hidden_layer_sizes=16, random_state=0, **settings).fit(X, y)
    >>> model.predict([[1, 1, 1], [1, 0, 1]]).round(1)
    array([11.,  1.])
    """
