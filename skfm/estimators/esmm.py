"""Entire space multi-task model: clicks, and conversions after them."""

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
from skfm.estimators.base.deep import DeepEstimator
from skfm.estimators.base.parameters import GradientTransformation, LinearParameters, parameter
from skfm.estimators.base.tables import LinearTable, fitted
from skfm.fitting.targets import ClickConversion
from skfm.names import Tower
from skfm.train.method import Method


class _ESMM(LinearTable, DeepEstimator, LinearParameters):
    """What the classifier's docstring and parameters are made of.

    Whoever converts (buys) has clicked before: y has a column of clicks and one of conversions. A model of
    conversions that learns from clicked rows alone has never seen the rows that it is asked about. Here two
    towers on shared embeddings give ::

        P(click) = sigmoid(click(x)),    P(conversion | click) = sigmoid(conversion(x))
        P(click and conversion) = P(click) P(conversion | click)

    and both tasks that are trained are defined on all rows: the loss of a row is the log loss of its click
    plus that of click and conversion, each times its task weight.
    {fields}
    Each tower is a model of the kind that ``tower`` names, with a network and linear weights of its own.

    Attributes
    ----------
    classes_ : list of two ndarrays
        ``[0, 1]`` for each task; labels of one column of y as of other classifiers.
    intercept_ : ndarray of shape (2,)
        Intercepts of the log odds of a click, and of a conversion after it.
    coef_ : ndarray of shape (2, n_features)
        Linear weights of each tower; not with towers without a linear term.
    {embeddings}
    towers_ : list of dict
        Weights of the network of each tower, by the names that the model of its kind has as attributes
        (``coefs_``, ``intercepts_``, ``cross_coef_``, ..). Maps to outputs have two columns: the first tower
        uses the first, the second tower the second.
    {attributes}

    Notes
    -----
    {objective}

    An epoch costs what two epochs of the model of a tower cost. Memory: k numbers a column, and 2 for towers
    with a linear term, two to five times that with the state of the optimizer, once more for the best weights
    on held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

    The shares that a constant prediction starts from are those of y, weighted. Classes are balanced task by
    task, over all rows. fit takes a ``sample_weight`` of shape (n_samples, 2) too, a weight for each task of
    a row. With y of one column there is no chain: the model is then one tower, an ordinary
    classifier of that column.

    Differences from Ma et al.: any of several models as a tower, weights for the tasks, penalties.

    References
    ----------
    .. [1] X. Ma et al., "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click
       Conversion Rate", SIGIR 2018. https://doi.org/10.1145/3209978.3210104
    """

    tower: Tower = parameter(
        "deepfm",
        """
        Kind of both towers. ``"mlp"`` is a network on embeddings; the others are the models of these names.
        """,
    )
    task_weights: Sequence[float] | np.ndarray = parameter(
        (1.0, 1.0),
        "Weight of the loss of clicks, and of that of clicks with a conversion.",
        "array-like",
        kind="pair of float",
    )

    @fitted
    def towers_(self) -> list[dict[str, Any]]:
        """Weights of each tower, by the names that the model of its kind has as attributes."""
        found = self._attributes()
        return found.get("towers_", [found])


