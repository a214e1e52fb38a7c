"""How estimators train: epochs, starts, stopping, rates, solvers and interruption."""

import copy
import pickle
import signal

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss, make_scorer, mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV

from skfm import FMClassifier
from skfm.train.loop import descend
from tests.estimators.problems import (
    LABELS,
    NAMES,
    RAW,
    REGRESSORS,
    D,
    N,
    X,
    Y,
    like_partial_fit,
    make,
    predictions,
)
from tests.estimators.problems import target as target_of

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

STEPS = {"batch_size": 32, "early_stopping": False, "learning_rate_schedule": "constant"}
NOISE = np.random.default_rng(3)
# Training labels that say little about the held-out ones: overfitting shows soon.
NOISY = np.where(NOISE.random(N) < 0.4, 1 - LABELS, LABELS)
X_VAL = np.where(NOISE.random((N, D)) < 0.5, NOISE.permutation(X), 0)
Y_VAL = np.where(NOISE.random(N) < 0.3, 1, (X_VAL[:, 0] * X_VAL[:, 1] - X_VAL[:, 2] > 0).astype(int))


# -- partial_fit and warm starts ---------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adagrad", "adam", "ftrl", "sgd"])
@pytest.mark.parametrize("name", ["LinearClassifier", "FMRegressor"])
def test_epochs_of_fit_are_calls_of_partial_fit(name, solver):
    settings = {"solver": solver, **STEPS, **like_partial_fit(name)}
    whole = make(name, **settings).fit(X, target_of(name))
    steps = make(name, **settings)
    seen = []
    for _ in range(3):
        seen.append(predictions(steps.partial_fit(X, target_of(name))))
    np.testing.assert_array_equal(seen[-1], predictions(whole))
    assert not np.array_equal(seen[-1], seen[-2])
    assert steps.n_iter_ == whole.n_iter_ == 3
    assert steps.history_["loss"] == whole.history_["loss"]
    assert steps.history_["learning_rate"] == whole.history_["learning_rate"]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("Linear")])
@pytest.mark.parametrize("more", [{}, {"batch_size": 256}, {"learning_rate_schedule": "cosine"}])
def test_partial_fit_of_every_model(name, more):
    settings = {"solver": "adam", **STEPS, **like_partial_fit(name), **more}
    if name == "DeepFMClassifier":
        settings |= {"dropout": 0.3, "batch_norm": True}
    whole = make(name, **settings).fit(X, target_of(name))
    steps = make(name, **settings)
    for _ in range(3):
        steps.partial_fit(X, target_of(name))
    np.testing.assert_array_equal(predictions(steps), predictions(whole))


def test_partial_fit_knows_classes_and_columns_to_come():
    first, last = np.flatnonzero(LABELS == 0), np.flatnonzero(LABELS == 1)
    narrow = X.copy()
    narrow[first, 5] = 0
    model = make("FMClassifier", solver="adam", batch_size=32)
    model.partial_fit(narrow[first], LABELS[first], classes=[0, 1])
    np.testing.assert_array_equal(model.classes_, [0, 1])
    assert model.coef_[0, 5] == 0
    model.partial_fit(narrow[last], LABELS[last])
    assert model.coef_[0, 5] != 0
    assert model.n_iter_ == 2


@pytest.mark.parametrize("solver", ["adam", "auto"])
def test_partial_fit_goes_on_from_fit(solver):
    model = make("FMRegressor", solver=solver, max_iter=20).fit(X, Y)
    before, n_iter = r2_score(Y, model.predict(X)), model.n_iter_
    model.set_params(solver="adam").partial_fit(X, Y)
    assert model.n_iter_ == n_iter + 1
    after = r2_score(Y, model.predict(X))
    assert abs(after - before) < 0.05
    fresh = make("FMRegressor", solver="adam").partial_fit(X, Y)
    assert not np.array_equal(fresh.predict(X), model.predict(X))


@pytest.mark.parametrize("name", NAMES)
def test_warm_start_goes_on(name):
    y = target_of(name)
    # Weak penalties, so that the recorded data term falls as the objective does.
    settings = {"solver": "lbfgs", "max_iter": 3, "l2_linear": 1e-3}
    cold = make(name, **settings).fit(X, y)
    warm = make(name, warm_start=True, **settings).fit(X, y)
    np.testing.assert_array_equal(predictions(warm), predictions(cold))
    first = warm.history_["loss"][-1]
    warm.fit(X, y)
    assert warm.history_["loss"][0] <= first * (1 + 1e-3) + 1e-6
    assert warm.history_["loss"][0] < cold.history_["loss"][0]
    again = cold.fit(X, y)
    assert again.history_["loss"][0] > first


