"""The oracle: every formula of skfm written naively in NumPy float64, with loops over rows, slots and pairs.

Nothing here is fast and nothing is taken from skfm, so that a test which compares with it can fail.

Conventions:

- X is a dense matrix (n, d); a slot of a row is one of its nonzeros, a pair (column, value);
- tables are dicts of arrays (d, *shape), with the names that the models give them;
- dense weights are ``{"weights": {...}, "offsets": {...}}``;
- raw predictions have shape (n, n_outputs).
"""

import itertools
import math

import numpy as np

# ------------------------------------------------------------------------------------------------ models


def slots(x):
    """(column, value) of each nonzero of a row."""
    return [(column, float(value)) for column, value in enumerate(x) if value != 0]


def linear_term(x, weights):
    """``sum_s x_s w_{i_s}``; weights (d, *shape)."""
    total = np.zeros(weights.shape[1:])
    for column, value in slots(x):
        total = total + value * weights[column]
    return total


def pair_products(x, factors):
    """``sum_{s<t} x_s x_t v_{i_s} * v_{i_t}``, element by element; factors (d, ..., k)."""
    total = np.zeros(factors.shape[1:])
    row = slots(x)
    for s in range(len(row)):
        for t in range(s + 1, len(row)):
            total = total + row[s][1] * row[t][1] * factors[row[s][0]] * factors[row[t][0]]
    return total


def second_order(x, factors):
    """``sum_{s<t} <v_{i_s}, v_{i_t}> x_s x_t``."""
    return pair_products(x, factors).sum(axis=-1)


def higher_order(x, factors, order):
    """Sum over the sets of `order` slots of the products of their factors, all added up."""
    total = np.zeros(factors.shape[1:])
    for chosen in itertools.combinations(slots(x), order):
        product = np.ones(factors.shape[1:])
        for column, value in chosen:
            product = product * value * factors[column]
        total = total + product
    return total.sum(axis=-1)


def linear(X, tables, dense):
    intercept = dense["offsets"].get("intercept", 0.0)
    return np.array([intercept + linear_term(x, tables["linear"]) for x in X])


def fm(X, tables, dense):
    raw = []
    for x in X:
        score = dense["offsets"].get("intercept", 0.0) + second_order(x, tables["factors"])
        for name in set(tables) - {"linear", "factors"}:
            score = score + higher_order(x, tables[name], int(name.removeprefix("factors_")))
        if "linear" in tables:
            score = score + linear_term(x, tables["linear"])
        raw.append(score)
    return np.array(raw)


ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    # the approximation by tanh of Hendrycks & Gimpel 2016
    "gelu": lambda z: 0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "logistic": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
}


def mlp(inputs, dense, n_hidden, activation, *, averages=None, weight=None):
    """Output of the perceptron and the moments (mean, variance) of each hidden layer's affine maps.

    Batch norm stands between the matrix product and the bias, with a gain where there is one: by running
    `averages` (prediction), or by the moments of the rows given, weighted (training).
    """
    weights, offsets = dense["weights"], dense["offsets"]
    hidden, moments = np.asarray(inputs, dtype=np.float64), []
    for layer in range(n_hidden):
        z = hidden @ weights[f"layer_{layer}"]
        if f"gain_{layer}" in offsets:
            if averages is None:
                mean = sum(w * row for w, row in zip(weight, z, strict=True)) / sum(weight)
                squares = sum(w * (row - mean) ** 2 for w, row in zip(weight, z, strict=True))
                variance = squares / sum(weight)
                moments.append((mean, variance))
            else:
                mean, variance = averages[f"mean_{layer}"], averages[f"variance_{layer}"]
            z = (z - mean) / np.sqrt(variance + 1e-5) * offsets[f"gain_{layer}"]
        z = z + offsets[f"bias_{layer}"]
        if activation in ("prelu", "dice"):
            hidden = sloped(z, offsets[f"slope_{layer}"], activation, averages, layer)
            continue
        hidden = np.array([[ACTIVATIONS[activation](float(value)) for value in row] for row in z])
        hidden = hidden.reshape(z.shape)
    return hidden @ weights[f"layer_{n_hidden}"], moments


def sloped(z, slope, activation, averages, layer):
    """PReLU; or Dice by running averages."""
    out = np.empty_like(z)
    for i, unit in np.ndindex(z.shape):
        on = float(z[i, unit] > 0)
        if activation == "dice":
            mean, variance = (averages[f"dice_{what}_{layer}"][unit] for what in ("mean", "variance"))
            on = sigmoid((z[i, unit] - mean) / math.sqrt(variance + 1e-5))
        out[i, unit] = z[i, unit] * (on + (1 - on) * slope[unit])
    return out


def pooled_fields(x, factors, fields, n_fields):
    """``E_f``, the sum of the embeddings of the slots of field f, for each field."""
    embeddings = np.zeros((n_fields, factors.shape[1]))
    for column, value in slots(x):
        embeddings[fields[column]] += value * factors[column]
    return embeddings


def deepfm_with_moments(X, tables, dense, fields, n_fields, n_hidden, activation, **batch_norm):
    raw, inputs = [], []
    for x in X:
        cross = pair_products(x, tables["factors"])
        mapping = dense["weights"].get("cross")
        score = np.array([cross.sum()]) if mapping is None else cross @ mapping
        raw.append(dense["offsets"].get("intercept", 0.0) + linear_term(x, tables["linear"]) + score)
        inputs.append(pooled_fields(x, tables["factors"], fields, n_fields).ravel())
    deep, moments = mlp(inputs, dense, n_hidden, activation, **batch_norm)
    return np.array(raw) + deep, moments


