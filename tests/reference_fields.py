"""The oracle of models on fields; see `tests.reference`, whose conventions hold.

Oracles take ``(model, X, tables, dense, averages, fields)``: settings are read from the model, averages are
those of batch normalisation, and fields hold the field of each column.
"""

import numpy as np

from tests.reference import ACTIVATIONS, linear_term, mlp, pair_products, pooled_fields, slots, softmax


def _embeddings(X, tables, fields, n_fields):
    return [pooled_fields(x, tables["factors"], fields, n_fields) for x in X]


def _intercept(dense):
    return dense["offsets"].get("intercept", 0.0)


def leaves_of(prefix, leaves):
    """Leaves whose names begin so, without that."""
    return {name.removeprefix(prefix): leaf for name, leaf in leaves.items() if name.startswith(prefix)}


def network(model, inputs, dense, averages):
    """Output of the model's perceptron by running averages."""
    layers = len(model.network.sizes), model.network.activation
    return mlp(inputs, dense, *layers, averages=averages)[0]


def nfm(model, X, tables, dense, averages, fields):
    """A perceptron on the second-order vector, which is normalised as a layer is."""
    inputs = []
    for x in X:
        cross = pair_products(x, tables["factors"])
        if averages:
            deviation = np.sqrt(averages["variance_cross"] + 1e-5)
            cross = (cross - averages["mean_cross"]) / deviation
            cross = cross * dense["offsets"]["gain_cross"] + dense["offsets"]["bias_cross"]
        inputs.append(cross)
    deep = network(model, inputs, dense, averages)
    first = [_intercept(dense) + linear_term(x, tables["linear"]) for x in X]
    return np.array(first) + deep


def fwfm(model, X, tables, dense, averages, fields):
    """A weight for each pair of fields; those of pairs (0, 0), (0, 1), .. stand in a row, less 1."""
    number = {}
    for f in range(model.n_fields):
        for g in range(f, model.n_fields):
            number[f, g] = number[g, f] = len({pair for pair in number if pair[0] <= pair[1]})
    raw = []
    for x in X:
        score = _intercept(dense) + linear_term(x, tables["linear"])
        row = slots(x)
        for s, (i, x_i) in enumerate(row):
            for j, x_j in row[s + 1 :]:
                weight = 1 + dense["weights"]["pairs"][:, number[fields[i], fields[j]]]
                product = (tables["factors"][i] * tables["factors"][j]).sum(axis=-1)
                score = score + weight * product * x_i * x_j
        raw.append(score)
    return np.array(raw)


def ffm(model, X, tables, dense, averages, fields):
    """Each column meets another one with its vector for the other's field."""
    raw = []
    for x in X:
        score = _intercept(dense) + linear_term(x, tables["linear"])
        row = slots(x)
        for s, (i, x_i) in enumerate(row):
            for j, x_j in row[s + 1 :]:
                toward, back = tables["factors"][i][:, fields[j]], tables["factors"][j][:, fields[i]]
                score = score + (toward * back).sum(axis=-1) * x_i * x_j
        raw.append(score)
    return np.array(raw)


def fnn(model, X, tables, dense, averages, fields):
    """A perceptron on the linear term and the embedding of each field, field by field."""
    inputs = []
    for x in X:
        linear = pooled_fields(x, tables["linear"], fields, model.n_fields)
        embedding = pooled_fields(x, tables["factors"], fields, model.n_fields)
        pairs = zip(linear, embedding, strict=True)
        inputs.append(np.concatenate([part for pair in pairs for part in pair]))
    return _intercept(dense) + network(model, inputs, dense, averages)


def pnn(model, X, tables, dense, averages, fields):
    """A perceptron on embeddings and products of pairs of fields."""
    inputs = []
    for embedding in _embeddings(X, tables, fields, model.n_fields):
        products = []
        for kind in model.kinds:
            pair = 0
            for f in range(model.n_fields):
                for g in range(f + 1, model.n_fields):
                    kernel = np.eye(embedding.shape[1])
                    if kind == "outer":
                        kernel = dense["weights"]["kernel"][pair]
                    products.append(embedding[f] @ kernel @ embedding[g])
                    pair += 1
        products = np.array(products)
        if model.layer_norm:
            variance = ((products - products.mean()) ** 2).mean()
            products = (products - products.mean()) / np.sqrt(variance + 1e-5)
            products = products * dense["offsets"]["gain_products"] + dense["offsets"]["bias_products"]
        inputs.append(np.concatenate([embedding.ravel(), products]))
    return _intercept(dense) + network(model, inputs, dense, averages)


