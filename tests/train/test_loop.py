"""The loop over epochs, without JAX: stopping, plateau, best weights, backing off, interruption."""

import signal
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from skfm.losses import SquaredError
from skfm.models.fm import FM
from skfm.optim.solvers import SGD
from skfm.train.epochs import BatchEpochs, InMemory
from skfm.train.loop import DivergenceError, Stopping, Watch, descend
from skfm.train.problem import Progress, joined, silent
from tests.train.problems import Problem, make_schedule


@dataclass
class Walk:
    """Epochs whose weights are the distance gone: the rate, each epoch. `losses` are those of the epochs."""

    rate: float = 1.0
    losses: list | None = None
    last_loss: float = 0.0
    cut_short: int | None = None
    restored: list = field(default_factory=list)
    distance: float = 0.0
    n_run: int = 0

    def start(self):
        self.distance = 0.0

    def run(self, epoch, factor, interrupted):
        if self.n_run == self.cut_short:
            interrupted.append("came")
            return None
        self.distance += self.rate * factor
        loss = 1.0 if self.losses is None else self.losses[self.n_run]
        self.n_run += 1
        return loss, self.rate * factor

    def weights(self):
        return self.distance

    def copy(self, weights):
        return weights

    def restore(self, weights):
        self.restored.append(weights)
        self.distance = weights

    def loss(self):
        return self.last_loss


@dataclass
class Look:
    """Scores for the epochs in turn; remembers the weights that it has seen."""

    scores: list
    seen: list = field(default_factory=list)

    def __call__(self, weights):
        self.seen.append(weights)
        return {"score": self.scores[len(self.seen) - 1], "recorded": 7.0}


def walk(epochs=None, scores=None, report=silent, base_loss=np.inf, **changes):
    """The epochs after training, their progress, and what looked at the weights."""
    epochs = epochs or Walk()
    look = None if scores is None else Look(scores)
    progress = descend(epochs, make_schedule(**changes), Watch(look, report, base_loss))
    return epochs, progress, look


