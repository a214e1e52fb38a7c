"""Native code against NumPy and against the compiled programs that it stands in for."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skfm.data.batches import Batching, Samples, compose, make_batches
from skfm.data.pack import pack_rows
from skfm.data.units import Units
from skfm.layers import native
from skfm.native import Touching as Index
from skfm.native import touching
from skfm.optim.rows import (
    Touched,
    Touching,
    join,
    joined_width,
    joins,
    read_rows,
    separate,
    update_rows,
    update_rows_natively,
)
from skfm.optim.solvers import NAMED, Split, Step
from tests.cases import sparse_rows

pytestmark = pytest.mark.skipif(not native.available(), reason="native code is not built here")

N_TABLE, N_ROWS, N_SLOTS = 40, 21, 7
DUMMY = N_TABLE - 1
# Each width below 17 has code of its own, as have 17 and 33.
WIDTHS = [*range(1, 19), 31, 32, 33, 34, 50]


def indexed(ids, weight, scratch):
    """The index of a batch, in arrays that no other batch has."""
    touched, starts = np.empty(N_TABLE, np.int32), np.empty(N_TABLE + 1, np.int32)
    out = Index(touched, np.empty_like(ids), np.empty(N_TABLE), starts, np.zeros(ids.size, np.int32))
    n = touching(ids, weight, DUMMY, scratch, out)
    return out._replace(touched=touched[:n], share=out.share[:n], starts=starts[: n + 1])


class Problem:
    """Three batches of slots, of which some are unused and some name a row twice."""

    def __init__(self, width, dtype, values, seed=0):
        rng = np.random.default_rng(seed)
        self.table = rng.standard_normal((N_TABLE, width)).astype(dtype)
        self.table[DUMMY] = 0
        self.ids = rng.integers(0, DUMMY, (3, N_ROWS, N_SLOTS)).astype(np.int32)
        self.ids[:, :, 1] = self.ids[:, :, 0]
        self.ids[:, 4:9, 3:] = DUMMY
        self.ids[:, 11] = DUMMY
        self.values = rng.standard_normal(self.ids.shape).astype(dtype) if values else None
        weight = rng.random((3, N_ROWS))
        scratch = np.empty(N_TABLE, np.int32)
        found = [indexed(*of_batch, scratch) for of_batch in zip(self.ids, weight, strict=True)]
        most = max(one.touched.size for one in found) + 3
        self.touched = np.stack(
            [np.pad(one.touched, (0, most - one.touched.size), constant_values=DUMMY) for one in found]
        )
        self.starts = np.stack(
            [np.pad(one.starts, (0, most + 1 - one.starts.size), mode="edge") for one in found]
        )
        self.position = np.stack([one.position for one in found])
        self.order = np.stack([one.order for one in found])
        self.charge = rng.random((3, most, 2)).astype(dtype) * (self.touched != DUMMY)[:, :, None]

    def slots(self, number):
        return native.Slots(jnp.int32(number), *map(jnp.asarray, (self.touched, self.position)), self.values)

    def gathered(self, number):
        rows = self.table[self.ids[number]]
        return rows if self.values is None else rows * self.values[number][:, :, None]


def tolerance(dtype):
    return {"rtol": 1e3 * np.finfo(dtype).eps, "atol": 1e2 * np.finfo(dtype).eps}


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_sums_and_norms(width, values, dtype):
    problem = Problem(width, dtype, values)
    cuts = sorted({0, width // 3, width})
    vectors = np.array(list(pairwise(cuts))[-2:], np.int32).reshape(-1, 2)
    for number in (2, 0):
        # A table with numbers of no meaning after those of each row.
        table = jnp.asarray(np.concatenate([problem.table, np.full_like(problem.table, np.nan)], axis=1))
        sums, norms = native.pool(table, problem.slots(number), width, vectors)
        gathered = problem.gathered(number).astype(np.float64)
        assert_allclose(sums, gathered.sum(axis=1), **tolerance(dtype))
        expected = [np.square(gathered[:, :, first:last]).sum(axis=(1, 2)) for first, last in vectors]
        assert_allclose(norms, np.stack(expected, axis=1), **tolerance(dtype))


@pytest.mark.parametrize("width", [1, 5, 40])
def test_rows_of_slots(width, dtype):
    problem = Problem(width, dtype, values=True)
    found = native.gather(jnp.asarray(problem.table), problem.slots(1))
    assert_array_equal(found, problem.table[problem.ids[1]])


SOLVERS = NAMED | {
    "split": Split(NAMED["ftrl"], NAMED["adagrad"], 1),
    "split_back": Split(NAMED["adam"], NAMED["sgd"], 1),
}


OF_UPDATES = [(name, 5) for name in SOLVERS] + [("adagrad", w) for w in WIDTHS if w != 5]


@pytest.mark.parametrize(
    ("name", "width", "kind"),
    [(*one, kind) for one in OF_UPDATES for kind in ("pooled", "slots")]
    + [(name, width, "joined") for name, width in OF_UPDATES if joins(SOLVERS[name], width)],
)
def test_updates_are_those_of_the_compiled_program(name, width, kind, dtype):
    problem = Problem(width, dtype, values=kind != "slots")
    solver = SOLVERS[name].for_step(np.asarray(0.5, dtype), np.asarray(20.0, dtype))
    rng = np.random.default_rng(3)
    vectors = np.array([[width // 2, width]], np.int32)
    lanes = tuple(rng.random((2, width)).astype(dtype))
    share = np.asarray(0.7, dtype)
    expected = jnp.asarray(problem.table), solver.init(jnp.asarray(problem.table), np.asarray(0.1, dtype))
    found = jax.tree.map(jnp.copy, expected)
    row = width
    if kind == "joined":
        found, row = (join(*expected), None), joined_width(width)
    for count, number in enumerate((1, 2, 1), 1):
        step = Step(jnp.asarray(0.1, dtype), jnp.int32(count))
        if kind != "slots":
            of_sums = rng.standard_normal((N_ROWS, width)).astype(dtype)
            of_norms = rng.standard_normal((N_ROWS, 1)).astype(dtype)
            gradient = native.Gradient(np.pad(of_sums, [(0, 0), (0, row - width)]), of_norms)
            x = problem.values[number][:, :, None]
            in_vector = np.arange(width) >= width // 2
            of_slots = of_sums[:, None] * x + (
                2 * of_norms[:, :, None] * x * x * np.asarray(expected[0])[problem.ids[number]] * in_vector
            )
        else:
            of_slots = rng.standard_normal((N_ROWS, N_SLOTS, width)).astype(dtype)
            gradient = native.Gradient(of_slots)
        of_rows = np.zeros((problem.touched.shape[1], width))
        np.add.at(of_rows, problem.position[number].ravel(), of_slots.reshape(-1, width).astype(np.float64))
        ids = jnp.asarray(problem.touched[number])
        touched = Touched(
            ids, read_rows(expected[0], ids), jnp.asarray(of_rows, dtype), problem.charge[number] * share
        )
        expected = update_rows(solver, *expected, touched, lanes, step)
        index = native.Index(problem.starts, problem.order)
        batch = Touching(problem.slots(number), index, problem.charge, share, gradient, vectors, row)
        found = update_rows_natively(solver, *found, batch, lanes, step)
    if kind == "joined":
        found = separate(solver, np.asarray(found[0]), width)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert_allclose(one, other, **tolerance(dtype))


def test_a_table_and_its_state_are_joined_and_separated():
    rng, solver = np.random.default_rng(0), NAMED["ftrl"]
    table = rng.standard_normal((N_TABLE, 5)).astype(np.float32)
    state = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), solver.init(table, np.float32(0.1)))
    assert join(table, state).shape == (N_TABLE, 8 * 5)
    found = separate(solver, np.asarray(join(table, state)), 5)
    jax.tree.map(partial(assert_allclose, rtol=1e-6), found, (table, state))


def test_index_of_a_batch():
    problem = Problem(1, np.float64, values=False)
    weight = np.random.default_rng(1).random(N_ROWS)
    for ids in problem.ids:
        found = indexed(ids, weight, np.full(N_TABLE, 10**6, np.int32))
        assert_array_equal(found.touched[found.position], ids)
        assert np.unique(found.touched).size == found.touched.size
        for number, one in enumerate(found.touched):
            listed = found.order[found.starts[number] : found.starts[number + 1]]
            assert_array_equal(listed, np.flatnonzero(ids == one) if one != DUMMY else [])
            assert found.share[number] == pytest.approx((weight[:, None] * (ids == one)).sum())


@pytest.mark.parametrize("n_threads", [1, 2, 3, 50])
@pytest.mark.parametrize("ones", [False, True])
def test_indexed_batches_are_the_same_in_any_number_of_threads(ones, n_threads):
    X = sparse.csr_array(sparse_rows(np.random.default_rng(0), n=100, ones=ones))
    block = pack_rows(X, dummy=15, dtype=np.float32).blocks[0]
    order = compose(100, 8, np.random.default_rng(1))
    samples = Samples(X, np.arange(100.0), np.random.default_rng(2).random(100))
    charge = np.random.default_rng(3).random((16, 2)) * (np.arange(16) < 15)[:, None]
    batching = Batching(charge, Units(), None, 8, np.float32, 0)
    plain, one, several = (
        make_batches(block, order, samples, batching._replace(indexed=indexed, n_threads=n))
        for indexed, n in ((False, 1), (True, 1), (True, n_threads))
    )
    jax.tree.map(assert_array_equal, several, one)
    assert_array_equal(
        np.take_along_axis(one.touched[:, None], one.position, axis=2),
        np.take_along_axis(plain.touched[:, None], plain.position, axis=2),
    )
    for found, expected in ((one.values, plain.values), (one.weight, plain.weight), (one.y, plain.y)):
        assert_array_equal(found, expected)
    for number in range(len(order)):
        paid = [np.zeros((16, 2)), np.zeros((16, 2))]
        for charges, batches in zip(paid, (one, plain), strict=True):
            charges[batches.touched[number]] = batches.charge[number]
            charges[15] = 0
        assert_allclose(*paid, rtol=1e-6)
        last = one.starts[number, -1]
        assert last == np.count_nonzero(one.touched[number][one.position[number]] != 15)
        touching_row = np.repeat(np.arange(one.touched.shape[1]), np.diff(one.starts[number]))
        assert_array_equal(one.position[number].ravel()[one.order[number, :last]], touching_row)
