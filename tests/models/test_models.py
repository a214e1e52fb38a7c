"""Every model against the oracle: raw predictions, gradients, coincidences."""

import importlib
import pkgutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skfm import models
from skfm.layers import pairwise
from skfm.models.base import DenseSlots, Model, PooledSlots, Slots, Table, Training, Weights
from skfm.models.dcn import DCN
from skfm.models.deepfm import DeepFM
from skfm.models.fm import FM
from skfm.models.mixture import MixtureFM
from skfm.names import MIXTURE_FORMS
from skfm.runtime import precision
from tests import reference, reference_fields
from tests.cases import (
    FIELDS,
    batch_of,
    forward,
    pack,
    random_dense,
    random_tables,
    raw_predictions,
    sparse_rows,
    stored,
)
from tests.models.problems import GIVEN, HIDDEN, MODELS, TANH, problem
from tests.oracles import ORACLES, expected_raw


@pytest.fixture(autouse=True)
def in_float64():
    with precision(np.float64):
        yield


def test_every_model_has_an_oracle_and_is_tested():
    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"{models.__name__}.{module.name}")

    def subclasses(model):
        for subclass in model.__subclasses__():
            yield from (subclass, *subclasses(subclass))

    complete = {model for model in subclasses(Model) if model.forward is not Model.forward}
    shipped = {model for model in complete if model.__module__.startswith(f"{models.__name__}.")}
    assert set(ORACLES) == shipped
    assert {type(model) for model in MODELS.values()} == shipped


@pytest.mark.parametrize("name", MODELS)
def test_raw_predictions(name):
    model = MODELS[name]
    X, tables, dense, averages = problem(model)
    fields = GIVEN if model.n_fields > 1 else None
    raw = raw_predictions(model, tables, dense, averages, X, fields)
    np.testing.assert_allclose(raw, expected_raw(model, tables, dense, averages, X), rtol=1e-9, atol=1e-12)


def takes_shift(model):
    return model.fit_intercept and not model.hints.without_linear and model.takes_shift(False)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if takes_shift(model)])
def test_weights_for_columns_less_other_centers(name):
    """The function of ``x - shift`` at x is that of the new weights at ``x + shift``."""
    model = MODELS[name]
    X, tables, dense, averages = problem(model)
    own = np.isin(FIELDS, model.hints.own_units)
    shift = np.where(own | (np.arange(X.shape[1]) % 3 == 0), 0, np.linspace(-2, 3, X.shape[1]))
    fields = FIELDS if model.n_fields > 1 else np.zeros_like(FIELDS)
    weights = Weights(tables, jax.tree.map(np.asarray, dense), averages)
    moved = model.recentred(weights, shift, fields)
    given = GIVEN if model.n_fields > 1 else None
    expected = expected_raw(model, tables, dense, averages, X)
    shifted = X + shift
    raw = raw_predictions(model, *moved, shifted, given)
    np.testing.assert_allclose(raw, expected, rtol=1e-9, atol=1e-9)
    assert np.abs(raw_predictions(model, tables, dense, averages, shifted, given) - expected).max() > 1e-3


DIFFERENTIATED = [
    "linear, 3 outputs, no intercept",
    "fm, 3 outputs",
    "fm, degree 3",
    "fm, degree 4, 2 outputs, no linear term",
    "deepfm",
    "deepfm, 3 outputs, no intercept",
    "deepfm, batch norm",
    "nfm",
    "nfm, batch norm",
    "fwfm",
    "fwfm, 3 outputs, no intercept",
    "ffm",
    "ffm, 3 outputs, no intercept",
    "pnn",
    "pnn, both, layer norm",
    "dcn",
    "dcn, version 1",
    "dcn, experts",
    "afm",
    "xdeepfm",
    "xdeepfm, relu, 3 outputs, no intercept",
    "wide and deep",
    "wide and deep, a field for the wide part",
    "deep crossing",
    "final mlp",
    "fnn",
    "din",
    "din, two histories, 3 outputs, no intercept",
    "din, softmax",
    "din, dice",
    "esmm",
    "final mlp, heads, rows, 3 outputs, no intercept",
    "mixture, score",
    "mixture, logit",
    "mixture, softmax",
    "mixture, log",
]


