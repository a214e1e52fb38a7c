"""Second-order terms and pooling of slots into fields."""

from __future__ import annotations

import jax
import jax.numpy as jnp


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
