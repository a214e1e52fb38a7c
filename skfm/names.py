"""Names that parameters take, each once, with the facts that do not need JAX."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args


class Abilities(NamedTuple):
    """What a training method needs and what it can do; see `skfm.train.method`.

    Attributes
    ----------
    needs_matrix : all rows must be in memory
    goes_on : a later call can go on from the state of the optimizer
    l1 : minimises an L1 penalty
    stochastic : trains models whose loss differs from batch to batch (dropout, batch normalisation)
    element_wise : each weight is updated by itself, so that parts of a model may have solvers of their own
    full_batch : each step takes all rows, in float64, and the penalty decides when to stop
    """

    needs_matrix: bool = True
    goes_on: bool = False
    l1: bool = False
    stochastic: bool = False
    element_wise: bool = False
    full_batch: bool = True


class SolverFacts(NamedTuple):
    """What is known of a solver by its name.

    Attributes
    ----------
    method : ``module:name`` of the training method that runs it
    rule : class of `skfm.optim.solvers` that updates each weight by itself, or None
    learning_rate : the usual first step size
    network_learning_rate : that of models with a network
    """

    method: str
    abilities: Abilities
    rule: str | None
    learning_rate: float
    network_learning_rate: float


FULL_BATCH = Abilities()
MINIBATCH = Abilities(
    needs_matrix=False, goes_on=True, l1=True, stochastic=True, element_wise=True, full_batch=False
)
_MINIBATCH_METHOD, _LBFGS_METHOD = "skfm.train.minibatch:MiniBatch", "skfm.train.lbfgs:LBFGS"

# The one place that knows solvers by name.
SOLVERS = {
    "adagrad": SolverFacts(_MINIBATCH_METHOD, MINIBATCH, "AdaGrad", 0.1, 0.05),
    "adam": SolverFacts(_MINIBATCH_METHOD, MINIBATCH, "Adam", 0.001, 0.001),
    "ftrl": SolverFacts(_MINIBATCH_METHOD, MINIBATCH, "FTRL", 0.1, 0.1),
    "sgd": SolverFacts(_MINIBATCH_METHOD, MINIBATCH, "SGD", 0.01, 0.01),
    "lbfgs": SolverFacts(_LBFGS_METHOD, FULL_BATCH, None, 1.0, 1.0),
}
ELEMENT_WISE_SOLVERS = tuple(name for name, facts in SOLVERS.items() if facts.abilities.element_wise)
# What "auto" takes: while all rows make one exact problem, else, and where an L1 penalty is to make zeros.
FULL_BATCH_SOLVER, MINIBATCH_SOLVER, SPARSE_LINEAR_SOLVER = "lbfgs", "adagrad", "ftrl"

# Types for checkers, and the names as values.
ScheduleName = Literal["constant", "plateau", "cosine"]
RegressionLoss = Literal["squared_error", "absolute_error", "huber", "quantile", "poisson"]
Activation = Literal["identity", "relu", "leaky_relu", "elu", "gelu", "silu", "logistic", "tanh"]
# Activations with a slope to learn for each unit where it is off.
LearnedActivation = Literal["prelu", "dice"]
# Models that an ESMM may have as towers.
Tower = Literal[
    "mlp", "fm", "deepfm", "wide_deep", "nfm", "pnn", "dcn", "xdeepfm", "deep_crossing", "final_mlp"
]
# Terms of a mixture's gates and experts, joined by "+".
MixtureForm = Literal["linear", "fm", "linear+fm"]
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
REGRESSION_LOSSES: tuple[str, ...] = get_args(RegressionLoss)
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
LEARNED_ACTIVATIONS: tuple[str, ...] = get_args(LearnedActivation)
TOWERS: tuple[str, ...] = get_args(Tower)
MIXTURE_FORMS: tuple[str, ...] = get_args(MixtureForm)
# Activations that look at the other rows of a batch.
BATCH_ACTIVATIONS = ("dice",)
