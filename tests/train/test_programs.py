"""Compiled programs: what they depend on, that few are kept, and that those let go leave nothing behind."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skfm.losses import Huber, Quantile, Softmax
from skfm.optim.solvers import Optax
from skfm.train import programs
from skfm.train.epochs import _epoch_rates
from skfm.train.programs import Compiled
from tests.estimators.problems import make
from tests.train.problems import make_schedule

MAPS = Path("/proc/self/maps")
n_traces = 0


@partial(Compiled, donated=1)
def moved(by, state, how):
    global n_traces
    n_traces += 1
    return {name: getattr(jnp, how)(leaf * by) for name, leaf in state.items()}


@Compiled
def loss_values(loss, y, raw):
    global n_traces
    n_traces += 1
    return loss.value(y, raw)


@pytest.fixture
def few_kept(monkeypatch):
    monkeypatch.setattr(programs, "_program", lru_cache(maxsize=4)(programs._program.__wrapped__))


@pytest.fixture
def traced():
    """Function that gives the number of traces since the test began."""
    before = n_traces
    return lambda: n_traces - before


def test_numbers_and_arrays_are_traced_and_all_else_is_static(traced):
    for by in (2.0, 3.0):
        got = moved(by, {"a": np.arange(3.0), "b": np.float64(2)}, "negative")
        np.testing.assert_allclose(got["a"], -by * np.arange(3))
        assert float(got["b"]) == -2 * by
    assert traced() == 1
    moved(2.0, {"a": np.arange(3.0), "b": np.float64(2)}, "abs")
    moved(2.0, {"a": np.arange(4.0), "b": np.float64(2)}, "abs")
    moved(2.0, {"c": np.arange(4.0)}, "abs")
    assert traced() == 4


@Compiled
def promoted(a, b):
    return a + b, a * jnp.float32(0.1), b - 1


@pytest.fixture
def ahead(monkeypatch):
    """Programs are compiled ahead of their calls, as those that are kept are."""
    monkeypatch.setattr(programs, "_device", lambda: jax.devices()[0])
    monkeypatch.setattr(programs, "_key", lambda *_: "0" * 64)
    monkeypatch.setattr(programs, "_program", lru_cache(maxsize=100)(programs._program.__wrapped__))


@pytest.mark.parametrize("wide", [False, True])
def test_programs_compiled_ahead_are_those_of_jit(ahead, wide):
    with jax.enable_x64(wide):
        weak = jnp.asarray(2.0) * 1 if wide else jax.lax.full((), 2.0)
        values = [
            2, 2.5, True, np.float64(0.1), np.float32(0.1), np.int64(3), np.arange(3), np.ones(3, np.float16),
            np.full(3, 0.1), jnp.arange(3.0), weak, jnp.asarray(0.1).astype(float), np.bool_(True),
        ]  # fmt: skip
        for a, b in product(values, repeat=2):
            got, expected = promoted(a, b), jax.jit(promoted.function)(a, b)
            for one, other in zip(got, expected, strict=True):
                assert (one.dtype, one.weak_type) == (other.dtype, other.weak_type)
                assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
            shapes = promoted.eval_shape(a, b)
            assert [(each.shape, each.dtype) for each in shapes] == [(one.shape, one.dtype) for one in got]


def test_programs_compiled_ahead_take_donated_memory(ahead):
    state = {"a": jnp.arange(5.0)}
    got = moved(2.0, state, "abs")
    assert state["a"].is_deleted()
    np.testing.assert_array_equal(got["a"], 2 * np.arange(5.0))


def test_one_argument_is_donated():
    state = {"a": jnp.arange(5.0)}
    by = jnp.asarray(2.0)
    moved(by, state, "abs")
    assert state["a"].is_deleted()
    assert not by.is_deleted()


def test_constants_of_losses_share_a_program(traced):
    y, raw = np.zeros((5, 1)), np.linspace(-3, 3, 5)[:, None]
    for make_loss in (Huber, Quantile):
        before = traced()
        for constant in (0.2, 0.5, 0.9):
            loss = make_loss(constant)
            np.testing.assert_allclose(loss_values(loss, y, raw), loss.value(y, raw), rtol=1e-6)
        assert traced() == before + 1
    # The number of classes is a shape.
    assert jax.tree.leaves(Softmax(4)) == []


@pytest.mark.filterwarnings("ignore:.*Increase max_iter")
@pytest.mark.parametrize("solver", ["adagrad", "lbfgs"])
@pytest.mark.parametrize(
    ("loss", "name", "values"),
    [("huber", "huber_delta", (1, 1.5, np.float64(2), np.float32(3))), ("quantile", "quantile", (0.1, 0.6))],
)
def test_a_grid_over_a_constant_of_the_loss_compiles_nothing_new(solver, loss, name, values):
    X = np.random.default_rng(0).normal(size=(60, 3))
    settings = {"loss": loss, "solver": solver, "max_iter": 2}
    predictions, compiled = set(), set()
    for value in values:
        model = make("FMRegressor", **settings, **{name: value}).fit(X, X[:, 0] * X[:, 1])
        predictions.add(float(model.predict(X)[0]))
        compiled.add(programs._program.cache_info().misses)
    assert len(compiled) == 1
    assert len(predictions) == len(values)


def test_optax_solvers_of_equal_settings_are_equal():
    makers = (
        lambda rate: Optax(optax.adam(rate)),
        lambda rate: Optax(optax.chain(optax.clip(1.0), optax.sgd(rate, momentum=0.9, nesterov=True))),
        lambda rate: Optax(optax.lion(optax.cosine_decay_schedule(rate, 100))),
    )
    solvers = [make_solver(rate) for make_solver in makers for rate in (0.1, 0.2)]
    again = [make_solver(rate) for make_solver in makers for rate in (0.1, 0.2)]
    assert solvers == again
    assert list(map(hash, solvers)) == list(map(hash, again))
    assert len(set(solvers)) == len(solvers)


def test_optax_solvers_that_hold_other_arrays_differ():
    def holding(array):
        return Optax(optax.GradientTransformation(lambda _: array, None))

    array = np.ones(3)
    assert holding(array) == holding(array) != holding(np.ones(3))


def test_a_schedule_of_epochs_of_near_lengths_is_one_program(in_float64):
    shape = optax.cosine_decay_schedule(0.1, 500)
    before = programs._program.cache_info().misses
    for first, n_batches in ((0, 100), (100, 100), (200, 99), (0, 98)):
        rates = _epoch_rates(make_schedule(shape=shape), 0.5, first, n_batches)
        expected = [0.5 * float(shape(step)) for step in range(first, first + n_batches)]
        np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert programs._program.cache_info().misses == before + 1


def test_threads_share_programs(traced):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: moved(float(k), {"t": np.ones(7)}, "abs")["t"][0], range(20)))
    np.testing.assert_array_equal(found, np.arange(20))
    assert traced() <= 4


def test_the_number_kept_is_bounded(few_kept, traced):
    for n in range(1, 11):
        moved(1.0, {"n": np.ones(n)}, "abs")
    assert programs._program.cache_info().currsize == 4
    moved(1.0, {"n": np.ones(10)}, "abs")
    assert traced() == 10
    moved(1.0, {"n": np.ones(1)}, "abs")
    assert traced() == 11


@pytest.mark.filterwarnings("ignore:.*Increase max_iter")
@pytest.mark.skipif(not MAPS.exists(), reason="memory maps are counted on Linux")
def test_programs_let_go_give_back_their_memory_maps(few_kept):
    def fit(number):
        n_factors, n_columns = 1 + number % 5, 3 + number
        X = np.random.default_rng(0).integers(1, 3, size=(40, n_columns)).astype(float)
        solver = ("adagrad", "lbfgs")[number % 2]
        model = make("FMClassifier", n_factors=n_factors, degree=3, max_iter=1, solver=solver)
        model.fit(X, X[:, 0] > 1).predict(X)

    counts = []
    for number in range(30):
        fit(number)
        counts.append(len(MAPS.read_text().splitlines()))
    assert programs._program.cache_info().misses >= 60
    # Thirty programs or more, of ten maps at least.
    assert max(counts[15:]) < max(counts[5:15]) + 100