# -- init_from ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine():
    return make("FMClassifier", max_iter=30).fit(X, LABELS)


def test_init_from_a_machine_starts_a_deepfm(machine):
    model = make("DeepFMClassifier", init_from=machine, solver="sgd", learning_rate=1e-12, max_iter=1)
    model.fit(X, LABELS)
    np.testing.assert_allclose(model.factors_, machine.factors_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.coef_, machine.coef_, rtol=1e-6, atol=1e-9)


def test_init_from_a_machine_starts_every_expert(machine):
    model = make("MixtureFMClassifier", init_from=machine, solver="sgd", learning_rate=1e-12, max_iter=1)
    model.fit(X, LABELS)
    for expert in range(2):
        np.testing.assert_allclose(model.expert_factors_[expert], machine.factors_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(model.expert_coef_[expert], machine.coef_, rtol=1e-6, atol=1e-9)


def test_init_from_leaves_its_source_alone(machine):
    expected = predictions(machine)
    make("FMClassifier", init_from=machine, solver="adam").fit(X, LABELS)
    np.testing.assert_array_equal(predictions(machine), expected)


def test_init_from_needs_a_fitted_skfm_estimator_of_the_same_shape(machine):
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(ValueError, match="not fitted"):
        make("DeepFMClassifier", init_from=make("FMClassifier")).fit(X, LABELS)
    foreign = LogisticRegression().fit(X, LABELS)
    with pytest.raises(ValueError, match="fitted skfm estimator"):
        make("DeepFMClassifier", init_from=foreign).fit(X, LABELS)
    with pytest.raises(ValueError, match="n_factors"):
        make("DeepFMClassifier", init_from=machine, n_factors=5).fit(X, LABELS)
    with pytest.raises(ValueError, match="columns"):
        make("DeepFMClassifier", init_from=machine).fit(X[:, :4], LABELS)


# -- early stopping ----------------------------------------------------------------------------------


def mean_probability_given(estimator, X, y, sample_weight=None):
    """A callable scorer: mean probability given to the true class."""
    return float(np.mean(estimator.predict_proba(X)[np.arange(len(y)), y]))


@pytest.mark.parametrize(
    ("scoring", "score"),
    [
        ("roc_auc", lambda model: roc_auc_score(Y_VAL, model.predict_proba(X_VAL)[:, 1])),
        ("neg_log_loss", lambda model: -log_loss(Y_VAL, model.predict_proba(X_VAL))),
        (mean_probability_given, lambda model: mean_probability_given(model, X_VAL, Y_VAL)),
    ],
)
def test_the_best_weights_by_the_score_are_restored(scoring, score):
    model = make(
        "FMClassifier", solver="adam", learning_rate=0.1, batch_size=32, scoring=scoring, max_iter=40
    )
    model.set_params(learning_rate_schedule="constant", n_iter_no_change=4, init_scale=0.5)
    model.fit(X, NOISY, X_val=X_VAL, y_val=Y_VAL)
    scores = model.history_["validation_score"]
    assert max(scores) > scores[-1]
    assert len(scores) == len(model.history_["validation_loss"]) == model.n_iter_ < 40
    np.testing.assert_allclose(score(model), max(scores), rtol=1e-6)


def test_the_best_weights_by_the_loss_are_restored():
    model = make("FMClassifier", solver="adam", learning_rate=0.1, batch_size=32, max_iter=40)
    model.fit(X, NOISY, X_val=X_VAL, y_val=Y_VAL)
    losses = model.history_["validation_loss"]
    assert "validation_score" not in model.history_
    assert min(losses) < max(losses)
    np.testing.assert_allclose(log_loss(Y_VAL, model.predict_proba(X_VAL)), min(losses), rtol=1e-5)


def test_lbfgs_restores_the_best_weights_too():
    model = make("FMClassifier", solver="lbfgs", l2_factors=0.0, l2_linear=0.0, init_scale=0.5, max_iter=60)
    model.fit(X, NOISY, X_val=X_VAL, y_val=Y_VAL)
    losses = model.history_["validation_loss"]
    assert min(losses) < losses[-1]
    np.testing.assert_allclose(log_loss(Y_VAL, model.predict_proba(X_VAL)), min(losses), rtol=1e-9)


@pytest.mark.parametrize("scoring", ["r2", make_scorer(mean_absolute_error, greater_is_better=False)])
def test_scores_of_a_regressor_are_in_units_of_y(scoring):
    model = make(
        "FMRegressor", solver="adam", learning_rate=0.05, batch_size=32, scoring=scoring, max_iter=10
    )
    y_val = 3 * (X_VAL[:, 0] * X_VAL[:, 1] - X_VAL[:, 2]) + 10
    model.fit(X, Y, X_val=X_VAL, y_val=y_val)
    predicted = model.predict(X_VAL)
    expected = r2_score(y_val, predicted) if scoring == "r2" else -mean_absolute_error(y_val, predicted)
    np.testing.assert_allclose(max(model.history_["validation_score"]), expected, rtol=1e-6)


def test_rows_are_held_out_only_when_asked():
    asked = make("FMClassifier", solver="adam", early_stopping=True, validation_fraction=0.25)
    asked.fit(X, LABELS)
    assert "validation_loss" in asked.history_
    plain = make("FMClassifier", solver="adam", early_stopping=False).fit(X, LABELS)
    assert "validation_loss" not in plain.history_
    off = make("FMClassifier", solver="adam", early_stopping=False)
    off.fit(X, LABELS, X_val=X_VAL, y_val=Y_VAL)
    np.testing.assert_array_equal(predictions(off), predictions(plain))


@pytest.mark.filterwarnings("ignore:.*nothing was learned:sklearn.exceptions.ConvergenceWarning")
def test_training_stops_where_nothing_improves():
    settings = {"solver": "adam", "tol": 10.0, "n_iter_no_change": 2, "max_iter": 50}
    constant = make("FMClassifier", learning_rate_schedule="constant", **settings)
    assert constant.fit(X, LABELS).n_iter_ == 3
    settings["early_stopping"] = False
    never = make("FMClassifier", learning_rate_schedule="constant", **settings)
    assert never.fit(X, LABELS).n_iter_ == 50


# -- rates and solvers -------------------------------------------------------------------------------


def rates(**parameters):
    settings = {"solver": "adam", "learning_rate": 0.04, "batch_size": 32, "max_iter": 4} | parameters
    return make("FMClassifier", **settings).fit(X, LABELS).history_["learning_rate"]


def test_constant_rate():
    np.testing.assert_allclose(rates(learning_rate_schedule="constant"), [0.04] * 4)


def test_cosine_rate_falls_to_zero():
    expected = 0.02 * (1 + np.cos(np.pi * np.arange(4) / 4))
    np.testing.assert_allclose(rates(learning_rate_schedule="cosine"), expected)


def test_plateau_cuts_the_rate_tenfold_twice():
    seen = rates(learning_rate_schedule="plateau", tol=10.0, n_iter_no_change=1, max_iter=50)
    np.testing.assert_allclose(seen, [0.04, 0.04, 0.004, 0.0004])


def test_optax_schedule_replaces_the_rate():
    # Two batches an epoch.
    schedule = optax.exponential_decay(0.2, transition_steps=2, decay_rate=0.5)
    np.testing.assert_allclose(rates(learning_rate_schedule=schedule), [0.2, 0.1, 0.05, 0.025], rtol=1e-6)


def test_the_rate_matters():
    slow = make("FMClassifier", solver="sgd", learning_rate=1e-6, **STEPS).fit(X, LABELS)
    fast = make("FMClassifier", solver="sgd", learning_rate=0.1, **STEPS).fit(X, LABELS)
    assert fast.history_["loss"][-1] < slow.history_["loss"][-1] - 0.01


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda step: 0.1 if step < 5 else 0.01, r"fails at step 0: Tracer.*where\(step < 5"),
        (lambda step: "x", "fails at step 0: TypeError"),
        (lambda step: None, "fails at step 0: TypeError: it gives none for each step, and not one number"),
        (lambda step: jnp.ones(2), r"fails at step 0: TypeError: it gives an array of shape \(2,\)"),
        (lambda: 0.1, "fails at step 0: TypeError.*takes 0 positional arguments"),
        (lambda step: float("nan"), "gives nan at step 0; rates are finite"),
        (lambda step: -0.1, "gives -0.1 at step 0; rates are finite"),
        (lambda step: 1e-3 * (2.0 - step), "gives -0.001 at step 3; rates are finite"),
    ],
)
def test_a_schedule_that_gives_no_rate_is_named(schedule, message):
    model = make("FMClassifier", solver="adam", batch_size=16, learning_rate_schedule=schedule)
    with pytest.raises(ValueError, match=f"^learning_rate_schedule=<function .*{message}"):
        model.fit(X, LABELS)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda step: jnp.where(step < 5, 0.1, 0.01), [0.1] * 5 + [0.01] * 2),
        (optax.piecewise_constant_schedule(0.1, {5: 0.1}), [0.1] * 5 + [0.01] * 2),
        (lambda step: jnp.clip(0.1 - 0.05 * step, 0), [0.1, 0.05] + [0] * 5),
    ],
)
def test_schedules_with_conditions_and_bounds(schedule, expected):
    """As messages about schedules that fail say."""
    settings = {"solver": "adam", "batch_size": N, "max_iter": 7, "early_stopping": False}
    model = make("FMClassifier", learning_rate_schedule=schedule, **settings).fit(X, LABELS)
    np.testing.assert_allclose(model.history_["learning_rate"], expected, rtol=1e-5, atol=1e-8)


