"""With automatic penalties and held-out rows a wide prior is tried beside a narrow one."""

import numpy as np
import pytest
from scipy import sparse

import skfm
from tests.estimators.problems import predictions

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

N, M = 4000, 30
RNG = np.random.default_rng(0)
USER, ITEM = RNG.integers(M, size=(2, N))
X = sparse.csr_array(
    (np.ones(2 * N), np.stack([USER, M + ITEM], axis=1).ravel(), np.arange(0, 2 * N + 1, 2)), (N, 2 * M)
)
TASTES, TRAITS = RNG.normal(size=(2, M, 2))
MATCH = 2 * np.einsum("nk,nk->n", TASTES[USER], TRAITS[ITEM])
MATCHED = (RNG.random(N) < 1 / (1 + np.exp(-MATCH))).astype(int)
# Of users and items alone.
LIKED = (RNG.random(N) < 1 / (1 + np.exp(-TASTES[USER, 0] - TRAITS[ITEM, 0]))).astype(int)
SETTINGS = {"n_factors": 2, "max_iter": 40, "batch_size": 256, "random_state": 0}
HELD_OUT = 400


def make(name, **parameters):
    if name.startswith("FNN"):
        parameters = {"hidden_layer_sizes": (8,), "pretrain": False} | parameters
    return getattr(skfm, name)(**(SETTINGS | parameters))


def by_hand(name, strength, **parameters):
    """The same with the penalties given."""
    l2 = strength / (N - HELD_OUT)
    given = {"l2_factors": l2} | ({} if name.startswith("FM") else {"l2_dense": l2})
    return make(name, **given, **parameters)


@pytest.mark.parametrize("name", ["FMClassifier", "FNNClassifier", "FMRegressor"])
def test_a_match_takes_the_wide_prior_and_its_larger_factors(name):
    y = MATCH if name.endswith("Regressor") else MATCHED
    model = make(name).fit(X, y)
    wide = by_hand(name, 3, init_scale=0.1).fit(X, y)
    np.testing.assert_array_equal(predictions(model, X), predictions(wide, X))
    assert model.history_["validation_loss"] == wide.history_["validation_loss"]
    assert model.n_iter_ == wide.n_iter_ == len(model.history_["loss"])


def test_without_a_match_the_narrow_prior_is_kept():
    evidence = (N - HELD_OUT) / M
    model = make("FMClassifier").fit(X, LIKED)
    narrow = by_hand("FMClassifier", 1500 / evidence).fit(X, LIKED)
    np.testing.assert_allclose(predictions(model, X), predictions(narrow, X), rtol=1e-5)
    assert model.n_iter_ == narrow.n_iter_


def test_a_little_better_is_not_enough(monkeypatch):
    wide = make("FMClassifier").fit(X, MATCHED)
    # The wide prior is better, by less than this.
    monkeypatch.setattr("skfm.train.minibatch._CLEARLY", 1.0)
    narrow = make("FMClassifier").fit(X, MATCHED)
    assert min(narrow.history_["validation_loss"]) > min(wide.history_["validation_loss"])
    assert narrow.factors_.std() < wide.factors_.std()


def test_the_score_asked_for_decides():
    model = make("FMClassifier", scoring="roc_auc").fit(X, MATCHED)
    wide = by_hand("FMClassifier", 3, init_scale=0.1, scoring="roc_auc").fit(X, MATCHED)
    np.testing.assert_array_equal(predictions(model, X), predictions(wide, X))


def test_no_second_attempt_without_held_out_rows():
    model = make("FMClassifier", early_stopping=False, max_iter=3).fit(X, MATCHED)
    l2 = 1500 / (N / M) / N
    narrow = make("FMClassifier", early_stopping=False, max_iter=3, l2_factors=l2).fit(X, MATCHED)
    np.testing.assert_allclose(predictions(model, X), predictions(narrow, X), rtol=1e-6)


def test_streams_are_trained_twice_too(monkeypatch):
    monkeypatch.setattr("skfm.fitting.streams._IN_MEMORY", 0)
    given = {"X_val": X[:HELD_OUT], "y_val": MATCHED[:HELD_OUT]}
    rest = X[HELD_OUT:], MATCHED[HELD_OUT:]
    model = make("FMClassifier").fit([rest], X_val=[(X[:HELD_OUT], MATCHED[:HELD_OUT])])
    wide = by_hand("FMClassifier", 3, init_scale=0.1)
    wide.fit([rest], X_val=[(X[:HELD_OUT], MATCHED[:HELD_OUT])])
    np.testing.assert_allclose(predictions(model, X), predictions(wide, X), rtol=1e-2)
    in_memory = make("FMClassifier").fit(*rest, **given)
    np.testing.assert_allclose(predictions(model, X), predictions(in_memory, X), atol=0.1)


def test_partial_fit_goes_on_with_the_prior_that_was_kept():
    model = make("FMClassifier", max_iter=20).fit(X, MATCHED)
    wide = by_hand("FMClassifier", 3, init_scale=0.1, max_iter=20).fit(X, MATCHED)
    wide.set_params(l2_factors=3 / N)
    for estimator in (model, wide):
        estimator.partial_fit(X, MATCHED)
    np.testing.assert_allclose(predictions(model, X), predictions(wide, X), rtol=1e-6)


def test_an_interrupted_first_attempt_is_kept():
    class Interrupt:
        calls = 0

        def __call__(self, estimator, X, y, sample_weight=None):
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return float(self.calls)

    scoring = Interrupt()
    model = make("FMClassifier", scoring=scoring)
    with pytest.raises(KeyboardInterrupt, match="Interrupted after epoch"):
        model.fit(X, MATCHED)
    assert scoring.calls == 2
    assert model.n_iter_ <= 2


def test_the_prior_that_was_kept_is_shown_and_kept_by_later_calls():
    model = make("FMClassifier", learning_rate=0.05).fit(X, MATCHED)
    assert model.plan_["init_scale"] == 0.1
    assert model.plan_["l2_factors"] == pytest.approx(3 / (N - HELD_OUT))
    for _ in range(2):
        model.partial_fit(X[:1000], MATCHED[:1000])
        assert model.plan_["l2_factors"] == pytest.approx(3 / (N + 1000))
