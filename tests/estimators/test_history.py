"""What fit records and shows of its epochs: frames in one call, attempts with their names, bars that end."""

import io
import pickle
import signal
import sys
from types import SimpleNamespace

import numpy as np
import optax
import pandas as pd
import pytest
from sklearn.base import clone

import skfm
from skfm.names import SOLVERS
from skfm.train.loop import DivergenceError, descend
from tests.estimators.problems import LABELS, RAW, X, make, target

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(Increase max_iter|nothing was learned):sklearn.exceptions.ConvergenceWarning"
)

ESTIMATORS = [name for name in skfm.__all__ if name.endswith(("Classifier", "Regressor"))]
# With held-out rows and automatic penalties there are two attempts.
STEPS = {"solver": "adam", "batch_size": 32, "early_stopping": True, "scoring": "loss"}


def frames(model):
    """Histories of the attempt that was kept and of all, after a look at what holds for each of them."""
    kept, attempts = pd.DataFrame(model.history_), pd.DataFrame(model.attempts_)
    assert len(kept) == model.n_iter_
    assert kept["epoch"].tolist() == list(range(1, model.n_iter_ + 1))
    assert kept["attempt"].eq(model.plan_["attempt"]).all()
    assert kept[["loss", "time"]].notna().all(axis=None)
    of_kept = attempts[attempts["attempt"] == model.plan_["attempt"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_kept, kept)
    for name, values in model.attempts_.items():
        assert {type(value) for value in values} == {int if name in ("attempt", "epoch") else float}
    return kept, attempts


@pytest.mark.parametrize("name", ESTIMATORS)
def test_history_is_a_frame(name):
    model = make(name, **STEPS).fit(X, target(name))
    kept, attempts = frames(model)
    assert kept.notna().all(axis=None)
    n_attempts = 1 if name.startswith("Linear") else 2
    assert attempts.groupby("attempt")["epoch"].apply(list).to_dict() == {
        attempt: [1, 2, 3] for attempt in range(1, n_attempts + 1)
    }
    model.partial_fit(X, target(name))
    going_on, all_of_them = frames(model)
    assert going_on["validation_loss"].isna().tolist() == [False] * 3 + [True]
    assert len(all_of_them) == len(attempts) + 1
    pd.testing.assert_frame_equal(pd.DataFrame(pickle.loads(pickle.dumps(model)).history_), going_on)
    frames(make(name, solver="lbfgs").fit(X, target(name)))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", [*SOLVERS, optax.adam(0.1)], ids=[*SOLVERS, "optax"])
def test_every_solver_and_what_goes_on_from_it(solver, early_stopping):
    settings = STEPS | {"solver": solver, "early_stopping": early_stopping, "scoring": "roc_auc"}
    model = make("FMClassifier", **settings)
    n_attempts = 2 if early_stopping and solver != "lbfgs" else 1
    for _ in range(2):
        kept, attempts = frames(model.fit(X, LABELS))
        assert attempts["attempt"].unique().tolist() == list(range(1, n_attempts + 1))
        assert ("validation_score" in kept) == early_stopping
        assert ("learning_rate" in kept) == (solver != "lbfgs")
        assert kept.notna().all(axis=None)
        model.warm_start = True
    model.set_params(solver="adam")
    for _ in range(2):
        model.partial_fit(X, LABELS)
    kept, _ = frames(model)
    assert kept["learning_rate"].isna().tolist() == [solver == "lbfgs"] * 3 + [False] * 2


@pytest.mark.parametrize("schedule", ["plateau", "cosine", optax.constant_schedule(0.1)])
def test_schedules_and_streams(schedule):
    chunks = [(X[:40], LABELS[:40]), (X[40:], LABELS[40:])]
    model = make("FMClassifier", **(STEPS | {"learning_rate_schedule": schedule, "max_iter": 8}))
    for given in ({}, {"X_val": chunks[:1]}):
        kept, attempts = frames(model.fit(chunks, **given))
        assert kept.notna().all(axis=None)
        assert attempts["attempt"].unique().tolist() == [1, 2]


@pytest.mark.parametrize("has_held_out", [False, True])
def test_a_start_at_the_minimum_is_a_row(has_held_out):
    nothing, labels = np.zeros((20, 3)), LABELS[:20]
    given = {"X_val": nothing, "y_val": labels} if has_held_out else {}
    kept, _ = frames(make("LinearClassifier", solver="lbfgs").fit(nothing, labels, **given))
    odds = labels.mean()
    entropy = -odds * np.log(odds) - (1 - odds) * np.log(1 - odds)
    for name in ["loss"] + ["validation_loss"] * has_held_out:
        assert kept[name].tolist() == pytest.approx([entropy])


def test_the_last_loss_is_that_of_the_attempt_that_was_kept(monkeypatch):
    settings = STEPS | {"learning_rate": 0.05, "max_iter": 5}
    found = []
    for margin in (-100.0, 100.0):
        monkeypatch.setattr("skfm.train.minibatch._CLEARLY", margin)
        model = make("FMClassifier", **settings).fit(X, LABELS)
        _, attempts = frames(model)
        found.append(attempts.drop(columns="time"))
        assert model.plan_["attempt"] == (2 if margin < 0 else 1)
        assert model.plan_["init_scale"] == 0.1
        last = attempts[attempts["attempt"] == model.plan_["attempt"]]["loss"].iloc[-1]
        assert model.history_["loss"][-1] == last
    pd.testing.assert_frame_equal(*found)


def test_an_attempt_that_fails_is_not_kept(monkeypatch):
    def second_fails(epochs, schedule, watch, first_epoch):
        if watch.label == "attempt 2 of 2":
            raise DivergenceError
        return descend(epochs, schedule, watch, first_epoch)

    monkeypatch.setattr("skfm.train.minibatch.descend", second_fails)
    kept, attempts = frames(make("FMClassifier", **STEPS).fit(X, LABELS))
    pd.testing.assert_frame_equal(kept, attempts)


class CtrlC:
    """A scorer that is interrupted in its call of a number."""

    def __init__(self, last):
        self.last, self.calls = last, 0

    def __call__(self, estimator, X, y, sample_weight=None):
        self.calls += 1
        if self.calls == self.last:
            raise KeyboardInterrupt
        return float(self.calls)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("last", [1, 3])
def test_an_interruption_while_held_out_rows_are_scored(solver, last):
    model = make("FMClassifier", **(STEPS | {"solver": solver, "scoring": CtrlC(last), "max_iter": 9}))
    with pytest.raises(KeyboardInterrupt, match=f"Interrupted after epoch {last}:"):
        model.fit(X, LABELS)
    kept, _ = frames(model)
    if last > 1:
        assert kept["validation_score"].isna().tolist() == [False] * (last - 1) + [True]


def test_an_interruption_within_the_first_epoch(monkeypatch):
    def run(self, epoch, factor, interrupted):
        interrupted.append(signal.SIGINT)

    monkeypatch.setattr("skfm.train.minibatch.BatchEpochs.run", run)
    model = make("FMClassifier", **STEPS)
    with pytest.raises(KeyboardInterrupt, match="Interrupted after epoch 0:"):
        model.fit(X, LABELS)
    assert model.n_iter_ == 0
    assert model.history_ == model.attempts_ == {"attempt": [], "epoch": []}
    assert pd.DataFrame(model.history_).empty


def test_histories_of_a_user_are_his_own():
    model = make("FMClassifier", **STEPS).fit(X, LABELS)
    model.history_["loss"].clear()
    model.attempts_.clear()
    frames(model)
    assert not hasattr(clone(model), "attempts_")
    # Older versions of scikit-learn show no fitted attributes.
    shown = model._repr_html_()
    assert ("attempts_" in shown) == ("n_iter_" in shown)


# -- what verbose shows ------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Bar:
    """As much of tqdm as there is to check; `made` are all of them."""

    made: list

    def __init__(self, desc, total, unit):
        self.desc, self.total, self.n, self.is_open = desc, total, 0, True
        assert not any(bar.is_open for bar in self.made)
        self.made.append(self)

    def set_postfix(self, shown, refresh):
        self.shown = shown

    def update(self, n):
        assert self.is_open
        assert n >= 0
        self.n += n
        assert self.n <= self.total

    def close(self):
        self.is_open = False


@pytest.fixture
def bars(monkeypatch):
    Bar.made = []
    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace(tqdm=Bar))
    # Not sys.stderr itself, which pytest sets anew before the test.
    monkeypatch.setattr("skfm.estimators.base.progress.sys", SimpleNamespace(stderr=Terminal()))
    yield Bar.made
    assert not any(bar.is_open for bar in Bar.made)


