"""On many rows networks are trained with batch normalisation too, which held-out rows choose."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

import skfm
from skfm.fitting.plan import Facts, make_plan
from tests.estimators.problems import LABELS, X, make, predictions, target
from tests.fitting.test_plan import facts

NETWORKS = [
    name
    for name in skfm.__all__
    if name.endswith(("Classifier", "Regressor")) and "batch_norm" in getattr(skfm, name)().get_params()
]
STEPS = {"solver": "adam", "batch_size": 32, "early_stopping": True}
# Better or not, the last attempt is kept, or the first.
LAST, FIRST = -100.0, 100.0

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(Increase max_iter|nothing was learned):sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture
def few_are_enough(monkeypatch):
    monkeypatch.setattr("skfm.fitting.plan._ENOUGH_TO_NORMALIZE", 1)


def fit(name, monkeypatch, kept=LAST, **parameters):
    monkeypatch.setattr("skfm.train.minibatch._share_to_gain", lambda problem, prior: kept)
    return make(name, **(STEPS | parameters)).fit(X, target(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_kept_is_what_the_same_parameters_give(name, monkeypatch, few_are_enough):
    """The attempt with batch normalisation is the fit with the parameters that the plan names."""
    # The start from a machine is not that from an estimator.
    start = {"pretrain": False} if name.startswith("FNN") else {}
    found = fit(name, monkeypatch, **start)
    plan = found.plan_
    assert plan["batch_norm"] is True
    assert plan["attempt"] == len(set(found.attempts_["attempt"]))
    penalties = {key: float(value) for key, value in plan.items() if key.startswith("l2_")}
    assert penalties["l2_factors"] == pytest.approx(0.03)
    assert penalties["l2_dense"] == 0
    linear = penalties.get("l2_linear")
    assert linear is None or (linear == pytest.approx(0.03)) == name.startswith("FNN")
    alone = fit(name, monkeypatch, batch_norm=True, init_scale=plan["init_scale"], **start, **penalties)
    assert set(alone.attempts_["attempt"]) == {1}
    np.testing.assert_allclose(predictions(found), predictions(alone), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        found.history_["validation_loss"], alone.history_["validation_loss"], rtol=1e-5
    )
    for copied in (pickle.loads(pickle.dumps(found)), clone(found).fit(X, target(name))):
        np.testing.assert_array_equal(predictions(copied), predictions(found))


@pytest.mark.parametrize("name", ["DeepFMRegressor", "FinalMLPClassifier", "ESMMClassifier"])
def test_where_it_is_no_better_all_is_as_without(name, monkeypatch, few_are_enough):
    with_it = fit(name, monkeypatch, FIRST)
    without = fit(name, monkeypatch, FIRST, batch_norm=False)
    assert with_it.plan_ == without.plan_
    assert with_it.plan_["batch_norm"] is False
    assert max(with_it.attempts_["attempt"]) == max(without.attempts_["attempt"]) + 1
    np.testing.assert_array_equal(predictions(with_it), predictions(without))


@pytest.mark.parametrize("name", ["DeepFMClassifier", "NFMRegressor", "DINClassifier"])
def test_what_goes_on_stays_as_it_is(name, monkeypatch, few_are_enough):
    for kept in (LAST, FIRST):
        found = fit(name, monkeypatch, kept)
        is_normalized = kept == LAST
        monkeypatch.undo()
        later = pickle.loads(pickle.dumps(found))
        later.partial_fit(X, target(name)).partial_fit(X, target(name))
        assert later.plan_["batch_norm"] is is_normalized
        assert later.plan_["l2_factors"] == pytest.approx(found.plan_["l2_factors"], rel=0.3)
        assert np.isfinite(predictions(later)).all()
        warm = found.set_params(warm_start=True).fit(X, target(name))
        assert warm.plan_["batch_norm"] is is_normalized
        if is_normalized:
            # Nor do few rows, of which none are held out, bring another penalty.
            small = warm.set_params(early_stopping="auto").fit(X[:40], target(name)[:40])
            assert (small.plan_["batch_norm"], small.plan_["l2_factors"]) == (True, pytest.approx(0.03))
            assert small.plan_["l2_dense"] == 0
            later = small.partial_fit(X, target(name))
            assert later.plan_["l2_factors"] == pytest.approx(0.03)
        # Tables are taken over alone, and the rows tell what suits them.
        started = make(name, **STEPS, init_from=warm).fit(X, target(name))
        assert started.plan_["batch_norm"] is False
        monkeypatch.setattr("skfm.fitting.plan._ENOUGH_TO_NORMALIZE", 1)


def attempts(name, rows, **parameters):
    return [
        prior.normalizes for prior in make_plan(getattr(skfm, name)(**parameters)._settings(), rows).priors
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_when_it_is_tried(name):
    assert attempts(name, facts(20_000)) == [False, True]
    assert attempts(name, facts(20_000, evidence=1.0)) == [False, False, True]
    assert attempts(name, facts(9_999)) == [False]
    assert not any(attempts(name, facts(1_000)))
    for said in ({"batch_norm": False}, {"l2_factors": 1e-5}, {"early_stopping": False}, {"init_scale": 0.0}):
        assert attempts(name, facts(20_000), **said) == [False]
    assert attempts(name, facts(9_000), batch_norm=True) == [False, True]
    assert attempts(name, facts(9_000), batch_norm=np.True_) == [False, True]
    assert attempts(name, facts(20_000), hidden_layer_sizes=()) == [False]
    assert attempts(name, facts(20_000), hidden_layer_sizes=np.array([8, 4])) == [False, True]


def test_parts_without_a_network_are_not_normalized():
    assert attempts("WideDeepClassifier", facts(20_000), parts="wide") == [False]
    assert attempts("ESMMClassifier", facts(20_000), tower="fm") == [False]


def test_small_rows_have_all_in_one_batch():
    assert isinstance(facts(10), Facts)
    found = make("DeepFMClassifier").fit(X, LABELS)
    assert found.plan_["batch_norm"] is False
    assert found.solver_ == "lbfgs"
