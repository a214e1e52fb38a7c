"""Epochs of mini-batch training: order, rates, stopping, best weights, divergence, interruption."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from skfm.data.batches import Batches, n_batches
from skfm.train.predict import loss_of_batches
from skfm.train.state import Hyper, TrainState
from skfm.train.step import Program, run_batches

_MAX_BACKOFFS = 10
# A mean loss this far above that without any feature is divergence, finite or not.
_EXPLODED = 1e3
_PLATEAU_FACTOR = 0.1
_MAX_CUTS = 2


class DivergenceError(ValueError):
    """Training diverged at every rate tried."""


@dataclass(frozen=True)
class LoopSettings:
    """How long and how fast to train; see the estimators' parameters of the same names.

    Attributes
    ----------
    horizon : epochs that the cosine schedule is spread over
    monitor : whether to stop when the monitored value stops improving
    """

    learning_rate: float
    schedule: str | Callable
    max_iter: int
    horizon: int
    batch_size: int
    tol: float
    n_iter_no_change: int
    monitor: bool
    seed: int


@dataclass
class Progress:
    """What happened, epoch by epoch.

    Attributes
    ----------
    history : dict of lists
    n_iter : epochs run
    best_score : highest monitored score of held-out rows
    interrupted : whether it was ended from outside
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    n_iter: int = 0
    best_score: float = -np.inf
    interrupted: bool = False

    def add(self, **values) -> None:
        """Append one value to each list."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(float(value))


def _runs(counts: list[int], rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """(block, first, stop) runs of batches; blocks are interleaved at random."""
    if len(counts) == 1:
        yield 0, 0, counts[0]
        return
    blocks = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    borders = np.flatnonzero(np.diff(blocks)) + 1
    done = [0] * len(counts)
    for run in np.split(blocks, borders):
        block = int(run[0])
        yield block, done[block], done[block] + run.size
        done[block] += run.size


def _epoch_rates(settings: LoopSettings, factor: float, first_step: int, n_batches: int) -> np.ndarray:
    """Learning rate of each step of an epoch."""
    steps = first_step + np.arange(n_batches)
    if callable(settings.schedule):
        return factor * np.asarray(jax.vmap(settings.schedule)(jnp.asarray(steps)), dtype=np.float64)
    rates = np.full(n_batches, settings.learning_rate * factor)
    if settings.schedule == "cosine":
        rates *= 0.5 * (1 + np.cos(np.pi * np.minimum(steps / (settings.horizon * n_batches), 1)))
    return rates


class Source(Protocol):
    """Where batches come from.

    Attributes
    ----------
    n_rows, n_batches : of an epoch
    """

    n_rows: int
    n_batches: int

    def parts(self, rng: np.random.Generator) -> Generator[tuple[list[Batches], list[int]], None, None]:
        """Parts of an epoch: batches of rows of each width on the device, and how many rows are real."""


class InMemory:
    """Batches that are all on the device: one part."""

    def __init__(self, blocks: list[Batches], sizes: list[int], batch_size: int):
        self.blocks, self.sizes = blocks, sizes
        self.n_rows = sum(sizes)
        self.n_batches = sum(n_batches(size, batch_size) for size in sizes)

    def parts(self, rng):
        yield self.blocks, self.sizes


def rows_of_batch(source: Source, dtype) -> np.ndarray:
    """Mean number of rows of a batch over an epoch."""
    return np.asarray(source.n_rows / source.n_batches, dtype=dtype)


def run_epoch(
    program: Program,
    state: TrainState,
    source: Source,
    hyper: Hyper,
    settings: LoopSettings,
    factor: float,
    epoch: int,
) -> tuple[TrainState, float]:
    """One pass over the batches in the order of `epoch`; the state and the first rate used."""
    rng = np.random.default_rng([settings.seed, 3, epoch])
    rates = _epoch_rates(settings, factor, epoch * source.n_batches, source.n_batches)
    dtype = state.table.dtype
    batch_rows = rows_of_batch(source, dtype)
    state = state._replace(loss_sum=np.zeros((), dtype))
    done = 0
    with contextlib.closing(source.parts(rng)) as parts:
        for blocks, sizes in parts:
            counts = [n_batches(size, settings.batch_size) for size in sizes]
            orders = []
            for batches, count in zip(blocks, counts, strict=True):
                orders.append(np.zeros(batches.weight.shape[0], dtype=np.int32))
                orders[-1][:count] = rng.permutation(count)
            for block, first, stop in _runs(counts, rng):
                padded = np.zeros(orders[block].size, dtype=dtype)
                padded[first:stop] = rates[done : done + stop - first]
                done += stop - first
                order, span = orders[block], (np.int32(first), np.int32(stop))
                state = run_batches(program, state, blocks[block], order, padded, *span, batch_rows, hyper)
            # Else all parts would wait in memory for their turn.
            state.loss_sum.block_until_ready()
    return state, float(rates[0])


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


def validation_scores(validate, weights, interrupted: list[int]) -> dict[str, float]:
    """Scores of the weights, {} without validation; an interruption makes these weights the worst."""
    try:
        return {} if validate is None else validate(weights)
    except KeyboardInterrupt:
        interrupted.append(signal.SIGINT)
        return {"score": -np.inf}


def warn_interrupted(n_iter: int) -> None:
    """Say that training ended early, on the user's word."""
    warnings.warn(
        f"Interrupted after epoch {n_iter}: keeping the best weights so far.", UserWarning, stacklevel=2
    )


