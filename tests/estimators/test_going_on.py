"""What may change between calls that go on from each other, and what is refused by name."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import InvalidParameterError

import skfm
from skfm import FieldEncoder, FMClassifier
from tests.estimators.problems import LABELS, D, N, X, Y, make, predictions, target

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

ALL = sorted(name for name in skfm.__all__ if name.endswith(("Classifier", "Regressor")))
TABLE = pd.DataFrame({"a": ["x", "y"] * (N // 2), "b": np.arange(N) % 3, "c": X[:, 0]})

# Another valid value of each parameter. What is not refused changes what the call does, or, where it has no
# part in partial_fit, nothing.
REFUSED = {
    "activation": "tanh",
    "attention_layer_sizes": (3,),
    "attention_softmax": False,
    "batch_norm": True,
    "cin_activation": "tanh",
    "cin_layer_sizes": (3,),
    "class_weight": {0: 1.0, 1: 3.0},
    "cross_slots": 64,
    "crosses": (("a", "b"),),
    "degree": 3,
    "encoder": FieldEncoder(min_frequency=3),
    "expert": "fm",
    "fields": np.arange(D) % 2,
    "fit_intercept": False,
    "fit_linear": False,
    "gate": ...,
    "hidden_layer_sizes": (5,),
    "huber_delta": 2.0,
    "init_from": ...,
    "layer_norm": ...,
    "loss": "huber",
    "max_length": 3,
    "mixing": "score",
    "n_attention": 3,
    "n_components": 3,
    "n_cross_layers": 3,
    "n_experts": 3,
    "n_factors": 5,
    "n_heads": 2,
    "normalize_rows": ...,
    "parts": "deep",
    "product": "outer",
    "quantile": 0.7,
    "random_state": 1,
    "rank": 2,
    "second_layer_sizes": (3,),
    "sequence_fields": {"h": "a"},
    "sequence_separator": " ",
    "structure": "stacked",
    "task_weights": (1.0, 2.0),
    "tower": "fm",
    "version": 1,
    # Of the optimizer that goes on.
    "dtype": "float32",
    "solver": "adam",
    "wide_solver": "ftrl",
}
EFFECTIVE = {
    "batch_size": 7,
    "dropout": 0.5,
    "l1_linear": 0.3,
    "l2_dense": 0.5,
    "l2_factors": 0.5,
    "l2_frequency_power": 1.0,
    "l2_linear": 0.5,
    "learning_rate": 0.5,
    "learning_rate_schedule": lambda step: 0.5,
    "wide_learning_rate": ...,
}
# They concern new columns, stopping, what is printed, or the first fit.
IDLE = {
    "early_stopping": True,
    "init_scale": 0.5,
    "max_iter": 7,
    "n_iter_no_change": 7,
    "pretrain": False,
    "scoring": "accuracy",
    "tol": 0.5,
    "validation_fraction": 0.4,
    "verbose": 2,
    "warm_start": True,
    "n_jobs": 1,
}


def first_call(name, **parameters):
    # Strong penalties, so that their absence is seen, and batches of which there are several.
    known = inspect.signature(getattr(skfm, name)).parameters
    settings = {"solver": "adagrad", "batch_size": 32, "l2_frequency_power": 0.5, "dtype": "float64"}
    settings |= {one: 0.1 for one in ("l2_linear", "l2_factors", "l2_dense") if one in known}
    return make(name, **settings | parameters).partial_fit(X, target(name))


def other_value(name, parameter):
    now = getattr(make(name), parameter)
    if parameter == "init_from":
        kind = "Classifier" if name.endswith("Classifier") else "Regressor"
        return make(f"Linear{kind}").fit(X, target(name))
    if parameter == "gate":
        return "fm" if name.startswith("Mixture") else "row"
    return not now


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": -1.0},
        {"learning_rate": "x"},
        {"l2_factors": -5},
        {"l2_linear": np.nan},
        {"batch_size": 0},
        {"n_factors": 2.0},
        {"scoring": "no such score"},
        {"max_iter": "q"},
    ],
)
def test_parameters_are_validated_in_each_call_of_partial_fit(change):
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    model = FMClassifier(n_factors=2, random_state=0, learning_rate=0.1).partial_fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(InvalidParameterError, match=f"'{next(iter(change))}' parameter"):
        model.set_params(**change).partial_fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_that_must_stay_is_refused_by_name(name):
    model = first_call(name)
    given, before, n_iter = model.get_params(deep=False), predictions(model), model.n_iter_
    assert not given.keys() - REFUSED.keys() - EFFECTIVE.keys() - IDLE.keys()
    for parameter in given.keys() & REFUSED.keys():
        value = REFUSED[parameter]
        value = other_value(name, parameter) if value is ... else value
        model.set_params(**{parameter: value})
        shown = {"wide_solver": "linear weights' solver"}.get(parameter, parameter)
        with pytest.raises(ValueError, match=rf"partial_fit goes on with .*{shown}.*[sS]et (it|them) back"):
            model.partial_fit(X, target(name))
        model.set_params(**{parameter: given[parameter]})
    np.testing.assert_array_equal(predictions(model), before)
    assert model.n_iter_ == n_iter
    assert model.partial_fit(X, target(name)).n_iter_ == n_iter + 1


@pytest.mark.parametrize("name", ["FNNRegressor", "MixtureFMClassifier", "WideDeepClassifier"])
def test_every_parameter_that_may_change_has_its_effect(name):
    model = first_call(name)
    same = predictions(pickle.loads(pickle.dumps(model)).partial_fit(X, target(name)))
    for parameter in model.get_params(deep=False).keys() - REFUSED.keys():
        copied = pickle.loads(pickle.dumps(model))
        if parameter == "wide_learning_rate":
            with pytest.raises(ValueError, match=r"wide_learning_rate=0\.5 now\. Set it back"):
                copied.set_params(wide_learning_rate=0.5).partial_fit(X, target(name))
            continue
        value = (EFFECTIVE | IDLE)[parameter]
        changed = predictions(copied.set_params(**{parameter: value}).partial_fit(X, target(name)))
        assert np.array_equal(changed, same) == (parameter in IDLE), parameter


def test_the_same_value_in_other_words_goes_on():
    fields = np.arange(D) % 2
    model = make("DeepFMClassifier", fields=fields, hidden_layer_sizes=(4,)).partial_fit(X, LABELS)
    model.set_params(fields=fields.tolist(), hidden_layer_sizes=[4]).partial_fit(X, LABELS)
    assert model.n_iter_ == 2


def test_an_encoder_that_was_changed_in_place_is_seen():
    model = make("FMClassifier", encoder=FieldEncoder(min_frequency=1)).partial_fit(TABLE, LABELS)
    model.set_params(encoder__min_frequency=4)
    with pytest.raises(ValueError, match=r"encoder FieldEncoder\(min_frequency=1\) -> .*min_frequency=4"):
        model.partial_fit(TABLE, LABELS)
    again = model.set_params(encoder=FieldEncoder(min_frequency=1)).partial_fit(TABLE, LABELS)
    assert again.n_iter_ == 2


def test_another_source_of_the_same_parameters_is_seen():
    one, other = make("LinearClassifier").fit(X, LABELS), make("LinearClassifier").fit(X, 1 - LABELS)
    model = pickle.loads(pickle.dumps(make("FMClassifier", init_from=one).partial_fit(X, LABELS)))
    model.partial_fit(X, LABELS)
    with pytest.raises(ValueError, match=r"changed it since \(init_from LinearClassifier"):
        model.set_params(init_from=other).partial_fit(X, LABELS)


def test_calls_go_on_after_pickling_and_copies_of_the_random_state():
    model = make("FMClassifier", random_state=np.random.RandomState(3))
    model.partial_fit(X, LABELS)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        predictions(copied.partial_fit(X, LABELS)), predictions(model.partial_fit(X, LABELS))
    )


@pytest.mark.parametrize(
    "changed",
    [{"n_factors": 5}, {"degree": 3}, {"fit_linear": False}, {"fit_intercept": False}, {"fields": None}],
)
def test_a_warm_start_refuses_another_model(changed):
    model = make("FMClassifier", warm_start=True).fit(X, LABELS)
    expected, name = predictions(model), next(iter(changed))
    with pytest.raises(ValueError, match=rf"fit with warm_start=True goes on .*\({name} .* warm_start=False"):
        model.set_params(**changed).fit(X, LABELS)
    np.testing.assert_array_equal(predictions(model), expected)
    model.set_params(warm_start=False).fit(X, LABELS)


def test_a_warm_start_takes_another_objective():
    model = make("FMRegressor", warm_start=True, solver="adam").fit(X, Y)
    model.set_params(loss="quantile", quantile=0.7, solver="lbfgs", random_state=3).fit(X, Y)
    labels = make("FMClassifier", warm_start=True, class_weight="balanced").fit(X, LABELS)
    labels.set_params(class_weight={0: 1.0, 1: 2.0}).fit(X, LABELS)
    # After fit the optimizer starts anew too.
    labels.set_params(class_weight=None, solver="adam").partial_fit(X, LABELS)


BOTH = np.column_stack([LABELS, 1 - LABELS])
THREE = np.array(["a", "b", "c"])[np.arange(N) % 3]


@pytest.mark.parametrize(
    ("first", "second", "match"),
    [
        (LABELS, LABELS + 1, r"classes \[1, 2\], .* those of \[0, 1\] \(new: \[2\], gone: \[0\]\)"),
        (LABELS, np.arange(N) % 3, r"those of \[0, 1\] \(new: \[2\]\)"),
        (LABELS, LABELS.astype(str), r"\(new: \['0', '1'\], gone: \[0, 1\]\)"),
        (THREE, np.array(["a", "c"])[LABELS], r"those of \['a', 'b', 'c'\] \(gone: \['b'\]\)"),
        (BOTH, LABELS, r"y has one column of classes, .* those of 2 labels"),
        (LABELS, BOTH, r"y has 2 labels, .* those of one column of classes"),
        (BOTH, np.column_stack([BOTH, LABELS]), r"y has 3 labels, .* those of 2 labels"),
    ],
)
def test_a_warm_start_names_classes_that_are_new_or_gone(first, second, match):
    model = make("FMClassifier", warm_start=True).fit(X, first)
    with pytest.raises(ValueError, match=match):
        model.fit(X, second)
    assert model.fit(X, first).n_iter_ > 0


# -- classes and class weights -------------------------------------------------------------------------


def test_classes_that_are_given_again_must_be_the_same():
    model = make("FMClassifier", solver="adam").partial_fit(X, LABELS, classes=[1, 0])
    model.partial_fit(X, LABELS, classes=[0, 1]).partial_fit(X, LABELS, classes=(1, 0, 1)).partial_fit(
        X, LABELS
    )
    for classes in ([0, 1, 2], [1], ["0", "1"]):
        with pytest.raises(ValueError, match="are not the classes of the first call"):
            model.partial_fit(X, LABELS, classes=classes)
    assert model.n_iter_ == 4
    fitted = make("FMClassifier", solver="adam").fit(X, LABELS)
    with pytest.raises(ValueError, match=r"classes=\[0, 2\] are not"):
        fitted.partial_fit(X, LABELS, classes=[0, 2])


def test_classes_of_the_first_call_that_are_none():
    with pytest.raises(ValueError, match="Only one class, 3, in classes="):
        make("FMClassifier").partial_fit(X, LABELS, classes=[3])
    with pytest.raises(ValueError, match="No class in classes="):
        make("FMClassifier").partial_fit(X, LABELS, classes=[])
    both = np.column_stack([LABELS, 1 - LABELS])
    make("FMClassifier").partial_fit(X, both, classes=[0, 1])
    with pytest.raises(ValueError, match="are not the labels of y"):
        make("FMClassifier").partial_fit(X, both, classes=[0, 1, 2])
    clicks = np.column_stack([LABELS, np.zeros_like(LABELS)])
    esmm = make("ESMMClassifier", tower="fm").partial_fit(X, clicks, classes=[0, 1])
    with pytest.raises(ValueError, match="clicks and conversions are 0 and 1"):
        esmm.partial_fit(X, clicks, classes=[0, 1, 2])


@pytest.mark.parametrize("name", ["FMClassifier", "ESMMClassifier"])
def test_balanced_classes_need_all_rows(name):
    y = LABELS if name == "FMClassifier" else np.column_stack([LABELS, LABELS])
    model = make(name, class_weight="balanced")
    with pytest.raises(ValueError, match=r"sklearn\.utils\.compute_class_weight"):
        model.partial_fit(X, y)
    balanced = compute_class_weight("balanced", classes=np.array([0, 1]), y=LABELS)
    weights = dict(enumerate(balanced))
    model.set_params(class_weight=weights if name == "FMClassifier" else [weights, weights]).partial_fit(X, y)
    fitted = make(name, class_weight="balanced").fit(X, y)
    with pytest.raises(ValueError, match=r"sklearn\.utils\.compute_class_weight"):
        fitted.partial_fit(X, y)


def test_class_weights_of_a_chunk_are_those_of_all_rows():
    y = np.arange(N) % 3
    weights = {0: 2.0, 1: 0.5}
    model = make("FMClassifier", class_weight=weights, solver="adam").partial_fit(X, y)
    alike = make("FMClassifier", solver="adam").partial_fit(X, y, sample_weight=np.array([2.0, 0.5, 1.0])[y])
    # A chunk without a class that has a weight, and with one that has none.
    some = y != 1
    model.partial_fit(X[some], y[some])
    alike.partial_fit(X[some], y[some], sample_weight=np.array([2.0, 0.5, 1.0])[y[some]])
    np.testing.assert_allclose(predictions(model), predictions(alike), rtol=1e-9)
    with pytest.raises(ValueError, match=r"class_weight names \[7\]"):
        make("FMClassifier", class_weight={7: 2.0}).partial_fit(X, y)


def test_weights_of_labels_of_a_chunk():
    y = np.column_stack([LABELS, np.arange(N) % 2])
    model = make("FMClassifier", class_weight=[{1: 3.0}, {0: 2.0}], solver="adam").partial_fit(X, y)
    none = y[:, 0] == 0
    model.partial_fit(X[none], y[none])
    with pytest.raises(ValueError, match="a dict with weights of 0 and 1 for each of 2 labels"):
        make("FMClassifier", class_weight=[{1: 3.0}]).partial_fit(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.column_stack([LABELS, LABELS]), "but the estimator was fitted on one column of classes"),
        (LABELS + 1, "label 2 at row"),
        (Y, "Unknown label type"),
    ],
)
def test_other_kinds_of_y_are_refused(y, message):
    model = make("FMClassifier", solver="adam").partial_fit(X, LABELS)
    expected = predictions(model)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(predictions(model), expected)


def test_other_columns_are_refused():
    names = [f"c{i}" for i in range(D)]
    model = make("FMRegressor").partial_fit(pd.DataFrame(X, columns=names), Y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(pd.DataFrame(X, columns=names[::-1]), Y)
    with pytest.raises(ValueError, match="features"):
        make("FMRegressor").partial_fit(X, Y).partial_fit(X[:, :3], Y)
    with pytest.raises(ValueError, match="y has 2 columns"):
        model.partial_fit(pd.DataFrame(X, columns=names), np.column_stack([Y, Y]))


@pytest.mark.parametrize("has_text", [False, True])
def test_columns_without_names_after_names_are_told_once(has_text):
    table = pd.DataFrame(X, columns=[f"c{i}" for i in range(D)])
    if has_text:
        table["c0"] = np.where(LABELS, "a", "b")
    model = make("FMRegressor").partial_fit(table, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names, but FMRegressor") as told:
        model.partial_fit(table.to_numpy(), Y)
    assert len(told) == 1


# -- partial_fit after fit -----------------------------------------------------------------------------

SCALES = {"standard": np.ones(5), "of all kinds": np.array([1, 10, 1e3, 1e-2, 1])}


def numeric(seed, n, scales):
    """Rows of columns of such scales, and a target that linear weights and a product make."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, 5))
    return Z * scales, 1.2 * Z[:, 0] - Z[:, 1] + 1.5 * Z[:, 2] * Z[:, 3] + 0.3 * rng.standard_normal(n)


