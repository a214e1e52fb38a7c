"""Epochs: every row once, documented rates, stopping, best weights, divergence, interruption."""

import signal
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skfm.data.batches import Batches
from skfm.losses import Quantile, SquaredError
from skfm.models.fm import FM
from skfm.models.linear import Linear
from skfm.optim.solvers import NAMED, SGD
from skfm.train.loop import DivergenceError, InMemory, train
from skfm.train.state import Hyper, start_state
from skfm.train.step import Program
from tests.train.problems import MODELS, Problem, loop_settings

# -------------------------------------------------------------------------------------------- batches


def test_an_epoch_of_several_widths_runs_every_batch(several_widths, in_float64):
    """The sum of the rows' losses at a rate of almost nothing shows that each row came once."""
    problem = Problem(*MODELS["fm"], n=40)
    assert len(problem.sizes) > 2
    solver = NAMED["adagrad"]
    state = problem.run_epoch(solver, learning_rate=1e-12, batch_size=3)
    assert int(state.count) == sum(-(-size // 3) for size in problem.sizes)
    assert float(state.loss_sum) == pytest.approx(problem.n * problem.data_term(), rel=1e-9)


# ------------------------------------------------------- a run whose weights tell the rates that it used

N, BATCH_SIZE, N_BATCHES, QUANTILE = 12, 4, 3, 0.25


@dataclass
class Slope:
    """Rows without features, targets far above: the intercept moves by `QUANTILE` rates each step."""

    scores: list | None = None
    validated: list = field(default_factory=list)
    reported: list = field(default_factory=list)

    def start(self):
        dense = {"weights": {}, "offsets": {"intercept": jnp.zeros(1)}}
        return start_state(SGD(0.0), jnp.zeros((16, 1)), dense, {}, 0.1, 1.0)

    def validate(self, weights):
        self.validated.append(float(weights[1]["offsets"]["intercept"][0]))
        return {"score": self.scores[len(self.validated) - 1], "recorded": 7.0}

    def report(self, progress, max_iter):
        self.reported.append(progress.n_iter)

    def train(self, first_epoch=0, report=None, **changes):
        """Distance that the intercept went, in units of `QUANTILE`, and the progress."""
        shape = N_BATCHES, BATCH_SIZE
        batches = Batches(
            touched=jnp.full((N_BATCHES, 1), 15),
            charge=jnp.zeros((N_BATCHES, 1, 1)),
            position=jnp.zeros((*shape, 1), int),
            values=None,
            slot_fields=None,
            y=jnp.full((*shape, 1), 1e6),
            weight=jnp.ones(shape),
        )
        zero = jnp.zeros(1)
        state, progress = train(
            Program(Linear(), Quantile(QUANTILE), SGD(0.0)),
            self.start,
            InMemory([batches], [N], BATCH_SIZE),
            Hyper((zero, zero), jnp.zeros(()), jnp.zeros(()), jax.random.key(0)),
            loop_settings(batch_size=BATCH_SIZE, **changes),
            None if self.scores is None else self.validate,
            report or self.report,
            first_epoch,
        )
        return float(state.dense["offsets"]["intercept"][0]) / QUANTILE, progress


def test_constant_rate(in_float64):
    distance, progress = Slope().train(learning_rate=0.1, max_iter=4)
    assert distance == pytest.approx(0.1 * 4 * N_BATCHES)
    assert progress.history["learning_rate"] == pytest.approx([0.1] * 4)
    assert progress.n_iter == 4


def test_cosine_falls_from_the_rate_to_zero(in_float64):
    distance, progress = Slope().train(schedule="cosine", learning_rate=0.1, max_iter=4)
    shares = [0.5 * (1 + np.cos(np.pi * t / 12)) for t in range(12)]
    assert distance == pytest.approx(0.1 * sum(shares))
    assert progress.history["learning_rate"] == pytest.approx([0.1 * share for share in shares[::N_BATCHES]])


def test_cosine_is_spread_over_its_horizon_from_call_to_call(in_float64):
    """Calls of one epoch each, as `partial_fit` makes them."""
    steps = [Slope().train(epoch, schedule="cosine", max_iter=1, horizon=4)[0] for epoch in range(6)]
    shares = [0.5 * (1 + np.cos(np.pi * t / 12)) for t in range(12)]
    expected = [0.1 * sum(shares[3 * epoch : 3 * epoch + 3]) for epoch in range(4)] + [0, 0]
    assert steps == pytest.approx(expected, abs=1e-12)


def test_schedules_of_optax_count_steps_on_from_earlier_calls(in_float64):
    schedule = optax.linear_schedule(1.0, 0.0, 20)
    distance, progress = Slope().train(schedule=schedule, max_iter=4)
    assert distance == pytest.approx(sum(1 - t / 20 for t in range(12)))
    assert progress.history["learning_rate"] == pytest.approx([1 - t / 20 for t in (0, 3, 6, 9)])
    later, _ = Slope().train(schedule=schedule, max_iter=2, first_epoch=3)
    assert later == pytest.approx(sum(1 - t / 20 for t in range(9, 15)))


def test_plateau_cuts_the_rate_tenfold_twice_and_then_stops(in_float64):
    slope = Slope(scores=[1.0] * 20)
    distance, progress = slope.train(
        schedule="plateau", learning_rate=1.0, monitor=True, n_iter_no_change=2, max_iter=20
    )
    rates = [1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    assert progress.history["learning_rate"] == pytest.approx(rates)
    assert slope.reported == list(range(1, 8))
    assert progress.history["recorded"] == [7.0] * 7
    # Each cut goes on from the best weights, which are those of the first epoch, and so does the end.
    of_epoch = [N_BATCHES * QUANTILE * (1 + rest) for rest in (0, 1, 2, 0.1, 0.2, 0.01, 0.02)]
    np.testing.assert_allclose(slope.validated, of_epoch)
    assert distance == pytest.approx(N_BATCHES)


@pytest.mark.parametrize(
    ("scores", "monitor", "best"),
    [
        ([1.0, 3.0, 2.0, 2.9, 9.0], True, 2),
        ([1.0, 3.0, 2.0, 2.9, 9.0], False, 5),
        # an improvement below tol counts as none for stopping, but its weights are kept
        ([1.0, 1.05, 1.09, 9.0], True, 3),
    ],
)
def test_best_weights_are_kept(scores, monitor, best, in_float64):
    slope = Slope(scores)
    distance, progress = slope.train(
        learning_rate=1.0, monitor=monitor, n_iter_no_change=2, max_iter=len(scores), tol=0.1
    )
    assert distance == pytest.approx(best * N_BATCHES)
    assert progress.n_iter == (len(scores) if not monitor else best + (2 if best == 2 else 0))


def test_without_validation_the_training_loss_is_monitored(in_float64):
    _, progress = Slope().train(learning_rate=1e-9, monitor=True, n_iter_no_change=2, max_iter=20)
    assert progress.n_iter == 3


def test_a_score_that_is_not_finite_halves_the_rate_from_the_best_weights(in_float64):
    slope = Slope(scores=[1.0, np.nan, 2.0])
    distance, progress = slope.train(learning_rate=1.0, max_iter=2)
    assert progress.history["learning_rate"] == pytest.approx([1.0, 0.5])
    assert progress.history["recorded"] == [7.0, 7.0]
    assert distance == pytest.approx(1.5 * N_BATCHES)


def test_the_first_interrupt_keeps_the_best_weights(in_float64):
    slope = Slope(scores=[1.0, 3.0, 2.0, 9.0])

    def interrupt(progress, max_iter):
        if progress.n_iter == 3:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(UserWarning, match="Interrupted after epoch 3: keeping the best weights"):
            distance, progress = slope.train(learning_rate=1.0, max_iter=4, report=interrupt)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert progress.n_iter == 3
    assert distance == pytest.approx(2 * N_BATCHES)


# ----------------------------------------------------------------------------------------- divergence


def diverging(rate):
    problem = Problem(FM(n_factors=2), SquaredError(), n=23)
    solver = SGD()
    return train(
        problem.program(solver),
        lambda: problem.start(solver, rate),
        InMemory(problem.batches(4), problem.sizes, 4),
        problem.hyper(),
        loop_settings(learning_rate=rate, max_iter=5),
        None,
        lambda progress, max_iter: None,
    )


def test_divergence_halves_the_rate_from_the_start(in_float64):
    state, progress = diverging(1.0)
    rate = progress.history["learning_rate"][-1]
    assert np.log2(rate) in range(-10, 0)
    # Nothing of the failed runs is left: all epochs are those of a run at this rate.
    assert progress.n_iter == 5
    again, expected = diverging(rate)
    for name in ("loss", "learning_rate"):
        assert progress.history[name] == expected.history[name]
    np.testing.assert_array_equal(state.table, again.table)


def test_divergence_at_every_rate_is_an_error(in_float64):
    with pytest.raises(DivergenceError, match=r"loss of epoch 1 is .*halved 10 times.*smaller learning_rate"):
        diverging(1e9)
    assert issubclass(DivergenceError, ValueError)
