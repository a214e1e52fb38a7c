"""Its formula written naively."""

import numpy as np

from tests import reference


def quadratic(model, X, tables, dense, averages=None, fields=None):
    raw = []
    for x in X:
        sums = [reference.linear_term(x, tables["factors"][:, k]) for k in range(tables["factors"].shape[1])]
        squares = sum(d * s**2 for d, s in zip(dense["weights"]["squares"], sums, strict=True))
        raw.append(dense["offsets"]["intercept"] + reference.linear_term(x, tables["linear"]) + squares)
    return np.array(raw)
