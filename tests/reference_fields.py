"""The oracle of models on fields; see `tests.reference`, whose conventions hold."""

import numpy as np

from tests.reference import linear_term, slots


def _intercept(dense):
    return dense["offsets"].get("intercept", 0.0)


def fwfm(X, tables, dense, fields, n_fields):
    """A weight for each pair of fields; those of pairs (0, 0), (0, 1), .. stand in a row, less 1."""
    number = {}
    for f in range(n_fields):
        for g in range(f, n_fields):
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


def ffm(X, tables, dense, fields):
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