class ESMMClassifier(_ESMM, FactorizationClassifier):
    # Written by `python -m tools.signatures`: the docstring but for its first line, See Also and Examples,
    # _parameter_constraints and __init__. Change _ESMM instead, or what declares the parameter.
    """Entire space multi-task model: chances of a click, and of a conversion after it.

    Whoever converts (buys) has clicked before: y has a column of clicks and one of conversions. A model of
    conversions that learns from clicked rows alone has never seen the rows that it is asked about. Here two
    towers on shared embeddings give ::

        P(click) = sigmoid(click(x)),    P(conversion | click) = sigmoid(conversion(x))
        P(click and conversion) = P(click) P(conversion | click)

    and both tasks that are trained are defined on all rows: the loss of a row is the log loss of its click
    plus that of click and conversion, each times its task weight.
    E_f is the sum of ``x_j v_j`` over the columns j of field f, so a field may have several nonzeros.
    Each tower is a model of the kind that ``tower`` names, with a network and linear weights of its own.

    Parameters
    ----------
    n_factors : int, default=10
        Number k of factors of each column, 0 or more; the embedding size.
    tower : {"mlp", "fm", "deepfm", "wide_deep", "nfm", "pnn", "dcn", "xdeepfm", "deep_crossing", "final_mlp"}, default="deepfm"
        Kind of both towers. ``"mlp"`` is a network on embeddings; the others are the models of these names.
    task_weights : pair of float, default=(1.0, 1.0)
        Weight of the loss of clicks, and of that of clicks with a conversion.
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
    l1_linear : float, default=0.0
        Strength of the L1 penalty of the linear weights. Named mini-batch solvers make exact zeros;
        ``solver="ftrl"`` makes the most. L-BFGS refuses it.
    l2_linear : "auto" or float, default="auto"
        Strength of the L2 penalty of the linear weights. ``"auto"`` is that of a normal prior, inversely
        proportional to the sum of the sample weights, whose width follows from what each column tells
        alone (see the guide on training; of a mixture with few rows it may be half of ``l2_factors``).
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
    classes_ : list of two ndarrays
        ``[0, 1]`` for each task; labels of one column of y as of other classifiers.
    intercept_ : ndarray of shape (2,)
        Intercepts of the log odds of a click, and of a conversion after it.
    coef_ : ndarray of shape (2, n_features)
        Linear weights of each tower; not with towers without a linear term.
    factors_ : ndarray of shape (n_features, n_factors)
        Embeddings, shared by the outputs; 0 for columns that no training row touched.
    towers_ : list of dict
        Weights of the network of each tower, by the names that the model of its kind has as attributes
        (``coefs_``, ``intercepts_``, ``cross_coef_``, ..). Maps to outputs have two columns: the first tower
        uses the first, the second tower the second.
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
    DeepFMClassifier : Several labels that do not depend on each other.
    skfm.metrics.make_task_scorer : Scores of one of the tasks, for a grid search.

    Notes
    -----
    fit minimises ::

        (1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))
        + 1/2 sum_j f_j^nu (l2_linear w_j^2 + l2_factors ||v_j||^2)
        + 1/2 l2_dense ||dense weights||^2
        + l1_linear sum_j f_j^nu |w_j|

    with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
    ``l2_frequency_power``. With several outputs the squares are summed over them.
    The loss is the log loss; for several classes that of the softmax, for multilabel targets the sum over
    the labels.
    Intercepts and biases are not penalised. Columns are trained at root mean square 1 and penalised in
    their own units. A numeric column that is far from 0 in most rows (a year, a pressure) is trained less
    its mean, and its weights are penalised as those of the difference.

    An epoch costs what two epochs of the model of a tower cost. Memory: k numbers a column, and 2 for towers
    with a linear term, two to five times that with the state of the optimizer, once more for the best weights
    on held-out rows, and 4 to 16 bytes a nonzero for the packed rows.

    The shares that a constant prediction starts from are those of y, weighted. Classes are balanced task by
    task, over all rows. fit takes a ``sample_weight`` of shape (n_samples, 2) too, a weight for each task of
    a row. With y of one column there is no chain: the model is then one tower, an ordinary
    classifier of that column.

    Differences from Ma et al.: any of several models as a tower, weights for the tasks, penalties.

    References
    ----------
    .. [1] X. Ma et al., "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click
       Conversion Rate", SIGIR 2018. https://doi.org/10.1145/3209978.3210104

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
    array([[0.9, 0.1, 0.1],
           [0.9, 0.7, 0.6]])
    """  # noqa: E501

    _parameter_constraints: dict = {
        "n_factors": [accepted.COUNT_OR_ZERO],
        "tower": [
            StrOptions(
                {
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
                }
            )
        ],
        "task_weights": ["array-like"],
        "l2_factors": [StrOptions({"auto"}), accepted.NOT_NEGATIVE],
        "init_scale": [accepted.NOT_NEGATIVE],
        "hidden_layer_sizes": ["array-like", accepted.COUNT],
        "activation": [
            StrOptions({"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"})
        ],
        "dropout": [accepted.FROM_0_BELOW_1],
        "batch_norm": [StrOptions({"auto"}), "boolean"],
        "l2_dense": [StrOptions({"auto"}), accepted.NOT_NEGATIVE],
        "l1_linear": [accepted.NOT_NEGATIVE],
        "l2_linear": [StrOptions({"auto"}), accepted.NOT_NEGATIVE],
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
        tower: Literal[
            "mlp", "fm", "deepfm", "wide_deep", "nfm", "pnn", "dcn", "xdeepfm", "deep_crossing", "final_mlp"
        ] = "deepfm",
        task_weights: Sequence[float] | np.ndarray = (1.0, 1.0),
        l2_factors: float | Literal["auto"] = "auto",
        init_scale: float = 0.01,
        hidden_layer_sizes: int | Sequence[int] | np.ndarray = (128, 64),
        activation: Literal[
            "identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"
        ] = "relu",
        dropout: float = 0.0,
        batch_norm: bool | Literal["auto"] = "auto",
        l2_dense: float | Literal["auto"] = "auto",
        l1_linear: float = 0.0,
        l2_linear: float | Literal["auto"] = "auto",
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
        self.tower = tower
        self.task_weights = task_weights
        self.l2_factors = l2_factors
        self.init_scale = init_scale
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.l2_dense = l2_dense
        self.l1_linear = l1_linear
        self.l2_linear = l2_linear
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

    def _make_targets(self):
        return ClickConversion(class_weight=self.class_weight, task_weights=self.task_weights)

    def _settings(self):
        settings = super()._settings()
        return settings._replace(
            has_linear_term="linear" in self._tower(2, 1).tables(),
            batch_norm=settings.batch_norm if self.tower != "fm" else False,
        )

    # -- model -------------------------------------------------------------------------------------

    def _make_model(self, shape):
        from skfm.losses import ClickConversionLoss
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
