"""L-BFGS arrives on ordinary data; where it warns, its advice works when followed."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import datasets as bundled
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

import skfm
from skfm.datasets import load_adult

LOADERS = {
    "breast cancer": bundled.load_breast_cancer,
    "wine": bundled.load_wine,
    "digits": bundled.load_digits,
    "adult": load_adult,
    "diabetes": bundled.load_diabetes,
}


def rows_of(name, n_rows=569):
    X, y = LOADERS[name](return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:n_rows]
    return (X.iloc[rows], y.iloc[rows]) if isinstance(X, pd.DataFrame) else (X[rows], y[rows])


def fitted(name, X, y, **parameters):
    """A model, and what was said on the way."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = getattr(skfm, name)(random_state=0, **parameters).fit(X, y)
    return model, [str(one.message) for one in said]


@pytest.mark.parametrize("name", ["Linear", "FM", "MixtureFM", "DeepFM"])
@pytest.mark.parametrize("data", LOADERS)
def test_ordinary_data_need_no_warning(name, data):
    X, y = rows_of(data, 150 if name == "DeepFM" or data == "digits" else 569)
    _, said = fitted(name + ("Regressor" if data == "diabetes" else "Classifier"), X, y)
    assert said == []


def objective(chances, y, coef, n_rows):
    return log_loss(y, chances) + 0.5 * np.square(coef).sum() / n_rows


@pytest.mark.parametrize("data", ["breast cancer", "wine", "digits", "adult"])
def test_linear_classifiers_are_logistic_regressions(data):
    X, y = rows_of(data)
    if data == "adult":
        X = skfm.FieldEncoder().fit_transform(X, y)
    model, said = fitted("LinearClassifier", X, y, l2_linear=1 / len(y))
    oracle = LogisticRegression(solver="newton-cg", tol=1e-8, max_iter=1000).fit(X, y)
    found, best = (objective(one.predict_proba(X), y, one.coef_, len(y)) for one in (model, oracle))
    assert said == []
    assert model.n_iter_ < 200
    assert found == pytest.approx(best, abs=1e-5)


def test_linear_regressors_are_ridge_regressions():
    X, y = rows_of("diabetes")
    model, _ = fitted("LinearRegressor", X, y, l2_linear=1 / len(y))
    # The penalty is in units of a standardised y, and of the rows' mean.
    np.testing.assert_allclose(model.predict(X), Ridge(alpha=1.0).fit(X, y).predict(X), rtol=1e-4)


@pytest.mark.parametrize("name", ["LinearClassifier", "FMClassifier", "DeepFMClassifier"])
def test_more_iterations_help_where_a_warning_asks_for_them(name):
    X, y = rows_of("adult")
    # One prior: those that are tried leave little to learn.
    given = {"l2_factors": 0.03} if name == "FMClassifier" else {}
    few, (message,) = fitted(name, X, y, max_iter=4, **given)
    assert "Increase max_iter (=4)" in message
    enough, said = fitted(name, X, y, max_iter=200, **given)
    assert said == []
    assert few.n_iter_ == 4 < enough.n_iter_
    assert enough.history_["loss"][-1] < few.history_["loss"][-1] - 0.005
    assert "or tol (=0.0001)" in message
    assert fitted(name, X, y, max_iter=4, tol=0.1, **given)[1] == []


def test_a_loose_or_strict_tolerance_is_kept():
    X, y = rows_of("breast cancer")
    n_iter = [
        fitted("LinearClassifier", X, y, tol=tol, max_iter=2000)[0].n_iter_ for tol in (1e-2, 1e-4, 1e-7)
    ]
    assert n_iter == sorted(set(n_iter))


def test_smaller_penalties_help_where_a_warning_asks_for_them():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdef"))
    X = pd.DataFrame({"goods": rng.choice(letters, 600)})
    X["seen"] = [list(rng.choice(letters, rng.integers(0, 4))) for _ in range(600)]
    y = np.array([goods in seen for goods, seen in zip(X["goods"], X["seen"], strict=True)])
    given = {"sequence_fields": {"seen": "goods"}, "l2_factors": 0.01, "l2_dense": 0.01}
    given["early_stopping"] = False
    model, (message,) = fitted("DINClassifier", X, y, **given)
    assert "nothing was learned" in message
    penalties = {name: model.plan_[name] for name in ("l2_factors", "l2_dense")}
    assert all(f"{name}={value:.2g}" in message for name, value in penalties.items())
    smaller = {name: value / 10 for name, value in penalties.items()}
    for remedy in (smaller, {"init_scale": 30 * model.plan_["init_scale"]}):
        better, said = fitted("DINClassifier", X, y, **given | remedy)
        assert "nothing was learned" not in "".join(said)
        assert better.score(X, y) > 0.95 > model.score(X, y)


