"""Metrics of groups, against scikit-learn's in a loop over the groups."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import ndcg_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate

from skfm import LinearClassifier
from skfm.metrics import group_hit_rate_score, group_ndcg_score, group_roc_auc_score, make_group_scorer

METRICS = {"roc_auc": group_roc_auc_score, "ndcg": group_ndcg_score, "hit_rate": group_hit_rate_score}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
SEEDS = range(5)


def sample(seed, n=200, n_groups=30, n_scores=8):
    """Rows of groups of very different sizes, with many tied scores."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n_groups, n) * rng.integers(0, 2, n)
    return rng, (rng.random(n) < 0.3).astype(int), rng.integers(0, n_scores, n) / n_scores, groups


def naive_roc_auc(y, score, groups, weight, average):
    values, weights = [], []
    for group in np.unique(groups):
        rows = (groups == group) & (weight > 0)
        if len(set(y[rows])) == 2:
            values.append(roc_auc_score(y[rows], score[rows], sample_weight=weight[rows]))
            weights.append(weight[rows].sum() if average == "weighted" else 1)
    return np.average(values, weights=weights)


def naive_ndcg(y, score, groups, k):
    values = []
    for group in np.unique(groups):
        rows = groups == group
        if y[rows].any():
            values.append(ndcg_score(y[rows][None], score[rows][None], k=k) if rows.sum() > 1 else 1)
    return np.mean(values)


def naive_hit_rate(y, score, groups, k):
    """The share of hits over all orders of the rows that scores allow."""
    values = []
    for group in np.unique(groups):
        mine, scores = y[groups == group], score[groups == group]
        if not mine.any():
            continue
        hits = [
            mine[list(order[:k])].any()
            for order in itertools.permutations(range(mine.size))
            if (np.diff(scores[list(order)]) <= 0).all()
        ]
        values.append(np.mean(hits))
    return np.mean(values)


# ------------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize("average", ["weighted", "macro"])
@pytest.mark.parametrize("weights", ["none", "random", "zeros"])
@pytest.mark.parametrize("seed", SEEDS)
def test_roc_auc_is_that_of_each_group(seed, weights, average):
    rng, y, score, groups = sample(seed)
    weight = {
        "none": np.ones(y.size),
        "random": rng.lognormal(size=y.size),
        "zeros": rng.integers(0, 3, y.size).astype(float),
    }[weights]
    found = group_roc_auc_score(
        y, score, groups=groups, sample_weight=None if weights == "none" else weight, average=average
    )
    assert_allclose(found, naive_roc_auc(y, score, groups, weight, average), rtol=1e-12)


@pytest.mark.parametrize("average", ["weighted", "macro"])
def test_a_weight_is_as_many_rows(average):
    rng, y, score, groups = sample(0)
    weight = rng.integers(0, 4, y.size)
    repeated = [np.repeat(column, weight) for column in (y, score, groups)]
    assert_allclose(
        group_roc_auc_score(y, score, groups=groups, sample_weight=weight, average=average),
        group_roc_auc_score(*repeated[:2], groups=repeated[2], average=average),
        rtol=1e-13,
    )


def test_groups_of_small_weights_keep_their_digits():
    y, score, groups = [1, 0, 1, 0, 1, 0], [2, 1, 2, 1, 1, 2], [0, 0, 1, 1, 1, 1]
    weight = np.array([1e12, 1e12, 1e-9, 1e-9, 1e-9, 1e-9])
    found = group_roc_auc_score(y, score, groups=groups, sample_weight=weight, average="macro")
    assert found == (1 + 0.5) / 2


@pytest.mark.parametrize("k", [1, 3, 10, None])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_ndcg_is_that_of_each_group(seed, graded, k):
    rng, y, score, groups = sample(seed)
    y = y * rng.integers(1, 5, y.size) if graded else y
    assert_allclose(
        group_ndcg_score(y, score, groups=groups, k=k), naive_ndcg(y, score, groups, k), rtol=1e-12
    )


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", SEEDS)
def test_hit_rate_is_the_mean_over_orders_of_ties(seed, k):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(8), rng.integers(1, 7, 8))
    y, score = (
        rng.integers(0, 2, groups.size) * rng.integers(0, 2, groups.size),
        rng.integers(0, 3, groups.size),
    )
    assert_allclose(
        group_hit_rate_score(y, score, groups=groups, k=k), naive_hit_rate(y, score, groups, k), rtol=1e-12
    )