@jax.jit
def _copy(tree):
    return jax.tree.map(jnp.copy, tree)


def _weights(state: TrainState):
    return state.table, state.dense, state.averages


class _Diverged(Exception):
    """The loss of an epoch, or of the last weights, is not finite or has exploded."""


def train(
    program: Program,
    start: Callable[[], TrainState],
    source: Source,
    hyper: Hyper,
    settings: LoopSettings,
    validate: Callable[[Any], dict[str, float]] | None,
    report: Callable[[Progress, int], None],
    first_epoch: int = 0,
    base_loss: float = np.inf,
) -> tuple[TrainState, Progress]:
    """Train until `max_iter` epochs are done or the monitored value stops improving.

    Parameters
    ----------
    start : makes the state before the first step; called again when training diverged before any weights
        were worth keeping
    validate : scores of (table, dense, averages) to record; the value under "score" is monitored, higher is
        better. None: the training loss is monitored.
    report : called after each epoch
    first_epoch : epochs done by earlier calls
    base_loss : mean loss without any feature; a loss a thousand times larger is divergence

    Raises
    ------
    DivergenceError
        When the loss is not finite, or has exploded, at every one of ten ever smaller rates.
    """
    run = _Run(program, source, hyper, settings, validate, report, first_epoch, base_loss)
    state = start()
    with interrupt_later() as interrupted:
        for backoff in range(_MAX_BACKOFFS + 1):
            try:
                state = run.descend(state, interrupted)
                break
            except _Diverged as cause:
                if backoff == _MAX_BACKOFFS:
                    raise DivergenceError(
                        f"Training diverged: {cause}, even at {run.factor:.1g} times the learning rate, "
                        f"which was halved {_MAX_BACKOFFS} times. Scale the columns of X, check y "
                        "for outliers, or give a smaller learning_rate."
                    ) from None
            run.slow_down()
            state = _restored(start(), run.best)
    run.progress.best_score, run.progress.interrupted = run.best_score, bool(interrupted)
    if interrupted:
        warn_interrupted(run.progress.n_iter)
    return state, run.progress


class _Run:
    """One training, which may back off to smaller rates several times."""

    def __init__(self, program, source, hyper, settings, validate, report, first_epoch, base_loss):
        self.inputs = program, source, hyper
        self.settings, self.validate, self.report = settings, validate, report
        self.first_epoch = first_epoch
        self.progress, self.factor = Progress(), 1.0
        self.largest_loss = _EXPLODED * (1 + abs(base_loss))
        self.best, self.best_score = None, -np.inf
        self.waited, self.cuts = 0, 0

    def slow_down(self) -> None:
        """Halve the rate; without weights worth keeping, everything starts anew."""
        self.factor *= 0.5
        if self.best is None:
            self.progress, self.best_score, self.waited, self.cuts = Progress(), -np.inf, 0, 0

    def descend(self, state: TrainState, interrupted: list[int]) -> TrainState:
        """Run epochs to the end; the best weights where validation tells which these are."""
        while self.progress.n_iter < self.settings.max_iter:
            state, score = self._epoch(state, interrupted)
            if self._improved(state, score):
                self.waited = 0
            else:
                self.waited += 1
            if interrupted:
                break
            if self.settings.monitor and self.waited >= self.settings.n_iter_no_change:
                if self.settings.schedule != "plateau" or self.cuts >= _MAX_CUTS:
                    break
                self.cuts, self.waited = self.cuts + 1, 0
                self.factor *= _PLATEAU_FACTOR
                state = _restored(state, self.best)
        if self.best is None:
            # The loss of an epoch is that before each of its steps: nobody has looked at the last ones.
            program, source, _ = self.inputs
            with contextlib.closing(source.parts(np.random.default_rng(0))) as parts:
                blocks, sizes = next(parts)
            total = loss_of_batches(program.loss, program.model, _weights(state), blocks)
            self._check(total / sum(sizes), "the loss of the last weights")
        return _restored(state, self.best)

    def _epoch(self, state, interrupted):
        """One epoch, recorded; the state and the monitored score."""
        began = time.perf_counter()
        epoch = self.first_epoch + self.progress.n_iter
        program, source, hyper = self.inputs
        state, rate = run_epoch(program, state, source, hyper, self.settings, self.factor, epoch)
        loss = float(state.loss_sum) / source.n_rows
        self._check(loss, f"the loss of epoch {epoch + 1}")
        scores = validation_scores(self.validate, _weights(state), interrupted)
        score = scores.pop("score", -loss)
        if not (np.isfinite(score) or interrupted):
            raise _Diverged(f"the validation score of epoch {epoch + 1} is {score}")
        self.progress.n_iter += 1
        self.progress.add(loss=loss, learning_rate=rate, **scores, time=time.perf_counter() - began)
        self.report(self.progress, self.settings.max_iter)
        return state, score

    def _check(self, loss: float, what: str) -> None:
        if not (np.isfinite(loss) and loss <= self.largest_loss):
            raise _Diverged(f"{what} is {loss:.3g}")

    def _improved(self, state, score: float) -> bool:
        """Keep the best weights; whether the score is better by more than `tol`."""
        better = score > self.best_score + self.settings.tol
        if score > self.best_score:
            self.best_score = score
            if self.validate is not None:
                self.best = _copy(_weights(state))
        return better


def _restored(state: TrainState, weights) -> TrainState:
    if weights is None:
        return state
    table, dense, averages = _copy(weights)
    return state._replace(table=table, dense=dense, averages=averages)
