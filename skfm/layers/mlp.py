"""A multilayer perceptron: affine map, batch norm, activation, dropout, layer by layer."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from skfm.names import BATCH_ACTIVATIONS

# Functions of `skfm.names.ACTIVATIONS`.
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
# First value of the slopes of `skfm.names.LEARNED_ACTIVATIONS`.
LEARNED = {"prelu": 0.25, "dice": 0.0}
_BATCH_NORM_MOMENTUM = 0.9
_BATCH_NORM_EPSILON = 1e-5


def glorot_uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    """First weights of an affine map, (fan_in, fan_out)."""
    limit = np.sqrt(6 / max(fan_in + fan_out, 1))
    return rng.uniform(-limit, limit, (fan_in, fan_out))


@dataclass(frozen=True, kw_only=True)
class MLP:
    """Hidden layers, and an affine map to outputs after them if there are any.

    Attributes
    ----------
    sizes : units of each hidden layer
    activation : a name of `ACTIVATIONS` or of `LEARNED`
    batch_norm, dropout : whether there is any
    name : begins the names of the weights, for models with several networks
    """

    sizes: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    batch_norm: bool = False
    dropout: bool = False
    name: str = ""

    def init(self, rng: np.random.Generator, n_inputs: int, n_outputs: int | None = None):
        """Glorot-uniform weights and zero biases, as (weights, offsets) by layer name.

        The output layer has no bias: models have an intercept.
        """
        weights, offsets = {}, {}
        sizes = n_inputs, *self.sizes, *([] if n_outputs is None else [n_outputs])
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            weights[f"{self.name}layer_{layer}"] = glorot_uniform(rng, fan_in, fan_out)
            if layer < len(self.sizes):
                offsets[f"{self.name}bias_{layer}"] = np.zeros(fan_out)
                if self.batch_norm:
                    offsets[f"{self.name}gain_{layer}"] = np.ones(fan_out)
                if self.activation in LEARNED:
                    offsets[f"{self.name}slope_{layer}"] = np.full(fan_out, LEARNED[self.activation])
        return weights, offsets

    def normalized(self) -> MLP:
        """The same with batch normalisation."""
        return replace(self, batch_norm=True)

    def init_averages(self) -> dict[str, np.ndarray]:
        """Running mean 0 and variance 1 of what each hidden layer normalises."""
        kinds = [""] * self.batch_norm + ["dice_"] * (self.activation in BATCH_ACTIVATIONS)
        return {
            f"{self.name}{kind}{what}_{layer}": np.full(size, start)
            for kind in kinds
            for layer, size in enumerate(self.sizes)
            for what, start in (("mean", 0.0), ("variance", 1.0))
        }

    def __call__(self, x, dense, averages, weight, training):
        """Output (B, n_outputs), or the last hidden layer, and updated averages.

        Parameters
        ----------
        x : (B, n_inputs)
        dense, averages : those of the model, with what `init` and `init_averages` gave
        weight : (B,) sample weights; batch norm averages over the weighted samples
        training : `skfm.models.base.Training` or None
        """
        weights, offsets, name = dense["weights"], dense["offsets"], self.name
        for layer in range(len(self.sizes)):
            x = x @ weights[f"{name}layer_{layer}"]
            if self.batch_norm:
                x, averages = normalize(x, f"{name}{{}}_{layer}", averages, weight, training)
                x = x * offsets[f"{name}gain_{layer}"]
            x, averages = self._activate(
                x + offsets[f"{name}bias_{layer}"], layer, offsets, averages, weight, training
            )
            if self.dropout and training is not None:
                number = zlib.crc32(name.encode()) + layer
                x = dropout(x, training.dropout, jax.random.fold_in(training.key, number))
        output = weights.get(f"{name}layer_{len(self.sizes)}")
        return (x if output is None else x @ output), averages

    def moved(self, dense, averages, by):
        """Dense weights and averages of the same function of x, from those of the function of ``x + by``.

        Returns
        -------
        dense, averages, and what the output lacks, (n_outputs,) or 0 : the output layer has no bias
        """
        change, name = by @ dense["weights"][f"{self.name}layer_0"], self.name
        if not self.sizes:
            return dense, averages, change
        if self.batch_norm:
            mean = f"{name}mean_0"
            return dense, averages | {mean: averages[mean] - change}, 0.0
        bias, offsets = f"{name}bias_0", dense["offsets"]
        return dense | {"offsets": offsets | {bias: offsets[bias] + change}}, averages, 0.0

    def attributes(self, dense, averages) -> dict[str, list[np.ndarray]]:
        """What prediction needs, with batch norm in the affine maps; see `Model.attributes`."""
        weights, offsets, name = dense["weights"], dense["offsets"], self.name
        hidden, has_output = range(len(self.sizes)), f"{name}layer_{len(self.sizes)}" in weights
        coefs = [weights[f"{name}layer_{layer}"] for layer in range(len(self.sizes) + has_output)]
        intercepts = [offsets[f"{name}bias_{layer}"] for layer in hidden]
        if self.batch_norm:
            for layer in hidden:
                mean, scale = moments(f"{name}{{}}_{layer}", averages)
                gain = offsets[f"{name}gain_{layer}"] / scale
                coefs[layer] = coefs[layer] * gain
                intercepts[layer] = intercepts[layer] - mean * gain
        if has_output:
            intercepts.append(np.zeros(coefs[-1].shape[1]))
        found = {"coefs_": coefs, "intercepts_": intercepts}
        if self.activation in LEARNED:
            found["slopes_"] = [offsets[f"{name}slope_{layer}"] for layer in hidden]
        if self.activation in BATCH_ACTIVATIONS:
            of_layers = [moments(f"{name}dice_{{}}_{layer}", averages) for layer in hidden]
            found["dice_means_"] = [mean for mean, _ in of_layers]
            found["dice_scales_"] = [scale for _, scale in of_layers]
        return found

    def _activate(self, x, layer, offsets, averages, weight, training):
        """What a layer's activation makes of x, and updated averages."""
        if self.activation not in LEARNED:
            return ACTIVATIONS[self.activation](x), averages
        slope = offsets[f"{self.name}slope_{layer}"]
        if self.activation == "prelu":
            return jnp.where(x > 0, x, slope * x), averages
        # Dice (Zhou 2018): a unit is on where it is above its mean, with a soft edge of its deviation.
        normalized, averages = normalize(x, f"{self.name}dice_{{}}_{layer}", averages, weight, training)
        on = jax.nn.sigmoid(normalized)
        return x * (on + (1 - on) * slope), averages


