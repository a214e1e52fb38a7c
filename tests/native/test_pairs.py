"""Pairs of fields in native code, against sums over pairs and against the compiled program."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skfm import FFMClassifier, FFMRegressor
from skfm.layers import native
from skfm.layers.pairwise import field_pairs
from skfm.native import Touching as Index
from skfm.native import touching
from skfm.optim.rows import Touched, Touching, read_rows, update_rows, update_rows_natively
from skfm.optim.solvers import NAMED, Split, Step

pytestmark = pytest.mark.skipif(not native.available(), reason="native code is not built here")


class Shape(NamedTuple):
    """Of rows of the batch and of the table; gradients are kept by up to 8 chunks of 32 rows or more."""

    n_rows: int = 70
    n_slots: int = 7
    n_table: int = 60
    n_outputs: int = 1
    n_fields: int = 4
    n_factors: int = 4

    @property
    def vectors(self):
        return self.n_outputs, self.n_fields, self.n_factors

    @property
    def width(self):
        return self.n_outputs + int(np.prod(self.vectors))


def index_of(ids, n_table):
    """The index of a batch whose weights are 1; the last row of the table is the dummy one."""
    room, scratch = min(ids.size, n_table), np.empty(n_table, np.int32)
    sizes = {"touched": room, "position": ids.shape, "share": room, "starts": room + 1, "order": ids.size}
    types = {"share": np.float64}
    out = Index(**{name: np.zeros(size, types.get(name, np.int32)) for name, size in sizes.items()})
    n = touching(ids, np.ones(ids.shape[0]), n_table - 1, scratch, out)
    return out._replace(touched=out.touched[:n], starts=out.starts[: n + 1])


class Problem:
    """Two batches. Without `one_hot` fields have any number of slots, and some slots none."""

    def __init__(self, shape, dtype, *, values=True, one_hot=False, seed=0):
        if one_hot:
            shape = shape._replace(n_slots=shape.n_fields)
        self.shape, rng, dummy = shape, np.random.default_rng(seed), shape.n_table - 1
        self.table = rng.standard_normal((shape.n_table, shape.width)).astype(dtype)
        self.table[dummy] = 0
        size = 2, shape.n_rows, shape.n_slots
        # Some rows of the table are touched often, others once.
        self.ids = (dummy * rng.random(size) ** 4).astype(np.int32)
        self.ids[:, 11] = dummy
        self.fields = None
        if not one_hot and shape.n_fields > 1:
            self.fields = rng.integers(-1, shape.n_fields + 1, size).astype(np.int32)
            # A column twice in a row.
            self.ids[:, :, 1], self.fields[:, :, 1] = self.ids[:, :, 0], self.fields[:, :, 0]
            self.ids[:, 4:9, 3:] = dummy
            self.fields[self.ids == dummy] = -1
        self.values = rng.standard_normal(size).astype(dtype) if values else None
        found = [index_of(ids, shape.n_table) for ids in self.ids]
        most = max(one.touched.size for one in found) + 3
        self.touched, self.starts = (
            np.stack([np.pad(one, (0, more + most - one.size), mode="edge") for one in ones])
            for ones, more in (([f.touched for f in found], 0), ([f.starts for f in found], 1))
        )
        for one, touched in zip(found, self.touched, strict=True):
            touched[one.touched.size :] = dummy
        self.position = np.stack([one.position for one in found])
        self.order = np.stack([one.order for one in found])
        self.charge = rng.random((2, most, 2)).astype(dtype) * (self.touched != dummy)[:, :, None]

    def slots(self, number):
        arrays = self.touched, self.position, self.values, self.fields
        return native.Slots(jnp.int32(number), *arrays)

    def of_rows(self, rows, number):
        """Sums and pairs of rows of the table that are touched."""
        gathered = rows[self.position[number]]
        if self.values is not None:
            gathered = gathered * self.values[number][:, :, None]
        o = self.shape.n_outputs
        factors = gathered[:, :, o:].reshape(*gathered.shape[:2], *self.shape.vectors)
        fields = None if self.fields is None else self.fields[number]
        return gathered[:, :, :o].sum(axis=1), field_pairs(factors, fields)


def tolerance(dtype):
    return {"rtol": 1e3 * np.finfo(dtype).eps, "atol": 3e2 * np.finfo(dtype).eps}


SHAPES = [
    Shape(n_factors=8),
    Shape(n_factors=20),
    Shape(n_outputs=3, n_factors=3),
    Shape(n_fields=1),
    Shape(n_rows=12, n_slots=2, n_fields=9),
    Shape(n_rows=300, n_table=2000),
]


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize(
    "shape", [Shape(n_factors=k) for k in (1, 2, 3, 4, 5, 7, 10, 16, 17, 33)] + SHAPES, ids=str
)
def test_sums_and_pairs(shape, values, one_hot, dtype):
    problem = Problem(shape._replace(n_rows=20), dtype, values=values, one_hot=one_hot)
    shape = problem.shape
    for number in (1, 0):
        sums, pairs = native.field_pairs(jnp.asarray(problem.table), problem.slots(number), shape.vectors)
        rows = problem.table.astype(np.float64)[problem.ids[number]]
        if values:
            rows *= problem.values[number][:, :, None]
        assert_allclose(sums, rows[:, :, : shape.n_outputs].sum(axis=1), **tolerance(dtype))
        factors = rows[:, :, shape.n_outputs :].reshape(*rows.shape[:2], *shape.vectors)
        expected = np.zeros((shape.n_rows, shape.n_outputs))
        for b in range(shape.n_rows):
            for t in range(shape.n_slots):
                for s in range(t):
                    f, g = (s, t) if problem.fields is None else problem.fields[number, b, [s, t]]
                    if shape.n_fields == 1 and problem.fields is None:
                        f = g = 0
                    if min(f, g) >= 0 and max(f, g) < shape.n_fields:
                        expected[b] += (factors[b, s, :, g] * factors[b, t, :, f]).sum(axis=-1)
        assert_allclose(
            pairs, expected, rtol=1e-4 if dtype == np.float32 else 1e-11, atol=tolerance(dtype)["atol"]
        )


SOLVERS = NAMED | {"split": Split(NAMED["ftrl"], NAMED["adagrad"], 1)}


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize(
    ("name", "shape"), [(name, Shape()) for name in SOLVERS] + [("adagrad", shape) for shape in SHAPES]
)
def test_updates_are_those_of_the_compiled_program(name, shape, one_hot, dtype):
    problem = Problem(shape, dtype, values=not one_hot, one_hot=one_hot)
    shape, rng = problem.shape, np.random.default_rng(3)
    solver = SOLVERS[name].for_step(np.asarray(0.5, dtype), np.asarray(20.0, dtype))
    lanes = tuple(rng.random((2, shape.width)).astype(dtype))
    share = np.asarray(0.7, dtype)
    expected = jnp.asarray(problem.table), solver.init(jnp.asarray(problem.table), np.asarray(0.1, dtype))
    found = jax.tree.map(jnp.copy, expected)
    for count, number in enumerate((1, 0, 1), 1):
        step = Step(jnp.asarray(0.1, dtype), jnp.int32(count))
        gradient = rng.standard_normal((2, shape.n_rows, shape.n_outputs)).astype(dtype)
        ids = jnp.asarray(problem.touched[number])
        rows = read_rows(expected[0], ids)
        of_rows = jax.vjp(lambda rows, number=number: problem.of_rows(rows, number), rows)[1](
            tuple(gradient)
        )[0]
        touched = Touched(ids, rows, of_rows, problem.charge[number] * share)
        expected = update_rows(solver, *expected, touched, lanes, step)
        batch = Touching(
            problem.slots(number),
            native.Index(problem.starts, problem.order),
            problem.charge,
            share,
            native.Gradient(*gradient, shape.n_fields),
            np.zeros((0, 2), np.int32),
            shape.width,
        )
        found = update_rows_natively(solver, *found, batch, lanes, step)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert_allclose(one, other, **tolerance(dtype))


def rows(n=700, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 9)) * (rng.random((n, 9)) < 0.6)
    X[5] = 0
    y = (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(int) + (X[:, 3] > 1) * (n_classes > 2)
    return X, y, rng.random(n)


@pytest.mark.parametrize(
    ("make", "n_classes", "options"),
    [
        (FFMClassifier, 2, {"n_factors": 3, "solver": "ftrl", "l1_linear": 1e-3}),
        (FFMClassifier, 3, {"n_factors": 4, "solver": "adam", "fields": [0, 0, 0, 1, 1, 1, 2, 2, 2]}),
        (FFMRegressor, 2, {"n_factors": 5, "solver": "sgd", "learning_rate": 0.01}),
        (FFMRegressor, 2, {"n_factors": 2, "l2_factors": 1e-2}),
    ],
)
def test_estimators_learn_the_same_without_it(make, n_classes, options, monkeypatch):
    X, y, weight = rows(n_classes=n_classes)
    weight[:20] = 0
    common = {"max_iter": 3, "batch_size": 256, "random_state": 0, "early_stopping": False}
    options = common | {"solver": "adagrad"} | options
    output = "decision_function" if make is FFMClassifier else "predict"
    found = getattr(make(**options).fit(X, y, sample_weight=weight), output)(X)
    monkeypatch.setattr(native, "available", lambda: False)
    without = make(**options).fit(X, y, sample_weight=weight)
    assert_allclose(getattr(without, output)(X), found, rtol=1e-3, atol=1e-4)