@every_metric
def test_right_orders_score_1_exactly(metric):
    rng = np.random.default_rng(0)
    rows = rng.permutation(3 * 70_000)  # more groups than 16 bits count
    y = (rows % 3 == 0).astype(int)
    assert metric(y, y + rng.random(y.size) / 2, groups=rows // 3) == 1


@every_metric
@pytest.mark.parametrize("k", [1, 3])
def test_rows_of_random_order_and_scores_of_another_scale_make_no_difference(metric, k):
    rng, y, score, groups = sample(1, n=3000, n_groups=1000)
    options = {} if metric is group_roc_auc_score else {"k": k}
    order = rng.permutation(y.size)
    expected = metric(y, score, groups=groups, **options)
    assert_allclose(
        metric(y[order], np.exp(5 * score[order]), groups=groups[order], **options), expected, rtol=1e-13
    )


def test_large_runs_of_ties():
    n, k = 10**5, 1000
    y, groups = np.zeros(n), np.zeros(n)
    y[:2] = 1
    none = (1 - k / n) * (1 - k / (n - 1))
    assert_allclose(group_hit_rate_score(y, np.zeros(n), groups=groups, k=k), 1 - none, rtol=1e-6)
    assert group_roc_auc_score(y, np.zeros(n), groups=groups) == 0.5


# ------------------------------------------------------------------------------------------------- input


@every_metric
def test_groups_may_be_of_any_type(metric):
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    _, y, score, number = sample(2)
    expected = metric(y, score, groups=number)
    text = np.array([f"user {i}" for i in range(40)])[number]
    kinds = [
        number.tolist(),
        number.astype(np.uint8),
        number * 10**13 - 7,
        number / 7,
        number.astype("M8[s]"),
        text,
        text.astype(object),
        text.tolist(),
        ["x" if i == 0 else int(i) for i in number],
        pd.Series(text),
        pd.Series(text, dtype="category"),
        pd.Series(number, dtype="Int64", index=np.arange(y.size) + 5),
        pl.Series(text),
    ]
    for groups in kinds:
        assert_allclose(metric(y, score, groups=groups), expected, rtol=1e-13)


@every_metric
def test_missing_groups_are_named(metric):
    pd = pytest.importorskip("pandas")
    kinds = [
        ["a", None, "a"],
        ["a", np.nan, "a"],
        [1.0, np.nan, 1.0],
        np.array(["2020-01-01", "NaT", "2020-01-01"], dtype="M8[D]"),
        pd.Series([1, None, 1], dtype="Int64"),
        pd.Series(["a", None, "a"]),
    ]
    for groups in kinds:
        with pytest.raises(ValueError, match="groups is missing at row 1"):
            metric([0, 1, 0], [0.1, 0.2, 0.3], groups=groups)


@every_metric
def test_bad_rows_are_named(metric):
    good = {"y_true": [0, 1, 0], "y_score": [0.1, 0.2, 0.3], "groups": [1, 1, 1]}
    for change, message in (
        ({"y_score": [0.1, 0.2, np.nan]}, "y_score is NaN at row 2"),
        ({"y_true": [0, np.nan, 1]}, "y_true is NaN at row 1"),
        ({"y_true": [0, 1]}, "inconsistent numbers of samples"),
        ({"groups": [1, 1]}, "inconsistent numbers of samples"),
        ({"groups": [[1], [1], [1]]}, r"groups must have one value a row, got an array of shape \(3, 1\)"),
        ({"y_score": [[1], [1], [1]]}, r"y_score must have one number a row, got an array of shape \(3, 1\)"),
        ({"y_true": [], "y_score": [], "groups": []}, "y_true has no rows"),
        ({"y_true": [0, 0, 0]}, "None of the 1 groups has .*, so there is nothing to average"),
    ):
        with pytest.raises(ValueError, match=message):
            metric(**{**good, **change})


@pytest.mark.parametrize("metric", [group_roc_auc_score, group_hit_rate_score])
def test_targets_are_of_two_classes(metric):
    score, groups = [0.1, 0.4, 0.3], [1, 1, 1]
    expected = metric([0, 1, 0], score, groups=groups)
    assert metric([False, True, False], score, groups=groups) == expected
    assert metric([-1, 1, -1], score, groups=groups) == expected
    for y in ([0, 1, 2], [-1, 0, 1], [0.5, 1, 0]):
        with pytest.raises(ValueError, match=r"y_true must hold 0 and 1, or -1 and 1, got .* at row \d"):
            metric(y, score, groups=groups)


@every_metric
@pytest.mark.parametrize("kind", [list, np.array, lambda values: np.array(values, dtype=object)])
def test_labels_that_are_text_are_named_and_the_remedy_helps(metric, kind):
    y_true, positive_class = kind(["1", "b", "a"]), "b"
    score, groups = [0.1, 0.4, 0.3], [1, 1, 1]
    with pytest.raises(ValueError, match=r"y_true holds 'b' at row 1, which is no number\. Pass ") as refused:
        metric(y_true, score, groups=groups)
    remedy = str(refused.value).partition("Pass ")[2].rstrip(".")
    mended = eval(remedy, {"np": np, "y_true": y_true, "positive_class": positive_class})
    assert metric(mended, score, groups=groups) == metric([0, 1, 0], score, groups=groups)
    with pytest.raises(ValueError, match=r"y_score holds 'b' at row 1, which is no number\. Give one number"):
        metric([0, 1, 0], y_true, groups=groups)


def test_weights_of_zero_are_named():
    rows, groups = ([0, 1, 0, 1], [0.1, 0.4, 0.3, 0.2]), [1, 1, 2, 2]
    with pytest.raises(
        ValueError, match=r"sample_weight is zero for every row\. Give some row a weight above"
    ):
        group_roc_auc_score(*rows, groups=groups, sample_weight=np.zeros(4))
    with pytest.raises(
        ValueError, match="None of the 2 groups has rows of both classes with a weight above 0"
    ):
        group_roc_auc_score(*rows, groups=groups, sample_weight=[0, 1, 0, 1])


def test_gains_and_weights_are_not_negative():
    score, groups = [0.1, 0.4, 0.3], [1, 1, 1]
    with pytest.raises(ValueError, match="y_true must be finite and 0 or more, got -1 at row 2"):
        group_ndcg_score([0, 1, -1], score, groups=groups)
    with pytest.raises(ValueError, match="sample_weight must be finite and 0 or more, got -3 at row 0"):
        group_roc_auc_score([0, 1, 1], score, groups=groups, sample_weight=[-3, 1, 1])


def test_bad_options():
    rows = [0, 1], [0, 1]
    with pytest.raises(ValueError, match='average must be "weighted" or "macro", got \'micro\''):
        group_roc_auc_score(*rows, groups=[1, 1], average="micro")
    for metric in (group_ndcg_score, group_hit_rate_score):
        with pytest.raises(ValueError, match="k == 0, must be >= 1"):
            metric(*rows, groups=[1, 1], k=0)
    with pytest.raises(TypeError, match="k must be an instance of"):
        group_hit_rate_score(*rows, groups=[1, 1], k=None)
    with pytest.raises(
        ValueError, match=r"metric must be one of \['roc_auc', 'ndcg', 'hit_rate'\], got 'map'"
    ):
        make_group_scorer("map")


# ----------------------------------------------------------------------------------------------- scorers


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def table(seed=0, n=120):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, (X[:, 0] + rng.normal(size=n) > 0).astype(int), np.repeat([f"u{i}" for i in range(n // 6)], 6)


@pytest.mark.parametrize("name", METRICS)
def test_a_scorer_is_the_metric_of_raw_predictions(name):
    X, y, groups = table()
    scorer = make_group_scorer(name, k=2)  # without routing
    model = LogisticRegression().fit(X, y)
    options = {} if name == "roc_auc" else {"k": 2}
    expected = METRICS[name](y, model.decision_function(X), groups=groups, **options)
    with config_context(enable_metadata_routing=True):
        assert scorer(model, X, y, groups=groups) == expected
        assert pickle.loads(pickle.dumps(scorer))(model, X, y, groups=groups) == expected


@pytest.mark.usefixtures("routing")
def test_a_scorer_takes_predictions_of_regressors():
    X, y, groups = table()
    model = LinearRegression().fit(X, y)
    expected = group_ndcg_score(y, model.predict(X), groups=groups)
    assert make_group_scorer("ndcg")(model, X, y, groups=groups) == expected


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize(
    "model", [LogisticRegression(), LinearClassifier(random_state=0)], ids=lambda m: type(m).__name__
)
def test_cross_validation_passes_groups_to_the_scorer(model):
    X, y, groups = table()
    scoring = {name: make_group_scorer(name, k=2) for name in METRICS}
    cv = GroupKFold(3)
    found = cross_validate(model, X, y, scoring=scoring, cv=cv, params={"groups": groups})
    for fold, (train, test) in enumerate(cv.split(X, y, groups)):
        score = model.fit(X[train], y[train]).decision_function(X[test])
        for name, metric in METRICS.items():
            options = {} if name == "roc_auc" else {"k": 2}
            assert_allclose(
                found[f"test_{name}"][fold], metric(y[test], score, groups=groups[test], **options), rtol=1e-9
            )


@pytest.mark.usefixtures("routing")
def test_a_grid_search_selects_by_groups():
    X, y, groups = table()
    X[:, 1] = np.unique(groups, return_inverse=True)[1]
    scoring = make_group_scorer("roc_auc")
    grid = GridSearchCV(LogisticRegression(), {"C": [1e-6, 1.0]}, scoring=scoring, cv=GroupKFold(3))
    grid.fit(X, y, groups=groups)
    assert grid.score(X, y, groups=groups) == scoring(grid.best_estimator_, X, y, groups=groups)
    assert grid.best_params_ == {"C": 1.0}


@pytest.mark.usefixtures("routing")
def test_groups_are_needed():
    X, y, _ = table()
    with pytest.raises(TypeError, match="groups"):
        make_group_scorer("roc_auc")(LogisticRegression().fit(X, y), X, y)
