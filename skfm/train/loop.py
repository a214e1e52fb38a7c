"""The training loop: stopping, plateau, backing off, best weights, interruption. It knows no JAX.

What runs an epoch is behind the protocol `Epochs`: a compiled program, a native kernel, several candidates at
once or several processes share this loop.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from skfm.train.problem import Progress, Schedule, silent

_MAX_BACKOFFS = 10
# A mean loss this far above that without any feature is divergence, finite or not.
_EXPLODED = 1e3
# Cut tenfold where validation stalls, Frappe gained most (benchmarks/cases/frappe.py).
_PLATEAU_FACTOR = 0.1
_MAX_CUTS = 2
# What is no end, however small, as long as less than the first was gained: the next share of what an epoch
# has gained on average, above the last share of `tol`.
_LITTLE, _OF_AVERAGE, _OF_TOL = 0.1, 0.25, 1e-3


def largest_loss(base_loss: float) -> float:
    """The mean loss from which on training has diverged."""
    return _EXPLODED * (1 + abs(base_loss))


class DivergenceError(ValueError):
    """Training diverged at every rate tried."""


class Epochs(Protocol):
    """Training that goes epoch by epoch, and its present weights."""

    def start(self) -> None:
        """Make the weights before the first epoch, with a fresh state of the optimizer."""

    def run(self, epoch: int, factor: float, interrupted: list) -> tuple[float, float] | None:
        """Go through the rows once.

        Parameters
        ----------
        epoch : number of the epoch, from 0, earlier calls included
        factor : what the scheduled rates are multiplied by
        interrupted : filled from outside when training is to end within a fraction of a second

        Returns
        -------
        (mean loss before each step, first rate), or None where the epoch was cut short
        """

    def weights(self) -> Any:
        """The present weights; the next epoch may change or free them."""

    def copy(self, weights: Any) -> Any:
        """Weights that the next epochs leave alone."""

    def restore(self, weights: Any) -> None:
        """Go on from weights that `copy` made; they stay as they are."""

    def loss(self) -> float:
        """Mean loss of rows under the present weights."""


class Still(Protocol):
    """What tells that training has not begun in earnest: nothing gets better yet, and this is no end."""

    def start(self, weights: Any) -> None:
        """Take note of the first weights."""

    def holds(self, weights: Any, loss: float) -> bool:
        """Whether it is so after an epoch of this mean loss; called after each, until the rate is cut."""


class Watch(NamedTuple):
    """Who looks on.

    Attributes
    ----------
    validate : scores of weights to record; the one under "score" is monitored, higher is better. None: the
        training loss is monitored
    report : called with the progress and `max_iter` before the first epoch and after each
    base_loss : mean loss without any feature; a loss a thousand times larger is divergence
    counts_from_start : whether the monitored value is a loss of which small steps count if they lead on; see
        `Stopping`
    label : what tells this training from others of the same fit; "" where there are none
    still : tells which epochs without an improvement are not waited for; None: all are
    """

    validate: Callable[[Any], dict[str, float]] | None = None
    report: Callable[[Progress, int], None] = silent
    base_loss: float = np.inf
    counts_from_start: bool = False
    label: str = ""
    still: Still | None = None


class Stopping:
    """The highest score, its weights, and for how many epochs it has stood.

    Parameters
    ----------
    tol : least improvement that counts, but with steps that are small all along
    patience : epochs without one before it is time to stop
    first_score : that of the first weights, from which gains are counted; not finite where they are not
    """

    def __init__(self, tol: float, patience: int, first_score: float = np.nan):
        self.tol, self.patience, self.first_score, self.n_scores = tol, patience, first_score, 0
        self.best: Any = None
        self.best_score, self.waited = -np.inf, 0

    def record(self, score: float, weights: Callable[[], Any] | None, *, waits: bool = True) -> None:
        """Take note of a score; `weights` copies the weights that have it, None keeps none.

        Parameters
        ----------
        waits : whether the epoch counts where the score is no better
        """
        self.waited = 0 if score > self.best_score + self._least() else self.waited + waits
        self.n_scores += 1
        if score > self.best_score:
            self.best_score = score
            if weights is not None:
                self.best = weights()

    def _least(self) -> float:
        """The least improvement that counts: of small steps, that lead on as they have led so far, less."""
        gained = self.best_score - self.first_score
        if not (self.n_scores and gained < _LITTLE):
            return self.tol
        return min(max(_OF_AVERAGE * gained / self.n_scores, _OF_TOL * self.tol), self.tol)

    @property
    def is_due(self) -> bool:
        """Whether it is time to stop."""
        return self.waited >= self.patience


@contextmanager
def interrupt_later():
    """Turn the first Ctrl-C into a flag, so that no step is cut in half; a second one raises.

    Yields a list that is filled when the signal came.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.getsignal(signal.SIGINT)

    def remember(signum, frame):
        if came:
            raise KeyboardInterrupt
        came.append(signum)

    if before is not signal.default_int_handler:
        yield came
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


def validation_scores(validate, weights, interrupted: list) -> dict[str, float]:
    """Scores of the weights, {} without validation; an interruption makes these weights the worst."""
    try:
        return {} if validate is None else validate(weights)
    except KeyboardInterrupt:
        interrupted.append(signal.SIGINT)
        return {"score": -np.inf}