@pytest.mark.parametrize("solver", [*SOLVERS, optax.adam(0.1)], ids=[*SOLVERS, "optax"])
def test_each_attempt_has_a_bar_that_ends(solver, bars):
    model = make("FMClassifier", **(STEPS | {"solver": solver, "verbose": 1, "warm_start": True}))
    names = ["FMClassifier, attempt 1 of 2", "FMClassifier, attempt 2 of 2"]
    if solver == "lbfgs":
        names = ["FMClassifier"]
    for _ in range(2):
        bars.clear()
        model.fit(X, LABELS)
        assert [bar.desc for bar in bars] == names
        assert [bar.n for bar in bars] == pd.DataFrame(model.attempts_).groupby("attempt").size().tolist()
        assert all(bar.total == 3 for bar in bars)
        assert bars[0].shown["loss"] == f"{model.attempts_['loss'][bars[0].n - 1]:.5g}"
    bars.clear()
    model.set_params(solver="adam").partial_fit(X, LABELS).partial_fit(X, LABELS)
    assert [(bar.desc, bar.n, bar.total) for bar in bars] == [("FMClassifier", 1, 1)] * 2


def test_a_network_shows_its_machine_first(bars):
    make("FNNClassifier", solver="lbfgs", verbose=1).fit(X, LABELS)
    assert [bar.desc for bar in bars] == ["FMClassifier", "FNNClassifier"]


