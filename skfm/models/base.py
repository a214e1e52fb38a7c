"""What a model is: tables of rows, dense weights and a forward pass.

A model never sees a table. `Model.forward` gets the rows of the features that a batch touches, so a
gradient with respect to a table is a gradient with respect to gathered rows, and no array of a
table's size is ever made in a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skfm.layers.pairwise import field_pairs, pairwise_products, sum_slots

Array = Any
Dense = dict[str, dict[str, Array]]
# Tables and dense weights.
Folded = tuple[dict[str, np.ndarray], Dense]


class Weights(NamedTuple):
    """All that a model is made of: tables by name, dense weights and running averages."""

    tables: dict[str, np.ndarray]
    dense: Dense
    averages: dict[str, np.ndarray]


class Table(NamedTuple):
    """A parameter with one row a feature.

    Attributes
    ----------
    shape : shape of one row
    penalty : "linear" (l1_linear, l2_linear) or "factors" (l2_factors)
    init : standard deviation of a row's first values: "zero", "scale" (`init_scale`), or a number
    """

    shape: tuple[int, ...]
    penalty: str
    init: str | float

    @property
    def width(self) -> int:
        """Numbers in one row."""
        return math.prod(self.shape)

    @property
    def n_vectors(self) -> int:
        """Vectors of factors in one row."""
        return math.prod(self.shape[:-1]) if self.penalty == "factors" else 0


class Batch(NamedTuple):
    """Rows of one width.

    Attributes
    ----------
    slot_fields : (B, S) field of each slot, -1 for unused ones, or None when slot s is field s (or all are
        one field)
    weight : (B,) sample weights, 0 for rows that only fill the batch up; None at prediction
    """

    slot_fields: Array | None
    weight: Array | None


class Training(NamedTuple):
    """What a forward pass knows in training only: a random key and the dropout rate."""

    key: Array
    dropout: Array


class Hints(NamedTuple):
    """Facts that a model states about itself, for training to interpret.

    Attributes
    ----------
    pools : `forward` takes nothing from its slots but sums and interactions
    of_sums : how outputs come of sums over slots and over pairs of slots: by "arithmetic", of NumPy's arrays
        as of JAX's, or by "JAX"; "" where they take more from their slots
    pairs_fields : `forward` takes nothing from its slots but pairs of fields of the last of two tables, and
        sums of the first
    slow_first_steps : dense weights must not fit noise at once, and gain, by measurement, from first steps
        that are small. Other models (DIN, DeepFM) then miss what is hard to find
    numbers_per_row, numbers_per_slot : numbers that `forward` makes of a row, and of each of its slots; 0
        where they are about as many as the slots hold
    starts_still : the raw prediction has no term that is linear in the factors, nor a network that makes one:
        near 0 these have next to no gradient, and training stands still until they have grown
    own_units : fields whose columns are trained in their own units, not at root mean square 1
    without_linear : parameters that would give the model the linear terms that it lacks. Its columns are not
        trained less their means: products with a column far from 0 are its linear weights. "" elsewhere
    width_of : of what a row of the tables has many
    """

    pools: bool = True
    of_sums: str = ""
    pairs_fields: bool = False
    slow_first_steps: bool = False
    numbers_per_row: int = 0
    numbers_per_slot: int = 0
    starts_still: bool = False
    own_units: tuple[int, ...] = ()
    without_linear: str = ""
    width_of: str = "factors"


def fold_linear(linear: np.ndarray, intercept: np.ndarray, pairs, center: np.ndarray):
    """Linear weights and intercept of a model of second order for x, from those for ``x - center``.

    ``sum_{i<j} c_ij (x_i - m_i) (x_j - m_j)`` has the linear weights ``-sum_{i != j} c_ij m_i`` and the
    constant ``1/2 sum_j m_j sum_{i != j} c_ij m_i``.

    Parameters
    ----------
    linear : (n_columns, *outputs)
    intercept : (*outputs)
    pairs : (n_columns, *outputs) ``sum_{i != j} c_ij m_i`` for each column j, or 0
    center : (n_columns,) the m_j
    """
    intercept = intercept - np.tensordot(center, linear - 0.5 * pairs, axes=1)
    return linear - pairs, intercept


def fold_terms(tables: dict[str, np.ndarray], dense: Dense, pairs, center: np.ndarray) -> Folded:
    """The same of the table "linear" and the intercept of a model."""
    offsets = dense["offsets"]
    linear, intercept = fold_linear(tables["linear"], offsets["intercept"], pairs, center)
    return tables | {"linear": linear}, dense | {"offsets": offsets | {"intercept": intercept}}


def pairs_with(factors: np.ndarray, center: np.ndarray) -> np.ndarray:
    """``sum_{i != j} m_i <v_i, v_j>`` for each column j; factors (n_columns, *shape, k)."""
    total = np.tensordot(center, factors, axes=1)
    own = center.reshape(-1, *[1] * (factors.ndim - 1)) * factors
    return ((total - own) * factors).sum(axis=-1)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A frozen, hashable configuration with the functions of one model.

    Attributes
    ----------
    n_outputs : raw predictions a sample
    n_fields : fields whose embeddings the model tells apart
    fit_intercept : whether the raw prediction has an intercept
    """

    n_outputs: int = 1
    fit_intercept: bool = True
    n_fields: int = 1

    def tables(self) -> dict[str, Table]:
        """Tables by name, in the order in which they are stored side by side."""
        raise NotImplementedError

    def init(self, rng: np.random.Generator, base_score: np.ndarray) -> Dense:
        """First dense weights: ``{"weights": ..., "offsets": ...}``; only weights are penalised."""
        offsets = {"intercept": np.asarray(base_score, dtype=np.float64)} if self.fit_intercept else {}
        return {"weights": {}, "offsets": offsets}

    def intercept(self, dense: Dense) -> Array:
        """The intercept, or 0 for a model without one."""
        return dense["offsets"].get("intercept", 0.0)

    def init_averages(self) -> dict[str, np.ndarray]:
        """Running averages that are no parameters (batch normalisation)."""
        return {}

    def forward(
        self, slots: Slots, dense: Dense, averages, batch: Batch, training: Training | None
    ) -> tuple[Array, Any]:
        """Raw predictions (B, n_outputs) and updated averages.

        Parameters
        ----------
        slots : table rows gathered for each slot
        dense : dense weights
        averages : running averages
        batch : fields of the slots and sample weights
        training : None at prediction
        """
        raise NotImplementedError

    def raw_prediction(self, slots: Slots, dense: Dense, averages, batch: Batch) -> Array:
        """Raw predictions (B, n_outputs) outside training.

        A method with these arguments is an output of the model, (B, ...): what it can tell of the rows of a
        batch. `skfm.train.predict` maps outputs over matrices.
        """
        return self.forward(slots, dense, averages, batch, None)[0]

    def attributes(self, dense: Dense, averages: dict[str, np.ndarray]) -> dict[str, Any]:
        """What prediction needs beside tables and intercepts, by the names of fitted attributes.

        Parameters
        ----------
        dense, averages : float64
        """
        return {}

    def shifted(
        self, tables: dict[str, np.ndarray], dense: Dense, center: np.ndarray, fields: np.ndarray
    ) -> Folded | None:
        """Tables and dense weights of the same function of x, from those of the function of ``x - center``.

        None where the model has no terms that could take the difference, and only a center of zeros will do.

        Parameters
        ----------
        tables : (n_columns, *shape) by name, float64
        center : (n_columns,)
        fields : (n_columns,) field of each column, as the model tells them apart
        """
        return None

    def takes_shift(self, shares_rows: bool) -> bool:
        """Whether `recentred` makes weights of the same function, for a model with an intercept.

        Parameters
        ----------
        shares_rows : whether some columns of different fields use the same row of the tables
        """
        return False

    def recentred(self, weights: Weights, shift: np.ndarray, fields: np.ndarray) -> Weights:
        """Weights of the same function of x, from those of the function of ``x - shift``, to train on.

        Unlike `shifted` networks can do so: their first layers take a shift of the embeddings.

        Parameters
        ----------
        weights : tables (n_columns, *shape); all float64
        shift : (n_columns,)
        fields : (n_columns,) field of each column, as the model tells them apart
        """
        folded = self.shifted(weights.tables, weights.dense, shift, fields)
        return weights if folded is None else Weights(*folded, weights.averages)

    def normalized(self) -> Model:
        """The same with batch normalisation of all hidden layers; itself where it has none."""
        return self

    @property
    def hints(self) -> Hints:
        """What training may make use of."""
        return Hints()

    @property
    def width(self) -> int:
        """Numbers in one row of all tables side by side."""
        return sum(table.width for table in self.tables().values())

    def split(self, rows: Array) -> dict[str, Array]:
        """Views of stored rows (..., width) by table name."""
        views, start = {}, 0
        for name, table in self.tables().items():
            views[name] = rows[..., start : start + table.width].reshape(*rows.shape[:-1], *table.shape)
            start += table.width
        return views

    def vectors(self) -> np.ndarray:
        """Where each vector of factors starts and ends in a stored row, int32 (V, 2)."""
        spans, start = [], 0
        for table in self.tables().values():
            for number in range(table.n_vectors):
                first = start + number * table.shape[-1]
                spans.append((first, first + table.shape[-1]))
            start += table.width
        return np.array(spans, np.int32).reshape(-1, 2)

    def per_lane(self, value_of) -> np.ndarray:
        """One number for each number of a stored row: ``value_of(table)`` for each table."""
        return np.concatenate([np.full(table.width, value_of(table)) for table in self.tables().values()])


