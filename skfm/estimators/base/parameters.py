"""Parameters that several estimators have; see `skfm.estimators.base.declare`."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from skfm.data.encode import FieldEncoder
from skfm.estimators.base.declare import Parameters, one_of, parameter
from skfm.names import ACTIVATIONS

POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
COUNT = Interval(Integral, 1, None, closed="left")
AUTO = StrOptions({"auto"})


class LinearParameters(Parameters):
    """Of models with a linear term."""

    l1_linear: float = parameter(
        0.0,
        "float",
        """
        Strength of the L1 penalty of the linear weights. Named mini-batch solvers make exact zeros;
        ``solver="ftrl"`` makes the most. L-BFGS refuses it.
        """,
        NOT_NEGATIVE,
    )
    l2_linear: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        Strength of the L2 penalty of the linear weights. ``"auto"`` is that of a normal prior: inversely
        proportional to the sum of the sample weights (of a mixture with few rows: half of
        ``l2_factors``).
        """,
        AUTO,
        NOT_NEGATIVE,
    )


class FactorParameters(Parameters):
    """Of models with factors."""

    n_factors: int = parameter(
        10,
        "int",
        "Number k of factors of each column, 0 or more; the embedding size.",
        Interval(Integral, 0, None, closed="left"),
        kw_only=False,
    )
    l2_factors: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        Strength of the L2 penalty of the factors. ``"auto"`` is inversely proportional to the sum of the
        sample weights, and stronger the fewer rows touch a column (and, in a mixture, the more pieces
        share them). Where that is strong and rows are held out, a weak penalty with larger first factors
        is tried too, and kept if its score is better by half a percent. The parameter to tune first.
        """,
        AUTO,
        NOT_NEGATIVE,
    )
    init_scale: float = parameter(
        0.01,
        "float",
        """
        Standard deviation of the first values of the factors, for columns of root mean square 1. With 0
        the factors of a model without a network never leave 0.
        """,
        NOT_NEGATIVE,
    )


class NetworkParameters(Parameters):
    """Of models with hidden layers."""

    hidden_layer_sizes: Any = parameter(
        (128, 64),
        "int or array-like of int",
        """
        Units of each hidden layer; an int is one layer. An empty tuple makes the network a linear map.
        """,
        "array-like",
        COUNT,
    )
    activation: str = parameter(
        "relu",
        one_of(ACTIVATIONS),
        "Activation of the hidden layers.",
        StrOptions(set(ACTIVATIONS)),
    )
    dropout: float = parameter(
        0.0,
        "float",
        "Share of the units of each hidden layer that a training step leaves out, in [0, 1).",
        Interval(Real, 0, 1, closed="left"),
    )
    batch_norm: bool = parameter(
        False,
        "bool",
        """
        Whether hidden layers are normalised over the batch, after the affine map and before the
        activation.
        """,
        "boolean",
    )
    l2_dense: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        Strength of the L2 penalty of the weights of the network (not of its biases). ``"auto"`` is that of
        ``l2_factors``.
        """,
        AUTO,
        NOT_NEGATIVE,
    )


class LabelParameters(Parameters):
    """Of classifiers."""

    class_weight: Any = parameter(
        None,
        '"balanced", dict, list of dict or None',
        """
        Weight of each class, ``{label: weight}``, by which sample weights are multiplied; a list has one
        dict a label of multilabel targets. ``"balanced"``: inversely proportional to the share of the
        class.
        """,
        StrOptions({"balanced"}),
        dict,
        list,
        None,
    )
    fit_intercept: bool = parameter(
        True,
        "bool",
        """
        Whether the raw prediction has an intercept (in a mixture: each expert; gates have one in any
        case). It is not penalised, and starts at the log odds of the classes in the training data.
        """,
        "boolean",
    )


class NumberParameters(Parameters):
    """Of regressors."""

    loss: str = parameter(
        "squared_error",
        '{"squared_error", "absolute_error", "huber", "quantile", "poisson"}',
        """
        Loss of a sample. ``"poisson"`` predicts ``exp(raw)`` and needs targets of 0 or more; the other
        losses are computed on the standardised target (see Notes).
        """,
        StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"}),
    )
    quantile: float = parameter(
        0.5,
        "float",
        'Quantile to predict with ``loss="quantile"``, between 0 and 1.',
        Interval(Real, 0, 1, closed="neither"),
    )
    huber_delta: float = parameter(
        1.35,
        "float",
        """
        Size of an error, in standard deviations of y, from which ``loss="huber"`` grows linearly.
        """,
        POSITIVE,
    )
    fit_intercept: bool = parameter(
        True,
        "bool",
        """
        Whether the raw prediction has an intercept (in a mixture: each expert; gates have one in any
        case). It is not penalised, and starts at the best constant prediction. Without it the raw
        prediction of an empty row is 0 on the scale of the standardised target, hence the mean of y (1 with
        ``loss="poisson"``).
        """,
        "boolean",
    )


