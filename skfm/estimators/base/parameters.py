"""Parameters that several estimators have, each declared once.

A class declares parameters as ``name: type = parameter(default, meaning, *accepted)``; those of its bases
come after its own. ``python -m tools.signatures`` writes them as `__init__`, constraints and docstring into
the classes that users see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from skfm.data.encode import FieldEncoder
from skfm.estimators.base import accepted
from skfm.names import Activation, RegressionLoss, ScheduleName
from skfm.train.method import Method

T = TypeVar("T")


def parameter(default: T, meaning: str, *accepted: Any, kind: str = "", positional: bool = False) -> T:
    """Declare a parameter; at run time this is the default, the rest is read from the source.

    Parameters
    ----------
    meaning : its description
    accepted : constraints as in scikit-learn's `_parameter_constraints`, after those that follow from a bool
        or the strings of a Literal in the annotation
    kind : its type in the docstring, where that does not follow from the annotation
    positional : whether it may be given by position
    """
    return default


class GradientTransformation(Protocol):
    """What an `optax.GradientTransformation` has."""

    @property
    def init(self) -> Callable[..., Any]: ...

    @property
    def update(self) -> Callable[..., Any]: ...


class LinearParameters:
    """Of models with a linear term."""

    l1_linear: float = parameter(
        0.0,
        """
        Strength of the L1 penalty of the linear weights. Named mini-batch solvers make exact zeros;
        ``solver="ftrl"`` makes the most. L-BFGS refuses it.
        """,
        accepted.NOT_NEGATIVE,
    )
    l2_linear: float | Literal["auto"] = parameter(
        "auto",
        """
        Strength of the L2 penalty of the linear weights. ``"auto"`` is that of a normal prior, inversely
        proportional to the sum of the sample weights, whose width follows from what each column tells
        alone (see the guide on training; of a mixture with few rows it may be half of ``l2_factors``).
        """,
        accepted.NOT_NEGATIVE,
    )


class FactorParameters:
    """Of models with factors."""

    n_factors: int = parameter(
        10,
        "Number k of factors of each column, 0 or more; the embedding size.",
        accepted.COUNT_OR_ZERO,
        positional=True,
    )
    l2_factors: float | Literal["auto"] = parameter(
        "auto",
        """
        Strength of the L2 penalty of the factors. ``"auto"`` is inversely proportional to the sum of the
        sample weights, and stronger the fewer rows touch a column (and, in a mixture, the more pieces
        share them). Where that is strong and rows are held out, a weak penalty with larger first factors
        is tried too, and kept if its score is better by half a percent; L-BFGS sets a quarter of the rows
        aside to choose among such penalties, then trains on all. The parameter to tune first.
        """,
        accepted.NOT_NEGATIVE,
    )
    init_scale: float = parameter(
        0.01,
        """
        Standard deviation of the first values of the factors, for columns of root mean square 1. With 0
        the factors of a model without a network never leave 0.
        """,
        accepted.NOT_NEGATIVE,
    )


class NetworkParameters:
    """Of models with hidden layers."""

    hidden_layer_sizes: int | Sequence[int] | np.ndarray = parameter(
        (128, 64),
        """
        Units of each hidden layer; an int is one layer. An empty tuple makes the network a linear map.
        """,
        "array-like",
        accepted.COUNT,
        kind="int or array-like of int",
    )
    activation: Activation = parameter("relu", "Activation of the hidden layers.")
    dropout: float = parameter(
        0.0,
        "Share of the units of each hidden layer that a training step leaves out, in [0, 1).",
        accepted.FROM_0_BELOW_1,
    )
    batch_norm: bool | Literal["auto"] = parameter(
        "auto",
        """
        Whether hidden layers are normalised over the batch, after the affine map and before the activation.
        ``"auto"``: of 10,000 rows or more, where some are held out and ``l2_factors`` is ``"auto"`` too,
        training without it is followed by one with it, under a strong penalty of the factors, which is kept
        if the m held-out rows score better by a share of 1 / sqrt(m); elsewhere no. A warm start goes on as
        the fit before.
        """,
    )
    l2_dense: float | Literal["auto"] = parameter(
        "auto",
        """
        Strength of the L2 penalty of the weights of the network (not of its biases). ``"auto"`` is that of
        ``l2_factors``, and 0 with the strong penalty that ``batch_norm="auto"`` tries.
        """,
        accepted.NOT_NEGATIVE,
    )


class LabelParameters:
    """Of classifiers."""

    class_weight: dict[Any, Any] | list[dict[Any, Any]] | Literal["balanced"] | None = parameter(
        None,
        """
        Weight of each class, ``{label: weight}``, by which sample weights are multiplied; a list has one
        dict a label of multilabel targets. Rows of a class of weight 0 are left out; two classes need a
        weight. Labels that y has not are ignored where all its classes are named. ``"balanced"``: inversely
        proportional to the share of the class; partial_fit, which does not know it, refuses that.
        """,
        dict,
        list,
        None,
        kind='"balanced", dict, list of dict or None',
    )
    fit_intercept: bool = parameter(
        True,
        """
        Whether the raw prediction has an intercept (in a mixture: each expert; gates have one in any
        case). It is not penalised, and starts at the log odds of the classes in the training data.
        """,
    )


class NumberParameters:
    """Of regressors."""

    loss: RegressionLoss = parameter(
        "squared_error",
        """
        Loss of a sample. ``"poisson"`` predicts ``exp(raw)`` and needs targets of 0 or more; the other
        losses are computed on the standardised target (see Notes).
        """,
    )
    quantile: float = parameter(
        0.5, 'Quantile to predict with ``loss="quantile"``, between 0 and 1.', accepted.BETWEEN_0_AND_1
    )
    huber_delta: float = parameter(
        1.35,
        """
        Size of an error, in standard deviations of y, from which ``loss="huber"`` grows linearly.
        """,
        accepted.POSITIVE,
    )
    fit_intercept: bool = parameter(
        True,
        """
        Whether the raw prediction has an intercept (in a mixture: each expert; gates have one in any
        case). It is not penalised, and starts at the best constant prediction. Without it the raw
        prediction of an empty row is 0 on the scale of the standardised target, hence the mean of y (1 with
        ``loss="poisson"``).
        """,
    )


class TrainingParameters:
    """Of all estimators."""

    fields: ArrayLike | Literal["auto"] | None = parameter(
        "auto",
        """
        Which columns form a field. ``"auto"``: the smallest number of contiguous blocks of columns such
        that no training row has two nonzeros in one block, which are the fields of any one-hot encoding;
        where far more blocks are found than a row has nonzeros (text), all columns form one field. None:
        one field. An array: the label of the field of each column. Models of fields get one embedding a
        field, the sum over the nonzeros of the row in it; for others ``fields_`` is a record alone.
        """,
        "array-like",
        None,
        kind='"auto", None or array-like of shape (n_features,)',
    )
    encoder: FieldEncoder | Literal["auto"] | None = parameter(
        "auto",
        """
        What makes a matrix of a table. ``"auto"``: a DataFrame with a column that holds neither numbers
        nor booleans, or whole numbers that are identifiers, goes through a :class:`FieldEncoder` of default
        parameters; any other X is numbers. Identifiers in a frame of numbers are a warning, which says how
        to confirm or overrule it. A FieldEncoder: a clone of it encodes every X that is not sparse. None: X
        is numbers.
        """,
        FieldEncoder,
        None,
    )
    solver: str | GradientTransformation | Method = parameter(
        "auto",
        """
        ``"auto"``, ``"adagrad"``, ``"adam"``, ``"ftrl"``, ``"sgd"``, ``"lbfgs"``, an element-wise optax
        transformation, or a training method of your own (see Contributing). ``"lbfgs"`` minimises over all
        rows at once; the others take mini-batches. ``"auto"`` is L-BFGS while there are few rows (for
        linear models: or few nonzeros; for classifiers of a network without a linear term very few) and
        neither dropout nor batch normalisation, then AdaGrad; with an
        L1 penalty it is AdaGrad, and FTRL for linear models. The limits are in the guide on training;
        ``solver_`` tells what was used.
        """,
        accepted.SOLVER,
        accepted.GRADIENT_TRANSFORMATION,
        accepted.TRAINING_METHOD,
        kind="str, optax.GradientTransformation or training method",
    )
    learning_rate: float | Literal["auto"] = parameter(
        "auto",
        """
        First step size of mini-batch solvers; ``"auto"`` is a usual one for the solver. L-BFGS finds its
        own, and an optax transformation brings its own.
        """,
        accepted.POSITIVE,
    )
    learning_rate_schedule: ScheduleName | Callable[[Any], Any] = parameter(
        "plateau",
        """
        ``"plateau"`` cuts the rate tenfold where training would stop, goes on from the best weights on
        the held-out rows if there are any, and stops at the third time. ``"cosine"`` lowers it to 0 over
        ``max_iter`` epochs. A callable gives the rate of a step, counted from 0, in terms that JAX can
        trace (an optax schedule, say) and replaces ``learning_rate``. Without effect on L-BFGS and on the
        rate inside an optax transformation.
        """,
        callable,
        kind='{"constant", "plateau", "cosine"} or callable',
    )
    max_iter: int = parameter(200, "Epochs at most, or iterations of L-BFGS.", accepted.COUNT)
    batch_size: int | Literal["auto"] = parameter(
        "auto",
        """
        Rows of a mini-batch. ``"auto"`` grows with the rows between two bounds, so that an epoch has
        enough steps. L-BFGS does not use it.
        """,
        accepted.COUNT,
    )
    l2_frequency_power: float = parameter(
        0.0,
        """
        How much less a rare column is penalised, in [0, 1]. 0: one prior for all columns. 1: in
        proportion to the share of the rows that touch the column, as in libFM and libffm.
        """,
        accepted.FROM_0_TO_1,
    )
    early_stopping: bool | Literal["auto"] = parameter(
        "auto",
        """
        Whether to hold rows out, stop on them, and return the weights that were best on them.
        ``"auto"``: with mini-batches and many rows; with mini-batches and fewer rows training stops on
        the training loss. False: all ``max_iter`` epochs are run (L-BFGS still stops by ``tol``), and
        ``X_val`` is not used.
        """,
    )
    validation_fraction: float | Literal["auto"] = parameter(
        "auto",
        """
        Share of the rows to hold out, between 0 and 1; by a classifier stratified by class. A row that is
        alone in its class is trained on. ``"auto"``: a tenth, but no more than 2,000 rows, or
        ``5 * sqrt(n_samples)`` where that is more (of a stream that is not put in memory a tenth; of few
        rows for classifiers of a network without a linear term a fifth). Not used where ``X_val`` is given
        to fit.
        """,
        accepted.BETWEEN_0_AND_1,
    )
    n_iter_no_change: int = parameter(
        3,
        """
        Epochs without an improvement by more than ``tol`` before the rate is cut or training stops, or
        iterations of L-BFGS without one.
        """,
        accepted.COUNT,
    )
    tol: float = parameter(
        1e-4,
        """
        Least improvement of the monitored value that counts; of losses, as long as less than 0.1 was
        gained, a quarter of what epochs have gained on average if that is less: steps that are small all
        along go on. L-BFGS stops when no component of the gradient is larger than a hundredth of it, or
        iterations lower the objective by no more than ``10 tol**2``.
        """,
        accepted.NOT_NEGATIVE,
    )
    scoring: str | Callable[..., float] = parameter(
        "loss",
        """
        ``"loss"``, or a scorer by scikit-learn's name or as a callable: what is monitored on held-out
        rows. A callable gets this estimator in training, whose predictions of these rows alone are known,
        the rows as the model takes them (encoded), their targets, and ``sample_weight`` where weights differ
        and it takes them. A score that is not finite is an error. Without held-out rows the training loss is
        monitored.
        """,
        accepted.SCORING,
        callable,
        kind="str or callable",
    )
    warm_start: bool = parameter(
        False,
        """
        Whether another call of fit starts from the parameters of the last one. The state
        of the optimizer starts anew. Classes, columns and parameters of the model must be the same.
        """,
    )
    init_from: BaseEstimator | None = parameter(
        None,
        """
        Fitted skfm estimator that this one starts from: its intercept, its tables of the same name, such as
        linear weights or factors, and its network if that is the same. X must have the same columns; where
        they are encoded, values that it has not seen start anew. Its loss must have the same link, and its
        classes must be those of y. Where y is in quite other units, weights are read in these.
        """,
        accepted.ESTIMATOR,
        None,
        kind="estimator or None",
    )
    random_state: int | np.random.RandomState | None = parameter(
        None,
        """
        Seed of all that is random: the order of the rows, the rows held out, the first values of factors,
        gates and networks, and dropout. Calls of partial_fit go on with the seed of the first.
        """,
        "random_state",
        kind="int, RandomState instance or None",
    )
    verbose: int = parameter(
        0,
        """
        1: a progress bar on a terminal where tqdm is installed, else a line an epoch. 2: lines in any
        case. 0: nothing.
        """,
        "verbose",
    )
    n_jobs: int | None = parameter(
        None,
        """
        Number of cores that a fit or a prediction computes on, as in joblib: -1 is all, -2 all but one.
        None is the number of a ``joblib.parallel_config``, and all cores without one. The results are the
        same bits. It binds threads of XLA on Linux; elsewhere, and on a GPU, it has no effect.
        """,
        None,
        accepted.CORES,
        accepted.CORES_LEFT_OUT,
    )
    dtype: Literal["auto", "float32", "float64"] | type | np.dtype = parameter(
        "auto",
        """
        Precision of the parameters. ``"auto"`` is float64 with L-BFGS or where all rows make one batch,
        else float32.
        """,
        accepted.FLOAT_TYPE,
        accepted.FLOAT_DTYPE,
        kind='"auto", "float32", "float64" or dtype',
    )