@pytest.mark.parametrize(
    ("name", "pooled"),
    [
        (name, pooled)
        for name in DIFFERENTIATED
        for pooled in ("gathered", "pooled", "pooled slot by slot")
        if pooled == "gathered" or MODELS[name].hints.pools
    ],
)
def test_gradients(name, pooled, monkeypatch):
    """Gradients along random directions of tables and dense weights, against the oracle's differences."""
    model = MODELS[name]
    monkeypatch.setattr(pairwise, "_MANY_ROWS", 1 if pooled == "pooled slot by slot" else 10**6)
    X, tables, dense, averages = problem(model)
    fields = GIVEN if model.n_fields > 1 else None
    packed, dummy = pack(X, fields)
    (block,) = packed.blocks
    batch = batch_of(block, np.ones(X.shape[0]))
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((block.ids.shape[0], model.n_outputs))
    mix[X.shape[0] :] = 0

    def total(table, dense):
        if pooled == "gathered":
            slots = Slots(model, table[block.ids], block.values)
        else:
            slots = PooledSlots.of_rows(model, table, jnp.asarray(block.ids), jnp.asarray(block.values))
        return (mix * model.forward(slots, dense, averages, batch, None)[0]).sum()

    table = jnp.asarray(stored(model, tables, dummy + 1))
    to_table, to_dense = jax.jit(jax.grad(total, argnums=(0, 1)))(table, jax.tree.map(jnp.asarray, dense))

    def oracle(step, direction):
        moved = jax.tree.map(lambda leaf, along: leaf + step * along, (tables, dense), direction)
        return (mix[: X.shape[0]] * expected_raw(model, *moved, averages, X)).sum()

    for _ in range(3):
        direction = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), (tables, dense))
        slope = (to_table * stored(model, direction[0], dummy + 1)).sum()
        for gradient, along in zip(jax.tree.leaves(to_dense), jax.tree.leaves(direction[1]), strict=True):
            slope += (np.asarray(gradient) * along).sum()
        numeric = (oracle(1e-6, direction) - oracle(-1e-6, direction)) / 2e-6
        assert float(slope) == pytest.approx(numeric, rel=1e-6, abs=1e-6)


def test_batch_norm_in_training():
    model = MODELS["deepfm, batch norm"]
    X, tables, dense, averages = problem(model)
    weight = np.random.default_rng(2).random(X.shape[0])
    weight[3] = 0
    packed, dummy = pack(X, GIVEN)
    (block,) = packed.blocks
    rows = stored(model, tables, dummy + 1)[block.ids]
    training = Training(jax.random.key(0), jnp.zeros(()))
    raw, after = forward(model, rows, block.values, dense, averages, batch_of(block, weight), training)
    expected, moments = reference.deepfm_with_moments(X, tables, dense, FIELDS, 3, 2, "tanh", weight=weight)
    np.testing.assert_allclose(raw[: X.shape[0]], expected, rtol=1e-9)
    assert len(moments) == 2
    for layer, (mean, variance) in enumerate(moments):
        np.testing.assert_allclose(after[f"mean_{layer}"], 0.9 * averages[f"mean_{layer}"] + 0.1 * mean)
        np.testing.assert_allclose(
            after[f"variance_{layer}"], 0.9 * averages[f"variance_{layer}"] + 0.1 * variance
        )


@pytest.mark.parametrize(
    "name", ["deepfm", "nfm", "pnn", "dcn, version 1, stacked", "xdeepfm", "deep crossing"]
)
def test_dropout_acts_in_training_alone(name):
    model = MODELS[name]
    model = replace(model, network=replace(model.network, dropout=True))
    X, tables, dense, averages = problem(model)
    packed, dummy = pack(X, GIVEN)
    (block,) = packed.blocks
    rows = stored(model, tables, dummy + 1)[block.ids]
    batch = batch_of(block, np.ones(X.shape[0]))

    def run(training):
        return np.asarray(forward(model, rows, block.values, dense, averages, batch, training)[0])[
            : X.shape[0]
        ]

    plain = run(None)
    np.testing.assert_allclose(plain, expected_raw(model, tables, dense, averages, X), rtol=1e-9)
    # Another program, which may round differently.
    np.testing.assert_allclose(run(Training(jax.random.key(0), jnp.zeros(()))), plain, rtol=1e-12)
    dropped = [run(Training(jax.random.key(seed), jnp.asarray(0.5))) for seed in (0, 1)]
    assert np.abs(dropped[0] - plain).max() > 1e-3
    assert np.abs(dropped[0] - dropped[1]).max() > 1e-3


# ------------------------------------------------------------------------------------------ coincidences


