"""The estimators at work inside scikit-learn, and whatever holds the numbers of X."""

import copy
import pickle
import re
from io import BytesIO

import jax
import joblib
import numpy as np
import optax
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.estimators.problems import LABELS, NAMES, RAW, D, N, X, Y, make, predictions, target

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")


def parts(value, seen):
    """Everything reachable from an object that its pickle would hold."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    yield value
    children = []
    if isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list | tuple | set):
        children = list(value)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        # Device copies are cached beside the attributes: they are no part of the state.
        children = [value.__getstate__()]
    for child in children:
        yield from parts(child, seen)


# -- copies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_clone_has_the_parameters_and_nothing_else(name, fitted):
    model = fitted(name)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not [attribute for attribute in vars(copied) if attribute not in copied.get_params()]
    assert copied.set_params(max_iter=7).max_iter == 7
    assert model.max_iter == 3


def through_joblib(model):
    buffer = BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize("name", NAMES)
def test_copies_predict_the_same_bits(name, fitted):
    model = fitted(name)
    expected = predictions(model)
    for copied in (pickle.loads(pickle.dumps(model)), through_joblib(model), copy.deepcopy(model)):
        np.testing.assert_array_equal(predictions(copied), expected)
        np.testing.assert_array_equal(copied.intercept_, model.intercept_)


def test_a_copy_shares_nothing_with_the_original(fitted):
    model = fitted("FMRegressor")
    expected = predictions(model)
    copied = copy.deepcopy(model)
    copied.fit(X, -Y)
    assert not np.array_equal(predictions(copied), expected)
    np.testing.assert_array_equal(predictions(model), expected)


def test_a_pickle_goes_on_like_the_original():
    model = make("FMRegressor").partial_fit(X, Y)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(predictions(copied.partial_fit(X, Y)), predictions(model.partial_fit(X, Y)))


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name, fitted):
    again = make(name).fit(X, target(name))
    np.testing.assert_array_equal(predictions(again), predictions(fitted(name)))
    if not name.startswith("Linear"):
        other = make(name, random_state=1).fit(X, target(name))
        assert not np.array_equal(predictions(other), predictions(fitted(name)))


@pytest.mark.parametrize("name", NAMES)
def test_fitted_attributes_are_numpy(name, fitted):
    model = copy.deepcopy(fitted(name))
    predictions(model)
    stepped = make(name).partial_fit(X, target(name))
    predictions(stepped)
    for estimator in (model, stepped):
        found = [value for value in parts(vars(estimator), {}) if isinstance(value, jax.Array)]
        assert not found
        assert any(isinstance(value, np.ndarray) for value in parts(vars(estimator), {}))
        for attribute in dir(estimator):
            if attribute.endswith("_") and not attribute.startswith("_"):
                assert not isinstance(getattr(estimator, attribute, None), jax.Array), attribute


# -- meta-estimators ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    colour = rng.choice(["red", "green", "blue"], N)
    return pd.DataFrame({"colour": colour, "shape": rng.choice(["a", "b"], N), "size": RAW})


def columns():
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=True)
    return ColumnTransformer([("one", one_hot, ["colour", "shape"]), ("scaled", StandardScaler(), ["size"])])


def test_pipeline_of_mixed_columns(frame):
    pipeline = make_pipeline(columns(), make("FMClassifier", max_iter=20)).fit(frame, LABELS)
    assert pipeline.score(frame, LABELS) > 0.9
    encoded = columns().fit_transform(frame)
    alone = make("FMClassifier", max_iter=20).fit(encoded, LABELS)
    np.testing.assert_array_equal(pipeline.predict_proba(frame), alone.predict_proba(encoded))


def test_grid_search_over_a_pipeline(frame):
    # Factors alone would tell these classes apart.
    pipeline = Pipeline([("columns", columns()), ("model", make("FMClassifier", n_factors=0))])
    grid = {"model__max_iter": [1, 20], "model__l2_linear": [0.01, 1e3]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss", error_score="raise")
    search.fit(frame, LABELS)
    assert search.best_params_["model__l2_linear"] == 0.01
    assert search.score(frame, LABELS) > search.best_score_ > -0.5
    assert list(search.classes_) == [0, 1]


def test_cross_val_score_is_the_mean_of_manual_folds():
    model = make("FMRegressor", max_iter=20)
    cv = KFold(2)
    scores = cross_val_score(model, X, Y, cv=cv, error_score="raise")
    manual = [clone(model).fit(X[a], Y[a]).score(X[b], Y[b]) for a, b in cv.split(X)]
    np.testing.assert_array_equal(scores, manual)


def test_calibrated():
    model = CalibratedClassifierCV(make("FMClassifier"), cv=2).fit(X, LABELS)
    probability = model.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert model.score(X, LABELS) > 0.7


def test_one_vs_rest():
    y = np.digitize(RAW, np.quantile(RAW, [1 / 3, 2 / 3]))
    model = OneVsRestClassifier(make("FMClassifier", max_iter=20)).fit(X, y)
    assert len(model.estimators_) == 3
    assert model.score(X, y) > 0.7
    alone = make("FMClassifier", max_iter=20).fit(X, (y == 1).astype(int))
    np.testing.assert_array_equal(model.estimators_[1].predict_proba(X), alone.predict_proba(X))


def test_stacking():
    estimators = [("fm", make("FMClassifier", max_iter=20)), ("linear", make("LinearClassifier"))]
    model = StackingClassifier(estimators, LogisticRegression(), cv=2).fit(X, LABELS)
    assert model.transform(X).shape == (N, 2)
    assert model.score(X, LABELS) > 0.7


def test_permutation_importance_finds_the_column():
    y = 3.0 * X[:, 2]
    model = make("LinearRegressor", max_iter=50).fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=3, random_state=0).importances_mean
    assert importance.argmax() == 2
    assert importance[2] > 10 * np.delete(importance, 2).max()


def test_partial_dependence_of_a_linear_model_is_a_line():
    model = make("LinearRegressor", max_iter=50).fit(X, Y)
    result = partial_dependence(model, X, [1], grid_resolution=5, kind="average")
    slope = np.diff(result["average"][0]) / np.diff(result["grid_values"][0])
    np.testing.assert_allclose(slope, model.coef_[1], rtol=1e-6)
    classifier = make("FMClassifier").fit(X, LABELS)
    assert partial_dependence(classifier, X, [0], grid_resolution=3)["average"].shape == (1, 3)


# -- metadata routing --------------------------------------------------------------------------------

WEIGHTS = np.random.default_rng(2).uniform(0.1, 5, size=N)


def test_weights_are_routed_through_cross_validate():
    cv = KFold(2)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler(with_mean=False).set_fit_request(sample_weight=False)
        model = make("FMRegressor").set_fit_request(sample_weight=True)
        result = cross_validate(
            make_pipeline(scaler, model),
            X,
            Y,
            cv=cv,
            scoring=make_scorer(r2_score).set_score_request(sample_weight=True),
            params={"sample_weight": WEIGHTS},
            return_estimator=True,
            error_score="raise",
        )
    for fold, (train, _) in zip(result["estimator"], cv.split(X), strict=True):
        scaled = StandardScaler(with_mean=False).fit(X[train])
        expected = make("FMRegressor").fit(scaled.transform(X[train]), Y[train], sample_weight=WEIGHTS[train])
        np.testing.assert_array_equal(fold.predict(X), expected.predict(scaled.transform(X)))
        unweighted = make("FMRegressor").fit(scaled.transform(X[train]), Y[train])
        assert not np.array_equal(fold.predict(X), unweighted.predict(scaled.transform(X)))


def test_weights_are_routed_through_grid_search():
    with sklearn.config_context(enable_metadata_routing=True):
        model = make("FMClassifier").set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"l2_linear": [1e-3, 1e-1]}, cv=StratifiedKFold(2), error_score="raise")
        search.fit(X, LABELS, sample_weight=WEIGHTS)
    expected = make("FMClassifier", l2_linear=search.best_params_["l2_linear"])
    expected.fit(X, LABELS, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


def test_unrequested_weights_are_an_error():
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(make("FMClassifier"), {"l2_linear": [1e-3]}, cv=2)
        with pytest.raises(ValueError, match="sample_weight"):
            search.fit(X, LABELS, sample_weight=WEIGHTS)


# -- representations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_html_and_text(name, fitted):
    assert name in fitted(name)._repr_html_()
    assert re.match(rf"{name}\(.*max_iter=3", repr(fitted(name)), flags=re.DOTALL)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_of_transform(library, fitted):
    pytest.importorskip(library)
    model = copy.deepcopy(fitted("FMRegressor"))
    plain = model.transform(X)
    shown = model.set_output(transform=library).transform(X)
    assert type(shown).__module__.startswith(library)
    assert list(shown.columns) == [f"fmregressor{i}" for i in range(3)]
    assert list(shown.columns) == list(model.get_feature_names_out())
    np.testing.assert_array_equal(np.asarray(shown), plain)


def test_transform_sums_to_the_second_order_term(fitted):
    model = fitted("FMRegressor")
    second = model.predict(X) - model.intercept_ - X @ model.coef_
    # transform is in the units of the standardised target.
    assert model.target_scale_ == pytest.approx(np.std(Y))
    found = model.transform(X).sum(axis=1) * model.target_scale_
    np.testing.assert_allclose(found, second, rtol=1e-9, atol=1e-9)


# -- what holds X ------------------------------------------------------------------------------------


def shuffled_indices(X):
    """The same matrix, the entries of each row in reverse order."""
    out = sparse.csr_matrix(X)
    for first, stop in zip(out.indptr[:-1], out.indptr[1:], strict=True):
        out.indices[first:stop] = out.indices[first:stop][::-1].copy()
        out.data[first:stop] = out.data[first:stop][::-1].copy()
    out.has_sorted_indices = False
    return out


def wide_indices(X):
    out = sparse.csr_array(X)
    out.indices, out.indptr = out.indices.astype(np.int64), out.indptr.astype(np.int64)
    return out


def duplicates(X):
    """Each entry as two halves."""
    one = sparse.coo_array(X)
    row, column = (np.concatenate([index, index]) for index in one.coords)
    data = np.concatenate([one.data, one.data]) / 2
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=X.shape[0]))])
    return sparse.csr_array((data[order], column[order], indptr), shape=X.shape)


def explicit_zeros(X):
    everywhere = np.tile(np.arange(X.shape[1]), X.shape[0])
    indptr = np.arange(0, X.size + 1, X.shape[1])
    return sparse.csr_matrix((X.ravel(), everywhere, indptr), shape=X.shape)


def pandas_frame(X):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(X, columns=[f"c{i}" for i in range(D)])


def polars_frame(X):
    pl = pytest.importorskip("polars")
    return pl.DataFrame(X, schema=[f"c{i}" for i in range(D)])


FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]
HOLDERS = {
    **{
        f"{kind}_{what}": getattr(sparse, f"{kind}_{what}")
        for kind in FORMATS
        for what in ("matrix", "array")
    },
    "unsorted": shuffled_indices,
    "int64 indices": wide_indices,
    "duplicates": duplicates,
    "explicit zeros": explicit_zeros,
    "float32": lambda X: X.astype(np.float32),
    "float32 csr": lambda X: sparse.csr_matrix(X.astype(np.float32)),
    "fortran": np.asfortranarray,
    "list": lambda X: X.tolist(),
    "pandas": pandas_frame,
    "polars": polars_frame,
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_holder_of_X_changes_no_bit(holder, fitted):
    held = HOLDERS[holder](X)
    before = copy.deepcopy(held)
    for name in ("FMRegressor", "DeepFMClassifier"):
        expected = predictions(fitted(name))
        model = make(name).fit(held, target(name))
        np.testing.assert_array_equal(predictions(model, held), expected)
        if "pandas" not in holder and "polars" not in holder:
            np.testing.assert_array_equal(predictions(fitted(name), held), expected)
    if sparse.issparse(held):
        assert (held != before).nnz == 0
        assert held.nnz == before.nnz


def test_integers_are_numbers(fitted):
    held = (2 * X).astype(np.int64)
    floats = make("FMRegressor").fit(2 * X, Y).predict(2 * X)
    np.testing.assert_array_equal(make("FMRegressor").fit(held, Y).predict(held), floats)
    np.testing.assert_array_equal(
        make("FMRegressor").fit(sparse.csr_array(held), Y).predict(sparse.csr_array(held)), floats
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_single_row_predicts_as_in_the_batch(name, fitted):
    model = fitted(name)
    batch = predictions(model)
    for row in (0, 3, N - 1):
        np.testing.assert_allclose(predictions(model, X[row : row + 1])[0], batch[row], rtol=1e-12)
        one = sparse.csr_array(X[row : row + 1])
        np.testing.assert_allclose(predictions(model, one)[0], batch[row], rtol=1e-12)


def test_an_empty_row_predicts_the_intercept(fitted):
    empty = sparse.csr_array((2, D))
    for name in ("LinearRegressor", "FMRegressor"):
        model = fitted(name)
        np.testing.assert_allclose(model.predict(empty), model.intercept_, rtol=1e-12)
    model = fitted("FMClassifier")
    np.testing.assert_allclose(model.decision_function(empty), np.repeat(model.intercept_, 2), rtol=1e-12)
    assert np.isfinite(predictions(fitted("DeepFMRegressor"), empty)).all()


def test_no_rows_to_predict_is_an_error_that_says_so(fitted):
    with pytest.raises(ValueError, match="0 sample"):
        fitted("FMRegressor").predict(X[:0])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_columns_are_kept_and_compared(library):
    held = {"pandas": pandas_frame, "polars": polars_frame}[library](X)
    model = make("FMRegressor").fit(held, Y)
    assert list(model.feature_names_in_) == [f"c{i}" for i in range(D)]
    names = [f"c{i}" for i in reversed(range(D))]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(held[names])


def of_local_functions(**more):
    """An estimator whose parameters plain pickle refuses."""
    return make("FMRegressor", solver=optax.adam(0.05), learning_rate_schedule=lambda step: 0.5, **more)


@pytest.mark.parametrize(
    "copied",
    [lambda model: pickle.loads(pickle.dumps(model)), through_joblib, copy.deepcopy, copy.copy],
    ids=["pickle", "joblib", "deepcopy", "copy"],
)
def test_parameters_of_local_functions_are_copied(copied):
    model = of_local_functions().partial_fit(X, Y)
    other = copied(copied(model))
    np.testing.assert_array_equal(predictions(other), predictions(model))
    assert other.solver_ is other.solver
    np.testing.assert_array_equal(predictions(other.partial_fit(X, Y)), predictions(model.partial_fit(X, Y)))
    unfitted = copied(of_local_functions())
    assert not hasattr(unfitted, "n_iter_")


def test_an_ensemble_of_processes_takes_local_functions():
    search = GridSearchCV(of_local_functions(), {"n_factors": [1, 2]}, cv=2, n_jobs=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pickle.loads(pickle.dumps(search)).predict(X)


def test_clones_and_searches_keep_a_fitted_start():
    start = make("LinearClassifier").fit(X, LABELS)
    model = make("FMClassifier", init_from=start)
    assert clone(clone(model)).init_from is start
    assert not hasattr(clone(model.fit(X, LABELS)), "n_iter_")
    search = GridSearchCV(model, {"n_factors": [1, 2]}, cv=2, error_score="raise").fit(X, LABELS)
    assert search.best_estimator_.init_from is start
    # A candidate of a grid is cloned by scikit-learn itself.
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        GridSearchCV(model, {"init_from": [start]}, cv=2, error_score="raise").fit(X, LABELS)
    frozen = {"init_from": [None, FrozenEstimator(start)]}
    GridSearchCV(model, frozen, cv=2, error_score="raise").fit(X, LABELS)