def cross_layer(x0, x, layer, dense, version, gated):
    """One layer of a cross network."""
    weights = dense["weights"]
    bias = dense["offsets" if version == 1 else "weights"][f"cross_bias_{layer}"]
    if version == 1:
        return x0 * sum(x * weights[f"cross_{layer}"]) + bias + x
    if f"cross_{layer}" in weights:
        return x0 * (weights[f"cross_{layer}"].T @ x + bias) + x
    experts = zip(weights[f"cross_in_{layer}"], weights[f"cross_out_{layer}"], strict=True)
    gate = softmax(x @ weights[f"cross_gate_{layer}"]) if gated else [1.0]
    total = np.zeros_like(x)
    for share, (into, out) in zip(gate, experts, strict=True):
        total = total + share * (out @ (into.T @ x) + bias)
    return x0 * total + x


def dcn(model, X, tables, dense, averages, fields):
    """Cross layers beside a perceptron, or under it."""
    start = [embedding.ravel() for embedding in _embeddings(X, tables, fields, model.n_fields)]
    crossed = []
    for x0 in start:
        x = x0
        for layer in range(model.n_cross_layers):
            x = cross_layer(x0, x, layer, dense, model.version, model.n_experts > 1)
        crossed.append(x)
    stacked = model.structure == "stacked"
    raw = _intercept(dense) + network(model, crossed if stacked else start, dense, averages)
    return raw if stacked else raw + np.array(crossed) @ dense["weights"]["cross_output"]


def attention(X, tables, dense, fields, n_fields):
    """Weights of the pairs (0, 1), (0, 2), .. of fields in each row."""
    weights, shares = dense["weights"], []
    for embedding in _embeddings(X, tables, fields, n_fields):
        scores = []
        for f in range(n_fields):
            for g in range(f + 1, n_fields):
                hidden = (embedding[f] * embedding[g]) @ weights["attention"]
                hidden = np.maximum(hidden + dense["offsets"]["attention_bias"], 0)
                scores.append(float(hidden @ weights["attention_output"]))
        shares.append(softmax(scores))
    return np.array(shares)


def afm(model, X, tables, dense, averages, fields):
    """Products of the embeddings of pairs of fields, weighted by attention."""
    raw = []
    embeddings = _embeddings(X, tables, fields, model.n_fields)
    shares = attention(X, tables, dense, fields, model.n_fields)
    for x, embedding, share in zip(X, embeddings, shares, strict=True):
        pooled, pair = np.zeros(embedding.shape[1]), 0
        for f in range(model.n_fields):
            for g in range(f + 1, model.n_fields):
                pooled = pooled + share[pair] * embedding[f] * embedding[g]
                pair += 1
        linear = _intercept(dense) + linear_term(x, tables["linear"])
        raw.append(linear + pooled @ dense["weights"]["output"])
    return np.array(raw)


def xdeepfm(model, X, tables, dense, averages, fields):
    """A compressed interaction network beside a linear term and a perceptron."""
    raw, inputs = [], []
    for x, embedding in zip(X, _embeddings(X, tables, fields, model.n_fields), strict=True):
        rows, pooled = embedding, []
        for layer, size in enumerate(model.cin_layer_sizes):
            new = np.zeros((size, model.n_factors))
            for h in range(size):
                for i in range(rows.shape[0]):
                    for f in range(model.n_fields):
                        weight = dense["weights"][f"cin_{layer}"][h, i, f]
                        new[h] += weight * rows[i] * embedding[f]
            activation = ACTIVATIONS[model.cin_activation]
            rows = np.array([[activation(float(value)) for value in row] for row in new])
            pooled.extend(rows.sum(axis=1))
        score = _intercept(dense) + linear_term(x, tables["linear"])
        if pooled:
            score = score + np.array(pooled) @ dense["weights"]["cin_output"]
        raw.append(score)
        inputs.append(embedding.ravel())
    return np.array(raw) + network(model, inputs, dense, averages)