def dropout(x, rate, key):
    """Zero each number with probability `rate` and scale up the others, so that the mean stays.

    JAX's generators cost more than a layer's matrix products on a CPU. Here each number's position, shifted
    by the key, goes through an integer hash of low bias (Wellons 2018), which is enough for a mask.
    """
    seed, shift = jax.random.bits(key, (2,), jnp.uint32)
    position = jax.lax.broadcasted_iota(jnp.uint32, x.shape, 0) * jnp.uint32(x.shape[-1])
    bits = position + jax.lax.broadcasted_iota(jnp.uint32, x.shape, x.ndim - 1) + shift
    for factor in (0x21F0AAAD, 0xD35A2D97):
        bits = (bits ^ seed ^ (bits >> 16)) * jnp.uint32(factor)
        bits = bits ^ (bits >> 15)
    keep = 1 - rate
    kept = bits < (keep * 2.0**32).astype(jnp.uint32)
    return jnp.where(kept, x / keep, 0)


def of_mapped_inputs(network: dict[str, list], gain, bias) -> dict[str, list]:
    """Attributes of a network on x, from those of the network on ``gain * x + bias``."""
    (coef, *coefs), (intercept, *intercepts) = network["coefs_"], network["intercepts_"]
    first = {"coefs_": [gain[:, None] * coef, *coefs], "intercepts_": [intercept + bias @ coef, *intercepts]}
    return network | first


def moments(name: str, averages) -> tuple[np.ndarray, np.ndarray]:
    """Mean that `normalize` takes off at prediction, and deviation that it divides by."""
    variance = averages[name.format("variance")]
    return averages[name.format("mean")], np.sqrt(variance + _BATCH_NORM_EPSILON)


def normalize(x, name: str, averages, weight, training):
    """Batch norm without gain and bias: x at mean 0 and variance 1, and updated averages.

    Parameters
    ----------
    x : (B, n)
    name : format of the names of the running averages, `mean` and `variance`
    """
    mean_name, variance_name = name.format("mean"), name.format("variance")
    if training is None:
        mean, variance = averages[mean_name], averages[variance_name]
    else:
        # (Activation units may have nothing to look at in a batch.)
        total = weight.sum()
        share = weight / jnp.where(total > 0, total, 1)
        mean = share @ x
        variance = share @ jnp.square(x - mean)
        averages = dict(averages)
        for key, value in ((mean_name, mean), (variance_name, variance)):
            old = averages[key]
            averages[key] = old + jnp.where(total > 0, 1 - _BATCH_NORM_MOMENTUM, 0) * (value - old)
    return (x - mean) * jax.lax.rsqrt(variance + _BATCH_NORM_EPSILON), averages
