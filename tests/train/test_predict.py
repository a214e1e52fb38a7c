"""Predictions of fitted parameters: the oracle's, whatever the chunks; the device copy is no part of them."""

import copy
import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from skfm.data.fields import Fields
from skfm.data.units import Units
from skfm.layers import native
from skfm.layers.mlp import MLP
from skfm.losses import Huber, Logistic, Poisson, Quantile, Softmax, SquaredError
from skfm.models.base import Model
from skfm.models.deepfm import DeepFM
from skfm.models.fm import FM
from skfm.models.linear import Linear
from skfm.models.mixture import MixtureFM
from skfm.models.nfm import NFM
from skfm.runtime import precision, some_cores
from skfm.train import predict, programs
from skfm.train.predict import cut, loss_of_batches, loss_sum, map_matrix
from skfm.train.problem import Parameters
from skfm.train.state import DeviceRows, random_key
from tests import reference
from tests.cases import FIELDS, random_dense, random_tables, sparse_rows, stored
from tests.train.problems import MODELS, Problem

GIVEN = Fields(FIELDS, 3)


def parameters_of(model, seed=0):
    rng = np.random.default_rng(seed)
    tables = random_tables(model, 12, rng)
    dense, averages = random_dense(model, rng)
    return tables, dense, Parameters(stored(model, tables, 16), dense, averages)


