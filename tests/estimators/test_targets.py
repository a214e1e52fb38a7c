"""What y may be, what the losses mean, and what weights mean."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
    r2_score,
)
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils import compute_class_weight, compute_sample_weight

from skfm import LinearClassifier
from tests.estimators.problems import (
    CLASSIFIERS,
    LABELS,
    NAMES,
    RAW,
    REGRESSORS,
    D,
    N,
    X,
    Y,
    make,
    predictions,
)
from tests.estimators.problems import target as target_of

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

THREE = np.digitize(RAW, np.quantile(RAW, [1 / 3, 2 / 3]))
MULTILABEL = np.column_stack([RAW > 0, X[:, 0] > 0.5, X[:, 2] > 0]).astype(int)
OPTIMUM = {"max_iter": 500, "tol": 1e-6}


# -- classifiers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"])[LABELS],
        np.array(["no", "yes"], dtype=object)[LABELS],
        LABELS.astype(bool),
        LABELS * 2 - 1,
        LABELS.astype(float),
        LABELS[:, None],
        LABELS.tolist(),
    ],
    ids=["text", "object", "bool", "signs", "float", "column", "list"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_binary_labels_of_any_type(name, labels):
    expected = make(name).fit(X, LABELS)
    model = make(name).fit(X, labels)
    flat = np.ravel(labels)
    np.testing.assert_array_equal(model.classes_, np.unique(flat))
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    predicted = model.predict(X)
    assert predicted.shape == (N,)
    assert predicted.dtype == model.classes_.dtype
    np.testing.assert_array_equal(predicted, model.classes_[expected.predict(X)])
    assert model.score(X, flat) == expected.score(X, LABELS) > 0.6


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_probabilities_hang_together(name, kind):
    y = {"binary": LABELS, "multiclass": np.array(["c", "a", "b"])[THREE], "multilabel": MULTILABEL}[kind]
    model = make(name, max_iter=20).fit(X, y)
    probability, raw = model.predict_proba(X), model.decision_function(X)
    n_columns = {"binary": 2, "multiclass": 3, "multilabel": 3}[kind]
    assert probability.shape == (N, n_columns)
    assert ((probability >= 0) & (probability <= 1)).all()
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(probability), rtol=1e-6, atol=1e-12)
    if kind == "multilabel":
        assert raw.shape == (N, 3)
        np.testing.assert_allclose(probability, 1 / (1 + np.exp(-raw)))
        np.testing.assert_array_equal(model.predict(X), (probability > 0.5).astype(int))
        assert (model.predict(X) == y).mean() > 0.75
        return
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X), model.classes_[probability.argmax(axis=1)])
    assert raw.shape == ((N,) if kind == "binary" else (N, 3))
    if kind == "multiclass":
        np.testing.assert_allclose(probability, np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True))
        assert list(model.classes_) == ["a", "b", "c"]
    assert model.score(X, y) > 0.6


def test_log_probabilities_where_a_probability_rounds_to_zero():
    steep = 1e3 * np.sign(RAW)[:, None]
    model = make("LinearClassifier", l2_linear=0.0, max_iter=50).fit(steep, RAW > 0)
    far = model.predict_log_proba(1e3 * steep)
    assert np.isfinite(far).all()
    assert far.min() < -800


def test_sparse_labels():
    sparse_y = sparse.csr_matrix(MULTILABEL)
    expected = make("FMClassifier").fit(X, MULTILABEL)
    np.testing.assert_array_equal(
        make("FMClassifier").fit(X, sparse_y).predict_proba(X), expected.predict_proba(X)
    )
    np.testing.assert_array_equal(expected.classes_, [0, 1, 2])


def test_linear_classifier_is_logistic_regression():
    reference = LogisticRegression(C=1, tol=1e-10, max_iter=10_000).fit(X, LABELS)
    model = make("LinearClassifier", l2_linear=1 / N, **OPTIMUM).fit(X, LABELS)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, atol=1e-4)


def test_linear_classifier_is_multinomial_logistic_regression():
    iris, y = load_iris(return_X_y=True)
    reference = LogisticRegression(C=1, tol=1e-10, max_iter=10_000).fit(iris, y)
    model = make("LinearClassifier", l2_linear=1 / len(y), **OPTIMUM).fit(iris, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(model.predict_proba(iris), reference.predict_proba(iris), atol=1e-4)


def test_multilabel_is_one_logistic_regression_a_label():
    model = make("LinearClassifier", l2_linear=1 / N, **OPTIMUM).fit(X, MULTILABEL)
    for label, y in enumerate(MULTILABEL.T):
        reference = LogisticRegression(C=1, tol=1e-10, max_iter=10_000).fit(X, y)
        np.testing.assert_allclose(model.coef_[label], reference.coef_[0], atol=1e-4)
        np.testing.assert_allclose(
            model.predict_proba(X)[:, label], reference.predict_proba(X)[:, 1], atol=1e-4
        )


# -- regressors --------------------------------------------------------------------------------------


def test_linear_regressor_is_ridge():
    reference = Ridge(alpha=1.0).fit(X, Y)
    model = make("LinearRegressor", l2_linear=1 / N, **OPTIMUM).fit(X, Y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, atol=1e-4)
    assert model.coef_.shape == (D,)


def test_weighted_linear_regressor_is_weighted_ridge():
    weight = np.random.default_rng(0).uniform(0.1, 3, N)
    reference = Ridge(alpha=1.0).fit(X, Y, sample_weight=weight)
    model = make("LinearRegressor", l2_linear=1 / weight.sum(), **OPTIMUM).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-4)


def test_poisson_is_scikit_learns():
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * RAW))
    reference = PoissonRegressor(alpha=1 / N, tol=1e-10, max_iter=10_000).fit(X, counts)
    model = make("LinearRegressor", loss="poisson", l2_linear=1 / N, **OPTIMUM).fit(X, counts)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), rtol=1e-3)


@pytest.mark.parametrize("name", REGRESSORS)
def test_several_outputs(name):
    y = np.column_stack([Y, 100 - 2 * Y, np.full(N, 7.0)])
    model = make(name, max_iter=40).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (N, 3)
    assert r2_score(y[:, :2], predicted[:, :2]) > 0.5
    np.testing.assert_allclose(predicted[:, 2], 7, rtol=1e-2)
    column = make(name).fit(X, Y[:, None])
    vector = make(name).fit(X, Y)
    assert column.predict(X).shape == (N, 1)
    assert vector.predict(X).shape == (N,)
    np.testing.assert_array_equal(column.predict(X)[:, 0], vector.predict(X))


def test_several_outputs_of_a_linear_model_are_several_models():
    y = np.column_stack([Y, Y**2])
    model = make("LinearRegressor", l2_linear=1 / N, **OPTIMUM).fit(X, y)
    reference = Ridge(alpha=1.0).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-3)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, atol=1e-3)


MEASURES = {
    "squared_error": mean_squared_error,
    "absolute_error": mean_absolute_error,
    "huber": lambda y, p: np.minimum(np.abs(y - p), np.square(y - p)).mean(),
    "quantile": lambda y, p: mean_pinball_loss(y, p, alpha=0.9),
    "poisson": mean_poisson_deviance,
}


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("loss", MEASURES)
def test_each_loss_lowers_its_own_measure(name, loss):
    y = np.round(np.exp(0.5 * RAW)) if loss == "poisson" else Y
    constant = {"squared_error": np.mean, "poisson": np.mean, "quantile": lambda y: np.quantile(y, 0.9)}
    base = np.full(N, constant.get(loss, np.median)(y))
    model = make(name, loss=loss, quantile=0.9, max_iter=40).fit(X, y)
    assert MEASURES[loss](y, model.predict(X)) < 0.8 * MEASURES[loss](y, base)
    if loss == "poisson":
        assert (model.predict(X) > 0).all()


def test_quantiles_split_the_targets_at_their_share():
    low, high = (
        make("LinearRegressor", loss="quantile", quantile=q, solver="adam", learning_rate=0.05, max_iter=150)
        .fit(X, Y)
        .predict(X)
        for q in (0.2, 0.8)
    )
    assert 0.1 <= np.mean(low >= Y) <= 0.3
    assert 0.7 <= np.mean(high >= Y) <= 0.9
    half = make("LinearRegressor", loss="quantile", quantile=0.5, l2_linear=0.0, max_iter=40).fit(X, Y)
    median = make("LinearRegressor", loss="absolute_error", l2_linear=0.0, max_iter=40).fit(X, Y)
    np.testing.assert_allclose(half.predict(X), median.predict(X), rtol=0.02)


def test_huber_lies_between_squares_and_outliers():
    outlier = Y.copy()
    outlier[5] += 1e4
    squares = make("LinearRegressor", **OPTIMUM).fit(X, Y).predict(X)
    wide = make("LinearRegressor", loss="huber", huber_delta=1e6, **OPTIMUM).fit(X, Y).predict(X)
    np.testing.assert_allclose(wide, squares, rtol=1e-6)
    robust = make("LinearRegressor", loss="huber", huber_delta=1e-3, l2_linear=1e-9, **OPTIMUM)
    error = np.abs(robust.fit(X, outlier).predict(X) - Y)
    fooled = np.abs(make("LinearRegressor", **OPTIMUM).fit(X, outlier).predict(X) - Y)
    assert np.median(error) < 0.1 * np.median(fooled)


@pytest.mark.parametrize("solver", ["adagrad", "ftrl", "lbfgs"])
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-12, 1e-40, 1e-300])
def test_a_small_huber_delta_is_the_absolute_error(delta, solver):
    """And no constant model."""
    target = 1e3 * (2 * X[:, 0] + X[:, 1] + 0.1 * Y)
    given = {"solver": solver, "l2_linear": 0.0, "max_iter": 40}
    huber = make("LinearRegressor", loss="huber", huber_delta=delta, **given).fit(X, target)
    absolute = make("LinearRegressor", loss="absolute_error", **given).fit(X, target)
    error = np.abs(huber.predict(X) - absolute.predict(X))
    assert error.mean() < 0.05 * target.std()


# -- weights -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_class_weights_are_sample_weights(name):
    weighted = make(name, class_weight={0: 3.0}).fit(X, LABELS)
    manual = make(name).fit(X, LABELS, sample_weight=np.where(LABELS == 0, 3.0, 1.0))
    np.testing.assert_array_equal(predictions(weighted), predictions(manual))
    assert not np.array_equal(predictions(weighted), predictions(make(name).fit(X, LABELS)))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_balanced_classes_are_sample_weights(name):
    rare = np.quantile(RAW, 0.8) < RAW
    balanced = make(name, class_weight="balanced").fit(X, rare)
    by_class = compute_class_weight("balanced", classes=np.array([False, True]), y=rare)
    manual = make(name).fit(X, rare, sample_weight=by_class[rare.astype(int)])
    np.testing.assert_allclose(predictions(balanced), predictions(manual), rtol=1e-9)
    assert not np.allclose(predictions(balanced), predictions(make(name).fit(X, rare)), rtol=1e-3)


def test_class_weights_of_labels_that_no_row_has():
    """A fold, a chunk or the rows with a weight may lack a rare class."""
    weights = {0: 3.0, 1: 1.0}
    expected = predictions(make("FMClassifier", class_weight=weights).fit(X, LABELS))
    model = make("FMClassifier", class_weight=weights | {2: 5.0})
    np.testing.assert_array_equal(predictions(model.fit(X, LABELS)), expected)
    rows, labels = np.vstack([X, X[:5]]), np.append(LABELS, np.full(5, 2))
    model.fit(rows, labels, sample_weight=np.repeat([1.0, 0.0], [N, 5]))
    np.testing.assert_array_equal(predictions(model), expected)
    rare = np.append(np.full(5, 2), LABELS)
    scores = cross_val_score(model, np.vstack([X[:5], X]), rare, cv=KFold(5), error_score="raise")
    assert scores.size == 5


@pytest.mark.parametrize(
    ("y", "given", "message", "mended"),
    [
        (
            LABELS,
            {2: 5.0},
            r"names \[2\], .* classes \[0, 1\], and gives no weight to \[0, 1\]",
            {0: 1.0, 1: 5.0},
        ),
        (LABELS, {0: 1.0, "1": 5.0}, r"names \['1'\], .* no weight to \[1\]", {0: 1.0, 1: 5.0}),
        (
            np.array(["zero", "one"])[LABELS],
            {"zero": 1.0, "on": 5.0},
            r"names \['on'\], .* no weight to \['one'\]\. Name all classes",
            {"zero": 1.0, "on": 5.0, "one": 5.0},
        ),
    ],
)
def test_class_weights_of_misspelt_labels(y, given, message, mended):
    with pytest.raises(ValueError, match=message):
        make("FMClassifier", class_weight=given).fit(X, y)
    model = make("FMClassifier", class_weight=mended).fit(X, y)
    expected = make("FMClassifier").fit(X, y, sample_weight=1 + 4.0 * LABELS)
    np.testing.assert_array_equal(predictions(model), predictions(expected))


def test_class_weights_times_sample_weights():
    weight = np.random.default_rng(0).uniform(0.1, 3, N)
    both = make("FMClassifier", class_weight={1: 2.0, 0: 1.0}).fit(X, LABELS, sample_weight=weight)
    manual = make("FMClassifier").fit(X, LABELS, sample_weight=weight * (1 + LABELS))
    np.testing.assert_allclose(predictions(both), predictions(manual), rtol=1e-12)


def test_balanced_multilabel():
    balanced = make("LinearClassifier", class_weight="balanced").fit(X, MULTILABEL)
    weight = compute_sample_weight("balanced", MULTILABEL)
    manual = make("LinearClassifier").fit(X, MULTILABEL, sample_weight=weight / weight.mean())
    np.testing.assert_allclose(predictions(balanced), predictions(manual), rtol=1e-9)


@pytest.mark.parametrize("y", [LABELS, MULTILABEL])
def test_classes_are_balanced_in_terms_of_weight(y):
    times = np.random.default_rng(0).integers(0, 4, N)
    rows = np.repeat(np.arange(N), times)
    balanced = make("LinearClassifier", class_weight="balanced")
    weighted = predictions(balanced.fit(X, y, sample_weight=times.astype(float)))
    np.testing.assert_allclose(weighted, predictions(balanced.fit(X[rows], y[rows])), rtol=1e-6)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_two_is_the_row_twice(name, solver):
    y = target_of(name)
    weight = np.where(np.arange(N) % 3 == 0, 2.0, 1.0)
    twice = np.concatenate([np.arange(N), np.flatnonzero(weight == 2)])
    weighted = make(name, solver=solver).fit(X, y, sample_weight=weight)
    repeated = make(name, solver=solver).fit(X[twice], y[twice])
    np.testing.assert_array_equal(predictions(weighted), predictions(repeated))
    assert not np.array_equal(predictions(weighted), predictions(make(name, solver=solver).fit(X, y)))


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_zero_is_no_row(name, solver):
    y = target_of(name)
    keep = np.arange(N) % 4 != 0
    weighted = make(name, solver=solver).fit(X, y, sample_weight=keep.astype(float))
    removed = make(name, solver=solver).fit(X[keep], y[keep])
    np.testing.assert_array_equal(predictions(weighted), predictions(removed))


def test_a_row_of_weight_zero_may_hold_a_class_that_no_other_row_has():
    y = LABELS.copy()
    y[-1] = 5
    weight = np.ones(N)
    weight[-1] = 0
    model = make("FMClassifier").fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.classes_, [0, 1])


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 0.3, 1: 2.0}])
def test_priors_are_those_of_rows_twice_under_class_weights(class_weight):
    rng = np.random.default_rng(0)
    X = np.eye(4)[rng.integers(4, size=60)]
    y = (rng.random(60) < 0.3 + 0.1 * X @ range(4)).astype(int)
    times = rng.integers(1, 4, size=60)
    model = LinearClassifier(class_weight=class_weight, random_state=0)
    weighed = clone(model).fit(X, y, sample_weight=times)
    repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert weighed.plan_["l2_linear"] == pytest.approx(repeated.plan_["l2_linear"])