class TrainingParameters(Parameters):
    """Of all estimators."""

    fields: Any = parameter(
        "auto",
        '"auto", None or array-like of shape (n_features,)',
        """
        Which columns form a field. ``"auto"``: the smallest number of contiguous blocks of columns such
        that no training row has two nonzeros in one block, which are the fields of any one-hot encoding;
        where far more blocks are found than a row has nonzeros (text), all columns form one field. None:
        one field. An array: the label of the field of each column. Models of fields get one embedding a
        field, the sum over the nonzeros of the row in it; for others ``fields_`` is a record alone.
        """,
        AUTO,
        "array-like",
        None,
    )
    encoder: Any = parameter(
        "auto",
        '"auto", FieldEncoder or None',
        """
        What makes a matrix of a table. ``"auto"``: a DataFrame with a column that holds neither numbers
        nor booleans goes through a :class:`FieldEncoder` of default parameters; any other X is numbers. A
        FieldEncoder: a clone of it encodes every X that is not sparse. None: X is numbers.
        """,
        AUTO,
        FieldEncoder,
        None,
    )
    solver: Any = parameter(
        "auto",
        "str or optax.GradientTransformation",
        """
        ``"auto"``, ``"adagrad"``, ``"adam"``, ``"ftrl"``, ``"sgd"``, ``"lbfgs"``, or an element-wise
        optax transformation. ``"lbfgs"`` minimises over all rows at once; the others take mini-batches.
        ``"auto"`` is L-BFGS while there are few rows (for linear models: or few nonzeros) and neither
        dropout nor batch normalisation, then AdaGrad; with an L1 penalty it is AdaGrad, and FTRL for
        linear models. The limits are in the guide on training; ``solver_`` tells what was used.
        """,
        StrOptions({"auto", "adagrad", "adam", "ftrl", "sgd", "lbfgs"}),
        HasMethods(["init", "update"]),
    )
    learning_rate: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        First step size of mini-batch solvers; ``"auto"`` is a usual one for the solver. L-BFGS finds its
        own, and an optax transformation brings its own.
        """,
        AUTO,
        POSITIVE,
    )
    learning_rate_schedule: Any = parameter(
        "plateau",
        '{"constant", "plateau", "cosine"} or callable',
        """
        ``"plateau"`` cuts the rate tenfold where training would stop, goes on from the best weights on
        the held-out rows if there are any, and stops at the third time. ``"cosine"`` lowers it to 0 over
        ``max_iter`` epochs. A callable gives the rate of a step, counted from 0, in terms that JAX can
        trace (an optax schedule, say) and replaces ``learning_rate``. Without effect on L-BFGS and on the
        rate inside an optax transformation.
        """,
        StrOptions({"constant", "plateau", "cosine"}),
        callable,
    )
    max_iter: int = parameter(200, "int", "Epochs at most, or iterations of L-BFGS.", COUNT)
    batch_size: int | str = parameter(
        "auto",
        '"auto" or int',
        """
        Rows of a mini-batch. ``"auto"`` grows with the rows between two bounds, so that an epoch has
        enough steps. L-BFGS does not use it.
        """,
        AUTO,
        COUNT,
    )
    l2_frequency_power: float = parameter(
        0.0,
        "float",
        """
        How much less a rare column is penalised, in [0, 1]. 0: one prior for all columns. 1: in
        proportion to the share of the rows that touch the column, as in libFM and libffm.
        """,
        Interval(Real, 0, 1, closed="both"),
    )
    early_stopping: bool | str = parameter(
        "auto",
        '"auto" or bool',
        """
        Whether to hold rows out, stop on them, and return the weights that were best on them.
        ``"auto"``: with mini-batches and many rows; with mini-batches and fewer rows training stops on
        the training loss. False: all ``max_iter`` epochs are run (L-BFGS still stops by ``tol``), and
        ``X_val`` is not used.
        """,
        AUTO,
        "boolean",
    )
    validation_fraction: float | str = parameter(
        "auto",
        '"auto" or float',
        """
        Share of the rows to hold out, between 0 and 1; by a classifier stratified by class, where every
        class has two rows. ``"auto"``: a tenth, but no more than 2,000 rows, or ``5 * sqrt(n_samples)``
        where that is more (of a stream that is not put in memory a tenth). Not used where ``X_val`` is given
        to fit.
        """,
        AUTO,
        Interval(Real, 0, 1, closed="neither"),
    )
    n_iter_no_change: int = parameter(
        3,
        "int",
        """
        Epochs (or iterations of L-BFGS with held-out rows) without an improvement by more than ``tol``
        before the rate is cut or training stops.
        """,
        COUNT,
    )
    tol: float = parameter(
        1e-4,
        "float",
        """
        Least improvement of the monitored value that counts. Without held-out rows L-BFGS stops when no
        component of the gradient is larger than a hundredth of it.
        """,
        NOT_NEGATIVE,
    )
    scoring: Any = parameter(
        "loss",
        "str or callable",
        """
        ``"loss"``, or a scorer by scikit-learn's name or as a callable: what is monitored on held-out
        rows. Without held-out rows the training loss is monitored.
        """,
        StrOptions({"loss"} | set(get_scorer_names())),
        callable,
    )
    warm_start: bool = parameter(
        False,
        "bool",
        """
        Whether another call of fit starts from the parameters of the last one. The state of the optimizer
        starts anew.
        """,
        "boolean",
    )
    init_from: Any = parameter(
        None,
        "estimator or None",
        """
        Fitted skfm estimator whose tables of the same name, such as linear weights or factors, start this
        one where they have the same columns and shape.
        """,
        HasMethods(["fit"]),
        None,
    )
    random_state: Any = parameter(
        None,
        "int, RandomState instance or None",
        """
        Seed of all that is random: the order of the rows, the rows held out, the first values of factors,
        gates and networks, and dropout.
        """,
        "random_state",
    )
    verbose: int = parameter(
        0,
        "int",
        """
        1: a progress bar on a terminal where tqdm is installed, else a line an epoch. 2: lines in any
        case. 0: nothing.
        """,
        "verbose",
    )
    dtype: Any = parameter(
        "auto",
        '"auto", "float32", "float64" or dtype',
        """
        Precision of the parameters. ``"auto"`` is float64 with L-BFGS or where all rows make one batch,
        else float32.
        """,
        StrOptions({"auto", "float32", "float64"}),
        Options(type, {float, np.float32, np.float64}),
        Options(np.dtype, {np.dtype("float32"), np.dtype("float64")}),
    )