def test_optax_solver():
    free = {"l2_linear": 0.0, "l2_factors": 0.0}
    named = make("FMRegressor", solver="sgd", learning_rate=0.05, **STEPS, **free).fit(X, Y)
    own = make("FMRegressor", solver=optax.sgd(0.05, momentum=0.9), **STEPS, **free).fit(X, Y)
    assert own.history_["learning_rate"] == [1.0] * 3
    np.testing.assert_allclose(own.predict(X), named.predict(X), rtol=1e-4)
    other = make("FMRegressor", solver=optax.rmsprop(0.05), **STEPS, **free).fit(X, Y)
    assert other.history_["loss"][-1] < other.history_["loss"][0]
    assert not np.allclose(other.predict(X), own.predict(X), rtol=1e-4)


@pytest.mark.parametrize("name", ["LinearRegressor", "LinearClassifier"])
def test_l1_gives_exact_zeros(name):
    y = X[:, 0] * 5 if name in REGRESSORS else (X[:, 0] > 0.5).astype(int)
    weak = make(name, solver="ftrl", l1_linear=0.0, max_iter=30, batch_size=32).fit(X, y)
    strong = make(name, solver="ftrl", l1_linear=0.08, max_iter=30, batch_size=32).fit(X, y)
    assert (weak.coef_ != 0).all()
    assert np.ravel(strong.coef_)[0] != 0
    assert (np.ravel(strong.coef_)[1:] == 0).sum() >= 3
    auto = make(name, l1_linear=0.08).fit(X, y)
    assert auto.solver_ == "ftrl"


