"""Native code on rows of tables, called from compiled programs.

Arrays of all batches are given whole, with the number of a batch: a slice would be a copy.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skfm.native import library, loaded, to_large_pages

Array = Any
_TARGETS = "skfm_pool", "skfm_gather", "skfm_update", "skfm_field_pairs"
_NUMBERS = 8
# The code of what adds gradients up, in the place of a solver.
_SUM = 4


@cache
def _refused() -> str:
    """Why JAX does not call the library, or nothing."""
    found = library()
    try:
        for name in _TARGETS if found else ():
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(found, name)), platform="cpu")
    except jax.errors.JaxRuntimeError as error:  # of an interface that is not compatible
        return f"refused by jaxlib {version('jaxlib')}: {error}"
    return ""


def available() -> bool:
    """Whether programs of this process may call native code."""
    return library() is not None and jax.default_backend() == "cpu" and not _refused()


def describe() -> str:
    """The instruction set of native code, or why it is not used."""
    if library() is None:
        return loaded().what
    backend = jax.default_backend()
    return _refused() or (loaded().what if backend == "cpu" else f"not used on {backend}")


# In smaller ones a processor finds most small pages without a search.
_LEAST_LARGE = 1 << 25


def in_large_pages(tree: Any) -> None:
    """Have large arrays in pages of megabytes: FFM at 10^6 columns trains a third faster."""
    for leaf in jax.tree.leaves(tree):
        if leaf.nbytes >= _LEAST_LARGE:
            to_large_pages(leaf.unsafe_buffer_pointer(), leaf.nbytes)


class Slots(NamedTuple):
    """Slots of all batches, and which batch is meant.

    Attributes
    ----------
    number : of the batch, int32
    touched : (N, R) int32
    position : (N, B, S) int32
    values : (N, B, S), or None when every value is 1
    fields : (N, B, S) int32, or None when slot s is field s (or all are one field)
    """

    number: Array
    touched: Array
    position: Array
    values: Array
    fields: Array = None

    def values_or_none(self, dtype) -> Array:
        """An empty array stands for None."""
        return jnp.zeros((0, 0, 0), dtype) if self.values is None else self.values

    @property
    def fields_or_none(self) -> Array:
        """An empty array stands for None."""
        return jnp.zeros((0, 0, 0), jnp.int32) if self.fields is None else self.fields


class Index(NamedTuple):
    """Which slots touch each row.

    Attributes
    ----------
    starts : (N, R + 1) int32
    order : (N, B S) int32 numbers of slots, row of the batch times S plus slot
    """

    starts: Array
    order: Array


def pool(table: Array, slots: Slots, width: int, spans: np.ndarray) -> tuple[Array, Array]:
    """Sums over slots of rows (B, W), and of the squared norms of their vectors (B, V).

    Parameters
    ----------
    table : (D, W), or joined with its state
    width : W
    """
    n_rows = slots.position.shape[1]
    out = tuple(jax.ShapeDtypeStruct((n_rows, n), table.dtype) for n in (width, len(spans)))
    sums, norms = jax.ffi.ffi_call("skfm_pool", out)(
        slots.number, table, slots.touched, slots.position, slots.values_or_none(table.dtype), spans
    )
    return sums, norms


def gather(table: Array, slots: Slots) -> Array:
    """Rows of all slots (B, S, W)."""
    out = jax.ShapeDtypeStruct((*slots.position.shape[1:], table.shape[1]), table.dtype)
    return jax.ffi.ffi_call("skfm_gather", out)(slots.number, table, slots.touched, slots.position)


def field_pairs(table: Array, slots: Slots, shape: tuple[int, int, int]) -> tuple[Array, Array]:
    """Sums over slots of the first numbers of rows (B, start), and the pairs of fields (B, n_outputs).

    Parameters
    ----------
    shape : (n_outputs, n_fields, n_factors) of the vectors, the last numbers of a row
    """
    n_rows, n_outputs, n_fields = slots.position.shape[1], *shape[:2]
    start = table.shape[1] - int(np.prod(shape))
    out = tuple(jax.ShapeDtypeStruct((n_rows, n), table.dtype) for n in (start, n_outputs))
    sums, pairs = jax.ffi.ffi_call("skfm_field_pairs", out)(
        slots.number,
        table,
        slots.touched,
        slots.position,
        slots.values_or_none(table.dtype),
        slots.fields_or_none,
        n_fields=n_fields,
    )
    return sums, pairs


class Segment(NamedTuple):
    """Solver of some numbers of each row.

    Attributes
    ----------
    code : of the solver
    width : how many numbers
    numbers : rate, factor of gradients, factor of charges, then the solver's own
    """

    code: int
    width: int
    numbers: list[Array]


class Gradient(NamedTuple):
    """With respect to the sums (B, W) and the norms (B, V), or to the rows of slots (B, S, W).

    Attributes
    ----------
    n_fields : where it is that with respect to the two results of `field_pairs`, else 0
    """

    rows: Array
    norms: Array = None
    n_fields: int = 0


def update(
    tables: list[Array], slots: Slots, index: Index, charged, gradient: Gradient, segments: list[Segment]
) -> list[Array]:
    """Update the rows that a batch touches, and their states, in place.

    Parameters
    ----------
    tables : the table and the states of each segment (D, width), or one array in which they are joined
    charged : charge (N, R, 1 or 2), the pair of (W,) penalty strengths, and `spans`
    """
    charge, lanes, spans = charged
    dtype = tables[0].dtype
    norms = jnp.zeros((0, 0), dtype) if gradient.norms is None else gradient.norms
    numbers = jnp.stack(
        [
            jnp.stack(
                [jnp.asarray(n, dtype) for n in s.numbers]
                + [jnp.zeros((), dtype)] * (_NUMBERS - len(s.numbers))
            )
            for s in segments
        ]
    )
    before = (
        slots.number,
        slots.touched,
        slots.position,
        slots.values_or_none(dtype),
        slots.fields_or_none,
        *index,
        charge,
        spans,
        *lanes,
        gradient.rows,
        norms,
        numbers,
    )
    ends = np.cumsum([segment.width for segment in segments], dtype=np.int32)
    # Room for gradients of pairs of fields, in whole cache lines.
    n_kept = slots.touched.shape[1] if gradient.n_fields else 0
    kept = jax.ShapeDtypeStruct((n_kept, -(-int(ends[-1]) // 16) * 16), dtype)
    out = [kept, *(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in tables)]
    aliases = {len(before) + number: 1 + number for number in range(len(tables))}
    _, *updated = jax.ffi.ffi_call("skfm_update", out, input_output_aliases=aliases)(
        *before,
        *tables,
        solvers=np.array([segment.code for segment in segments], np.int32),
        ends=ends,
        n_fields=gradient.n_fields,
    )
    return updated


def gradient_of_table(table: Array, slots: Slots, index: Index, vectors: Array, gradient: Gradient) -> Array:
    """Gradient with respect to a table (D, W), of which `slots.touched` has all rows.

    Parameters
    ----------
    vectors : `spans`
    """
    # The last row is that of unused slots.
    charge = jnp.ones((1, table.shape[0], 1), table.dtype).at[:, -1].set(0)
    none = jnp.zeros(table.shape[1], table.dtype)
    adds = Segment(_SUM, table.shape[1], [0, 1, 0])
    tables = [table, jnp.zeros_like(table)]
    return update(tables, slots, index, (charge, (none, none), vectors), gradient, [adds])[1]
