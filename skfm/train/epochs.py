"""Epochs of compiled runs of batches: order, rates, and where batches come from."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from skfm.data.batches import Batches, n_batches
from skfm.data.pack import bucket
from skfm.optim.rows import separate
from skfm.train.predict import loss_of_batches
from skfm.train.problem import Schedule
from skfm.train.programs import Compiled
from skfm.train.state import Hyper, TrainState, on_device, to_numpy, with_table
from skfm.train.step import Hold, Program, Run, hold_by, run_batches

# Batches that one call of the program runs take about so many seconds: Ctrl-C waits no longer.
_LEAST_SECONDS, _MOST_SECONDS = 0.05, 0.2
_FIRST_BATCHES = 16


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


def mean_batch_rows(source: Source, dtype) -> np.ndarray:
    """Mean number of rows of a batch over an epoch."""
    return np.asarray(source.n_rows / source.n_batches, dtype=dtype)


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


@Compiled
def _rates_at(shape, steps):
    return jax.vmap(shape)(steps)


def _rates_of(shape: Callable, first_step: int, n_batches: int) -> np.ndarray:
    """Learning rates of steps by a schedule that the user gave.

    Raises
    ------
    ValueError
        If it fails, or gives a rate that is none.
    """
    try:
        padded = first_step + np.arange(bucket(n_batches))
        rates = np.asarray(_rates_at(shape, padded), dtype=np.float64)
        if rates.shape != padded.shape:
            given = f"an array of shape {rates.shape[1:]}" if rates.ndim else "none"
            raise TypeError(f"it gives {given} for each step, and not one number")
    except Exception as error:
        cause = f"{type(error).__name__}: {str(error).strip()}".partition("\n")[0].rstrip(".")
        raise ValueError(
            f"learning_rate_schedule={shape!r} fails at step {first_step}: {cause}. It gets the number of "
            f"the step, as an array that JAX traces, and has to give one number. Write conditions as "
            f"jax.numpy.where(step < 5, 0.1, 0.01), or give an optax schedule."
        ) from error
    rates = rates[:n_batches]
    bad = ~(np.isfinite(rates) & (rates >= 0))
    if bad.any():
        number = int(np.argmax(bad))
        raise ValueError(
            f"learning_rate_schedule={shape!r} gives {rates[number]:.3g} at step {first_step + number}; "
            f"rates are finite and 0 or more. Bound it with jax.numpy.clip, or give an optax schedule."
        )
    return rates


def _epoch_rates(schedule: Schedule, factor: float, first_step: int, n_batches: int) -> np.ndarray:
    """Learning rate of each step of an epoch."""
    steps = first_step + np.arange(n_batches)
    if callable(schedule.shape):
        return factor * _rates_of(schedule.shape, first_step, n_batches)
    rates = np.full(n_batches, schedule.learning_rate * factor)
    if schedule.shape == "cosine":
        rates *= 0.5 * (1 + np.cos(np.pi * np.minimum(steps / (schedule.horizon * n_batches), 1)))
    return rates


def held_state(program: Program, state: TrainState, source: Source, hold: Hold, hyper: Hyper) -> TrainState:
    """The state in which rows behind it hold what rows of the source touch."""
    batch_rows = mean_batch_rows(source, state.table.dtype)
    with contextlib.closing(source.parts(np.random.default_rng(0))) as parts:
        for blocks, _ in parts:
            for batches in blocks:
                state = hold_by(program, state, batches, hold, batch_rows, hyper)
    return state


@Compiled
def _copy(tree):
    return jax.tree.map(jnp.copy, tree)


class BatchEpochs:
    """Epochs of the compiled program; see `skfm.train.loop.Epochs`.

    Parameters
    ----------
    program : what is compiled
    first_state : makes the state before the first step
    source : the batches
    hyper : what the program is given
    schedule, seed : rates and order of the batches
    """

    def __init__(
        self,
        program: Program,
        first_state: Callable[[], TrainState],
        source: Source,
        hyper: Hyper,
        schedule: Schedule,
        seed: int,
    ):
        self.program, self.first_state, self.source = program, first_state, source
        self.hyper, self.schedule, self.seed = hyper, schedule, seed
        self.state: Any = None
        self._batches_at_once = _FIRST_BATCHES

    def start(self) -> None:
        # The last state is freed before there is another.
        self.state = None
        self.state = self.first_state()

    def run(self, epoch: int, factor: float, interrupted: list) -> tuple[float, float] | None:
        source = self.source
        rng = np.random.default_rng([self.seed, 3, epoch])
        rates = _epoch_rates(self.schedule, factor, epoch * source.n_batches, source.n_batches)
        self.state = self.state._replace(loss_sum=np.zeros((), self.state.table.dtype))
        done = 0
        with contextlib.closing(source.parts(rng)) as parts:
            for blocks, sizes in parts:
                counts = [n_batches(size, self.schedule.batch_size) for size in sizes]
                n_done = self._run_part(blocks, counts, rates[done:], rng, interrupted)
                if n_done is None:
                    return None
                done += n_done
                # Else all parts would wait in memory for their turn.
                self.state.loss_sum.block_until_ready()
        return float(self.state.loss_sum) / source.n_rows, float(rates[0])

    def _run_part(self, blocks, counts, rates, rng, interrupted) -> int | None:
        """Run all batches of a part and count them; None where it was cut short."""
        dtype = self.state.table.dtype
        batch_rows = mean_batch_rows(self.source, dtype)
        orders = []
        for batches, count in zip(blocks, counts, strict=True):
            orders.append(np.zeros(batches.weight.shape[0], dtype=np.int32))
            orders[-1][:count] = rng.permutation(count)
        done, waiting, began = 0, 0, time.perf_counter()
        for block, first, stop in _runs(counts, rng):
            order = orders[block]
            padded = np.zeros(order.size, dtype=dtype)
            padded[first:stop] = rates[done : done + stop - first]
            done += stop - first
            while first < stop:
                end = min(first + self._batches_at_once, stop)
                run = Run(order, padded, np.int32(first), np.int32(end))
                self.state = run_batches(self.program, self.state, blocks[block], run, batch_rows, self.hyper)
                waiting, first = waiting + end - first, end
                if waiting >= self._batches_at_once:
                    self.state.loss_sum.block_until_ready()
                    if interrupted:
                        return None
                    self._adapt(time.perf_counter() - began)
                    waiting, began = 0, time.perf_counter()
        return done

    def _adapt(self, seconds: float) -> None:
        """Run more batches at once where they took little time, fewer where they took long."""
        if seconds < _LEAST_SECONDS:
            self._batches_at_once *= 2
        elif seconds > _MOST_SECONDS:
            self._batches_at_once = max(self._batches_at_once // 2, 1)

    def weights(self) -> Any:
        """Table, dense weights and averages, up to the next step, which is given their memory.

        The table of a joined state is a view in NumPy: models whose rows are joined are evaluated there. Were
        it held until the next step, XLA would copy the table.
        """
        state, table = self.state, self.state.table
        if state.is_joined:
            table = np.asarray(table)[:, : self.program.model.width]
        return table, state.dense, state.averages

    def copy(self, weights: Any) -> Any:
        return to_numpy(weights) if self.state.is_joined else _copy(weights)

    def restore(self, weights: Any) -> None:
        # Copies: the state is donated to the next step.
        if self.state.is_joined:
            table, *rest = weights
            dense, averages = on_device(rest)
            state = with_table(self.state, table)
        else:
            table, dense, averages = _copy(weights)
            state = self.state._replace(table=table)
        self.state = state._replace(dense=dense, averages=averages)

    def separate_state(self) -> TrainState:
        """The state in NumPy, not joined."""
        state, program = self.state, self.program
        if state.is_joined:
            table, table_state = separate(program.solver, np.asarray(state.table), program.model.width)
            state = state._replace(table=table, table_state=table_state)
        return to_numpy(state)

    def loss(self) -> float:
        """That of all rows, or of the first part of those on disk."""
        with contextlib.closing(self.source.parts(np.random.default_rng(0))) as parts:
            blocks, sizes = next(parts)
        return loss_of_batches(self.program.loss, self.program.model, self.weights(), blocks) / sum(sizes)
