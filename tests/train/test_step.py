"""Steps of mini-batch training: their gradient is the objective's, their cost is the batch's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skfm.data.batches import Batches
from skfm.layers import native
from skfm.layers.mlp import MLP
from skfm.losses import Logistic
from skfm.models.afm import AFM
from skfm.models.base import Table, Training
from skfm.models.deepfm import DeepFM
from skfm.models.ffm import FFM
from skfm.models.linear import Linear
from skfm.models.mixture import MixtureFM
from skfm.models.pnn import PNN
from skfm.models.xdeepfm import XDeepFM
from skfm.optim.rows import read_rows
from skfm.optim.solvers import NAMED, SGD, AdaGrad, Optax
from skfm.train import step
from skfm.train.state import Hyper, Start, start_state
from skfm.train.step import Hold, OneOf, Program, Run, hold_by, run_batches
from tests import reference
from tests.cases import stored
from tests.train.problems import MODELS, Problem

RATE = 1e-8


def descent(problem, solver, batch_size):
    """Mean direction of descent over one epoch at a tiny rate: table, dense weights."""
    before = problem.start(solver, RATE)
    state = problem.run_epoch(solver, learning_rate=RATE, batch_size=batch_size)
    n_steps = sum(-(-size // batch_size) for size in problem.sizes)
    assert int(state.count) == n_steps
    change = jax.tree.map(
        lambda old, new: np.asarray(old - new) / (RATE * n_steps),
        (before.table, before.dense),
        (state.table, state.dense),
    )
    return change, float(state.loss_sum) / problem.n


def check_descent(problem, solver, batch_size):
    (of_table, of_dense), mean_loss = descent(problem, solver, batch_size)
    expected_table, expected_dense = problem.gradient()
    np.testing.assert_allclose(of_table, expected_table, atol=3e-6)
    assert np.all(of_table[12:] == 0)
    jax.tree.map(
        lambda got, wanted: np.testing.assert_allclose(got, wanted, atol=3e-6), of_dense, expected_dense
    )
    assert mean_loss == pytest.approx(problem.data_term(), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "power"), [("fm", 0.0), ("fm", 0.5), ("fm", 1.0), ("deepfm", 0.5), ("mixture", 0.5)]
)
def test_one_batch_is_a_gradient_step_of_the_objective(name, power, in_float64):
    """In the first step momentum has no effect."""
    check_descent(Problem(*MODELS[name], power=power), SGD(), 20)


@pytest.mark.parametrize("name", ["adagrad", "adagrad, small first steps", "ftrl"])
def test_one_batch_of_a_solver_that_sums_over_samples(name, in_float64):
    """Gradients and penalties are those of the mean times the number of rows.

    Steady AdaGrad's dense weights start at the square of half of these.
    """
    problem = Problem(*MODELS["deepfm"], power=0.5)
    without_penalty = Problem(*MODELS["deepfm"], power=0.5, l2={"linear": 0, "factors": 0}, l2_dense=0)
    solver = AdaGrad(small_first_steps=True) if name == "adagrad, small first steps" else NAMED[name]
    (of_table, of_dense), _ = descent(problem, solver, 20)

    def check(got, gradient, gradient_of_loss, start):
        g = problem.n * gradient_of_loss
        step = 1 / (1 + np.abs(g)) if name == "ftrl" else 1 / np.sqrt(start + g**2)
        np.testing.assert_allclose(got, problem.n * gradient * step, atol=3e-6)

    gradients = problem.gradient(), without_penalty.gradient()
    check(of_table, *(each[0] for each in gradients), 1)
    of_weights = (problem.n / 2) ** 2 if name == "adagrad, small first steps" else 1
    for role, start in (("weights", of_weights), ("offsets", 1)):
        assert of_dense[role]
        for leaf in of_dense[role]:
            check(of_dense[role][leaf], *(each[1][role][leaf] for each in gradients), start)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [20, 23])
def test_gradients_of_an_epoch_add_up_to_the_objective(n, power, in_float64):
    """Losses, the penalty's charges and the dense penalty alike: lazy updates are exact in expectation."""
    check_descent(Problem(*MODELS["deepfm"], n=n, power=power), SGD(momentum=0.0), 4)


def test_gradients_of_an_epoch_of_rows_of_ones_add_up(in_float64):
    check_descent(Problem(*MODELS["fm"], n=23, ones=True), SGD(momentum=0.0), 4)


def test_gradients_of_an_epoch_add_up_over_blocks_of_several_widths(several_widths, in_float64):
    problem = Problem(*MODELS["fm"], n=23, power=0.5)
    assert len(problem.sizes) > 2
    check_descent(problem, SGD(momentum=0.0), 5)