class Slots:
    """Table rows gathered for the slots of a batch, each times the value of its slot.

    ``slots[name]`` has shape (B, S, *shape); unused slots are zero. `sums` and `pairs` reduce the rows of all
    tables at once, before they are split, and so in one pass over them.

    Parameters
    ----------
    model : `Model`
    rows : (B, S, W) stored rows
    values : (B, S), or None when every value is 1
    """

    def __init__(self, model: Model, rows: Array, values: Array | None):
        self._model = model
        self._gathered, self.values = rows, values
        self._rows = rows if values is None else rows * values[:, :, None]

    def rows(self, name: str) -> Array:
        """Rows that the values do not multiply, (B, S, *shape)."""
        return self._model.split(self._gathered)[name]

    def __getitem__(self, name: str) -> Array:
        return self._model.split(self._rows)[name]

    @cached_property
    def sums(self) -> dict[str, Array]:
        """Sum over the slots, name -> (B, *shape): the linear term."""
        return self._model.split(self._rows.sum(axis=1))

    def sum(self, name: str) -> Array:
        """The same of one table, where others are large."""
        return self[name].sum(axis=1)

    @cached_property
    def pairs(self) -> dict[str, Array]:
        """Sum over pairs of slots of the products of their rows, name -> (B, *shape)."""
        return self._model.split(pairwise_products(self._rows))

    def interactions(self, name: str) -> Array:
        """Second-order term of a table of factors, (B, *shape[:-1])."""
        return self.pairs[name].sum(axis=-1)

    def field_pairs(self, name: str, fields: Array | None) -> Array:
        """Second-order term of a table of vectors for fields (n_outputs, F, k): (B, n_outputs)."""
        return field_pairs(self[name], fields)


