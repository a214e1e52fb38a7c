"""What a fit is given: samples in the loss's terms, and settings without "auto"."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from skfm.data.merge import merge_rows
from skfm.data.statistics import column_statistics


def prepare(estimator, part, held, *, incremental: bool, going_on: bool, first: bool):
    """Samples to fit and to stop on, in the loss's terms, and resolved settings.

    Parameters
    ----------
    part, held : rows in the estimator's columns, targets and weights; `held` may be None
    incremental : whether this is a call of partial_fit
    going_on : whether it goes on from a fit before
    first : whether the scale of the targets is learned
    """
    from skfm.train import defaults
    from skfm.train.fit import FitSettings, Samples
    from skfm.train.loop import LoopSettings

    X, y, weight = part
    session = estimator._session if going_on else None
    solver = estimator._resolved_solver(X, incremental) if session is None else estimator.solver_
    if solver == "lbfgs":
        _check_full_batch(estimator, X, incremental)
    batch_size = defaults.batch_size(estimator.batch_size, X.shape[0])
    if sparse.issparse(X) and (solver == "lbfgs" or X.shape[0] <= batch_size):
        X, y, weight = merge_rows(X, y, weight)
    if session is not None:
        dtype = session.state.table.dtype
    elif estimator.dtype == "auto":
        dtype = np.float64 if solver == "lbfgs" or X.shape[0] <= batch_size else np.float32
    else:
        dtype = estimator.dtype
    if not going_on:
        if first:
            # Weights that are taken over are in units of the targets that they were learned on.
            estimator._set_target_scale(y, weight)
        estimator._seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    given = {name: getattr(estimator, name, 0.0) for name in ("l2_linear", "l2_factors", "l2_dense")}
    weight_sum = float(weight.sum())
    penalties = defaults.penalties(
        given,
        weight_sum,
        column_statistics(X, weight, estimator._table_rows()).mean_evidence,
        getattr(estimator, "n_components", 0),
        has_linear_term=estimator._has_linear_term(),
        is_classifier=is_classifier(estimator),
    )
    settings = FitSettings(
        solver=solver,
        loop=LoopSettings(
            learning_rate=defaults.learning_rate(estimator.learning_rate, solver, estimator._kind),
            schedule=estimator.learning_rate_schedule,
            max_iter=1 if incremental else estimator.max_iter,
            horizon=estimator.max_iter,
            batch_size=batch_size,
            tol=estimator.tol * 1e-2 if solver == "lbfgs" else estimator.tol,
            n_iter_no_change=estimator.n_iter_no_change,
            monitor=held is not None or estimator.early_stopping == "auto",
            seed=estimator._seed,
        ),
        l1_linear=estimator._l1_linear(),
        l2_linear=penalties["l2_linear"],
        l2_factors=penalties["l2_factors"],
        l2_dense=penalties["l2_dense"],
        l2_frequency_power=float(estimator.l2_frequency_power),
        dropout=float(getattr(estimator, "dropout", 0.0)),
        init_scale=float(getattr(estimator, "init_scale", 0.0)),
        dtype=np.dtype(dtype),
        linear_solver=estimator._linear_solver(solver, session is not None),
    )
    changed = defaults.wide_start(given, penalties, weight_sum, settings.init_scale)
    if changed and going_on and estimator._took_other:
        settings = replace(settings, **changed)
    elif changed and held is not None and solver != "lbfgs":
        settings = replace(settings, other=replace(settings, **changed))
    validation = None
    if held is not None:
        validation = Samples(held[0], estimator._encode_targets(held[1]), held[2])
    return Samples(X, estimator._encode_targets(y), weight), validation, settings


def _check_full_batch(estimator, X, incremental: bool) -> None:
    """Raise ValueError if L-BFGS cannot do what is asked for."""
    if incremental:
        raise ValueError("partial_fit needs a solver that goes on: choose any but 'lbfgs'.")
    if estimator._is_noisy():
        raise ValueError(
            "solver='lbfgs' cannot train dropout or batch normalisation, which differ from batch to "
            "batch: use solver='adam', or dropout=0 and batch_norm=False (and no activation='dice')."
        )
    if estimator._l1_linear() > 0:
        raise ValueError("solver='lbfgs' cannot minimise an L1 penalty; use solver='ftrl' or l1_linear=0.")
    if not sparse.issparse(X):
        raise ValueError(
            f"solver='lbfgs' needs all rows in memory, and the stream has {X.shape[0]}. Use another one."
        )