def test_what_is_said_where_nothing_was_learned_fits_the_model():
    rng = np.random.default_rng(0)
    X, y = 1e-8 * rng.normal(size=(200, 3)), rng.normal(size=200)
    linear, (message,) = fitted("LinearRegressor", X, y + 1e8 * X[:, 0])
    assert "column 0 counted for nothing" in message
    assert f"l2_linear={linear.plan_['l2_linear']:.2g}" in message
    assert fitted("LinearRegressor", X, y + 1e8 * X[:, 0], l2_linear=0.0)[1] == []


CONSTANTS = {
    "a date": pd.DataFrame({"day": pd.to_datetime(["2020-01-01"] * 200)}),
    "a number": np.full((200, 2), 3.5),
    "no entries": sparse.csr_array((200, 3)),
    "values that come once": pd.DataFrame({"id": [f"id {number}" for number in range(200)]}),
}


@pytest.mark.parametrize("solver", ["lbfgs", "adagrad"])
@pytest.mark.parametrize("kind", CONSTANTS)
def test_rows_that_are_all_the_same_are_named_as_the_cause(kind, solver):
    y = np.random.default_rng(0).normal(size=200)
    encoder = skfm.FieldEncoder(min_frequency=2) if isinstance(CONSTANTS[kind], pd.DataFrame) else None
    _, (message,) = fitted("FMRegressor", CONSTANTS[kind], y, solver=solver, encoder=encoder)
    assert "nothing was learned, for the rows to learn from are the same in all columns" in message
    assert "penalties" not in message


def test_a_plateau_before_factors_have_grown_is_no_end():
    X = np.random.default_rng(0).choice([-1.0, 1.0], size=(300, 4))
    y = X[:, 0] + X[:, 2] * X[:, 3]
    given = {"solver": "lbfgs", "init_scale": 1e-4, "l2_factors": 1e-4, "tol": 1e-2, "n_iter_no_change": 2}
    model, said = fitted("FMRegressor", X, y, **given)
    assert said == []
    assert model.score(X, y) > 0.99


@pytest.mark.parametrize("name", ["FM", "FFM", "FwFM", "MixtureFM"])
@pytest.mark.parametrize(("init_scale", "learning_rate"), [(1e-3, "auto"), (1e-3, 3e-3), (1e-2, 1e-3)])
def test_batches_wait_for_factors_that_have_yet_to_grow(name, init_scale, learning_rate):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    y = X[:, 0] * X[:, 1] + 0.1 * rng.normal(size=100)
    given = {"solver": "sgd", "init_scale": init_scale, "learning_rate": learning_rate, "max_iter": 2000}
    if name == "MixtureFM":
        # Linear gates and experts can tell much of a product.
        given |= {"gate": "fm", "expert": "fm"}
    model, said = fitted(name + "Regressor", X, y, **given)
    assert said == []
    # At small rates `tol` ends training before the last of it is learned; on the plateau this is below 0.1.
    assert model.score(X, y) > 0.7