class _Diverged(Exception):
    """The loss of an epoch, or of the last weights, is not finite or has exploded."""


def descend(epochs: Epochs, schedule: Schedule, watch: Watch, first_epoch: int = 0) -> Progress:
    """Train until `max_iter` epochs are done or the monitored value stops improving.

    The weights are then those that were best on the held-out rows, else the last ones.

    Parameters
    ----------
    first_epoch : epochs done by earlier calls

    Raises
    ------
    DivergenceError
        When the loss is not finite, or has exploded, at every one of ten ever smaller rates.
    """
    descent = _Descent(epochs, schedule, watch, first_epoch)
    descent.start()
    with interrupt_later() as interrupted:
        for backoffs in range(_MAX_BACKOFFS + 1):
            try:
                descent.run(interrupted)
                break
            except _Diverged as cause:
                if backoffs == _MAX_BACKOFFS:
                    raise DivergenceError(
                        f"Training diverged: {cause}, even at {descent.factor:.1g} times the learning rate, "
                        f"which was halved {_MAX_BACKOFFS} times. Scale the columns of X, check y for "
                        f"outliers, or give a smaller {schedule.rate_name}, or a smaller init_scale."
                    ) from None
            descent.back_off()
    progress = descent.progress
    progress.best_score, progress.interrupted = descent.stopping.best_score, bool(interrupted)
    return progress


class _Descent:
    """One training, which may back off to smaller rates several times."""

    def __init__(self, epochs: Epochs, schedule: Schedule, watch: Watch, first_epoch: int):
        self.epochs, self.schedule, self.watch, self.first_epoch = epochs, schedule, watch, first_epoch
        self.largest_loss = largest_loss(watch.base_loss)
        self.factor = 1.0

    def start(self) -> None:
        """Make the first weights, of which nothing is known yet."""
        rate = "" if self.factor == 1 else f"learning rate x {self.factor:.3g}"
        label = ", ".join(filter(None, [self.watch.label, rate]))
        self.progress, self.cuts = Progress(label=label), 0
        self.watch.report(self.progress, self.schedule.max_iter)
        self._make_weights()
        self.stopping = Stopping(self.schedule.tol, self.schedule.n_iter_no_change, self._first_score())

    def _make_weights(self) -> None:
        self.epochs.start()
        if self.watch.still is not None:
            self.watch.still.start(self.epochs.weights())

    def back_off(self) -> None:
        """Halve the rate and go on from the best weights; without any, everything starts anew."""
        self.factor *= 0.5
        best = self.stopping.best
        if best is None:
            self.start()
        else:
            self._make_weights()
            self.epochs.restore(best)

    def _first_score(self) -> float:
        if not (self.watch.counts_from_start and self.schedule.stops_early):
            return np.nan
        validate = self.watch.validate
        return -self.epochs.loss() if validate is None else validate(self.epochs.weights())["score"]

    def run(self, interrupted: list) -> None:
        """Run epochs to the end."""
        stopping, schedule = self.stopping, self.schedule
        while self.progress.n_iter < schedule.max_iter and self._epoch(interrupted):
            if schedule.stops_early and stopping.is_due:
                if schedule.shape != "plateau" or self.cuts >= _MAX_CUTS:
                    break
                self.cuts, stopping.waited = self.cuts + 1, 0
                self.factor *= _PLATEAU_FACTOR
                self._restore_best()
        if stopping.best is None and not interrupted:
            # The loss of an epoch is that before each of its steps: nobody has looked at the last ones.
            self._check(self.epochs.loss(), "the loss of the last weights")
        self._restore_best()

    def _restore_best(self) -> None:
        if self.stopping.best is not None:
            self.epochs.restore(self.stopping.best)

    def _epoch(self, interrupted: list) -> bool:
        """One epoch, recorded; whether to go on."""
        began = time.perf_counter()
        epoch = self.first_epoch + self.progress.n_iter
        done = self.epochs.run(epoch, self.factor, interrupted)
        if done is None:
            return False
        loss, rate = done
        self._check(loss, f"the loss of epoch {epoch + 1}")
        validate, still = self.watch.validate, self.watch.still
        # A cut goes back to earlier weights, whose losses are no more to be compared: the start is over.
        is_still = still is not None and not self.cuts and still.holds(self.epochs.weights(), loss)
        scores = validation_scores(validate, self.epochs.weights(), interrupted)
        score = scores.pop("score", -loss)
        if not (np.isfinite(score) or interrupted):
            raise _Diverged(f"the validation score of epoch {epoch + 1} is {score}")
        self.progress.n_iter += 1
        self.progress.add(loss=loss, learning_rate=rate, **scores, time=time.perf_counter() - began)
        self.watch.report(self.progress, self.schedule.max_iter)
        self.stopping.record(score, None if validate is None else self._copy, waits=not is_still)
        return not interrupted

    def _copy(self) -> Any:
        return self.epochs.copy(self.epochs.weights())

    def _check(self, loss: float, what: str) -> None:
        if not (np.isfinite(loss) and loss <= self.largest_loss):
            raise _Diverged(f"{what} is {loss:.3g}")
