"""Small training problems and the oracle of their objective."""

from dataclasses import dataclass, field
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from skfm.data.batches import Batching, Samples, compose, make_batches
from skfm.data.fields import Fields
from skfm.data.pack import pack_rows, table_rows
from skfm.data.units import Units
from skfm.layers.mlp import MLP
from skfm.losses import Logistic, Softmax, SquaredError
from skfm.models.deepfm import DeepFM
from skfm.models.fm import FM
from skfm.models.mixture import MixtureFM
from skfm.optim.penalty import charges
from skfm.train import problem as posed
from skfm.train.epochs import BatchEpochs, InMemory
from skfm.train.problem import Prior, Schedule
from skfm.train.state import Hyper, Start, device_rows, start_state
from skfm.train.step import Program
from tests import reference
from tests.cases import FIELDS, random_dense, random_tables, sparse_rows, stored
from tests.oracles import expected_raw

NAIVE_LOSS = {
    SquaredError: reference.squared_error,
    Logistic: reference.logistic,
    Softmax: reference.softmax_loss,
}


@dataclass
class Problem:
    """Data, parameters and penalties of a model, packed for training and as the oracle sees them."""

    model: object
    loss: object
    n: int = 20
    l2: dict = field(default_factory=lambda: {"linear": 0.3, "factors": 0.7})
    l1: float = 0.0
    l2_dense: float = 0.2
    power: float = 0.0
    several: bool = True
    ones: bool = False
    seed: int = 0

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.X = sparse_rows(rng, n=self.n, several=self.several, ones=self.ones)
        self.X[:, 3] = 0  # a column that no row touches
        self.weight = 0.2 + rng.random(self.n)
        self.weight /= self.weight.mean()
        n_outputs = self.model.n_outputs
        if isinstance(self.loss, Softmax):
            self.y = rng.integers(n_outputs, size=self.n).astype(float)
        elif isinstance(self.loss, Logistic):
            self.y = rng.integers(2, size=(self.n, n_outputs)).astype(float)
        else:
            self.y = rng.standard_normal((self.n, n_outputs))
        self.tables = random_tables(self.model, 12, rng)
        self.tables = {
            name: table * (np.arange(12) != 3).reshape(-1, *[1] * (table.ndim - 1))
            for name, table in self.tables.items()
        }
        self.dense, self.averages = random_dense(self.model, rng)

    # -- as training sees it

    @property
    def n_rows(self):
        return table_rows(12)

    @property
    def fields(self):
        return Fields(FIELDS, 3) if self.model.n_fields > 1 else None

    @cached_property
    def packed(self):
        return pack_rows(
            sparse.csr_array(self.X), dummy=self.n_rows - 1, dtype=np.float64, fields=self.fields
        )

    @property
    def sizes(self):
        return [block.rows.size for block in self.packed.blocks]

    def blocks(self):
        """Rows on the device; weights sum to 1."""
        weight = self.weight / self.weight.sum()
        return [device_rows(block, self.y, weight, np.float64) for block in self.packed.blocks]

    def batches(self, batch_size):
        """Batches of the rows of each width on the device."""
        charge = charges(reference.frequency(self.X, self.weight), self.power, None)
        charge = np.concatenate([charge, np.zeros((self.n_rows - 12, charge.shape[1]))])
        rng = np.random.default_rng(0)
        samples = Samples(self.X, self.y, self.weight)
        batching = Batching(charge, Units(), self.fields, batch_size, np.float64, 0)
        orders = [compose(size, batch_size, rng) for size in self.sizes]
        return [
            jax.tree.map(jnp.asarray, make_batches(block, order, samples, batching))
            for block, order in zip(self.packed.blocks, orders, strict=True)
        ]

    def full_charges(self):
        """f_j^nu for each row of the table, 0 for rows that are no touched column."""
        shares = reference.frequency(self.X, self.weight)
        shares = np.concatenate([shares, np.zeros(self.n_rows - 12)])
        return np.where(shares > 0, np.maximum(shares, 1e-300) ** self.power, 0)[:, None]

    def hyper(self, dropout=0.0):
        lanes = [
            self.model.per_lane(lambda table: self.l1 if table.penalty == "linear" else 0.0),
            self.model.per_lane(lambda table: self.l2[table.penalty]),
        ]
        return Hyper(
            tuple(map(jnp.asarray, lanes)),
            jnp.asarray(self.l2_dense),
            jnp.asarray(dropout),
            jax.random.key(0),
        )

    def start(self, solver, rate=0.1):
        table = jnp.asarray(stored(self.model, self.tables, self.n_rows))
        dense, averages = jax.tree.map(jnp.array, (self.dense, self.averages))
        return start_state(solver, Start(table, dense, averages, rate, float(self.n)))

    def epochs(self, solver, dropout=0.0, **settings):
        """Epochs of mini-batches, not started."""
        schedule = make_schedule(**settings)
        return BatchEpochs(
            self.program(solver),
            lambda: self.start(solver, schedule.learning_rate),
            InMemory(self.batches(schedule.batch_size), self.sizes, schedule.batch_size),
            self.hyper(dropout),
            schedule,
            seed=0,
        )

    def run_epoch(self, solver, dropout=0.0, **settings):
        """State after the first epoch."""
        epochs = self.epochs(solver, dropout, **settings)
        epochs.start()
        epochs.run(0, 1.0, [])
        return epochs.state

    def program(self, solver):
        return Program(self.model, self.loss, solver)

    # -- as the oracle sees it

    def raw(self):
        return expected_raw(self.model, self.tables, self.dense, self.averages, self.X)

    def data_term(self):
        return reference.data_term(NAIVE_LOSS[type(self.loss)], self.y, self.raw(), self.weight)

    def objective(self):
        strengths = {name: self.l2[table.penalty] for name, table in self.model.tables().items()}
        paid = reference.penalty(
            self.X, self.weight, self.tables, strengths, self.power, self.dense, self.l2_dense
        )
        return self.data_term() + paid

    def gradient(self):
        """Finite differences of the oracle's objective: the stored table's and the dense weights'."""
        of_tables = {
            name: reference.finite_differences(self.objective, table) for name, table in self.tables.items()
        }
        of_dense = {
            role: {name: reference.finite_differences(self.objective, leaf) for name, leaf in leaves.items()}
            for role, leaves in self.dense.items()
        }
        return stored(self.model, of_tables, self.n_rows), of_dense


