"""Small random problems that several test files share."""

from functools import partial

import jax
import numpy as np
from scipy import sparse

from skfm.data.pack import pack_rows
from skfm.data.validate import canonical_csr
from skfm.models.base import Batch, Slots

# Three fields of four columns.
FIELDS = np.repeat(np.arange(3, dtype=np.int32), 4)


def sparse_rows(rng, n=7, d=FIELDS.size, density=0.4, ones=False, several=True):
    """A dense matrix of mostly zeros whose second row is empty.

    Parameters
    ----------
    ones : whether every nonzero is 1
    several : whether a row may have several nonzeros in one of the `FIELDS`
    """
    X = np.where(rng.random((n, d)) < density, 1.0, 0.0)
    if not several:
        X[:] = 0
        for field in np.unique(FIELDS):
            choice = rng.choice(np.flatnonzero(field == FIELDS), size=n)
            X[np.arange(n), choice] = rng.random(n) < 0.8
    if not ones:
        X *= rng.choice([-2.0, -0.5, 0.7, 1.5, 3.0], size=X.shape)
    X[1] = 0
    return X


def random_tables(model, n_columns, rng, scale=0.5):
    """Random tables by name, (n_columns, *shape) each."""
    return {
        name: scale * rng.standard_normal((n_columns, *table.shape)) for name, table in model.tables().items()
    }


def random_dense(model, rng, scale=0.5):
    """Random dense weights, offsets included (gains around 1), and running averages."""
    dense = model.init(np.random.default_rng(0), np.zeros(model.n_outputs))
    dense = jax.tree.map(lambda leaf: leaf + scale * rng.standard_normal(leaf.shape), dense)
    averages = {
        name: scale * rng.standard_normal(leaf.shape)
        if name.startswith("mean")
        else 0.5 + rng.random(leaf.shape)
        for name, leaf in model.init_averages().items()
    }
    return dense, averages


def stored(model, tables, n_rows):
    """Tables side by side as they are stored, (n_rows, width), zero beyond the columns."""
    columns = [tables[name].reshape(tables[name].shape[0], -1) for name in model.tables()]
    table = np.zeros((n_rows, model.width))
    table[: columns[0].shape[0]] = np.concatenate(columns, axis=1)
    return table


def pack(X, fields, dtype=np.float64):
    """Packed rows of a dense or sparse matrix and the dummy row's id."""
    dummy = X.shape[1] + 3
    return pack_rows(canonical_csr(sparse.csr_array(X)), dummy=dummy, dtype=dtype, fields=fields), dummy


def batch_of(block, weight):
    """The model's view of a packed block; `weight` is that of the matrix's rows."""
    padded = np.zeros(block.ids.shape[0])
    padded[: block.rows.size] = weight[block.rows]
    return Batch(block.slot_fields, padded)


@partial(jax.jit, static_argnames="model")
def forward(model, rows, values, dense, averages, batch, training=None):
    """Raw predictions and averages of stored rows (B, S, width) and the values of their slots."""
    return model.forward(Slots(model, rows, values), dense, averages, batch, training)


def raw_predictions(model, tables, dense, averages, X, fields):
    """Raw predictions of the model, through packing, in the order of the rows of X."""
    packed, dummy = pack(X, fields)
    table = stored(model, tables, dummy + 1)
    raw = np.full((X.shape[0], model.n_outputs), np.nan)
    for block in packed.blocks:
        batch = batch_of(block, np.ones(X.shape[0]))
        out, _ = forward(model, table[block.ids], block.values, dense, averages, batch)
        raw[block.rows] = np.asarray(out)[: block.rows.size]
    return raw
