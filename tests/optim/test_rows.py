"""Updates of touched rows against dense solvers on those rows alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skfm.optim import rows
from skfm.optim.solvers import NAMED, Optax, Step
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


@partial(jax.jit, static_argnums=0)
def compiled(solver, table, state, ids, gradient, charge, count):
    touched = rows.Touched(ids, rows.read_rows(table, ids), gradient, charge)
    return rows.update_rows(solver, table, state, touched, LANES, Step(RATE, count))


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
        # The different rows, in no order, and places left over that point to the dummy row.
        different = self.rng.permutation(np.setdiff1d(ids, [self.dummy]))
        different = np.append(different, [self.dummy] * 4)
        gradients = [np.zeros(WIDTH) + summed(ids, gradient, column) for column in different]
        charge = [self.charges[column] * summed(ids, share, column) for column in different]
        self.table, self.state = compiled(
            self.solver,
            jnp.asarray(self.table),
            self.state,
            jnp.asarray(different, jnp.int32),
            jnp.asarray(gradients),
            jnp.asarray(charge),
            jnp.asarray(self.count),
        )
        self.table = np.asarray(self.table)


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


def test_one_charge_for_both_penalties():
    tables = []
    for width in (1, 2):
        steps = Steps(NAMED["adagrad"], 9)
        steps.charges = np.full((9, width), 0.7)
        steps.apply(*steps.batch(np.arange(8)))
        tables.append(steps.table)
    np.testing.assert_array_equal(*tables)


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