MODELS = {
    "fm": (FM(n_factors=2), Logistic()),
    "deepfm": (
        DeepFM(n_outputs=2, n_fields=3, n_factors=2, network=MLP(sizes=(3,), activation="tanh")),
        SquaredError(),
    ),
    "mixture": (MixtureFM(n_outputs=3, n_components=2, n_factors=1, link="softmax"), Softmax(3)),
}


def make_schedule(**changes):
    values = {
        "learning_rate": 0.1,
        "shape": "constant",
        "max_iter": 3,
        "batch_size": 4,
        "tol": 1e-4,
        "n_iter_no_change": 2,
        "stops_early": False,
    }
    values |= changes
    return Schedule(**{"horizon": values["max_iter"]} | values)


def pose(model, loss, samples, fields=None, *, l2=0.1, power=0.0, dtype=np.float64, more=None, **schedule):
    """The problem of learning from samples; `more` are other attributes of it."""
    prior = Prior(0.0, l2, l2, 0.0, power, init_scale=0.1)
    problem = posed.Problem(
        model=model,
        loss=loss,
        train=samples,
        held_out=None,
        fields=fields,
        priors=(prior,),
        dropout=0.0,
        schedule=make_schedule(**schedule),
        dtype=np.dtype(dtype),
        seed=0,
    )
    return problem._replace(**more or {})


def in_units_of_x(parameters):
    """The parameters of the same function of rows that are not in standard units."""
    units, table = parameters.units, parameters.table.astype(np.float64)
    assert units.center is None
    if units.scale is not None:
        table[: units.scale.size] /= units.scale[:, None]
    return posed.Parameters(table, parameters.dense, parameters.averages)
