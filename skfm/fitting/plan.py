"""What "auto" means: every choice of a fit, made once, of parameters and facts, before rows are held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from skfm.names import (
    FULL_BATCH_SOLVER,
    MINIBATCH_SOLVER,
    SOLVERS,
    SPARSE_LINEAR_SOLVER,
)
from skfm.train.method import Demands, abilities_of, check_demands
from skfm.train.problem import Prior, Schedule

# L-BFGS works on the whole data set in float64: exact, deterministic, and fast while it is small
# (benchmarks/cases/small.py).
_FULL_BATCH_ROWS = 2_000
_FULL_BATCH_ENTRIES = 3_000_000
# With fewer rows none are held out, and the prior alone guards against overfitting
# (benchmarks/cases/defaults.py, as all constants below).
_EARLY_STOPPING_ROWS = 2_000
_ENOUGH_HELD_OUT = 2_000
# Classifiers of a network alone are worse than a constant at the minimum of most of their objectives, and
# under a prior that is narrow enough learn nothing: they stop on held-out rows from so many on. Shares of a
# constant's log loss on 800 rows of Adult and of Criteo, 2026-12-01: DCN .82 -> .65 and 1.29 -> .94, PNN
# 1.10 -> .66 and 1 -> .95, FinalMLP 1 -> .67 and 1 -> .95; others are in docs/guides/training.md. Beside a
# linear term, and where targets are numbers, the minimum is better.
_EARLY_STOPPING_ROWS_OF_NETWORKS = 150
# Rows of a batch at least. Fewer where an epoch would have a few steps (DCN .652 -> .644, PNN .69 -> .67).
_LEAST_BATCH, _LEAST_BATCH_OF_FEW = 256, 64
# And more rows to stop on: with a tenth of 400 rows some of Criteo's fits were worse than a constant.
_SHARE_HELD_OUT_OF_FEW = 0.2
# The penalty of factors, in units of a standard normal prior, falls from this where few rows touch a column
# to 1 where many do. A label says less than a number.
_NARROWEST_PRIOR, _NARROWEST_PRIOR_OF_LABELS = 20.0, 60.0
_ENOUGH_EVIDENCE = 1_500.0
# Without a linear term all that a model learns goes through products of penalised weights: under the
# narrowest prior none of them leaves 0, the sooner the fewer rows there are.
_NARROWEST_PRIOR_OF_PRODUCTS, _NARROWEST_PRIOR_OF_FEW_PRODUCTS = 12.0, 6.0
# Where the prior is at least twice as narrow as this one, a second attempt is made with this one, from
# larger factors.
_WIDE_PRIOR = 3.0
_WIDE_START = 0.1
# L-BFGS sets rows aside to choose, if there are so many. Of models of factors alone it tries these one after
# the other; of networks without a linear term the others before the wide one: too wide a prior makes them
# worse than a constant, and too narrow a one makes a constant of them (benchmarks/cases/priors.py).
_TRIED_PRIORS = 60.0, 20.0, 7.0, 2.5, 1.0
_TRIED_PRIORS_OF_NETWORKS = 40.0, 20.0, 10.0, 6.0
_ENOUGH_TO_CHOOSE = 100.0
# Of embeddings under normalised layers only directions count, and a penalty is a rate at which they forget:
# it does not depend on the number of rows. On few rows nothing gained from it: Criteo, Avazu and SMS Spam
# with 5,500 to 9,000. MovieLens with 80,000 and Frappe with 200,000 did, Adult with 32,000 is
# level (2026-12-01).
_L2_OF_DIRECTIONS = 0.03
_ENOUGH_TO_NORMALIZE = 10_000

AUTO = "auto"
# Which rows tell one prior from another.
NOBODY, HELD_OUT, SET_ASIDE = "nobody", "held out", "set aside"
# What a plan tells that is no parameter: how many rows were held out, and which attempt was kept, from 1.
CHOSEN_BY_FIT = ("n_held_out", "attempt")


class Settings(NamedTuple):
    """What an estimator asks of training: its parameters, and what its kind implies.

    Attributes
    ----------
    kind : "convex", "factors" or "deep"
    is_classifier : whether targets are labels
    has_linear_term : whether the raw prediction has one
    embeds_linear : whether linear weights are embeddings, which go through the network
    is_stochastic : whether the model's loss differs from batch to batch (dropout, batch normalisation)
    n_components : pieces of a mixture, 0 for other models
    linear_solver, linear_learning_rate : of the linear weights alone; None where they cannot have their own

    The others are parameters of the estimators with the same names; those that a model lacks are 0.
    """

    kind: str
    is_classifier: bool
    has_linear_term: bool
    is_stochastic: bool
    n_components: int
    solver: Any
    learning_rate: Any
    schedule: str | Callable
    max_iter: int
    batch_size: Any
    l1_linear: float
    l2_linear: Any
    l2_factors: Any
    l2_dense: Any
    l2_frequency_power: float
    init_scale: float
    dropout: float
    early_stopping: Any
    validation_fraction: Any
    n_iter_no_change: int
    tol: float
    dtype: Any
    batch_norm: Any = False
    embeds_linear: bool = False
    linear_solver: Any = None
    linear_learning_rate: Any = None

    @property
    def chooses_precision(self) -> bool:
        """Whether the prior of linear weights follows from what columns tell."""
        return self.has_linear_term and isinstance(self.l2_linear, str)

    @property
    def stops_with_few_rows(self) -> bool:
        """Whether a minimum of the objective overfits few rows whatever the prior."""
        is_network = self.kind == "deep" and (self.embeds_linear or not self.has_linear_term)
        return is_network and self.is_classifier

    @property
    def early_stopping_rows(self) -> int:
        """Rows up to which none are held out, but where they are asked for."""
        return _EARLY_STOPPING_ROWS_OF_NETWORKS if self.stops_with_few_rows else _EARLY_STOPPING_ROWS

    @property
    def tries_priors(self) -> bool:
        """Whether factors may be learned under another prior than the first."""
        return isinstance(self.l2_factors, str) and self.init_scale > 0


class Facts(NamedTuple):
    """What is known of the rows before any are held out.

    Attributes
    ----------
    n_rows, n_entries : rows and nonzeros, of all chunks of a stream
    weight : sum of the sample weights, of earlier calls too
    evidence : mean sample weight of the rows that touch a column, of earlier calls too
    in_memory : whether X is a matrix rather than rows on disk
    n_held_out : rows of a stream that were held out while it was read; None where that is still to be chosen
    has_given : whether rows to stop on were given
    incremental : whether this is a call of partial_fit
    prior_precision : see `skfm.fitting.prior`
    """

    n_rows: int
    n_entries: int
    weight: float
    evidence: float
    in_memory: bool = True
    n_held_out: int | None = None
    has_given: bool = False
    incremental: bool = False
    prior_precision: float = 1.0


class Plan(NamedTuple):
    """Every choice of a fit; nothing is "auto".

    Attributes
    ----------
    solver : name, optax transformation or method
    linear_solver : that of the linear weights, where they have a solver or a rate of their own; else None
    schedule : how fast and how long
    priors : the prior, and those of further attempts if there are any
    normalizes : whether hidden layers are normalised over the batch under all of them
    dropout : share of units that a step leaves out
    n_held_out : rows to hold out, or held out already
    dtype : precision of the weights
    merges_duplicates : whether all rows make one batch, so that equal rows may be one
    prior_precision : see `skfm.fitting.prior`
    judges : which rows tell one prior from another, or did in the fit that this goes on from
    """

    solver: Any
    linear_solver: Any
    schedule: Schedule
    priors: tuple[Prior, ...]
    normalizes: bool
    dropout: float
    n_held_out: int
    dtype: np.dtype
    merges_duplicates: bool
    prior_precision: float = 1.0
    judges: str = NOBODY

    def chosen(self, prior: int) -> dict[str, Any]:
        """What stands for each parameter that can be "auto", by its name, and `CHOSEN_BY_FIT`.

        Parameters
        ----------
        prior : number of the prior that the weights were learned under
        """
        schedule = self.schedule
        found = {"solver": self.solver, "dtype": self.dtype.name}
        found |= {"n_held_out": self.n_held_out, "attempt": prior + 1}
        if not abilities_of(self.solver).full_batch:
            found |= {
                "learning_rate": schedule.learning_rate,
                "batch_size": schedule.batch_size,
                "wide_solver": self.linear_solver or self.solver,
                "wide_learning_rate": schedule.linear_learning_rate or schedule.learning_rate,
            }
        one = self.prior_of(prior)
        penalties = {"l2_linear": one.l2_linear, "l2_factors": one.l2_factors, "l2_dense": one.l2_dense}
        normalizes = self.normalizes or one.normalizes
        return found | penalties | {"init_scale": one.init_scale, "batch_norm": normalizes}

    def prior_of(self, number: int) -> Prior:
        """The prior of an attempt; calls that go on have that of the attempt that was kept alone."""
        return self.priors[min(number, len(self.priors) - 1)]


class Continued(NamedTuple):
    """A fit that a call of partial_fit goes on from.

    Attributes
    ----------
    plan : its plan
    has_session : whether the state of the optimizer goes on too, and with it solver and precision
    prior : number of the prior that its weights were learned under
    """

    plan: Plan
    has_session: bool
    prior: int


def make_plan(settings: Settings, facts: Facts, continued: Continued | None = None) -> Plan:
    """Resolve every "auto".

    Raises
    ------
    ValueError
        If the solver cannot do what is asked for.
    """
    session = continued.plan if continued is not None and continued.has_session else None
    solver = choose_solver(settings, facts)
    linear_solver = _linear_solver(settings, solver)
    if session is not None:
        _check_session(session, settings)
        solver, linear_solver = session.solver, session.linear_solver
    abilities = abilities_of(solver)
    check_demands(
        solver,
        Demands(
            n_streamed=0 if facts.in_memory else facts.n_rows,
            goes_on=facts.incremental,
            l1=settings.l1_linear > 0,
            stochastic=settings.is_stochastic,
            linear_solver=linear_solver if settings.linear_solver != AUTO else None,
        ),
    )
    n_held_out = facts.n_held_out
    if n_held_out is None:
        n_held_out = _n_to_hold_out(settings, facts, full_batch=abilities.full_batch)
    n_train = facts.n_rows - n_held_out
    has_held_out = n_held_out > 0 or facts.has_given
    size = batch_size(settings, n_train)
    one_batch = abilities.full_batch or n_train <= size
    linear_rate = None
    if linear_solver is not None:
        linear_rate = learning_rate(settings.linear_learning_rate, linear_solver, settings.kind)
    schedule = Schedule(
        learning_rate=learning_rate(settings.learning_rate, solver, settings.kind),
        shape=settings.schedule,
        max_iter=1 if facts.incremental else settings.max_iter,
        horizon=settings.max_iter,
        batch_size=size,
        tol=settings.tol,
        n_iter_no_change=settings.n_iter_no_change,
        stops_early=has_held_out or settings.early_stopping == AUTO,
        linear_learning_rate=linear_rate,
    )
    dtype: Any = settings.dtype
    if session is not None:
        dtype = session.dtype
    elif isinstance(dtype, str) and dtype == AUTO:
        dtype = np.float64 if one_batch else np.float32
    judges = NOBODY
    if isinstance(solver, str) and solver == FULL_BATCH_SOLVER:
        judges = SET_ASIDE if facts.weight >= _ENOUGH_TO_CHOOSE else NOBODY
    elif has_held_out and not abilities.full_batch:
        judges = HELD_OUT
    if continued is not None:
        # The prior of the fit goes on.
        facts = facts._replace(prior_precision=continued.plan.prior_precision)
        judges = continued.plan.judges
    priors = _choose_priors(settings, facts, n_train, judges)
    if continued is not None:
        normalizes = continued.plan.prior_of(continued.prior).normalizes
        alike = [prior for prior in priors if prior.normalizes == normalizes] or priors
        priors = (alike[min(continued.prior, len(alike) - 1)],)
    return Plan(
        solver,
        linear_solver,
        schedule,
        priors,
        settings.batch_norm is True,
        settings.dropout,
        n_held_out,
        np.dtype(dtype),
        one_batch and facts.in_memory,
        facts.prior_precision,
        judges,
    )


def _linear_solver(settings: Settings, solver):
    """The solver of the linear weights alone, or None where they have none of their own."""
    given, rate = settings.linear_solver, settings.linear_learning_rate
    if given is None or not settings.has_linear_term:
        return None
    if given != AUTO:
        return given
    return solver if rate != AUTO and abilities_of(solver).element_wise else None


def _check_session(session: Plan, settings: Settings) -> None:
    """Raise ValueError where parameters name another solver or precision than that which goes on."""
    asked = {"solver": settings.solver, "dtype": settings.dtype}
    found = {"solver": session.solver, "dtype": session.dtype}
    for name, value in asked.items():
        is_auto = isinstance(value, str) and value == AUTO
        same = np.dtype(value) == session.dtype if name == "dtype" and not is_auto else value == found[name]
        if not (is_auto or same):
            raise ValueError(
                f"partial_fit goes on with {name}={str(found[name])!r} of earlier calls, and {name}="
                f"{value!r} now. Set it back, or call fit."
            )
    given, rate = settings.linear_solver, settings.linear_learning_rate
    of_linear = session.solver if session.linear_solver is None else session.linear_solver
    if given not in (None, AUTO) and given != of_linear:
        raise ValueError(
            f"partial_fit goes on with {of_linear!r} as the linear weights' solver of earlier calls, and "
            f"wide_solver={given!r} now. Set it back, or call fit."
        )
    if rate not in (None, AUTO) and settings.has_linear_term and session.linear_solver is None:
        raise ValueError(
            f"partial_fit goes on with one solver and one rate for all weights, as earlier calls had it, and "
            f"wide_learning_rate={rate!r} now. Set it back, or call fit."
        )


def choose_solver(settings: Settings, facts: Facts):
    """The solver that "auto" stands for."""
    if not (isinstance(settings.solver, str) and settings.solver == AUTO):
        return settings.solver
    is_convex = settings.kind == "convex"
    if settings.l1_linear > 0:
        return SPARSE_LINEAR_SOLVER if is_convex else MINIBATCH_SOLVER
    is_small = facts.n_rows <= _FULL_BATCH_ROWS or (is_convex and facts.n_entries <= _FULL_BATCH_ENTRIES)
    needs_steps = facts.incremental or settings.is_stochastic or not facts.in_memory
    needs_steps = needs_steps or settings.linear_solver not in (None, AUTO)
    may_stop = settings.early_stopping == AUTO or bool(settings.early_stopping)
    if settings.stops_with_few_rows and may_stop:
        needs_steps = needs_steps or facts.has_given or facts.n_rows > settings.early_stopping_rows
    return FULL_BATCH_SOLVER if is_small and not needs_steps else MINIBATCH_SOLVER


def batch_size(settings: Settings, n_rows: int) -> int:
    """Rows of a batch: about 100 steps an epoch, between 256 and 4096 rows; of few rows to stop on, 64."""
    if settings.batch_size != AUTO:
        return int(settings.batch_size)
    if settings.stops_with_few_rows and n_rows <= _EARLY_STOPPING_ROWS:
        return _LEAST_BATCH_OF_FEW
    size = _LEAST_BATCH
    while size < 4096 and size * 100 < n_rows:
        size *= 2
    return size


def learning_rate(value, solver, kind: str) -> float:
    """The rate that "auto" stands for; an optax transformation has its own, which this scales."""
    if value != AUTO:
        return float(value)
    if not isinstance(solver, str):
        return 1.0
    facts = SOLVERS[solver]
    return facts.network_learning_rate if kind == "deep" else facts.learning_rate


def early_stopping(settings: Settings, n_rows: int, *, full_batch: bool) -> bool:
    """Whether to hold rows out: of so many, and not where all rows make one batch anyway."""
    if settings.early_stopping != AUTO:
        return bool(settings.early_stopping)
    return not full_batch and n_rows > settings.early_stopping_rows


def validation_fraction(settings: Settings, n_rows: int | None = None) -> float:
    """Share of the rows to hold out.

    What is held out is lost to training, and some thousand rows tell one epoch from another. Of many rows
    more are held out, as their error falls.

    Parameters
    ----------
    n_rows : None while their number is not known
    """
    if settings.validation_fraction != AUTO:
        return float(settings.validation_fraction)
    if n_rows is None:
        return 0.1
    if settings.stops_with_few_rows and n_rows <= _EARLY_STOPPING_ROWS:
        return _SHARE_HELD_OUT_OF_FEW
    return min(0.1, max(_ENOUGH_HELD_OUT, 5 * n_rows**0.5) / n_rows)


def _n_to_hold_out(settings: Settings, facts: Facts, *, full_batch: bool) -> int:
    """Rows to hold out of a matrix."""
    if facts.has_given or facts.incremental:
        return 0
    if not early_stopping(settings, facts.n_rows, full_batch=full_batch):
        return 0
    n_rows = facts.n_rows
    n_held_out = math.ceil(validation_fraction(settings, n_rows) * n_rows)
    if n_held_out >= n_rows:
        smaller = "a smaller fraction, " if n_rows > 1 else ""
        raise ValueError(
            f"validation_fraction={settings.validation_fraction!r} holds out {n_held_out} of {n_rows} rows, "
            f"which leaves none to train on. Give early_stopping=False, {smaller}or more rows."
        )
    return n_held_out


def _choose_priors(settings: Settings, facts: Facts, n_train: int, judges: str) -> tuple[Prior, ...]:
    """The prior and, where others may be better, those of further attempts, from narrow to wide.

    The narrow prior is right where interactions are few or small. Where they are all there is, factors under
    it never leave 0, while the linear weights overfit; which of the two it is, held-out rows tell.
    """
    precision = facts.prior_precision
    # Rows are held out at random, so the others have their share of everything.
    weight = n_train * (facts.weight / facts.n_rows) if n_train < facts.n_rows else facts.weight
    evidence = facts.evidence * (n_train / facts.n_rows)
    first = penalty_strengths(settings, facts.weight, evidence)
    # The pieces of a mixture share rows.
    of_pieces = first["l2_linear"] if settings.n_components else 0.0
    first["l2_linear"] = max(of_pieces, precision)
    attempts = [first]
    if judges != NOBODY and settings.tries_priors:
        if settings.has_linear_term:
            # Factors are no larger than linear weights, unless a wider prior tells otherwise.
            first |= {name: max(precision, 1.0) * first[name] for name in ("l2_factors", "l2_dense")}
        if judges == SET_ASIDE and settings.kind == "factors":
            narrowest, *wider = _TRIED_PRIORS
            attempts = [
                {
                    "l2_linear": max(min(precision, strength), min(of_pieces, max(strength / 2, 1.0))),
                    "l2_factors": strength,
                    "l2_dense": strength,
                }
                for strength in (max(precision, 1.0) * narrowest, *wider)
            ]
        elif first["l2_factors"] >= 2 * _WIDE_PRIOR:
            if judges == SET_ASIDE and not settings.has_linear_term:
                strengths = _TRIED_PRIORS_OF_NETWORKS
                attempts = [first | dict.fromkeys(("l2_factors", "l2_dense"), one) for one in strengths]
            init_scale = max(settings.init_scale, _WIDE_START)
            wide = {"l2_factors": _WIDE_PRIOR, "l2_dense": _WIDE_PRIOR, "init_scale": init_scale}
            attempts.append(first | wide)
        is_worth_it = settings.batch_norm == AUTO and facts.n_rows >= _ENOUGH_TO_NORMALIZE
        if judges == HELD_OUT and (settings.batch_norm is True or is_worth_it):
            strength = _L2_OF_DIRECTIONS * weight
            directions = {"l2_factors": strength, "l2_dense": 0.0, "normalizes": True}
            if settings.embeds_linear:
                directions["l2_linear"] = strength
            attempts.append(first | directions)
    return tuple(_prior(settings, strengths, weight) for strengths in attempts)


def _prior(settings: Settings, strengths: dict[str, float], weight: float) -> Prior:
    """The prior of these strengths, in units of a standard normal one, where they are not given."""
    given = {name: getattr(settings, name) for name in ("l2_linear", "l2_factors", "l2_dense")}
    penalties = {
        name: strengths[name] / weight if isinstance(value, str) else float(value)
        for name, value in given.items()
    }
    return Prior(
        l1_linear=settings.l1_linear,
        l2_frequency_power=float(settings.l2_frequency_power),
        init_scale=strengths.get("init_scale", settings.init_scale),
        normalizes=bool(strengths.get("normalizes", False)),
        **penalties,
    )


def penalty_strengths(settings: Settings, weight: float, evidence: float) -> dict[str, float]:
    """The penalties that "auto" stands for, in units of a standard normal prior.

    Linear weights have that prior, 1 / (sum of the sample weights), which is LogisticRegression's C=1.
    Factors and dense weights, many more, have a narrower one where few rows touch a column; the pieces of a
    mixture share these rows. With so few rows that none are held out, the prior alone guards against
    overfitting: it is as narrow as it gets, and narrow for a mixture's linear weights too. A model without a
    linear term never has the narrowest.

    Parameters
    ----------
    weight : sum of the sample weights, of rows held out too
    evidence : mean sample weight of the rows that touch a column
    """
    few = weight <= _EARLY_STOPPING_ROWS
    enough = _ENOUGH_EVIDENCE * max(settings.n_components, 1)
    if settings.has_linear_term:
        is_labels = settings.is_classifier and not few
        strongest = _NARROWEST_PRIOR_OF_LABELS if is_labels else _NARROWEST_PRIOR
    else:
        strongest = _NARROWEST_PRIOR_OF_FEW_PRODUCTS if few else _NARROWEST_PRIOR_OF_PRODUCTS
    narrowest = few or evidence * strongest <= enough
    strength = strongest if narrowest else max(enough / evidence, 1.0)
    linear = strength / 2 if few and settings.n_components else 1.0
    return {"l2_linear": linear, "l2_factors": strength, "l2_dense": strength}
