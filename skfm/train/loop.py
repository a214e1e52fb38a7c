"""Epochs of mini-batch training: order, rates, stopping, best weights, divergence, interruption."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skfm.data.pack import bucket
from skfm.train.state import Hyper, Rows, TrainState
from skfm.train.step import Program, run_batches

_MAX_BACKOFFS = 10
# A mean loss this far above the first one is divergence, finite or not.
_EXPLODED = 1e3
_PLATEAU_FACTOR = 0.1


class DivergenceError(ValueError):
    """Training diverged at every rate tried."""


@dataclass(frozen=True)
class LoopSettings:
    """How long and how fast to train; see the estimators' parameters of the same names."""

    learning_rate: float
    schedule: str | Callable
    max_iter: int
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
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    n_iter: int = 0

    def add(self, **values) -> None:
        """Append one value to each list."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(float(value))


def epoch_batches(sizes: list[int], batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Shuffled positions for each block, shape (n_batches, B), batches of (nearly) one size.

    Unfilled places point one past the block's last row, which is a row of weight 0. The number of
    batches is bucketed, and B depends on the bucketed size, so that near sizes share a program.
    """
    orders = []
    for size in sizes:
        n_batches = -(-size // batch_size)
        width = batch_size if n_batches > 1 else min(batch_size, bucket(size, least=32))
        order = np.full((bucket(n_batches), width), size, dtype=np.int32)
        shuffled = rng.permutation(size).astype(np.int32) if size > width or n_batches > 1 else None
        if shuffled is None:
            order[0, :size] = np.arange(size, dtype=np.int32)
        else:
            even = np.linspace(0, size, n_batches + 1).astype(int)
            filled = np.arange(width) < np.diff(even)[:, None]
            order[:n_batches][filled] = shuffled
        orders.append(order)
    return orders


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
        rates *= 0.5 * (1 + np.cos(np.pi * np.minimum(steps / (settings.max_iter * n_batches), 1)))
    return rates


def run_epoch(
    program: Program,
    state: TrainState,
    blocks: list[Rows],
    sizes: list[int],
    charges,
    hyper: Hyper,
    settings: LoopSettings,
    factor: float,
    epoch: int,
) -> tuple[TrainState, float]:
    """One pass over the rows in the order of `epoch`; the state and the first rate used."""
    rng = np.random.default_rng([settings.seed, epoch])
    orders = epoch_batches(sizes, settings.batch_size, rng)
    counts = [-(-size // settings.batch_size) for size in sizes]
    rates = _epoch_rates(settings, factor, epoch * sum(counts), sum(counts))
    dtype = state.table.dtype
    batch_rows = np.asarray(sum(sizes) / sum(counts), dtype=dtype)
    state = state._replace(loss_sum=jnp.zeros_like(state.loss_sum))
    done = 0
    for block, first, stop in _runs(counts, rng):
        padded = np.zeros(orders[block].shape[0])
        padded[first:stop] = rates[done : done + stop - first]
        done += stop - first
        state = run_batches(
            program,
            state,
            blocks[block],
            orders[block],
            padded.astype(dtype),
            np.int32(first),
            np.int32(stop),
            batch_rows,
            charges,
            hyper,
        )
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


def train(
    program: Program,
    start: Callable[[], TrainState],
    blocks: list[Rows],
    sizes: list[int],
    charges,
    hyper: Hyper,
    settings: LoopSettings,
    validate: Callable[[Any], dict[str, float]] | None,
    report: Callable[[Progress, int], None],
    first_epoch: int = 0,
) -> tuple[TrainState, Progress]:
    """Train until `max_iter` epochs are done or the monitored value stops improving.

    Parameters
    ----------
    start : makes the state before the first step; called again when training diverged before any weights
        were worth keeping
    sizes : rows of each block that are real
    validate : scores of (table, dense, averages) to record; the value under "score" is monitored, higher is
        better. None: the training loss is monitored.
    report : called after each epoch
    first_epoch : epochs done by earlier calls

    Raises
    ------
    DivergenceError
        When the loss is not finite, or has exploded, at every one of ten ever smaller rates.
    """
    state = start()
    progress = Progress()
    factor, backoffs, waited, cuts = 1.0, 0, 0, 0
    best, best_score, first_loss = None, -np.inf, None
    keep_best = validate is not None
    with interrupt_later() as interrupted:
        while progress.n_iter < settings.max_iter:
            began = time.perf_counter()
            epoch = first_epoch + progress.n_iter
            state, rate = run_epoch(program, state, blocks, sizes, charges, hyper, settings, factor, epoch)
            mean_loss = float(state.loss_sum) / sum(sizes)
            first_loss = mean_loss if first_loss is None and np.isfinite(mean_loss) else first_loss
            diverged = not np.isfinite(mean_loss) or mean_loss > _EXPLODED * (1 + abs(first_loss))
            try:
                scores = {} if diverged or validate is None else validate(_weights(state))
            except KeyboardInterrupt:
                interrupted.append(signal.SIGINT)
                scores = {}
            score = scores.pop("score", -np.inf if validate is not None else -mean_loss)
            if diverged or not (np.isfinite(score) or interrupted):
                backoffs += 1
                if backoffs > _MAX_BACKOFFS:
                    raise DivergenceError(
                        f"Training diverged: the loss of epoch {epoch + 1} is {mean_loss}, even at the learning "
                        f"rate {rate:.3g}, which was halved {_MAX_BACKOFFS} times. Scale the columns of X, "
                        f"check y for outliers, or give a smaller learning_rate."
                    )
                factor *= 0.5
                state = _restored(start(), best)
                if best is None:
                    # From the start again: the epochs before the divergence are undone.
                    progress.n_iter, first_loss, waited, best_score = 0, None, 0, -np.inf
                    progress.history.clear()
                continue
            progress.n_iter += 1
            progress.add(loss=mean_loss, learning_rate=rate, **scores, time=time.perf_counter() - began)
            report(progress, settings.max_iter)
            if score > best_score + settings.tol or (best is None and keep_best):
                waited = 0
            else:
                waited += 1
            if score > best_score:
                best_score = score
                best = _copy(_weights(state)) if keep_best else None
            if interrupted:
                warn_interrupted(progress.n_iter)
                break
            if settings.monitor and waited >= settings.n_iter_no_change:
                if settings.schedule != "plateau" or cuts >= 2:
                    break
                cuts, waited = cuts + 1, 0
                factor *= _PLATEAU_FACTOR
                state = _restored(state, best)
    return _restored(state, best), progress


def _restored(state: TrainState, weights) -> TrainState:
    if weights is None:
        return state
    table, dense, averages = _copy(weights)
    return state._replace(table=table, dense=dense, averages=averages)
