"""FinalMLP: two networks on gated embeddings, joined by a product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions

from skfm.data.encode import FieldEncoder
from skfm.estimators.base import accepted
from skfm.estimators.base.classifier import FactorizationClassifier
from skfm.estimators.base.deep import DeepEstimator, layer_sizes
from skfm.estimators.base.parameters import GradientTransformation, parameter
from skfm.estimators.base.regressor import FactorizationRegressor
from skfm.estimators.base.tables import NetworkWeights, of_model
from skfm.train.method import Method


class _FinalMLP(NetworkWeights, DeepEstimator):
    """What both share.

    The raw prediction of a row x joins the last layers u and v of two networks, cut into heads ::

        raw(x) = b + sum_h (p_h^T u_h + q_h^T v_h + u_h^T W_h v_h)
        u = MLP_1(g_1 * [E_1, .., E_F]),    v = MLP_2(g_2 * [E_1, .., E_F])

    {fields}
    The gates g are ``2 sigmoid(c)`` with a learned vector c, ``2 sigmoid(C [E_1, .., E_F] + c)``, or 1: they
    let the two networks look at different things. The outputs share embeddings, gates and networks.
    {layers}

    {targets}

    Attributes
    ----------
    {intercept}
    {embeddings}
    coefs_, second_coefs_ : list of ndarray
        Matrix of each layer of the two networks, shape (n_inputs, n_units). Batch normalisation is part of
        it and of the intercepts.
    intercepts_, second_intercepts_ : list of ndarray
        What each layer adds after its matrix, shape (n_units,).
    output_coef_, second_output_coef_ : ndarray of shape (n_units, n_outputs)
        Weights p and q of the last layers in each output, heads side by side.
    fusion_coef_ : ndarray of shape (n_outputs, n_heads, n_units, n_units)
        Matrices W of the products of the last layers; n_units are those of a head.
    gate_intercept_, second_gate_intercept_ : ndarray of shape (n_fields * n_factors,)
        Vectors c of the gates. Not there with ``gate=None``.
    gate_coef_, second_gate_coef_ : ndarray of shape (n_fields * n_factors, n_fields * n_factors)
        Matrices C of the gates, transposed. Only there with ``gate="row"``.
    {attributes}

    Notes
    -----
    {objective}

    An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the networks)), at
    any number of columns; both first layers have n_fields * k inputs. Memory: k numbers a column, two to five
    times that with the state of the optimizer, once more for the best weights on held-out rows, and 4 to 16
    bytes a nonzero for the packed rows.

    Differences from Mao et al.: a gate depends on nothing or on the whole row, where theirs may depend on
    chosen fields; embeddings and networks are penalised.

    References
    ----------
    .. [1] K. Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.
       https://doi.org/10.1609/aaai.v37i4.25577
    """

    second_layer_sizes: int | Sequence[int] | np.ndarray | None = parameter(
        None,
        """
        Units of each hidden layer of the second network; None: those of the first, ``hidden_layer_sizes``.
        """,
        "array-like",
        accepted.COUNT,
        None,
        kind="int, array-like of int or None",
    )
    n_heads: int = parameter(
        1, "Heads that the last layers are cut into; their widths must be multiples of it.", accepted.COUNT
    )
    gate: Literal["constant", "row"] | None = parameter(
        "constant", "What the gates depend on: nothing, or the embeddings of the row. None: no gates.", None
    )

    def _make_model(self, shape):
        from skfm.models.final_mlp import FinalMLP

        first = self._network()
        sizes = self.second_layer_sizes
        second = first if sizes is None else replace(first, sizes=layer_sizes(sizes, "second_layer_sizes"))
        for network, name in ((first, "hidden_layer_sizes"), (second, "second_layer_sizes")):
            width = network.sizes[-1] if network.sizes else shape.n_fields * self.n_factors
            if width % self.n_heads:
                raise ValueError(
                    f"The last layer of {name} has {width} units, which is no multiple of n_heads="
                    f"{self.n_heads}. Change one of them."
                )
        return FinalMLP(
            n_outputs=shape.n_outputs,
            fit_intercept=self.fit_intercept,
            n_fields=shape.n_fields,
            n_factors=self.n_factors,
            first=first,
            second=second,
            n_heads=self.n_heads,
            gate=self.gate,
        )

    second_coefs_: list[np.ndarray] = of_model(
        "Matrix of each layer of the second network, shape (n_inputs, n_units)."
    )
    second_intercepts_: list[np.ndarray] = of_model(
        "What each layer of the second network adds, shape (n_units,)."
    )
    output_coef_: np.ndarray = of_model(
        "Weights of the first network's last layer in each output, shape (n_units, n_outputs)."
    )
    second_output_coef_: np.ndarray = of_model("Those of the second network's last layer.")
    fusion_coef_: np.ndarray = of_model(
        "Matrices of the products of the last layers, (n_outputs, n_heads, n_units, n_units)."
    )
    gate_intercept_: np.ndarray = of_model("Scores of the first gate, or what it adds to those of a row.")
    gate_coef_: np.ndarray = of_model("Map of a row's embeddings to the scores of the first gate.")
    second_gate_intercept_: np.ndarray = of_model(
        "Scores of the second gate, or what it adds to those of a row."
    )
    second_gate_coef_: np.ndarray = of_model("Map of a row's embeddings to the scores of the second gate.")


class FinalMLPClassifier(_FinalMLP, FactorizationClassifier):
    # Written by `python -m tools.signatures`: the docstring but for its first line, See Also and Examples,
    # _parameter_constraints and __init__. Change _FinalMLP instead, or what declares the parameter.
    """FinalMLP classifier: two networks on gated embeddings, joined by a product.

    The raw prediction of a row x joins the last layers u and v of two networks, cut into heads ::

        raw(x) = b + sum_h (p_h^T u_h + q_h^T v_h + u_h^T W_h v_h)
        u = MLP_1(g_1 * [E_1, .., E_F]),    v = MLP_2(g_2 * [E_1, .., E_F])

    E_f is the sum of ``x_j v_j`` over the columns j of field f, so a field may have several nonzeros.
    The gates g are ``2 sigmoid(c)`` with a learned vector c, ``2 sigmoid(C [E_1, .., E_F] + c)``, or 1: they
    let the two networks look at different things. The outputs share embeddings, gates and networks.
    The layers of networks are ``h = activation(W h + bias)``, with batch normalisation between the map
    and the activation if asked for, and dropout last.

    Two classes: ``P(y = classes_[1] | x) = 1 / (1 + exp(-raw(x)))``. More classes: one raw prediction a
    class, under a softmax. Targets of shape (n_samples, n_labels) with 0 and 1 are multilabel: one raw
    prediction a label.

    Parameters
    ----------
    n_factors : int, default=10
        Number k of factors of each column, 0 or more; the embedding size.
    second_layer_sizes : int, array-like of int or None, default=None
        Units of each hidden layer of the second network; None: those of the first, ``hidden_layer_sizes``.
    n_heads : int, default=1
        Heads that the last layers are cut into; their widths must be multiples of it.
    gate : {"constant", "row"} or None, default="constant"
        What the gates depend on: nothing, or the embeddings of the row. None: no gates.
    l2_factors : "auto" or float, default="auto"
        Strength of the L2 penalty of the factors. ``"auto"`` is inversely proportional to the sum of the
        sample weights, and stronger the fewer rows touch a column (and, in a mixture, the more pieces
        share them). Where that is strong and rows are held out, a weak penalty with larger first factors
        is tried too, and kept if its score is better by half a percent; L-BFGS sets a quarter of the rows
        aside to choose among such penalties, then trains on all. The parameter to tune first.
    init_scale : float, default=0.01
        Standard deviation of the first values of the factors, for columns of root mean square 1. With 0
        the factors of a model without a network never leave 0.
    hidden_layer_sizes : int or array-like of int, default=(128, 64)
        Units of each hidden layer; an int is one layer. An empty tuple makes the network a linear map.
    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"}, default="relu"
        Activation of the hidden layers.
    dropout : float, default=0.0
        Share of the units of each hidden layer that a training step leaves out, in [0, 1).
    batch_norm : "auto" or bool, default="auto"
        Whether hidden layers are normalised over the batch, after the affine map and before the activation.
        ``"auto"``: of 10,000 rows or more, where some are held out and ``l2_factors`` is ``"auto"`` too,
        training without it is followed by one with it, under a strong penalty of the factors, which is kept
        if the m held-out rows score better by a share of 1 / sqrt(m); elsewhere no. A warm start goes on as
        the fit before.
    l2_dense : "auto" or float, default="auto"
        Strength of the L2 penalty of the weights of the network (not of its biases). ``"auto"`` is that of
        ``l2_factors``, and 0 with the strong penalty that ``batch_norm="auto"`` tries.
    class_weight : "balanced", dict, list of dict or None, default=None
        Weight of each class, ``{label: weight}``, by which sample weights are multiplied; a list has one
        dict a label of multilabel targets. Rows of a class of weight 0 are left out; two classes need a
        weight. Labels that y has not are ignored where all its classes are named. ``"balanced"``: inversely
        proportional to the share of the class; partial_fit, which does not know it, refuses that.
    fit_intercept : bool, default=True
        Whether the raw prediction has an intercept (in a mixture: each expert; gates have one in any
        case). It is not penalised, and starts at the log odds of the classes in the training data.
    fields : "auto", None or array-like of shape (n_features,), default="auto"
        Which columns form a field. ``"auto"``: the smallest number of contiguous blocks of columns such
        that no training row has two nonzeros in one block, which are the fields of any one-hot encoding;
        where far more blocks are found than a row has nonzeros (text), all columns form one field. None:
        one field. An array: the label of the field of each column. Models of fields get one embedding a
        field, the sum over the nonzeros of the row in it; for others ``fields_`` is a record alone.
    encoder : "auto", FieldEncoder or None, default="auto"
        What makes a matrix of a table. ``"auto"``: a DataFrame with a column that holds neither numbers
        nor booleans, or whole numbers that are identifiers, goes through a :class:`FieldEncoder` of default
        parameters; any other X is numbers. Identifiers in a frame of numbers are a warning, which says how
        to confirm or overrule it. A FieldEncoder: a clone of it encodes every X that is not sparse. None: X
        is numbers.
    solver : str, optax.GradientTransformation or training method, default="auto"
        ``"auto"``, ``"adagrad"``, ``"adam"``, ``"ftrl"``, ``"sgd"``, ``"lbfgs"``, an element-wise optax
        transformation, or a training method of your own (see Contributing). ``"lbfgs"`` minimises over all
        rows at once; the others take mini-batches. ``"auto"`` is L-BFGS while there are few rows (for
        linear models: or few nonzeros; for classifiers of a network without a linear term very few) and
        neither dropout nor batch normalisation, then AdaGrad; with an
        L1 penalty it is AdaGrad, and FTRL for linear models. The limits are in the guide on training;
        ``solver_`` tells what was used.
    learning_rate : "auto" or float, default="auto"
        First step size of mini-batch solvers; ``"auto"`` is a usual one for the solver. L-BFGS finds its
        own, and an optax transformation brings its own.
    learning_rate_schedule : {"constant", "plateau", "cosine"} or callable, default="plateau"
        ``"plateau"`` cuts the rate tenfold where training would stop, goes on from the best weights on
        the held-out rows if there are any, and stops at the third time. ``"cosine"`` lowers it to 0 over
        ``max_iter`` epochs. A callable gives the rate of a step, counted from 0, in terms that JAX can
        trace (an optax schedule, say) and replaces ``learning_rate``. Without effect on L-BFGS and on the
        rate inside an optax transformation.
    max_iter : int, default=200
        Epochs at most, or iterations of L-BFGS.
    batch_size : "auto" or int, default="auto"
        Rows of a mini-batch. ``"auto"`` grows with the rows between two bounds, so that an epoch has
        enough steps. L-BFGS does not use it.
    l2_frequency_power : float, default=0.0
        How much less a rare column is penalised, in [0, 1]. 0: one prior for all columns. 1: in
        proportion to the share of the rows that touch the column, as in libFM and libffm.
    early_stopping : "auto" or bool, default="auto"
        Whether to hold rows out, stop on them, and return the weights that were best on them.
        ``"auto"``: with mini-batches and many rows; with mini-batches and fewer rows training stops on
        the training loss. False: all ``max_iter`` epochs are run (L-BFGS still stops by ``tol``), and
        ``X_val`` is not used.
    validation_fraction : "auto" or float, default="auto"
        Share of the rows to hold out, between 0 and 1; by a classifier stratified by class. A row that is
        alone in its class is trained on. ``"auto"``: a tenth, but no more than 2,000 rows, or
        ``5 * sqrt(n_samples)`` where that is more (of a stream that is not put in memory a tenth; of few
        rows for classifiers of a network without a linear term a fifth). Not used where ``X_val`` is given
        to fit.
    n_iter_no_change : int, default=3
        Epochs without an improvement by more than ``tol`` before the rate is cut or training stops, or
        iterations of L-BFGS without one.
    tol : float, default=0.0001
        Least improvement of the monitored value that counts; of losses, as long as less than 0.1 was
        gained, a quarter of what epochs have gained on average if that is less: steps that are small all
        along go on. L-BFGS stops when no component of the gradient is larger than a hundredth of it, or
        iterations lower the objective by no more than ``10 tol**2``.
    scoring : str or callable, default="loss"
        ``"loss"``, or a scorer by scikit-learn's name or as a callable: what is monitored on held-out
        rows. A callable gets this estimator in training, whose predictions of these rows alone are known,
        the rows as the model takes them (encoded), their targets, and ``sample_weight`` where weights differ
        and it takes them. A score that is not finite is an error. Without held-out rows the training loss is
        monitored.
    warm_start : bool, default=False
        Whether another call of fit starts from the parameters of the last one. The state
        of the optimizer starts anew. Classes, columns and parameters of the model must be the same.
    init_from : estimator or None, default=None
        Fitted skfm estimator that this one starts from: its intercept, its tables of the same name, such as
        linear weights or factors, and its network if that is the same. X must have the same columns; where
        they are encoded, values that it has not seen start anew. Its loss must have the same link, and its
        classes must be those of y. Where y is in quite other units, weights are read in these.
    random_state : int, RandomState instance or None, default=None
        Seed of all that is random: the order of the rows, the rows held out, the first values of factors,
        gates and networks, and dropout. Calls of partial_fit go on with the seed of the first.
    verbose : int, default=0
        1: a progress bar on a terminal where tqdm is installed, else a line an epoch. 2: lines in any
        case. 0: nothing.
    n_jobs : int or None, default=None
        Number of cores that a fit or a prediction computes on, as in joblib: -1 is all, -2 all but one.
        None is the number of a ``joblib.parallel_config``, and all cores without one. The results are the
        same bits. It binds threads of XLA on Linux; elsewhere, and on a GPU, it has no effect.
    dtype : "auto", "float32", "float64" or dtype, default="auto"
        Precision of the parameters. ``"auto"`` is float64 with L-BFGS or where all rows make one batch,
        else float32.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; 0, 1, .. for multilabel targets.
    intercept_ : ndarray of shape (n_outputs,)
        Intercepts. n_outputs is 1 for two classes, else the number of classes or labels.
    factors_ : ndarray of shape (n_features, n_factors)
        Embeddings, shared by the outputs; 0 for columns that no training row touched.
    coefs_, second_coefs_ : list of ndarray
        Matrix of each layer of the two networks, shape (n_inputs, n_units). Batch normalisation is part of
        it and of the intercepts.
    intercepts_, second_intercepts_ : list of ndarray
        What each layer adds after its matrix, shape (n_units,).
    output_coef_, second_output_coef_ : ndarray of shape (n_units, n_outputs)
        Weights p and q of the last layers in each output, heads side by side.
    fusion_coef_ : ndarray of shape (n_outputs, n_heads, n_units, n_units)
        Matrices W of the products of the last layers; n_units are those of a head.
    gate_intercept_, second_gate_intercept_ : ndarray of shape (n_fields * n_factors,)
        Vectors c of the gates. Not there with ``gate=None``.
    gate_coef_, second_gate_coef_ : ndarray of shape (n_fields * n_factors, n_fields * n_factors)
        Matrices C of the gates, transposed. Only there with ``gate="row"``.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there where X had names that are all strings.
    fields_ : ndarray of shape (n_features,)
        Number of the field of each column, from 0.
    encoder_ : FieldEncoder or None
        What encoded the table; columns of the other attributes are then those that it makes.
    center_ : ndarray of shape (n_features,)
        What is taken off each column first: x_j in the formula stands for ``x_j - center_[j]``. 0 for
        most columns, and for all where the linear weights and the intercept can take the
        difference.
    n_iter_ : int
        Epochs run, or iterations of L-BFGS; calls of partial_fit add up.
    history_ : dict of lists
        One number an epoch of the attempt that was kept, n_iter_ in each list: ``attempt`` and ``epoch``
        (their numbers, from 1), ``loss`` (mean training loss without the penalty), ``learning_rate``
        (mini-batches only), ``validation_loss`` (with held-out rows), ``validation_score`` (with
        held-out rows and a scorer; higher is better) and ``time`` in seconds. With mini-batches the
        loss is taken before each step, so it is an average over the epoch. NaN stands for what some
        epochs have and others lack, such as held-out rows in calls of partial_fit.
    attempts_ : dict of lists
        The same as history_ for the epochs of every attempt, kept or not. There are two where
        automatic penalties are narrow and rows are held out, else one.
    solver_ : str, optax.GradientTransformation or training method
        The solver used.
    plan_ : dict
        What was chosen for the parameters that can be ``"auto"`` and that the solver uses, by their
        names; ``"n_held_out"``, how many rows were held out; and ``"attempt"``, the number of the
        attempt that was kept.

    Raises
    ------
    ValueError
        By fit, where X, y or a weight is not what the model can learn from; the message names the
        row, the column and the remedy. Also where L-BFGS meets an L1 penalty or partial_fit, and
        where tables of ``init_from`` do not fit.
    skfm.train.loop.DivergenceError
        A ValueError, by fit, where the loss is not finite or explodes at every one of ever smaller
        learning rates.
    KeyboardInterrupt
        By fit, after Ctrl-C; the estimator keeps the best weights so far and can predict.

    Warns
    -----
    ConvergenceWarning
        By fit, where training was still learning at ``max_iter``, or where nothing was learned.

    See Also
    --------
    DeepFMClassifier : One network, beside a factorization machine.
    FinalMLPRegressor : The same model for numbers.

    Notes
    -----
    fit minimises ::

        (1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))
        + 1/2 sum_j f_j^nu l2_factors ||v_j||^2
        + 1/2 l2_dense ||dense weights||^2

    with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
    ``l2_frequency_power``. With several outputs the squares are summed over them.
    The loss is the log loss; for several classes that of the softmax, for multilabel targets the sum over
    the labels.
    Intercepts and biases are not penalised. Columns are trained at root mean square 1 and penalised in
    their own units. A numeric column that is far from 0 in most rows (a year, a pressure) is trained less
    its mean, and its weights are penalised as those of the difference.

    An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the networks)), at
    any number of columns; both first layers have n_fields * k inputs. Memory: k numbers a column, two to five
    times that with the state of the optimizer, once more for the best weights on held-out rows, and 4 to 16
    bytes a nonzero for the packed rows.

    Differences from Mao et al.: a gate depends on nothing or on the whole row, where theirs may depend on
    chosen fields; embeddings and networks are penalised.

    References
    ----------
    .. [1] K. Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.
       https://doi.org/10.1609/aaai.v37i4.25577

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

    _parameter_constraints: dict = {
        "n_factors": [accepted.COUNT_OR_ZERO],
        "second_layer_sizes": ["array-like", accepted.COUNT, None],
        "n_heads": [accepted.COUNT],
        "gate": [StrOptions({"constant", "row"}), None],
        "l2_factors": [StrOptions({"auto"}), accepted.NOT_NEGATIVE],
        "init_scale": [accepted.NOT_NEGATIVE],
        "hidden_layer_sizes": ["array-like", accepted.COUNT],
        "activation": [
            StrOptions({"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"})
        ],
        "dropout": [accepted.FROM_0_BELOW_1],
        "batch_norm": [StrOptions({"auto"}), "boolean"],
        "l2_dense": [StrOptions({"auto"}), accepted.NOT_NEGATIVE],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "fit_intercept": ["boolean"],
        "fields": [StrOptions({"auto"}), "array-like", None],
        "encoder": [StrOptions({"auto"}), FieldEncoder, None],
        "solver": [accepted.SOLVER, accepted.GRADIENT_TRANSFORMATION, accepted.TRAINING_METHOD],
        "learning_rate": [StrOptions({"auto"}), accepted.POSITIVE],
        "learning_rate_schedule": [StrOptions({"constant", "plateau", "cosine"}), callable],
        "max_iter": [accepted.COUNT],
        "batch_size": [StrOptions({"auto"}), accepted.COUNT],
        "l2_frequency_power": [accepted.FROM_0_TO_1],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [StrOptions({"auto"}), accepted.BETWEEN_0_AND_1],
        "n_iter_no_change": [accepted.COUNT],
        "tol": [accepted.NOT_NEGATIVE],
        "scoring": [accepted.SCORING, callable],
        "warm_start": ["boolean"],
        "init_from": [accepted.ESTIMATOR, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "n_jobs": [None, accepted.CORES, accepted.CORES_LEFT_OUT],
        "dtype": [StrOptions({"auto", "float32", "float64"}), accepted.FLOAT_TYPE, accepted.FLOAT_DTYPE],
    }

    def __init__(
        self,
        n_factors: int = 10,
        *,
        second_layer_sizes: int | Sequence[int] | np.ndarray | None = None,
        n_heads: int = 1,
        gate: Literal["constant", "row"] | None = "constant",
        l2_factors: float | Literal["auto"] = "auto",
        init_scale: float = 0.01,
        hidden_layer_sizes: int | Sequence[int] | np.ndarray = (128, 64),
        activation: Literal[
            "identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"
        ] = "relu",
        dropout: float = 0.0,
        batch_norm: bool | Literal["auto"] = "auto",
        l2_dense: float | Literal["auto"] = "auto",
        class_weight: dict[Any, Any] | list[dict[Any, Any]] | Literal["balanced"] | None = None,
        fit_intercept: bool = True,
        fields: ArrayLike | Literal["auto"] | None = "auto",
        encoder: FieldEncoder | Literal["auto"] | None = "auto",
        solver: str | GradientTransformation | Method = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        learning_rate_schedule: Literal["constant", "plateau", "cosine"] | Callable[[Any], Any] = "plateau",
        max_iter: int = 200,
        batch_size: int | Literal["auto"] = "auto",
        l2_frequency_power: float = 0.0,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float | Literal["auto"] = "auto",
        n_iter_no_change: int = 3,
        tol: float = 0.0001,
        scoring: str | Callable[..., float] = "loss",
        warm_start: bool = False,
        init_from: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        n_jobs: int | None = None,
        dtype: Literal["auto", "float32", "float64"] | type | np.dtype = "auto",
    ) -> None:
        self.n_factors = n_factors
        self.second_layer_sizes = second_layer_sizes
        self.n_heads = n_heads
        self.gate = gate
        self.l2_factors = l2_factors
        self.init_scale = init_scale
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.l2_dense = l2_dense
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.fields = fields
        self.encoder = encoder
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.l2_frequency_power = l2_frequency_power
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.scoring = scoring
        self.warm_start = warm_start
        self.init_from = init_from
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.dtype = dtype


class FinalMLPRegressor(_FinalMLP, FactorizationRegressor):
    # Written by `python -m tools.signatures`: the docstring but for its first line, See Also and Examples,
    # _parameter_constraints and __init__. Change _FinalMLP instead, or what declares the parameter.
    """FinalMLP regressor: two networks on gated embeddings, joined by a product.

    The raw prediction of a row x joins the last layers u and v of two networks, cut into heads ::

        raw(x) = b + sum_h (p_h^T u_h + q_h^T v_h + u_h^T W_h v_h)
        u = MLP_1(g_1 * [E_1, .., E_F]),    v = MLP_2(g_2 * [E_1, .., E_F])

    E_f is the sum of ``x_j v_j`` over the columns j of field f, so a field may have several nonzeros.
    The gates g are ``2 sigmoid(c)`` with a learned vector c, ``2 sigmoid(C [E_1, .., E_F] + c)``, or 1: they
    let the two networks look at different things. The outputs share embeddings, gates and networks.
    The layers of networks are ``h = activation(W h + bias)``, with batch normalisation between the map
    and the activation if asked for, and dropout last.

    The prediction is ``raw(x)`` in units of y, or ``exp(raw(x))`` with ``loss="poisson"``. Targets of
    shape (n_samples, n_outputs) get one raw prediction an output.

    Parameters
    ----------
    n_factors : int, default=10
        Number k of factors of each column, 0 or more; the embedding size.
    second_layer_sizes : int, array-like of int or None, default=None
        Units of each hidden layer of the second network; None: those of the first, ``hidden_layer_sizes``.
    n_heads : int, default=1
        Heads that the last layers are cut into; their widths must be multiples of it.
    gate : {"constant", "row"} or None, default="constant"
        What the gates depend on: nothing, or the embeddings of the row. None: no gates.
    l2_factors : "auto" or float, default="auto"
        Strength of the L2 penalty of the factors. ``"auto"`` is inversely proportional to the sum of the
        sample weights, and stronger the fewer rows touch a column (and, in a mixture, the more pieces
        share them). Where that is strong and rows are held out, a weak penalty with larger first factors
        is tried too, and kept if its score is better by half a percent; L-BFGS sets a quarter of the rows
        aside to choose among such penalties, then trains on all. The parameter to tune first.
    init_scale : float, default=0.01
        Standard deviation of the first values of the factors, for columns of root mean square 1. With 0
        the factors of a model without a network never leave 0.
    hidden_layer_sizes : int or array-like of int, default=(128, 64)
        Units of each hidden layer; an int is one layer. An empty tuple makes the network a linear map.
    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"}, default="relu"
        Activation of the hidden layers.
    dropout : float, default=0.0
        Share of the units of each hidden layer that a training step leaves out, in [0, 1).
    batch_norm : "auto" or bool, default="auto"
        Whether hidden layers are normalised over the batch, after the affine map and before the activation.
        ``"auto"``: of 10,000 rows or more, where some are held out and ``l2_factors`` is ``"auto"`` too,
        training without it is followed by one with it, under a strong penalty of the factors, which is kept
        if the m held-out rows score better by a share of 1 / sqrt(m); elsewhere no. A warm start goes on as
        the fit before.
    l2_dense : "auto" or float, default="auto"
        Strength of the L2 penalty of the weights of the network (not of its biases). ``"auto"`` is that of
        ``l2_factors``, and 0 with the strong penalty that ``batch_norm="auto"`` tries.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, default="squared_error"
        Loss of a sample. ``"poisson"`` predicts ``exp(raw)`` and needs targets of 0 or more; the other
        losses are computed on the standardised target (see Notes).
    quantile : float, default=0.5
        Quantile to predict with ``loss="quantile"``, between 0 and 1.
    huber_delta : float, default=1.35
        Size of an error, in standard deviations of y, from which ``loss="huber"`` grows linearly.
    fit_intercept : bool, default=True
        Whether the raw prediction has an intercept (in a mixture: each expert; gates have one in any
        case). It is not penalised, and starts at the best constant prediction. Without it the raw
        prediction of an empty row is 0 on the scale of the standardised target, hence the mean of y (1 with
        ``loss="poisson"``).
    fields : "auto", None or array-like of shape (n_features,), default="auto"
        Which columns form a field. ``"auto"``: the smallest number of contiguous blocks of columns such
        that no training row has two nonzeros in one block, which are the fields of any one-hot encoding;
        where far more blocks are found than a row has nonzeros (text), all columns form one field. None:
        one field. An array: the label of the field of each column. Models of fields get one embedding a
        field, the sum over the nonzeros of the row in it; for others ``fields_`` is a record alone.
    encoder : "auto", FieldEncoder or None, default="auto"
        What makes a matrix of a table. ``"auto"``: a DataFrame with a column that holds neither numbers
        nor booleans, or whole numbers that are identifiers, goes through a :class:`FieldEncoder` of default
        parameters; any other X is numbers. Identifiers in a frame of numbers are a warning, which says how
        to confirm or overrule it. A FieldEncoder: a clone of it encodes every X that is not sparse. None: X
        is numbers.
    solver : str, optax.GradientTransformation or training method, default="auto"
        ``"auto"``, ``"adagrad"``, ``"adam"``, ``"ftrl"``, ``"sgd"``, ``"lbfgs"``, an element-wise optax
        transformation, or a training method of your own (see Contributing). ``"lbfgs"`` minimises over all
        rows at once; the others take mini-batches. ``"auto"`` is L-BFGS while there are few rows (for
        linear models: or few nonzeros; for classifiers of a network without a linear term very few) and
        neither dropout nor batch normalisation, then AdaGrad; with an
        L1 penalty it is AdaGrad, and FTRL for linear models. The limits are in the guide on training;
        ``solver_`` tells what was used.
    learning_rate : "auto" or float, default="auto"
        First step size of mini-batch solvers; ``"auto"`` is a usual one for the solver. L-BFGS finds its
        own, and an optax transformation brings its own.
    learning_rate_schedule : {"constant", "plateau", "cosine"} or callable, default="plateau"
        ``"plateau"`` cuts the rate tenfold where training would stop, goes on from the best weights on
        the held-out rows if there are any, and stops at the third time. ``"cosine"`` lowers it to 0 over
        ``max_iter`` epochs. A callable gives the rate of a step, counted from 0, in terms that JAX can
        trace (an optax schedule, say) and replaces ``learning_rate``. Without effect on L-BFGS and on the
        rate inside an optax transformation.
    max_iter : int, default=200
        Epochs at most, or iterations of L-BFGS.
    batch_size : "auto" or int, default="auto"
        Rows of a mini-batch. ``"auto"`` grows with the rows between two bounds, so that an epoch has
        enough steps. L-BFGS does not use it.
    l2_frequency_power : float, default=0.0
        How much less a rare column is penalised, in [0, 1]. 0: one prior for all columns. 1: in
        proportion to the share of the rows that touch the column, as in libFM and libffm.
    early_stopping : "auto" or bool, default="auto"
        Whether to hold rows out, stop on them, and return the weights that were best on them.
        ``"auto"``: with mini-batches and many rows; with mini-batches and fewer rows training stops on
        the training loss. False: all ``max_iter`` epochs are run (L-BFGS still stops by ``tol``), and
        ``X_val`` is not used.
    validation_fraction : "auto" or float, default="auto"
        Share of the rows to hold out, between 0 and 1; by a classifier stratified by class. A row that is
        alone in its class is trained on. ``"auto"``: a tenth, but no more than 2,000 rows, or
        ``5 * sqrt(n_samples)`` where that is more (of a stream that is not put in memory a tenth; of few
        rows for classifiers of a network without a linear term a fifth). Not used where ``X_val`` is given
        to fit.
    n_iter_no_change : int, default=3
        Epochs without an improvement by more than ``tol`` before the rate is cut or training stops, or
        iterations of L-BFGS without one.
    tol : float, default=0.0001
        Least improvement of the monitored value that counts; of losses, as long as less than 0.1 was
        gained, a quarter of what epochs have gained on average if that is less: steps that are small all
        along go on. L-BFGS stops when no component of the gradient is larger than a hundredth of it, or
        iterations lower the objective by no more than ``10 tol**2``.
    scoring : str or callable, default="loss"
        ``"loss"``, or a scorer by scikit-learn's name or as a callable: what is monitored on held-out
        rows. A callable gets this estimator in training, whose predictions of these rows alone are known,
        the rows as the model takes them (encoded), their targets, and ``sample_weight`` where weights differ
        and it takes them. A score that is not finite is an error. Without held-out rows the training loss is
        monitored.
    warm_start : bool, default=False
        Whether another call of fit starts from the parameters of the last one. The state
        of the optimizer starts anew. Classes, columns and parameters of the model must be the same.
    init_from : estimator or None, default=None
        Fitted skfm estimator that this one starts from: its intercept, its tables of the same name, such as
        linear weights or factors, and its network if that is the same. X must have the same columns; where
        they are encoded, values that it has not seen start anew. Its loss must have the same link, and its
        classes must be those of y. Where y is in quite other units, weights are read in these.
    random_state : int, RandomState instance or None, default=None
        Seed of all that is random: the order of the rows, the rows held out, the first values of factors,
        gates and networks, and dropout. Calls of partial_fit go on with the seed of the first.
    verbose : int, default=0
        1: a progress bar on a terminal where tqdm is installed, else a line an epoch. 2: lines in any
        case. 0: nothing.
    n_jobs : int or None, default=None
        Number of cores that a fit or a prediction computes on, as in joblib: -1 is all, -2 all but one.
        None is the number of a ``joblib.parallel_config``, and all cores without one. The results are the
        same bits. It binds threads of XLA on Linux; elsewhere, and on a GPU, it has no effect.
    dtype : "auto", "float32", "float64" or dtype, default="auto"
        Precision of the parameters. ``"auto"`` is float64 with L-BFGS or where all rows make one batch,
        else float32.

    Attributes
    ----------
    intercept_ : float or ndarray of shape (n_outputs,)
        Intercept in units of y; a float where y was a vector.
    target_scale_ : float or ndarray of shape (n_outputs,)
        Unit of the standardised target: the standard deviation of y in training, or its root mean square
        with ``fit_intercept=False``; 1 with ``loss="poisson"``. All terms of raw(x) but ``intercept_``
        and ``coef_`` are on the scale of the standardised target: times this they are in units of y.
    factors_ : ndarray of shape (n_features, n_factors)
        Embeddings, shared by the outputs; 0 for columns that no training row touched.
    coefs_, second_coefs_ : list of ndarray
        Matrix of each layer of the two networks, shape (n_inputs, n_units). Batch normalisation is part of
        it and of the intercepts.
    intercepts_, second_intercepts_ : list of ndarray
        What each layer adds after its matrix, shape (n_units,).
    output_coef_, second_output_coef_ : ndarray of shape (n_units, n_outputs)
        Weights p and q of the last layers in each output, heads side by side.
    fusion_coef_ : ndarray of shape (n_outputs, n_heads, n_units, n_units)
        Matrices W of the products of the last layers; n_units are those of a head.
    gate_intercept_, second_gate_intercept_ : ndarray of shape (n_fields * n_factors,)
        Vectors c of the gates. Not there with ``gate=None``.
    gate_coef_, second_gate_coef_ : ndarray of shape (n_fields * n_factors, n_fields * n_factors)
        Matrices C of the gates, transposed. Only there with ``gate="row"``.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there where X had names that are all strings.
    fields_ : ndarray of shape (n_features,)
        Number of the field of each column, from 0.
    encoder_ : FieldEncoder or None
        What encoded the table; columns of the other attributes are then those that it makes.
    center_ : ndarray of shape (n_features,)
        What is taken off each column first: x_j in the formula stands for ``x_j - center_[j]``. 0 for
        most columns, and for all where the linear weights and the intercept can take the
        difference.
    n_iter_ : int
        Epochs run, or iterations of L-BFGS; calls of partial_fit add up.
    history_ : dict of lists
        One number an epoch of the attempt that was kept, n_iter_ in each list: ``attempt`` and ``epoch``
        (their numbers, from 1), ``loss`` (mean training loss without the penalty), ``learning_rate``
        (mini-batches only), ``validation_loss`` (with held-out rows), ``validation_score`` (with
        held-out rows and a scorer; higher is better) and ``time`` in seconds. With mini-batches the
        loss is taken before each step, so it is an average over the epoch. NaN stands for what some
        epochs have and others lack, such as held-out rows in calls of partial_fit.
    attempts_ : dict of lists
        The same as history_ for the epochs of every attempt, kept or not. There are two where
        automatic penalties are narrow and rows are held out, else one.
    solver_ : str, optax.GradientTransformation or training method
        The solver used.
    plan_ : dict
        What was chosen for the parameters that can be ``"auto"`` and that the solver uses, by their
        names; ``"n_held_out"``, how many rows were held out; and ``"attempt"``, the number of the
        attempt that was kept.

    Raises
    ------
    ValueError
        By fit, where X, y or a weight is not what the model can learn from; the message names the
        row, the column and the remedy. Also where L-BFGS meets an L1 penalty or partial_fit, and
        where tables of ``init_from`` do not fit.
    skfm.train.loop.DivergenceError
        A ValueError, by fit, where the loss is not finite or explodes at every one of ever smaller
        learning rates.
    KeyboardInterrupt
        By fit, after Ctrl-C; the estimator keeps the best weights so far and can predict.

    Warns
    -----
    ConvergenceWarning
        By fit, where training was still learning at ``max_iter``, or where nothing was learned.

    See Also
    --------
    DeepFMRegressor : One network, beside a factorization machine.
    FinalMLPClassifier : The same model for classes.

    Notes
    -----
    fit minimises ::

        (1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))
        + 1/2 sum_j f_j^nu l2_factors ||v_j||^2
        + 1/2 l2_dense ||dense weights||^2

    with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
    ``l2_frequency_power``. With several outputs the squares are summed over them.
    The target is standardised, ``(y - mean) / standard deviation`` with sample weights, before the loss
    is taken, so the penalties mean the same in any unit of y; ``loss="poisson"`` takes y as it is.
    Predictions, ``intercept_`` and linear weights are in units of y.
    Intercepts and biases are not penalised. Columns are trained at root mean square 1 and penalised in
    their own units. A numeric column that is far from 0 in most rows (a year, a pressure) is trained less
    its mean, and its weights are penalised as those of the difference.

    An epoch costs O(nnz * k) for the embeddings and O(n_samples * (number of weights of the networks)), at
    any number of columns; both first layers have n_fields * k inputs. Memory: k numbers a column, two to five
    times that with the state of the optimizer, once more for the best weights on held-out rows, and 4 to 16
    bytes a nonzero for the packed rows.

    Differences from Mao et al.: a gate depends on nothing or on the whole row, where theirs may depend on
    chosen fields; embeddings and networks are penalised.

    References
    ----------
    .. [1] K. Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.
       https://doi.org/10.1609/aaai.v37i4.25577

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

    _parameter_constraints: dict = {
        "n_factors": [accepted.COUNT_OR_ZERO],
        "second_layer_sizes": ["array-like", accepted.COUNT, None],
        "n_heads": [accepted.COUNT],
        "gate": [StrOptions({"constant", "row"}), None],
        "l2_factors": [StrOptions({"auto"}), accepted.NOT_NEGATIVE],
        "init_scale": [accepted.NOT_NEGATIVE],
        "hidden_layer_sizes": ["array-like", accepted.COUNT],
        "activation": [
            StrOptions({"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"})
        ],
        "dropout": [accepted.FROM_0_BELOW_1],
        "batch_norm": [StrOptions({"auto"}), "boolean"],
        "l2_dense": [StrOptions({"auto"}), accepted.NOT_NEGATIVE],
        "loss": [StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"})],
        "quantile": [accepted.BETWEEN_0_AND_1],
        "huber_delta": [accepted.POSITIVE],
        "fit_intercept": ["boolean"],
        "fields": [StrOptions({"auto"}), "array-like", None],
        "encoder": [StrOptions({"auto"}), FieldEncoder, None],
        "solver": [accepted.SOLVER, accepted.GRADIENT_TRANSFORMATION, accepted.TRAINING_METHOD],
        "learning_rate": [StrOptions({"auto"}), accepted.POSITIVE],
        "learning_rate_schedule": [StrOptions({"constant", "plateau", "cosine"}), callable],
        "max_iter": [accepted.COUNT],
        "batch_size": [StrOptions({"auto"}), accepted.COUNT],
        "l2_frequency_power": [accepted.FROM_0_TO_1],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [StrOptions({"auto"}), accepted.BETWEEN_0_AND_1],
        "n_iter_no_change": [accepted.COUNT],
        "tol": [accepted.NOT_NEGATIVE],
        "scoring": [accepted.SCORING, callable],
        "warm_start": ["boolean"],
        "init_from": [accepted.ESTIMATOR, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "n_jobs": [None, accepted.CORES, accepted.CORES_LEFT_OUT],
        "dtype": [StrOptions({"auto", "float32", "float64"}), accepted.FLOAT_TYPE, accepted.FLOAT_DTYPE],
    }

    def __init__(
        self,
        n_factors: int = 10,
        *,
        second_layer_sizes: int | Sequence[int] | np.ndarray | None = None,
        n_heads: int = 1,
        gate: Literal["constant", "row"] | None = "constant",
        l2_factors: float | Literal["auto"] = "auto",
        init_scale: float = 0.01,
        hidden_layer_sizes: int | Sequence[int] | np.ndarray = (128, 64),
        activation: Literal[
            "identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"
        ] = "relu",
        dropout: float = 0.0,
        batch_norm: bool | Literal["auto"] = "auto",
        l2_dense: float | Literal["auto"] = "auto",
        loss: Literal["squared_error", "absolute_error", "huber", "quantile", "poisson"] = "squared_error",
        quantile: float = 0.5,
        huber_delta: float = 1.35,
        fit_intercept: bool = True,
        fields: ArrayLike | Literal["auto"] | None = "auto",
        encoder: FieldEncoder | Literal["auto"] | None = "auto",
        solver: str | GradientTransformation | Method = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        learning_rate_schedule: Literal["constant", "plateau", "cosine"] | Callable[[Any], Any] = "plateau",
        max_iter: int = 200,
        batch_size: int | Literal["auto"] = "auto",
        l2_frequency_power: float = 0.0,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float | Literal["auto"] = "auto",
        n_iter_no_change: int = 3,
        tol: float = 0.0001,
        scoring: str | Callable[..., float] = "loss",
        warm_start: bool = False,
        init_from: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        n_jobs: int | None = None,
        dtype: Literal["auto", "float32", "float64"] | type | np.dtype = "auto",
    ) -> None:
        self.n_factors = n_factors
        self.second_layer_sizes = second_layer_sizes
        self.n_heads = n_heads
        self.gate = gate
        self.l2_factors = l2_factors
        self.init_scale = init_scale
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.l2_dense = l2_dense
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.fit_intercept = fit_intercept
        self.fields = fields
        self.encoder = encoder
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.l2_frequency_power = l2_frequency_power
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.scoring = scoring
        self.warm_start = warm_start
        self.init_from = init_from
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.dtype = dtype
