"""Updates of touched rows against dense solvers on those rows alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skfm.optim import rows
from skfm.optim.solvers import NAMED, Optax
from skfm.runtime import precision
from tests.optim.naive import NAIVE

WIDTH = 3
RATE = 0.2
LANES = np.array([0.3, 0.3, 0.0]), np.array([0.5, 0.5, 2.0])
N_ROWS = 9


@pytest.fixture(autouse=True)
def in_float64():
    with precision(np.float64):
        yield


@pytest.fixture(params=["one chunk", "chunks"], autouse=True)
def chunks(request, monkeypatch):
    """Rows are updated all at once or in several chunks, the last of them not full."""
    monkeypatch.setattr(rows, "_CHUNK", {"one chunk": 8192, "chunks": 2}[request.param])


@partial(jax.jit, static_argnums=(0, 1))
def compiled(solver, chunk, table, state, scratch, ids, gradient, share, *others):
    touched, scratch = rows.touch(scratch, ids)
    compact = rows.read_rows(table, touched)
    zeros = jnp.zeros((compact.shape[0], WIDTH + 1))
    sums = zeros.at[touched.place].add(jnp.column_stack([gradient, share]))
    gradient, share = sums[:, :-1], sums[:, -1]
    table, state = rows.update_rows(solver, table, state, touched, compact, gradient, share, *others)
    return table, state, scratch


class Steps:
    """A table, its state, and random batches on it."""

    def __init__(self, solver, n_rows, n_slots=14, seed=0):
        self.rng = np.random.default_rng(seed)
        self.solver, self.n_rows, self.n_slots = solver, n_rows, n_slots
        self.dummy = n_rows - 1
        self.table = self.rng.standard_normal((n_rows, WIDTH))
        self.table[self.dummy] = 0
        self.charges = self.rng.random((n_rows, 2))
        self.state = solver.init(jnp.asarray(self.table), RATE)
        self.scratch = np.zeros(n_rows, np.int32)
        self.count = 0

    def batch(self, columns):
        """Slots at some of the columns, most of them several times, the first one surely, and dummy slots."""
        ids = self.rng.choice(columns, size=self.n_slots)
        ids[:2] = columns[0]
        ids[-3:] = self.dummy
        share = self.rng.random(self.n_slots) * (ids != self.dummy)
        gradient = self.rng.standard_normal((self.n_slots, WIDTH))
        return ids, gradient, share

    def apply(self, ids, gradient, share):
        self.count += 1
        out = compiled(
            self.solver,
            rows._CHUNK,
            jnp.asarray(self.table),
            self.state,
            jnp.asarray(self.scratch),
            jnp.asarray(ids, jnp.int32),
            jnp.asarray(gradient),
            jnp.asarray(share),
            jnp.asarray(self.charges),
            LANES,
            RATE,
            jnp.asarray(self.count),
        )
        self.table, self.scratch = np.asarray(out[0]), np.asarray(out[2])
        self.state = out[1]


def summed(ids, numbers, column):
    return sum(number for place, number in zip(ids, numbers, strict=True) if place == column)


@pytest.mark.parametrize("name", NAMED)
def test_touched_rows_follow_the_solver_and_no_others_move(name):
    steps = Steps(NAMED[name], N_ROWS)
    columns = np.array([0, 2, 3, 5])
    # Adam's bias correction counts the steps of all rows: those touched each time are as in the paper.
    naive = dict.fromkeys(columns)
    for _ in range(3):
        before, state_before = steps.table, steps.state
        ids, gradient, share = steps.batch(columns)
        ids[3 : 3 + columns.size] = columns
        share[3 : 3 + columns.size] = 0.5
        for column in columns:
            naive[column] = naive[column] or NAIVE[name](steps.table[column], RATE)
        steps.apply(ids, gradient, share)
        for column in columns:
            charge = steps.charges[column] * summed(ids, share, column)
            expected = naive[column].step(
                summed(ids, gradient, column), charge[0] * LANES[0], charge[1] * LANES[1]
            )
            np.testing.assert_allclose(steps.table[column], expected, rtol=1e-9, atol=1e-12)
        others = np.setdiff1d(np.arange(steps.n_rows), columns)
        assert steps.dummy in others
        np.testing.assert_array_equal(steps.table[others], before[others])
        for leaf, old in zip(jax.tree.leaves(steps.state), jax.tree.leaves(state_before), strict=True):
            np.testing.assert_array_equal(leaf[others], old[others])


def test_what_waits_in_lazy_states_is_untouched():
    """Rows take part in the steps that touch them; Adam's count is that of all steps."""
    steps = Steps(NAMED["adagrad"], N_ROWS)
    naive = {column: NAIVE["adagrad"](steps.table[column], RATE) for column in range(steps.dummy)}
    for _ in range(6):
        ids, gradient, share = steps.batch(steps.rng.permutation(steps.dummy)[:5])
        steps.apply(ids, gradient, share)
        for column in set(ids) - {steps.dummy}:
            charge = steps.charges[column] * summed(ids, share, column)
            naive[column].step(summed(ids, gradient, column), charge[0] * LANES[0], charge[1] * LANES[1])
    expected = [naive[column].w for column in range(steps.dummy)] + [np.zeros(WIDTH)]
    np.testing.assert_allclose(steps.table, expected, rtol=1e-9, atol=1e-12)