def test_auto_solver():
    assert make("FMClassifier").fit(X, LABELS).solver_ == "lbfgs"
    assert make("FMClassifier").partial_fit(X, LABELS).solver_ == "adagrad"
    assert make("FMClassifier", l1_linear=0.01).fit(X, LABELS).solver_ == "adagrad"
    assert make("DeepFMClassifier").fit(X, LABELS).solver_ == "lbfgs"


@pytest.mark.parametrize("noise", [{"dropout": 0.5}, {"batch_norm": True}])
def test_noisy_networks_take_mini_batches(noise):
    assert make("DeepFMClassifier", **noise).fit(X, LABELS).solver_ == "adagrad"
    with pytest.raises(ValueError, match="solver='lbfgs' cannot train dropout or batch normalisation"):
        make("DeepFMClassifier", solver="lbfgs", **noise).fit(X, LABELS)


def precision_of(model):
    return model._learned.parameters.table.dtype


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32])
def test_forced_precision(solver, dtype):
    model = make("FMRegressor", solver=solver, dtype=dtype, batch_size=32).fit(X, Y)
    assert precision_of(model) == np.dtype(dtype)
    # Attributes that columns' units were taken out of, which may be of any size.
    assert model.factors_.dtype == np.float64


def test_auto_precision():
    assert precision_of(make("FMRegressor", solver="adam", batch_size=32).fit(X, Y)) == np.float32
    assert precision_of(make("FMRegressor", solver="adam", batch_size=64).fit(X, Y)) == np.float64
    assert precision_of(make("FMRegressor").fit(X, Y)) == np.float64