def test_ftrl_with_l1_reaches_the_minimum_and_gives_exact_zeros(in_float64):
    problem = Problem(Linear(), Logistic(), n=30, l1=0.08, l2={"linear": 0.05}, power=0.5)
    solver = NAMED["ftrl"]
    n_steps = 3000
    state = run_batches(
        problem.program(solver),
        problem.start(solver, 0.3),
        problem.batches(30)[0],
        Run(np.zeros(n_steps, dtype=np.int32), np.full(n_steps, 0.3), 0, n_steps),
        30.0,
        problem.hyper(),
    )
    # The oracle: proximal gradient descent on the same objective.
    charge = problem.full_charges()[:12, 0]
    w, b, step_size = np.zeros(12), 0.0, 0.3
    share = problem.weight / problem.weight.sum()
    for _ in range(30_000):
        error = share * (1 / (1 + np.exp(-(problem.X @ w + b))) - problem.y[:, 0])
        w, b = w - step_size * (problem.X.T @ error), b - step_size * error.sum()
        w = (
            np.sign(w)
            * np.maximum(np.abs(w) - step_size * charge * 0.08, 0)
            / (1 + step_size * charge * 0.05)
        )
    table = np.asarray(state.table)
    assert 2 <= np.count_nonzero(w) <= 8
    np.testing.assert_array_equal(table[:12, 0] == 0, w == 0)
    np.testing.assert_allclose(table[:12, 0], w, atol=1e-5)
    assert float(state.dense["offsets"]["intercept"][0]) == pytest.approx(b, abs=1e-5)


def test_rates_and_penalties_share_a_program(in_float64):
    solver = NAMED["adagrad"]
    first = None
    for rate, l2, dropout in [(0.1, 0.3, 0.0), (0.2, 0.0, 0.1), (0.3, 5.0, 0.5)]:
        problem = Problem(*MODELS["fm"], l2={"linear": l2, "factors": 2 * l2}, l1=l2, l2_dense=l2)
        problem.run_epoch(solver, dropout, learning_rate=rate)
        first = step.n_traces if first is None else first
    assert step.n_traces == first


# ------------------------------------------------------------------------------- large rows, in pieces

LARGE = {
    "ffm": FFM(n_outputs=2, n_fields=3, n_factors=2),
    "afm": AFM(n_fields=3, n_factors=2, n_attention=3),
    "pnn": PNN(n_fields=3, n_factors=2, network=MLP(sizes=(4,)), product="both"),
    "xdeepfm": XDeepFM(n_fields=3, n_factors=2, network=MLP(sizes=(4,)), cin_layer_sizes=(3, 2)),
}


@pytest.mark.parametrize("name", LARGE)
def test_gradients_by_pieces_are_those_of_the_batch(name, in_float64, monkeypatch):
    """The last piece is not full, and rows of the table are in several pieces."""
    problem = Problem(LARGE[name], Logistic(), n=22)
    solver = SGD()
    batch = jax.tree.map(lambda leaf: leaf[0], problem.batches(22)[0])
    state = problem.start(solver, RATE)
    rows = read_rows(state.table, batch.touched)
    training = Training(jax.random.key(0), jnp.zeros(()))
    arguments = problem.program(solver), rows, state, batch, training, 0.5
    value, _, *gradients = step._gradients(*arguments)
    monkeypatch.setattr(step, "piece_size", lambda *_: 4)
    found_value, _, *found = step._gradients(*arguments)
    assert np.abs(gradients[0]).max() > 0.01
    jax.tree.map(
        lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-14),
        (found_value, *found),
        (value, *gradients),
    )


@pytest.mark.parametrize("solver", ["adagrad", "adam"])
def test_an_epoch_by_pieces_is_that_of_whole_batches(solver, monkeypatch, in_float64):
    problem, ends = Problem(LARGE["ffm"], Logistic(), n=22), []
    for size in (4, None):
        monkeypatch.setattr(step, "piece_size", lambda *_, size=size: size)
        jax.clear_caches()
        ends.append(problem.run_epoch(NAMED[solver], learning_rate=0.1, batch_size=11))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), *ends)
    jax.clear_caches()