class PairedSlots(Slots):
    """Slots of which sums and pairs of fields alone are known, for training models that pair fields.

    Parameters
    ----------
    sums : (B, n) sums of the first table
    pairs : (B, n_outputs)
    """

    def __init__(self, sums: Array, pairs: Array):
        self._sums, self._pairs = sums, pairs

    def sum(self, name: str) -> Array:
        """Sums of the first table."""
        return self._sums

    def field_pairs(self, name: str, fields: Array | None) -> Array:
        """Second-order term of the last table."""
        return self._pairs


class PooledSlots(Slots):
    """Slots of which sums alone are known, for training models that pool.

    The second-order term ``1/2 sum_f [(sum_s x_s v_sf)^2 - sum_s x_s^2 v_sf^2]`` takes sums of rows, and of
    the squared norms of their vectors of factors.

    Parameters
    ----------
    model : `Model`
    sums : (B, W) sums of stored rows
    norms : (B, V) sums of the squared norms of `Model.vectors`
    """

    def __init__(self, model: Model, sums: Array, norms: Array):
        self._model, self._sums, self._norms = model, sums, norms

    @classmethod
    def of_rows(cls, model: Model, rows: Array, positions: Array, values: Array | None) -> PooledSlots:
        """The sums over slots of rows.

        Parameters
        ----------
        rows : (R, W) stored rows
        positions : (B, S) position in `rows` of each slot's row
        values : (B, S), or None when every value is 1
        """
        lanes = np.arange(model.width)[:, None]
        first, last = model.vectors().T
        # A product with 0 and 1 adds up the numbers of each vector: slices of the rows would be copied.
        members = ((lanes >= first) & (lanes < last)).astype(rows.dtype)
        norms = jnp.dot(jnp.square(rows), members, precision=jax.lax.Precision.HIGHEST)
        squares = None if values is None else jnp.square(values)
        return cls(model, sum_slots(rows, positions, values), sum_slots(norms, positions, squares))

    @cached_property
    def sums(self) -> dict[str, Array]:
        """Sum over the slots, name -> (B, *shape): the linear term."""
        return self._model.split(self._sums)

    def interactions(self, name: str) -> Array:
        """Second-order term of a table of factors, (B, *shape[:-1])."""
        tables = self._model.tables()
        names = list(tables)
        first = sum(tables[before].n_vectors for before in names[: names.index(name)])
        norms = self._norms[:, first : first + tables[name].n_vectors]
        return 0.5 * (jnp.square(self.sums[name]).sum(axis=-1) - norms.reshape(-1, *tables[name].shape[:-1]))


