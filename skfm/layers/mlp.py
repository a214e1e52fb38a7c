"""A multilayer perceptron: affine map, batch norm, activation, dropout, layer by layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "logistic": jax.nn.sigmoid,
    "tanh": jnp.tanh,
}
_BATCH_NORM_MOMENTUM = 0.9
_BATCH_NORM_EPSILON = 1e-5


def init_mlp(rng: np.random.Generator, n_inputs: int, hidden: tuple[int, ...], n_outputs: int, batch_norm):
    """Glorot-uniform weights and zero biases, as (weights, offsets) by layer name.

    The output layer has no bias: models have an intercept.
    """
    weights, offsets = {}, {}
    sizes = (n_inputs, *hidden)
    for layer, (fan_in, fan_out) in enumerate(zip(sizes, (*hidden, n_outputs), strict=True)):
        limit = np.sqrt(6 / (fan_in + fan_out))
        weights[f"layer_{layer}"] = rng.uniform(-limit, limit, (fan_in, fan_out))
        if layer < len(hidden):
            offsets[f"bias_{layer}"] = np.zeros(fan_out)
            if batch_norm:
                offsets[f"gain_{layer}"] = np.ones(fan_out)
    return weights, offsets


def init_mlp_averages(hidden: tuple[int, ...]):
    """Running mean 0 and variance 1 of each hidden layer."""
    return {
        f"{what}_{layer}": np.full(size, start)
        for layer, size in enumerate(hidden)
        for what, start in (("mean", 0.0), ("variance", 1.0))
    }


def mlp(x, weights, offsets, averages, n_hidden, activation, batch_norm, use_dropout, weight, training):
    """Output (B, n_outputs) and updated averages.

    Parameters
    ----------
    x : (B, n_inputs)
    weights, offsets, averages : see `init_mlp` and `init_mlp_averages`
    n_hidden : number of hidden layers
    activation : a name of `ACTIVATIONS`
    batch_norm, use_dropout : bool
    weight : (B,) sample weights; batch norm averages over the weighted samples
    training : `Training` or None
    """
    new_averages = dict(averages)
    for layer in range(n_hidden):
        x = x @ weights[f"layer_{layer}"]
        if batch_norm:
            x = _normalize(x, layer, averages, new_averages, weight, training) * offsets[f"gain_{layer}"]
        x = ACTIVATIONS[activation](x + offsets[f"bias_{layer}"])
        if use_dropout and training is not None:
            x = dropout(x, training.dropout, jax.random.fold_in(training.key, layer))
    return x @ weights[f"layer_{n_hidden}"], new_averages


def dropout(x, rate, key):
    """Zero each number with probability `rate` and scale up the others, so that the mean stays.

    JAX's generators cost more than a layer's matrix products on a CPU. Here each number's place, shifted by
    the key, goes through an integer hash of low bias (Wellons 2018), which is enough for a mask.
    """
    seed, shift = jax.random.bits(key, (2,), jnp.uint32)
    place = jax.lax.broadcasted_iota(jnp.uint32, x.shape, 0) * jnp.uint32(x.shape[-1])
    bits = place + jax.lax.broadcasted_iota(jnp.uint32, x.shape, x.ndim - 1) + shift
    for factor in (0x21F0AAAD, 0xD35A2D97):
        bits = (bits ^ seed ^ (bits >> 16)) * jnp.uint32(factor)
        bits = bits ^ (bits >> 15)
    keep = 1 - rate
    kept = bits < (keep * 2.0**32).astype(jnp.uint32)
    return jnp.where(kept, x / keep, 0)


def _normalize(x, layer, averages, new_averages, weight, training):
    if training is None:
        mean, variance = averages[f"mean_{layer}"], averages[f"variance_{layer}"]
    else:
        share = weight / weight.sum()
        mean = share @ x
        variance = share @ jnp.square(x - mean)
        for name, value in ((f"mean_{layer}", mean), (f"variance_{layer}", variance)):
            old = averages[name]
            new_averages[name] = old + (1 - _BATCH_NORM_MOMENTUM) * (value - old)
    return (x - mean) * jax.lax.rsqrt(variance + _BATCH_NORM_EPSILON)