@pytest.mark.parametrize("expert", MIXTURE_FORMS)
@pytest.mark.parametrize("link", [None, "logit"])
def test_mixture_of_one_component_is_its_expert(expert, link):
    model = MixtureFM(n_outputs=2, n_components=1, n_factors=2, gate="linear+fm", expert=expert, link=link)
    X, tables, dense, averages = problem(model)
    raw = raw_predictions(model, tables, dense, averages, X, None)
    alone = {
        "linear": tables.get("expert_linear", np.zeros((12, 1, 2)))[:, 0],
        "factors": tables.get("expert_factors", np.zeros((12, 1, 2, 2)))[:, 0],
    }
    intercept = {"weights": {}, "offsets": {"intercept": dense["offsets"]["intercept"][0]}}
    expected = raw_predictions(FM(n_outputs=2, n_factors=2), alone, intercept, {}, X, None)
    np.testing.assert_allclose(raw, expected, rtol=1e-9, atol=1e-12)


def test_deepfm_with_a_zero_perceptron_is_fm():
    model = MODELS["deepfm"]
    X, tables, dense, averages = problem(model)
    dense["weights"][f"layer_{len(HIDDEN)}"][:] = 0
    expected = raw_predictions(
        FM(n_factors=2), {**tables, "factors": tables["factors"][:, None]}, dense, {}, X, None
    )
    np.testing.assert_allclose(
        raw_predictions(model, tables, dense, averages, X, GIVEN), expected, rtol=1e-12
    )


def test_nfm_without_hidden_layers_is_fm_with_a_weight_for_each_factor():
    model = MODELS["nfm, no hidden layer"]
    X, tables, dense, averages = problem(model)
    dense["weights"]["layer_0"][:] = 1
    expected = raw_predictions(
        FM(n_outputs=2, n_factors=3),
        {**tables, "factors": np.tile(tables["factors"][:, None], (1, 2, 1))},
        dense,
        {},
        X,
        None,
    )
    np.testing.assert_allclose(raw_predictions(model, tables, dense, averages, X, None), expected)


@pytest.mark.parametrize("name", ["fwfm", "fwfm, 3 outputs, no intercept", "fwfm, one field"])
def test_fwfm_with_weights_of_one_is_fm(name):
    model = MODELS[name]
    X, tables, dense, _ = problem(model)
    dense["weights"]["pairs"][:] = 0
    fields = GIVEN if model.n_fields > 1 else None
    machine = FM(n_outputs=model.n_outputs, fit_intercept=model.fit_intercept, n_factors=2)
    np.testing.assert_allclose(
        raw_predictions(model, tables, dense, {}, X, fields),
        raw_predictions(machine, tables, dense, {}, X, None),
        rtol=1e-9,
        atol=1e-12,
    )


def test_attention_is_shares_of_the_pairs():
    model = MODELS["afm"]
    X, tables, dense, _ = problem(model)
    packed, dummy = pack(X, GIVEN)
    (block,) = packed.blocks
    slots = Slots(model, stored(model, tables, dummy + 1)[block.ids], block.values)
    batch = batch_of(block, np.ones(X.shape[0]))
    attention = np.asarray(model.attention(slots, dense, {}, batch))[: X.shape[0]]
    attention = attention[:, [0, 2, 1]]  # the pairs are (0, 1), (1, 2) and (2, 0)
    np.testing.assert_allclose(attention, reference_fields.attention(X, tables, dense, FIELDS, 3), rtol=1e-9)
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-12)


def test_attention_weights_are_dropped_in_training_alone():
    model = replace(MODELS["afm"], use_dropout=True)
    X, tables, dense, _ = problem(model)
    packed, dummy = pack(X, GIVEN)
    (block,) = packed.blocks
    rows = stored(model, tables, dummy + 1)[block.ids]
    batch = batch_of(block, np.ones(X.shape[0]))
    plain, half = (
        np.asarray(forward(model, rows, block.values, dense, {}, batch, training)[0])[: X.shape[0]]
        for training in (None, Training(jax.random.key(0), jnp.asarray(0.5)))
    )
    np.testing.assert_allclose(plain, expected_raw(model, tables, dense, {}, X), rtol=1e-9)
    assert np.abs(half - plain).max() > 1e-3


def test_ffm_of_one_field_is_fm():
    model = MODELS["ffm, one field"]
    X, tables, dense, _ = problem(model)
    expected = raw_predictions(
        FM(n_outputs=2, n_factors=2), {**tables, "factors": tables["factors"][:, :, 0]}, dense, {}, X, None
    )
    np.testing.assert_allclose(raw_predictions(model, tables, dense, {}, X, None), expected, rtol=1e-9)