def test_the_precisions_agree():
    low = make("FMRegressor", solver="adam", dtype="float32", **STEPS).fit(X, Y)
    high = make("FMRegressor", solver="adam", dtype="float64", **STEPS).fit(X, Y)
    unlike = np.abs(low.predict(X) - high.predict(X)).max()
    assert unlike < 1.0


# -- what may go wrong on the way --------------------------------------------------------------------


def test_divergence_names_the_rate_and_keeps_the_earlier_fit():
    model = make("FMRegressor").fit(X, Y)
    expected, n_iter = predictions(model), model.n_iter_
    model.set_params(solver="sgd", learning_rate=1e30, batch_size=32, max_iter=20)
    with pytest.raises(ValueError, match="learning_rate") as caught:
        model.fit(X, Y)
    assert "diverged" in str(caught.value)
    np.testing.assert_array_equal(predictions(model), expected)
    assert model.n_iter_ == n_iter
    assert model.solver_ == "lbfgs"


@pytest.mark.filterwarnings("ignore:.*nothing was learned:sklearn.exceptions.ConvergenceWarning")
def test_a_rate_that_is_a_little_too_large_is_lowered():
    model = make("LinearRegressor", solver="sgd", learning_rate=40.0, batch_size=32, max_iter=20)
    model.fit(100 * X, Y)
    assert max(model.history_["learning_rate"]) < 40.0
    assert np.isfinite(model.predict(100 * X)).all()


class Interrupt:
    """A scorer that stands for Ctrl-C in its third call."""

    def __init__(self):
        self.scores = []

    def __call__(self, estimator, X, y, sample_weight=None):
        if len(self.scores) == 2:
            raise KeyboardInterrupt
        self.scores.append([1.0, 0.5][len(self.scores)])
        return self.scores[-1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_interruption_keeps_the_best_weights(solver):
    settings = {"solver": solver, "batch_size": 32, "max_iter": 20}
    model = make("FMClassifier", scoring=Interrupt(), **settings)
    with pytest.raises(KeyboardInterrupt, match="Interrupted after epoch"):
        model.fit(X, LABELS, X_val=X_VAL, y_val=Y_VAL)
    # The first epoch had the best score.
    one = make("FMClassifier", scoring=lambda *args, **kwargs: 1.0, **(settings | {"max_iter": 1}))
    one.fit(X, LABELS, X_val=X_VAL, y_val=Y_VAL)
    np.testing.assert_array_equal(predictions(model), predictions(one))


class CtrlC:
    """A scorer during whose first call Ctrl-C is pressed."""

    def __init__(self):
        self.calls = 0

    def __call__(self, estimator, X, y, sample_weight=None):
        self.calls += 1
        if self.calls == 1:
            signal.raise_signal(signal.SIGINT)
        return 1.0


@pytest.fixture
def default_interrupts():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_one_interruption_ends_a_search(solver, default_interrupts):
    scoring = CtrlC()
    model = make("FMClassifier", scoring=scoring, solver=solver, early_stopping=True, batch_size=32)
    search = GridSearchCV(model, {"n_factors": [1, 2]}, cv=2, error_score=0.0)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, LABELS)
    assert not hasattr(search, "best_score_")


@pytest.mark.parametrize("name", ["FMRegressor", "ESMMClassifier", "MixtureFMClassifier", "DINClassifier"])
def test_an_estimator_fitted_alone_is_usable_after_an_interruption(name, default_interrupts):
    target = RAW if name == "FMRegressor" else LABELS
    model = make(name, scoring=CtrlC(), solver="adam", early_stopping=True, batch_size=32)
    with pytest.raises(KeyboardInterrupt, match=f"the {name} keeps the best weights"):
        model.fit(X, target)
    assert model.n_iter_ == 1
    assert np.isfinite(predictions(model)).all()


def test_an_interrupted_pretraining_leaves_no_network(default_interrupts):
    model = make("FNNClassifier", scoring=CtrlC(), solver="adam", early_stopping=True, batch_size=32)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS)
    assert not hasattr(model, "n_iter_")