@pytest.mark.parametrize("name", ["FM", "FFM", "FwFM", "MixtureFM"])
def test_batches_do_not_wait_for_factors_that_tell_something(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = X[:, 0] * X[:, 1] + X[:, 2] > 0
    given = {"solver": "adagrad", "early_stopping": True, "scoring": lambda estimator, X, y: 1.0}
    model, _ = fitted(name + "Classifier", X, y, **given, n_iter_no_change=3)
    # The first epoch, and three times the patience: the rate is cut twice.
    assert model.n_iter_ == 10


@pytest.mark.parametrize("init_scale", [0.0, 1e-300, 1e-3])
def test_waiting_for_factors_ends_with_max_iter(init_scale):
    X = np.random.default_rng(0).normal(size=(100, 2))
    given = {
        "solver": "sgd",
        "init_scale": init_scale,
        "learning_rate": 1e-6,
        "max_iter": 30,
        "tol": 0.09,
        "n_iter_no_change": 3,
    }
    model, _ = fitted("FMRegressor", X, X[:, 0], **given)
    assert model.n_iter_ == (30 if init_scale == 1e-3 else 10)


@pytest.mark.parametrize("init_scale", [1e-4, 1e-6, 1e-10, 1e-300])
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
@pytest.mark.parametrize("name", ["FMRegressor", "FFMRegressor", "DeepFMRegressor"])
def test_lbfgs_leaves_the_point_where_factors_are_0(name, tol, init_scale):
    X = np.random.default_rng(0).normal(size=(400, 3))
    y = 2 * X[:, 0] * X[:, 1] + X[:, 2]
    model, said = fitted(name, X, y, solver="lbfgs", tol=tol, init_scale=init_scale)
    assert said == []
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("name", ["LinearRegressor", "FMRegressor", "DeepFMRegressor"])
def test_a_tolerance_that_ends_everything_is_named(name):
    X = np.random.default_rng(0).normal(size=(300, 3))
    worse, (message,) = fitted(name, X, X[:, 0], solver="lbfgs", tol=1e308)
    assert message.endswith("Give a smaller tol than 1e+308.")
    better, said = fitted(name, X, X[:, 0], solver="lbfgs", tol=1e-3)
    assert said == []
    assert better.score(X, X[:, 0]) > 0.95 > worse.score(X, X[:, 0])


@pytest.mark.parametrize("name", ["NFM", "AFM", "PNN"])
@pytest.mark.parametrize("n_rows", [1000, 5000])
@pytest.mark.parametrize("is_classifier", [True, False])
def test_crossed_columns_are_learned_where_no_column_tells_anything_alone(name, n_rows, is_classifier):
    rng = np.random.default_rng(2)
    X = pd.DataFrame(
        {"u": rng.choice(list("abcdefgh"), 2 * n_rows), "v": rng.choice(list("pqrs"), 2 * n_rows)}
    )
    mean = 0.15 + 0.7 * ((X["u"] < "e") ^ (X["v"] < "r"))
    y = (rng.random(2 * n_rows) < mean) * 1.0 if is_classifier else mean + 0.3 * rng.normal(size=2 * n_rows)
    seen, unseen = slice(n_rows), slice(n_rows, None)
    cells = y[seen].groupby([X["u"][seen], X["v"][seen]]).mean()
    oracle = cells[pd.MultiIndex.from_frame(X[unseen])].to_numpy()
    model, said = fitted(name + ("Classifier" if is_classifier else "Regressor"), X[seen], y[seen])
    found = model.predict_proba(X[unseen])[:, 1] if is_classifier else model.predict(X[unseen])
    ours, best, nothing = (np.square(one - y[unseen]).mean() for one in (found, oracle, y[seen].mean()))
    assert said == []
    assert nothing - ours > 0.9 * (nothing - best)


@pytest.mark.parametrize("name", ["NFM", "AFM"])
def test_lbfgs_does_not_wait_for_factors_that_start_grown(name):
    X = np.random.default_rng(0).normal(size=(600, 5))
    y = X[:, 0] + np.random.default_rng(1).normal(size=600)
    model, said = fitted(name + "Regressor", X, y, solver="lbfgs", early_stopping=True, max_iter=500)
    assert said == []
    losses, best = np.array(model.history_["loss"]), np.argmin(model.history_["validation_loss"])
    # Iterations on the way back to the lowest loss are no waiting.
    lowest = np.minimum.accumulate(losses)[best:-1]
    assert np.count_nonzero(losses[best + 1 :] <= lowest) == model.n_iter_no_change


def test_products_with_a_number_are_learned_from_few_rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"city": rng.choice(list("ABC"), 600), "year": rng.integers(1990, 2020, 600) * 1.0})
    X["other"] = rng.choice(["x", "y"], 600)
    y = 500 + 5 * np.where(X["city"] == "A", 1, -1) * (X["year"] - 2005) + rng.normal(size=600)
    for name in ["FM", "NFM", "AFM", "PNN"]:
        model, said = fitted(name + "Regressor", X, y)
        assert said == [], name
        assert model.score(X, y) > 0.95, name


def test_steps_that_are_too_large_are_named():
    X = np.random.default_rng(0).normal(size=(300, 5))
    given = {"solver": "adam", "learning_rate": 10.0}
    worse, (message,) = fitted("FMRegressor", X, X[:, 0], **given)
    assert worse.history_["loss"][-1] > 0.5
    assert "is above that of a constant prediction, 0.5. Give a smaller learning_rate (=10)" in message
    better, said = fitted("FMRegressor", X, X[:, 0], **given | {"learning_rate": 0.01})
    assert said == []
    assert better.score(X, X[:, 0]) > 0.9