@pytest.mark.parametrize("n", [1, 31, 600, 1500])
def test_predictions_are_the_oracles_in_chunks_of_any_size(n, monkeypatch):
    model = FM(n_outputs=2, n_factors=2)
    tables, dense, parameters = parameters_of(model)
    rng = np.random.default_rng(1)
    X = np.vstack([sparse_rows(rng, n=2), sparse_rows(rng, n=n + 1, density=0.2)])[2 : n + 2]
    matrix = sparse.csr_array(X)
    raw = map_matrix(Model.raw_prediction, model, parameters, matrix, None)
    np.testing.assert_allclose(raw, reference.fm(X, tables, dense), rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(predict, "_ROWS_AT_ONCE", 700)
    np.testing.assert_allclose(
        map_matrix(Model.raw_prediction, model, parameters, matrix, None), raw, rtol=1e-12, atol=1e-14
    )


def test_predictions_are_the_same_in_any_order_and_any_company():
    model = DeepFM(n_fields=3, n_factors=2, network=MLP(sizes=(3,), activation="tanh", batch_norm=True))
    _, _, parameters = parameters_of(model)
    rng = np.random.default_rng(2)
    X = sparse.csr_array(sparse_rows(rng, n=200, several=False))
    raw = map_matrix(Model.raw_prediction, model, parameters, X, GIVEN)
    order = rng.permutation(200)
    np.testing.assert_allclose(
        map_matrix(Model.raw_prediction, model, parameters, X[order], GIVEN), raw[order], rtol=1e-12
    )
    some = np.concatenate(
        [map_matrix(Model.raw_prediction, model, parameters, X[i : i + 40], GIVEN) for i in range(0, 200, 40)]
    )
    np.testing.assert_allclose(some, raw, rtol=1e-12)


def test_rows_of_several_widths_come_back_in_their_order(several_widths):
    model = MixtureFM(n_components=2, n_factors=1, link="logit")
    tables, dense, parameters = parameters_of(model)
    X = sparse_rows(np.random.default_rng(3), n=40)
    raw = map_matrix(Model.raw_prediction, model, parameters, sparse.csr_array(X), None)
    np.testing.assert_allclose(raw, reference.mixture(X, tables, dense, 1, "logit"), rtol=1e-9, atol=1e-12)
    gate = np.exp(map_matrix(MixtureFM.log_gate, model, parameters, sparse.csr_array(X), None))
    np.testing.assert_allclose(gate, reference.gate(X, tables, dense), rtol=1e-9)


def test_cross_features():
    model = FM(n_factors=3)
    tables, _, parameters = parameters_of(model)
    X = sparse_rows(np.random.default_rng(4))
    cross = map_matrix(FM.cross_features, model, parameters, sparse.csr_array(X), None)
    expected = [reference.pair_products(x, tables["factors"])[0] for x in X]
    np.testing.assert_allclose(cross, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_have_the_precision_of_the_table(dtype):
    model = FM(n_factors=2)
    _, _, parameters = parameters_of(model)
    rounded = Parameters(
        parameters.table.astype(dtype), {"weights": {}, "offsets": {"intercept": np.zeros(1, dtype)}}, {}
    )
    raw = map_matrix(Model.raw_prediction, model, rounded, sparse.csr_array(np.ones((3, 12))), None)
    assert raw.dtype == dtype


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("name", ["deepfm", "fm"])
@pytest.mark.parametrize("batch_size", [4, 23])
def test_loss_of_batches_counts_each_row_once(batch_size, name, ones, several_widths):
    problem = Problem(*MODELS[name], ones=ones)
    with precision(np.float64):
        weights = stored(problem.model, problem.tables, problem.n_rows), problem.dense, problem.averages
        blocks = problem.batches(batch_size)
        value = loss_of_batches(problem.loss, problem.model, weights, blocks)
    assert value == pytest.approx(problem.weight.sum() * problem.data_term(), rel=1e-10)


@pytest.mark.parametrize("n", [1, 32, 33, 256, 257, 1023, 1024, 1025, 2500])
def test_pieces_have_one_of_three_shapes_and_hold_each_row_once(n):
    ids = np.arange(2 * n, dtype=np.int32).reshape(n, 2)
    pieces = list(cut(DeviceRows(ids, None, None)))
    (size,) = {piece.ids.shape[0] for _, piece in pieces}
    assert size in {32, 256, 1024}
    np.testing.assert_array_equal(np.concatenate([piece.ids[:n_valid] for n_valid, piece in pieces]), ids)


@pytest.mark.parametrize("loss", [Logistic(), SquaredError(), Huber(), Poisson(), Quantile(0.3), Softmax(2)])
def test_losses_of_numpy_arrays_are_those_of_jax(loss):
    rng = np.random.default_rng(0)
    raw, weight = rng.normal(size=(20, 2)), rng.uniform(size=20)
    y = rng.integers(2, size=20 if isinstance(loss, Softmax) else (20, 2)).astype(float)
    value = loss.value(y, raw)
    assert isinstance(value, np.ndarray)
    with precision(np.float64):
        np.testing.assert_allclose(value, loss.value(jnp.asarray(y), jnp.asarray(raw)), rtol=1e-12)
    weight[3] = 0
    assert loss_sum(loss, raw, y, weight) == pytest.approx(np.delete(value, 3) @ np.delete(weight, 3))


@pytest.mark.parametrize("model", [FM(n_factors=2, degree=3), MixtureFM(n_factors=2)])
def test_matrices_of_any_length_share_three_programs(model):
    _, _, parameters = parameters_of(model)
    rng = np.random.default_rng(6)
    before = programs._program.cache_info().misses
    for n in (90, 3, 20, 1, 100, 1000, 2):
        X = sparse.csr_array(np.tile(np.eye(12), (n, 1))[rng.permutation(12 * n)])
        map_matrix(Model.raw_prediction, model, parameters, X, None)
    assert programs._program.cache_info().misses <= before + 3


def test_equal_models_share_the_program_of_an_output():
    X, traced = sparse.csr_array(np.eye(12)), []

    class Traced(FM):
        def cross_features(self, slots, dense, averages, batch):
            traced.append("cross features")
            return super().cross_features(slots, dense, averages, batch)

        def forward(self, slots, dense, averages, batch, training):
            traced.append("raw prediction")
            return super().forward(slots, dense, averages, batch, training)

    for seed in range(3):
        model = Traced(n_factors=2, degree=3)
        _, _, parameters = parameters_of(model, seed)
        for output in (Traced.raw_prediction, Traced.cross_features):
            map_matrix(output, model, parameters, X, None)
    assert traced == ["raw prediction", "cross features"]


def test_long_matrices_are_predicted_part_by_part(monkeypatch):
    model = FM(n_factors=2)
    _, _, parameters = parameters_of(model)
    X = sparse_rows(np.random.default_rng(7), n=40)
    expected = map_matrix(Model.raw_prediction, model, parameters, sparse.csr_array(X), None)
    monkeypatch.setattr(predict, "_ROWS_AT_ONCE", 7)
    parted = map_matrix(Model.raw_prediction, model, parameters, sparse.csr_array(X), None)
    np.testing.assert_allclose(parted, expected, rtol=1e-12)


# ---------------------------------------------------------------------------------- sums of native code

needs_native = pytest.mark.skipif(not native.available(), reason="native code is not built here")
OF_SUMS = [
    (Linear(n_outputs=2), Model.raw_prediction),
    (FM(n_outputs=2, n_factors=3), Model.raw_prediction),
    (FM(n_factors=5, fit_linear=False, fit_intercept=False), Model.raw_prediction),
    (FM(n_factors=3), FM.cross_features),
    (MixtureFM(n_components=2, n_factors=2, link="logit"), Model.raw_prediction),
    (MixtureFM(n_components=3, gate="linear+fm"), MixtureFM.log_gate),
    (NFM(n_factors=3, network=MLP(sizes=(4,), batch_norm=True)), Model.raw_prediction),
]


def some_units(rng):
    return Units(np.where(np.arange(12) % 3 == 0, rng.normal(size=12), 0), rng.uniform(0.5, 2, 12))


@needs_native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("model", "output"), OF_SUMS)
@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize("shares_rows", [False, True])
def test_outputs_of_sums_are_those_of_slots(model, output, units, shares_rows, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    tables, (dense, averages) = random_tables(model, 12, rng), random_dense(model, rng)
    units = some_units(rng) if units else Units()
    single = jax.tree.map(lambda leaf: leaf.astype(dtype), (stored(model, tables, 16), dense, averages))
    parameters = Parameters(*single, units)
    X = sparse.csr_array(sparse_rows(rng, n=50))
    fields = Fields(FIELDS, 3, np.arange(12, dtype=np.int32)[::-1] // 2) if shares_rows else None
    of_sums = map_matrix(output, model, parameters, X, fields)
    monkeypatch.setattr(native, "available", lambda: False)
    of_slots = map_matrix(output, model, parameters, X, fields)
    assert of_sums.dtype == of_slots.dtype == dtype
    assert isinstance(of_sums, np.ndarray)
    tolerance = 1e3 * np.finfo(dtype).eps
    np.testing.assert_allclose(of_sums, of_slots, rtol=tolerance, atol=tolerance)


@needs_native
@pytest.mark.parametrize(("model", "output"), OF_SUMS)
def test_a_row_has_the_same_output_alone_and_among_others_in_any_thread(model, output, monkeypatch):
    rng = np.random.default_rng(1)
    dense, averages = random_dense(model, rng)
    table = stored(model, random_tables(model, 12, rng), 16)
    parameters = Parameters(*jax.tree.map(np.float32, (table, dense, averages)), some_units(rng))
    X = sparse.csr_array(sparse_rows(rng, n=70))
    is_exact = model.hints.of_sums == "arithmetic"
    equal = np.testing.assert_array_equal if is_exact else partial(np.testing.assert_allclose, rtol=1e-5)
    alone = np.concatenate([map_matrix(output, model, parameters, X[i : i + 1], None) for i in range(70)])
    monkeypatch.setattr(predict, "_ROWS_OF_SUMS", 16)
    for n_jobs in (1, 2, 4):
        with some_cores.use(n_jobs):
            equal(map_matrix(output, model, parameters, X, None), alone)
    monkeypatch.setattr(predict, "_ROWS_AT_ONCE", 33)
    equal(map_matrix(output, model, parameters, X, None), alone)


@needs_native
@pytest.mark.parametrize("model", [FM(n_factors=2), Linear()])
def test_arithmetic_takes_no_program(model):
    _, _, parameters = parameters_of(model)
    before = programs._program.cache_info()
    for n in (1, 40, 3000):
        map_matrix(Model.raw_prediction, model, parameters, sparse.csr_array(np.ones((n, 12))), None)
    assert programs._program.cache_info() == before
    assert not parameters._placed


@needs_native
def test_a_value_that_is_too_large_is_named_by_its_row(monkeypatch):
    model = FM(n_factors=2)
    _, _, parameters = parameters_of(model)
    parameters.table = parameters.table.astype(np.float32)
    parameters.units = Units(None, np.full(12, 1e-10))
    X = np.ones((50, 12))
    X[37, 5] = 1e20
    for at_once, of_sums in ((1 << 18, 2048), (1 << 18, 8), (20, 8)):
        monkeypatch.setattr(predict, "_ROWS_AT_ONCE", at_once)
        monkeypatch.setattr(predict, "_ROWS_OF_SUMS", of_sums)
        with pytest.raises(ValueError, match=r"X has a value at row 37, column 5 that is 1e[+]30 times"):
            map_matrix(Model.raw_prediction, model, parameters, sparse.csr_array(X), None)


@pytest.mark.parametrize("seed", [0, 1, 2**31 + 5, 2**32 - 1])
def test_random_key_is_that_of_jax(seed):
    expected = jax.random.key(seed, impl="threefry2x32")
    assert jax.random.key_data(random_key(seed)).tolist() == jax.random.key_data(expected).tolist()


# ----------------------------------------------------------------------------------------- parameters


def test_device_copies_are_made_once_and_neither_pickled_nor_copied():
    _, _, parameters = parameters_of(FM(n_factors=2))
    plain = pickle.dumps(parameters)
    with precision(np.float64):
        on_device = parameters.on_device()
        assert parameters.on_device() is on_device
    assert len(pickle.dumps(parameters)) == len(plain)
    for other in (pickle.loads(pickle.dumps(parameters)), copy.deepcopy(parameters), copy.copy(parameters)):
        assert not other._placed
        np.testing.assert_array_equal(other.table, parameters.table)
        np.testing.assert_array_equal(
            other.dense["offsets"]["intercept"], parameters.dense["offsets"]["intercept"]
        )
