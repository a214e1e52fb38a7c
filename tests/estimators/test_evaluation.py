"""Evaluation inside fit: rows to stop on that say little, and scorers that say nothing."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from sklearn.metrics import get_scorer, get_scorer_names, make_scorer, max_error

import skfm
from tests.estimators.problems import LABELS, N, X, Y, make, predictions

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.UndefinedMetricWarning",
)

WEIGHT = np.linspace(0.5, 2, N)
SOLVERS = pytest.mark.parametrize("solver", ["adam", "lbfgs"])
ONE_CLASS = np.flatnonzero(LABELS == 1)[:5]


@SOLVERS
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y_val": [0, 1, 2, 0]}, r"y_val contains the label 2 at row 2.* Drop that row, or add rows"),
        ({"y_val": [0, 1]}, r"Of X_val and y_val: Found input variables with inconsistent numbers"),
        ({"y_val": [0.5, 0.2, 1.0, 1.5]}, "Unknown label type: y_val holds 0.5 at row 0"),
        ({"y_val": np.eye(4)}, r"y_val has shape \(4, 4\), but the estimator was fitted on one column"),
        ({"X_val": X[:4, :3]}, r"X_val has 3 features, but FMClassifier is expecting 6"),
        ({"X_val": np.full((4, 6), np.nan)}, r"Input X_val contains NaN at row 0, column 0"),
        ({"X_val": X[:0], "y_val": []}, r"Of X_val and y_val: Found array with 0 sample"),
        ({"X_val": None}, r"X_val and y_val go together"),
        ({"y_val": None}, r"X_val and y_val go together"),
        ({"sample_weight_val": np.zeros(4)}, r"sample_weight_val is zero for every row\. Give some"),
        ({"sample_weight_val": np.ones(3)}, r"sample_weight_val.shape == \(3,\), .* each row of X_val"),
        ({"X_val": None, "y_val": None, "sample_weight_val": [1.0]}, r"sample_weight_val goes with X_val"),
    ],
)
def test_errors_name_the_arguments_of_held_out_rows(solver, given, message):
    held_out = {"X_val": X[:4], "y_val": [0, 1, 1, 0]} | given
    with pytest.raises(ValueError, match=message) as caught:
        make("FMClassifier", solver=solver).fit(X, LABELS, **held_out)
    assert "partial_fit" not in str(caught.value)


def test_errors_name_the_arguments_of_a_stream_too():
    with pytest.raises(ValueError, match=r"y_val contains the label 5 at row 1"):
        make("FMClassifier", solver="adam").fit([(X, LABELS)], X_val=[(X[:2], np.array([0, 5]))])
    with pytest.raises(ValueError, match=r"Chunk 0 of the stream: X_val has 3 features"):
        make("FMClassifier", solver="adam").fit([(X, LABELS)], X_val=[(X[:2, :3], np.array([0, 1]))])


LARGE = X[:6].copy()
LARGE[4, 4] = 1e300
Y_LARGE = np.array([0, 1, 0, 1, 1, 0])
THREE_LABELS = np.where(np.arange(len(X)) % 5 == 0, 2, LABELS)
TWO_CHUNKS = [(LARGE[:3], Y_LARGE[:3]), (LARGE[3:], Y_LARGE[3:], np.array([0.0, 1.0, 1.0]))]
TOO_LARGE = r"X_val has a value at row {}, column 4 that is .* too large to compute with"


@SOLVERS
@pytest.mark.parametrize("name", ["FMClassifier", "FFMClassifier"])
@pytest.mark.parametrize("class_weight", [None, {0: 0, 1: 1, 2: 1}])
@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, "^" + TOO_LARGE.format(4)),
        ({"sample_weight_val": [1, 0, 1, 0, 1, 1]}, "^" + TOO_LARGE.format(4)),
        ({"X_val": TWO_CHUNKS, "y_val": None}, "Chunk 1 of the stream: " + TOO_LARGE.format(1)),
    ],
)
def test_a_value_of_held_out_rows_out_of_range_is_named(solver, name, class_weight, given, place):
    model = make(name, solver=solver, class_weight=class_weight)
    with pytest.raises(ValueError, match=place):
        model.fit(X, THREE_LABELS, **{"X_val": LARGE, "y_val": Y_LARGE} | given)


@pytest.mark.parametrize("name", ["FMClassifier", "FFMClassifier"])
def test_a_value_of_held_out_rows_on_disk_out_of_range_is_named(name, on_disk):
    with pytest.raises(ValueError, match="Chunk 1 of the stream: " + TOO_LARGE.format(1)):
        make(name, solver="adam").fit([(X, LABELS)] * 2, X_val=TWO_CHUNKS)


def test_a_stream_to_stop_on_has_to_have_weights():
    chunks = [(X[:2], np.array([0, 1]), np.zeros(2))] * 2
    with pytest.raises(ValueError, match=r"Of X_val and y_val: The stream has no rows with a weight"):
        make("FMClassifier", solver="adam").fit([(X, LABELS)], X_val=chunks)


def test_a_label_in_quotes_is_no_argument():
    y = np.array(["x", "z"])[LABELS]
    with pytest.raises(ValueError, match=r"y_val contains the label 'y' at row 1, .* \['x', 'z'\]"):
        make("FMClassifier").fit(X, y, X_val=X[:2], y_val=["x", "y"])


@SOLVERS
@pytest.mark.parametrize("streams", [False, True])
def test_held_out_rows_of_one_class(solver, streams):
    rows, held_out = (X, LABELS), (X[ONE_CLASS], LABELS[ONE_CLASS])
    given = (
        (([rows], None), {"X_val": [held_out]})
        if streams
        else (rows, {"X_val": held_out[0], "y_val": held_out[1]})
    )
    make("FMClassifier", solver=solver).fit(*given[0], **given[1])
    model = make("FMClassifier", solver=solver, scoring="roc_auc")
    match = r"scoring='roc_auc' cannot score .*\(5, in which y is the same everywhere\): it needs rows of two"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=match):
            model.fit(*given[0], **given[1])
    make("FMClassifier", solver=solver, scoring="accuracy").fit(*given[0], **given[1])


@SOLVERS
@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (np.nan, "nan"),
        (np.inf, "inf"),
        (None, "None"),
        (np.ones(3), r"an array of shape \(3,\)"),
        ("a", "'a'"),
    ],
)
def test_scores_that_are_no_number(solver, found, shown):
    model = make("FMClassifier", solver=solver, early_stopping=True, scoring=lambda *args: found)
    with pytest.raises(
        ValueError, match=rf"held-out rows \(7\): it gives {shown}\. A scoring function has to return one"
    ):
        model.fit(X, LABELS)
    for number in (0.5, np.float32(0.5), np.array(0.5), 1, True):
        make("FMClassifier", solver=solver, early_stopping=True, scoring=lambda *args, n=number: n).fit(
            X, LABELS
        )


@SOLVERS
def test_scorers_that_raise(solver):
    y = np.append(np.arange(N - 4) % 3, [3, 4, 5, 6])
    model = make("FMClassifier", solver=solver, early_stopping=True, scoring="roc_auc_ovr")
    with pytest.raises(ValueError, match=r"scoring='roc_auc_ovr' cannot score the held-out rows .*classes"):
        model.fit(X, y)

    def own(estimator, held_out, y):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        make("FMClassifier", solver=solver, early_stopping=True, scoring=own).fit(X, y)


@SOLVERS
@pytest.mark.parametrize(
    ("name", "y", "scoring", "remedy"),
    [
        ("FMRegressor", Y, "accuracy", "Give one of numbers, such as 'neg_mean_squared_error' or 'loss'"),
        ("FMClassifier", np.arange(N) % 3, "r2", "Give one of labels, such as 'accuracy' or 'loss'"),
        (
            "FMClassifier",
            np.eye(2, dtype=int)[LABELS],
            "f1",
            "suits FMClassifier, such as 'f1_macro' or 'loss'",
        ),
        ("FMClassifier", np.arange(N) % 3, "roc_auc", "with 3 classes, such as 'roc_auc_ovr' or 'loss'"),
        ("FMClassifier", np.arange(N) % 3, "f1", "with 3 classes, such as 'f1_macro' or 'loss'"),
    ],
)
def test_scores_that_do_not_suit_the_task_are_named_before_training(solver, name, y, scoring, remedy):
    model = make(name, solver=solver, early_stopping=True, scoring=scoring)
    with pytest.raises(ValueError, match=remedy) as caught:
        model.fit(X, y)
    assert "Hold out" not in str(caught.value)
    assert "train" not in {Path(str(one.path)).parent.name for one in caught.traceback}
    model.set_params(scoring=remedy.split("'")[1]).fit(X, y)


@pytest.mark.parametrize("scoring", sorted(get_scorer_names()))
def test_scores_of_numbers_are_for_regressors_and_others_for_classifiers(scoring):
    # scikit-learn's names of measures of regression end so, but for these.
    of_numbers = scoring.endswith(("error", "deviance", "d2_absolute_error_score")) or scoring in (
        "explained_variance",
        "r2",
    )
    name, kind = ("FMClassifier", "numbers") if of_numbers else ("FMRegressor", "labels")
    y = 1.0 + LABELS
    steps = {"solver": "adagrad", "max_iter": 1, "early_stopping": True}
    with pytest.raises(ValueError, match=f"scoring='{scoring}' is a score of {kind}, and {name} predicts"):
        make(name, scoring=scoring, **steps).fit(X, y)


def test_a_scorer_that_is_given_is_not_judged():
    steps = {"solver": "adagrad", "max_iter": 1, "early_stopping": True}
    found = make("FMClassifier", scoring=get_scorer("r2"), **steps).fit(X, LABELS)
    assert np.isfinite(found.history_["validation_score"]).all()


def test_a_score_that_does_not_suit_is_named_before_a_start_is_trained():
    model = make("FNNClassifier", early_stopping=True, scoring="r2")
    with pytest.raises(ValueError, match="is a score of numbers") as caught:
        model.fit(X, LABELS)
    assert "train" not in {Path(str(one.path)).parent.name for one in caught.traceback}


@SOLVERS
@pytest.mark.parametrize("labels", [["no", "yes"], [5, 7]])
@pytest.mark.parametrize("scoring", ["f1", "precision", "recall", "jaccard", "average_precision"])
def test_a_score_that_asks_for_the_positive_label_says_how_to_give_it(solver, labels, scoring):
    steps = {"solver": solver, "early_stopping": True, "learning_rate": 0.1, "max_iter": 5}
    y = np.array(labels)[LABELS]
    with pytest.raises(ValueError, match="pos_label") as caught:
        make("FMClassifier", scoring=scoring, **steps).fit(X, y)
    message = str(caught.value)
    assert message.endswith(", or make 0 and 1 of the labels.")
    macro, made = re.search(r"such as (?:'(\w+)' or )?(sklearn\.metrics\..*) or 'loss'", message).groups()
    assert (macro is None) == (scoring == "average_precision")
    assert f"pos_label={labels[1]!r}" in made
    scorer = eval(made.replace("make_scorer(", "make_scorer(sklearn.metrics."), {"sklearn": sklearn})
    found = make("FMClassifier", scoring=scorer, **steps).fit(X, y).history_["validation_score"]
    of_0_and_1 = make("FMClassifier", scoring=scoring, **steps).fit(X, LABELS)
    assert found == of_0_and_1.history_["validation_score"]
    if macro is not None:
        make("FMClassifier", scoring=macro, **steps).fit(X, y)


def test_a_loss_that_asks_for_the_positive_label_is_to_be_low():
    y, steps = np.array(["no", "yes"])[LABELS], {"solver": "adagrad", "early_stopping": True}
    with pytest.raises(
        ValueError, match=r"make_scorer\(brier_score_loss, pos_label='yes', greater_is_better=F"
    ):
        make("FMClassifier", scoring="neg_brier_score", **steps).fit(X, y)
    # A scorer of the user's keeps its options.
    scorer = make_scorer(sklearn.metrics.fbeta_score, beta=2)
    with pytest.raises(ValueError, match=r"make_scorer\(fbeta_score, beta=2, pos_label='yes'\)"):
        make("FMClassifier", scoring=scorer, **steps).fit(X, y)


@SOLVERS
def test_scorers_without_weights(solver):
    seen = []

    def own(estimator, held_out, y):
        seen.append(len(y))
        return 0.5

    settings = {"solver": solver, "early_stopping": True}
    make("FMRegressor", scoring=own, **settings).fit(X, Y, WEIGHT)
    assert set(seen) == {7}
    made = make("FMRegressor", scoring=make_scorer(max_error, greater_is_better=False), **settings)
    assert max(made.fit(X, Y, WEIGHT).history_["validation_score"]) < 0


@SOLVERS
def test_rows_that_are_few(solver):
    settings = {"solver": solver, "early_stopping": True}
    with pytest.raises(
        ValueError, match=r"validation_fraction='auto' holds out 1 of 1 rows.*early_stopping=False"
    ):
        make("FMRegressor", **settings).fit(X[:1], Y[:1])
    for n in (2, 3):
        assert np.isfinite(predictions(make("FMRegressor", **settings).fit(X[:n], Y[:n]))).all()
    assert np.isfinite(predictions(make("FMClassifier", **settings).fit(X[:3], [0, 1, 1]))).all()
    with pytest.raises(ValueError, match="each of the 2 rows is alone in its class"):
        make("FMClassifier", **settings).fit(X[:2], [0, 1])
    few = make("FMClassifier", validation_fraction=0.7, **settings).fit(X[:4], [0, 1, 1, 2])
    assert few.plan_["n_held_out"] == 1
    with pytest.raises(ValueError, match=r"validation_fraction=0\.999 holds out 64 of 64 rows"):
        make("FMRegressor", validation_fraction=0.999, **settings).fit(X, Y)
    assert make("FMRegressor", validation_fraction=1e-9, **settings).fit(X, Y).plan_["n_held_out"] == 1


@SOLVERS
def test_more_classes_than_held_out_rows(solver):
    y = np.arange(N) % 30
    model = make("FMClassifier", solver=solver, early_stopping=True).fit(X, y)
    assert model.classes_.size == 30 > model.plan_["n_held_out"]


def test_counts_that_are_all_zero_may_be_held_out():
    make("FMRegressor", loss="poisson").fit(X, np.abs(Y), X_val=X[:3], y_val=np.zeros(3))
    with pytest.raises(ValueError, match="at least one target above 0"):
        make("FMRegressor", loss="poisson").fit(X, np.zeros(N))


@SOLVERS
@pytest.mark.parametrize("scoring", ["r2", "d2_absolute_error_score"])
def test_one_row_that_has_no_score_is_an_error_and_no_warning(solver, scoring):
    model = make("FMRegressor", solver=solver, scoring=scoring)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=r"cannot score .*: it needs two rows. Hold out"):
            model.fit(X, Y, X_val=X[:1], y_val=Y[:1])
    assert not caught


@pytest.mark.parametrize("solver", ["adagrad", "lbfgs"])
def test_a_score_that_is_the_same_after_each_epoch_is_named(solver):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    y = rows[:, 0] * rows[:, 1] + rows[:, 2] > 0

    def fitted(**changes):
        given = {"early_stopping": True, "scoring": lambda estimator, X, y: 1.0, "l2_factors": 1e-3} | changes
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = make("FMClassifier", solver=solver, max_iter=200, **given).fit(rows, y)
        return model, [str(one.message) for one in said]

    model, (message,) = fitted()
    n_epochs = len(model.history_["validation_score"])
    assert f"the first of {n_epochs} epochs, for scoring gave 1 after each" in message
    assert "Give scoring='loss'" in message
    assert "early_stopping=False" in message
    for remedy in ({"scoring": "loss"}, {"early_stopping": False}):
        better, said = fitted(**remedy)
        assert not [one for one in said if "scoring" in one]
        assert better.score(rows, y) > model.score(rows, y)
    # Accuracy that stands still for a while is no constant.
    changing, said = fitted(scoring="accuracy")
    assert len(set(changing.history_["validation_score"])) > 1
    assert not [one for one in said if "scoring gave" in one]


def test_score_without_any_weight_says_so_before_x_is_read():
    rows = np.arange(40.0).reshape(20, 2) % 7
    model = skfm.LinearRegressor().fit(rows, rows[:, 0])
    unread = np.where(np.arange(20)[:, None] == 0, np.nan, rows)
    with pytest.raises(ValueError, match=r"sample_weight is zero for every row\. Give some"):
        model.score(unread, rows[:, 0], np.zeros(20))


@pytest.mark.parametrize("shape", [(20, 3), (20, 1)])
def test_weights_of_another_shape_are_refused_where_all_are_zero(shape):
    rows = np.arange(40.0).reshape(20, 2) % 7
    y, zeros = rows[:, 0], np.zeros(shape)
    model = skfm.LinearRegressor().fit([(rows, y), (rows, y, np.zeros(20))])
    for call in (model.fit, model.score):
        with pytest.raises(ValueError, match=r"Chunk 1 of the stream: sample_weight must be 1D"):
            call([(rows, y), (rows, y, zeros)])
    labels = np.column_stack([y > 2, y > 4]).astype(int)
    chain = skfm.ESMMClassifier(max_iter=1, hidden_layer_sizes=(2,))
    chain.fit([(rows, labels), (rows, labels, np.zeros((20, 2)))])
    with pytest.raises(ValueError, match=r"Chunk 1 of the stream: sample_weight"):
        chain.fit([(rows, labels), (rows, labels, zeros)])


def test_numbers_among_objects_are_numbers_in_every_chunk():
    rows = np.arange(40.0).reshape(20, 2) % 7
    y, weight = rows[:, 0], np.r_[0.0, np.ones(19)]
    with_text = np.array(["bad", *y[1:]], dtype=object)
    same = skfm.LinearRegressor().fit([(rows, y, weight)] * 2).coef_
    for chunks in ([y, y.astype(object)], [y, with_text], [with_text, y]):
        found = skfm.LinearRegressor().fit([(rows, one, weight) for one in chunks]).coef_
        np.testing.assert_array_equal(found, same)
    with pytest.raises(ValueError, match=r"Chunk 1 of the stream: y holds text"):
        skfm.LinearRegressor().fit([(rows, y), (rows, with_text)])
    texts = np.where(y > 3, "yes", "no")
    for chunks in ([texts, texts.astype(object)], [texts.astype(object), texts]):
        assert skfm.LinearClassifier().fit([(rows, one) for one in chunks]).classes_.tolist() == ["no", "yes"]
