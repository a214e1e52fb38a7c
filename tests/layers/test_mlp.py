"""The perceptron against loops over layers; dropout as a random mask."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skfm.layers.mlp import ACTIVATIONS, MLP, dropout
from skfm.models.base import Training
from skfm.runtime import precision
from tests import reference

WEIGHT = np.array([1.0, 2.0, 0.5, 0.0, 3.0])


def random_mlp(rng, hidden, batch_norm):
    network = MLP(sizes=hidden, batch_norm=batch_norm)
    weights, offsets = network.init(rng, 4, 2)
    offsets = {name: leaf + 0.3 * rng.standard_normal(leaf.shape) for name, leaf in offsets.items()}
    averages = network.init_averages()
    averages = {name: leaf + 0.3 * rng.random(leaf.shape) for name, leaf in averages.items()}
    return weights, offsets, averages


compiled = jax.jit(MLP.__call__, static_argnums=0)


def run(x, parameters, hidden, activation, batch_norm, *, training=None, rate=None):
    with precision(np.float64):
        if rate is not None:
            training = Training(jax.random.key(0), jnp.asarray(rate))
        x, weights, offsets, averages = jax.tree.map(jnp.asarray, (x, *parameters))
        network = MLP(sizes=hidden, activation=activation, batch_norm=batch_norm, dropout=rate is not None)
        dense = {"weights": weights, "offsets": offsets}
        out, averages = compiled(network, x, dense, averages, jnp.asarray(WEIGHT), training)
        return np.asarray(out), jax.tree.map(np.asarray, averages)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    assert set(ACTIVATIONS) == set(reference.ACTIVATIONS)
    z = np.concatenate([[0.0], np.random.default_rng(0).normal(scale=3, size=20)])
    with precision(np.float64):
        values = ACTIVATIONS[activation](jnp.asarray(z))
    expected = [reference.ACTIVATIONS[activation](float(x)) for x in z]
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("hidden", [(), (3,), (3, 4)])
def test_prediction(hidden, batch_norm):
    rng = np.random.default_rng(0)
    parameters, x = random_mlp(rng, hidden, batch_norm), rng.standard_normal((5, 4))
    out, averages = run(x, parameters, hidden, "tanh", batch_norm)
    weights, offsets, before = parameters
    dense = {"weights": weights, "offsets": offsets}
    expected, _ = reference.mlp(x, dense, len(hidden), "tanh", averages=before)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
    jax.tree.map(np.testing.assert_array_equal, averages, before)


def test_batch_norm_in_training_takes_the_moments_of_the_weighted_rows():
    rng = np.random.default_rng(0)
    hidden = (3, 4)
    parameters, x = random_mlp(rng, hidden, True), rng.standard_normal((5, 4))
    x[3] = 1e3  # a row of weight 0 counts for nothing
    out, averages = run(x, parameters, hidden, "relu", True, training=Training(None, None))
    weights, offsets, before = parameters
    dense = {"weights": weights, "offsets": offsets}
    expected, moments = reference.mlp(x, dense, 2, "relu", weight=WEIGHT)
    np.testing.assert_allclose(out[WEIGHT > 0], expected[WEIGHT > 0], rtol=1e-9)
    for layer, (mean, variance) in enumerate(moments):
        for name, moment in ((f"mean_{layer}", mean), (f"variance_{layer}", variance)):
            np.testing.assert_allclose(averages[name], 0.9 * before[name] + 0.1 * moment, rtol=1e-9)


def test_first_weights_are_glorot_uniform():
    weights, offsets = MLP(sizes=(80, 40), batch_norm=True).init(np.random.default_rng(0), 50, 3)
    sizes = [(50, 80), (80, 40), (40, 3)]
    for layer, (fan_in, fan_out) in enumerate(sizes):
        leaf = weights[f"layer_{layer}"]
        limit = np.sqrt(6 / (fan_in + fan_out))
        assert leaf.shape == (fan_in, fan_out)
        assert 0.9 * limit < np.abs(leaf).max() <= limit
        assert abs(leaf.mean()) < 0.1 * limit
    assert set(offsets) == {"bias_0", "bias_1", "gain_0", "gain_1"}  # the output layer has none
    assert all(np.all(leaf == (name[:4] == "gain")) for name, leaf in offsets.items())
    assert set(MLP(sizes=(80, 40)).init(np.random.default_rng(0), 50, 3)[1]) == {"bias_0", "bias_1"}
    weights, offsets = MLP(sizes=(80, 40), name="a_").init(np.random.default_rng(0), 50)
    assert set(weights) == {"a_layer_0", "a_layer_1"}
    assert set(offsets) == {"a_bias_0", "a_bias_1"}


# --------------------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_the_share_and_the_mean(rate, dtype):
    with precision(dtype):
        x = jnp.full((500, 40), 2.0, dtype=dtype)
        out = np.asarray(jax.jit(dropout)(x, jnp.asarray(rate, dtype), jax.random.key(1)))
    assert out.dtype == dtype
    np.testing.assert_allclose(out[out != 0], 2 / (1 - rate), rtol=1e-6)
    # Five standard deviations of a share of 20,000 numbers.
    tolerance = 5 * np.sqrt(rate * (1 - rate) / out.size)
    dropped = out == 0
    assert abs(dropped.mean() - rate) <= tolerance
    if rate == 0.5:
        for pair in (dropped[1:] & dropped[:-1], dropped[:, 1:] & dropped[:, :-1]):
            assert abs(pair.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / pair.size)
        assert np.all(np.abs(dropped.mean(axis=0) - 0.5) < 5 * np.sqrt(0.25 / 500))


def test_masks_of_two_keys_and_of_two_layers_are_independent():
    def mask(seed):
        return (
            np.asarray(
                jax.jit(dropout)(np.ones((500, 40), np.float32), np.float32(0.5), jax.random.key(seed))
            )
            == 0
        )

    assert abs((mask(0) & mask(1)).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 20_000)
    np.testing.assert_array_equal(mask(0), mask(0))

    # Identity layers show which units of which layer were dropped: x @ I, twice.
    eye = {f"layer_{layer}": np.eye(40) for layer in range(3)}
    bias = {f"bias_{layer}": np.zeros(40) for layer in range(2)}
    x = np.ones((500, 40))
    one, _ = run(
        x, ({"layer_0": np.eye(40), "layer_1": np.eye(40)}, bias, {}), (40,), "identity", False, rate=0.5
    )
    two, _ = run(x, (eye, bias, {}), (40, 40), "identity", False, rate=0.5)
    np.testing.assert_array_equal(np.unique(one), [0, 2])
    np.testing.assert_array_equal(np.unique(two), [0, 4])
    assert abs((two == 0).mean() - 0.75) < 5 * np.sqrt(0.25 * 0.75 / 20_000)


def test_there_is_no_dropout_at_prediction_or_at_rate_zero():
    rng = np.random.default_rng(0)
    parameters, x = random_mlp(rng, (3,), False), rng.standard_normal((5, 4))
    plain, _ = run(x, parameters, (3,), "tanh", False)
    zero, _ = run(x, parameters, (3,), "tanh", False, rate=0.0)
    # Another program, which may round differently.
    np.testing.assert_allclose(plain, zero, rtol=1e-6 if plain.dtype == np.float32 else 1e-12)
    half, _ = run(x, parameters, (3,), "tanh", False, rate=0.5)
    assert np.abs(half - plain).max() > 0.01