def test_an_interrupted_chunk_changes_nothing(monkeypatch):
    model = make("FMClassifier", solver="adam").partial_fit(X, LABELS)
    before = predictions(model)

    def interrupted(*args, **kwargs):
        progress = descend(*args, **kwargs)
        progress.interrupted = True
        return progress

    monkeypatch.setattr("skfm.train.minibatch.descend", interrupted)
    with pytest.raises(KeyboardInterrupt, match="as it was before this call"):
        model.partial_fit(X, LABELS)
    np.testing.assert_array_equal(predictions(model), before)


@pytest.mark.parametrize(("solver", "n"), [("adam", 3), ("lbfgs", 3)])
def test_verbose_prints_a_line_an_epoch(solver, n, capsys):
    make("FMClassifier", solver=solver, batch_size=32, verbose=2).fit(X, LABELS)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"FMClassifier {i}/3" for i in range(1, n + 1)]
    assert all("loss " in line for line in lines)
    make("FMClassifier", solver=solver, batch_size=32).fit(X, LABELS)
    assert capsys.readouterr().out == ""


def test_history_has_an_entry_an_epoch():
    model = make("FMRegressor", solver="adam", batch_size=32).fit(X, RAW)
    assert {name: len(values) for name, values in model.history_.items()} == dict.fromkeys(
        ("attempt", "epoch", "loss", "learning_rate", "time"), 3
    )


def test_the_plan_shows_what_auto_stands_for():
    model = make("FMClassifier").fit(X, LABELS)
    assert 1 / 16 <= N * model.plan_["l2_linear"] <= 1024
    assert model.plan_ == {
        "solver": "lbfgs",
        "dtype": "float64",
        "n_held_out": 0,
        "attempt": 1,
        "l2_linear": model.plan_["l2_linear"],
        "l2_factors": 20 / N,
        "init_scale": 0.1,
    }
    given = {"solver": "adam", "learning_rate": 0.3, "l2_factors": 0.5, "batch_size": 7}
    assert given.items() <= make("FMClassifier", **given).fit(X, LABELS).plan_.items()
    assert "l2_factors" not in make("LinearRegressor").fit(X, Y).plan_
    held = make("FMClassifier", solver="adam", early_stopping=True, validation_fraction=0.25).fit(X, LABELS)
    assert held.plan_["n_held_out"] == N // 4


@pytest.mark.parametrize("name", ["FMRegressor", "WideDeepRegressor", "MixtureFMRegressor"])
@pytest.mark.parametrize(
    "settings", [{}, {"solver": "adagrad"}, {"solver": "adagrad", "early_stopping": True}]
)
def test_a_fit_with_the_plan_is_the_same_fit(name, settings):
    model = make(name, **settings).fit(X, Y)
    plan = {key: value for key, value in model.plan_.items() if key in model.get_params()}
    again = make(name, **settings).set_params(**plan).fit(X, Y)
    np.testing.assert_allclose(predictions(again), predictions(model), rtol=1e-6)


def test_a_scorer_sees_the_estimator():
    seen = []

    def score(estimator, held_out, y):
        seen.append(
            (type(estimator).__name__, estimator.n_features_in_, estimator.l2_factors, held_out.shape)
        )
        assert isinstance(estimator, FMClassifier)
        assert estimator.predict_proba(held_out).shape == (len(y), 2)
        return estimator.score(held_out, y)

    model = make("FMClassifier", solver="adam", early_stopping=True, l2_factors=0.25, scoring=score)
    model.fit(X, LABELS)
    assert set(seen) == {("FMClassifier", D, 0.25, (7, D))}
    assert len(model.history_["validation_score"]) == len(seen)


def test_what_a_fit_has_learned_is_not_changed_from_outside():
    model = make("FMRegressor", solver="adam").fit(X, Y)
    model.history_["loss"].clear()
    model.history_.clear()
    assert len(model.history_["loss"]) == 3


@pytest.mark.parametrize("changed", [{"n_factors": 5}, {"fit_linear": False}, {"degree": 3}])
def test_parameters_that_change_the_model_between_calls_are_refused(changed):
    model = make("FMRegressor").partial_fit(X, Y)
    expected = model.predict(X)
    with pytest.raises(ValueError, match=rf"parameters have changed it since \({next(iter(changed))} "):
        model.set_params(**changed).partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_parameters_of_networks_that_were_changed_are_named():
    model = make("DeepFMClassifier", dropout=0.1).partial_fit(X, LABELS)
    model.set_params(dropout=0.0).partial_fit(X, LABELS)
    with pytest.raises(ValueError, match=r"changed it since \(hidden_layer_sizes \(4,\) -> \(5,\)\)\. Set"):
        model.set_params(hidden_layer_sizes=(5,)).partial_fit(X, LABELS)