@pytest.mark.filterwarnings("ignore:.*column 3 said less than possible:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize(
    ("name", "fitted_by", "solver"),
    [
        ("FMRegressor", "lbfgs", "adagrad"),
        ("FMRegressor", "lbfgs", "adam"),
        ("FMRegressor", "lbfgs", "ftrl"),
        ("FMRegressor", "adagrad", "adagrad"),
        ("FFMRegressor", "lbfgs", "adagrad"),
        ("FMClassifier", "lbfgs", "adagrad"),
        ("LinearRegressor", "lbfgs", "adagrad"),
        ("LinearClassifier", "lbfgs", "ftrl"),
        ("DeepFMRegressor", "adagrad", "adagrad"),
        ("WideDeepRegressor", "lbfgs", "adagrad"),
    ],
)
def test_what_a_fit_has_learned_outlives_a_few_more_rows(name, fitted_by, solver, scales):
    X, y = numeric(0, 2000, scales)
    X_test, y_test = numeric(1, 2000, scales)
    if name.endswith("Classifier"):
        y, y_test = y > 0, y_test > 0
    model = make(name, solver=fitted_by, max_iter=200).fit(X, y)
    before = model.score(X_test, y_test)
    model.set_params(solver=solver).partial_fit(X[:1], y[:1])
    assert model.score(X_test, y_test) == pytest.approx(before, abs=0.005)
    for chunk in np.split(np.arange(1000), 10):
        model.partial_fit(X[chunk], y[chunk])
        assert model.score(X_test, y_test) > before - 0.02