def test_dropout_leaves_other_units_out_of_each_piece(in_float64, monkeypatch):
    monkeypatch.setattr(step, "piece_size", lambda *_: 4)
    problem = Problem(AFM(n_fields=3, n_factors=2, n_attention=3, use_dropout=True), Logistic(), n=22)
    state = problem.start(SGD(), RATE)
    batch = jax.tree.map(lambda leaf: leaf[0], problem.batches(22)[0])
    rows = read_rows(state.table, batch.touched)

    def value_of(places, rate):
        chosen = {name: getattr(batch, name)[places] for name in ("position", "values", "y", "weight")}
        if batch.slot_fields is not None:
            chosen["slot_fields"] = batch.slot_fields[places]
        training = Training(jax.random.key(0), jnp.asarray(rate))
        arguments = problem.program(SGD()), rows, state, batch._replace(**chosen), training, 1.0
        return float(step._gradients(*arguments)[0])

    once, twice = np.arange(4), np.tile(np.arange(4), 2)
    assert value_of(twice, 0.0) == pytest.approx(2 * value_of(once, 0.0), rel=1e-12)
    assert value_of(twice, 0.5) != pytest.approx(2 * value_of(once, 0.5), rel=1e-6)


def test_large_rows_go_in_pieces_on_a_cpu_unless_they_depend_on_each_other():
    wide = FFM(
        n_fields=39,
    )
    assert step.piece_size(wide, {}, 4096, 39) == 64
    assert step.piece_size(wide, {}, 64, 39) is None
    assert step.piece_size(wide, {"mean": 0}, 4096, 39) is None
    assert (
        step.piece_size(
            FFM(
                n_fields=5,
            ),
            {},
            4096,
            5,
        )
        is None
    )
    assert step.piece_size(DeepFM(n_fields=39, n_factors=8, network=MLP(sizes=(5,))), {}, 4096, 39) is None
    assert step.piece_size(FFM(n_outputs=3, n_fields=100, n_factors=16), {}, 4096, 100) == 16


# ------------------------------------------------------------------ no array of the table's size in a step


N_ROWS = 100_003
BATCH = 4


def large_problem(model, solver, n_rows=N_ROWS, natively=False):
    """Arguments of `_step` with a table of many rows and a batch of few slots."""
    index = (jnp.zeros(6, jnp.int32), jnp.zeros(BATCH * 3, jnp.int32)) if natively else (None, None)
    dense, averages = model.init(np.random.default_rng(0), np.zeros(1)), model.init_averages()
    dense, averages = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (dense, averages))
    table = jnp.zeros((n_rows, model.width), jnp.float32)
    start = Start(table, dense, averages, jnp.float32(0.1), jnp.float32(BATCH))
    state = start_state(solver, start, joined=natively)
    batch = Batches(
        touched=jnp.arange(5, dtype=jnp.int32),
        charge=jnp.ones((5, 1), jnp.float32),
        position=jnp.zeros((BATCH, 3), jnp.int32),
        values=jnp.ones((BATCH, 3), jnp.float32),
        slot_fields=None,
        y=jnp.zeros((BATCH, 1), jnp.float32),
        weight=jnp.ones(BATCH, jnp.float32),
        starts=index[0],
        order=index[1],
    )
    lanes = jnp.ones(model.width), jnp.ones(model.width)
    hyper = Hyper(lanes, jnp.float32(0.1), jnp.float32(0.1), jax.random.key(0))
    return state, batch, jnp.float32(0.1), jnp.float32(BATCH), hyper


def equations(jaxpr):
    """All equations that are no calls, those inside calls and loops included."""
    for equation in jaxpr.eqns:
        inner = [
            getattr(value, "jaxpr", value)
            for name, parameter in equation.params.items()
            if name != "update_jaxpr"  # how a scatter combines two numbers
            for value in (parameter if isinstance(parameter, list | tuple) else [parameter])
            if hasattr(value, "eqns") or hasattr(value, "jaxpr")
        ]
        if not inner:
            yield equation
        for called in inner:
            yield from equations(called)


def large_equations(model, solver, n_rows=N_ROWS, natively=False):
    """Names of primitives that read or make an array with a row for each row of the table."""
    program = Program(model, Logistic(), solver)

    def one_step(state, batch, *others):
        batches = jax.tree.map(lambda leaf: leaf[None], batch)
        return step._step(program, state, OneOf(batches, jnp.int32(0)), *others)

    jaxpr = jax.make_jaxpr(one_step)(*large_problem(model, solver, n_rows, natively))

    def is_large(variable):
        shape = getattr(variable.aval, "shape", ())
        return len(shape) > 0 and shape[0] == n_rows

    return {
        equation.primitive.name
        for equation in equations(jaxpr.jaxpr)
        if any(map(is_large, [*equation.invars, *equation.outvars]))
    }