def test_slots_without_a_share_are_left_alone():
    steps = Steps(NAMED["adam"], N_ROWS)
    before = steps.table
    ids, gradient, share = steps.batch(np.array([0, 2, 3]))
    share[ids == 2] = 0
    steps.apply(ids, gradient, share)
    assert not np.array_equal(steps.table[0], before[0])
    np.testing.assert_array_equal(steps.table[2], before[2])


def test_contents_of_the_scratch_vector_mean_nothing():
    tables = []
    for fill in ("zeros", "valid numbers", "rubbish"):
        steps = Steps(NAMED["adagrad"], 60)
        if fill == "valid numbers":
            steps.scratch = np.random.default_rng(1).integers(0, 14, size=60).astype(np.int32)
        if fill == "rubbish":
            steps.scratch = np.random.default_rng(1).integers(-(2**31), 2**31, size=60).astype(np.int32)
        for _ in range(3):
            steps.apply(*steps.batch(np.arange(10)))
        tables.append(steps.table)
    np.testing.assert_array_equal(tables[0], tables[1])
    np.testing.assert_array_equal(tables[0], tables[2])


def test_one_charge_for_both_penalties():
    tables = []
    for width in (1, 2):
        steps = Steps(NAMED["adagrad"], 9)
        steps.charges = np.full((9, width), 0.7)
        steps.apply(*steps.batch(np.arange(8)))
        tables.append(steps.table)
    np.testing.assert_array_equal(*tables)


@pytest.mark.parametrize("chunk", [3, 4, 100])
def test_touched_rows_are_numbered(chunk, monkeypatch):
    monkeypatch.setattr(rows, "_CHUNK", chunk)
    ids = np.random.default_rng(0).integers(20, size=14)
    touched, scratch = rows.touch(jnp.zeros(20, jnp.int32), jnp.asarray(ids, jnp.int32))
    assert int(touched.n) == np.unique(ids).size
    np.testing.assert_array_equal(np.sort(touched.ids[: touched.n]), np.unique(ids))
    np.testing.assert_array_equal(touched.ids[touched.place], ids)
    table = np.random.default_rng(1).standard_normal((20, WIDTH))
    compact = rows.read_rows(jnp.asarray(table), touched)
    np.testing.assert_array_equal(compact[touched.place], table[ids])
    assert scratch.shape == (20,)


@pytest.mark.parametrize(
    "transformation",
    [optax.adagrad(0.1), optax.rmsprop(0.1), optax.adamw(0.1, weight_decay=0.1)],
    ids=["adagrad", "rmsprop", "adamw"],
)
def test_optax_on_touched_rows_is_optax_on_these_rows(transformation):
    steps = Steps(Optax(transformation), N_ROWS)
    columns = np.array([0, 2, 3, 5])
    before = steps.table
    parameters = jnp.asarray(steps.table[columns])
    state = transformation.init(parameters)
    for _ in range(3):
        ids, gradient, share = steps.batch(columns)
        ids[3 : 3 + columns.size] = columns
        share[3 : 3 + columns.size] = 0.5
        steps.apply(ids, gradient, share)
        dense = np.array([summed(ids, gradient, column) for column in columns])
        for row, column in enumerate(columns):
            charge = steps.charges[column] * summed(ids, share, column)
            dense[row] += charge[1] * LANES[1] * parameters[row] + charge[0] * LANES[0] * np.sign(
                parameters[row]
            )
        updates, state = transformation.update(jnp.asarray(dense), state, parameters)
        parameters = parameters + RATE * updates
        np.testing.assert_allclose(steps.table[columns], parameters, rtol=1e-9)
    others = np.setdiff1d(np.arange(steps.n_rows), columns)
    np.testing.assert_array_equal(steps.table[others], before[others])
