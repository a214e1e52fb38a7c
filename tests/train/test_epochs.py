"""Epochs of the compiled program: every row once, documented rates, and spans that Ctrl-C may cut short."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skfm.data.batches import Batches
from skfm.losses import Quantile
from skfm.models.linear import Linear
from skfm.optim.solvers import NAMED, SGD
from skfm.train.epochs import BatchEpochs, InMemory
from skfm.train.loop import Watch, descend
from skfm.train.state import Hyper, Start, start_state
from skfm.train.step import Program
from tests.train.problems import MODELS, Problem, make_schedule


def test_an_epoch_of_several_widths_runs_every_batch(several_widths, in_float64):
    """The sum of the rows' losses at a rate of almost nothing shows that each row came once."""
    problem = Problem(*MODELS["fm"], n=40)
    assert len(problem.sizes) > 2
    solver = NAMED["adagrad"]
    state = problem.run_epoch(solver, learning_rate=1e-12, batch_size=3)
    assert int(state.count) == sum(-(-size // 3) for size in problem.sizes)
    assert float(state.loss_sum) == pytest.approx(problem.n * problem.data_term(), rel=1e-9)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_batches_that_are_run_in_spans_are_the_same_epoch(at_once, several_widths, in_float64, monkeypatch):
    whole = Problem(*MODELS["fm"], n=40).run_epoch(NAMED["adam"], batch_size=3)
    monkeypatch.setattr("skfm.train.epochs._FIRST_BATCHES", at_once)
    monkeypatch.setattr("skfm.train.epochs._LEAST_SECONDS", 0.0)
    cut = Problem(*MODELS["fm"], n=40).run_epoch(NAMED["adam"], batch_size=3)
    np.testing.assert_array_equal(whole.table, cut.table)
    assert float(whole.loss_sum) == float(cut.loss_sum)


def test_an_interruption_cuts_an_epoch_short(in_float64, monkeypatch):
    monkeypatch.setattr("skfm.train.epochs._FIRST_BATCHES", 2)
    monkeypatch.setattr("skfm.train.epochs._LEAST_SECONDS", 0.0)
    epochs = Problem(*MODELS["fm"], n=40).epochs(NAMED["adam"], batch_size=4)
    epochs.start()
    assert epochs.run(0, 1.0, ["came"]) is None
    assert int(epochs.state.count) == 2
    assert epochs.run(0, 1.0, []) is not None


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, 32), (0.1, 16), (10.0, 8)])
def test_spans_grow_while_they_are_short(seconds, expected):
    epochs = Problem(*MODELS["fm"]).epochs(NAMED["adam"])
    epochs._adapt(seconds)
    assert epochs._batches_at_once == expected


# ------------------------------------------------------- a run whose weights tell the rates that it used

N, BATCH_SIZE, N_BATCHES, QUANTILE = 12, 4, 3, 0.25


def run(first_epoch=0, **changes):
    """Rows without features, targets far above: the intercept moves by `QUANTILE` rates each step.

    Returns
    -------
    Distance that the intercept went, in units of `QUANTILE`, and the progress.
    """
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

    def first_state():
        dense = {"weights": {}, "offsets": {"intercept": jnp.zeros(1)}}
        return start_state(SGD(0.0), Start(jnp.zeros((16, 1)), dense, {}, 0.1, 1.0))

    zero = jnp.zeros(1)
    schedule = make_schedule(batch_size=BATCH_SIZE, **changes)
    epochs = BatchEpochs(
        Program(Linear(), Quantile(QUANTILE), SGD(0.0)),
        first_state,
        InMemory([batches], [N], BATCH_SIZE),
        Hyper((zero, zero), jnp.zeros(()), jnp.zeros(()), jax.random.key(0)),
        schedule,
        seed=0,
    )
    progress = descend(epochs, schedule, Watch(), first_epoch)
    return float(epochs.state.dense["offsets"]["intercept"][0]) / QUANTILE, progress


def test_constant_rate(in_float64):
    distance, progress = run(learning_rate=0.1, max_iter=4)
    assert distance == pytest.approx(0.1 * 4 * N_BATCHES)
    assert progress.history["learning_rate"] == pytest.approx([0.1] * 4)
    assert progress.n_iter == 4


def test_cosine_falls_from_the_rate_to_zero(in_float64):
    distance, progress = run(shape="cosine", learning_rate=0.1, max_iter=4)
    shares = [0.5 * (1 + np.cos(np.pi * t / 12)) for t in range(12)]
    assert distance == pytest.approx(0.1 * sum(shares))
    assert progress.history["learning_rate"] == pytest.approx([0.1 * share for share in shares[::N_BATCHES]])


def test_cosine_is_spread_over_its_horizon_from_call_to_call(in_float64):
    """Calls of one epoch each, as `partial_fit` makes them."""
    steps = [run(epoch, shape="cosine", max_iter=1, horizon=4)[0] for epoch in range(6)]
    shares = [0.5 * (1 + np.cos(np.pi * t / 12)) for t in range(12)]
    expected = [0.1 * sum(shares[3 * epoch : 3 * epoch + 3]) for epoch in range(4)] + [0, 0]
    assert steps == pytest.approx(expected, abs=1e-12)


def test_schedules_of_optax_count_steps_on_from_earlier_calls(in_float64):
    schedule = optax.linear_schedule(1.0, 0.0, 20)
    distance, progress = run(shape=schedule, max_iter=4)
    assert distance == pytest.approx(sum(1 - t / 20 for t in range(12)))
    assert progress.history["learning_rate"] == pytest.approx([1 - t / 20 for t in (0, 3, 6, 9)])
    later, _ = run(3, shape=schedule, max_iter=2)
    assert later == pytest.approx(sum(1 - t / 20 for t in range(9, 15)))