def test_a_training_that_starts_anew_has_a_bar_of_its_own(bars):
    model = make("FMRegressor", solver="sgd", learning_rate=20.0, batch_size=16, verbose=1).fit(X, RAW)
    frames(model)
    n_halvings = round(np.log2(20 / model.history_["learning_rate"][0]))
    assert n_halvings > 1
    names = [f"FMRegressor, learning rate x {0.5**k:.3g}" for k in range(1, n_halvings + 1)]
    assert [bar.desc for bar in bars] == ["FMRegressor", *names]
    assert bars[-1].n == model.n_iter_ == 3


def test_a_fit_that_fails_closes_its_bar(bars):
    with pytest.raises(DivergenceError):
        make("FMRegressor", solver="sgd", learning_rate=1e9, batch_size=16, verbose=1).fit(X, RAW)
    assert len(bars) == 11


def test_lines_name_the_attempt_and_say_which_is_kept(capsys):
    model = make("FMClassifier", **STEPS, verbose=2).fit(X, LABELS)
    *epochs, last = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in epochs] == [
        f"FMClassifier, attempt {attempt} of 2: {epoch}/3" for attempt in (1, 2) for epoch in (1, 2, 3)
    ]
    assert last == f"FMClassifier: attempt {model.plan_['attempt']} of 2 is kept."
    make("FMClassifier", **STEPS).fit(X, LABELS)
    assert capsys.readouterr().out == ""


def test_bars_of_tqdm_end(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    make("FMClassifier", **STEPS, verbose=1).fit(X, LABELS)
    shown = sys.stderr.getvalue()
    for attempt in (1, 2):
        assert f"FMClassifier, attempt {attempt} of 2: 100%|" in shown
    assert shown.count("3/3") == 2
    assert "4/3" not in shown