@pytest.mark.parametrize(
    ("name", "solver", "rate", "early_stopping"),
    [
        ("FMRegressor", "adam", "auto", "auto"),
        ("FMRegressor", "adam", "auto", True),
        ("DeepFMRegressor", "adam", "auto", False),
        ("LinearRegressor", "adagrad", 1e-3, "auto"),
        ("LinearRegressor", "adagrad", 1e-3, True),
        ("FMRegressor", "adagrad", 1e-5, "auto"),
        ("FMRegressor", "sgd", 1e-5, "auto"),
        ("FMRegressor", "sgd", 1e-5, True),
        ("FMClassifier", "adam", "auto", "auto"),
        ("FMClassifier", "adam", "auto", True),
    ],
)
def test_batches_that_end_while_they_learn_say_so(name, solver, rate, early_stopping):
    X = np.random.default_rng(0).normal(size=(300, 2))
    y = 2 * X[:, 0] + X[:, 1] + 0.5 * X[:, 0] * X[:, 1]
    y = y > 0 if name == "FMClassifier" else y
    given = {"solver": solver, "learning_rate": rate, "early_stopping": early_stopping}
    worse, (message,) = fitted(name, X, y, **given)
    what = "the loss of the held-out rows" if "validation_loss" in worse.history_ else "the objective"
    assert f"the last 20 lowered {what} by" in message
    assert "training stopped after 200 iterations while it was learning" in message
    assert (
        f"Increase max_iter (=200) or learning_rate (={worse.plan_['learning_rate']:.2g}), or tol" in message
    )
    better, said = fitted(name, X, y, **given | {"learning_rate": 0.1})
    assert said == []
    assert better.history_["loss"][-1] < worse.history_["loss"][-1]
    if rate == "auto":
        longer, said = fitted(name, X, y, **given, max_iter=2000)
        assert said == []
        assert longer.history_["loss"][-1] < 0.5 * worse.history_["loss"][-1]
    assert fitted(name, X, y, **given, tol=0.1)[1] == []


@pytest.mark.parametrize("name", ["LinearClassifier", "FMClassifier", "FMRegressor"])
@pytest.mark.parametrize("early_stopping", ["auto", True])
@pytest.mark.parametrize("rate", [1e-4, 1e-5])
def test_rates_below_tol_do_not_stop_before_anything_was_learned(name, early_stopping, rate):
    X = np.random.default_rng(0).normal(size=(300, 2))
    y = X[:, 0] > 0 if name.endswith("Classifier") else X[:, 0]
    given = {"solver": "adam", "learning_rate": rate, "early_stopping": early_stopping}
    model, (message,) = fitted(name, X, y, **given)
    assert model.n_iter_ == 200
    assert "while it was learning" in message
    assert f"or learning_rate (={rate:.2g})" in message


def test_steps_too_small_to_leave_the_first_factors_are_not_called_too_large():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)), rng.random(300) < 0.5
    given = {"solver": "adam", "init_scale": 3.0, "max_iter": 20}
    for rate, size in ((1e-4, "larger"), (30.0, "smaller")):
        _, (message,) = fitted("FMClassifier", X, y, learning_rate=rate, **given)
        assert "is above that of a constant prediction" in message
        assert f"Give a {size} learning_rate (={rate:.2g}), or a smaller init_scale than 3" in message


def test_a_schedule_that_is_too_slow_is_named():
    X = np.random.default_rng(0).normal(size=(300, 2))
    given = {"solver": "adam", "early_stopping": True, "max_iter": 20}
    _, (message,) = fitted("FMRegressor", X, X[:, 0], learning_rate_schedule=lambda step: 1e-3, **given)
    assert "Increase max_iter (=20) or rate of learning_rate_schedule, or tol" in message
    assert fitted("FMRegressor", X, X[:, 0], learning_rate_schedule=lambda step: 0.1, **given)[1] == []


@pytest.mark.parametrize("solver", ["adagrad", "adam", "sgd", "ftrl"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_steps_too_small_to_move_anything_are_named(solver, early_stopping):
    X = np.random.default_rng(0).normal(size=(300, 2))
    given = {"solver": solver, "learning_rate": 1e-300, "early_stopping": early_stopping}
    _, (message,) = fitted("FMRegressor", X, X[:, 0], **given)
    assert "nothing was learned" in message
    assert "a larger learning_rate (=1e-300)" in message


@pytest.mark.parametrize("name", ["LinearClassifier", "FMClassifier", "FFMClassifier", "DeepFMClassifier"])
@pytest.mark.parametrize("solver", ["adagrad", "sgd", "ftrl"])
@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_ordinary_data_need_no_warning_in_batches(name, solver, early_stopping):
    model, said = fitted(name, *rows_of("wine"), solver=solver, early_stopping=early_stopping)
    assert said == []
    assert model.score(*rows_of("wine")) > 0.98


def test_one_pass_is_no_early_end():
    X = np.random.default_rng(0).normal(size=(300, 2))
    given = {"solver": "adagrad", "learning_rate": 1e-3, "n_iter_no_change": 1}
    assert fitted("FMRegressor", [(X, X[:, 0])], None, **given, max_iter=1)[1] == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = skfm.FMRegressor(**given)
        for _ in range(5):
            model.partial_fit(X, X[:, 0])


@pytest.mark.parametrize("solver", ["sgd", "adagrad", "adam", "ftrl"])
def test_a_constant_is_learned_without_a_word(solver):
    X = np.random.default_rng(7).normal(size=(200, 5))
    model = skfm.FMRegressor(2, solver=solver, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, np.full(200, 5.0))
    np.testing.assert_allclose(model.predict(X), 5.0, atol=1e-2)