@pytest.mark.parametrize("solver", ["adagrad", "adam", "ftrl"])
def test_rows_unlike_those_of_a_fit_are_learned_all_the_same(solver):
    X, y = numeric(0, 300, SCALES["standard"])
    model = make("FMRegressor", solver="lbfgs", max_iter=200).fit(X, y)
    model.set_params(solver=solver, learning_rate=0.05 if solver == "adam" else "auto")
    X = np.random.default_rng(1).standard_normal((2000, 5))
    y = -X[:, 0] + X[:, 2] + 1.5 * X[:, 0] * X[:, 3]
    assert model.score(X, y) < 0
    for chunk in np.split(np.arange(2000), 20) * 2:
        model.partial_fit(X[chunk], y[chunk])
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"])
def test_losses_without_curvature_hold_weights_too(loss):
    X, y = numeric(0, 2000, SCALES["standard"])
    y = np.abs(y) if loss == "poisson" else y
    model = make("FMRegressor", solver="lbfgs", loss=loss, max_iter=200).fit(X, y)
    before = model.predict(X)
    model.set_params(solver="adagrad").partial_fit(X[:1], y[:1])
    assert np.abs(model.predict(X) - before).mean() < 0.02 * before.std()


def test_rows_hold_the_columns_that_they_touch_and_no_others():
    """A category that the fit has not seen learns as fast as in a new model."""
    rng = np.random.default_rng(0)
    X = np.eye(4)[rng.integers(3, size=600)]
    y = X @ [1.0, 2.0, 3.0, 0.0] + 0.1 * rng.standard_normal(600)
    model = make("LinearRegressor", solver="lbfgs").fit(X, y)
    known = model.coef_.copy()
    for _ in range(5):
        model.set_params(solver="adagrad").partial_fit(np.eye(4)[[0, 3]], [1.0, 7.0])
    moved = np.abs(model.coef_ - known)
    assert moved[:3].max() < 0.02
    assert moved[3] > 10 * moved[:3].max()


