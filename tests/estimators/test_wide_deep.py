"""Wide and deep learning: its parts, crossed columns, and a solver for each part."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfm import FieldEncoder, WideDeepClassifier, WideDeepRegressor
from skfm.train import step
from tests.estimators.problems import LABELS, X, make, predictions

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"city": RNG.choice(["A", "B", "C"], 200), "day": RNG.choice(["mo", "tu"], 200)})
SAME = ((TABLE["city"] == "A") == (TABLE["day"] == "mo")).to_numpy()
CROSSES = [("city", "day")]
SMALL = {"cross_slots": 64, "random_state": 0}
STEPS = {"solver": "adam", "batch_size": 16, "early_stopping": False}


def test_wide_part_is_the_linear_model():
    wide = make("WideDeepClassifier", parts="wide", max_iter=100).fit(X, LABELS)
    linear = make("LinearClassifier", max_iter=100).fit(X, LABELS)
    assert_allclose(predictions(wide), predictions(linear), rtol=1e-5)
    assert_allclose(wide.coef_, linear.coef_, atol=1e-5)
    assert not hasattr(wide, "factors_")


def test_deep_part_has_no_linear_weights():
    deep = make("WideDeepClassifier", parts="deep").fit(X, LABELS)
    assert not hasattr(deep, "coef_")
    assert deep.factors_.shape == (6, 3)


@pytest.mark.parametrize("parts", ["wide", "both"])
def test_crosses_are_learned_by_the_wide_part(parts):
    settings = SMALL | {"parts": parts, "hidden_layer_sizes": (4,), "n_factors": 2, "l2_factors": 0.1}
    plain = WideDeepClassifier(**settings).fit(TABLE, SAME)
    crossed = WideDeepClassifier(**settings, crosses=CROSSES).fit(TABLE, SAME)
    assert plain.score(TABLE, SAME) < 0.9
    assert crossed.score(TABLE, SAME) == 1
    assert crossed.encoder_.crosses == CROSSES
    assert crossed.coef_.shape == (1, plain.coef_.shape[1] + 65)


def test_crosses_are_not_seen_by_the_network():
    model = WideDeepRegressor(2, hidden_layer_sizes=(4,), crosses=CROSSES, max_iter=5, **SMALL, **STEPS)
    model.fit(TABLE, SAME * 1.0)
    of_cross = model.fields_ == 2
    assert of_cross.sum() == 65
    assert not model.factors_[of_cross].any()
    assert model.factors_[~of_cross].any()
    assert model._learned.parameters.dense["weights"]["layer_0"].shape == (4, 4)
    model.partial_fit(TABLE, SAME * 1.0)
    assert not model.factors_[of_cross].any()


@pytest.mark.parametrize(
    ("fields", "expected"), [(None, [0, 1]), (["one", "one"], [0, 1]), ([2, 1], [0, 1, 2])]
)
def test_crosses_stay_fields_of_their_own(fields, expected):
    model = make("WideDeepClassifier", crosses=CROSSES, cross_slots=8, fields=fields).fit(TABLE, SAME)
    assert np.unique(model.fields_).tolist() == expected
    assert np.unique(model.fields_[-9:]).tolist() == expected[-1:]


def test_the_encoder_may_make_the_crosses():
    settings = {"random_state": 0, "max_iter": 3, "hidden_layer_sizes": (4,)}
    given = WideDeepClassifier(crosses=CROSSES, cross_slots=64, **settings).fit(TABLE, SAME)
    encoder = FieldEncoder(crosses=CROSSES, cross_slots=64)
    made = WideDeepClassifier(encoder=encoder, **settings).fit(TABLE, SAME)
    assert_array_equal(predictions(given, TABLE), predictions(made, TABLE))


def test_each_part_has_its_solver_and_rate():
    settings = STEPS | {"max_iter": 5, "learning_rate_schedule": "constant", "l1_linear": 0.02}
    model = make("WideDeepClassifier", wide_solver="ftrl", **settings).fit(X, LABELS)
    assert (model.solver_, model.wide_solver_) == ("adam", "ftrl")
    assert np.count_nonzero(model.coef_) < 6
    assert np.all(model.factors_ != 0)
    fast = make("WideDeepClassifier", wide_solver="ftrl", wide_learning_rate=1.0, **settings).fit(X, LABELS)
    assert np.abs(fast.coef_).max() > np.abs(model.coef_).max()


def test_a_frozen_wide_part_stays_where_it_was():
    model = make("WideDeepClassifier", wide_learning_rate=1e-12, **STEPS).fit(X, LABELS)
    assert np.abs(model.coef_).max() < 1e-9
    assert np.abs(model.factors_).max() > 0.01


def test_the_same_solver_for_both_parts_is_one_solver():
    one = make("WideDeepClassifier", **STEPS).fit(X, LABELS)
    two = make("WideDeepClassifier", wide_solver="adam", **STEPS).fit(X, LABELS)
    assert_allclose(predictions(one), predictions(two), rtol=1e-5)


def test_partial_fit_goes_on_with_both_solvers():
    settings = STEPS | {"learning_rate_schedule": "constant", "wide_solver": "ftrl", "batch_size": 64}
    # The first call of partial_fit cannot choose a prior by all rows.
    settings |= {"l2_linear": 0.01}
    going = make("WideDeepClassifier", **settings)
    for _ in range(3):
        going.partial_fit(X, LABELS)
    whole = make("WideDeepClassifier", **settings, max_iter=3).fit(X, LABELS)
    assert_allclose(predictions(going), predictions(whole), rtol=1e-6)


def test_rates_of_the_parts_share_a_program():
    settings = STEPS | {"wide_solver": "ftrl"}
    make("WideDeepClassifier", **settings).fit(X, LABELS)
    before = step.n_traces
    for rate in (0.1, 0.5):
        make("WideDeepClassifier", **settings, wide_learning_rate=rate, learning_rate=rate / 10).fit(
            X, LABELS
        )
    assert step.n_traces == before


def test_a_wide_solver_means_mini_batches():
    assert make("WideDeepClassifier").fit(X, LABELS).wide_solver_ == "lbfgs"
    assert make("WideDeepClassifier", wide_solver="ftrl").fit(X, LABELS).solver_ == "adagrad"
    with pytest.raises(ValueError, match=r"solver='lbfgs' takes all weights.*wide_solver='ftrl'"):
        make("WideDeepClassifier", wide_solver="ftrl", solver="lbfgs").fit(X, LABELS)


def test_crosses_need_a_table_and_a_wide_part():
    with pytest.raises(ValueError, match=r"crosses=\[\(0, 1\)\] names columns of a table, but X is a matrix"):
        make("WideDeepClassifier", crosses=[(0, 1)]).fit(X, LABELS)
    with pytest.raises(ValueError, match="Crosses are columns of the wide part"):
        make("WideDeepClassifier", crosses=CROSSES, parts="deep").fit(TABLE, SAME)
    numbers = make("WideDeepClassifier", crosses=[(0, 1)], cross_slots=8, encoder=FieldEncoder()).fit(
        X, LABELS
    )
    assert numbers.encoder_.n_features_in_ == 6
