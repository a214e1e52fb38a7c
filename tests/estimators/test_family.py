"""What every model of the family does on the loop that all share: targets, weights, tables, going on."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

import skfm
from skfm import FieldEncoder
from tests.estimators.problems import FAMILY, LABELS, N, X, Y, like_partial_fit, make, predictions, target

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

STEPS = {"solver": "adam", "batch_size": 16, "early_stopping": False}
BOTH = [f"{stem}{kind}" for stem in FAMILY for kind in ("Classifier", "Regressor")]
every_estimator = pytest.mark.parametrize("name", BOTH)
every_model = pytest.mark.parametrize("stem", FAMILY)
# Three fields, of which the first two decide together.
CATEGORIES = np.random.default_rng(2).integers(3, size=(150, 3))
ONE_HOT = np.concatenate([np.eye(3)[CATEGORIES[:, field]] for field in range(3)], axis=1)
EQUAL = CATEGORIES[:, 0] == CATEGORIES[:, 1]


def free(name, **settings):
    """An estimator that is hardly penalised."""
    known = make(name).get_params()
    none = {p: 1e-4 for p in ("l2_linear", "l2_factors", "l2_dense") if p in known}
    return make(name, **{"max_iter": 300, "n_factors": 4, **none, **settings})


@every_estimator
def test_pairs_of_fields_are_learned(name):
    sizes = {"hidden_layer_sizes": (8,)} if "hidden_layer_sizes" in make(name).get_params() else {}
    y = EQUAL if name.endswith("Classifier") else 10 * EQUAL + 5
    model = free(name, **sizes).fit(ONE_HOT, y)
    assert model.score(ONE_HOT, y) > 0.95
    assert model.fields_.tolist() == [0] * 3 + [1] * 3 + [2] * 3


@every_model
def test_classes_and_labels(stem):
    points, classes = make_blobs(90, n_features=4, centers=3, cluster_std=0.4, random_state=0)
    several = np.column_stack([classes == 0, classes == 1])
    model = free(f"{stem}Classifier", max_iter=100, fields=np.arange(4)).fit(points, classes)
    assert model.predict_proba(points).shape == (90, 3)
    assert_allclose(model.predict_proba(points).sum(axis=1), 1, rtol=1e-6)
    assert model.score(points, classes) > 0.9
    model.fit(points, several.astype(int))
    assert model.predict(points).shape == (90, 2)
    assert np.mean(model.predict(points) == several) > 0.9


@every_model
def test_several_numbers(stem):
    y = np.column_stack([Y, -Y, X[:, 0]])
    model = free(f"{stem}Regressor", max_iter=60).fit(X, y)
    assert model.predict(X).shape == (N, 3)
    assert model.score(X, y) > 0.5
    assert np.shape(model.intercept_) == (3,)


@every_model
@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson"])
def test_losses_of_numbers(stem, loss):
    y = np.exp(Y / 10)
    model = free(f"{stem}Regressor", loss=loss, max_iter=20).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.corrcoef(model.predict(X), y)[0, 1] > 0.3


@every_estimator
def test_a_weight_is_the_row_as_often(name):
    weight = np.random.default_rng(1).integers(0, 3, N)
    repeated = np.repeat(np.arange(N), weight)
    y = target(name)
    weighted = make(name).fit(X, y, sample_weight=weight)
    assert_array_equal(
        predictions(weighted), predictions(make(name).fit(X[repeated], y[repeated])), strict=True
    )


@every_estimator
def test_the_same_seed_gives_the_same_bits(name):
    first, second = (make(name, **STEPS).fit(X, target(name)) for _ in range(2))
    assert_array_equal(predictions(first), predictions(second))
    other = make(name, **STEPS | {"random_state": 1}).fit(X, target(name))
    assert np.any(predictions(first) != predictions(other))


@every_estimator
def test_partial_fit_goes_on_like_fit(name):
    settings = STEPS | {"learning_rate_schedule": "constant", "batch_size": N} | like_partial_fit(name)
    if name.startswith("FNN"):
        settings["pretrain"] = False  # which partial_fit does not do
    going = make(name, **settings)
    for _ in range(3):
        going.partial_fit(X, target(name))
    whole = make(name, **settings, max_iter=3).fit(X, target(name))
    assert_allclose(predictions(going), predictions(whole), rtol=1e-6)
    assert going.n_iter_ == 3


@every_estimator
def test_pickles_predict_the_same_and_go_on(name):
    model = make(name, **STEPS).partial_fit(X, target(name))
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(predictions(model), predictions(loaded))
    for one in (model, loaded, copy.deepcopy(model)):
        one.partial_fit(X, target(name))
    assert_array_equal(predictions(model), predictions(loaded))
    assert not any("jax" in type(value).__module__ for value in vars(model).values())


@every_estimator
def test_tables_go_in_as_in_a_pipeline(name):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(CATEGORIES, columns=["a", "b", "c"]).astype(str)
    y = EQUAL if name.endswith("Classifier") else EQUAL * 1.0
    model = make(name).fit(table, y)
    apart = make_pipeline(FieldEncoder(), make(name)).fit(table, y)
    assert_array_equal(predictions(model, table), predictions(apart, table))


@pytest.mark.parametrize("stem", [stem for stem in FAMILY if stem != "FFM"])
def test_a_start_from_a_factorization_machine(stem):
    machine = make("FMClassifier", max_iter=20).fit(ONE_HOT, EQUAL)
    settings = {"init_from": machine, "solver": "sgd", "learning_rate": 1e-12, "max_iter": 1}
    model = make(f"{stem}Classifier", **settings).fit(ONE_HOT, EQUAL)
    assert_allclose(np.squeeze(model.factors_), machine.factors_, atol=1e-6)


@every_model
def test_stopping_on_held_out_rows_and_a_scorer(stem):
    model = make(f"{stem}Classifier", solver="adam", early_stopping=True, scoring="roc_auc", max_iter=4)
    model.fit(X, LABELS)
    assert len(model.history_["validation_score"]) == model.n_iter_


@every_model
def test_columns_that_form_no_fields(stem):
    rng = np.random.default_rng(0)
    words = (rng.random((80, 300)) < 0.05).astype(float)
    y = (words[:, :30].sum(axis=1) > 1).astype(int)
    model = make(f"{stem}Classifier").fit(words, y)
    assert np.isfinite(model.predict_proba(words)).all()


NOISY = [stem for stem in FAMILY if "dropout" in make(f"{stem}Classifier").get_params()]


@pytest.mark.parametrize("stem", NOISY)
def test_dropout_and_batch_norm_train(stem):
    known = make(f"{stem}Classifier").get_params()
    noise = {"dropout": 0.2} | ({"batch_norm": True} if "batch_norm" in known else {})
    model = make(f"{stem}Classifier", **STEPS, **noise, max_iter=5).fit(X, LABELS)
    assert np.isfinite(model.history_["loss"]).all()
    plain = make(f"{stem}Classifier", **STEPS, max_iter=5).fit(X, LABELS)
    assert model.history_["loss"] != plain.history_["loss"]
    with pytest.raises(ValueError, match="lbfgs"):
        model.set_params(solver="lbfgs").fit(X, LABELS)


@pytest.mark.parametrize(
    "name", ["PNNClassifier", "DCNClassifier", "DeepCrossingRegressor", "FinalMLPClassifier"]
)
def test_without_a_linear_term_there_are_no_linear_weights(name):
    model = make(name).fit(X, target(name))
    assert not hasattr(model, "coef_")
    assert "l2_linear" not in model.get_params()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in skfm.__all__
        if "n_factors" in getattr(getattr(skfm, name), "_parameter_constraints", ())
    ],
)
def test_without_factors_the_linear_term_learns(name):
    model = make(name, n_factors=0, max_iter=100)
    y = ONE_HOT[:, 0]
    if hasattr(model, "l2_linear"):
        values = model.fit(ONE_HOT, y).predict(ONE_HOT)
        values = values[:, 0] if values.ndim == 2 else values
        assert values[y == 1].mean() > values[y == 0].mean() + 0.5
    else:
        with pytest.warns(ConvergenceWarning, match="nothing was learned.*more factors"):
            model.fit(ONE_HOT, y)
        assert np.ptp(model.predict(ONE_HOT)) == 0


# -- options of single models --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("PNNClassifier", {"product": "outer"}),
        ("PNNRegressor", {"product": "both", "layer_norm": True}),
        ("DCNClassifier", {"version": 1, "structure": "stacked"}),
        ("DCNRegressor", {"rank": 2, "n_experts": 3}),
        ("DCNClassifier", {"n_cross_layers": 0}),
        ("XDeepFMClassifier", {"cin_layer_sizes": 3, "cin_activation": "relu"}),
        ("XDeepFMRegressor", {"cin_layer_sizes": ()}),
        ("AFMClassifier", {"n_attention": 2}),
        ("NFMClassifier", {"hidden_layer_sizes": ()}),
        ("FinalMLPClassifier", {"n_heads": 2, "gate": "row"}),
        ("FinalMLPRegressor", {"second_layer_sizes": (5, 3), "gate": None}),
        ("DeepCrossingClassifier", {"hidden_layer_sizes": (3, 5, 2)}),
    ],
)
def test_options_change_what_is_learned(name, settings):
    model = make(name, **settings).fit(ONE_HOT, EQUAL)
    plain = make(name).fit(ONE_HOT, EQUAL)
    assert np.isfinite(predictions(model, ONE_HOT)).all()
    assert np.any(predictions(model, ONE_HOT) != predictions(plain, ONE_HOT))


def test_field_aware_factors_have_a_vector_for_each_field():
    model = make("FFMClassifier").fit(ONE_HOT, EQUAL)
    assert model.factors_.shape == (9, 3, 3)
    model.fit(ONE_HOT, CATEGORIES[:, 0])
    assert model.factors_.shape == (3, 9, 3, 3)
    assert make("FFMRegressor").fit(X, np.column_stack([Y, Y])).factors_.shape == (2, 6, 6, 3)


@pytest.mark.parametrize("solver", ["adagrad", "lbfgs"])
def test_a_table_that_does_not_fit_is_refused_with_the_numbers(solver, monkeypatch):
    # Enough for the factors of one field, and not for those of the three that are found.
    monkeypatch.setattr("skfm.runtime.physical_memory", lambda: 5 * 10**6)
    model = make("FFMClassifier", n_factors=10_000, solver=solver)
    with pytest.raises(ValueError, match=r"16 columns, 30001 numbers each.*GB.*Give fewer factors"):
        model.fit(ONE_HOT, EQUAL)


def test_attention_points_at_the_pair_that_decides():
    model = free("AFMClassifier").fit(ONE_HOT, EQUAL)
    attention = model.attention(ONE_HOT)
    assert attention.shape == (150, 3)
    assert_allclose(attention.sum(axis=1), 1, rtol=1e-6)
    assert model.field_pairs_.tolist() == [[0, 1], [0, 2], [1, 2]]
    # y is whether the first two fields are equal.
    assert attention.mean(axis=0).argmax() == 0
    assert attention.dtype == np.float64


def test_attention_needs_pairs():
    model = make("AFMClassifier", fields=None).fit(ONE_HOT, EQUAL)
    with pytest.raises(ValueError, match="has one field, and so no pairs"):
        model.attention(ONE_HOT)


@pytest.mark.parametrize(("name", "shape"), [("FwFMClassifier", (3, 3)), ("FwFMRegressor", (3, 3))])
def test_pair_weights_are_symmetric(name, shape):
    model = free(name).fit(ONE_HOT, EQUAL)
    r = model.pair_weights_
    assert r.shape == shape
    assert_array_equal(r, r.T)
    assert r[0, 1] > max(abs(r[0, 2]), abs(r[1, 2]))
    held = make(name, l2_dense=1e6).fit(ONE_HOT, EQUAL)
    assert_allclose(held.pair_weights_, 1, atol=1e-3)


def test_pair_weights_of_several_outputs():
    model = make("FwFMClassifier").fit(ONE_HOT, CATEGORIES[:, 0] + (CATEGORIES[:, 1] == 2))
    assert model.pair_weights_.shape == (4, 3, 3)
    with pytest.raises(AttributeError, match="before fit"):
        _ = skfm.FwFMClassifier().pair_weights_


@pytest.mark.parametrize("sizes", [(4, 0), (2.5,), -1])
def test_sizes_of_the_compressed_interaction_network_are_checked(sizes):
    with pytest.raises(ValueError, match="cin_layer_sizes"):
        make("XDeepFMClassifier", cin_layer_sizes=sizes).fit(X, LABELS)


def test_heads_divide_the_last_layers():
    with pytest.raises(ValueError, match="hidden_layer_sizes has 4 units, which is no multiple of n_heads=3"):
        make("FinalMLPClassifier", n_heads=3).fit(X, LABELS)
    with pytest.raises(ValueError, match="second_layer_sizes has 5 units, which is no multiple of n_heads=2"):
        make("FinalMLPClassifier", n_heads=2, second_layer_sizes=5).fit(X, LABELS)


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_fnn_starts_from_its_machine(kind, n_outputs):
    y = target(f"FNN{kind}") if n_outputs == 1 else np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
    if kind == "Regressor" and n_outputs == 3:
        y = np.column_stack([Y, -Y, X[:, 0]])
    slowly = {"solver": "sgd", "learning_rate": 1e-12, "early_stopping": False, "max_iter": 1}
    model = make(f"FNN{kind}", **slowly).fit(X, y)
    machine = model.machine_
    assert type(machine).__name__ == (f"FM{kind}" if n_outputs == 1 else f"NFM{kind}")
    tables, started = model._learned.tables(), machine._learned.tables()
    assert_allclose(tables["factors"].ravel(), started["factors"].ravel(), atol=1e-9)
    assert_allclose(tables["linear"], started["linear"], atol=1e-9)
    if n_outputs == 1:
        trained, alone = make(f"FNN{kind}").fit(X, y), make(f"FM{kind}").fit(X, y)
        assert_array_equal(predictions(trained.machine_), predictions(alone))


def test_fnn_starts_at_random_or_elsewhere_if_told_so():
    machine = make("FMClassifier", max_iter=20).fit(X, LABELS)
    slowly = {"solver": "sgd", "learning_rate": 1e-12, "early_stopping": False, "max_iter": 1}
    given = make("FNNClassifier", init_from=machine, **slowly).fit(X, LABELS)
    assert given.machine_ is None
    assert_allclose(given.factors_, machine.factors_, atol=1e-9)
    random = make("FNNClassifier", pretrain=False, **slowly).fit(X, LABELS)
    assert random.machine_ is None
    assert np.abs(random._learned.tables()["linear"]).max() < 1e-9
    assert make("FNNClassifier").partial_fit(X, LABELS).machine_ is None


def test_fnn_of_a_stream_and_of_a_table():
    chunks = [(X[:30], LABELS[:30]), (X[30:], LABELS[30:])]
    whole, streamed = make("FNNClassifier").fit(X, LABELS), make("FNNClassifier").fit(chunks)
    assert_array_equal(predictions(whole), predictions(streamed))
    assert_array_equal(predictions(whole.machine_), predictions(streamed.machine_))


def test_fnn_beats_a_random_start_at_equal_epochs(data_path):
    from benchmarks import datasets

    train, valid = (datasets.load_frappe(data_path, part) for part in ("train_rebuilt", "valid"))
    losses = {}
    for pretrain in (True, False):
        settings = {"hidden_layer_sizes": (32,), "max_iter": 3, "early_stopping": False, "random_state": 0}
        model = skfm.FNNClassifier(pretrain=pretrain, **settings).fit(*train)
        losses[pretrain] = log_loss(valid[1], model.predict_proba(valid[0]))
    assert losses[True] < losses[False]
