"""L-BFGS tries priors on a part of the rows, and keeps the one that predicts the others best."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

import skfm
from skfm.datasets import load_adult
from skfm.train import lbfgs
from skfm.train.lbfgs import _best_of, _quarters
from tests.estimators.problems import predictions

RNG = np.random.default_rng(0)
N, M = 1200, 30
USER, ITEM = RNG.integers(M, size=(2, 2 * N))
TASTES, TRAITS = RNG.normal(size=(2, M, 2))
ALONE = TASTES[USER, 0] + TRAITS[ITEM, 1]
MATCH = np.einsum("nk,nk->n", TASTES[USER], TRAITS[ITEM])
X = pd.DataFrame({"user": USER.astype(str), "item": ITEM.astype(str)})
NOISE = RNG.normal(size=2 * N)
SEEN, UNSEEN = slice(N), slice(N, None)


def error(model, raw):
    """Mean squared error on other rows, beside the variance that can be explained."""
    return np.square(model.predict(X[UNSEEN]) - raw[UNSEEN]).mean() / raw[UNSEEN].var()


def fit(raw, name="FMRegressor", rows=SEEN, **parameters):
    parameters = {"n_factors": 4, "random_state": 0} | parameters
    y = raw + 0.3 * NOISE if name.endswith("Regressor") else (raw + 0.3 * NOISE > 0).astype(int)
    return getattr(skfm, name)(**parameters).fit(X[rows], y[rows])


@pytest.mark.parametrize("n_rows", [400, 900, 1200])
@pytest.mark.parametrize("name", ["FMRegressor", "FFMRegressor", "FwFMRegressor"])
def test_the_prior_is_near_the_best_of_a_grid(name, n_rows):
    for raw in (ALONE, ALONE + MATCH):
        rows = slice(n_rows)
        chosen = error(fit(raw, name, rows), raw)
        given = 2.0 ** np.arange(0, 9, 2) / n_rows
        best = min(error(fit(raw, name, rows, l2_factors=l2), raw) for l2 in given)
        assert chosen - best < 0.05, (chosen, best)


def test_what_was_tried_is_told():
    match, alone = fit(ALONE + MATCH), fit(ALONE)
    assert match.plan_["attempt"] > 2 >= alone.plan_["attempt"]
    for model in (match, alone):
        tried = pd.DataFrame(model.attempts_)
        # The kept one is that of all rows.
        others = tried[tried["attempt"] != model.plan_["attempt"]].groupby("attempt")
        assert others["validation_loss"].last().notna().all()
        assert len(others) == 4
        assert len(model.history_["loss"]) == model.n_iter_
        assert model.plan_["l2_factors"] == [60, 20, 7, 2.5, 1][model.plan_["attempt"] - 1] / N
    assert match.plan_["l2_linear"] == 1 / N


def test_a_weight_of_two_is_the_row_twice():
    twice = np.repeat(np.arange(400), RNG.integers(1, 3, size=400))
    y = (ALONE + MATCH + 0.3 * NOISE)[: 2 * N]
    estimator = skfm.FMRegressor(n_factors=4, random_state=0)
    repeated = estimator.fit(X.iloc[twice], y[twice])
    expected = repeated.predict(X[UNSEEN])
    weighted = estimator.fit(X[:400], y[:400], sample_weight=np.bincount(twice))
    np.testing.assert_allclose(weighted.predict(X[UNSEEN]), expected, rtol=1e-7)


@pytest.mark.parametrize(
    "weight", [np.ones(103), RNG.integers(1, 9, size=50), RNG.random(200), np.full(200, 1e-3)]
)
def test_copies_of_rows_are_dealt_one_by_one(weight):
    n_copies, quarters = _quarters(weight.astype(float))
    total = sum(quarters)
    assert n_copies == pytest.approx(weight.sum() / min(weight.mean(), 1))
    for kept in quarters:
        assert (kept >= 0).all()
        assert (kept <= weight).all()
        assert kept.sum() == pytest.approx(weight.sum() / 4, rel=0.3)
    if float(weight[0]).is_integer():
        np.testing.assert_array_equal(total, weight)
        assert np.ptp([kept.sum() for kept in quarters]) <= 1
        assert np.abs(4 * np.array(quarters) - weight).max() <= 4


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([[1.0, 1.0, 1.0, 1.0], [0.8, 0.9, 0.8, 0.9], [0.7, 0.8, 0.8, 0.8]], 2),
        # Lower in the mean by less than the standard error, .0125.
        ([[1.0, 1.0, 1.0, 1.0], [0.97, 1.02, 0.97, 1.0]], 0),
        # One quarter is of another opinion, and the mean is clear.
        ([[1.0, 1.0, 1.0, 1.0], [0.8, 1.01, 0.8, 0.8]], 1),
        ([[1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, np.inf]], 0),
        ([[np.inf, 1.0, 1.0, 1.0], [np.inf, 0.5, 0.5, 0.5]], 0),
    ],
)
def test_the_narrowest_prior_that_is_as_good_as_the_best_is_kept(losses, best):
    assert _best_of(dict(enumerate(losses))) == best


@pytest.mark.parametrize("name", ["NFMClassifier", "DeepFMClassifier"])
def test_networks_begin_anew_under_each_prior(name):
    # From other seeds NFM's units die.
    few = {"hidden_layer_sizes": (8,), "random_state": 2}
    model = fit(3 * MATCH, name, **few)
    plan = model.plan_
    assert plan["attempt"] == 2
    given = {
        parameter: plan[parameter] for parameter in ("l2_linear", "l2_factors", "l2_dense", "init_scale")
    }
    by_hand = fit(3 * MATCH, name, **few, **given)
    np.testing.assert_array_equal(predictions(model, X), predictions(by_hand, X))


@pytest.mark.parametrize("n_rows", [160, 250, 800])
@pytest.mark.parametrize("stem", ["DCN", "DeepCrossing", "PNN", "FinalMLP", "FNN"])
def test_networks_without_a_linear_term_learn_no_noise_of_few_rows(stem, n_rows):
    table, y = load_adult(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    seen, unseen = order[:n_rows], order[800:10_000]
    given = {"encoder": skfm.FieldEncoder(min_frequency=3), "hidden_layer_sizes": (32,), "random_state": 0}
    model = getattr(skfm, f"{stem}Classifier")(**given).fit(table.iloc[seen], y.iloc[seen])
    y = (y.iloc[unseen] == model.classes_[1]).to_numpy()
    found = log_loss(y, model.predict_proba(table.iloc[unseen])[:, 1])
    share = found / log_loss(y, np.full(y.size, y.mean()))
    assert share < {160: 0.85, 250: 0.8, 800: 0.75}[n_rows]
    assert model.solver_ == "adagrad"


@pytest.mark.parametrize(
    ("raw", "rows", "n_quarters"), [(ALONE + MATCH, 900, 1), (ALONE, 200, 4), (ALONE, 1100, 1)]
)
def test_other_quarters_are_tried_where_few_rows_leave_a_choice(raw, rows, n_quarters, monkeypatch):
    tried = []

    def counted(*arguments):
        tried.append(arguments)
        return attempt(*arguments)

    attempt = lbfgs._try
    monkeypatch.setattr(lbfgs, "_try", counted)
    fit(raw, rows=slice(rows))
    assert len(tried) == n_quarters


def test_no_prior_is_tried_where_factors_are_to_stay_0():
    model = fit(MATCH, init_scale=0.0)
    assert not model.factors_.any()
    assert set(model.attempts_["attempt"]) == {1}


def test_rows_to_stop_on_leave_the_choice_to_the_others():
    y = ALONE + MATCH + 0.3 * NOISE
    model = skfm.FMRegressor(4, solver="lbfgs", random_state=0)
    model.fit(X[SEEN], y[SEEN], X_val=X[UNSEEN], y_val=y[UNSEEN])
    assert model.plan_["attempt"] == fit(ALONE + MATCH).plan_["attempt"]
    assert error(model, ALONE + MATCH) < error(fit(ALONE + MATCH), ALONE + MATCH) + 0.02


def test_another_fit_starts_from_the_factors_of_the_last():
    raw = ALONE + MATCH
    model = fit(raw, warm_start=True)
    before, n_iter = error(model, raw), model.n_iter_
    model.fit(X[SEEN], (raw + 0.3 * NOISE)[SEEN])
    assert error(model, raw) < before + 0.02
    assert model.n_iter_ < n_iter


def test_all_priors_share_a_program():
    fit(MATCH)
    before = lbfgs_traces()
    fit(ALONE, random_state=1)
    assert lbfgs_traces() == before


def lbfgs_traces():
    from skfm.train import lbfgs

    return lbfgs.n_traces