def test_pair_weights_are_symmetric_matrices():
    model = MODELS["fwfm, 3 outputs, no intercept"]
    dense = {"weights": {"pairs": np.arange(18.0).reshape(3, 6)}}
    np.testing.assert_array_equal(model.pair_weights(dense)[0], [[1, 2, 3], [2, 4, 5], [3, 5, 6]])


def test_stacked_dcn_without_cross_layers_is_the_perceptron():
    model = DCN(n_outputs=2, n_fields=3, n_factors=2, network=TANH, n_cross_layers=0, structure="stacked")
    X, tables, dense, averages = problem(model)
    inputs = [reference.pooled_fields(x, tables["factors"], FIELDS, 3).ravel() for x in X]
    expected = dense["offsets"]["intercept"] + reference.mlp(inputs, dense, 2, "tanh")[0]
    np.testing.assert_allclose(raw_predictions(model, tables, dense, averages, X, GIVEN), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "model", [FM(n_outputs=2, n_factors=0), MixtureFM(n_outputs=2, n_components=1, n_factors=0, link=None)]
)
def test_without_factors_all_is_linear(model):
    X, tables, dense, averages = problem(model)
    linear = tables.get("linear", tables.get("expert_linear")).reshape(12, 2)
    intercept = {"weights": {}, "offsets": {"intercept": dense["offsets"]["intercept"].reshape(2)}}
    expected = reference.linear(X, {"linear": linear}, intercept)
    np.testing.assert_allclose(raw_predictions(model, tables, dense, averages, X, None), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "name", ["deepfm, 3 outputs, no intercept", "fwfm, 3 outputs, no intercept", "ffm", "pnn", "dcn"]
)
def test_slots_that_carry_their_fields_predict_what_slots_that_are_fields_do(name):
    model = MODELS[name]
    rng = np.random.default_rng(3)
    X = sparse_rows(rng, several=False)
    crowded = np.vstack([X, np.ones(12)])  # one row with several nonzeros a field changes the layout of all
    assert pack(X, GIVEN)[0].blocks[0].slot_fields is None
    assert pack(crowded, GIVEN)[0].blocks[0].slot_fields is not None
    tables = random_tables(model, 12, rng)
    dense, averages = random_dense(model, rng)
    alone = raw_predictions(model, tables, dense, averages, X, GIVEN)
    together = raw_predictions(model, tables, dense, averages, crowded, GIVEN)
    np.testing.assert_allclose(alone, together[:-1], rtol=1e-12)
    np.testing.assert_allclose(alone, expected_raw(model, tables, dense, averages, X), rtol=1e-9)


# ------------------------------------------------------------------------------------- parts of a model


def test_log_gate_is_the_log_of_the_gate():
    model = MODELS["mixture, linear+fm gate, fm experts"]
    X, tables, dense, _ = problem(model)
    packed, dummy = pack(X, None)
    (block,) = packed.blocks
    slots = Slots(model, stored(model, tables, dummy + 1)[block.ids], block.values)
    log_gate = model.log_gate(slots, dense, {}, None)
    np.testing.assert_allclose(np.exp(log_gate[:7]), reference.gate(X, tables, dense), rtol=1e-12)


def test_cross_features_of_higher_orders_add_up_to_the_prediction():
    model = MODELS["fm, degree 4, 2 outputs, no linear term"]
    X, tables, dense, _ = problem(model)
    packed, dummy = pack(X, None)
    (block,) = packed.blocks
    slots = Slots(model, stored(model, tables, dummy + 1)[block.ids], block.values)
    cross = model.cross_features(slots, dense, {}, None)
    assert cross.shape[1:] == (2 * 6,)
    np.testing.assert_allclose(
        cross[:7].reshape(7, 2, 6).sum(axis=-1), reference.fm(X, tables, dense), rtol=1e-9, atol=1e-12
    )


def test_higher_orders_of_dense_rows_are_those_of_sparse_ones():
    model, rng = MODELS["fm, degree 3"], np.random.default_rng(0)
    table, X = rng.standard_normal((5, model.width)), rng.standard_normal((4, 5))
    dense = model.init(rng, np.zeros(1))
    found = [
        model.forward(slots, dense, {}, None, None)[0]
        for slots in (DenseSlots(model, table, X), Slots(model, np.tile(table, (4, 1, 1)), X))
    ]
    np.testing.assert_allclose(*found, rtol=1e-9)


