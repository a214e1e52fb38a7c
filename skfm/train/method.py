"""Training methods: what they have in common, and the words in which they refuse.

A method is an object with `abilities` (`skfm.names.Abilities`) and ``fit(problem, session) -> Result``. Each
name of a solver has one (`skfm.names.SOLVERS`), an optax transformation is run by mini-batches, and any other
object with these two may be given as a `solver` itself.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any, NamedTuple, Protocol

from skfm.names import MINIBATCH, MINIBATCH_SOLVER, SOLVERS, SPARSE_LINEAR_SOLVER, Abilities
from skfm.train.problem import Problem, Result


class Method(Protocol):
    """Something that solves problems."""

    @property
    def abilities(self) -> Abilities:
        """What it needs and can."""

    def fit(self, problem: Problem, session: Any) -> Result:
        """Train; `session` is that of a result before to go on from, or None."""


class Demands(NamedTuple):
    """What a fit asks of its method; each is an ability, or the opposite of a need.

    Attributes
    ----------
    n_streamed : rows of a stream that is not put in memory, 0 for a matrix
    goes_on : whether this is a call of partial_fit
    l1 : whether there is an L1 penalty
    stochastic : whether the model's loss differs from batch to batch
    linear_solver : the solver of the linear weights alone, or None
    """

    n_streamed: int = 0
    goes_on: bool = False
    l1: bool = False
    stochastic: bool = False
    linear_solver: Any = None


def is_method(solver) -> bool:
    """Whether a `solver` is a training method itself."""
    return hasattr(solver, "abilities") and hasattr(solver, "fit") and not isinstance(solver, type)


def abilities_of(solver) -> Abilities:
    """What the method of a solver needs and can."""
    if isinstance(solver, str):
        return SOLVERS[solver].abilities
    return solver.abilities if is_method(solver) else MINIBATCH


def method_of(solver, linear_solver=None) -> Method:
    """The method that runs a solver.

    Parameters
    ----------
    solver : a name of `skfm.names.SOLVERS`, an optax transformation, or a method
    linear_solver : the solver of the linear weights, where it is another one
    """
    if is_method(solver):
        return solver
    name = SOLVERS[solver if isinstance(solver, str) else MINIBATCH_SOLVER].method
    return resolve_name(name)(solver, linear_solver)


def check_demands(solver, demands: Demands) -> None:
    """Raise ValueError, with the cause and a remedy, if a solver cannot do what a fit asks of it."""
    abilities, shown = abilities_of(solver), f"solver={solver!r}"
    refusals = (
        (
            demands.goes_on and not abilities.goes_on,
            f"partial_fit needs a solver that goes on, and {shown} does not: use {MINIBATCH_SOLVER!r}.",
        ),
        (
            demands.stochastic and not abilities.stochastic,
            f"{shown} cannot train dropout or batch normalisation, which differ from batch to batch: use "
            f"solver={MINIBATCH_SOLVER!r}, or dropout=0 and batch_norm=False (and no activation='dice').",
        ),
        (
            demands.l1 and not abilities.l1,
            f"{shown} cannot minimise an L1 penalty; use solver={SPARSE_LINEAR_SOLVER!r} or l1_linear=0.",
        ),
        (
            demands.n_streamed > 0 and abilities.needs_matrix,
            f"{shown} needs all rows in memory, and the stream has {demands.n_streamed}: use "
            f"solver={MINIBATCH_SOLVER!r}.",
        ),
        (
            demands.linear_solver is not None and (is_method(solver) or not abilities.element_wise),
            f"{shown} takes all weights at once: with wide_solver={demands.linear_solver!r} use another one, "
            f"such as {MINIBATCH_SOLVER!r}.",
        ),
    )
    for is_refused, message in refusals:
        if is_refused:
            raise ValueError(message)
