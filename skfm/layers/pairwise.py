"""Sums over slots, products of slots and pooling of slots into fields."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

# Rows from which gradients are added slot by slot: their batch of sums stays in the cache, where one of all
# slots would not.
_MANY_ROWS = 256


@jax.custom_vjp
def sum_slots(rows, positions, values):
    """``sum_s values[b, s] rows[positions[b, s]]``, with a gradient that makes no array of all slots.

    Parameters
    ----------
    rows : (R, W)
    positions : (B, S) int
    values : (B, S), or None when every value is 1; no gradient flows to them

    Returns
    -------
    (B, W)
    """
    gathered = jax.lax.optimization_barrier(rows.at[positions].get(mode="promise_in_bounds"))
    return (gathered if values is None else gathered * values[:, :, None]).sum(axis=1)


def _sum_slots_forward(rows, positions, values):
    return sum_slots(rows, positions, values), (rows, positions, values)


def _sum_slots_backward(given, gradient):
    rows, positions, values = given
    zeros = jnp.zeros_like(rows)
    if positions.shape[0] < _MANY_ROWS:
        to_rows = gradient[:, None, :] if values is None else gradient[:, None, :] * values[:, :, None]
        to_rows = jnp.broadcast_to(to_rows, (*positions.shape, rows.shape[1]))
        return zeros.at[positions].add(to_rows, mode="promise_in_bounds"), None, None
    by_slot, values = positions.T, None if values is None else values.T

    def add(slot, total):
        to_rows = gradient if values is None else gradient * values[slot][:, None]
        return total.at[by_slot[slot]].add(to_rows, mode="promise_in_bounds")

    return jax.lax.fori_loop(0, positions.shape[1], add, zeros), None, None


sum_slots.defvjp(_sum_slots_forward, _sum_slots_backward)


def pairwise_products(embeddings):
    """``1/2 [(sum_s e_s)^2 - sum_s e_s^2]``: sum over pairs of slots of ``e_s * e_t``.

    Parameters
    ----------
    embeddings : (B, S, ...)

    Returns
    -------
    (B, ...)
    """
    total = embeddings.sum(axis=1)
    return 0.5 * (jnp.square(total) - jnp.square(embeddings).sum(axis=1))


def anova(embeddings, degree: int):
    """Sum over the sets of `degree` slots of the products of their embeddings (Blondel 2016).

    Slot by slot: a set has the new slot or has it not, ``a_t <- a_t + e_s * a_{t-1}``.

    Parameters
    ----------
    embeddings : (B, S, ...)

    Returns
    -------
    (B, ...)
    """
    shape = embeddings.shape[:1] + embeddings.shape[2:]
    start = jnp.zeros((degree + 1, *shape), embeddings.dtype).at[0].set(1)

    def add(sums, slot):
        return sums.at[1:].add(slot * sums[:-1]), None

    return jax.lax.scan(add, start, jnp.moveaxis(embeddings, 1, 0))[0][degree]


def upper_pairs(combine, first, second):
    """``combine(first[:, f], second[:, g])`` for each pair f < g, in the order (0, 1), (0, 2), ..

    Slices, and not a gather, whose gradient XLA's CPU would add number by number.

    Parameters
    ----------
    combine : function of arrays (B, 1, ...) and (B, n, ...) to one (B, n, ...)
    first, second : (B, F, ...), F >= 1

    Returns
    -------
    (B, F (F - 1) / 2, ...)
    """
    pairs = [combine(first[:, f : f + 1], second[:, f + 1 :]) for f in range(first.shape[1])]
    return jnp.concatenate(pairs, axis=1)


def circle_pairs(n_fields: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second field of each pair in the order of `circle_products`."""
    steps = [np.arange(n_fields)] * ((n_fields - 1) // 2)
    if n_fields % 2 == 0:
        steps.append(np.arange(n_fields // 2))
    first = np.concatenate([np.zeros(0, int), *steps])
    step = np.repeat(np.arange(1, len(steps) + 1), [len(fields) for fields in steps])
    return first, (first + step) % n_fields


def circle_products(embeddings):
    """Product of each pair of fields, each with the next, then with the one after it, .. around a circle.

    Half as many slices as `upper_pairs` takes, all of one size, so that the gradient is one short loop.

    Parameters
    ----------
    embeddings : (B, F, ...)

    Returns
    -------
    (B, F (F - 1) / 2, ...)
    """
    n_fields = embeddings.shape[1]
    half = n_fields // 2
    products = [_whole_circles(embeddings) if n_fields > 2 else embeddings[:, :0]]
    if n_fields % 2 == 0:
        products.append(embeddings[:, :half] * embeddings[:, half:])
    return jnp.concatenate(products, axis=1)


@jax.custom_vjp
def _whole_circles(embeddings):
    """Products of each field with the one 1, 2, .. steps after it, while no pair comes twice."""
    n_fields = embeddings.shape[1]
    twice = jnp.concatenate([embeddings, embeddings], axis=1)
    steps = range(1, (n_fields + 1) // 2)
    return jnp.concatenate([embeddings * twice[:, step : step + n_fields] for step in steps], axis=1)


def _whole_circles_forward(embeddings):
    return _whole_circles(embeddings), embeddings


def _whole_circles_backward(embeddings, gradient):
    # JAX's own gradient, slice by slice, takes longer to compile and to run.
    n_fields = embeddings.shape[1]
    twice = jnp.concatenate([embeddings, embeddings], axis=1)
    take, put = jax.lax.dynamic_slice_in_dim, jax.lax.dynamic_update_slice_in_dim

    def add(step, totals):
        first, second = totals
        of_step = take(gradient, (step - 1) * n_fields, n_fields, axis=1)
        first += of_step * take(twice, step, n_fields, axis=1)
        return first, put(second, take(second, step, n_fields, axis=1) + of_step * embeddings, step, axis=1)

    start = jnp.zeros_like(embeddings), jnp.zeros_like(twice)
    first, second = jax.lax.fori_loop(1, (n_fields + 1) // 2, add, start)
    return (first + second[:, :n_fields] + second[:, n_fields:],)


_whole_circles.defvjp(_whole_circles_forward, _whole_circles_backward)


def pool_fields(embeddings, slot_fields, n_fields: int):
    """Embedding of each field: the sum over its slots.

    Parameters
    ----------
    embeddings : (B, S, k)
    slot_fields : (B, S) or None when slot s is field s (or all are one field)
    n_fields : number of fields F

    Returns
    -------
    (B, F, k)
    """
    if n_fields == 1:
        return embeddings.sum(axis=1, keepdims=True)
    if slot_fields is None:
        return embeddings
    membership = jax.nn.one_hot(slot_fields, n_fields, dtype=embeddings.dtype)
    return jnp.einsum("bsf,bsk->bfk", membership, embeddings)


def field_pairs(factors, slot_fields):
    """``sum_{s<t} <v_{s, f_t}, v_{t, f_s}>``: pairs of slots, of which each has a vector for each field.

    Parameters
    ----------
    factors : (B, S, n_outputs, F, k)
    slot_fields : (B, S) or None when slot s is field s (or all are one field)

    Returns
    -------
    (B, n_outputs)
    """
    n_fields = factors.shape[3]
    if n_fields == 1:
        fields, same_field = factors.sum(axis=1, keepdims=True), factors[:, :, :, 0]
    elif slot_fields is None:
        # Every slot is a field: products of a field with itself are left out.
        same = jnp.eye(n_fields, dtype=bool)[:, None, :, None]
        products = jnp.where(same, 0, factors * factors.transpose(0, 3, 2, 1, 4))
        return 0.5 * products.sum(axis=(1, 3, 4))
    else:
        membership = jax.nn.one_hot(slot_fields, n_fields, dtype=factors.dtype)
        fields = jnp.einsum("bsf,bsogk->bfogk", membership, factors)
        same_field = jnp.einsum("bsf,bsofk->bsok", membership, factors)
    # A slot with itself is no pair.
    total = (fields * fields.transpose(0, 3, 2, 1, 4)).sum(axis=(1, 3, 4))
    return 0.5 * (total - jnp.square(same_field).sum(axis=(1, 3)))