SOLVERS = NAMED | {"optax adagrad": Optax(optax.adagrad(0.1)), "optax adamw": Optax(optax.adamw(0.1))}


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_step_only_gathers_from_tables_and_scatters_into_them(solver):
    models = [DeepFM(n_fields=3, n_factors=4, network=MLP(sizes=(5,), batch_norm=True, dropout=True))]
    if solver == "adagrad":
        models += [Linear(), MixtureFM(n_components=2, n_factors=2, link="logit")]
    for model in models:
        assert large_equations(model, SOLVERS[solver]) == {"gather", "scatter-add"}
    # The search sees the arrays of one batch where they are as long as the table.
    assert large_equations(models[0], SOLVERS[solver], n_rows=3 * BATCH) - {"gather", "scatter-add"}


needs_native = pytest.mark.skipif(not native.available(), reason="native code is not built here")


@needs_native
@pytest.mark.parametrize("solver", NAMED)
def test_a_native_step_gives_tables_to_native_code_alone(solver):
    network = MLP(sizes=(5,), batch_norm=True, dropout=True)
    for model in (DeepFM(n_fields=3, n_factors=4, network=network), MixtureFM(n_components=2, n_factors=2)):
        assert large_equations(model, SOLVERS[solver], natively=True) == {"ffi_call"}


@pytest.mark.parametrize("natively", [False, pytest.param(True, marks=needs_native)])
@pytest.mark.parametrize("solver", ["adagrad", "adam", "ftrl"])
def test_a_compiled_run_of_batches_copies_no_table(solver, natively):
    model = DeepFM(n_fields=3, n_factors=4, network=MLP(sizes=(5,)))
    state, batch, rate, batch_rows, hyper = large_problem(model, SOLVERS[solver], natively=natively)
    batches = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), batch)
    program = Program(model, Logistic(), SOLVERS[solver])
    run = Run(np.arange(3, dtype=np.int32), np.full(3, rate), 0, 3)
    compiled = run_batches.lower(program, state, batches, run, batch_rows, hyper).compile()
    memory = compiled.memory_analysis()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves((state.table, state.table_state)))
    # Nothing but the batch's arrays is made, and the tables are updated where they are.
    assert memory.temp_size_in_bytes < N_ROWS
    assert memory.alias_size_in_bytes >= size


def test_tables_know_their_width():
    assert Table((2, 3), "factors", "scale").width == 6
    assert Table((), "linear", "zero").width == 1


@pytest.mark.parametrize("name", ["fm", "deepfm"])
def test_weights_are_held_by_the_curvature_of_the_rows_that_touch_them(name, in_float64):
    problem, rate, n_rows = Problem(*MODELS[name], n=20), 1e3, 50.0
    solver, touching = AdaGrad(), jnp.arange(problem.n_rows, dtype=float)
    state, (batches,) = problem.start(solver), problem.batches(20)
    hold = Hold(touching, jnp.asarray(n_rows), jnp.asarray(rate))
    held = hold_by(problem.program(solver), state, batches, hold, jnp.asarray(20.0), problem.hyper())
    steepness = np.ones_like(problem.raw())
    if name == "fm":
        steepness = (chance := 1 / (1 + np.exp(-problem.raw()))) * (1 - chance)
    steepness = steepness * problem.weight[:, None]

    def curvature(array):
        """Sum over rows and outputs of squared derivatives of raw predictions, for each number."""
        found = np.zeros(array.shape)
        for place in np.ndindex(steepness.shape):
            slope = reference.finite_differences(lambda place=place: problem.raw()[place], array)
            found += steepness[place] * slope**2
        return found

    n_touching = np.append(np.count_nonzero(problem.X, axis=0), np.zeros(problem.n_rows - 12))
    of_tables = {key: curvature(table) for key, table in problem.tables.items()}
    expected = stored(problem.model, of_tables, problem.n_rows) / np.maximum(n_touching, 1)[:, None]
    expected *= np.asarray(touching)[:, None]
    expected = np.maximum(1, expected + (rate * expected) ** 2)
    # Of several outputs, and of dense weights, it is an estimate.
    factor = 1 + 1e-4 if name == "fm" else 3.0
    ratio = held.table_state["squares"] / expected
    assert np.all((ratio > 1 / factor) & (ratio < factor))
    for key, leaf in problem.dense["weights"].items():
        expected = np.maximum(1, (rate * n_rows / problem.n * curvature(leaf)) ** 2)
        ratio = np.asarray(held.dense_state["weights"][key]["squares"] / expected)
        assert 0.5 < np.exp(np.log(ratio).mean()) < 2