def deepfm(*args, **kwargs):
    return deepfm_with_moments(*args, **kwargs)[0]


def softmax(scores):
    exponentials = [math.exp(score) for score in scores]
    return np.array([value / sum(exponentials) for value in exponentials])


def sigmoid(score):
    return 1 / (1 + math.exp(-score))


def part_score(x, tables, role, n):
    """Score of a gate or an expert without its intercept: a linear term, a second-order term or both."""
    total = np.zeros(n)
    if f"{role}_linear" in tables:
        total = total + linear_term(x, tables[f"{role}_linear"])
    if f"{role}_factors" in tables:
        total = total + second_order(x, tables[f"{role}_factors"])
    return total


def gate(X, tables, dense):
    """Probability of each component, (n, M)."""
    start = dense["offsets"]["gate_intercept"]
    return np.array([softmax(start + part_score(x, tables, "gate", start.shape)) for x in X])


def mixture(X, tables, dense, n_outputs, link):
    """Mixture of experts; mixed as raw scores (link None) or after the inverse link, then taken back."""
    n_components = dense["offsets"]["gate_intercept"].size
    raw = np.zeros((len(X), n_outputs))
    for i, (x, probability) in enumerate(zip(X, gate(X, tables, dense), strict=True)):
        scores = part_score(x, tables, "expert", (n_components, n_outputs))
        scores = scores + dense["offsets"].get("intercept", 0.0)
        if link in (None, "identity"):
            for m in range(n_components):
                raw[i] += probability[m] * scores[m]
        elif link == "softmax":
            mixed = sum(probability[m] * softmax(scores[m]) for m in range(n_components))
            raw[i] = np.log(mixed)
        else:
            for o in range(n_outputs):
                inverse = {"logit": sigmoid, "log": math.exp}[link]
                mixed = sum(probability[m] * inverse(scores[m, o]) for m in range(n_components))
                raw[i, o] = math.log(mixed / (1 - mixed)) if link == "logit" else math.log(mixed)
    return raw


# ------------------------------------------------------------------------------------------------ losses


def squared_error(y, raw):
    return (y - raw) ** 2 / 2


def absolute_error(y, raw):
    return abs(y - raw)


def quantile(y, raw, q):
    return q * (y - raw) if y > raw else (1 - q) * (raw - y)


def huber(y, raw, delta):
    error = abs(y - raw)
    return (error**2 / 2 if error <= delta else delta * error - delta**2 / 2) / min(delta, 1)


def poisson(y, raw):
    return math.exp(raw) - y * raw


def logistic(y, raw):
    """Minus the log-likelihood of the target 0 or 1."""
    return -math.log(sigmoid(raw)) if y == 1 else -math.log(1 - sigmoid(raw))


def softmax_loss(y, raw):
    """Minus the log-likelihood of class number y; raw has one score a class."""
    return -math.log(softmax(raw)[int(y)])


def loss_values(value, y, raw):
    """Loss of each sample: summed over the outputs, or of a class number and all scores for softmax."""
    if value is softmax_loss:
        return np.array([softmax_loss(label, scores) for label, scores in zip(y, raw, strict=True)])
    return np.array(
        [
            sum(value(float(t), float(s)) for t, s in zip(ys, rs, strict=True))
            for ys, rs in zip(y, raw, strict=True)
        ]
    )


# --------------------------------------------------------------------------------------------- objective


def frequency(X, weight):
    """Share of the sample weight whose rows touch each column."""
    shares = np.zeros(X.shape[1])
    for j in range(X.shape[1]):
        shares[j] = sum(s for x, s in zip(X, weight, strict=True) if x[j] != 0) / sum(weight)
    return shares


def data_term(value, y, raw, weight):
    """``sum_i s_i loss(y_i, raw_i) / sum_i s_i``."""
    values = loss_values(value, y, raw)
    return sum(s * v for s, v in zip(weight, values, strict=True)) / sum(weight)


def penalty(X, weight, tables, strengths, power, dense=None, l2_dense=0.0, l1=None):
    """``1/2 sum_j f_j^nu l2 ||row j||^2`` over the tables, plus L1 and the dense weights.

    Parameters
    ----------
    strengths, l1 : dict from table name to l2 and l1
    power : nu; columns that no row touches pay nothing
    """
    total = 0.0
    for j, share in enumerate(frequency(X, weight)):
        if share == 0:
            continue
        for name, table in tables.items():
            row = np.ravel(table[j])
            total += share**power * strengths[name] / 2 * sum(w**2 for w in row)
            total += share**power * (l1 or {}).get(name, 0.0) * sum(abs(w) for w in row)
    for leaf in (dense or {"weights": {}})["weights"].values():
        total += l2_dense / 2 * sum(w**2 for w in np.ravel(leaf))
    return total


# ---------------------------------------------------------------------------------------------- calculus


def finite_differences(function, array, step=1e-6):
    """Gradient of a function of no arguments with respect to an array that it reads, one entry at a time."""
    gradient = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        before = array[place]
        array[place] = before + step
        above = function()
        array[place] = before - step
        below = function()
        array[place] = before
        gradient[place] = (above - below) / (2 * step)
    return gradient
