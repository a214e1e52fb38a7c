"""Parameters that must stay as they were where a fit goes on from an earlier one."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone

from skfm.data.parameters import changes, same, shown_parameter

# What any call may change; the page on training says what each of them does. Solver and precision, those of
# the optimizer that goes on, are checked by the plan.
_FREE = {
    "batch_size",
    "dropout",
    "dtype",
    "early_stopping",
    "init_scale",
    "l1_linear",
    "l2_dense",
    "l2_factors",
    "l2_frequency_power",
    "l2_linear",
    "learning_rate",
    "learning_rate_schedule",
    "max_iter",
    "n_iter_no_change",
    "n_jobs",
    "pretrain",
    "scoring",
    "solver",
    "tol",
    "validation_fraction",
    "verbose",
    "warm_start",
    "wide_learning_rate",
    "wide_solver",
}
# What a training that starts anew, from weights of before, takes as it is now.
_FREE_AT_START = _FREE | {"class_weight", "huber_delta", "loss", "quantile", "random_state", "task_weights"}


class _Source(NamedTuple):
    """What tells a fitted estimator from others."""

    shown: str
    seed: int
    times: list[float]

    def __repr__(self):
        return self.shown


def settled(parameters: dict[str, Any]) -> dict[str, Any]:
    """Copies of the parameters that later calls may have to keep, by name."""
    return {name: _copied(value) for name, value in parameters.items() if name not in _FREE}


def _copied(value):
    if isinstance(value, np.random.RandomState):
        # It is moved on by each fit.
        return type(value).__name__
    learned = getattr(value, "_learned", None)
    if learned is not None:
        return _Source(repr(value), learned.seed, list(learned.history.get("time", ())))
    return clone(value) if isinstance(value, BaseEstimator) else copy.deepcopy(value)


def check_unchanged(then: dict[str, Any], now: dict[str, Any], *, call: str, has_session: bool) -> None:
    """Raise ValueError if parameters are not those of the fit to go on from.

    Parameters
    ----------
    then, now : see `settled`
    call : what goes on, for the message
    has_session : whether the state of the optimizer goes on too
    """
    free = _FREE if has_session else _FREE_AT_START
    changed = changes({name: value for name, value in then.items() if name not in free}, now)
    if changed:
        raise ValueError(
            f"{call} goes on with the model of earlier calls, and parameters have changed it since "
            f"({changed}). Set them back, or fit anew: with fit and warm_start=False."
        )


def check_same_encoder(encoder: BaseEstimator | None, known: BaseEstimator | None, shown: str) -> None:
    """Raise ValueError if the encoder of an estimator to start from makes other columns.

    Parameters
    ----------
    known : that of the estimator to start from
    shown : how the message names the estimator
    """
    if encoder is None or known is None:
        return
    theirs = known.get_params(deep=False)
    for name, value in encoder.get_params(deep=False).items():
        if not same(value, theirs[name]):
            raise ValueError(
                f"The encoder has {name}={shown_parameter(value)}, and that of init_from={shown} "
                f"{name}={shown_parameter(theirs[name])}: their columns mean something else. Give both the "
                f"same."
            )