class SummedSlots(Slots):
    """Slots of which sums and pairs alone are known, for outputs of models that take no more.

    Parameters
    ----------
    model : `Model`
    sums, pairs : (B, W) sums of stored rows, and of their products, over slots and over pairs of slots
    """

    def __init__(self, model: Model, sums: Array, pairs: Array):
        self._model, self._sums, self._pairs = model, sums, pairs

    @cached_property
    def sums(self) -> dict[str, Array]:
        """Sum over the slots, name -> (B, *shape): the linear term."""
        return self._model.split(self._sums)

    @cached_property
    def pairs(self) -> dict[str, Array]:
        """Sum over pairs of slots of the products of their rows, name -> (B, *shape)."""
        return self._model.split(self._pairs)


class DenseSlots(Slots):
    """Slots of rows in which every column has one: sums over them are matrix products.

    Parameters
    ----------
    model : `Model`
    table : (D, W) stored rows of all columns
    X : (B, D)
    """

    def __init__(self, model: Model, table: Array, X: Array):
        self._model, self._table, self._X = model, table, X

    def __getitem__(self, name: str) -> Array:
        return self._model.split(self._X[:, :, None] * self._table)[name]

    @cached_property
    def sums(self) -> dict[str, Array]:
        """Sum over the slots, name -> (B, *shape): the linear term."""
        return self._model.split(self._X @ self._table)

    @cached_property
    def pairs(self) -> dict[str, Array]:
        """Sum over pairs of slots of the products of their rows, name -> (B, *shape)."""
        total, squares = self._X @ self._table, (self._X * self._X) @ (self._table * self._table)
        return self._model.split(0.5 * (total * total - squares))