def test_the_loop_imports_no_jax():
    code = """
import sys
import skfm.train.loop, skfm.train.problem, skfm.train.method, skfm.fitting.plan, skfm.fitting.learn
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_epochs_are_run_and_recorded():
    epochs, progress, _ = walk(Walk(0.1), max_iter=4)
    assert epochs.distance == pytest.approx(0.4)
    assert progress.n_iter == 4
    assert progress.history["learning_rate"] == pytest.approx([0.1] * 4)
    assert progress.history["loss"] == [1.0] * 4


def test_plateau_cuts_the_rate_tenfold_twice_and_then_stops():
    reported = []
    epochs, progress, look = walk(
        scores=[1.0] * 20,
        report=lambda progress, max_iter: reported.append(progress.n_iter),
        shape="plateau",
        stops_early=True,
        n_iter_no_change=2,
        max_iter=20,
    )
    rates = [1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    assert progress.history["learning_rate"] == pytest.approx(rates)
    assert reported == list(range(8))
    assert progress.history["recorded"] == [7.0] * 7
    # Each cut goes on from the best weights, which are those of the first epoch, and so does the end.
    np.testing.assert_allclose(look.seen, [1, 2, 3, 1.1, 1.2, 1.01, 1.02])
    assert epochs.distance == 1


@dataclass
class Begins:
    """Training that stands still for so many epochs; remembers what it is shown."""

    after: int
    seen: list = field(default_factory=list)

    def start(self, weights):
        self.seen = [weights]

    def holds(self, weights, loss):
        self.seen.append(weights)
        return len(self.seen) <= self.after + 1


@pytest.mark.parametrize(("after", "n_iter"), [(0, 3), (1, 3), (2, 4), (5, 7), (50, 12)])
def test_epochs_in_which_training_stands_still_are_not_waited_for(after, n_iter):
    still = Begins(after)
    schedule = make_schedule(stops_early=True, n_iter_no_change=2, max_iter=12)
    progress = descend(Walk(), schedule, Watch(still=still))
    assert progress.n_iter == n_iter
    assert still.seen == list(range(n_iter + 1))


def test_nothing_stands_still_after_the_rate_was_cut():
    class Late(Begins):
        def holds(self, weights, loss):
            super().holds(weights, loss)
            return len(self.seen) > 4

    still = Late(0)
    schedule = make_schedule(shape="plateau", stops_early=True, n_iter_no_change=2, max_iter=50)
    progress = descend(Walk(), schedule, Watch(Look([1.0] * 50), still=still))
    assert progress.n_iter == 7


@pytest.mark.parametrize(
    ("scores", "stops_early", "best"),
    [
        ([1.0, 3.0, 2.0, 2.9, 9.0], True, 2),
        ([1.0, 3.0, 2.0, 2.9, 9.0], False, 5),
        # an improvement below tol counts as none for stopping, but its weights are kept
        ([1.0, 1.05, 1.09, 9.0], True, 3),
    ],
)
def test_best_weights_are_kept(scores, stops_early, best):
    epochs, progress, _ = walk(
        scores=scores, stops_early=stops_early, n_iter_no_change=2, max_iter=len(scores), tol=0.1
    )
    assert epochs.distance == best
    assert progress.best_score == scores[best - 1]
    assert progress.n_iter == (len(scores) if not stops_early else best + (2 if best == 2 else 0))


def test_without_validation_the_training_loss_is_monitored():
    _, progress, _ = walk(stops_early=True, n_iter_no_change=2, max_iter=20)
    assert progress.n_iter == 3


def test_a_score_that_is_not_finite_halves_the_rate_from_the_best_weights():
    epochs, progress, _ = walk(scores=[1.0, np.nan, 2.0], max_iter=2)
    assert progress.history["learning_rate"] == pytest.approx([1.0, 0.5])
    assert progress.history["recorded"] == [7.0, 7.0]
    assert epochs.distance == 1.5


def test_a_loss_far_above_that_without_features_is_divergence():
    _, progress, _ = walk(Walk(losses=[1.0, 1e7, 1.0, 1.0]), base_loss=1.0, max_iter=2)
    assert progress.history["learning_rate"] == [0.5, 0.5]


def test_the_last_weights_are_looked_at():
    with pytest.raises(DivergenceError, match="loss of the last weights is nan"):
        walk(Walk(last_loss=np.nan))
    # Weights that validation has seen are known.
    walk(Walk(last_loss=np.nan), scores=[1.0, 2.0, 3.0])


def test_a_start_anew_is_reported_by_its_rate():
    def reported(*arguments, **options):
        seen = []
        walk(*arguments, report=lambda progress, _: seen.append((progress.label, progress.n_iter)), **options)
        return seen

    half = "learning rate x 0.5"
    losses = [1.0, np.inf, 1.0, 1.0]
    anew = reported(Walk(losses=losses), max_iter=2)
    assert anew == [("", 0), ("", 1), (half, 0), (half, 1), (half, 2)]
    # Where there are best weights training goes on from them.
    assert reported(Walk(losses=losses), [1.0, 2.0], max_iter=2) == [("", 0), ("", 1), ("", 2)]


def test_lists_of_a_history_have_one_length():
    progress = Progress()
    for values in ({"loss": 1}, {"loss": 2, "score": 0}, {"loss": 3}):
        progress.add(**values)
    np.testing.assert_equal(progress.history, {"loss": [1.0, 2.0, 3.0], "score": [np.nan, 0.0, np.nan]})
    np.testing.assert_equal(
        joined([{}, {"loss": [1.0], "a": [2.0]}, progress.history]),
        {"loss": [1.0, 1.0, 2.0, 3.0], "a": [2.0] + [np.nan] * 3, "score": [np.nan, np.nan, 0.0, np.nan]},
    )


@pytest.fixture
def default_interrupts():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_interrupt_keeps_the_best_weights(default_interrupts):
    def interrupt(progress, max_iter):
        if progress.n_iter == 3:
            signal.raise_signal(signal.SIGINT)

    epochs, progress, _ = walk(scores=[1.0, 3.0, 2.0, 9.0], max_iter=4, report=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert progress.n_iter == 3
    assert progress.interrupted
    assert epochs.distance == 2


def test_an_epoch_that_is_cut_short_is_not_recorded():
    _, progress, _ = walk(Walk(cut_short=2, last_loss=np.nan), max_iter=4)
    assert progress.n_iter == len(progress.history["loss"]) == 2


def test_stopping_waits_from_the_last_improvement():
    stopping = Stopping(tol=0.5, patience=2)
    due = []
    for score in (1.0, 2.0, 2.2, 2.4):
        stopping.record(score, lambda score=score: score)
        due.append(stopping.is_due)
    assert due == [False, False, False, True]
    assert stopping.best == stopping.best_score == 2.4


@pytest.mark.parametrize("power", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("first", [0.0, -1.0])
def test_small_steps_that_lead_on_are_no_end(power, first):
    """The gains of n epochs grow as n ** power: the last gains `power` times the average."""
    stopping, due = Stopping(tol=0.05, patience=3, first_score=first), []
    for epoch in range(1, 50):
        stopping.record(first + 2e-3 * epoch**power, None)
        due.append(stopping.is_due)
    assert any(due) == (power < 0.25)


def test_gains_that_are_rounding_are_an_end():
    stopping, due = Stopping(tol=1e-4, patience=3, first_score=0.0), []
    for epoch in range(1, 20):
        stopping.record(1e-9 * epoch, None)
        due.append(stopping.is_due)
    # The first counts always.
    assert due.index(True) == 3


def test_small_steps_are_an_end_where_much_was_gained():
    stopping = Stopping(tol=1e-2, patience=3, first_score=0.0)
    for epoch in range(1, 30):
        stopping.record(5e-3 * epoch, None)
        if stopping.is_due:
            break
    # From 0.1 on each counts that is twice as large.
    assert epoch == 23


# ----------------------------------------------------------------------------------------- divergence


def diverging(rate):
    problem = Problem(FM(n_factors=2), SquaredError(), n=23)
    solver, schedule = SGD(), make_schedule(learning_rate=rate, max_iter=5)
    epochs = BatchEpochs(
        problem.program(solver),
        lambda: problem.start(solver, rate),
        InMemory(problem.batches(4), problem.sizes, 4),
        problem.hyper(),
        schedule,
        seed=0,
    )
    progress = descend(epochs, schedule, Watch())
    return epochs.state, progress


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
