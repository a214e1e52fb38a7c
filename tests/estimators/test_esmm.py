"""Clicks and conversions after them: what is learned, predicted and refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from skfm import ESMMClassifier
from skfm.metrics import make_task_scorer
from skfm.names import TOWERS
from skfm.train import step
from tests.estimators.problems import LABELS, N, X

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(Increase max_iter|nothing was learned):sklearn.exceptions.ConvergenceWarning"
)

BUYS = np.column_stack([LABELS, LABELS & (X[:, 4] > 0)])
SMALL = {"n_factors": 3, "hidden_layer_sizes": (4,), "max_iter": 5, "init_scale": 0.1, "random_state": 0}


def esmm(**settings):
    return ESMMClassifier(**(SMALL | settings))


def test_towers_are_those_that_are_named():
    assert set(esmm()._towers(2, 1)) == set(TOWERS)


@pytest.mark.parametrize("tower", TOWERS)
def test_towers(tower):
    model = esmm(tower=tower, max_iter=60, l2_factors=1e-2, l2_dense=1e-2).fit(X, BUYS)
    proba = model.predict_proba(X)
    assert proba.shape == (N, 3)
    assert_allclose(proba[:, 2], proba[:, 0] * proba[:, 1], rtol=1e-12)
    assert_allclose(np.log(proba), model.predict_log_proba(X), rtol=1e-7, atol=1e-12)
    assert_array_equal(model.predict(X), proba[:, [0, 2]] > 0.5)
    assert_allclose(expit(model.decision_function(X)), proba[:, [0, 2]], rtol=1e-6)
    assert roc_auc_score(BUYS[:, 0], proba[:, 0]) > 0.9
    assert roc_auc_score(BUYS[:, 1], proba[:, 2]) > 0.85
    assert model.intercept_.shape == (2,)
    assert model.factors_.shape == (X.shape[1], 3)
    # With one column of y a tower is an ordinary classifier.
    alone = esmm(tower=tower).fit(X, LABELS)
    assert alone.predict_proba(X).shape == (N, 2)
    assert set(alone.predict(X)) <= {0, 1}


def test_without_features_the_shares_of_y_are_predicted():
    model = esmm(tower="fm", max_iter=200, tol=1e-6).fit(np.zeros((N, 1)), BUYS)
    share = BUYS.mean(axis=0)
    assert_allclose(
        model.predict_proba(np.zeros((1, 1)))[0], [share[0], share[1] / share[0], share[1]], rtol=1e-3
    )


def test_balanced_classes_and_task_weights():
    """Constant predictions know the answer: weighted shares."""
    none = np.zeros((N, 1))
    weights = [{0: 1.0, 1: 3.0}, {1: 5.0}]
    model = esmm(tower="fm", max_iter=200, tol=1e-6, class_weight=weights, task_weights=(2, 0.5)).fit(
        none, BUYS
    )
    click, both = BUYS.sum(axis=0)
    expected = 3 * click / (3 * click + N - click), 5 * both / (5 * both + N - both)
    assert_allclose(model.predict_proba(none[:1])[0, [0, 2]], expected, rtol=2e-2)
    balanced = esmm(tower="fm", max_iter=200, tol=1e-6, class_weight="balanced").fit(none, BUYS)
    assert balanced.predict_proba(none[:1])[0, 0] > click / N
    rare = np.flatnonzero(BUYS[:, 1])[:3]
    held = {"X_val": X[rare], "y_val": BUYS[rare]}
    steps = {"class_weight": "balanced", "max_iter": 1, "solver": "adam"}
    # Held-out rows are balanced by themselves, and have no say in training.
    assert_array_equal(
        esmm(**steps, early_stopping=True).fit(X, BUYS, **held).coef_,
        esmm(**steps, early_stopping=False).fit(X, BUYS).coef_,
    )
    alone = esmm(task_weights=(1, 0), max_iter=30).fit(X, BUYS)
    # Nothing teaches the tower of conversions but its penalty.
    assert np.abs(alone.coef_[1]).max() < 1e-3 < np.abs(alone.coef_[0]).max()


def test_weights_of_rows_and_of_tasks():
    weight = np.random.default_rng(1).integers(0, 3, N)
    repeated = np.repeat(np.arange(N), weight)
    expected = esmm().fit(X[repeated], BUYS[repeated]).predict_proba(X)
    assert_allclose(esmm().fit(X, BUYS, sample_weight=weight).predict_proba(X), expected, rtol=1e-6)
    both = esmm().fit(X, BUYS, sample_weight=np.column_stack([weight, weight])).predict_proba(X)
    assert_allclose(both, expected, rtol=1e-6)
    unlike = esmm().fit(X, BUYS, sample_weight=np.column_stack([weight, np.ones(N)])).predict_proba(X)
    assert np.abs(unlike - expected).max() > 1e-4
    fixed = {"l2_linear": 1e-2, "l2_factors": 1e-2, "l2_dense": 1e-2}
    twice = esmm(**fixed).fit(X, BUYS, sample_weight=np.tile([2.0, 1.0], (N, 1))).predict_proba(X)
    named = esmm(**fixed, task_weights=(4 / 3, 2 / 3)).fit(X, BUYS).predict_proba(X)
    assert_allclose(twice, named, rtol=1e-5)


def test_conversions_are_learned_on_all_rows():
    """The loss, by hand: that of a click, and that of a click with a conversion."""
    model = esmm(max_iter=1, early_stopping=False).fit(X, BUYS)
    proba = model.predict_proba(X)
    y, p = BUYS.astype(float), proba[:, [0, 2]]
    expected = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=1).mean()
    raw = model._raw_predict(X)
    targets = np.concatenate([y, np.ones_like(y)], axis=1)
    assert_allclose(model._learned.loss.value(targets, raw).mean(), expected, rtol=1e-9)


def test_mini_batches_partial_fit_stopping_and_warm_start():
    # The first call of partial_fit cannot choose a prior by all rows.
    steps = {"solver": "adam", "batch_size": 16, "l2_linear": 0.01}
    whole = esmm(**steps, early_stopping=False).fit(X, BUYS)
    assert_allclose(esmm(**steps, early_stopping=False).fit(X, BUYS).predict_proba(X), whole.predict_proba(X))
    parts = esmm(**steps)
    for _ in range(5):
        parts.partial_fit(X, BUYS)
    assert_allclose(parts.predict_proba(X), whole.predict_proba(X), rtol=1e-5)
    stopped = esmm(**steps, early_stopping=True, scoring="roc_auc").fit(X, BUYS)
    assert len(stopped.history_["validation_score"]) > 0
    assert esmm(warm_start=True).fit(X, BUYS).fit(X, BUYS).predict(X).shape == (N, 2)
    noisy = esmm(dropout=0.5, batch_norm=True).fit(X, BUYS)
    assert np.isfinite(noisy.predict_proba(X)).all()


def test_weights_of_tasks_and_classes_share_a_program():
    steps = {"solver": "adam", "batch_size": 16, "max_iter": 1}
    esmm(**steps).fit(X, BUYS)
    before = step.n_traces
    for weights in (
        {"task_weights": (1, 2)},
        {"class_weight": "balanced"},
        {"class_weight": [{0: 2}, {1: 3}]},
    ):
        esmm(**steps, **weights).fit(X, BUYS)
    assert step.n_traces == before


def test_a_grid_search_for_each_task():
    rows = np.tile(X, (3, 1)), np.tile(BUYS, (3, 1))
    scoring = {task: make_task_scorer(task) for task in ("click", "conversion", "click_conversion")}
    search = GridSearchCV(
        esmm(), {"l2_linear": [1e-3, 1e-1]}, scoring=scoring, refit="click_conversion", cv=2
    )
    search.fit(*rows)
    for task, column in (("click", 0), ("click_conversion", 2)):
        assert 0 < search.cv_results_[f"mean_test_{task}"][0] <= 1
        known = roc_auc_score(BUYS[:, column // 2], search.predict_proba(X)[:, column])
        assert_allclose(scoring[task](search.best_estimator_, X, BUYS), known)
    clicked = BUYS[:, 0] == 1
    known = roc_auc_score(BUYS[clicked, 1], search.predict_proba(X)[clicked, 1])
    assert_allclose(scoring["conversion"](search.best_estimator_, X, BUYS), known)
    plain = GridSearchCV(esmm(), {"l2_linear": [1e-3]}, scoring="roc_auc", cv=2).fit(*rows)
    assert np.isfinite(plain.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (1 - BUYS, "conversion without a click at row"),
        (2 * BUYS, r"y holds \[2.0, [02].0\] at row .*; clicks and conversions are 0 or 1"),
        (np.tile(BUYS, 2)[:, :3], "y has 3 columns; expected two"),
        (np.where(BUYS, np.nan, 0), "contains NaN"),
        (np.ones(N), "Only one class"),
    ],
)
def test_what_is_no_chain_is_refused(y, message):
    model = esmm().fit(X, BUYS)
    known = model.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert_array_equal(model.predict_proba(X), known)


@pytest.mark.parametrize(
    ("settings", "weight", "message"),
    [
        ({"task_weights": (1, -1)}, None, "task_weights must be two numbers of 0 or more"),
        ({"task_weights": (1,)}, None, "task_weights must be two numbers of 0 or more"),
        ({"class_weight": {0: 1}}, None, "class_weight must be 'balanced', or a list of two dicts"),
        ({"class_weight": [{0: 1}, {2: 1}]}, None, r"class_weight\[1\] must give weights to 0 and 1"),
        ({}, np.ones((N, 3)), "a weight for each task needs"),
        ({}, np.where(np.eye(N)[:, :2] > 0, -1.0, 1), r"sample_weight is \[-1.0, 1.0\] at row 0"),
    ],
)
def test_weights_that_are_none_are_refused(settings, weight, message):
    with pytest.raises(ValueError, match=message):
        esmm(**settings).fit(X, BUYS, sample_weight=weight)


def test_y_is_of_one_kind_throughout():
    with pytest.raises(ValueError, match="was fitted on click and conversion"):
        esmm().partial_fit(X, BUYS).partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="was fitted on one column"):
        esmm().partial_fit(X, LABELS).partial_fit(X, BUYS)
    model = esmm().fit(X, BUYS)
    assert clone(model).fit(X, LABELS).classes_.tolist() == [0, 1]
    assert [classes.tolist() for classes in model.classes_] == [[0, 1], [0, 1]]