@pytest.mark.parametrize(
    "changed",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (4, 4)},
        {"batch_norm": True},
        {"fit_intercept": False},
    ],
)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_dense_weights_of_another_network_are_refused(call, changed):
    model = make("DeepFMClassifier", solver="adam", warm_start=True).fit(X, LABELS)
    expected = predictions(model)
    name = next(iter(changed))
    with pytest.raises(ValueError, match=rf"parameters have changed it since \({name} "):
        getattr(model.set_params(**changed), call)(X, LABELS)
    np.testing.assert_array_equal(predictions(model), expected)


def test_the_same_solver_by_another_name_goes_on():
    model = make("WideDeepClassifier").partial_fit(X, LABELS)
    model.set_params(wide_solver="adagrad", solver="adagrad").partial_fit(X, LABELS)
    own = make("WideDeepClassifier", wide_solver="ftrl").partial_fit(X, LABELS)
    assert own.set_params(wide_solver="auto").partial_fit(X, LABELS).wide_solver_ == "ftrl"


def look_at_training(estimator, held_out, y):
    with pytest.raises(AttributeError, match="in training"):
        estimator.coef_  # noqa: B018
    with pytest.raises(AttributeError, match="in training"):
        estimator.intercept_  # noqa: B018
    with pytest.raises(AttributeError, match="in training"):
        estimator.transform(held_out)
    with pytest.raises(ValueError, match="held-out rows that it is given, and of no others"):
        estimator.predict(held_out[::-1])
    return estimator.score(held_out.toarray(), y)


def test_an_estimator_in_training_tells_what_is_not_known():
    model = make("FMClassifier", solver="adam", early_stopping=True, scoring=look_at_training)
    assert len(model.fit(X, LABELS).history_["validation_score"]) == 3


def score_of_copies(estimator, held_out, y):
    expected = estimator.predict_proba(held_out)
    for copied in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator), copy.copy(estimator)):
        assert copied.get_params() == estimator.get_params()
        np.testing.assert_array_equal(copied.predict_proba(held_out), expected)
        with pytest.raises(ValueError, match="in training"):
            copied.predict(held_out[::-1])
    return estimator.score(held_out, y)


def score_of_clones(estimator, held_out, y):
    for cloned in (clone(estimator), type(estimator)(**estimator.get_params())):
        assert type(cloned) is FMClassifier
        assert cloned.get_params() == estimator.get_params()
        with pytest.raises(NotFittedError):
            cloned.predict(held_out)
        cloned.set_params(scoring="loss", solver="lbfgs").fit(held_out, y)
        known = make("FMClassifier", solver="lbfgs", early_stopping=True).fit(held_out, y)
        np.testing.assert_array_equal(cloned.predict_proba(held_out), known.predict_proba(held_out))
    return estimator.score(held_out, y)


@pytest.mark.parametrize("score", [score_of_copies, score_of_clones])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_scorer_may_copy_the_estimator(solver, score):
    settings = {"solver": solver, "early_stopping": True}
    model = make("FMClassifier", scoring=score, **settings).fit(X, LABELS)
    known = make("FMClassifier", scoring="accuracy", **settings).fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_proba(X), known.predict_proba(X))


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_scorer_may_not_fit_the_estimator(call):
    def score(estimator, held_out, y):
        return getattr(estimator, call)(held_out, y).score(held_out, y)

    model = make("FMClassifier", solver="adam", early_stopping=True, scoring=score)
    with pytest.raises(
        RuntimeError, match=r"is in training, .* Fit a clone .*sklearn\.base\.clone\(estimator\)"
    ):
        model.fit(X, LABELS)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_weights_on_another_scale_of_the_target_are_refused(call):
    # After fit partial_fit starts the optimizer anew.
    model = make("FMRegressor", solver="adam", warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"SquaredError\(\), and Poisson\(\) takes targets on another scale"):
        getattr(model.set_params(loss="poisson"), call)(X, np.abs(Y))


def test_warm_start_with_another_number_of_outputs_is_refused():
    model = make("FMRegressor", warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"y has 2 outputs, and the weights to go on from .* of 1 output\."):
        model.fit(X, np.column_stack([Y, Y]))