def final_mlp(model, X, tables, dense, averages, fields):
    """Two perceptrons on gated embeddings, whose last layers are joined head by head."""
    x = np.array([embedding.ravel() for embedding in _embeddings(X, tables, fields, model.n_fields)])
    weights, offsets = dense["weights"], dense["offsets"]
    raw, ends = _intercept(dense), []
    for name, hidden in (("first_", model.first), ("second_", model.second)):
        inputs = x
        if model.gate is not None:
            scores = np.tile(offsets[f"{name}gate_bias"], (len(x), 1))
            if model.gate == "row":
                scores = scores + x @ weights[f"{name}gate"]
            inputs = x * 2 / (1 + np.exp(-scores))
        own = {role: leaves_of(name, leaves) for role, leaves in dense.items()}
        n_hidden, width = len(hidden.sizes), hidden.sizes[-1] if hidden.sizes else x.shape[1]
        own["weights"][f"layer_{n_hidden}"] = np.eye(width)
        end, _ = mlp(inputs, own, n_hidden, hidden.activation, averages=leaves_of(name, averages))
        raw = raw + end @ weights[f"{name}output"]
        ends.append(end)
    joined = np.zeros((len(x), model.n_outputs))
    for row in range(len(x)):
        for output in range(model.n_outputs):
            for head in range(model.n_heads):
                first, second = (np.split(end[row], model.n_heads)[head] for end in ends)
                joined[row, output] += first @ weights["fusion"][output, head] @ second
    return raw + joined


def deep_crossing(model, X, tables, dense, averages, fields):
    """Residual units: each adds the output of a perceptron with one hidden layer, and a bias."""
    x = np.array([embedding.ravel() for embedding in _embeddings(X, tables, fields, model.n_fields)])
    activation = np.vectorize(ACTIVATIONS[model.network.activation], otypes=[float])

    for number in range(len(model.network.sizes)):
        prefix = f"unit_{number}_"
        own = {role: leaves_of(prefix, leaves) for role, leaves in dense.items()}
        change, _ = mlp(x, own, 1, model.network.activation, averages=leaves_of(prefix, averages))
        x = activation(x + change + own["offsets"]["bias"])
    return _intercept(dense) + x @ dense["weights"]["output"]


def wide_deep(model, X, tables, dense, averages, fields):
    """A linear term, a perceptron on the embeddings of all fields but the last ones, or both."""
    raw = np.array([_intercept(dense) + np.zeros(model.n_outputs) for _ in X])
    if model.parts != "deep":
        raw = raw + [linear_term(x, tables["linear"]) for x in X]
    if model.parts != "wide":
        n_seen = model.n_fields - model.n_wide_fields
        seen = [embedding[:n_seen].ravel() for embedding in _embeddings(X, tables, fields, model.n_fields)]
        raw = raw + network(model, seen, dense, averages)
    return raw


def din(model, X, tables, dense, averages, fields):
    """A perceptron on embeddings, those of histories weighted entry by entry."""
    factors, inputs = tables["factors"], []
    for x in X:
        embedding = pooled_fields(x, factors, fields, model.n_fields)
        compared = embedding.copy()
        for number, (history, target) in enumerate(model.sequences):
            t, name = compared[target], f"attention_{number}_"
            entries = [(value, factors[column]) for column, value in slots(x) if fields[column] == history]
            own = {role: leaves_of(name, leaves) for role, leaves in dense.items()}
            running = leaves_of(name, averages)
            unit = [np.concatenate([h, t, h - t, h * t]) for _, h in entries]
            unit = np.reshape(unit, (len(entries), 4 * t.size))
            layers = len(model.unit.sizes), model.unit.activation
            scores, _ = mlp(unit, own, *layers, averages=running)
            weights = scores[:, 0] + own["offsets"]["bias"]
            if model.softmax:
                total = sum(abs(value) * np.exp(w) for (value, _), w in zip(entries, weights, strict=True))
                weights = [np.exp(w) / total for w in weights]
            embedding[history] = sum(
                (value * w * h for (value, h), w in zip(entries, weights, strict=True)), np.zeros(t.size)
            )
        inputs.append(embedding.ravel())
    running = {key: leaf for key, leaf in averages.items() if not key.startswith("attention")}
    return _intercept(dense) + network(model, inputs, dense, running)