@pytest.mark.parametrize("begun_by", ["fit", "init_from"])
@pytest.mark.parametrize(
    ("name", "solver"),
    [(name, "adagrad") for name in ("LinearClassifier", "FFMClassifier", "DeepFMClassifier")]
    + [("FMClassifier", solver) for solver in ("adagrad", "adam", "ftrl", "sgd")],
)
def test_columns_that_the_first_call_does_not_touch_keep_what_was_learned(name, solver, begun_by):
    rng = np.random.default_rng(0)
    X = np.hstack([np.eye(5)[rng.integers(5, size=300)] for _ in range(2)])
    y = X @ rng.standard_normal(10) + X[:, 0] * X[:, 5] > 0
    model = make(name, solver="lbfgs").fit(X, y)
    expected = model.decision_function(X)
    if begun_by == "init_from":
        model = make(name, init_from=model)
    # So slow that only what is lost changes anything.
    model.set_params(solver=solver, learning_rate=1e-12)
    for chunk in (slice(1), slice(1, 3), slice(3, 300)):
        model.partial_fit(X[chunk], y[chunk], classes=[False, True])
    # The intercept moves with the classes.
    assert np.ptp(model.decision_function(X) - expected) < 1e-3 < np.ptp(expected)


@pytest.mark.parametrize("begun_by", ["fit", "init_from"])
@pytest.mark.parametrize("name", ["LinearRegressor", "FMRegressor"])
def test_one_bad_value_does_not_outvote_the_rows_of_a_fit(name, begun_by):
    X = np.random.default_rng(0).normal(size=(600, 3))
    y = X[:, 0] * 2 + X[:, 1]
    model = make(name, solver="lbfgs").fit(X, y)
    if begun_by == "init_from":
        model = make(name, solver="adagrad", init_from=model)
    model.set_params(solver="adagrad")
    few = X[:20].copy()
    few[0, 0] = 100
    assert model.partial_fit(few, y[:20]).score(X, y) > 0.85