def test_cross_features_add_up_to_the_second_order_term():
    model = MODELS["fm, 3 outputs"]
    X, tables, _, _ = problem(model)
    packed, dummy = pack(X, None)
    (block,) = packed.blocks
    slots = Slots(model, stored(model, tables, dummy + 1)[block.ids], block.values)
    cross = model.cross_features(slots, {}, {}, None)
    expected = [reference.pair_products(x, tables["factors"]).ravel() for x in X]
    np.testing.assert_allclose(cross[:7], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("ones", [False, True])
def test_slots_of_every_kind_reduce_alike(ones):
    rng = np.random.default_rng(0)
    model = MixtureFM(
        n_outputs=2,
        n_components=3,
        n_factors=2,
        gate="linear+fm",
    )
    table, X = rng.standard_normal((5, model.width)), np.ones((4, 5)) if ones else rng.standard_normal((4, 5))
    values = None if ones else X
    dense = DenseSlots(model, table, X)
    gathered = Slots(model, np.tile(table, (4, 1, 1)), values)
    pooled = PooledSlots.of_rows(model, jnp.asarray(table), jnp.tile(jnp.arange(5), (4, 1)), values)
    factors = model.split(table)["expert_factors"]
    np.testing.assert_allclose(dense.sums["expert_factors"], np.einsum("nd,dmok->nmok", X, factors))
    for name in model.tables():
        np.testing.assert_allclose(dense[name], gathered[name])
        np.testing.assert_allclose(dense.pairs[name], gathered.pairs[name], atol=1e-12)
        for slots in (dense, pooled):
            np.testing.assert_allclose(slots.sums[name], gathered.sums[name], atol=1e-12)
    for name in ("gate_factors", "expert_factors"):
        for slots in (dense, pooled):
            np.testing.assert_allclose(slots.interactions(name), gathered.interactions(name), atol=1e-12)


@pytest.mark.parametrize("scores", [40.0, 400.0])
def test_mixture_of_saturated_experts_stays_finite(scores):
    """Probabilities mix without rounding to 0 or 1."""
    model = MixtureFM(n_components=2, n_factors=0, expert="linear", link="logit")
    tables = {"gate_linear": np.zeros((1, 2)), "expert_linear": np.array([[[scores], [scores]]])}
    dense = {"weights": {}, "offsets": {"intercept": np.zeros((2, 1)), "gate_intercept": np.zeros(2)}}
    X = np.array([[1.0], [-1.0]])
    raw = raw_predictions(model, tables, dense, {}, X, None)
    np.testing.assert_allclose(raw, [[scores], [-scores]], rtol=1e-12)


@pytest.mark.parametrize("name", ["linear", "fm, 3 outputs", "deepfm", "mixture, logit"])
def test_split_gives_views_of_stored_rows(name):
    model = MODELS[name]
    tables = random_tables(model, 5, np.random.default_rng(0))
    rows = stored(model, tables, 5)
    for table, view in zip(tables.values(), model.split(rows).values(), strict=True):
        np.testing.assert_array_equal(view, table)
        view[...] = 7
    assert np.all(rows == 7)
    lanes = model.per_lane(lambda table: table.width)
    assert lanes.shape == (model.width,)
    assert lanes[0] == Table((model.tables()[next(iter(tables))].shape), "linear", 0.0).width


def test_models_of_equal_settings_are_one_key():
    assert len({DeepFM(n_factors=4), DeepFM(n_factors=4), DeepFM(n_factors=5), FM(n_factors=4)}) == 3


@pytest.mark.parametrize("name", MODELS)
def test_normalized(name):
    """All hidden layers, and no others, have averages and gains of their own."""
    model = MODELS[name]
    normalized = model.normalized()
    assert normalized.normalized() == normalized
    assert normalized.tables() == model.tables()
    before, after = ({*one.init_averages()} for one in (model, normalized))
    assert before <= after
    dense = [one.init(np.random.default_rng(0), np.zeros(model.n_outputs)) for one in (model, normalized)]
    names = [{name for kind in one.values() for name in kind} for one in dense]
    assert names[0] <= names[1]
    means = {name for name in after - before if "mean_" in name}
    gains = {name for name in names[1] - names[0] if "gain_" in name}
    assert len(means) == len(gains)
    # Units of attention have biases too, and NFM normalises what goes into its network.
    layers = {name for name in names[0] if "bias_" in name and not name.startswith("attention")}
    can_be = (bool(layers) or name.startswith("nfm")) and model != normalized
    assert bool(gains) == can_be
